//! Where a sentence ends: dots that stop and dots that do not.

/// What is known about the end of the first sentence of a text that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// It ends at this byte.
    Cut(usize),
    /// It depends on text not seen yet, or there is no end in sight.
    Open,
}

/// Longest name of a link or note that is waited for, in bytes.
const LONGEST_NAME: usize = 80;

/// Longest mark that points to a note, in bytes.
const LONGEST_MARK: usize = 16;

enum Verdict {
    Ends,
    GoesOn,
    Unknown,
}

use super::spoken::shorthand::{self, Ends};

const MARKS: [char; 4] = ['.', '!', '?', '…'];

/// What may follow "7 p.m." with a capital letter within the same sentence.
const AFTER_CLOCK: [&str; 35] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Eastern",
    "Pacific",
    "Central",
    "Mountain",
    "GMT",
    "UTC",
    "EST",
    "PST",
    "CET",
    "ET",
    "PT",
    "CT",
    "MT",
    "EDT",
    "PDT",
    "BST",
];

/// So many of them are days and months.
const DAYS_AND_MONTHS: usize = 19;

/// Words that start sentences and hardly names: after initials ("the U.S. It …") they show that a sentence ended.
const STARTERS: [&str; 48] = [
    "The", "A", "An", "It", "Its", "I", "You", "We", "He", "She", "They", "This", "That", "These", "Those", "There",
    "Here", "In", "On", "At", "By", "For", "From", "If", "When", "While", "As", "But", "And", "So", "Or", "Is", "Are",
    "Do", "Does", "Did", "What", "Who", "How", "Why", "Where", "Would", "Should", "Could", "Can", "Please", "Your",
    "Then",
];

/// The end of the first sentence of `text`; `line_start` says that it begins a line, `complete` that no more comes.
///
/// The answer for a text never contradicts the answer for a longer one that begins with it.
pub(super) fn sentence_end(text: &str, line_start: bool, complete: bool) -> Scan {
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        if at < skip_to {
            continue;
        }
        let (end, verdict) = if c == '\n' {
            (at, line_break(text, at, line_start, complete))
        } else if MARKS.contains(&c) {
            let run = MarkRun::at(text, at);
            (run.end, run.verdict(text, line_start, complete))
        } else {
            continue;
        };
        match verdict {
            Verdict::Ends => return Scan::Cut(end),
            Verdict::GoesOn => skip_to = end,
            Verdict::Unknown => return Scan::Open,
        }
    }
    Scan::Open
}

/// Marks in a row with the quotes and brackets that close after them.
struct MarkRun<'a> {
    start: usize,
    end: usize,
    marks: &'a str,
    /// A quote or bracket closes after the marks.
    closed: bool,
}

impl<'a> MarkRun<'a> {
    fn at(text: &'a str, start: usize) -> Self {
        let len = |s: &str, of: &dyn Fn(char) -> bool| s.find(|c| !of(c)).unwrap_or(s.len());
        let marks_end = start + len(&text[start..], &|c| MARKS.contains(&c));
        let closer = |c: char| "\"'”’)]}*_`»".contains(c) || super::markup::is_pictograph(c);
        let mut end = marks_end + len(&text[marks_end..], &closer);
        // "so.[1] Then": a mark that points to a note
        while let Some(len) = note_mark(&text[end..]) {
            end += len;
        }
        let closed = text[marks_end..end].contains(['"', '\'', '”', '’', ')', ']', '»']);
        Self { start, end, marks: &text[start..marks_end], closed }
    }

    fn verdict(&self, text: &str, line_start: bool, complete: bool) -> Verdict {
        let after = &text[self.end..];
        match after.chars().next() {
            None if complete => return Verdict::Ends,
            None => return Verdict::Unknown,
            Some('[') if !complete && after.len() < LONGEST_MARK && !after.contains(']') => return Verdict::Unknown,
            Some(c) if !c.is_whitespace() => return Verdict::GoesOn,
            Some(_) => {}
        }
        let follows = after.trim_start();
        let joined = follows.starts_with(['–', '—', '-', '&', '=', '+', '→', '/'])
            && !after[..after.len() - follows.len()].contains('\n');
        let next = Next { text: follows, complete, joined };
        if self.marks.contains('…') || self.marks.contains("..") {
            return next.unless(|n| n.starts(char::is_lowercase) || n.starts(|c| c.is_ascii_digit()) || n.is_word("I"));
        }
        if self.marks == "." {
            let word = text[..self.start].rsplit([' ', '\n', '(', '[', '"', '“', '*', '_']).next().unwrap_or_default();
            let before = text[..self.start - word.len()].trim_end();
            let verdict = after_word(word, before, line_start, &next);
            if !matches!(verdict, Verdict::Ends) {
                return verdict;
            }
        }
        // "Stop!" she said.
        if self.closed { next.unless(|n| n.starts(char::is_lowercase)) } else { Verdict::Ends }
    }
}

/// The length of "[1]" or "[^note]" at the start.
fn note_mark(text: &str) -> Option<usize> {
    let name = text.strip_prefix('[')?;
    let end = name.find(']').filter(|end| *end < LONGEST_MARK)?;
    let name = &name[..end];
    let numbers = !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ');
    (numbers || name.starts_with('^')).then_some(end + 2)
}

