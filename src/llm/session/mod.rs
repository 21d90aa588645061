//! One timeline of tokens and its KV cache.

use std::fmt;
use std::sync::Arc;

use super::model::Timeline;
use super::sampler::Needs;
use super::{Engine, Sampler};
use crate::error::{Error, Kind, Result};
use crate::units::TokenId;

mod generation;
mod lookup;
mod prefix;
mod room;
#[cfg(test)]
mod tests;

pub use generation::{Constraint, Finish, Generation};
pub use lookup::Counts;
use lookup::Speculation;
pub(super) use room::SessionRoom;

/// A timeline: tokens that were computed, in order, and what the model thinks comes next. Used from one thread at
/// a time; several sessions of one engine may run on several threads and then take turns on its workers.
pub struct Session {
    engine: Arc<Engine>,
    timeline: Box<dyn Timeline>,
    tokens: Vec<TokenId>,
    pinned: usize,
    /// Positions after the pinned start where a turn ended, ascending.
    turns: Vec<usize>,
    logits: Vec<f32>,
    /// Whether `logits` belong to the last token.
    fresh: bool,
    /// The argmax of what follows, where the backend found it and left the logits on the device.
    argmax: Option<TokenId>,
    /// The top `found` of what follows, with their logits, or all there are.
    candidates: Vec<(f32, u32)>,
    found: usize,
    speculation: Speculation,
    _room: SessionRoom,
}

/// Gets the logits of what follows each token, by its index.
pub type Each<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// What is wanted of tokens that are appended.
enum Wanted<'e, 'f> {
    /// The logits after the last token.
    Logits,
    /// The argmax after the last token, or the logits.
    Argmax,
    /// The top-k for this k, or the logits.
    Candidates(usize),
    /// The logits after every token.
    Each(&'e mut Each<'f>),
}

/// Why an append was refused: there are more tokens than room. It is the cause of the error (see
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

/// A timeline's start, kept for later: tokens, and its KV cache in the layout of the engine's backend.
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

    /// Size of the saved KV cache.
    pub fn bytes(&self) -> usize {
        self.kv.len()
    }
}

impl Engine {
    /// Starts a session: an empty timeline of [`Engine::context`] tokens.
    ///
    /// # Errors
    /// `OverBudget` where another session does not fit; `Unavailable` where the system has no memory to give; `Device` where its
    /// device does not answer.
    pub fn session(self: &Arc<Self>) -> Result<Session> {
        let (timeline, room) = self.open()?;
        Ok(Session::new(self.clone(), timeline, room))
    }
}

