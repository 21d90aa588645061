//! From file to backend: every tensor checked, repacked once, and its mapped pages given back.

use std::collections::HashSet;
use std::sync::Arc;

use super::hyper::check_shape;
use super::{Architecture, Hyper, Layer, Model, Sizes};
use crate::error::{Error, Kind, Result};
use crate::llm::Settings;
use crate::llm::backend::{Backend, FileRows, Once, Part, QkNorm, Rope};
use crate::llm::gguf::{Gguf, TensorInfo, TensorType, corrupt};
use crate::llm::quant::{self, Halves, Ternary};
use crate::units::Bytes;

/// One matrix of a layer.
#[derive(Clone, Copy)]
struct Matrix {
    /// `blk.N.NAME.weight`.
    name: &'static str,
    rows: usize,
    /// How the file stores its heads, where that is not as backends rotate them.
    halves: Option<Halves>,
}

/// The linears of a layer as they are stacked.
struct Linears {
    qkv: [Matrix; 3],
    attn_out: [Matrix; 1],
    gate_up: [Matrix; 2],
    down: [Matrix; 1],
    /// Columns of `attn_out`.
    attended: usize,
    halves: Option<Halves>,
}

impl Linears {
    fn of(h: &Hyper) -> Self {
        let kv = h.kv_heads * h.head_dim;
        let attended = h.heads * h.head_dim;
        let halves = match h.architecture {
            Architecture::Llama => None,
            Architecture::Qwen3 => Some(Halves { head_dim: h.head_dim, pairs: h.rope_dims / 2 }),
        };
        let plain = |name, rows| Matrix { name, rows, halves: None };
        let rotated = |name, rows| Matrix { name, rows, halves };
        Self {
            qkv: [rotated("attn_q", attended), rotated("attn_k", kv), plain("attn_v", kv)],
            attn_out: [plain("attn_output", h.width)],
            gate_up: [plain("ffn_gate", h.ffn), plain("ffn_up", h.ffn)],
            down: [plain("ffn_down", h.width)],
            attended,
            halves,
        }
    }
}

/// The output matrix: its own tensor, or the embedding where the two are tied.
fn head_tensor(file: &Gguf) -> Result<&TensorInfo> {
    match file.tensor("output.weight") {
        Some(t) => Ok(t),
        None => file.require_tensor("token_embd.weight"),
    }
}

/// Bytes that `backend` will hold for `file`'s weights and for one session. From the header alone: of a ternary tensor
/// it is not known whether all its scales are the same, so room for one a block is counted (3 % of TQ, 12 % of Q2_0).
///
/// # Errors
/// [`Kind::Corrupt`] where a tensor is missing or has another shape.
pub(in crate::llm) fn estimate<B: Backend>(backend: &B, file: &Gguf, h: &Hyper, settings: &Settings) -> Result<Sizes> {
    let linears = Linears::of(h);
    let stack = |layer: usize, parts: &[Matrix], cols: usize| -> Result<u64> {
        let mut group = None::<usize>;
        let mut rows = 0;
        for m in parts {
            let t = linear_tensor(file, &format!("blk.{layer}.{}.weight", m.name), m.rows, cols)?;
            let of = t.ty.block().0;
            group = Some(group.map_or(of, |g| g.min(of)));
            rows += m.rows;
        }
        Ok(backend.linear_bytes(rows, cols, group))
    };
    let mut weights = 0;
    for i in 0..h.layers {
        weights += stack(i, &linears.qkv, h.width)?;
        weights += stack(i, &linears.attn_out, linears.attended)?;
        weights += stack(i, &linears.gate_up, h.width)?;
        weights += stack(i, &linears.down, h.ffn)?;
    }
    let head = head_tensor(file)?;
    check_shape(file, head, h.width, h.vocabulary)?;
    weights += backend.head_bytes(head.ty, h.vocabulary, h.width);
    let context = settings.context(h.context);
    let pairs = h.rope_dims / 2;
    let head_norms = if h.architecture == Architecture::Qwen3 { 2 * h.layers * h.head_dim } else { 0 };
    weights += (((2 * h.layers + 1) * h.width + head_norms) * size_of::<f32>()) as u64 + Rope::bytes(context, pairs);

    let no_rope = Arc::new(Rope { pairs, table: Vec::new() });
    let kv = backend.kv_bytes(&Model::<B>::kv_shape(h, settings.kv_precision, context, no_rope));
    let chunk = settings.chunk(context);
    let rows = [h.width, h.qkv_cols(), linears.attended, 2 * h.ffn].map(|cols| backend.rows_bytes(chunk, cols));
    let quants = [h.width, linears.attended, h.ffn].map(|cols| backend.quant_bytes(chunk, cols));
    let activations = rows.iter().chain(&quants).sum::<u64>();
    Ok(Sizes { weights: Bytes(weights), kv: Bytes(kv), activations: Bytes(activations) })
}

