//! The CPU backend: integer dots in SIMD over weights repacked at load, work shared by a few threads.
//!
//! One layout ([`pack`]) serves every instruction set; [`kernels`] picks the set at run time. An operation on one row
//! that is too small to share runs on the caller alone; linears, the head and attention are cut into chunks of tiles
//! or heads that the threads of [`pool`] claim.

use super::shapes::Size;
use super::{Backend, FileRows, Footprint, KvShape, Once, Part, QkNorm, shapes};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::TensorType;
use crate::llm::quant::{self, Ternary};
use crate::units::TokenId;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // lanes, halves and heads are named by index throughout the kernels
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // as above
mod avx2_attention;
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // lanes, halves and heads are named by index throughout the kernels
mod avx2_float;
#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // as above
mod avx512;
mod bandwidth;
mod buffer;
mod cache;
#[cfg(test)]
mod cache_tests;
mod head;
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "aarch64")]
#[allow(clippy::needless_range_loop)] // as above
mod neon;
mod operands;
mod pack;
mod pool;
mod scalar;
mod share;

pub use bandwidth::read_bandwidth;
pub use cache::Kv;
pub use head::Head;
pub use kernels::Isa;
pub use pack::Packed;

use buffer::Buffer;
use kernels::Kernels;
use operands::{HeadGroup, QuantRow};
use pack::{TILE, UNIT};
use pool::Pool;
use share::Disjoint;

/// The CPU backend: an instruction set and some threads.
pub struct Cpu {
    isa: Isa,
    kernels: Kernels,
    pool: Pool,
}

/// f32 `[capacity, cols]`.
pub struct Rows {
    cols: usize,
    data: Buffer<f32>,
}

/// int8 `[capacity, cols]`, a scale a row, and the sum of each 64 columns (which undoes the codes' offset of one).
pub struct Quant {
    cols: usize,
    q: Buffer<i8>,
    scale: Vec<f32>,
    /// `[capacity, ⌈cols / 64⌉]`.
    sums: Vec<i32>,
}

const CACHE_LINE: usize = 64;

/// Rows that are multiplied one by one: unpacking a tile for all of them at once pays for more.
const FEW: usize = 4;

/// Tiles given to a kernel at once, which may read them side by side.
const TOGETHER: usize = 4;

/// Rows given to a kernel at once: what it writes of them and of [`TOGETHER`] tiles stays in the first-level cache.
const ROWS_TOGETHER: usize = 64;

/// Tiles of at least this many bytes are read side by side, so threads get them in whole steps of [`TOGETHER`].
const LONG_TILE: usize = 8192;

