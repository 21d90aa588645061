//! Launcher of `kernels/repack.cu`.

use super::driver::{Launch, Stream};
use super::{Gpu, type_code};
use crate::error::Result;
use crate::llm::gguf::TensorType;

#[derive(Clone, Copy)]
#[repr(C)]
struct TernaryArgs {
    from: u64,
    row_bytes: u64,
    w: u64,
    group_scale: u64,
    bad: u64,
    ty: i32,
    count: i32,
    cols: i32,
    tiles: i32,
    first: i32,
    pair: i32,
    group: i32,
}

/// Ternary rows in the file's blocks, on the device.
pub(super) struct Stored {
    pub(super) at: u64,
    pub(super) row_bytes: usize,
    pub(super) ty: TensorType,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// Where they go.
pub(super) struct Place {
    pub(super) w: u64,
    pub(super) group_scale: u64,
    /// Counter of codes that base 3 cannot hold.
    pub(super) bad: u64,
    pub(super) tiles: usize,
    /// Row of the first one.
    pub(super) first: usize,
    /// 0 for gate and 1 for up, where the two are paired.
    pub(super) pair: Option<usize>,
    pub(super) group: usize,
    pub(super) base3: bool,
}

pub(super) fn ternary(gpu: &Gpu, stream: &Stream, from: &Stored, to: &Place) -> Result<()> {
    let args = TernaryArgs {
        from: from.at,
        row_bytes: from.row_bytes as u64,
        w: to.w,
        group_scale: to.group_scale,
        bad: to.bad,
        ty: type_code(from.ty),
        count: from.rows as i32,
        cols: from.cols as i32,
        tiles: to.tiles as i32,
        first: to.first as i32,
        pair: to.pair.map_or(-1, |p| p as i32),
        group: to.group as i32,
    };
    let words = from.rows as u64 * to.tiles as u64 * 8;
    let launch = Launch { grid: (words.div_ceil(256) as u32, 1, 1), threads: 256, shared: 0, overlap: false };
    stream.launch(gpu.kernel(if to.base3 { "repack_base3" } else { "repack_2bit" })?, launch, &args)
}

#[derive(Clone, Copy)]
#[repr(C)]
struct BlocksArgs {
    from: u64,
    q: u64,
    scale: u64,
    blocks: i32,
    per_lane: i32,
    rows: i32,
    first: i32,
}

/// Q4_0 or Q8_0 rows at `from` into planes.
pub(super) fn blocks(
    gpu: &Gpu,
    stream: &Stream,
    (from, int8): (u64, bool),
    (q, scale): (u64, u64),
    (blocks, per_lane): (usize, usize),
    (first, rows): (usize, usize),
) -> Result<()> {
    let args = BlocksArgs {
        from,
        q,
        scale,
        blocks: blocks as i32,
        per_lane: per_lane as i32,
        rows: rows as i32,
        first: first as i32,
    };
    let launch = Launch { grid: ((rows * blocks).div_ceil(256) as u32, 1, 1), threads: 256, shared: 0, overlap: false };
    stream.launch(gpu.kernel(if int8 { "repack_blocks8" } else { "repack_blocks4" })?, launch, &args)
}
