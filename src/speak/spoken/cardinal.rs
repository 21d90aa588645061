//! Numbers as they are written in different countries, and plain numbers: cardinals, ordinals, decades, years.
//!
//! Defaults: groups of three digits are thousands, whatever separates them (1,234 1 234 1'234; dots only where there
//! are two of them or a decimal comma follows); a comma before one, two or more than three digits is a decimal comma,
//! unless a list says otherwise ("pages 3,4").

use super::fraction::{fraction, mixed};
use super::lexer::{Said, Token, at_start, label_before, next_word, word_before};
use super::number::{self, cardinal, year as year_words};
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
            let listed = matches!(more, [Sym(',' | '.' | '-' | ':' | '/'), Num(_), ..]);
            let grouped = used > 1;
            let decimals =
                if grouped { after.first() != Some(&Sym(',')) } else { f.len() != 3 || first.starts_with('0') };
            ((decimals && !listed).then_some(*f), true)
        }
        _ => (None, false),
    };
    Some(Digits { used: used + 2 * usize::from(frac.is_some()), int, frac, comma })
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
    if let Some((used, power)) = exponent(&rest[amount.used..]) {
        return Some((amount.used + used, format!("{} times ten to the power of {power}", amount.words)));
    }
    let scale = match rest.get(amount.used) {
        Some(Word("k" | "K")) if raced(before, &rest[amount.used + 1..]) => " K",
        Some(Word("k")) => " thousand",
        Some(Word("M")) => " million",
        Some(Word("m")) => " million",
        Some(Word("bn")) => " billion",
        Some(Word("tn")) => " trillion",
        Some(Word("p")) => match rest[..amount.used] {
            [Num(n)] | [Num(n), Space, Num(_)] if n.len() <= 4 && amount.one || n.len() <= 4 => {
                let lines = spell_digits(&rest[..amount.used]).parse().ok()?;
                let said = if (144..=9999).contains(&lines) { number::label(lines) } else { amount.words };
                return Some((amount.used + 1, format!("{said} P")));
            }
            _ => return Some((amount.used, amount.words)),
        },
        Some(Sym('+')) if !matches!(rest.get(amount.used + 1), Some(Num(_))) => " plus",
        _ => return Some((amount.used, amount.words)),
    };
    Some((amount.used + 1, amount.words + scale))
}

