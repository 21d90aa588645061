//! The reference: every operation written plainly, one loop per sum. Slow, single-threaded, used by tests and by
//! `--backend reference`.
//!
//! Formulas, shapes and sources are [`Backend`]'s, operation by operation.

use half::f16;

use super::shapes::Size;
use super::{Backend, FileRows, Footprint, HEAD_BLOCK, KvShape, MIN_ABSMAX, Once, Part, QkNorm, shapes};

mod cache;

pub use cache::Kv;

use crate::error::Result;
use crate::llm::gguf::TensorType;
use crate::llm::quant::{self, Groups, Ternary};
use crate::units::TokenId;

/// The plain backend.
#[derive(Default)]
pub struct Reference;

/// f32 `[capacity, cols]`.
pub struct Rows {
    cols: usize,
    data: Vec<f32>,
}

/// int8 `[capacity, cols]`, a scale a row.
pub struct Quant {
    cols: usize,
    q: Vec<i8>,
    scale: Vec<f32>,
}

/// Trits `[rows, cols]`; the scale of each group of `group` columns `[rows, cols / group]`; a factor a row.
pub struct Linear {
    rows: usize,
    cols: usize,
    group: usize,
    trits: Vec<i8>,
    group_scale: Vec<f32>,
    row_scale: Vec<f32>,
}

/// The output matrix, by how its product is defined.
pub enum Head {
    /// Integers `[rows, cols]` and a scale per 32 (Q4_0, Q8_0).
    Blocks {
        cols: usize,
        q: Vec<i8>,
        d: Vec<f32>,
    },
    Dense {
        cols: usize,
        w: Vec<f32>,
    },
    Ternary(Linear),
}

fn bytes_of<T>(v: &[T]) -> u64 {
    size_of_val(v) as u64
}

impl Footprint for Rows {
    fn resident(&self) -> u64 {
        bytes_of(&self.data)
    }
}
impl Footprint for Quant {
    fn resident(&self) -> u64 {
        bytes_of(&self.q) + bytes_of(&self.scale)
    }
}
impl Footprint for Linear {
    fn resident(&self) -> u64 {
        bytes_of(&self.trits) + bytes_of(&self.group_scale) + bytes_of(&self.row_scale)
    }
}
impl Footprint for Head {
    fn resident(&self) -> u64 {
        match self {
            Head::Blocks { q, d, .. } => bytes_of(q) + bytes_of(d),
            Head::Dense { w, .. } => bytes_of(w),
            Head::Ternary(l) => l.resident(),
        }
    }
}

impl Head {
    fn size(&self) -> Size {
        match self {
            Head::Blocks { cols, q, .. } => Size::of(q.len(), *cols),
            Head::Dense { cols, w } => Size::of(w.len(), *cols),
            Head::Ternary(l) => Size { rows: l.rows, cols: l.cols },
        }
    }
}

impl Quant {
    fn put(&mut self, row: usize, x: &[f32]) {
        self.scale[row] = quantize_row(x, &mut self.q[row * self.cols..]);
    }

    fn size(&self) -> Size {
        Size { rows: self.scale.len(), cols: self.cols }
    }

    fn row(&self, i: usize) -> &[i8] {
        &self.q[i * self.cols..(i + 1) * self.cols]
    }
}

impl Rows {
    fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    fn size(&self) -> Size {
        Size::of(self.data.len(), self.cols)
    }
}

