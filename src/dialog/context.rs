//! The memory of the conversation, and the prompt made from it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::error::{Error, Kind, Result};
use crate::schema::{Message, Role, ToolSchema};

use super::Settings;

/// Turns kept at most, whatever the context would hold.
const TURNS_MAX: usize = 64;

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

    /// The prompt for `exchange`: the pinned block, what fits of the memory, the exchange. Turns that do not fit beside
    /// a reply are forgotten, oldest first, until a quarter of the room is free. `count` gives the tokens of a list of messages as they are rendered.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when the pinned block and the exchange alone leave no room for a reply.
    pub fn prompt(
        &mut self,
        now: Duration,
        exchange: &[Message],
        context_tokens: usize,
        count: impl Fn(&[Message]) -> usize,
    ) -> Result<Vec<Message>> {
        self.forget_if_idle(now);
        let room = context_tokens.saturating_sub(self.reply_tokens);
        // Whatever follows a forgotten turn is computed again. So when some have to go, enough go for a while.
        let mut most = room;
        loop {
            let mut prompt = Vec::with_capacity(1 + exchange.len() + self.turns.iter().map(Vec::len).sum::<usize>());
            prompt.push(self.system.clone());
            prompt.extend(self.turns.iter().flatten().cloned());
            prompt.extend_from_slice(exchange);
            let tokens = count(&prompt);
            if tokens <= most || (tokens <= room && self.turns.is_empty()) {
                return Ok(prompt);
            }
            most = room - room / 4;
            if self.turns.pop_front().is_none() {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("the request and the tool list take {tokens} tokens, and only {room} of the context of {context_tokens} are left beside a reply"),
                )
                .remedy("say it in fewer words, or offer fewer tools (tools.command, tools.disable)"));
            }
        }
    }
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

/// JSON on one line with a space after `:` and `,`: how calls and results were written where the model learned them.
pub fn compact_json(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    let mut ser = serde_json::Serializer::with_formatter(&mut out, Spaced);
    match value.serialize(&mut ser) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        // Only a map whose keys are no strings fails; calls and results have none.
        Err(_) => String::new(),
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ToolCall;
    use proptest::prelude::*;

    fn turn(n: usize, words: usize) -> Vec<Message> {
        vec![
            Message::new(Role::User, format!("question {n} {}", "x ".repeat(words))),
            Message::new(Role::Assistant, format!("answer {n}")),
        ]
    }

    /// A word a token and three for each message's frame.
    fn count(messages: &[Message]) -> usize {
        messages.iter().map(|m| 3 + m.content.split_whitespace().count()).sum()
    }

    fn context() -> Context {
        let tools = [ToolSchema { name: "stop".into(), description: String::new(), params: vec![] }];
        Context::new(&Settings { reply_tokens: 20, ..Settings::default() }, &tools)
    }

    #[test]
    fn the_prompt_is_what_the_model_was_trained_on() {
        let c = context();
        assert_eq!(
            c.system().content,
            "You are a friendly voice assistant. Reply briefly, as if speaking aloud.\nTools:\nstop()"
        );
        let call: ToolCall = serde_json::from_str(
            r#"{"name":"set_timer","parameters":{"duration":"10 minutes","label":"pasta","n":[1,2]}}"#,
        )
        .expect("a call");
        assert_eq!(
            compact_json(&call),
            r#"{"name": "set_timer", "parameters": {"duration": "10 minutes", "label": "pasta", "n": [1, 2]}}"#
        );
    }

    #[test]
    fn the_oldest_turns_go_first_and_the_pinned_block_never() {
        let mut c = context();
        for n in 0..10 {
            c.remember(Duration::ZERO, turn(n, 10));
        }
        let exchange = [Message::new(Role::User, "and now?")];
        let prompt = c.prompt(Duration::ZERO, &exchange, 120, count).expect("fits");
        assert!(count(&prompt) <= 100);
        assert_eq!(prompt.first(), Some(c.system()));
        assert_eq!(prompt.last(), exchange.last());
        // Three would fit; two leave room for the next ones.
        assert!(prompt[1].content.starts_with("question 8"), "{prompt:?}");
        assert_eq!(c.turns(), 2);
        c.remember(Duration::ZERO, turn(10, 10));
        assert_eq!(c.prompt(Duration::ZERO, &exchange, 120, count).expect("fits")[1].content, prompt[1].content);
        let e = c.prompt(Duration::ZERO, &exchange, 30, count).expect_err("does not fit");
        assert_eq!(e.kind(), Kind::Unsupported);
    }

    #[test]
    fn it_forgets() {
        let mut c = context();
        c.remember(Duration::from_secs(10), turn(1, 1));
        c.forget_if_idle(Duration::from_secs(600));
        assert_eq!(c.turns(), 1);
        c.forget_if_idle(Duration::from_secs(610));
        assert_eq!(c.turns(), 0);
        let mut never = Context::new(&Settings { forget_after_min: 0, ..Settings::default() }, &[]);
        never.remember(Duration::from_secs(1), turn(1, 1));
        let p = never.prompt(Duration::from_secs(1), &turn(2, 1), 1000, count).expect("fits");
        assert_eq!(p.len(), 3);
    }

    proptest! {
        #[test]
        fn prompts_fit_whatever_is_remembered(
            turns in prop::collection::vec(0usize..60, 0..100),
            asked in 0usize..40,
            window in 60usize..400,
        ) {
            let mut c = context();
            for (n, words) in turns.iter().enumerate() {
                c.remember(Duration::ZERO, turn(n, *words));
            }
            prop_assert!(c.turns() <= TURNS_MAX);
            let exchange = [Message::new(Role::User, "x ".repeat(asked))];
            match c.prompt(Duration::ZERO, &exchange, window, count) {
                Ok(p) => {
                    prop_assert!(count(&p) + 20 <= window);
                    prop_assert_eq!(p.first(), Some(c.system()));
                    prop_assert_eq!(p.last(), exchange.last());
                }
                Err(_) => prop_assert!(count(&[c.system().clone(), exchange[0].clone()]) + 20 > window),
            }
        }
    }
}
