//! The interface between the model and the hardware: the operations one token needs.
//!
//! [`reference`] defines what each operation means; every other backend is judged against it by one conformance suite
//! ([`conformance`], a test module). Operations are fused where a backend gains from it and no further, so that the
//! same nine serve one token (decode) and a chunk of them (prefill).
//!
//! Notation: `n` rows (tokens) are live in a buffer that may hold more. Matrices are row-major, one row a token.
//!
//! # The numeric contract (W1.58A8)
//! A row `x` is quantized as `s = 127 / max(|x|, 1e-5)`, `q = clamp(round_half_even(x·s), −128, 127)`; its scale is `1/s`,
//! computed as `max(|x|, 1e-5) / 127`. A ternary linear is the exact integer dot of `q` with its codes, scaled once per
//! group. Everything else is f32; where sums are f64 it says so.
//!
//! Source: Ma et al., "The Era of 1-bit LLMs" (BitNet b1.58), 2024, arXiv:2402.17764; `activation_quant`
//! of huggingface/transformers 5.23.0, src/transformers/integrations/bitnet.py (the same 1e-5, the same clamp; PyTorch's
//! `round` is half to even). A scale a group is Q2_0's of Ternary-Bonsai (PrismML).

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::gguf::{Gguf, TensorInfo, TensorType};
use super::quant::Ternary;
use crate::error::{Error, Kind, Result};
use crate::units::TokenId;

#[cfg(test)]
pub(crate) mod conformance;
pub mod cpu;
pub mod cuda;
pub mod reference;
pub(crate) mod shapes;
pub mod timed;

/// Precision of the KV cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvPrecision {
    /// Rounded to fp16.
    #[default]
    F16,
    /// int8, quantized as the contract quantizes a row, with an f32 scale for each position and KV head; keys and values
    /// each. Half the bytes.
    Int8,
}

impl KvPrecision {
    pub fn name(self) -> &'static str {
        match self {
            KvPrecision::F16 => "f16",
            KvPrecision::Int8 => "int8",
        }
    }
}

impl std::str::FromStr for KvPrecision {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        [KvPrecision::F16, KvPrecision::Int8]
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| format!("{s} is not a precision of the KV cache; choose f16 or int8"))
    }
}

/// What one session's KV cache must hold.
#[derive(Debug, Clone)]
pub struct KvShape {
    pub layers: usize,
    /// Positions.
    pub context: usize,
    pub heads: usize,
    /// Divides `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub precision: KvPrecision,
    pub rope: Arc<Rope>,
}

