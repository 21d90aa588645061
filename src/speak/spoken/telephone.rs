//! Telephone numbers, digit by digit: +44 20 7946 0958, 020 7946 0958, (555) 123-4567, "dial 999".
//!
//! A number is one where it begins with + or, in groups, with 0; where it is grouped as in North America; or where a
//! word such as "call" stands in front and nothing countable behind ("call 500 people").

use super::lexer::{Said, Token, at_start, label_before, next_word};
use super::number::{digits, grouped_digits};
use Token::{Num, Space, Sym, Word};

/// Words in front of a telephone number.
fn called(before: &[Token]) -> bool {
    let words: Vec<String> = before.iter().rev().filter_map(|t| t.word()).take(3).map(str::to_lowercase).collect();
    let word = |w: &str| {
        matches!(
            w,
            "call"
                | "calls"
                | "called"
                | "calling"
                | "dial"
                | "dialed"
                | "dialing"
                | "phone"
                | "telephone"
                | "tel"
                | "mobile"
                | "cell"
                | "text"
                | "ring"
                | "fax"
                | "hotline"
                | "whatsapp"
                | "sms"
                | "helpline"
                | "landline"
        )
    };
    let number = |w: &str| matches!(w, "number" | "phone" | "mobile" | "cell" | "fax" | "line");
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [w, ..] if word(w) => true,
        // "call me on", "text us at", "call us: "
        ["on" | "at" | "me" | "us" | "him" | "her" | "or" | "number" | "is" | "and" | "to", w, ..] if word(w) => true,
        ["on" | "at" | "is", "me" | "us" | "him" | "her" | "number" | "line", w, ..] if word(w) => true,
        ["is", w, ..] if number(w) => true,
        ["to", _, "text" | "sms"] => true,
        _ => false,
    }
}

/// The groups of a number in order.
struct Groups<'a> {
    digits: Vec<&'a str>,
    used: usize,
    plus: bool,
    hyphens: usize,
    dots: usize,
    slashes: usize,
    brackets: usize,
    spaces: usize,
}

fn groups<'a>(rest: &[Token<'a>]) -> Groups<'a> {
    let plus = matches!(rest, [Sym('+'), Num(_), ..]);
    let mut g = Groups {
        digits: Vec::new(),
        used: usize::from(plus),
        plus,
        hyphens: 0,
        dots: 0,
        slashes: 0,
        brackets: 0,
        spaces: 0,
    };
    let group_follows = |rest: &[Token]| matches!(rest, [Num(_), ..] | [Sym('('), Num(_), Sym(')'), ..]);
    loop {
        match &rest[g.used..] {
            [Sym('('), Num(n), Sym(')'), ..] => {
                g.digits.push(n);
                g.brackets += 1;
                g.used += 3;
            }
            [Num(n), ..] => {
                g.digits.push(n);
                g.used += 1;
            }
            _ => break,
        }
        match &rest[g.used..] {
            [Sym(s @ ('-' | '.' | '/' | '–')), after @ ..] if group_follows(after) => {
                match s {
                    '.' => g.dots += 1,
                    '/' => g.slashes += 1,
                    _ => g.hyphens += 1,
                }
                g.used += 1;
            }
            [Space, after @ ..] if group_follows(after) => {
                g.spaces += 1;
                g.used += 1;
            }
            after if group_follows(after) => {}
            _ => break,
        }
    }
    g
}

pub(super) fn number(before: &[Token], rest: &[Token]) -> Said {
    keys(before, rest).or_else(|| grouped(before, rest))
}

/// *67, *#06#, #31#: what is dialed with the keys beside zero
fn keys(before: &[Token], rest: &[Token]) -> Said {
    let used = rest.iter().take_while(|t| matches!(t, Num(_) | Sym('*' | '#'))).count();
    let chain = &rest[..used];
    let fits = match chain {
        [Sym('*'), Num(n)] => called(before) || n.len() == 2,
        [Sym('*' | '#'), .., Sym('#')] => chain.iter().any(|t| matches!(t, Num(_))),
        [Num(_), .., Sym('#')] => called(before),
        _ => false,
    };
    if !fits || !at_start(before) || matches!(rest.get(used), Some(Word(_))) {
        return None;
    }
    let said = chain.iter().map(|t| match t {
        Num(n) => digits(n),
        Sym('*') => "star".into(),
        _ => "pound".into(),
    });
    Some((used, said.collect::<Vec<_>>().join(" ")))
}

