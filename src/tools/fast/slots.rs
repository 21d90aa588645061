//! The values in commands: durations, times, levels, places, names, free text.

use std::ops::Range;

use super::said::Said;
use super::value::Value;
use super::{free, measure, names, sum, times};
use crate::tools::number::{count, number};
use crate::tools::{duration, zone};

/// Most values of one argument, a call for each.
const EACH_MAX: usize = 12;

/// What can stand in a pattern as `<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Duration,
    /// A duration to be taken off.
    Less,
    /// A duration that is to be added: "five more minutes".
    More,
    /// Several durations, a call for each.
    Durations,
    /// How many values of another argument there must be.
    Few,
    /// A level, with or without the word "percent".
    Percent,
    Label,
    /// A name that was announced as one.
    Name,
    /// What a timer is for, as a verb: "check the oven".
    Errand,
    /// The same where it cannot be meant as a command to the device at once.
    Reminder,
    Place,
    Places,
    /// Arithmetic after a word that asks for it.
    Sum,
    /// Arithmetic that stands alone, so that it must be said in words.
    SpokenSum,
    /// A time of day or a delay, with or without a day.
    Moment,
    /// The same where what stands before it is free text, so that it must show what it is.
    Tail,
    /// A time of day, with or without a day.
    Clock,
    /// A day.
    Date,
    /// The days of an alarm that rings again and again.
    Days,
    /// What is to be remembered.
    Text,
    /// "not to lock the door".
    NotTo,
    /// What goes on a list, a call for each.
    Items,
    /// The name of a list.
    List,
    /// A number of units.
    Amount,
    Unit,
}

impl Slot {
    /// Its name in patterns and the argument that it fills where none is named.
    const ALL: &[(Slot, &'static str, &'static str)] = &[
        (Slot::Duration, "duration", "duration"),
        (Slot::Less, "less", "by"),
        (Slot::More, "more", "by"),
        (Slot::Durations, "durations", "duration"),
        (Slot::Few, "few", FEW),
        (Slot::Percent, "percent", "level"),
        (Slot::Label, "label", "label"),
        (Slot::Name, "name", "name"),
        (Slot::Errand, "errand", "label"),
        (Slot::Reminder, "reminder", "label"),
        (Slot::Place, "place", "location"),
        (Slot::Places, "places", "location"),
        (Slot::Sum, "sum", "expression"),
        (Slot::SpokenSum, "spoken-sum", "expression"),
        (Slot::Moment, "moment", "time"),
        (Slot::Tail, "tail", "time"),
        (Slot::Clock, "clock", "time"),
        (Slot::Date, "date", "day"),
        (Slot::Days, "days", "day"),
        (Slot::Text, "text", "text"),
        (Slot::NotTo, "not-to", "text"),
        (Slot::Items, "items", "item"),
        (Slot::List, "list", "list"),
        (Slot::Amount, "amount", "value"),
        (Slot::Unit, "unit", "from"),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == name).map(|(slot, ..)| *slot)
    }

    pub(super) fn argument(self) -> &'static str {
        Self::ALL.iter().find(|(slot, ..)| *slot == self).map_or("", |(.., argument)| argument)
    }

    /// Every way to take this value from the start of `left`: how many words it takes, and the value.
    pub(super) fn take(self, said: &Said<'_>, left: Range<usize>) -> Vec<(usize, Value)> {
        let at = left.start;
        let words = &said.words[left.clone()];
        if words.is_empty() {
            return Vec::new();
        }
        let plain = |n: usize| (n, Value::Words(at..at + n));
        let written = |n: usize| (n, Value::Written(at..at + n));
        let one = |found: Option<(usize, Value)>| found.into_iter().collect();
        match self {
            Slot::Duration => one(length(said, left, "")),
            Slot::Less => one(length(said, left, "-")),
            Slot::More => one(more(said, left)),
            Slot::Durations => one(lengths(said, left)),
            Slot::Few => one(count(words, EACH_MAX as u32).map(|(v, n)| (n, Value::Number(f64::from(v))))),
            Slot::Percent => one(percent(said, left)),
            Slot::Label => names::labels(said, left).into_iter().map(plain).collect(),
            Slot::Name => names::names(said, left).into_iter().map(written).collect(),
            Slot::Errand => names::errands(said, left, false).into_iter().map(plain).collect(),
            Slot::Reminder => names::errands(said, left, true).into_iter().map(plain).collect(),
            Slot::Place => places(words).map(plain).collect(),
            Slot::Places => one(several_places(said, left)),
            Slot::Sum => one(sum::expression(words, true).map(|(e, n)| (n, Value::Text(e)))),
            Slot::SpokenSum => one(sum::expression(words, false).map(|(e, n)| (n, Value::Text(e)))),
            Slot::Moment => one(times::moment(said, left)),
            Slot::Tail => one(times::tail(said, left)),
            Slot::Clock => one(times::clock(said, left)),
            Slot::Date => one(times::date(words)),
            Slot::Days => one(times::days(words)),
            Slot::Text => free::texts(words).into_iter().map(written).collect(),
            Slot::NotTo if words[0] == "not" => free::texts(words).into_iter().map(written).collect(),
            Slot::NotTo => Vec::new(),
            Slot::Items => free::items(said, left),
            Slot::List => free::lists(words),
            Slot::Amount => one(measure::amount(words).map(|(v, n)| (n, Value::Number(v)))),
            Slot::Unit => one(measure::unit(words).map(plain)),
        }
    }
}

