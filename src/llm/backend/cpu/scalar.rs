//! The kernels without vectors: for processors that have none of the others, and to read beside them.
//!
//! Formulas: `ternary_row`, `ternary_rows`: `(Σ code·q − Σ q) · scale_w · scale_x` a row, a group of columns at a time where there
//! are groups.
//! `int4_row`: `Σ_block (Σ (code − 8)·q) · d_w · d_x`; `q8_dot` the same of int8 blocks; `dense_dot`: `Σ w·x`. `quantize`: `q = round(x ·
//! 127 / max|x|)`, ties to even; gives the scale `max|x| / 127`. `norm`: `x·w / √(mean x² + eps)`. `swiglu`: `gate / (1 + e^−gate) · up`.
//! `attend`: `Σ_p softmax_p(q·k_p / √d) · v_p` for each query head of one KV head.
//!
//! Layout: [`super::pack`]'s tiles and [`super::cache`]'s keys and values. Shapes: any number of rows, tokens and positions; columns
//! in units of 64 (int4: 32).
//!
//! Sources are those of the operations in [`crate::llm::backend::Backend`]: BitNet b1.58 (arXiv:2402.17764), RMSNorm
//! (arXiv:1910.07467), SwiGLU (arXiv:2002.05202), attention (arXiv:1706.03762), ggml's Q4_0 and Q8_0.

use half::{bf16, f16};

use super::operands::{Cells, Float, HeadGroup, HeadRow, QuantRow};
use super::pack::{INT4_BLOCK_BYTES, Int4, Packed, TILE, UNIT_BYTES, sixteen};
use crate::llm::backend::MIN_ABSMAX;

/// Adds a tile's unit (`[4 vectors, 16 rows, 4 bytes]`) times 64 quantized values: `Σ code·q` for each of 16 rows.
fn add_unit(unit: &[u8], q: &[i8], dot: &mut [i32; TILE]) {
    for (vector, q) in unit.chunks_exact(64).zip(q.chunks_exact(16)) {
        for (lane, dot) in dot.iter_mut().enumerate() {
            for j in 0..4 {
                let byte = vector[4 * lane + j];
                for f in 0..4 {
                    *dot += i32::from((byte >> (2 * f)) & 3) * i32::from(q[4 * f + j]);
                }
            }
        }
    }
}

pub(super) fn ternary_row(w: &Packed, first: usize, x: QuantRow<'_>, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        ternary_tile(w, tile, x, out);
    }
}

/// A tile's 16 ternary rows times one quantized row. Source: the contract's, with codes 0 to 2 and `Σ q` taken off.
fn ternary_tile(w: &Packed, tile: usize, x: QuantRow<'_>, out: &mut [f32; TILE]) {
    let codes = w.tile(tile);
    let groups = w.groups(tile);
    let units = groups.map_or(x.sums.len(), |g| g.units);
    let mut sum = [0f32; TILE];
    let steps = codes.chunks(units * UNIT_BYTES).zip(x.q.chunks(units * 64)).zip(x.sums.chunks(units));
    for (g, ((codes, q), sums)) in steps.enumerate() {
        let mut dot = [-sums.iter().sum::<i32>(); TILE];
        for (unit, q) in codes.chunks_exact(UNIT_BYTES).zip(q.chunks_exact(64)) {
            add_unit(unit, q, &mut dot);
        }
        match groups {
            None => sum = dot.map(|d| d as f32),
            Some(of) => {
                for ((s, d), scale) in sum.iter_mut().zip(dot).zip(sixteen(of.scales, g * TILE)) {
                    *s += f16::from_bits(*scale).to_f32() * d as f32;
                }
            }
        }
    }
    for ((o, s), scale) in out.iter_mut().zip(sum).zip(w.row_scale(tile)) {
        *o = s * (scale * x.scale);
    }
}

pub(super) fn ternary_rows(w: &Packed, first: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out.chunks_exact_mut(x.len())) {
        x.iter().zip(out).for_each(|(x, out)| ternary_tile(w, tile, *x, out));
    }
}

pub(super) fn int4_row(w: &Int4, first: usize, x: &HeadRow, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        int4_tile(w, tile, x, out);
    }
}

/// A tile's 16 rows of Q4_0 times `x` (`[cols]`). Source: `ggml_vec_dot_q4_0_q8_0` of llama.cpp, with the offset of 8 taken out
/// through the sums of `x`.
fn int4_tile(w: &Int4, tile: usize, x: &HeadRow, out: &mut [f32; TILE]) {
    let (codes, scales) = w.tile(tile);
    *out = [0.0; TILE];
    for (b, block) in codes.chunks_exact(INT4_BLOCK_BYTES).enumerate() {
        let q = &x.q[32 * b..32 * b + 32];
        let scales = sixteen(scales, b * TILE);
        for (lane, out) in out.iter_mut().enumerate() {
            let mut dot = -8 * x.sums[b];
            for (v, vector) in block.chunks_exact(64).enumerate() {
                for j in 0..4 {
                    let byte = vector[4 * lane + j];
                    dot += i32::from(byte & 15) * i32::from(q[8 * v + j]);
                    dot += i32::from(byte >> 4) * i32::from(q[8 * v + 4 + j]);
                }
            }
            *out += dot as f32 * (f16::from_bits(scales[lane]).to_f32() * x.d[b]);
        }
    }
}

