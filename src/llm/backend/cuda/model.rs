//! The whole model on the device: a token is one recorded graph, a prompt a chunk of GEMMs.
//!
//! Per layer of one token: [norm + quantize + QKV], [RoPE + append + attention], [quantize + output + residual], [norm +
//! quantize + gate and up + SwiGLU], [quantize + down + residual]; then [norm + head + likeliest]. Position and token
//! reach the device through pinned memory that the graph's first kernel reads, so one recording serves every token. Only the
//! likeliest token's number, or the logits where they are asked for, come back.

use std::collections::HashMap;
use std::sync::Arc;

use super::attend::{self, HeadNorms};
use super::decode::{self, Decoder, Turn};
use super::driver::{Buffer, Graph, Pinned, Stream};
use super::embed::{self, Lookup, Publish};
use super::gemv::{self, Input, Output, To};
use super::head::{self, Final};
use super::quantize::{self, What};
use super::table::{self, Table};
use super::topk::{self, TopK};
use super::{Cuda, Head, Kv, Linear, Packing, Quant, Rows, product, prompt_attend};
use crate::error::Result;
use crate::llm::EmbeddingPlace;
use crate::llm::backend::{Backend, FileRows, Footprint, KvPrecision, Rope, shape};
use crate::llm::gguf::TensorInfo;
use crate::llm::model::{Hyper, Loaded, Model, Timeline};
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

/// How a session's workspace is shared out among what is not needed at the same time.
#[derive(Clone, Copy)]
struct Pieces {
    /// Rows that go through the FFN together: in base 3, which is there to spare memory, half of a chunk.
    ffn_rows: usize,
    /// Where attention's output begins behind queries, keys and values.
    attended_at: u64,
    /// Bytes of: queries, keys, values and attention's output; or the FFN's inner rows; or logits.
    shared: u64,
}

impl Pieces {
    fn new(cuda: &Cuda, h: &Hyper, chunk: usize) -> Self {
        let ffn_rows = match cuda.packing {
            Packing::TwoBits => chunk,
            Packing::Base3 => chunk.div_ceil(2).max(FEW).min(chunk),
        };
        let attended_at = cuda.rows_bytes(chunk, h.qkv_cols()).next_multiple_of(256);
        let attention = attended_at + cuda.rows_bytes(chunk, h.heads * h.head_dim);
        let shared = attention.max(cuda.rows_bytes(ffn_rows, h.ffn)).max((h.vocabulary * 4) as u64);
        Self { ffn_rows, attended_at, shared }
    }
}

struct Layer {
    qkv: Linear,
    attn_out: Linear,
    gate_up: Linear,
    down: Linear,
}

/// Rows that are computed as a recorded graph, all weights read once.
const FEW: usize = gemv::MAX_ROWS;

impl Resident {
    /// Takes over what was loaded; vectors follow the matrices onto the device, and so does the embedding where `place` says it.
    pub(in crate::llm) fn new(model: Model<Cuda>, place: EmbeddingPlace) -> Result<Self> {
        let Model { backend: cuda, hyper, embedding, layers, out_norm, head, rope, kv_precision, context, chunk } =
            model;
        cuda.loaded();
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
            shape(l.gate_up.half > 0, "gate and up")?;
            on_device.push(Layer { qkv: l.qkv, attn_out: l.attn_out, gate_up: l.gate_up, down: l.down });
        }
        norms.extend_from_slice(&out_norm);
        shape(head_eps.is_none() || head_norms.len() == 2 * on_device.len() * hyper.head_dim, "head norms")?;
        norms.extend(head_norms);
        let buffer = cuda.keep(size_of_val(norms.as_slice()) as u64)?;
        cuda.stream.upload(&buffer, 0, bytemuck::cast_slice(&norms))?;
        cuda.stream.wait()?;
        let table = match place {
            EmbeddingPlace::File => None,
            EmbeddingPlace::Device => Some(Table::new(&cuda, &embedding)?),
        };
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

