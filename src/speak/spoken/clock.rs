//! Times of day.
//!
//! Defaults: 7:30 is said as it stands, hours past twelve as PM; 16:9 is not a time, because its second part has one digit;
//! 7.30 is a time only before "pm" or after "at".

use super::lexer::{Said, Token, at_start, dash, label_before, next_word, parse, sentence_ends, word_before};
use super::number::{cardinal, digits};
use super::units::unit;
use Token::{Num, Space, Sym, Word};

/// Zones that are said letter by letter.
const ZONES: [&str; 18] = [
    "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "GMT", "UTC", "CET", "CEST", "BST", "IST", "JST", "AEST",
    "EET", "ET",
];

/// Books that are cited by chapter and verse.
const BOOKS: [&str; 24] = [
    "genesis",
    "exodus",
    "leviticus",
    "deuteronomy",
    "joshua",
    "judges",
    "samuel",
    "kings",
    "job",
    "psalm",
    "psalms",
    "proverbs",
    "isaiah",
    "jeremiah",
    "daniel",
    "matthew",
    "mark",
    "luke",
    "john",
    "acts",
    "romans",
    "corinthians",
    "hebrews",
    "revelation",
];

/// "am" or "pm" in any spelling.
pub(super) struct Half {
    pub(super) used: usize,
    pub(super) afternoon: bool,
    /// Its last dot also ends the sentence.
    stop: bool,
}

pub(super) fn half_of_day(rest: &[Token]) -> Option<Half> {
    let space = usize::from(matches!(rest.first(), Some(Space)));
    let is = |w: &str, l: &str| w.eq_ignore_ascii_case(l);
    match &rest[space..] {
        [Word(w), ..] if is(w, "am") || is(w, "pm") => {
            Some(Half { used: space + 1, afternoon: is(w, "pm"), stop: false })
        }
        [Word(h), Sym('.'), Word(m), after @ ..] if (is(h, "a") || is(h, "p")) && is(m, "m") => {
            let dot = usize::from(matches!(after.first(), Some(Sym('.'))));
            let stop = dot == 1 && sentence_ends(&after[1..]);
            Some(Half { used: space + 3 + dot, afternoon: is(h, "p"), stop })
        }
        [Word(h), Sym('.'), Space, Word(m), Sym('.'), after @ ..] if (is(h, "a") || is(h, "p")) && is(m, "m") => {
            Some(Half { used: space + 5, afternoon: is(h, "p"), stop: sentence_ends(after) })
        }
        _ => None,
    }
}

/// 7:30, 07:52, 19:30, 7:30 a.m., 7pm, 7.30 pm, 10:15:30, 19h30, 1400 hours; "9" in front of "–11 am"
pub(super) fn time(before: &[Token], rest: &[Token]) -> Said {
    let [Num(h), after @ ..] = rest else { return None };
    if !at_start(before) {
        return None;
    }
    if let Some(said) = military(rest).or_else(|| verse(before, rest)) {
        return Some(said);
    }
    let hour = parse(h, 1..=2, 0..=24)?;
    let minutes = |m: &str| parse(m, 2..=2, 0..=59);
    let (minute, second, used) = match after {
        [Sym(':'), Num(m), Sym(':'), Num(s), ..] => (minutes(m)?, minutes(s)?, 5),
        [Sym(':'), Num(m), ..] => (minutes(m)?, 0, 3),
        [Sym('.'), Num(m), tail @ ..] if dotted(before, tail) || next_word(tail) == Some("Uhr") => (minutes(m)?, 0, 3),
        [Word("h" | "H"), Num(m), tail @ ..] if french(before, hour, tail) => (minutes(m)?, 0, 3),
        _ if (1..=24).contains(&hour) => (0, 0, 1),
        _ => return None,
    };
    if used == 3 && ratio(&rest[used..]) {
        return None;
    }
    let half = half_of_day(&rest[used..]).filter(|h| used > 1 || h.used == 1 || !radio(&rest[used + h.used..]));
    if used == 1 && half.is_none() {
        return None;
    }
    let stop = if half.as_ref().is_some_and(|h| h.stop) { "." } else { "" };
    let said = words(hour, minute, second, half.as_ref().map(|h| h.afternoon));
    let mut used = used + half.map_or(0, |h| h.used);
    if used > 1 && matches!(&rest[used..], [Word("Z"), ..]) {
        return Some((used + 1, said + " U T C"));
    }
    // "19:30 Uhr": the word is in the reading already
    // and so it is in "at 14:30 hours"
    if matches!(&rest[used..], [Space, Word("Uhr"), ..])
        || used == 3 && matches!(&rest[used..], [Space, Word("hours" | "hrs"), ..])
    {
        used += 2;
    }
    Some((used, said + stop))
}

/// Eastern time and its like, behind a time
pub(super) fn zone(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let timed = matches!(before, [.., Num(_), Space])
        || matches!(word_before(before).as_deref(), Some("am" | "pm" | "m"))
        || matches!(before, [.., Sym('.'), Space])
        || matches!(before.last(), None | Some(Sym('(')));
    if !ZONES.contains(w) || !timed || matches!(after.first(), Some(Num(_))) {
        return None;
    }
    Some((1, w.chars().map(String::from).collect::<Vec<_>>().join(" ")))
}

