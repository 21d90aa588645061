//! Numbers as they are written in different countries, and plain numbers: cardinals, ordinals, decades, years.
//!
//! Defaults: groups of three digits are thousands, whatever separates them (1,234 1 234 1'234; dots only where there
//! are two of them or a decimal comma follows); a comma before one, two or more than three digits is a decimal comma,
//! unless a list says otherwise ("pages 3,4").

use super::fraction::{Amount, fraction, mixed};
use super::lexer::{Said, Token, at_start, label_before, next_word, word_before};
use super::number;
use Token::{Num, Space, Sym, Word};

/// A number's digits: tokens read, whole part without separators, decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits<'a> {
    pub(super) used: usize,
    pub(super) int: String,
    pub(super) frac: Option<&'a str>,
    /// The decimals stand behind a comma.
    comma: bool,
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

/// Groups of three digits behind the first, each after `separator`.
fn groups<'a>(rest: &[Token<'a>], separator: Token) -> Vec<&'a str> {
    let mut found = Vec::new();
    while let [s, Num(group), ..] = &rest[found.len() * 2..]
        && *s == separator
        && group.len() == 3
    {
        found.push(*group);
    }
    found
}

/// 12; 1,234,567; 1 234 567; 1.234.567; 1'234; 12,34,567; 3.5; 3,5; 1.234,56; .5
pub(super) fn read_digits<'a>(rest: &[Token<'a>]) -> Option<Digits<'a>> {
    let (first, after) = match rest {
        [Num(n), after @ ..] => (*n, after),
        [Sym('.'), Num(f), ..] => return Some(Digits { used: 2, int: "0".into(), frac: Some(f), comma: false }),
        _ => return None,
    };
    let (used, int) = thousands(first, after);
    let tail = &rest[used..];
    let (frac, comma) = match tail {
        // "1.2.3" is a version, read elsewhere
        [Sym('.'), Num(f), more @ ..] if !matches!(more, [Sym(','), Num(g), ..] if g.len() == 3) => (Some(*f), false),
        [Sym(','), Num(f), more @ ..] => {
            // "1,5-2 kg" is measured
            let listed = matches!(more, [Sym(',' | '.' | '-' | ':' | '/'), Num(_), ..]) && !measured_range(more);
            let grouped = used > 1;
            let decimals =
                if grouped { after.first() != Some(&Sym(',')) } else { f.len() != 3 || first.starts_with('0') };
            ((decimals && !listed).then_some(*f), true)
        }
        _ => (None, false),
    };
    Some(Digits { used: used + 2 * usize::from(frac.is_some()), int, frac, comma })
}

/// "-2 kg", "-2,5 €": the other end of a range that has a unit
fn measured_range(rest: &[Token]) -> bool {
    let [Sym('-' | '–'), Num(_), tail @ ..] = rest else { return false };
    let tail = match tail {
        [Sym(','), Num(_), tail @ ..] | tail => tail,
    };
    match tail {
        [Space, t, ..] | [t, ..] => {
            matches!(t, Sym('€' | '%' | '°')) || matches!(t, Word(w) if super::units::unit(w).is_some())
        }
        [] => false,
    }
}

/// The whole part with its groups: tokens read, digits.
fn thousands(first: &str, after: &[Token]) -> (usize, String) {
    let alone = (1, first.to_owned());
    if first.len() > 3 || (first.starts_with('0') && after.first() != Some(&Sym(','))) {
        return alone;
    }
    let (Some(separator), Some(Num(_))) = (after.first(), after.get(1)) else { return alone };
    let found = groups(after, *separator);
    let used = 1 + found.len() * 2;
    let next = &after[used - 1..];
    let good = match separator {
        Sym(',') if found.is_empty() => return lakhs(first, after).unwrap_or(alone),
        Sym(',') => true,
        Sym('\'') => !found.is_empty(),
        // A longer run of digits is a telephone number or a list.
        Space => !found.is_empty() && !matches!(next, [Space, Num(_), ..] | [Sym('-' | ':' | '/'), Num(_), ..]),
        Sym('.') => {
            found.len() >= 2 && !matches!(next, [Sym('.'), Num(_), ..]) || {
                found.len() == 1 && (found == ["000"] || matches!(next, [Sym(','), Num(f), ..] if f.len() <= 2))
            }
        }
        _ => false,
    };
    if good { (used, format!("{first}{}", found.concat())) } else { alone }
}

/// 12,34,567: groups of two, as in India
fn lakhs(first: &str, after: &[Token]) -> Option<(usize, String)> {
    let mut int = first.to_owned();
    let mut used = 1;
    while let [Sym(','), Num(g), ..] = &after[used - 1..] {
        int.push_str(g);
        used += 2;
        match g.len() {
            2 => {}
            3 if used > 3 => return (first.len() <= 2).then_some((used, int)),
            _ => return None,
        }
    }
    None
}