impl KvShape {
    /// Columns of a row of `[q heads | k heads | v heads]`.
    pub fn qkv_cols(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Columns of a row of attention's output.
    pub fn out_cols(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Bytes of the keys, or of the values, of one KV head at one position.
    pub fn head_bytes(&self) -> usize {
        match self.precision {
            KvPrecision::F16 => 2 * self.head_dim,
            KvPrecision::Int8 => self.head_dim + size_of::<f32>(),
        }
    }
}

/// Rotary embedding of adjacent pairs: cosine and sine for every position and pair.
///
/// Source: Su et al., "RoFormer" (RoPE), 2021, arXiv:2104.09864, section 3.4, whose pairs are adjacent, as are Llama's in
/// GGUF. GPT-NeoX and Hugging Face rotate halves, `(i, i + pairs)`: such heads are reordered when they are loaded
/// ([`super::quant::Halves`]), which changes no dot product.
#[derive(Debug)]
pub struct Rope {
    /// Rotated pairs of a head; dimensions from `2·pairs` on are left as they are.
    pub pairs: usize,
    /// `[context, pairs]` of (cos, sin) of `position · base^(−2·pair / (2·pairs)) / factor[pair]`.
    pub table: Vec<(f32, f32)>,
}

impl Rope {
    /// The table for `context` positions; `factors` (`[pairs]`) divide the frequencies, as Llama 3.1 does.
    ///
    /// Source of the factors: `_compute_llama3_parameters` of huggingface/transformers 5.23.0, modeling_rope_utils.py, which
    /// llama.cpp's converter writes as `rope_freqs.weight`.
    pub fn new(context: usize, pairs: usize, base: f64, factors: Option<&[f32]>) -> Self {
        Self::scaled(context, &Self::frequencies(pairs, base, factors), 1.0)
    }

    /// Radians a position, for each pair: `base^(−i / pairs)`, divided by `factors[i]` where there are any (`[pairs]`).
    pub fn frequencies(pairs: usize, base: f64, factors: Option<&[f32]>) -> Vec<f64> {
        let frequency = |i: usize| {
            let f = base.powf(-(i as f64) / pairs as f64);
            factors.map_or(f, |by| f / f64::from(by[i]))
        };
        (0..pairs).map(frequency).collect()
    }

    /// The table for `context` positions of pairs that turn by `frequencies` (`[pairs]`, radians a position), cosine and
    /// sine times `magnitude`; computed in f64 and rounded to f32 once.
    pub fn scaled(context: usize, frequencies: &[f64], magnitude: f64) -> Self {
        let table = (0..context)
            .flat_map(|p| frequencies.iter().map(move |f| (p as f64 * f).sin_cos()))
            .map(|(sin, cos)| ((magnitude * cos) as f32, (magnitude * sin) as f32))
            .collect();
        Self { pairs: frequencies.len(), table }
    }

    /// The pairs of `position` (`[pairs]`), which is below the table's `context`.
    pub fn at(&self, position: usize) -> &[(f32, f32)] {
        &self.table[position * self.pairs..(position + 1) * self.pairs]
    }

    pub fn bytes(context: usize, pairs: usize) -> u64 {
        (context * pairs * size_of::<(f32, f32)>()) as u64
    }
}

/// RMSNorm of every head of a layer's queries and keys, before they are rotated (Qwen3).
///
/// Source: Henry et al., "Query-Key Normalization for Transformers", 2020, arXiv:2010.04245, with RMSNorm as in the Qwen3
/// Technical Report, 2025, arXiv:2505.09388; modeling_qwen3.py of huggingface/transformers 5.23.0.
#[derive(Debug, Clone, PartialEq)]
pub struct QkNorm {
    /// `[head_dim]`, in the order of the rotated pairs.
    pub q: Vec<f32>,
    /// `[head_dim]`, in the order of the rotated pairs.
    pub k: Vec<f32>,
    pub eps: f32,
}

/// A ternary matrix on its way into a backend, with a factor for its output (1 unless the file has a `.scale` tensor).
pub struct Part<'a> {
    pub weights: Ternary<'a>,
    pub factor: f32,
}

/// Bytes that are read once, part after part: once a part has been copied elsewhere, its memory may be released.
#[derive(Clone, Copy)]
pub struct Once<'a> {
    pub bytes: &'a [u8],
    done: &'a dyn Fn(Range<usize>),
}

impl<'a> Once<'a> {
    pub fn new(bytes: &'a [u8], done: &'a dyn Fn(Range<usize>)) -> Self {
        Self { bytes, done }
    }

    /// Bytes that stay in memory.
    pub fn kept(bytes: &'a [u8]) -> Self {
        Self { bytes, done: &|_| () }
    }

    /// `part` will not be read again.
    pub fn done(&self, part: Range<usize>) {
        (self.done)(part);
    }
}

/// Rows of a tensor in the file: the embedding table, read where it lies, so that it takes no memory of the process.
pub struct FileRows {
    pub file: Arc<Gguf>,
    pub tensor: TensorInfo,
}

impl FileRows {
    pub fn new(file: Arc<Gguf>, tensor: TensorInfo) -> Self {
        Self { file, tensor }
    }

    /// Row `token` decoded into `out` (`[cols]`, f32).
    ///
    /// # Errors
    /// As [`FileRows::stored_row`].
    pub fn row(&self, token: TokenId, out: &mut [f32]) -> Result<()> {
        let mut stored = vec![0; self.row_bytes()];
        self.stored_row(token, &mut stored)?;
        super::quant::decode(self.tensor.ty, &stored, out)
    }

    /// Row `token` as the file has it, into `to` (`[row_bytes]`).
    ///
    /// # Errors
    /// [`Kind::Internal`] where the token is outside the table; [`Kind::Device`] where somebody wrote into the file.
    pub fn stored_row(&self, token: TokenId, to: &mut [u8]) -> Result<()> {
        let row = token.0 as usize;
        if row >= self.tensor.rows() || to.len() != self.row_bytes() {
            let vocabulary = self.tensor.rows();
            return Err(Error::new(Kind::Internal, format!("token {row} is outside the vocabulary of {vocabulary}")));
        }
        self.file.read(&self.tensor, row * self.row_bytes(), to)
    }

