//! Ternary matrices on the device: packed, streamed in from the file.

use super::loader::Loader;
use super::memory::{Buffer, View, or_null};
use super::packing::{Packing, STRIP_ROWS, TILE_BYTES};
use super::repack;
use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Footprint, Once, Part, shapes};
use crate::llm::quant::Groups;

/// Packed `[rows, cols]`, in strips of 16 rows and tiles of 128 or 160 columns (see `kernels/common.cuh`).
pub struct Linear {
    pub(super) data: Buffer,
    pub(super) group_scale: Option<Buffer>,
    pub(super) packing: Packing,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) tiles: usize,
    pub(super) strips: usize,
    /// Columns that share a scale, 64 or 128; `None` for one scale a part.
    pub(super) group: Option<usize>,
    /// Rows of gate where a strip holds 8 of gate and 8 of up, else 0.
    pub(super) half: usize,
    /// First row of the second and of the third part.
    pub(super) ends: [i32; 2],
    /// Scale of each part's rows.
    pub(super) scales: [f32; 3],
}

impl Footprint for Linear {
    fn resident(&self) -> u64 {
        self.data.bytes() + self.group_scale.as_ref().map_or(0, Buffer::bytes)
    }
}

/// Groups as kernels know them.
fn kernel_group(stored: usize) -> usize {
    if stored < 128 { 64 } else { 128 }
}

/// Bytes of packed weights and of group scales.
pub(super) fn bytes(packing: Packing, rows: usize, cols: usize, group: Option<usize>) -> (u64, u64) {
    let packing = if group.is_some() { Packing::TwoBits } else { packing };
    let tiles = (rows.div_ceil(STRIP_ROWS) * cols.div_ceil(packing.tile_cols())) as u64;
    (tiles * TILE_BYTES as u64, group.map_or(0, |g| tiles * (STRIP_ROWS * (128 / kernel_group(g)) * 2) as u64))
}

impl Linear {
    /// Part of its kernels' names.
    pub(super) fn kernel(&self) -> &'static str {
        match (self.group, self.packing) {
            (Some(64), _) => "g64",
            (Some(_), _) => "g128",
            (None, Packing::TwoBits) => "p2",
            (None, Packing::Base3) => "p3",
        }
    }

    /// Loads `parts` (same number of columns) as one matrix.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for more than three parts, and for a code of 3 in base 3; [`Kind::Unavailable`] where there is no
    /// memory left.
    pub(super) fn new(loader: &Loader, parts: &[Part<'_>]) -> Result<Self> {
        shapes::stack("linear", parts)?;
        if parts.len() > 3 {
            let what = format!("{} matrices in one; three at most are supported on the GPU", parts.len());
            return Err(Error::new(Kind::Unsupported, what));
        }
        let cols = parts[0].weights.cols();
        let rows: usize = parts.iter().map(|p| p.weights.rows()).sum();
        let one_scale = parts.iter().all(|p| matches!(p.weights.groups(), Groups::Tensor(_)));
        let group =
            (!one_scale).then(|| kernel_group(parts.iter().map(|p| p.weights.block_cols()).min().unwrap_or(128)));
        let packing = if one_scale { loader.packing } else { Packing::TwoBits };
        let paired = parts.len() == 2
            && parts[0].weights.rows() == parts[1].weights.rows()
            && parts[0].weights.rows().is_multiple_of(8);
        let (data_bytes, scale_bytes) = bytes(packing, rows, cols, group);
        let data = loader.keep_zeros(data_bytes)?;
        let group_scale = match scale_bytes {
            0 => None,
            n => Some(loader.keep_zeros(n)?),
        };
        let mut linear = Self {
            data,
            group_scale,
            packing,
            rows,
            cols,
            tiles: cols.div_ceil(packing.tile_cols()),
            strips: rows.div_ceil(STRIP_ROWS),
            group,
            half: if paired { rows / 2 } else { 0 },
            ends: [i32::MAX; 2],
            scales: [1.0; 3],
        };
        let mut first = 0;
        for (i, part) in parts.iter().enumerate() {
            linear.scales[i] = match part.weights.groups() {
                Groups::Tensor(d) if one_scale => d * part.factor,
                _ => part.factor,
            };
            linear.fill(loader, part, if paired { 0 } else { first }, paired.then_some(i))?;
            first += part.weights.rows();
            if i < 2 {
                linear.ends[i] = first as i32;
            }
        }
        Ok(linear)
    }

    /// The packed weights.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there are fewer than the matrix has.
    pub(super) fn weights(&self) -> Result<u64> {
        self.data.view().holding(self.tiles * self.strips * TILE_BYTES, "a matrix's tiles")
    }

    /// fp16 `[strip][tile][row of the strip][128 / group]`; 0 where each part has one scale.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there are fewer than the matrix has.
    pub(super) fn group_scales(&self) -> Result<u64> {
        let each = self.group.map_or(0, |g| STRIP_ROWS * (128 / g) * 2);
        or_null(self.group_scale.as_ref().map(Buffer::view), self.tiles * self.strips * each, "a matrix's scales")
    }

    /// The weights' first bytes, `most` at most, for prefetching.
    pub(super) fn beginning(&self, most: u64) -> (View<'_>, u64) {
        (self.data.view(), self.data.bytes().min(most))
    }

    /// A matrix of whatever `fill` writes, for measuring.
    pub(super) fn random(
        loader: &Loader,
        rows: usize,
        cols: usize,
        half: usize,
        fill: impl Fn(&Stream, &Buffer) -> Result<()>,
    ) -> Result<Self> {
        let packing = loader.packing;
        let data = loader.keep(bytes(packing, rows, cols, None).0)?;
        fill(&loader.stream, &data)?;
        let (tiles, strips) = (cols.div_ceil(packing.tile_cols()), rows.div_ceil(STRIP_ROWS));
        let (ends, scales) = ([i32::MAX; 2], [0.01; 3]);
        Ok(Self { data, group_scale: None, packing, rows, cols, tiles, strips, group: None, half, ends, scales })
    }

    /// Streams one part in.
    fn fill(&self, loader: &Loader, part: &Part<'_>, first: usize, pair: Option<usize>) -> Result<()> {
        let (ty, stored) = part.weights.stored();
        let row_bytes = stored.len() / part.weights.rows();
        let bad = loader.stream.zeros(4)?;
        loader.stage(Once::kept(stored), row_bytes, &mut |at, from, rows| {
            let stored = repack::Stored { at, row_bytes, ty, rows, cols: self.cols };
            let to = repack::Place {
                w: self.data.view(),
                group_scale: self.group_scale.as_ref().map(Buffer::view),
                bad: bad.view(),
                tiles: self.tiles,
                strips: self.strips,
                first: first + from,
                pair,
                group: self.group.unwrap_or(128),
                base3: self.packing == Packing::Base3,
            };
            repack::ternary(&loader.gpu, &loader.stream, &stored, &to)
        })?;
        let mut count = [0; 4];
        loader.stream.download(&bad, 0, &mut count)?;
        match u32::from_le_bytes(count) {
            0 => Ok(()),
            n => Err(Error::new(
                Kind::Unsupported,
                format!("{n} weights are not ternary (code 3): base 3 cannot hold them"),
            )
            .remedy("set llm.packing to two-bits")),
        }
    }
}
