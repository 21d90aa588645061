//! Integer dots with AVX-512 VNNI.
//!
//! Formula, layout and shapes are [`super::avx2`]'s: `(Σ code·q − Σ q) · scale` over tiles of 16 rows, columns in units of 64
//! (int4: `Σ (code − 8)·q · d` over blocks of 32). Long tiles are read four at a time.
//!
//! `dpbusd` adds four unsigned × signed products into 32 bits, so nothing can saturate and a lane is a whole row. The
//! four fields of a packed byte are masked where they lie; each stays scaled by 1, 4, 16 or 64 in an accumulator of
//! its own, divided exactly at the end. (The largest, field 3 at 192 · 128 a product, keeps 32 bits for rows of up to
//! 350,000 columns.) Everything that is not an integer dot is AVX2's.
//!
//! Source: the formulas are [`super::scalar`]'s; VPDPBUSD as Intel's Software Developer's Manual, volume 2, defines it.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::lanes::prefetch;
use super::operands::{HeadRow, QuantRow};
use super::pack::{INT4_BLOCK_BYTES, Int4, Packed, TILE, TileGroups, UNIT, UNIT_BYTES, even_parts, sixteen};

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8], at: usize) -> __m512i {
    let s = &bytes[at..at + 64];
    // SAFETY: 64 readable bytes; the load does not need alignment.
    unsafe { _mm512_loadu_si512(s.as_ptr().cast()) }
}

/// Four neighbouring int8 values in every 32-bit lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast4(q: &[i8], at: usize) -> __m512i {
    let s = &q[at..at + 4];
    // SAFETY: four readable bytes, read without an alignment claim.
    _mm512_set1_epi32(unsafe { s.as_ptr().cast::<i32>().read_unaligned() })
}

/// Tiles of at least this many bytes are read four side by side. One after the other they leave up to a third of the
/// memory's speed unused: the processor's own prefetching follows a stream no further than its page. Shorter ones do not last
/// until it follows four streams.
const LONG_TILE: usize = 8192;
/// How far ahead of its use a weight is prefetched, into the second-level cache, in each of four tiles.
const AHEAD: usize = 1536;

/// Where `T` tiles of `tile_bytes` each, one behind the other, are read side by side: how far into its tile each prefetches
/// when it is at `at`. Behind a tile's end lies its neighbour, which is being read already, so that is where its tile of the
/// next `T` goes on.
#[inline]
fn ahead<const T: usize>(at: usize, tile_bytes: usize) -> usize {
    let to = at + AHEAD;
    if to < tile_bytes { to } else { to + (T - 1) * tile_bytes }
}

/// One tile's codes, to be read 64 bytes at a time beside others' (a slice's bounds would be checked again for each).
#[derive(Clone, Copy)]
struct Codes<'a>(*const u8, PhantomData<&'a [u8]>);

impl<'a> Codes<'a> {
    /// The first `len` bytes of `of`, which must be there.
    #[inline]
    fn of(of: &'a [u8], len: usize) -> Self {
        Self(of[..len].as_ptr(), PhantomData)
    }

    /// # Safety
    /// `at + 64` is at most the length given.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(self, at: usize) -> __m512i {
        // SAFETY: as the caller promises; the load does not need alignment.
        unsafe { _mm512_loadu_si512(self.0.add(at).cast()) }
    }

    /// Asks for the 256 bytes from `at` on (mapped or not: a prefetch never faults).
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn ask(self, at: usize) {
        for line in 0..4 {
            _mm_prefetch::<_MM_HINT_T1>(self.0.wrapping_add(at + 64 * line).cast());
        }
    }

    /// As far ahead of `at` as AVX2 does in a single tile.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn prefetch(self, at: usize) {
        prefetch(self.0.wrapping_add(at), 4);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum_sets<const S: usize>(sets: &[[__m512i; 4]; S]) -> [__m512i; 4] {
    let mut sum = sets[0];
    for set in &sets[1..] {
        for f in 0..4 {
            sum[f] = _mm512_add_epi32(sum[f], set[f]);
        }
    }
    sum
}

