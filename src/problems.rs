//! What is wrong with settings, as values: the key, the problem, and the other keys involved.
//!
//! Every module judges its own settings and writes what it finds into a [`Problems`]; only `config` knows where a value
//! was written. The wording is the same everywhere: "must be between 1 and 50, not 80".

use std::fmt;
use std::ops::RangeInclusive;

use crate::error::{Error, Kind, Result};

/// One step from the root of the settings to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// The way to a value; displayed as `tools.command[0].name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key(pub Vec<Step>);

impl Key {
    /// `key` below this one; dots in it separate steps. An empty `key` is this one.
    fn below(&self, key: &str) -> Key {
        let mut steps = self.0.clone();
        steps.extend(key.split('.').filter(|k| !k.is_empty()).map(|k| Step::Key(k.to_owned())));
        Key(steps)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(n) => write!(f, "[{n}]")?,
                Step::Key(k) => {
                    let dot = if i > 0 { "." } else { "" };
                    let bare = !k.is_empty() && k.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
                    let k = clip(k);
                    if bare { write!(f, "{dot}{k}")? } else { write!(f, "{dot}{k:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot work as it is written.
    Wrong,
    /// It is right, but something that it needs is not on this machine yet.
    Note,
}

/// One thing wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: Key,
    /// Reads after the key: "must be between 1 and 50, not 80".
    pub text: String,
    /// What it must be, where `text` says no more: "between 1 and 50".
    pub wanted: Option<String>,
    /// Other keys involved: where this one has its default, one of them is at fault.
    pub involved: Vec<Key>,
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Collects problems. Keys are given as the module knows them; [`Problems::within`] puts its section before them.
#[derive(Debug, Default)]
pub struct Problems {
    at: Key,
    found: Vec<Problem>,
}

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `check` with `section` before every key that it names.
    pub fn within(&mut self, section: &str, check: impl FnOnce(&mut Self)) {
        let inner = self.at.below(section);
        let outer = std::mem::replace(&mut self.at, inner);
        check(self);
        self.at = outer;
    }

    /// [`Problems::within`] for element `index` of a list.
    pub fn element(&mut self, list: &str, index: usize, check: impl FnOnce(&mut Self)) {
        let mut inner = self.at.below(list);
        inner.0.push(Step::Index(index));
        let outer = std::mem::replace(&mut self.at, inner);
        check(self);
        self.at = outer;
    }

    /// `key` is wrong; `text` reads after it. An empty key is the section or element itself.
    pub fn wrong(&mut self, key: &str, text: impl Into<String>) {
        self.add(key, &[], Severity::Wrong, text.into());
    }

    /// [`Problems::wrong`], where other keys of the section are involved.
    pub fn involving(&mut self, key: &str, others: &[&str], text: impl Into<String>) {
        self.add(key, others, Severity::Wrong, text.into());
    }

    /// `key` is right, but what it needs is not there yet.
    pub fn note(&mut self, key: &str, text: impl Into<String>) {
        self.add(key, &[], Severity::Note, text.into());
    }

    /// A number out of range.
    pub fn range<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.must_be(key, &[], format!("between {low} and {high}"), value);
        }
    }

    /// As [`Problems::range`], where one more number has a meaning of its own.
    pub fn range_or<T: PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        value: T,
        special: T,
        allowed: RangeInclusive<T>,
    ) {
        if value != special && !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.must_be(key, &[], format!("{special} or between {low} and {high}"), value);
        }
    }

    /// A number that must not pass another setting of the same section.
    pub fn at_most<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, other: &str, limit: T) {
        if value > limit {
            self.must_be(key, &[other], format!("at most {} ({limit})", self.at.below(other)), value);
        }
    }

    /// A number that must not fall below another setting of the same section.
    pub fn at_least<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, other: &str, limit: T) {
        if value < limit {
            self.must_be(key, &[other], format!("at least {} ({limit})", self.at.below(other)), value);
        }
    }

    /// Text that must not be empty; `wanted` says what to write.
    pub fn filled(&mut self, key: &str, text: &str, wanted: &str) {
        if text.trim().is_empty() {
            self.wrong(key, format!("must not be empty: {wanted}"));
        }
    }

    /// A word that must be one of those known.
    pub fn known<'a>(&mut self, key: &str, word: &str, known: impl IntoIterator<Item = &'a str>) {
        let known: Vec<&str> = known.into_iter().collect();
        if !known.contains(&word) {
            self.wrong(key, not_one_of(word, &known));
        }
    }

    fn must_be(&mut self, key: &str, involved: &[&str], wanted: String, found: impl fmt::Display) {
        self.add(key, involved, Severity::Wrong, must_be(&wanted, found));
        if let Some(problem) = self.found.last_mut() {
            problem.wanted = Some(wanted);
        }
    }

    fn add(&mut self, key: &str, involved: &[&str], severity: Severity, text: String) {
        let involved = involved.iter().map(|k| self.at.below(k)).collect();
        self.found.push(Problem { key: self.at.below(key), text, wanted: None, involved, severity });
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    /// All that is wrong as one error; notes are not errors.
    ///
    /// # Errors
    /// [`Kind::Config`] naming every key that is wrong.
    pub fn into_result(self) -> Result<()> {
        let wrong = self.found.iter().filter(|p| p.severity == Severity::Wrong);
        match wrong.map(ToString::to_string).collect::<Vec<_>>() {
            all if all.is_empty() => Ok(()),
            all => Err(Error::new(Kind::Config, all.join("; ")).remedy("correct the configuration")),
        }
    }
}

