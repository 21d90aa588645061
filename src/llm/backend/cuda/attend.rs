//! Launcher of `kernels/attend.cu`: RoPE, the append, and attention of a few rows.

use super::agreed::{Arguments, Source, arguments};
use super::function::Launch;
use super::gpu::Gpu;
use super::kv::Kv;
use super::memory::{View, or_null};
use super::partials::{self, GROUP_HEADS, MAX_ROWS, MIN_SPAN, Partials};
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes::shape;

arguments! {
    Args as "AttendArgs" {
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
}

const WARPS: usize = 8;
const THREADS: u32 = WARPS as u32 * 32;

pub(super) const SOURCE: Source = Source {
    name: "attend",
    text: include_str!("../../../../kernels/attend.cu"),
    constants: &[("WARPS", WARPS), ("GROUP_HEADS", GROUP_HEADS), ("MIN_SPAN", MIN_SPAN)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// RMSNorm of query and key heads before RoPE: weights on the device, f32 `[head_dim]` each, and epsilon.
#[derive(Clone, Copy)]
pub(super) struct HeadNorms<'a> {
    pub(super) q: View<'a>,
    pub(super) k: View<'a>,
    pub(super) eps: f32,
}

impl<'a> HeadNorms<'a> {
    /// Both weights, one after the other.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where there are fewer.
    pub(super) fn of(both: View<'a>, head_dim: usize, eps: f32) -> Result<Self> {
        Ok(Self { q: both, k: both.after(4 * head_dim as u64)?, eps })
    }
}

/// Where a layer's attention finds its rows.
#[derive(Clone, Copy)]
pub(super) struct AttentionRows<'a> {
    /// f32 `[n, q heads | k heads | v heads]`.
    pub(super) qkv: View<'a>,
    /// f32 `[n, heads · head_dim]`; `None` where nothing is attended.
    pub(super) out: Option<View<'a>>,
    /// The position of the first row, i32 on the device. The caller sees to it that the last row's lies within the context.
    pub(super) step: View<'a>,
    pub(super) norms: Option<HeadNorms<'a>>,
}

fn args(
    kv: &Kv,
    layer: usize,
    n: usize,
    rows: AttentionRows<'_>,
    partials: Option<&Partials>,
    splits: usize,
) -> Result<Args> {
    let s = &kv.shape;
    let at = kv.layer(layer)?;
    let positions = s.kv_heads * s.context;
    let norm = |of: Option<View<'_>>| or_null(of, s.head_dim * 4, "a head norm's weights");
    let counters = n * partials::head_groups(s);
    let sums = counters * partials::sums_bytes(splits, s.head_dim);
    Ok(Args {
        qkv: rows.qkv.holding(n * s.qkv_cols() * 4, "queries, keys and values")?,
        out: or_null(rows.out, n * s.out_cols() * 4, "attention's output")?,
        k: at.k.holding(positions * kv.row_bytes(), "a layer's keys")?,
        v: at.v.holding(positions * kv.row_bytes(), "a layer's values")?,
        k_scale: or_null(at.k_scale, positions * 4, "a layer's scales")?,
        v_scale: or_null(at.v_scale, positions * 4, "a layer's scales")?,
        rope: at.rope.holding(s.context * s.rope.pairs * 8, "the table of rotations")?,
        q_norm: norm(rows.norms.map(|n| n.q))?,
        k_norm: norm(rows.norms.map(|n| n.k))?,
        step: rows.step.holding(4, "the position")?,
        partial: or_null(partials.map(|p| p.sums.view()), sums, "partial sums")?,
        arrived: or_null(partials.map(|p| p.arrived.view()), counters * 4, "counters")?,
        heads: s.heads as i32,
        kv_heads: s.kv_heads as i32,
        context: s.context as i32,
        pairs: s.rope.pairs as i32,
        qkv_stride: s.qkv_cols() as i32,
        out_stride: s.out_cols() as i32,
        splits: splits as i32,
        norm_eps: rows.norms.map_or(0.0, |n| n.eps),
    })
}

/// Rotates `n` rows in place and appends their keys and values to `layer` of the cache, as
/// [`crate::llm::backend::Backend::rope_append`].
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn rope_append(
    gpu: &Gpu,
    stream: &Stream,
    kv: &Kv,
    layer: usize,
    n: usize,
    rows: AttentionRows<'_>,
) -> Result<()> {
    let name = format!("rope_append_{}_{}", kv.element(), kv.shape.head_dim);
    let heads = kv.shape.heads + 2 * kv.shape.kv_heads;
    let launch =
        Launch { grid: (heads.div_ceil(WARPS) as u32, n as u32, 1), threads: THREADS, shared: 0, overlap: true };
    let args = args(kv, layer, n, rows, None, 1)?;
    // SAFETY: the struct is the kernel's; lengths were checked above, and the position is the caller's promise.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}

/// Attention of up to [`MAX_ROWS`] rows, as [`crate::llm::backend::Backend::attend`]; with `fused`, of one row that is rotated and
/// appended on the way. Sums are f32 in another order than the reference's (2e-5 of the largest apart at most).
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn attend(
    gpu: &Gpu,
    stream: &Stream,
    (kv, layer): (&Kv, usize),
    (n, fused): (usize, bool),
    rows: AttentionRows<'_>,
    partials: &Partials,
) -> Result<()> {
    shape((1..=MAX_ROWS).contains(&n) && (n == 1 || !fused) && rows.out.is_some(), || {
        let (most, out) = (if fused { 1 } else { MAX_ROWS }, if rows.out.is_some() { "a" } else { "no" });
        format!("attend: {n} rows and {out} place for the output, but 1 to {most} rows and a place are expected")
    })?;
    let name = format!("attend_{}{}_{}", if fused { "fused_" } else { "" }, kv.element(), kv.shape.head_dim);
    let groups = partials::head_groups(&kv.shape);
    let splits = partials::splits(gpu.device.multiprocessors, groups, kv.shape.context, n);
    let launch = Launch { grid: (splits as u32, groups as u32, n as u32), threads: THREADS, shared: 0, overlap: true };
    let args = args(kv, layer, n, rows, Some(partials), splits)?;
    // SAFETY: the struct is the kernel's; lengths were checked above, and the position is the caller's promise.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}
