//! One timeline of tokens and its KV cache.

use std::fmt;
use std::sync::Arc;

use super::model::Timeline;
use super::{Engine, Sampler};
use crate::error::{Error, Kind, Result};
use crate::llm::engine::SessionRoom;
use crate::units::TokenId;

/// A timeline: tokens that were computed, in order, and what the model thinks comes next. Used from one thread at
/// a time; several sessions of one engine may run on several threads and then share its workers turn by turn.
pub struct Session {
    engine: Arc<Engine>,
    timeline: Box<dyn Timeline>,
    tokens: Vec<TokenId>,
    pinned: usize,
    logits: Vec<f32>,
    /// Whether `logits` belong to the last token.
    fresh: bool,
    _room: SessionRoom,
}

/// Gets the logits of what follows each token, by its index.
pub(super) type Each<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// Why an append was refused: there are more tokens than room. Found as the cause of the error (see
/// [`WindowFull::of`]); the conversation drops its oldest turns and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowFull {
    pub wanted: usize,
    pub free: usize,
    pub context: usize,
}

impl fmt::Display for WindowFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens wanted, {} of {} free", self.wanted, self.free, self.context)
    }
}

impl std::error::Error for WindowFull {}

impl WindowFull {
    /// The numbers, where `error` is a full window.
    pub fn of(error: &Error) -> Option<WindowFull> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }
}

/// A timeline's start, kept for later: tokens, and keys and values as the engine's backend lays them out.
#[derive(Clone)]
pub struct Snapshot {
    engine: std::sync::Weak<Engine>,
    tokens: Vec<TokenId>,
    kv: Vec<u8>,
}

impl Snapshot {
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Size of the kept keys and values.
    pub fn bytes(&self) -> usize {
        self.kv.len()
    }
}

