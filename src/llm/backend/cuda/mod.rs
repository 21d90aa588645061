//! The CUDA backend: ternary kernels compiled ahead of time, run through the driver alone.
//!
//! [`driver`] and [`modules`] wrap the driver's calls; each file of `kernels/` has its launcher here under the same name ([`gemv`],
//! [`gemm`], …); [`linear`], [`head`] and [`kv`] are what lies on the device. The operations of [`Backend`] run each kernel by
//! itself; [`model`] strings the fused ones together, a token as one recorded graph.

use std::sync::{Arc, Mutex};

use super::{Backend, FileRows, Footprint, KvShape, Once, Part, QkNorm, shape};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::TensorType;
use crate::units::TokenId;

mod arena;
mod attend;
pub mod bench;
mod decode;
mod driver;
mod embed;
mod gemm;
mod gemv;
mod head;
pub mod kernels;
mod kv;
mod linear;
pub(in crate::llm) mod model;
mod modules;
mod nvml;
mod nvrtc;
mod prompt_attend;
mod quantize;
mod repack;
mod rig;
mod table;
#[cfg(test)]
mod tests;
mod topk;

pub use head::Head;
pub use kv::Kv;
pub use linear::{Linear, Packing};
pub use nvml::memory_used;
pub use nvrtc::Nvrtc;

use arena::Arena;
use driver::{Buffer, Device, Pinned, Stream};
use gemv::{Input, Output, To};
use modules::{Function, Modules};

/// The device and its kernels.
struct Gpu {
    modules: Modules,
    device: Arc<Device>,
    /// Blocks of kernels that have one block a multiprocessor.
    blocks: u32,
}

impl Gpu {
    fn kernel(&self, name: &str) -> Result<Function> {
        self.modules.get(name)
    }
}

/// The CUDA backend.
pub struct Cuda {
    gpu: Arc<Gpu>,
    stream: Arc<Stream>,
    packing: Packing,
    /// Where what stays as long as the model lies, on devices that map pages.
    arena: Option<Arena>,
    staging: Mutex<Option<Staging>>,
    /// What single operations are given from the host: a vector, a position.
    scratch: Mutex<Buffer>,
    step: Mutex<Buffer>,
}

/// The one window through which weights come in.
struct Staging {
    host: Pinned,
    device: Buffer,
}

/// Bytes of the window.
const STAGING_BYTES: usize = 16 << 20;

/// f32 `[capacity, cols]`.
pub struct Rows {
    capacity: usize,
    cols: usize,
    data: Buffer,
}

/// int8 `[capacity, stride]`, a scale a row, and sums (of the row, then of each 64 columns).
pub struct Quant {
    capacity: usize,
    cols: usize,
    /// Columns of a row up to the end of its last tile, in either packing; they stay 0.
    stride: usize,
    sums_stride: usize,
    q: Buffer,
    scale: Buffer,
    sums: Buffer,
}

impl Footprint for Rows {
    fn resident(&self) -> u64 {
        self.data.bytes
    }
}

impl Footprint for Quant {
    fn resident(&self) -> u64 {
        self.q.bytes + self.scale.bytes + self.sums.bytes
    }
}

impl Rows {
    fn holds(&self, n: usize) -> bool {
        n <= self.capacity
    }
}

impl Quant {
    fn holds(&self, n: usize) -> bool {
        n <= self.capacity
    }
}

/// How `kernels/blocks.cuh` numbers the types.
fn type_code(ty: TensorType) -> i32 {
    match ty {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q8_0 => 8,
        TensorType::Q4K => 12,
        TensorType::Q6K => 14,
        TensorType::Bf16 => 30,
        TensorType::Tq1_0 => 34,
        TensorType::Tq2_0 => 35,
        TensorType::Q2_0 => 42,
        TensorType::Q2_0G128 => 142,
        TensorType::Other(_) => -1,
    }
}

