//! What a Llama file's metadata says about its shape, checked.

use crate::error::{Error, Kind, Result};
use crate::llm::gguf::{Gguf, TensorInfo, corrupt};

/// The shape of a Llama.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    /// Divides `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocabulary: usize,
    /// Positions the model was made for.
    pub context: usize,
    pub rope_base: f64,
    /// Dimensions of a head that are rotated; even.
    pub rope_dims: usize,
    pub norm_eps: f32,
}

/// The one architecture there is.
const ARCHITECTURE: &str = "llama";

impl Hyper {
    /// Reads and checks the metadata of `file`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for another architecture, or a Llama with experts or scaled RoPE; [`Kind::Corrupt`] naming
    /// the key for a value that is missing or absurd.
    pub fn read(file: &Gguf) -> Result<Self> {
        let architecture = file.required("general.architecture", Gguf::str)?;
        if architecture != ARCHITECTURE {
            return Err(unsupported(file, &format!("the architecture {architecture:?} is not supported"))
                .remedy("use a ternary model of the architecture \"llama\" (BitNet-style Llama or Falcon3)"));
        }
        if file.uint("llama.expert_count")?.unwrap_or(0) > 0 {
            return Err(unsupported(file, "mixtures of experts are not supported"));
        }
        if let Some(scaling) = file.str("llama.rope.scaling.type")?.filter(|s| *s != "none") {
            return Err(unsupported(file, &format!("RoPE scaling {scaling:?} is not supported")));
        }
        let number = |key: &str, from: u64, to: u64| -> Result<usize> {
            let v = file.required(&format!("llama.{key}"), Gguf::uint)?;
            in_range(file, key, v, from, to)
        };
        let optional = |key: &str, default: usize, from: u64, to: u64| -> Result<usize> {
            match file.uint(&format!("llama.{key}"))? {
                Some(v) => in_range(file, key, v, from, to),
                None => Ok(default),
            }
        };
        let layers = number("block_count", 1, 1024)?;
        let width = number("embedding_length", 32, 1 << 16)?;
        let heads = number("attention.head_count", 1, 1024)?;
        let kv_heads = optional("attention.head_count_kv", heads, 1, 1024)?;
        if !heads.is_multiple_of(kv_heads) {
            return Err(absurd(
                file,
                "attention.head_count_kv",
                &format!("{kv_heads}, which does not divide {heads} heads"),
            ));
        }
        if !width.is_multiple_of(heads) && file.get("llama.attention.key_length").is_none() {
            return Err(absurd(
                file,
                "attention.head_count",
                &format!("{heads}, which does not divide the width {width}"),
            ));
        }
        let head_dim = optional("attention.key_length", width / heads, 2, 1024)?;
        let value_dim = optional("attention.value_length", head_dim, 2, 1024)?;
        if value_dim != head_dim {
            return Err(unsupported(file, &format!("keys of {head_dim} and values of {value_dim} are not supported")));
        }
        let rope_dims = optional("rope.dimension_count", head_dim, 2, head_dim as u64)?;
        if !rope_dims.is_multiple_of(2) || !head_dim.is_multiple_of(2) {
            return Err(absurd(file, "rope.dimension_count", &format!("{rope_dims} of {head_dim}, which is odd")));
        }
        let rope_base = file.float("llama.rope.freq_base")?.unwrap_or(10_000.0);
        if !(1.0..=1e12).contains(&rope_base) {
            return Err(absurd(file, "rope.freq_base", &rope_base.to_string()));
        }
        let norm_eps = file.required("llama.attention.layer_norm_rms_epsilon", Gguf::float)?;
        if !(0.0..=1.0).contains(&norm_eps) {
            return Err(absurd(file, "attention.layer_norm_rms_epsilon", &norm_eps.to_string()));
        }
        let hyper = Self {
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn: number("feed_forward_length", 32, 1 << 20)?,
            vocabulary: vocabulary(file, width)?,
            context: number("context_length", 1, 1 << 24)?,
            rope_base,
            rope_dims,
            norm_eps: norm_eps as f32,
        };
        Ok(hyper)
    }

    /// Columns of the stacked queries, keys and values.
    pub fn qkv_cols(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// Rows of the embedding, which must have `width` columns; other places that tell the vocabulary must agree.
fn vocabulary(file: &Gguf, width: usize) -> Result<usize> {
    let embedding = file.require_tensor("token_embd.weight")?;
    let vocabulary = embedding.rows();
    check_shape(file, embedding, width, vocabulary)?;
    if vocabulary == 0 || vocabulary > 1 << 22 {
        return Err(corrupt(file.path(), &format!("tensor token_embd.weight has {vocabulary} rows")));
    }
    if let Some(said) = file.uint("llama.vocab_size")?.filter(|&v| v != vocabulary as u64) {
        return Err(absurd(file, "vocab_size", &format!("{said}, but the embedding has {vocabulary} rows")));
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

fn in_range(file: &Gguf, key: &str, v: u64, from: u64, to: u64) -> Result<usize> {
    if (from..=to).contains(&v) {
        Ok(v as usize)
    } else {
        Err(absurd(file, key, &format!("{v}; {from} to {to} is possible")))
    }
}

fn absurd(file: &Gguf, key: &str, what: &str) -> Error {
    corrupt(file.path(), &format!("metadata llama.{key} is {what}"))
}

fn unsupported(file: &Gguf, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{}: {what}", file.path().display()))
        .remedy("use a ternary Llama (`tercet models list` shows those known to work)")
}
