//! The rules of English, tried in order at every place of the text; the first that fits speaks.

use super::lexer::{Rule, Token, tokens, unify};
use super::{
    abbreviations, cardinal, clock, code, date, dimension, duration, label, measure, money, net, roman, symbols,
    telephone, year,
};

/// Longer and more special readings first: a date before a range, a range before a number.
const RULES: &[Rule] = &[
    symbols::emoticon,
    code::secret,
    net::address,
    roman::numeral,
    date::date,
    duration::compound,
    duration::span,
    clock::range_start,
    clock::time,
    telephone::extension,
    telephone::number,
    code::code,
    money::amount,
    measure::feet_and_inches,
    cardinal::ordinal,
    year::decade,
    dimension::dimensions,
    label::labelled,
    measure::with_unit,
    year::year,
    cardinal::plain,
    measure::bare_unit,
    date::day_name,
    date::month_alone,
    clock::zone,
    clock::german_hour,
    abbreviations::latin,
    abbreviations::direction,
    abbreviations::shorthand,
    abbreviations::initials,
    abbreviations::acronym,
    symbols::letter,
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
    if (joins(out.chars().last()) || out.ends_with(',')) && joins(words.chars().next()) {
        out.push(' ');
    }
    out.push_str(words);
}

/// One space between words, none before punctuation, no doubled comma.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' if out.is_empty() || out.ends_with([' ', '(']) => {}
            ',' | '.' | ';' | ':' | '!' | '?' | ')' => {
                if out.ends_with(' ') {
                    out.pop();
                }
                // A stop takes the place of a comma; a second comma or a comma after a stop says nothing.
                if c != ',' && c != ')' && out.ends_with(',') {
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