/// Row stride of quantized rows, and stride of their sums.
fn strides(cols: usize) -> (usize, usize) {
    let stride = (cols.div_ceil(128) * 128).max(cols.div_ceil(160) * 160);
    (stride, 1 + stride.div_ceil(64))
}

impl Cuda {
    /// Device 0 with the kernels built for it.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] saying what is missing: driver, device, or kernels. [`Kind::Device`] where the GPU is lost to this
    /// process.
    pub fn new(packing: Packing) -> Result<Self> {
        let device = Device::open()?;
        if device.arch < 80 {
            return Err(Error::new(
                Kind::Unavailable,
                format!("{} (sm_{}) is too old: sm_80 or later is needed", device.name(), device.arch),
            )
            .remedy("use `--backend cpu`"));
        }
        let modules = Modules::load(&device, &kernels::find(device.arch, device.name())?)?;
        let blocks = device.multiprocessors;
        let gpu = Arc::new(Gpu { modules, device, blocks });
        let stream = Arc::new(gpu.device.stream()?);
        let alloc = |bytes: u64| gpu.device.alloc(bytes);
        let (scratch, step) = (alloc(1 << 12)?, alloc(16)?);
        let arena = Arena::new(&gpu.device)?;
        Ok(Self {
            gpu,
            stream,
            packing,
            arena,
            staging: Mutex::new(None),
            scratch: Mutex::new(scratch),
            step: Mutex::new(step),
        })
    }

    /// Chooses another packing, before anything is loaded.
    pub(in crate::llm) fn pack(&mut self, packing: Packing) {
        self.packing = packing;
    }

    /// `bytes` for as long as the model is loaded; contents are undefined.
    fn keep(&self, bytes: u64) -> Result<Buffer> {
        match &self.arena {
            Some(arena) => arena.alloc(bytes),
            None => self.gpu.device.alloc(bytes),
        }
    }

    /// As [`Cuda::keep`], zeros.
    fn keep_zeros(&self, bytes: u64) -> Result<Buffer> {
        let buffer = self.keep(bytes)?;
        self.stream.clear(&buffer)?;
        Ok(buffer)
    }

    /// Bytes that the weights of `layers` layers take beyond their own.
    pub(in crate::llm) fn slack(&self, layers: usize) -> u64 {
        // Of a layer four matrices and their scales; norms, the output matrix and its scales, the embedding.
        self.arena.as_ref().map_or(0, |a| a.slack(8 * layers + 4))
    }

    /// Bytes of this process's buffers on the device.
    pub fn allocated(&self) -> u64 {
        self.gpu.device.allocated()
    }

