//! What a session has on the device beside its cache: sized and allocated by the same code, [`Workspace::lay_out`].

use super::decode::{self, Widths};
use super::memory::Buffer;
use super::packing::Packing;
use super::partials::Partials;
use super::room::{Block, Memory, counted};
use super::rows::{Quant, Rows};
use super::topk::TopK;
use crate::error::Result;
use crate::llm::backend::{Footprint, KvShape};

/// What the size of a workspace depends on.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) width: usize,
    pub(super) ffn: usize,
    pub(super) vocabulary: usize,
    pub(super) kv: KvShape,
    /// Rows that are computed together.
    pub(super) chunk: usize,
    pub(super) packing: Packing,
    pub(super) multiprocessors: u32,
    /// Whether one kernel takes a token through all layers.
    pub(super) decodes_at_once: bool,
}

/// Rows that are computed as a recorded graph, all weights read once.
pub(super) const FEW: usize = super::gemv::MAX_ROWS;

/// One session's workspace. What is not needed at the same time lies in one place, `shared`: queries, keys and values with
/// attention's output; or the FFN's inner rows; or the logits.
pub(super) struct Workspace<B = Buffer> {
    /// The residual stream `[chunk, width]`.
    pub(super) x: Rows<B>,
    pub(super) qkv: Rows<B>,
    pub(super) attended: Rows<B>,
    /// Rows that go through the FFN together: in base 3, which is there to spare memory, half of a chunk.
    pub(super) hidden: Rows<B>,
    pub(super) q_width: Quant<B>,
    /// `None`: `q_width` serves, being as wide.
    pub(super) q_attended: Option<Quant<B>>,
    pub(super) q_ffn: Quant<B>,
    /// f32 `[vocabulary]`.
    pub(super) logits: B,
    shared: B,
    /// `None`: there are too many logits to be searched.
    pub(super) topk: Option<TopK<B>>,
    /// The position of the step's first row, i32.
    pub(super) step: B,
    pub(super) partials: Partials<B>,
    /// For the kernel that takes a token through all layers.
    pub(super) decode: Option<decode::Room<B>>,
}

impl<B: Block> Workspace<B> {
    /// # Errors
    /// What `memory` says where there is none left.
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, of: &Spec) -> Result<Self> {
        let (chunk, attended, qkv_cols) = (of.chunk, of.kv.out_cols(), of.kv.qkv_cols());
        let ffn_rows = match of.packing {
            Packing::TwoBits => chunk,
            Packing::Base3 => chunk.div_ceil(2).max(FEW).min(chunk),
        };
        let rows_bytes = |rows: usize, cols: usize| super::memory::taken((rows * cols * 4) as u64);
        let attended_at = rows_bytes(chunk, qkv_cols).next_multiple_of(256);
        let attention = attended_at + rows_bytes(chunk, attended);
        let shared = memory.zeros(attention.max(rows_bytes(ffn_rows, of.ffn)).max(rows_bytes(1, of.vocabulary)))?;
        let partials = Partials::lay_out(memory, of.multiprocessors, &of.kv)?;
        let widths = Widths { x: of.width, qkv: qkv_cols, attended, hidden: of.ffn };
        let decode = match of.decodes_at_once {
            true => Some(decode::Room::lay_out(memory, of.kv.layers, widths, partials.sums.bytes())?),
            false => None,
        };
        Ok(Self {
            x: Rows::lay_out(memory, chunk, of.width)?,
            qkv: Rows::part(&shared, 0, chunk, qkv_cols)?,
            attended: Rows::part(&shared, attended_at, chunk, attended)?,
            hidden: Rows::part(&shared, 0, ffn_rows, of.ffn)?,
            q_width: Quant::lay_out(memory, chunk, of.width)?,
            q_attended: match attended == of.width {
                true => None,
                false => Some(Quant::lay_out(memory, chunk, attended)?),
            },
            q_ffn: Quant::lay_out(memory, ffn_rows, of.ffn)?,
            logits: shared.part(0, (of.vocabulary * 4) as u64)?,
            shared,
            topk: TopK::lay_out(memory, of.vocabulary)?,
            step: memory.zeros(4)?,
            partials,
            decode,
        })
    }

    /// Bytes of all of it.
    pub(super) fn resident(&self) -> u64 {
        let quants = [&self.q_width, &self.q_ffn].into_iter().chain(&self.q_attended).map(Quant::resident);
        self.x.resident()
            + quants.sum::<u64>()
            + self.shared.bytes()
            + self.step.bytes()
            + self.partials.resident()
            + self.topk.as_ref().map_or(0, TopK::resident)
            + self.decode.as_ref().map_or(0, decode::Room::resident)
    }
}

