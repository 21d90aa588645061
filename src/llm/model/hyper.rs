//! What a model file's metadata says about its shape, checked.

use super::rope::RopeScaling;
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::{Gguf, TensorInfo, corrupt};

/// The families that are computed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// BitNet-style Llama and Falcon3; rotated pairs are adjacent in the file.
    Llama,
    /// Heads of queries and keys are normed before they are rotated; rotated pairs are halves of a head in the file.
    Qwen3,
}

impl Architecture {
    pub const ALL: [Architecture; 2] = [Architecture::Llama, Architecture::Qwen3];

    /// `general.architecture`, and the prefix of its metadata.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen3 => "qwen3",
        }
    }
}

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub architecture: Architecture,
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    /// Divides `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocabulary: usize,
    /// Positions the model was trained for.
    pub context: usize,
    pub rope_base: f64,
    /// Dimensions of a head that are rotated; even.
    pub rope_dims: usize,
    pub rope_scaling: RopeScaling,
    pub norm_eps: f32,
}

impl Hyper {
    /// Reads and checks the metadata of `file`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a part of a split model, another architecture, for experts or a kind of RoPE scaling that is not known;
    /// [`Kind::Corrupt`] naming the key for a value that is missing or absurd.
    pub fn read(file: &Gguf) -> Result<Self> {
        file.whole()?;
        let name = file.required("general.architecture", Gguf::str)?;
        let Some(architecture) = Architecture::ALL.into_iter().find(|a| a.name() == name) else {
            return Err(unsupported(file, &format!("the architecture {name:?} is not supported"))
                .remedy("use a ternary \"llama\" (BitNet-style Llama or Falcon3) or \"qwen3\" (Ternary-Bonsai)"));
        };
        let prefix = architecture.name();
        let absurd = |key: &str, what: &str| corrupt(file.path(), &format!("metadata {prefix}.{key} is {what}"));
        let in_range = |key: &str, v: u64, from: u64, to: u64| match (from..=to).contains(&v) {
            true => Ok(v as usize),
            false => Err(absurd(key, &format!("{v}; {from} to {to} is possible"))),
        };
        if file.uint(&format!("{prefix}.expert_count"))?.unwrap_or(0) > 0 {
            return Err(unsupported(file, "mixtures of experts are not supported"));
        }
        let rope_scaling = RopeScaling::read(file, prefix)?.map_err(|what| unsupported(file, &what))?;
        let number = |key: &str, from: u64, to: u64| -> Result<usize> {
            in_range(key, file.required(&format!("{prefix}.{key}"), Gguf::uint)?, from, to)
        };
        let optional = |key: &str, default: usize, from: u64, to: u64| -> Result<usize> {
            match file.uint(&format!("{prefix}.{key}"))? {
                Some(v) => in_range(key, v, from, to),
                None => Ok(default),
            }
        };
        let layers = number("block_count", 1, 1024)?;
        let width = number("embedding_length", 32, 1 << 16)?;
        let heads = number("attention.head_count", 1, 1024)?;
        let kv_heads = optional("attention.head_count_kv", heads, 1, 1024)?;
        if !heads.is_multiple_of(kv_heads) {
            let what = format!("{kv_heads}, which does not divide {heads} heads");
            return Err(absurd("attention.head_count_kv", &what));
        }
        if !width.is_multiple_of(heads) && file.get(&format!("{prefix}.attention.key_length")).is_none() {
            let what = format!("{heads}, which does not divide the width {width}");
            return Err(absurd("attention.head_count", &what));
        }
        let head_dim = optional("attention.key_length", width / heads, 2, 1024)?;
        let value_dim = optional("attention.value_length", head_dim, 2, 1024)?;
        if value_dim != head_dim {
            return Err(unsupported(file, &format!("keys of {head_dim} and values of {value_dim} are not supported")));
        }
        let rope_dims = optional("rope.dimension_count", head_dim, 2, head_dim as u64)?;
        if !rope_dims.is_multiple_of(2) || !head_dim.is_multiple_of(2) {
            return Err(absurd("rope.dimension_count", &format!("{rope_dims} of {head_dim}, which is odd")));
        }
        let rope_base = file.float(&format!("{prefix}.rope.freq_base"))?.unwrap_or(10_000.0);
        if !(1.0..=1e12).contains(&rope_base) {
            return Err(absurd("rope.freq_base", &rope_base.to_string()));
        }
        let norm_eps = file.required(&format!("{prefix}.attention.layer_norm_rms_epsilon"), Gguf::float)?;
        if !(0.0..=1.0).contains(&norm_eps) {
            return Err(absurd("attention.layer_norm_rms_epsilon", &norm_eps.to_string()));
        }
        let hyper = Self {
            architecture,
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn: number("feed_forward_length", 32, 1 << 20)?,
            vocabulary: vocabulary(file, prefix, width)?,
            context: number("context_length", 1, 1 << 24)?,
            rope_base,
            rope_dims,
            rope_scaling,
            norm_eps: norm_eps as f32,
        };
        Ok(hyper)
    }

    /// Columns of the stacked queries, keys and values.
    pub fn qkv_cols(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// Rows of the embedding, which must have `width` columns; other places that give the size of the vocabulary must agree.
fn vocabulary(file: &Gguf, prefix: &str, width: usize) -> Result<usize> {
    let embedding = file.require_tensor("token_embd.weight")?;
    let vocabulary = embedding.rows();
    check_shape(file, embedding, width, vocabulary)?;
    if vocabulary == 0 || vocabulary > 1 << 22 {
        return Err(corrupt(file.path(), &format!("tensor token_embd.weight has {vocabulary} rows")));
    }
    if let Some(said) = file.uint(&format!("{prefix}.vocab_size"))?.filter(|&v| v != vocabulary as u64) {
        let what = format!("metadata {prefix}.vocab_size is {said}, but the embedding has {vocabulary} rows");
        return Err(corrupt(file.path(), &what));
    }
    Ok(vocabulary)
}

/// Refuses `tensor` unless it is a matrix of `rows × cols` (or, with one row, a vector).
pub(super) fn check_shape(file: &Gguf, tensor: &TensorInfo, cols: usize, rows: usize) -> Result<()> {
    if tensor.cols() == cols && tensor.rows() == rows {
        return Ok(());
    }
    let found = tensor.dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
    let what = format!("tensor {} is {found}, but the metadata ask for {cols} × {rows}", tensor.name);
    Err(corrupt(file.path(), &what))
}

fn unsupported(file: &Gguf, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{}: {what}", file.path().display()))
        .remedy("use a ternary Llama or Qwen3 (`tercet models list` shows those known to work)")
}
