//! A backend that does one thing wrong, for every way an operation can go wrong unnoticed.

use half::f16;

use super::data::push_block;
use crate::error::Result;
use crate::llm::backend::reference::{self, Reference};
use crate::llm::backend::{Backend, FileRows, KvPrecision, KvShape, Once, Part, QkNorm};
use crate::llm::gguf::TensorType;
use crate::llm::quant::{Groups, Ternary};
use crate::units::TokenId;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    EmbedNextRow,
    EmbedFirstTokenOnly,
    NormWithoutEps,
    NormWithoutWeight,
    NormOfTheRowBefore,
    QuantizeTruncates,
    QuantizeTiesAway,
    QuantizeTailDropped,
    QuantizeScaleInverted,
    CodesSwapped,
    CodesTailDropped,
    LastRowDropped,
    LastTokenDropped,
    ScaleOffByAGroup,
    ScaleOfTheFirstRow,
    FactorForgotten,
    SumOverflows16Bits,
    IntoAdds,
    AddReplaces,
    RopeOffByOne,
    RopeTurnsBackwards,
    RopeOfHalves,
    ValuesOfTheKeys,
    ValuesFlushed,
    AppendToTheFirstLayer,
    HeadNormsForgotten,
    HeadNormsSwapped,
    Int8NotRounded,
    AttendWithoutSelf,
    AttendOneTooMany,
    AttendUnscaled,
    AttendOtherKvHead,
    AttendFirstRowOnly,
    GateAndUpSwapped,
    SwigluIsGelu,
    SwigluTailDropped,
    NibblesSwapped,
    HeadScaleOffByABlock,
    HeadTailDropped,
    HeadLastRowDropped,
    LogitsOfTheFirstRow,
    KeepsOneLayer,
    KeepsOneTooFew,
}

/// The reference with a fault.
pub(super) struct Mutant(pub(super) Fault);

impl Mutant {
    fn has(&self, fault: Fault) -> bool {
        self.0 == fault
    }

    /// `w` with this mutant's fault, stored as Q2_0 groups of 64.
    fn weights(&self, w: &Ternary<'_>) -> (usize, Vec<u8>) {
        let (rows, cols) = (w.rows(), w.cols());
        let block = w.block_cols();
        let mut bytes = Vec::new();
        let (mut codes, mut scales) = (vec![0u8; cols], vec![0f32; cols / block]);
        for r in 0..rows {
            let from = if self.has(Fault::ScaleOfTheFirstRow) { 0 } else { r };
            w.row(from, &mut codes, &mut scales);
            let kept = scales.clone();
            w.row(r, &mut codes, &mut scales);
            scales = kept;
            match self.0 {
                Fault::CodesSwapped => codes.chunks_exact_mut(2).for_each(|c| c.swap(0, 1)),
                Fault::CodesTailDropped => codes[cols - 32..].fill(1),
                Fault::ScaleOffByAGroup => scales.rotate_left(1),
                _ => {}
            }
            for (i, codes) in codes.chunks_exact(64).enumerate() {
                push_block(TensorType::Q2_0, codes, f16::from_f32(scales[i * 64 / block]), &mut bytes);
            }
        }
        (rows, bytes)
    }

