//! Times and days, as [`moment`] reads them, in the form in which tools take them.

use std::ops::Range;

use super::said::Said;
use super::value::Value;
use crate::tools::number::is_number_word;
use crate::tools::reading::{Clock, Day, When};
use crate::tools::{calendar, moment};

const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A time behind free text begins with one of these, or ends in one of the others.
const LEADS: &[&str] = &[
    "at", "in", "on", "by", "after", "around", "tomorrow", "today", "tonight", "this", "next", "the", "within", "for",
];
const TAILS: &[&str] =
    &["am", "pm", "o'clock", "now", "later", "morning", "evening", "afternoon", "tonight", "tomorrow"];

/// Without any of the leads a time can begin with these, and with numbers.
const BARE: &[&str] = &["a", "an", "half", "quarter", "noon", "midnight"];

/// A delay, a time of day, or a day.
pub(super) fn moment(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let (when, n) = moment::take(&said.words[left.clone()])?;
    let value = match &when {
        When::At(clock) => timed(clock)?,
        When::TooFar(_) => Value::Beyond(left.start..left.start + n),
        other => Value::Text(moment::written(other)?),
    };
    Some((n, value))
}

/// The same behind free text: "episode seven" and "ten minutes" belong to the text.
pub(super) fn tail(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let first = said.words[left.start].as_str();
    // Most words of a text begin no time.
    if !LEADS.contains(&first) && !BARE.contains(&first) && !is_number_word(first) {
        return None;
    }
    let (n, value) = moment(said, left.clone())?;
    let words = &said.words[left.start..left.start + n];
    let told = LEADS.contains(&words[0].as_str()) || TAILS.contains(&words[n - 1].as_str()) || words[0].contains(':');
    told.then_some((n, value))
}

/// A time of day, with or without a day.
pub(super) fn clock(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let t = &said.words[left];
    let (mut when, mut n) = moment::take(t)?;
    // "At seven Monday to Friday": the day belongs to the days.
    let day = n > 1 && WEEKDAYS.contains(&t[n - 1].as_str());
    if day && t.get(n).is_some_and(|w| matches!(w.as_str(), "to" | "through" | "until")) {
        (when, n) = moment::take(&t[..n - 1])?;
    }
    match when {
        When::At(clock) => Some((n, timed(&clock)?)),
        _ => None,
    }
}

fn timed(clock: &Clock) -> Option<Value> {
    let time = moment::written(&When::At(Clock { day: Day::Next, ..*clock }))?;
    Some(match clock.day {
        Day::Next => Value::Text(time),
        day => Value::Timed { time, day: moment::written(&When::On(day))? },
    })
}

/// A day.
pub(super) fn date(t: &[String]) -> Option<(usize, Value)> {
    let (day, n) = calendar::take(t)?;
    let written = moment::written(&When::On(day))?;
    let month = written.split(' ').next().unwrap_or_default();
    // A holiday is told back by its name.
    let named = matches!(day, Day::OfYear { .. } | Day::Feast(_)) && !t[..n].iter().any(|w| w == month);
    let lead = t.iter().take(n).take_while(|w| matches!(w.as_str(), "on" | "the" | "next" | "this")).count();
    Some((n, Value::Text(if named { t[lead..n].join(" ") } else { written })))
}

/// "weekdays", "every day", "on Mondays and Thursdays": days that come again.
pub(super) fn days(t: &[String]) -> Option<(usize, Value)> {
    let word = |i: usize| t.get(i).map_or("", String::as_str);
    let from = usize::from(matches!(word(0), "from" | "on"));
    if word(from) == "monday" && matches!(word(from + 1), "to" | "through" | "until") && word(from + 2) == "friday" {
        return Some((from + 3, Value::Text("weekdays".to_owned())));
    }
    let every = matches!(word(0), "every" | "each");
    let mut i = usize::from(every || word(0) == "on");
    let fixed = match (every, word(i)) {
        (true, "day" | "morning") | (false, "daily") => Some("every day"),
        (true, "single") if word(i + 1) == "day" => Some("every day"),
        (true, "weekday") | (false, "weekdays") => Some("weekdays"),
        (true, "weekend") | (false, "weekends") => Some("weekends"),
        _ => None,
    };
    if let Some(fixed) = fixed {
        return Some((i + 1 + usize::from(word(i) == "single"), Value::Text(fixed.to_owned())));
    }
    let mut named: Vec<String> = Vec::new();
    loop {
        let day = word(i);
        // "Every Monday" comes again, and so do "Mondays".
        let one = day.strip_suffix('s').filter(|d| WEEKDAYS.contains(d)).or(every.then_some(day));
        let one = one.filter(|d| WEEKDAYS.contains(d))?;
        named.push(format!("{one}s"));
        i += 1;
        let more = word(i) == "and";
        let next = i + usize::from(more) + usize::from(more && matches!(word(i + 1), "every" | "on"));
        let day = word(next);
        let again = WEEKDAYS.contains(&day.strip_suffix('s').unwrap_or(day)) && (every || day.ends_with("ys"));
        if !again || named.len() >= WEEKDAYS.len() {
            break;
        }
        i = next;
    }
    named.dedup();
    let (last, first) = named.split_last()?;
    let text = if first.is_empty() { last.clone() } else { format!("{} and {last}", first.join(", ")) };
    Some((i, Value::Text(text)))
}
