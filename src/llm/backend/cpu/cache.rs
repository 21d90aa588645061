//! The KV cache: fp16, laid out so that attention sums nothing across lanes.
//!
//! Keys: layer, KV head, block of 8 positions, dimension, position in the block. Values: layer, KV head, position,
//! dimension.

use half::f16;

use super::buffer::Buffer;
use super::share::Disjoint;
use super::{Footprint, KvShape, Result, shape};

const BLOCK: usize = 8;

/// One session's keys and values.
pub struct Kv {
    shape: KvShape,
    k: Buffer<u16>,
    v: Buffer<u16>,
}

impl Kv {
    /// Positions, rounded up to whole blocks.
    fn positions(shape: &KvShape) -> usize {
        shape.context.next_multiple_of(BLOCK)
    }

    pub(super) fn bytes(shape: &KvShape) -> u64 {
        2 * Buffer::<u16>::bytes(shape.layers * shape.kv_heads * Self::positions(shape) * shape.head_dim)
    }

    pub(super) fn new(shape: &KvShape) -> Result<Self> {
        let n = shape.layers * shape.kv_heads * Self::positions(shape) * shape.head_dim;
        Ok(Self { shape: shape.clone(), k: Buffer::zeroed(n)?, v: Buffer::zeroed(n)? })
    }

    pub(super) fn shape(&self) -> &KvShape {
        &self.shape
    }

    pub(super) fn fits(&self, layer: usize, start: usize, n: usize) -> bool {
        layer < self.shape.layers && start + n <= self.shape.context
    }

    /// Elements of one layer's KV head.
    fn head_len(&self) -> usize {
        Self::positions(&self.shape) * self.shape.head_dim
    }

    fn head_start(&self, layer: usize, head: usize) -> usize {
        (layer * self.shape.kv_heads + head) * self.head_len()
    }

    /// Keys and values of one KV head of one layer.
    pub(super) fn head(&self, layer: usize, head: usize) -> (&[u16], &[u16]) {
        let at = self.head_start(layer, head)..self.head_start(layer, head + 1);
        (&self.k[at.clone()], &self.v[at])
    }

    pub(super) fn writer(&mut self, layer: usize) -> Writer<'_> {
        let head_len = self.head_len();
        let at = self.head_start(layer, 0)..self.head_start(layer, self.shape.kv_heads);
        Writer {
            shape: &self.shape,
            head_len,
            k: Disjoint::new(&mut self.k[at.clone()]),
            v: Disjoint::new(&mut self.v[at]),
        }
    }

    /// Every head's keys of the first `len` positions (in whole blocks), then its values.
    pub(super) fn save(&self, len: usize) -> Result<Vec<u8>> {
        shape(len <= self.shape.context, "save_kv")?;
        let (keys, values) = self.saved_len(len);
        let heads = self.shape.layers * self.shape.kv_heads;
        let mut out = Vec::with_capacity(heads * (keys + values) * 2);
        for at in (0..heads).map(|h| h * self.head_len()) {
            out.extend_from_slice(bytemuck::cast_slice(&self.k[at..at + keys]));
            out.extend_from_slice(bytemuck::cast_slice(&self.v[at..at + values]));
        }
        Ok(out)
    }

    pub(super) fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        let (keys, values) = self.saved_len(len);
        let heads = self.shape.layers * self.shape.kv_heads;
        shape(len <= self.shape.context && saved.len() == heads * (keys + values) * 2, "load_kv")?;
        let step = self.head_len();
        for (h, saved) in saved.chunks_exact(((keys + values) * 2).max(1)).enumerate() {
            let (k, v) = saved.split_at(keys * 2);
            bytemuck::cast_slice_mut(&mut self.k[h * step..h * step + keys]).copy_from_slice(k);
            bytemuck::cast_slice_mut(&mut self.v[h * step..h * step + values]).copy_from_slice(v);
        }
        Ok(())
    }

    fn saved_len(&self, len: usize) -> (usize, usize) {
        (len.next_multiple_of(BLOCK) * self.shape.head_dim, len * self.shape.head_dim)
    }
}

impl Footprint for Kv {
    fn resident(&self) -> u64 {
        self.k.resident() + self.v.resident()
    }
}

/// Appends to one layer from several threads.
pub(super) struct Writer<'a> {
    shape: &'a KvShape,
    head_len: usize,
    k: Disjoint<'a, u16>,
    v: Disjoint<'a, u16>,
}

impl Writer<'_> {
    /// Rotates a row `[q heads | k heads | v heads]` for `position` and stores its keys and values.
    ///
    /// # Safety
    /// No two calls at the same time for the same position.
    pub(super) unsafe fn rope_append(&self, row: &mut [f32], position: usize) {
        let s = self.shape;
        let hd = s.head_dim;
        let pairs = s.rope.at(position);
        for head in row[..(s.heads + s.kv_heads) * hd].chunks_exact_mut(hd) {
            for (pair, &(cos, sin)) in head.chunks_exact_mut(2).zip(pairs) {
                let (a, b) = (pair[0], pair[1]);
                pair[0] = a * cos - b * sin;
                pair[1] = a * sin + b * cos;
            }
        }
        let (k, v) = row[s.heads * hd..].split_at(s.kv_heads * hd);
        for head in 0..s.kv_heads {
            let block = head * self.head_len + position / BLOCK * BLOCK * hd + position % BLOCK;
            for (d, k) in k[head * hd..(head + 1) * hd].iter().enumerate() {
                // SAFETY: one element, of this position and dimension only; the caller keeps positions apart.
                let to = unsafe { self.k.slice(block + BLOCK * d, 1) };
                to[0] = f16::from_f32(*k).to_bits();
            }
            // SAFETY: this position's values; the caller keeps positions apart.
            let to = unsafe { self.v.slice(head * self.head_len + position * hd, hd) };
            for (to, v) in to.iter_mut().zip(&v[head * hd..(head + 1) * hd]) {
                *to = f16::from_f32(*v).to_bits();
            }
        }
    }
}
