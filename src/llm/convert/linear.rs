//! Linears of a checkpoint, row by row as ternary codes.
//!
//! Source: `pack_weights` (two bits for each quarter of the rows) and `WeightQuant` (absmean: `s = 1 / max(mean|w|, 1e-5)`,
//! `round(w·s)` clamped to ±1) of huggingface/transformers 5.23.0, src/transformers/integrations/bitnet.py; arXiv:2402.17764.

use half::f16;

use super::Watch;
use super::hf::Scheme;
use super::safetensors::{Dtype, Shards, Tensor};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::TensorType;
use crate::llm::quant::encode_ternary;

/// Numbers read at once when a whole tensor is looked at.
const CHUNK: usize = 1 << 21;
/// Smallest mean magnitude a tensor is ternarized with.
const MIN_MEAN: f32 = 1e-5;

/// A linear `[rows, cols]`, ready to be read row by row.
pub(super) struct Linear<'a> {
    tensor: Tensor<'a>,
    rows: usize,
    cols: usize,
    weights: Weights,
    raw: Vec<u8>,
    floats: Vec<f32>,
    codes: Vec<u8>,
}

enum Weights {
    /// Row `r` is field `r / (rows/4)` of packed row `r % (rows/4)`.
    Packed(Vec<u8>),
    /// `round(w / mean)`, clamped.
    Absmean { inverse: f32 },
    /// Ternary already: within each stored block `−s, 0, s`.
    Groups,
}

impl<'a> Linear<'a> {
    /// Opens `name` (without `.weight`), whose scale is `scale`. Reads a packed tensor whole (at most a few dozen MB).
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where shapes do not fit; the errors of reading.
    pub(super) fn open(
        shards: &'a Shards,
        name: &str,
        (rows, cols): (usize, usize),
        how: How,
        scale: f32,
    ) -> Result<Self> {
        let tensor = shards.require(&format!("{name}.weight"))?;
        let weights = match how {
            How::Groups => Weights::Groups,
            How::Scheme(Scheme::Masters | Scheme::Plain) => Weights::Absmean { inverse: 1.0 / scale },
            How::Scheme(Scheme::PackedDivide | Scheme::PackedMultiply) => {
                let mut bytes = vec![0; rows / 4 * cols];
                tensor.read(0, &mut bytes)?;
                Weights::Packed(bytes)
            }
        };
        Ok(Self { tensor, rows, cols, weights, raw: Vec::new(), floats: Vec::new(), codes: vec![0; cols] })
    }

    /// Appends row `r` as blocks of `ty`; `d` is the scale of each, where the linear has one.
    pub(super) fn encode(&mut self, r: usize, ty: TensorType, d: f16, out: &mut Vec<u8>) -> Result<()> {
        match &self.weights {
            Weights::Packed(bytes) => {
                let quarter = self.rows / 4;
                let (field, row) = (r / quarter, r % quarter);
                let row = &bytes[row * self.cols..(row + 1) * self.cols];
                for (code, byte) in self.codes.iter_mut().zip(row) {
                    *code = (byte >> (2 * field)) & 3;
                }
                if self.codes.contains(&3) {
                    return Err(self.tensor.bad(&format!("holds a code that is not ternary in row {r}")));
                }
                encode_ternary(ty, &self.codes, |_| d, out)
            }
            Weights::Absmean { inverse } => {
                let inverse = *inverse;
                self.read_row(r)?;
                for (code, v) in self.codes.iter_mut().zip(&self.floats) {
                    *code = ((v * inverse).round_ties_even().clamp(-1.0, 1.0) + 1.0) as u8;
                }
                encode_ternary(ty, &self.codes, |_| d, out)
            }
            Weights::Groups => {
                self.read_row(r)?;
                let block = ty.block().0;
                let mut scales = Vec::with_capacity(self.cols / block);
                for (codes, values) in self.codes.chunks_mut(block).zip(self.floats.chunks(block)) {
                    let Some(s) = ternarize_block(values, codes) else {
                        return Err(self.not_ternary(r, block));
                    };
                    scales.push(f16::from_f32(s));
                }
                encode_ternary(ty, &self.codes, |b| scales[b], out)
            }
        }
    }

    fn read_row(&mut self, r: usize) -> Result<()> {
        self.floats.resize(self.cols, 0.0);
        self.tensor.floats(r * self.cols, &mut self.raw, &mut self.floats)
    }

    fn not_ternary(&self, r: usize, block: usize) -> Error {
        let what =
            format!("tensor {}, row {r}: the weights within {block} columns are not all −s, 0 or s", self.tensor.name);
        Error::new(Kind::Unsupported, what).remedy(
            "convert with --type q2_0, or ternarize again with --ternarize absmean (which needs training afterwards)",
        )
    }
}

