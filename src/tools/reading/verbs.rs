//! Verbs of commands and their forms.

use super::english as en;
use super::lex::{Mark, Word, begins_any};

/// Whether `word` is a command's verb in its plain form.
pub(super) fn is_base(word: &Word) -> bool {
    en::VERBS.iter().any(|v| word.is(v.base))
}

/// The plain form of a verb that stands as "turning".
pub(super) fn of_ing(word: &Word) -> Option<&'static str> {
    en::VERBS.iter().find(|v| word.is(v.ing)).map(|v| v.base)
}

/// The plain form of a verb that stands as "turned".
pub(super) fn of_past(word: &Word) -> Option<&'static str> {
    en::VERBS
        .iter()
        .find(|v| v.past.iter().any(|p| word.is(p)))
        .or_else(|| en::VERBS.iter().find(|v| v.past.is_empty() && word.is(v.base)))
        .map(|v| v.base)
}

/// Whether what begins here can only be a new request: a verb, something forbidden, a question, a polite opening.
pub(super) fn is_command(words: &[Word]) -> bool {
    let w = skip(words, en::OPENINGS);
    let Some(first) = w.first() else { return false };
    let polite = en::REQUESTS.iter().any(|(p, _)| super::lex::begins(w, p).is_some());
    // "light" and "time" are things as often as verbs; "the" behind them says verb.
    let noun = first.any(&[
        "light", "time", "water", "note", "text", "message", "call", "ring", "run", "count", "book", "order", "play",
        "look", "show", "work", "power", "cool", "warm", "heat", "clean", "kill", "cut", "phone", "lock", "close",
        "open", "like", "go", "be", "have", "do",
    ]) && !w.get(1).is_some_and(|x| {
        x.any(&[
            "the", "my", "our", "a", "an", "all", "up", "down", "on", "off", "out", "me", "it", "that", "to", "some",
            "both", "every",
        ])
    });
    polite
        || (is_base(first) && !noun)
        || begins_any(w, &["do not", "never", "neither", "no need"]).is_some()
        || (first.any(en::QUESTION_WORDS) && w.len() > 1)
}

/// Whether a clause begins at `i`: at the start, behind a mark, behind "and" or a polite opening.
pub(super) fn starts_clause(words: &[Word], i: usize) -> bool {
    if i == 0
        || words[i - 1].after == Mark::Stop
        || words[i - 1].after == Mark::Comma
        || words[i - 1].after == Mark::Ask
    {
        return true;
    }
    if words[i - 1].any(&["and", "then", "also", "to", "please", "you", "just", "but", "me"]) {
        return true;
    }
    // Everything before it is an opening.
    let mut rest = &words[..i];
    while !rest.is_empty() {
        match begins_any(rest, en::OPENINGS)
            .or_else(|| en::REQUESTS.iter().filter_map(|(p, _)| super::lex::begins(rest, p)).max())
        {
            Some(n) => rest = &rest[n..],
            None => return false,
        }
    }
    true
}

/// `words` without the `phrases` at their start, as often as they come; the last word stays.
pub(super) fn skip<'a>(words: &'a [Word], phrases: &[&str]) -> &'a [Word] {
    let mut w = words;
    while let Some(n) = begins_any(w, phrases).filter(|n| *n < w.len()) {
        w = &w[n..];
    }
    w
}