impl Cpu {
    /// `threads` threads, the caller's included, with the best kernels this processor has.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self> {
        Self::with(threads, Isa::detect())
    }

    /// As [`Cpu::new`], with the kernels of `isa` if this processor has them, else the best it has.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with(threads: usize, isa: Isa) -> Result<Self> {
        let (isa, kernels) = Kernels::of(isa);
        Ok(Self { isa, kernels, pool: Pool::new(threads)? })
    }

    /// What [`Backend::describe`] says of such a backend.
    pub(in crate::llm) fn describe_with(isa: Isa, threads: usize) -> String {
        format!("cpu ({}, {threads} thread{})", isa.name(), if threads == 1 { "" } else { "s" })
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs `work(first, last)` over `0..n` in ranges that keep the threads busy: four for each thread, of the same length or
    /// one apart.
    fn share(&self, n: usize, work: impl Fn(usize, usize) + Sync) {
        let ranges = n.min(self.pool.threads() * 4);
        self.pool.run(ranges, &|i| work(i * n / ranges, (i + 1) * n / ranges));
    }

    /// [`Cpu::share`] over tiles of `tile_bytes`, at most [`TOGETHER`] at a time: `work(first, how many)`.
    fn share_tiles(&self, tiles: usize, tile_bytes: usize, work: impl Fn(usize, usize) + Sync) {
        let step = if tile_bytes < LONG_TILE { 1 } else { TOGETHER };
        self.share(tiles.div_ceil(step), |from, to| {
            let end = (to * step).min(tiles);
            (from * step..end).step_by(TOGETHER).for_each(|first| work(first, TOGETHER.min(end - first)));
        });
    }

    /// `work(row)` for `n` rows, each too little to share with others.
    fn each_row(&self, n: usize, work: impl Fn(usize) + Sync) {
        if n == 1 {
            return work(0);
        }
        self.share(n, |from, to| (from..to).for_each(&work));
    }

    /// `put(row of x, tile, y)` for every tile and row of `W x`.
    fn linear_tiles(&self, w: &Packed, x: &[QuantRow<'_>], put: impl Fn(usize, usize, &[f32; TILE]) + Sync) {
        if x.len() <= FEW {
            return self.share_tiles(w.tiles(), w.tile(0).len(), |first, n| {
                // The first row brings the tiles into the cache, the others find them there.
                for (i, x) in x.iter().enumerate() {
                    let mut y = [[0f32; TILE]; TOGETHER];
                    // SAFETY: the table holds kernels of a set this processor has.
                    unsafe { (self.kernels.ternary_row)(w, first, *x, &mut y[..n]) };
                    (first..).zip(&y[..n]).for_each(|(tile, y)| put(i, tile, y));
                }
            });
        }
        self.share(w.tiles(), |from, to| {
            let mut y = [[0f32; TILE]; TOGETHER * ROWS_TOGETHER];
            for first in (from..to).step_by(TOGETHER) {
                let tiles = TOGETHER.min(to - first);
                for (block, x) in x.chunks(ROWS_TOGETHER).enumerate() {
                    let y = &mut y[..tiles * x.len()];
                    // SAFETY: as above.
                    unsafe { (self.kernels.ternary_rows)(w, first, x, y) };
                    for (tile, y) in (first..).zip(y.chunks_exact(x.len())) {
                        (block * ROWS_TOGETHER..).zip(y).for_each(|(i, y)| put(i, tile, y));
                    }
                }
            }
        });
    }

    fn linear_with(
        &self,
        op: &str,
        (w, x, n): (&Packed, &Quant, usize),
        y: &mut Rows,
        put: impl Fn(&mut f32, f32) + Sync,
    ) -> Result<()> {
        shapes::holds(op, "x", x.size(), n, w.cols)?;
        shapes::holds(op, "y", y.size(), n, w.rows)?;
        let rows: Vec<QuantRow<'_>> = (0..n).map(|i| x.row(i)).collect();
        let cols = y.cols;
        let out = Disjoint::new(&mut y.data);
        self.linear_tiles(w, &rows, |i, tile, tile_y| {
            let len = TILE.min(cols - tile * TILE);
            // SAFETY: every (row, tile) pair is visited once and has its own elements.
            let to = unsafe { out.slice(i * cols + tile * TILE, len) };
            // Whole tiles by their known length, which the compiler makes a vector or two of.
            match to.as_chunks_mut::<TILE>() {
                ([to], _) => to.iter_mut().zip(tile_y).for_each(|(to, y)| put(to, *y)),
                (_, to) => to.iter_mut().zip(tile_y).for_each(|(to, y)| put(to, *y)),
            }
        });
        Ok(())
    }

    /// Quantizes what `fill` writes into a scratch row, for each of `n` rows.
    fn quantize_rows(&self, n: usize, out: &mut Quant, fill: impl Fn(usize, &mut [f32]) + Sync) {
        let (cols, units, stride) = (out.cols, out.cols.div_ceil(UNIT), Quant::stride(out.cols));
        let (q, scale, sums) = (Disjoint::new(&mut out.q), Disjoint::new(&mut out.scale), Disjoint::new(&mut out.sums));
        self.each_row(n, |i| {
            // SAFETY: each row is visited once and has its own elements.
            let (q, scale, sums) =
                unsafe { (q.slice(i * stride, cols), scale.slice(i, 1), sums.slice(i * units, units)) };
            with_scratch(cols, |row| {
                fill(i, row);
                // SAFETY: the table holds kernels of a set this processor has.
                unsafe {
                    scale[0] = (self.kernels.quantize)(row, q);
                    (self.kernels.sums)(q, sums);
                }
            });
        });
    }
}

impl Cpu {
    /// RMSNorm of each head (as many numbers as `weight` has) in place.
    fn norm_heads(&self, heads: &mut [f32], weight: &[f32], eps: f32) {
        with_scratch(weight.len(), |normed| {
            for head in heads.chunks_exact_mut(weight.len()) {
                // SAFETY: the table holds kernels of a set this processor has.
                unsafe { (self.kernels.norm)(head, weight, eps, normed) };
                head.copy_from_slice(normed);
            }
        });
    }
}

thread_local! {
    /// One row of floats, or one head group's scores, for the kernel that runs on this thread.
    static SCRATCH: std::cell::RefCell<Vec<f32>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn with_scratch<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    SCRATCH.with_borrow_mut(|v| {
        if v.len() < len {
            v.resize(len, 0.0);
        }
        f(&mut v[..len])
    })
}

impl Rows {
    fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    fn size(&self) -> Size {
        Size::of(self.data.len(), self.cols)
    }
}

impl Quant {
    /// Bytes from one row to the next. Rows a power of two apart would all fall into the same few sets of the cache, of
    /// which kernels that read sixteen rows side by side would use one at a time.
    fn stride(cols: usize) -> usize {
        cols + CACHE_LINE
    }

    fn size(&self) -> Size {
        Size { rows: self.scale.len(), cols: self.cols }
    }

    fn row(&self, i: usize) -> QuantRow<'_> {
        let units = self.cols.div_ceil(UNIT);
        QuantRow {
            q: &self.q[i * Self::stride(self.cols)..][..self.cols],
            sums: &self.sums[i * units..(i + 1) * units],
            scale: self.scale[i],
        }
    }
}

