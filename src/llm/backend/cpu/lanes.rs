//! Lanes of AVX2 vectors: loading, storing, prefetching, reducing, and `e^x`. What the kernels with AVX2 share.

use std::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8], at: usize) -> __m256i {
    let s = &bytes[at..at + 32];
    // SAFETY: 32 readable bytes; the load does not need alignment.
    unsafe { _mm256_loadu_si256(s.as_ptr().cast()) }
}

/// How far ahead of its use a weight is prefetched. Too near or too far costs a third of the speed; a unit's worth of
/// requests at a time is what the line buffers hold.
const AHEAD: usize = 2560;

/// Prefetches the `lines` cache lines that lie [`AHEAD`] bytes after the start of `at` (mapped or not: a prefetch never faults).
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn prefetch(at: *const u8, lines: usize) {
    for line in 0..lines {
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + 64 * line).cast());
    }
}

/// Eight fp16 values as f32.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn load_f16(of: &[u16], at: usize) -> __m256 {
    let s = &of[at..at + 8];
    // SAFETY: 16 readable bytes; the load does not need alignment.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(s.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_f32(of: &[f32], at: usize) -> __m256 {
    let s = &of[at..at + 8];
    // SAFETY: 32 readable bytes; the load does not need alignment.
    unsafe { _mm256_loadu_ps(s.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_f32(to: &mut [f32], at: usize, v: __m256) {
    let s = &mut to[at..at + 8];
    // SAFETY: 32 writable bytes; the store does not need alignment.
    unsafe { _mm256_storeu_ps(s.as_mut_ptr(), v) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_lanes(v: __m256) -> f32 {
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn max_lanes(v: __m256) -> f32 {
    let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
}

/// The first bits of ln 2: few enough that a small whole number times it is exact (0.693359375).
const LN2_HIGH: f32 = 355.0 / 512.0;

/// `e^x`, relative error below 2e-7; arguments are clamped to ±87, where e^x is a normal number.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 7, 2ⁿ through the exponent.
///
/// Source: Cody and Waite, "Software Manual for the Elementary Functions", 1980, chapter 6, whose ln 2 in two parts this is.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp(x: __m256) -> __m256 {
    let x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.0)), _mm256_set1_ps(87.0));
    let n = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm256_mul_ps(
        x,
        _mm256_set1_ps(std::f32::consts::LOG2_E),
    ));
    // ln 2 in two parts, the first with few enough bits that n times it is exact.
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN2_HIGH), x);
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.121_944_4e-4), r);
    let mut p = _mm256_set1_ps(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c));
    }
    let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
    _mm256_mul_ps(p, _mm256_castsi256_ps(power))
}
