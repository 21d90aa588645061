//! Launcher of `kernels/prompt_attend.cu`.

use super::attend::Rows;
use super::driver::{Launch, Stream};
use super::{Gpu, Kv};
use crate::error::Result;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
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

/// Rows of a block.
const ROWS: usize = 128;

pub(super) fn prompt_attend(gpu: &Gpu, stream: &Stream, kv: &Kv, layer: usize, n: usize, rows: Rows) -> Result<()> {
    let (k, v, k_scale, v_scale) = kv.layer(layer);
    let s = &kv.shape;
    let args = Args {
        qkv: rows.qkv,
        out: rows.out,
        k,
        v,
        k_scale,
        v_scale,
        step: rows.step,
        n: n as i32,
        heads: s.heads as i32,
        kv_heads: s.kv_heads as i32,
        context: s.context as i32,
        qkv_stride: s.qkv_cols() as i32,
        out_stride: s.out_cols() as i32,
    };
    let tile = if s.head_dim == 256 { 32 } else { 64 };
    let shared = (ROWS + 4 * tile) * (s.head_dim * 2 + 16) + 4 * tile * 4;
    let name = format!("prompt_attend_{}_{}", kv.element(), s.head_dim);
    let grid = (n.div_ceil(ROWS) as u32, s.heads as u32, 1);
    stream.launch(gpu.kernel(&name)?, Launch { grid, threads: 256, shared: shared as u32, overlap: true }, &args)
}
