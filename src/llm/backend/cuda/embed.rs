//! Launcher of `kernels/embed.cu`: rows of the embedding, decoded.

use super::agreed::{Arguments, Source, arguments, type_code};
use super::function::Launch;
use super::gpu::Gpu;
use super::memory::{View, or_null};
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes::shape;
use crate::llm::gguf::TensorType;

arguments! {
    Args as "EmbedArgs" {
        table: u64,
        ids: u64,
        row_bytes: u64,
        x: u64,
        start: u64,
        step: u64,
        ty: i32,
        cols: i32,
    }
}

const THREADS: usize = 256;

pub(super) const SOURCE: Source = Source {
    name: "embed",
    text: include_str!("../../../../kernels/embed.cu"),
    constants: &[("THREADS", THREADS)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// Rows of blocks to be decoded: a gathered run, on the host or on the device, or a whole table.
pub(super) struct Lookup<'a> {
    pub(super) table: View<'a>,
    /// The rows' numbers, i32, each within the table, as the caller sees to; `None`: the first rows, in their order.
    pub(super) ids: Option<View<'a>>,
    /// From a row to the next.
    pub(super) row_bytes: usize,
    pub(super) ty: TensorType,
    /// Weights of a row.
    pub(super) cols: usize,
}

/// What the step after the lookup wants to find: its position (i32), copied from `start` to `step`.
#[derive(Clone, Copy)]
pub(super) struct Publish<'a> {
    pub(super) start: View<'a>,
    pub(super) step: View<'a>,
}

/// `n` rows into `x`, f32 `[n, cols]`, exactly as [`crate::llm::quant::decode`] decodes them.
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn embed(
    gpu: &Gpu,
    stream: &Stream,
    of: &Lookup<'_>,
    n: usize,
    x: View<'_>,
    publish: Option<Publish<'_>>,
) -> Result<()> {
    shape(of.ty.row_bytes(of.cols).is_some_and(|b| b <= of.row_bytes), || {
        format!("embed: {} columns of {} do not fit rows of {} bytes", of.cols, of.ty, of.row_bytes)
    })?;
    // Of a whole table only the caller knows which rows are read.
    let table = if of.ids.is_some() { of.row_bytes } else { n * of.row_bytes };
    let args = Args {
        table: of.table.holding(table, "rows of the embedding")?,
        ids: or_null(of.ids, n * 4, "tokens")?,
        row_bytes: of.row_bytes as u64,
        x: x.holding(n * of.cols * 4, "x")?,
        start: or_null(publish.map(|p| p.start), 4, "the position")?,
        step: or_null(publish.map(|p| p.step), 4, "the step")?,
        ty: type_code(of.ty),
        cols: of.cols as i32,
    };
    let grid = (of.cols.div_ceil(THREADS) as u32, n as u32, 1);
    // The first of its step: nothing to overlap with.
    let launch = Launch { grid, threads: THREADS as u32, shared: 0, overlap: false };
    // SAFETY: the struct is the kernel's; lengths were checked above, and rows picked by number are the caller's promise.
    unsafe { stream.launch(&gpu.kernel("embed")?, launch, &args) }
}
