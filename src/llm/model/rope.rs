//! Rotary embedding as model files ask for it: plain, linear or YaRN scaling, and Llama 3.1's factors.

use crate::error::Result;
use crate::llm::backend::Rope;
use crate::llm::gguf::Gguf;

/// How the frequencies are stretched for contexts longer than the model was first trained with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    None,
    /// Every frequency divided by the factor (position interpolation, Chen et al., 2023, arXiv:2306.15595).
    Linear(f64),
    Yarn(Yarn),
}

/// YaRN: frequencies that turn often within the original context stay, those that turn seldom are divided by `factor`,
/// those between are blended; cosine and sine grow by `attention · (1 + 0.1·ln factor)`.
///
/// Source: Peng et al., "YaRN", 2023, arXiv:2309.00071, section 3; `_compute_yarn_parameters` of huggingface/transformers
/// 5.23.0, src/transformers/modeling_rope_utils.py, whose rounding of the bounds this follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    /// Positions the model was first trained with.
    pub original: f64,
    pub attention: f64,
    /// Turns from which on a frequency stays.
    pub beta_fast: f64,
    /// Turns up to which a frequency is divided.
    pub beta_slow: f64,
}

impl RopeScaling {
    /// Reads `ARCHITECTURE.rope.scaling.*`.
    ///
    /// # Errors
    /// A message for the file's error where a number is absurd or the type is not known.
    pub(super) fn read(file: &Gguf, prefix: &str) -> Result<std::result::Result<Self, String>> {
        let key = |k: &str| format!("{prefix}.rope.scaling.{k}");
        let number = |k: &str| file.float(&key(k));
        let kind = file.str(&key("type"))?.unwrap_or("none");
        let factor = number("factor")?.unwrap_or(1.0);
        if !(1.0..=1e6).contains(&factor) {
            return Ok(Err(format!("RoPE scaling by {factor} is not supported")));
        }
        Ok(match kind {
            "none" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear(factor)),
            "yarn" => {
                let yarn = Yarn {
                    factor,
                    original: number("original_context_length")?.unwrap_or(0.0),
                    attention: number("attn_factor")?.unwrap_or(1.0),
                    beta_fast: number("yarn_beta_fast")?.unwrap_or(32.0),
                    beta_slow: number("yarn_beta_slow")?.unwrap_or(1.0),
                };
                let sane = |v: f64| (1e-3..=1e9).contains(&v);
                match [yarn.original, yarn.attention, yarn.beta_fast, yarn.beta_slow].into_iter().all(sane) {
                    true => Ok(RopeScaling::Yarn(yarn)),
                    false => Err(format!("YaRN with {yarn:?} is not supported")),
                }
            }
            other => Err(format!("RoPE scaling {other:?} is not supported; none, linear and yarn are")),
        })
    }

    /// The table for `context` positions of heads that turn in `pairs` pairs; `factors` (`[pairs]`) is the file's
    /// `rope_freqs.weight`. `base` is `rope_theta`; sources at [`RopeScaling`] and [`Rope`].
    pub(super) fn table(&self, context: usize, pairs: usize, base: f64, factors: Option<&[f32]>) -> Rope {
        let mut frequencies = Rope::frequencies(pairs, base, factors);
        let magnitude = match self {
            RopeScaling::None => 1.0,
            RopeScaling::Linear(factor) => {
                frequencies.iter_mut().for_each(|f| *f /= factor);
                1.0
            }
            RopeScaling::Yarn(yarn) => {
                yarn.scale(&mut frequencies, base);
                yarn.attention * (1.0 + 0.1 * yarn.factor.ln())
            }
        };
        Rope::scaled(context, &frequencies, magnitude)
    }
}

impl Yarn {
    /// The pair that turns `turns` times within the original context (`find_correction_dim`).
    fn pair_of(&self, turns: f64, pairs: usize, base: f64) -> f64 {
        pairs as f64 * (self.original / (turns * std::f64::consts::TAU)).ln() / base.ln()
    }

    /// Stretches `frequencies` (`[pairs]`, radians a position) in place.
    fn scale(&self, frequencies: &mut [f64], base: f64) {
        let pairs = frequencies.len();
        let low = self.pair_of(self.beta_fast, pairs, base).floor().max(0.0);
        let high = self.pair_of(self.beta_slow, pairs, base).ceil().min(2.0 * pairs as f64 - 1.0);
        for (i, f) in frequencies.iter_mut().enumerate() {
            let divided = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
            *f = *f / self.factor * divided + *f * (1.0 - divided);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand for Ternary-Bonsai-8B: heads of 128, base 1e6, factor 4 over 16384 positions.
    #[test]
    fn yarn_keeps_fast_pairs_divides_slow_ones_and_blends_between() {
        let yarn = Yarn { factor: 4.0, original: 16384.0, attention: 1.0, beta_fast: 32.0, beta_slow: 1.0 };
        let mut f = Rope::frequencies(64, 1e6, None);
        let plain = f.clone();
        yarn.scale(&mut f, 1e6);
        // low = floor(64·ln(16384/(32·2π))/ln 1e6) = 20, high = ceil(64·ln(16384/2π)/ln 1e6) = 37.
        assert_eq!(f[..=20], plain[..=20]);
        for i in 37..64 {
            assert!((f[i] * 4.0 - plain[i]).abs() < 1e-12 * plain[i]);
        }
        let at = |i: usize| f[i] / plain[i];
        assert!((at(30) - (0.25 * (10.0 / 17.0) + 7.0 / 17.0)).abs() < 1e-12);
    }
}