/// `Σ code·q` over whole units of `T` tiles: each of `codes` is `[units, 256]`, `q` `[units · 64]`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn dot_units<const T: usize, const S: usize>(codes: &[&[u8]; T], from: usize, q: &[i8]) -> [__m512i; T] {
    let masks = [_mm512_set1_epi8(3), _mm512_set1_epi8(12), _mm512_set1_epi8(48), _mm512_set1_epi8(192u8 as i8)];
    let units = q.len() / UNIT;
    let tile_bytes = codes[0].len();
    let codes: [Codes<'_>; T] = std::array::from_fn(|t| Codes::of(&codes[t][from..], units * UNIT_BYTES));
    // A single tile takes two sets of sums, so that a product does not wait for the one before it.
    let mut acc = [[[_mm512_setzero_si512(); 4]; S]; T];
    for (u, q) in q.chunks_exact(UNIT).enumerate() {
        let mut w = [_mm512_setzero_si512(); T];
        if T == 1 {
            codes[0].prefetch(u * UNIT_BYTES);
        } else {
            let to = ahead::<T>(from + u * UNIT_BYTES, tile_bytes) - from;
            codes.iter().for_each(|c| c.ask(to));
        }
        for v in 0..4 {
            for t in 0..T {
                // SAFETY: vector `v` of unit `u`, of `units`.
                w[t] = unsafe { codes[t].load(u * UNIT_BYTES + 64 * v) };
            }
            for f in 0..4 {
                let x = broadcast4(q, 16 * v + 4 * f);
                for t in 0..T {
                    acc[t][v % S][f] = _mm512_dpbusd_epi32(acc[t][v % S][f], _mm512_and_si512(w[t], masks[f]), x);
                }
            }
        }
    }
    let mut dots = [_mm512_setzero_si512(); T];
    for t in 0..T {
        let [by1, by4, by16, by64] = sum_sets(&acc[t]);
        let low = _mm512_add_epi32(by1, _mm512_srai_epi32::<2>(by4));
        let high = _mm512_add_epi32(_mm512_srai_epi32::<4>(by16), _mm512_srai_epi32::<6>(by64));
        dots[t] = _mm512_add_epi32(low, high);
    }
    dots
}

