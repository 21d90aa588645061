//! Days in English.

use jiff::civil::Date;

use super::{Day, Feast};
use crate::tools::number::{count, number};

pub(super) const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// First to nineteenth.
const ORDINALS: [&str; 19] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];

const fn fixed(month: u8, day: u8) -> Day {
    Day::OfYear { month, day }
}

const fn easter(days: i8) -> Day {
    Day::Feast(Feast::Easter(days))
}

const fn thanksgiving(days: i8) -> Day {
    Day::Feast(Feast::Thanksgiving(days))
}

/// Without apostrophes. Days that differ from country to country (Mother's Day, Labour Day) are not here; the first name of
/// a day is the one that is written.
pub(super) const HOLIDAYS: &[(&str, Day)] = &[
    ("easter", easter(0)),
    ("easter sunday", easter(0)),
    ("easter day", easter(0)),
    ("good friday", easter(-2)),
    ("maundy thursday", easter(-3)),
    ("palm sunday", easter(-7)),
    ("ash wednesday", easter(-46)),
    ("shrove tuesday", easter(-47)),
    ("mardi gras", easter(-47)),
    ("pancake day", easter(-47)),
    ("easter monday", easter(1)),
    ("ascension day", easter(39)),
    ("pentecost", easter(49)),
    ("whit sunday", easter(49)),
    ("whit monday", easter(50)),
    ("thanksgiving", thanksgiving(0)),
    ("thanksgiving day", thanksgiving(0)),
    ("us thanksgiving", thanksgiving(0)),
    ("american thanksgiving", thanksgiving(0)),
    ("black friday", thanksgiving(1)),
    ("cyber monday", thanksgiving(4)),
    ("christmas", fixed(12, 25)),
    ("christmas day", fixed(12, 25)),
    ("xmas", fixed(12, 25)),
    ("christmas eve", fixed(12, 24)),
    ("boxing day", fixed(12, 26)),
    ("new years eve", fixed(12, 31)),
    ("the end of the year", fixed(12, 31)),
    ("new years day", fixed(1, 1)),
    ("new years", fixed(1, 1)),
    ("new year", fixed(1, 1)),
    ("epiphany", fixed(1, 6)),
    ("groundhog day", fixed(2, 2)),
    ("valentines day", fixed(2, 14)),
    ("valentines", fixed(2, 14)),
    ("leap day", fixed(2, 29)),
    ("saint patricks day", fixed(3, 17)),
    ("st patricks day", fixed(3, 17)),
    ("pi day", fixed(3, 14)),
    ("april fools day", fixed(4, 1)),
    ("april fools", fixed(4, 1)),
    ("earth day", fixed(4, 22)),
    ("may day", fixed(5, 1)),
    ("halloween", fixed(10, 31)),
    ("all saints day", fixed(11, 1)),
    ("guy fawkes night", fixed(11, 5)),
    ("bonfire night", fixed(11, 5)),
    ("saint nicholas day", fixed(12, 6)),
    ("st nicholas day", fixed(12, 6)),
];

/// The longest day at the start of `t`, with or without "on", and how many tokens it takes.
pub(in crate::tools) fn take(t: &[String]) -> Option<(Day, usize)> {
    let lead = usize::from(is(t, 0, &["on"]));
    let rest = t.get(lead..)?;
    let (day, n) = away(rest)
        .or_else(|| near(rest))
        .or_else(|| iso(rest))
        .or_else(|| slashed(rest))
        .or_else(|| holiday(rest))
        .or_else(|| weekday(rest))
        .or_else(|| calendar_date(rest))?;
    Some((day, lead + n))
}

/// "Today", "the day after tomorrow".
fn near(t: &[String]) -> Option<(Day, usize)> {
    for (phrase, day) in [
        ("today", Day::Today),
        ("tomorrow", Day::Tomorrow),
        ("yesterday", Day::Away(-1)),
        ("the day after tomorrow", Day::Away(2)),
        ("day after tomorrow", Day::Away(2)),
        ("the day before yesterday", Day::Away(-2)),
        ("day before yesterday", Day::Away(-2)),
    ] {
        if let Some(n) = begins(t, phrase) {
            return Some((day, n));
        }
    }
    None
}

