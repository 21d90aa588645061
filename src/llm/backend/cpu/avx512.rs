//! Integer dots with AVX-512 VNNI.
//!
//! `dpbusd` adds four unsigned × signed products into 32 bits, so nothing can saturate and a lane is a whole row. The
//! four fields of a packed byte are masked where they lie; each stays scaled by 1, 4, 16 or 64 in an accumulator of
//! its own, divided exactly at the end. (The largest, field 3 at 192 · 128 a product, keeps 32 bits for rows of up to
//! 350,000 columns.) Everything that is not an integer dot is AVX2's.

use std::arch::x86_64::*;

use super::avx2::prefetch;
use super::kernels::{HeadRow, QuantRow};
use super::pack::{INT4_BLOCK_BYTES, Int4, Packed, TILE, UNIT, UNIT_BYTES, sixteen};

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

/// `Σ code·q` over whole units: `codes` is `[units, 256]`, `q` `[units · 64]`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn dot_units(codes: &[u8], q: &[i8]) -> __m512i {
    let masks = [_mm512_set1_epi8(3), _mm512_set1_epi8(12), _mm512_set1_epi8(48), _mm512_set1_epi8(192u8 as i8)];
    // Two sets, so that a product does not wait for the one before it.
    let mut acc = [[_mm512_setzero_si512(); 4]; 2];
    for (unit, q) in codes.chunks_exact(UNIT_BYTES).zip(q.chunks_exact(UNIT)) {
        prefetch(unit, UNIT_BYTES / 64);
        for v in 0..4 {
            let w = load(unit, 64 * v);
            for f in 0..4 {
                let x = broadcast4(q, 16 * v + 4 * f);
                acc[v % 2][f] = _mm512_dpbusd_epi32(acc[v % 2][f], _mm512_and_si512(w, masks[f]), x);
            }
        }
    }
    let [a, b] = acc;
    let by1 = _mm512_add_epi32(a[0], b[0]);
    let by4 = _mm512_srai_epi32::<2>(_mm512_add_epi32(a[1], b[1]));
    let by16 = _mm512_srai_epi32::<4>(_mm512_add_epi32(a[2], b[2]));
    let by64 = _mm512_srai_epi32::<6>(_mm512_add_epi32(a[3], b[3]));
    _mm512_add_epi32(_mm512_add_epi32(by1, by4), _mm512_add_epi32(by16, by64))
}

