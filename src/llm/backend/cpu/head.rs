//! The output matrix: int4 tiles, or rows as they are stored.
//!
//! Formula: `logit = Σ_block (Σ w·q) · (d_w · d_x)` over blocks of 32 columns, `x` quantized by the block; dense and ternary heads as
//! [`super::kernels`] says. Layout: Q4_0 as [`super::pack`]'s int4 tiles, everything else row by row. Shapes: `[vocabulary, width]`,
//! width a multiple of the stored type's block.
//! Source: as [`Backend::logits`].

use half::f16;

use super::buffer::Buffer;
use super::operands::{Float, HeadRow};
use super::pack::{Int4, Packed, TILE};
use super::pool::Pool;
use super::share::Disjoint;
use super::{Backend, Cpu, Error, Footprint, Kind, Part, Result, TOGETHER, TensorType, Ternary, quant};
use crate::llm::backend::shapes::Size;
use crate::llm::backend::{HEAD_BLOCK, Once};

/// The output matrix `[rows, cols]`.
pub struct Head(Layout);

enum Layout {
    Int4(Int4),
    /// Q8_0 rows as stored.
    Q8 {
        rows: usize,
        cols: usize,
        bytes: Buffer<u8>,
    },
    /// Float rows; K-quants are kept as fp16.
    Dense {
        rows: usize,
        cols: usize,
        ty: Float,
        bytes: Buffer<u8>,
    },
    Ternary(Packed),
}

impl Head {
    pub(super) fn bytes(ty: TensorType, rows: usize, cols: usize) -> u64 {
        match ty {
            TensorType::Q4_0 => Int4::bytes(rows, cols),
            TensorType::Q8_0 => Buffer::<u8>::bytes(rows * (cols / HEAD_BLOCK * 34)),
            TensorType::F32 => Buffer::<u8>::bytes(rows * cols * 4),
            ty if ty.is_ternary() => Packed::bytes(rows, cols, Some(ty.block().0)),
            _ => Buffer::<u8>::bytes(rows * cols * 2),
        }
    }

    pub(super) fn new(ty: TensorType, rows: usize, cols: usize, from: Once<'_>, pool: &Pool) -> Result<Self> {
        let bytes = from.bytes;
        if ty.row_bytes(cols).and_then(|b| b.checked_mul(rows)) != Some(bytes.len()) {
            return Err(Error::new(Kind::Internal, format!("head: {} bytes for {rows} × {cols} of {ty}", bytes.len())));
        }
        let stored = || -> Result<Buffer<u8>> {
            let mut own = Buffer::zeroed(bytes.len())?;
            own.copy_from_slice(bytes);
            Ok(own)
        };
        Ok(Head(match ty {
            TensorType::Q4_0 => Layout::Int4(Int4::new(rows, cols, from, pool)?),
            TensorType::Q8_0 => Layout::Q8 { rows, cols, bytes: stored()? },
            TensorType::F32 => Layout::Dense { rows, cols, ty: Float::F32, bytes: stored()? },
            TensorType::F16 => Layout::Dense { rows, cols, ty: Float::F16, bytes: stored()? },
            TensorType::Bf16 => Layout::Dense { rows, cols, ty: Float::Bf16, bytes: stored()? },
            TensorType::Q4K | TensorType::Q6K => {
                Layout::Dense { rows, cols, ty: Float::F16, bytes: halves(ty, rows, cols, bytes)? }
            }
            _ => {
                let weights = Ternary::new(ty, rows, cols, bytes)?;
                Layout::Ternary(Packed::new(&[Part { weights, factor: 1.0 }], pool)?)
            }
        }))
    }

    pub(super) fn size(&self) -> Size {
        let (rows, cols) = match &self.0 {
            Layout::Int4(w) => (w.rows, w.cols),
            Layout::Q8 { rows, cols, .. } | Layout::Dense { rows, cols, .. } => (*rows, *cols),
            Layout::Ternary(w) => (w.rows, w.cols),
        };
        Size { rows, cols }
    }
}

