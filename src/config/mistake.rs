//! What is wrong with a configuration, and where that was written, worded so that a person can fix it.

use std::fmt;

use super::node::{Node, Origin, Value};
use crate::error::{Error, Kind};
use crate::problems::{Key, Problem, Step};

/// One thing wrong in one place.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// Where it was written.
    pub origin: Origin,
    /// The key, such as `llm.context_tokens`; empty when the trouble is not with one key.
    pub key: String,
    pub text: String,
    pub(super) kind: Kind,
}

impl Mistake {
    /// What a module found, with the place in `tree` of the key that is at fault.
    pub(super) fn of(problem: Problem, tree: &Node) -> Self {
        let problem = Problem { key: as_written(tree, problem.key), ..problem };
        // A default that another key's value made wrong: that other key is the one to fix.
        let keys = std::iter::once(&problem.key).chain(&problem.involved);
        let origin = keys.filter_map(|key| written(tree, key)).find(|o| *o != Origin::Default);
        Self {
            origin: origin.unwrap_or(Origin::Default),
            key: problem.key.to_string(),
            text: problem.text,
            kind: Kind::Config,
        }
    }
}

/// The key with the numbers that its list elements have in the file: those that were found wrong before were left out
/// of the settings.
pub(super) fn as_written(tree: &Node, mut key: Key) -> Key {
    let mut node = Some(tree);
    for step in &mut key.0 {
        if let (Step::Index(i), Some(Value::Array(items))) = (&mut *step, node.map(|n| &n.value)) {
            let mut left = items.iter().enumerate().filter(|(_, n)| !matches!(n.value, Value::Gone));
            *i = left.nth(*i).map_or(*i, |(written, _)| written);
        }
        node = node.and_then(|n| n.get(std::slice::from_ref(step)));
    }
    key
}

/// Where the value of `key` was written; within a list, where the element was, or the list.
fn written(tree: &Node, key: &Key) -> Option<Origin> {
    let list = key.0.iter().position(|s| matches!(s, Step::Index(_))).unwrap_or(key.0.len());
    let mut node = tree.get(&key.0[..list])?;
    for step in &key.0[list..] {
        match node.get(std::slice::from_ref(step)) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    Some(node.origin.clone())
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// All mistakes as one error. Its kind is theirs where they agree, else [`Kind::Config`].
pub(super) fn error_of(mistakes: &[Mistake]) -> Error {
    let mut kinds = mistakes.iter().map(|p| p.kind);
    let first = kinds.next().unwrap_or(Kind::Config);
    let kind = if kinds.all(|k| k == first) { first } else { Kind::Config };
    let context = match mistakes {
        [one] => one.to_string(),
        many => {
            let mut s = format!("the configuration has {} problems:", many.len());
            for p in many {
                s += &format!("\n  {p}");
            }
            s
        }
    };
    let e = Error::new(kind, context);
    match kind {
        Kind::Usage => e.remedy("write --set section.key=value, for example --set llm.threads=2"),
        Kind::NotFound | Kind::Io => e.remedy("give --config a file that can be read"),
        // `config show` would refuse as well; an empty file has nothing wrong in it.
        _ => {
            e.remedy("correct the settings named above; `tercet config show --config /dev/null` lists every key with its default")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_kinds_become_config() {
        let p = |kind| Mistake { origin: Origin::Set("x".into()), key: String::new(), text: "no '='".into(), kind };
        assert_eq!(error_of(&[p(Kind::Usage)]).kind(), Kind::Usage);
        let e = error_of(&[p(Kind::Usage), p(Kind::Config)]);
        assert_eq!(e.kind(), Kind::Config);
        assert!(e.context().contains("2 problems"), "{e}");
    }
}