/// Sixteen fp16 values as f32.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_f16(of: &[u16; TILE]) -> __m512 {
    // SAFETY: 32 readable bytes; the load does not need alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(of.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_f32(of: &[f32; TILE]) -> __m512 {
    // SAFETY: 64 readable bytes; the load does not need alignment.
    unsafe { _mm512_loadu_ps(of.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_f32(to: &mut [f32; TILE], v: __m512) {
    // SAFETY: 64 writable bytes; the store does not need alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
}

/// `out = sum · (row_scale · x_scale)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn finish(sum: __m512, row_scale: &[f32; TILE], x_scale: f32, out: &mut [f32; TILE]) {
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

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_row(w: &Packed, tile: usize, x: QuantRow<'_>, out: &mut [f32; TILE]) {
    let codes = w.tile(tile);
    let sum = match w.groups(tile) {
        None => to_floats(dot_units(codes, x.q), x.sums.iter().sum()),
        Some(groups) => {
            let mut sum = _mm512_setzero_ps();
            let steps = codes.chunks(groups.units * UNIT_BYTES).zip(x.q.chunks(groups.units * UNIT));
            for (g, ((codes, q), sums)) in steps.zip(x.sums.chunks(groups.units)).enumerate() {
                sum = add_group(sum, dot_units(codes, q), sums.iter().sum(), sixteen(groups.scales, g * TILE));
            }
            sum
        }
    };
    finish(sum, w.row_scale(tile), x.scale, out);
}

/// Units unpacked at a time: 8 kB, a sixth of the first-level cache.
const PANEL_UNITS: usize = 8;
/// Bytes of one unpacked unit: a byte a code, 16 steps of (16 rows × 4 columns).
const OPEN_UNIT: usize = TILE * UNIT;
/// Rows of activations whose sums are kept at a time.
const ROWS: usize = 64;

/// Codes of a few units, one a byte: step `s` holds columns `4s..4s + 4` of the tile's rows, as in the packed vectors.
#[repr(align(64))]
pub(super) struct Panel([u8; PANEL_UNITS * OPEN_UNIT]);

impl Panel {
    pub(super) const UNITS: usize = PANEL_UNITS;

    pub(super) fn new() -> Self {
        Self([0; PANEL_UNITS * OPEN_UNIT])
    }

    /// Unpacks `codes` (at most [`Panel::UNITS`] units).
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    pub(super) fn open(&mut self, codes: &[u8]) -> &[u8] {
        let low = _mm512_set1_epi8(3);
        for (vector, to) in codes.chunks_exact(64).zip(self.0.chunks_exact_mut(256)) {
            prefetch(vector, 1);
            let w = load(vector, 0);
            let fields = [w, _mm512_srli_epi16::<2>(w), _mm512_srli_epi16::<4>(w), _mm512_srli_epi16::<6>(w)];
            for (field, to) in fields.into_iter().zip(to.chunks_exact_mut(64)) {
                // SAFETY: 64 writable bytes; the store does not need alignment.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_and_si512(field, low)) };
            }
        }
        &self.0[..codes.len() * 4]
    }
}

/// Adds `Σ code·q` of an open panel to `acc` for `T` rows of activations, each `q` as long as the panel has columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_panel<const T: usize>(open: &[u8], q: [&[i8]; T], acc: &mut [[i32; TILE]]) {
    let steps = open.len() / 64;
    let from: [*const i8; T] = std::array::from_fn(|t| q[t][..steps * 4].as_ptr());
    let mut sums = [_mm512_setzero_si512(); T];
    for s in 0..steps {
        let w = load(open, 64 * s);
        for t in 0..T {
            // SAFETY: `from[t]` starts `4 · steps` elements and `s < steps`; read without an alignment claim.
            let x = _mm512_set1_epi32(unsafe { from[t].add(4 * s).cast::<i32>().read_unaligned() });
            sums[t] = _mm512_dpbusd_epi32(sums[t], w, x);
        }
    }
    for (acc, sum) in acc.iter_mut().zip(sums) {
        // SAFETY: 64 readable and writable bytes of the array; neither access needs alignment.
        unsafe {
            let old = _mm512_loadu_si512(acc.as_ptr().cast());
            _mm512_storeu_si512(acc.as_mut_ptr().cast(), _mm512_add_epi32(old, sum));
        }
    }
}

/// Sets `acc[i][row]` to `Σ code·q` of row `i` of `x` over the columns that `codes` hold, from column `from` on.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn dots(codes: &[u8], x: &[QuantRow<'_>], from: usize, acc: &mut [[i32; TILE]]) {
    let mut panel = Panel::new();
    acc.fill([0; TILE]);
    for (p, codes) in codes.chunks(Panel::UNITS * UNIT_BYTES).enumerate() {
        let (open, from) = (panel.open(codes), from + p * Panel::UNITS * UNIT);
        let q = |i: usize| &x[i].q[from..from + open.len() / TILE];
        let mut i = 0;
        while i < x.len() {
            let acc = &mut acc[i..];
            i += match x.len() - i {
                1 => {
                    add_panel::<1>(open, [q(i)], acc);
                    1
                }
                2 | 3 => {
                    add_panel::<2>(open, [q(i), q(i + 1)], acc);
                    2
                }
                4..8 => {
                    add_panel::<4>(open, std::array::from_fn(|t| q(i + t)), acc);
                    4
                }
                8..12 => {
                    add_panel::<8>(open, std::array::from_fn(|t| q(i + t)), acc);
                    8
                }
                _ => {
                    add_panel::<12>(open, std::array::from_fn(|t| q(i + t)), acc);
                    12
                }
            };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_dots(acc: &[i32; TILE]) -> __m512i {
    // SAFETY: 64 readable bytes of the array; the load does not need alignment.
    unsafe { _mm512_loadu_si512(acc.as_ptr().cast()) }
}

/// One tile times several rows, with `dots` for the integers (see [`dots`]): scales and sums are the same however those
/// are computed.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn rows_by(
    w: &Packed,
    tile: usize,
    x: &[QuantRow<'_>],
    out: &mut [[f32; TILE]],
    dots: impl Fn(&[u8], &[QuantRow<'_>], usize, &mut [[i32; TILE]]),
) {
    let mut acc = [[0i32; TILE]; ROWS];
    for (x, out) in x.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
        let acc = &mut acc[..x.len()];
        match w.groups(tile) {
            None => {
                dots(w.tile(tile), x, 0, acc);
                for ((x, acc), out) in x.iter().zip(&*acc).zip(out) {
                    finish(to_floats(load_dots(acc), x.sums.iter().sum()), w.row_scale(tile), x.scale, out);
                }
            }
            Some(groups) => {
                out.fill([0.0; TILE]);
                for (g, codes) in w.tile(tile).chunks(groups.units * UNIT_BYTES).enumerate() {
                    dots(codes, x, g * groups.units * UNIT, acc);
                    for ((x, acc), out) in x.iter().zip(&*acc).zip(out.iter_mut()) {
                        let total = x.sums[g * groups.units..(g + 1) * groups.units].iter().sum();
                        let scales = sixteen(groups.scales, g * TILE);
                        store_f32(out, add_group(load_f32(out), load_dots(acc), total, scales));
                    }
                }
                for (x, out) in x.iter().zip(out) {
                    finish(load_f32(out), w.row_scale(tile), x.scale, out);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn ternary_rows(w: &Packed, tile: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    rows_by(w, tile, x, out, |codes, x, from, acc| dots(codes, x, from, acc));
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn int4_row(w: &Int4, tile: usize, x: &HeadRow, out: &mut [f32; TILE]) {
    let (codes, scales) = w.tile(tile);
    let low = _mm512_set1_epi8(15);
    let mut sum = _mm512_setzero_ps();
    for (b, (block, q)) in codes.chunks_exact(INT4_BLOCK_BYTES).zip(x.q.chunks_exact(32)).enumerate() {
        prefetch(block, INT4_BLOCK_BYTES / 64);
        let mut dot = [_mm512_set1_epi32(-8 * x.sums[b]), _mm512_setzero_si512()];
        for v in 0..4 {
            let w = load(block, 64 * v);
            let h = _mm512_srli_epi16::<4>(w);
            dot[0] = _mm512_dpbusd_epi32(dot[0], _mm512_and_si512(w, low), broadcast4(q, 8 * v));
            dot[1] = _mm512_dpbusd_epi32(dot[1], _mm512_and_si512(h, low), broadcast4(q, 8 * v + 4));
        }
        let dot = _mm512_cvtepi32_ps(_mm512_add_epi32(dot[0], dot[1]));
        let scale = _mm512_mul_ps(load_f16(sixteen(scales, b * TILE)), _mm512_set1_ps(x.d[b]));
        sum = _mm512_add_ps(sum, _mm512_mul_ps(dot, scale));
    }
    store_f32(out, sum);
}
