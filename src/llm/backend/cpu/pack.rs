//! The layouts the kernels stream.
//!
//! Rows are interleaved in tiles of 16, so that a 32-bit lane of a vector is a row: sums need no reduction across lanes,
//! and a tile's 16 results and scales lie side by side. One 64-byte vector holds 4 columns of each of 16 rows for every
//! field of its bytes; kernels with 32-byte vectors take it as two halves of 8 rows.
//!
//! **Ternary**, 2 bits a weight: tile, then 64-column unit, then 4 vectors; byte `4·row + j` of vector `v` has the code of
//! column `64·unit + 16·v + 4·f + j` in bits `2f` and `2f + 1`, for `f` in 0..4.
//! **Int4**, 4 bits a weight: tile, then 32-column block, then 4 vectors; byte `4·row + j` of vector `v` has the code
//! (weight + 8) of column `32·block + 8·v + j` in its low and of column `32·block + 8·v + 4 + j` in its high nibble.
//!
//! Source: the layouts are tercet's own; what they are made from is [`crate::llm::quant`]'s.

use half::f16;

use super::buffer::Buffer;
use super::pool::Pool;
use super::share::Disjoint;
use crate::error::Result;
use crate::llm::backend::{Footprint, Once, Part};
use crate::llm::quant::Groups;

/// Rows of a tile.
pub(crate) const TILE: usize = 16;
/// Columns of a unit: the finest scale group.
pub(crate) const UNIT: usize = 64;
/// Units that go together, at most `most`, where `units` are cut as evenly as can be: a short rest costs almost as much as a
/// whole part.
pub(crate) fn even_parts(units: usize, most: usize) -> usize {
    units.div_ceil(units.div_ceil(most).max(1)).max(1)
}

/// Bytes of one tile's unit.
pub(crate) const UNIT_BYTES: usize = TILE * UNIT / 4;

/// A ternary matrix `[rows, cols]`; `cols` is a multiple of [`UNIT`] because every ternary type's block is.
pub struct Packed {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    codes: Buffer<u8>,
    /// A factor for each row (`[tiles · 16]`, zero past the last row): the tensor's scale where there are no groups.
    row_scale: Vec<f32>,
    groups: Option<GroupScales>,
}

/// One scale for every `units · 64` columns of a row.
struct GroupScales {
    units: usize,
    /// fp16 bits, `[tile, group, 16]`.
    scales: Buffer<u16>,
}

/// The scales of one tile's groups, for kernels.
#[derive(Clone, Copy)]
pub(crate) struct TileGroups<'a> {
    pub(crate) units: usize,
    /// fp16 bits, `[group, 16]`.
    pub(crate) scales: &'a [u16],
}

impl Packed {
    pub(crate) fn bytes(rows: usize, cols: usize, group: Option<usize>) -> u64 {
        let tiles = rows.div_ceil(TILE);
        let scales = group.map_or(0, |g| Buffer::<u16>::bytes(tiles * (cols / g) * TILE));
        Buffer::<u8>::bytes(tiles * TILE * cols / 4) + scales + (tiles * TILE * size_of::<f32>()) as u64
    }

    /// Interleaves `parts`, one below the other, reading each stored row once.
    pub(crate) fn new(parts: &[Part<'_>], pool: &Pool) -> Result<Self> {
        let cols = parts[0].weights.cols();
        let rows: usize = parts.iter().map(|p| p.weights.rows()).sum();
        let tiles = rows.div_ceil(TILE);
        let tensors = parts.iter().all(|p| matches!(p.weights.groups(), Groups::Tensor(_)));
        let group = parts.iter().map(|p| p.weights.block_cols()).min().unwrap_or(cols);
        let n_groups = if tensors { 0 } else { cols / group };
        let mut codes = Buffer::zeroed(tiles * TILE * cols / 4)?;
        let mut scales = Buffer::zeroed(tiles * n_groups * TILE)?;
        let mut row_scale = vec![0f32; tiles * TILE];
        let tile_bytes = TILE * cols / 4;
        {
            let codes = Disjoint::new(&mut codes);
            let scales = Disjoint::new(&mut scales);
            let row_scale = Disjoint::new(&mut row_scale);
            pool.run(tiles, &|tile| {
                // SAFETY: each tile is one chunk, which the pool runs once, and no two tiles' ranges overlap.
                let (codes, scales, row_scale) = unsafe {
                    (
                        codes.slice(tile * tile_bytes, tile_bytes),
                        scales.slice(tile * n_groups * TILE, n_groups * TILE),
                        row_scale.slice(tile * TILE, TILE),
                    )
                };
                let mut row = vec![0u8; cols];
                for lane in 0..TILE {
                    let Some((part, r)) = locate(parts, tile * TILE + lane) else { break };
                    let w = &part.weights;
                    let mut stored = vec![0f32; cols / w.block_cols()];
                    w.row(r, &mut row, &mut stored);
                    interleave(&row, lane, codes);
                    row_scale[lane] = part.factor;
                    match w.groups() {
                        Groups::Tensor(d) if tensors => row_scale[lane] = d * part.factor,
                        Groups::Tensor(d) => stored.fill(d),
                        Groups::Columns(_) => {}
                    }
                    for g in 0..n_groups {
                        scales[g * TILE + lane] = f16::from_f32(stored[g * group / w.block_cols()]).to_bits();
                    }
                }
            });
        }
        let groups = (!tensors).then_some(GroupScales { units: group / UNIT, scales });
        Ok(Self { rows, cols, codes, row_scale, groups })
    }

    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// One tile's codes, `[unit, 256 bytes]`.
    pub(crate) fn tile(&self, tile: usize) -> &[u8] {
        let bytes = TILE * self.cols / 4;
        &self.codes[tile * bytes..(tile + 1) * bytes]
    }

    pub(crate) fn row_scale(&self, tile: usize) -> &[f32; TILE] {
        sixteen(&self.row_scale, tile * TILE)
    }

    pub(crate) fn groups(&self, tile: usize) -> Option<TileGroups<'_>> {
        let g = self.groups.as_ref()?;
        let n = self.cols / UNIT / g.units * TILE;
        Some(TileGroups { units: g.units, scales: &g.scales[tile * n..(tile + 1) * n] })
    }
}

