//! Configuration before it has a shape: a tree of values that know where they were written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::problems::{Step, clip};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: Arc<PathBuf>,
        line: usize,
    },
    /// Name of the environment variable.
    Env(String),
    /// `--set`, with the argument as it was given.
    Set(String),
    /// Name of a command's own flag: `--temperature`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Env(name) => write!(f, "environment {name}"),
            Origin::Set(arg) => write!(f, "--set {arg}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl Origin {
    pub(super) fn file(path: &Arc<PathBuf>, line: usize) -> Self {
        Origin::File { path: Arc::clone(path), line }
    }

    /// The file this came from, where it came from one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Origin::File { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// One value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    pub origin: Origin,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Text from the environment or a flag: it takes the type of the key.
    Loose(String),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// A TOML date or time: no key wants one.
    Date,
    /// An array element that was found wrong and reported; kept so that the others keep their numbers.
    Gone,
}

impl Node {
    pub(super) fn table(origin: Origin) -> Node {
        Node { value: Value::Table(BTreeMap::new()), origin }
    }

    /// Puts `over` on top: tables merge key by key, everything else is replaced.
    pub(super) fn overlay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(base), Value::Table(top)) => {
                for (k, v) in top {
                    match base.get_mut(&k) {
                        Some(b) => b.overlay(v),
                        None => {
                            base.insert(k, v);
                        }
                    }
                }
            }
            (_, value) => *self = Node { value, origin: over.origin },
        }
    }

    fn child(&self, step: &Step) -> Option<&Node> {
        match (&self.value, step) {
            (Value::Table(t), Step::Key(k)) => t.get(k),
            (Value::Array(a), Step::Index(i)) => a.get(*i),
            _ => None,
        }
    }

    /// The value at `path`, and failing that its nearest ancestor.
    pub(super) fn nearest(&self, path: &[Step]) -> &Node {
        let mut at = self;
        for step in path {
            match at.child(step) {
                Some(n) => at = n,
                None => break,
            }
        }
        at
    }

    /// The value at exactly `path`.
    pub(super) fn get(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |at, step| at.child(step))
    }

    fn get_mut(&mut self, path: &[Step]) -> Option<&mut Node> {
        path.iter().try_fold(self, |at, step| match (&mut at.value, step) {
            (Value::Table(t), Step::Key(k)) => t.get_mut(k),
            (Value::Array(a), Step::Index(i)) => a.get_mut(*i),
            _ => None,
        })
    }

    /// Puts `value` at `path`, into the table or list that is there.
    pub(super) fn put(&mut self, path: &[Step], value: Value) {
        let Some((last, parents)) = path.split_last() else { return };
        let Some(parent) = self.get_mut(parents) else { return };
        let node = Node { value, origin: parent.origin.clone() };
        match (&mut parent.value, last) {
            (Value::Table(t), Step::Key(k)) => drop(t.insert(k.clone(), node)),
            (Value::Array(a), Step::Index(i)) if *i < a.len() => a[*i] = node,
            _ => {}
        }
    }

    /// Takes the value at `path` out, or what holds it where it cannot be taken out alone; false where nothing is there.
    pub(super) fn remove(&mut self, path: &[Step]) -> bool {
        (1..=path.len()).rev().any(|depth| self.remove_exactly(&path[..depth]))
    }

    fn remove_exactly(&mut self, path: &[Step]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let Some(at) = self.get_mut(parents) else { return false };
        match (&mut at.value, last) {
            (Value::Table(t), Step::Key(k)) => t.remove(k).is_some(),
            (Value::Array(a), Step::Index(i)) => match a.get_mut(*i) {
                Some(n) if !matches!(n.value, Value::Gone) => {
                    n.value = Value::Gone;
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// This value in plain words.
    pub(super) fn kind_text(&self) -> String {
        match &self.value {
            Value::Bool(b) => format!("{b}"),
            Value::Int(i) => format!("the number {i}"),
            Value::Float(x) => format!("the number {x}"),
            Value::Text(s) | Value::Loose(s) => format!("the text {:?}", clip(s)),
            Value::Array(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Date => "a date or time (put text in quotes)".to_owned(),
            Value::Gone => "nothing".to_owned(),
        }
    }
}
