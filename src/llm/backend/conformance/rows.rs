//! Embedding rows, norms, SwiGLU and the quantizer.

use super::data::{Codes, Random, Scales, Stored, head_bytes, table};
use super::{Cases, Found, differs};
use crate::error::Result;
use crate::llm::backend::{Backend, FileRows, MIN_ABSMAX};
use crate::llm::gguf::TensorType;
use crate::units::TokenId;

/// Widths of the real models' rows (their FFNs too), and ragged ones.
const WIDTHS: [usize; 15] = [576, 1536, 2048, 3072, 4096, 12288, 14336, 23040, 1, 7, 31, 65, 100, 769, 1000];
/// Ragged batches.
const BATCHES: [usize; 3] = [1, 2, 5];

pub(super) fn embed<B: Backend>(c: &mut Cases<'_, B>) {
    let types = [
        (TensorType::F32, 0),
        (TensorType::F16, 1),
        (TensorType::Bf16, 30),
        (TensorType::Q4_0, 2),
        (TensorType::Q8_0, 8),
        (TensorType::Q4K, 12),
        (TensorType::Q6K, 14),
        (TensorType::Tq1_0, 34),
        (TensorType::Tq2_0, 35),
        (TensorType::Q2_0, 42),
        (TensorType::Q2_0G128, 42),
    ];
    for (ty, id) in types {
        for cols in [576, 4096].into_iter().filter(|cols| cols % ty.block().0 == 0) {
            c.case(
                || format!("embed {ty} {cols}"),
                |b, r, _| {
                    let mut random = Random::new(cols as u64);
                    let bytes = match ty.is_ternary() {
                        true => {
                            let w = Stored::new(&mut random, ty, (19, cols), Codes::Random, Scales::Random);
                            w.bytes().to_vec()
                        }
                        false => head_bytes(&mut random, ty, 19 * cols),
                    };
                    let rows = table(ty, id, 19, cols, &bytes);
                    let tokens = [18, 0, 7, 7, 3, 12, 1].map(TokenId);
                    let mut want = r.rows(9, cols)?;
                    r.embed(&r.embedding(FileRows::new(rows.file.clone(), rows.tensor.clone()))?, &tokens, &mut want)?;
                    let mut got = b.rows(9, cols)?;
                    b.embed(&b.embedding(rows)?, &tokens, &mut got)?;
                    Ok(differs("x", &b.read_rows(&got, 7)?, &r.read_rows(&want, 7)?))
                },
            );
        }
    }
    c.case(
        || "a token outside the table".to_owned(),
        |b, _, _| {
            let rows = table(TensorType::F32, 0, 3, 32, &vec![0; 3 * 32 * 4]);
            let refused = b.embed(&b.embedding(rows)?, &[TokenId(3)], &mut b.rows(1, 32)?).is_err();
            Ok((!refused).then(|| "it was accepted".to_owned()))
        },
    );
}

/// Rows of floats worth quantizing: random, and what is awkward about floats.
fn rows_of(random: &mut Random, cols: usize, n: usize, kind: usize) -> Vec<f32> {
    let mut x = random.normals(n * cols);
    match kind {
        0 => {}
        1 => x.fill(0.0),
        2 => x.fill(-127.0),
        3 => x.iter_mut().for_each(|v| *v *= 1e18),
        4 => x.iter_mut().for_each(|v| *v *= 1e-18),
        // Below the smallest maximum that a row is quantized with.
        5 => x.iter_mut().for_each(|v| *v *= 1e-7),
        // One far outlier: everything else becomes a few steps.
        6 => x[n * cols / 2] = 4000.0,
        // The largest value in the ragged end.
        7 => x[n * cols - 1] = -90.0,
        // One scale of exactly 1 and every value halfway between two steps.
        _ => {
            x.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 253) as f32 - 126.5);
            x.chunks_exact_mut(cols).for_each(|row| row[0] = 127.0);
        }
    }
    x
}
const KINDS: usize = 9;

pub(super) fn quantize<B: Backend>(c: &mut Cases<'_, B>) {
    for cols in WIDTHS {
        for (n, kind) in BATCHES.iter().flat_map(|&n| (0..KINDS).map(move |k| (n, k))) {
            c.case(
                || format!("quantize {n} × {cols}, kind {kind}"),
                |b, r, _| {
                    let x = rows_of(&mut Random::new(cols as u64), cols, n, kind);
                    let got = quantized(b, &x, n, cols, |b, x, q| b.quantize(x, n, q))?;
                    let want = quantized(r, &x, n, cols, |r, x, q| r.quantize(x, n, q))?;
                    Ok(differs("q", &got.0, &want.0).or_else(|| differs("scale", &got.1, &want.1)))
                },
            );
        }
    }
}

