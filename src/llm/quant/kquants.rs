//! The two K-quants that embeddings and heads of ternary models are found in.
//!
//! Source: `block_q4_K` and `block_q6_K`, `dequantize_row_q4_K` and `dequantize_row_q6_K` of ggml-org/llama.cpp,
//! ggml/src/ggml-quants.c at 36491e4.

use super::f16_at;

/// 256 weights, 144 bytes: fp16 d, fp16 dmin, 12 bytes with eight 6-bit scales and eight 6-bit minima, 128 bytes of
/// nibbles: each 32 bytes hold 32 weights in their low and the next 32 in their high nibbles.
pub(super) fn q4_k(b: &[u8], out: &mut [f32]) {
    let (d, dmin) = (f16_at(b, 0), f16_at(b, 2));
    let (packed, qs) = (&b[4..16], &b[16..144]);
    for j in 0..8 {
        let (scale, min) = scale_and_min(packed, j);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        let nibbles = &qs[32 * (j / 2)..32 * (j / 2) + 32];
        for (o, &byte) in out[32 * j..32 * j + 32].iter_mut().zip(nibbles) {
            let q = if j % 2 == 0 { byte & 15 } else { byte >> 4 };
            *o = scale * f32::from(q) - min;
        }
    }
}

/// Scale and minimum of sub-block `j`: 6 bits each, the upper two bits of the last four kept in the first eight bytes.
/// Source: `get_scale_min_k4`, as above.
fn scale_and_min(p: &[u8], j: usize) -> (u8, u8) {
    if j < 4 {
        (p[j] & 63, p[j + 4] & 63)
    } else {
        ((p[j + 4] & 15) | ((p[j - 4] >> 6) << 4), (p[j + 4] >> 4) | ((p[j] >> 6) << 4))
    }
}

/// 256 weights, 210 bytes: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, fp16 d; in each half,
/// 64 low bytes and 32 high bytes give four runs of 32 weights.
pub(super) fn q6_k(b: &[u8], out: &mut [f32]) {
    let (ql, qh, scales, d) = (&b[..128], &b[128..192], &b[192..208], f16_at(b, 208));
    for half in 0..2 {
        let (ql, qh, scales) = (&ql[64 * half..], &qh[32 * half..], &scales[8 * half..]);
        for run in 0..4 {
            for l in 0..32 {
                let low = ql[32 * (run % 2) + l];
                let low = if run < 2 { low & 15 } else { low >> 4 };
                let q = low | (((qh[l] >> (2 * run)) & 3) << 4);
                let scale = d * f32::from(scales[2 * run + l / 16] as i8);
                out[128 * half + 32 * run + l] = scale * (f32::from(q) - 32.0);
            }
        }
    }
}