/// Sixteen fp16 values as f32.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f16(of: &[u16; TILE]) -> __m512 {
    // SAFETY: 32 readable bytes; the load does not need alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(of.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f32(of: &[f32; TILE]) -> __m512 {
    // SAFETY: 64 readable bytes; the load does not need alignment.
    unsafe { _mm512_loadu_ps(of.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_f32(to: &mut [f32; TILE], v: __m512) {
    // SAFETY: 64 writable bytes; the store does not need alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
}

/// `out = sum · (row_scale · x_scale)`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn finish(sum: __m512, row_scale: &[f32; TILE], x_scale: f32, out: &mut [f32; TILE]) {
    let scale = _mm512_mul_ps(load_f32(row_scale), _mm512_set1_ps(x_scale));
    store_f32(out, _mm512_mul_ps(sum, scale));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn to_floats(dot: __m512i, total: i32) -> __m512 {
    _mm512_cvtepi32_ps(_mm512_sub_epi32(dot, _mm512_set1_epi32(total)))
}

/// `sum + d · (dot − Σq)` for one group, multiplied and added in two steps as the reference does.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_group(sum: __m512, dot: __m512i, total: i32, scales: &[u16; TILE]) -> __m512 {
    _mm512_add_ps(sum, _mm512_mul_ps(load_f16(scales), to_floats(dot, total)))
}

/// `T` tiles times one row.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn ternary_tiles<const T: usize, const S: usize>(
    w: &Packed,
    first: usize,
    x: QuantRow<'_>,
    out: &mut [[f32; TILE]; T],
) {
    let codes: [&[u8]; T] = std::array::from_fn(|t| w.tile(first + t));
    let Some(TileGroups { units, .. }) = w.groups(first) else {
        let total = x.sums.iter().sum();
        let dots = dot_units::<T, S>(&codes, 0, x.q);
        for t in 0..T {
            finish(to_floats(dots[t], total), w.row_scale(first + t), x.scale, &mut out[t]);
        }
        return;
    };
    let scales: [&[u16]; T] = std::array::from_fn(|t| w.groups(first + t).map_or(&[][..], |g| g.scales));
    let mut sum = [_mm512_setzero_ps(); T];
    for (g, (q, sums)) in x.q.chunks(units * UNIT).zip(x.sums.chunks(units)).enumerate() {
        let dots = dot_units::<T, S>(&codes, g * units * UNIT_BYTES, q);
        for t in 0..T {
            sum[t] = add_group(sum[t], dots[t], sums.iter().sum(), sixteen(scales[t], g * TILE));
        }
    }
    for t in 0..T {
        finish(sum[t], w.row_scale(first + t), x.scale, &mut out[t]);
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_row(w: &Packed, first: usize, x: QuantRow<'_>, out: &mut [[f32; TILE]]) {
    let (fours, rest) = side_by_side(out, w.tile(first).len());
    let ones = first + 4 * fours.len();
    for (i, out) in fours.iter_mut().enumerate() {
        ternary_tiles::<4, 1>(w, first + 4 * i, x, out);
    }
    for (i, out) in rest.iter_mut().enumerate() {
        ternary_tiles::<1, 2>(w, ones + i, x, std::array::from_mut(out));
    }
}

/// Tiles that are read four at a time, and those one by one.
fn side_by_side(out: &mut [[f32; TILE]], tile_bytes: usize) -> (&mut [[[f32; TILE]; 4]], &mut [[f32; TILE]]) {
    if tile_bytes < LONG_TILE { (&mut [], out) } else { out.as_chunks_mut::<4>() }
}

/// Units unpacked at a time, at most: 12 kB, a quarter of the first-level cache (of the smallest, three eighths), and widths
/// of 576 and 768 at once.
const PANEL_UNITS: usize = 12;
/// Bytes of one unpacked unit: a byte a code, 16 steps of (16 rows × 4 columns).
const OPEN_UNIT: usize = TILE * UNIT;
/// Rows of activations whose sums are kept at a time.
pub(super) const ROWS: usize = 64;

/// Codes of a few units, one a byte: step `s` holds columns `4s..4s + 4` of the tile's rows, as in the packed vectors.
#[repr(align(64))]
pub(super) struct Panel([u8; PANEL_UNITS * OPEN_UNIT]);

impl Panel {
    pub(super) const UNITS: usize = PANEL_UNITS;

    pub(super) fn new() -> Self {
        Self([0; PANEL_UNITS * OPEN_UNIT])
    }

    /// Unpacks `codes` (at most [`Panel::UNITS`] units) and gives each of them as `meaning` of it, a byte.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    pub(super) fn open(&mut self, codes: &[u8], meaning: [i8; 4]) -> &[u8] {
        // Two fields stand in the low half of a byte; a table of sixteen answers tells either.
        let table = |field: u32| {
            let bytes: [i8; 16] = std::array::from_fn(|half| meaning[(half >> (2 * field)) & 3]);
            // SAFETY: 16 readable bytes; the load does not need alignment.
            _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        };
        let (tables, half) = ([table(0), table(1)], _mm512_set1_epi8(15));
        for (vector, to) in codes.chunks_exact(64).zip(self.0.chunks_exact_mut(256)) {
            prefetch(vector.as_ptr(), 1);
            let w = load(vector, 0);
            let halves = [_mm512_and_si512(w, half), _mm512_and_si512(_mm512_srli_epi16::<4>(w), half)];
            for (f, to) in to.chunks_exact_mut(64).enumerate() {
                let open = _mm512_shuffle_epi8(tables[f % 2], halves[f / 2]);
                // SAFETY: 64 writable bytes; the store does not need alignment.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), open) };
            }
        }
        &self.0[..codes.len() * 4]
    }
}

/// What the codes 0 to 3 are to `dpbusd`, which wants them unsigned: themselves, one too many.
const CODES: [i8; 4] = [0, 1, 2, 3];

/// Sets `sums[t]` to `Σ code·q − totals[t]` of an open panel for `T` rows of activations, each `q` as long as the panel has
/// columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn panel_dots<const T: usize>(open: &[u8], q: [&[i8]; T], totals: [i32; T]) -> [__m512i; T] {
    let steps = open.len() / 64;
    let from: [*const i8; T] = std::array::from_fn(|t| q[t][..steps * 4].as_ptr());
    let mut sums = [_mm512_setzero_si512(); T];
    for t in 0..T {
        sums[t] = _mm512_set1_epi32(-totals[t]);
    }
    for s in 0..steps {
        let w = load(open, 64 * s);
        for t in 0..T {
            // SAFETY: `from[t]` starts `4 · steps` elements and `s < steps`; read without an alignment claim.
            let x = _mm512_set1_epi32(unsafe { from[t].add(4 * s).cast::<i32>().read_unaligned() });
            sums[t] = _mm512_dpbusd_epi32(sums[t], w, x);
        }
    }
    sums
}

