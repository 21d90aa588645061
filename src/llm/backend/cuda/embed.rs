//! Launcher of `kernels/embed.cu`.

use super::driver::{Launch, Stream};
use super::{Gpu, type_code};
use crate::error::Result;
use crate::llm::gguf::TensorType;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
    table: u64,
    ids: u64,
    row_bytes: u64,
    x: u64,
    start: u64,
    step: u64,
    ty: i32,
    cols: i32,
}

/// Rows of blocks to be decoded: a gathered run, on the host or on the device, or a whole table.
pub(super) struct Lookup {
    pub(super) table: u64,
    /// The rows' numbers, i32; 0: the first rows, in their order.
    pub(super) ids: u64,
    /// From a row to the next.
    pub(super) row_bytes: u64,
    pub(super) ty: TensorType,
    pub(super) cols: usize,
}

/// What the step after the lookup wants to find: its position, copied from `start` to `step`. 0: nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Publish {
    pub(super) start: u64,
    pub(super) step: u64,
}

pub(super) fn embed(gpu: &Gpu, stream: &Stream, of: &Lookup, n: usize, x: u64, publish: Publish) -> Result<()> {
    let args = Args {
        table: of.table,
        ids: of.ids,
        row_bytes: of.row_bytes,
        x,
        start: publish.start,
        step: publish.step,
        ty: type_code(of.ty),
        cols: of.cols as i32,
    };
    let grid = (of.cols.div_ceil(256) as u32, n as u32, 1);
    // The first of its step: nothing to overlap with.
    stream.launch(gpu.kernel("embed")?, Launch { grid, threads: 256, shared: 0, overlap: false }, &args)
}
