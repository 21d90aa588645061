//! Lengths of time: 1h 15m, 2h30, 5m 30s, 1:23:45 and 45:30 as spans.
//!
//! Defaults: "m" alone is meters, beside hours or seconds minutes; h:mm:ss is a span unless it is said to be the time
//! of day; m:ss is a time of day unless it cannot be one or is said to be a span.

use super::lexer::{Said, Token, at_start, label_before, next_word, parse, word_before};
use super::number::cardinal;
use Token::{Num, Space, Sym, Word};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

impl Part {
    fn of(written: &str) -> Option<Self> {
        Some(match written {
            "y" | "yr" | "yrs" => Part::Years,
            "mo" | "mos" => Part::Months,
            "w" | "wk" | "wks" => Part::Weeks,
            "d" => Part::Days,
            "h" | "hr" | "hrs" | "H" => Part::Hours,
            "m" | "min" | "mins" => Part::Minutes,
            "s" | "sec" | "secs" => Part::Seconds,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        ["second", "minute", "hour", "day", "week", "month", "year"][self as usize]
    }
}

fn said(n: u64, part: Part) -> String {
    format!("{} {}{}", cardinal(n), part.name(), if n == 1 { "" } else { "s" })
}

fn small(n: &str) -> Option<u64> {
    parse(n, 1..=4, 0..=9999)
}

/// 1h 15m, 2d 4h 10m, 2h30, 5m 30s; "15m left"
pub(super) fn compound(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    let mut parts: Vec<(u64, Part)> = Vec::new();
    let mut used = 0;
    loop {
        let gap = usize::from(used > 0 && matches!(rest.get(used), Some(Space)));
        let Some([Num(n), tail @ ..]) = rest.get(used + gap..) else { break };
        let space = usize::from(matches!(tail.first(), Some(Space)));
        let Some(value) = small(n) else { break };
        let last = parts.last().map(|(_, p)| *p);
        match tail.get(space) {
            Some(Word(w)) if Part::of(w).is_some_and(|p| last.is_none_or(|l| p < l)) => {
                let part = Part::of(w)?;
                used += gap + 2 + space;
                parts.push((value, part));
            }
            // "2h30"
            _ if last == Some(Part::Hours) && gap == 0 && n.len() == 2 && value < 60 => {
                if super::clock::french(before, parts.last().map_or(0, |(h, _)| *h), tail) {
                    return None;
                }
                used += 1;
                parts.push((value, Part::Minutes));
                break;
            }
            _ => break,
        }
    }
    let alone = match parts.as_slice() {
        [(n, Part::Minutes)] => {
            rest.get(1) == Some(&Word("m")) && (lone_minutes(*n, &rest[used..]) || awaited(before, *n))
        }
        [_] | [] => false,
        // "2m 30s" is a length of time, "5m 3 s" too; "1y 2m" hardly meters
        _ => true,
    };
    if !alone || matches!(rest.get(used), Some(Sym('/' | '²' | '³' | '^') | Word(_) | Num(_))) {
        return None;
    }
    let dot = usize::from(
        matches!(rest.get(used), Some(Sym('.'))) && !super::lexer::sentence_ends(&rest[used + 1..]) && parts.len() > 1,
    );
    Some((used + dot, parts.into_iter().map(|(n, p)| said(n, p)).collect::<Vec<_>>().join(" ")))
}

/// "be back in 5m", "remind me in 10m", "boil for 8m": what is waited for
fn awaited(before: &[Token], n: u64) -> bool {
    let words: Vec<String> = before.iter().rev().filter_map(|t| t.word()).take(4).map(str::to_lowercase).collect();
    let timed = |w: &String| {
        matches!(
            w.as_str(),
            "back"
                | "starts"
                | "start"
                | "begins"
                | "ends"
                | "due"
                | "done"
                | "ready"
                | "leave"
                | "leaves"
                | "leaving"
                | "arrives"
                | "arrive"
                | "home"
                | "here"
                | "remind"
                | "wake"
                | "expires"
                | "departs"
                | "closes"
                | "opens"
                | "call"
                | "meeting"
        )
    };
    let cooked = |w: &String| {
        matches!(
            w.as_str(),
            "boil"
                | "cook"
                | "bake"
                | "simmer"
                | "fry"
                | "steep"
                | "wait"
                | "rest"
                | "snooze"
                | "pause"
                | "timer"
                | "knead"
                | "microwave"
                | "nap"
                | "meditate"
                | "marinate"
                | "chill"
                | "soak"
                | "grill"
                | "roast"
        )
    };
    let waited = match words.split_first() {
        Some((w, more)) if w == "in" => more.iter().any(timed),
        Some((w, more)) if w == "for" => more.iter().any(cooked),
        Some((w, _)) => matches!(w.as_str(), "wait" | "snooze" | "pause"),
        None => false,
    };
    waited && n <= 180
}

/// "15m left", "5m ago", "a 10m timer"
fn lone_minutes(n: u64, after: &[Token]) -> bool {
    n <= 180
        && next_word(after).is_some_and(|w| {
            matches!(
                w,
                "left" | "ago" | "remaining" | "late" | "later" | "timer" | "break" | "nap" | "workout" | "snooze"
            )
        })
}

/// 1:23:45, 45:30 as spans
pub(super) fn span(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    let word = word_before(before);
    let word = word.as_deref().unwrap_or_default();
    match rest {
        [Num(h), Sym(':'), Num(m), Sym(':'), Num(s), after @ ..] => {
            if matches!(after, [Sym(':'), ..]) || super::clock::half_of_day(after).is_some() {
                return None;
            }
            let no_hours = *h == "00" && *s != "00";
            let clock =
                matches!(word, "is" | "it's" | "at" | "by" | "from" | "until" | "till" | "since" | "before" | "after")
                    || (h.len() == 2 && !no_hours && !measured(word));
            if clock && !lasting(after) {
                return None;
            }
            if below_sixty(m)? + below_sixty(s)? == 0 {
                return None;
            }
            let parts = [(small(h)?, Part::Hours), (below_sixty(m)?, Part::Minutes), (below_sixty(s)?, Part::Seconds)];
            Some((5, words(&parts)))
        }
        // "a lap of 1:23.45"
        [Num(m), Sym(':'), Num(s), Sym('.'), Num(part), after @ ..]
            if part.len() <= 3 && super::clock::half_of_day(after).is_none() =>
        {
            let minutes = small(m)?;
            below_sixty(s)?;
            let seconds = format!("{} seconds", super::number::decimal(s.strip_prefix('0').unwrap_or(s), part));
            let minutes = if minutes == 0 { String::new() } else { said(minutes, Part::Minutes) + " " };
            Some((5, minutes + &seconds))
        }
        // "3:05 min", "1:30 h"
        [Num(a), Sym(':'), Num(b), Space, Word(w), ..] if matches!(*w, "min" | "mins" | "minutes") => {
            Some((5, words(&[(small(a)?, Part::Minutes), (below_sixty(b)?, Part::Seconds)])))
        }
        [Num(a), Sym(':'), Num(b), Space, Word(w), ..]
            if matches!(*w, "h" | "hr" | "hrs" | "hours")
                && *b != "00"
                && !matches!(word, "at" | "by" | "until" | "till" | "from" | "since" | "after" | "before" | "to") =>
        {
            Some((5, words(&[(small(a)?, Part::Hours), (below_sixty(b)?, Part::Minutes)])))
        }
        [Num(m), Sym(':'), Num(s), after @ ..] => {
            let (minutes, seconds) = (small(m)?, below_sixty(s)?);
            let long = minutes > 24 && m.len() == 2;
            let labelled =
                matches!(label_before(before).as_deref(), Some("duration" | "length" | "runtime" | "elapsed"));
            if !(long || labelled || lasting(after) || measured(word) && timed_before(before))
                || super::clock::half_of_day(after).is_some()
            {
                return None;
            }
            Some((3, words(&[(minutes, Part::Minutes), (seconds, Part::Seconds)])))
        }
        _ => None,
    }
}

fn below_sixty(s: &str) -> Option<u64> {
    parse(s, 2..=2, 0..=59)
}

fn words(parts: &[(u64, Part)]) -> String {
    parts.iter().filter(|(n, _)| *n > 0).map(|(n, p)| said(*n, *p)).collect::<Vec<_>>().join(" ")
}

/// "long", "left" and their like behind a span
fn lasting(after: &[Token]) -> bool {
    next_word(after).is_some_and(|w| matches!(w, "long" | "left" | "remaining" | "ago"))
}

/// Words in front of a length of time.
fn measured(word: &str) -> bool {
    matches!(
        word,
        "in" | "took" | "takes" | "lasts" | "lasted" | "for" | "ran" | "duration" | "elapsed" | "length" | "of"
    )
}

/// Somebody ran, swam or finished: then "in 4:30" is no time of day.
fn timed_before(before: &[Token]) -> bool {
    before.iter().filter_map(|t| t.word()).any(|w| {
        matches!(
            w,
            "ran"
                | "run"
                | "swam"
                | "finished"
                | "mile"
                | "marathon"
                | "took"
                | "takes"
                | "lasts"
                | "lasted"
                | "lap"
                | "race"
                | "duration"
                | "length"
                | "completed"
        )
    })
}
