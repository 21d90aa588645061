//! Products of many rows with AMX int8 tiles (Intel, Sapphire Rapids and later).
//!
//! Formula: `C[token, row] = Σ_k x[token, k] · (code[row, k] − 1)`, int8 times int8 into 32 bits, exact: a
//! product is at most 2 · 128, so 8 million columns fit. One `tdpbssd` is 16 tokens × 16 rows × 64 columns. Where columns have scales,
//! `y = Σ_group d[row, group] · C` in the groups' order, each product rounded before it is added, as the reference does.
//!
//! Layout: an opened unit of a tile ([`Panel`]) is 16 steps of 16 rows × 4 columns, a byte a weight. That is just what the
//! instruction wants of its second operand, so the weights' tile is one load of 1 kB; the tokens' tiles are loaded from the
//! quantized rows as they lie. Four tiles of sums (64 tokens) share each weight tile. Groups are too short for that to
//! matter: there each tile of tokens goes through a panel by itself, its 16 × 16 sums in registers.
//!
//! Shapes: any number of tokens. With 16 or more the last tile begins 16 before the end and computes some tokens twice;
//! with fewer the tiles have that many rows. Columns are a multiple of 64. Everything else is [`avx512`]'s.
//!
//! Source: the formula is [`super::scalar`]'s; TDPBSSD and its operands as in Intel's Software Developer's Manual, volume 2, and
//! permission by `arch_prctl` as in Linux's Documentation/arch/x86/xstate.rst.

use std::arch::asm;
use std::arch::x86_64::{__m512, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_mul_ps};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::avx512::{self, Panel, ROWS};
use super::operands::QuantRow;
use super::pack::{Packed, TILE, TileGroups, UNIT, UNIT_BYTES, even_parts, sixteen};

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
            i32::from(WEIGHTS[usize::from(byte >> (2 * (c % 16 / 4))) & 3]) * i32::from(q[i * COLS + c])
        };
        (0..COLS).map(one).sum()
    };
    [3, 16, 64].into_iter().all(|n: usize| {
        let row = |i: usize| QuantRow { q: &q[i * COLS..(i + 1) * COLS], sums: &[], scale: 1.0 };
        let x: Vec<QuantRow<'_>> = (0..n).map(row).collect();
        // SAFETY: the processor has AMX and AVX-512, and the kernel has permitted the tiles; these rows are those.
        let mut ready = unsafe { Ready::of(&x) };
        // SAFETY: as above.
        let sums = unsafe { dots(&mut ready, &codes) };
        (0..n).all(|i| (0..TILE).all(|r| sums.of(i, n)[r] == plain(i, r)))
    })
}

/// What the codes 0 to 3 stand for.
const WEIGHTS: [i8; 4] = [-1, 0, 1, 2];
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
            concat!("tdpbssd tmm", $c, ", tmm", $a, ", tmm7"),
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

/// Loads the weights' tile from `$w`.
macro_rules! weights {
    ($w:expr) => {
        asm!("tileloadd tmm7, [{w} + {stride}]", w = in(reg) $w, stride = in(reg) 64usize, options(nostack, readonly))
    };
}

/// 16 rows of 16 sums, as a tile register holds them: `[token][row]`.
type Square<T> = [[T; TILE]; TOKENS];

/// What tiles of sums hold; at the start of a cache line, so that no row of a tile lies in two. [`SUMS`] of them are all
/// that up to [`ROWS`] tokens need.
#[repr(align(64))]
struct Squares<T, const N: usize>([Square<T>; N]);

type Sums<T> = Squares<T, SUMS>;

const _: () = assert!(SUMS * TOKENS == ROWS);

impl<T: Copy + Default, const N: usize> Squares<T, N> {
    fn zero() -> Self {
        Self([[[T::default(); TILE]; TOKENS]; N])
    }
}