/// How a linear's numbers are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Scheme(Scheme),
    /// Plain numbers that are ternary in groups.
    Groups,
}

/// Codes of one block that holds only `−s`, `0` and `s`; its `s`. `None` where it holds anything else.
pub(super) fn ternarize_block(values: &[f32], codes: &mut [u8]) -> Option<f32> {
    let s = values.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (code, &v) in codes.iter_mut().zip(values) {
        *code = match v {
            0.0 => 1,
            v if v == s => 2,
            v if v == -s => 0,
            _ => return None,
        };
    }
    Some(s)
}

/// Whether the first rows of `tensor` are ternary in groups of 64 columns.
pub(super) fn looks_grouped(tensor: &Tensor<'_>) -> Result<bool> {
    const ROWS: usize = 16;
    const GROUP: usize = 64;
    let &[rows, cols] = tensor.shape() else { return Ok(false) };
    if *tensor.dtype() == Dtype::U8 || !cols.is_multiple_of(GROUP) {
        return Ok(false);
    }
    let (mut raw, mut row, mut codes) = (Vec::new(), vec![0f32; cols], [0u8; GROUP]);
    let mut any = false;
    for r in 0..rows.min(ROWS) {
        tensor.floats(r * cols, &mut raw, &mut row)?;
        for group in row.chunks_exact(GROUP) {
            match ternarize_block(group, &mut codes) {
                Some(s) => any |= s > 0.0,
                None => return Ok(false),
            }
        }
    }
    Ok(any)
}

/// Checks the linear `name` and says what its ternary weights are multiplied with; 1 where groups have their own.
///
/// # Errors
/// [`Kind::Unsupported`] where it is not of the kind that the configuration says; [`Kind::Corrupt`] where its shape does
/// not fit or its scale is none.
pub(super) fn scale_of(
    shards: &Shards,
    name: &str,
    (rows, cols): (usize, usize),
    how: How,
    watch: &mut Watch<'_>,
) -> Result<f32> {
    let tensor = shards.require(&format!("{name}.weight"))?;
    let packed = matches!(how, How::Scheme(Scheme::PackedDivide | Scheme::PackedMultiply));
    if packed != (*tensor.dtype() == Dtype::U8) {
        let what =
            format!("tensor {name}.weight is stored as {}, which the configuration does not mention", tensor.dtype());
        return Err(Error::new(Kind::Unsupported, what).remedy("use a checkpoint whose linears are all of one kind"));
    }
    if packed && !rows.is_multiple_of(4) {
        return Err(tensor.bad("has rows that are not packed by fours"));
    }
    tensor.check_shape(&[if packed { rows / 4 } else { rows }, cols])?;
    let scale = match how {
        How::Groups => 1.0,
        How::Scheme(Scheme::Masters | Scheme::Plain) => mean_magnitude(&tensor, rows * cols, watch)?.max(MIN_MEAN),
        How::Scheme(Scheme::PackedMultiply) => packed_scale(shards, name)?,
        How::Scheme(Scheme::PackedDivide) => 1.0 / packed_scale(shards, name)?,
    };
    match scale.is_finite() && scale > 0.0 {
        true => Ok(scale),
        false => Err(tensor.bad(&format!("has the scale {scale}"))),
    }
}

/// `mean|w|` of all `total` numbers, summed in f64.
///
/// # Errors
/// What reading says; where it is interrupted.
fn mean_magnitude(tensor: &Tensor<'_>, total: usize, watch: &mut Watch<'_>) -> Result<f32> {
    let (mut raw, mut floats) = (Vec::new(), Vec::new());
    let mut sum = 0f64;
    for from in (0..total).step_by(CHUNK) {
        floats.resize(CHUNK.min(total - from), 0.0);
        tensor.floats(from, &mut raw, &mut floats)?;
        sum += floats.iter().map(|v| f64::from(v.abs())).sum::<f64>();
        watch.step(raw.len() as u64)?;
    }
    Ok((sum / total as f64) as f32)
}

/// The one number in `name.weight_scale`.
///
/// # Errors
/// [`Kind::Corrupt`] where it is missing or is more than one number.
fn packed_scale(shards: &Shards, name: &str) -> Result<f32> {
    let tensor = shards.require(&format!("{name}.weight_scale"))?;
    let mut scale = [0f32];
    if tensor.shape().iter().product::<usize>() != 1 {
        return Err(tensor.bad("is not one number"));
    }
    tensor.floats(0, &mut Vec::new(), &mut scale)?;
    Ok(scale[0])
}
