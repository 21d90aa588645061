//! Launcher of `kernels/gemv.cu`.

use super::driver::{Launch, Stream};
use super::linear::{Linear, Packing};
use super::{Gpu, Quant};
use crate::error::{Error, Kind, Result};

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
    w: u64,
    group_scale: u64,
    x: u64,
    norm: u64,
    xscale: u64,
    xsums: u64,
    y: u64,
    next: u64,
    next_bytes: u64,
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
    eps: f32,
}

/// Warps of a block.
const WARPS: u32 = 8;

/// Rows one launch takes.
pub(super) const MAX_ROWS: usize = 8;

/// What becomes of the product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Store,
    Add,
    /// Rows of gate and up become `cols / 2` of SwiGLU.
    SwiGlu,
}

impl Output {
    pub(super) fn name(self) -> &'static str {
        match self {
            Output::Store => "store",
            Output::Add => "add",
            Output::SwiGlu => "swiglu",
        }
    }
}

/// What is multiplied.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// One f32 row, normed (weight, epsilon) and quantized on the way.
    Norm(u64, u64, f32),
    /// One f32 row, quantized on the way.
    Row(u64),
    /// The first `n` quantized rows.
    Quant(&'a Quant, usize),
}

/// Where the product goes, and what comes after it.
#[derive(Clone, Copy)]
pub(super) struct To {
    pub(super) y: u64,
    pub(super) stride: usize,
    pub(super) output: Output,
    /// Weights of the next kernel, for the L2 of devices without dependent launch: address, bytes.
    pub(super) next: (u64, u64),
}

impl Args {
    fn of(w: &Linear, to: To) -> Self {
        Args {
            w: w.data.at,
            group_scale: w.group_scale.as_ref().map_or(0, |b| b.at),
            x: 0,
            norm: 0,
            xscale: 0,
            xsums: 0,
            y: to.y,
            next: to.next.0,
            next_bytes: to.next.1,
            rows: w.rows as i32,
            cols: w.cols as i32,
            tiles: w.tiles as i32,
            strips: w.strips as i32,
            n: 1,
            xstride: 0,
            sums_stride: 0,
            ystride: to.stride as i32,
            half: w.half as i32,
            end0: w.ends[0],
            end1: w.ends[1],
            scale0: w.scales[0],
            scale1: w.scales[1],
            scale2: w.scales[2],
            eps: 0.0,
        }
    }
}

/// Blocks and bytes of shared memory of a launch.
fn geometry(gpu: &Gpu, w: &Linear, columns: usize) -> (u32, usize) {
    let grouped = w.group.is_some();
    let x = w.tiles * columns * 4 * 2 * w.packing.runs() * 4;
    let sums = if grouped { columns * w.tiles * 8 } else { 0 };
    let mut grid = (gpu.blocks as usize).min(w.strips);
    loop {
        let mine = w.strips.div_ceil(grid);
        let red = mine * 16 * columns * 4 * if grouped { WARPS as usize } else { 1 };
        let bytes = x + red + sums;
        if bytes + 1024 <= gpu.device.shared_bytes as usize || mine == 1 {
            return (grid as u32, bytes);
        }
        grid *= 2;
    }
}

/// Whether `n` rows fit into one launch on this device.
pub(super) fn fits(gpu: &Gpu, w: &Linear, n: usize) -> bool {
    let columns = if n == 1 { 1 } else { MAX_ROWS };
    n <= MAX_ROWS && geometry(gpu, w, columns).1 + 1024 <= gpu.device.shared_bytes as usize
}

/// Whether one f32 row of `w` may be quantized on the way: a block keeps it in registers.
pub(super) fn takes_floats(w: &Linear, norm: bool) -> bool {
    depth_of_row(w, norm).is_some()
}

/// Float4s of the row a thread keeps.
fn depth_of_row(w: &Linear, norm: bool) -> Option<usize> {
    let built: &[usize] = if norm { &[4, 8] } else { &[4, 16, 24] };
    built.iter().copied().find(|n| w.cols <= n * 4 * 32 * WARPS as usize)
}

pub(super) fn gemv(gpu: &Gpu, stream: &Stream, w: &Linear, input: Input<'_>, to: To) -> Result<()> {
    let mut args = Args::of(w, to);
    let too_wide =
        || Error::new(Kind::Unsupported, format!("rows of {} columns are too wide for the GPU backend", w.cols));
    let (kind, columns) = match input {
        Input::Norm(x, norm, eps) => {
            (args.x, args.norm, args.eps) = (x, norm, eps);
            (format!("n{}", depth_of_row(w, true).ok_or_else(too_wide)?), 1)
        }
        Input::Row(x) => {
            args.x = x;
            (format!("q{}", depth_of_row(w, false).ok_or_else(too_wide)?), 1)
        }
        Input::Quant(q, n) => {
            (args.x, args.xscale, args.xsums) = (q.q.at, q.scale.at, q.sums.at);
            (args.n, args.xstride, args.sums_stride) = (n as i32, q.stride as i32, q.sums_stride as i32);
            let columns = if n == 1 { 1 } else { MAX_ROWS };
            (format!("i{columns}"), columns)
        }
    };
    let name = format!("gemv_{}_{kind}_{}", w.kernel(), to.output.name());
    let (grid, shared) = geometry(gpu, w, columns);
    let launch = Launch { grid: (grid, 1, 1), threads: WARPS * 32, shared: shared as u32, overlap: true };
    stream.launch(gpu.kernel(&name)?, launch, &args)
}

impl Packing {
    /// Runs of 32 columns in a tile.
    pub(super) fn runs(self) -> usize {
        match self {
            Packing::TwoBits => 4,
            Packing::Base3 => 5,
        }
    }
}
