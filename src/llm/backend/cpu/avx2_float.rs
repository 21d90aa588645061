//! The float kernels with AVX2, FMA and F16C: norm, quantization, SwiGLU, dense dots.
//!
//! Formulas: `x·w / √(mean x² + eps)`; `q = round(x · 127 / max|x|)`, ties to even, with the scale `max|x| / 127`;
//! `gate / (1 + e^−gate) · up`; `Σ w·x`. Layout: rows of f32 side by side; dense weights as the file has them, `[rows, cols]` of
//! f32, fp16 or bf16. Shapes: any number of columns; what is left of eights is [`super::scalar`]'s.
//! Sources: RMSNorm arXiv:1910.07467; `activation_quant` of arXiv:2402.17764; SwiGLU arXiv:2002.05202.

use std::arch::x86_64::*;

use super::lanes::{exp, load, load_f32, max_lanes, store_f32, sum_lanes};
use super::operands::Float;
use super::scalar;
use crate::llm::backend::MIN_ABSMAX;

#[target_feature(enable = "avx2,fma")]
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mut sums = [_mm256_setzero_pd(); 2];
    let whole = x.len() / 8 * 8;
    for at in (0..whole).step_by(8) {
        let v = load_f32(x, at);
        let (a, b) = (_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v)));
        sums = [_mm256_fmadd_pd(a, a, sums[0]), _mm256_fmadd_pd(b, b, sums[1])];
    }
    let v = _mm256_add_pd(sums[0], sums[1]);
    let v = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd::<1>(v));
    let tail: f64 = x[whole..].iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let r = scalar::inverse_rms(_mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v))) + tail, x.len(), eps);
    // Plain multiplications: the compiler makes vectors of them, and they round as the reference's do.
    for ((o, v), w) in out.iter_mut().zip(x).zip(weight) {
        *o = v * r * w;
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn quantize(x: &[f32], q: &mut [i8]) -> f32 {
    let sign = _mm256_set1_ps(-0.0);
    let whole = x.len() / 32 * 32;
    let mut max = [_mm256_set1_ps(MIN_ABSMAX); 2];
    for at in (0..whole).step_by(16) {
        max[0] = _mm256_max_ps(_mm256_andnot_ps(sign, load_f32(x, at)), max[0]);
        max[1] = _mm256_max_ps(_mm256_andnot_ps(sign, load_f32(x, at + 8)), max[1]);
    }
    let absmax = x[whole..].iter().fold(max_lanes(_mm256_max_ps(max[0], max[1])), |m, v| m.max(v.abs()));
    let s = 127.0 / absmax;
    let scale = _mm256_set1_ps(s);
    // The packs below interleave 128-bit halves; this puts the 32-bit groups back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for at in (0..whole).step_by(32) {
        // Conversion rounds half to even, the packs saturate to −128..127.
        let mut v = [_mm256_setzero_si256(); 4];
        for (i, v) in v.iter_mut().enumerate() {
            *v = _mm256_cvtps_epi32(_mm256_mul_ps(load_f32(x, at + 8 * i), scale));
        }
        let v = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
        let to = &mut q[at..at + 32];
        // SAFETY: 32 writable bytes; the store does not need alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(v, order)) };
    }
    for (q, v) in q[whole..].iter_mut().zip(&x[whole..]) {
        *q = (v * s).round_ties_even().clamp(-128.0, 127.0) as i8;
    }
    absmax / 127.0
}

#[target_feature(enable = "avx2")]
pub(super) fn sums(q: &[i8], sums: &mut [i32]) {
    let flip = _mm256_set1_epi8(-128);
    for (q, sum) in q.chunks(64).zip(sums) {
        if q.len() < 64 {
            *sum = q.iter().map(|&v| i32::from(v)).sum();
            continue;
        }
        // As unsigned bytes, 128 too large each: `sad` adds eight of them.
        let bytes: &[u8] = bytemuck::cast_slice(q);
        let part = |at| _mm256_sad_epu8(_mm256_xor_si256(load(bytes, at), flip), _mm256_setzero_si256());
        let v = _mm256_add_epi64(part(0), part(32));
        let v = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        *sum = _mm_cvtsi128_si32(_mm_add_epi64(v, _mm_unpackhi_epi64(v, v))) - 64 * 128;
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let whole = out.len() / 8 * 8;
    let one = _mm256_set1_ps(1.0);
    for at in (0..whole).step_by(8) {
        let (g, u) = (load_f32(gate, at), load_f32(up, at));
        let e = exp(_mm256_sub_ps(_mm256_setzero_ps(), g));
        store_f32(out, at, _mm256_mul_ps(_mm256_div_ps(g, _mm256_add_ps(one, e)), u));
    }
    scalar::swiglu(&gate[whole..], &up[whole..], &mut out[whole..]);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dense_dot(ty: Float, row: &[u8], x: &[f32]) -> f32 {
    let width = if ty == Float::F32 { 4 } else { 2 };
    let whole = x.len() / 8 * 8;
    let mut acc = [_mm256_setzero_ps(); 2];
    for (i, (w, at)) in row.chunks_exact(8 * width).zip((0..whole).step_by(8)).enumerate() {
        let w = match ty {
            // SAFETY: 32 readable bytes; the load does not need alignment.
            Float::F32 => unsafe { _mm256_loadu_ps(w.as_ptr().cast()) },
            Float::F16 => _mm256_cvtph_ps(load_half(w)),
            // A bf16 is the upper half of an f32.
            Float::Bf16 => _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(load_half(w)))),
        };
        acc[i % 2] = _mm256_fmadd_ps(w, load_f32(x, at), acc[i % 2]);
    }
    sum_lanes(_mm256_add_ps(acc[0], acc[1])) + scalar::dense_dot(ty, &row[whole * width..], &x[whole..])
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8]) -> __m128i {
    let s = &bytes[..16];
    // SAFETY: 16 readable bytes; the load does not need alignment.
    unsafe { _mm_loadu_si128(s.as_ptr().cast()) }
}
