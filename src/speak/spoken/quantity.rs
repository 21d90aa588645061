//! Numbers with what they count: units, percent, degrees, fractions, ordinals, dimensions.

use super::english::Said;
use super::lexer::{Token, at_start, word_before};
use super::number;
use super::units::{per, read_unit, unit};
use Token::{Num, Space, Sym, Word};

/// A number as read from the text.
pub(super) struct Amount {
    pub(super) words: String,
    /// Tokens read.
    pub(super) used: usize,
    /// What it counts stands in the singular.
    pub(super) one: bool,
}

/// A number's digits: tokens read, whole part without separators, decimals.
pub(super) struct Digits<'a> {
    pub(super) used: usize,
    pub(super) int: String,
    pub(super) frac: Option<&'a str>,
}

impl Digits<'_> {
    pub(super) fn words(&self) -> String {
        match self.frac {
            Some(f) => number::decimal(&self.int, f),
            None => number::whole(&self.int),
        }
    }

    pub(super) fn is_one(&self) -> bool {
        self.frac.is_none() && self.int.trim_start_matches('0') == "1"
    }
}

/// 12, 1,234,567, 3.5, .5
pub(super) fn read_digits<'a>(rest: &[Token<'a>]) -> Option<Digits<'a>> {
    let (mut used, mut int) = match rest {
        [Num(n), ..] => (1, (*n).to_owned()),
        [Sym('.'), Num(f), ..] => return Some(Digits { used: 2, int: "0".into(), frac: Some(f) }),
        _ => return None,
    };
    if int.len() <= 3 {
        while let [Sym(','), Num(group), ..] = &rest[used..]
            && group.len() == 3
        {
            int.push_str(group);
            used += 2;
        }
    }
    match &rest[used..] {
        [Sym('.'), Num(f), ..] => Some(Digits { used: used + 2, int, frac: Some(f) }),
        _ => Some(Digits { used, int, frac: None }),
    }
}

/// "minus" or "plus" in front of a number, where it is a sign and no hyphen.
pub(super) fn read_sign(before: &[Token], rest: &[Token]) -> (usize, &'static str) {
    let signs_number = at_start(before) && !matches!(before.last(), Some(Sym('-' | '+')));
    match rest {
        [Sym('-'), Num(_) | Sym('.' | '$' | '€' | '£' | '¥'), ..] if signs_number => (1, "minus "),
        [Sym('+'), Num(_), ..] if signs_number => (1, "plus "),
        _ => (0, ""),
    }
}

fn read(before: &[Token], rest: &[Token]) -> Option<Amount> {
    let (signed, sign) = read_sign(before, rest);
    let body = &rest[signed..];
    if matches!(body.first(), Some(Sym('.'))) && !at_start(before) {
        return None;
    }
    let mut amount = mixed(body).or_else(|| fraction(before, body)).or_else(|| {
        let d = read_digits(body)?;
        Some(Amount { words: d.words(), used: d.used, one: d.is_one() })
    })?;
    amount.words.insert_str(0, sign);
    amount.used += signed;
    Some(amount)
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
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        '⅞' => (7, 8),
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
        3..=20 | 100 => number::ordinal(d),
        _ => return None,
    };
    (n < d && n > 0).then(|| match (n, d) {
        (1, _) => name,
        _ => format!("{name}s"),
    })
}

/// 2 1/2, 2½, 1 3/4
fn mixed(rest: &[Token]) -> Option<Amount> {
    let [Num(whole), after @ ..] = rest else { return None };
    let space = usize::from(matches!(after.first(), Some(Space)));
    let (n, d, used) = ratio(&after[space..])?;
    let part = part_name(n, d).filter(|_| d <= 16)?;
    let part = if n == 1 { format!("a {part}") } else { format!("{} {part}", number::cardinal(n)) };
    Some(Amount { words: format!("{} and {part}", number::whole(whole)), used: 1 + space + used, one: false })
}

/// 1/2, ¾, 8/10, 24/7
fn fraction(before: &[Token], rest: &[Token]) -> Option<Amount> {
    if matches!(before.last(), Some(Sym('/'))) {
        return None;
    }
    let (n, d, used) = ratio(rest)?;
    let count = number::cardinal;
    let words = match (n, d) {
        (24, 7) | (9, 11) => format!("{} {}", count(n), count(d)),
        (n, 10) if n <= 10 => format!("{} out of ten", count(n)),
        _ => match part_name(n, d) {
            Some(part) => format!("{} {part}", count(n)),
            None => format!("{} over {}", count(n), count(d)),
        },
    };
    Some(Amount { words, used, one: n < d })
}

