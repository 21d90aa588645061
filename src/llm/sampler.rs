//! From logits to a token.
//!
//! Sources: top-k, Fan et al., 2018, arXiv:1805.04833; top-p (nucleus), Holtzman et al., 2020, arXiv:1904.09751; min-p,
//! Nguyen et al., 2024, arXiv:2407.01082; repetition penalty, Keskar et al. (CTRL), 2019, arXiv:1909.05858, multiplied
//! where a logit is negative as `RepetitionPenaltyLogitsProcessor` of huggingface/transformers 5.23.0 does. Each is applied once
//! to a token, however often it was said.

use serde::{Deserialize, Serialize};

use crate::problems::Problems;
use crate::random::SplitMix64;
use crate::units::TokenId;

/// How the next token is chosen. The default is greedy: always the argmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0: greedy. Otherwise logits are divided by it before the softmax.
    pub temperature: f32,
    /// Only the top-k tokens stay; 0: all.
    pub top_k: usize,
    /// Only the top tokens that together reach this probability stay; 1: all.
    pub top_p: f32,
    /// Only tokens with at least this share of the top token's probability stay; 0: all.
    pub min_p: f32,
    /// Logits of tokens among the last 64 are divided by it where positive and multiplied where negative; 1: untouched.
    pub repetition_penalty: f32,
    /// The same seed gives the same words.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 40, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        problems.range("temperature", self.temperature, 0.0..=5.0);
        problems.range("top_p", self.top_p, 0.0..=1.0);
        problems.range("min_p", self.min_p, 0.0..=1.0);
        problems.range("repetition_penalty", self.repetition_penalty, 0.5..=5.0);
    }
}

/// What a sampler chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// The argmax alone.
    Argmax,
    /// The top-k for this k ([`Sampler::sample_of`]).
    Candidates(usize),
    /// All logits.
    Logits,
}

/// Tokens the repetition penalty looks back on.
const LOOK_BACK: usize = 64;

/// Chooses tokens, with the state of its random numbers.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
    /// (logit, id) of the tokens that are still candidates.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        let random = SplitMix64::new(sampling.seed);
        Self { sampling, random, candidates: Vec::new() }
    }

    /// Always the argmax.
    pub fn greedy() -> Self {
        Self::new(Sampling { temperature: 0.0, repetition_penalty: 1.0, ..Sampling::default() })
    }

    /// Whether it takes the highest logit as it is.
    pub fn is_greedy(&self) -> bool {
        self.sampling.temperature <= 0.0 && self.sampling.repetition_penalty == 1.0
    }

    /// What is enough for it to choose as it would from all logits.
    pub(super) fn needs(&self) -> Needs {
        let s = &self.sampling;
        if self.is_greedy() {
            Needs::Argmax
        } else if s.repetition_penalty == 1.0 && s.top_k > 0 {
            Needs::Candidates(s.top_k)
        } else {
            Needs::Logits
        }
    }

    /// As [`Sampler::sample`], from the [`Needs::Candidates`] of its logits (logit, token): the same token.
    ///
    /// More of them than it asked for does no harm.
    pub(super) fn sample_of(&mut self, candidates: &[(f32, u32)]) -> TokenId {
        self.candidates.clear();
        self.candidates.extend_from_slice(candidates);
        let u = self.random.unit();
        draw(&mut self.candidates, &self.sampling, u)
    }

    /// Chooses from `logits` (`[vocabulary]`, f32); a logit of −∞ or NaN is never chosen while another is not. `recent`:
    /// the tokens so far, for the repetition penalty.
    ///
    /// Order: penalty, temperature, top-k, min-p, top-p. Equal logits: the lower id first.
    pub fn sample(&mut self, logits: &[f32], recent: &[TokenId]) -> TokenId {
        let s = &self.sampling;
        if self.is_greedy() {
            return argmax(logits);
        }
        self.candidates.clear();
        self.candidates.extend(logits.iter().zip(0..).filter(|(l, _)| **l > f32::NEG_INFINITY).map(|(&l, i)| (l, i)));
        if s.repetition_penalty != 1.0 {
            penalise(&mut self.candidates, &recent[recent.len().saturating_sub(LOOK_BACK)..], s.repetition_penalty);
        }
        if s.temperature <= 0.0 {
            let best = self.candidates.iter().copied().reduce(|a, b| if b.0 > a.0 { b } else { a });
            return TokenId(best.map_or(0, |b| b.1));
        }
        let u = self.random.unit();
        draw(&mut self.candidates, &self.sampling, u)
    }
}

