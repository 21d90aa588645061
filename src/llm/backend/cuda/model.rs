//! The whole model on the device: a token is one recorded graph, a prompt a chunk of GEMMs.
//!
//! Per layer of one token: [norm + quantize + QKV], [RoPE + append + attention], [quantize + output + residual], [norm +
//! quantize + gate and up + SwiGLU], [quantize + down + residual]; then [norm + head + argmax]. Position and token reach the
//! device through pinned memory that the graph's first kernel reads, so one recording serves every token. Only the argmax, the
//! top-k, or the logits where they are asked for, come back.

use std::collections::HashMap;
use std::sync::Arc;

use super::attend::{self, HeadNorms};
use super::decode::{self, DecodeLock, Decoder};
use super::embed::{self, Lookup, Publish};
use super::gemm::product;
use super::gemv::{self, Input, Output, To};
use super::head::{self, Final, Head};
use super::kv::Kv;
use super::linear::Linear;
use super::memory::{Buffer, Pinned, View};
use super::operations::Cuda;
use super::packing::Packing;
use super::partials::MAX_ROWS;
use super::prompt_attend;
use super::quantize::{self, What};
use super::stream::{Graph, Stream};
use super::table::{self, Table};
use super::topk;
use super::workspace::{self, FEW, Spec, Workspace};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::shapes::{self, shape};
use crate::llm::backend::{Backend, FileRows, Footprint, KvPrecision, KvShape, Rope};
use crate::llm::gguf::TensorInfo;
use crate::llm::model::{Hyper, Loaded, Model, Sizes, Timeline};
use crate::units::{Bytes, TokenId};

/// A model whose weights are on the device.
pub(in crate::llm) struct Resident {
    cuda: Cuda,
    hyper: Hyper,
    embedding: FileRows,
    /// The embedding on the device, where it is wanted there.
    table: Option<Table>,
    layers: Vec<Layer>,
    /// Both norms of every layer, then the last one; then, in models that have them, both head norms of every layer.
    norms: Buffer,
    /// Their epsilon, where there are head norms.
    head_eps: Option<f32>,
    head: Head,
    rope: Arc<Rope>,
    kv_precision: KvPrecision,
    context: usize,
    chunk: usize,
}

struct Layer {
    qkv: Linear,
    attn_out: Linear,
    gate_up: Linear,
    down: Linear,
}

impl Layer {
    fn matrices(&self) -> [&Linear; 4] {
        [&self.qkv, &self.attn_out, &self.gate_up, &self.down]
    }
}

/// Bytes of `sizes`, a model's as its backend tells them, with what is the whole model's own: `on_device`, the embedding where it is
/// wanted there, the gaps between weights, and a session's workspace for `chunk` rows and a cache of `context` positions.
pub(in crate::llm) fn estimate(
    cuda: &Cuda,
    h: &Hyper,
    on_device: Option<&TensorInfo>,
    (chunk, context, precision): (usize, usize, KvPrecision),
    sizes: Sizes,
) -> Sizes {
    let table = on_device.map_or(0, |t| table::bytes(t.rows(), t.bytes() / t.rows().max(1)));
    let no_table = Arc::new(Rope { pairs: h.rope_dims / 2, table: Vec::new() });
    // Whether one kernel takes all layers is known when the weights are.
    let may = cuda.loader.packing == Packing::TwoBits && cuda.gpu.device.arch >= decode::ARCH;
    let spec = spec(cuda, h, Model::<Cuda>::kv_shape(h, precision, context, no_table), chunk, may);
    Sizes {
        weights: Bytes(sizes.weights.0 + table + cuda.slack(h.layers)),
        activations: Bytes(workspace::bytes(&spec)),
        ..sizes
    }
}

fn spec(cuda: &Cuda, h: &Hyper, kv: KvShape, chunk: usize, decodes_at_once: bool) -> Spec {
    Spec {
        width: h.width,
        ffn: h.ffn,
        vocabulary: h.vocabulary,
        kv,
        chunk,
        packing: cuda.loader.packing,
        multiprocessors: cuda.gpu.device.multiprocessors,
        decodes_at_once,
    }
}

