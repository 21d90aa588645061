//! Clock times, dates, weekdays and years.

use super::english::Said;
use super::lexer::{Token, at_start, sentence_ends, word_before};
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

/// Every written form of a date, and weekdays cut short in front of one.
pub(super) fn date(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    iso(rest)
        .or_else(|| slashes(rest))
        .or_else(|| month_first(rest))
        .or_else(|| day_first(before, rest))
        .or_else(|| weekday(rest))
}

fn parse(s: &str, digits: std::ops::RangeInclusive<usize>, values: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let n = s.parse().ok()?;
    (digits.contains(&s.len()) && values.contains(&n)).then_some(n)
}

fn day(s: &str) -> Option<u64> {
    parse(s, 1..=2, 1..=31)
}

fn month_name(m: u64) -> &'static str {
    MONTHS[(m as usize).clamp(1, 12) - 1]
}

fn full_date(y: u64, m: u64, d: u64) -> String {
    format!("{} {}, {}", month_name(m), ordinal(d), year_words(y))
}

/// 2026-11-23, with or without T07:52:00Z
fn iso(rest: &[Token]) -> Said {
    let [Num(y), Sym('-'), Num(m), Sym('-'), Num(d), after @ ..] = rest else { return None };
    let said = full_date(parse(y, 4..=4, 1000..=2999)?, parse(m, 2..=2, 1..=12)?, day(d)?);
    if let [Word("T"), clock @ ..] = after
        && let Some((used, time)) = time(&[Space], clock)
    {
        let zulu = usize::from(matches!(clock.get(used), Some(Word("Z"))));
        return Some((6 + used + zulu, format!("{said}, {time}")));
    }
    Some((5, said))
}

/// 11/23/2026; 23/11/2026 where the first number can be no month
fn slashes(rest: &[Token]) -> Said {
    let [Num(a), Sym('/'), Num(b), Sym('/'), Num(y), ..] = rest else { return None };
    let (a, b, y) = (day(a)?, day(b)?, parse(y, 4..=4, 1000..=2999)?);
    let (m, d) = if a <= 12 { (a, b) } else { (b, a) };
    (m <= 12).then(|| (5, full_date(y, m, d)))
}

/// The month a word names, in full or cut to three or four letters.
fn month(w: &str) -> Option<&'static str> {
    let cut = w.len() == 3 || w == "Sept";
    MONTHS.iter().copied().find(|m| *m == w || (cut && m.starts_with(w)))
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
    let clock = matches!(rest.get(used), Some(Sym(':')));
    parse(y, 4..=4, 1000..=2999).filter(|_| !clock).map(|y| (used, y))
}

fn with_year(said: String, used: usize, rest: &[Token]) -> (usize, String) {
    match year_after(&rest[used..]) {
        Some((more, y)) => (used + more, format!("{said}, {}", year_words(y))),
        None => (used, said),
    }
}

/// Nov. 23, 2026; November 23rd; May 2019
fn month_first(rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let name = month(w)?;
    let dot = skip_dot(after);
    let [Space, Num(n), tail @ ..] = &after[dot..] else { return None };
    if let Some(y) = parse(n, 4..=4, 1000..=2999) {
        return Some((3 + dot, format!("{name} {}", year_words(y))));
    }
    // "May 5:30" is a time of day, "March 3.5" no date
    if matches!(tail, [Sym(':' | '.' | '/' | '%'), Num(_), ..]) {
        return None;
    }
    let suffix = usize::from(matches!(tail.first(), Some(Word("st" | "nd" | "rd" | "th"))));
    Some(with_year(format!("{name} {}", ordinal(day(n)?)), 3 + dot + suffix, rest))
}

/// 23 November 2026; the 3rd of May keeps its own words
fn day_first(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), Space, Word(w), after @ ..] = rest else { return None };
    let name = month(w)?;
    let d = day(n)?;
    let article = if word_before(before).as_deref() == Some("the") { "" } else { "the " };
    let dot = if w.len() < name.len() { skip_dot(after) } else { 0 };
    Some(with_year(format!("{article}{} of {name}", ordinal(d)), 3 + dot, rest))
}

/// "Mon, Nov 23": only in front of a date, for "sat" and "sun" are words
fn weekday(rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let name = WEEKDAYS.iter().copied().find(|d| (3..=5).contains(&w.len()) && d.starts_with(w))?;
    let dot = skip_dot(after);
    let comma = usize::from(matches!(after.get(dot), Some(Sym(','))));
    match &after[dot + comma..] {
        [Space, Word(m), ..] if month(m).is_some() => Some((1 + dot, name.to_owned())),
        [Space, Num(n), ..] if day(n).is_some() => Some((1 + dot, name.to_owned())),
        _ => None,
    }
}

