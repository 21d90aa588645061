//! Integer dots with AVX2.
//!
//! Formula: `Σ code·q` a row, exact in 32 bits; then `(Σ code·q − Σ q) · scale`, a group of columns at a time where there are
//! groups. Layout: [`super::pack`]'s tiles of 16 rows. Shapes: columns in units of 64 (int4: blocks of 32), any number of rows
//! and tokens.
//!
//! `maddubs` multiplies unsigned codes with signed activations and adds neighbours into 16 bits. It cannot saturate here:
//! a code is at most 3 and |q| at most 128, so a pair is at most 768. The fields of a packed byte are not all
//! shifted down: fields 1 and 3 stay scaled by 4 (pairs of at most 3,072) in an accumulator of their own, which is
//! divided, exactly, after each unit of 64 columns. The 16-bit sums are at most 24,576 before they are widened.
//!
//! Source: the formulas are [`super::scalar`]'s; unsigned codes with the offset taken out through `Σ q` as in
//! `ggml_vec_dot_tq2_0_q8_K` of ggml-org/llama.cpp; `maddubs` is VPMADDUBSW of Intel's Software Developer's Manual, volume 2.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{load, load_f16, load_f32, prefetch, store_f32};
use super::operands::{HeadRow, QuantRow};
use super::pack::{INT4_BLOCK_BYTES, Int4, Packed, TILE, UNIT, UNIT_BYTES, even_parts, sixteen};

/// Two vectors of 8 rows: one value for each row of a tile.
type Tile<V> = [V; 2];

/// Four neighbouring int8 values in every 32-bit lane.
#[inline]
#[target_feature(enable = "avx2")]
fn broadcast4(q: &[i8], at: usize) -> __m256i {
    let s = &q[at..at + 4];
    // SAFETY: four readable bytes, read without an alignment claim.
    _mm256_set1_epi32(unsafe { s.as_ptr().cast::<i32>().read_unaligned() })
}

/// `acc + Σ` of 16-bit neighbours.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(acc: __m256i, sums16: __m256i) -> __m256i {
    _mm256_add_epi32(acc, _mm256_madd_epi16(sums16, _mm256_set1_epi16(1)))
}

/// `Σ code·q` over whole units: `codes` is `[units, 256]`, `q` `[units · 64]`.
#[inline]
#[target_feature(enable = "avx2")]
fn dot_units(codes: &[u8], q: &[i8]) -> Tile<__m256i> {
    let (low, mid) = (_mm256_set1_epi8(3), _mm256_set1_epi8(12));
    let mut acc = [_mm256_setzero_si256(); 2];
    for (unit, q) in codes.chunks_exact(UNIT_BYTES).zip(q.chunks_exact(UNIT)) {
        prefetch(unit.as_ptr(), UNIT_BYTES / 64);
        let mut by1 = [_mm256_setzero_si256(); 2];
        let mut by4 = [_mm256_setzero_si256(); 2];
        for v in 0..4 {
            let x = [
                broadcast4(q, 16 * v),
                broadcast4(q, 16 * v + 4),
                broadcast4(q, 16 * v + 8),
                broadcast4(q, 16 * v + 12),
            ];
            for half in 0..2 {
                let w = load(unit, 64 * v + 32 * half);
                let h = _mm256_srli_epi16::<4>(w);
                let a = _mm256_maddubs_epi16(_mm256_and_si256(w, low), x[0]);
                let b = _mm256_maddubs_epi16(_mm256_and_si256(w, mid), x[1]);
                let c = _mm256_maddubs_epi16(_mm256_and_si256(h, low), x[2]);
                let d = _mm256_maddubs_epi16(_mm256_and_si256(h, mid), x[3]);
                by1[half] = _mm256_add_epi16(by1[half], _mm256_add_epi16(a, c));
                by4[half] = _mm256_add_epi16(by4[half], _mm256_add_epi16(b, d));
            }
        }
        for half in 0..2 {
            let sum = _mm256_add_epi16(by1[half], _mm256_srai_epi16::<2>(by4[half]));
            acc[half] = widen(acc[half], sum);
        }
    }
    acc
}