impl<T> Sums<T> {
    /// Those of token `i` of `n`.
    fn of(&self, i: usize, n: usize) -> &[T; TILE] {
        let tile = i / TOKENS;
        &self.0[tile][i - start(tile, n)]
    }
}

/// The first token of a tile: the last tile of several begins 16 before the end, so that it is full.
fn start(tile: usize, n: usize) -> usize {
    (tile * TOKENS).min(n.saturating_sub(TOKENS))
}

/// The rows to be multiplied and what that needs: the tiles' shape and a panel.
struct Ready<'a> {
    _tiles: Tiles,
    panel: Panel,
    /// Where the tiles of sums are stored; what a product does not write is not read.
    sums: Sums<i32>,
    /// The first row; the others lie one behind the other, `stride` apart.
    base: *const i8,
    stride: usize,
    cols: usize,
    n: usize,
    rows: PhantomData<&'a [i8]>,
}

impl<'a> Ready<'a> {
    /// # Safety
    /// [`available`] said so. One at a time on a thread.
    unsafe fn of(x: &[QuantRow<'a>]) -> Self {
        let (base, cols) = (x[0].q.as_ptr(), x[0].q.len());
        // The tiles read rows by their distance: they must lie evenly one behind the other, as in a `Quant`.
        let stride = x.get(1).map_or(cols, |row| row.q.as_ptr().addr().wrapping_sub(base.addr()));
        let in_order =
            |(i, row): (usize, &QuantRow<'_>)| row.q.len() == cols && row.q.as_ptr() == base.wrapping_add(i * stride);
        assert!(x.len() <= ROWS && x.iter().enumerate().all(in_order));
        // SAFETY: as the caller promises.
        let tiles = unsafe { Tiles::shaped(x.len().min(TOKENS)) };
        Self {
            _tiles: tiles,
            panel: Panel::new(),
            sums: Sums::zero(),
            base,
            stride,
            cols,
            n: x.len(),
            rows: PhantomData,
        }
    }

    fn tiles(&self) -> usize {
        self.n.div_ceil(TOKENS)
    }
}

/// `Σ weight·q` over the columns that `codes` (`[units, 256]`) hold: all of a row.
///
/// # Safety
/// [`available`] said so.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn dots<'r>(ready: &'r mut Ready<'_>, codes: &[u8]) -> &'r Sums<i32> {
    assert!(codes.len() / UNIT_BYTES * UNIT <= ready.cols);
    let (tiles, stride, n, base) = (ready.tiles(), ready.stride, ready.n, ready.base);
    // SAFETY: the tiles are shaped.
    unsafe { asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem)) };
    let together = even_parts(codes.len() / UNIT_BYTES, Panel::UNITS);
    for (p, codes) in codes.chunks(together * UNIT_BYTES).enumerate() {
        for (u, open) in ready.panel.open(codes, WEIGHTS).chunks_exact(TILE * UNIT).enumerate() {
            let column = (p * together + u) * UNIT;
            let at = |tile: usize| base.wrapping_add(start(tile, n) * stride + column);
            // SAFETY: a weight tile is the 1,024 bytes of `open`. A token tile is its rows' 64 bytes from `column < cols` on,
            // `stride` apart: inside the rows, which lie in order (as [`Ready::of`] asserted).
            unsafe {
                weights!(open.as_ptr());
                multiply!("0", "4", at(0), stride);
                if tiles > 1 {
                    multiply!("1", "5", at(1), stride);
                }
                if tiles > 2 {
                    multiply!("2", "4", at(2), stride);
                }
                if tiles > 3 {
                    multiply!("3", "5", at(3), stride);
                }
            }
        }
    }
    let sums = &mut ready.sums;
    let mut to = |tile: usize| sums.0[tile].as_mut_ptr();
    // SAFETY: each tile stores at most 16 rows of 64 bytes, which a square has.
    unsafe {
        store!("0", to(0));
        if tiles > 1 {
            store!("1", to(1));
        }
        if tiles > 2 {
            store!("2", to(2));
        }
        if tiles > 3 {
            store!("3", to(3));
        }
    }
    sums
}

