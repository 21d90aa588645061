//! Parses configuration text into trees: TOML files, `TERCET__SECTION__KEY` variables and `section.key=value` flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Flag;
use super::mistake::Mistake;
use super::node::{Node, Origin, Value};
use crate::error::Kind;
use crate::problems::clip;

/// Configuration files are small; something larger is not one.
const MAX_FILE_BYTES: u64 = 1_000_000;

/// What environment variables that set a key start with.
pub(super) const ENV_PREFIX: &str = "TERCET__";

/// No key lies deeper; a longer path is a mistake (and trees are walked by recursion).
const MAX_DEPTH: usize = 8;

/// Parses a TOML file. What can be understood is returned beside every problem found.
pub(super) fn file(path: &Path, problems: &mut Vec<Mistake>) -> Node {
    let shared = Arc::new(path.to_owned());
    let trouble = |kind, text: String| Mistake { origin: Origin::file(&shared, 1), key: String::new(), text, kind };
    // "-" is standard input, here as everywhere.
    let source = if path.as_os_str() == "-" { Path::new("/dev/stdin") } else { path };
    match std::fs::metadata(source) {
        Ok(m) if m.is_dir() => problems.push(trouble(Kind::Io, "is a folder, not a configuration file".into())),
        Ok(m) if m.len() > MAX_FILE_BYTES => {
            problems.push(trouble(Kind::Config, format!("is {} bytes: too large for a configuration file", m.len())));
        }
        Ok(_) => match std::fs::read(source) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(s) => return text(&s, &shared, problems),
                Err(e) => {
                    let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
                    let mut p = trouble(Kind::Config, "is not UTF-8 text".into());
                    p.origin = Origin::file(&shared, line);
                    problems.push(p);
                }
            },
            Err(e) => problems.push(trouble(io_kind(&e), format!("cannot read: {e}"))),
        },
        Err(e) => problems.push(trouble(io_kind(&e), format!("cannot read: {e}"))),
    }
    Node::table(Origin::file(&shared, 1))
}

fn io_kind(e: &std::io::Error) -> Kind {
    if e.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Io }
}

/// Parses TOML text that stands in `path`.
pub(super) fn text(input: &str, path: &Arc<PathBuf>, problems: &mut Vec<Mistake>) -> Node {
    let lines = Lines::of(input);
    let (table, errors) = DeTable::parse_recoverable(input);
    let guessed = !errors.is_empty();
    for e in errors {
        let line = e.span().map_or(1, |s| lines.line(s.start));
        let text = format!("not valid TOML: {}", e.message().replace('\n', ", "));
        problems.push(Mistake { origin: Origin::file(path, line), key: String::new(), text, kind: Kind::Config });
    }
    let mut builder = Builder { lines: Some(&lines), path: path.clone(), problems, at: Vec::new(), guessed };
    let origin = Origin::file(path, 1);
    Node { value: builder.table(table.get_ref(), &origin), origin }
}

/// Byte offset → line number, counted from one.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset).max(1)
    }
}

struct Builder<'a> {
    /// Absent when the text is one value from a flag or a variable.
    lines: Option<&'a Lines>,
    path: Arc<PathBuf>,
    problems: &'a mut Vec<Mistake>,
    at: Vec<String>,
    /// The text is not TOML and the tree is the parser's best effort: it may hold a number that nobody wrote.
    guessed: bool,
}