impl Resident {
    /// Takes over what was loaded; vectors follow the matrices onto the device, and so does the embedding where `embedding_on_device`.
    pub(in crate::llm) fn new(model: Model<Cuda>, embedding_on_device: bool) -> Result<Self> {
        let Model { backend: cuda, hyper, embedding, layers, out_norm, head, rope, kv_precision, context, chunk } =
            model;
        cuda.loader.done();
        let mut norms = Vec::with_capacity((2 * layers.len() + 1) * hyper.width);
        let (mut head_norms, mut head_eps) = (Vec::<f32>::new(), None);
        let mut on_device = Vec::with_capacity(layers.len());
        for l in layers {
            norms.extend_from_slice(&l.attn_norm);
            norms.extend_from_slice(&l.ffn_norm);
            if let Some(n) = l.head_norms {
                head_norms.extend(n.q.iter().chain(&n.k));
                head_eps = Some(n.eps);
            }
            shape(l.gate_up.half > 0, || format!("gate and up: {} rows that are not paired", l.gate_up.rows))?;
            on_device.push(Layer { qkv: l.qkv, attn_out: l.attn_out, gate_up: l.gate_up, down: l.down });
        }
        norms.extend_from_slice(&out_norm);
        if head_eps.is_some() {
            shapes::length(
                "a model",
                "the norms of all heads",
                head_norms.len(),
                2 * on_device.len() * hyper.head_dim,
            )?;
        }
        norms.extend(head_norms);
        let buffer = cuda.loader.keep(size_of_val(norms.as_slice()) as u64)?;
        cuda.stream.upload(&buffer, 0, bytemuck::cast_slice(&norms))?;
        let table = embedding_on_device.then(|| Table::new(&cuda.loader, &embedding)).transpose()?;
        Ok(Self {
            cuda,
            hyper,
            embedding,
            table,
            layers: on_device,
            norms: buffer,
            head_eps,
            head,
            rope,
            kv_precision,
            context,
            chunk,
        })
    }

    /// Bytes that a token takes from the host to the device: its number where the device has the embedding, else its row.
    fn token_bytes(&self) -> usize {
        if self.table.is_some() { size_of::<u32>() } else { self.embedding.row_bytes() }
    }

    /// Norm `i` and those after it: both of every layer, the last one, then those of the heads.
    fn norm(&self, i: usize) -> Result<View<'_>> {
        self.norms.view().after((i * self.hyper.width * 4) as u64)
    }

    /// The heads' norms of layer `layer` and those after it.
    fn head_norms(&self, layer: usize) -> Result<Option<HeadNorms<'_>>> {
        let Some(eps) = self.head_eps else { return Ok(None) };
        let hd = self.hyper.head_dim;
        let of = self.norm(2 * self.layers.len() + 1)?.after((layer * 8 * hd) as u64)?;
        HeadNorms::of(of, hd, eps).map(Some)
    }
}

impl Loaded for Resident {
    fn describe(&self) -> String {
        self.cuda.describe()
    }

    fn resident(&self) -> Bytes {
        let layer = |l: &Layer| l.matrices().iter().map(|w| w.resident()).sum::<u64>();
        Bytes(
            self.layers.iter().map(layer).sum::<u64>()
                + self.head.resident()
                + self.norms.bytes()
                + self.table.as_ref().map_or(0, Table::resident),
        )
    }

    fn context(&self) -> usize {
        self.context
    }

    fn chunk(&self) -> usize {
        self.chunk
    }

    fn device_bytes(&self) -> Bytes {
        Bytes(self.cuda.allocated())
    }

    fn answers(&self) -> Result<()> {
        self.cuda.stream.answers()
    }

    fn open(self: Arc<Self>) -> Result<Box<dyn Timeline>> {
        let (h, chunk, c) = (&self.hyper, self.chunk, &self.cuda);
        let kv_shape = Model::<Cuda>::kv_shape(h, self.kv_precision, self.context, self.rope.clone());
        let layers: Vec<_> = self.layers.iter().map(Layer::matrices).collect();
        let fits = decode::fits(&c.gpu, &layers, &kv_shape)?;
        let kv = Kv::new(&c.stream, &kv_shape)?;
        let work = Workspace::lay_out(&mut &*c.stream, &spec(c, h, kv_shape, chunk, fits))?;
        let decoder = match &work.decode {
            Some(room) => {
                let norms = decode::Norms { layers: self.norm(0)?, eps: h.norm_eps, heads: self.head_norms(0)? };
                let work = (&work.x, &work.partials, room);
                Some(Decoder::new(&c.gpu, &c.stream, &layers, &kv, norms, self.norms.owner(), work)?)
            }
            None => None,
        };
        // The session has a stream of its own: what was cleared in the model's must be there.
        c.stream.wait()?;
        let device = &c.gpu.device;
        Ok(Box::new(GpuTimeline {
            graphs: HashMap::new(),
            decoder,
            stream: Stream::new(device)?,
            kv,
            work,
            best: Pinned::new(device, head::blocks(&c.gpu, h.vocabulary) * 8)?,
            // The kernels read whole words.
            from_host: Pinned::new(device, HEADER + (chunk * self.token_bytes()).next_multiple_of(4))?,
            to_host: Pinned::new(device, (h.vocabulary * 4).max(topk::MOST * 8))?,
            model: self.clone(),
        }))
    }
}

