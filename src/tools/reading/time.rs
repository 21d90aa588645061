//! When a request wants something done.

use super::english as en;
use super::lex::{Mark, Word, begins, begins_any, line, texts};
pub use crate::tools::calendar::Day;
use crate::tools::calendar::{self, following};
use crate::tools::duration::{duration, within};
use crate::tools::number::count;

/// Longest delay that a command is kept for: a week.
const DELAY_MAX_S: u64 = 7 * 24 * 3600;
/// Longest delay that is understood: a leap year.
pub(in crate::tools) const FAR_MAX_S: u64 = 366 * 24 * 3600;
/// Longest delay that is recognised, if only to be declined.
const EVER_S: u64 = 1000 * FAR_MAX_S;
/// The first hour that is no longer part of the night before.
const EARLY: u32 = 5;

/// What stands before a time of day.
const LEADS: &[&str] = &["at", "at about", "at around", "at exactly", "around", "about", "by"];
const DELAY_LEADS: &[&str] = &[
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
];
const DELAY_TAILS: &[&str] = &["from now", "later", "time", "from then", "'s time"];
/// After these a number is no time of day.
const MEASURES: &[&str] =
    &["percent", "degrees", "degree", "steps", "points", "minutes", "hours", "seconds", "speed", "times"];

/// When something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// After so many seconds.
    In(u64),
    /// At a time of day.
    At(Clock),
    /// On a day, no time of it said. A request's times ([`super::Part::when`]) call that [`Self::Vague`].
    On(Day),
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

/// The half of the day that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Morning,
    Afternoon,
    /// From the evening to the early morning of the day after.
    Night,
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
            && matches!(when, When::At(c) if n == 2 && (c.minute == 0 || (c.hour > 12 && words[i + 1].text.contains('.'))))
            && words[i].is("at")
            && !(i + n..words.len()).chain(0..i).any(|k| crate::tools::number::is_number_word(&words[k].text));
        (!temperature).then_some(Found { start: i, end: i + n, when })
    })
}

/// The longest time at the start of plain `tokens`, with or without "at" and "in", and how many of them it takes.
pub(in crate::tools) fn moment(tokens: &[String]) -> Option<(When, usize)> {
    let word = |text: &String| Word { text: text.clone(), start: 0, end: 0, after: Mark::Space };
    let w: Vec<Word> = tokens.iter().map(word).collect();
    let lead = begins_any(&w, LEADS).unwrap_or(0);
    let bare = || {
        let (n, seconds) = within(tokens, FAR_MAX_S).map(|(s, n)| (n, s))?;
        Some((n, When::In(seconds)))
    };
    let far = || {
        let lead = begins_any(&w, DELAY_LEADS)?;
        let (seconds, n) = within(&tokens[lead..], FAR_MAX_S)?;
        let tail = begins_any(&w[lead + n..], DELAY_TAILS).unwrap_or(0);
        Some((lead + n + tail, When::In(seconds)))
    };
    let later = || {
        let (seconds, n) = within(tokens, FAR_MAX_S)?;
        Some((n + begins_any(&w[n..], DELAY_TAILS)?, When::In(seconds)))
    };
    let clocked = || {
        let (n, clock) = clock_and_day(&w[lead..])?;
        let unit = w.get(lead + n).is_some_and(|x| x.any(MEASURES));
        (!unit).then_some((lead + n, When::At(clock)))
    };
    let on = || calendar::take(tokens).map(|(day, n)| (n, When::On(day)));
    // The first of the longest.
    let mut best: Option<(usize, When)> = None;
    let all = [bare(), far(), later(), clocked(), dated(&w), on(), (!w.is_empty()).then(|| at(&w, 0)).flatten()];
    for found in all.into_iter().flatten() {
        if best.as_ref().is_none_or(|b| found.0 > b.0) {
            best = Some(found);
        }
    }
    best.map(|(n, when)| (when, n))
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
    if i > 0 && words[i - 1].after == Mark::Hyphen {
        return None;
    }
    if let Some(n) = begins_any(w, en::RECURRING) {
        let more = w.get(n).filter(|x| x.is("at")).and_then(|_| clock(&w[n + 1..])).map_or(0, |(m, _)| m + 1);
        return Some((n + more, When::Recurring(line(&w[..n + more]))));
    }
    let day = day(w).filter(|(n, day, _)| is_day(words, i, *n, *day));
    // "Tomorrow at seven", "tonight at ten", "in three days at nine".
    if day.is_some()
        && let Some(found) = dated(w)
    {
        return Some(found);
    }
    if let Some(found) = delay(w) {
        return Some(found);
    }
    if let Some((n, clock)) = said_clock(w) {
        return Some((n, When::At(clock)));
    }
    if let Some((n, day, _)) = day
        && is_alone(words, i, n, day)
    {
        return Some((n, When::Vague(line(&w[..n]))));
    }
    if w[0].is("at")
        && let Some((_, n)) = count(&ahead(&w[1..]), 99_999)
        && w.get(1 + n).is_some_and(|x| x.any(&["o'clock", "am", "pm"]))
    {
        // A number that no clock shows.
        return Some((2 + n, When::Vague(line(&w[..2 + n]))));
    }
    begins_any(w, en::VAGUE_TIMES).map(|n| (n, When::Vague(line(&w[..n]))))
}

