//! The rules of English, tried in order at every place of the text; the first that fits speaks.

use super::lexer::{Token, tokens, unify};
use super::{abbreviations, calendar, digits, money, net, quantity, symbols};

/// How many tokens a rule has read and what to say for them.
pub(super) type Said = Option<(usize, String)>;

/// A rule sees what came before (context) and what is to be said.
type Rule = fn(before: &[Token], rest: &[Token]) -> Said;

/// Longer and more special readings first: a date before a range, a range before a number.
const RULES: &[Rule] = &[
    net::address,
    calendar::date,
    calendar::time,
    digits::digit_run,
    money::amount,
    quantity::feet_and_inches,
    quantity::ordinal,
    quantity::decade,
    quantity::dimensions,
    quantity::with_unit,
    calendar::year,
    quantity::plain,
    quantity::bare_unit,
    abbreviations::title,
    abbreviations::abbreviation,
    abbreviations::initials,
    symbols::symbol,
];

pub(super) fn normalize(text: &str) -> String {
    let text = unify(text);
    let tokens = tokens(&text);
    let mut out = String::with_capacity(text.len() * 2);
    let mut at = 0;
    while at < tokens.len() {
        let (before, rest) = tokens.split_at(at);
        match RULES.iter().find_map(|rule| rule(before, rest)) {
            Some((used, words)) => {
                push(&mut out, &words);
                at += used.max(1);
            }
            None => {
                match rest[0] {
                    Token::Num(w) | Token::Word(w) => push(&mut out, w),
                    Token::Space => out.push(' '),
                    Token::Sym(c) => out.push(c),
                }
                at += 1;
            }
        }
    }
    tidy(&out)
}

/// Appends, with a space where two words would run together.
fn push(out: &mut String, words: &str) {
    let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    if joins(out.chars().last()) && joins(words.chars().next()) {
        out.push(' ');
    }
    out.push_str(words);
}

/// One space between words, none before punctuation, no doubled comma.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' if out.is_empty() || out.ends_with(' ') => {}
            ',' | '.' | ';' | ':' | '!' | '?' => {
                if out.ends_with(' ') {
                    out.pop();
                }
                // A stop takes the place of a comma; a second comma or a comma after a stop says nothing.
                if c != ',' && out.ends_with(',') {
                    out.pop();
                }
                let says_nothing = out.is_empty() || out.ends_with([',', ';', ':', '.', '!', '?']);
                if c != ',' || !says_nothing {
                    out.push(c);
                }
            }
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}