fn grouped(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) || !matches!(rest.first(), Some(Num(_) | Sym('+' | '('))) {
        return None;
    }
    // 1-800-FLOWERS
    if let [Num("1"), Sym('-'), Num(area), Sym('-'), Word(w), ..] = rest
        && area.len() == 3
        && w.chars().all(char::is_uppercase)
    {
        return Some((5, format!("one, {}, {w}", digits(area))));
    }
    let g = groups(rest);
    let sizes: Vec<usize> = g.digits.iter().map(|d| d.len()).collect();
    let total: usize = sizes.iter().sum();
    let called = called(before);
    let first = *g.digits.first()?;
    let after = &rest[g.used..];
    let one_kind = [g.hyphens, g.dots, g.slashes].iter().filter(|n| **n > 0).count() <= 1;
    // A decimal, a time or an amount goes on behind it.
    let goes_on = matches!(after, [Sym(':' | ',' | '.'), Num(_), ..] | [Sym('%' | '€' | '°'), ..] | [Word(_), ..])
        && !matches!(after, [Word("x"), Num(_), ..]);
    let looks_it = match sizes.as_slice() {
        _ if goes_on || (total > 15 && sizes != [4; 4]) || !one_kind => false,
        _ if g.plus => total >= 7 && (sizes.len() >= 2 || total >= 9),
        [_, _, ..] if first.starts_with('0') && first.len() >= 2 => {
            (8..=14).contains(&total) && g.dots == 0 && !date(&sizes, g.hyphens + g.slashes)
        }
        _ if g.brackets > 0 && matches!(rest.first(), Some(Sym('('))) => (8..=12).contains(&total) && sizes.len() >= 2,
        // "100-2000 people" is a range
        [3, 4] if g.hyphens == 1 => !countable(after) && (called || !g.digits[1].ends_with("00")),
        [3, 4] => called,
        [3, 3, 4] | [1, 3, 3, 4] => true,
        [3, 2, 4] => g.hyphens == 2,
        // a bank card
        [4, 4, 4, 4] => {
            called
                || matches!(
                    label_before(before).as_deref(),
                    Some("card" | "number" | "is" | "account" | "visa" | "mastercard")
                )
        }
        [_, _, ..] if called => {
            (5..=13).contains(&total) && g.slashes == 0 && (g.dots == 0 || g.dots + 1 == sizes.len())
        }
        [_, _, _, ..] => g.hyphens + 1 == sizes.len() && (7..=15).contains(&total) && !date(&sizes, g.hyphens),
        [3..=6] => called && !countable(after),
        [n] if *n >= 7 => called,
        _ => false,
    };
    if !looks_it {
        return None;
    }
    let said: Vec<String> = g.digits.iter().map(|d| if d.len() > 5 { grouped_digits(d) } else { digits(d) }).collect();
    let (more, extension) = match after {
        [Space, Word("x"), Num(n), ..] => (3, format!(", extension {}", digits(n))),
        [Word("x"), Num(n), ..] => (2, format!(", extension {}", digits(n))),
        [Space, Word("ext" | "Ext"), Sym('.'), Space, Num(n), ..] => (5, format!(", extension {}", digits(n))),
        [Sym(','), Space, Word("ext" | "Ext"), Sym('.'), Space, Num(n), ..] => {
            (6, format!(", extension {}", digits(n)))
        }
        [Space, Word("ext" | "extension"), Space, Num(n), ..] => (4, format!(", extension {}", digits(n))),
        _ => (0, String::new()),
    };
    Some((g.used + more, format!("{}{}{extension}", if g.plus { "plus " } else { "" }, said.join(", "))))
}

/// 01-02-2025, 2025-01-02
fn date(sizes: &[usize], marks: usize) -> bool {
    marks == 2 && matches!(sizes, [1..=2, 1..=2, 4] | [4, 1..=2, 1..=2])
}

/// "500 people", "3 times", "20 friends", "2 minutes"
fn countable(after: &[Token]) -> bool {
    next_word(after)
        .is_some_and(|w| w == "people" || w == "percent" || (w.len() > 3 && w.ends_with('s') && !w.ends_with("ss")))
}

/// "ext. 4021", "extension 12"
pub(super) fn extension(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), ..] = rest else { return None };
    let labelled = matches!(label_before(before).as_deref(), Some("ext" | "extension"));
    (at_start(before) && labelled && n.len() <= 6).then(|| (1, digits(n)))
}
