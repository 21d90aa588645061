//! The CUDA backend as a [`Backend`]: each operation by itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::Arena;
use super::device::Device;
use super::gemm;
use super::gemv::{Output, To};
use super::gpu::Gpu;
use super::head::{self, Head};
use super::kernels;
use super::kv::Kv;
use super::linear::{self, Linear};
use super::loader::Loader;
use super::memory::{Buffer, View};
use super::modules::Modules;
use super::packing::Packing;
use super::partials::{MAX_ROWS, Partials};
use super::room::counted;
use super::rows::{Quant, Rows};
use super::stream::Stream;
use super::{attend, embed, prompt_attend, quantize};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::shapes::Size;
use crate::llm::backend::{Backend, FileRows, KvShape, Once, Part, QkNorm, shapes};
use crate::llm::gguf::TensorType;
use crate::units::TokenId;

/// The CUDA backend.
pub struct Cuda {
    pub(super) gpu: Arc<Gpu>,
    pub(super) stream: Arc<Stream>,
    pub(super) loader: Loader,
    /// What single operations are given from the host: a vector, a position.
    scratch: Mutex<Buffer>,
    step: Mutex<Buffer>,
}

/// Where what stays as long as a model lies. The tests' build leaves arenas out where `TERCET_NO_ARENA` is set: compute-sanitizer
/// takes each page for an allocation of its own, and a read across two for an error.
fn arena(device: &Arc<Device>) -> Result<Option<Arena>> {
    #[cfg(test)]
    if std::env::var_os("TERCET_NO_ARENA").is_some() {
        return Ok(None);
    }
    Arena::new(device)
}

impl Cuda {
    /// Device 0 with the kernels built for it, the first that are found in `folders`.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] saying what is missing: driver, device, or kernels. [`Kind::Device`] where the GPU is lost to this
    /// process.
    pub fn new(packing: Packing, folders: &[PathBuf]) -> Result<Self> {
        Self::limited(packing, folders, None)
    }

    /// As [`Cuda::new`], with at most `blocks` blocks of kernels that have one block a multiprocessor.
    ///
    /// # Errors
    /// As [`Cuda::new`].
    pub(super) fn limited(packing: Packing, folders: &[PathBuf], blocks: Option<u32>) -> Result<Self> {
        let device = Device::open()?;
        if device.arch < 80 {
            return Err(Error::new(
                Kind::Unavailable,
                format!("{} (sm_{}) is too old: sm_80 or later is needed", device.name(), device.arch),
            )
            .remedy("use `--backend cpu`"));
        }
        let modules = Modules::load(&device, &kernels::find(folders, device.arch, device.name())?)?;
        let blocks = blocks.unwrap_or(device.multiprocessors);
        let arena = arena(&device)?;
        let stream = Arc::new(Stream::new(&device)?);
        let (scratch, step) = (Buffer::new(&device, 1 << 12)?, Buffer::new(&device, 16)?);
        let gpu = Arc::new(Gpu { modules, device, blocks });
        let loader = Loader::new(gpu.clone(), stream.clone(), packing, arena);
        Ok(Self { gpu, stream, loader, scratch: Mutex::new(scratch), step: Mutex::new(step) })
    }

    /// Chooses another packing, before anything is loaded.
    pub(in crate::llm) fn pack(&mut self, packing: Packing) {
        self.loader.packing = packing;
    }

    /// Bytes that the weights of `layers` layers take beyond their own.
    pub(in crate::llm) fn slack(&self, layers: usize) -> u64 {
        // Of a layer four matrices and their scales; norms, the output matrix and its scales, the embedding.
        self.loader.arena.as_ref().map_or(0, |a| a.slack(8 * layers + 4))
    }

    /// Bytes of this process's buffers on the device.
    pub fn allocated(&self) -> u64 {
        self.gpu.device.allocated()
    }

