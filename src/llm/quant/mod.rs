//! What stored blocks mean.
//!
//! [`decode`] turns any supported type into f32, exactly as ggml does; [`Ternary`] gives ternary matrices as codes and
//! scales, which is what the kernels multiply with. All layouts are little-endian, blocks run along a row.
//!
//! Source: `block_q4_0` … `block_tq2_0` of ggml-org/llama.cpp, ggml/src/ggml-common.h, and the functions
//! `dequantize_row_*` and `quantize_row_*_ref` of ggml/src/ggml-quants.c at 36491e4; Q2_0 as the GGUFs of Ternary-Bonsai
//! (PrismML) have it. The goldens are from the Python package gguf (`tests/golden/quant.py`).

use half::{bf16, f16};

use super::gguf::TensorType;
use crate::error::{Error, Kind, Result};

mod encode;
mod kquants;
mod ternary;
#[cfg(test)]
mod tests;

pub(crate) use encode::pack_trits;
pub use encode::{encode, encode_ternary};
pub use ternary::{Groups, Halves, Ternary};

/// Decodes whole blocks of `ty` from `bytes` into `out`.
///
/// `out.len()` weights, f32, in row order. Formulas, with `d` the block's fp16 scale:
/// Q4_0 `(q − 8)·d`; Q8_0 `q·d`; Q4_K `(d·sc)·q − (dmin·m)`; Q6_K `(d·sc)·(q − 32)`; ternary `(code − 1)·d`.
///
/// # Errors
/// [`Kind::Unsupported`] for [`TensorType::Other`]; [`Kind::Corrupt`] where `bytes` is not exactly the size of
/// `out.len()` weights.
pub fn decode(ty: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    if let TensorType::Other(_) = ty {
        return Err(unsupported(ty));
    }
    if ty.row_bytes(out.len()) != Some(bytes.len()) {
        return Err(Error::new(Kind::Corrupt, format!("{} bytes are not {} weights of {ty}", bytes.len(), out.len())));
    }
    let (weights, size) = ty.block();
    let blocks = bytes.chunks_exact(size).zip(out.chunks_exact_mut(weights));
    match ty {
        TensorType::F32 => blocks.for_each(|(b, o)| o[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        TensorType::F16 => blocks.for_each(|(b, o)| o[0] = f16_at(b, 0)),
        TensorType::Bf16 => blocks.for_each(|(b, o)| o[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32()),
        TensorType::Q4_0 => blocks.for_each(|(b, o)| q4_0(b, o)),
        TensorType::Q8_0 => blocks.for_each(|(b, o)| q8_0(b, o)),
        TensorType::Q4K => blocks.for_each(|(b, o)| kquants::q4_k(b, o)),
        TensorType::Q6K => blocks.for_each(|(b, o)| kquants::q6_k(b, o)),
        TensorType::Tq1_0 | TensorType::Tq2_0 | TensorType::Q2_0 | TensorType::Q2_0G128 => {
            let mut codes = [0u8; 256];
            blocks.for_each(|(b, o)| {
                let d = ternary::block_codes(ty, b, &mut codes[..weights]);
                o.iter_mut().zip(&codes).for_each(|(o, &c)| *o = (f32::from(c) - 1.0) * d);
            });
        }
        TensorType::Other(_) => {}
    }
    Ok(())
}

/// The error for a tensor type tercet does not read.
pub(crate) fn unsupported(ty: TensorType) -> Error {
    Error::new(Kind::Unsupported, format!("tensors of {ty} are not supported"))
        .remedy("use TQ1_0, TQ2_0 or Q2_0 for the linears and Q4_0, Q8_0, Q4_K, Q6_K, F16, BF16 or F32 for the rest")
}

fn f16_at(b: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([b[at], b[at + 1]]).to_f32()
}

/// 32 weights, 18 bytes: fp16 d, 16 bytes; low nibbles are the first 16 weights, high nibbles the second.
/// Source: `dequantize_row_q4_0`.
fn q4_0(b: &[u8], out: &mut [f32]) {
    let d = f16_at(b, 0);
    for (i, &byte) in b[2..18].iter().enumerate() {
        out[i] = (f32::from(byte & 15) - 8.0) * d;
        out[i + 16] = (f32::from(byte >> 4) - 8.0) * d;
    }
}

/// 32 weights, 34 bytes: fp16 d, 32 signed bytes. Source: `dequantize_row_q8_0`.
fn q8_0(b: &[u8], out: &mut [f32]) {
    let d = f16_at(b, 0);
    for (o, &byte) in out.iter_mut().zip(&b[2..34]) {
        *o = f32::from(byte as i8) * d;
    }
}