impl Footprint for Rows {
    fn resident(&self) -> u64 {
        self.data.resident()
    }
}

impl Footprint for Quant {
    fn resident(&self) -> u64 {
        self.q.resident() + (size_of_val(self.scale.as_slice()) + size_of_val(self.sums.as_slice())) as u64
    }
}

impl Backend for Cpu {
    type Rows = Rows;
    type Quant = Quant;
    type Linear = Packed;
    type Embedding = FileRows;
    type Head = Head;
    type Kv = Kv;

    fn describe(&self) -> String {
        Self::describe_with(self.isa, self.pool.threads())
    }

    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        Buffer::<f32>::bytes(capacity * cols)
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        Buffer::<i8>::bytes(capacity * Quant::stride(cols)) + (capacity * 4 * (1 + cols.div_ceil(UNIT))) as u64
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        Packed::bytes(rows, cols, group)
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        Head::bytes(ty, rows, cols)
    }
    fn kv_bytes(&self, shape: &KvShape) -> u64 {
        Kv::bytes(shape)
    }

    fn rows(&self, capacity: usize, cols: usize) -> Result<Rows> {
        Ok(Rows { cols, data: Buffer::zeroed(capacity * cols)? })
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<Quant> {
        Ok(Quant {
            cols,
            q: Buffer::zeroed(capacity * Quant::stride(cols))?,
            scale: vec![0.0; capacity],
            sums: vec![0; capacity * cols.div_ceil(UNIT)],
        })
    }
    fn kv(&self, shape: &KvShape) -> Result<Kv> {
        Kv::new(shape)
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<Packed> {
        shapes::stack("linear", parts)?;
        Packed::new(parts, &self.pool)
    }
    fn embedding(&self, table: FileRows) -> Result<FileRows> {
        Ok(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Head> {
        Head::new(ty, rows, cols, bytes, &self.pool)
    }

    fn write_rows(&self, to: &mut Rows, data: &[f32]) -> Result<()> {
        shapes::whole_rows("write_rows", data.len(), to.size())?;
        to.data[..data.len()].copy_from_slice(data);
        Ok(())
    }
    fn read_rows(&self, from: &Rows, n: usize) -> Result<Vec<f32>> {
        shapes::holds("read_rows", "the buffer", from.size(), n, from.cols)?;
        Ok(from.data[..n * from.cols].to_vec())
    }
    fn write_quant(&self, to: &mut Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        shapes::holds("write_quant", "the buffer", to.size(), scales.len(), to.cols)?;
        shapes::length("write_quant", "q", q.len(), scales.len() * to.cols)?;
        let rows = to.q.chunks_mut(Quant::stride(to.cols));
        rows.zip(q.chunks_exact(to.cols)).for_each(|(to, q)| to[..q.len()].copy_from_slice(q));
        to.scale[..scales.len()].copy_from_slice(scales);
        for (q, sums) in q.chunks_exact(to.cols).zip(to.sums.chunks_exact_mut(to.cols.div_ceil(UNIT))) {
            // SAFETY: the table holds kernels of a set this processor has.
            unsafe { (self.kernels.sums)(q, sums) };
        }
        Ok(())
    }
    fn read_quant(&self, from: &Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        shapes::holds("read_quant", "the buffer", from.size(), n, from.cols)?;
        Ok(((0..n).flat_map(|i| from.row(i).q).copied().collect(), from.scale[..n].to_vec()))
    }
    fn save_kv(&self, kv: &Kv, len: usize) -> Result<Vec<u8>> {
        kv.save(len)
    }
    fn load_kv(&self, kv: &mut Kv, len: usize, saved: &[u8]) -> Result<()> {
        kv.load(len, saved)
    }

    fn embed(&self, table: &FileRows, tokens: &[TokenId], x: &mut Rows) -> Result<()> {
        shapes::holds("embed", "x", x.size(), tokens.len(), table.tensor.cols())?;
        for (token, row) in tokens.iter().zip(x.data.chunks_exact_mut(x.cols)) {
            table.row(*token, row)?;
        }
        Ok(())
    }

    fn norm_quantize(&self, x: &Rows, n: usize, weight: &[f32], eps: f32, out: &mut Quant) -> Result<()> {
        shapes::holds("norm_quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("norm_quantize", "out", out.size(), n, out.cols)?;
        shapes::length("norm_quantize", "the norm's weight", weight.len(), out.cols)?;
        // SAFETY: the table holds kernels of a set this processor has.
        self.quantize_rows(n, out, |i, row| unsafe { (self.kernels.norm)(x.row(i), weight, eps, row) });
        Ok(())
    }

    fn quantize(&self, x: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("quantize", "out", out.size(), n, out.cols)?;
        self.quantize_rows(n, out, |i, row| row.copy_from_slice(x.row(i)));
        Ok(())
    }

    fn linear_into(&self, w: &Packed, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        self.linear_with("linear_into", (w, x, n), y, |y, v| *y = v)
    }

    fn linear_add(&self, w: &Packed, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        self.linear_with("linear_add", (w, x, n), y, |y, v| *y += v)
    }

    fn rope_append(
        &self,
        qkv: &mut Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut Kv,
    ) -> Result<()> {
        let s = kv.shape();
        shapes::qkv("rope_append", s, qkv.size(), n)?;
        shapes::positions("rope_append", s, layer, start, n)?;
        shapes::head_norms("rope_append", norms, s.head_dim)?;
        let (heads, kv_heads, head_dim) = (s.heads, s.kv_heads, s.head_dim);
        let cols = qkv.cols;
        let rows = Disjoint::new(&mut qkv.data);
        let kv = kv.writer(layer);
        self.each_row(n, |i| {
            // SAFETY: each row is visited once and has its own elements.
            let row = unsafe { rows.slice(i * cols, cols) };
            if let Some(by) = norms {
                let (q, k) = row[..(heads + kv_heads) * head_dim].split_at_mut(heads * head_dim);
                self.norm_heads(q, &by.q, by.eps);
                self.norm_heads(k, &by.k, by.eps);
            }
            // SAFETY: each row is visited once and has its own position in the cache.
            unsafe { kv.rope_append(row, start + i) };
        });
        Ok(())
    }

    fn attend(&self, qkv: &Rows, n: usize, layer: usize, start: usize, kv: &Kv, out: &mut Rows) -> Result<()> {
        let s = kv.shape();
        shapes::qkv("attend", s, qkv.size(), n)?;
        shapes::positions("attend", s, layer, start, n)?;
        shapes::holds("attend", "out", out.size(), n, s.out_cols())?;
        let group = s.heads / s.kv_heads * s.head_dim;
        let cols = out.cols;
        let to = Disjoint::new(&mut out.data);
        let one = |i: usize, head: usize| {
            let q = &qkv.row(i)[head * group..(head + 1) * group];
            let a = HeadGroup { q, cells: kv.head(layer, head), head_dim: s.head_dim, len: start + i + 1 };
            // SAFETY: every (row, KV head) pair is visited once and has its own elements.
            let to = unsafe { to.slice(i * cols + head * group, group) };
            // SAFETY: the table holds kernels of a set this processor has.
            SCRATCH.with_borrow_mut(|scores| unsafe { (self.kernels.attend)(a, scores, to) });
        };
        // Later rows attend to more: neighbouring rows go to different threads, so that no thread gets all the long ones.
        self.pool.run(n * s.kv_heads, &|i| one(i / s.kv_heads, i % s.kv_heads));
        Ok(())
    }

    fn swiglu_quantize(&self, gate_up: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("swiglu_quantize", "gate_up", gate_up.size(), n, 2 * out.cols)?;
        shapes::holds("swiglu_quantize", "out", out.size(), n, out.cols)?;
        let cols = out.cols;
        self.quantize_rows(n, out, |i, row| {
            let (gate, up) = gate_up.row(i).split_at(cols);
            // SAFETY: the table holds kernels of a set this processor has.
            unsafe { (self.kernels.swiglu)(gate, up, row) };
        });
        Ok(())
    }

    fn logits(&self, head: &Head, weight: &[f32], eps: f32, x: &Rows, row: usize, logits: &mut [f32]) -> Result<()> {
        shapes::logits(head.size(), weight.len(), x.size(), row, logits.len())?;
        let mut normed = vec![0f32; x.cols];
        // SAFETY: the table holds kernels of a set this processor has.
        unsafe { (self.kernels.norm)(x.row(row), weight, eps, &mut normed) };
        self.head_times(head, &normed, logits)
    }
}