/// "The second" is a day only after "on", and not in "turn on the second".
fn is_day(words: &[Word], i: usize, n: usize, day: Day) -> bool {
    let on = words[i].is("on") && !(i > 0 && super::verbs::is_base(&words[i - 1]));
    match day {
        Day::OfMonth(_) => on,
        // "In a year" and the like are delays, until a time of day follows.
        Day::Away(_) | Day::MonthsAway(_) => {
            clock(&words[i + n..]).is_some()
                || words.get(i + n).is_some_and(|x| x.is("at"))
                || words[i].any(&["the", "day"])
        }
        _ => true,
    }
}

/// Whether a day without a time of it says when: "turn on the Christmas lights" does not.
fn is_alone(words: &[Word], i: usize, n: usize, day: Day) -> bool {
    match day {
        Day::Today | Day::Tomorrow | Day::Weekday(_) | Day::WeekdayOfNextWeek(_) => true,
        Day::Away(days) => days > 0,
        _ => words[i].is("on") && !(i > 0 && super::verbs::is_base(&words[i - 1])) && i + n == words.len(),
    }
}

/// A day and a time of it.
fn dated(w: &[Word]) -> Option<(usize, When)> {
    let (n, day, half) = day(w)?;
    let lead = begins_any(&w[n..], LEADS).unwrap_or(0);
    let (m, c) = clock(&w[n + lead..])?;
    let end = n + lead + m;
    let usual = matches!(day, Day::Today | Day::Tomorrow | Day::Weekday(_) | Day::WeekdayOfNextWeek(_));
    // "December 24 20 candles".
    let sure = usual || lead > 0 || c.certain || w[n].text.contains(':');
    let midnight = w[n + lead..end].iter().any(|x| x.is("midnight"));
    if !sure || w.get(end).is_some_and(|x| x.any(MEASURES)) {
        return None;
    }
    Some((end, When::At(c.on(day, half, midnight)?)))
}

/// "in ten minutes", "after an hour", "ten minutes from now", "ten minutes later", "ten minutes ago".
fn delay(w: &[Word]) -> Option<(usize, When)> {
    let lead = begins_any(w, DELAY_LEADS).unwrap_or(0);
    let t = ahead(&w[lead..]);
    let said = |n: usize| line(&w[..n]);
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
    let (seconds, n) = within(&t, EVER_S)?;
    let end = lead + n;
    let tail = begins_any(&w[end..], DELAY_TAILS);
    if begins(&w[end..], "ago").is_some() {
        return Some((end + 1, When::Vague(said(end + 1))));
    }
    match (lead, tail) {
        (0, None) => None,
        (_, tail) if seconds <= DELAY_MAX_S => Some((end + tail.unwrap_or(0), When::In(seconds))),
        (_, tail) => Some((end + tail.unwrap_or(0), When::TooFar(said(end)))),
    }
}