/// "In three weeks", "two days from tomorrow", "a month ago".
fn away(t: &[String]) -> Option<(Day, usize)> {
    let lead = usize::from(is(t, 0, &["in"]));
    let rest = t.get(lead..)?;
    let (many, n) = match rest.first()?.as_str() {
        "a" | "an" if is(rest, 1, &["couple"]) => (2, 2 + usize::from(is(rest, 2, &["of"]))),
        _ => count(rest, 100_000).or_else(|| is(rest, 0, &["a", "an"]).then_some((1, 1)))?,
    };
    let many = many as i32;
    let unit = rest.get(n)?.as_str();
    let after = lead + n + 1;
    let (days, months) = match unit {
        "day" | "days" => (many, 0),
        "week" | "weeks" => (many * 7, 0),
        "fortnight" | "fortnights" => (many * 14, 0),
        "month" | "months" => (0, many),
        "year" | "years" => (0, many * 12),
        _ => return None,
    };
    if is(t, after, &["ago"]) && lead == 0 {
        return Some((if months > 0 { Day::MonthsAway(-months) } else { Day::Away(-days) }, after + 1));
    }
    if is(t, after, &["before", "after"])
        && months == 0
        && let Some((Day::Feast(feast), k)) = holiday(&t[after + 1..])
    {
        let days = i8::try_from(if is(t, after, &["before"]) { -days } else { days }).ok()?;
        let feast = match feast {
            Feast::Easter(n) => Feast::Easter(n.checked_add(days)?),
            Feast::Thanksgiving(n) => Feast::Thanksgiving(n.checked_add(days)?),
        };
        return Some((Day::Feast(feast), after + 1 + k));
    }
    let from = match () {
        () if is(t, after, &["from"]) => {
            let base = t.get(after + 1..)?;
            let (base, k) = if is(base, 0, &["now"]) { (0, 1) } else { base_day(base)? };
            Some((base, 1 + k))
        }
        () if is(t, after, &["later", "time"]) => Some((0, 1)),
        () => None,
    };
    let (base, k) = match from {
        Some(found) => found,
        None if lead > 0 => (0, 0),
        None => return None,
    };
    let day = match (months, base) {
        (0, _) => Day::Away(days + base),
        (_, 0) => Day::MonthsAway(months),
        _ => return None,
    };
    Some((day, after + k))
}

fn base_day(t: &[String]) -> Option<(i32, usize)> {
    match near(t)? {
        (Day::Today, n) => Some((0, n)),
        (Day::Tomorrow, n) => Some((1, n)),
        (Day::Away(days), n) => Some((days, n)),
        _ => None,
    }
}

/// "2026-12-24": three numbers, with or without the hyphens.
fn iso(t: &[String]) -> Option<(Day, usize)> {
    let digits = |i: usize, long: usize| t.get(i).filter(|w| w.len() == long && w.bytes().all(|b| b.is_ascii_digit()));
    let year = digits(0, 4)?;
    let step = if is(t, 1, &["-"]) && is(t, 3, &["-"]) { 2 } else { 1 };
    let (month, day) = (digits(step, 2)?, digits(2 * step, 2)?);
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some((Day::Date(date), 2 * step + 1))
}

