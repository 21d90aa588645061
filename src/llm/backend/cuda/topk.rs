//! Launcher of `kernels/topk.cu`: the top-k of logits on the device.

use super::agreed::{Arguments, Source, arguments};
use super::function::Launch;
use super::gpu::Gpu;
use super::head::token_of;
use super::memory::{Buffer, View};
use super::room::{Block, Memory};
use super::stream::Stream;
use crate::error::Result;

arguments! {
    Args as "TopkArgs" {
        logits: u64,
        lists: u64,
        top: u64,
        n: i32,
        slices: i32,
    }
}

/// Tokens that are found, at most.
pub(super) const MOST: usize = 64;
/// Logits of a block.
const SLICE: usize = 2048;
const THREADS: usize = 1024;
/// Lists that fit into shared memory of every device that is built for.
const MAX_LISTS: usize = 128;
/// Bytes of a list: an entry is a logit and its token.
const LIST_BYTES: usize = MOST * 8;

pub(super) const SOURCE: Source = Source {
    name: "topk",
    text: include_str!("../../../../kernels/topk.cu"),
    constants: &[("K", MOST), ("SLICE", SLICE), ("THREADS", THREADS)],
    structs: &[Args::LAYOUT],
    arch: 0,
};

/// Room for the search among `n` logits.
pub(super) struct TopK<B = Buffer> {
    n: usize,
    /// u64 `[slice][64]`: the top of each slice; then those of all.
    lists: B,
}

fn slices(n: usize) -> usize {
    n.div_ceil(SLICE)
}

impl<B: Block> TopK<B> {
    /// `None` where there are more logits than are searched.
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, n: usize) -> Result<Option<Self>> {
        if n == 0 || slices(n) > MAX_LISTS {
            return Ok(None);
        }
        Ok(Some(Self { n, lists: memory.zeros(((slices(n) + 1) * LIST_BYTES) as u64)? }))
    }

    pub(super) fn resident(&self) -> u64 {
        self.lists.bytes()
    }
}

impl TopK {
    /// Enqueues the search in `logits`, f32 `[n]`: the top 64, descending, of equal logits the lower token first; NaN is never one.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where there are fewer logits.
    pub(super) fn find(&self, gpu: &Gpu, stream: &Stream, logits: View<'_>) -> Result<()> {
        let slices = slices(self.n);
        let lists = self.lists.view();
        let args = Args {
            logits: logits.holding(self.n * 4, "logits")?,
            lists: lists.holding(slices * LIST_BYTES, "lists of a slice's top")?,
            top: lists.after((slices * LIST_BYTES) as u64)?.holding(LIST_BYTES, "the list of the top")?,
            n: self.n as i32,
            slices: slices as i32,
        };
        let launch = |blocks: usize, shared: usize| Launch {
            grid: (blocks as u32, 1, 1),
            threads: THREADS as u32,
            shared: shared as u32,
            overlap: true,
        };
        let shared = slices.next_power_of_two() * LIST_BYTES;
        // SAFETY: the struct is both kernels'; lengths were checked above.
        unsafe {
            stream.launch(&gpu.kernel("topk_slices")?, launch(slices, 0), &args)?;
            stream.launch(&gpu.kernel("topk_merge")?, launch(1, shared), &args)
        }
    }

    /// The first `k` that were found last, into `to`; they pass through `host`, which has room for all 64. Waits.
    ///
    /// # Errors
    /// [`crate::error::Kind::Device`] where the search failed.
    pub(super) fn fetch(&self, stream: &Stream, k: usize, host: &mut [u8], to: &mut Vec<(f32, u32)>) -> Result<()> {
        let host = &mut host[..k.min(MOST) * 8];
        stream.download(&self.lists, (slices(self.n) * LIST_BYTES) as u64, host)?;
        to.clear();
        to.extend(host.chunks_exact(8).filter_map(|e| entry(u64::from_le_bytes(e.try_into().ok()?))));
        Ok(())
    }
}

/// Logit and token of an entry; `None` for one that is none, or whose logit is −∞: it is never chosen.
fn entry(e: u64) -> Option<(f32, u32)> {
    let b = (e >> 32) as u32;
    let logit = f32::from_bits(if b & 0x8000_0000 != 0 { b ^ 0x8000_0000 } else { !b });
    (e != 0 && logit > f32::NEG_INFINITY).then_some((logit, token_of(e)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the kernel makes it.
    fn made(logit: f32, token: u32) -> u64 {
        let b = logit.to_bits();
        let b = if b & 0x8000_0000 != 0 { !b } else { b | 0x8000_0000 };
        if logit.is_nan() { 0 } else { u64::from(b) << 32 | u64::from(!token) }
    }

    /// What is to be found: the sampler's order.
    pub(in crate::llm::backend::cuda) fn top(logits: &[f32], k: usize) -> Vec<(f32, u32)> {
        let mut all: Vec<_> = logits.iter().copied().zip(0..).filter(|c| c.0 > f32::NEG_INFINITY).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(k);
        all
    }

    proptest! {
        #[test]
        fn entries_order_as_the_sampler_does(logits in proptest::collection::vec(
            prop_oneof![proptest::num::f32::ANY, Just(0.0), Just(-0.0), Just(f32::NEG_INFINITY), -3f32..3.0], 1..200), k in 1usize..64)
        {
            let mut all: Vec<u64> = logits.iter().copied().zip(0..).map(|(l, t)| made(l, t)).collect();
            all.sort_unstable_by(|a, b| b.cmp(a));
            let found: Vec<_> = all.into_iter().take(k).filter_map(entry).collect();
            let same = |a: &[(f32, u32)], b: &[(f32, u32)]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0.to_bits() == b.0.to_bits() && a.1 == b.1)
            };
            prop_assert!(same(&found, &top(&logits, k)));
        }
    }

    /// The kernel's merging, step by step: lists of a power of two, each descending, into the first of all.
    #[test]
    fn merging_two_and_two_finds_the_first_of_all() {
        // SplitMix64.
        let mut state = 3u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z ^ (z >> 27)
        };
        for slices in [1usize, 2, 3, 5, 63, 75] {
            let count = slices.next_power_of_two();
            let mut lists = vec![0u64; count * MOST];
            for list in lists[..slices * MOST].chunks_exact_mut(MOST) {
                list.iter_mut().for_each(|e| *e = next() >> 1);
                list.sort_unstable_by(|a, b| b.cmp(a));
            }
            let mut wanted = lists.clone();
            wanted.sort_unstable_by(|a, b| b.cmp(a));
            let mut count = count;
            while count > 1 {
                let half = count / 2 * MOST;
                for i in 0..half {
                    let other = lists[half + (i & !(MOST - 1)) + (MOST - 1 - (i & (MOST - 1)))];
                    lists[i] = lists[i].max(other);
                }
                let mut apart = MOST / 2;
                while apart > 0 {
                    for p in 0..half / 2 {
                        let i = 2 * p - (p & (apart - 1));
                        if lists[i] < lists[i + apart] {
                            lists.swap(i, i + apart);
                        }
                    }
                    apart /= 2;
                }
                count /= 2;
            }
            assert_eq!(lists[..MOST], wanted[..MOST], "{slices} slices");
        }
    }
}
