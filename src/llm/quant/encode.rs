//! Numbers to stored blocks, bit for bit as ggml writes them.
//!
//! Source: `quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`, `quantize_row_tq1_0_ref` and `quantize_row_tq2_0_ref` of
//! ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4; Q2_0 as the GGUFs of Ternary-Bonsai (PrismML) have it.

use half::{bf16, f16};

use super::unsupported;
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::TensorType;

/// Appends `x` as whole blocks of `ty` to `out`: F32, F16, BF16, Q8_0 or Q4_0.
///
/// Q8_0: `d = max|x| / 127`, `q = round(x / d)`, halves away from zero. Q4_0: `d` is the number of largest magnitude over
/// −8, `q = min(15, ⌊x / d + 8.5⌋)`.
///
/// # Errors
/// [`Kind::Unsupported`] for other types; [`Kind::Internal`] where `x` is not a whole number of blocks.
pub fn encode(ty: TensorType, x: &[f32], out: &mut Vec<u8>) -> Result<()> {
    whole(ty, x.len())?;
    match ty {
        TensorType::F32 => x.iter().for_each(|v| out.extend(v.to_le_bytes())),
        TensorType::F16 => x.iter().for_each(|v| out.extend(f16::from_f32(*v).to_le_bytes())),
        TensorType::Bf16 => x.iter().for_each(|v| out.extend(bf16::from_f32(*v).to_le_bytes())),
        TensorType::Q8_0 => x.chunks_exact(32).for_each(|b| q8_0(b, out)),
        TensorType::Q4_0 => x.chunks_exact(32).for_each(|b| q4_0(b, out)),
        other => return Err(unsupported(other)),
    }
    Ok(())
}

/// Appends a row of ternary weights: `codes` are 0, 1 or 2 (−1, 0, 1), `scale(block)` the scale of each stored block.
///
/// # Errors
/// [`Kind::Unsupported`] where `ty` is not ternary; [`Kind::Internal`] where the row is not a whole number of blocks.
pub fn encode_ternary(
    ty: TensorType,
    codes: &[u8],
    mut scale: impl FnMut(usize) -> f16,
    out: &mut Vec<u8>,
) -> Result<()> {
    if !ty.is_ternary() {
        return Err(unsupported(ty));
    }
    whole(ty, codes.len())?;
    debug_assert!(codes.iter().all(|&c| c < 3));
    for (i, block) in codes.chunks_exact(ty.block().0).enumerate() {
        let d = scale(i).to_le_bytes();
        match ty {
            TensorType::Tq1_0 => {
                tq1_0(block, out);
                out.extend(d);
            }
            TensorType::Tq2_0 => {
                tq2_0(block, out);
                out.extend(d);
            }
            _ => {
                out.extend(d);
                out.extend(block.chunks_exact(4).map(|c| c[0] | c[1] << 2 | c[2] << 4 | c[3] << 6));
            }
        }
    }
    Ok(())
}

fn whole(ty: TensorType, n: usize) -> Result<()> {
    match n.is_multiple_of(ty.block().0) {
        true => Ok(()),
        false => Err(Error::new(Kind::Internal, format!("{n} weights are not whole blocks of {ty}"))),
    }
}

/// 32 numbers; `quantize_row_q8_0_ref`.
fn q8_0(x: &[f32], out: &mut Vec<u8>) {
    let d = x.iter().fold(0f32, |m, v| m.max(v.abs())) / 127.0;
    let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
    out.extend(f16::from_f32(d).to_le_bytes());
    out.extend(x.iter().map(|v| (v * inverse).round() as i8 as u8));
}

/// 32 numbers; `quantize_row_q4_0_ref`.
fn q4_0(x: &[f32], out: &mut Vec<u8>) {
    // The first of those with the largest magnitude, with its sign.
    let largest = x.iter().fold(0f32, |m, &v| if v.abs() > m.abs() { v } else { m });
    let d = largest / -8.0;
    let inverse = if d != 0.0 { 1.0 / d } else { 0.0 };
    out.extend(f16::from_f32(d).to_le_bytes());
    let code = |v: f32| ((v * inverse + 8.5) as i32).clamp(0, 15) as u8;
    out.extend((0..16).map(|i| code(x[i]) | code(x[i + 16]) << 4));
}

/// 256 codes; `quantize_row_tq2_0_ref`.
fn tq2_0(codes: &[u8], out: &mut Vec<u8>) {
    for half in codes.chunks_exact(128) {
        out.extend((0..32).map(|i| half[i] | half[i + 32] << 2 | half[i + 64] << 4 | half[i + 96] << 6));
    }
}

/// 256 codes; `quantize_row_tq1_0_ref`.
fn tq1_0(codes: &[u8], out: &mut Vec<u8>) {
    let (five, rest) = codes.split_at(160);
    let (sixteen, four) = rest.split_at(80);
    for (run, step) in [(five, 32), (sixteen, 16), (four, 4)] {
        out.extend((0..step).map(|i| pack_trits(run[i..].iter().step_by(step).copied())));
    }
}

/// Up to five trits as one byte, the first most significant: `⌈v · 256 / 243⌉`, missing ones count as 0.
pub(crate) fn pack_trits(codes: impl Iterator<Item = u8>) -> u8 {
    let mut v = 0u16;
    let mut n = 0;
    for c in codes {
        v = 3 * v + u16::from(c);
        n += 1;
    }
    (n..5).for_each(|_| v *= 3);
    (v * 256).div_ceil(243) as u8
}
