//! The fast path: everyday commands for the built-in tools, understood without the model.
//!
//! An utterance is understood only as a whole: after politeness is taken off its ends, every word left must be
//! explained by one rule of the grammar (or, around "and", by one rule each). What is not is left to the model; a
//! wrong action is worse than a second's thought.

use serde_json::{Map, Value, json};

use crate::schema::{ToolCall, ToolSchema};

use super::duration;
use super::text::tokens;

mod grammar;
mod pattern;
mod polite;
mod slots;

use grammar::{Make, RULES};
use pattern::{Captures, Pattern};

/// Longer utterances are not everyday commands.
const TOKENS_MAX: usize = 32;
/// Most commands in one utterance.
const COMMANDS_MAX: usize = 3;

/// The grammar, for the tools that are offered.
pub struct Fast {
    rules: Vec<Rule>,
    schemas: Vec<ToolSchema>,
}

/// What became of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub enum Understood {
    /// It asks for these calls (at least one).
    Calls(Vec<ToolCall>),
    /// It is a command, but a value is beyond its limits.
    OutOfRange { tool: String, argument: String, said: String },
    /// It is the beginning of a command.
    Incomplete { tool: String, missing: &'static str },
    /// It is no command that is known here.
    Nothing,
}

struct Rule {
    tool: &'static str,
    make: Make,
    /// Only as a later part of an utterance: "… and another one for ten minutes".
    later: bool,
    pattern: Pattern,
}

impl Fast {
    /// Understands commands for those built-ins that are among `offered`.
    pub fn new(offered: &[ToolSchema]) -> Self {
        let has = |word: &str| offered.iter().any(|s| s.name.contains(word));
        let mut rules = Vec::new();
        for group in RULES {
            // "Remind me in ten minutes" is a timer only where nothing better is offered.
            let taken = group.unless.iter().any(|word| has(word));
            if taken || !offered.iter().any(|s| s.name == group.tool) {
                continue;
            }
            for text in group.patterns {
                if let Some(pattern) = Pattern::compile(text) {
                    rules.push(Rule { tool: group.tool, make: group.make, later: group.later, pattern });
                }
            }
        }
        Self { rules, schemas: offered.to_vec() }
    }

    pub fn understand(&self, utterance: &str) -> Understood {
        self.interpret(utterance).map_or(Understood::Nothing, Understood::Calls)
    }

    pub fn sounds_like(&self, _utterance: &str) -> Option<String> {
        None
    }

    /// The calls that `utterance` asks for; `None` where the model should be asked.
    pub fn interpret(&self, utterance: &str) -> Option<Vec<ToolCall>> {
        let mut tokens = tokens(utterance);
        if tokens.len() > TOKENS_MAX {
            return None;
        }
        polite::drop_hesitation(&mut tokens);
        polite::undouble(&mut tokens);
        let mut calls = self.commands(&tokens, false, COMMANDS_MAX)?;
        calls.dedup();
        Some(calls)
    }

    fn commands(&self, t: &[String], later: bool, most: usize) -> Option<Vec<ToolCall>> {
        if let Some(call) = self.command(t, later) {
            return Some(vec![call]);
        }
        if most < 2 {
            return None;
        }
        for (i, word) in t.iter().enumerate() {
            if !matches!(word.as_str(), "and" | "then") {
                continue;
            }
            let Some(first) = self.command(&t[..i], later) else { continue };
            if let Some(rest) = self.commands(&t[i + 1..], true, most - 1) {
                return Some(std::iter::once(first).chain(rest).collect());
            }
        }
        None
    }

    /// One command, with any politeness around it.
    fn command(&self, t: &[String], later: bool) -> Option<ToolCall> {
        for range in polite::cores(t) {
            let core = &t[range];
            for rule in self.rules.iter().filter(|r| later || !r.later) {
                let Some(captures) = rule.pattern.matches(core) else { continue };
                let call = ToolCall { name: rule.tool.to_owned(), parameters: parameters(rule.make, captures) };
                let fits = self.schemas.iter().any(|s| s.name == call.name && s.check(&call.parameters).is_empty());
                if fits {
                    return Some(call);
                }
            }
        }
        None
    }
}

/// An arithmetic expression said in words, in signs: "20 percent of 50" is `20 / 100 * 50`.
pub(super) fn expression(text: &str) -> Option<String> {
    let t = tokens(text);
    let (e, n) = slots::expression(&t, true)?;
    (n == t.len()).then_some(e)
}

fn parameters(make: Make, c: Captures) -> Map<String, Value> {
    let mut p = Map::new();
    match make {
        Make::Nothing => {}
        Make::Timer => {
            p.insert("duration".to_owned(), json!(duration::plain(c.seconds.unwrap_or_default())));
            if let Some(label) = c.text {
                p.insert("label".to_owned(), json!(label));
            }
        }
        Make::TimerFor(label) => {
            p.insert("duration".to_owned(), json!(duration::plain(c.seconds.unwrap_or_default())));
            p.insert("label".to_owned(), json!(label));
        }
        Make::Label => {
            let label = c.text.or(c.seconds.map(duration::plain));
            if let Some(label) = label {
                p.insert("label".to_owned(), json!(label));
            }
        }
        Make::All => {
            p.insert("label".to_owned(), json!("all"));
        }
        Make::Place => {
            p.insert("location".to_owned(), json!(c.text.unwrap_or_default()));
        }
        Make::Level => {
            p.insert("level".to_owned(), json!(c.number.unwrap_or_default()));
        }
        Make::LevelOf(level) => {
            p.insert("level".to_owned(), json!(level));
        }
        Make::On(on) => {
            p.insert("on".to_owned(), json!(on));
        }
        Make::Expression => {
            p.insert("expression".to_owned(), json!(c.text.unwrap_or_default()));
        }
    }
    p
}

#[cfg(test)]
mod tests;