/// `Σ d · Σ weight·q` of a tile whose columns have scales.
///
/// # Safety
/// As [`dots`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn grouped(ready: &mut Ready<'_>, codes: &[u8], groups: TileGroups<'_>) -> Sums<f32> {
    let TileGroups { units, scales } = groups;
    // Whole groups of a panel. A type's block is at most 256 columns, four units of a panel's twelve.
    let together = Panel::UNITS / units;
    assert!(together > 0 && codes.len() / UNIT_BYTES * UNIT <= ready.cols);
    let (tiles, stride, n, base) = (ready.tiles(), ready.stride, ready.n, ready.base);
    let (mut sums, mut products) = (Sums::zero(), Squares::<i32, { Panel::UNITS }>::zero());
    let panels = codes.chunks(together * units * UNIT_BYTES).zip(scales.chunks(together * TILE));
    for (p, (codes, scales)) in panels.enumerate() {
        let open = ready.panel.open(codes, WEIGHTS);
        for (tile, sums) in sums.0[..tiles].iter_mut().enumerate() {
            let x = base.wrapping_add(start(tile, n) * stride + p * together * units * UNIT);
            // All products of the panel first: what a tile has just stored can be read only some time later.
            for (g, open) in open.chunks(units * UNIT * TILE).enumerate() {
                // SAFETY: as in `dots`.
                unsafe {
                    asm!("tilezero tmm0", options(nostack, nomem));
                    for (u, open) in open.chunks_exact(TILE * UNIT).enumerate() {
                        weights!(open.as_ptr());
                        multiply!("0", "4", x.wrapping_add((g * units + u) * UNIT), stride);
                    }
                    store!("0", products.0[g].as_mut_ptr());
                }
            }
            let mut acc: [__m512; TOKENS] = std::array::from_fn(|i| avx512::load_f32(&sums[i]));
            for (products, scales) in products.0.iter().zip(scales.chunks_exact(TILE)) {
                let scale = avx512::load_f16(sixteen(scales, 0));
                for i in 0..TOKENS {
                    let dot = _mm512_cvtepi32_ps(avx512::load_dots(&products[i]));
                    acc[i] = _mm512_add_ps(acc[i], _mm512_mul_ps(scale, dot));
                }
            }
            sums.iter_mut().zip(acc).for_each(|(to, sum)| avx512::store_f32(to, sum));
        }
    }
    sums
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_rows(w: &Packed, first: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let rows = x.len();
    for (block, x) in x.chunks(ROWS).enumerate() {
        let n = x.len();
        // The registers are shaped once for all tiles: on a narrow model that takes as long as a tile's products.
        // SAFETY: the table holds this kernel only where AMX is available; one `Ready` at a time.
        let mut ready = unsafe { Ready::of(x) };
        for (tile, out) in (first..).zip(out.chunks_exact_mut(rows)) {
            // SAFETY: as above.
            unsafe { tile_rows(&mut ready, w, tile, x, &mut out[block * ROWS..][..n]) };
        }
    }
}

/// # Safety
/// As [`dots`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn tile_rows(ready: &mut Ready<'_>, w: &Packed, tile: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let (n, row_scale) = (x.len(), w.row_scale(tile));
    if let Some(groups) = w.groups(tile) {
        // SAFETY: as the caller promises.
        let sums = unsafe { grouped(ready, w.tile(tile), groups) };
        for (i, (x, out)) in x.iter().zip(out).enumerate() {
            avx512::finish(avx512::load_f32(sums.of(i, n)), row_scale, x.scale, out);
        }
    } else {
        // SAFETY: as the caller promises.
        let sums = unsafe { dots(ready, w.tile(tile)) };
        for (i, (x, out)) in x.iter().zip(out).enumerate() {
            avx512::finish(_mm512_cvtepi32_ps(avx512::load_dots(sums.of(i, n))), row_scale, x.scale, out);
        }
    }
}
