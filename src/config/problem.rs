//! What is wrong with a configuration, said so that a person can mend it.

use std::fmt;

use super::node::Origin;
use crate::error::{Error, Kind};

/// One thing wrong in one place.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key, such as `llm.context_tokens`; empty when the trouble is not with one key.
    pub key: String,
    pub text: String,
    pub(super) kind: Kind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// All problems as one error. Its kind is theirs where they agree, else [`Kind::Config`].
pub(super) fn error_of(problems: &[Problem]) -> Error {
    let mut kinds = problems.iter().map(|p| p.kind);
    let first = kinds.next().unwrap_or(Kind::Config);
    let kind = if kinds.all(|k| k == first) { first } else { Kind::Config };
    let context = match problems {
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
        _ => e.remedy("`tercet config show` lists every key with its value and where it comes from"),
    }
}

/// The known name that `word` was probably meant to be, if any is close enough.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).collect();
    known
        .into_iter()
        .map(|k| (distance(&word, &k.chars().collect::<Vec<_>>()), k))
        .filter(|(d, k)| *d <= 1.max(k.chars().count().max(word.len()) / 3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_typing_but_not_another_word() {
        let known = ["context_tokens", "threads", "model"];
        assert_eq!(nearest("context_tokns", known), Some("context_tokens"));
        assert_eq!(nearest("thraeds", known), Some("threads"));
        assert_eq!(nearest("Model", known), Some("model"));
        assert_eq!(nearest("volume", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn mixed_kinds_become_config() {
        let p = |kind| Problem { origin: Origin::Flag("x".into()), key: String::new(), text: "no '='".into(), kind };
        assert_eq!(error_of(&[p(Kind::Usage)]).kind(), Kind::Usage);
        let e = error_of(&[p(Kind::Usage), p(Kind::Config)]);
        assert_eq!(e.kind(), Kind::Config);
        assert!(e.context().contains("2 problems"), "{e}");
    }
}
