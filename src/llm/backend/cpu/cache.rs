//! The KV cache, laid out so that attention sums nothing across lanes.
//!
//! Keys: layer, KV head, block of 8 positions, dimension, position in the block. Values: layer, KV head, position,
//! dimension. Of fp16 or of int8; int8's scales: layer, KV head, position.
//!
//! Source: the formulas of RoPE and of int8 are [`super::Backend::rope_append`]'s; the layout is tercet's own.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::buffer::Buffer;
use super::operands::Cells;
use super::scalar;
use super::share::Disjoint;
use super::{Footprint, KvShape, Result, shapes};
use crate::llm::backend::KvPrecision;

const BLOCK: usize = 8;

/// Positions of a head's scales come in this many, so that vectors read none beyond them.
const SCALE_BLOCK: usize = 16;

/// One session's keys and values.
pub struct Kv {
    shape: KvShape,
    k: Plane,
    v: Plane,
}

/// The keys, or the values.
enum Plane {
    /// fp16 bits.
    F16(Buffer<u16>),
    Int8 {
        q: Buffer<i8>,
        scale: Buffer<f32>,
    },
}

/// Cells and scales of one plane.
fn lens(shape: &KvShape) -> (usize, usize) {
    let heads = shape.layers * shape.kv_heads;
    (
        heads * shape.context.next_multiple_of(BLOCK) * shape.head_dim,
        heads * shape.context.next_multiple_of(SCALE_BLOCK),
    )
}

impl Plane {
    fn bytes(shape: &KvShape) -> u64 {
        let (cells, scales) = lens(shape);
        match shape.precision {
            KvPrecision::F16 => Buffer::<u16>::bytes(cells),
            KvPrecision::Int8 => Buffer::<i8>::bytes(cells) + Buffer::<f32>::bytes(scales),
        }
    }

    fn new(shape: &KvShape) -> Result<Self> {
        let (cells, scales) = lens(shape);
        Ok(match shape.precision {
            KvPrecision::F16 => Plane::F16(Buffer::zeroed(cells)?),
            KvPrecision::Int8 => Plane::Int8 { q: Buffer::zeroed(cells)?, scale: Buffer::zeroed(scales)? },
        })
    }

    fn writer(&mut self, cells: Range<usize>, scales: Range<usize>) -> PlaneWriter<'_> {
        match self {
            Plane::F16(of) => PlaneWriter::F16(Disjoint::new(&mut of[cells])),
            Plane::Int8 { q, scale } => {
                PlaneWriter::Int8 { q: Disjoint::new(&mut q[cells]), scale: Disjoint::new(&mut scale[scales]) }
            }
        }
    }

    fn save(&self, cells: Range<usize>, scales: Range<usize>, out: &mut Vec<u8>) {
        match self {
            Plane::F16(of) => out.extend_from_slice(bytemuck::cast_slice(&of[cells])),
            Plane::Int8 { q, scale } => {
                out.extend_from_slice(bytemuck::cast_slice(&q[cells]));
                out.extend_from_slice(bytemuck::cast_slice(&scale[scales]));
            }
        }
    }

    /// Takes what [`Plane::save`] wrote off the start of `from`, which is long enough.
    fn load(&mut self, cells: Range<usize>, scales: Range<usize>, from: &mut &[u8]) {
        let mut put = |to: &mut [u8]| {
            let (part, rest) = from.split_at(to.len());
            to.copy_from_slice(part);
            *from = rest;
        };
        match self {
            Plane::F16(of) => put(bytemuck::cast_slice_mut(&mut of[cells])),
            Plane::Int8 { q, scale } => {
                put(bytemuck::cast_slice_mut(&mut q[cells]));
                put(bytemuck::cast_slice_mut(&mut scale[scales]));
            }
        }
    }

    fn resident(&self) -> u64 {
        match self {
            Plane::F16(of) => of.resident(),
            Plane::Int8 { q, scale } => q.resident() + scale.resident(),
        }
    }
}

impl Kv {
    pub(super) fn bytes(shape: &KvShape) -> u64 {
        2 * Plane::bytes(shape)
    }

    pub(super) fn new(shape: &KvShape) -> Result<Self> {
        Ok(Self { shape: shape.clone(), k: Plane::new(shape)?, v: Plane::new(shape)? })
    }

    pub(super) fn shape(&self) -> &KvShape {
        &self.shape
    }

    /// Cells of one layer's KV head.
    fn head_len(&self) -> usize {
        self.shape.context.next_multiple_of(BLOCK) * self.shape.head_dim
    }

    fn head_scales(&self) -> usize {
        self.shape.context.next_multiple_of(SCALE_BLOCK)
    }

    /// Cells and scales of `n` heads from `head` of `layer` on.
    fn heads(&self, layer: usize, head: usize, n: usize) -> (Range<usize>, Range<usize>) {
        let at = layer * self.shape.kv_heads + head;
        let of = |len: usize| at * len..(at + n) * len;
        (of(self.head_len()), of(self.head_scales()))
    }