    /// Bytes of one session beside its cache.
    pub(in crate::llm) fn workspace_bytes(cuda: &Cuda, h: &Hyper, chunk: usize) -> u64 {
        let attended = h.heads * h.head_dim;
        let pieces = Pieces::new(cuda, h, chunk);
        let q_attended = if attended == h.width { 0 } else { cuda.quant_bytes(chunk, attended) };
        let quants = cuda.quant_bytes(chunk, h.width) + q_attended + cuda.quant_bytes(pieces.ffn_rows, h.ffn);
        let alone = if cuda.packing == Packing::TwoBits { 4 * (h.qkv_cols() + attended + h.ffn) as u64 } else { 0 };
        let partial = attend::Partials::most(&cuda.gpu, h.heads, h.head_dim);
        let widths = decode::Widths { x: h.width, qkv: h.qkv_cols(), attended, hidden: h.ffn };
        let decoder = if cuda.packing == Packing::TwoBits { Decoder::bytes(h.layers, widths, partial) } else { 0 };
        let rest = 16 + topk::bytes(h.vocabulary) + decoder + partial;
        cuda.rows_bytes(chunk, h.width) + pieces.shared + quants + alone + rest
    }

    /// Bytes of the embedding on the device, where it is wanted there.
    pub(in crate::llm) fn embedding_bytes(embedding: &TensorInfo, place: EmbeddingPlace) -> u64 {
        match place {
            EmbeddingPlace::File => 0,
            EmbeddingPlace::Device => table::bytes(embedding.rows(), embedding.bytes() / embedding.rows().max(1)),
        }
    }

    /// What a session sends of a token: its number where the device has the embedding, else its row.
    fn sent_bytes(&self) -> usize {
        if self.table.is_some() { size_of::<u32>() } else { self.embedding.row_bytes() }
    }

    fn norm(&self, i: usize) -> u64 {
        self.norms.at + (i * self.hyper.width * 4) as u64
    }
}

impl Loaded for Resident {
    fn describe(&self) -> String {
        self.cuda.describe()
    }

    fn resident(&self) -> Bytes {
        let layer = |l: &Layer| [&l.qkv, &l.attn_out, &l.gate_up, &l.down].iter().map(|w| w.resident()).sum::<u64>();
        Bytes(
            self.layers.iter().map(layer).sum::<u64>()
                + self.head.resident()
                + self.norms.bytes
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
        let (h, chunk) = (&self.hyper, self.chunk);
        let attended = h.heads * h.head_dim;
        let c = &self.cuda;
        let stream = c.gpu.device.stream()?;
        let sent_bytes = self.sent_bytes();
        let pieces = Pieces::new(c, h, chunk);
        let shared = c.gpu.device.zeros(pieces.shared, &c.stream)?;
        let part = |rows: usize, cols: usize, at: u64| Rows {
            capacity: rows,
            cols,
            data: shared.part(at, (rows * cols * 4) as u64),
        };
        // The kernel of all layers at once tells by a row's contents whether it is there yet: its rows are its own.
        let alone = match c.packing {
            Packing::TwoBits => Some([c.rows(1, h.qkv_cols())?, c.rows(1, attended)?, c.rows(1, h.ffn)?]),
            Packing::Base3 => None,
        };
        let mut run = Run {
            kv: c.kv(&Model::<Cuda>::kv_shape(h, self.kv_precision, self.context, self.rope.clone()))?,
            x: c.rows(chunk, h.width)?,
            qkv: part(chunk, h.qkv_cols(), 0),
            attended: part(chunk, attended, pieces.attended_at),
            hidden: part(pieces.ffn_rows, h.ffn, 0),
            q_width: c.quant(chunk, h.width)?,
            q_attended: if attended == h.width { None } else { Some(c.quant(chunk, attended)?) },
            q_ffn: c.quant(pieces.ffn_rows, h.ffn)?,
            logits: shared.part(0, (h.vocabulary * 4) as u64),
            shared,
            alone,
            best: c.gpu.device.pinned(head::blocks(&c.gpu, h.vocabulary) * 8)?,
            topk: TopK::new(&c.gpu, h.vocabulary)?,
            step: c.gpu.device.alloc(16)?,
            // The kernels read whole words.
            sent: c.gpu.device.pinned(HEADER + (chunk * sent_bytes).next_multiple_of(4))?,
            back: c.gpu.device.pinned(16 + h.vocabulary * 4)?,
            graphs: HashMap::new(),
            decoder: None,
            stream,
            model: self.clone(),
        };
        c.stream.wait()?;
        run.decoder = run.decoder()?;
        Ok(Box::new(run))
    }
}

/// Bytes before the gathered rows, or the tokens' numbers, in what is sent.
const HEADER: usize = 64;

/// One session: its cache, its workspace, its stream and what was recorded in it.
struct Run {
    graphs: HashMap<(usize, bool), Graph>,
    /// All layers of one row at once, where the device and the model allow it.
    decoder: Option<Decoder>,
    stream: Stream,
    kv: Kv,
    x: Rows,
    qkv: Rows,
    attended: Rows,
    hidden: Rows,
    q_width: Quant,
    /// `None`: `q_width` serves, being as wide.
    q_attended: Option<Quant>,
    q_ffn: Quant,
    logits: Buffer,
    /// What `qkv`, `attended`, `hidden` and `logits` are parts of (see [`Pieces`]).
    shared: Buffer,
    /// Queries, keys and values, attention's output and the FFN's inner row for [`Decoder`].
    alone: Option<[Rows; 3]>,
    /// The likeliest token of each of the head's blocks.
    best: Pinned,
    /// Where the likeliest tokens are looked for; `None`: there are too many logits for that.
    topk: Option<TopK>,
    step: Buffer,
    /// Position, and the tokens' rows of the embedding, or their numbers where the device has it.
    sent: Pinned,
    /// Logits, or the likeliest ones, on their way to whom they are for.
    back: Pinned,
    model: Arc<Resident>,
}

impl Run {
    fn decoder(&self) -> Result<Option<Decoder>> {
        let m = &*self.model;
        let layers: Vec<_> = m.layers.iter().map(|l| [&l.qkv, &l.attn_out, &l.gate_up, &l.down]).collect();
        let norms = decode::Norms { layers: m.norm(0), eps: m.hyper.norm_eps, heads: self.rows(0).norms };
        let Some([qkv, attended, hidden]) = &self.alone else { return Ok(None) };
        let work = decode::Workspace { x: &self.x, qkv, attended, hidden };
        Decoder::new(&m.cuda.gpu, &self.stream, &layers, &self.kv, norms, work)
    }