impl Builder<'_> {
    fn origin(&self, offset: usize, otherwise: &Origin) -> Origin {
        self.lines.map_or_else(|| otherwise.clone(), |l| Origin::file(&self.path, l.line(offset)))
    }

    fn table(&mut self, t: &DeTable<'_>, origin: &Origin) -> Value {
        let mut out = std::collections::BTreeMap::new();
        for (k, v) in t {
            let o = self.origin(k.span().start, origin);
            self.at.push(k.get_ref().to_string());
            if let Some(value) = self.value(v.get_ref(), &o) {
                out.insert(k.get_ref().to_string(), Node { value, origin: o });
            }
            self.at.pop();
        }
        Value::Table(out)
    }

    /// `None` for a number that cannot be held; it has been reported.
    fn value(&mut self, v: &DeValue<'_>, origin: &Origin) -> Option<Value> {
        Some(match v {
            DeValue::String(s) => Value::Text(s.to_string()),
            DeValue::Boolean(b) => Value::Bool(*b),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
                Ok(i) => Value::Int(i),
                Err(_) => return self.wrong(origin, format!("{} is too large a number", clip(i.as_str()))),
            },
            DeValue::Float(x) => match x.as_str().parse::<f64>() {
                Ok(x) if x.is_finite() => Value::Float(x),
                _ => return self.wrong(origin, format!("{} is not a finite number", clip(x.as_str()))),
            },
            DeValue::Array(items) => Value::Array(items.iter().filter_map(|i| self.element(i, origin)).collect()),
            DeValue::Table(t) => self.table(t, origin),
        })
    }

    fn element(&mut self, v: &Spanned<DeValue<'_>>, origin: &Origin) -> Option<Node> {
        let o = self.origin(v.span().start, origin);
        self.value(v.get_ref(), &o).map(|value| Node { value, origin: o })
    }

    fn wrong(&mut self, origin: &Origin, text: String) -> Option<Value> {
        if !self.guessed {
            self.problems.push(Mistake { origin: origin.clone(), key: self.at.join("."), text, kind: Kind::Config });
        }
        None
    }
}

/// Reads one value as TOML writes it (`3`, `"x"`, `[1, 2]`); `None` when the text is not such a value.
pub(super) fn value(input: &str, origin: &Origin) -> Option<Node> {
    let v = DeValue::parse(input).ok()?;
    let mut problems = Vec::new();
    let mut b = Builder { lines: None, path: Arc::default(), problems: &mut problems, at: Vec::new(), guessed: false };
    let value = b.value(v.get_ref(), origin)?;
    problems.is_empty().then(|| Node { value, origin: origin.clone() })
}

/// A tree from the `TERCET__…` variables among `vars`.
pub(super) fn environment(vars: &[(String, Result<String, String>)], problems: &mut Vec<Mistake>) -> Node {
    let mut root = Node::table(Origin::Env(format!("{ENV_PREFIX}*")));
    for (name, value) in vars {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
        let origin = Origin::Env(clip(name));
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        match value {
            Ok(_) if !(2..=MAX_DEPTH).contains(&path.len()) || path.iter().any(String::is_empty) => {
                problems.push(Mistake {
                    origin,
                    key: clip(&path.join(".")),
                    text: format!("name a section and a key, as in {ENV_PREFIX}LLM__THREADS"),
                    kind: Kind::Config,
                })
            }
            Ok(value) => root.overlay(loose(&path, value, origin)),
            Err(lossy) => problems.push(Mistake {
                origin,
                key: path.join("."),
                text: format!("{:?} is not UTF-8 text", clip(lossy)),
                kind: Kind::Config,
            }),
        }
    }
    root
}

/// A tree from `--set section.key=value` arguments; a later one wins.
pub(super) fn set(args: &[String], problems: &mut Vec<Mistake>) -> Node {
    let mut root = Node::table(Origin::Set("…".into()));
    for arg in args {
        let origin = Origin::Set(clip(arg));
        let parts = arg.split_once('=').map(|(k, v)| (k.trim().split('.').map(str::trim).collect::<Vec<_>>(), v));
        match parts {
            Some((path, v)) if (2..=MAX_DEPTH).contains(&path.len()) && path.iter().all(|p| !p.is_empty()) => {
                let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
                root.overlay(loose(&path, v.trim(), origin));
            }
            _ => problems.push(Mistake {
                origin,
                key: String::new(),
                text: "is not of the form section.key=value".into(),
                kind: Kind::Usage,
            }),
        }
    }
    root
}

/// A tree from a command's own flags; a later one wins.
pub(super) fn flags(flags: &[Flag]) -> Node {
    let mut root = Node::table(Origin::Default);
    for Flag { name, key, value } in flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        root.overlay(loose(&path, value.trim(), Origin::Flag(name)));
    }
    root
}

/// A tree that holds nothing but `value` at `path`.
fn loose(path: &[String], value: &str, origin: Origin) -> Node {
    let leaf = Node { value: Value::Loose(value.to_owned()), origin: origin.clone() };
    path.iter().rev().fold(leaf, |inner, key| {
        let mut t = Node::table(origin.clone());
        if let Value::Table(m) = &mut t.value {
            m.insert(key.clone(), inner);
        }
        t
    })
}