/// "must be between 1 and 50, not 80"
pub fn must_be(wanted: &str, found: impl fmt::Display) -> String {
    format!("must be {wanted}, not {found}")
}

/// "must be one of a, b or c, not "d"; did you mean b?"
pub fn not_one_of(word: &str, known: &[&str]) -> String {
    let near = nearest(word, known.iter().copied()).map(|k| format!("; did you mean {k}?")).unwrap_or_default();
    format!("must be {}, not {:?}{near}", any_of(known), clip(word))
}

/// "one of a, b or c"
pub fn any_of(known: &[&str]) -> String {
    match known {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("one of {} or {last}", first.join(", ")),
    }
}

/// The known name that `word` was probably meant to be, if any is close enough: spelled about the same, or the beginning
/// of the other ("integer", "int"). Small and capital letters are the same.
///
/// About the same: as far apart as a third of the longer's letters, in edits of one letter or swaps of two neighbours. Source:
/// Damerau, 1964, in its restricted form (optimal string alignment), by the crate strsim 0.11.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let letters = word.chars().count();
    let near = |known: &str| {
        let known = known.to_lowercase();
        let (edits, length) = (strsim::osa_distance(&word, &known), known.chars().count());
        let about = edits <= 1.max(length.max(letters) / 3) && edits < letters;
        let begins = length.min(letters) >= 3 && (known.starts_with(&word) || word.starts_with(&known));
        (about || begins).then_some((!about, edits))
    };
    known.into_iter().filter_map(|k| Some((near(k)?, k))).min_by_key(|(rank, _)| *rank).map(|(_, k)| k)
}

/// Long text shortened for a message.
pub fn clip(s: &str) -> String {
    const MAX: usize = 60;
    match s.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", &s[..at]),
        None => s.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl FnOnce(&mut Problems)) -> Vec<String> {
        let mut p = Problems::new();
        check(&mut p);
        p.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_carry_the_sections_they_are_in() {
        let found = told(|p| {
            p.within("hear", |p| {
                p.within("vad", |p| p.range("onset", 2.5, 0.05..=0.99));
                p.range("x", 3, 1..=2);
            });
            p.element("list", 4, |p| p.wrong("", "is odd"));
            p.element("list", 1, |p| p.element("inner", 0, |p| p.wrong("name", "is odd")));
            p.wrong("top", "is odd");
        });
        let wanted = [
            "hear.vad.onset: must be between 0.05 and 0.99, not 2.5",
            "hear.x: must be between 1 and 2, not 3",
            "list[4]: is odd",
            "list[1].inner[0].name: is odd",
            "top: is odd",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_edges_of_a_range_are_in_it_and_not_a_number_is_not() {
        assert!(told(|p| (1..=3).for_each(|v| p.range("k", v, 1..=3))).is_empty());
        assert_eq!(told(|p| p.range("k", f32::NAN, 0.0..=1.0)), ["k: must be between 0 and 1, not NaN"]);
        assert_eq!(told(|p| p.range_or("k", 0, 0, 2..=3)), [""; 0]);
        assert_eq!(told(|p| p.range_or("k", 1, 0, 2..=3)), ["k: must be 0 or between 2 and 3, not 1"]);
    }

    #[test]
    fn another_key_with_a_part_in_it_is_named() {
        let mut p = Problems::new();
        p.within("a", |p| {
            p.at_most("low", 3, "high", 2);
            p.at_least("high", 2, "low", 3);
            p.at_most("low", 2, "high", 2);
        });
        let found = p.into_vec();
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a.low: must be at most a.high (2), not 3", "a.high: must be at least a.low (3), not 2"]);
        assert_eq!(found[0].involved, [Key::default().below("a.high")]);
    }

    #[test]
    fn notes_are_no_error() {
        let mut p = Problems::new();
        p.note("model", "is not here yet");
        assert!(!p.is_empty());
        p.into_result().expect("a note");
        let mut p = Problems::new();
        p.filled("model", " ", "name one");
        let e = p.into_result().expect_err("wrong");
        assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Config, "model: must not be empty: name one"));
    }

    #[test]
    fn nearest_forgives_typing_but_not_another_word() {
        let known = ["context_tokens", "threads", "model"];
        assert_eq!(nearest("context_tokns", known), Some("context_tokens"));
        assert_eq!(nearest("thraeds", known), Some("threads"));
        assert_eq!(nearest("Model", known), Some("model"));
        assert_eq!(nearest("MODEL", known), Some("model"));
        for other in ["volume", "", "x"] {
            assert_eq!(nearest(other, known.into_iter().chain(["a"])), None, "{other}");
        }
        assert_eq!(nearest("boolean", ["bool", "int"]), Some("bool"));
        assert_eq!(nearest("whisper", ["whisper-tiny.en", "pocket"]), Some("whisper-tiny.en"));
        assert_eq!(
            not_one_of("integr", &["int", "integer"]),
            r#"must be one of int or integer, not "integr"; did you mean integer?"#
        );
    }
}