/// What follows a stop and its white space, as far as it has come.
struct Next<'a> {
    text: &'a str,
    complete: bool,
    /// A sign on the same line joins it to what is before.
    joined: bool,
}

impl Next<'_> {
    fn starts(&self, of: impl Fn(char) -> bool) -> bool {
        self.text.starts_with(of)
    }

    fn word(&self) -> &str {
        let len = self.text.find(|c: char| !c.is_alphabetic()).unwrap_or(self.text.len());
        &self.text[..len]
    }

    /// Whether the next word is known to its end.
    fn word_known(&self) -> bool {
        self.complete || self.word().len() < self.text.len()
    }

    /// The next word looks like a Roman numeral, as far as it has come.
    fn roman(&self) -> bool {
        !self.word().is_empty() && self.word().chars().all(|c| "IVXL".contains(c))
    }

    /// The part of a town that follows a street: "Pennsylvania Ave. NW".
    fn quarter(&self) -> bool {
        matches!(self.word(), "NE" | "NW" | "SE" | "SW")
    }

    fn is_word(&self, w: &str) -> bool {
        self.word() == w
    }

    /// "no. 5 left": the sentence ends before a number that counts a word in small letters, or is none at all.
    fn counts_something(&self) -> Verdict {
        let number = self.text.len() - self.text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let behind = &self.text[number..];
        let known = behind.starts_with(' ') && behind.len() > 1 || !behind.is_empty() && !behind.starts_with(' ');
        match () {
            () if !self.complete && !known => Verdict::Unknown,
            () if number == 0 || behind.trim_start().starts_with(char::is_lowercase) => Verdict::Ends,
            () => Verdict::GoesOn,
        }
    }

    /// The sentence ends unless the next character (and a one-letter next word) says that it goes on.
    fn unless(&self, goes_on: impl Fn(&Self) -> bool) -> Verdict {
        match () {
            () if self.text.is_empty() && !self.complete => Verdict::Unknown,
            () if self.word() == "I" && !self.word_known() => Verdict::Unknown,
            () if (self.roman() || matches!(self.word(), "o" | "of" | "N" | "S" | "NE" | "NW" | "SE" | "SW"))
                && !self.word_known() =>
            {
                Verdict::Unknown
            }
            () if self.joined || goes_on(self) => Verdict::GoesOn,
            () => Verdict::Ends,
        }
    }

    /// Decided by the whole next word.
    fn by_word(&self, ends: impl Fn(&str) -> bool) -> Verdict {
        match () {
            () if self.joined || self.starts(char::is_lowercase) => Verdict::GoesOn,
            () if !self.word_known() || (self.text.is_empty() && !self.complete) => Verdict::Unknown,
            () if ends(self.word()) => Verdict::Ends,
            () => Verdict::GoesOn,
        }
    }
}

/// Whether the dot after `word` ends a sentence, when white space follows it.
fn after_word(word: &str, before: &str, line_start: bool, next: &Next) -> Verdict {
    // "a 20-min. walk", "the $5/mo. plan"
    let (before, word) = match word.split_once(['-', '/']) {
        Some((n, unit)) if n.ends_with(|c: char| c.is_ascii_digit()) && !unit.contains(['-', '/']) => {
            (n.trim_start_matches(['$', '€', '£']), unit)
        }
        _ => (before, word),
    };
    let lower = word.to_lowercase();
    let is = |list: &[&str]| list.contains(&lower.as_str());
    let digits = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    // "1. Open the door": the number of a list.
    if digits && word.len() <= 3 && (before.is_empty() || before.ends_with('\n')) && (line_start || !before.is_empty())
    {
        return if next.complete && next.text.is_empty() { Verdict::Ends } else { Verdict::GoesOn };
    }
    // "II. Methods": the number of a part.
    let roman = word.len() > 1 && word.chars().all(|c| "IVX".contains(c));
    if roman && line_start && before.is_empty() {
        return if next.complete && next.text.is_empty() { Verdict::Ends } else { Verdict::GoesOn };
    }
    if lower == "st" || lower == "dr" {
        let last = before.rsplit(' ').next().unwrap_or_default();
        let street = last.starts_with(char::is_uppercase) || last.starts_with(|c: char| c.is_ascii_digit());
        return if street { next.by_word(|w| w.is_empty() || STARTERS.contains(&w)) } else { Verdict::GoesOn };
    }
    if lower == "a.m" || lower == "p.m" {
        return next.by_word(|w| !AFTER_CLOCK.contains(&w));
    }
    if is(&["e.g", "i.e", "a.k.a", "p.s", "n.b"]) {
        return Verdict::GoesOn;
    }
    let letters = |s: &str| !s.is_empty() && s.chars().all(char::is_alphabetic);
    let single = |s: &str| letters(s) && s.chars().count() == 1;
    // U.S., Ph.D., J. R. R. Tolkien
    let initials = word.split('.').all(|p| letters(p) && p.len() <= 3) && word.contains('.')
        || (single(word) && word != "I" && word.starts_with(char::is_uppercase));
    if initials {
        return next.by_word(|w| STARTERS.contains(&w));
    }
    if let Some(entry) = shorthand::entries(word).next() {
        let digit = |n: &Next| n.starts(|c| c.is_ascii_digit());
        let small = |n: &Next| {
            n.starts(char::is_lowercase) || n.starts(|c| c.is_ascii_digit() || c == '(' || c == '&') || n.quarter()
        };
        let last = before.rsplit(' ').next().unwrap_or_default();
        let numbered = last.starts_with(|c: char| c.is_ascii_digit() || "½¼¾".contains(c))
            // "5 sq. ft. room"
            || matches!(last, "sq." | "cu." | "fl." | "sq" | "cu" | "fl");
        if lower == "no" && !word.starts_with(char::is_uppercase) && answered(last) {
            return next.counts_something();
        }
        return match entry.ends {
            Ends::Never => Verdict::GoesOn,
            Ends::UnlessDigit => {
                next.unless(|n| digit(n) || (n.roman() && (n.word().len() > 1 || lower == "vol") || n.is_word("of")))
            }
            Ends::UnlessLower => next.unless(small),
            Ends::AfterNumber if entry.is_name() && word.starts_with(char::is_uppercase) => Verdict::GoesOn,
            Ends::AfterNumber if numbered => next.unless(small),
            Ends::AfterNumber => next.unless(digit),
        };
    }
    if is(&shorthand::CALENDAR) {
        // "Mon. Jan. 6"
        let dated = |n: &Next| {
            word.starts_with(char::is_uppercase)
                && (AFTER_CLOCK[..DAYS_AND_MONTHS].contains(&n.word()) || is_calendar(n.word()))
        };
        if next.starts(char::is_uppercase) && !next.word_known() {
            return Verdict::Unknown;
        }
        return next.unless(|n| {
            n.starts(char::is_lowercase) || n.starts(|c| c.is_ascii_digit() || "&-–".contains(c)) || dated(n)
        });
    }
    Verdict::Ends
}