/// Decodes `rows × cols` weights of `ty`, row by row, into fp16 `[rows, cols]`.
///
/// # Errors
/// As [`quant::decode`]; [`Kind::Unavailable`] where there is no memory.
fn halves(ty: TensorType, rows: usize, cols: usize, bytes: &[u8]) -> Result<Buffer<u8>> {
    let mut own = Buffer::zeroed(rows * cols * 2)?;
    let mut row = vec![0f32; cols];
    for (stored, to) in bytes.chunks_exact(bytes.len() / rows.max(1)).zip(own.chunks_exact_mut(cols * 2)) {
        quant::decode(ty, stored, &mut row)?;
        for (v, to) in row.iter().zip(to.chunks_exact_mut(2)) {
            to.copy_from_slice(&f16::from_f32(*v).to_le_bytes());
        }
    }
    Ok(own)
}

impl Footprint for Head {
    fn resident(&self) -> u64 {
        match &self.0 {
            Layout::Int4(w) => w.resident(),
            Layout::Q8 { bytes, .. } | Layout::Dense { bytes, .. } => bytes.resident(),
            Layout::Ternary(w) => w.resident(),
        }
    }
}

/// `x` (`[cols]`) as int8 with a scale and a sum per 32 (`[cols / 32]` each); formula and source at [`Backend::logits`].
fn quantize_blocks(x: &[f32]) -> HeadRow {
    let mut row = HeadRow::default();
    for block in x.chunks(HEAD_BLOCK) {
        let absmax = block.iter().fold(0f32, |m, v| m.max(v.abs()));
        let s = if absmax > 0.0 { 127.0 / absmax } else { 0.0 };
        let from = row.q.len();
        row.q.extend(block.iter().map(|v| (v * s).round_ties_even() as i8));
        row.d.push(f16::from_f32(absmax / 127.0).to_f32());
        row.sums.push(row.q[from..].iter().map(|&v| i32::from(v)).sum());
    }
    row
}

impl Cpu {
    /// `logits = H · x`, with `x` `[cols]` already normed.
    pub(super) fn head_times(&self, head: &Head, x: &[f32], logits: &mut [f32]) -> Result<()> {
        let n = logits.len();
        let out = Disjoint::new(logits);
        match &head.0 {
            Layout::Int4(w) => {
                let x = quantize_blocks(x);
                self.share_tiles(w.tiles(), w.tile(0).0.len(), |first, tiles| {
                    let mut y = [[0f32; TILE]; TOGETHER];
                    // SAFETY: the table holds kernels of a set this processor has.
                    unsafe { (self.kernels.int4_row)(w, first, &x, &mut y[..tiles]) };
                    let len = (tiles * TILE).min(n - first * TILE);
                    // SAFETY: each tile is visited once and has its own elements.
                    unsafe { out.slice(first * TILE, len) }.copy_from_slice(&y.as_flattened()[..len]);
                });
            }
            Layout::Q8 { bytes, .. } => {
                let x = quantize_blocks(x);
                let row_bytes = bytes.len() / n.max(1);
                self.share(n, |from, to| {
                    // SAFETY: the ranges do not overlap.
                    let part = unsafe { out.slice(from, to - from) };
                    for (logit, row) in part.iter_mut().zip(bytes[from * row_bytes..].chunks_exact(row_bytes)) {
                        // SAFETY: the table holds kernels of a set this processor has.
                        *logit = unsafe { (self.kernels.q8_dot)(row, &x) };
                    }
                });
            }
            Layout::Dense { ty, bytes, .. } => {
                let row_bytes = bytes.len() / n.max(1);
                self.share(n, |from, to| {
                    // SAFETY: the ranges do not overlap.
                    let part = unsafe { out.slice(from, to - from) };
                    for (logit, row) in part.iter_mut().zip(bytes[from * row_bytes..].chunks_exact(row_bytes)) {
                        // SAFETY: the table holds kernels of a set this processor has.
                        *logit = unsafe { (self.kernels.dense_dot)(*ty, row, x) };
                    }
                });
            }
            Layout::Ternary(w) => {
                let mut q = self.quant(1, x.len())?;
                self.quantize_rows(1, &mut q, |_, row| row.copy_from_slice(x));
                self.linear_tiles(w, &[q.row(0)], |_, tile, y| {
                    let len = TILE.min(n - tile * TILE);
                    // SAFETY: each tile is visited once and has its own elements.
                    unsafe { out.slice(tile * TILE, len) }.copy_from_slice(&y[..len]);
                });
            }
        }
        Ok(())
    }
}
