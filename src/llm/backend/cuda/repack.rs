//! Launcher of `kernels/repack.cu`: the file's blocks into the kernels' own layouts.

use super::agreed::{Arguments, Source, arguments, type_code};
use super::function::Launch;
use super::gpu::Gpu;
use super::memory::{View, or_null};
use super::packing::{STRIP_ROWS, TILE_BYTES};
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes::shape;
use crate::llm::gguf::TensorType;

arguments! {
    TernaryArgs as "RepackArgs" {
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
}

arguments! {
    BlocksArgs as "BlocksArgs" {
        from: u64,
        q: u64,
        scale: u64,
        blocks: i32,
        per_lane: i32,
        rows: i32,
        first: i32,
    }
}

const THREADS: usize = 256;

pub(super) const SOURCE: Source = Source {
    name: "repack",
    text: include_str!("../../../../kernels/repack.cu"),
    constants: &[("THREADS", THREADS)],
    structs: &[TernaryArgs::LAYOUT, BlocksArgs::LAYOUT],
    arch: 0,
};

/// Ternary rows `[rows, cols]` in the file's blocks, on the device.
pub(super) struct Stored<'a> {
    pub(super) at: View<'a>,
    pub(super) row_bytes: usize,
    pub(super) ty: TensorType,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// Where they go.
pub(super) struct Place<'a> {
    pub(super) w: View<'a>,
    pub(super) group_scale: Option<View<'a>>,
    /// i32: counts codes that base 3 cannot hold.
    pub(super) bad: View<'a>,
    pub(super) tiles: usize,
    pub(super) strips: usize,
    /// Row of the first one.
    pub(super) first: usize,
    /// 0 for gate and 1 for up, where the two are paired.
    pub(super) pair: Option<usize>,
    /// Columns that share a scale, 64 or 128.
    pub(super) group: usize,
    pub(super) base3: bool,
}

/// Packs ternary rows into tiles.
///
/// # Errors
/// [`crate::error::Kind::Internal`] where the rows or their place are shorter than their shapes say.
pub(super) fn ternary(gpu: &Gpu, stream: &Stream, from: &Stored<'_>, to: &Place<'_>) -> Result<()> {
    let last = (to.first + from.rows).saturating_sub(1);
    // Gate and up take turns, eight rows each.
    let last = if to.pair.is_some() { last / 8 * STRIP_ROWS + STRIP_ROWS - 1 } else { last };
    shape(last < to.strips * STRIP_ROWS, || {
        format!(
            "repack: {} rows from {} would end in row {last}, but there are {} strips of {STRIP_ROWS}",
            from.rows, to.first, to.strips
        )
    })?;
    shape(from.ty.row_bytes(from.cols).is_some_and(|b| b <= from.row_bytes), || {
        format!("repack: {} columns of {} do not fit rows of {} bytes", from.cols, from.ty, from.row_bytes)
    })?;
    let tiles = to.tiles * to.strips;
    let args = TernaryArgs {
        from: from.at.holding(from.rows * from.row_bytes, "stored rows")?,
        row_bytes: from.row_bytes as u64,
        w: to.w.holding(tiles * TILE_BYTES, "a matrix's tiles")?,
        group_scale: or_null(to.group_scale, tiles * STRIP_ROWS * (128 / to.group) * 2, "a matrix's scales")?,
        bad: to.bad.holding(4, "a counter")?,
        ty: type_code(from.ty),
        count: from.rows as i32,
        cols: from.cols as i32,
        tiles: to.tiles as i32,
        first: to.first as i32,
        pair: to.pair.map_or(-1, |p| p as i32),
        group: to.group as i32,
    };
    let words = from.rows * to.tiles * 8;
    let launch =
        Launch { grid: (words.div_ceil(THREADS) as u32, 1, 1), threads: THREADS as u32, shared: 0, overlap: false };
    // SAFETY: the struct is the kernel's; lengths were checked above, for all rows between the first and the last.
    unsafe { stream.launch(&gpu.kernel(if to.base3 { "repack_base3" } else { "repack_2bit" })?, launch, &args) }
}

/// Q4_0 or (`int8`) Q8_0 rows at `from` into planes of integers and scales, from row `first` on.
///
/// # Errors
/// [`crate::error::Kind::Internal`] where the rows or the planes are shorter than their shapes say.
pub(super) fn blocks(
    gpu: &Gpu,
    stream: &Stream,
    (from, int8): (View<'_>, bool),
    (q, scale): (View<'_>, View<'_>),
    (blocks, per_lane): (usize, usize),
    (first, rows): (usize, usize),
) -> Result<()> {
    let (name, bytes) = if int8 { ("repack_blocks8", 32) } else { ("repack_blocks4", 16) };
    shape(blocks <= 32 * per_lane, || format!("{name}: rows of {blocks} blocks, but 32 lanes hold {per_lane} each"))?;
    let args = BlocksArgs {
        from: from.holding(rows * blocks * (bytes + 2), "stored rows")?,
        q: q.holding((first + rows) * blocks * bytes, "a head's integers")?,
        scale: scale.holding((first + rows) * 32 * per_lane * 2, "a head's scales")?,
        blocks: blocks as i32,
        per_lane: per_lane as i32,
        rows: rows as i32,
        first: first as i32,
    };
    let grid = ((rows * blocks).div_ceil(THREADS) as u32, 1, 1);
    let launch = Launch { grid, threads: THREADS as u32, shared: 0, overlap: false };
    // SAFETY: the struct is the kernel's; lengths were checked above.
    unsafe { stream.launch(&gpu.kernel(name)?, launch, &args) }
}
