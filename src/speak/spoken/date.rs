//! Dates, names of months and days, and their ranges.
//!
//! Defaults: in 3/4/2025 the month comes first (American), in 5.3.1990 the day (as wherever dots are used); whatever
//! cannot be a month is the day. 3/4 alone is a fraction unless a word such as "on" or "due" makes it a date.

use super::lexer::{Said, Token, at_start, dash, label_before, parse, sentence_ends, word_before};
use super::number::{cardinal, ordinal, year as year_words};
use Token::{Num, Space, Sym, Word};

const MONTHS: [&str; 12] = [
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
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Every written form of a date.
pub(super) fn date(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    year_first(rest)
        .or_else(|| year_last(rest))
        .or_else(|| month_and_day(before, rest))
        .or_else(|| month_first(rest))
        .or_else(|| day_first(before, rest))
}

fn day(s: &str) -> Option<u64> {
    parse(s, 1..=2, 1..=31)
}

fn full_year(s: &str) -> Option<u64> {
    parse(s, 4..=4, 1000..=2999)
}

fn month_name(m: u64) -> &'static str {
    MONTHS[(m as usize).clamp(1, 12) - 1]
}

/// 2026-11-23, 2025/01/02, 2025.01.02, with or without T07:52:00Z
fn year_first(rest: &[Token]) -> Said {
    let [Num(y), Sym(a @ ('-' | '/' | '.')), Num(m), Sym(b), Num(d), after @ ..] = rest else { return None };
    let (y, m, d) = (full_year(y)?, parse(m, 1..=2, 1..=12)?, day(d)?);
    if a != b {
        return None;
    }
    let said = format!("{} {}, {}", month_name(m), ordinal(d), year_words(y));
    if let [Word("T"), clock @ ..] = after
        && let zulu = clock.iter().position(|t| *t == Word("Z")).unwrap_or(clock.len())
        && let Some((used, time)) = super::clock::time(&[Word("at"), Space], &clock[..zulu])
    {
        let zulu = usize::from(used == zulu && zulu < clock.len());
        return Some((6 + used + zulu, format!("{said}, {time}")));
    }
    Some((5, said))
}

/// 11/23/2026, 11/23/26, 01-02-2025, 29.02.2024
fn year_last(rest: &[Token]) -> Said {
    let [Num(a), Sym(s @ ('-' | '/' | '.')), Num(b), Sym(s2), Num(y), after @ ..] = rest else { return None };
    if s != s2 || matches!(after, [Sym('-' | '/' | '.'), Num(_), ..]) {
        return None;
    }
    let (a, b) = (day(a)?, day(b)?);
    let year = match full_year(y) {
        Some(y) => year_words(y),
        None if *s == '/' => match parse(y, 2..=2, 0..=99)? {
            y if y < 10 => format!("oh {}", cardinal(y)),
            y => cardinal(y),
        },
        None => return None,
    };
    let day_first = a > 12 || (*s == '.' && b <= 12);
    let (m, d) = if day_first { (b, a) } else { (a, b) };
    (m <= 12).then(|| (5, format!("{} {}, {year}", month_name(m), ordinal(d))))
}

/// "on 3/4", "due 12/25": only after a word that dates are put behind
fn month_and_day(before: &[Token], rest: &[Token]) -> Said {
    let [Num(m), Sym('/'), Num(d), after @ ..] = rest else { return None };
    let dated = matches!(
        word_before(before).unwrap_or_default().as_str(),
        "on" | "due" | "since" | "until" | "till" | "dated" | "by"
    );
    let (m, d) = (parse(m, 1..=2, 1..=12)?, day(d)?);
    let fraction = match after {
        [Sym('/' | '.' | '-' | '"'), Num(_) | Word(_), ..] | [Sym('"'), ..] => true,
        [Space, Word(w), ..] => !matches!(*w, "at" | "and" | "or" | "in" | "from" | "for" | "to" | "we" | "it" | "is"),
        _ => false,
    };
    // "01/02" is no fraction
    let day_before =
        matches!(before, [.., Word(w), Space] | [.., Word(w), Sym('.' | ','), Space] if weekday(w).is_some());
    let dated = dated || day_before || matches!(rest[0], Num(n) if n.len() == 2 && n.starts_with('0'));
    (dated && !fraction).then(|| (3, format!("{} {}", month_name(m), ordinal(d))))
}

/// The month a word names, in full or cut to three or four letters.
fn month(w: &str) -> Option<&'static str> {
    let cut = w.len() == 3 || w == "Sept" || w == "June" || w == "July";
    MONTHS.iter().copied().find(|m| *m == w || (cut && m.starts_with(w)))
}

