//! ggml's Q8_0: blocks of 32 weights, an fp16 scale and 32 signed bytes; `w = q · d`.
//!
//! Source: `quantize_row_q8_0_ref` of the ggml in whisper.cpp 1.8.3, ggml/src/ggml-quants.c.

use half::f16;

/// Weights in a block.
pub const BLOCK: usize = 32;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 2 + BLOCK;

/// Appends `values` as blocks; a last partial block is filled up with zeros.
///
/// `d = max|w| / 127`; `q = round(w / d)` with halves away from zero and the unrounded `d`, as ggml does.
pub fn quantize(values: &[f32], out: &mut Vec<u8>) {
    out.reserve(values.len().div_ceil(BLOCK) * BLOCK_BYTES);
    for block in values.chunks(BLOCK) {
        let largest = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let d = largest / 127.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(block.iter().map(|v| (v * inverse).round() as i8 as u8));
        out.extend(std::iter::repeat_n(0, BLOCK - block.len()));
    }
}