/// What makes a number behind "by" or "from" a time of day.
const CLOCK_WORDS: &[&str] = &[
    "o'clock",
    "am",
    "pm",
    "noon",
    "midday",
    "midnight",
    "past",
    "morning",
    "evening",
    "afternoon",
    "night",
    "tonight",
];

/// A clock time with what makes it one: "at nine", "by 22:30", "9 pm", "noon".
fn said_clock(w: &[Word]) -> Option<(usize, Clock)> {
    let lead = begins_any(w, &["at", "at about", "at around", "around", "by", "at exactly", "from"]).unwrap_or(0);
    let (n, c) = clock(&w[lead..])?;
    // "At 80 percent", "by 2 degrees", "multiplied by seven" are no times.
    let measured = w.get(lead + n).is_some_and(|x| x.any(MEASURES));
    if measured
        || (lead > 0
            && w[0].any(&["by", "from", "around"])
            && !w[lead..lead + n].iter().any(|x| x.any(CLOCK_WORDS) || x.text.contains(':')))
    {
        return None;
    }
    // Without "at" only what can be nothing but a time of day.
    let plain = lead == 0 && (!c.certain || n <= 1) && !w[0].text.contains(':') && !w[0].any(&["noon", "midnight"]);
    if plain {
        return None;
    }
    let (n, c) = clock_and_day(&w[lead..])?;
    Some((lead + n, c))
}

/// A clock time and the day after it: "seven on Friday", "noon tomorrow".
fn clock_and_day(w: &[Word]) -> Option<(usize, Clock)> {
    let (n, c) = clock(w)?;
    let midnight = w[..n].iter().any(|x| x.is("midnight"));
    let Some((m, day, half)) = day(&w[n..]) else { return Some((n, c)) };
    // "At nine the second light".
    let usual = matches!(day, Day::Today | Day::Tomorrow | Day::Weekday(_) | Day::WeekdayOfNextWeek(_) | Day::Away(_));
    if !usual && !w[n].is("on") && n + m < w.len() {
        return Some((n, c));
    }
    Some(c.on(day, half, midnight).map_or((n, c), |c| (n + m, c)))
}

/// "nine", "9:30", "half past six", "quarter to eleven tonight", "ten thirty pm", "six in the morning".
pub(super) fn clock(w: &[Word]) -> Option<(usize, Clock)> {
    let word = |i: usize| w.get(i).map_or("", |x| x.text.as_str());
    let hour = |i: usize| count(&ahead(&w[i.min(w.len())..]), 24);
    let (hour, minute, mut n, mut certain) = match word(0) {
        "noon" | "midday" => (12, 0, 1, true),
        "midnight" => (0, 0, 1, true),
        "half" if matches!(word(1), "past") => {
            let (h, n) = hour(2)?;
            (h, 30, 2 + n, false)
        }
        first => {
            if let Some((h, m, n, certain)) = relative(w) {
                (h, m, n, certain)
            } else if let Some((h, m)) = first.split_once(':').or_else(|| pointed(first)) {
                // The seconds of "06:30:00" say nothing.
                let m = m.strip_suffix(":00").unwrap_or(m);
                let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
                (h, m, 1 + usize::from(word(1) == "o'clock"), first.starts_with('0'))
            } else {
                let (h, n) = count(&ahead(&w[..w.len().min(1)]), 24).or_else(|| hour(0))?;
                // "ten thirty", "seven oh five"; "21 30".
                let rest = ahead(&w[n..]);
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
                (h, m, n + clock_word, false)
            }
        }
    };
    if hour > 24 || minute > 59 {
        return None;
    }
    let mut hour = hour % 24;
    certain |= hour > 12 || hour == 0;
    let half = match () {
        () if word(n) == "am" => Some((1, Half::Morning)),
        () if word(n) == "pm" => Some((1, Half::Afternoon)),
        () => [
            (Half::Morning, &["in the morning", "this morning", "in the early morning"][..]),
            (Half::Afternoon, &["in the evening", "in the afternoon", "this evening", "this afternoon"]),
            (Half::Night, &["tonight", "at night"]),
        ]
        .into_iter()
        .find_map(|(half, phrases)| begins_any(&w[n..], phrases).map(|k| (k, half))),
    };
    if let Some((k, half)) = half {
        // "22:30 pm" says it twice; "0 am" too.
        if !certain {
            hour = half.hour(hour);
            certain = true;
        }
        n += k;
    }
    Some((n, Clock { hour: hour as u8, minute: minute as u8, certain, day: Day::Next }))
}