/// A Q8_0 row (`[cols / 32]` blocks of 34 bytes) times `x` (`[cols]`). Source: `ggml_vec_dot_q8_0_q8_0` of llama.cpp.
pub(super) fn q8_dot(row: &[u8], x: &HeadRow) -> f32 {
    let mut sum = 0.0;
    for (b, block) in row.chunks_exact(34).enumerate() {
        let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let q = &x.q[32 * b..32 * b + 32];
        let dot: i32 = block[2..].iter().zip(q).map(|(&w, &q)| i32::from(w as i8) * i32::from(q)).sum();
        sum += dot as f32 * (d * x.d[b]);
    }
    sum
}

/// A row of `ty` (little-endian, `[cols]`) times `x` (`[cols]`), in f32.
pub(super) fn dense_dot(ty: Float, row: &[u8], x: &[f32]) -> f32 {
    let half = |b: &[u8]| u16::from_le_bytes([b[0], b[1]]);
    match ty {
        Float::F32 => row.chunks_exact(4).zip(x).map(|(b, x)| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) * x).sum(),
        Float::F16 => row.chunks_exact(2).zip(x).map(|(b, x)| f16::from_bits(half(b)).to_f32() * x).sum(),
        Float::Bf16 => row.chunks_exact(2).zip(x).map(|(b, x)| bf16::from_bits(half(b)).to_f32() * x).sum(),
    }
}

/// `x` (f32 `[cols]`) to `q` (int8 `[cols]`); gives `max(|x|, 1e-5) / 127`. Source: `activation_quant`, as the contract.
pub(super) fn quantize(x: &[f32], q: &mut [i8]) -> f32 {
    let absmax = x.iter().fold(MIN_ABSMAX, |m, v| m.max(v.abs()));
    let s = 127.0 / absmax;
    for (q, v) in q.iter_mut().zip(x) {
        *q = (v * s).round_ties_even().clamp(-128.0, 127.0) as i8;
    }
    absmax / 127.0
}

/// The sum of each 64 of `q` (`[cols]`) into `sums` (`[⌈cols / 64⌉]`), for undoing the codes' offset of one.
pub(super) fn sums(q: &[i8], sums: &mut [i32]) {
    for (q, sum) in q.chunks(64).zip(sums) {
        *sum = q.iter().map(|&v| i32::from(v)).sum();
    }
}

/// `1/√(mean(x²) + eps)` of `n` numbers, summed in f64. Source: RMSNorm, arXiv:1910.07467.
pub(super) fn inverse_rms(sum_of_squares: f64, n: usize, eps: f32) -> f32 {
    (1.0 / (sum_of_squares / n as f64 + f64::from(eps)).sqrt()) as f32
}

/// `x · weight / √(mean(x²) + eps)`, all `[cols]`. Source: RMSNorm, arXiv:1910.07467.
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let r = inverse_rms(x.iter().map(|&v| f64::from(v) * f64::from(v)).sum(), x.len(), eps);
    for ((o, v), w) in out.iter_mut().zip(x).zip(weight) {
        *o = v * r * w;
    }
}

/// `gate / (1 + e^−gate) · up`, all `[cols]`. Source: SwiGLU, arXiv:2002.05202.
pub(super) fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
        *o = g / (1.0 + (-g).exp()) * u;
    }
}

/// The query heads of one KV head (`[heads, head_dim]`) over `a.len` positions into `out` of the same shape; `scores` is
/// scratch. Softmax in two passes, the largest score subtracted. Source: arXiv:1706.03762, arXiv:2305.13245.
pub(super) fn attend(a: HeadGroup<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    match a.cells {
        Cells::F16 { k, v } => {
            let half = |bits: u16| f16::from_bits(bits).to_f32();
            attend_cells(a, (|at, _| half(k[at]), |at, _| half(v[at])), scores, out);
        }
        Cells::Int8 { k, v, k_scale, v_scale } => {
            let cells = (
                |at: usize, p: usize| f32::from(k[at]) * k_scale[p],
                |at: usize, p: usize| f32::from(v[at]) * v_scale[p],
            );
            attend_cells(a, cells, scores, out);
        }
    }
}

/// `k` and `v` give the number in a cell of a position.
fn attend_cells(
    a: HeadGroup<'_>,
    (k, v): (impl Fn(usize, usize) -> f32, impl Fn(usize, usize) -> f32),
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let hd = a.head_dim;
    let scale = 1.0 / (hd as f32).sqrt();
    for (q, out) in a.q.chunks_exact(hd).zip(out.chunks_exact_mut(hd)) {
        scores.clear();
        for p in 0..a.len {
            let at = p / 8 * hd * 8 + p % 8;
            let dot: f32 = q.iter().enumerate().map(|(d, q)| q * k(at + 8 * d, p)).sum();
            scores.push(dot * scale);
        }
        let max = scores.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
        scores.iter_mut().for_each(|v| *v = (*v - max).exp());
        let sum: f32 = scores.iter().sum();
        out.fill(0.0);
        for (p, w) in scores.iter().enumerate() {
            for (d, o) in out.iter_mut().enumerate() {
                *o += w * v(p * hd + d, p);
            }
        }
        out.iter_mut().for_each(|o| *o /= sum);
    }
}
