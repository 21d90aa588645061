//! A turn in writing, as it comes and as a whole.

use std::time::Instant;

use serde_json::Value;

use crate::schema::ToolCall;

/// Something that came of a written request, for who asked it.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A tool is called; `fast` without asking the model.
    Call { call: ToolCall, fast: bool },
    /// What came of the call before it.
    Result { result: Value },
    /// The model finished writing a call, or words. `end`: why, as [`crate::llm::writer::End::name`].
    Thought { end: &'static str, prompt_tokens: usize, tokens: usize },
    /// A sentence of the answer.
    Said { text: String },
    /// A part failed in a way the user should know of.
    Trouble { part: &'static str, message: String },
    /// The turn is over; `whole`: it was not called off.
    Over { whole: bool },
}

/// A call, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport {
    pub call: ToolCall,
    /// What the tool gave back; `None` where the turn was called off meanwhile.
    pub outcome: Option<Value>,
}

/// A turn in writing.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub answer: String,
    /// In the order in which they ran.
    pub calls: Vec<CallReport>,
    /// `stop`, `length` (the answer was cut by its limit), `repetition` (it repeated itself and was cut) or `interrupted`.
    pub finish: &'static str,
    /// From the request to the first sentence; `None` where nothing was said.
    pub first_word_ms: Option<u64>,
    pub total_ms: u64,
    /// Tokens of the longest prompt; 0 where the model was not asked.
    pub prompt_tokens: usize,
    /// Tokens that the model wrote, calls included.
    pub tokens: usize,
}

/// Gathers what comes of a request into a [`Turn`].
#[derive(Debug)]
pub struct Gather {
    began: Instant,
    turn: Turn,
}

impl Gather {
    /// The request is made now.
    pub fn begin() -> Self {
        let turn = Turn {
            answer: String::new(),
            calls: Vec::new(),
            finish: "stop",
            first_word_ms: None,
            total_ms: 0,
            prompt_tokens: 0,
            tokens: 0,
        };
        Self { began: Instant::now(), turn }
    }

    pub fn take(&mut self, told: &Told) {
        let turn = &mut self.turn;
        match told {
            Told::Call { call, .. } => turn.calls.push(CallReport { call: call.clone(), outcome: None }),
            Told::Result { result } => {
                if let Some(last) = turn.calls.last_mut() {
                    last.outcome = Some(result.clone());
                }
            }
            Told::Thought { end, prompt_tokens, tokens } => {
                turn.finish = end;
                turn.prompt_tokens = turn.prompt_tokens.max(*prompt_tokens);
                turn.tokens += tokens;
            }
            Told::Said { text } => {
                if !turn.answer.is_empty() {
                    turn.answer.push(' ');
                }
                turn.answer += text;
                turn.first_word_ms.get_or_insert(self.began.elapsed().as_millis() as u64);
            }
            Told::Over { whole: false } => turn.finish = "interrupted",
            Told::Over { whole: true } | Told::Trouble { .. } => {}
        }
    }

    /// The turn is over.
    pub fn finish(mut self) -> Turn {
        self.turn.total_ms = self.began.elapsed().as_millis() as u64;
        self.turn
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_turn_is_what_was_told() {
        let call = |name: &str| ToolCall { name: name.into(), parameters: serde_json::Map::new() };
        let mut g = Gather::begin();
        for told in [
            Told::Call { call: call("a"), fast: true },
            Told::Result { result: json!({ "ok": true }) },
            Told::Thought { end: "length", prompt_tokens: 30, tokens: 4 },
            Told::Thought { end: "stop", prompt_tokens: 20, tokens: 3 },
            Told::Call { call: call("b"), fast: false },
            Told::Said { text: "One.".into() },
            Told::Said { text: "Two.".into() },
            Told::Over { whole: false },
        ] {
            g.take(&told);
        }
        let turn = g.finish();
        assert_eq!(turn.answer, "One. Two.");
        assert_eq!(turn.calls[0].outcome, Some(json!({ "ok": true })));
        assert_eq!((turn.calls[1].call.name.as_str(), &turn.calls[1].outcome), ("b", &None));
        assert_eq!((turn.finish, turn.prompt_tokens, turn.tokens), ("interrupted", 30, 7));
        assert!(turn.first_word_ms.is_some());
    }
}
