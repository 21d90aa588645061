//! Launcher of `kernels/quantize.cu`: rows of floats to int8.

use super::agreed::{Arguments, Source, arguments};
use super::function::Launch;
use super::gpu::Gpu;
use super::memory::View;
use super::rows::Quant;
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes::{self, shape};

arguments! {
    Args as "QuantArgs" {
        x: u64,
        norm: u64,
        q: u64,
        scale: u64,
        sums: u64,
        cols: i32,
        xstride: i32,
        qstride: i32,
        sums_stride: i32,
        eps: f32,
    }
}

const THREADS: usize = 256;

pub(super) const SOURCE: Source = Source {
    name: "quantize",
    text: include_str!("../../../../kernels/quantize.cu"),
    constants: &[("THREADS", THREADS)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// What is quantized.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Plain,
    /// The row, normed: weight f32 `[cols]`, epsilon.
    Norm(View<'a>, f32),
    /// `[g | u]`, twice as wide.
    SwiGlu,
}

/// The first `n` rows of `x` (f32, `stride` columns apart) into `out`: `q = round_half_even(v · 127 / max(|v|, 1e-5))`, with the
/// scale and the sums that products need. Formula and source are at the top of the kernel's file.
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say, or the width is no multiple of 4.
pub(super) fn quantize(
    gpu: &Gpu,
    stream: &Stream,
    what: What<'_>,
    x: View<'_>,
    stride: usize,
    n: usize,
    out: &Quant,
) -> Result<()> {
    let width = if matches!(what, What::SwiGlu) { 2 * out.cols } else { out.cols };
    shapes::holds("quantize", "out", out.size(), n, out.cols)?;
    shape(n > 0 && out.cols.is_multiple_of(4) && width <= stride, || {
        format!("quantize: {n} rows of {width} columns, {stride} apart, into {} columns, a multiple of 4", out.cols)
    })?;
    let (name, norm, eps) = match what {
        What::Plain => ("quantize_plain", 0, 0.0),
        What::Norm(weight, eps) => ("quantize_norm", weight.holding(out.cols * 4, "the norm's weights")?, eps),
        What::SwiGlu => ("quantize_swiglu", 0, 0.0),
    };
    let args = Args {
        x: x.holding(((n - 1) * stride + width) * 4, "rows to quantize")?,
        norm,
        q: out.q.view().holding(n * out.stride, "quantized rows")?,
        scale: out.scale.view().holding(n * 4, "their scales")?,
        sums: out.sums.view().holding(n * out.sums_stride * 4, "their sums")?,
        cols: out.cols as i32,
        xstride: stride as i32,
        qstride: out.stride as i32,
        sums_stride: out.sums_stride as i32,
        eps,
    };
    let launch = Launch { grid: (n as u32, 1, 1), threads: THREADS as u32, shared: 0, overlap: true };
    // SAFETY: the struct is the kernel's; lengths were checked above.
    unsafe { stream.launch(&gpu.kernel(name)?, launch, &args) }
}
