//! A small pattern language over words.
//!
//! `a b` in order, `(a|b c)` one of, `[a|b]` one of or nothing, `<slot>` a value for the argument that the slot is named
//! after, `<slot=argument>` for another, `@name` a named piece of the grammar. A pattern matches only if it explains
//! every word.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::grammar;
use super::said::{Said, Vocabulary, WordSet};
use super::slots::Slot;
use super::value::Value;

/// Named pieces inside each other at most this deep.
const NESTING_MAX: usize = 6;

/// What the slots took, by argument.
pub(super) type Captures = Vec<(&'static str, Value)>;

pub(super) struct Pattern {
    nodes: Vec<Node>,
    /// The words that it can begin and end with; `None` where that can be any.
    first: Option<WordSet>,
    last: Option<WordSet>,
    /// It cannot match where of one of these sets no word was said.
    needed: Vec<WordSet>,
}

type Alternatives = Arc<[Vec<Node>]>;

#[derive(Clone)]
enum Node {
    Word(u32),
    /// One of these sequences.
    Any(Alternatives),
    Slot(Slot, &'static str),
}

/// Turns texts into patterns.
#[derive(Default)]
pub(super) struct Compiler {
    pub(super) vocabulary: Vocabulary,
    pieces: HashMap<&'static str, Alternatives>,
}

impl Compiler {
    /// `None` where the text is not a pattern (a test compiles them all).
    pub(super) fn pattern(&mut self, text: &'static str) -> Option<Pattern> {
        let nodes = vec![Node::Any(self.piece(text, 0)?)];
        let (first, last) = (edge(&nodes, false), edge(&nodes, true));
        Some(Pattern { first, last, needed: needed(&nodes), nodes })
    }

    fn piece(&mut self, text: &'static str, depth: usize) -> Option<Alternatives> {
        if depth > NESTING_MAX {
            return None;
        }
        let symbols = symbols(text);
        let mut at = 0;
        let all = self.alternatives(&symbols, &mut at, depth)?;
        (at == symbols.len()).then(|| all.into())
    }

    fn alternatives(&mut self, symbols: &[&'static str], at: &mut usize, depth: usize) -> Option<Vec<Vec<Node>>> {
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
                    let mut inner = self.alternatives(symbols, at, depth)?;
                    if symbols.get(*at) != Some(if s == "(" { &")" } else { &"]" }) || inner.iter().any(Vec::is_empty) {
                        return None;
                    }
                    if s == "[" {
                        inner.push(Vec::new());
                    }
                    Node::Any(inner.into())
                }
                _ if s.starts_with('@') => Node::Any(self.named(&s[1..], depth)?),
                _ if s.starts_with('<') => {
                    let inside = s[1..].strip_suffix('>')?;
                    let (name, argument) = inside.split_once('=').map_or((inside, None), |(n, a)| (n, Some(a)));
                    let slot = Slot::named(name)?;
                    Node::Slot(slot, argument.unwrap_or(slot.argument()))
                }
                word => Node::Word(self.vocabulary.number(word)),
            };
            all.last_mut()?.push(node);
            *at += 1;
        }
        Some(all)
    }

    fn named(&mut self, name: &'static str, depth: usize) -> Option<Alternatives> {
        if let Some(piece) = self.pieces.get(name) {
            return Some(piece.clone());
        }
        let (_, text) = grammar::pieces().find(|(n, _)| *n == name)?;
        let piece = self.piece(text, depth + 1)?;
        self.pieces.insert(name, piece.clone());
        Some(piece)
    }
}

fn symbols(text: &'static str) -> Vec<&'static str> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let n = if "()[]|".contains(c) {
            1
        } else {
            rest.find(|c: char| c.is_whitespace() || "()[]|".contains(c)).unwrap_or(rest.len())
        };
        all.push(&rest[..n]);
        rest = rest[n..].trim_start();
    }
    all
}