/// Bytes before the gathered rows, or the tokens' numbers, in what goes from the host to the device.
const HEADER: usize = 64;

/// One session: its cache, its workspace, its stream and what was recorded in it.
struct GpuTimeline {
    graphs: HashMap<(usize, bool), Graph>,
    /// All layers of one row at once, where the device and the model allow it.
    decoder: Option<Decoder>,
    stream: Stream,
    kv: Kv,
    work: Workspace,
    /// u64: the argmax of each of the head's blocks.
    best: Pinned,
    /// Position, and the tokens' rows of the embedding, or their numbers where the device has it.
    from_host: Pinned,
    /// Logits, or the top-k, on their way to whoever asked.
    to_host: Pinned,
    model: Arc<Resident>,
}

impl GpuTimeline {
    /// The device to itself for one token where all its layers are one launch; hold it until the stream has been waited for.
    fn decode_lock(&self, tokens: &[TokenId]) -> Option<DecodeLock> {
        (tokens.len() == 1 && self.decoder.is_some()).then(DecodeLock::wait)
    }

    /// Enqueues the computation of `tokens`; the head too, where `head`.
    fn compute(&mut self, tokens: &[TokenId], start: usize, head: bool, lock: &Option<DecodeLock>) -> Result<()> {
        let n = tokens.len();
        let (chunk, context) = (self.model.chunk, self.model.context);
        shape(n > 0 && n <= chunk && start + n <= context, || {
            format!(
                "forward: {n} tokens from position {start}, but 1 to {chunk} of a context of {context} are expected"
            )
        })?;
        self.from_host[..4].copy_from_slice(&(start as u32).to_le_bytes());
        let (table, embedding) = (&self.model.table, &self.model.embedding);
        let vocabulary = embedding.tensor.rows();
        if let Some(t) = tokens.iter().find(|t| t.0 as usize >= vocabulary) {
            return Err(Error::new(Kind::Internal, format!("token {} is outside the vocabulary of {vocabulary}", t.0)));
        }
        for (to, &t) in self.from_host[HEADER..].chunks_exact_mut(self.model.token_bytes()).zip(tokens) {
            match table {
                Some(_) => to.copy_from_slice(&t.0.to_le_bytes()),
                None => embedding.stored_row(t, to)?,
            }
        }
        if let (Some(decoder), Some(lock)) = (&self.decoder, lock) {
            // Two launches: there is nothing to record.
            let row = match table {
                Some(table) => table.row(tokens[0])?,
                None => self.from_host.view().after(HEADER as u64)?,
            };
            let token =
                decode::Token { position: start, row, row_bytes: embedding.row_bytes(), ty: embedding.tensor.ty };
            decoder.step(&self.stream, token, lock)?;
            return if head { self.enqueue_head(0) } else { Ok(()) };
        }
        if n > FEW {
            return self.enqueue(n, head);
        }
        if let Some(graph) = self.graphs.get(&(n, head)) {
            // SAFETY: its kernels use the model's memory and this session's, both of which stay as long as the graph, and the
            // session waits for its stream before they go.
            return unsafe { self.stream.replay(graph) };
        }
        // A first time by itself: kernels are found and prepared outside of the recording. Another thread's mapping of memory can
        // spoil a recording; then there is one the next time.
        self.enqueue(n, head)?;
        self.stream.wait()?;
        match self.stream.capture(|| self.enqueue(n, head)) {
            Ok(graph) => drop(self.graphs.insert((n, head), graph)),
            Err(e) => tracing::debug!("a step of {n} rows was not recorded: {e}"),
        }
        Ok(())
    }

