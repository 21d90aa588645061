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

    /// Zero for what is no word of the grammar.
    fn lookup(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or_default()
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

    /// Whether a comma follows the word at `i`.
    pub(super) fn comma(&self, i: usize) -> bool {
        self.tokens[i].comma
    }
}