    /// The device to itself for one token where all its layers are one launch; hold it until the stream has been waited for.
    fn turn(&self, tokens: &[TokenId]) -> Option<Turn> {
        (tokens.len() == 1 && self.decoder.is_some()).then(Turn::wait)
    }

    /// Computes `tokens`; the head too, where `head`.
    fn compute(&mut self, tokens: &[TokenId], start: usize, head: bool, turn: &Option<Turn>) -> Result<()> {
        let n = tokens.len();
        shape(n > 0 && n <= self.model.chunk && start + n <= self.model.context, "forward")?;
        self.sent[..4].copy_from_slice(&(start as u32).to_le_bytes());
        let (table, embedding) = (&self.model.table, &self.model.embedding);
        shape(tokens.iter().all(|t| (t.0 as usize) < embedding.tensor.rows()), "a token of the vocabulary")?;
        for (to, &t) in self.sent[HEADER..].chunks_exact_mut(self.model.sent_bytes()).zip(tokens) {
            match table {
                Some(_) => to.copy_from_slice(&t.0.to_le_bytes()),
                None => embedding.stored_row(t, to)?,
            }
        }
        if let (Some(decoder), Some(turn)) = (&self.decoder, turn) {
            // Two launches: there is nothing to record.
            let row = table.as_ref().map_or(self.sent.device_at + HEADER as u64, |t| t.row(tokens[0]));
            let ty = embedding.tensor.ty;
            let token = decode::Token { position: start, row, ty };
            decoder.step(&self.stream, token, turn)?;
            return if head { self.put_head(0) } else { Ok(()) };
        }
        if n > FEW {
            return self.put(n, head);
        }
        if let Some(graph) = self.graphs.get(&(n, head)) {
            return self.stream.replay(graph);
        }
        // A first time by itself: kernels are found and prepared outside of the recording. Another thread's mapping of memory can
        // spoil a recording; then there is one the next time.
        self.put(n, head)?;
        self.stream.wait()?;
        match self.stream.capture(|| self.put(n, head)) {
            Ok(graph) => drop(self.graphs.insert((n, head), graph)),
            Err(e) => tracing::debug!("a step of {n} rows was not recorded: {e}"),
        }
        Ok(())
    }