    fn linear_of(&self, parts: &[Part<'_>]) -> Result<reference::Linear> {
        let changed: Vec<(usize, Vec<u8>)> = parts.iter().map(|p| self.weights(&p.weights)).collect();
        let cols = parts[0].weights.cols();
        let part = |((rows, bytes), old): (&'_ (usize, Vec<u8>), &Part<'_>)| -> Result<(usize, Vec<u8>, f32)> {
            let factor = if self.has(Fault::FactorForgotten) { 1.0 } else { old.factor };
            Ok((*rows, bytes.clone(), factor))
        };
        let changed = changed.iter().zip(parts).map(part).collect::<Result<Vec<_>>>()?;
        let parts = changed.iter().map(|(rows, bytes, factor)| {
            Ok(Part { weights: Ternary::new(TensorType::Q2_0, *rows, cols, bytes)?, factor: *factor })
        });
        Reference.linear(&parts.collect::<Result<Vec<_>>>()?)
    }

    fn product(
        &self,
        add: bool,
        w: &reference::Linear,
        x: &reference::Quant,
        n: usize,
        y: &mut reference::Rows,
    ) -> Result<()> {
        let n = if self.has(Fault::LastTokenDropped) && n > 1 { n - 1 } else { n };
        let old = Reference.read_rows(y, n)?;
        match add {
            true => Reference.linear_add(w, x, n, y)?,
            false => Reference.linear_into(w, x, n, y)?,
        }
        let mut now = Reference.read_rows(y, n)?;
        let cols = now.len() / n;
        match self.0 {
            Fault::LastRowDropped => (cols - 1..now.len()).step_by(cols).for_each(|i| now[i] = old[i]),
            // As if pairs of bytes had been summed in 16 bits a few too many times.
            Fault::SumOverflows16Bits => {
                let scales = Reference.read_quant(x, n)?.1;
                for (row, scale) in now.chunks_exact_mut(cols).zip(scales) {
                    row.iter_mut().filter(|v| v.abs() > 2e6 * scale).for_each(|v| *v -= 65536.0 * scale);
                }
            }
            _ => {}
        }
        Reference.write_rows(y, &now)
    }

    /// Reads rows, changes them, and gives them to `then`.
    fn with_rows<T>(
        rows: &reference::Rows,
        n: usize,
        change: impl FnOnce(&mut Vec<f32>),
        then: impl FnOnce(&reference::Rows) -> Result<T>,
    ) -> Result<T> {
        let mut data = Reference.read_rows(rows, n)?;
        let cols = data.len() / n;
        change(&mut data);
        let mut changed = Reference.rows(n, cols)?;
        Reference.write_rows(&mut changed, &data)?;
        then(&changed)
    }

    fn change_quant(
        q: &mut reference::Quant,
        n: usize,
        change: impl FnOnce(&mut Vec<i8>, &mut Vec<f32>),
    ) -> Result<()> {
        let (mut values, mut scales) = Reference.read_quant(q, n)?;
        change(&mut values, &mut scales);
        Reference.write_quant(q, &values, &scales)
    }
}

impl Backend for Mutant {
    type Rows = reference::Rows;
    type Quant = reference::Quant;
    type Linear = reference::Linear;
    type Embedding = FileRows;
    type Head = reference::Head;
    type Kv = reference::Kv;

