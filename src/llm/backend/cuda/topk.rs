//! Launcher of `kernels/topk.cu`: the likeliest tokens of logits on the device.

use super::Gpu;
use super::driver::{Buffer, Launch, Stream};
use super::head::token_of;
use crate::error::Result;

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
    logits: u64,
    lists: u64,
    top: u64,
    n: i32,
    slices: i32,
}

/// Tokens that are found, at most.
pub(super) const MOST: usize = 64;
/// Logits of a block.
const SLICE: usize = 2048;
const THREADS: u32 = 1024;
/// Lists that fit into shared memory of every device that is built for.
const MAX_LISTS: usize = 128;

/// Room for the search among `n` logits.
pub(super) struct TopK {
    n: usize,
    /// Every slice's likeliest, then those of all.
    lists: Buffer,
}

fn slices(n: usize) -> usize {
    n.div_ceil(SLICE)
}

/// Bytes on the device for `n` logits.
pub(super) fn bytes(n: usize) -> u64 {
    if slices(n) > MAX_LISTS { 0 } else { ((slices(n) + 1) * MOST * 8) as u64 }
}

impl TopK {
    /// `None` where there are more logits than are searched.
    pub(super) fn new(gpu: &Gpu, n: usize) -> Result<Option<Self>> {
        if n == 0 || slices(n) > MAX_LISTS {
            return Ok(None);
        }
        Ok(Some(Self { n, lists: gpu.device.alloc(bytes(n))? }))
    }

    pub(super) fn resident(&self) -> u64 {
        self.lists.bytes
    }

    /// Finds them in `logits`.
    pub(super) fn find(&self, gpu: &Gpu, stream: &Stream, logits: u64) -> Result<()> {
        let slices = slices(self.n);
        let top = self.lists.at + (slices * MOST * 8) as u64;
        let args = Args { logits, lists: self.lists.at, top, n: self.n as i32, slices: slices as i32 };
        let launch = |blocks: usize, shared: usize| Launch {
            grid: (blocks as u32, 1, 1),
            threads: THREADS,
            shared: shared as u32,
            overlap: true,
        };
        stream.launch(gpu.kernel("topk_slices")?, launch(slices, 0), &args)?;
        let shared = slices.next_power_of_two() * MOST * 8;
        stream.launch(gpu.kernel("topk_merge")?, launch(1, shared), &args)
    }

    /// The likeliest `k` that were found last, into `to`, which is `back` in between. Waits.
    pub(super) fn fetch(&self, stream: &Stream, k: usize, back: &mut [u8], to: &mut Vec<(f32, u32)>) -> Result<()> {
        let back = &mut back[..k.min(MOST) * 8];
        stream.download_later(&self.lists, (slices(self.n) * MOST * 8) as u64, back)?;
        stream.wait()?;
        to.clear();
        to.extend(back.chunks_exact(8).filter_map(|e| entry(u64::from_le_bytes(e.try_into().ok()?))));
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
mod tests {
    use super::super::Packing;
    use super::super::tests::{Random, gpu};
    use super::*;
    use proptest::prelude::*;

    /// As the kernel makes it.
    fn made(logit: f32, token: u32) -> u64 {
        let b = logit.to_bits();
        let b = if b & 0x8000_0000 != 0 { !b } else { b | 0x8000_0000 };
        if logit.is_nan() { 0 } else { u64::from(b) << 32 | u64::from(!token) }
    }

    /// What is to be found: the sampler's order.
    fn likeliest(logits: &[f32], k: usize) -> Vec<(f32, u32)> {
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
            prop_assert!(same(&found, &likeliest(&logits, k)));
        }
    }

    /// The kernel's merging, step by step: lists of a power of two, each descending, into the first of all.
    #[test]
    fn merging_two_and_two_finds_the_first_of_all() {
        let mut r = Random(3);
        for slices in [1usize, 2, 3, 5, 63, 75] {
            let count = slices.next_power_of_two();
            let mut lists = vec![0u64; count * MOST];
            for list in lists[..slices * MOST].chunks_exact_mut(MOST) {
                list.iter_mut().for_each(|e| *e = r.next() >> 1);
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

    #[test]
    fn the_devices_likeliest_are_the_hosts() {
        let Some(cuda) = gpu(Packing::TwoBits) else { return };
        let mut r = Random(21);
        for n in [1, 63, 64, 65, 2047, 2048, 2049, 16384, 128_256, 151_936, 262_144] {
            for coarse in [false, true] {
                let mut logits: Vec<f32> = (0..n).map(|_| r.float()).collect();
                if coarse {
                    logits.iter_mut().for_each(|l| *l = (*l * 2.0).round());
                    logits.iter_mut().step_by(7).for_each(|l| *l = f32::NEG_INFINITY);
                    logits.iter_mut().skip(3).step_by(11).for_each(|l| *l = f32::NAN);
                }
                let buffer = cuda.gpu.device.alloc((n * 4) as u64).expect("fits");
                cuda.stream.upload(&buffer, 0, bytemuck::cast_slice(&logits)).expect("uploads");
                let topk = TopK::new(&cuda.gpu, n).expect("fits").expect("not too many");
                assert_eq!(topk.resident(), bytes(n));
                let (mut back, mut found) = (vec![0; MOST * 8], Vec::new());
                for k in [1, 40, MOST] {
                    topk.find(&cuda.gpu, &cuda.stream, buffer.at).expect("runs");
                    topk.fetch(&cuda.stream, k, &mut back, &mut found).expect("reads");
                    assert_eq!(found, likeliest(&logits, k), "{k} of {n}, coarse {coarse}");
                }
            }
        }
        assert!(TopK::new(&cuda.gpu, 300_000).expect("nothing is taken").is_none());
    }
}