    /// Puts the kernels for `n` rows into the stream.
    fn put(&self, n: usize, head: bool) -> Result<()> {
        let (m, s) = (&*self.model, &self.stream);
        let (gpu, h) = (&*m.cuda.gpu, &m.hyper);
        let sent = self.sent.device_at + HEADER as u64;
        let (table, ids, row_bytes) = match &m.table {
            Some(t) => (t.at(), sent, t.stride),
            None => (sent, 0, m.embedding.row_bytes()),
        };
        let lookup = Lookup { table, ids, row_bytes: row_bytes as u64, ty: m.embedding.tensor.ty, cols: h.width };
        let publish = Publish { start: self.sent.device_at, step: self.step.at };
        embed::embed(gpu, s, &lookup, n, self.x.data.at, publish)?;
        let fused = n == 1
            && m.layers.first().is_some_and(|l| {
                let norms = gemv::takes_floats(&l.qkv, true) && gemv::takes_floats(&l.gate_up, true);
                norms && gemv::takes_floats(&l.attn_out, false) && gemv::takes_floats(&l.down, false)
            });
        for i in 0..m.layers.len() {
            if fused { self.put_token(i)? } else { self.put_rows(i, n)? }
        }
        if head { self.put_head(n - 1) } else { Ok(()) }
    }

    /// The head of row `row`.
    fn put_head(&self, row: usize) -> Result<()> {
        let m = &*self.model;
        shape(row < m.chunk, "logits")?;
        let x = self.x.data.at + (row * m.hyper.width * 4) as u64;
        let norm = m.norm(2 * m.layers.len());
        let of = Final { x, norm, eps: m.hyper.norm_eps, logits: self.logits.at, best: self.best.device_at };
        head::head(&m.cuda.gpu, &self.stream, &m.head, of)
    }

    /// The logits that were computed last.
    fn fetch(&mut self, logits: &mut [f32]) -> Result<()> {
        let bytes = size_of_val(logits);
        shape(bytes as u64 == self.logits.bytes, "logits")?;
        self.stream.download_later(&self.logits, 0, &mut self.back[16..16 + bytes])?;
        self.stream.wait()?;
        bytemuck::cast_slice_mut(logits).copy_from_slice(&self.back[16..16 + bytes]);
        Ok(())
    }

    fn rows(&self, layer: usize) -> attend::Rows {
        let m = &*self.model;
        let all = m.norm(2 * m.layers.len() + 1);
        let hd = m.hyper.head_dim;
        let norms =
            m.head_eps.map_or(HeadNorms::default(), |eps| HeadNorms::at(all + (layer * 8 * hd) as u64, hd, eps));
        attend::Rows { qkv: self.qkv.data.at, out: self.attended.data.at, step: self.step.at, norms }
    }

    /// Layer `i` of one row: five kernels.
    fn put_token(&self, i: usize) -> Result<()> {
        let (m, s) = (&*self.model, &self.stream);
        let (gpu, l, eps) = (&*m.cuda.gpu, &m.layers[i], m.hyper.norm_eps);
        let ahead = |w: &Linear| (w.data.at, w.data.bytes.min(AHEAD_BYTES));
        let next = match m.layers.get(i + 1) {
            Some(next) => ahead(&next.qkv),
            None => (m.head.weights().0, m.head.weights().1.min(AHEAD_BYTES)),
        };
        let to = |rows: &Rows, output, next| To { y: rows.data.at, stride: rows.cols, output, next };
        let x = self.x.data.at;
        let input = Input::Norm(x, m.norm(2 * i), eps);
        gemv::gemv(gpu, s, &l.qkv, input, to(&self.qkv, Output::Store, ahead(&l.attn_out)))?;
        attend::attend(gpu, s, (&self.kv, i), (1, true), self.rows(i), self.kv.partials()?)?;
        let input = Input::Row(self.attended.data.at);
        gemv::gemv(gpu, s, &l.attn_out, input, to(&self.x, Output::Add, ahead(&l.gate_up)))?;
        let input = Input::Norm(x, m.norm(2 * i + 1), eps);
        gemv::gemv(gpu, s, &l.gate_up, input, to(&self.hidden, Output::SwiGlu, ahead(&l.down)))?;
        gemv::gemv(gpu, s, &l.down, Input::Row(self.hidden.data.at), to(&self.x, Output::Add, next))
    }

