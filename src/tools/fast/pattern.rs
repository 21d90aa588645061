//! A small pattern language over tokens.
//!
//! `a b` in order, `(a|b c)` one of, `[a|b]` one of or nothing, `<slot>` a value, `@name` a named piece of the
//! grammar. A pattern matches only if it explains every token.

use super::grammar::PIECES;
use super::slots;

/// Named pieces inside each other at most this deep.
const NESTING_MAX: usize = 6;

#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Node>);

#[derive(Debug, Clone)]
enum Node {
    Word(String),
    /// One of these sequences.
    Any(Vec<Vec<Node>>),
    Slot(Slot),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Duration,
    /// A whole number of percent, with or without the word.
    Percent,
    Label,
    /// What a timer is for, as a verb: "check the oven".
    Errand,
    /// The same where it cannot be meant as a command to the device at once.
    Reminder,
    Place,
    /// Arithmetic after a word that asks for it.
    Sum,
    /// Arithmetic that stands alone, so that it must be said in words.
    SpokenSum,
}

/// What the slots took.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Captures {
    pub(super) seconds: Option<u64>,
    pub(super) number: Option<u32>,
    pub(super) text: Option<String>,
}

impl Pattern {
    /// `None` where the text is not a pattern (a test compiles them all).
    pub(super) fn compile(text: &str) -> Option<Self> {
        Self::nested(text, 0)
    }

    fn nested(text: &str, depth: usize) -> Option<Self> {
        if depth > NESTING_MAX {
            return None;
        }
        let spaced =
            text.replace('(', " ( ").replace(')', " ) ").replace('[', " [ ").replace(']', " ] ").replace('|', " | ");
        let symbols: Vec<&str> = spaced.split_whitespace().collect();
        let mut at = 0;
        let mut alternatives = alternatives(&symbols, &mut at, depth)?;
        if at != symbols.len() {
            return None;
        }
        let nodes = if alternatives.len() == 1 { alternatives.remove(0) } else { vec![Node::Any(alternatives)] };
        Some(Self(nodes))
    }

    /// What the slots took, where the pattern explains all of `t`.
    pub(super) fn matches(&self, t: &[String]) -> Option<Captures> {
        let mut found = None;
        walk(&self.0, t, 0, &Captures::default(), &mut |end, captures| {
            if end == t.len() {
                found = Some(captures.clone());
            }
            end == t.len()
        });
        found
    }
}

fn alternatives(symbols: &[&str], at: &mut usize, depth: usize) -> Option<Vec<Vec<Node>>> {
    let mut all = vec![Vec::new()];
    while let Some(&s) = symbols.get(*at) {
        let node = match s {
            ")" | "]" => break,
            "|" => {
                *at += 1;
                all.push(Vec::new());
                continue;
            }
            "(" | "[" => {
                *at += 1;
                let mut inner = alternatives(symbols, at, depth)?;
                if symbols.get(*at) != Some(if s == "(" { &")" } else { &"]" }) || inner.iter().any(Vec::is_empty) {
                    return None;
                }
                if s == "[" {
                    inner.push(Vec::new());
                }
                Node::Any(inner)
            }
            _ if s.starts_with('@') => {
                let (_, text) = PIECES.iter().find(|(name, _)| *name == &s[1..])?;
                Node::Any(vec![Pattern::nested(text, depth + 1)?.0])
            }
            _ if s.starts_with('<') => Node::Slot(match s {
                "<duration>" => Slot::Duration,
                "<percent>" => Slot::Percent,
                "<label>" => Slot::Label,
                "<errand>" => Slot::Errand,
                "<reminder>" => Slot::Reminder,
                "<place>" => Slot::Place,
                "<sum>" => Slot::Sum,
                "<spoken-sum>" => Slot::SpokenSum,
                _ => return None,
            }),
            word => Node::Word(word.to_owned()),
        };
        all.last_mut()?.push(node);
        *at += 1;
    }
    Some(all)
}

/// Tries `nodes` from `at`; `done` gets every end that can be reached until it accepts one.
fn walk(
    nodes: &[Node],
    t: &[String],
    at: usize,
    captures: &Captures,
    done: &mut dyn FnMut(usize, &Captures) -> bool,
) -> bool {
    let Some((first, rest)) = nodes.split_first() else { return done(at, captures) };
    match first {
        Node::Word(w) => t.get(at).is_some_and(|x| x == w) && walk(rest, t, at + 1, captures, done),
        Node::Any(alternatives) => alternatives
            .iter()
            .any(|a| walk(a, t, at, captures, &mut |end, captures| walk(rest, t, end, captures, done))),
        Node::Slot(slot) => {
            slot.take(&t[at..]).into_iter().any(|(n, value)| walk(rest, t, at + n, &captures.with(value), done))
        }
    }
}

enum Value {
    Seconds(u64),
    Number(u32),
    Text(String),
}

impl Captures {
    fn with(&self, value: Value) -> Self {
        let mut c = self.clone();
        match value {
            Value::Seconds(s) => c.seconds = Some(s),
            Value::Number(n) => c.number = Some(n),
            Value::Text(t) => c.text = Some(t),
        }
        c
    }
}

impl Slot {
    /// Every way to take this value from the start of `t`.
    fn take(self, t: &[String]) -> Vec<(usize, Value)> {
        let texts = |v: Vec<(usize, String)>| v.into_iter().map(|(n, s)| (n, Value::Text(s))).collect();
        match self {
            Slot::Duration => slots::duration(t).map(|(s, n)| (n, Value::Seconds(s))).into_iter().collect(),
            Slot::Percent => slots::percent(t).map(|(p, n)| (n, Value::Number(p))).into_iter().collect(),
            Slot::Label => texts(slots::labels(t)),
            Slot::Errand => texts(slots::errands(t, false)),
            Slot::Reminder => texts(slots::errands(t, true)),
            Slot::Place => texts(slots::places(t)),
            Slot::Sum => texts(slots::expression(t, true).map(|(e, n)| (n, e)).into_iter().collect()),
            Slot::SpokenSum => texts(slots::expression(t, false).map(|(e, n)| (n, e)).into_iter().collect()),
        }
    }
}