impl Session {
    fn new(engine: Arc<Engine>, timeline: Box<dyn Timeline>, room: SessionRoom) -> Self {
        let logits = vec![0.0; engine.hyper().vocabulary];
        let speculation = Speculation::new(engine.speculates() && timeline.rows_are_alike());
        Self {
            engine,
            timeline,
            tokens: Vec::new(),
            pinned: 0,
            turns: Vec::new(),
            logits,
            fresh: false,
            argmax: None,
            candidates: Vec::new(),
            found: 0,
            speculation,
            _room: room,
        }
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

    /// Computes `tokens` at the end of the timeline, [`Engine::prefill_chunk`] at a time; before each chunk `cancelled` is asked.
    ///
    /// # Errors
    /// A [`WindowFull`] (kind [`Kind::OverBudget`]) where they do not all fit, a [`Kind::Internal`] one where a token is not
    /// in the vocabulary: nothing is then computed. [`Kind::Cancelled`]: the chunks before stay, [`Session::position`]
    /// says how far it got.
    pub fn append(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool) -> Result<()> {
        self.append_parts(tokens, cancelled, Wanted::Logits)
    }

    /// As [`Session::append`]; `each` gets the logits of what follows every one of `tokens`, by its index. Scoring a text
    /// needs this.
    ///
    /// # Errors
    /// As [`Session::append`].
    pub fn append_each(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool, each: &mut Each<'_>) -> Result<()> {
        self.append_parts(tokens, cancelled, Wanted::Each(each))
    }

    /// As [`Session::append`]. Where less than all logits is needed, a backend may find that and leave the logits on the device.
    pub(super) fn compute(&mut self, tokens: &[TokenId], cancelled: &dyn Fn() -> bool, needs: Needs) -> Result<()> {
        let wanted = match needs {
            Needs::Argmax => Wanted::Argmax,
            Needs::Candidates(k) => Wanted::Candidates(k),
            Needs::Logits => Wanted::Logits,
        };
        self.append_parts(tokens, cancelled, wanted)
    }

    fn append_parts(
        &mut self,
        tokens: &[TokenId],
        cancelled: &dyn Fn() -> bool,
        mut wanted: Wanted<'_, '_>,
    ) -> Result<()> {
        let room = WindowFull { wanted: tokens.len(), free: self.free(), context: self.engine.context() };
        if room.wanted > room.free {
            return Err(full(room, &self.engine));
        }
        let vocabulary = self.logits.len();
        if let Some(bad) = tokens.iter().find(|t| t.0 as usize >= vocabulary) {
            return Err(Error::new(Kind::Internal, format!("token {} is not one of {vocabulary}", bad.0)));
        }
        let chunk = self.engine.prefill_chunk();
        let chunks = tokens.len().div_ceil(chunk);
        for (i, part) in tokens.chunks(chunk).enumerate() {
            if cancelled() {
                return Err(stopped());
            }
            self.stale();
            let last = i + 1 == chunks;
            if part.len() == 1 && last {
                let (timeline, start) = (&mut self.timeline, self.tokens.len());
                match wanted {
                    Wanted::Argmax => self.argmax = timeline.argmax(part, start)?,
                    Wanted::Candidates(k) if timeline.candidates(part, start, k, &mut self.candidates)? => {
                        self.found = k
                    }
                    Wanted::Candidates(_) | Wanted::Logits | Wanted::Each(_) => {}
                }
                if self.kept() {
                    self.tokens.extend_from_slice(part);
                    continue;
                }
            }
            let logits = last && !matches!(wanted, Wanted::Each(_));
            self.timeline.forward(part, self.tokens.len(), logits.then_some(&mut self.logits[..]))?;
            if let Wanted::Each(each) = &mut wanted {
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
    /// tokens were kept. [`Session::logits`] are there afterwards, even where nothing was new.
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
        if position < self.tokens.len() {
            self.stale();
        }
        self.tokens.truncate(position);
        self.turns.truncate(self.turns.partition_point(|&end| end <= position));
        Ok(())
    }

    /// A turn ends here: up to here and no further [`Session::make_room`] may forget at a time.
    pub fn end_turn(&mut self) {
        let here = self.position();
        if here > self.turns.last().copied().unwrap_or(0).max(self.pinned) {
            self.turns.push(here);
        }
    }

    /// Forgets the oldest turns after the pinned start, as few as it takes for `wanted` tokens to fit, and moves what
    /// follows them up. Returns how many tokens were forgotten.
    ///
    /// What follows is computed again: keys and values depend on everything before them, so those that were computed with
    /// the forgotten turns in view, moved, would not be what the model makes of the tokens that are left.
    ///
    /// # Errors
    /// A [`WindowFull`] where even that does not make enough room: nothing is then changed. [`Kind::Cancelled`]: the
    /// timeline ends within what was to be moved.
    pub fn make_room(&mut self, wanted: usize, cancelled: &dyn Fn() -> bool) -> Result<usize> {
        let free = self.free();
        if wanted <= free {
            return Ok(0);
        }
        let start = self.pinned;
        let ends = self.turns.iter().enumerate().filter(|(_, end)| **end > start);
        let Some((i, &end)) = ends.into_iter().find(|(_, end)| **end - start + free >= wanted) else {
            return Err(full(WindowFull { wanted, free, context: self.engine.context() }, &self.engine));
        };
        let moved = self.tokens[end..].to_vec();
        let turns: Vec<usize> = self.turns[i + 1..].iter().map(|t| t - (end - start)).collect();
        self.truncate(start)?;
        self.turns.retain(|&t| t <= start);
        let appended = self.append(&moved, cancelled);
        self.turns.extend(turns);
        self.turns.truncate(self.turns.partition_point(|&t| t <= self.tokens.len()));
        appended.map(|()| end - start)
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

    /// Tokens drafted and accepted since the session began (see [`crate::llm::Settings::speculation`]).
    pub fn draft_counts(&self) -> Counts {
        self.speculation.counts()
    }

    pub fn pinned(&self) -> usize {
        self.pinned
    }

    /// A copy of the pinned start.
    ///
    /// # Errors
    /// The backend's error where the cache cannot be read.
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
    /// [`Kind::Internal`] where the snapshot is of another engine. The backend's error; the timeline is then empty.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.engine.as_ptr() != Arc::as_ptr(&self.engine) {
            return Err(Error::new(Kind::Internal, "the snapshot belongs to another engine"));
        }
        self.clear();
        self.timeline.load(snapshot.tokens.len(), &snapshot.kv)?;
        self.tokens.extend_from_slice(&snapshot.tokens);
        self.pinned = self.tokens.len();
        Ok(())
    }

    /// Tokens one by one, chosen by `sampler`, until one of `stop` (which is not returned), `max` tokens or a full window.
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
        Generation::new(self, sampler, stop, max, cancelled)
    }

    /// Forgets everything, the pinned start included.
    fn clear(&mut self) {
        self.tokens.clear();
        self.turns.clear();
        self.pinned = 0;
        self.stale();
    }

    /// Marks what is known about the next token as stale.
    fn stale(&mut self) {
        (self.fresh, self.argmax, self.found) = (false, None, 0);
    }

    /// Whether the backend gave the argmax or top-k and left the logits on the device.
    fn kept(&self) -> bool {
        self.argmax.is_some() || self.found > 0
    }

    /// The top `k` tokens to follow, or more of them, where the backend found them.
    fn candidates(&self, k: usize) -> Option<&[(f32, u32)]> {
        (self.found >= k).then_some(&self.candidates[..])
    }

    /// Copies the logits device-to-host where the backend left them there.
    fn fetch_logits(&mut self) -> Result<()> {
        if !self.fresh && self.kept() {
            // Only single tokens are computed this way.
            self.timeline.logits(0, &mut self.logits)?;
            self.fresh = true;
        }
        Ok(())
    }

    /// Computes `tokens` together at the timeline's end; only the first becomes part of it, and [`Session::logits`] follow
    /// it. The others are a draft: [`Session::accept`] takes them one by one, and what comes instead overwrites them.
    fn compute_draft(&mut self, tokens: &[TokenId]) -> Result<()> {
        self.stale();
        self.timeline.forward(tokens, self.tokens.len(), None)?;
        self.accept(0, tokens[0])
    }

    /// Takes row `row` of [`Session::compute_draft`] into the timeline: it is `token`, and all before it were taken.
    fn accept(&mut self, row: usize, token: TokenId) -> Result<()> {
        self.stale();
        self.timeline.logits(row, &mut self.logits)?;
        self.tokens.push(token);
        self.fresh = true;
        Ok(())
    }
}

fn full(room: WindowFull, engine: &Engine) -> Error {
    Error::new(Kind::OverBudget, "the language model's context is full")
        .remedy(format!("shorten the conversation, or {}", engine.longer_context()))
        .because(room)
}

fn stopped() -> Error {
    Error::new(Kind::Cancelled, "the language model was stopped")
}
