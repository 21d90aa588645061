//! One session's keys and values on the device.

use super::gpu::Gpu;
use super::memory::{Buffer, KeepAlive, Pinned, View};
use super::room::{Block, Memory};
use super::stream::{Span, Stream};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Footprint, KvPrecision, KvShape, shapes};

/// `[layer, KV head, position, dim]`, fp16, or int8 with an f32 scale for each position and head.
pub struct Kv<B = Buffer> {
    pub(super) shape: KvShape,
    k: B,
    v: B,
    scales: Option<(B, B)>,
    /// f32 `[position, pair]` of (cos, sin).
    rope: B,
}

impl<B: Block> Footprint for Kv<B> {
    fn resident(&self) -> u64 {
        let scales = self.scales.as_ref().map_or(0, |(k, v)| k.bytes() + v.bytes());
        self.k.bytes() + self.v.bytes() + scales + self.rope.bytes()
    }
}

/// A layer's keys, values and their scales, and the table of rotations.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    pub(super) k: View<'a>,
    pub(super) v: View<'a>,
    pub(super) k_scale: Option<View<'a>>,
    pub(super) v_scale: Option<View<'a>>,
    pub(super) rope: View<'a>,
}

/// Bytes of pinned memory through which a saved cache passes.
const WINDOW_BYTES: usize = 4 << 20;

impl<B: Block> Kv<B> {
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, s: &KvShape) -> Result<Self> {
        let rows = s.layers * s.kv_heads * s.context;
        let scales = match s.precision {
            KvPrecision::Int8 => Some((memory.zeros((4 * rows) as u64)?, memory.zeros((4 * rows) as u64)?)),
            KvPrecision::F16 => None,
        };
        let each = (rows * s.head_dim * element_bytes(s.precision)) as u64;
        let rope = memory.zeros((s.context * s.rope.pairs * 8) as u64)?;
        Ok(Self { shape: s.clone(), k: memory.zeros(each)?, v: memory.zeros(each)?, scales, rope })
    }
}

fn element_bytes(precision: KvPrecision) -> usize {
    match precision {
        KvPrecision::Int8 => 1,
        KvPrecision::F16 => 2,
    }
}

impl Kv {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for heads of other sizes than 64, 128 and 256; [`Kind::Unavailable`] where there is no memory left.
    pub(super) fn new(stream: &Stream, s: &KvShape) -> Result<Self> {
        if !matches!(s.head_dim, 64 | 128 | 256) {
            return Err(Error::new(Kind::Unsupported, format!("heads of {} are not supported on the GPU", s.head_dim))
                .remedy("use `--backend cpu`"));
        }
        let kv = Self::lay_out(&mut { stream }, s)?;
        let table: Vec<[f32; 2]> = s.rope.table.iter().map(|&(c, s)| [c, s]).collect();
        stream.upload(&kv.rope, 0, bytemuck::cast_slice(&table))?;
        Ok(kv)
    }

