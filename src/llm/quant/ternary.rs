//! Ternary matrices: 2-bit codes with one scale for the tensor or for each group of columns.
//!
//! Source: TQ1_0 and TQ2_0 as `dequantize_row_tq1_0` and `dequantize_row_tq2_0` of ggml-org/llama.cpp,
//! ggml/src/ggml-quants.c at 36491e4; Q2_0 as the GGUFs of Ternary-Bonsai (PrismML) have it.

use super::{f16_at, unsupported};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::TensorType;

/// What one scale is shared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Groups {
    /// The whole matrix.
    Tensor(f32),
    /// Runs of this many columns in each row (64, 128 or 256).
    Columns(usize),
}

/// A stored ternary matrix of `rows × cols`: weight `= (code − 1) · scale`, code 0, 1 or 2.
///
/// (Two stored bits could also say 3; such a weight is `2 · scale`, as ggml decodes it. No ternary model has one.)
#[derive(Debug, Clone)]
pub struct Ternary<'a> {
    ty: TensorType,
    rows: usize,
    cols: usize,
    bytes: &'a [u8],
    groups: Groups,
    halves: Option<Halves>,
}

/// Rows of attention heads whose rotated pairs are stored as two halves (NEOX), read as adjacent pairs.
///
/// Source: `rotate_half` of huggingface/transformers, modeling_llama.py, and the permutation that undoes it in llama.cpp's
/// converter (`permute`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// Rows of a head; at least `2 · pairs`.
    pub head_dim: usize,
    /// Rotated pairs of a head: `(i, i + pairs)` as stored, `(2i, 2i + 1)` as read. Rows after them stay.
    pub pairs: usize,
}

impl Halves {
    /// Where row `r` is stored.
    pub fn stored(self, r: usize) -> usize {
        let (head, d) = (r / self.head_dim, r % self.head_dim);
        let d = if d < 2 * self.pairs { d / 2 + d % 2 * self.pairs } else { d };
        head * self.head_dim + d
    }
}

impl<'a> Ternary<'a> {
    /// Looks at every block's scale: equal ones make one scale for the tensor, else each block is a group. A block
    /// without a weight other than zero fits any scale.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where `ty` is not ternary; [`Kind::Corrupt`] where `bytes` does not hold `rows × cols`
    /// weights or a scale is not finite.
    pub fn new(ty: TensorType, rows: usize, cols: usize, bytes: &'a [u8]) -> Result<Self> {
        if !ty.is_ternary() {
            return Err(unsupported(ty));
        }
        if ty.row_bytes(cols).and_then(|b| b.checked_mul(rows)) != Some(bytes.len()) || bytes.is_empty() {
            let what = format!("{} bytes are not {rows} × {cols} weights of {ty}", bytes.len());
            return Err(Error::new(Kind::Corrupt, what));
        }
        let (weights, size) = ty.block();
        let mut codes = [0u8; 256];
        let mut common: Option<f32> = None;
        let mut groups = None;
        for (i, block) in bytes.chunks_exact(size).enumerate() {
            let d = scale_of(ty, block);
            if !d.is_finite() {
                return Err(Error::new(Kind::Corrupt, format!("the scale of block {i} is {d}")));
            }
            if groups.is_some() || common == Some(d) {
                continue;
            }
            block_codes(ty, block, &mut codes[..weights]);
            if codes[..weights].iter().all(|&c| c == 1) {
                continue;
            }
            match common {
                None => common = Some(d),
                Some(_) => groups = Some(Groups::Columns(weights)),
            }
        }
        let groups = groups.unwrap_or(Groups::Tensor(common.unwrap_or(0.0)));
        Ok(Self { ty, rows, cols, bytes, groups, halves: None })
    }

