//! Launcher of `kernels/gemv.cu`: ternary products of few rows.

use super::agreed::{Arguments, Source, arguments};
use super::function::Launch;
use super::gpu::Gpu;
use super::linear::Linear;
use super::memory::View;
use super::packing::STRIP_ROWS;
use super::rows::{Quant, Rows};
use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::llm::backend::shapes::{self, shape};

arguments! {
    Args as "GemvArgs" {
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
}

/// Warps of a block.
const WARPS: usize = 8;

pub(super) const SOURCE: Source = Source {
    name: "gemv",
    text: include_str!("../../../../kernels/gemv.cu"),
    constants: &[("WARPS", WARPS), ("STRIP_ROWS", STRIP_ROWS), ("MAX_ROWS", MAX_ROWS)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

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
    /// One f32 row `[cols]`, normed (weight `[cols]`, epsilon) and quantized on the way.
    Norm(View<'a>, View<'a>, f32),
    /// One f32 row `[cols]`, quantized on the way.
    Row(View<'a>),
    /// The first `n` quantized rows.
    Quant(&'a Quant, usize),
}

/// Where the product goes, and what comes after it.
#[derive(Clone, Copy)]
pub(super) struct To<'a> {
    /// f32 `[n, stride]`.
    pub(super) y: View<'a>,
    pub(super) stride: usize,
    pub(super) output: Output,
    /// Weights of the next kernel, with the number of bytes that are prefetched into the L2 of devices without dependent launch.
    pub(super) next: Option<(View<'a>, u64)>,
}

impl<'a> To<'a> {
    /// Rows of `y`, from the first on.
    pub(super) fn rows(y: &'a Rows, output: Output) -> Self {
        Self { y: y.view(), stride: y.cols, output, next: None }
    }

    /// Followed by a kernel that begins with these weights.
    pub(super) fn before(self, next: (View<'a>, u64)) -> Self {
        Self { next: Some(next), ..self }
    }

    /// The address of `n` rows of what becomes of `w`'s product.
    ///
    /// # Errors
    /// [`Kind::Internal`] where they do not fit.
    pub(super) fn address(&self, w: &Linear, n: usize) -> Result<u64> {
        let cols = if self.output == Output::SwiGlu { w.half } else { w.rows };
        let stride = self.stride;
        shape(n > 0 && cols <= stride && (self.output != Output::SwiGlu || cols > 0), || {
            format!("a product: {n} rows of {cols} columns, {stride} apart, of a matrix of {} × {}", w.rows, w.cols)
        })?;
        self.y.holding(((n - 1) * self.stride + cols) * 4, "a product's rows")
    }
}

impl Args {
    fn of(w: &Linear, n: usize, to: &To<'_>) -> Result<Self> {
        let (next, next_bytes) = match to.next {
            Some((at, bytes)) => (at.holding(bytes as usize, "the next weights")?, bytes),
            None => (0, 0),
        };
        Ok(Args {
            w: w.weights()?,
            group_scale: w.group_scales()?,
            x: 0,
            norm: 0,
            xscale: 0,
            xsums: 0,
            y: to.address(w, n)?,
            next,
            next_bytes,
            rows: w.rows as i32,
            cols: w.cols as i32,
            tiles: w.tiles as i32,
            strips: w.strips as i32,
            n: n as i32,
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
        })
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
        let red = mine * STRIP_ROWS * columns * 4 * if grouped { WARPS } else { 1 };
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
    built.iter().copied().find(|n| w.cols <= n * 4 * 32 * WARPS)
}

/// `y = W x` of one row or of up to [`MAX_ROWS`] quantized ones: `(Σ code·q − Σ q) · (row scale · x scale)`, stored, added to `y`,
/// or through SwiGLU. Formula and source are at the top of the kernel's file.
///
/// # Errors
/// [`Kind::Unsupported`] where a row of floats is too wide to be quantized on the way; [`Kind::Internal`] where memory is shorter
/// than the shapes say.
pub(super) fn gemv(gpu: &Gpu, stream: &Stream, w: &Linear, input: Input<'_>, to: To<'_>) -> Result<()> {
    let too_wide =
        || Error::new(Kind::Unsupported, format!("rows of {} columns are too wide for the GPU backend", w.cols));
    let n = if let Input::Quant(_, n) = input { n } else { 1 };
    let mut args = Args::of(w, n, &to)?;
    let (kind, columns) = match input {
        Input::Norm(x, norm, eps) => {
            args.x = x.holding(w.cols * 4, "a row to multiply")?;
            (args.norm, args.eps) = (norm.holding(w.cols * 4, "the norm's weights")?, eps);
            (format!("n{}", depth_of_row(w, true).ok_or_else(too_wide)?), 1)
        }
        Input::Row(x) => {
            args.x = x.holding(w.cols * 4, "a row to multiply")?;
            (format!("q{}", depth_of_row(w, false).ok_or_else(too_wide)?), 1)
        }
        Input::Quant(q, n) => {
            shape(n <= MAX_ROWS, || format!("gemv: {n} rows, but at most {MAX_ROWS} are expected"))?;
            shapes::holds("gemv", "x", q.size(), n, w.cols)?;
            (args.x, args.xscale, args.xsums) = quantized(q, n)?;
            (args.xstride, args.sums_stride) = (q.stride as i32, q.sums_stride as i32);
            let columns = if n == 1 { 1 } else { MAX_ROWS };
            (format!("i{columns}"), columns)
        }
    };
    let name = format!("gemv_{}_{kind}_{}", w.kernel(), to.output.name());
    let (grid, shared) = geometry(gpu, w, columns);
    let threads = WARPS as u32 * 32;
    let launch = Launch { grid: (grid, 1, 1), threads, shared: shared as u32, overlap: true };
    // SAFETY: the struct is the kernel's; lengths were checked above.
    unsafe { stream.launch(&gpu.kernel(&name)?, launch, &args) }
}

/// Addresses of `n` quantized rows, of their scales and of their sums.
///
/// # Errors
/// [`Kind::Internal`] where there are not as many.
pub(super) fn quantized(q: &Quant, n: usize) -> Result<(u64, u64, u64)> {
    let rows = q.q.view().holding(n * q.stride, "quantized rows")?;
    let scales = q.scale.view().holding(n * 4, "their scales")?;
    Ok((rows, scales, q.sums.view().holding(n * q.sums_stride * 4, "their sums")?))
}
