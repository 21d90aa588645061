//! When a request wants something done.

use super::english as en;
use super::lex::{Word, begins, begins_any, texts};
use crate::tools::duration::duration;
use crate::tools::number::count;

/// Longest delay that a command is kept for: a week.
const DELAY_MAX_S: u64 = 7 * 24 * 3600;

/// When something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// After so many seconds.
    In(u64),
    /// At a time of day.
    At(Clock),
    /// At a time that was not said well enough, in the words that were used.
    Vague(String),
    /// Again and again, in the words that were used.
    Recurring(String),
    /// Farther off than anything is kept for.
    TooFar(String),
}

/// A time of day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// 0 to 23; 1 to 12 where the half of the day was not said.
    pub hour: u8,
    pub minute: u8,
    /// Whether the hour is certain: "nine" is one of two, "21:00" and "nine in the evening" are not.
    pub certain: bool,
    pub day: Day,
}

/// The day of a [`Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// The next time that the clock shows it.
    Next,
    Today,
    Tomorrow,
    /// Days after Monday: 0 to 6.
    Weekday(u8),
}

/// A time in `words` and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) when: When,
}

/// The first time in `words` that says when, not how long.
pub(super) fn find(words: &[Word]) -> Option<Found> {
    let level = words.iter().any(|w| w.any(en::LEVELS));
    (0..words.len()).find_map(|i| {
        let (n, when) = at(words, i)?;
        // "The heating at twenty" is a temperature.
        let temperature = level
            && matches!(when, When::At(c) if c.minute == 0 && n == 2)
            && words[i].is("at")
            && !(i + n..words.len()).chain(0..i).any(|k| crate::tools::number::is_number_word(&words[k].text));
        (!temperature).then_some(Found { start: i, end: i + n, when })
    })
}

/// How long a state is to last: "for ten minutes". Seconds, and where it stands.
pub(super) fn span(words: &[Word]) -> Option<(usize, usize, u64)> {
    (0..words.len()).find_map(|i| {
        let n = begins(&words[i..], "for")?;
        let (seconds, m) = duration(&texts(&words[i + n..]))?;
        Some((i, i + n + m, seconds))
    })
}

fn at(words: &[Word], i: usize) -> Option<(usize, When)> {
    let w = &words[i..];
    if i > 0 && words[i - 1].after == super::lex::Mark::Hyphen {
        return None;
    }
    if let Some(n) = begins_any(w, en::RECURRING) {
        let more = w.get(n).filter(|x| x.is("at")).and_then(|_| clock(&w[n + 1..])).map_or(0, |(m, _)| m + 1);
        return Some((n + more, When::Recurring(super::lex::line(&w[..n + more]))));
    }
    if let Some(found) = delay(w) {
        return Some(found);
    }
    if let Some((n, clock)) = said_clock(w) {
        return Some((n, When::At(clock)));
    }
    // "tomorrow at seven", "tonight at ten", "on Friday at six".
    if let Some((n, day, half)) = day(w) {
        let lead = usize::from(w.get(n).is_some_and(|x| x.any(&["at", "around", "by"])));
        if let Some((m, c)) = clock(&w[n + lead..]) {
            return Some((n + lead + m, When::At(c.on(day, half))));
        }
        return Some((n, When::Vague(super::lex::line(&w[..n]))));
    }
    if w[0].is("at")
        && let Some((_, n)) = count(&texts(&w[1..]), 99_999)
        && w.get(1 + n).is_some_and(|x| x.any(&["o'clock", "am", "pm"]))
    {
        // A number that no clock shows.
        return Some((2 + n, When::Vague(super::lex::line(&w[..2 + n]))));
    }
    begins_any(w, en::VAGUE_TIMES).map(|n| (n, When::Vague(super::lex::line(&w[..n]))))
}

