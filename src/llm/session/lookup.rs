//! Speculative decoding by prompt lookup: where the text repeats itself, the tokens that followed last time are the draft.
//!
//! Draft tokens are computed together with the token before them, in one pass over the weights, and accepted only where
//! the sampler then chooses them, so the output is the same as without them. When that does not pay, it stops: time lost
//! to rejected tokens never exceeds [`STAKE`] of the time spent, plus the [`FIRST_STAKE`] tokens every session may try.
//!
//! Source: Saxena, "Prompt Lookup Decoding", 2023 (apoorvumang/prompt-lookup-decoding), a kind of speculative decoding
//! (Leviathan et al., 2022, arXiv:2211.17192). When to stop is tercet's own.

use std::time::Duration;

use crate::units::TokenId;

/// Tokens that must match an earlier passage before what followed it becomes a draft.
const MIN_MATCH: usize = 3;
/// More than this are not compared.
const MAX_MATCH: usize = 8;
/// Most draft tokens computed at once.
const MAX_DRAFT: usize = 7;
/// Share of the time spent generating that may be lost.
const STAKE: f64 = 0.01;
/// Tokens' time that may be lost beside it.
const FIRST_STAKE: f64 = 1.0;
/// Weight of the newest outcome in a running mean.
const NEWEST: f64 = 0.15;
/// How fast a measurement fades while nothing is tried.
const FADE: f64 = 0.004;
/// A draft must promise to save at least this share of a token's time: measurements are never exact.
const MARGIN: f64 = 0.15;

/// What drafting has cost and saved a session so far.
#[derive(Debug, Default)]
pub(super) struct Speculation {
    enabled: bool,
    draft: Vec<TokenId>,
    /// Time of one token alone, s; 0 before the first.
    plain_s: f64,
    /// Time of a batch, s, by its tokens; 0 where none was tried.
    batch_s: [f64; MAX_DRAFT + 2],
    /// Acceptance rate of a draft token, by the length of the match before it.
    chance: [f64; MAX_MATCH + 1],
    /// Length of the match before the current draft, and how many of its tokens are left to be judged.
    judging: Option<(usize, usize)>,
    /// Time saved, s; below 0: lost.
    saved_s: f64,
    spent_s: f64,
    counts: Counts,
    /// Draft whatever it costs, so that tests see every draft there is.
    #[cfg(test)]
    pub(super) always: bool,
}

/// How many tokens were drafted and accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Batches computed.
    pub batches: usize,
    pub drafted: usize,
    pub accepted: usize,
}