/// A number and what it counts.
pub(super) fn with_unit(before: &[Token], rest: &[Token]) -> Said {
    let amount = read(before, rest)?;
    let after = &rest[amount.used..];
    let space = usize::from(matches!(after.first(), Some(Space)));
    let words = &amount.words;
    let said = |used: usize, what: &str| Some((amount.used + used, format!("{words} {what}")));
    match &after[space..] {
        [Sym('%'), ..] => return said(space + 1, "percent"),
        [Sym('‰'), ..] => return said(space + 1, "per mille"),
        [Sym('°'), scale @ ..] => {
            let degree = if amount.one { "degree" } else { "degrees" };
            let gap = usize::from(matches!(scale.first(), Some(Space)));
            return match scale.get(gap) {
                Some(Word("C")) => said(space + gap + 2, &format!("{degree} Celsius")),
                Some(Word("F")) => said(space + gap + 2, &format!("{degree} Fahrenheit")),
                _ => said(space + 1, degree),
            };
        }
        [Word("x" | "X"), next @ ..] if space == 0 && !matches!(next.first(), Some(Num(_) | Sym('-'))) => {
            return said(1, "times");
        }
        [Word("in"), ..] if space == 0 => return said(1, if amount.one { "inch" } else { "inches" }),
        [Sym('"'), ..] if space == 0 && before.iter().filter(|t| **t == Sym('"')).count() % 2 == 0 => {
            let modifies = matches!(after.get(1..3), Some([Space, Word(w)]) if w.starts_with(char::is_lowercase));
            return said(1, if amount.one || modifies { "inch" } else { "inches" });
        }
        [Sym('-'), joined @ ..] if space == 0 => {
            let (used, one, _) = read_unit(joined)?;
            return Some((amount.used + 1 + used, format!("{words}-{one}")));
        }
        _ => {}
    }
    let (used, one, many) = read_unit(&after[space..])?;
    said(space + used, if amount.one { &one } else { &many })
}

/// A number alone, with its "k" for thousand.
pub(super) fn plain(before: &[Token], rest: &[Token]) -> Said {
    let amount = read(before, rest)?;
    let scale = match rest.get(amount.used) {
        Some(Word("k")) => " thousand",
        Some(Word("M")) => " million",
        Some(Word("bn")) => " billion",
        _ => return Some((amount.used, amount.words)),
    };
    Some((amount.used + 1, amount.words + scale))
}

/// "km/h" without a number in front
pub(super) fn bare_unit(before: &[Token], rest: &[Token]) -> Said {
    let [Word(a), Sym('/'), Word(b), ..] = rest else { return None };
    (at_start(before) && a.len() + b.len() > 2 && unit(b).is_some()).then_some(())?;
    let (_, many) = unit(a)?;
    let (used, each) = per(&rest[1..])?;
    Some((1 + used, format!("{many}{each}")))
}

/// 1st, 1,000th
pub(super) fn ordinal(_: &[Token], rest: &[Token]) -> Said {
    let d = read_digits(rest).filter(|d| d.frac.is_none() && d.int.len() <= 18)?;
    let Some(Word("st" | "nd" | "rd" | "th" | "ST" | "ND" | "RD" | "TH")) = rest.get(d.used) else { return None };
    Some((d.used + 1, number::ordinal(d.int.parse().ok()?)))
}

/// 1990s, '80s, the 80s
pub(super) fn decade(before: &[Token], rest: &[Token]) -> Said {
    let quoted = usize::from(matches!(rest, [Sym('\''), Num(_), ..]));
    let used = match &rest[quoted..] {
        [Num(_), Word("s"), ..] => 2,
        [Num(_), Sym('\''), Word("s"), ..] => 3,
        _ => return None,
    };
    let [Num(n), ..] = &rest[quoted..] else { return None };
    let years: u64 = n.parse().ok()?;
    let context = || {
        quoted == 1
            || word_before(before)
                .is_some_and(|w| matches!(w.as_str(), "the" | "early" | "late" | "mid" | "her" | "his"))
    };
    match (n.len(), years % 10) {
        (4, 0) if (1100..2100).contains(&years) => Some((quoted + used, number::decade(years))),
        (2, 0) if (20..=90).contains(&years) && context() => {
            Some((quoted + used, format!("{}ies", number::cardinal(years).trim_end_matches('y'))))
        }
        _ => None,
    }
}

/// 512x512, 1920×1080: the first number and "by"
pub(super) fn dimensions(before: &[Token], rest: &[Token]) -> Said {
    let d = read_digits(rest)?;
    match &rest[d.used..] {
        [Word("x" | "X") | Sym('×'), Num(_), ..]
            if at_start(before) || matches!(before.last(), Some(Word("x" | "X"))) =>
        {
            Some((d.used + 1, format!("{} by", d.words())))
        }
        _ => None,
    }
}

/// 5'10"
pub(super) fn feet_and_inches(before: &[Token], rest: &[Token]) -> Said {
    match rest {
        [Num(ft), Sym('\''), Num(inch), Sym('"'), ..] if at_start(before) => {
            Some((4, format!("{} foot {}", number::whole(ft), number::whole(inch))))
        }
        _ => None,
    }
}