impl Linear {
    fn new(parts: &[Part<'_>]) -> Self {
        let cols = parts[0].weights.cols();
        let tensors = parts.iter().all(|p| matches!(p.weights.groups(), Groups::Tensor(_)));
        let group = if tensors { cols } else { parts.iter().map(|p| p.weights.block_cols()).min().unwrap_or(cols) };
        let mut l = Linear { rows: 0, cols, group, trits: Vec::new(), group_scale: Vec::new(), row_scale: Vec::new() };
        for p in parts {
            l.push(&p.weights, p.factor, tensors);
        }
        l
    }

    fn push(&mut self, w: &Ternary<'_>, factor: f32, tensors: bool) {
        let mut codes = vec![0u8; self.cols];
        let mut scales = vec![0f32; self.cols / w.block_cols()];
        for r in 0..w.rows() {
            w.row(r, &mut codes, &mut scales);
            self.trits.extend(codes.iter().map(|&c| c as i8 - 1));
            match w.groups() {
                Groups::Tensor(d) if tensors => {
                    self.group_scale.push(1.0);
                    self.row_scale.push(d * factor);
                }
                Groups::Tensor(d) => {
                    self.group_scale.extend(std::iter::repeat_n(d, self.cols / self.group));
                    self.row_scale.push(factor);
                }
                Groups::Columns(of) => {
                    let each = of / self.group;
                    self.group_scale.extend(scales.iter().flat_map(|&d| std::iter::repeat_n(d, each)));
                    self.row_scale.push(factor);
                }
            }
        }
        self.rows += w.rows();
    }

    /// Row `r` times a quantized row (int8 `[cols]`), without the row's and the activation's scale: integer sums, exact in
    /// 32 bits. Source: the contract's.
    fn dot(&self, r: usize, x: &[i8]) -> f32 {
        let row = &self.trits[r * self.cols..(r + 1) * self.cols];
        let groups = self.cols / self.group;
        let mut sum = 0f32;
        for g in 0..groups {
            let at = g * self.group..(g + 1) * self.group;
            let dot: i32 = row[at.clone()].iter().zip(&x[at]).map(|(&t, &q)| i32::from(t) * i32::from(q)).sum();
            if groups == 1 {
                return dot as f32 * self.group_scale[r];
            }
            sum += self.group_scale[r * groups + g] * dot as f32;
        }
        sum
    }

    fn apply(&self, x: &Quant, n: usize, mut put: impl FnMut(usize, usize, f32)) {
        for i in 0..n {
            for r in 0..self.rows {
                put(i, r, self.dot(r, x.row(i)) * (self.row_scale[r] * x.scale[i]));
            }
        }
    }
}

/// The contract's quantizer: `x` (f32 `[cols]`) to `q` (int8 `[cols]`); returns the scale, `max(|x|, 1e-5) / 127`.
///
/// Source: `activation_quant`, see [`super`].
fn quantize_row(x: &[f32], q: &mut [i8]) -> f32 {
    let absmax = x.iter().fold(MIN_ABSMAX, |m, v| m.max(v.abs()));
    let s = 127.0 / absmax;
    for (q, v) in q.iter_mut().zip(x) {
        *q = (v * s).round_ties_even().clamp(-128.0, 127.0) as i8;
    }
    absmax / 127.0
}

/// `x · weight / √(mean(x²) + eps)`, all `[cols]`. Source: Zhang and Sennrich, 2019, arXiv:1910.07467.
fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mean = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / x.len() as f64;
    let r = (1.0 / (mean + f64::from(eps)).sqrt()) as f32;
    x.iter().zip(weight).map(|(&v, &w)| v * r * w).collect()
}

/// `x` (`[cols]`) as int8 `[cols]` with a scale per 32 (`[cols / 32]`), as the head wants its input.
///
/// Source: `quantize_row_q8_0_ref` of ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4, which rounds half away from zero
/// where this rounds to even.
fn quantize_blocks(x: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let (mut q, mut d) = (Vec::new(), Vec::new());
    for block in x.chunks(HEAD_BLOCK) {
        let absmax = block.iter().fold(0f32, |m, v| m.max(v.abs()));
        let s = if absmax > 0.0 { 127.0 / absmax } else { 0.0 };
        q.extend(block.iter().map(|v| (v * s).round_ties_even() as i8));
        d.push(f16::from_f32(absmax / 127.0).to_f32());
    }
    (q, d)
}

impl Backend for Reference {
    type Rows = Rows;
    type Quant = Quant;
    type Linear = Linear;
    type Embedding = FileRows;
    type Head = Head;
    type Kv = Kv;