/// `op` from rows `x` (`[n, in]`) into quantized rows of `cols`.
fn quantized<B: Backend>(
    b: &B,
    x: &[f32],
    n: usize,
    cols: usize,
    op: impl Fn(&B, &B::Rows, &mut B::Quant) -> Result<()>,
) -> Result<(Vec<i8>, Vec<f32>)> {
    let mut rows = b.rows(n + 1, x.len() / n)?;
    b.write_rows(&mut rows, x)?;
    let mut q = b.quant(n + 1, cols)?;
    let marks = vec![77; (n + 1) * cols];
    b.write_quant(&mut q, &marks, &vec![9.0; n + 1])?;
    op(b, &rows, &mut q)?;
    let (mut values, mut scales) = b.read_quant(&q, n + 1)?;
    assert!(values.split_off(n * cols).iter().all(|&v| v == 77), "a row that is not live was written");
    assert_eq!(scales.split_off(n), [9.0]);
    Ok((values, scales))
}

/// Whether `q` and its scale are `exact` (in f64) rounded, `steps` either way.
fn rounded(q: &[i8], scale: f32, exact: &[f64], steps: f64) -> Found {
    let absmax = exact.iter().fold(f64::from(MIN_ABSMAX), |m, v| m.max(v.abs()));
    if (f64::from(scale) * 127.0 / absmax - 1.0).abs() > steps / 127.0 {
        return Some(format!("the scale is {scale}, not {}", absmax / 127.0));
    }
    let value = |v: f64| (v * (127.0 / absmax)).clamp(-128.0, 127.0);
    let far = |(q, v): (&i8, &f64)| (f64::from(*q) - value(*v)).abs() > 0.5 + steps;
    let i = q.iter().zip(exact).position(far)?;
    Some(format!("q[{i}] is {}, the value {}", q[i], value(exact[i])))
}

pub(super) fn norm_quantize<B: Backend>(c: &mut Cases<'_, B>) {
    for cols in WIDTHS {
        for (n, kind) in BATCHES.iter().flat_map(|&n| (0..KINDS - 1).map(move |k| (n, k))) {
            for eps in [1e-5, 1e-6] {
                c.case(
                    || format!("norm_quantize {n} × {cols}, kind {kind}, eps {eps}"),
                    |b, _, t| {
                        let mut random = Random::new(cols as u64);
                        let x = rows_of(&mut random, cols, n, kind);
                        let weight: Vec<f32> = (0..cols).map(|_| 1.0 + random.normal() * 0.3).collect();
                        let (q, scales) = quantized(b, &x, n, cols, |b, x, q| b.norm_quantize(x, n, &weight, eps, q))?;
                        let exact = x.chunks_exact(cols).flat_map(|x| normed(x, &weight, eps)).collect::<Vec<_>>();
                        let mut rows = q.chunks_exact(cols).zip(&scales).zip(exact.chunks_exact(cols));
                        Ok(rows.find_map(|((q, scale), exact)| rounded(q, *scale, exact, t.norm_steps)))
                    },
                );
            }
        }
    }
}

/// RMSNorm in f64.
pub(super) fn normed(x: &[f32], weight: &[f32], eps: f32) -> Vec<f64> {
    let mean = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / x.len() as f64;
    let r = 1.0 / (mean + f64::from(eps)).sqrt();
    x.iter().zip(weight).map(|(&v, &w)| f64::from(v) * r * f64::from(w)).collect()
}

pub(super) fn swiglu_quantize<B: Backend>(c: &mut Cases<'_, B>) {
    for cols in WIDTHS {
        for (n, kind) in BATCHES.iter().flat_map(|&n| [0, 1, 2, 5, 6, 7].map(move |k| (n, k))) {
            for reach in [1.0, 30.0, 1000.0] {
                c.case(
                    || format!("swiglu_quantize {n} × {cols}, kind {kind}, gates to {reach}"),
                    |b, _, t| {
                        let mut x = rows_of(&mut Random::new(cols as u64), 2 * cols, n, kind);
                        x.chunks_exact_mut(2 * cols).for_each(|r| r[..cols].iter_mut().for_each(|v| *v *= reach));
                        let (q, scales) = quantized(b, &x, n, cols, |b, x, q| b.swiglu_quantize(x, n, q))?;
                        let silu = |g: f32, u: f32| f64::from(g) / (1.0 + (-f64::from(g)).exp()) * f64::from(u);
                        let exact =
                            |row: &[f32]| row[..cols].iter().zip(&row[cols..]).map(|(&g, &u)| silu(g, u)).collect();
                        let exact: Vec<Vec<f64>> = x.chunks_exact(2 * cols).map(exact).collect();
                        let mut rows = q.chunks_exact(cols).zip(&scales).zip(&exact);
                        Ok(rows.find_map(|((q, scale), exact)| rounded(q, *scale, exact, t.swiglu_steps)))
                    },
                );
            }
        }
    }
}