/// "am" or "pm" in any spelling: tokens read, whether afternoon, whether its last dot also ends the sentence.
fn half_of_day(rest: &[Token]) -> Option<(usize, bool, bool)> {
    let space = usize::from(matches!(rest.first(), Some(Space)));
    let is = |w: &str, l: &str| w.eq_ignore_ascii_case(l);
    match &rest[space..] {
        [Word(w), ..] if is(w, "am") || is(w, "pm") => Some((space + 1, is(w, "pm"), false)),
        [Word(h), Sym('.'), Word(m), Sym('.'), after @ ..] if (is(h, "a") || is(h, "p")) && is(m, "m") => {
            Some((space + 4, is(h, "p"), sentence_ends(after)))
        }
        [Word(h), Sym('.'), Word(m), ..] if (is(h, "a") || is(h, "p")) && is(m, "m") => {
            Some((space + 3, is(h, "p"), false))
        }
        _ => None,
    }
}

/// 7:30, 07:52, 19:30, 7:30 a.m., 7pm, 10:15:30
pub(super) fn time(before: &[Token], rest: &[Token]) -> Said {
    let [Num(h), after @ ..] = rest else { return None };
    if !at_start(before) {
        return None;
    }
    let hour = parse(h, 1..=2, 0..=24)?;
    let (minute, second, used) = match after {
        [Sym(':'), Num(m), Sym(':'), Num(s), ..] => (parse(m, 2..=2, 0..=59)?, parse(s, 2..=2, 0..=59)?, 5),
        [Sym(':'), Num(m), ..] => (parse(m, 2..=2, 0..=59)?, 0, 3),
        _ if (1..=12).contains(&hour) => (0, 0, 1),
        _ => return None,
    };
    let half = half_of_day(&rest[used..]);
    if used == 1 && half.is_none() {
        return None;
    }
    let stop = if half.is_some_and(|(_, _, stop)| stop) { "." } else { "" };
    let said = clock_words(hour, minute, second, half.map(|(_, pm, _)| pm));
    Some((used + half.map_or(0, |(n, ..)| n), said + stop))
}

fn clock_words(hour: u64, minute: u64, second: u64, pm: Option<bool>) -> String {
    let exact = minute == 0 && second == 0;
    if exact && (matches!(hour, 0 | 24) || (hour == 12 && pm == Some(false))) {
        return "midnight".into();
    }
    if exact && hour == 12 && pm == Some(true) {
        return "noon".into();
    }
    // A morning hour without am or pm says itself; the afternoon of a 24-hour clock does not.
    let pm = pm.or((hour > 12).then_some(hour < 24)).or((hour == 0).then_some(false));
    let hour = (hour + 11) % 12 + 1;
    let mut said = cardinal(hour);
    match minute {
        0 if pm.is_none() => said += " o'clock",
        0 => {}
        1..=9 => said = format!("{said} oh {}", cardinal(minute)),
        m => said = format!("{said} {}", cardinal(m)),
    }
    if second > 0 {
        said = format!("{said} and {} second{}", cardinal(second), if second == 1 { "" } else { "s" });
    }
    match pm {
        Some(true) => said + " PM",
        Some(false) => said + " AM",
        None => said,
    }
}

/// Words after which four digits are a year even in earlier centuries.
const YEAR_CONTEXT: [&str; 16] = [
    "in", "since", "of", "year", "by", "until", "till", "from", "around", "before", "after", "circa", "during", "late",
    "early", "mid",
];

/// 1984, 2026; earlier years where a word in front or a range says so
pub(super) fn year(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let y = parse(n, 4..=4, 1100..=2099)?;
    if !at_start(before) || counted(after) {
        return None;
    }
    let is_year = |n: &str| parse(n, 4..=4, 1100..=2099).is_some();
    let range = matches!(after, [Sym('-' | '–'), Num(b), ..] if is_year(b))
        || matches!(before, [.., Num(a), Sym('-' | '–')] if is_year(a));
    let context = word_before(before).is_some_and(|w| YEAR_CONTEXT.contains(&w.as_str()));
    (y >= 1900 || range || context).then(|| (1, year_words(y)))
}

/// "2000 steps" counts; "2026 was" does not.
fn counted(after: &[Token]) -> bool {
    let [Space, Word(w), ..] = after else { return false };
    *w == "people" || (w.ends_with('s') && w.len() > 4 && w.starts_with(char::is_lowercase))
}
