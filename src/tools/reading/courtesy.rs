//! Politeness that looks like a condition.

use super::lex::{Mark, Word, begins_any};
use super::verbs;

/// How many words of "when you get a minute", "if you would be so kind" `words` begin with.
pub(super) fn courtesy(words: &[Word]) -> Option<usize> {
    let lead = begins_any(
        words,
        &["when you", "whenever you", "if you", "once you", "as soon as you", "while you", "when it", "if it"],
    )?;
    let first = words.get(lead)?;
    let polite = first.any(&[
        "have", "get", "find", "can", "could", "would", "will", "want", "like", "may", "are", "do", "please", "is",
        "suits", "were", "don't",
    ]);
    let small = |w: &Word| {
        w.any(&[
            "have",
            "get",
            "got",
            "find",
            "can",
            "could",
            "would",
            "will",
            "want",
            "like",
            "may",
            "are",
            "do",
            "not",
            "mind",
            "please",
            "a",
            "an",
            "the",
            "second",
            "seconds",
            "sec",
            "minute",
            "minutes",
            "min",
            "moment",
            "chance",
            "time",
            "free",
            "spare",
            "it",
            "able",
            "ready",
            "at",
            "to",
            "there",
            "round",
            "around",
            "possibly",
            "so",
            "kind",
            "be",
            "just",
            "one",
            "few",
            "any",
            "some",
            "opportunity",
            "hand",
            "too",
            "much",
            "trouble",
            "bother",
            "is",
            "no",
            "problem",
            "all",
            "right",
            "okay",
            "possible",
            "convenient",
            "suits",
            "you",
            "that",
            "with",
            "were",
            "willing",
            "kindly",
            "good",
            "up",
            "half",
        ])
    };
    if !polite {
        return None;
    }
    let mut n = lead;
    while n < words.len() && small(&words[n]) {
        n += 1;
        if words[n - 1].after != Mark::Space {
            break;
        }
    }
    // "If you are at home" goes on; so does "when you have dinner".
    let over = n == words.len() || words[n - 1].after != Mark::Space || verbs::is_command(&words[n..]);
    (over && n > lead + 1 || n == words.len() && n > lead).then_some(n)
}
