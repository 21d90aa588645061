//! Launcher of `kernels/attend.cu`: RoPE, the append, and attention of a few rows.

use super::driver::{Buffer, Launch, Stream};
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
    rope: u64,
    q_norm: u64,
    k_norm: u64,
    step: u64,
    partial: u64,
    arrived: u64,
    heads: i32,
    kv_heads: i32,
    context: i32,
    pairs: i32,
    qkv_stride: i32,
    out_stride: i32,
    splits: i32,
    norm_eps: f32,
}

/// Query heads of a block.
const GROUP_HEADS: usize = 4;
/// Rows [`attend`] takes; more of them belong to `prompt_attend`.
pub(super) const MAX_ROWS: usize = 8;

/// Room for the splits' partial sums, and the counters that tell a block it was the last.
pub(super) struct Partials {
    sums: Buffer,
    arrived: Buffer,
}

/// Blocks in y: KV heads, each as often as its query heads need groups of four.
fn head_groups(kv: &Kv) -> usize {
    kv.shape.kv_heads * (kv.shape.heads / kv.shape.kv_heads).div_ceil(GROUP_HEADS)
}

/// Parts of the context that the blocks of `n` rows share: as many as fill the device, two blocks a multiprocessor.
fn splits(multiprocessors: u32, groups: usize, context: usize, n: usize) -> usize {
    (2 * multiprocessors as usize / (groups * n)).clamp(1, context.div_ceil(64).max(1))
}

/// Splits of all rows and groups of heads, for the number of rows that has the most of them: short contexts have few splits and
/// then more of them in more rows.
fn slots(multiprocessors: u32, groups: usize, context: usize) -> usize {
    (1..=MAX_ROWS).map(|n| n * groups * splits(multiprocessors, groups, context, n)).max().unwrap_or(0)
}

impl Partials {
    /// At most what a session of any context takes.
    pub(super) fn most(gpu: &Gpu, heads: usize, head_dim: usize) -> u64 {
        // Two blocks a multiprocessor, or one split of every row and group.
        let slots = (2 * gpu.device.multiprocessors as usize).max(MAX_ROWS * heads);
        (slots * GROUP_HEADS * (head_dim + 2) * 4 + MAX_ROWS * heads * 4) as u64
    }

    pub(super) fn resident(&self) -> u64 {
        self.sums.bytes + self.arrived.bytes
    }

    /// Address of the sums.
    pub(super) fn at(&self) -> u64 {
        self.sums.at
    }

    /// Of sums, as many as any number of rows needs; of counters.
    fn bytes(gpu: &Gpu, kv: &Kv) -> (u64, u64) {
        let groups = head_groups(kv);
        let most = slots(gpu.device.multiprocessors, groups, kv.shape.context);
        ((most * GROUP_HEADS * (kv.shape.head_dim + 2) * 4) as u64, (MAX_ROWS * groups * 4) as u64)
    }

    pub(super) fn new(gpu: &Gpu, kv: &Kv, stream: &Stream) -> Result<Self> {
        let (sums, arrived) = Self::bytes(gpu, kv);
        Ok(Self { sums: gpu.device.alloc(sums)?, arrived: gpu.device.zeros(arrived, stream)? })
    }
}

/// RMSNorm of query and key heads before RoPE: weights on the device (0: none), epsilon.
#[derive(Clone, Copy, Default)]
pub(super) struct HeadNorms {
    pub(super) q: u64,
    pub(super) k: u64,
    pub(super) eps: f32,
}

impl HeadNorms {
    /// Both weights, one after the other.
    pub(super) fn at(at: u64, head_dim: usize, eps: f32) -> Self {
        Self { q: at, k: at + 4 * head_dim as u64, eps }
    }
}

/// Where a layer's attention finds its rows.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) qkv: u64,
    pub(super) out: u64,
    /// The position of the first row, on the device.
    pub(super) step: u64,
    pub(super) norms: HeadNorms,
}

fn args(kv: &Kv, layer: usize, rows: Rows, partials: Option<&Partials>, splits: usize) -> Args {
    let (k, v, k_scale, v_scale) = kv.layer(layer);
    let s = &kv.shape;
    Args {
        qkv: rows.qkv,
        out: rows.out,
        k,
        v,
        k_scale,
        v_scale,
        rope: kv.rope.at,
        q_norm: rows.norms.q,
        k_norm: rows.norms.k,
        step: rows.step,
        partial: partials.map_or(0, |p| p.sums.at),
        arrived: partials.map_or(0, |p| p.arrived.at),
        heads: s.heads as i32,
        kv_heads: s.kv_heads as i32,
        context: s.context as i32,
        pairs: s.rope.pairs as i32,
        qkv_stride: s.qkv_cols() as i32,
        out_stride: s.out_cols() as i32,
        splits: splits as i32,
        norm_eps: rows.norms.eps,
    }
}

/// Rotates `n` rows and appends their keys and values.
pub(super) fn rope_append(gpu: &Gpu, stream: &Stream, kv: &Kv, layer: usize, n: usize, rows: Rows) -> Result<()> {
    let name = format!("rope_append_{}_{}", kv.element(), kv.shape.head_dim);
    let heads = kv.shape.heads + 2 * kv.shape.kv_heads;
    let launch = Launch { grid: (heads.div_ceil(8) as u32, n as u32, 1), threads: 256, shared: 0, overlap: true };
    stream.launch(gpu.kernel(&name)?, launch, &args(kv, layer, rows, None, 1))
}

/// Attention of up to [`MAX_ROWS`] rows; with `fused`, of one row that is rotated and appended on the way.
pub(super) fn attend(
    gpu: &Gpu,
    stream: &Stream,
    (kv, layer): (&Kv, usize),
    (n, fused): (usize, bool),
    rows: Rows,
    partials: &Partials,
) -> Result<()> {
    let name = format!("attend_{}{}_{}", if fused { "fused_" } else { "" }, kv.element(), kv.shape.head_dim);
    let groups = head_groups(kv);
    let splits = splits(gpu.device.multiprocessors, groups, kv.shape.context, n);
    let grid = (splits as u32, groups as u32, n as u32);
    let launch = Launch { grid, threads: 256, shared: 0, overlap: true };
    stream.launch(gpu.kernel(&name)?, launch, &args(kv, layer, rows, Some(partials), splits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a launch writes lies within what is allocated: (row, group) · splits + split, for every number of rows.
    #[test]
    fn partial_sums_have_room() {
        for (multiprocessors, groups, context) in [8, 16, 132, 144]
            .into_iter()
            .flat_map(|m| [1, 4, 8, 12, 32].map(|g| (m, g)))
            .flat_map(|(m, g)| [1, 20, 64, 65, 300, 4096, 8192, 131_072].map(|c| (m, g, c)))
        {
            let room = slots(multiprocessors, groups, context);
            for n in 1..=MAX_ROWS {
                assert!(n * groups * splits(multiprocessors, groups, context, n) <= room);
            }
            // The kernel of all layers at once splits the context itself, among the blocks of one row.
            let blocks = (multiprocessors as usize / groups).min(context.div_ceil(64)).min(32);
            assert!(groups * blocks <= room, "{multiprocessors} {groups} {context}");
        }
    }
}
