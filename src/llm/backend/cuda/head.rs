//! The output matrix on the device, and the launcher of `kernels/head.cu`.

use super::driver::{Buffer, Launch, Stream};
use super::gemv::{self, Input, Output, To};
use super::kernels::DEPTH;
use super::linear::Linear;
use super::{Cuda, Gpu, linear, repack, type_code};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Footprint, HEAD_BLOCK, Once, Part};
use crate::llm::gguf::TensorType;
use crate::llm::quant::Ternary;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
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

const WARPS: u32 = 16;
/// Blocks a lane keeps, as the kernels were built.
const PER_LANE: [usize; 7] = [1, 2, 3, 4, 5, 6, 8];

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
            Layout::Blocks { q, scale, .. } => q.bytes + scale.bytes,
            Layout::Any { blocks, .. } => blocks.bytes,
            Layout::Ternary(l) => l.resident(),
        }
    }
}

fn per_lane(cols: usize) -> Option<usize> {
    PER_LANE.iter().copied().find(|n| cols.div_ceil(HEAD_BLOCK) <= n * 32)
}

/// Bytes of a head.
pub(super) fn bytes(ty: TensorType, rows: usize, cols: usize) -> u64 {
    let planes = |block: usize| {
        let scales = per_lane(cols).unwrap_or(8) * 32;
        (rows * cols.div_ceil(HEAD_BLOCK) * block + rows * scales * 2) as u64
    };
    match ty {
        TensorType::Q4_0 => planes(16),
        TensorType::Q8_0 => planes(32),
        ty if ty.is_ternary() => {
            let (data, scales) = linear::bytes(linear::Packing::TwoBits, rows, cols, Some(ty.block().0));
            data + scales
        }
        ty => (rows * ty.row_bytes(cols).unwrap_or(0)) as u64,
    }
}

impl Head {
    pub(super) fn new(cuda: &Cuda, ty: TensorType, rows: usize, cols: usize, from: Once<'_>) -> Result<Self> {
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
            Layout::Ternary(Linear::new(cuda, &[Part { weights, factor: 1.0 }])?)
        } else if matches!(ty, TensorType::Q4_0 | TensorType::Q8_0) {
            let int8 = ty == TensorType::Q8_0;
            let Some(per_lane) = per_lane(cols) else {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("a head of {cols} columns is too wide for the GPU backend"),
                ));
            };
            let blocks = cols / HEAD_BLOCK;
            let q = cuda.keep_zeros((rows * blocks * if int8 { 32 } else { 16 }) as u64)?;
            let scale = cuda.keep_zeros((rows * per_lane * 32 * 2) as u64)?;
            cuda.stage(from, row_bytes, &mut |at, first, count| {
                let planes = (q.at, scale.at);
                repack::blocks(&cuda.gpu, &cuda.stream, (at, int8), planes, (blocks, per_lane), (first, count))
            })?;
            Layout::Blocks { q, scale, int8, per_lane }
        } else {
            let blocks = cuda.keep(stored.len() as u64)?;
            cuda.stream.upload(&blocks, 0, stored)?;
            cuda.stream.wait()?;
            Layout::Any { blocks, row_bytes, ty }
        };
        Ok(Self { rows, cols, kind })
    }

    /// Address and bytes of the weights, for prefetching.
    pub(super) fn weights(&self) -> (u64, u64) {
        match &self.kind {
            Layout::Blocks { q, .. } => (q.at, q.bytes),
            Layout::Any { blocks, .. } => (blocks.at, blocks.bytes),
            Layout::Ternary(l) => (l.data.at, l.data.bytes),
        }
    }
}

/// One row of the residual stream with its norm, and where results go: `logits` f32 `[rows]`, `best` u64 [`blocks`].
#[derive(Clone, Copy)]
pub(super) struct Final {
    pub(super) x: u64,
    pub(super) norm: u64,
    pub(super) eps: f32,
    pub(super) logits: u64,
    pub(super) best: u64,
}

pub(super) fn head(gpu: &Gpu, stream: &Stream, h: &Head, of: Final) -> Result<()> {
    let mut args = Args {
        x: of.x,
        norm: of.norm,
        q: 0,
        scale: 0,
        logits: of.logits,
        best: of.best,
        row_bytes: 0,
        ty: 0,
        rows: h.rows as i32,
        cols: h.cols as i32,
        eps: of.eps,
    };
    let row = h.cols as u32 * 4;
    let (name, shared) = match &h.kind {
        Layout::Blocks { q, scale, int8, per_lane } => {
            (args.q, args.scale) = (q.at, scale.at);
            let ring = WARPS * DEPTH * if *int8 { 1024 } else { 512 };
            (format!("head_i{}_{per_lane}", if *int8 { 8 } else { 4 }), ring + row)
        }
        Layout::Any { blocks, row_bytes, ty } => {
            (args.q, args.row_bytes, args.ty) = (blocks.at, *row_bytes as u64, type_code(*ty));
            ("head_any".to_owned(), row)
        }
        Layout::Ternary(l) => {
            let to = To { y: of.logits, stride: h.rows, output: Output::Store, next: (0, 0) };
            gemv::gemv(gpu, stream, l, Input::Norm(of.x, of.norm, of.eps), to)?;
            ("head_best".to_owned(), 0)
        }
    };
    let grid = (blocks(gpu, h.rows) as u32, 1, 1);
    stream.launch(gpu.kernel(&name)?, Launch { grid, threads: WARPS * 32, shared, overlap: true }, &args)
}

/// Blocks of a head of `rows` rows.
pub(super) fn blocks(gpu: &Gpu, rows: usize) -> usize {
    (gpu.blocks as usize).min(rows.div_ceil(WARPS as usize))
}

/// The likeliest token by what [`head`] wrote; `None` where no logit is a number.
pub(super) fn likeliest(best: &[u8]) -> Option<u32> {
    let each = best.chunks_exact(8).filter_map(|b| Some(u64::from_le_bytes(b.try_into().ok()?)));
    each.max().filter(|&b| b != 0).map(token_of)
}

/// The token of a logit made comparable.
pub(super) fn token_of(best: u64) -> u32 {
    !(best as u32)
}