impl Speculation {
    pub(super) fn new(enabled: bool) -> Self {
        // A longer match is trusted more; measurements correct it.
        let chance = std::array::from_fn(|n| 0.4 + 0.06 * n as f64);
        Self { enabled, chance, ..Self::default() }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Draft tokens for what follows `tokens` and `next`, at most `room`; none where that would not pay.
    pub(super) fn draft(&mut self, tokens: &[TokenId], next: TokenId, room: usize) -> &[TokenId] {
        self.was_rejected();
        self.draft.clear();
        if !self.enabled || room == 0 || self.plain_s == 0.0 {
            return &[];
        }
        let Some((at, agreed)) = repeated(tokens, next) else { return &[] };
        let most = room.min(MAX_DRAFT).min(tokens.len() - at);
        let Some(n) = self.worthwhile(agreed, most) else {
            self.doubt(agreed);
            return &[];
        };
        self.draft.extend_from_slice(&tokens[at..at + n]);
        self.judging = Some((agreed, n));
        &self.draft
    }

    /// Lets measurements fade, so that what once did not pay is tried again later; the stake bounds what that costs.
    fn doubt(&mut self, agreed: usize) {
        let plain = self.plain_s;
        self.batch_s.iter_mut().filter(|s| **s > 0.0).for_each(|s| *s += FADE * (plain - *s));
        let chance = &mut self.chance[agreed];
        *chance += FADE * (1.0 - *chance).max(0.0);
    }

    /// How many draft tokens pay best, if any do.
    fn worthwhile(&self, agreed: usize, most: usize) -> Option<usize> {
        #[cfg(test)]
        if self.always {
            return Some(most);
        }
        let stake = STAKE * self.spent_s + FIRST_STAKE * self.plain_s + self.saved_s;
        let chance = self.chance[agreed];
        let mut expected = 0.0;
        let mut best = None;
        let mut most_gain = MARGIN * self.plain_s;
        for n in 1..=most {
            expected += chance.powi(n as i32);
            let cost = self.cost(n + 1) - self.plain_s;
            let gain = expected * self.plain_s - cost;
            if gain > most_gain && cost <= stake {
                (best, most_gain) = (Some(n), gain);
            }
        }
        best
    }

    /// Time that a batch of `n` takes: as measured, else scaled from a neighbour, else a cautious default.
    fn cost(&self, n: usize) -> f64 {
        let measured = |n: usize| self.batch_s.get(n).copied().filter(|&s| s > 0.0);
        let below = (2..=n).rev().find_map(|m| Some((m, measured(m)?)));
        let above = (n..self.batch_s.len()).find_map(|m| Some((m, measured(m)?)));
        match (below, above) {
            (Some((m, s)), _) if m == n => s,
            (Some((m, s)), None) => s + (n - m) as f64 * (s - self.plain_s).max(0.0) / (m - 1) as f64,
            (None, Some((m, s))) => self.plain_s + (n - 1) as f64 * (s - self.plain_s).max(0.0) / (m - 1) as f64,
            (Some((a, low)), Some((b, high))) => low + (n - a) as f64 * (high - low) / (b - a) as f64,
            (None, None) => self.plain_s * (1.0 + 0.3 * (n - 1) as f64),
        }
    }

    /// A token was computed alone.
    pub(super) fn was_single(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        // Slow ones are hiccups; counting them in full would make drafts look cheap.
        let weight = if took < self.plain_s { 0.3 } else { 0.05 };
        mean(&mut self.plain_s, took, weight);
        self.spent_s += took;
    }

    /// A batch of `n` was computed, of which the first token is certain.
    pub(super) fn was_batch(&mut self, n: usize, took: Duration) {
        let took = took.as_secs_f64();
        mean(&mut self.batch_s[n], took, 0.3);
        self.spent_s += took;
        self.saved_s += self.plain_s - took;
        self.counts.batches += 1;
        self.counts.drafted += n - 1;
    }

    /// A draft token was accepted.
    pub(super) fn was_accepted(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.spent_s += took;
        self.saved_s += self.plain_s - took;
        self.counts.accepted += 1;
        if let Some((agreed, left)) = self.judging {
            self.judge(agreed, 1.0);
            self.judging = (left > 1).then_some((agreed, left - 1));
        }
    }

    /// The next draft token was rejected, if any were left.
    fn was_rejected(&mut self) {
        if let Some((agreed, _)) = self.judging.take() {
            self.judge(agreed, 0.0);
        }
    }

    fn judge(&mut self, agreed: usize, accepted: f64) {
        let chance = &mut self.chance[agreed];
        *chance += NEWEST * (accepted - *chance);
    }
}

fn mean(of: &mut f64, newest: f64, weight: f64) {
    *of = if *of == 0.0 { newest } else { *of + weight * (newest - *of) };
}

/// Where in `tokens` the continuation of the last passage that ended like it and `next` is, and how many tokens matched:
/// the longest match of at least [`MIN_MATCH`]; of those the latest.
fn repeated(tokens: &[TokenId], next: TokenId) -> Option<(usize, usize)> {
    let len = tokens.len();
    let mut best: Option<(usize, usize)> = None;
    // `at` comes after an earlier `next`.
    for at in (MIN_MATCH..len).rev() {
        if tokens[at - 1] != next {
            continue;
        }
        let before = (tokens[..at - 1].iter().rev()).zip(tokens.iter().rev()).take(MAX_MATCH - 1);
        let agreed = 1 + before.take_while(|(a, b)| a == b).count();
        if agreed >= MIN_MATCH && best.is_none_or(|(_, n)| agreed > n) {
            best = Some((at, agreed));
            if agreed == MAX_MATCH {
                break;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &str) -> Vec<TokenId> {
        of.bytes().map(|b| TokenId(u32::from(b))).collect()
    }

    #[test]
    fn the_longest_then_latest_agreement_is_found() {
        let next = TokenId(u32::from(b'd'));
        assert_eq!(repeated(&ids("xbcdE.abcdF.abcdG.zbcdH.abc"), next), Some((16, 5)));
        assert_eq!(repeated(&ids("abcdE.abc"), next), Some((4, 4)));
        assert_eq!(repeated(&ids("cdE.abc"), next), None);
        assert_eq!(repeated(&ids(""), next), None);
        assert_eq!(repeated(&ids("ddddddddd"), next), Some((8, 8)));
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Text that always matches and drafts that are never accepted: the loss is bounded.
    #[test]
    fn what_does_not_pay_stops() {
        let text = ids(&"abcdefgh".repeat(8));
        let mut s = Speculation::new(true);
        let (mut plain, mut spent) = (0, 0);
        for _ in 0..2000 {
            plain += 10;
            let n = s.draft(&text, TokenId(u32::from(b'a')), 7).len();
            let took = if n == 0 { 10 } else { 10 + 3 * n as u64 };
            spent += took;
            if n == 0 { s.was_single(ms(took)) } else { s.was_batch(n + 1, ms(took)) }
        }
        assert!(s.counts().batches > 0, "it was never tried");
        assert!(f64::from(plain) >= 0.98 * spent as f64, "{plain} became {spent}");
    }

    #[test]
    fn what_pays_goes_on() {
        let text = ids(&"abcdefgh".repeat(8));
        let mut s = Speculation::new(true);
        let (mut tokens, mut spent) = (0, 0);
        while tokens < 1000 {
            let n = s.draft(&text, TokenId(u32::from(b'a')), 7).len();
            if n == 0 {
                s.was_single(ms(10));
                spent += 10;
            } else {
                s.was_batch(n + 1, ms(10 + 3 * n as u64));
                (0..n).for_each(|_| s.was_accepted(ms(1)));
                spent += 10 + 4 * n;
            }
            tokens += 1 + n;
        }
        assert!(spent < 5 * tokens, "{tokens} tokens took {spent} ms");
        let mut off = Speculation::new(false);
        off.was_single(ms(10));
        assert!(off.draft(&text, TokenId(u32::from(b'a')), 7).is_empty());
    }
}