/// "7.30 pm" and "at 7.30", but not "at 7.30 percent"
fn dotted(before: &[Token], tail: &[Token]) -> bool {
    let counted = matches!(
        tail,
        [Sym('%' | '€' | '°'), ..] | [Sym('.'), Num(_), ..] | [Space, Sym('%' | '€' | '$' | '£' | '°'), ..]
    ) || next_word(tail).is_some_and(|w| {
        unit(w).is_some()
            || matches!(w, "percent" | "million" | "billion" | "times" | "degrees" | "points" | "euros" | "dollars")
            || (w.len() == 3 && w.chars().all(char::is_uppercase))
    }) || matches!(tail.first(), Some(Word(_)));
    // "from 7.30 to 9.00"
    let minutes = |m: &str| parse(m, 2..=2, 0..=59).is_some();
    let from = matches!(tail, [Space, Word("to" | "and" | "until"), Space, Num(_), Sym('.'), Num(m), ..] if minutes(m))
        && matches!(word_before(before).as_deref(), Some("from" | "between"));
    let to = matches!(
        before,
        [.., Word("from" | "between"), Space, Num(_), Sym('.'), Num(m), Space, Word("to" | "and" | "until"), Space] if minutes(m)
    );
    if !counted && (from || to) {
        return true;
    }
    half_of_day(tail).is_some() || (!counted && matches!(word_before(before).as_deref(), Some("at" | "until" | "till")))
}

/// "19h30" is a time after "at" and where no film lasts as long; "2h30" is a length
pub(super) fn french(before: &[Token], hour: u64, tail: &[Token]) -> bool {
    let placed =
        matches!(word_before(before).as_deref(), Some("at" | "by" | "until" | "from" | "to" | "before" | "after"));
    !matches!(tail.first(), Some(Word(_))) && (placed || hour >= 13)
}

/// "a 16:10 screen"
fn ratio(after: &[Token]) -> bool {
    next_word(after)
        .is_some_and(|w| matches!(w, "screen" | "monitor" | "display" | "aspect" | "ratio" | "format" | "odds"))
}

/// "5 am radios" are no times; "5 am" is
fn radio(after: &[Token]) -> bool {
    next_word(after).is_some_and(|w| w.starts_with("radio"))
}

/// 0730 hours, 1400 hours
fn military(rest: &[Token]) -> Said {
    let [Num(n), Space, Word("hours" | "hrs"), ..] = rest else { return None };
    if n.len() != 4 {
        return None;
    }
    let (h, m) = n.split_at(2);
    let (hour, minute) = (parse(h, 2..=2, 0..=24)?, parse(m, 2..=2, 0..=59)?);
    let hour_words = if hour < 10 { digits(h) } else { cardinal(hour) };
    let minute_words = match minute {
        0 if hour == 0 || hour % 10 == 0 && hour > 20 => "zero zero".to_owned(),
        0 => "hundred".to_owned(),
        1..=9 => digits(m),
        _ => cardinal(minute),
    };
    Some((3, format!("{hour_words} {minute_words} hours")))
}

/// John 3:16
fn verse(before: &[Token], rest: &[Token]) -> Said {
    let [Num(chapter), Sym(':'), Num(verse), ..] = rest else { return None };
    let book = BOOKS.contains(&word_before(before)?.as_str()) && before.last() == Some(&Space);
    let (c, v) = (parse(chapter, 1..=3, 1..=150)?, parse(verse, 1..=3, 1..=176)?);
    book.then(|| (3, format!("{} {}", cardinal(c), cardinal(v))))
}

fn words(hour: u64, minute: u64, second: u64, pm: Option<bool>) -> String {
    let exact = minute == 0 && second == 0;
    if exact && (matches!(hour, 0 | 24) || (hour == 12 && pm == Some(false))) {
        return "midnight".into();
    }
    if exact && hour == 12 && pm == Some(true) {
        return "noon".into();
    }
    // "20 p.m.": said as it stands
    if hour > 12 && pm.is_some() && exact {
        return format!("{} {}", cardinal(hour), if pm == Some(true) { "PM" } else { "AM" });
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

/// "Uhr" after an hour without minutes
pub(super) fn german_hour(before: &[Token], rest: &[Token]) -> Said {
    let hour = matches!(before, [.., Num(_), Space]);
    (hour && matches!(rest.first(), Some(Word("Uhr")))).then(|| (1, "o'clock".into()))
}

/// "9-5 pm", "Open 9–11:30 am": an hour whose other end tells that it is one
pub(super) fn range_start(before: &[Token], rest: &[Token]) -> Said {
    let [Num(h), tail @ ..] = rest else { return None };
    let hour = parse(h, 1..=2, 1..=12).filter(|_| at_start(before))?;
    let gap = dash(tail)?;
    let other = &tail[gap..];
    let (used, _) = time(&[Space], other)?;
    let timed = used > 1 && !matches!(label_before(before).as_deref(), Some("won" | "lost"));
    timed.then(|| (1 + gap, format!("{} to", cardinal(hour))))
}
