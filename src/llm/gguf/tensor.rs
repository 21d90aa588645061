//! Tensor infos: types, sizes, and where each tensor lies.
//!
//! Source: docs/gguf.md of ggml-org/ggml; the types' numbers are `enum ggml_type` of ggml.h, blocks ggml-common.h's.

use std::fmt;
use std::ops::Range;

use super::Problem;
use super::cursor::Cursor;

/// GGUF allows four dimensions.
const MAX_DIMS: u32 = 4;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorType {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q8_0,
    Q4K,
    Q6K,
    Tq1_0,
    Tq2_0,
    /// Ternary, one scale for 64 weights (18 bytes).
    Q2_0,
    /// Ternary, one scale for 128 weights (34 bytes); shares its id with [`TensorType::Q2_0`].
    Q2_0G128,
    /// A type tercet does not read.
    Other(u32),
}

impl TensorType {
    fn from_id(id: u32) -> Self {
        match id {
            0 => TensorType::F32,
            1 => TensorType::F16,
            2 => TensorType::Q4_0,
            8 => TensorType::Q8_0,
            12 => TensorType::Q4K,
            14 => TensorType::Q6K,
            30 => TensorType::Bf16,
            34 => TensorType::Tq1_0,
            35 => TensorType::Tq2_0,
            42 => TensorType::Q2_0,
            other => TensorType::Other(other),
        }
    }

    /// The id GGUF gives the type.
    pub fn id(self) -> u32 {
        match self {
            TensorType::F32 => 0,
            TensorType::F16 => 1,
            TensorType::Q4_0 => 2,
            TensorType::Q8_0 => 8,
            TensorType::Q4K => 12,
            TensorType::Q6K => 14,
            TensorType::Bf16 => 30,
            TensorType::Tq1_0 => 34,
            TensorType::Tq2_0 => 35,
            TensorType::Q2_0 | TensorType::Q2_0G128 => 42,
            TensorType::Other(id) => id,
        }
    }

    /// Weights in one block, bytes of one block. Other types count as bytes.
    pub fn block(self) -> (usize, usize) {
        match self {
            TensorType::F32 => (1, 4),
            TensorType::F16 | TensorType::Bf16 => (1, 2),
            TensorType::Q4_0 => (32, 18),
            TensorType::Q8_0 => (32, 34),
            TensorType::Q4K => (256, 144),
            TensorType::Q6K => (256, 210),
            TensorType::Tq1_0 => (256, 54),
            TensorType::Tq2_0 => (256, 66),
            TensorType::Q2_0 => (64, 18),
            TensorType::Q2_0G128 => (128, 34),
            TensorType::Other(_) => (1, 1),
        }
    }

    /// Bytes of one row of `cols` weights; `None` where `cols` is not a whole number of blocks or the product overflows.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        let (weights, bytes) = self.block();
        cols.is_multiple_of(weights).then_some(cols / weights)?.checked_mul(bytes)
    }

    /// Whether each stored weight is a small integer code times its block's scale: what ternary linears need.
    pub fn is_ternary(self) -> bool {
        matches!(self, TensorType::Tq1_0 | TensorType::Tq2_0 | TensorType::Q2_0 | TensorType::Q2_0G128)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TensorType::F32 => "F32",
            TensorType::F16 => "F16",
            TensorType::Bf16 => "BF16",
            TensorType::Q4_0 => "Q4_0",
            TensorType::Q8_0 => "Q8_0",
            TensorType::Q4K => "Q4_K",
            TensorType::Q6K => "Q6_K",
            TensorType::Tq1_0 => "TQ1_0",
            TensorType::Tq2_0 => "TQ2_0",
            TensorType::Q2_0 => "Q2_0",
            TensorType::Q2_0G128 => "Q2_0 (groups of 128)",
            TensorType::Other(id) => match name_of(*id) {
                Some(name) => name,
                None => return write!(f, "type {id}"),
            },
        })
    }
}

/// The names by which people know the types that tercet does not read.
fn name_of(id: u32) -> Option<&'static str> {
    Some(match id {
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        13 => "Q5_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        36 => "I2_S (of bitnet.cpp)",
        39 => "MXFP4",
        40 => "NVFP4",
        142 => "PQ2_0 (of the Prism fork)",
        143 => "PTQ1_0 (of the Prism fork)",
        _ => return None,
    })
}

/// One tensor: name, shape, type, place.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    pub name: String,
    /// Fastest-varying first, as GGUF stores them: a matrix of `rows × cols` has `dims == [cols, rows]`.
    pub dims: Vec<usize>,
    pub ty: TensorType,
    /// Bytes of the file.
    pub(super) range: Range<usize>,
}

impl TensorInfo {
    /// Numbers in the tensor.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Length of a row: the fastest-varying dimension.
    pub fn cols(&self) -> usize {
        self.dims.first().copied().unwrap_or(1)
    }

    /// Number of rows: all other dimensions together.
    pub fn rows(&self) -> usize {
        self.dims.iter().skip(1).product()
    }

    /// Stored size.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }

    /// Where the data starts in the file.
    pub fn offset(&self) -> usize {
        self.range.start
    }
}

/// A tensor info as stored; the offset counts from the start of the data.
pub(super) struct RawInfo {
    name: String,
    dims: Vec<usize>,
    elements: u64,
    ty: TensorType,
    offset: u64,
}

