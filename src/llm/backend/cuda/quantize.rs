//! Launcher of `kernels/quantize.cu`.

use super::driver::{Launch, Stream};
use super::{Gpu, Quant};
use crate::error::Result;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
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

/// What is quantized.
#[derive(Clone, Copy)]
pub(super) enum What {
    Plain,
    /// The row, normed: weight on the device, epsilon.
    Norm(u64, f32),
    /// `[g | u]`.
    SwiGlu,
}

/// `n` rows of `x` (`stride` columns apart) into `out`.
pub(super) fn quantize(
    gpu: &Gpu,
    stream: &Stream,
    what: What,
    x: u64,
    stride: usize,
    n: usize,
    out: &Quant,
) -> Result<()> {
    let (name, norm, eps) = match what {
        What::Plain => ("quantize_plain", 0, 0.0),
        What::Norm(weight, eps) => ("quantize_norm", weight, eps),
        What::SwiGlu => ("quantize_swiglu", 0, 0.0),
    };
    let args = Args {
        x,
        norm,
        q: out.q.at,
        scale: out.scale.at,
        sums: out.sums.at,
        cols: out.cols as i32,
        xstride: stride as i32,
        qstride: out.stride as i32,
        sums_stride: out.sums_stride as i32,
        eps,
    };
    stream.launch(gpu.kernel(name)?, Launch { grid: (n as u32, 1, 1), threads: 256, shared: 0, overlap: true }, &args)
}
