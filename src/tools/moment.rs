//! Moments: what is said or written of a time, and when that is.
//!
//! The canonical form is what tools take as an argument: "10 minutes", "06:30" (certain), "6:30" (which half of the day
//! was not said), either after a day ("tomorrow 09:00", "2026-12-24 9:00"), or a day alone.

use jiff::{Span, Zoned, civil};

use super::calendar;
use super::duration;
use super::reading::{self, Clock, Day, FAR_MAX_S, When};
use super::text::tokens;

/// Which half of the day an unsaid one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lean {
    /// The next that comes; on another day the waking hours, 7 in the morning to 6 in the evening.
    Next,
    /// The morning for 4 to 11, as for waking; otherwise as [`Self::Next`].
    Morning,
}

/// The moment that is all of `text`, in the canonical form or as people say it.
pub(super) fn parse(text: &str) -> Option<When> {
    let t = tokens(text);
    let (when, n) = take(&t)?;
    (n == t.len()).then_some(when)
}

/// The longest moment at the start of plain `tokens`, with or without "at" and "in", and how many of them it takes.
pub(super) fn take(tokens: &[String]) -> Option<(When, usize)> {
    reading::moment(tokens)
}

/// The canonical form, as [`parse`] reads it; `None` for what is no definite time.
pub(super) fn written(when: &When) -> Option<String> {
    match when {
        When::In(seconds) => Some(duration::plain(*seconds)),
        When::At(clock) => {
            let (time, day) = (written_clock(clock), calendar::written(clock.day));
            Some(if day.is_empty() { time } else { format!("{day} {time}") })
        }
        When::On(day) => Some(calendar::written(*day)).filter(|d| !d.is_empty()),
        When::Vague(_) | When::Recurring(_) | When::TooFar(_) => None,
    }
}

fn written_clock(clock: &Clock) -> String {
    let (hour, minute) = (clock.hour, clock.minute);
    match (clock.certain, hour) {
        (false, _) => format!("{hour}:{minute:02}"),
        // Two digits that a clock of twelve hours shows too.
        (true, 10 | 11) => format!("{hour}:{minute:02} am"),
        (true, 12) => format!("{hour}:{minute:02} pm"),
        (true, _) => format!("{hour:02}:{minute:02}"),
    }
}

/// When that is: strictly after `now`. `None` for what is over, no definite time, or a day alone, whose time the caller
/// has to choose or to ask for.
pub(super) fn resolve(when: &When, lean: Lean, now: &Zoned) -> Option<Zoned> {
    match when {
        When::In(seconds) if (1..=FAR_MAX_S).contains(seconds) => {
            now.checked_add(Span::new().try_seconds(i64::try_from(*seconds).ok()?).ok()?).ok()
        }
        When::At(clock) if clock.day == Day::Next => next(clock, lean, now),
        When::At(clock) => {
            let today = now.date();
            let first = on(clock, lean, calendar::date(clock.day, today)?, now);
            // This Friday's is over: the next Friday's.
            first.or_else(|| {
                let again = calendar::recurs(clock.day).then(|| today.tomorrow().ok()).flatten()?;
                on(clock, lean, calendar::date(clock.day, again)?, now)
            })
        }
        _ => None,
    }
}

/// The next time that the clock shows it.
fn next(clock: &Clock, lean: Lean, now: &Zoned) -> Option<Zoned> {
    let hours = match hours(clock) {
        [morning, _] if lean == Lean::Morning && is_waking(morning) => [morning, morning],
        hours => hours,
    };
    let today = now.date();
    [Some(today), today.tomorrow().ok()]
        .into_iter()
        .flatten()
        .flat_map(|date| hours.map(|hour| at(date, hour, clock.minute, now)))
        .flatten()
        .min()
}

