//! The memory of the conversation, and the prompt made from it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::schema::{Message, Role, ToolSchema};

use super::{Settings, excerpt};

/// Turns kept at most, whatever the context would hold.
const TURNS_MAX: usize = 64;
/// It forgets the last turn rather than keep fewer characters than this of the turn's tool results.
const RESULT_MIN: usize = 400;

/// The system message, pinned, and the turns that followed it.
#[derive(Debug, Clone)]
pub struct Context {
    system: Message,
    turns: VecDeque<Vec<Message>>,
    last_turn: Duration,
    forget_after: Duration,
    reply_tokens: usize,
}

impl Context {
    /// `tools` in the order they are to be shown, which should not change from start to start: the prompt's prefix is
    /// kept computed.
    pub fn new(settings: &Settings, tools: &[ToolSchema]) -> Self {
        Self {
            system: Message::new(Role::System, system_prompt(&settings.persona, tools)),
            turns: VecDeque::new(),
            last_turn: Duration::ZERO,
            forget_after: Duration::from_secs(settings.forget_after_min * 60),
            reply_tokens: settings.reply_tokens,
        }
    }

    /// The pinned block.
    pub fn system(&self) -> &Message {
        &self.system
    }

    /// Turns in memory.
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Keeps a finished turn.
    pub fn remember(&mut self, now: Duration, messages: Vec<Message>) {
        self.forget_if_idle(now);
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(messages);
        self.last_turn = now;
    }

    /// Forgets everything but the pinned block.
    pub fn forget(&mut self) {
        self.turns.clear();
    }

    /// Forgets a conversation that has been idle for too long.
    pub fn forget_if_idle(&mut self, now: Duration) {
        if !self.turns.is_empty() && now.saturating_sub(self.last_turn) >= self.forget_after {
            self.turns.clear();
        }
    }

    /// The prompt for `exchange`: the pinned block, what fits of the memory, the exchange. `count` gives the tokens of a
    /// list of messages as they are rendered.
    ///
    /// What does not fit beside a reply goes in this order, until a quarter of the room is free: turns of the memory, the
    /// oldest first; the middle of long tool results; the last turn of the memory.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when the pinned block and the exchange alone, without most of its tool results, leave no
    /// room for a reply.
    pub fn prompt(
        &mut self,
        now: Duration,
        exchange: &[Message],
        context_tokens: usize,
        count: impl Fn(&[Message]) -> usize,
    ) -> Result<Vec<Message>> {
        self.forget_if_idle(now);
        let room = context_tokens.saturating_sub(self.reply_tokens);
        let prompt = self.assemble(exchange);
        if count(&prompt) <= room {
            return Ok(prompt);
        }
        // Everything after a removed part is computed again, so when something has to go, enough goes to last a while.
        let most = room - room / 4;
        while self.turns.len() > 1 {
            self.turns.pop_front();
            let prompt = self.assemble(exchange);
            if count(&prompt) <= most {
                return Ok(prompt);
            }
        }
        let last = self.turns.pop_front();
        let long = excerpt::longest(exchange);
        if let Some(last) = last {
            let longest = long.max(excerpt::longest(&last));
            let both = |keep| [excerpt::shortened(&last, keep), excerpt::shortened(exchange, keep)].concat();
            if let Some(keep) = most_kept(longest, |keep| count(&self.assemble(&both(keep))) <= most)
                && keep >= long.min(RESULT_MIN)
            {
                self.turns.push_back(excerpt::shortened(&last, keep));
                return Ok(self.assemble(&excerpt::shortened(exchange, keep)));
            }
        }
        let prompt = self.assemble(exchange);
        if count(&prompt) <= room {
            return Ok(prompt);
        }
        let shortened = |keep| self.assemble(&excerpt::shortened(exchange, keep));
        let kept = |most| most_kept(long, |keep| count(&shortened(keep)) <= most);
        if let Some(keep) = kept(most).or_else(|| kept(room)) {
            return Ok(shortened(keep));
        }
        let tokens = count(&shortened(0));
        Err(Error::new(
            Kind::Unsupported,
            format!("the request and the tool list take {tokens} tokens, and only {room} of the context of {context_tokens} are left beside a reply"),
        )
        .remedy("say it in fewer words, or offer fewer tools (tools.command, tools.disable)"))
    }

    fn assemble(&self, exchange: &[Message]) -> Vec<Message> {
        let remembered = self.turns.iter().flatten();
        std::iter::once(&self.system).chain(remembered).chain(exchange).cloned().collect()
    }
}

/// The largest number from 0 to `most` for which `fits` holds, given that it holds for all smaller ones; `None` where it
/// does not even hold for 0.
fn most_kept(most: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    if most == 0 || !fits(0) {
        return None;
    }
    let (mut kept, mut too_many) = (0, most + 1);
    while too_many - kept > 1 {
        let middle = kept.midpoint(too_many);
        if fits(middle) { kept = middle } else { too_many = middle }
    }
    Some(kept)
}

/// Persona, then the tools, one signature a line.
pub fn system_prompt(persona: &str, tools: &[ToolSchema]) -> String {
    let mut s = persona.trim().to_owned();
    if !tools.is_empty() {
        s.push_str("\nTools:");
        for tool in tools {
            s.push('\n');
            s.push_str(&tool.signature());
        }
    }
    s
}

#[cfg(test)]
mod tests;
