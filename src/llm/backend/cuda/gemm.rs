//! Launcher of `kernels/gemm.cu`.

use super::driver::{Launch, Stream};
use super::gemv::To;
use super::kernels::STAGES;
use super::linear::Linear;
use super::{Gpu, Quant};
use crate::error::Result;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
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

/// The product of `w` and the first `n` rows of `x`.
pub(super) fn gemm(gpu: &Gpu, stream: &Stream, w: &Linear, x: &Quant, n: usize, to: To) -> Result<()> {
    let args = Args {
        w: w.data.at,
        group_scale: w.group_scale.as_ref().map_or(0, |b| b.at),
        x: x.q.at,
        xscale: x.scale.at,
        xsums: x.sums.at,
        y: to.y,
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
    let blocks = w.strips.div_ceil(8) * n.div_ceil(128);
    let few = w.group.is_some() || n <= 64 || blocks < 2 * gpu.device.multiprocessors as usize;
    let columns = if n <= 32 {
        32
    } else if few {
        64
    } else {
        128
    };
    let name = format!("gemm_{}_{columns}_{}", w.kernel(), to.output.name());
    let shared = STAGES * columns * (32 * w.packing.runs() as u32 + 16);
    let grid = (w.strips.div_ceil(8) as u32, (n as u32).div_ceil(columns), 1);
    stream.launch(gpu.kernel(&name)?, Launch { grid, threads: 256, shared, overlap: true }, &args)
}
