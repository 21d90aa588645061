//! A ternary transformer (Llama, Qwen3): what a token goes through, over any backend.
//!
//! Per layer: `x += O · attention(rope(QKV · norm(x)))`, then `x += D · swiglu([G; U] · norm(x))`; at the end the head. Every
//! `·` of a linear is between int8 activations and ternary weights (see [`super::backend`]).

use std::sync::Arc;

use super::backend::timed::Profile;
use super::backend::{Backend, Footprint, KvPrecision, KvShape, QkNorm, Rope};
use crate::error::Result;
use crate::units::{Bytes, TokenId};

mod hyper;
mod load;
mod rope;
#[cfg(test)]
mod tests;

pub use hyper::{Architecture, Hyper};
pub(super) use load::estimate;
pub use rope::{RopeScaling, Yarn};

/// The weights, in a backend's layout.
pub(super) struct Model<B: Backend> {
    pub(super) backend: B,
    pub(super) hyper: Hyper,
    pub(super) embedding: B::Embedding,
    pub(super) layers: Vec<Layer<B>>,
    pub(super) out_norm: Vec<f32>,
    pub(super) head: B::Head,
    pub(super) rope: Arc<Rope>,
    pub(super) kv_precision: KvPrecision,
    pub(super) context: usize,
    pub(super) chunk: usize,
}

pub(super) struct Layer<B: Backend> {
    pub(super) attn_norm: Vec<f32>,
    /// Queries, keys and values, stacked.
    pub(super) qkv: B::Linear,
    pub(super) head_norms: Option<QkNorm>,
    pub(super) attn_out: B::Linear,
    pub(super) ffn_norm: Vec<f32>,
    /// Gate and up, stacked.
    pub(super) gate_up: B::Linear,
    pub(super) down: B::Linear,
}

/// One session's cache and workspace.
struct State<B: Backend> {
    kv: B::Kv,
    /// The residual stream `[chunk, width]`.
    x: B::Rows,
    qkv: B::Rows,
    attended: B::Rows,
    gate_up: B::Rows,
    /// `x`, normed and quantized.
    q_width: B::Quant,
    q_attended: B::Quant,
    q_ffn: B::Quant,
}

/// Bytes of a model and of one session of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) weights: Bytes,
    pub(super) kv: Bytes,
    pub(super) activations: Bytes,
}

impl Sizes {
    pub(super) fn total(&self) -> Bytes {
        self.weights + self.kv + self.activations
    }
}

impl<B: Backend> Model<B> {
    pub(super) fn kv_shape(hyper: &Hyper, precision: KvPrecision, context: usize, rope: Arc<Rope>) -> KvShape {
        KvShape {
            layers: hyper.layers,
            context,
            heads: hyper.heads,
            kv_heads: hyper.kv_heads,
            head_dim: hyper.head_dim,
            precision,
            rope,
        }
    }

    fn state(&self) -> Result<State<B>> {
        let (b, h, chunk) = (&self.backend, &self.hyper, self.chunk);
        let attended = h.heads * h.head_dim;
        Ok(State {
            kv: b.kv(&Self::kv_shape(h, self.kv_precision, self.context, self.rope.clone()))?,
            x: b.rows(chunk, h.width)?,
            qkv: b.rows(chunk, h.qkv_cols())?,
            attended: b.rows(chunk, attended)?,
            gate_up: b.rows(chunk, 2 * h.ffn)?,
            q_width: b.quant(chunk, h.width)?,
            q_attended: b.quant(chunk, attended)?,
            q_ffn: b.quant(chunk, h.ffn)?,
        })
    }

