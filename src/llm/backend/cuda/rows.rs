//! Rows of activations on the device.

use super::memory::{Buffer, View};
use super::packing::Packing;
use super::room::{Block, Memory};
use crate::error::Result;
use crate::llm::backend::Footprint;
use crate::llm::backend::shapes::Size;

/// f32 `[capacity, cols]`.
pub struct Rows<B = Buffer> {
    pub(super) capacity: usize,
    pub(super) cols: usize,
    pub(super) data: B,
}

/// int8 `[capacity, stride]`, an f32 scale a row, and i32 sums `[capacity, sums_stride]` (of the row, then of each 64 columns).
pub struct Quant<B = Buffer> {
    pub(super) capacity: usize,
    pub(super) cols: usize,
    /// Columns of a row up to the end of its last tile, in either packing; those from `cols` on stay 0.
    pub(super) stride: usize,
    pub(super) sums_stride: usize,
    pub(super) q: B,
    pub(super) scale: B,
    pub(super) sums: B,
}

impl<B: Block> Footprint for Rows<B> {
    fn resident(&self) -> u64 {
        self.data.bytes()
    }
}

impl<B: Block> Footprint for Quant<B> {
    fn resident(&self) -> u64 {
        self.q.bytes() + self.scale.bytes() + self.sums.bytes()
    }
}

impl<B> Rows<B> {
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, capacity: usize, cols: usize) -> Result<Self> {
        Ok(Self { capacity, cols, data: memory.zeros((capacity * cols * 4) as u64)? })
    }

    pub(super) fn size(&self) -> Size {
        Size { rows: self.capacity, cols: self.cols }
    }
}

impl<B: Block> Rows<B> {
    /// Rows in a part of `of`, from byte `offset` on.
    pub(super) fn part(of: &B, offset: u64, capacity: usize, cols: usize) -> Result<Self> {
        Ok(Self { capacity, cols, data: of.part(offset, (capacity * cols * 4) as u64)? })
    }
}

impl Rows {
    pub(super) fn view(&self) -> View<'_> {
        self.data.view()
    }

    /// From row `row` on.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where there is no such row.
    pub(super) fn starting_at(&self, row: usize) -> Result<View<'_>> {
        self.view().after((row * self.cols * 4) as u64)
    }
}

/// Row stride of quantized rows, and stride of their sums.
fn strides(cols: usize) -> (usize, usize) {
    let whole = |packing: Packing| cols.next_multiple_of(packing.tile_cols());
    let stride = whole(Packing::TwoBits).max(whole(Packing::Base3));
    (stride, 1 + stride.div_ceil(64))
}

impl<B> Quant<B> {
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, capacity: usize, cols: usize) -> Result<Self> {
        let (stride, sums_stride) = strides(cols);
        Ok(Self {
            capacity,
            cols,
            stride,
            sums_stride,
            q: memory.zeros((capacity * stride) as u64)?,
            scale: memory.zeros((capacity * 4) as u64)?,
            sums: memory.zeros((capacity * sums_stride * 4) as u64)?,
        })
    }

    pub(super) fn size(&self) -> Size {
        Size { rows: self.capacity, cols: self.cols }
    }
}