pub(super) fn parse_infos(c: &mut Cursor<'_>, n: usize) -> Result<Vec<RawInfo>, Problem> {
    let mut infos = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for i in 0..n {
        let name = c.utf8(&format!("name of tensor {i}"))?.to_owned();
        if !seen.insert(name.clone()) {
            return Err(Problem::corrupt(format!("tensor {name} appears twice")));
        }
        let n_dims = c.u32(&format!("dimension count of tensor {name}"))?;
        if n_dims == 0 || n_dims > MAX_DIMS {
            return Err(Problem::corrupt(format!("tensor {name} has {n_dims} dimensions; 1 to {MAX_DIMS} are legal")));
        }
        let mut dims = Vec::with_capacity(n_dims as usize);
        let mut elements = 1u64;
        for _ in 0..n_dims {
            let d = c.u64(&format!("dimensions of tensor {name}"))?;
            let product = elements.checked_mul(d).filter(|&e| d > 0 && e <= i64::MAX as u64);
            elements =
                product.ok_or_else(|| Problem::corrupt(format!("tensor {name} has the absurd dimension {d}")))?;
            dims.push(
                usize::try_from(d).map_err(|_| Problem::corrupt(format!("tensor {name} has the dimension {d}")))?,
            );
        }
        let ty = TensorType::from_id(c.u32(&format!("type of tensor {name}"))?);
        let offset = c.u64(&format!("offset of tensor {name}"))?;
        infos.push(RawInfo { name, dims, elements, ty, offset });
    }
    Ok(infos)
}

/// Turns offsets into checked byte ranges of the file; distinguishes the two Q2_0 layouts by the bytes each tensor has
/// until the next one starts.
pub(super) fn place(
    mut raw: Vec<RawInfo>,
    data_start: u64,
    file_bytes: u64,
    alignment: u64,
) -> Result<Vec<TensorInfo>, Problem> {
    let data_bytes = file_bytes.saturating_sub(data_start);
    let mut starts: Vec<u64> = raw.iter().map(|r| r.offset).collect();
    starts.sort_unstable();
    let room = |r: &RawInfo| -> u64 {
        let next = starts.partition_point(|&s| s <= r.offset);
        starts.get(next).copied().unwrap_or(data_bytes).min(data_bytes).saturating_sub(r.offset)
    };
    let wide = widths_of_q2(&raw, &room, alignment);
    for r in &mut raw {
        if r.ty == TensorType::Q2_0 && wide {
            r.ty = TensorType::Q2_0G128;
        }
    }
    if starts.windows(2).any(|w| w[0] == w[1]) {
        return Err(Problem::corrupt("two tensors start at the same offset"));
    }
    let mut out = Vec::with_capacity(raw.len());
    for r in raw {
        if r.offset % alignment != 0 {
            return Err(Problem::corrupt(format!(
                "tensor {} starts at {}, which is not a multiple of the alignment {alignment}",
                r.name, r.offset
            )));
        }
        if r.offset > data_bytes {
            return Err(Problem::corrupt(format!(
                "tensor {} starts at {}, past the end of the file ({data_bytes} bytes of data)",
                r.name, r.offset
            )));
        }
        let here = room(&r);
        let bytes = match r.ty {
            // Its size is unknown; it may exist, it cannot be used.
            TensorType::Other(_) => here,
            ty => size_of(&r, ty)?,
        };
        if bytes > here {
            return Err(Problem::corrupt(format!(
                "tensor {} ({}, {bytes} bytes at {}) has only {here} bytes before the next tensor or the end of the file",
                r.name, r.ty, r.offset
            )));
        }
        // Inside the file, so it fits a usize.
        let start = (data_start + r.offset) as usize;
        out.push(TensorInfo { name: r.name, dims: r.dims, ty: r.ty, range: start..start + bytes as usize });
    }
    Ok(out)
}

fn size_of(r: &RawInfo, ty: TensorType) -> Result<u64, Problem> {
    let (weights, bytes) = ty.block();
    let cols = r.dims.first().copied().unwrap_or(0);
    if cols % weights != 0 {
        return Err(Problem::corrupt(format!(
            "tensor {} has rows of {cols}, which is not a whole number of {ty} blocks of {weights}",
            r.name
        )));
    }
    (r.elements / weights as u64)
        .checked_mul(bytes as u64)
        .ok_or_else(|| Problem::corrupt(format!("tensor {} is larger than any file", r.name)))
}

/// Whether the file's Q2_0 tensors are of the 34-byte kind. One file is written by one program, so tensors whose size
/// fits only one kind decide for those that padding leaves ambiguous.
fn widths_of_q2(raw: &[RawInfo], room: &dyn Fn(&RawInfo) -> u64, alignment: u64) -> bool {
    let (mut narrow, mut wide) = (0usize, 0usize);
    for r in raw.iter().filter(|r| r.ty == TensorType::Q2_0) {
        let here = room(r);
        let fits = |ty: TensorType| {
            size_of(r, ty).is_ok_and(|b| b == here || b.checked_next_multiple_of(alignment) == Some(here))
        };
        match (fits(TensorType::Q2_0), fits(TensorType::Q2_0G128)) {
            (true, false) => narrow += 1,
            (false, true) => wide += 1,
            // Neither: a gap or a cut. The wide kind is the only one that can still fit where the narrow cannot.
            (false, false) if size_of(r, TensorType::Q2_0).is_ok_and(|b| b > here) => {
                wide += usize::from(size_of(r, TensorType::Q2_0G128).is_ok_and(|b| b <= here));
            }
            _ => {}
        }
    }
    wide > narrow
}
