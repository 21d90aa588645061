//! Random blocks, made in their stored form.

use half::f16;

use crate::llm::gguf::TensorType;
use crate::llm::quant::pack_trits;
use crate::random::SplitMix64;

/// Random numbers for a tensor.
pub(super) struct Rng(SplitMix64);

impl Rng {
    /// A stream of its own for each tensor (FNV-1a of its name), so that a model with fewer layers has the same ones.
    pub(super) fn for_tensor(seed: u64, name: &str) -> Self {
        let hash =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Self(SplitMix64::new(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Evenly from `middle − spread` to `middle + spread`.
    pub(super) fn around(&mut self, middle: f32, spread: f32) -> f32 {
        let unit = (self.0.next() >> 40) as f32 / (1u64 << 24) as f32;
        middle + spread * (2.0 * unit - 1.0)
    }

    /// Appends `n` random bytes, each through `table`.
    fn bytes(&mut self, n: usize, table: &[u8; 256], out: &mut Vec<u8>) {
        let from = out.len();
        out.resize(from + n.next_multiple_of(8), 0);
        for eight in out[from..].chunks_exact_mut(8) {
            for (o, b) in eight.iter_mut().zip(self.0.next().to_le_bytes()) {
                *o = table[usize::from(b)];
            }
        }
        out.truncate(from + n);
    }
}

/// Makes the blocks of one tensor.
pub(super) struct Blocks {
    ty: TensorType,
    scale: f32,
    /// Whether groups of 128 columns have scales of their own.
    grouped: bool,
    /// Random byte → byte of codes.
    codes: [u8; 256],
    /// The same for the last four bytes of TQ1_0, which hold four trits.
    last: [u8; 256],
    done: usize,
    current: f16,
}

impl Blocks {
    pub(super) fn new(ty: TensorType, scale: f32, grouped: bool) -> Self {
        // 256 equally likely bytes onto 3ⁿ values: some come up twice as often as others, all come up.
        let pick = |i: usize, n: usize| (i * n / 256) as u8;
        let trits = |v: u8, n: u32| (0..n).rev().map(move |i| v / 3u8.pow(i) % 3);
        let fields = |v: u8| trits(v, 4).fold(0, |byte, code| byte << 2 | code);
        let codes = std::array::from_fn(|i| match ty {
            TensorType::Tq1_0 => pack_trits(trits(pick(i, 243), 5)),
            TensorType::Tq2_0 | TensorType::Q2_0 | TensorType::Q2_0G128 => fields(pick(i, 81)),
            _ => i as u8,
        });
        let last = std::array::from_fn(|i| pack_trits(trits(pick(i, 81), 4)));
        Self { ty, scale, grouped, codes, last, done: 0, current: f16::from_f32(scale) }
    }

    /// Appends `n` blocks.
    pub(super) fn fill(&mut self, n: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        let (weights, size) = self.ty.block();
        let per_group = (128 / weights).max(1);
        out.reserve(n * size + 8);
        for _ in 0..n {
            if self.grouped && self.done.is_multiple_of(per_group) {
                self.current = f16::from_f32(rng.around(self.scale, 0.25 * self.scale));
            }
            self.done += 1;
            let d = self.current.to_le_bytes();
            match self.ty {
                TensorType::Tq1_0 => {
                    rng.bytes(48, &self.codes, out);
                    rng.bytes(4, &self.last, out);
                    out.extend(d);
                }
                TensorType::Tq2_0 => {
                    rng.bytes(64, &self.codes, out);
                    out.extend(d);
                }
                _ => {
                    out.extend(d);
                    rng.bytes(size - 2, &self.codes, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::quant;

    #[test]
    fn blocks_are_sound_and_varied() {
        for ty in [TensorType::Tq1_0, TensorType::Tq2_0, TensorType::Q2_0, TensorType::Q2_0G128] {
            let mut bytes = Vec::new();
            let mut rng = Rng::for_tensor(1, "x");
            Blocks::new(ty, 0.5, true).fill(64, &mut rng, &mut bytes);
            let (weights, size) = ty.block();
            assert_eq!(bytes.len(), 64 * size);
            let t = quant::Ternary::new(ty, 1, 64 * weights, &bytes).expect("sound");
            let (mut codes, mut scales) = (vec![9; 64 * weights], vec![9.0; 64]);
            t.row(0, &mut codes, &mut scales);
            for code in 0..3 {
                let share = codes.iter().filter(|&&c| c == code).count() as f32 / codes.len() as f32;
                assert!((0.25..0.42).contains(&share), "{ty}: {share} of the codes are {code}");
            }
            assert!(codes.iter().all(|&c| c < 3) && scales.iter().all(|s| (0.37..0.63).contains(s)));
            // Stored as ggml would store these codes.
            let mut again = Vec::new();
            quant::encode_ternary(ty, &codes, |b| f16::from_f32(scales[b]), &mut again).expect("whole blocks");
            assert_eq!(bytes, again, "{ty}");
        }
    }
}
