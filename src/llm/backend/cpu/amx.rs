//! Products of many rows with AMX int8 tiles (Intel, Sapphire Rapids and later).
//!
//! Formula: `C[token, row] += Σ_k x[token, k] · code[row, k]`, int8 times unsigned codes into 32 bits, exact: at most
//! 3 · 128 · 350,000 columns fit. One `tdpbsud` is 16 tokens × 16 rows × 64 columns.
//!
//! Layout: an opened unit of a tile ([`Panel`]) is 16 steps of 16 rows × 4 columns, a byte a code. That is just what the
//! instruction wants of its second operand, so the weights' tile is one load of 1 kB; the tokens' tiles are loaded from the
//! quantized rows as they lie. Four tiles of sums (64 tokens) share each weight tile.
//!
//! Shapes: any number of tokens. With 16 or more the last tile begins 16 before the end and computes some tokens twice;
//! with fewer the tiles have that many rows. Columns are a multiple of 64. Everything else is [`avx512`]'s.

use std::arch::asm;
use std::sync::OnceLock;

use super::avx512::{self, Panel};
use super::kernels::QuantRow;
use super::pack::{Packed, TILE, UNIT, UNIT_BYTES};

/// Whether this processor has AMX int8, the kernel lets this process use it, and it computes what it should: few machines
/// have it, so each is asked before it is trusted. To be called only where there is AVX-512 VNNI.
pub(super) fn available() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let leaf = std::arch::x86_64::__cpuid_count(7, 0);
        let (tile, int8) = (1 << 24, 1 << 25);
        leaf.edx & (tile | int8) == (tile | int8) && permitted() && agrees()
    })
}

/// Asks the kernel for the tile registers' state (8 kB a thread that uses them). Kernels before 5.16 know no such request.
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}

/// Whether a product of two units and some rows, full tiles and a ragged one, is what plain loops make of it.
fn agrees() -> bool {
    const COLS: usize = 2 * UNIT;
    let codes: Vec<u8> = (0..2 * UNIT_BYTES).map(|i| ((i * 37 + i / 11) % 255) as u8).collect();
    let q: Vec<i8> = (0..70 * COLS).map(|i| ((i * 91 + i / 7) % 256) as u8 as i8).collect();
    let plain = |i: usize, row: usize| -> i32 {
        let one = |c: usize| {
            let byte = codes[c / 64 * UNIT_BYTES + c % 64 / 16 * 64 + 4 * row + c % 4];
            i32::from((byte >> (2 * (c % 16 / 4))) & 3) * i32::from(q[i * COLS + c])
        };
        (0..COLS).map(one).sum()
    };
    [3, 16, 70].into_iter().all(|n: usize| {
        let row = |i: usize| QuantRow { q: &q[i * COLS..(i + 1) * COLS], sums: &[], scale: 1.0 };
        let x: Vec<QuantRow<'_>> = (0..n).map(row).collect();
        let mut acc = vec![[0; TILE]; n];
        // SAFETY: the processor has AMX and AVX-512, and the kernel has permitted the tiles; these rows are those.
        unsafe { dots(&mut Ready::of(&x), &codes, &x, 0, &mut acc) };
        acc.iter().enumerate().all(|(i, sums)| sums.iter().enumerate().all(|(r, s)| *s == plain(i, r)))
    })
}

/// Tokens of one tile of sums.
const TOKENS: usize = 16;
/// Tiles of sums kept at a time.
const SUMS: usize = 4;

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tile registers, shaped: 0 to 3 sums and 4, 5 tokens of `tokens` rows, 7 weights. Only this file names them, so they
/// keep their contents between its `asm!` blocks (the kernel saves them with the thread). Given back when dropped.
struct Tiles;

