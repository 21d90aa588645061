//! Attention with AVX2, FMA and F16C, over fp16 or int8 keys and values: both are read as they are kept.
//!
//! One call: one KV head and the query heads that read it. Keys lie in blocks `[dimension, 8 positions]`: a lane is a
//! position. Values lie `[position, dimension]`: a lane is a dimension. Nothing is summed across lanes.
//!
//! Formula: `Σ_p softmax_p(q·k_p / √head_dim) · v_p`, queries and output `[heads, head_dim]`. Source: arXiv:1706.03762
//! with the query heads of arXiv:2305.13245; the largest score is subtracted before `exp`.

use std::arch::x86_64::*;

use super::lanes::{exp, load_f16, load_f32, max_lanes, store_f32, sum_lanes};
use super::operands::{Cells, HeadGroup};
use super::scalar;

/// What a cell is kept as.
trait Cell: Copy {
    /// Eight cells from `at` on as they are, without a scale.
    ///
    /// # Safety
    /// The processor has AVX2 and F16C.
    unsafe fn load8(cells: &[Self], at: usize) -> __m256;
}

impl Cell for u16 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load8(cells: &[u16], at: usize) -> __m256 {
        load_f16(cells, at)
    }
}

impl Cell for i8 {
    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load8(cells: &[i8], at: usize) -> __m256 {
        let s = &cells[at..at + 8];
        // SAFETY: 8 readable bytes; the load does not need alignment.
        let v = unsafe { _mm_loadl_epi64(s.as_ptr().cast()) };
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v))
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn attend(a: HeadGroup<'_>, scores: &mut Vec<f32>, out: &mut [f32]) {
    let hd = a.head_dim;
    if !hd.is_multiple_of(16) {
        return scalar::attend(a, scores, out);
    }
    let padded = a.len.next_multiple_of(16);
    for (q, out) in a.q.chunks(4 * hd).zip(out.chunks_mut(4 * hd)) {
        scores.clear();
        scores.resize(q.len() / hd * padded, 0.0);
        let part = Part { q, head_dim: hd, len: a.len, padded };
        match a.cells {
            Cells::F16 { k, v } => part.attend(k, v, None, scores, out),
            Cells::Int8 { k, v, k_scale, v_scale } => part.attend(k, v, Some((k_scale, v_scale)), scores, out),
        }
    }
}

/// Up to four of a group's query heads.
#[derive(Clone, Copy)]
struct Part<'a> {
    q: &'a [f32],
    head_dim: usize,
    len: usize,
    /// `len` in whole pairs of vectors.
    padded: usize,
}

impl Part<'_> {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn attend<T: Cell>(self, k: &[T], v: &[T], by: Option<(&[f32], &[f32])>, scores: &mut [f32], out: &mut [f32]) {
        let (k_scale, v_scale) = by.unzip();
        match self.q.len() / self.head_dim {
            1 => self.heads::<T, 1>((k, k_scale), (v, v_scale), scores, out),
            2 => self.heads::<T, 2>((k, k_scale), (v, v_scale), scores, out),
            3 => self.heads::<T, 3>((k, k_scale), (v, v_scale), scores, out),
            _ => self.heads::<T, 4>((k, k_scale), (v, v_scale), scores, out),
        }
    }

    /// `H` query heads over the same keys and values; `scores` is `[H, padded]`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn heads<T: Cell, const H: usize>(
        self,
        (k, k_scale): (&[T], Option<&[f32]>),
        (v, v_scale): (&[T], Option<&[f32]>),
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let Part { q, head_dim: hd, len, padded } = self;
        let scale = _mm256_set1_ps(1.0 / (hd as f32).sqrt());
        let block = 8 * hd;
        assert!(q.len() == H * hd && scores.len() == H * padded && len <= padded);
        for p in (0..len).step_by(16) {
            let k0 = &k[p / 8 * block..][..block];
            // The cache ends with a whole block, but not always with a pair of them.
            let k1 = k.get((p / 8 + 1) * block..(p / 8 + 2) * block).unwrap_or(k0);
            let mut dots = [[_mm256_setzero_ps(); 2]; H];
            for d in 0..hd {
                // SAFETY: this function has the features.
                let (v0, v1) = unsafe { (T::load8(k0, 8 * d), T::load8(k1, 8 * d)) };
                if d % (4 / size_of::<T>()) == 0 {
                    // The values of these 16 positions, a line at a time: they come while the keys are computed with.
                    _mm_prefetch::<_MM_HINT_T1>(v.as_ptr().wrapping_add(p * hd + 16 * d).cast());
                }
                for h in 0..H {
                    // SAFETY: `h < H` and `d < hd`, and there are `H · hd` (asserted above).
                    let q = _mm256_set1_ps(unsafe { *q.get_unchecked(h * hd + d) });
                    dots[h] = [_mm256_fmadd_ps(q, v0, dots[h][0]), _mm256_fmadd_ps(q, v1, dots[h][1])];
                }
            }
            let by = k_scale.map_or([scale; 2], |s| {
                [_mm256_mul_ps(load_f32(s, p), scale), _mm256_mul_ps(load_f32(s, p + 8), scale)]
            });
            for h in 0..H {
                store_f32(scores, h * padded + p, _mm256_mul_ps(dots[h][0], by[0]));
                store_f32(scores, h * padded + p + 8, _mm256_mul_ps(dots[h][1], by[1]));
            }
        }
        let mut sum = [0f32; H];
        for h in 0..H {
            sum[h] = softmax(&mut scores[h * padded..(h + 1) * padded], len, v_scale);
        }
        for d in (0..hd).step_by(16) {
            let mut acc = [[_mm256_setzero_ps(); 2]; H];
            for (p, v) in v.chunks_exact(hd).take(len).enumerate() {
                // SAFETY: this function has the features.
                let (v0, v1) = unsafe { (T::load8(v, d), T::load8(v, d + 8)) };
                for h in 0..H {
                    // SAFETY: `h < H` and `p < len ≤ padded`, and there are `H · padded` (asserted above).
                    let w = _mm256_set1_ps(unsafe { *scores.get_unchecked(h * padded + p) });
                    acc[h] = [_mm256_fmadd_ps(w, v0, acc[h][0]), _mm256_fmadd_ps(w, v1, acc[h][1])];
                }
            }
            for h in 0..H {
                let by = _mm256_set1_ps(1.0 / sum[h]);
                store_f32(out, h * hd + d, _mm256_mul_ps(acc[h][0], by));
                store_f32(out, h * hd + d + 8, _mm256_mul_ps(acc[h][1], by));
            }
        }
    }
}

/// `scores = e^(scores − max) · by`, of which the first `len` count; returns the sum before `by`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn softmax(scores: &mut [f32], len: usize, by: Option<&[f32]>) -> f32 {
    scores[len..].fill(f32::NEG_INFINITY);
    let mut max = load_f32(scores, 0);
    for at in (8..scores.len()).step_by(8) {
        max = _mm256_max_ps(max, load_f32(scores, at));
    }
    let max = _mm256_set1_ps(max_lanes(max));
    let mut total = _mm256_setzero_ps();
    for at in (0..scores.len()).step_by(8) {
        let e = exp(_mm256_sub_ps(load_f32(scores, at), max));
        // What is padded adds e^−87: nothing beside the maximum's e^0.
        total = _mm256_add_ps(total, e);
        store_f32(scores, at, by.map_or(e, |by| _mm256_mul_ps(e, load_f32(by, at))));
    }
    sum_lanes(total)
}