/// Runs `$do` for blocks of `$t` rows, from row `$i` on, until all `$n` are done: the more at a time the better, up to 12.
macro_rules! in_blocks {
    ($n:expr, $i:ident, $t:ident => $do:expr) => {{
        let mut $i = 0;
        while $i < $n {
            $i += match $n - $i {
                1 => in_blocks!(@ 1, $t => $do),
                2 | 3 => in_blocks!(@ 2, $t => $do),
                4..8 => in_blocks!(@ 4, $t => $do),
                8..12 => in_blocks!(@ 8, $t => $do),
                _ => in_blocks!(@ 12, $t => $do),
            }
        }
    }};
    (@ $rows:literal, $t:ident => $do:expr) => {{
        const $t: usize = $rows;
        $do;
        $t
    }};
}

/// Sets `acc[i][row]` to `Σ code·q − Σq` of row `i` of `x`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn dots(panel: &mut Panel, codes: &[u8], x: &[QuantRow<'_>], acc: &mut [[i32; TILE]]) {
    acc.fill([0; TILE]);
    let together = even_parts(codes.len() / UNIT_BYTES, Panel::UNITS);
    for (p, codes) in codes.chunks(together * UNIT_BYTES).enumerate() {
        let (open, units) = (panel.open(codes, CODES), codes.len() / UNIT_BYTES);
        let from = p * together;
        in_blocks!(x.len(), i, T => {
            let x: [QuantRow<'_>; T] = std::array::from_fn(|t| x[i + t]);
            let sums = panel_dots(open, x.map(|x| columns(x, from, units)), x.map(|x| total(x, from, units)));
            for (acc, sum) in acc[i..].iter_mut().zip(sums) {
                store_dots(acc, _mm512_add_epi32(load_dots(acc), sum));
            }
        });
    }
}

/// Sets `out[i][row]` to `Σ d · (Σ code·q − Σq)` of row `i` of `x` for a tile whose columns have scales, multiplied and
/// added group by group in two steps as the reference does.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn grouped(panel: &mut Panel, codes: &[u8], groups: TileGroups<'_>, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let TileGroups { units, scales } = groups;
    // Whole groups of a panel. A type's block is at most 256 columns, four units of a panel's twelve.
    let together = Panel::UNITS / units;
    out.fill([0.0; TILE]);
    let panels = codes.chunks(together * units * UNIT_BYTES).zip(scales.chunks(together * TILE));
    for (p, (codes, scales)) in panels.enumerate() {
        let open = panel.open(codes, CODES);
        in_blocks!(x.len(), i, T => {
            let x: [QuantRow<'_>; T] = std::array::from_fn(|t| x[i + t]);
            let mut sums: [__m512; T] = std::array::from_fn(|t| load_f32(&out[i + t]));
            for (g, open) in open.chunks(units * OPEN_UNIT).enumerate() {
                let from = (p * together + g) * units;
                let dots = panel_dots(open, x.map(|x| columns(x, from, units)), x.map(|x| total(x, from, units)));
                let scale = load_f16(sixteen(scales, g * TILE));
                for t in 0..T {
                    sums[t] = _mm512_add_ps(sums[t], _mm512_mul_ps(scale, _mm512_cvtepi32_ps(dots[t])));
                }
            }
            out[i..].iter_mut().zip(sums).for_each(|(to, sum)| store_f32(to, sum));
        });
    }
}

/// The quantized values of some units of a row.
#[inline]
fn columns(x: QuantRow<'_>, from: usize, units: usize) -> &[i8] {
    &x.q[from * UNIT..(from + units) * UNIT]
}