/// The time on that date.
fn on(clock: &Clock, lean: Lean, date: civil::Date, now: &Zoned) -> Option<Zoned> {
    let hours = hours(clock);
    let [morning, evening] = hours.map(|hour| at(date, hour, clock.minute, now));
    let early = match lean {
        Lean::Morning => is_waking(hours[0]),
        // Of what is left of today the next.
        Lean::Next if date == now.date() => true,
        Lean::Next => hours[0] >= 7,
    };
    if early { morning.or(evening) } else { evening.or(morning) }
}

/// What the hour may be, the morning's first.
fn hours(clock: &Clock) -> [u8; 2] {
    if clock.certain { [clock.hour; 2] } else { [clock.hour % 12, clock.hour % 12 + 12] }
}

fn is_waking(hour: u8) -> bool {
    (4..12).contains(&hour)
}

/// That time of that date, if it is after `now`. A time that the clock jumps over is as much later as it jumps; of one that
/// it shows twice it is the first that is still to come.
fn at(date: civil::Date, hour: u8, minute: u8, now: &Zoned) -> Option<Zoned> {
    let time = civil::Time::new(hour as i8, minute as i8, 0, 0).ok()?;
    let either = now.time_zone().to_ambiguous_zoned(date.to_datetime(time));
    let first = either.clone().compatible().ok().filter(|t| t > now);
    first.or_else(|| either.later().ok().filter(|t| t > now))
}

/// As it is told back: "at 6:30 tomorrow morning", "on Monday at 7 AM", "on Thursday, December 24, at noon".
pub(super) fn spoken(at: &Zoned, now: &Zoned, clock_24h: bool) -> String {
    let (date, today) = (at.date(), now.date());
    let days = (date - today).get_days();
    let time = time(at, clock_24h);
    match days {
        0 if clock_24h => format!("at {time}"),
        1 if clock_24h => format!("at {time} tomorrow"),
        0 | 1 => near(at, days == 1),
        2..=6 => format!("on {} at {time}", date.strftime("%A")),
        _ => format!("on {}, {}, at {time}", date.strftime("%A"), calendar::spoken(date, today)),
    }
}

/// Today or tomorrow, by the part of the day.
fn near(at: &Zoned, tomorrow: bool) -> String {
    let bare = if at.minute() == 0 { twelve(at).to_string() } else { format!("{}:{:02}", twelve(at), at.minute()) };
    match (at.hour(), at.minute(), tomorrow) {
        // Midnight begins the day that people have not begun.
        (0, 0, true) => "at midnight tonight".to_owned(),
        (12, 0, false) => "at noon".to_owned(),
        (12, 0, true) => "at noon tomorrow".to_owned(),
        (hour, _, tomorrow) => {
            let part = match (hour, tomorrow) {
                // "12:30 tomorrow morning" could be noon.
                (0, true) => return format!("at {bare} AM tomorrow"),
                (0, false) => return format!("at {bare} AM"),
                (1..12, false) => "this morning",
                (12..17, false) => "this afternoon",
                (17..21, false) => "this evening",
                (_, false) => "tonight",
                (1..12, true) => "tomorrow morning",
                (12..17, true) => "tomorrow afternoon",
                (17..21, true) => "tomorrow evening",
                (_, true) => "tomorrow night",
            };
            format!("at {bare} {part}")
        }
    }
}

/// "7 AM", "6:30 PM", "19:30".
fn time(at: &Zoned, clock_24h: bool) -> String {
    let (hour, minute) = (at.hour(), at.minute());
    let half = if hour < 12 { "AM" } else { "PM" };
    match minute {
        _ if clock_24h => format!("{hour:02}:{minute:02}"),
        0 if hour == 12 => "noon".to_owned(),
        0 => format!("{} {half}", twelve(at)),
        _ => format!("{}:{minute:02} {half}", twelve(at)),
    }
}

/// The hour as a clock of twelve hours shows it.
fn twelve(at: &Zoned) -> i8 {
    if at.hour() % 12 == 0 { 12 } else { at.hour() % 12 }
}

#[cfg(test)]
mod tests;