    /// Layer `i` of `n` rows.
    fn put_rows(&self, i: usize, n: usize) -> Result<()> {
        let (m, s) = (&*self.model, &self.stream);
        let (gpu, h, l) = (&*m.cuda.gpu, &m.hyper, &m.layers[i]);
        let to = |rows: &Rows, output| To { y: rows.data.at, stride: rows.cols, output, next: (0, 0) };
        let (x, attended, hidden) = (self.x.data.at, self.attended.data.at, self.hidden.data.at);
        let norm = |i| What::Norm(m.norm(i), h.norm_eps);
        quantize::quantize(gpu, s, norm(2 * i), x, h.width, n, &self.q_width)?;
        product(gpu, s, &l.qkv, &self.q_width, n, to(&self.qkv, Output::Store))?;
        attend::rope_append(gpu, s, &self.kv, i, n, self.rows(i))?;
        if n <= attend::MAX_ROWS {
            attend::attend(gpu, s, (&self.kv, i), (n, false), self.rows(i), self.kv.partials()?)?;
        } else {
            prompt_attend::prompt_attend(gpu, s, &self.kv, i, n, self.rows(i))?;
        }
        let q_attended = self.q_attended.as_ref().unwrap_or(&self.q_width);
        quantize::quantize(gpu, s, What::Plain, attended, self.attended.cols, n, q_attended)?;
        product(gpu, s, &l.attn_out, q_attended, n, to(&self.x, Output::Add))?;
        for first in (0..n).step_by(self.hidden.capacity) {
            let rows = self.hidden.capacity.min(n - first);
            let x = x + (first * h.width * 4) as u64;
            quantize::quantize(gpu, s, norm(2 * i + 1), x, h.width, rows, &self.q_width)?;
            product(gpu, s, &l.gate_up, &self.q_width, rows, to(&self.hidden, Output::SwiGlu))?;
            quantize::quantize(gpu, s, What::Plain, hidden, h.ffn, rows, &self.q_ffn)?;
            product(gpu, s, &l.down, &self.q_ffn, rows, To { y: x, ..to(&self.x, Output::Add) })?;
        }
        Ok(())
    }
}

/// Weights of the next kernel that are asked for early on devices without dependent launch: half of Orin's L2.
const AHEAD_BYTES: u64 = 1 << 20;

impl Timeline for Run {
    fn forward(&mut self, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()> {
        let turn = self.turn(tokens);
        self.compute(tokens, start, logits.is_some(), &turn)?;
        match logits {
            Some(logits) => self.fetch(logits),
            None => self.stream.wait(),
        }
    }

    fn logits(&mut self, row: usize, logits: &mut [f32]) -> Result<()> {
        self.put_head(row)?;
        self.fetch(logits)
    }

    fn likeliest(&mut self, tokens: &[TokenId], start: usize) -> Result<Option<TokenId>> {
        let turn = self.turn(tokens);
        self.compute(tokens, start, true, &turn)?;
        self.stream.wait()?;
        // The sampler takes the first token where no logit is a number.
        Ok(Some(TokenId(head::likeliest(&self.best).unwrap_or(0))))
    }

    fn candidates(&mut self, tokens: &[TokenId], start: usize, k: usize, to: &mut Vec<(f32, u32)>) -> Result<bool> {
        if k == 0 || k > topk::MOST || self.topk.is_none() {
            return Ok(false);
        }
        let turn = self.turn(tokens);
        self.compute(tokens, start, true, &turn)?;
        let Some(topk) = &self.topk else { return Ok(false) };
        topk.find(&self.model.cuda.gpu, &self.stream, self.logits.at)?;
        topk.fetch(&self.stream, k, &mut self.back, to)?;
        Ok(true)
    }

    fn save(&self, len: usize) -> Result<Vec<u8>> {
        self.kv.save(&self.model.cuda.gpu, &self.stream, len)
    }

    fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        self.kv.load(&self.stream, len, saved)
    }

    fn resident(&self) -> (Bytes, Bytes) {
        let rows = [&self.x].into_iter().chain(self.alone.iter().flatten()).map(|r| r.resident()).sum::<u64>();
        let quants =
            [&self.q_width, &self.q_ffn].into_iter().chain(&self.q_attended).map(|q| q.resident()).sum::<u64>();
        let rest = self.shared.bytes
            + self.step.bytes
            + self.topk.as_ref().map_or(0, TopK::resident)
            + self.kv.partials().map_or(0, attend::Partials::resident)
            + self.decoder.as_ref().map_or(0, Decoder::resident);
        (Bytes(self.kv.resident()), Bytes(rows + quants + rest))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Buffers must not go while kernels still use them; what failed has been reported.
        let _ = self.stream.wait();
    }
}