    fn describe(&self) -> String {
        "reference".to_owned()
    }

    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        (capacity * cols * 4) as u64
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        (capacity * (cols + 4)) as u64
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        (rows * (cols + 4 + 4 * group.map_or(1, |g| cols / g))) as u64
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        match ty {
            TensorType::Q4_0 | TensorType::Q8_0 => (rows * (cols + cols / HEAD_BLOCK * 4)) as u64,
            ty if ty.is_ternary() => self.linear_bytes(rows, cols, Some(ty.block().0)),
            _ => (rows * cols * 4) as u64,
        }
    }
    fn kv_bytes(&self, s: &KvShape) -> u64 {
        Kv::bytes(s)
    }

    fn rows(&self, capacity: usize, cols: usize) -> Result<Rows> {
        Ok(Rows { cols, data: vec![0.0; capacity * cols] })
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<Quant> {
        Ok(Quant { cols, q: vec![0; capacity * cols], scale: vec![0.0; capacity] })
    }
    fn kv(&self, shape: &KvShape) -> Result<Kv> {
        Ok(Kv::new(shape))
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<Linear> {
        shapes::stack("linear", parts)?;
        Ok(Linear::new(parts))
    }
    fn embedding(&self, table: FileRows) -> Result<FileRows> {
        Ok(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Head> {
        let bytes = bytes.bytes;
        if ty.is_ternary() {
            let weights = Ternary::new(ty, rows, cols, bytes)?;
            return Ok(Head::Ternary(Linear::new(&[Part { weights, factor: 1.0 }])));
        }
        let mut w = vec![0f32; rows * cols];
        quant::decode(ty, bytes, &mut w)?;
        if !matches!(ty, TensorType::Q4_0 | TensorType::Q8_0) {
            return Ok(Head::Dense { cols, w });
        }
        // The stored integers, which decoding multiplied with each block's scale.
        let size = ty.block().1;
        let d: Vec<f32> = bytes.chunks_exact(size).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect();
        let q = bytes.chunks_exact(size).flat_map(|b| match ty {
            TensorType::Q8_0 => b[2..].iter().map(|&v| v as i8).collect::<Vec<_>>(),
            _ => (b[2..].iter().map(|v| v & 15)).chain(b[2..].iter().map(|v| v >> 4)).map(|v| v as i8 - 8).collect(),
        });
        Ok(Head::Blocks { cols, q: q.collect(), d })
    }

    fn write_rows(&self, to: &mut Rows, data: &[f32]) -> Result<()> {
        shapes::whole_rows("write_rows", data.len(), to.size())?;
        to.data[..data.len()].copy_from_slice(data);
        Ok(())
    }
    fn read_rows(&self, from: &Rows, n: usize) -> Result<Vec<f32>> {
        shapes::holds("read_rows", "the buffer", from.size(), n, from.cols)?;
        Ok(from.data[..n * from.cols].to_vec())
    }
    fn write_quant(&self, to: &mut Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        shapes::holds("write_quant", "the buffer", to.size(), scales.len(), to.cols)?;
        shapes::length("write_quant", "q", q.len(), scales.len() * to.cols)?;
        to.q[..q.len()].copy_from_slice(q);
        to.scale[..scales.len()].copy_from_slice(scales);
        Ok(())
    }
    fn read_quant(&self, from: &Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        shapes::holds("read_quant", "the buffer", from.size(), n, from.cols)?;
        Ok((from.q[..n * from.cols].to_vec(), from.scale[..n].to_vec()))
    }
    fn save_kv(&self, kv: &Kv, len: usize) -> Result<Vec<u8>> {
        kv.save(len)
    }
    fn load_kv(&self, kv: &mut Kv, len: usize, saved: &[u8]) -> Result<()> {
        kv.load(len, saved)
    }

    fn embed(&self, table: &FileRows, tokens: &[TokenId], x: &mut Rows) -> Result<()> {
        shapes::holds("embed", "x", x.size(), tokens.len(), table.tensor.cols())?;
        for (token, row) in tokens.iter().zip(x.data.chunks_exact_mut(x.cols)) {
            table.row(*token, row)?;
        }
        Ok(())
    }

    fn norm_quantize(&self, x: &Rows, n: usize, weight: &[f32], eps: f32, out: &mut Quant) -> Result<()> {
        shapes::holds("norm_quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("norm_quantize", "out", out.size(), n, out.cols)?;
        shapes::length("norm_quantize", "the norm's weight", weight.len(), out.cols)?;
        for i in 0..n {
            out.put(i, &rms_norm(x.row(i), weight, eps));
        }
        Ok(())
    }

    fn quantize(&self, x: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("quantize", "out", out.size(), n, out.cols)?;
        for i in 0..n {
            out.put(i, x.row(i));
        }
        Ok(())
    }

    fn linear_into(&self, w: &Linear, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        shapes::holds("linear_into", "x", x.size(), n, w.cols)?;
        shapes::holds("linear_into", "y", y.size(), n, w.rows)?;
        w.apply(x, n, |i, r, v| y.data[i * y.cols + r] = v);
        Ok(())
    }

    fn linear_add(&self, w: &Linear, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        shapes::holds("linear_add", "x", x.size(), n, w.cols)?;
        shapes::holds("linear_add", "y", y.size(), n, w.rows)?;
        w.apply(x, n, |i, r, v| y.data[i * y.cols + r] += v);
        Ok(())
    }

    fn rope_append(
        &self,
        qkv: &mut Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut Kv,
    ) -> Result<()> {
        let s = kv.shape().clone();
        shapes::qkv("rope_append", &s, qkv.size(), n)?;
        shapes::positions("rope_append", &s, layer, start, n)?;
        shapes::head_norms("rope_append", norms, s.head_dim)?;
        let (q_heads, hd) = (s.heads, s.head_dim);
        for i in 0..n {
            let row = &mut qkv.data[i * qkv.cols..(i + 1) * qkv.cols];
            for (h, head) in row[..(q_heads + s.kv_heads) * hd].chunks_exact_mut(hd).enumerate() {
                if let Some(by) = norms {
                    let weight = if h < q_heads { &by.q } else { &by.k };
                    head.copy_from_slice(&rms_norm(head, weight, by.eps));
                }
                for (pair, &(cos, sin)) in head.chunks_exact_mut(2).zip(s.rope.at(start + i)) {
                    let (a, b) = (pair[0], pair[1]);
                    pair[0] = a * cos - b * sin;
                    pair[1] = a * sin + b * cos;
                }
            }
            let (k, v) = row[q_heads * hd..].split_at(s.kv_heads * hd);
            for (head, (k, v)) in k.chunks_exact(hd).zip(v.chunks_exact(hd)).enumerate() {
                kv.put(layer, start + i, head, k, v);
            }
        }
        Ok(())
    }

    fn attend(&self, qkv: &Rows, n: usize, layer: usize, start: usize, kv: &Kv, out: &mut Rows) -> Result<()> {
        let s = kv.shape();
        shapes::qkv("attend", s, qkv.size(), n)?;
        shapes::positions("attend", s, layer, start, n)?;
        shapes::holds("attend", "out", out.size(), n, s.out_cols())?;
        let hd = s.head_dim;
        let scale = 1.0 / (hd as f32).sqrt();
        for i in 0..n {
            for h in 0..s.heads {
                let q = &qkv.row(i)[h * hd..(h + 1) * hd];
                let kv_head = h / (s.heads / s.kv_heads);
                let dot = |k: &[f32]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * scale;
                let mut scores: Vec<f32> = (0..=start + i).map(|p| dot(&kv.key(layer, p, kv_head))).collect();
                let max = scores.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
                scores.iter_mut().for_each(|v| *v = (*v - max).exp());
                let sum: f32 = scores.iter().sum();
                let out = &mut out.data[i * out.cols + h * hd..][..hd];
                out.fill(0.0);
                for (p, w) in scores.iter().enumerate() {
                    out.iter_mut().zip(kv.value(layer, p, kv_head)).for_each(|(o, v)| *o += w * v);
                }
                out.iter_mut().for_each(|o| *o /= sum);
            }
        }
        Ok(())
    }

    fn swiglu_quantize(&self, gate_up: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("swiglu_quantize", "gate_up", gate_up.size(), n, 2 * out.cols)?;
        shapes::holds("swiglu_quantize", "out", out.size(), n, out.cols)?;
        for i in 0..n {
            let (gate, up) = gate_up.row(i).split_at(out.cols);
            let row: Vec<f32> = gate.iter().zip(up).map(|(&g, &u)| g / (1.0 + (-g).exp()) * u).collect();
            out.put(i, &row);
        }
        Ok(())
    }

    fn logits(&self, head: &Head, weight: &[f32], eps: f32, x: &Rows, row: usize, logits: &mut [f32]) -> Result<()> {
        shapes::logits(head.size(), weight.len(), x.size(), row, logits.len())?;
        let x = rms_norm(x.row(row), weight, eps);
        match head {
            Head::Blocks { cols, q, d } => {
                let (xq, xd) = quantize_blocks(&x);
                for (r, logit) in logits.iter_mut().enumerate() {
                    *logit = 0.0;
                    for b in 0..cols / HEAD_BLOCK {
                        let at = b * HEAD_BLOCK;
                        let w = &q[r * cols + at..r * cols + at + HEAD_BLOCK];
                        let dot: i32 = w.iter().zip(&xq[at..]).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
                        *logit += dot as f32 * (d[r * (cols / HEAD_BLOCK) + b] * xd[b]);
                    }
                }
            }
            Head::Dense { cols, w } => {
                for (logit, w) in logits.iter_mut().zip(w.chunks_exact(*cols)) {
                    *logit = w.iter().zip(&x).map(|(w, x)| w * x).sum();
                }
            }
            Head::Ternary(l) => {
                let mut q = self.quant(1, x.len())?;
                q.put(0, &x);
                l.apply(&q, 1, |_, r, v| logits[r] = v);
            }
        }
        Ok(())
    }
}