    /// Keys and values of one KV head of one layer.
    pub(super) fn head(&self, layer: usize, head: usize) -> Cells<'_> {
        let (cells, scales) = self.heads(layer, head, 1);
        match (&self.k, &self.v) {
            (Plane::F16(k), Plane::F16(v)) => Cells::F16 { k: &k[cells.clone()], v: &v[cells] },
            (Plane::Int8 { q: k, scale: k_scale }, Plane::Int8 { q: v, scale: v_scale }) => Cells::Int8 {
                k: &k[cells.clone()],
                v: &v[cells],
                k_scale: &k_scale[scales.clone()],
                v_scale: &v_scale[scales],
            },
            _ => unreachable!("keys and values are made with one precision"),
        }
    }

    pub(super) fn writer(&mut self, layer: usize) -> Writer<'_> {
        let (head_len, head_scales) = (self.head_len(), self.head_scales());
        let (cells, scales) = self.heads(layer, 0, self.shape.kv_heads);
        Writer {
            shape: &self.shape,
            head_len,
            head_scales,
            k: self.k.writer(cells.clone(), scales.clone()),
            v: self.v.writer(cells, scales),
        }
    }

    /// Every head's keys of the first `len` positions (in whole blocks), then its values.
    pub(super) fn save(&self, len: usize) -> Result<Vec<u8>> {
        shapes::positions("save_kv", &self.shape, 0, 0, len)?;
        let mut out = Vec::with_capacity(self.saved_bytes(len));
        for head in 0..self.shape.layers * self.shape.kv_heads {
            let (keys, values, scales) = self.saved(head, len);
            self.k.save(keys, scales.clone(), &mut out);
            self.v.save(values, scales, &mut out);
        }
        Ok(out)
    }

    pub(super) fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        shapes::positions("load_kv", &self.shape, 0, 0, len)?;
        shapes::length("load_kv", "what was saved", saved.len(), self.saved_bytes(len))?;
        let mut from = saved;
        for head in 0..self.shape.layers * self.shape.kv_heads {
            let (keys, values, scales) = self.saved(head, len);
            self.k.load(keys, scales.clone(), &mut from);
            self.v.load(values, scales, &mut from);
        }
        Ok(())
    }

    /// The first `len` positions of a head, counted over all layers: keys, values, scales.
    fn saved(&self, head: usize, len: usize) -> (Range<usize>, Range<usize>, Range<usize>) {
        let (cell, scale, hd) = (head * self.head_len(), head * self.head_scales(), self.shape.head_dim);
        (cell..cell + len.next_multiple_of(BLOCK) * hd, cell..cell + len * hd, scale..scale + len)
    }

    fn saved_bytes(&self, len: usize) -> usize {
        let s = &self.shape;
        let cells = (len.next_multiple_of(BLOCK) + len) * s.head_dim;
        s.layers
            * s.kv_heads
            * match s.precision {
                KvPrecision::F16 => 2 * cells,
                KvPrecision::Int8 => cells + 2 * len * size_of::<f32>(),
            }
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
    head_scales: usize,
    k: PlaneWriter<'a>,
    v: PlaneWriter<'a>,
}

enum PlaneWriter<'a> {
    F16(Disjoint<'a, u16>),
    Int8 { q: Disjoint<'a, i8>, scale: Disjoint<'a, f32> },
}

impl PlaneWriter<'_> {
    /// Writes a head's row `x`: cell `d` at `cell + d·step`, the scale at `at`.
    ///
    /// # Safety
    /// No two calls at the same time for the same cells.
    unsafe fn put(&self, x: &[f32], cell: usize, step: usize, at: usize) {
        match self {
            PlaneWriter::F16(to) => {
                // All at once, in vectors: one by one the conversion takes longer than all else that is done here.
                let mut halves = [f16::ZERO; MAX_HEAD_DIM];
                let halves = &mut halves[..x.len()];
                halves.convert_from_f32_slice(x);
                if step == 1 {
                    // SAFETY: this head's cells; the caller keeps the rows apart.
                    let to = unsafe { to.slice(cell, x.len()) };
                    to.copy_from_slice(halves.reinterpret_cast());
                    return;
                }
                for (d, x) in halves.iter().enumerate() {
                    // SAFETY: one cell; the caller keeps the rows apart.
                    let to = unsafe { to.slice(cell + step * d, 1) };
                    to[0] = x.to_bits();
                }
            }
            PlaneWriter::Int8 { q: to, scale } => {
                let mut q = [0i8; MAX_HEAD_DIM];
                let q = &mut q[..x.len()];
                // SAFETY: one scale; the caller keeps the rows apart.
                let scale = unsafe { scale.slice(at, 1) };
                scale[0] = scalar::quantize(x, q);
                for (d, q) in q.iter().enumerate() {
                    // SAFETY: one cell; the caller keeps the rows apart.
                    let to = unsafe { to.slice(cell + step * d, 1) };
                    to[0] = *q;
                }
            }
        }
    }
}

/// No model that loads has larger heads.
const MAX_HEAD_DIM: usize = 1024;

impl Writer<'_> {
    /// Rotates a row `[q heads | k heads | v heads]` for `position` and stores its keys and values. Source: RoPE,
    /// arXiv:2104.09864.
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
        for (head, (k, v)) in k.chunks_exact(hd).zip(v.chunks_exact(hd)).enumerate() {
            let start = head * self.head_len;
            let at = head * self.head_scales + position;
            // SAFETY: cells and scales of this position and head; the caller keeps positions apart.
            unsafe {
                self.k.put(k, start + position / BLOCK * BLOCK * hd + position % BLOCK, BLOCK, at);
                self.v.put(v, start + position * hd, 1, at);
            }
        }
    }
}