    /// Part of its kernels' names.
    pub(super) fn element(&self) -> &'static str {
        match self.shape.precision {
            KvPrecision::Int8 => "i8",
            KvPrecision::F16 => "f16",
        }
    }

    /// Bytes of one head's keys, or values, at one position.
    pub(super) fn row_bytes(&self) -> usize {
        self.shape.head_dim * element_bytes(self.shape.precision)
    }

    /// From layer `layer` on.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there is no such layer.
    pub(super) fn layer(&self, layer: usize) -> Result<Layer<'_>> {
        let rows = (layer * self.shape.kv_heads * self.shape.context) as u64;
        let at = rows * self.row_bytes() as u64;
        let (k_scale, v_scale) = match &self.scales {
            Some((k, v)) => (Some(k.view().after(rows * 4)?), Some(v.view().after(rows * 4)?)),
            None => (None, None),
        };
        Ok(Layer { k: self.k.view().after(at)?, v: self.v.view().after(at)?, k_scale, v_scale, rope: self.rope.view() })
    }

    /// What keeps all of it where it is.
    pub(super) fn owners(&self) -> Vec<KeepAlive> {
        let scales = self.scales.iter().flat_map(|(k, v)| [k, v]);
        [&self.k, &self.v, &self.rope].into_iter().chain(scales).map(Buffer::owner).collect()
    }

    /// Every run of `len` positions, in pieces that fit the window.
    fn runs(&self, len: usize) -> Vec<Span<'_>> {
        let mut out = Vec::new();
        let mut push = |buffer, offset: usize, bytes: usize| {
            for from in (0..bytes).step_by(WINDOW_BYTES) {
                let bytes = WINDOW_BYTES.min(bytes - from);
                out.push(Span { buffer, offset: (offset + from) as u64, bytes });
            }
        };
        for head in 0..self.shape.layers * self.shape.kv_heads {
            let row = head * self.shape.context;
            for b in [&self.k, &self.v] {
                push(b, row * self.row_bytes(), len * self.row_bytes());
            }
            for b in self.scales.iter().flat_map(|(k, v)| [k, v]) {
                push(b, row * 4, len * 4);
            }
        }
        out
    }

    /// Keys and values of positions `0..len` of all layers, as [`Kv::load`] takes them.
    pub(super) fn save(&self, gpu: &Gpu, stream: &Stream, len: usize) -> Result<Vec<u8>> {
        shapes::positions("save_kv", &self.shape, 0, 0, len)?;
        let runs = self.runs(len);
        let total = bytes_of(&runs);
        let mut window = Pinned::new(&gpu.device, total.min(WINDOW_BYTES))?;
        let mut saved = Vec::with_capacity(total);
        for some in windows(&runs) {
            stream.download_all(some, &mut window)?;
            saved.extend_from_slice(&window[..bytes_of(some)]);
        }
        Ok(saved)
    }

    /// Takes back what [`Kv::save`] of as many positions gave.
    ///
    /// # Errors
    /// [`Kind::Internal`] where its length is another.
    pub(super) fn load(&mut self, gpu: &Gpu, stream: &Stream, len: usize, saved: &[u8]) -> Result<()> {
        shapes::positions("load_kv", &self.shape, 0, 0, len)?;
        let runs = self.runs(len);
        let total = bytes_of(&runs);
        shapes::length("load_kv", "what was saved", saved.len(), total)?;
        let mut window = Pinned::new(&gpu.device, total.min(WINDOW_BYTES))?;
        let mut rest = saved;
        for some in windows(&runs) {
            let (part, after) = rest.split_at(bytes_of(some));
            window[..part.len()].copy_from_slice(part);
            stream.upload_all(&window, some)?;
            rest = after;
        }
        Ok(())
    }
}

fn bytes_of(runs: &[Span<'_>]) -> usize {
    runs.iter().map(|r| r.bytes).sum()
}

/// `runs`, each of which fits the window, as many at a time as fit it together.
fn windows<'a, 'b>(mut runs: &'a [Span<'b>]) -> impl Iterator<Item = &'a [Span<'b>]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = runs.iter().take_while(|r| {
            bytes += r.bytes;
            bytes <= WINDOW_BYTES
        });
        let (some, rest) = runs.split_at(fit.count());
        runs = rest;
        (!some.is_empty()).then_some(some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn runs_pass_through_the_window_whole_and_in_order() {
        // SAFETY: nothing is ever read or written there.
        let buffer = unsafe { Buffer::kept(4096, u64::MAX / 2, Arc::new(())) };
        for each in [
            vec![1],
            vec![WINDOW_BYTES],
            vec![WINDOW_BYTES - 1, 1, 1],
            vec![1, WINDOW_BYTES, 3],
            vec![9; 100_000],
            vec![],
        ] {
            let runs: Vec<_> = each.iter().map(|&bytes| Span { buffer: &buffer, offset: 0, bytes }).collect();
            let parts: Vec<_> = windows(&runs).collect();
            assert!(parts.iter().all(|p| !p.is_empty() && bytes_of(p) <= WINDOW_BYTES), "{}", each.len());
            assert_eq!(parts.concat().iter().map(|r| r.bytes).collect::<Vec<_>>(), each);
            // None could have taken the first of the next as well.
            assert!(parts.windows(2).all(|w| bytes_of(w[0]) + w[1][0].bytes > WINDOW_BYTES));
        }
    }
}
