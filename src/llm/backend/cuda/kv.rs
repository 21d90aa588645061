//! One session's keys and values on the device.

use super::attend::Partials;
use super::driver::Buffer;
use super::{Cuda, Gpu};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Footprint, KvPrecision, KvShape, shape};

/// `[layer, KV head, position, dim]`, fp16, or int8 with a scale for each position and head.
pub struct Kv {
    pub(super) shape: KvShape,
    int8: bool,
    k: Buffer,
    v: Buffer,
    scales: Option<(Buffer, Buffer)>,
    /// `[position, pair]` of (cos, sin).
    pub(super) rope: Buffer,
    partials: Option<Partials>,
}

impl Footprint for Kv {
    fn resident(&self) -> u64 {
        let scales = self.scales.as_ref().map_or(0, |(k, v)| k.bytes + v.bytes);
        self.k.bytes + self.v.bytes + scales + self.rope.bytes
    }
}

/// Elements of all keys, and scales of all keys.
fn counts(s: &KvShape) -> (usize, usize) {
    let scales = s.layers * s.kv_heads * s.context;
    (scales * s.head_dim, scales)
}

pub(super) fn bytes(s: &KvShape) -> u64 {
    let int8 = s.precision == KvPrecision::Int8;
    let (elements, scales) = counts(s);
    let cache = if int8 { 2 * (elements + 4 * scales) } else { 4 * elements };
    (cache + s.context * s.rope.pairs * 8) as u64
}

impl Kv {
    pub(super) fn new(cuda: &Cuda, s: &KvShape) -> Result<Self> {
        let int8 = s.precision == KvPrecision::Int8;
        if !matches!(s.head_dim, 64 | 128 | 256) {
            return Err(Error::new(Kind::Unsupported, format!("heads of {} are not supported on the GPU", s.head_dim))
                .remedy("use `--backend cpu`"));
        }
        let (elements, scales) = counts(s);
        let zeros = |bytes: usize| cuda.gpu.device.zeros(bytes as u64, &cuda.stream);
        let each = if int8 { elements } else { 2 * elements };
        let mut kv = Self {
            shape: s.clone(),
            int8,
            k: zeros(each)?,
            v: zeros(each)?,
            scales: if int8 { Some((zeros(4 * scales)?, zeros(4 * scales)?)) } else { None },
            rope: cuda.gpu.device.alloc((s.context * s.rope.pairs * 8) as u64)?,
            partials: None,
        };
        let table: Vec<[f32; 2]> = s.rope.table.iter().map(|&(c, s)| [c, s]).collect();
        cuda.stream.upload(&kv.rope, 0, bytemuck::cast_slice(&table))?;
        kv.partials = Some(Partials::new(&cuda.gpu, &kv, &cuda.stream)?);
        cuda.stream.wait()?;
        Ok(kv)
    }

    pub(super) fn partials(&self) -> Result<&Partials> {
        self.partials.as_ref().ok_or_else(|| Error::new(Kind::Internal, "a cache without room for partial sums"))
    }

    /// Part of its kernels' names.
    pub(super) fn element(&self) -> &'static str {
        if self.int8 { "i8" } else { "f16" }
    }

    fn row_bytes(&self) -> usize {
        self.shape.head_dim * if self.int8 { 1 } else { 2 }
    }

    /// Keys, values and their scales of a layer.
    pub(super) fn layer(&self, layer: usize) -> (u64, u64, u64, u64) {
        let rows = (layer * self.shape.kv_heads * self.shape.context) as u64;
        let (ks, vs) = self.scales.as_ref().map_or((0, 0), |(k, v)| (k.at + rows * 4, v.at + rows * 4));
        let at = rows * self.row_bytes() as u64;
        (self.k.at + at, self.v.at + at, ks, vs)
    }

    pub(super) fn fits(&self, layer: usize, start: usize, n: usize) -> bool {
        layer < self.shape.layers && start + n <= self.shape.context
    }

    /// Every run of `len` positions: buffer, offset, bytes.
    fn runs(&self, len: usize) -> Vec<(&Buffer, u64, usize)> {
        let mut out = Vec::new();
        for head in 0..self.shape.layers * self.shape.kv_heads {
            let row = (head * self.shape.context) as u64;
            for b in [&self.k, &self.v] {
                out.push((b, row * self.row_bytes() as u64, len * self.row_bytes()));
            }
            if let Some((k, v)) = &self.scales {
                out.extend([k, v].map(|b| (b, row * 4, len * 4)));
            }
        }
        out
    }

    pub(super) fn save(&self, gpu: &Gpu, stream: &super::driver::Stream, len: usize) -> Result<Vec<u8>> {
        shape(len <= self.shape.context, "save_kv")?;
        gpu.device.bind()?;
        let runs = self.runs(len);
        let mut saved = vec![0; runs.iter().map(|r| r.2).sum()];
        let mut to = saved.as_mut_slice();
        for (buffer, offset, bytes) in runs {
            let (part, rest) = to.split_at_mut(bytes);
            stream.download_later(buffer, offset, part)?;
            to = rest;
        }
        stream.wait()?;
        Ok(saved)
    }

    pub(super) fn load(&mut self, stream: &super::driver::Stream, len: usize, saved: &[u8]) -> Result<()> {
        let runs = self.runs(len);
        shape(len <= self.shape.context && saved.len() == runs.iter().map(|r| r.2).sum::<usize>(), "load_kv")?;
        let mut from = saved;
        for (buffer, offset, bytes) in runs {
            let (part, rest) = from.split_at(bytes);
            stream.upload(buffer, offset, part)?;
            from = rest;
        }
        stream.wait()
    }
}
