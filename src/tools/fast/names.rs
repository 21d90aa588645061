//! What timers are called and what they are for.

use std::ops::Range;

use super::said::Said;
use crate::tools::number::is_number_word;

/// Longest label and errand, in words.
const LABEL_MAX: usize = 3;
const ERRAND_MAX: usize = 6;
/// Longest name, in words.
const NAME_MAX: usize = 6;

/// Words that a timer's name does not hold: otherwise half the language would be a name.
const NO_LABEL: &[&str] = &[
    "pause",
    "unpause",
    "resume",
    "continue",
    "halt",
    "hold",
    "freeze",
    "restart",
    "reset",
    "extend",
    "increase",
    "decrease",
    "reduce",
    "add",
    "remove",
    "timer",
    "timers",
    "alarm",
    "alarms",
    "clock",
    "the",
    "a",
    "an",
    "for",
    "in",
    "to",
    "and",
    "or",
    "of",
    "with",
    "is",
    "are",
    "was",
    "be",
    "been",
    "has",
    "have",
    "what",
    "when",
    "where",
    "who",
    "how",
    "why",
    "which",
    "i",
    "you",
    "me",
    "he",
    "she",
    "it",
    "we",
    "they",
    "us",
    "them",
    "my",
    "your",
    "our",
    "not",
    "no",
    "do",
    "does",
    "did",
    "can",
    "could",
    "would",
    "will",
    "should",
    "set",
    "start",
    "cancel",
    "stop",
    "delete",
    "turn",
    "check",
    "than",
    "at",
    "on",
    "off",
    "until",
    "from",
    "by",
    "if",
    "all",
    "every",
    "each",
    "any",
    "both",
    "other",
    "another",
    "that",
    "this",
    "these",
    "those",
    "there",
    "here",
    "up",
    "down",
    "now",
    "left",
    "done",
    "percent",
    "long",
    "much",
    "many",
    "half",
    "quarter",
    "couple",
    "new",
    "first",
    "last",
    "next",
    "more",
    "ago",
    "later",
    "time",
    "times",
    "about",
    "around",
    "after",
    "before",
    "as",
    "named",
    "called",
    "tomorrow",
    "tonight",
    "today",
    "am",
    "pm",
    "o'clock",
    "noon",
    "midnight",
    "countdown",
    "sleep",
    "running",
    "go",
    "goes",
    "please",
    "only",
    "s",
    "between",
    "minus",
    "negative",
    "instead",
    "longer",
    "shorter",
    "again",
    "paused",
];
const UNITS: &[&str] = &[
    "second", "seconds", "sec", "secs", "minute", "minutes", "min", "mins", "hour", "hours", "hr", "hrs", "h", "m",
    "day", "days", "week", "weeks", "month", "months", "year", "years",
];
/// What an errand does not hold: a second command, a condition, another time.
const NO_ERRAND: &[&str] = &[
    "and",
    "then",
    "or",
    "if",
    "when",
    "every",
    "until",
    "tomorrow",
    "tonight",
    "today",
    "at",
    "timer",
    "timers",
    "alarm",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "not",
    "while",
    "after",
    "before",
    "again",
];
/// "Set a timer for ten minutes to turn off the lights" may be meant for the lights.
const DEVICE_VERBS: &[&str] = &[
    "turn", "switch", "set", "start", "stop", "play", "pause", "resume", "open", "close", "lock", "unlock", "dim",
    "shut", "raise", "lower", "mute", "put", "run", "activate", "announce", "call", "text", "send", "go", "be",
];

/// One to three words that can name a timer, the longest first. In words.
pub(super) fn labels(said: &Said<'_>, left: Range<usize>) -> Vec<usize> {
    let fit = said.words[left].iter().take(LABEL_MAX).take_while(|w| is_label_word(w)).count();
    (1..=fit).rev().collect()
}

pub(super) fn is_label_word(w: &str) -> bool {
    w.chars().all(|c| c.is_alphabetic() || c == '\'')
        && !NO_LABEL.contains(&w)
        && !UNITS.contains(&w)
        && !is_number_word(w)
}

/// Whether it is a unit of time.
pub(super) fn is_unit(w: &str) -> bool {
    UNITS.contains(&w)
}

/// A name that was announced as one: any words, the shortest first, but no second command.
pub(super) fn names(said: &Said<'_>, left: Range<usize>) -> Vec<usize> {
    let fit =
        said.words[left].iter().take(NAME_MAX).take_while(|w| !matches!(w.as_str(), "and" | "then" | "or")).count();
    (1..=fit).collect()
}

/// What is to be done then; with `any` also things a device could do. The longest first.
pub(super) fn errands(said: &Said<'_>, left: Range<usize>, any: bool) -> Vec<usize> {
    let t = &said.words[left];
    let fits = |w: &String| {
        w.chars().all(|c| c.is_alphabetic() || c == '\'')
            && !NO_ERRAND.contains(&w.as_str())
            && !UNITS.contains(&w.as_str())
            && !is_number_word(w)
    };
    let fit = t.iter().take(ERRAND_MAX).take_while(|w| fits(w)).count();
    let verb = t.first().map_or("", String::as_str);
    if fit == 0 || (!any && DEVICE_VERBS.contains(&verb)) {
        return Vec::new();
    }
    // "in" belongs to the time that follows: "to check the oven in ten minutes".
    (1..=fit).rev().filter(|&n| !matches!(t[n - 1].as_str(), "in" | "the" | "a" | "to")).collect()
}