    /// Enqueues the kernels for `n` rows.
    fn enqueue(&self, n: usize, head: bool) -> Result<()> {
        let (m, s) = (&*self.model, &self.stream);
        let (gpu, h) = (&*m.cuda.gpu, &m.hyper);
        let tokens = self.from_host.view().after(HEADER as u64)?;
        let (table, ids, row_bytes) = match &m.table {
            Some(t) => (t.view(), Some(tokens), t.stride),
            None => (tokens, None, m.embedding.row_bytes()),
        };
        let lookup = Lookup { table, ids, row_bytes, ty: m.embedding.tensor.ty, cols: h.width };
        let publish = Publish { start: self.from_host.view(), step: self.work.step.view() };
        embed::embed(gpu, s, &lookup, n, self.work.x.view(), Some(publish))?;
        let fused = n == 1
            && m.layers.first().is_some_and(|l| {
                let norms = gemv::takes_floats(&l.qkv, true) && gemv::takes_floats(&l.gate_up, true);
                norms && gemv::takes_floats(&l.attn_out, false) && gemv::takes_floats(&l.down, false)
            });
        for i in 0..m.layers.len() {
            if fused { self.enqueue_token(i)? } else { self.enqueue_rows(i, n)? }
        }
        if head { self.enqueue_head(n - 1) } else { Ok(()) }
    }

    /// Enqueues the head of row `row`.
    fn enqueue_head(&self, row: usize) -> Result<()> {
        let m = &*self.model;
        let (x, norm) = (self.work.x.starting_at(row)?, m.norm(2 * m.layers.len())?);
        let (logits, best) = (self.work.logits.view(), self.best.view());
        head::head(&m.cuda.gpu, &self.stream, &m.head, Final { x, norm, eps: m.hyper.norm_eps, logits, best })
    }

    /// The logits that were computed last.
    fn fetch(&mut self, logits: &mut [f32]) -> Result<()> {
        shapes::length("logits", "the slice", logits.len(), self.model.hyper.vocabulary)?;
        let bytes = size_of_val(logits);
        self.stream.download(&self.work.logits, 0, &mut self.to_host[..bytes])?;
        bytemuck::cast_slice_mut(logits).copy_from_slice(&self.to_host[..bytes]);
        Ok(())
    }