/// A ternary matrix of the file, its shape checked.
fn linear_tensor<'f>(file: &'f Gguf, name: &str, rows: usize, cols: usize) -> Result<&'f TensorInfo> {
    let t = file.require_tensor(name)?;
    check_shape(file, t, cols, rows)?;
    if !t.ty.is_ternary() {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{}: tensor {name} is {}, not ternary", file.path().display(), t.ty),
        )
        .remedy("use a model whose linears are TQ1_0, TQ2_0 or Q2_0"));
    }
    Ok(t)
}

/// Reads tensors of one file and remembers which.
struct Reader<'f> {
    file: &'f Gguf,
    used: HashSet<String>,
}

impl<'f> Reader<'f> {
    fn tensor(&mut self, name: &str) -> Result<&'f TensorInfo> {
        self.used.insert(name.to_owned());
        self.file.require_tensor(name)
    }

    fn about(&self, name: &str, e: Error) -> Error {
        let kind = e.kind();
        Error::new(kind, format!("{}: tensor {name}", self.file.path().display()))
            .remedy(e.remedy_text().unwrap_or("fetch or convert the file again").to_owned())
            .because(e)
    }

    /// A vector as f32.
    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let t = self.tensor(name)?;
        check_shape(self.file, t, len, 1)?;
        let mut out = vec![0f32; len];
        quant::decode(t.ty, self.file.data(t), &mut out).map_err(|e| self.about(name, e))?;
        if !out.iter().all(|v| v.is_finite()) {
            return Err(corrupt(self.file.path(), &format!("tensor {name} holds numbers that are not finite")));
        }
        Ok(out)
    }

    /// The norms of a layer's heads, in the order of the rotated pairs.
    fn head_norms(&mut self, layer: usize, h: &Hyper, halves: Halves) -> Result<QkNorm> {
        let mut one = |name: &str| -> Result<Vec<f32>> {
            let stored = self.vector(&format!("blk.{layer}.{name}.weight"), h.head_dim)?;
            Ok((0..h.head_dim).map(|d| stored[halves.stored(d)]).collect())
        };
        Ok(QkNorm { q: one("attn_q_norm")?, k: one("attn_k_norm")?, eps: h.norm_eps })
    }

    /// The `.scale` tensor beside a linear: a factor for its output.
    fn factor(&mut self, linear: &str) -> Result<f32> {
        let name = format!("{linear}.scale");
        if self.file.tensor(&name).is_none() {
            return Ok(1.0);
        }
        Ok(self.vector(&name, 1)?[0])
    }

    /// Matrices of one layer, stacked in the backend's layout; their mapped pages are given back.
    fn linear<B: Backend>(&mut self, backend: &B, layer: usize, parts: &[Matrix], cols: usize) -> Result<B::Linear> {
        let mut loaded = Vec::with_capacity(parts.len());
        let mut tensors = Vec::with_capacity(parts.len());
        for m in parts {
            let stem = format!("blk.{layer}.{}", m.name);
            let name = format!("{stem}.weight");
            self.used.insert(name.clone());
            let t = linear_tensor(self.file, &name, m.rows, cols)?;
            let stored = Ternary::new(t.ty, m.rows, cols, self.file.data(t));
            let weights = match m.halves {
                Some(halves) => stored.and_then(|w| w.from_halves(halves)),
                None => stored,
            }
            .map_err(|e| self.about(&name, e))?;
            loaded.push(Part { weights, factor: self.factor(&stem)? });
            tensors.push(t);
        }
        let linear = backend.linear(&loaded)?;
        tensors.iter().for_each(|t| self.file.release(t));
        Ok(linear)
    }
}

