//! Each kernel by itself, over the weights of a whole model, so that caches hold nothing of use.

use std::path::PathBuf;
use std::sync::Arc;

use super::attend;
use super::decode::DecodeLock;
use super::gemm;
use super::gemv::{self, Input, Output, To};
use super::gpu::Gpu;
use super::head::{self, Final};
use super::kv::Kv;
use super::linear::Linear;
use super::memory::Buffer;
use super::operations::Cuda;
use super::packing::Packing;
use super::partials::Partials;
use super::prompt_attend;
use super::quantize::{self, What};
use super::rig::{LAUNCHES, Rig};
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::{Backend, Footprint, KvPrecision, KvShape, Once, Rope};
use crate::llm::gguf::TensorType;

/// What is measured on.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Folders in which the kernels are looked for, in order.
    pub kernels: Vec<PathBuf>,
    pub packing: Packing,
    pub kv_precision: KvPrecision,
    /// Blocks of kernels that have one block a multiprocessor: as many as Orin has, say. `None`: the device's.
    pub blocks: Option<u32>,
    /// Positions already in the cache.
    pub depth: usize,
    /// Rows of a prompt.
    pub rows: usize,
    /// All layers of a token only.
    pub layers_only: bool,
}

/// One measured line: a kernel over all layers.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Line {
    pub kernel: String,
    pub launches: usize,
    /// Median of all launches together.
    pub microseconds: f64,
    /// Bytes that must be moved: weights, cache, or the copy's both ways.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
}

impl Line {
    pub fn gigabytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.microseconds / 1e3
    }
    pub fn tera_operations_per_second(&self) -> f64 {
        self.operations as f64 / self.microseconds / 1e6
    }
}

/// Llama3-8B.
const LAYERS: usize = 32;
const WIDTH: usize = 4096;
const FFN: usize = 14336;
const HEADS: usize = 32;
const KV_HEADS: usize = 8;
const HEAD_DIM: usize = 128;
const VOCABULARY: usize = 128_256;
const REPEATS: usize = 15;
const IN_A_ROW: usize = 4;

struct Bench {
    cuda: Cuda,
    layers: Vec<[Linear; 4]>,
    lines: Vec<Line>,
}

/// Bytes without a pattern.
fn noise(stream: &Stream, to: &Buffer) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let block: Vec<u64> = (0..1 << 19)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Codes of 3 are no ternary weights.
            state & !((state >> 1) & state & 0x5555_5555_5555_5555)
        })
        .collect();
    let block: &[u8] = bytemuck::cast_slice(&block);
    let mut at = 0;
    while at < to.bytes() {
        let part = block.len().min((to.bytes() - at) as usize);
        stream.upload(to, at, &block[..part])?;
        at += part as u64;
    }
    Ok(())
}

impl Bench {
    /// `launches` kernels that `work` puts in, recorded and replayed.
    fn measure(
        &mut self,
        kernel: &str,
        launches: usize,
        bytes: u64,
        operations: u64,
        work: impl Fn(&Gpu, &Stream, usize) -> Result<()>,
    ) -> Result<()> {
        let (gpu, stream) = (self.cuda.gpu.clone(), self.cuda.stream.clone());
        work(&gpu, &stream, 0)?;
        stream.wait()?;
        let graph = stream.capture(|| (0..launches).try_for_each(|i| work(&gpu, &stream, i)))?;
        // SAFETY: `work` holds what its kernels use, and the stream is waited for before it goes.
        let replay = || unsafe { stream.replay(&graph) };
        replay()?;
        stream.wait()?;
        let mut times = (0..REPEATS).map(|_| stream.time(replay)).collect::<Result<Vec<f32>>>()?;
        times.sort_by(f32::total_cmp);
        let microseconds = f64::from(times[REPEATS / 2]) * 1e3;
        self.lines.push(Line { kernel: kernel.to_owned(), launches, microseconds, bytes, operations });
        Ok(())
    }