/// `out = sum · (row_scale · x_scale)`.
#[inline]
#[target_feature(enable = "avx2")]
fn finish(sum: Tile<__m256>, row_scale: &[f32; TILE], x_scale: f32, out: &mut [f32; TILE]) {
    for half in 0..2 {
        let scale = _mm256_mul_ps(load_f32(row_scale, 8 * half), _mm256_set1_ps(x_scale));
        store_f32(out, 8 * half, _mm256_mul_ps(sum[half], scale));
    }
}

/// `sum + d · (dot − Σq)` for one group.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn add_group(sum: &mut Tile<__m256>, dot: Tile<__m256i>, total: i32, scales: &[u16; TILE]) {
    for half in 0..2 {
        let dot = _mm256_cvtepi32_ps(_mm256_sub_epi32(dot[half], _mm256_set1_epi32(total)));
        // Multiplied and added in two steps, as the reference does.
        sum[half] = _mm256_add_ps(sum[half], _mm256_mul_ps(load_f16(scales, 8 * half), dot));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn to_floats(dot: Tile<__m256i>, total: i32) -> Tile<__m256> {
    let total = _mm256_set1_epi32(total);
    [_mm256_cvtepi32_ps(_mm256_sub_epi32(dot[0], total)), _mm256_cvtepi32_ps(_mm256_sub_epi32(dot[1], total))]
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn ternary_row(w: &Packed, first: usize, x: QuantRow<'_>, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        ternary_tile(w, tile, x, out);
    }
}

#[target_feature(enable = "avx2,f16c")]
fn ternary_tile(w: &Packed, tile: usize, x: QuantRow<'_>, out: &mut [f32; TILE]) {
    let codes = w.tile(tile);
    let sum = match w.groups(tile) {
        None => to_floats(dot_units(codes, x.q), x.sums.iter().sum()),
        Some(groups) => {
            let mut sum = [_mm256_setzero_ps(); 2];
            let steps = codes.chunks(groups.units * UNIT_BYTES).zip(x.q.chunks(groups.units * UNIT));
            for (g, ((codes, q), sums)) in steps.zip(x.sums.chunks(groups.units)).enumerate() {
                add_group(&mut sum, dot_units(codes, q), sums.iter().sum(), sixteen(groups.scales, g * TILE));
            }
            sum
        }
    };
    finish(sum, w.row_scale(tile), x.scale, out);
}

/// Units unpacked at a time where a tensor has one scale, at most: 12 kB of codes, less than half of the smallest first-level
/// cache, and widths of 576 and 768 at once.
const PANEL_UNITS: usize = 12;
/// Bytes of one unpacked unit: a byte a code, 16 steps of (16 rows × 4 columns).
const OPEN_UNIT: usize = TILE * UNIT;
/// Steps added in 16 bits before widening: 32 · 768 = 24,576.
const STEPS16: usize = 32;
/// Rows of activations whose sums are kept at a time.
const ROWS: usize = 64;

/// Codes of a few units, one a byte: step `s` holds columns `4s..4s + 4` of the tile's rows, as in the packed vectors.
#[repr(align(64))]
struct Panel([u8; PANEL_UNITS * OPEN_UNIT]);

impl Panel {
    const UNITS: usize = PANEL_UNITS;

    fn new() -> Self {
        Self([0; PANEL_UNITS * OPEN_UNIT])
    }

    /// Unpacks `codes` (at most [`Panel::UNITS`] units).
    #[inline]
    #[target_feature(enable = "avx2")]
    fn open(&mut self, codes: &[u8]) -> &[u8] {
        let low = _mm256_set1_epi8(3);
        let len = codes.len() * 4;
        for (i, vector) in codes.chunks_exact(32).enumerate() {
            // Vector `i / 2`, half `i % 2`; its fields are the four steps of its 16 columns.
            let w = load(vector, 0);
            if i % 2 == 0 {
                prefetch(vector.as_ptr(), 1);
            }
            let at = i / 2 * 256 + i % 2 * 32;
            let fields = [w, _mm256_srli_epi16::<2>(w), _mm256_srli_epi16::<4>(w), _mm256_srli_epi16::<6>(w)];
            for (f, field) in fields.into_iter().enumerate() {
                let to = &mut self.0[at + 64 * f..][..32];
                // SAFETY: 32 writable bytes; the store does not need alignment.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_and_si256(field, low)) };
            }
        }
        &self.0[..len]
    }
}

/// Adds `Σ code·q` of an open panel to `acc` for `T` rows of activations, each `q` as long as the panel has columns.
#[inline]
#[target_feature(enable = "avx2")]
fn add_panel<const T: usize>(open: &[u8], q: [&[i8]; T], acc: &mut [[i32; TILE]]) {
    for (part, open) in open.chunks(STEPS16 * 64).enumerate() {
        let steps = open.len() / 64;
        let mut sums = [[_mm256_setzero_si256(); 2]; T];
        let mut from = [std::ptr::null::<i8>(); T];
        for t in 0..T {
            from[t] = q[t][part * STEPS16 * 4..][..steps * 4].as_ptr();
        }
        for (s, codes) in open.chunks_exact(64).enumerate() {
            let (w0, w1) = (load(codes, 0), load(codes, 32));
            for t in 0..T {
                // SAFETY: `from[t]` starts `4 · steps` elements and `s < steps`; read without an alignment claim.
                let x = _mm256_set1_epi32(unsafe { from[t].add(4 * s).cast::<i32>().read_unaligned() });
                sums[t][0] = _mm256_add_epi16(sums[t][0], _mm256_maddubs_epi16(w0, x));
                sums[t][1] = _mm256_add_epi16(sums[t][1], _mm256_maddubs_epi16(w1, x));
            }
        }
        for (acc, sums) in acc.iter_mut().zip(sums) {
            for half in 0..2 {
                let to = &mut acc[8 * half..8 * half + 8];
                // SAFETY: 32 readable and writable bytes; neither access needs alignment.
                unsafe {
                    let old = _mm256_loadu_si256(to.as_ptr().cast());
                    _mm256_storeu_si256(to.as_mut_ptr().cast(), widen(old, sums[half]));
                }
            }
        }
    }
}

/// [`add_panel`] for any number of rows; `from` is the panel's first column.
#[inline]
#[target_feature(enable = "avx2")]
fn add_rows(open: &[u8], x: &[QuantRow<'_>], from: usize, acc: &mut [[i32; TILE]]) {
    let cols = open.len() / TILE;
    let q = |i: usize| &x[i].q[from..from + cols];
    let mut i = 0;
    while i < x.len() {
        let acc = &mut acc[i..];
        // Six rows keep twelve sums in registers, beside two vectors of codes; what a remainder of few rows would waste is spread.
        i += match x.len() - i {
            1 => {
                add_panel::<1>(open, [q(i)], acc);
                1
            }
            2 => {
                add_panel::<2>(open, [q(i), q(i + 1)], acc);
                2
            }
            3 => {
                add_panel::<3>(open, std::array::from_fn(|t| q(i + t)), acc);
                3
            }
            4 | 7 | 8 => {
                add_panel::<4>(open, std::array::from_fn(|t| q(i + t)), acc);
                4
            }
            5 | 10 => {
                add_panel::<5>(open, std::array::from_fn(|t| q(i + t)), acc);
                5
            }
            _ => {
                add_panel::<6>(open, std::array::from_fn(|t| q(i + t)), acc);
                6
            }
        };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_dots(acc: &[i32; TILE]) -> Tile<__m256i> {
    // SAFETY: 64 readable bytes of the array, in two halves; the loads do not need alignment.
    unsafe { [_mm256_loadu_si256(acc.as_ptr().cast()), _mm256_loadu_si256(acc.as_ptr().add(8).cast())] }
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn ternary_rows(w: &Packed, first: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let mut panel = Panel::new();
    for (tile, out) in (first..).zip(out.chunks_exact_mut(x.len())) {
        tile_rows(&mut panel, w, tile, x, out);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn tile_rows(panel: &mut Panel, w: &Packed, tile: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    for (x, out) in x.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
        match w.groups(tile) {
            None => {
                let mut acc = [[0i32; TILE]; ROWS];
                let units = even_parts(w.cols / UNIT, Panel::UNITS);
                for (p, codes) in w.tile(tile).chunks(units * UNIT_BYTES).enumerate() {
                    add_rows(panel.open(codes), x, p * units * UNIT, &mut acc);
                }
                for ((x, acc), out) in x.iter().zip(&acc).zip(out) {
                    finish(to_floats(load_dots(acc), x.sums.iter().sum()), w.row_scale(tile), x.scale, out);
                }
            }
            Some(groups) => {
                out.fill([0.0; TILE]);
                for (g, codes) in w.tile(tile).chunks(groups.units * UNIT_BYTES).enumerate() {
                    let mut acc = [[0i32; TILE]; ROWS];
                    add_rows(panel.open(codes), x, g * groups.units * UNIT, &mut acc);
                    for ((x, acc), out) in x.iter().zip(&acc).zip(out.iter_mut()) {
                        let mut sum = [load_f32(out, 0), load_f32(out, 8)];
                        let total = x.sums[g * groups.units..(g + 1) * groups.units].iter().sum();
                        add_group(&mut sum, load_dots(acc), total, sixteen(groups.scales, g * TILE));
                        store_f32(out, 0, sum[0]);
                        store_f32(out, 8, sum[1]);
                    }
                }
                for (x, out) in x.iter().zip(out) {
                    finish([load_f32(out, 0), load_f32(out, 8)], w.row_scale(tile), x.scale, out);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn int4_row(w: &Int4, first: usize, x: &HeadRow, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        int4_tile(w, tile, x, out);
    }
}

/// A pair of nibbles times int8 is at most 3,840; eight of them, 30,720, fit 16 bits.
#[target_feature(enable = "avx2,f16c")]
fn int4_tile(w: &Int4, tile: usize, x: &HeadRow, out: &mut [f32; TILE]) {
    let (codes, scales) = w.tile(tile);
    let low = _mm256_set1_epi8(15);
    let mut sum = [_mm256_setzero_ps(); 2];
    for (b, (block, q)) in codes.chunks_exact(INT4_BLOCK_BYTES).zip(x.q.chunks_exact(32)).enumerate() {
        prefetch(block.as_ptr(), INT4_BLOCK_BYTES / 64);
        let mut dot = [_mm256_setzero_si256(); 2];
        for v in 0..4 {
            let (x0, x1) = (broadcast4(q, 8 * v), broadcast4(q, 8 * v + 4));
            for half in 0..2 {
                let w = load(block, 64 * v + 32 * half);
                let h = _mm256_srli_epi16::<4>(w);
                let a = _mm256_maddubs_epi16(_mm256_and_si256(w, low), x0);
                let b = _mm256_maddubs_epi16(_mm256_and_si256(h, low), x1);
                dot[half] = _mm256_add_epi16(dot[half], _mm256_add_epi16(a, b));
            }
        }
        for half in 0..2 {
            let dot = widen(_mm256_set1_epi32(-8 * x.sums[b]), dot[half]);
            let scale = _mm256_mul_ps(load_f16(scales, b * TILE + 8 * half), _mm256_set1_ps(x.d[b]));
            sum[half] = _mm256_add_ps(sum[half], _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scale));
        }
    }
    store_f32(out, 0, sum[0]);
    store_f32(out, 8, sum[1]);
}

/// `|w|` is at most 128 and `|q|` at most 127 (a head row is quantized symmetrically), so a pair is at most 32,512.
#[target_feature(enable = "avx2")]
pub(super) fn q8_dot(row: &[u8], x: &HeadRow) -> f32 {
    let mut sum = 0.0;
    for (b, (block, q)) in row.chunks_exact(34).zip(x.q.chunks_exact(32)).enumerate() {
        let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let w = load(block, 2);
        let q = load(bytemuck::cast_slice(q), 0);
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
        let dot = sum_lanes(widen(_mm256_setzero_si256(), pairs));
        sum += dot as f32 * (d * x.d[b]);
    }
    sum
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_lanes(v: __m256i) -> i32 {
    let v = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let v = _mm_add_epi32(v, _mm_shuffle_epi32::<0b01_00_11_10>(v));
    _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32::<0b10_11_00_01>(v)))
}