    fn describe(&self) -> String {
        format!("wrong: {:?}", self.0)
    }
    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        Reference.rows_bytes(capacity, cols)
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        Reference.quant_bytes(capacity, cols)
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        Reference.linear_bytes(rows, cols, group)
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        Reference.head_bytes(ty, rows, cols)
    }
    fn kv_bytes(&self, shape: &KvShape) -> u64 {
        Reference.kv_bytes(shape)
    }
    fn rows(&self, capacity: usize, cols: usize) -> Result<Self::Rows> {
        Reference.rows(capacity, cols)
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<Self::Quant> {
        Reference.quant(capacity, cols)
    }
    fn kv(&self, shape: &KvShape) -> Result<Self::Kv> {
        match self.0 {
            Fault::Int8NotRounded => Reference.kv(&KvShape { precision: KvPrecision::F16, ..shape.clone() }),
            _ => Reference.kv(shape),
        }
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<Self::Linear> {
        let whole = parts.iter().all(|p| matches!(p.weights.groups(), Groups::Tensor(_)));
        // Only groups have scales to be off by one; stored as groups of 64 everything else is the same matrix.
        if whole && matches!(self.0, Fault::ScaleOffByAGroup) { Reference.linear(parts) } else { self.linear_of(parts) }
    }
    fn embedding(&self, table: FileRows) -> Result<FileRows> {
        Ok(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Self::Head> {
        let mut bytes = bytes.bytes.to_vec();
        let (weights, size) = ty.block();
        let row = cols / weights * size;
        match self.0 {
            Fault::NibblesSwapped if ty == TensorType::Q4_0 => {
                bytes.chunks_exact_mut(size).for_each(|b| b[2..].iter_mut().for_each(|v| *v = v.rotate_left(4)))
            }
            Fault::HeadScaleOffByABlock if ty == TensorType::Q4_0 => bytes.chunks_exact_mut(row).for_each(|r| {
                let first = [r[0], r[1]];
                for b in 0..cols / weights {
                    let next = if b + 1 < cols / weights { [r[(b + 1) * size], r[(b + 1) * size + 1]] } else { first };
                    r[b * size..b * size + 2].copy_from_slice(&next);
                }
            }),
            Fault::HeadTailDropped => bytes.chunks_exact_mut(row).for_each(|r| r[row - size..].fill(0)),
            _ => {}
        }
        Reference.head(ty, rows, cols, Once::kept(&bytes))
    }
    fn write_rows(&self, to: &mut Self::Rows, data: &[f32]) -> Result<()> {
        Reference.write_rows(to, data)
    }
    fn read_rows(&self, from: &Self::Rows, n: usize) -> Result<Vec<f32>> {
        Reference.read_rows(from, n)
    }
    fn write_quant(&self, to: &mut Self::Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        Reference.write_quant(to, q, scales)
    }
    fn read_quant(&self, from: &Self::Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        Reference.read_quant(from, n)
    }
    fn save_kv(&self, kv: &Self::Kv, len: usize) -> Result<Vec<u8>> {
        let mut saved = Reference.save_kv(kv, len)?;
        let layer = saved.len() / 2;
        match self.0 {
            Fault::KeepsOneLayer => saved.copy_within(..layer, layer),
            Fault::KeepsOneTooFew if len > 0 => {
                let row = layer / 2 / len;
                saved[layer - row..layer].fill(0);
            }
            _ => {}
        }
        Ok(saved)
    }
    fn load_kv(&self, kv: &mut Self::Kv, len: usize, saved: &[u8]) -> Result<()> {
        Reference.load_kv(kv, len, saved)
    }

    fn embed(&self, table: &FileRows, tokens: &[TokenId], x: &mut Self::Rows) -> Result<()> {
        let rows = table.tensor.rows() as u32;
        let next = |t: &TokenId| if t.0 < rows { TokenId((t.0 + 1) % rows) } else { *t };
        let tokens: Vec<TokenId> = match self.0 {
            Fault::EmbedNextRow => tokens.iter().map(next).collect(),
            Fault::EmbedFirstTokenOnly => vec![tokens[0]; tokens.len()],
            _ => tokens.to_vec(),
        };
        Reference.embed(table, &tokens, x)
    }

    fn norm_quantize(&self, x: &Self::Rows, n: usize, weight: &[f32], eps: f32, out: &mut Self::Quant) -> Result<()> {
        let ones = vec![1.0; weight.len()];
        match self.0 {
            Fault::NormWithoutEps => Reference.norm_quantize(x, n, weight, 1e-30, out),
            Fault::NormWithoutWeight => Reference.norm_quantize(x, n, &ones, eps, out),
            Fault::NormOfTheRowBefore => {
                let cols = weight.len();
                let shift = |d: &mut Vec<f32>| d.copy_within(0..(n - 1) * cols, cols);
                Self::with_rows(x, n, shift, |x| Reference.norm_quantize(x, n, weight, eps, out))
            }
            _ => Reference.norm_quantize(x, n, weight, eps, out),
        }
    }

    fn quantize(&self, x: &Self::Rows, n: usize, out: &mut Self::Quant) -> Result<()> {
        Reference.quantize(x, n, out)?;
        let x = Reference.read_rows(x, n)?;
        let cols = x.len() / n;
        let again = |out: &mut Self::Quant, round: fn(f32) -> f32| {
            Self::change_quant(out, n, |q, scales| {
                let rows = q.chunks_exact_mut(cols).zip(x.chunks_exact(cols)).zip(scales);
                for ((q, x), scale) in rows {
                    let s = 127.0 / (*scale * 127.0);
                    q.iter_mut().zip(x).for_each(|(q, v)| *q = round(v * s).clamp(-128.0, 127.0) as i8);
                }
            })
        };
        match self.0 {
            Fault::QuantizeTruncates => again(out, f32::trunc),
            Fault::QuantizeTiesAway => again(out, f32::round),
            Fault::QuantizeTailDropped => {
                let tail = cols / 32 * 32;
                Self::change_quant(out, n, |q, _| q.chunks_exact_mut(cols).for_each(|q| q[tail..].fill(0)))
            }
            Fault::QuantizeScaleInverted => {
                Self::change_quant(out, n, |_, scales| scales.iter_mut().for_each(|s| *s = 1.0 / *s))
            }
            _ => Ok(()),
        }
    }

    fn linear_into(&self, w: &Self::Linear, x: &Self::Quant, n: usize, y: &mut Self::Rows) -> Result<()> {
        self.product(self.has(Fault::IntoAdds), w, x, n, y)
    }
    fn linear_add(&self, w: &Self::Linear, x: &Self::Quant, n: usize, y: &mut Self::Rows) -> Result<()> {
        self.product(!self.has(Fault::AddReplaces), w, x, n, y)
    }

    fn rope_append(
        &self,
        qkv: &mut Self::Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut Self::Kv,
    ) -> Result<()> {
        let swapped = norms.map(|by| QkNorm { q: by.k.clone(), k: by.q.clone(), eps: by.eps });
        let norms = match self.0 {
            Fault::HeadNormsForgotten => None,
            Fault::HeadNormsSwapped => swapped.as_ref(),
            _ => norms,
        };
        let s = kv.shape().clone();
        let plain = Reference.read_rows(qkv, n)?;
        let (cols, hd, values) = (s.qkv_cols(), s.head_dim, (s.heads + s.kv_heads) * s.head_dim);
        match self.0 {
            // The first of two rows lands where the second belongs, and is then overwritten.
            Fault::RopeOffByOne if start + n < s.context => {
                Reference.rope_append(qkv, n, layer, start, norms, kv)?;
                let stored = Reference.read_rows(qkv, n)?;
                Reference.write_rows(qkv, &plain)?;
                let (mut other, at) = (Reference.kv(&s)?, start + 1);
                Reference.rope_append(qkv, n, layer, at, norms, &mut other)?;
                let mut turned = Reference.read_rows(qkv, n)?;
                for (turned, stored) in turned.chunks_exact_mut(cols).zip(stored.chunks_exact(cols)) {
                    turned[values..].copy_from_slice(&stored[values..]);
                }
                Reference.write_rows(qkv, &turned)
            }
            Fault::RopeTurnsBackwards => {
                let swap = |d: &mut [f32]| {
                    d.chunks_exact_mut(cols)
                        .for_each(|row| row[..values].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1)))
                };
                let mut data = plain;
                swap(&mut data);
                Reference.write_rows(qkv, &data)?;
                Reference.rope_append(qkv, n, layer, start, norms, kv)?;
                let mut data = Reference.read_rows(qkv, n)?;
                swap(&mut data);
                Reference.write_rows(qkv, &data)
            }
            Fault::RopeOfHalves => {
                let mut data = plain;
                for row in data.chunks_exact_mut(cols) {
                    for head in row[..values].chunks_exact_mut(hd) {
                        let old = head.to_vec();
                        (0..hd).for_each(|i| head[i] = old[i % 2 * (hd / 2) + i / 2]);
                    }
                }
                Reference.write_rows(qkv, &data)?;
                Reference.rope_append(qkv, n, layer, start, norms, kv)
            }
            Fault::ValuesOfTheKeys => {
                let mut data = plain;
                let len = s.kv_heads * hd;
                data.chunks_exact_mut(cols).for_each(|row| row.copy_within(values - len..values, values));
                Reference.write_rows(qkv, &data)?;
                Reference.rope_append(qkv, n, layer, start, norms, kv)
            }
            Fault::ValuesFlushed => {
                let mut data = plain;
                let small = |v: &mut f32| *v = if v.abs() < 0.125 { 0.0 } else { *v };
                data.chunks_exact_mut(cols).for_each(|row| row[values..].iter_mut().for_each(small));
                Reference.write_rows(qkv, &data)?;
                Reference.rope_append(qkv, n, layer, start, norms, kv)
            }
            Fault::AppendToTheFirstLayer => Reference.rope_append(qkv, n, layer.min(s.layers) / 2, start, norms, kv),
            _ => Reference.rope_append(qkv, n, layer, start, norms, kv),
        }
    }

    fn attend(
        &self,
        qkv: &Self::Rows,
        n: usize,
        layer: usize,
        start: usize,
        kv: &Self::Kv,
        out: &mut Self::Rows,
    ) -> Result<()> {
        let s = kv.shape();
        let (cols, hd, group) = (s.qkv_cols(), s.head_dim, s.heads / s.kv_heads);
        match self.0 {
            Fault::AttendWithoutSelf if start > 0 => Reference.attend(qkv, n, layer, start - 1, kv, out),
            Fault::AttendOneTooMany if start + n < s.context => Reference.attend(qkv, n, layer, start + 1, kv, out),
            Fault::AttendUnscaled => {
                let by = (hd as f32).sqrt();
                let scale = |d: &mut Vec<f32>| d.iter_mut().for_each(|v| *v *= by);
                Self::with_rows(qkv, n, scale, |qkv| Reference.attend(qkv, n, layer, start, kv, out))
            }
            Fault::AttendOtherKvHead => {
                let turn = |d: &mut Vec<f32>| {
                    d.chunks_exact_mut(cols).for_each(|row| row[..s.heads * hd].rotate_left(group * hd));
                };
                Self::with_rows(qkv, n, turn, |qkv| Reference.attend(qkv, n, layer, start, kv, out))
            }
            Fault::AttendFirstRowOnly => {
                let copy = |d: &mut Vec<f32>| (1..n).for_each(|i| d.copy_within(0..cols, i * cols));
                Self::with_rows(qkv, n, copy, |qkv| Reference.attend(qkv, n, layer, start, kv, out))
            }
            _ => Reference.attend(qkv, n, layer, start, kv, out),
        }
    }

    fn swiglu_quantize(&self, gate_up: &Self::Rows, n: usize, out: &mut Self::Quant) -> Result<()> {
        let cols = Reference.read_rows(gate_up, n)?.len() / n / 2;
        match self.0 {
            Fault::GateAndUpSwapped => {
                let swap = |d: &mut Vec<f32>| d.chunks_exact_mut(2 * cols).for_each(|row| row.rotate_left(cols));
                Self::with_rows(gate_up, n, swap, |x| Reference.swiglu_quantize(x, n, out))
            }
            // x·σ(1.702·x), the usual approximation.
            Fault::SwigluIsGelu => {
                let bend = |d: &mut Vec<f32>| {
                    for row in d.chunks_exact_mut(2 * cols) {
                        let (g, u) = row.split_at_mut(cols);
                        g.iter_mut().for_each(|g| *g *= 1.702);
                        u.iter_mut().for_each(|u| *u /= 1.702);
                    }
                };
                Self::with_rows(gate_up, n, bend, |x| Reference.swiglu_quantize(x, n, out))
            }
            Fault::SwigluTailDropped => {
                Reference.swiglu_quantize(gate_up, n, out)?;
                let tail = cols / 8 * 8;
                Self::change_quant(out, n, |q, _| q.chunks_exact_mut(cols).for_each(|q| q[tail..].fill(0)))
            }
            _ => Reference.swiglu_quantize(gate_up, n, out),
        }
    }

    fn logits(
        &self,
        head: &Self::Head,
        weight: &[f32],
        eps: f32,
        x: &Self::Rows,
        row: usize,
        logits: &mut [f32],
    ) -> Result<()> {
        let row = if self.has(Fault::LogitsOfTheFirstRow) { 0 } else { row };
        let last = logits.len() - 1;
        Reference.logits(head, weight, eps, x, row, logits)?;
        if self.has(Fault::HeadLastRowDropped) {
            logits[last] = 0.0;
        }
        Ok(())
    }
}
