//! Tool calls that cannot be wrong: what the model may write, byte by byte.
//!
//! A turn that begins as a call must become one: of a tool that is offered, with the arguments of its schema, each of its
//! type and within its bounds, none missing, none twice, and nothing after it. Every other turn is free.
//!
//! A [`Grammar`] is made once from the schemas; a [`Matcher`] follows one turn. Nothing is precomputed per vocabulary: the
//! token the sampler chose is tried, which costs its few bytes, and only if it does not fit are others looked at. So a
//! model that writes sound calls pays nothing, and any tokenizer serves.

use std::sync::Arc;

use super::reply::{CLOSE_TAG, CallStyle, OPEN_TAG};
use super::session::Constraint;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Kind, Result};
use crate::schema::ToolSchema;
use crate::units::TokenId;

mod call;
mod number;
#[cfg(test)]
mod tests;
mod text;
mod words;

use call::{Call, Tool};
use words::Words;

/// The calls that may be written.
pub struct Grammar {
    style: CallStyle,
    names: Words,
    tools: Vec<Tool>,
}

/// Most arguments a tool may have.
pub const MAX_PARAMS: usize = 64;

impl Grammar {
    /// The grammar of calls of `tools`. `None` without tools: then nothing is a call.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] naming the tool that has more than [`MAX_PARAMS`] arguments.
    pub fn new(tools: &[ToolSchema], style: CallStyle) -> Result<Option<Arc<Self>>> {
        if tools.is_empty() {
            return Ok(None);
        }
        if let Some(t) = tools.iter().find(|t| t.params.len() > MAX_PARAMS) {
            let what = format!("the tool {} has {} arguments; at most {MAX_PARAMS}", t.name, t.params.len());
            return Err(Error::new(Kind::Unsupported, what).remedy("split it into several tools"));
        }
        Ok(Some(Arc::new(Self {
            style,
            names: Words::quoted(tools.iter().map(|t| t.name.as_str())),
            tools: tools.iter().map(Tool::new).collect(),
        })))
    }

    /// Follows a turn from its start.
    pub fn matcher(self: &Arc<Self>) -> Matcher {
        Matcher { grammar: self.clone(), state: State::Start }
    }
}

/// One turn so far.
#[derive(Clone)]
pub struct Matcher {
    grammar: Arc<Grammar>,
    state: State,
}

/// Where in a turn one is.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing but white space has come.
    Start,
    /// In words; of the tag that begins a call, so many bytes have come last.
    Free {
        tag: usize,
    },
    Call(Call),
    /// A call is complete: nothing may follow.
    End,
}

impl Grammar {
    fn step(&self, state: State, byte: u8) -> Option<State> {
        let tagged = self.style == CallStyle::Tagged;
        match state {
            State::Start if byte.is_ascii_whitespace() => Some(State::Start),
            State::Start if byte == b'{' => self.call(Call::bare(self.style), byte),
            // Read as a call as well, which no list of calls is.
            State::Start if byte == b'[' => None,
            State::Start => self.step(State::Free { tag: 0 }, byte),
            State::Free { tag } if tagged => {
                let tag = match OPEN_TAG.as_bytes()[tag] == byte {
                    true => tag + 1,
                    // The tag's first byte does not occur again within it.
                    false => usize::from(OPEN_TAG.as_bytes()[0] == byte),
                };
                Some(if tag == OPEN_TAG.len() { State::Call(Call::tagged()) } else { State::Free { tag } })
            }
            State::Free { .. } => Some(state),
            State::Call(call) => self.call(call, byte),
            State::End => None,
        }
    }

    fn call(&self, call: Call, byte: u8) -> Option<State> {
        let call = call.step(byte, &self.names, &self.tools)?;
        Some(if call.is_complete() { State::End } else { State::Call(call) })
    }

    /// Where `token` leads, `None` where it must not come.
    fn after(&self, state: State, tokenizer: &Tokenizer, token: TokenId) -> Option<State> {
        let bytes = tokenizer.bytes_of(token);
        if tokenizer.is_special(token) && ![OPEN_TAG.as_bytes(), CLOSE_TAG.as_bytes()].contains(&bytes) {
            // Has no text; within a call it would be lost.
            return matches!(state, State::Start | State::Free { .. }).then_some(state);
        }
        if bytes.is_empty() && matches!(state, State::Call(_) | State::End) {
            return None;
        }
        bytes.iter().try_fold(state, |state, &b| self.step(state, b))
    }
}

impl Matcher {
    /// Whether `token` may come next.
    pub fn allows(&self, tokenizer: &Tokenizer, token: TokenId) -> bool {
        self.grammar.after(self.state, tokenizer, token).is_some()
    }

    /// Whether the turn may end here.
    pub fn may_end(&self) -> bool {
        !matches!(self.state, State::Call(_))
    }

    /// Whether the turn is a call, or has become one.
    pub fn in_call(&self) -> bool {
        matches!(self.state, State::Call(_) | State::End)
    }
}

impl Constraint for Matcher {
    fn must_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    fn accept(&mut self, tokenizer: &Tokenizer, token: TokenId) -> bool {
        match self.grammar.after(self.state, tokenizer, token) {
            Some(state) => {
                self.state = state;
                true
            }
            None => false,
        }
    }

    fn best(&self, tokenizer: &Tokenizer, logits: &[f32], stop: &[TokenId]) -> Option<TokenId> {
        let mut best = None;
        let mut highest = f32::NEG_INFINITY;
        for (token, &logit) in (0..).map(TokenId).zip(logits) {
            // Few are higher than all before them, so few are tried.
            if logit > highest && self.fits(tokenizer, token, stop) {
                (best, highest) = (Some(token), logit);
            }
        }
        best
    }

    fn mask(&self, tokenizer: &Tokenizer, logits: &mut [f32], stop: &[TokenId]) {
        let mut first = [false; 256];
        for (byte, first) in (0..=255).zip(&mut first) {
            *first = self.grammar.step(self.state, byte).is_some();
        }
        for (token, logit) in (0..).map(TokenId).zip(logits) {
            let begins = tokenizer.bytes_of(token).first().is_none_or(|&b| first[usize::from(b)]);
            let special = || tokenizer.is_special(token) || stop.contains(&token);
            if (!begins && !special()) || !self.fits(tokenizer, token, stop) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    fn fits(&self, tokenizer: &Tokenizer, token: TokenId, stop: &[TokenId]) -> bool {
        match stop.contains(&token) {
            true => self.may_end(),
            false => self.allows(tokenizer, token),
        }
    }
}