fn spell_digits(tokens: &[Token]) -> String {
    super::lexer::spell(tokens).chars().filter(char::is_ascii_digit).collect()
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

/// 1990s, '80s, the 80s, her 40s; '24
pub(super) fn decade(before: &[Token], rest: &[Token]) -> Said {
    let quoted = usize::from(matches!(rest, [Sym('\''), Num(_), ..]));
    if quoted == 1 && !matches!(before.last(), None | Some(Space | Sym('(' | '-' | '–' | '/'))) {
        return None;
    }
    let used = match &rest[quoted..] {
        [Num(_), Word("s"), ..] => 2,
        [Num(_), Sym('\''), Word("s"), ..] => 3,
        [Num(n), after @ ..]
            if quoted == 1 && n.len() == 2 && !matches!(after.first(), Some(Word(_) | Sym('\'' | '"'))) =>
        {
            let y: u64 = n.parse().ok()?;
            return Some((2, if y < 10 { format!("oh {}", cardinal(y)) } else { cardinal(y) }));
        }
        _ => return None,
    };
    let [Num(n), ..] = &rest[quoted..] else { return None };
    let years: u64 = n.parse().ok()?;
    let context = || {
        quoted == 1
            || matches!(before.last(), Some(Sym('-')))
            || word_before(before).is_some_and(|w| {
                matches!(
                    w.as_str(),
                    "the"
                        | "early"
                        | "late"
                        | "mid"
                        | "her"
                        | "his"
                        | "their"
                        | "my"
                        | "your"
                        | "our"
                        | "s"
                        | "and"
                        | "low"
                        | "high"
                        | "upper"
                )
            })
    };
    match (n.len(), years % 10) {
        (4, 0) if (1100..2200).contains(&years) && quoted == 0 => Some((used, number::decade(years))),
        (2, 0) if (20..=90).contains(&years) && context() => {
            Some((quoted + used, format!("{}ies", number::cardinal(years).trim_end_matches('y'))))
        }
        _ => None,
    }
}

/// Words after which four digits are a year even in earlier centuries.
const YEAR_CONTEXT: [&str; 19] = [
    "in", "since", "of", "year", "by", "until", "till", "from", "around", "before", "after", "circa", "during", "late",
    "early", "mid", "c", "ca", "ad",
];

const ERAS: [&str; 4] = ["AD", "BC", "BCE", "CE"];

/// 1984, 2026; earlier years where a word in front, an era or a range says so; 2019/20
pub(super) fn year(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let era = era(after);
    let anno = matches!(before, [.., Word("AD" | "CE"), Space]);
    let y: u64 = n.parse().ok().filter(|_| n.len() <= 4)?;
    if era.is_none() && !anno && !(n.len() == 4 && (1100..=2199).contains(&y))
        || !(at_start(before) || matches!(before, [.., Word("FY" | "CY")]))
        || counted(after)
    {
        return None;
    }
    if let Some((used, letters)) = era {
        let said = if n.len() >= 3 { number::label(y) } else { cardinal(y) };
        let said = if n.len() == 4 { year_words(y) } else { said };
        return Some((1 + used, format!("{said} {letters}")));
    }
    if anno {
        return Some((1, if n.len() == 4 { year_words(y) } else { number::label(y) }));
    }
    let is_year = |n: &str| n.len() == 4 && n.parse().is_ok_and(|y: u64| (1100..=2199).contains(&y));
    // "2019/20": a season
    if let [Sym('/'), Num(b), tail @ ..] = after
        && b.len() == 2
        && !matches!(tail.first(), Some(Sym('/')))
        && b.parse().is_ok_and(|b: u64| b == (y + 1) % 100)
    {
        return Some((3, format!("{} {}", year_words(y), number::whole(b))));
    }
    if let [Sym('/'), Num(b), tail @ ..] = after
        && is_year(b)
        && !matches!(tail.first(), Some(Sym('/')))
    {
        return Some((2, format!("{} to", year_words(y))));
    }
    let range = matches!(after, [Sym('-' | '–'), Num(b), ..] if is_year(b))
        || matches!(before, [.., Num(a), Sym('/')] if is_year(a))
        || matches!(before, [.., Num(a), Sym('-' | '–')] if is_year(a));
    let context = matches!(before.last(), Some(Space | Sym('(')));
    let context = context && label_before(before).is_some_and(|w| YEAR_CONTEXT.contains(&w.as_str()));
    (y >= 1900 || range || context).then(|| (1, year_words(y)))
}

/// "AD", "B.C." behind a year: tokens read, letters
fn era(after: &[Token]) -> Option<(usize, String)> {
    match after {
        [Space, Word(w), ..] if ERAS.contains(w) => {
            Some((2, w.chars().map(String::from).collect::<Vec<_>>().join(" ")))
        }
        [Space, Word(a @ ("A" | "B")), Sym('.'), Word(b @ ("D" | "C")), Sym('.'), tail @ ..] => {
            let stop = if super::lexer::sentence_ends(tail) { "." } else { "" };
            Some((5, format!("{a} {b}{stop}")))
        }
        _ => None,
    }
}

/// "2000 steps" counts; "2026 was" does not.
fn counted(after: &[Token]) -> bool {
    let Some(w) = next_word(after) else { return false };
    w == "people" || (w.ends_with('s') && w.len() > 4 && w.starts_with(char::is_lowercase) && !w.ends_with("ss"))
}

/// What has a number for a name.
const LABELS: [&str; 21] = [
    "room",
    "flight",
    "highway",
    "route",
    "interstate",
    "suite",
    "apartment",
    "apt",
    "boeing",
    "airbus",
    "error",
    "gate",
    "bus",
    "hwy",
    "rm",
    "i",
    "us",
    "studio",
    "area",
    "status",
    "tram",
];

/// Room 404, Flight 1549, Boeing 737-800, Airbus A320, 221B
pub(super) fn labelled(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let value: u64 = n.parse().ok()?;
    if matches!(after, [Sym('.' | ',' | ':' | '/'), Num(_), ..]) || n.starts_with('0') {
        return None;
    }
    let house = matches!(after, [Word(w), Space, street, ..] if w.len() == 1 && street.is_capitalized());
    let house = house && n.len() == 3 && at_start(before);
    let named = match before {
        [.., Word("Flight" | "flight"), Space, Word(w)] | [.., Word("Flight" | "flight"), Space, Word(w), Space] => {
            w.len() == 2
        }
        [.., Word(w), Space] => {
            LABELS[..15].contains(&w.to_lowercase().as_str()) || matches!(*w, "Bus" | "Studio" | "Area" | "Tram")
        }
        [.., Word("Airbus"), Space, Word("A")] => true,
        [.., Word("Boeing"), Space, Num(_), Sym('-')] => true,
        [.., Word("I"), Sym('-')] => true,
        _ => false,
    };
    ((named || house) && (3..=4).contains(&n.len()) && next_word(after) != Some("people"))
        .then(|| (1, number::label(value)))
}
