//! The fast path: everyday commands for the built-in tools, understood without the model.
//!
//! An utterance is understood only as a whole: after politeness is taken off its ends, every word left must be
//! explained by one rule of the grammar (or, around "and", by one rule each). What is not is left to the model; a
//! wrong action is worse than a second's thought.

use std::ops::Range;

use serde_json::{Map, Value as Json, json};

use crate::schema::{ToolCall, ToolSchema};

use super::text::{located, tokens};

mod free;
mod grammar;
mod measure;
mod names;
mod pattern;
mod polite;
mod said;
mod slots;
mod sounds;
mod sum;
mod times;
mod value;

use grammar::{Fixed, Group};
use pattern::{Captures, Compiler, Pattern};
use said::{Said, Vocabulary};
use slots::FEW;
use value::Value;

/// Longer utterances are not everyday commands.
const TOKENS_MAX: usize = 32;
/// Most commands in one utterance.
const COMMANDS_MAX: usize = 3;

/// The grammar, for the tools that are offered.
pub struct Fast {
    rules: Vec<Rule>,
    /// By the number of a word, which rules can begin with it.
    beginning: Vec<Vec<usize>>,
    vocabulary: Vocabulary,
    schemas: Vec<ToolSchema>,
}

struct Rule {
    group: &'static Group,
    pattern: Pattern,
}

/// What an utterance asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Understood {
    Calls(Vec<ToolCall>),
    /// One command's value is outside the limits of its argument, in the words that were said.
    OutOfRange {
        tool: String,
        argument: String,
        said: String,
    },
    /// A command without what it needs: "duration", "time", "level" or "text".
    Incomplete {
        tool: String,
        missing: &'static str,
    },
    /// The model should be asked.
    Nothing,
}

impl Fast {
    /// Understands commands for those built-ins that are among `offered`.
    pub fn new(offered: &[ToolSchema]) -> Self {
        let has = |word: &str| offered.iter().any(|s| s.name.contains(word));
        let mut compiler = Compiler::default();
        let mut rules = Vec::new();
        for group in grammar::rules() {
            // "Remind me in ten minutes" is a timer only where nothing better is offered.
            let taken = group.unless.iter().any(|word| has(word));
            if taken || !offered.iter().any(|s| s.name == group.tool) {
                continue;
            }
            for text in group.patterns {
                if let Some(pattern) = compiler.pattern(text) {
                    rules.push(Rule { group, pattern });
                }
            }
        }
        let begins = |word: usize| (0..rules.len()).filter(|r| rules[*r].pattern.begins_with(word as u32)).collect();
        let beginning = (0..=compiler.vocabulary.len()).map(begins).collect();
        Self { rules, beginning, vocabulary: compiler.vocabulary, schemas: offered.to_vec() }
    }

    /// The calls that `utterance` asks for; `None` where something else must be said or asked first.
    pub fn interpret(&self, utterance: &str) -> Option<Vec<ToolCall>> {
        match self.understand(utterance) {
            Understood::Calls(calls) => Some(calls),
            _ => None,
        }
    }

    /// What `utterance` asks for, as it was written: free text is cut from it.
    pub fn understand(&self, utterance: &str) -> Understood {
        let mut tokens = located(utterance);
        if tokens.len() > TOKENS_MAX {
            return Understood::Nothing;
        }
        polite::drop_hesitation(&mut tokens);
        polite::undouble(&mut tokens);
        let said = Said::new(utterance, tokens, &self.vocabulary);
        self.commands(&said, 0..said.words.len(), false, COMMANDS_MAX).unwrap_or(Understood::Nothing)
    }

    /// The command that a short `utterance` sounds like where it makes no sense itself: "can sell timers" is "cancel
    /// timers". For a question back; nothing may run of it.
    pub fn sounds_like(&self, utterance: &str) -> Option<String> {
        sounds::like(utterance).filter(|heard| matches!(self.understand(heard), Understood::Calls(_)))
    }

    fn commands(&self, said: &Said<'_>, range: Range<usize>, later: bool, most: usize) -> Option<Understood> {
        if let Some(one) = self.command(said, range.clone(), later) {
            return Some(one);
        }
        if most < 2 {
            return None;
        }
        for i in range.clone() {
            if !matches!(said.words[i].as_str(), "and" | "then") {
                continue;
            }
            let Some(first) = self.command(said, range.start..i, later) else { continue };
            let rest = i + 1..range.end;
            let second = match self.commands(said, rest.clone(), true, most - 1) {
                Some(calls @ Understood::Calls(_)) => Some(calls),
                other => self.same_unit(said, range.start..i, rest, &first, most - 1).or(other),
            };
            if let Some(second) = second {
                return Some(both(first, second));
            }
        }
        None
    }

    /// "… for eight minutes and a sauce timer for twelve": the unit of the first timer is the second's.
    fn same_unit(
        &self,
        said: &Said<'_>,
        before: Range<usize>,
        rest: Range<usize>,
        first: &Understood,
        most: usize,
    ) -> Option<Understood> {
        let timers = |u: &Understood| matches!(u, Understood::Calls(c) if c.iter().all(|c| c.name == "set_timer"));
        let unit = said.words[before].iter().rev().find(|w| names::is_unit(w))?;
        if !timers(first) || rest.is_empty() {
            return None;
        }
        let said = said.with(rest, unit, &self.vocabulary);
        self.commands(&said, 0..said.words.len(), true, most).filter(timers)
    }