    /// Bytes of a stored row.
    pub fn row_bytes(&self) -> usize {
        self.tensor.bytes() / self.tensor.rows().max(1)
    }
}

/// Memory that reports how much of it is resident.
pub trait Footprint {
    /// Bytes resident now.
    fn resident(&self) -> u64;
}

/// One way to run the model. All operations check that the shapes they are given match and return
/// [`Kind::Internal`] where they do not; a device backend may also return [`Kind::Device`].
pub trait Backend: Send + Sync + 'static {
    /// f32 `[capacity, cols]`.
    type Rows: Footprint + Send;
    /// int8 `[capacity, cols]` with an f32 scale a row.
    type Quant: Footprint + Send;
    /// Ternary `[out, in]`, in the backend's own layout.
    type Linear: Footprint + Send + Sync;
    /// The embedding table.
    type Embedding: Send + Sync;
    /// The output matrix `[vocabulary, width]`.
    type Head: Footprint + Send + Sync;
    /// One session's keys and values, in the precision of their [`KvShape`].
    type Kv: Footprint + Send;

    /// Name and hardware: `cpu (AVX2, 2 threads)`.
    fn describe(&self) -> String;

    /// Where the time goes, where it is measured.
    fn profile(&self) -> Option<&timed::Profile> {
        None
    }

    // ---- sizes, before anything is allocated ----

    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64;
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64;
    /// `group`: columns that share a scale, `None` for one scale a tensor.
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64;
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64;
    fn kv_bytes(&self, shape: &KvShape) -> u64;

    // ---- memory ----

    fn rows(&self, capacity: usize, cols: usize) -> Result<Self::Rows>;
    fn quant(&self, capacity: usize, cols: usize) -> Result<Self::Quant>;
    fn kv(&self, shape: &KvShape) -> Result<Self::Kv>;
    /// Stacks `parts` (same number of columns) into one matrix, reading each stored row once.
    fn linear(&self, parts: &[Part<'_>]) -> Result<Self::Linear>;
    fn embedding(&self, table: FileRows) -> Result<Self::Embedding>;
    /// `bytes` holds `rows × cols` weights of `ty`.
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<Self::Head>;

    /// Writes rows from 0 on; `data` is `[n, cols]`.
    fn write_rows(&self, to: &mut Self::Rows, data: &[f32]) -> Result<()>;
    /// The first `n` rows, `[n, cols]`.
    fn read_rows(&self, from: &Self::Rows, n: usize) -> Result<Vec<f32>>;
    /// Writes quantized rows from 0 on; `q` is `[n, cols]`, `scales` `[n]`.
    fn write_quant(&self, to: &mut Self::Quant, q: &[i8], scales: &[f32]) -> Result<()>;
    /// The first `n` quantized rows and their scales.
    fn read_quant(&self, from: &Self::Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)>;
    /// Keys and values of positions `0..len` of all layers, in a form only [`Backend::load_kv`] of the same kind reads.
    fn save_kv(&self, kv: &Self::Kv, len: usize) -> Result<Vec<u8>>;
    fn load_kv(&self, kv: &mut Self::Kv, len: usize, saved: &[u8]) -> Result<()>;

    // ---- operations ----

    /// `x[i] = table[tokens[i]]`, for `[tokens]` rows of `x`; decoded as [`super::quant::decode`] says.
    ///
    /// # Errors
    /// As [`Backend`], and for a token outside the vocabulary; [`Kind::Device`] where the file was changed.
    fn embed(&self, table: &Self::Embedding, tokens: &[TokenId], x: &mut Self::Rows) -> Result<()>;

    /// `out = quantize(x · r · weight)`, `r = 1/√(mean(x²) + eps)` with the mean in f64; `x` and `out` are `[n, cols]`,
    /// `weight` is `[cols]`.
    ///
    /// Source: RMSNorm, Zhang and Sennrich, 2019, arXiv:1910.07467; with eps inside the root, as `LlamaRMSNorm`.
    fn norm_quantize(&self, x: &Self::Rows, n: usize, weight: &[f32], eps: f32, out: &mut Self::Quant) -> Result<()>;

    /// `out = quantize(x)`, both `[n, cols]`. Source: the contract's.
    fn quantize(&self, x: &Self::Rows, n: usize, out: &mut Self::Quant) -> Result<()>;

    /// `y = W x`: for one scale a tensor `y = dot · (row_scale · x_scale)`, for groups
    /// `y = (Σ_g d_g · dot_g) · (row_scale · x_scale)`, groups summed in order. `W` is `[out, in]`, `x` `[n, in]`, `y` `[n, out]`.
    ///
    /// Source: the contract's; the scales stand outside the integer sum, as `BitLinear` of transformers has them.
    fn linear_into(&self, w: &Self::Linear, x: &Self::Quant, n: usize, y: &mut Self::Rows) -> Result<()>;

    /// `y += W x`, as [`Backend::linear_into`].
    fn linear_add(&self, w: &Self::Linear, x: &Self::Quant, n: usize, y: &mut Self::Rows) -> Result<()>;

    /// Rotates the queries and keys of `qkv` (`[n, q heads | k heads | v heads]`) for positions `start..start + n`, leaves
    /// the rotated queries in place and writes keys and values into `layer` of the cache, rounded to fp16 or quantized head
    /// by head as [`KvPrecision`] says. An adjacent pair `(a, b)` becomes `(a·cos − b·sin, a·sin + b·cos)`. Where there are
    /// `norms`, every head of the queries and keys is normed first: `x · r · weight` with `r` as in
    /// [`Backend::norm_quantize`], over `head_dim`.
    ///
    /// Source: [`Rope`], [`QkNorm`]; int8 keys and values are the contract's quantizer, a head at a position being a row.
    fn rope_append(
        &self,
        qkv: &mut Self::Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut Self::Kv,
    ) -> Result<()>;

    /// Causal attention of rows `0..n` at positions `start..start + n` over the cache's positions up to their own:
    /// `out = softmax(q·kᵀ / √head_dim) · v`; query head `h` reads KV head `h / (heads / kv_heads)`. `out` is `[n, heads·head_dim]`.
    /// Keys and values are what the cache holds: fp16, or integers times their scale.
    ///
    /// Source: Vaswani et al., 2017, arXiv:1706.03762; query heads that share a KV head, Ainslie et al., 2023,
    /// arXiv:2305.13245. The largest score is subtracted before `exp`; a backend may keep a running maximum instead (Milakov
    /// and Gimelshein, 2018, arXiv:1805.02867; FlashAttention, Dao et al., 2022, arXiv:2205.14135), which is the same sum.
    fn attend(
        &self,
        qkv: &Self::Rows,
        n: usize,
        layer: usize,
        start: usize,
        kv: &Self::Kv,
        out: &mut Self::Rows,
    ) -> Result<()>;

    /// `out = quantize(g / (1 + e^−g) · u)` for rows `[g | u]` of `gate_up` (`[n, 2·cols]`); `out` is `[n, cols]`.
    ///
    /// Source: SwiGLU, Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.
    fn swiglu_quantize(&self, gate_up: &Self::Rows, n: usize, out: &mut Self::Quant) -> Result<()>;

    /// `logits = H · rmsnorm(x[row])`. Where `H` is Q4_0 or Q8_0 the normed row is quantized to int8 with a scale per 32
    /// (`d = max|x|/127` rounded to fp16, `q = round_half_even(x·127/max|x|)`) and `logit = Σ_block dot · (d_w · d_x)`, blocks
    /// in order; where it is ternary, as [`Backend::linear_into`]; else the product is f32. `H` is `[vocabulary, cols]`, `weight`
    /// `[cols]`, `logits` `[vocabulary]`.
    ///
    /// Source: Q8_0's scale and its dot product with Q4_0 and Q8_0 in ggml-org/llama.cpp, ggml/src/ggml-quants.c at 36491e4,
    /// but for rounding half to even.
    fn logits(
        &self,
        head: &Self::Head,
        weight: &[f32],
        eps: f32,
        x: &Self::Rows,
        row: usize,
        logits: &mut [f32],
    ) -> Result<()>;
}

/// Smallest `max|x|` a row is quantized with (`clamp(min=1e-5)` of `activation_quant`).
pub const MIN_ABSMAX: f32 = 1e-5;

/// Int8 rows' scale per this many columns, where the head wants finer scales (ggml's `QK8_0`).
pub const HEAD_BLOCK: usize = 32;
