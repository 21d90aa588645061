//! The output matrix on the device, and the launcher of `kernels/head.cu`.

use super::agreed::{Arguments, Source, arguments, type_code};
use super::function::Launch;
use super::gemv::{self, Input, Output, To};
use super::gpu::Gpu;
use super::linear::{self, Linear};
use super::loader::Loader;
use super::memory::{Buffer, View};
use super::packing::Packing;
use super::repack;
use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Footprint, HEAD_BLOCK, Once, Part};
use crate::llm::gguf::TensorType;
use crate::llm::quant::Ternary;

arguments! {
    Args as "HeadArgs" {
        x: u64,
        norm: u64,
        q: u64,
        scale: u64,
        logits: u64,
        best: u64,
        row_bytes: u64,
        ty: i32,
        rows: i32,
        cols: i32,
        eps: f32,
    }
}

const WARPS: usize = 16;
/// Blocks of weights that a warp has under way.
const DEPTH: usize = 8;
/// Blocks a lane keeps, as the kernels were built.
const PER_LANE: [usize; 7] = [1, 2, 3, 4, 5, 6, 8];

pub(super) const SOURCE: Source = Source {
    name: "head",
    text: include_str!("../../../../kernels/head.cu"),
    constants: &[("WARPS", WARPS), ("DEPTH", DEPTH)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// The output matrix `[rows, cols]`, by how its product is computed.
pub struct Head {
    pub(super) rows: usize,
    pub(super) cols: usize,
    kind: Layout,
}

enum Layout {
    /// Planes of INT4 or INT8 blocks.
    Blocks {
        q: Buffer,
        scale: Buffer,
        int8: bool,
        per_lane: usize,
    },
    /// The file's own blocks.
    Any {
        blocks: Buffer,
        row_bytes: usize,
        ty: TensorType,
    },
    Ternary(Linear),
}

impl Footprint for Head {
    fn resident(&self) -> u64 {
        match &self.kind {
            Layout::Blocks { q, scale, .. } => q.bytes() + scale.bytes(),
            Layout::Any { blocks, .. } => blocks.bytes(),
            Layout::Ternary(l) => l.resident(),
        }
    }
}

fn per_lane(cols: usize) -> Option<usize> {
    PER_LANE.iter().copied().find(|n| cols.div_ceil(HEAD_BLOCK) <= n * 32)
}

/// Bytes of the planes of integers and of scales of `rows` rows; `block`: bytes of a block's integers.
fn planes(rows: usize, cols: usize, block: usize) -> (u64, u64) {
    let scales = per_lane(cols).unwrap_or(8) * 32;
    ((rows * cols.div_ceil(HEAD_BLOCK) * block) as u64, (rows * scales * 2) as u64)
}

/// Bytes of a block's integers; `None` where the type is not stored as planes.
fn block_bytes(ty: TensorType) -> Option<usize> {
    match ty {
        TensorType::Q4_0 => Some(16),
        TensorType::Q8_0 => Some(32),
        _ => None,
    }
}

/// Bytes of a head.
pub(super) fn bytes(ty: TensorType, rows: usize, cols: usize) -> u64 {
    if let Some(block) = block_bytes(ty) {
        let (q, scale) = planes(rows, cols, block);
        q + scale
    } else if ty.is_ternary() {
        let (data, scales) = linear::bytes(Packing::TwoBits, rows, cols, Some(ty.block().0));
        data + scales
    } else {
        (rows * ty.row_bytes(cols).unwrap_or(0)) as u64
    }
}

impl Head {
    /// Loads `rows × cols` weights of `ty`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where there are not as many; [`Kind::Unsupported`] for a type that is not known, and for rows that are too
    /// wide; [`Kind::Unavailable`] where there is no memory left.
    pub(super) fn new(loader: &Loader, ty: TensorType, rows: usize, cols: usize, from: Once<'_>) -> Result<Self> {
        let stored = from.bytes;
        let row_bytes = stored.len() / rows.max(1);
        if rows == 0 || ty.row_bytes(cols) != Some(row_bytes) || row_bytes * rows != stored.len() {
            let what = format!("{} bytes are not {rows} × {cols} weights of {ty}", stored.len());
            return Err(Error::new(Kind::Corrupt, what));
        }
        if let TensorType::Other(_) = ty {
            return Err(crate::llm::quant::unsupported(ty));
        }
        let kind = if ty.is_ternary() {
            let weights = Ternary::new(ty, rows, cols, stored)?;
            Layout::Ternary(Linear::new(loader, &[Part { weights, factor: 1.0 }])?)
        } else if let Some(block) = block_bytes(ty) {
            let int8 = ty == TensorType::Q8_0;
            let Some(per_lane) = per_lane(cols) else {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("a head of {cols} columns is too wide for the GPU backend"),
                ));
            };
            let blocks = cols / HEAD_BLOCK;
            let (q_bytes, scale_bytes) = planes(rows, cols, block);
            let (q, scale) = (loader.keep_zeros(q_bytes)?, loader.keep_zeros(scale_bytes)?);
            loader.stage(from, row_bytes, &mut |at, first, count| {
                let planes = (q.view(), scale.view());
                repack::blocks(&loader.gpu, &loader.stream, (at, int8), planes, (blocks, per_lane), (first, count))
            })?;
            Layout::Blocks { q, scale, int8, per_lane }
        } else {
            let blocks = loader.keep(stored.len() as u64)?;
            loader.stream.upload(&blocks, 0, stored)?;
            Layout::Any { blocks, row_bytes, ty }
        };
        Ok(Self { rows, cols, kind })
    }

    /// The weights' first bytes, `most` at most, for prefetching.
    pub(super) fn beginning(&self, most: u64) -> (View<'_>, u64) {
        let weights = match &self.kind {
            Layout::Blocks { q, .. } => q,
            Layout::Any { blocks, .. } => blocks,
            Layout::Ternary(l) => return l.beginning(most),
        };
        (weights.view(), weights.bytes().min(most))
    }
}