/// "in ten minutes", "after an hour", "ten minutes from now", "ten minutes later", "ten minutes ago".
fn delay(w: &[Word]) -> Option<(usize, When)> {
    let lead = begins_any(
        w,
        &[
            "in",
            "after",
            "within",
            "in about",
            "in like",
            "in just",
            "in another",
            "in exactly",
            "only after",
            "not before",
        ],
    )
    .unwrap_or(0);
    let t = texts(&w[lead..]);
    let said = |n: usize| super::lex::line(&w[..n]);
    if lead > 0
        && let Some((_, n)) = count(&t, u32::MAX)
        && t.get(n).is_some_and(|u| matches!(u.as_str(), "week" | "weeks" | "month" | "months" | "year" | "years"))
        && duration(&t).is_none()
    {
        return Some((lead + n + 1, When::TooFar(said(lead + n + 1))));
    }
    if lead > 0
        && t.first().is_some_and(|a| a == "a")
        && t.get(1).is_some_and(|u| matches!(u.as_str(), "month" | "year"))
    {
        return Some((lead + 2, When::TooFar(said(lead + 2))));
    }
    let (seconds, n) = duration(&t)?;
    let end = lead + n;
    let tail = begins_any(&w[end..], &["from now", "later", "time", "from then", "'s time"]);
    if begins(&w[end..], "ago").is_some() {
        return Some((end + 1, When::Vague(said(end + 1))));
    }
    match (lead, tail) {
        (0, None) => None,
        (_, tail) if seconds <= DELAY_MAX_S => Some((end + tail.unwrap_or(0), When::In(seconds))),
        (_, tail) => Some((end + tail.unwrap_or(0), When::TooFar(said(end)))),
    }
}

/// A clock time with what makes it one: "at nine", "by 22:30", "9 pm", "noon".
fn said_clock(w: &[Word]) -> Option<(usize, Clock)> {
    let lead = begins_any(w, &["at", "at about", "at around", "around", "by", "at exactly", "from"]).unwrap_or(0);
    let (n, mut c) = clock(&w[lead..])?;
    // "At 80 percent", "by 2 degrees", "multiplied by seven" are no times.
    let measured = w
        .get(lead + n)
        .is_some_and(|x| x.any(&["percent", "degrees", "degree", "steps", "points", "minutes", "hours", "seconds"]));
    if measured
        || (lead > 0
            && w[0].any(&["by", "from", "around"])
            && !c.certain
            && !w[lead..lead + n].iter().any(|x| x.is("o'clock")))
    {
        return None;
    }
    // Without "at" only what can be nothing but a time of day.
    let plain = lead == 0 && !(c.certain && n > 1) && !w[0].text.contains(':') && !w[0].any(&["noon", "midnight"]);
    if plain {
        return None;
    }
    let mut end = lead + n;
    let on = usize::from(w.get(end).is_some_and(|x| x.is("on")));
    if let Some((m, d, half)) = day(&w[end..]) {
        c = c.on(d, half);
        end += m;
    } else if on == 1
        && let Some((m, d, half)) = day(&w[end + 1..])
    {
        c = c.on(d, half);
        end += 1 + m;
    }
    Some((end, c))
}

