//! Launcher of `kernels/gemm.cu`: ternary products of many rows.

use super::agreed::{Arguments, Source, arguments};
use super::function::Launch;
use super::gemv::{self, Input, To};
use super::gpu::Gpu;
use super::linear::Linear;
use super::rows::Quant;
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::shapes;

arguments! {
    Args as "GemmArgs" {
        w: u64,
        group_scale: u64,
        x: u64,
        xscale: u64,
        xsums: u64,
        y: u64,
        rows: i32,
        cols: i32,
        tiles: i32,
        strips: i32,
        n: i32,
        xstride: i32,
        sums_stride: i32,
        ystride: i32,
        half: i32,
        end0: i32,
        end1: i32,
        scale0: f32,
        scale1: f32,
        scale2: f32,
    }
}

/// Tiles of activations that a block has under way.
const STAGES: usize = 4;
const THREADS: usize = 256;
/// Strips of a block.
const STRIPS: usize = 8;
/// Bytes between rows of activations in shared memory, against bank conflicts.
const PAD: usize = 16;

pub(super) const SOURCE: Source = Source {
    name: "gemm",
    text: include_str!("../../../../kernels/gemm.cu"),
    constants: &[("STAGES", STAGES), ("THREADS", THREADS), ("STRIPS", STRIPS), ("PAD", PAD)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// `y = W x` of the first `n` rows of `x`, as [`gemv::gemv`] computes it: the same integers to the bit where each part has one
/// scale, and otherwise sums of floats in another order (2e-6 of the largest apart at most).
///
/// # Errors
/// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
pub(super) fn gemm(gpu: &Gpu, stream: &Stream, w: &Linear, x: &Quant, n: usize, to: To<'_>) -> Result<()> {
    shapes::holds("gemm", "x", x.size(), n, w.cols)?;
    let (rows, xscale, xsums) = gemv::quantized(x, n)?;
    let args = Args {
        w: w.weights()?,
        group_scale: w.group_scales()?,
        x: rows,
        xscale,
        xsums,
        y: to.address(w, n)?,
        rows: w.rows as i32,
        cols: w.cols as i32,
        tiles: w.tiles as i32,
        strips: w.strips as i32,
        n: n as i32,
        xstride: x.stride as i32,
        sums_stride: x.sums_stride as i32,
        ystride: to.stride as i32,
        half: w.half as i32,
        end0: w.ends[0],
        end1: w.ends[1],
        scale0: w.scales[0],
        scale1: w.scales[1],
        scale2: w.scales[2],
    };
    // Wide blocks read weights less often; narrow ones fill the device where there are few.
    let blocks = w.strips.div_ceil(STRIPS) * n.div_ceil(128);
    let few = w.group.is_some() || n <= 64 || blocks < 2 * gpu.device.multiprocessors as usize;
    let columns = match n {
        ..=32 => 32,
        _ if few => 64,
        _ => 128,
    };
    let name = format!("gemm_{}_{columns}_{}", w.kernel(), to.output.name());
    let shared = (STAGES * columns * (w.packing.tile_cols() + PAD)) as u32;
    let grid = (w.strips.div_ceil(STRIPS) as u32, n.div_ceil(columns) as u32, 1);
    let launch = Launch { grid, threads: THREADS as u32, shared, overlap: true };
    // SAFETY: the struct is the kernel's; lengths were checked above.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}

/// The product of `n` quantized rows: the GEMV where they are few and fit it, else the GEMM.
///
/// # Errors
/// As [`gemm`].
pub(super) fn product(gpu: &Gpu, stream: &Stream, w: &Linear, x: &Quant, n: usize, to: To<'_>) -> Result<()> {
    if gemv::fits(gpu, w, n) {
        gemv::gemv(gpu, stream, w, Input::Quant(x, n), to)
    } else {
        gemm(gpu, stream, w, x, n, to)
    }
}
