//! Launcher of `kernels/prompt_attend.cu`: attention of many rows.

use super::agreed::{Arguments, Source, arguments};
use super::attend::AttentionRows;
use super::function::Launch;
use super::gpu::Gpu;
use super::kv::Kv;
use super::memory::or_null;
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes::shape;

arguments! {
    Args as "PromptArgs" {
        qkv: u64,
        out: u64,
        k: u64,
        v: u64,
        k_scale: u64,
        v_scale: u64,
        step: u64,
        n: i32,
        heads: i32,
        kv_heads: i32,
        context: i32,
        qkv_stride: i32,
        out_stride: i32,
    }
}

/// Rows of a block.
const ROWS: usize = 128;
const THREADS: usize = 256;
/// Keys of a tile, by the size of heads.
const TILE: usize = 64;
const TILE_256: usize = 32;
/// Bytes between rows in shared memory, against bank conflicts.
const PAD: usize = 16;

pub(super) const SOURCE: Source = Source {
    name: "prompt_attend",
    text: include_str!("../../../../kernels/prompt_attend.cu"),
    constants: &[("ROWS", ROWS), ("THREADS", THREADS), ("TILE", TILE), ("TILE_256", TILE_256), ("PAD", PAD)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// Causal attention of `n` rows, as [`crate::llm::backend::Backend::attend`], with queries, weights and values rounded to fp16 (3e-3
/// of the largest apart at most). Formula and source are at the top of the kernel's file.
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn prompt_attend(
    gpu: &Gpu,
    stream: &Stream,
    kv: &Kv,
    layer: usize,
    n: usize,
    rows: AttentionRows<'_>,
) -> Result<()> {
    let s = &kv.shape;
    shape(n > 0 && rows.out.is_some(), || {
        let out = if rows.out.is_some() { "a" } else { "no" };
        format!("prompt_attend: {n} rows and {out} place for the output, but at least 1 row and a place are expected")
    })?;
    let at = kv.layer(layer)?;
    let positions = s.kv_heads * s.context;
    let args = Args {
        qkv: rows.qkv.holding(n * s.qkv_cols() * 4, "queries, keys and values")?,
        out: or_null(rows.out, n * s.out_cols() * 4, "attention's output")?,
        k: at.k.holding(positions * kv.row_bytes(), "a layer's keys")?,
        v: at.v.holding(positions * kv.row_bytes(), "a layer's values")?,
        k_scale: or_null(at.k_scale, positions * 4, "a layer's scales")?,
        v_scale: or_null(at.v_scale, positions * 4, "a layer's scales")?,
        step: rows.step.holding(4, "the position")?,
        n: n as i32,
        heads: s.heads as i32,
        kv_heads: s.kv_heads as i32,
        context: s.context as i32,
        qkv_stride: s.qkv_cols() as i32,
        out_stride: s.out_cols() as i32,
    };
    let tile = if s.head_dim == 256 { TILE_256 } else { TILE };
    let shared = (ROWS + 4 * tile) * (s.head_dim * 2 + PAD) + 4 * tile * 4;
    let name = format!("prompt_attend_{}_{}", kv.element(), s.head_dim);
    let grid = (n.div_ceil(ROWS) as u32, s.heads as u32, 1);
    let launch = Launch { grid, threads: THREADS as u32, shared: shared as u32, overlap: true };
    // SAFETY: the struct is the kernel's; lengths were checked above, and the position is the caller's promise.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}