pub(super) fn is_month(w: &str) -> bool {
    month(w).is_some()
}

fn skip_dot(rest: &[Token]) -> usize {
    usize::from(matches!(rest.first(), Some(Sym('.'))))
}

/// ", 2026" or " 2026" after a day
fn year_after(rest: &[Token]) -> Option<(usize, u64)> {
    let (used, y) = match rest {
        [Sym(','), Space, Num(y), ..] => (3, y),
        [Space, Num(y), ..] => (2, y),
        _ => return None,
    };
    let clock = matches!(rest.get(used..), Some([Sym(':'), Num(_), ..]));
    full_year(y).filter(|_| !clock).map(|y| (used, y))
}

fn with_year(said: String, used: usize, rest: &[Token]) -> (usize, String) {
    match year_after(&rest[used..]) {
        Some((more, y)) => (used + more, format!("{said}, {}", year_words(y))),
        None => (used, said),
    }
}

fn suffix(rest: &[Token]) -> usize {
    usize::from(matches!(rest.first(), Some(Word("st" | "nd" | "rd" | "th"))))
}

/// Nov. 23, 2026; November 23rd; Jan 5–7; May 2019
fn month_first(rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let name = month(w)?;
    let dot = skip_dot(after);
    let [Space, Num(n), tail @ ..] = &after[dot..] else { return None };
    // "May 5:30" is a time of day, "March 3.5" no date
    if matches!(tail, [Sym(':' | '.' | '/' | '%'), Num(_), ..] | [Sym('%'), ..]) {
        return None;
    }
    if let Some(y) = full_year(n) {
        return Some((3 + dot, format!("{name} {}", year_words(y))));
    }
    let mut said = format!("{name} {}", ordinal(day(n)?));
    let mut used = 3 + dot + suffix(tail);
    if let Some(gap) = dash(&rest[used..])
        && let [Num(to), more @ ..] = &rest[used + gap..]
        && let Some(d) = day(to)
        && !matches!(more, [Sym(':' | '.'), Num(_), ..])
    {
        said = format!("{said} to {}", ordinal(d));
        used += gap + 1 + suffix(more);
    }
    // "June 5–July 10"
    if let Some(gap) = dash(&rest[used..])
        && matches!(rest.get(used + gap), Some(Word(to)) if is_month(to))
    {
        return Some((used + gap, said + " to"));
    }
    Some(with_year(said, used, rest))
}

/// 23 November 2026, 5th Jan; "the 3rd of May" keeps its own words
fn day_first(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), tail @ ..] = rest else { return None };
    // "5–8 November"
    if let Some(gap) = dash(tail)
        && matches!(&tail[gap..], [Num(_), Space, Word(w), ..] if is_month(w))
        && let Some((used, to)) = day_first(&[], &tail[gap..])
    {
        let article = if word_before(before).as_deref() == Some("the") { "" } else { "the " };
        return Some((1 + gap + used, format!("{article}{} to {to}", ordinal(day(n)?))));
    }
    let th = suffix(tail);
    let (of, Word(w), after) = (match &tail[th..] {
        [Space, w @ Word(m), after @ ..] if is_month(m) => (1, *w, after),
        [Space, Word("of"), Space, w @ Word(m), after @ ..] if is_month(m) => (3, *w, after),
        _ => return None,
    }) else {
        return None;
    };
    let name = month(w)?;
    let d = day(n)?;
    // "5 May 3" hardly; "3 may" is no month, for it is not capitalized
    let article = if word_before(before).as_deref() == Some("the") { "" } else { "the " };
    let dot = if w.len() < name.len() && !sentence_ends(after) { skip_dot(after) } else { 0 };
    Some(with_year(format!("{article}{} of {name}", ordinal(d)), 2 + th + of + dot, rest))
}

/// The weekday a word cuts short; whether it could be another word.
fn weekday(w: &str) -> Option<(&'static str, bool)> {
    let shouted = w.len() == 3 && w.chars().all(|c| c.is_ascii_uppercase());
    let proper = format!("{}{}", w.get(..1)?, w.get(1..)?.to_lowercase());
    let cut = matches!(
        proper.as_str(),
        "Mon" | "Tue" | "Tues" | "Wed" | "Weds" | "Thu" | "Thur" | "Thurs" | "Fri" | "Sat" | "Sun"
    );
    let name = WEEKDAYS.iter().copied().find(|d| cut && d.starts_with(&proper[..3]))?;
    (proper == w || shouted).then_some((name, shouted || matches!(w, "Sat" | "Sun" | "Wed")))
}