impl<B: Backend> Model<B> {
    /// Loads `file` into `backend`'s layout.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] or [`Kind::Unsupported`] naming the tensor, also for tensors that its family does not have (a model
    /// with parts that are not computed here would answer nonsense); the backend's error where memory runs out.
    pub(in crate::llm) fn load(backend: B, file: &Arc<Gguf>, hyper: Hyper, settings: &Settings) -> Result<Self> {
        let linears = Linears::of(&hyper);
        let mut r = Reader { file, used: HashSet::new() };
        let embedding = r.tensor("token_embd.weight")?.clone();
        if let TensorType::Other(_) = embedding.ty {
            return Err(r.about("token_embd.weight", quant::unsupported(embedding.ty)));
        }
        let mut layers = Vec::with_capacity(hyper.layers);
        for i in 0..hyper.layers {
            layers.push(Layer {
                attn_norm: r.vector(&format!("blk.{i}.attn_norm.weight"), hyper.width)?,
                qkv: r.linear(&backend, i, &linears.qkv, hyper.width)?,
                head_norms: linears.halves.map(|halves| r.head_norms(i, &hyper, halves)).transpose()?,
                attn_out: r.linear(&backend, i, &linears.attn_out, linears.attended)?,
                ffn_norm: r.vector(&format!("blk.{i}.ffn_norm.weight"), hyper.width)?,
                gate_up: r.linear(&backend, i, &linears.gate_up, hyper.width)?,
                down: r.linear(&backend, i, &linears.down, hyper.ffn)?,
            });
        }
        let out_norm = r.vector("output_norm.weight", hyper.width)?;
        let head = head_tensor(file)?;
        r.used.insert(head.name.clone());
        check_shape(file, head, hyper.width, hyper.vocabulary)?;
        let done = |part| file.release_part(head, part);
        let head_weights = backend
            .head(head.ty, hyper.vocabulary, hyper.width, Once::new(file.data(head), &done))
            .map_err(|e| r.about(&head.name, e))?;
        file.release(head);
        let pairs = hyper.rope_dims / 2;
        let factors = match file.tensor("rope_freqs.weight") {
            Some(_) => Some(r.vector("rope_freqs.weight", pairs)?),
            None => None,
        };
        if let Some(extra) = file.tensors().iter().find(|t| !r.used.contains(&t.name)) {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "{}: tensor {} is not part of a {} model that tercet knows",
                    file.path().display(),
                    extra.name,
                    hyper.architecture.name()
                ),
            )
            .remedy("use a plain model: without biases, sub-norms, experts or adapters"));
        }
        let context = settings.context(hyper.context);
        let rope = Arc::new(hyper.rope_scaling.table(context, pairs, hyper.rope_base, factors.as_deref()));
        let embedding = backend.embedding(FileRows::new(file.clone(), embedding))?;
        let chunk = settings.chunk(context);
        Ok(Self {
            backend,
            hyper,
            embedding,
            layers,
            out_norm,
            head: head_weights,
            rope,
            kv_precision: settings.kv_precision,
            context,
            chunk,
        })
    }
}