    /// A vector of the host on the device, for as long as `f` enqueues.
    fn with_norm<T>(&self, weight: &[f32], f: impl FnOnce(View<'_>) -> Result<T>) -> Result<T> {
        let mut s = lock(&self.scratch);
        let bytes = size_of_val(weight) as u64;
        if s.bytes() < bytes {
            *s = Buffer::new(&self.gpu.device, bytes)?;
        }
        self.stream.upload(&s, 0, bytemuck::cast_slice(weight))?;
        f(s.view())
    }

    fn with_step<T>(&self, start: usize, f: impl FnOnce(View<'_>) -> Result<T>) -> Result<T> {
        let s = lock(&self.step);
        self.stream.upload(&s, 0, &(start as u32).to_le_bytes())?;
        f(s.view())
    }

    /// `W x` of `n` rows: the GEMV where they are few, else the GEMM.
    fn multiply(&self, op: &str, w: &Linear, x: &Quant, n: usize, y: &Rows, output: Output) -> Result<()> {
        shapes::holds(op, "x", x.size(), n, w.cols)?;
        shapes::holds(op, "y", y.size(), n, w.rows)?;
        if n == 0 {
            return Ok(());
        }
        gemm::product(&self.gpu, &self.stream, w, x, n, To::rows(y, output))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Cuda {
    type Rows = Rows;
    type Quant = Quant;
    type Linear = Linear;
    type Embedding = FileRows;
    type Head = Head;
    type Kv = Kv;

    fn describe(&self) -> String {
        let packing = match self.loader.packing {
            Packing::TwoBits => "2 bits",
            Packing::Base3 => "base 3",
        };
        format!("cuda ({}, sm_{}, {packing})", self.gpu.device.name(), self.gpu.device.arch)
    }

    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        counted(|memory| Rows::lay_out(memory, capacity, cols))
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        counted(|memory| Quant::lay_out(memory, capacity, cols))
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        // Whether a stored tensor has one scale is known only when it is read: base 3 needs that, and then less.
        let (data, scales) = linear::bytes(Packing::TwoBits, rows, cols, group);
        let (packed, _) = linear::bytes(self.loader.packing, rows, cols, None);
        if self.loader.packing == Packing::Base3 { packed } else { data + scales }
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        head::bytes(ty, rows, cols)
    }
    fn kv_bytes(&self, shape: &KvShape) -> u64 {
        counted(|memory| Kv::lay_out(memory, shape))
    }

    fn rows(&self, capacity: usize, cols: usize) -> Result<Rows> {
        Rows::lay_out(&mut &*self.stream, capacity, cols)
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<Quant> {
        Quant::lay_out(&mut &*self.stream, capacity, cols)
    }
    fn kv(&self, shape: &KvShape) -> Result<Kv> {
        Kv::new(&self.stream, shape)
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<Linear> {
        Linear::new(&self.loader, parts)
    }
    fn embedding(&self, table: FileRows) -> Result<FileRows> {
        Ok(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Head> {
        Head::new(&self.loader, ty, rows, cols, bytes)
    }

    fn write_rows(&self, to: &mut Rows, data: &[f32]) -> Result<()> {
        shapes::whole_rows("write_rows", data.len(), to.size())?;
        self.stream.upload(&to.data, 0, bytemuck::cast_slice(data))
    }
    fn read_rows(&self, from: &Rows, n: usize) -> Result<Vec<f32>> {
        shapes::holds("read_rows", "the buffer", from.size(), n, from.cols)?;
        let mut out = vec![0f32; n * from.cols];
        self.stream.download(&from.data, 0, bytemuck::cast_slice_mut(&mut out))?;
        Ok(out)
    }
    fn write_quant(&self, to: &mut Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        shapes::holds("write_quant", "the buffer", to.size(), scales.len(), to.cols)?;
        shapes::length("write_quant", "q", q.len(), scales.len() * to.cols)?;
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
        shapes::holds("read_quant", "the buffer", from.size(), n, from.cols)?;
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
        kv.load(&self.gpu, &self.stream, len, saved)
    }

    fn embed(&self, table: &FileRows, tokens: &[TokenId], x: &mut Rows) -> Result<()> {
        shapes::holds("embed", "x", x.size(), tokens.len(), table.tensor.cols())?;
        if tokens.is_empty() {
            return Ok(());
        }
        let row_bytes = table.row_bytes();
        let mut rows = vec![0; tokens.len() * row_bytes];
        for (&t, row) in tokens.iter().zip(rows.chunks_exact_mut(row_bytes)) {
            table.stored_row(t, row)?;
        }
        let buffer = Buffer::new(&self.gpu.device, rows.len() as u64)?;
        self.stream.upload(&buffer, 0, &rows)?;
        let lookup = embed::Lookup { table: buffer.view(), ids: None, row_bytes, ty: table.tensor.ty, cols: x.cols };
        embed::embed(&self.gpu, &self.stream, &lookup, tokens.len(), x.view(), None)?;
        self.stream.wait()
    }

    fn norm_quantize(&self, x: &Rows, n: usize, weight: &[f32], eps: f32, out: &mut Quant) -> Result<()> {
        shapes::holds("norm_quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("norm_quantize", "out", out.size(), n, out.cols)?;
        shapes::length("norm_quantize", "the norm's weight", weight.len(), out.cols)?;
        self.with_norm(weight, |w| self.quantize_with(quantize::What::Norm(w, eps), x, n, out))
    }

    fn quantize(&self, x: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("quantize", "x", x.size(), n, out.cols)?;
        shapes::holds("quantize", "out", out.size(), n, out.cols)?;
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
        shapes::qkv("rope_append", &kv.shape, qkv.size(), n)?;
        shapes::positions("rope_append", &kv.shape, layer, start, n)?;
        shapes::head_norms("rope_append", norms, kv.shape.head_dim)?;
        if n == 0 {
            return Ok(());
        }
        let both: Vec<f32> = norms.map_or(vec![0.0; 4], |n| [n.q.as_slice(), &n.k].concat());
        self.with_norm(&both, |at| {
            self.with_step(start, |step| {
                let norms = norms.map(|n| attend::HeadNorms::of(at, kv.shape.head_dim, n.eps)).transpose()?;
                let rows = attend::AttentionRows { qkv: qkv.view(), out: None, step, norms };
                attend::rope_append(&self.gpu, &self.stream, kv, layer, n, rows)
            })
        })
    }

    fn attend(&self, qkv: &Rows, n: usize, layer: usize, start: usize, kv: &Kv, out: &mut Rows) -> Result<()> {
        let s = &kv.shape;
        shapes::qkv("attend", s, qkv.size(), n)?;
        shapes::positions("attend", s, layer, start, n)?;
        shapes::holds("attend", "out", out.size(), n, s.out_cols())?;
        if n == 0 {
            return Ok(());
        }
        self.with_step(start, |step| {
            let rows = attend::AttentionRows { qkv: qkv.view(), out: Some(out.view()), step, norms: None };
            if n > MAX_ROWS {
                return prompt_attend::prompt_attend(&self.gpu, &self.stream, kv, layer, n, rows);
            }
            let partials = Partials::lay_out(&mut &*self.stream, self.gpu.device.multiprocessors, s)?;
            attend::attend(&self.gpu, &self.stream, (kv, layer), (n, false), rows, &partials)
        })
    }

    fn swiglu_quantize(&self, gate_up: &Rows, n: usize, out: &mut Quant) -> Result<()> {
        shapes::holds("swiglu_quantize", "gate_up", gate_up.size(), n, 2 * out.cols)?;
        shapes::holds("swiglu_quantize", "out", out.size(), n, out.cols)?;
        self.quantize_with(quantize::What::SwiGlu, gate_up, n, out)
    }

    fn logits(&self, head: &Head, weight: &[f32], eps: f32, x: &Rows, row: usize, logits: &mut [f32]) -> Result<()> {
        let size = Size { rows: head.rows, cols: head.cols };
        shapes::logits(size, weight.len(), x.size(), row, logits.len())?;
        self.with_norm(weight, |norm| {
            // Through buffers of their own.
            let device = Buffer::new(&self.gpu.device, (head.rows * 4) as u64)?;
            let best = Buffer::new(&self.gpu.device, (head::blocks(&self.gpu, head.rows) * 8) as u64)?;
            let of = head::Final { x: x.starting_at(row)?, norm, eps, logits: device.view(), best: best.view() };
            head::head(&self.gpu, &self.stream, head, of)?;
            self.stream.download(&device, 0, bytemuck::cast_slice_mut(logits))
        })
    }
}

impl Cuda {
    fn quantize_with(&self, what: quantize::What<'_>, x: &Rows, n: usize, out: &Quant) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        if !x.cols.is_multiple_of(8) {
            let what = format!("rows of {} columns, no multiple of 8, are not supported on the GPU", x.cols);
            return Err(Error::new(Kind::Unsupported, what).remedy("use `--backend cpu`"));
        }
        quantize::quantize(&self.gpu, &self.stream, what, x.view(), x.cols, n, out)
    }
}