/// Whether another day cut short stands next to this place, looked at through what lists and ranges are made of.
fn beside_weekday<'a, 'b: 'a>(mut tokens: impl Iterator<Item = &'a Token<'b>>) -> bool {
    let joins = |t: &&Token| matches!(t, Space | Sym(',' | '.' | '-' | '–' | '&' | '/') | Word("and" | "or" | "to"));
    tokens.find(|t| !joins(t)).and_then(|t| t.word()).is_some_and(|w| weekday(w).is_some() || WEEKDAYS.contains(&w))
}

/// Mon-Fri, Tue., Thu. and Sat.; "Sat" and "Sun" only among other days, after "on" and its like, or before a time
pub(super) fn day_name(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    if matches!(before.last(), Some(Num(_) | Word(_) | Sym('.' | '@' | '\'' | '_'))) {
        return None;
    }
    // "Monday–Friday"
    if let Some(name) = WEEKDAYS.iter().find(|d| *d == w)
        && let Some(gap) = dash(after)
        && matches!(after.get(gap), Some(Word(to)) if WEEKDAYS.contains(to))
    {
        return Some((1 + gap, format!("{name} to")));
    }
    let (name, doubtful) = weekday(w)?;
    let dot = skip_dot(after);
    let comma = usize::from(matches!(after.get(dot), Some(Sym(','))));
    let dated = match &after[dot + comma..] {
        [Space, Word(m), ..] => is_month(m),
        [Space, Num(n), ..] | [Sym(':'), Space, Num(n), ..] => day(n).is_some(),
        _ => false,
    };
    let preposed = || {
        matches!(
            word_before(before).as_deref(),
            Some(
                "on" | "every"
                    | "each"
                    | "next"
                    | "last"
                    | "this"
                    | "until"
                    | "till"
                    | "by"
                    | "open"
                    | "closed"
                    | "from"
            )
        )
    };
    let the = word_before(before).as_deref() == Some("the");
    let listed = beside_weekday(after.iter()) || beside_weekday(before.iter().rev());
    let shouted = w.chars().all(char::is_uppercase);
    let shortened = dot == 1 && !the && !sentence_ends(&after[1..]);
    if doubtful && !(dated || listed || (!shouted && (preposed() || shortened))) {
        return None;
    }
    // "Mon Dieu!"
    if matches!(after, [Space, Word("Dieu" | "amour" | "ami" | "cher" | "chéri"), ..]) {
        return None;
    }
    let used = 1 + dot;
    let stop = if dot == 1 && sentence_ends(&after[1..]) { "." } else { "" };
    if let Some(gap) = dash(&rest[used..])
        && let Some(Word(to)) = rest.get(used + gap)
        && (weekday(to).is_some() || WEEKDAYS.contains(to))
    {
        return Some((used + gap, format!("{name} to")));
    }
    if matches!(&rest[used..], [Sym('/'), Word(to), ..] if weekday(to).is_some()) {
        return Some((used + 1, format!("{name}, ")));
    }
    Some((used, format!("{name}{stop}")))
}

/// Jan–Mar, "in Jan.", "last Dec": a month cut short without a day
pub(super) fn month_alone(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let name = month(w)?;
    if !at_start(before) && !matches!(before.last(), Some(Sym('/'))) {
        return None;
    }
    let whole = *w == name;
    let dot = if whole { 0 } else { skip_dot(after) };
    let used = 1 + dot;
    if let Some(gap) = dash(&rest[used..])
        && let Some(Word(to)) = rest.get(used + gap)
        && is_month(to)
    {
        return Some((used + gap, format!("{name} to")));
    }
    if matches!(&rest[used..], [Sym('/'), Word(to), ..] if is_month(to)) {
        return Some((used + 1, format!("{name}, ")));
    }
    let ranged = matches!(before, [.., Word(from), Sym('-' | '–' | '/')] | [.., Word(from), Sym('.'), Sym('-' | '–' | '/')] if is_month(from));
    let placed = matches!(
        label_before(before).as_deref(),
        Some(
            "in" | "since"
                | "until"
                | "till"
                | "by"
                | "last"
                | "next"
                | "this"
                | "early"
                | "late"
                | "mid"
                | "from"
                | "or"
        )
    );
    if whole || !(dot == 1 || ranged || placed) {
        return None;
    }
    let stop = if dot == 1 && sentence_ends(&after[1..]) { "." } else { "" };
    Some((used, format!("{name}{stop}")))
}