/// Their sum.
#[inline]
fn total(x: QuantRow<'_>, from: usize, units: usize) -> i32 {
    x.sums[from..from + units].iter().sum()
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_dots(of: &[i32; TILE]) -> __m512i {
    // SAFETY: 64 readable bytes of the array; the load does not need alignment.
    unsafe { _mm512_loadu_si512(of.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_dots(to: &mut [i32; TILE], v: __m512i) {
    // SAFETY: 64 writable bytes of the array; the store does not need alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) };
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_rows(w: &Packed, first: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let mut panel = Panel::new();
    for (tile, out) in (first..).zip(out.chunks_exact_mut(x.len())) {
        tile_rows(&mut panel, w, tile, x, out);
    }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn tile_rows(panel: &mut Panel, w: &Packed, tile: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let units = w.cols / UNIT;
    for (x, out) in x.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
        if let Some(groups) = w.groups(tile) {
            grouped(panel, w.tile(tile), groups, x, out);
            for (x, out) in x.iter().zip(out) {
                finish(load_f32(out), w.row_scale(tile), x.scale, out);
            }
        } else if units <= Panel::UNITS {
            // A narrow model's whole tile: its sums never leave the registers.
            let open = panel.open(w.tile(tile), CODES);
            in_blocks!(x.len(), i, T => {
                let x: [QuantRow<'_>; T] = std::array::from_fn(|t| x[i + t]);
                let sums = panel_dots(open, x.map(|x| columns(x, 0, units)), x.map(|x| total(x, 0, units)));
                for t in 0..T {
                    finish(_mm512_cvtepi32_ps(sums[t]), w.row_scale(tile), x[t].scale, &mut out[i + t]);
                }
            });
        } else {
            let mut acc = [[0i32; TILE]; ROWS];
            dots(panel, w.tile(tile), x, &mut acc[..x.len()]);
            for ((x, acc), out) in x.iter().zip(&acc).zip(out) {
                finish(_mm512_cvtepi32_ps(load_dots(acc)), w.row_scale(tile), x.scale, out);
            }
        }
    }
}

/// `T` tiles of an int4 head times one row.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn int4_tiles<const T: usize>(w: &Int4, first: usize, x: &HeadRow, out: &mut [[f32; TILE]; T]) {
    let blocks = x.q.len() / 32;
    let codes: [Codes<'_>; T] = std::array::from_fn(|t| Codes::of(w.tile(first + t).0, blocks * INT4_BLOCK_BYTES));
    let scales: [&[u16]; T] = std::array::from_fn(|t| &w.tile(first + t).1[..blocks * TILE]);
    let low = _mm512_set1_epi8(15);
    let mut sum = [_mm512_setzero_ps(); T];
    for (b, q) in x.q.chunks_exact(32).enumerate() {
        if T == 1 {
            codes[0].prefetch(b * INT4_BLOCK_BYTES);
        } else {
            let to = ahead::<T>(b * INT4_BLOCK_BYTES, blocks * INT4_BLOCK_BYTES);
            codes.iter().for_each(|c| c.ask(to));
        }
        let mut dot = [[_mm512_set1_epi32(-8 * x.sums[b]), _mm512_setzero_si512()]; T];
        for v in 0..4 {
            let (x0, x1) = (broadcast4(q, 8 * v), broadcast4(q, 8 * v + 4));
            for t in 0..T {
                // SAFETY: vector `v` of block `b`, of `blocks`.
                let w = unsafe { codes[t].load(b * INT4_BLOCK_BYTES + 64 * v) };
                let h = _mm512_srli_epi16::<4>(w);
                dot[t][0] = _mm512_dpbusd_epi32(dot[t][0], _mm512_and_si512(w, low), x0);
                dot[t][1] = _mm512_dpbusd_epi32(dot[t][1], _mm512_and_si512(h, low), x1);
            }
        }
        for t in 0..T {
            let dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dot[t][0], dot[t][1]));
            let scale = _mm512_mul_ps(load_f16(sixteen(scales[t], b * TILE)), _mm512_set1_ps(x.d[b]));
            sum[t] = _mm512_add_ps(sum[t], _mm512_mul_ps(dot, scale));
        }
    }
    for t in 0..T {
        store_f32(&mut out[t], sum[t]);
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn int4_row(w: &Int4, first: usize, x: &HeadRow, out: &mut [[f32; TILE]]) {
    let (fours, rest) = side_by_side(out, w.tile(first).0.len());
    let ones = first + 4 * fours.len();
    for (i, out) in fours.iter_mut().enumerate() {
        int4_tiles(w, first + 4 * i, x, out);
    }
    for (i, out) in rest.iter_mut().enumerate() {
        int4_tiles(w, ones + i, x, std::array::from_mut(out));
    }
}
