//! Decode attention splits the context among blocks: how, and the memory for what each split finds.

use super::memory::Buffer;
use super::room::{Block, Memory};
use crate::error::Result;
use crate::llm::backend::KvShape;

/// Query heads of a block.
pub(super) const GROUP_HEADS: usize = 4;
/// Positions of a split are a multiple of this.
pub(super) const MIN_SPAN: usize = 64;
/// Rows that split attention takes; more of them belong to `prompt_attend`.
pub(super) const MAX_ROWS: usize = 8;

/// Room for the splits' partial sums, f32 `[row][group of heads][split][4][head_dim + 2]`, and the counters that tell a block it
/// was the last, i32 `[row][group of heads]`, 0 between launches.
pub(super) struct Partials<B = Buffer> {
    pub(super) sums: B,
    pub(super) arrived: B,
}

/// Groups of up to four query heads that read the same KV head.
pub(super) fn head_groups(s: &KvShape) -> usize {
    s.kv_heads * (s.heads / s.kv_heads).div_ceil(GROUP_HEADS)
}

/// Parts of the context that the blocks of `n` rows share: as many as fill the device, two blocks a multiprocessor.
pub(super) fn splits(multiprocessors: u32, groups: usize, context: usize, n: usize) -> usize {
    (2 * multiprocessors as usize / (groups * n)).clamp(1, context.div_ceil(MIN_SPAN).max(1))
}

/// Splits of all rows and groups of heads, for the number of rows that has the most of them: short contexts have few splits and
/// then more of them in more rows.
fn slots(multiprocessors: u32, groups: usize, context: usize) -> usize {
    (1..=MAX_ROWS).map(|n| n * groups * splits(multiprocessors, groups, context, n)).max().unwrap_or(0)
}

/// Bytes of the sums of `splits` splits of one row and group.
pub(super) fn sums_bytes(splits: usize, head_dim: usize) -> usize {
    splits * GROUP_HEADS * (head_dim + 2) * 4
}

impl<B: Block> Partials<B> {
    /// As many as any number of rows needs.
    pub(super) fn lay_out<M: Memory<Block = B>>(memory: &mut M, multiprocessors: u32, s: &KvShape) -> Result<Self> {
        let groups = head_groups(s);
        let sums = sums_bytes(slots(multiprocessors, groups, s.context), s.head_dim);
        Ok(Self { sums: memory.zeros(sums as u64)?, arrived: memory.zeros((MAX_ROWS * groups * 4) as u64)? })
    }

    pub(super) fn resident(&self) -> u64 {
        self.sums.bytes() + self.arrived.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a launch writes lies within what is allocated: (row, group) · splits + split, for every number of rows.
    #[test]
    fn partial_sums_have_room() {
        for (multiprocessors, groups, context) in [8, 16, 132, 144]
            .into_iter()
            .flat_map(|m| [1, 4, 8, 12, 32].map(|g| (m, g)))
            .flat_map(|(m, g)| [1, 20, 64, 65, 300, 4096, 8192, 131_072].map(|c| (m, g, c)))
        {
            let room = slots(multiprocessors, groups, context);
            for n in 1..=MAX_ROWS {
                assert!(n * groups * splits(multiprocessors, groups, context, n) <= room);
            }
            // The kernel of all layers at once splits the context itself, among the blocks of one row.
            let blocks = (multiprocessors as usize / groups).min(context.div_ceil(MIN_SPAN)).min(32);
            assert!(groups * blocks <= room, "{multiprocessors} {groups} {context}");
        }
    }
}