/// "nine", "9:30", "half past six", "quarter to eleven tonight", "ten thirty pm", "six in the morning".
pub(super) fn clock(w: &[Word]) -> Option<(usize, Clock)> {
    let word = |i: usize| w.get(i).map_or("", |x| x.text.as_str());
    let hour = |i: usize| count(&texts(&w[i.min(w.len())..]), 24);
    let (hour, minute, mut n, mut certain) = match word(0) {
        "noon" | "midday" => (12, 0, 1, true),
        "midnight" => (0, 0, 1, true),
        "half" if matches!(word(1), "past") => {
            let (h, n) = hour(2)?;
            (h, 30, 2 + n, false)
        }
        first => {
            // "quarter past six", "a quarter to six", "twenty past six", "ten minutes to six".
            let a = usize::from(first == "a");
            let minutes = if word(a) == "quarter" { Some((15, a + 1)) } else { count(&texts(w), 59) };
            let relative = minutes.and_then(|(m, n)| {
                let n = n + usize::from(matches!(word(n), "minutes" | "minute"));
                let to = match word(n) {
                    "past" | "after" => false,
                    "to" | "before" | "til" => true,
                    _ => return None,
                };
                let (h, k) = match word(n + 1) {
                    "noon" => (12, 1),
                    "midnight" => (24, 1),
                    _ => hour(n + 1)?,
                };
                Some(if to { ((h + 23) % 24, 60 - m, n + 1 + k) } else { (h, m, n + 1 + k) })
            });
            if let Some((h, m, n)) = relative {
                (if h == 0 { 12 } else { h }, m, n, false)
            } else if let Some((h, m)) = first.split_once(':') {
                let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
                (h, m, 1, h > 12 || h == 0 || first.starts_with('0'))
            } else {
                let (h, n) = count(&texts(w).into_iter().take(1).collect::<Vec<_>>(), 24).or_else(|| hour(0))?;
                // "ten thirty", "seven oh five"; "21 30".
                let rest = texts(&w[n..]);
                let spoken = match (rest.first().map(String::as_str), count(&rest, 59)) {
                    (Some("oh" | "o"), _) => count(&rest[1..], 9).map(|(m, k)| (m, k + 1)),
                    (_, Some((m, k)))
                        if m >= 10
                            && !rest.get(k).is_some_and(|u| {
                                matches!(
                                    u.as_str(),
                                    "percent" | "degrees" | "minutes" | "minute" | "seconds" | "hours" | "hour"
                                )
                            }) =>
                    {
                        Some((m, k))
                    }
                    _ => None,
                };
                let (m, k) = spoken.unwrap_or((0, 0));
                let n = n + k;
                let clock_word = usize::from(word(n) == "o'clock");
                (h, m, n + clock_word, h > 12)
            }
        }
    };
    if hour > 24 || minute > 59 {
        return None;
    }
    let mut hour = hour % 24;
    let half = match () {
        () if word(n) == "am" => Some((1, false)),
        () if word(n) == "pm" => Some((1, true)),
        () => begins_any(&w[n..], &["in the morning", "this morning", "in the early morning"])
            .map(|k| (k, false))
            .or_else(|| {
                begins_any(
                    &w[n..],
                    &["in the evening", "in the afternoon", "tonight", "this evening", "this afternoon"],
                )
                .map(|k| (k, true))
            })
            .or_else(|| begins(&w[n..], "at night").map(|k| (k, hour >= 6 && hour != 12))),
    };
    if let Some((k, pm)) = half {
        if hour == 0 || hour > 12 {
            // "22:30 pm" says it twice; "0 am" too.
        } else if pm {
            hour = hour % 12 + 12;
        } else if hour == 12 {
            hour = 0;
        }
        certain = true;
        n += k;
    }
    Some((n, Clock { hour: hour as u8, minute: minute as u8, certain, day: Day::Next }))
}

/// A day, and whether its afternoon (or evening) or its morning was named.
fn day(w: &[Word]) -> Option<(usize, Day, Option<bool>)> {
    let half_of = |w: &[Word]| {
        w.first().and_then(|x| match x.text.as_str() {
            "morning" => Some(false),
            "evening" | "afternoon" | "night" => Some(true),
            _ => None,
        })
    };
    let lead = begins_any(w, &["on", "next", "this", "on the"]).unwrap_or(0);
    if let Some(x) = w.get(lead)
        && let Some(d) = en::WEEKDAYS.iter().position(|d| x.is(d))
    {
        let half = half_of(&w[lead + 1..]);
        return Some((lead + 1 + usize::from(half.is_some()), Day::Weekday(d as u8), half));
    }
    match w.first()?.text.as_str() {
        "tomorrow" => {
            let half = half_of(&w[1..]);
            Some((1 + usize::from(half.is_some()), Day::Tomorrow, half))
        }
        "today" => Some((1, Day::Today, None)),
        "tonight" => Some((1, Day::Today, Some(true))),
        "this" => half_of(&w[1..]).map(|half| (2, Day::Today, Some(half))),
        _ => None,
    }
}

impl Clock {
    fn on(self, day: Day, afternoon: Option<bool>) -> Self {
        match afternoon {
            Some(pm) if !self.certain && self.hour <= 12 => {
                Self { hour: self.hour % 12 + if pm { 12 } else { 0 }, certain: true, day, ..self }
            }
            _ => Self { day, ..self },
        }
    }
}