    fn linears(&mut self, plan: &Plan) -> Result<()> {
        let c = &self.cuda;
        let x = c.rows(8, FFN)?;
        noise(&c.stream, &x.data)?;
        // Noise as floats would hold NaNs: ones in all.
        c.stream.upload(&x.data, 0, bytemuck::cast_slice(&vec![0.5f32; 8 * FFN]))?;
        let y = c.rows(8, 2 * FFN)?;
        let norm = Buffer::new(&c.gpu.device, (FFN * 4) as u64)?;
        c.stream.upload(&norm, 0, bytemuck::cast_slice(&vec![1f32; FFN]))?;
        let (x_at, norm_at) = (x.view(), norm.view());
        let layers = std::mem::take(&mut self.layers);
        let names = [
            "qkv (norm, quantize)",
            "attention output (quantize, add)",
            "gate, up (norm, quantize, SwiGLU)",
            "down (quantize, add)",
        ];
        let one = |w: &[Linear; 4], kind: usize, gpu: &Gpu, s: &Stream| {
            let l = &w[kind];
            let (input, output) = match kind {
                0 => (Input::Norm(x_at, norm_at, 1e-5), Output::Store),
                2 => (Input::Norm(x_at, norm_at, 1e-5), Output::SwiGlu),
                _ => (Input::Row(x_at), Output::Add),
            };
            gemv::gemv(gpu, s, l, input, To::rows(&y, output))
        };
        let bytes = |kind: usize| layers.iter().map(|w| w[kind].resident()).sum::<u64>();
        for (kind, name) in names.iter().enumerate() {
            self.measure(&format!("gemv {name}"), LAYERS, bytes(kind), 0, |g, s, i| one(&layers[i], kind, g, s))?;
        }
        let all = (0..4).map(bytes).sum();
        self.measure("gemv, all of a token", 4 * LAYERS, all, 0, |g, s, i| one(&layers[i / 4], i % 4, g, s))?;
        let quants = [self.cuda.quant(plan.rows.max(8), WIDTH)?, self.cuda.quant(plan.rows.max(8), FFN)?];
        let big = self.cuda.rows(plan.rows, 2 * FFN)?;
        for rows in [2, 8] {
            self.measure(&format!("gemv, all, {rows} rows"), 4 * LAYERS, all, 0, |g, s, i| {
                let l = &layers[i / 4][i % 4];
                let q = &quants[usize::from(l.cols == FFN)];
                gemv::gemv(g, s, l, Input::Quant(q, rows), To::rows(&y, Output::Store))
            })?;
        }
        for (kind, name) in ["qkv", "attention output", "gate, up", "down"].iter().enumerate() {
            let operations = 2 * LAYERS * plan.rows * layers[0][kind].rows * layers[0][kind].cols;
            self.measure(
                &format!("gemm {name}, {} rows", plan.rows),
                LAYERS,
                bytes(kind),
                operations as u64,
                |g, s, i| {
                    let l = &layers[i][kind];
                    let output = [Output::Store, Output::Add, Output::SwiGlu, Output::Add][kind];
                    let q = &quants[usize::from(l.cols == FFN)];
                    gemm::gemm(g, s, l, q, plan.rows, To::rows(&big, output))
                },
            )?;
        }
        for (what, name, cols) in [(What::Norm(norm_at, 1e-5), "norm", WIDTH), (What::Plain, "plain", FFN)] {
            let bytes = (LAYERS * plan.rows * cols * 5) as u64;
            self.measure(&format!("quantize {name}, {} rows", plan.rows), LAYERS, bytes, 0, |g, s, _| {
                quantize::quantize(g, s, what, big.view(), 2 * FFN, plan.rows, &quants[usize::from(cols == FFN)])
            })?;
        }
        Ok(())
    }

    fn attention(&mut self, plan: &Plan) -> Result<()> {
        let context = plan.depth + plan.rows;
        let rope = Arc::new(Rope::new(context, HEAD_DIM / 2, 500_000.0, None));
        let precision = plan.kv_precision;
        let shape =
            KvShape { layers: LAYERS, context, heads: HEADS, kv_heads: KV_HEADS, head_dim: HEAD_DIM, precision, rope };
        let kv = Kv::new(&self.cuda.stream, &shape)?;
        let multiprocessors = self.cuda.gpu.device.multiprocessors;
        let partials = Partials::lay_out(&mut &*self.cuda.stream, multiprocessors, &shape)?;
        let qkv = self.cuda.rows(plan.rows, shape.qkv_cols())?;
        let out = self.cuda.rows(plan.rows, shape.out_cols())?;
        let step = self.cuda.stream.zeros(4)?;
        let rows = attend::AttentionRows { qkv: qkv.view(), out: Some(out.view()), step: step.view(), norms: None };
        for depth in [0, plan.depth] {
            self.cuda.stream.upload(&step, 0, &(depth as u32).to_le_bytes())?;
            let bytes = (LAYERS * (depth + 1) * KV_HEADS * shape.head_bytes() * 2) as u64;
            self.measure(&format!("attend one row at {depth}, {}", precision.name()), LAYERS, bytes, 0, |g, s, i| {
                attend::attend(g, s, (&kv, i), (1, true), rows, &partials)
            })?;
            let seen = plan.rows * depth + plan.rows * (plan.rows + 1) / 2;
            let operations = (LAYERS * 4 * seen * HEADS * HEAD_DIM) as u64;
            self.measure(
                &format!("attend {} rows at {depth}, {}", plan.rows, precision.name()),
                LAYERS,
                bytes,
                operations,
                |g, s, i| prompt_attend::prompt_attend(g, s, &kv, i, plan.rows, rows),
            )?;
        }
        Ok(())
    }