    /// The same matrix, its rows (whole heads of them) read in the order of adjacent pairs.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the rows are not a whole number of heads or a head has fewer rows than its pairs.
    pub fn from_halves(mut self, halves: Halves) -> Result<Self> {
        let Halves { head_dim, pairs } = halves;
        if head_dim == 0 || !self.rows.is_multiple_of(head_dim) || 2 * pairs > head_dim {
            let what = format!("{} rows are not heads of {head_dim} with {pairs} rotated pairs", self.rows);
            return Err(Error::new(Kind::Corrupt, what));
        }
        self.halves = Some(halves);
        Ok(self)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn groups(&self) -> Groups {
        self.groups
    }

    /// Type and bytes as the file has them.
    pub fn stored(&self) -> (TensorType, &'a [u8]) {
        (self.ty, self.bytes)
    }

    /// Codes of row `r` into `codes` (`cols` of them, each 0..=3) and the scale of each stored block into `scales`
    /// (`cols / block` of them). A block whose scale is 0 comes out as all ones, which is what it means.
    pub fn row(&self, r: usize, codes: &mut [u8], scales: &mut [f32]) {
        let (weights, size) = self.ty.block();
        let row_bytes = self.cols / weights * size;
        let r = self.halves.map_or(r, |h| h.stored(r));
        let row = &self.bytes[r * row_bytes..(r + 1) * row_bytes];
        let blocks = row.chunks_exact(size).zip(codes.chunks_exact_mut(weights)).zip(scales);
        for ((block, codes), scale) in blocks {
            *scale = block_codes(self.ty, block, codes);
        }
    }

    /// Columns of one stored block.
    pub fn block_cols(&self) -> usize {
        self.ty.block().0
    }
}

fn scale_of(ty: TensorType, b: &[u8]) -> f32 {
    match ty {
        TensorType::Tq1_0 => f16_at(b, 52),
        TensorType::Tq2_0 => f16_at(b, 64),
        _ => f16_at(b, 0),
    }
}

/// Codes of one block of a ternary type; returns its scale.
pub(super) fn block_codes(ty: TensorType, b: &[u8], out: &mut [u8]) -> f32 {
    let d = scale_of(ty, b);
    if d == 0.0 {
        out.fill(1);
        return d;
    }
    match ty {
        TensorType::Tq1_0 => tq1_0(b, out),
        TensorType::Tq2_0 => tq2_0(b, out),
        _ => q2_0(&b[2..], out),
    }
    d
}

/// 64 bytes for 256 weights; weight n is in byte `32⌊n/128⌋ + n%32` at shift `2⌊(n%128)/32⌋`.
fn tq2_0(b: &[u8], out: &mut [u8]) {
    for (half, out) in out.chunks_exact_mut(128).enumerate() {
        for (run, out) in out.chunks_exact_mut(32).enumerate() {
            for (o, &byte) in out.iter_mut().zip(&b[32 * half..]) {
                *o = (byte >> (2 * run)) & 3;
            }
        }
    }
}

/// Four weights a byte, in order, lowest bits first.
fn q2_0(b: &[u8], out: &mut [u8]) {
    for (o, &byte) in out.chunks_exact_mut(4).zip(b) {
        for (i, o) in o.iter_mut().enumerate() {
            *o = (byte >> (2 * i)) & 3;
        }
    }
}

/// 52 bytes for 256 weights: five trits a byte in 32 bytes (strided by 32), then in 16 (strided by 16), then four trits
/// a byte in 4 (strided by 4). A byte is `⌈v·256/243⌉`; multiplying by 3ⁿ (mod 256) brings trit n to the top.
fn tq1_0(b: &[u8], out: &mut [u8]) {
    let mut done = 0;
    for (from, n, trits) in [(0usize, 32usize, 5u32), (32, 16, 5), (48, 4, 4)] {
        let mut power = 1u8;
        for _ in 0..trits {
            for (o, &byte) in out[done..done + n].iter_mut().zip(&b[from..from + n]) {
                *o = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as u8;
            }
            done += n;
            power = power.wrapping_mul(3);
        }
    }
}
