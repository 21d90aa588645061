//! Splits a stream of text into sentences, each handed out as soon as it is complete.

use super::html::Html;
use super::markup;
use super::stops::{Scan, sentence_end};

/// Longest sentence handed out, in characters: bounds the voice's memory and how late a sentence sounds.
pub const MAX_CHARS: usize = 200;

/// Once the first sentence of a reply is this long without an end, its first clauses go ahead.
const FIRST_CLAUSE_AT: usize = 48;
/// Shorter beginnings ("Well,") are not worth speaking alone.
const FIRST_CLAUSE_MIN: usize = 20;
/// A forced cut leaves at least this much in front, unless there is nothing but one long word.
const CUT_MIN: usize = 40;

/// Words that join clauses; a sentence without punctuation is best cut before one.
const JOINTS: [&str; 10] = ["and", "but", "or", "because", "which", "so", "when", "while", "if", "that"];

/// Splits a stream of text into sentences of at most [`MAX_CHARS`] characters, without markup, emoji or control
/// characters. What comes out depends on the text alone, not on how it was cut into pieces; no word is lost.
#[derive(Debug)]
pub struct Chunker {
    html: Html,
    /// Text of the sentence being gathered: no leading white space, no runs of spaces.
    pending: String,
    chars: usize,
    /// `pending` begins a line of the source.
    line_start: bool,
    /// Nothing has been handed out of this reply yet.
    first: bool,
}

impl Default for Chunker {
    fn default() -> Self {
        Self { html: Html::default(), pending: String::new(), chars: 0, line_start: true, first: true }
    }
}

impl Chunker {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of text and returns the sentences it completed, mostly none or one.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut plain = String::new();
        for c in piece.chars() {
            self.html.push(c, &mut plain);
            self.take(&plain, &mut out);
            plain.clear();
        }
        out
    }

    fn take(&mut self, plain: &str, out: &mut Vec<String>) {
        for c in plain.chars() {
            if self.append(c) {
                while let Some(end) = self.boundary() {
                    self.cut(end, out);
                }
            }
        }
    }

    /// End of input: returns what is left, and is ready for another text.
    pub fn finish(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        let mut plain = String::new();
        self.html.finish(&mut plain);
        self.take(&plain, &mut out);
        while let Scan::Cut(end) = sentence_end(&self.pending, self.line_start, true) {
            if end >= self.pending.len() {
                break;
            }
            self.cut(end, &mut out);
        }
        self.cut(self.pending.len(), &mut out);
        *self = Self::default();
        out
    }

    /// Adds one character, white space reduced to single spaces and at most two newlines; false when nothing changed.
    fn append(&mut self, c: char) -> bool {
        let c = match c {
            '\n' => '\n',
            '\r' => return false,
            c if c.is_whitespace() => ' ',
            c if c.is_control() => return false,
            c => c,
        };
        if self.pending.is_empty() {
            if c == '\n' {
                self.line_start = true;
            }
            if c == ' ' || c == '\n' {
                return false;
            }
        }
        match c {
            ' ' if self.pending.ends_with([' ', '\n']) => return false,
            '\n' if self.pending.ends_with("\n\n") => return false,
            '\n' if self.pending.ends_with(' ') => {
                self.pending.pop();
                self.chars -= 1;
            }
            _ => {}
        }
        self.pending.push(c);
        self.chars += 1;
        true
    }

    /// Where the pending text can be cut by now: at the end of its first sentence, else where it grew too long.
    fn boundary(&self) -> Option<usize> {
        if let Scan::Cut(end) = sentence_end(&self.pending, self.line_start, false) {
            return Some(end);
        }
        if self.first
            && self.chars >= FIRST_CLAUSE_AT
            && let Some(end) = last_clause_end(&self.pending, FIRST_CLAUSE_MIN)
        {
            return Some(end);
        }
        (self.chars > MAX_CHARS).then(|| forced_cut(&self.pending))
    }

    /// Hands out the text up to `end` and keeps the rest.
    fn cut(&mut self, end: usize, out: &mut Vec<String>) {
        let rest = self.pending.split_off(end.min(self.pending.len()));
        let mut text = markup::strip(&self.pending, self.line_start);
        if text.contains(char::is_alphanumeric) {
            // Markup can only have shrunk it, but a table's bars become commas.
            while text.chars().count() > MAX_CHARS {
                let rest = text.split_off(forced_cut(&text));
                out.push(text.trim().to_owned());
                text = rest.trim_start().to_owned();
            }
            out.push(text);
            self.first = false;
        }
        let kept = rest.trim_start();
        self.line_start = rest[..rest.len() - kept.len()].contains('\n');
        self.chars = kept.chars().count();
        self.pending = kept.to_owned();
    }
}

/// End of the last clause that leaves at least `min` characters in front and is followed by more text.
fn last_clause_end(text: &str, min: usize) -> Option<usize> {
    let mut best = None;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if count < min {
            continue;
        }
        let after = &text[at + c.len_utf8()..];
        let mut next = after.chars();
        let (space, then) = (next.next(), next.next());
        let more = space.is_some_and(char::is_whitespace) && then.is_some();
        match c {
            // "November 5, 2026" and "Yes," he said stay whole
            // "Tue., Mar. 4" and "Monday, May 4" too
            ',' if text[..at].ends_with(['.', ']']) || text[..at].ends_with("day") => {}
            ',' | ';' | ':' if more && !then.is_some_and(|t| t.is_ascii_digit()) => best = Some(at + 1),
            '—' if then.is_some() => best = Some(at + c.len_utf8()),
            '-' | '–' if more && text[..at].ends_with(' ') && !then.is_some_and(|t| t.is_ascii_digit()) => {
                best = Some(at + c.len_utf8());
            }
            _ => {}
        }
    }
    best
}

/// Where to cut text that grew past [`MAX_CHARS`]: after a clause, else before a joining word, else between words,
/// else in the middle of what is one endless word. Never zero.
fn forced_cut(text: &str) -> usize {
    let limit = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(i, _)| i);
    let head = &text[..limit];
    if let Some(end) = last_clause_end(head, CUT_MIN) {
        return end;
    }
    let min = head.char_indices().nth(CUT_MIN).map_or(0, |(i, _)| i);
    if let Some(at) = JOINTS.iter().filter_map(|j| head.rfind(&format!(" {j} "))).max().filter(|at| *at >= min) {
        // "and so", "but when" stay together.
        let pair = head[..at].rfind(' ').filter(|b| JOINTS.contains(&&head[b + 1..at]));
        return pair.unwrap_or(at) + 1;
    }
    let spaces = || head.char_indices().filter(|(at, c)| c.is_whitespace() && *at > 0).rev();
    let plain = |at: usize| head[..at].ends_with(char::is_alphabetic) && head[at + 1..].starts_with(char::is_lowercase);
    spaces()
        .find(|(at, _)| *at >= min && plain(*at))
        .or_else(|| spaces().next())
        .map_or(limit, |(at, c)| at + c.len_utf8())
        .max(text.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
#[path = "tests/chunker.rs"]
mod tests;
