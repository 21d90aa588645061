//! The KV cache, the plain way: `[layer, position, kv head, dim]`, fp16, or int8 with an f32 scale a head. Source of int8:
//! the contract's quantizer (see [`crate::llm::backend`]), a head at a position being a row.

use half::f16;

use super::quantize_row;
use crate::error::Result;
use crate::llm::backend::{Footprint, KvPrecision, KvShape, shapes};

/// Keys and values.
pub struct Kv {
    shape: KvShape,
    k: Cells,
    v: Cells,
}

/// Heads one after another; those of int8 with a scale each.
enum Cells {
    F16(Vec<f16>),
    Int8 { q: Vec<i8>, scale: Vec<f32> },
}

impl Cells {
    fn new(precision: KvPrecision, heads: usize, dim: usize) -> Self {
        match precision {
            KvPrecision::F16 => Cells::F16(vec![f16::ZERO; heads * dim]),
            KvPrecision::Int8 => Cells::Int8 { q: vec![0; heads * dim], scale: vec![0.0; heads] },
        }
    }

    fn put(&mut self, head: usize, x: &[f32]) {
        let at = head * x.len()..(head + 1) * x.len();
        match self {
            Cells::F16(cells) => cells[at].iter_mut().zip(x).for_each(|(c, x)| *c = f16::from_f32(*x)),
            Cells::Int8 { q, scale } => scale[head] = quantize_row(x, &mut q[at]),
        }
    }

    fn get(&self, head: usize, dim: usize) -> Vec<f32> {
        let at = head * dim..(head + 1) * dim;
        match self {
            Cells::F16(cells) => cells[at].iter().map(|c| c.to_f32()).collect(),
            Cells::Int8 { q, scale } => q[at].iter().map(|&q| f32::from(q) * scale[head]).collect(),
        }
    }

    /// The bytes of `heads`, or what is written over them: cells, then scales.
    fn parts(&mut self, heads: std::ops::Range<usize>, dim: usize) -> Vec<&mut [u8]> {
        let at = heads.start * dim..heads.end * dim;
        match self {
            Cells::F16(cells) => vec![bytemuck::cast_slice_mut(&mut cells[at])],
            Cells::Int8 { q, scale } => {
                vec![bytemuck::cast_slice_mut(&mut q[at]), bytemuck::cast_slice_mut(&mut scale[heads])]
            }
        }
    }

    fn save(&self, heads: std::ops::Range<usize>, dim: usize, out: &mut Vec<u8>) {
        let at = heads.start * dim..heads.end * dim;
        match self {
            Cells::F16(cells) => out.extend_from_slice(bytemuck::cast_slice(&cells[at])),
            Cells::Int8 { q, scale } => {
                out.extend_from_slice(bytemuck::cast_slice(&q[at]));
                out.extend_from_slice(bytemuck::cast_slice(&scale[heads]));
            }
        }
    }
}

impl Kv {
    pub(super) fn new(shape: &KvShape) -> Self {
        let heads = shape.layers * shape.context * shape.kv_heads;
        let cells = || Cells::new(shape.precision, heads, shape.head_dim);
        Self { shape: shape.clone(), k: cells(), v: cells() }
    }

    pub(super) fn bytes(s: &KvShape) -> u64 {
        (2 * s.layers * s.context * s.kv_heads * s.head_bytes()) as u64
    }

    pub(crate) fn shape(&self) -> &KvShape {
        &self.shape
    }

    fn at(&self, layer: usize, position: usize, head: usize) -> usize {
        (layer * self.shape.context + position) * self.shape.kv_heads + head
    }

    /// Keeps a head's rotated key and its value.
    pub(super) fn put(&mut self, layer: usize, position: usize, head: usize, k: &[f32], v: &[f32]) {
        let at = self.at(layer, position, head);
        self.k.put(at, k);
        self.v.put(at, v);
    }

    pub(super) fn key(&self, layer: usize, position: usize, head: usize) -> Vec<f32> {
        self.k.get(self.at(layer, position, head), self.shape.head_dim)
    }

    pub(super) fn value(&self, layer: usize, position: usize, head: usize) -> Vec<f32> {
        self.v.get(self.at(layer, position, head), self.shape.head_dim)
    }

    pub(super) fn save(&self, len: usize) -> Result<Vec<u8>> {
        shapes::positions("save_kv", &self.shape, 0, 0, len)?;
        let mut out = Vec::new();
        for layer in 0..self.shape.layers {
            let heads = self.at(layer, 0, 0)..self.at(layer, len, 0);
            self.k.save(heads.clone(), self.shape.head_dim, &mut out);
            self.v.save(heads, self.shape.head_dim, &mut out);
        }
        Ok(out)
    }

    pub(super) fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        let s = self.shape.clone();
        shapes::positions("load_kv", &s, 0, 0, len)?;
        let bytes = 2 * s.layers * len * s.kv_heads * s.head_bytes();
        shapes::length("load_kv", "what was saved", saved.len(), bytes)?;
        let mut from = saved;
        for layer in 0..s.layers {
            let heads = self.at(layer, 0, 0)..self.at(layer, len, 0);
            let parts = self.k.parts(heads.clone(), s.head_dim).into_iter().chain(self.v.parts(heads, s.head_dim));
            for to in parts {
                let (part, rest) = from.split_at(to.len());
                to.copy_from_slice(part);
                from = rest;
            }
        }
        Ok(())
    }
}

impl Footprint for Kv {
    fn resident(&self) -> u64 {
        Self::bytes(&self.shape)
    }
}
