//! Tokens being generated: chosen by the sampler, held to a grammar, several at a time where the text repeats itself.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Session, WindowFull, stopped};
use crate::error::{Error, Kind, Result};
use crate::llm::Sampler;
use crate::llm::sampler::Needs;
use crate::llm::tokenizer::Tokenizer;
use crate::units::TokenId;

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// A stop token.
    Stop(TokenId),
    /// As many tokens as were asked for, or a complete call where no token stops.
    Length,
    /// The context is full.
    Window,
    /// An error, which was returned.
    Failed,
}

/// What constrains a turn, token by token. Its place in the turn moves with [`Constraint::accept`].
pub trait Constraint {
    /// Whether `token` may come next, as a part of the turn or, where it is one of `stop`, as its end.
    fn fits(&self, tokenizer: &Tokenizer, token: TokenId, stop: &[TokenId]) -> bool;

    /// Whether nothing but the end may come next.
    fn must_end(&self) -> bool;

    /// The argmax of `logits` (`[vocabulary]`) over the tokens that may come next, the first of equals; `stop` may where the turn
    /// may end.
    fn best(&self, tokenizer: &Tokenizer, logits: &[f32], stop: &[TokenId]) -> Option<TokenId>;

    /// Sets the logits (`[vocabulary]`) of all tokens that must not come next to −∞.
    fn mask(&self, tokenizer: &Tokenizer, logits: &mut [f32], stop: &[TokenId]);

    /// Takes `token` as the next; `false`, and nothing changes, where it is not allowed.
    fn accept(&mut self, tokenizer: &Tokenizer, token: TokenId) -> bool;
}

/// Tokens being generated; see [`Session::generate`].
pub struct Generation<'a> {
    session: &'a mut Session,
    sampler: &'a mut Sampler,
    matcher: Option<Box<dyn Constraint>>,
    stop: &'a [TokenId],
    left: usize,
    /// Returned, but not yet part of the timeline.
    pending: Option<TokenId>,
    draft: DraftTokens,
    cancelled: &'a dyn Fn() -> bool,
    finish: Option<Finish>,
}

/// Draft tokens that were computed together with a token, in order, and the row of the first.
#[derive(Default)]
struct DraftTokens {
    tokens: VecDeque<TokenId>,
    row: usize,
}

impl<'a> Generation<'a> {
    pub(super) fn new(
        session: &'a mut Session,
        sampler: &'a mut Sampler,
        stop: &'a [TokenId],
        max: usize,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Self {
        let draft = DraftTokens::default();
        Self { session, sampler, matcher: None, stop, left: max, pending: None, draft, cancelled, finish: None }
    }

    /// Constrains the turn to a grammar, if there is one. `matcher` is at the same position as the timeline.
    pub fn held_to(mut self, matcher: Option<impl Constraint + 'static>) -> Self {
        self.matcher = matcher.map(|m| Box::new(m) as Box<dyn Constraint>);
        self
    }

    /// Why it ended; `None` while it has not.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    fn step(&mut self) -> Result<Result<TokenId, Finish>> {
        if let Some(token) = self.pending.take() {
            if self.session.free() == 0 && !self.make_room()? {
                return Ok(Err(Finish::Window));
            }
            self.compute(token)?;
        }
        let done = self.matcher.as_ref().is_some_and(|m| m.must_end()) && self.stop.is_empty();
        if self.left == 0 || done {
            return Ok(Err(Finish::Length));
        }
        if !self.session.fresh && !self.session.kept() {
            let what = "nothing to continue: the session has no logits for its last token";
            return Err(Error::new(Kind::Internal, what));
        }
        let token = self.choose()?;
        if self.stop.contains(&token) {
            return Ok(Err(Finish::Stop(token)));
        }
        self.left -= 1;
        self.pending = Some(token);
        Ok(Ok(token))
    }

    /// Forgets old turns where turn ends are known; room for a good part of what is left to write, so that it does not
    /// happen again at once.
    fn make_room(&mut self) -> Result<bool> {
        self.draft = DraftTokens::default();
        let s = &mut *self.session;
        match s.make_room((self.left + 1).min(s.engine.context() / 4).max(1), self.cancelled) {
            Ok(_) => Ok(true),
            Err(e) if WindowFull::of(&e).is_some() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Makes `token` part of the timeline, with the logits of what follows it.
    fn compute(&mut self, token: TokenId) -> Result<()> {
        let s = &mut *self.session;
        let began = Instant::now();
        if self.draft.tokens.pop_front() == Some(token) {
            if (self.cancelled)() {
                return Err(stopped());
            }
            s.accept(self.draft.row, token)?;
            self.draft.row += 1;
            s.speculation.was_accepted(began.elapsed());
            return Ok(());
        }
        if !self.draft.tokens.is_empty() || self.draft.row > 0 {
            self.draft = DraftTokens::default();
        }
        // As many as fit, are wanted, and are computed at once.
        let room = (s.free() - 1).min(self.left).min(s.engine.prefill_chunk() - 1);
        let draft = s.speculation.draft(&s.tokens, token, room);
        if draft.is_empty() {
            s.compute(&[token], self.cancelled, self.sampler.needs())?;
            s.speculation.was_single(began.elapsed());
            return Ok(());
        }
        if (self.cancelled)() {
            return Err(stopped());
        }
        let mut batch = Vec::with_capacity(1 + draft.len());
        batch.push(token);
        batch.extend_from_slice(draft);
        s.compute_draft(&batch)?;
        s.speculation.was_batch(batch.len(), began.elapsed());
        self.draft = DraftTokens { tokens: batch.drain(1..).collect(), row: 1 };
        Ok(())
    }

    /// The next token: the sampler's, unless the grammar does not allow it; then its choice among those that are.
    fn choose(&mut self) -> Result<TokenId> {
        let s = &mut *self.session;
        let found = match self.sampler.needs() {
            Needs::Argmax => s.argmax,
            Needs::Candidates(k) => s.candidates(k).map(|found| self.sampler.sample_of(found)),
            Needs::Logits => None,
        };
        let token = match found {
            Some(token) => token,
            None => {
                s.fetch_logits()?;
                self.sampler.sample(&s.logits, &s.tokens)
            }
        };
        let Some(matcher) = &mut self.matcher else { return Ok(token) };
        let stop = self.stop;
        if !matcher.fits(self.session.engine.tokenizer(), token, stop) {
            self.session.fetch_logits()?;
        }
        let Session { engine, logits, tokens, .. } = &*self.session;
        let tokenizer = engine.tokenizer();
        let token = match matcher.fits(tokenizer, token, stop) {
            true => Some(token),
            false if self.sampler.is_greedy() => matcher.best(tokenizer, logits, stop),
            false => {
                let mut masked = logits.clone();
                matcher.mask(tokenizer, &mut masked, stop);
                Some(self.sampler.sample(&masked, tokens)).filter(|&t| matcher.fits(tokenizer, t, stop))
            }
        };
        let token = token.ok_or_else(|| {
            Error::new(Kind::Internal, "no token continues the tool call").remedy("check the bounds of its arguments")
        })?;
        if !stop.contains(&token) {
            matcher.accept(tokenizer, token);
        }
        Ok(token)
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<TokenId>;

    fn next(&mut self) -> Option<Result<TokenId>> {
        if self.finish.is_some() {
            return None;
        }
        match self.step() {
            Ok(Ok(token)) => Some(Ok(token)),
            Ok(Err(finish)) => {
                self.finish = Some(finish);
                None
            }
            Err(e) => {
                self.finish = Some(Finish::Failed);
                Some(Err(e))
            }
        }
    }
}
