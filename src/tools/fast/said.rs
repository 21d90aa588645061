//! An utterance as the grammar sees it: words with numbers for quick comparison, and the text that they were cut from.

use std::collections::HashMap;
use std::ops::Range;

use crate::tools::text::Token;

/// Sounds that are no words; free text is kept without them.
const SOUNDS: &[&str] = &["um", "umm", "uh", "uhm", "er", "erm", "hmm", "mm"];

/// The words of the grammar, numbered from one.
#[derive(Default)]
pub(super) struct Vocabulary(HashMap<&'static str, u32>);

impl Vocabulary {
    pub(super) fn number(&mut self, word: &'static str) -> u32 {
        let next = self.0.len() as u32 + 1;
        *self.0.entry(word).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Zero for what is no word of the grammar.
    fn lookup(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or_default()
    }
}

/// A set of numbered words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WordSet(Vec<u64>);

impl WordSet {
    pub(super) fn insert(&mut self, word: u32) {
        let at = word as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (word % 64);
    }

    pub(super) fn contains(&self, word: u32) -> bool {
        self.0.get(word as usize / 64).is_some_and(|bits| bits >> (word % 64) & 1 == 1)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }
}

pub(super) struct Said<'a> {
    utterance: &'a str,
    pub(super) words: Vec<String>,
    pub(super) numbers: Vec<u32>,
    tokens: Vec<Token>,
}

impl<'a> Said<'a> {
    pub(super) fn new(utterance: &'a str, tokens: Vec<Token>, vocabulary: &Vocabulary) -> Self {
        let words: Vec<String> = tokens.iter().map(|t| t.text.clone()).collect();
        let numbers = words.iter().map(|w| vocabulary.lookup(w)).collect();
        Self { utterance, words, numbers, tokens }
    }

    /// The words in `range` with another behind them, as if it had been said.
    pub(super) fn with(&self, range: Range<usize>, word: &str, vocabulary: &Vocabulary) -> Said<'a> {
        let mut tokens = self.tokens[range].to_vec();
        let end = tokens.last().map_or(0, |t| t.end);
        tokens.push(Token { text: word.to_owned(), start: end, end, comma: false });
        Said::new(self.utterance, tokens, vocabulary)
    }

    /// The words in `range` as they were written.
    pub(super) fn written(&self, range: Range<usize>) -> String {
        let (Some(first), Some(last)) = (self.tokens.get(range.start), self.tokens[..range.end].last()) else {
            return String::new();
        };
        let cut = self.utterance.get(first.start..last.end).unwrap_or_default();
        let bare = |w: &str| w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        cut.split_whitespace().filter(|w| !SOUNDS.contains(&bare(w).as_str())).collect::<Vec<_>>().join(" ")
    }

    /// The plain words in `range`.
    pub(super) fn plain(&self, range: Range<usize>) -> String {
        self.words[range].join(" ")
    }

    /// The words in `range` as a set.
    pub(super) fn set(&self, range: Range<usize>) -> WordSet {
        let mut set = WordSet::default();
        self.numbers[range].iter().for_each(|w| set.insert(*w));
        set
    }

    /// Whether a comma follows the word at `i`.
    pub(super) fn comma(&self, i: usize) -> bool {
        self.tokens[i].comma
    }
}