/// The 16 elements from `at` on, as an array. (Callers index inside; a slice too short is their defect.)
pub(crate) fn sixteen<T>(of: &[T], at: usize) -> &[T; TILE] {
    let s = &of[at..at + TILE];
    // SAFETY: `s` has exactly `TILE` elements, and an array has the layout of its elements in a row.
    unsafe { &*s.as_ptr().cast() }
}

fn locate<'p, 'a>(parts: &'p [Part<'a>], mut row: usize) -> Option<(&'p Part<'a>, usize)> {
    for p in parts {
        if row < p.weights.rows() {
            return Some((p, row));
        }
        row -= p.weights.rows();
    }
    None
}

/// Writes one row's codes into its lane of a tile.
fn interleave(row: &[u8], lane: usize, tile: &mut [u8]) {
    for (columns, vector) in row.chunks_exact(16).zip(tile.chunks_exact_mut(64)) {
        for j in 0..4 {
            let c = |f: usize| columns[4 * f + j] << (2 * f);
            vector[4 * lane + j] = c(0) | c(1) | c(2) | c(3);
        }
    }
}

impl Footprint for Packed {
    fn resident(&self) -> u64 {
        self.codes.resident()
            + self.groups.as_ref().map_or(0, |g| g.scales.resident())
            + size_of_val(self.row_scale.as_slice()) as u64
    }
}

/// A Q4_0 matrix `[rows, cols]`, `cols` a multiple of 32.
pub(crate) struct Int4 {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    codes: Buffer<u8>,
    /// fp16 bits, `[tile, block, 16]`.
    scales: Buffer<u16>,
}

/// Bytes of one tile's 32-column block of codes.
pub(crate) const INT4_BLOCK_BYTES: usize = TILE * 32 / 2;

impl Int4 {
    const STORED: usize = 18;

    pub(crate) fn bytes(rows: usize, cols: usize) -> u64 {
        let n = rows.div_ceil(TILE) * (cols / 32);
        Buffer::<u8>::bytes(n * INT4_BLOCK_BYTES) + Buffer::<u16>::bytes(n * TILE)
    }

    /// Stored bytes between two times that what has been read may go.
    const PART_BYTES: usize = 16 << 20;

    /// `from`: Q4_0 blocks, row by row.
    pub(crate) fn new(rows: usize, cols: usize, from: Once<'_>, pool: &Pool) -> Result<Self> {
        let (tiles, blocks, bytes) = (rows.div_ceil(TILE), cols / 32, from.bytes);
        let mut codes = Buffer::zeroed(tiles * blocks * INT4_BLOCK_BYTES)?;
        let mut scales = Buffer::zeroed(tiles * blocks * TILE)?;
        {
            let codes = Disjoint::new(&mut codes);
            let scales = Disjoint::new(&mut scales);
            let repack = |tile: usize| {
                // SAFETY: each tile is one chunk, which the pool runs once, and no two tiles' ranges overlap.
                let (codes, scales) = unsafe {
                    (
                        codes.slice(tile * blocks * INT4_BLOCK_BYTES, blocks * INT4_BLOCK_BYTES),
                        scales.slice(tile * blocks * TILE, blocks * TILE),
                    )
                };
                for lane in 0..TILE.min(rows - tile * TILE) {
                    let row = (tile * TILE + lane) * blocks * Self::STORED;
                    for (b, stored) in bytes[row..].chunks_exact(Self::STORED).take(blocks).enumerate() {
                        scales[b * TILE + lane] = u16::from_le_bytes([stored[0], stored[1]]);
                        let code = |c: usize| if c < 16 { stored[2 + c] & 15 } else { stored[2 + c - 16] >> 4 };
                        let block = &mut codes[b * INT4_BLOCK_BYTES..][..INT4_BLOCK_BYTES];
                        for (v, vector) in block.chunks_exact_mut(64).enumerate() {
                            for j in 0..4 {
                                vector[4 * lane + j] = code(8 * v + j) | code(8 * v + 4 + j) << 4;
                            }
                        }
                    }
                }
            };
            let tile_bytes = TILE * blocks * Self::STORED;
            let part = (Self::PART_BYTES / tile_bytes.max(1)).max(1);
            for first in (0..tiles).step_by(part) {
                let count = part.min(tiles - first);
                pool.run(count, &|i| repack(first + i));
                from.done(first * tile_bytes..((first + count) * tile_bytes).min(bytes.len()));
            }
        }
        Ok(Self { rows, cols, codes, scales })
    }

    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// One tile's codes `[block, 256 bytes]` and fp16 scales `[block, 16]`.
    pub(crate) fn tile(&self, tile: usize) -> (&[u8], &[u16]) {
        let blocks = self.cols / 32;
        let (codes, scales) = (blocks * INT4_BLOCK_BYTES, blocks * TILE);
        (&self.codes[tile * codes..(tile + 1) * codes], &self.scales[tile * scales..(tile + 1) * scales])
    }
}

impl Footprint for Int4 {
    fn resident(&self) -> u64 {
        self.codes.resident() + self.scales.resident()
    }
}