/// A day or month cut short, with its capital.
fn is_calendar(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && shorthand::CALENDAR.contains(&word.to_lowercase().as_str())
}

/// Words behind which "no." is an answer rather than "number".
fn answered(last: &str) -> bool {
    let last = last.trim_end_matches([',', ':']).to_lowercase();
    matches!(
        last.as_str(),
        "oh" | "is"
            | "was"
            | "said"
            | "say"
            | "says"
            | "saying"
            | "answered"
            | "no"
            | "well"
            | "hell"
            | "a"
            | "ah"
            | "um"
            | "and"
            | "or"
            | "but"
            | "so"
            | "definitely"
            | "absolutely"
            | "means"
            | "big"
            | "um,"
            | "still"
            | "just"
            | "reply"
            | "that's"
            | "sadly"
            | "alas"
            | "unfortunately"
    )
}

/// Whether the newline at `at` ends a sentence: the end of a heading or list item, or a blank line or item after it.
/// Lines that are merely wrapped go on.
fn line_break(text: &str, at: usize, line_start: bool, complete: bool) -> Verdict {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line = &text[start..at];
    let begins_line = start > 0 || line_start;
    if line.ends_with(':') || (begins_line && matches!(marker(line, true), Some(true))) {
        return Verdict::Ends;
    }
    match marker(&text[at + 1..], complete) {
        Some(true) => Verdict::Ends,
        Some(false) => Verdict::GoesOn,
        None => Verdict::Unknown,
    }
}

/// Whether a line that starts like this is a heading, list item, table row, fence or blank; `None` while unclear.
fn marker(line: &str, complete: bool) -> Option<bool> {
    let mut chars = line.chars();
    let Some(first) = chars.next() else { return complete.then_some(true) };
    let spaced = |c: Option<char>| match c {
        None if !complete => None,
        c => Some(c.is_none_or(char::is_whitespace)),
    };
    match first {
        '\n' | '#' | '|' | '•' | '>' => Some(true),
        '`' => match line.chars().find(|c| *c != '`') {
            None if !complete && line.len() < 3 => None,
            _ => Some(line.starts_with("```")),
        },
        // "[name]: address", the definition of a link or note
        '[' => match line.find([']', '\n']) {
            None if !complete && line.len() < LONGEST_NAME => None,
            None => Some(false),
            Some(end) => match line[end..].chars().nth(1) {
                None if !complete => None,
                next => Some(line[end..].starts_with(']') && next == Some(':')),
            },
        },
        // the line under a heading
        '=' => match chars.next() {
            None if !complete => None,
            next => Some(next == Some('=')),
        },
        '-' | '*' | '+' | '–' => spaced(chars.next()),
        '0'..='9' => {
            let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
            let mut rest_chars = rest.chars();
            match rest_chars.next() {
                _ if line.len() - rest.len() > 3 => Some(false),
                None if !complete => None,
                Some('.' | ')') => spaced(rest_chars.next()),
                _ => Some(false),
            }
        }
        _ => Some(false),
    }
}