/// "minus" or "plus" in front of a number, where it is a sign and no hyphen.
pub(super) fn read_sign(before: &[Token], rest: &[Token]) -> (usize, &'static str) {
    let after_number = matches!(
        before.last(),
        Some(Sym('-' | '+' | '%' | '°' | '"' | '\'' | ')' | ']' | '$' | '€' | '£' | '½' | '¼' | '¾' | '²' | '³'))
    );
    let ranged = matches!(before, [.., Num(_), Sym('-')]);
    let signs_number = at_start(before) && (!after_number || ranged);
    match rest {
        [Sym('-' | '–'), Num(_), ..] if signs_number && before.last() != Some(&Sym('–')) => (1, "minus "),
        [Sym('-'), Num(_), ..] if signs_number => (1, "minus "),
        [Sym('-'), Sym('.' | '$' | '€' | '£' | '¥'), Num(_), ..] if signs_number => (1, "minus "),
        [Sym('+'), Num(_) | Sym('.' | '$' | '€' | '£'), ..] if signs_number => (1, "plus "),
        [Sym('±'), Num(_), ..] => (1, "plus or minus "),
        _ => (0, ""),
    }
}

/// A number of any form with its sign.
pub(super) fn read(before: &[Token], rest: &[Token]) -> Option<Amount> {
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

/// "pages 3,4" and "1,2": a comma between numbers of a list
fn listed(before: &[Token], d: &Digits) -> bool {
    let plural = label_before(before).is_some_and(|w| w.len() > 3 && w.ends_with('s'));
    d.comma && d.frac.is_some() && d.used == 3 && (plural || matches!(before.last(), Some(Sym(','))))
}

/// A number alone, with its "k" for thousand and its power of ten.
pub(super) fn plain(before: &[Token], rest: &[Token]) -> Said {
    let (signed, _) = read_sign(before, rest);
    if let [Num(n), ..] = &rest[signed..]
        && read_digits(&rest[signed..]).is_some_and(|d| listed(before, &d))
    {
        return Some((1, number::whole(n)));
    }
    let amount = read(before, rest)?;
    // "4.5/5"
    if let [Sym('/'), Num(of), after @ ..] = &rest[amount.used..]
        && matches!(*of, "5" | "10" | "100")
        && amount.used == 3
        && matches!(rest[1], Sym('.' | ','))
        && !matches!(after, [Sym('/'), ..] | [Word(_), ..])
    {
        return Some((amount.used + 2, format!("{} out of {}", amount.words, number::whole(of))));
    }
    if let Some((used, power)) = exponent(&rest[amount.used..]) {
        return Some((amount.used + used, format!("{} times ten to the power of {power}", amount.words)));
    }
    let scale = match rest.get(amount.used) {
        Some(Word("k")) if amount.words == "four hundred one" => {
            return Some((amount.used + 1, "four oh one K".into()));
        }
        Some(Word("k" | "K")) if raced(before, &rest[amount.used + 1..]) => " K",
        Some(Word("K")) if rest[..amount.used].len() > 1 || matches!(rest[0], Num(n) if n.len() > 1) => " thousand",
        Some(Word("k")) if !matches!(rest.get(amount.used + 1), Some(Num(_))) => " thousand",
        Some(Word("M")) => " million",
        Some(Word("m")) => " million",
        Some(Word("bn")) => " billion",
        Some(Word("tn")) => " trillion",
        // "1080p": lines of a picture
        Some(Word("p")) => {
            let lines = super::lexer::spell(&rest[..amount.used]).replace(' ', "").parse().ok();
            let said = lines.filter(|n| (144..=9999).contains(n)).map_or(amount.words, number::label);
            return Some((amount.used + 1, format!("{said} P")));
        }
        Some(Sym('+')) if !matches!(rest.get(amount.used + 1), Some(Num(_))) => " plus",
        _ => return Some((amount.used, amount.words)),
    };
    Some((amount.used + 1, amount.words + scale))
}

/// e6, e-3 right behind a number
fn exponent(rest: &[Token]) -> Option<(usize, String)> {
    match rest {
        [Word("e" | "E"), Num(n), ..] if n.len() <= 3 => Some((2, number::whole(n))),
        [Word("e" | "E"), Sym('+'), Num(n), ..] if n.len() <= 3 => Some((3, number::whole(n))),
        [Word("e" | "E"), Sym('-'), Num(n), ..] if n.len() <= 3 => Some((3, format!("minus {}", number::whole(n)))),
        _ => None,
    }
}

/// "ran 10k", "a 5k race"
fn raced(before: &[Token], after: &[Token]) -> bool {
    let sport = |w: &str| {
        matches!(
            w,
            "run" | "ran" | "running" | "race" | "raced" | "walk" | "walked" | "jog" | "jogged" | "swim" | "runs"
        )
    };
    word_before(before).is_some_and(|w| sport(&w)) || next_word(after).is_some_and(sport)
}

/// 1st, 1,000th; "12st" is no ordinal
pub(super) fn ordinal(_: &[Token], rest: &[Token]) -> Said {
    let d = read_digits(rest).filter(|d| d.frac.is_none() && d.int.len() <= 18)?;
    let Some(Word(suffix)) = rest.get(d.used) else { return None };
    let n: u64 = d.int.parse().ok()?;
    let words = number::ordinal(n);
    let lower = suffix.to_lowercase();
    let fits = words.ends_with(&lower) && matches!(lower.as_str(), "st" | "nd" | "rd" | "th");
    // "11st 4lb"
    let stone = lower == "st" && matches!(&rest[d.used + 1..], [Space, Num(_), Word("lb" | "lbs"), ..]);
    (fits && !stone).then_some((d.used + 1, words))
}