/// "Quarter past six", "a quarter to six", "twenty past six", "ten minutes to noon": hour, minute, words, certain.
fn relative(w: &[Word]) -> Option<(u32, u32, usize, bool)> {
    let word = |i: usize| w.get(i).map_or("", |x| x.text.as_str());
    let a = usize::from(word(0) == "a");
    let (minutes, n) = if word(a) == "quarter" { (15, a + 1) } else { count(&ahead(w), 59)? };
    let n = n + usize::from(matches!(word(n), "minutes" | "minute"));
    let to = match word(n) {
        "past" | "after" => false,
        "to" | "before" | "til" => true,
        _ => return None,
    };
    let (h, k, certain) = match word(n + 1) {
        "noon" | "midday" => (12, 1, true),
        "midnight" => (24, 1, true),
        _ => {
            let (h, k) = count(&ahead(&w[(n + 1).min(w.len())..]), 24)?;
            (h, k, false)
        }
    };
    // Nothing to the hour is the hour.
    let (h, minutes) = if to && minutes > 0 { ((h + 23) % 24, 60 - minutes) } else { (h, minutes) };
    Some((if h == 0 && !certain { 12 } else { h }, minutes, n + 1 + k, certain))
}

/// "6.30" as it is written in Britain.
fn pointed(text: &str) -> Option<(&str, &str)> {
    text.split_once('.').filter(|(h, m)| h.len() <= 2 && m.len() == 2)
}

/// A day, and the half of it where that was named.
fn day(w: &[Word]) -> Option<(usize, Day, Option<Half>)> {
    let half_of = |w: &[Word]| {
        w.first().and_then(|x| match x.text.as_str() {
            "morning" => Some(Half::Morning),
            "evening" | "afternoon" => Some(Half::Afternoon),
            "night" => Some(Half::Night),
            _ => None,
        })
    };
    match w.first()?.text.as_str() {
        "tonight" => return Some((1, Day::Today, Some(Half::Night))),
        "this" if let Some(half) = half_of(&w[1..]) => return Some((2, Day::Today, Some(half))),
        _ => {}
    }
    let (lead, (day, n)) = calendar::take(&ahead(w)).map(|found| (0, found)).or_else(|| {
        let found = calendar::take(&ahead(&w[begins(w, "on the")?..]))?;
        matches!(found.0, Day::Weekday(_)).then_some((2, found))
    })?;
    let half = half_of(&w[lead + n..]);
    Some((lead + n + usize::from(half.is_some()), day, half))
}

/// The next words as plain texts: more than any time takes.
fn ahead(w: &[Word]) -> Vec<String> {
    texts(&w[..w.len().min(16)])
}

impl Half {
    /// The hour of 24 that one of 1 to 12 is.
    fn hour(self, hour: u32) -> u32 {
        match self {
            Self::Morning => hour % 12,
            Self::Afternoon => hour % 12 + 12,
            Self::Night if hour == 12 || hour < EARLY => hour % 12,
            Self::Night => hour + 12,
        }
    }
}

impl Clock {
    /// The time on that day; `None` where the day after it would be meant, which cannot be said.
    fn on(self, day: Day, half: Option<Half>, midnight: bool) -> Option<Self> {
        match half {
            Some(half) if !self.certain => {
                let hour = half.hour(self.hour.into());
                // "Tomorrow night at one" is in the morning after it.
                let day = if half == Half::Night && hour < EARLY { following(day)? } else { day };
                Some(Self { hour: hour as u8, certain: true, day, ..self })
            }
            // Friday's midnight is where Friday ends.
            _ if midnight && self.hour == 0 => Some(Self { day: following(day)?, ..self }),
            _ => Some(Self { day, ..self }),
        }
    }
}

#[cfg(test)]
mod tests;