impl Tiles {
    /// # Safety
    /// [`available`] said so. One at a time on a thread.
    unsafe fn shaped(tokens: usize) -> Self {
        let mut config = Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        for t in [0, 1, 2, 3, 4, 5, 7] {
            config.row_bytes[t] = 64;
            config.rows[t] = if t == 7 { TILE } else { tokens } as u8;
        }
        // SAFETY: 64 readable bytes with a shape that palette 1 allows: at most 16 rows of 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Tiles
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: leaves the tiles as they are without a configuration.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Loads tokens from `$x` and adds their product with the weights in tile 7 to tile `$c`.
macro_rules! multiply {
    ($c:literal, $a:literal, $x:expr, $stride:expr) => {
        asm!(
            concat!("tileloadd tmm", $a, ", [{x} + {stride}]"),
            concat!("tdpbsud tmm", $c, ", tmm", $a, ", tmm7"),
            x = in(reg) $x,
            stride = in(reg) $stride,
            options(nostack, readonly)
        )
    };
}

/// Stores tile `$c` to `$to`, 64 bytes a row.
macro_rules! store {
    ($c:literal, $to:expr) => {
        asm!(
            concat!("tilestored [{to} + {stride}], tmm", $c),
            to = in(reg) $to,
            stride = in(reg) 64usize,
            options(nostack)
        )
    };
}

/// What [`dots`] needs for some rows: the tiles' shape, a panel, where each tile of tokens begins.
struct Ready {
    _tiles: Tiles,
    panel: Panel,
    starts: Vec<usize>,
    tokens: usize,
}

impl Ready {
    /// # Safety
    /// [`available`] said so. One at a time on a thread.
    unsafe fn of(x: &[QuantRow<'_>]) -> Self {
        let (base, cols, tokens) = (x[0].q.as_ptr(), x[0].q.len(), x.len().min(TOKENS));
        // The tiles read rows by their distance: they must lie one behind the other, as in a `Quant`.
        let in_order =
            |(i, row): (usize, &QuantRow<'_>)| row.q.len() == cols && row.q.as_ptr() == base.wrapping_add(i * cols);
        assert!(x.iter().enumerate().all(in_order));
        let starts = (0..x.len()).step_by(TOKENS).map(|s| s.min(x.len() - tokens)).collect();
        // SAFETY: as the caller promises.
        Self { _tiles: unsafe { Tiles::shaped(tokens) }, panel: Panel::new(), starts, tokens }
    }
}

/// Sets `acc[i][row]` to `Σ code·q` of row `i` of `x` over the columns that `codes` (`[units, 256]`) hold, from column
/// `from` on.
///
/// # Safety
/// [`available`] said so, and `ready` was made of these rows.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn dots(ready: &mut Ready, codes: &[u8], x: &[QuantRow<'_>], from: usize, acc: &mut [[i32; TILE]]) {
    let (units, cols) = (codes.len() / UNIT_BYTES, x[0].q.len());
    let base = x[0].q.as_ptr();
    assert!(from + units * UNIT <= cols && acc.len() >= x.len());
    let Ready { panel, starts, tokens, .. } = ready;
    let tokens = *tokens;
    for starts in starts.chunks(SUMS) {
        // SAFETY: the tiles are shaped.
        unsafe { asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem)) };
        for (p, codes) in codes.chunks(Panel::UNITS * UNIT_BYTES).enumerate() {
            for (u, open) in panel.open(codes).chunks_exact(TILE * UNIT).enumerate() {
                let column = from + (p * Panel::UNITS + u) * UNIT;
                let at = |i: usize| base.wrapping_add(starts[i] * cols + column);
                // SAFETY: a weight tile is the 1,024 bytes of `open`. A token tile is `tokens` rows of 64 bytes, `cols` apart,
                // from row `starts[i] ≤ x.len() − tokens` on: inside the rows, which lie in order (as [`Ready::of`] asserted).
                unsafe {
                    asm!("tileloadd tmm7, [{w} + {stride}]", w = in(reg) open.as_ptr(), stride = in(reg) 64usize,
                        options(nostack, readonly));
                    multiply!("0", "4", at(0), cols);
                    if starts.len() > 1 {
                        multiply!("1", "5", at(1), cols);
                    }
                    if starts.len() > 2 {
                        multiply!("2", "4", at(2), cols);
                    }
                    if starts.len() > 3 {
                        multiply!("3", "5", at(3), cols);
                    }
                }
            }
        }
        let mut to = |i: usize| acc[starts[i]..starts[i] + tokens].as_mut_ptr();
        // SAFETY: each tile stores `tokens` rows of 64 bytes, which the slice has.
        unsafe {
            store!("0", to(0));
            if starts.len() > 1 {
                store!("1", to(1));
            }
            if starts.len() > 2 {
                store!("2", to(2));
            }
            if starts.len() > 3 {
                store!("3", to(3));
            }
        }
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_rows(w: &Packed, tile: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    // SAFETY: the table holds this kernel only where AMX is available; `rows_by` makes one `Ready` at a time, of the rows it
    // gives with it.
    avx512::rows_by(
        w,
        tile,
        x,
        out,
        |x| unsafe { Ready::of(x) },
        |ready, codes, x, from, acc| unsafe { dots(ready, codes, x, from, acc) },
    );
}