/// The highest logit's token, the first of equals.
fn argmax(logits: &[f32]) -> TokenId {
    let mut best = (f32::NEG_INFINITY, 0);
    for (i, &l) in logits.iter().enumerate() {
        if l > best.0 {
            best = (l, i);
        }
    }
    TokenId(best.1 as u32)
}

/// `candidates` is still indexed by nothing but its ids, which ascend.
fn penalise(candidates: &mut [(f32, u32)], recent: &[TokenId], by: f32) {
    let mut ids: Vec<u32> = recent.iter().map(|t| t.0).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        if let Ok(i) = candidates.binary_search_by_key(&id, |c| c.1) {
            let logit = &mut candidates[i].0;
            *logit = if *logit > 0.0 { *logit / by } else { *logit * by };
        }
    }
}

/// Draws from `candidates` (logit, id) at `u` in [0, 1): softmax of logits over the temperature after top-k, min-p and
/// top-p, inverted at `u`; sums are f64. `s.temperature` is above 0. Sources at the top.
fn draw(candidates: &mut Vec<(f32, u32)>, s: &Sampling, u: f64) -> TokenId {
    let likelier = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if s.top_k > 0 && s.top_k < candidates.len() {
        candidates.select_nth_unstable_by(s.top_k - 1, likelier);
        candidates.truncate(s.top_k);
    }
    candidates.sort_unstable_by(likelier);
    let Some(&(top, first)) = candidates.first() else { return TokenId(0) };
    let weight = |l: f32| f64::from((l - top) / s.temperature).exp();
    let last = candidates.partition_point(|c| weight(c.0) >= f64::from(s.min_p)).max(1);
    candidates.truncate(last);
    let total: f64 = candidates.iter().map(|c| weight(c.0)).sum();
    let mut sum = 0.0;
    let kept = candidates.iter().take_while(|c| {
        let before = sum;
        sum += weight(c.0);
        before < f64::from(s.top_p) * total
    });
    let kept = kept.count().max(1);
    let total: f64 = candidates[..kept].iter().map(|c| weight(c.0)).sum();
    let mut left = u * total;
    for c in &candidates[..kept] {
        left -= weight(c.0);
        if left < 0.0 {
            return TokenId(c.1);
        }
    }
    TokenId(candidates[..kept].last().map_or(first, |c| c.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(s: Sampling, logits: &[f32], n: usize) -> Vec<usize> {
        let mut sampler = Sampler::new(s);
        let mut counts = vec![0; logits.len()];
        for _ in 0..n {
            counts[sampler.sample(logits, &[]).0 as usize] += 1;
        }
        counts
    }

    fn plain() -> Sampling {
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 7 }
    }

    #[test]
    fn greedy_takes_the_first_of_the_best_and_never_a_masked_token() {
        let mut s = Sampler::greedy();
        assert_eq!(s.sample(&[0.0, 3.0, 3.0, f32::NAN], &[]), TokenId(1));
        assert_eq!(s.sample(&[f32::NEG_INFINITY, -9.0, f32::NEG_INFINITY], &[]), TokenId(1));
    }

    proptest! {
        /// Also where probabilities are equal or zero, or there are fewer tokens than requested.
        #[test]
        fn the_top_k_are_enough(
            logits in proptest::collection::vec(prop_oneof![-9f32..9.0, Just(1.0), Just(f32::NEG_INFINITY), Just(f32::NAN)], 1..300),
            top_k in 1usize..65, temperature in 0.1f32..3.0, top_p in 0f32..1.0, min_p in 0f32..0.5, seed: u64)
        {
            let s = Sampling { temperature, top_k, top_p, min_p, seed, ..Sampling::default() };
            let (mut all, mut few) = (Sampler::new(s.clone()), Sampler::new(s));
            prop_assert_eq!(all.needs(), Needs::Candidates(top_k));
            let mut candidates: Vec<_> = logits.iter().copied().zip(0..).filter(|c| c.0 > f32::NEG_INFINITY).collect();
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            candidates.truncate(top_k);
            for _ in 0..5 {
                prop_assert_eq!(few.sample_of(&candidates), all.sample(&logits, &[]));
            }
        }
    }

    #[test]
    fn a_sampler_says_what_it_needs() {
        let needs = |s| Sampler::new(s).needs();
        assert_eq!(Sampler::greedy().needs(), Needs::Argmax);
        assert_eq!(needs(Sampling { temperature: 0.7, top_k: 40, ..Sampling::default() }), Needs::Candidates(40));
        assert_eq!(needs(Sampling { temperature: 0.7, top_k: 0, ..Sampling::default() }), Needs::Logits);
        assert_eq!(needs(Sampling { temperature: 0.7, repetition_penalty: 1.1, ..Sampling::default() }), Needs::Logits);
        assert_eq!(needs(Sampling { repetition_penalty: 1.1, ..Sampling::default() }), Needs::Logits);
    }

    #[test]
    fn draws_follow_the_chances() {
        let logits = [0.0f32, 1.0, 2.0, f32::NEG_INFINITY];
        let c = counts(plain(), &logits, 20_000);
        let z: f32 = logits.iter().map(|l| l.exp()).sum();
        for (c, l) in c.iter().zip(logits) {
            assert!((*c as f32 / 20_000.0 - l.exp() / z).abs() < 0.015, "{c}");
        }
        // Half the temperature squares the odds.
        let c = counts(Sampling { temperature: 0.5, ..plain() }, &logits[..2], 20_000);
        assert!((c[1] as f32 / c[0] as f32 / 7.39 - 1.0).abs() < 0.1);
    }

    #[test]
    fn filters_keep_what_they_say() {
        let logits = [4.0f32, 3.0, 2.0, 1.0, 0.0];
        let kept = |s: Sampling| counts(s, &logits, 5000).iter().filter(|&&c| c > 0).count();
        assert_eq!(kept(plain()), 5);
        assert_eq!(kept(Sampling { top_k: 2, ..plain() }), 2);
        assert_eq!(kept(Sampling { min_p: 0.1, ..plain() }), 3); // e⁻² = 0.135, e⁻³ = 0.05
        assert_eq!(kept(Sampling { top_p: 0.6, ..plain() }), 1); // the first alone has 0.636
        assert_eq!(kept(Sampling { top_p: 0.7, ..plain() }), 2);
        assert_eq!(kept(Sampling { top_p: 0.0, ..plain() }), 1);
    }

    #[test]
    fn the_penalty_turns_repetition_away() {
        let mut s = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        assert_eq!(s.sample(&[3.0, 2.0], &[]), TokenId(0));
        assert_eq!(s.sample(&[3.0, 2.0], &[TokenId(0), TokenId(0)]), TokenId(1));
        assert_eq!(s.sample(&[-1.0, -1.5], &[TokenId(0), TokenId(9)]), TokenId(1));
    }

    #[test]
    fn a_seed_repeats_itself() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let run = |seed| {
            let mut s = Sampler::new(Sampling { seed, ..plain() });
            (0..40).map(|_| s.sample(&logits, &[]).0).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    proptest! {
        #[test]
        fn never_leaves_the_vocabulary(
            logits in proptest::collection::vec(any::<f32>(), 1..50),
            temperature in 0f32..3.0, top_k in 0usize..60, top_p in 0f32..1.0, min_p in 0f32..1.0, penalty in 0.5f32..3.0,
        ) {
            let sampling = Sampling { temperature, top_k, top_p, min_p, repetition_penalty: penalty, seed: 1 };
            let t = Sampler::new(sampling).sample(&logits, &[TokenId(0), TokenId(1000)]);
            prop_assert!((t.0 as usize) < logits.len());
        }
    }
}