/// The words that can stand at the beginning of `nodes`, or at their end.
fn edge(nodes: &[Node], last: bool) -> Option<WordSet> {
    let mut words = WordSet::default();
    (edge_of(nodes, last, &mut words) == Edge::Known).then_some(words)
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Edge {
    Known,
    /// It may match no word at all.
    Empty,
    /// It may begin with any word.
    Open,
}

fn edge_of(nodes: &[Node], last: bool, words: &mut WordSet) -> Edge {
    let mut order: Vec<&Node> = nodes.iter().collect();
    if last {
        order.reverse();
    }
    for node in order {
        match node {
            Node::Word(w) => {
                words.insert(*w);
                return Edge::Known;
            }
            Node::Slot(..) => return Edge::Open,
            Node::Any(alternatives) => {
                let edges: Vec<Edge> = alternatives.iter().map(|a| edge_of(a, last, words)).collect();
                if edges.contains(&Edge::Open) {
                    return Edge::Open;
                }
                if !edges.contains(&Edge::Empty) {
                    return Edge::Known;
                }
            }
        }
    }
    Edge::Empty
}

/// For each part that cannot be left out, the words of which one must stand there.
fn needed(nodes: &[Node]) -> Vec<WordSet> {
    let mut all = Vec::new();
    for node in nodes {
        match node {
            Node::Slot(..) => {}
            Node::Word(w) => {
                let mut one = WordSet::default();
                one.insert(*w);
                all.push(one);
            }
            Node::Any(alternatives) => {
                let mut each: Vec<Vec<WordSet>> = alternatives.iter().map(|a| needed(a)).collect();
                if let [only] = each.as_mut_slice() {
                    all.append(only);
                    continue;
                }
                let smallest: Option<Vec<&WordSet>> = each.iter().map(|a| a.iter().min_by_key(|s| s.len())).collect();
                let mut any = WordSet::default();
                if let Some(smallest) = smallest {
                    smallest.into_iter().for_each(|s| any.add(s));
                    all.push(any);
                }
            }
        }
    }
    all
}

impl Pattern {
    /// Whether it may match something that begins with `word`.
    pub(super) fn begins_with(&self, word: u32) -> bool {
        self.first.as_ref().is_none_or(|words| words.contains(word))
    }

    /// What the slots took, where the pattern explains all of `range`, whose words are `words`.
    pub(super) fn matches(&self, said: &Said<'_>, range: Range<usize>, words: &WordSet) -> Option<Captures> {
        let last = *said.numbers[range.clone()].last()?;
        let fits = self.last.as_ref().is_none_or(|words| words.contains(last));
        if !fits || !self.needed.iter().all(|needed| needed.meets(words)) {
            return None;
        }
        let mut captures = Vec::new();
        let end = range.end;
        walk(&self.nodes, said, range, &mut captures, &mut |at, _| at == end).then_some(captures)
    }
}

/// Tries `nodes` on the words of `left`; `done` gets every end that can be reached until it accepts one.
fn walk(
    nodes: &[Node],
    said: &Said<'_>,
    left: Range<usize>,
    captures: &mut Captures,
    done: &mut dyn FnMut(usize, &mut Captures) -> bool,
) -> bool {
    let Some((node, rest)) = nodes.split_first() else { return done(left.start, captures) };
    match node {
        Node::Word(w) => {
            !left.is_empty()
                && said.numbers[left.start] == *w
                && walk(rest, said, left.start + 1..left.end, captures, done)
        }
        Node::Any(alternatives) => alternatives.iter().any(|a| {
            walk(a, said, left.clone(), captures, &mut |at, captures| walk(rest, said, at..left.end, captures, done))
        }),
        Node::Slot(slot, argument) => slot.take(said, left.clone()).into_iter().any(|(n, value)| {
            captures.push((*argument, value));
            let found = walk(rest, said, left.start + n..left.end, captures, done);
            if !found {
                captures.pop();
            }
            found
        }),
    }
}