    /// Passes `stored` through the window, whole rows at a time: `work(address, first row, rows)`.
    fn stage(
        &self,
        stored: Once<'_>,
        row_bytes: usize,
        work: &mut dyn FnMut(u64, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let mut staging = self.staging.lock().unwrap_or_else(|p| p.into_inner());
        let bytes = STAGING_BYTES.max(row_bytes);
        if staging.as_ref().is_none_or(|s| s.host.len() < bytes) {
            *staging =
                Some(Staging { host: self.gpu.device.pinned(bytes)?, device: self.gpu.device.alloc(bytes as u64)? });
        }
        let Some(window) = staging.as_mut() else { return Ok(()) };
        let rows = (bytes / row_bytes.max(1)).max(1);
        for (i, part) in stored.bytes.chunks(rows * row_bytes).enumerate() {
            window.host[..part.len()].copy_from_slice(part);
            self.stream.upload(&window.device, 0, &window.host[..part.len()])?;
            work(window.device.at, i * rows, part.len() / row_bytes)?;
            self.stream.wait()?;
            let from = i * rows * row_bytes;
            stored.done(from..from + part.len());
        }
        Ok(())
    }

    /// Gives the window back: everything is loaded.
    fn loaded(&self) {
        *self.staging.lock().unwrap_or_else(|p| p.into_inner()) = None;
    }

    /// A vector of the host on the device, until the next call.
    fn with_norm<T>(&self, weight: &[f32], f: impl FnOnce(u64) -> Result<T>) -> Result<T> {
        let mut s = self.scratch.lock().unwrap_or_else(|p| p.into_inner());
        let bytes = size_of_val(weight) as u64;
        if s.bytes < bytes {
            self.stream.wait()?;
            *s = self.gpu.device.alloc(bytes)?;
        }
        self.stream.upload(&s, 0, bytemuck::cast_slice(weight))?;
        f(s.at)
    }

    fn with_step<T>(&self, start: usize, f: impl FnOnce(u64) -> Result<T>) -> Result<T> {
        let s = self.step.lock().unwrap_or_else(|p| p.into_inner());
        self.stream.upload(&s, 0, &(start as u32).to_le_bytes())?;
        f(s.at)
    }

    /// `W x` of `n` rows: the GEMV where they are few, else the GEMM.
    fn multiply(&self, op: &str, w: &Linear, x: &Quant, n: usize, y: &Rows, output: Output) -> Result<()> {
        shape(w.cols == x.cols && w.rows == y.cols && x.holds(n) && y.holds(n), op)?;
        if n == 0 {
            return Ok(());
        }
        product(&self.gpu, &self.stream, w, x, n, To { y: y.data.at, stride: y.cols, output, next: (0, 0) })
    }
}

/// The product of `n` quantized rows: the GEMV where they are few and fit it, else the GEMM.
fn product(gpu: &Gpu, stream: &Stream, w: &Linear, x: &Quant, n: usize, to: To) -> Result<()> {
    if gemv::fits(gpu, w, n) {
        gemv::gemv(gpu, stream, w, Input::Quant(x, n), to)
    } else {
        gemm::gemm(gpu, stream, w, x, n, to)
    }
}

impl Backend for Cuda {
    type Rows = Rows;
    type Quant = Quant;
    type Linear = Linear;
    type Embedding = FileRows;
    type Head = Head;
    type Kv = Kv;

    fn describe(&self) -> String {
        let packing = match self.packing {
            Packing::TwoBits => "2 bits",
            Packing::Base3 => "base 3",
        };
        format!("cuda ({}, sm_{}, {packing})", self.gpu.device.name(), self.gpu.device.arch)
    }

    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        (capacity * cols * 4).max(16) as u64
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        let (stride, sums) = strides(cols);
        [capacity * stride, capacity * 4, capacity * sums * 4].iter().map(|&b| b.max(16) as u64).sum()
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        // Whether a stored tensor has one scale is known only when it is read: base 3 needs that, and then less.
        let (data, scales) = linear::bytes(Packing::TwoBits, rows, cols, group);
        let (packed, _) = linear::bytes(self.packing, rows, cols, None);
        if self.packing == Packing::Base3 { packed } else { data + scales }
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        head::bytes(ty, rows, cols)
    }
    fn kv_bytes(&self, shape: &KvShape) -> u64 {
        kv::bytes(shape)
    }

