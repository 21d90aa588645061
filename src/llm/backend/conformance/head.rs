//! The output matrix.

use half::f16;

use super::data::{Codes, Random, Scales, Stored, head_bytes};
use super::rows::normed;
use super::{Cases, Found, Tolerance};
use crate::error::Result;
use crate::llm::backend::{Backend, HEAD_BLOCK, Once};
use crate::llm::gguf::TensorType;
use crate::llm::quant;

/// Widths of the real models: pocket, Falcon3-7B, Llama3-8B and Qwen3-8B.
const WIDTHS: [usize; 3] = [576, 3072, 4096];
/// A vocabulary cut short, with and without a ragged end.
const VOCABULARIES: [usize; 3] = [1, 64, 77];

const EPS: f32 = 1e-5;

pub(super) fn logits<B: Backend>(c: &mut Cases<'_, B>) {
    let types = [
        TensorType::Q4_0,
        TensorType::Q8_0,
        TensorType::F32,
        TensorType::F16,
        TensorType::Bf16,
        TensorType::Q4K,
        TensorType::Q6K,
        TensorType::Tq1_0,
        TensorType::Tq2_0,
        TensorType::Q2_0,
        TensorType::Q2_0G128,
    ];
    for ty in types {
        for cols in WIDTHS.into_iter().filter(|cols| cols.is_multiple_of(ty.block().0)) {
            for rows in VOCABULARIES {
                for scales in [Scales::One(0.02), Scales::Random] {
                    if scales == Scales::Random && !ty.is_ternary() {
                        continue;
                    }
                    c.case(
                        || format!("logits {ty} {rows} × {cols} {scales:?}"),
                        |b, r, t| {
                            let mut random = Random::new((rows + cols) as u64);
                            let bytes = match ty.is_ternary() {
                                true => {
                                    let w = Stored::new(&mut random, ty, (rows, cols), Codes::Random, scales);
                                    w.bytes().to_vec()
                                }
                                false => head_bytes(&mut random, ty, rows * cols),
                            };
                            one(b, r, t, &mut random, (ty, rows, cols), &bytes, 1.0)
                        },
                    );
                }
            }
        }
    }
    // Integers at their ends, and rows that are nothing, tiny or huge.
    for (ty, byte) in
        [(TensorType::Q4_0, 0x00), (TensorType::Q4_0, 0xff), (TensorType::Q8_0, 0x80), (TensorType::Q8_0, 0x7f)]
    {
        for reach in [0.0, 1e-12, 1.0, 1e12] {
            c.case(
                || format!("logits {ty} of bytes {byte:#x}, input to {reach}"),
                |b, r, t| {
                    let mut random = Random::new(3);
                    let mut bytes = head_bytes(&mut random, ty, 21 * 768);
                    for block in bytes.chunks_exact_mut(ty.block().1) {
                        block[2..].fill(byte);
                    }
                    one(b, r, t, &mut random, (ty, 21, 768), &bytes, reach)
                },
            );
        }
    }
}

/// The last of three rows times `bytes`.
fn one<B: Backend, R: Backend>(
    b: &B,
    r: &R,
    t: &Tolerance,
    random: &mut Random,
    (ty, rows, cols): (TensorType, usize, usize),
    bytes: &[u8],
    reach: f32,
) -> Result<Found> {
    let x: Vec<f32> = random.normals(3 * cols).iter().map(|v| v * reach).collect();
    let weight: Vec<f32> = (0..cols).map(|_| 1.0 + random.normal() * 0.3).collect();
    let got = run(b, (ty, rows, cols), bytes, &x, &weight)?;
    let want = run(r, (ty, rows, cols), bytes, &x, &weight)?;
    let exact = normed(&x[2 * cols..], &weight, EPS);
    let (relative, close) = match ty {
        TensorType::Q4_0 | TensorType::Q8_0 => (t.logits, near_ties(&exact, HEAD_BLOCK, t.norm_steps)),
        TensorType::Q4K | TensorType::Q6K => (t.k_quants, Vec::new()),
        ty if ty.is_ternary() => (t.logits, near_ties(&exact, cols, t.norm_steps)),
        _ => (t.logits, Vec::new()),
    };
    let length = exact.iter().map(|v| v * v).sum::<f64>().sqrt() as f32;
    let mut weights = vec![0f32; cols];
    for (row, (got, want)) in got.iter().zip(&want).enumerate() {
        quant::decode(ty, &bytes[row * bytes.len() / rows..(row + 1) * bytes.len() / rows], &mut weights)?;
        let mut tolerance = relative * length * weights.iter().map(|w| w * w).sum::<f32>().sqrt();
        // Where the norm's last bit decides how a value is rounded, a whole step of it is allowed.
        tolerance += close.iter().map(|&(i, step)| weights[i].abs() * step).sum::<f32>();
        if !(got == want || (got - want).abs() <= tolerance) {
            return Ok(Some(format!("logit {row} is {got}, not {want} ± {tolerance:e}")));
        }
    }
    Ok(None)
}

/// Elements of a row that lie within `steps` of halfway between two quantized values, with the size of a step; also
/// those whose block's scale lies as near to halfway between two fp16 numbers.
fn near_ties(exact: &[f64], block: usize, steps: f64) -> Vec<(usize, f32)> {
    let mut close = Vec::new();
    for (k, values) in exact.chunks(block).enumerate() {
        let absmax = values.iter().fold(0f64, |m, v| m.max(v.abs()));
        let d = absmax / 127.0;
        let off = d * steps / 127.0;
        let unsure = f16::from_f64(d - off) != f16::from_f64(d + off);
        for (i, v) in values.iter().enumerate() {
            let at = v / d;
            if (at - at.floor() - 0.5).abs() < steps {
                close.push((k * block + i, d as f32));
            } else if unsure && block == HEAD_BLOCK {
                close.push((k * block + i, (v.abs() / 1024.0) as f32));
            }
        }
    }
    close
}

fn run<B: Backend>(
    b: &B,
    (ty, rows, cols): (TensorType, usize, usize),
    bytes: &[u8],
    x: &[f32],
    weight: &[f32],
) -> Result<Vec<f32>> {
    let head = b.head(ty, rows, cols, Once::kept(bytes))?;
    let mut live = b.rows(4, cols)?;
    b.write_rows(&mut live, x)?;
    let mut logits = vec![f32::NAN; rows];
    b.logits(&head, weight, EPS, &live, 2, &mut logits)?;
    Ok(logits)
}