    fn rows(&self, layer: usize) -> Result<attend::AttentionRows<'_>> {
        let w = &self.work;
        let (qkv, out, step) = (w.qkv.view(), Some(w.attended.view()), w.step.view());
        Ok(attend::AttentionRows { qkv, out, step, norms: self.model.head_norms(layer)? })
    }

    /// Enqueues layer `i` of one row: five kernels.
    fn enqueue_token(&self, i: usize) -> Result<()> {
        let (m, s, w) = (&*self.model, &self.stream, &self.work);
        let (gpu, l, eps) = (&*m.cuda.gpu, &m.layers[i], m.hyper.norm_eps);
        let next = match m.layers.get(i + 1) {
            Some(next) => next.qkv.beginning(AHEAD_BYTES),
            None => m.head.beginning(AHEAD_BYTES),
        };
        let x = w.x.view();
        let input = Input::Norm(x, m.norm(2 * i)?, eps);
        gemv::gemv(gpu, s, &l.qkv, input, To::rows(&w.qkv, Output::Store).before(l.attn_out.beginning(AHEAD_BYTES)))?;
        attend::attend(gpu, s, (&self.kv, i), (1, true), self.rows(i)?, &w.partials)?;
        let input = Input::Row(w.attended.view());
        gemv::gemv(gpu, s, &l.attn_out, input, To::rows(&w.x, Output::Add).before(l.gate_up.beginning(AHEAD_BYTES)))?;
        let input = Input::Norm(x, m.norm(2 * i + 1)?, eps);
        gemv::gemv(
            gpu,
            s,
            &l.gate_up,
            input,
            To::rows(&w.hidden, Output::SwiGlu).before(l.down.beginning(AHEAD_BYTES)),
        )?;
        gemv::gemv(gpu, s, &l.down, Input::Row(w.hidden.view()), To::rows(&w.x, Output::Add).before(next))
    }

    /// Enqueues layer `i` of `n` rows.
    fn enqueue_rows(&self, i: usize, n: usize) -> Result<()> {
        let (m, s, w) = (&*self.model, &self.stream, &self.work);
        let (gpu, h, l) = (&*m.cuda.gpu, &m.hyper, &m.layers[i]);
        let norm = |i| m.norm(i).map(|norm| What::Norm(norm, h.norm_eps));
        quantize::quantize(gpu, s, norm(2 * i)?, w.x.view(), h.width, n, &w.q_width)?;
        product(gpu, s, &l.qkv, &w.q_width, n, To::rows(&w.qkv, Output::Store))?;
        let rows = self.rows(i)?;
        attend::rope_append(gpu, s, &self.kv, i, n, rows)?;
        if n <= MAX_ROWS {
            attend::attend(gpu, s, (&self.kv, i), (n, false), rows, &w.partials)?;
        } else {
            prompt_attend::prompt_attend(gpu, s, &self.kv, i, n, rows)?;
        }
        let q_attended = w.q_attended.as_ref().unwrap_or(&w.q_width);
        quantize::quantize(gpu, s, What::Plain, w.attended.view(), w.attended.cols, n, q_attended)?;
        product(gpu, s, &l.attn_out, q_attended, n, To::rows(&w.x, Output::Add))?;
        for first in (0..n).step_by(w.hidden.capacity) {
            let rows = w.hidden.capacity.min(n - first);
            let x = w.x.starting_at(first)?;
            quantize::quantize(gpu, s, norm(2 * i + 1)?, x, h.width, rows, &w.q_width)?;
            product(gpu, s, &l.gate_up, &w.q_width, rows, To::rows(&w.hidden, Output::SwiGlu))?;
            quantize::quantize(gpu, s, What::Plain, w.hidden.view(), h.ffn, rows, &w.q_ffn)?;
            product(gpu, s, &l.down, &w.q_ffn, rows, To { y: x, ..To::rows(&w.x, Output::Add) })?;
        }
        Ok(())
    }
}

/// Weights of the next kernel that are asked for early on devices without dependent launch: half of Orin's L2.
const AHEAD_BYTES: u64 = 1 << 20;

impl Timeline for GpuTimeline {
    fn forward(&mut self, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()> {
        let lock = self.decode_lock(tokens);
        self.compute(tokens, start, logits.is_some(), &lock)?;
        match logits {
            Some(logits) => self.fetch(logits),
            None => self.stream.wait(),
        }
    }

    fn logits(&mut self, row: usize, logits: &mut [f32]) -> Result<()> {
        let chunk = self.model.chunk;
        shape(row < chunk, || format!("logits: row {row} of a chunk of {chunk}"))?;
        self.enqueue_head(row)?;
        self.fetch(logits)
    }

    fn argmax(&mut self, tokens: &[TokenId], start: usize) -> Result<Option<TokenId>> {
        let lock = self.decode_lock(tokens);
        self.compute(tokens, start, true, &lock)?;
        self.stream.wait()?;
        // The sampler takes the first token where no logit is a number.
        Ok(Some(TokenId(head::argmax(&self.best).unwrap_or(0))))
    }

    fn candidates(&mut self, tokens: &[TokenId], start: usize, k: usize, to: &mut Vec<(f32, u32)>) -> Result<bool> {
        if k == 0 || k > topk::MOST || self.work.topk.is_none() {
            return Ok(false);
        }
        let lock = self.decode_lock(tokens);
        self.compute(tokens, start, true, &lock)?;
        let Some(topk) = &self.work.topk else { return Ok(false) };
        topk.find(&self.model.cuda.gpu, &self.stream, self.work.logits.view())?;
        topk.fetch(&self.stream, k, &mut self.to_host, to)?;
        Ok(true)
    }

    fn save(&self, len: usize) -> Result<Vec<u8>> {
        self.kv.save(&self.model.cuda.gpu, &self.stream, len)
    }

    fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        self.kv.load(&self.model.cuda.gpu, &self.stream, len, saved)
    }

    fn resident(&self) -> (Bytes, Bytes) {
        (Bytes(self.kv.resident()), Bytes(self.work.resident()))
    }
}

impl Drop for GpuTimeline {
    fn drop(&mut self) {
        // Memory must not go while kernels still use it; what failed has been reported.
        let _ = self.stream.wait();
    }
}
