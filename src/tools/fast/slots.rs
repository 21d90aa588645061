//! The values in commands: durations, labels, levels, places, sums.

use crate::tools::number::{count, is_number_word, number};
use crate::tools::{duration as durations, zone};

/// Longest label and errand, in words.
const LABEL_MAX: usize = 3;
const ERRAND_MAX: usize = 6;

/// Words that a timer's name does not hold: otherwise half the language would be a name.
const NO_LABEL: &[&str] = &[
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

pub(super) fn duration(t: &[String]) -> Option<(u64, usize)> {
    // "A second timer" is one more timer.
    if t.len() >= 2 && t[0] == "a" && t[1] == "second" {
        return None;
    }
    durations::duration(t)
}

/// "50", "fifty percent", up to a hundred.
pub(super) fn percent(t: &[String]) -> Option<(u32, usize)> {
    let (v, n) = count(t, 100)?;
    Some((v, n + usize::from(t.get(n).is_some_and(|w| w == "percent"))))
}

/// One to three words that can name a timer, the longest first.
pub(super) fn labels(t: &[String]) -> Vec<(usize, String)> {
    let fit = t.iter().take(LABEL_MAX).take_while(|w| is_label_word(w)).count();
    (1..=fit).rev().map(|n| (n, t[..n].join(" "))).collect()
}

fn is_label_word(w: &str) -> bool {
    w.chars().all(|c| c.is_alphabetic() || c == '\'')
        && !NO_LABEL.contains(&w)
        && !UNITS.contains(&w)
        && !is_number_word(w)
}

/// What is to be done then; with `any` also things a device could do.
pub(super) fn errands(t: &[String], any: bool) -> Vec<(usize, String)> {
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
    (1..=fit)
        .rev()
        .filter(|&n| !matches!(t[n - 1].as_str(), "in" | "the" | "a" | "to"))
        .map(|n| (n, t[..n].join(" ")))
        .collect()
}

/// A place whose time is known.
pub(super) fn places(t: &[String]) -> Vec<(usize, String)> {
    (1..=t.len().min(3)).rev().map(|n| (n, t[..n].join(" "))).filter(|(_, p)| zone::is_known(p)).collect()
}

/// The longest sum at the start of `t`, in signs, with how many tokens it takes. At least one operation. Without
/// `signs`, only operations said in words count: "4 x 4" is a car and "555-1234" a number.
pub(super) fn expression(t: &[String], signs: bool) -> Option<(String, usize)> {
    let words = t.iter().map(String::as_str).collect();
    let mut s = Sum { t, words, at: 0, out: String::new(), operations: 0, signs };
    s.term()?;
    let mut good = (s.out.clone(), s.at, s.operations);
    while s.operator().is_some() && s.term().is_some() {
        good = (s.out.clone(), s.at, s.operations);
    }
    let (out, at, operations) = good;
    (operations > 0).then_some((out, at))
}

struct Sum<'a> {
    t: &'a [String],
    words: Vec<&'a str>,
    at: usize,
    out: String,
    operations: u32,
    signs: bool,
}

impl<'a> Sum<'a> {
    fn operator(&mut self) -> Option<()> {
        let signs = self.signs;
        let (sign, n) = match self.ahead() {
            ["plus" | "+", ..] => ("+", 1),
            ["minus" | "less", ..] => ("-", 1),
            ["-", ..] if signs => ("-", 1),
            ["take", "away", ..] => ("-", 2),
            ["times" | "*", ..] => ("*", 1),
            ["x", ..] if signs => ("*", 1),
            ["multiplied", "by", ..] => ("*", 2),
            ["divided", "by", ..] => ("/", 2),
            ["over", ..] => ("/", 1),
            ["/", ..] if signs => ("/", 1),
            ["to", "the", "power", "of", ..] => ("^", 4),
            ["to", "the", "power", ..] => ("^", 3),
            ["raised", "to", ..] => ("^", 2),
            ["^", ..] => ("^", 1),
            _ => return None,
        };
        self.at += n;
        self.operations += 1;
        self.out.push_str(&format!(" {sign} "));
        Some(())
    }

    fn term(&mut self) -> Option<()> {
        match self.ahead() {
            ["the", "square", "root", "of", ..] => return self.root(4),
            ["square", "root", "of", ..] => return self.root(3),
            ["half", "of", ..] => return self.share(2, "2"),
            ["a" | "one", "half", "of", ..] => return self.share(3, "2"),
            ["a" | "one", "third", "of", ..] => return self.share(3, "3"),
            ["a" | "one", "quarter", "of", ..] => return self.share(3, "4"),
            ["minus" | "negative" | "-", ..] => {
                self.at += 1;
                self.out.push('-');
            }
            _ => {}
        }
        self.number()?;
        match self.ahead() {
            ["percent", "of", ..] => {
                self.at += 2;
                self.operations += 1;
                self.out.push_str(" / 100 * ");
                self.number()?;
            }
            ["squared", ..] => self.power("2"),
            ["cubed", ..] => self.power("3"),
            _ => {}
        }
        Some(())
    }

    fn root(&mut self, words: usize) -> Option<()> {
        self.at += words;
        self.operations += 1;
        self.out.push_str("sqrt(");
        self.number()?;
        self.out.push(')');
        Some(())
    }

    fn share(&mut self, words: usize, divisor: &str) -> Option<()> {
        self.at += words;
        self.operations += 1;
        self.number()?;
        self.out.push_str(" / ");
        self.out.push_str(divisor);
        Some(())
    }

    fn power(&mut self, exponent: &str) {
        self.at += 1;
        self.operations += 1;
        self.out.push_str(" ^ ");
        self.out.push_str(exponent);
    }

    fn number(&mut self) -> Option<()> {
        let (v, n) = number(&self.t[self.at..])?;
        self.at += n;
        self.out.push_str(&v.to_string());
        Some(())
    }

    fn ahead(&self) -> &[&'a str] {
        self.words.get(self.at..).unwrap_or_default()
    }
}
