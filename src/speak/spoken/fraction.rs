//! Fractions: 3/4, ¾, 2 1/2, 8/10, 24/7.

use super::lexer::{Token, next_word};
use super::number::{self, cardinal};
use Token::{Num, Space, Sym};

/// A number as read from the text.
pub(super) struct Amount {
    pub(super) words: String,
    /// Tokens read.
    pub(super) used: usize,
    /// What it counts stands in the singular.
    pub(super) one: bool,
}

fn vulgar(c: char) -> Option<(u64, u64)> {
    Some(match c {
        '½' => (1, 2),
        '⅓' => (1, 3),
        '⅔' => (2, 3),
        '¼' => (1, 4),
        '¾' => (3, 4),
        '⅕' => (1, 5),
        '⅖' => (2, 5),
        '⅗' => (3, 5),
        '⅘' => (4, 5),
        '⅙' => (1, 6),
        '⅚' => (5, 6),
        '⅐' => (1, 7),
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        '⅞' => (7, 8),
        '⅑' => (1, 9),
        '⅒' => (1, 10),
        _ => return None,
    })
}

/// Numerator and denominator of 3/4 or ¾, and tokens read.
fn ratio(rest: &[Token]) -> Option<(u64, u64, usize)> {
    match rest {
        [Sym(c), ..] => vulgar(*c).map(|(n, d)| (n, d, 1)),
        [Num(_), Sym('/'), Num(_), Sym('/'), Num(_), ..] => None,
        [Num(n), Sym('/'), Num(d), ..] if n.len() <= 3 && d.len() <= 3 => Some((n.parse().ok()?, d.parse().ok()?, 3)),
        _ => None,
    }
}

fn part_name(n: u64, d: u64) -> Option<String> {
    let name = match d {
        2 => "half".to_owned(),
        4 => "quarter".to_owned(),
        3..=20 | 32 | 64 | 100 => number::ordinal(d),
        _ => return None,
    };
    (n < d && n > 0).then(|| match (n, d) {
        (1, _) => name,
        _ => format!("{name}s"),
    })
}

/// 2 1/2, 2½, 1-3/4
pub(super) fn mixed(rest: &[Token]) -> Option<Amount> {
    let [Num(whole), after @ ..] = rest else { return None };
    let space = usize::from(matches!(after.first(), Some(Space | Sym('-'))));
    let (n, d, used) = ratio(&after[space..])?;
    let part = part_name(n, d).filter(|_| d <= 64)?;
    let part = if n == 1 { format!("a {part}") } else { format!("{} {part}", cardinal(n)) };
    Some(Amount { words: format!("{} and {part}", number::whole(whole)), used: 1 + space + used, one: false })
}

/// "4/5 stars"
fn scored(after: &[Token]) -> bool {
    next_word(after).is_some_and(|w| matches!(w, "stars" | "points" | "marks"))
}

/// "rated 4/5", "a score of 3/5"
fn rated(before: &[Token]) -> bool {
    let rating = |w: &str| matches!(w, "rate" | "rated" | "rating" | "score" | "scored" | "scores" | "grade" | "marks");
    before.iter().rev().filter_map(|t| t.word()).take(3).any(|w| rating(&w.to_lowercase()))
}

/// 1/2, ¾, 8/10, 24/7, 50/50, 20/20
pub(super) fn fraction(before: &[Token], rest: &[Token]) -> Option<Amount> {
    if matches!(before.last(), Some(Sym('/'))) {
        return None;
    }
    let (n, d, used) = ratio(rest)?;
    let words = match (n, d) {
        (24, 7) | (9, 11) => format!("{} {}", cardinal(n), cardinal(d)),
        (n, d) if n == d && n >= 10 => format!("{} {}", cardinal(n), cardinal(d)),
        (80, 20) | (60, 40) | (70, 30) | (90, 10) | (20, 40) => format!("{} {}", cardinal(n), cardinal(d)),
        (n, d) if n <= d && (scored(&rest[used..]) || rated(before)) => {
            format!("{} out of {}", cardinal(n), cardinal(d))
        }
        // "01/02" is no part of anything
        _ if matches!(rest, [Num(n), ..] if n.len() == 2 && n.starts_with('0')) => return None,
        (n, 10) if n <= 10 => format!("{} out of ten", cardinal(n)),
        _ => match part_name(n, d) {
            Some(part) => format!("{} {part}", cardinal(n)),
            None => format!("{} over {}", cardinal(n), cardinal(d)),
        },
    };
    Some(Amount { words, used, one: n < d })
}