/// "12/24/2026" (the month first, unless it cannot be one) and "24.12.2026" (the day first).
fn slashed(t: &[String]) -> Option<(Day, usize)> {
    let w = t.first()?;
    let sign = if w.contains('/') { '/' } else { '.' };
    let mut parts = w.split(sign);
    let (a, b, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (a, b): (i8, i8) = (a.parse().ok()?, b.parse().ok()?);
    let (month, day) = if sign == '/' && a <= 12 { (a, b) } else { (b, a) };
    Some((Day::Date(Date::new(year.parse().ok()?, month, day).ok()?), 1))
}

/// "Christmas Eve", "Easter 2027".
fn holiday(t: &[String]) -> Option<(Day, usize)> {
    let lead = usize::from(is(t, 0, &["the", "this", "next"]));
    let plain: Vec<String> = t.iter().take(8).map(|w| w.replace('\'', "")).collect();
    let named = |from: usize| {
        let fits = HOLIDAYS.iter().filter_map(|(name, day)| Some((*day, from + begins(plain.get(from..)?, name)?)));
        fits.max_by_key(|(_, n)| *n)
    };
    let (day, n) = named(0).or_else(|| named(lead).filter(|_| lead > 0))?;
    Some(with_year(t, day, n))
}

/// "Friday", "next Friday", "Friday the 13th", "Friday, December 24th".
fn weekday(t: &[String]) -> Option<(Day, usize)> {
    let lead = ["this coming", "the coming", "coming", "this", "next", "last", "past"]
        .iter()
        .find_map(|p| begins(t, p))
        .unwrap_or(0);
    let name = t.get(lead)?;
    let days = WEEKDAYS.iter().position(|d| d == name)? as u8;
    let n = lead + 1;
    if lead > 0 {
        let day = match t[0].as_str() {
            "next" => Day::WeekdayOfNextWeek(days),
            "last" | "past" => Day::WeekdayBefore(days),
            _ => Day::Weekday(days),
        };
        return Some((day, n));
    }
    // The date says it better than the day of the week.
    Some(match calendar_date(&t[n..]) {
        Some((Day::OfMonth(day), k)) => (Day::WeekdayOfMonth { weekday: days, day }, n + k),
        Some((day, k)) => (day, n + k),
        None => match iso(&t[n..]) {
            Some((day, k)) => (day, n + k),
            None => (Day::Weekday(days), n),
        },
    })
}

/// "The 24th of December", "December 24th, 2026", "the 24th".
fn calendar_date(t: &[String]) -> Option<(Day, usize)> {
    let the = usize::from(is(t, 0, &["the"]));
    if let Some((day, n)) = ordinal(&t[the..]).or_else(|| day_number(&t[the..]))
        && let i = the + n
        && let i = i + usize::from(is(t, i, &["of"]))
        && let Some(month) = t.get(i).and_then(|w| month(w))
    {
        return dated(t, month, day, i + 1);
    }
    if let Some(month) = t.first().and_then(|w| month(w)) {
        let the = 1 + usize::from(is(t, 1, &["the"]));
        let rest = t.get(the..)?;
        let (day, n) = ordinal(rest).or_else(|| day_number(rest))?;
        return dated(t, month, day, the + n);
    }
    let (day, n) = ordinal(&t[the..])?;
    (the == 1).then_some((Day::OfMonth(day), 1 + n))
}

/// The day of the year; none where the month has no such day.
fn dated(t: &[String], month: u8, day: u8, n: usize) -> Option<(Day, usize)> {
    // A leap year has them all.
    Date::new(2024, month as i8, day as i8).ok()?;
    let i = n + usize::from(is(t, n, &["in"]) && t.get(n + 1..).and_then(year).is_some());
    let (found, taken) = with_year(t, fixed(month, day), i);
    // February 29 of a year that has none.
    let wrong = matches!(found, Day::OfYear { .. }) && t.get(i..).and_then(year).is_some();
    (!wrong).then_some((found, taken.max(n)))
}

fn with_year(t: &[String], day: Day, n: usize) -> (Day, usize) {
    let Some((year, k)) = t.get(n..).and_then(year) else { return (day, n) };
    let date = match day {
        Day::OfYear { month, day } => Date::new(year, month as i8, day as i8).ok(),
        Day::Feast(feast) => feast.of(year),
        _ => None,
    };
    date.map_or((day, n), |date| (Day::Date(date), n + k))
}

/// 2026, "two thousand twenty six", "twenty twenty six", "nineteen oh five".
fn year(t: &[String]) -> Option<(i16, usize)> {
    if let Some((v, n)) = number(t)
        && v.fract() == 0.0
        && (1000.0..3000.0).contains(&v)
    {
        return Some((v as i16, n));
    }
    let (century, _) = count(t.get(..1)?, 21).filter(|(v, _)| *v >= 16)?;
    let rest = t.get(1..)?;
    let (years, n) = match rest.first()?.as_str() {
        "oh" | "o" => count(&rest[1..], 9).filter(|(v, _)| *v > 0).map(|(v, n)| (v, n + 1))?,
        "hundred" => return Some((century as i16 * 100, 2)),
        _ => count(rest, 99).filter(|(v, _)| *v >= 10)?,
    };
    // Digits are written in one piece.
    (!t[0].starts_with(|c: char| c.is_ascii_digit())).then_some(((century * 100 + years) as i16, n + 1))
}

/// "24th", "twenty fourth", "first".
fn ordinal(t: &[String]) -> Option<(u8, usize)> {
    let w = t.first()?.as_str();
    let position = |w: &str| ORDINALS.iter().position(|o| *o == w).map(|i| i as u8 + 1);
    let found = match w {
        "twentieth" => (20, 1),
        "thirtieth" => (30, 1),
        "twenty" | "thirty" => {
            let tens = if w == "twenty" { 20 } else { 30 };
            (tens + t.get(1).and_then(|w| position(w)).filter(|n| *n < 10)?, 2)
        }
        _ if w.starts_with(|c: char| c.is_ascii_digit()) => {
            if !is(t, 1, &["st", "nd", "rd", "th"]) {
                return None;
            }
            (w.parse().ok()?, 2)
        }
        _ => (position(w)?, 1),
    };
    (1..=31).contains(&found.0).then_some(found)
}

fn day_number(t: &[String]) -> Option<(u8, usize)> {
    count(t, 31).filter(|(v, _)| *v >= 1).map(|(v, n)| (v as u8, n))
}

fn month(w: &str) -> Option<u8> {
    MONTHS.iter().position(|m| *m == w || m[..3] == *w || (w == "sept" && *m == "september")).map(|i| i as u8 + 1)
}

fn begins(t: &[String], phrase: &str) -> Option<usize> {
    let n = phrase.split(' ').count();
    (t.len() >= n && phrase.split(' ').zip(t).all(|(p, w)| p == w)).then_some(n)
}

fn is(t: &[String], i: usize, words: &[&str]) -> bool {
    t.get(i).is_some_and(|w| words.contains(&w.as_str()))
}