/// Bytes that a workspace takes.
pub(super) fn bytes(of: &Spec) -> u64 {
    counted(|memory| Workspace::lay_out(memory, of))
}

#[cfg(test)]
mod tests {
    use super::super::room::Count;
    use super::*;
    use crate::llm::backend::{KvPrecision, Rope};
    use std::sync::Arc;

    fn specs() -> Vec<Spec> {
        // Width, FFN, vocabulary, heads, KV heads, head size, layers: the default model's, Llama3-8B's, one whose attention is
        // wider than the model, one with more logits than are searched.
        let models = [
            (768, 2048, 16_384, 12, 4, 64, 12),
            (4096, 14_336, 128_256, 32, 8, 128, 32),
            (576, 1536, 151_936, 9, 3, 128, 4),
            (192, 256, 300_000, 4, 2, 256, 1),
        ];
        let mut all = Vec::new();
        for (width, ffn, vocabulary, heads, kv_heads, head_dim, layers) in models {
            for (packing, decodes_at_once) in
                [(Packing::TwoBits, true), (Packing::TwoBits, false), (Packing::Base3, false)]
            {
                for (chunk, context, multiprocessors) in [(1, 20, 8), (7, 64, 132), (64, 4096, 8), (128, 8192, 132)] {
                    let rope = Arc::new(Rope { pairs: head_dim / 2, table: Vec::new() });
                    let precision = KvPrecision::Int8;
                    let kv = KvShape { layers, context, heads, kv_heads, head_dim, precision, rope };
                    all.push(Spec { width, ffn, vocabulary, kv, chunk, packing, multiprocessors, decodes_at_once });
                }
            }
        }
        all
    }

    /// Whatever is asked for is held, and nothing else: what is counted beforehand, what a session reports, and what was given out
    /// are one number.
    #[test]
    fn the_estimate_is_what_is_allocated() {
        /// Memory that notes what it gave out, in blocks that say how much of it they are.
        #[derive(Default)]
        struct Given {
            bytes: u64,
            blocks: usize,
        }
        impl Memory for Given {
            type Block = Count;
            fn zeros(&mut self, bytes: u64) -> Result<Count> {
                self.blocks += 1;
                self.bytes += bytes.max(16);
                Count::default().zeros(bytes)
            }
        }
        for of in specs() {
            let mut given = Given::default();
            let workspace = Workspace::lay_out(&mut given, &of).expect("counting takes nothing");
            assert_eq!((bytes(&of), workspace.resident()), (given.bytes, given.bytes), "{of:?}");
            assert!(given.blocks > 10);
        }
    }

    #[test]
    fn what_lies_in_one_place_fits_there() {
        for of in specs() {
            let w = Workspace::lay_out(&mut Count::default(), &of).expect("counting takes nothing");
            let end = w.qkv.resident().next_multiple_of(256) + w.attended.resident();
            let shared = w.shared.bytes();
            assert!(shared >= end.max(w.hidden.resident()).max(w.logits.bytes()), "{of:?}");
            assert!(w.logits.bytes() >= 4 * of.vocabulary as u64);
            assert_eq!(w.topk.is_none(), of.vocabulary > 262_144);
        }
    }
}