    /// One command, with any politeness around it.
    fn command(&self, said: &Said<'_>, range: Range<usize>, later: bool) -> Option<Understood> {
        for core in polite::cores(&said.words[range.clone()]) {
            let core = range.start + core.start..range.start + core.end;
            let mut other = None;
            let words = said.set(core.clone());
            let rules = self.beginning[said.numbers[core.start] as usize].iter().map(|r| &self.rules[*r]);
            for rule in rules.filter(|r| later || !r.group.later) {
                let Some(captures) = rule.pattern.matches(said, core.clone(), &words) else { continue };
                match self.made(rule.group, captures, said) {
                    Some(calls @ Understood::Calls(_)) => return Some(calls),
                    made => other = other.or(made),
                }
            }
            if other.is_some() {
                return other;
            }
        }
        None
    }

    /// What a rule makes of its captures; `None` where they are no value of the tool's.
    fn made(&self, group: &Group, captures: Captures, said: &Said<'_>) -> Option<Understood> {
        let tool = group.tool.to_owned();
        let beyond = captures.iter().find_map(|(argument, value)| match value {
            Value::Beyond(range) => Some((*argument, range.clone())),
            Value::Each(all) => all.iter().find_map(|v| match v {
                Value::Beyond(range) => Some((*argument, range.clone())),
                _ => None,
            }),
            _ => None,
        });
        if let Some((argument, range)) = beyond {
            // Nothing is called "zero minutes".
            return (argument != "label").then(|| Understood::OutOfRange {
                tool,
                argument: argument.to_owned(),
                said: said.written(range),
            });
        }
        if let Some(missing) = group.missing {
            return Some(Understood::Incomplete { tool, missing });
        }
        let schema = self.schemas.iter().find(|s| s.name == group.tool)?;
        let calls: Vec<ToolCall> = parameters(group, schema, captures, said)?
            .into_iter()
            .map(|parameters| ToolCall { name: tool.clone(), parameters })
            .collect();
        calls.iter().all(|c| schema.check(&c.parameters).is_empty()).then_some(Understood::Calls(calls))
    }
}

/// Two commands in one breath. If one of them can't be made, neither is.
fn both(first: Understood, second: Understood) -> Understood {
    match (first, second) {
        (Understood::Calls(mut calls), Understood::Calls(more)) => {
            // What was said twice is done once; two timers are two.
            let same = calls.last() == more.first() && calls.last().is_some_and(|c| c.name != "set_timer");
            calls.extend(more.into_iter().skip(usize::from(same)));
            Understood::Calls(calls)
        }
        (Understood::Calls(_), other) | (other, _) => other,
    }
}

/// The arguments of each call, in the order of the schema.
fn parameters(
    group: &Group,
    schema: &ToolSchema,
    captures: Captures,
    said: &Said<'_>,
) -> Option<Vec<Map<String, Json>>> {
    let few = captures.iter().find_map(|(name, value)| match value {
        Value::Number(n) if *name == FEW => Some(*n as usize),
        _ => None,
    });
    let mut one: Map<String, Json> =
        group.fixed.iter().map(|(name, value)| ((*name).to_owned(), fixed(value))).collect();
    let mut each: Option<(&str, Vec<Value>)> = None;
    for (name, value) in captures.into_iter().filter(|(name, _)| *name != FEW) {
        match value {
            Value::Each(all) => each = Some((name, all)),
            Value::Timed { time, day } if schema.params.iter().any(|p| p.name == "day") && !one.contains_key("day") => {
                one.insert(name.to_owned(), json!(time));
                one.insert("day".to_owned(), json!(day));
            }
            // "Tomorrow every day".
            _ if one.contains_key(name) => return None,
            value => {
                one.insert(name.to_owned(), plain(value, said)?);
            }
        }
    }
    let all = match each {
        None => vec![one],
        Some((name, mut values)) => {
            // Tasks are sentences, which may hold an "and".
            if one.get("list").and_then(Json::as_str).is_some_and(free::holds_sentences) {
                values = vec![free::whole(&values)?];
            }
            let with = |value: Value| {
                let mut call = one.clone();
                if value != Value::Absent {
                    call.insert(name.to_owned(), plain(value, said)?);
                }
                Some(call)
            };
            values.into_iter().map(with).collect::<Option<Vec<_>>>()?
        }
    };
    if few.is_some_and(|few| few != all.len()) || !sensible(group.tool, &all) {
        return None;
    }
    let ordered = |mut call: Map<String, Json>| -> Map<String, Json> {
        let known = schema.params.iter().filter_map(|p| call.shift_remove_entry(p.name.as_str())).collect::<Vec<_>>();
        known.into_iter().chain(call).collect()
    };
    Some(all.into_iter().map(ordered).collect())
}

fn plain(value: Value, said: &Said<'_>) -> Option<Json> {
    Some(match value {
        Value::Text(text) => json!(text),
        Value::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => json!(n as i64),
        Value::Number(n) => json!(n),
        Value::Words(range) => json!(said.plain(range)),
        Value::Written(range) => json!(said.written(range)),
        Value::Timed { time, day } => json!(format!("{day} {time}")),
        Value::Beyond(_) | Value::Absent | Value::Each(_) => return None,
    })
}

fn fixed(value: &Fixed) -> Json {
    match value {
        Fixed::Text(text) => json!(text),
        Fixed::Number(n) => json!(n),
        Fixed::Bool(on) => json!(on),
    }
}

/// Whether the arguments go together.
fn sensible(tool: &str, calls: &[Map<String, Json>]) -> bool {
    let text =
        |call: &Map<String, Json>, name: &str| call.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    tool != "convert" || calls.iter().all(|c| measure::convertible(&text(c, "from"), &text(c, "to")))
}

/// An arithmetic expression said in words, in signs: "20 percent of 50" is `20 / 100 * 50`.
pub(super) fn expression(text: &str) -> Option<String> {
    let t = tokens(text);
    let (e, n) = sum::expression(&t, true)?;
    (n == t.len()).then_some(e)
}

#[cfg(test)]
mod tests;