/// The argument in which a pattern says how many values there must be. No tool has it.
pub(super) const FEW: &str = "#";

/// A duration, `sign` before it; one that no timer takes is said to be outside the limits.
fn length(said: &Said<'_>, left: Range<usize>, sign: &str) -> Option<(usize, Value)> {
    let t = &said.words[left.clone()];
    // "A second timer" is one more timer.
    if t.len() >= 2 && t[0] == "a" && t[1] == "second" {
        return None;
    }
    let minus = usize::from(matches!(t[0].as_str(), "minus" | "negative" | "-"));
    let (seconds, n) = duration::length(&t[minus..])?;
    let n = n + minus;
    let within = minus == 0 && (1.0..=duration::MAX_S as f64).contains(&seconds);
    let value = if within {
        Value::Text(format!("{sign}{}", duration::plain(seconds as u64)))
    } else {
        Value::Beyond(left.start..left.start + n)
    };
    Some((n, value))
}

/// "five more minutes", "ten extra seconds".
fn more(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let mut t = said.words[left].to_vec();
    let at =
        t.iter().take(4).position(|w| matches!(w.as_str(), "more" | "extra" | "additional")).filter(|at| *at > 0)?;
    t.remove(at);
    let (seconds, n) = duration::within(&t, duration::MAX_S)?;
    (n > at).then(|| (n + 1, Value::Text(duration::plain(seconds))))
}

/// "five and ten minutes", "3, 5 and 7 minutes", "one for 30 seconds and another for two minutes".
fn lengths(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let mut all: Vec<Value> = Vec::new();
    // Numbers whose unit comes with a later one.
    let mut bare: Vec<String> = Vec::new();
    let word = |i: usize| if i < left.end { said.words[i].as_str() } else { "" };
    let mut i = left.start;
    loop {
        if all.len() + bare.len() >= EACH_MAX {
            return None;
        }
        i += usize::from(word(i) == "and");
        let lead = match (word(i), word(i + 1)) {
            ("one" | "another" | "two" | "1", "for" | "of" | "at") => 2,
            ("another" | "the", "one" | "other" | "second") => 2 + usize::from(word(i + 2) == "for"),
            ("for", _) => 1,
            _ => 0,
        };
        i += lead;
        let here = i..left.end;
        if here.is_empty() {
            return None;
        }
        if let Some((n, value)) = length(said, here.clone(), "") {
            let unit = &said.words[i + n - 1];
            for number in bare.drain(..) {
                let whole = [number, unit.clone()];
                let (seconds, _) = duration::length(&whole)?;
                all.push(Value::Text(duration::plain(seconds as u64)));
            }
            all.push(value);
            i += n;
        } else {
            let (v, n) = count(&said.words[here], 1000).filter(|(v, _)| *v > 0)?;
            bare.push(v.to_string());
            i += n;
        }
        let joined = i < left.end && (said.words[i] == "and" || said.comma(i - 1));
        if !joined {
            break;
        }
    }
    (all.len() > 1 && bare.is_empty()).then(|| (i - left.start, Value::Each(all)))
}

/// "50", "fifty percent", "minus ten".
fn percent(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let t = &said.words[left.clone()];
    let minus = usize::from(matches!(t[0].as_str(), "minus" | "negative" | "-"));
    let (v, n) = number(&t[minus..])?;
    let n = minus + n;
    let n = n + usize::from(t.get(n).is_some_and(|w| w == "percent"));
    let within = minus == 0 && v.fract() == 0.0 && (0.0..=100.0).contains(&v);
    Some((n, if within { Value::Number(v) } else { Value::Beyond(left.start..left.start + n) }))
}

/// A place whose time is known, in words, the longest first.
fn places(t: &[String]) -> impl Iterator<Item = usize> {
    (1..=t.len().min(3)).rev().filter(|n| zone::is_known(&t[..*n].join(" ")))
}

/// "Tokyo and in London", "Paris, Berlin and New York", "here and in Tokyo".
fn several_places(said: &Said<'_>, left: Range<usize>) -> Option<(usize, Value)> {
    let mut all = Vec::new();
    let mut i = left.start;
    loop {
        let lead = usize::from(i > left.start && said.words[i..left.end].first().is_some_and(|w| w == "in"));
        i += lead;
        let here = said.words[i..left.end].first().is_some_and(|w| w == "here");
        let n = if here { 1 } else { places(&said.words[i..left.end]).next()? };
        all.push(if here { Value::Absent } else { Value::Words(i..i + n) });
        i += n;
        let joined = usize::from(said.words[i..left.end].first().is_some_and(|w| w == "and"));
        if all.len() >= EACH_MAX || i == left.end || (joined == 0 && !said.comma(i - 1)) {
            break;
        }
        i += joined;
    }
    (all.len() > 1).then(|| (i - left.start, Value::Each(all)))
}