    /// A whole token but its head: a launch an operation, and all layers at once.
    fn token(&mut self, plan: &Plan) -> Result<()> {
        let (context, precision) = (plan.depth + plan.rows, plan.kv_precision);
        let rope = Arc::new(Rope::new(context, HEAD_DIM / 2, 500_000.0, None));
        let shape =
            KvShape { layers: LAYERS, context, heads: HEADS, kv_heads: KV_HEADS, head_dim: HEAD_DIM, precision, rope };
        let layers = std::mem::take(&mut self.layers);
        let weights: u64 = layers.iter().flatten().map(|l| l.resident()).sum();
        let mut rig = Rig::new(&self.cuda, &layers, &shape)?;
        for depth in [0, plan.depth] {
            rig.place(&self.cuda, depth)?;
            let bytes = weights + (LAYERS * (depth + 1) * KV_HEADS * shape.head_bytes() * 2) as u64;
            let launches = LAUNCHES * LAYERS;
            self.measure(&format!("all layers of a token at {depth}"), launches, bytes, 0, |g, s, i| {
                rig.operation(g, s, i)
            })?;
            if rig.decoder.is_some() {
                let lock = DecodeLock::wait();
                self.time(&format!("all layers of a token at {depth}, at once"), bytes, |s| rig.at_once(s, &lock))?;
            }
        }
        self.layers = layers;
        Ok(())
    }

    /// One launch, put in directly; [`IN_A_ROW`] of them, so that the measurement's own time is small.
    fn time(&mut self, kernel: &str, bytes: u64, work: impl Fn(&Stream) -> Result<()>) -> Result<()> {
        let stream = &self.cuda.stream;
        let run = || (0..IN_A_ROW).try_for_each(|_| work(stream));
        run()?;
        let mut times = (0..REPEATS).map(|_| stream.time(run)).collect::<Result<Vec<f32>>>()?;
        times.sort_by(f32::total_cmp);
        let microseconds = f64::from(times[REPEATS / 2]) * 1e3 / IN_A_ROW as f64;
        self.lines.push(Line { kernel: kernel.to_owned(), launches: 1, microseconds, bytes, operations: 0 });
        Ok(())
    }

    fn head(&mut self) -> Result<()> {
        let c = &self.cuda;
        let stored = vec![0x5au8; VOCABULARY * TensorType::Q4_0.row_bytes(WIDTH).unwrap_or(0)];
        let h = c.head(TensorType::Q4_0, VOCABULARY, WIDTH, Once::kept(&stored))?;
        let blocks = head::blocks(&c.gpu, VOCABULARY);
        let buffers = [WIDTH * 4, WIDTH * 4, VOCABULARY * 4, blocks * 8].map(|b| c.stream.zeros(b as u64));
        let [x, norm, logits, best] = buffers;
        let (x, norm, logits, best) = (x?, norm?, logits?, best?);
        let of = Final { x: x.view(), norm: norm.view(), eps: 1e-5, logits: logits.view(), best: best.view() };
        self.measure("head, INT4, with the argmax", 4, 4 * h.resident(), 0, |g, s, _| head::head(g, s, &h, of))
    }

    fn copy(&mut self) -> Result<()> {
        let device = &self.cuda.gpu.device;
        let (from, to) = (Buffer::new(device, 1 << 30)?, Buffer::new(device, 1 << 30)?);
        noise(&self.cuda.stream, &from)?;
        self.measure("copy within the device (read + written)", 1, 2 << 30, 0, |_, s, _| s.copy(&from, &to))
    }
}

/// Measures every kernel of Llama3-8B's shapes.
///
/// # Errors
/// What [`Cuda::new`] and the kernels say.
pub fn run(plan: &Plan) -> Result<(String, Vec<Line>)> {
    let cuda = Cuda::limited(plan.packing, &plan.kernels, plan.blocks)?;
    let describe = cuda.describe();
    let mut layers = Vec::with_capacity(LAYERS);
    for _ in 0..LAYERS {
        let random = |rows, cols, half| Linear::random(&cuda.loader, rows, cols, half, noise);
        layers.push([
            random((HEADS + 2 * KV_HEADS) * HEAD_DIM, WIDTH, 0)?,
            random(WIDTH, HEADS * HEAD_DIM, 0)?,
            random(2 * FFN, WIDTH, FFN)?,
            random(WIDTH, FFN, 0)?,
        ]);
    }
    let mut bench = Bench { cuda, layers, lines: Vec::new() };
    bench.copy()?;
    bench.token(plan)?;
    if !plan.layers_only {
        bench.linears(plan)?;
        bench.attention(plan)?;
        bench.head()?;
    }
    Ok((describe, bench.lines))
}