    fn rows(&self, capacity: usize, cols: usize) -> Result<Rows> {
        Ok(Rows { capacity, cols, data: self.gpu.device.zeros((capacity * cols * 4) as u64, &self.stream)? })
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<Quant> {
        let (stride, sums_stride) = strides(cols);
        let zeros = |bytes: usize| self.gpu.device.zeros(bytes as u64, &self.stream);
        Ok(Quant {
            capacity,
            cols,
            stride,
            sums_stride,
            q: zeros(capacity * stride)?,
            scale: zeros(capacity * 4)?,
            sums: zeros(capacity * sums_stride * 4)?,
        })
    }
    fn kv(&self, shape: &KvShape) -> Result<Kv> {
        Kv::new(self, shape)
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<Linear> {
        Linear::new(self, parts)
    }
    fn embedding(&self, table: FileRows) -> Result<FileRows> {
        Ok(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Head> {
        Head::new(self, ty, rows, cols, bytes)
    }

    fn write_rows(&self, to: &mut Rows, data: &[f32]) -> Result<()> {
        shape(data.len() <= to.capacity * to.cols && data.len().is_multiple_of(to.cols), "write_rows")?;
        self.stream.upload(&to.data, 0, bytemuck::cast_slice(data))
    }
    fn read_rows(&self, from: &Rows, n: usize) -> Result<Vec<f32>> {
        shape(from.holds(n), "read_rows")?;
        let mut out = vec![0f32; n * from.cols];
        self.stream.download(&from.data, 0, bytemuck::cast_slice_mut(&mut out))?;
        Ok(out)
    }
    fn write_quant(&self, to: &mut Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        shape(to.holds(scales.len()) && q.len() == scales.len() * to.cols, "write_quant")?;
        let n = scales.len();
        let (mut rows, mut sums) = (vec![0i8; n * to.stride], vec![0i32; n * to.sums_stride]);
        for (i, row) in q.chunks_exact(to.cols.max(1)).enumerate() {
            rows[i * to.stride..i * to.stride + to.cols].copy_from_slice(row);
            let sums = &mut sums[i * to.sums_stride..(i + 1) * to.sums_stride];
            for (s, part) in sums[1..].iter_mut().zip(row.chunks(64)) {
                *s = part.iter().map(|&v| i32::from(v)).sum();
            }
            sums[0] = sums[1..].iter().sum();
        }
        self.stream.upload(&to.q, 0, bytemuck::cast_slice(&rows))?;
        self.stream.upload(&to.scale, 0, bytemuck::cast_slice(scales))?;
        self.stream.upload(&to.sums, 0, bytemuck::cast_slice(&sums))
    }
    fn read_quant(&self, from: &Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        shape(from.holds(n), "read_quant")?;
        let (mut rows, mut scales) = (vec![0i8; n * from.stride], vec![0f32; n]);
        self.stream.download(&from.q, 0, bytemuck::cast_slice_mut(&mut rows))?;
        self.stream.download(&from.scale, 0, bytemuck::cast_slice_mut(&mut scales))?;
        let q = rows.chunks_exact(from.stride.max(1)).flat_map(|r| r[..from.cols].iter().copied()).collect();
        Ok((q, scales))
    }
    fn save_kv(&self, kv: &Kv, len: usize) -> Result<Vec<u8>> {
        kv.save(&self.gpu, &self.stream, len)
    }
    fn load_kv(&self, kv: &mut Kv, len: usize, saved: &[u8]) -> Result<()> {
        kv.load(&self.stream, len, saved)
    }

    fn embed(&self, table: &FileRows, tokens: &[TokenId], x: &mut Rows) -> Result<()> {
        shape(x.holds(tokens.len()) && table.tensor.cols() == x.cols, "embed")?;
        if tokens.is_empty() {
            return Ok(());
        }
        let row_bytes = table.row_bytes();
        let mut rows = vec![0; tokens.len() * row_bytes];
        for (&t, row) in tokens.iter().zip(rows.chunks_exact_mut(row_bytes)) {
            table.stored_row(t, row)?;
        }
        let buffer = self.gpu.device.alloc(rows.len() as u64)?;
        self.stream.upload(&buffer, 0, &rows)?;
        let lookup =
            embed::Lookup { table: buffer.at, ids: 0, row_bytes: row_bytes as u64, ty: table.tensor.ty, cols: x.cols };
        embed::embed(&self.gpu, &self.stream, &lookup, tokens.len(), x.data.at, embed::Publish::default())?;
        self.stream.wait()
    }

    fn norm_quantize(&self, x: &Rows, n: usize, weight: &[f32], eps: f32, out: &mut Quant) -> Result<()> {
        shape(x.holds(n) && out.holds(n) && x.cols == out.cols && weight.len() == x.cols, "norm_quantize")?;
        self.with_norm(weight, |w| self.quantize_with(quantize::What::Norm(w, eps), x, n, out))
    }

    fn quantize(&self, x: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shape(x.holds(n) && out.holds(n) && x.cols == out.cols, "quantize")?;
        self.quantize_with(quantize::What::Plain, x, n, out)
    }

    fn linear_into(&self, w: &Linear, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        self.multiply("linear_into", w, x, n, y, Output::Store)
    }

    fn linear_add(&self, w: &Linear, x: &Quant, n: usize, y: &mut Rows) -> Result<()> {
        self.multiply("linear_add", w, x, n, y, Output::Add)
    }

    fn rope_append(
        &self,
        qkv: &mut Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut Kv,
    ) -> Result<()> {
        let fit = norms.is_none_or(|n| n.fits(kv.shape.head_dim));
        shape(fit && qkv.cols == kv.shape.qkv_cols() && qkv.holds(n) && kv.fits(layer, start, n), "rope_append")?;
        if n == 0 {
            return Ok(());
        }
        let both: Vec<f32> = norms.map_or(vec![0.0; 4], |n| [n.q.as_slice(), &n.k].concat());
        self.with_norm(&both, |at| {
            self.with_step(start, |step| {
                let norms =
                    norms.map_or(attend::HeadNorms::default(), |n| attend::HeadNorms::at(at, kv.shape.head_dim, n.eps));
                let rows = attend::Rows { qkv: qkv.data.at, out: 0, step, norms };
                attend::rope_append(&self.gpu, &self.stream, kv, layer, n, rows)
            })
        })
    }

    fn attend(&self, qkv: &Rows, n: usize, layer: usize, start: usize, kv: &Kv, out: &mut Rows) -> Result<()> {
        let s = &kv.shape;
        let fit = qkv.cols == s.qkv_cols() && out.cols == s.out_cols() && qkv.holds(n) && out.holds(n);
        shape(fit && kv.fits(layer, start, n), "attend")?;
        if n == 0 {
            return Ok(());
        }
        self.with_step(start, |step| {
            let norms = attend::HeadNorms::default();
            let rows = attend::Rows { qkv: qkv.data.at, out: out.data.at, step, norms };
            if n <= attend::MAX_ROWS {
                attend::attend(&self.gpu, &self.stream, (kv, layer), (n, false), rows, kv.partials()?)
            } else {
                prompt_attend::prompt_attend(&self.gpu, &self.stream, kv, layer, n, rows)
            }
        })
    }

    fn swiglu_quantize(&self, gate_up: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shape(gate_up.cols == 2 * out.cols && gate_up.holds(n) && out.holds(n), "swiglu_quantize")?;
        self.quantize_with(quantize::What::SwiGlu, gate_up, n, out)
    }

    fn logits(&self, head: &Head, weight: &[f32], eps: f32, x: &Rows, row: usize, logits: &mut [f32]) -> Result<()> {
        let fit = x.holds(row + 1) && weight.len() == x.cols && (head.rows, head.cols) == (logits.len(), x.cols);
        shape(fit, "logits")?;
        self.with_norm(weight, |norm| {
            let x = x.data.at + (row * x.cols * 4) as u64;
            self.head_of(head, head::Final { x, norm, eps, logits: 0, best: 0 }, logits)
        })
    }
}

impl Cuda {
    fn quantize_with(&self, what: quantize::What, x: &Rows, n: usize, out: &Quant) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        if !x.cols.is_multiple_of(8) {
            let what = format!("rows of {} columns, no multiple of 8, are not supported on the GPU", x.cols);
            return Err(Error::new(Kind::Unsupported, what).remedy("use `--backend cpu`"));
        }
        quantize::quantize(&self.gpu, &self.stream, what, x.data.at, x.cols, n, out)
    }

    /// Logits into host memory, through buffers of their own.
    fn head_of(&self, head: &Head, of: head::Final, logits: &mut [f32]) -> Result<()> {
        let device = self.gpu.device.alloc((head.rows * 4) as u64)?;
        let best = self.gpu.device.alloc((head::blocks(&self.gpu, head.rows) * 8) as u64)?;
        let of = head::Final { logits: device.at, best: best.at, ..of };
        head::head(&self.gpu, &self.stream, head, of)?;
        self.stream.download(&device, 0, bytemuck::cast_slice_mut(logits))
    }
}
