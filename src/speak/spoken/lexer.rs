//! Text as runs of digits, words, spaces and single symbols.

/// One piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// ASCII digits.
    Num(&'a str),
    /// Letters, with apostrophes inside ("don't").
    Word(&'a str),
    /// Any run of white space.
    Space,
    /// Anything else, one character.
    Sym(char),
}

impl<'a> Token<'a> {
    pub(super) fn word(self) -> Option<&'a str> {
        match self {
            Token::Word(w) => Some(w),
            _ => None,
        }
    }

    pub(super) fn is_capitalized(self) -> bool {
        self.word().is_some_and(|w| w.starts_with(char::is_uppercase))
    }
}

/// The last word before here, in lower case; spaces and commas are looked through, other things are not.
pub(super) fn word_before(before: &[Token]) -> Option<String> {
    let last = before.iter().rev().find(|t| !matches!(t, Token::Space | Token::Sym(',')))?;
    last.word().map(str::to_lowercase)
}

/// Whether a token that must not continue another word or number may start here.
pub(super) fn at_start(before: &[Token]) -> bool {
    !matches!(before.last(), Some(Token::Num(_) | Token::Word(_) | Token::Sym('.' | '/' | '@' | '\'')))
}

/// Whether what follows an abbreviation's dot starts a new sentence (or nothing follows): then the dot is also a stop.
pub(super) fn sentence_ends(after: &[Token]) -> bool {
    match after.iter().find(|t| !matches!(t, Token::Space | Token::Sym('"' | '\'' | ')' | ']'))) {
        None => true,
        Some(t) => matches!(after.first(), Some(Token::Space)) && t.is_capitalized(),
    }
}

/// One spelling for characters that mean the same here.
pub(super) fn unify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2212}' | '\u{2010}' | '\u{2011}' => out.push('-'),
            '\u{2018}' | '\u{2019}' | '\u{2032}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{2033}' => out.push('"'),
            '\u{03bc}' => out.push('µ'),
            'º' | '˚' => out.push('°'),
            '℃' => out.push_str("°C"),
            '℉' => out.push_str("°F"),
            '\u{2044}' => out.push('/'),
            '№' => out.push_str("No."),
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            c if c.is_ascii_digit() => run(rest, |c| c.is_ascii_digit()),
            c if c.is_whitespace() => run(rest, char::is_whitespace),
            c if c.is_alphabetic() => word(rest),
            c => c.len_utf8(),
        };
        let (head, tail) = rest.split_at(len);
        out.push(match c {
            c if c.is_ascii_digit() => Token::Num(head),
            c if c.is_whitespace() => Token::Space,
            c if c.is_alphabetic() => Token::Word(head),
            c => Token::Sym(c),
        });
        rest = tail;
    }
    out
}

fn run(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

fn word(text: &str) -> usize {
    let mut end = run(text, char::is_alphabetic);
    while let Some(more) = text[end..].strip_prefix('\'') {
        match run(more, char::is_alphabetic) {
            0 => break,
            n => end += 1 + n,
        }
    }
    end
}