impl Session {
    pub(super) fn new(engine: Arc<Engine>, timeline: Box<dyn Timeline>, room: SessionRoom) -> Self {
        let logits = vec![0.0; engine.hyper().vocabulary];
        Self { engine, timeline, tokens: Vec::new(), pinned: 0, logits, fresh: false, _room: room }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Number of tokens in the timeline.
    pub fn position(&self) -> usize {
        self.tokens.len()
    }

    /// The timeline.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Tokens that still fit.
    pub fn free(&self) -> usize {
        self.engine.context() - self.tokens.len()
    }

    /// Logits of what follows the last token: `[vocabulary]`, f32. Empty where there is nothing they could belong to:
    /// at the start, and after [`Session::truncate`] or [`Session::restore`], until the next append.
    pub fn logits(&self) -> &[f32] {
        if self.fresh { &self.logits } else { &[] }
    }

    /// Computes `tokens` behind the timeline, [`Engine::prefill_chunk`] at a time; before each chunk `cancelled` is asked.
    ///
    /// # Errors
    /// A [`WindowFull`] (kind [`Kind::OverBudget`]) where they do not all fit, a [`Kind::Internal`] one where a token is not
    /// in the vocabulary: nothing is computed then. [`Kind::Cancelled`]: the chunks before stay, [`Session::position`]
    /// tells how far it came.
    pub fn append(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool) -> Result<()> {
        self.append_parts(tokens, cancelled, None)
    }

    /// As [`Session::append`]; `each` gets the logits of what follows every one of `tokens`, by its index: what judging a
    /// text takes.
    ///
    /// # Errors
    /// As [`Session::append`].
    pub fn append_each(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool, each: &mut Each<'_>) -> Result<()> {
        self.append_parts(tokens, cancelled, Some(each))
    }

    fn append_parts(
        &mut self,
        tokens: &[TokenId],
        cancelled: &dyn Fn() -> bool,
        mut each: Option<&mut Each<'_>>,
    ) -> Result<()> {
        let full = WindowFull { wanted: tokens.len(), free: self.free(), context: self.engine.context() };
        if full.wanted > full.free {
            return Err(Error::new(Kind::OverBudget, "the language model's context is full")
                .remedy("shorten the conversation or raise llm.context_tokens")
                .because(full));
        }
        let vocabulary = self.logits.len();
        if let Some(bad) = tokens.iter().find(|t| t.0 as usize >= vocabulary) {
            return Err(Error::new(Kind::Internal, format!("token {} is not one of {vocabulary}", bad.0)));
        }
        let chunk = self.engine.prefill_chunk();
        let chunks = tokens.len().div_ceil(chunk);
        for (i, part) in tokens.chunks(chunk).enumerate() {
            if cancelled() {
                return Err(Error::new(Kind::Cancelled, "the language model was told to stop"));
            }
            self.fresh = false;
            let last = i + 1 == chunks;
            let wanted = last && each.is_none();
            self.timeline.forward(part, self.tokens.len(), wanted.then_some(&mut self.logits[..]))?;
            if let Some(each) = &mut each {
                for row in 0..part.len() {
                    self.timeline.logits(row, &mut self.logits)?;
                    each(i * chunk + row, &self.logits);
                }
            }
            self.tokens.extend_from_slice(part);
            self.fresh = last;
        }
        Ok(())
    }

    /// Makes the timeline equal `tokens`: keeps the common start, drops the rest, computes what is new. Returns how many
    /// tokens were kept. [`Session::logits`] are there afterwards, also where nothing was new.
    ///
    /// # Errors
    /// As [`Session::append`]; [`Kind::Internal`] where `tokens` differ from the pinned start.
    pub fn sync(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool) -> Result<usize> {
        let mut kept = self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        if kept == tokens.len() && (kept < self.tokens.len() || !self.fresh) {
            // Logits come from computing a token: the last one again, even where it is pinned.
            kept = kept.saturating_sub(1);
            let pinned = std::mem::replace(&mut self.pinned, 0);
            let synced = self.truncate(kept).and_then(|()| self.append(&tokens[kept..], cancelled));
            self.pinned = pinned.min(self.position());
            return synced.map(|()| kept);
        }
        self.truncate(kept)?;
        self.append(&tokens[kept..], cancelled)?;
        Ok(kept)
    }

    /// Forgets everything from `position` on. Costs nothing.
    ///
    /// # Errors
    /// [`Kind::Internal`] where `position` lies beyond the timeline or inside the pinned start.
    pub fn truncate(&mut self, position: usize) -> Result<()> {
        if position > self.tokens.len() || position < self.pinned {
            let (len, pinned) = (self.tokens.len(), self.pinned);
            let what = format!("cannot cut {len} tokens, of which {pinned} are pinned, at {position}");
            return Err(Error::new(Kind::Internal, what));
        }
        self.fresh &= position == self.tokens.len();
        self.tokens.truncate(position);
        Ok(())
    }

    /// Protects the first `len` tokens (system prompt and tools) from [`Session::truncate`]; 0 lifts it.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the timeline is shorter.
    pub fn pin(&mut self, len: usize) -> Result<()> {
        if len > self.tokens.len() {
            return Err(Error::new(Kind::Internal, format!("cannot pin {len} of {} tokens", self.tokens.len())));
        }
        self.pinned = len;
        Ok(())
    }

    pub fn pinned(&self) -> usize {
        self.pinned
    }

    /// A copy of the pinned start.
    ///
    /// # Errors
    /// What the backend says where the cache cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            engine: Arc::downgrade(&self.engine),
            tokens: self.tokens[..self.pinned].to_vec(),
            kv: self.timeline.save(self.pinned)?,
        })
    }

    /// Replaces the whole timeline by the snapshot's tokens, pinned, without computing them.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the snapshot is of another engine.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.engine.as_ptr() != Arc::as_ptr(&self.engine) {
            return Err(Error::new(Kind::Internal, "the snapshot belongs to another engine"));
        }
        self.fresh = false;
        self.pinned = 0;
        self.tokens.clear();
        self.timeline.load(snapshot.tokens.len(), &snapshot.kv)?;
        self.tokens.extend_from_slice(&snapshot.tokens);
        self.pinned = self.tokens.len();
        Ok(())
    }

    /// Tokens one by one, chosen by `sampler`, until one of `stop` (which is not given out), `max` tokens or a full window.
    ///
    /// A token is computed when the one after it is asked for: a caller that stops early leaves its last token out
    /// of the timeline, one that runs to the end has all of them in it (but for the last one of a full window).
    pub fn generate<'a>(
        &'a mut self,
        sampler: &'a mut Sampler,
        stop: &'a [TokenId],
        max: usize,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Generation<'a> {
        Generation { session: self, sampler, stop, left: max, pending: None, cancelled, finish: None }
    }
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// A stop token.
    Stop(TokenId),
    /// As many tokens as were asked for.
    Length,
    /// The context is full.
    Window,
    /// An error, which was given out.
    Failed,
}

/// Tokens being generated; see [`Session::generate`].
pub struct Generation<'a> {
    session: &'a mut Session,
    sampler: &'a mut Sampler,
    stop: &'a [TokenId],
    left: usize,
    pending: Option<TokenId>,
    cancelled: &'a dyn Fn() -> bool,
    finish: Option<Finish>,
}

impl Generation<'_> {
    /// Why it ended; `None` while it has not.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    fn step(&mut self) -> Result<Result<TokenId, Finish>> {
        if let Some(token) = self.pending.take() {
            if self.session.free() == 0 {
                return Ok(Err(Finish::Window));
            }
            self.session.append(&[token], self.cancelled)?;
        }
        if self.left == 0 {
            return Ok(Err(Finish::Length));
        }
        if !self.session.fresh {
            let what = "nothing to continue: the session has no token computed last";
            return Err(Error::new(Kind::Internal, what));
        }
        let token = self.sampler.sample(&self.session.logits, &self.session.tokens);
        if self.stop.contains(&token) {
            return Ok(Err(Finish::Stop(token)));
        }
        self.left -= 1;
        self.pending = Some(token);
        Ok(Ok(token))
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