/// One row of the residual stream with its norm, and where results go.
#[derive(Clone, Copy)]
pub(super) struct Final<'a> {
    /// f32 `[cols]`.
    pub(super) x: View<'a>,
    /// f32 `[cols]`.
    pub(super) norm: View<'a>,
    pub(super) eps: f32,
    /// f32 `[rows]`.
    pub(super) logits: View<'a>,
    /// u64 [`blocks`]: the argmax of each block's rows.
    pub(super) best: View<'a>,
}

/// `logits = H · rmsnorm(x)`, as [`crate::llm::backend::Backend::logits`], and the argmax of each block's. Formula and source are at
/// the top of the kernel's file.
///
/// # Errors
/// [`Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn head(gpu: &Gpu, stream: &Stream, h: &Head, of: Final<'_>) -> Result<()> {
    let grid = blocks(gpu, h.rows);
    let mut args = Args {
        x: of.x.holding(h.cols * 4, "a row for the head")?,
        norm: of.norm.holding(h.cols * 4, "the norm's weights")?,
        q: 0,
        scale: 0,
        logits: of.logits.holding(h.rows * 4, "logits")?,
        best: of.best.holding(grid * 8, "each block's argmax")?,
        row_bytes: 0,
        ty: 0,
        rows: h.rows as i32,
        cols: h.cols as i32,
        eps: of.eps,
    };
    let row = h.cols * 4;
    let (name, shared) = match &h.kind {
        Layout::Blocks { q, scale, int8, per_lane } => {
            let (bits, block) = if *int8 { (8, 32) } else { (4, 16) };
            args.q = q.view().holding(h.rows * (h.cols / HEAD_BLOCK) * block, "the head's integers")?;
            args.scale = scale.view().holding(h.rows * per_lane * 32 * 2, "the head's scales")?;
            (format!("head_i{bits}_{per_lane}"), WARPS * DEPTH * 32 * block + row)
        }
        Layout::Any { blocks, row_bytes, ty } => {
            args.q = blocks.view().holding(h.rows * row_bytes, "the head's rows")?;
            (args.row_bytes, args.ty) = (*row_bytes as u64, type_code(*ty));
            ("head_any".to_owned(), row)
        }
        Layout::Ternary(l) => {
            let to = To { y: of.logits, stride: h.rows, output: Output::Store, next: None };
            gemv::gemv(gpu, stream, l, Input::Norm(of.x, of.norm, of.eps), to)?;
            ("head_best".to_owned(), 0)
        }
    };
    let launch =
        Launch { grid: (grid as u32, 1, 1), threads: (WARPS * 32) as u32, shared: shared as u32, overlap: true };
    // SAFETY: the struct is the kernel's; lengths were checked above.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}

/// Blocks of a head of `rows` rows.
pub(super) fn blocks(gpu: &Gpu, rows: usize) -> usize {
    (gpu.blocks as usize).min(rows.div_ceil(WARPS))
}

/// The argmax by what [`head`] wrote; `None` where no logit is a number.
pub(super) fn argmax(best: &[u8]) -> Option<u32> {
    let each = best.chunks_exact(8).filter_map(|b| Some(u64::from_le_bytes(b.try_into().ok()?)));
    each.max().filter(|&b| b != 0).map(token_of)
}

/// The token of a logit made comparable.
pub(super) fn token_of(best: u64) -> u32 {
    !(best as u32)
}