    /// Computes `tokens` (at most a chunk of them) at positions `start..`; the logits of the last one where they are wanted.
    fn forward(&self, s: &mut State<B>, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()> {
        let (b, n, eps) = (&self.backend, tokens.len(), self.hyper.norm_eps);
        b.embed(&self.embedding, tokens, &mut s.x)?;
        for (i, l) in self.layers.iter().enumerate() {
            b.norm_quantize(&s.x, n, &l.attn_norm, eps, &mut s.q_width)?;
            b.linear_into(&l.qkv, &s.q_width, n, &mut s.qkv)?;
            b.rope_append(&mut s.qkv, n, i, start, l.head_norms.as_ref(), &mut s.kv)?;
            b.attend(&s.qkv, n, i, start, &s.kv, &mut s.attended)?;
            b.quantize(&s.attended, n, &mut s.q_attended)?;
            b.linear_add(&l.attn_out, &s.q_attended, n, &mut s.x)?;
            b.norm_quantize(&s.x, n, &l.ffn_norm, eps, &mut s.q_width)?;
            b.linear_into(&l.gate_up, &s.q_width, n, &mut s.gate_up)?;
            b.swiglu_quantize(&s.gate_up, n, &mut s.q_ffn)?;
            b.linear_add(&l.down, &s.q_ffn, n, &mut s.x)?;
        }
        match logits {
            Some(logits) => self.logits(s, n.saturating_sub(1), logits),
            None => Ok(()),
        }
    }

    /// What follows token `row` of those computed last.
    fn logits(&self, s: &State<B>, row: usize, logits: &mut [f32]) -> Result<()> {
        self.backend.logits(&self.head, &self.out_norm, self.hyper.norm_eps, &s.x, row, logits)
    }

    /// Bytes of the weights that are resident.
    fn resident(&self) -> u64 {
        let layer = |l: &Layer<B>| {
            [&l.qkv, &l.attn_out, &l.gate_up, &l.down].iter().map(|w| w.resident()).sum::<u64>()
                + size_of_val(l.attn_norm.as_slice()) as u64
                + size_of_val(l.ffn_norm.as_slice()) as u64
                + l.head_norms.as_ref().map_or(0, |n| size_of_val(n.q.as_slice()) + size_of_val(n.k.as_slice())) as u64
        };
        self.layers.iter().map(layer).sum::<u64>()
            + self.head.resident()
            + (size_of_val(self.out_norm.as_slice()) + size_of_val(self.rope.table.as_slice())) as u64
    }
}

impl<B: Backend> State<B> {
    fn resident(&self) -> (Bytes, Bytes) {
        let rows = [&self.x, &self.qkv, &self.attended, &self.gate_up].map(|r| r.resident());
        let quants = [&self.q_width, &self.q_attended, &self.q_ffn].map(|q| q.resident());
        (Bytes(self.kv.resident()), Bytes(rows.iter().chain(&quants).sum()))
    }
}

/// A loaded model, whatever its backend: what an engine holds.
pub(super) trait Loaded: Send + Sync {
    fn describe(&self) -> String;
    /// See [`Backend::profile`].
    fn profile(&self) -> Option<&Profile> {
        None
    }
    fn resident(&self) -> Bytes;
    fn context(&self) -> usize;
    /// Tokens [`Timeline::forward`] takes at once.
    fn chunk(&self) -> usize;
    /// Bytes of all buffers on a device with its own memory.
    fn device_bytes(&self) -> Bytes {
        Bytes::ZERO
    }
    /// See [`crate::llm::Engine::answers`].
    fn answers(&self) -> Result<()> {
        Ok(())
    }
    fn open(self: Arc<Self>) -> Result<Box<dyn Timeline>>;
}

/// One session's cache and workspace, whatever the backend: what a session holds.
pub(super) trait Timeline: Send {
    /// See [`Model::forward`].
    fn forward(&mut self, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()>;
    /// Logits of what follows token `row` of the last [`Timeline::forward`], [`Timeline::argmax`] or [`Timeline::candidates`].
    fn logits(&mut self, row: usize, logits: &mut [f32]) -> Result<()>;
    /// Whether those are the same to the bit however many tokens were computed together. Without it nothing is
    /// drafted: draft tokens must not change the output.
    fn rows_are_alike(&self) -> bool {
        false
    }
    /// As [`Timeline::forward`], giving the argmax of what follows, where the backend finds it on the device and so
    /// saves copying the logits device-to-host. `None`: it does not, and nothing was computed.
    fn argmax(&mut self, _tokens: &[TokenId], _start: usize) -> Result<Option<TokenId>> {
        Ok(None)
    }
    /// As [`Timeline::argmax`], giving the top `k` tokens with their logits, the highest first, the lower token
    /// first among equals; those of −∞ or NaN are left out. `false`: it cannot find that many on the device, and nothing was computed.
    fn candidates(&mut self, _tokens: &[TokenId], _start: usize, _k: usize, _to: &mut Vec<(f32, u32)>) -> Result<bool> {
        Ok(false)
    }
    fn save(&self, len: usize) -> Result<Vec<u8>>;
    fn load(&mut self, len: usize, saved: &[u8]) -> Result<()>;
    /// Resident bytes of the cache and of the workspace.
    fn resident(&self) -> (Bytes, Bytes);
}

struct BackendTimeline<B: Backend> {
    model: Arc<Model<B>>,
    state: State<B>,
}

impl<B: Backend> Loaded for Model<B> {
    fn describe(&self) -> String {
        self.backend.describe()
    }
    fn profile(&self) -> Option<&Profile> {
        self.backend.profile()
    }
    fn resident(&self) -> Bytes {
        Bytes(Model::resident(self))
    }
    fn context(&self) -> usize {
        self.context
    }
    fn chunk(&self) -> usize {
        self.chunk
    }
    fn open(self: Arc<Self>) -> Result<Box<dyn Timeline>> {
        let state = self.state()?;
        Ok(Box::new(BackendTimeline { model: self, state }))
    }
}

impl<B: Backend> Timeline for BackendTimeline<B> {
    fn forward(&mut self, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()> {
        self.model.forward(&mut self.state, tokens, start, logits)
    }
    fn logits(&mut self, row: usize, logits: &mut [f32]) -> Result<()> {
        self.model.logits(&self.state, row, logits)
    }
    fn rows_are_alike(&self) -> bool {
        true
    }
    fn save(&self, len: usize) -> Result<Vec<u8>> {
        self.model.backend.save_kv(&self.state.kv, len)
    }
    fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        self.model.backend.load_kv(&mut self.state.kv, len, saved)
    }
    fn resident(&self) -> (Bytes, Bytes) {
        self.state.resident()
    }
}
