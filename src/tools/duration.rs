//! Durations as people say them, and back.

use super::number::number;
use super::text::tokens;

/// Longest timer: a week.
pub(super) const MAX_S: u64 = 7 * 24 * 3600;

/// Seconds in a duration that is all of `text`: "10 minutes", "an hour and a half", "1h30".
pub(super) fn parse(text: &str) -> Option<u64> {
    let t = tokens(text);
    let (seconds, n) = duration(&t)?;
    (n == t.len()).then_some(seconds)
}

/// The longest duration at the start of `t`: seconds (1 to [`MAX_S`]) and how many tokens it takes.
pub(super) fn duration(t: &[String]) -> Option<(u64, usize)> {
    within(t, MAX_S)
}

/// As [`duration`], of at most `max_s` seconds.
pub(super) fn within(t: &[String], max_s: u64) -> Option<(u64, usize)> {
    let mut total = 0.0;
    let mut smallest = f64::INFINITY;
    let mut i = 0;
    loop {
        let joined = usize::from(i > 0 && is(t, i, &["and"]));
        let Some((value, unit, n)) = part(&t[i + joined..]) else { break };
        if unit >= smallest {
            break;
        }
        total += value * unit;
        smallest = unit;
        i += joined + n;
        if let Some((extra, n)) = trailing(&t[i..], unit) {
            total += extra;
            smallest = 0.0;
            i += n;
        }
    }
    let seconds = total.round();
    (i > 0 && (1.0..=max_s as f64).contains(&seconds)).then_some((seconds as u64, i))
}

/// One quantity and its unit: value, seconds per unit, tokens.
fn part(t: &[String]) -> Option<(f64, f64, usize)> {
    // "half an hour", "a half hour"; "(a|three) quarter(s) of an hour"
    let lead = usize::from(is(t, 0, &["a"]));
    if is(t, lead, &["half"]) {
        let i = lead + 1 + usize::from(is(t, lead + 1, &["a", "an"]));
        let u = unit(t.get(i)?)?;
        return Some((0.5, u, i + 1));
    }
    let (quarters, i) = match () {
        () if is(t, lead, &["quarter"]) => (1.0, lead + 1),
        () if is(t, 0, &["one", "1"]) && is(t, 1, &["quarter"]) => (1.0, 2),
        () if is(t, 0, &["three", "3"]) && is(t, 1, &["quarters", "quarter"]) => (3.0, 2),
        () => (0.0, 0),
    };
    if quarters > 0.0 {
        let i = i + usize::from(is(t, i, &["of"]));
        let i = i + usize::from(is(t, i, &["a", "an"]));
        let u = unit(t.get(i)?)?;
        return Some((quarters / 4.0, u, i + 1));
    }
    if is(t, lead, &["couple"]) {
        let i = lead + 1 + usize::from(is(t, lead + 1, &["of"]));
        let u = unit(t.get(i)?)?;
        return Some((2.0, u, i + 1));
    }
    if let Some("1/2") = t.first().map(String::as_str) {
        let i = 1 + usize::from(is(t, 1, &["a", "an"]));
        return Some((0.5, unit(t.get(i)?)?, i + 1));
    }
    if is(t, 0, &["a", "an"])
        && let Some(u) = t.get(1).and_then(|w| unit(w))
    {
        return Some((1.0, u, 2));
    }
    let (mut value, mut i) = number(t)?;
    if let Some((fraction, n)) = fraction(&t[i..]) {
        value += fraction;
        i += n;
    } else if is(t, i, &["1/2"]) {
        value += 0.5;
        i += 1;
    }
    let u = unit(t.get(i)?)?;
    Some((value, u, i + 1))
}

/// What may follow a unit: "an hour *and a half*", "one hour *thirty*", "1 h *30*". Seconds and tokens.
fn trailing(t: &[String], unit_s: f64) -> Option<(f64, usize)> {
    if let Some((f, n)) = fraction(t)
        && t.get(n).is_none_or(|w| unit(w).is_none())
    {
        return Some((f * unit_s, n));
    }
    if unit_s != 3600.0 && unit_s != 60.0 {
        return None;
    }
    let (v, n) = number(t)?;
    let bare = t.get(n).is_none_or(|w| unit(w).is_none() && w != "and" && w != "point");
    (bare && v.fract() == 0.0 && v > 0.0 && v < 60.0).then_some((v * unit_s / 60.0, n))
}

/// "and a half", "and a quarter", "and three quarters".
fn fraction(t: &[String]) -> Option<(f64, usize)> {
    if !is(t, 0, &["and"]) {
        return None;
    }
    let i = 1 + usize::from(is(t, 1, &["a", "one"]));
    match t.get(i).map(String::as_str) {
        Some("half") => Some((0.5, i + 1)),
        Some("quarter") => Some((0.25, i + 1)),
        Some("three") if is(t, i + 1, &["quarters"]) => Some((0.75, i + 2)),
        _ => None,
    }
}

fn unit(w: &str) -> Option<f64> {
    Some(match w {
        "second" | "seconds" | "sec" | "secs" | "s" => 1.0,
        "minute" | "minutes" | "min" | "mins" | "m" => 60.0,
        "hour" | "hours" | "hr" | "hrs" | "h" => 3600.0,
        "day" | "days" => 86_400.0,
        "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

fn is(t: &[String], i: usize, words: &[&str]) -> bool {
    t.get(i).is_some_and(|w| words.contains(&w.as_str()))
}

/// "1 hour 20 minutes": as the model writes durations.
pub(super) fn plain(seconds: u64) -> String {
    parts(seconds).join(" ")
}

/// "1 hour and 20 minutes": as people say them.
pub(super) fn spoken(seconds: u64) -> String {
    super::listed(&parts(seconds))
}

fn parts(seconds: u64) -> Vec<String> {
    let split = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let mut p: Vec<String> = split
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    if p.is_empty() {
        p.push("0 seconds".to_owned());
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_in_many_ways() {
        for (text, seconds) in [
            ("10 minutes", 600),
            ("ten-minute", 600),
            ("an hour and a half", 5400),
            ("one and a half hours", 5400),
            ("1.5 hours", 5400),
            ("90 seconds", 90),
            ("1h30", 5400),
            ("1h30m", 5400),
            ("1 hr 30 min", 5400),
            ("one hour thirty", 5400),
            ("2 minutes 30", 150),
            ("half an hour", 1800),
            ("a half hour", 1800),
            ("1/2 hour", 1800),
            ("2 1/2 hours", 9000),
            ("a quarter of an hour", 900),
            ("quarter hour", 900),
            ("three quarters of an hour", 2700),
            ("two and a quarter hours", 8100),
            ("an hour and three quarters", 6300),
            ("one hour, twenty minutes and ten seconds", 4810),
            ("a minute", 60),
            ("a minute and a half", 90),
            ("a couple of minutes", 120),
            ("a hundred and twenty seconds", 120),
            ("45s", 45),
            ("1 day", 86400),
            ("one week", 604_800),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "ten",
            "minutes",
            "7:30",
            "0 minutes",
            "ten minutes ago",
            "1000 days",
            "minutes ten",
            "-5 minutes",
            "5-10 minutes",
            "half",
            "99999999999999999 hours",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for s in [1, 59, 60, 61, 3599, 3600, 3661, 86_400, 90_061, MAX_S] {
            assert_eq!(parse(&plain(s)), Some(s), "{}", plain(s));
            assert_eq!(parse(&spoken(s)), Some(s), "{}", spoken(s));
        }
        assert_eq!(spoken(4810), "1 hour, 20 minutes and 10 seconds");
    }
}
