//! The alarms' tools.

use std::time::Duration;

use jiff::civil::Time;
use serde_json::{Map, Value, json};

use super::times::{count, some_of};
use super::word;
use crate::tools::agenda::{Alarm, AlarmsGone, At, Days, On, clock_words, is_all};
use crate::tools::moment::{self, Lean};
use crate::tools::reading::{Day, When};
use crate::tools::{Effect, Outcome, Registry, duration};

/// How long an alarm sleeps where nobody says how long.
const SNOOZE_S: u64 = 9 * 60;
/// The longest snooze.
const SNOOZE_MAX_S: u64 = 12 * 3600;
/// Whether an alarm is one of those that are meant.
type Meant<'a> = Box<dyn Fn(&Alarm) -> bool + 'a>;

/// Alarms named in one sentence.
const NAMED_MAX: usize = 4;

impl Registry {
    pub(super) fn set_alarm(&self, args: &Map<String, Value>) -> Outcome {
        if let Err(failed) = self.clock_or("set an alarm") {
            return failed;
        }
        let (time, on) = match self.asked_alarm(word(args, "time").unwrap_or_default(), word(args, "day")) {
            Ok(asked) => asked,
            Err(failed) => return failed,
        };
        match self.agenda.set_alarm(time, on) {
            Ok((alarm, is_new)) => {
                let when = self.alarm_when(&alarm);
                let spoken = match is_new {
                    true => format!("Your alarm will ring {when}."),
                    false => format!("You already have an alarm {when}."),
                };
                self.noted(Outcome::said(json!({ "ok": true, "alarm": when }), spoken))
            }
            Err(e) if e.to_string().contains("over") => Outcome::failed(e.to_string(), "That time is over already."),
            Err(e) => Outcome::failed(e.to_string(), "You have too many alarms already."),
        }
    }

    fn asked_alarm(&self, time: &str, day: Option<&str>) -> Result<(Time, On), Outcome> {
        let repeated = day.and_then(Days::parse);
        let found = match (day, repeated) {
            (None, _) => self.repeated_in(time),
            (Some(_), Some(days)) => Some((time.to_owned(), Some(days))),
            (Some(day), None) => Some((format!("{day} {time}"), None)),
        };
        let (text, days) = found.unwrap_or_else(|| (time.to_owned(), None));
        let when = match (moment::parse(&text), day) {
            // As a model may write it: "7 am", "tomorrow morning".
            (None, Some(day)) if days.is_none() => moment::parse(&format!("{time} {day}")),
            (when, _) => when,
        };
        if time.is_empty() || matches!(when, Some(When::On(_))) {
            return Err(Outcome::failed("time: missing", "What time should the alarm be?"));
        }
        let (at, moment) = self.moment_of(when.as_ref(), Lean::Morning)?;
        let clock = moment.time();
        match (days, at) {
            (Some(days), At::Wall(_)) => {
                // What a change of the clock made of it today is not what was asked for.
                let minute = match &when {
                    Some(When::At(said)) => said.minute as i8,
                    _ => clock.minute(),
                };
                let hour = match &when {
                    Some(When::At(said)) if said.certain => said.hour as i8,
                    _ => clock.hour(),
                };
                Ok((Time::new(hour, minute, 0, 0).unwrap_or(clock), On::Days(days)))
            }
            (Some(_), At::In(_)) => Err(Outcome::failed("time: not a time of day", "What time should the alarm be?")),
            // To the minute, and never before the time that was asked for.
            (None, At::In(_)) if clock.second() > 0 || clock.subsec_nanosecond() > 0 => {
                let up =
                    moment.checked_add(jiff::Span::new().seconds(60 - i64::from(clock.second()))).unwrap_or(moment);
                Ok((Time::new(up.hour(), up.minute(), 0, 0).unwrap_or(clock), On::Date(up.date())))
            }
            (None, _) => Ok((Time::new(clock.hour(), clock.minute(), 0, 0).unwrap_or(clock), On::Date(moment.date()))),
        }
    }

    /// "7 am on weekdays", "every day at 7": the time and the days.
    fn repeated_in(&self, text: &str) -> Option<(String, Option<Days>)> {
        let words: Vec<&str> = text.split_whitespace().collect();
        (1..words.len()).find_map(|i| {
            let (a, b) = (words[..i].join(" "), words[i..].join(" "));
            match (Days::parse(&a), Days::parse(&b)) {
                (Some(days), _) if moment::parse(&b).is_some() => Some((b, Some(days))),
                (_, Some(days)) if moment::parse(&a).is_some() => Some((a, Some(days))),
                _ => None,
            }
        })
    }

    pub(super) fn list_alarms(&self) -> Outcome {
        let alarms: Vec<String> = self.agenda.alarms().iter().map(|a| self.alarm_when(a)).collect();
        let spoken = match alarms.as_slice() {
            [] => "You have no alarms.".to_owned(),
            [one] => format!("You have one alarm, {one}."),
            many => format!("{} alarms: {}.", count(many.len()), some_of(many, NAMED_MAX)),
        };
        Outcome::said(json!({ "alarms": alarms }), spoken)
    }

    pub(super) fn cancel_alarm(&self, time: Option<&str>) -> Outcome {
        let gone = match time {
            None => self.agenda.cancel_alarm(None),
            Some(all) if is_all(all) || all == "all alarms" => {
                self.agenda.stop_ringing();
                let gone = self.agenda.cancel_alarm(Some(&|_| true));
                let outcome = self.alarms_gone(gone, None);
                // One that rings is one of all.
                return Outcome { effect: Some(Effect::StopRinging), ..outcome };
            }
            Some(text) => match self.meant(text) {
                Some(hit) => self.agenda.cancel_alarm(Some(&*hit)),
                None => return Outcome::failed("time: not a time", "Which alarm?"),
            },
        };
        self.alarms_gone(gone, time)
    }

    /// Which alarms a text means: "6:30", "tomorrow 7:00", "tomorrow", "weekdays".
    fn meant(&self, text: &str) -> Option<Meant<'_>> {
        if let Some(days) = Days::parse(text) {
            return Some(Box::new(move |a| a.on == On::Days(days)));
        }
        let day_of = |a: &Alarm| a.due().map(|t| t.to_zoned(self.zone.clone()).date());
        match moment::parse(text)? {
            When::At(clock) => {
                let date = match clock.day {
                    Day::Next => None,
                    _ => Some(moment::resolve(&When::At(clock), Lean::Morning, &self.now())?.date()),
                };
                Some(Box::new(move |a| {
                    let (hour, said) = (a.time.hour() as u8, clock.hour);
                    let same_hour = hour == said || !clock.certain && hour % 12 == said % 12;
                    let same_day = date.is_none_or(|d| day_of(a) == Some(d));
                    same_hour && a.time.minute() as u8 == clock.minute && same_day
                }))
            }
            When::On(day) => {
                // Any time of that day will do to find out which it is.
                let noon = crate::tools::reading::Clock { hour: 23, minute: 59, certain: true, day };
                let date = moment::resolve(&When::At(noon), Lean::Next, &self.now())?.date();
                Some(Box::new(move |a| day_of(a) == Some(date)))
            }
            _ => None,
        }
    }

    fn alarms_gone(&self, gone: AlarmsGone, time: Option<&str>) -> Outcome {
        match gone {
            AlarmsGone::Silent(_) => Outcome::effect(Effect::StopRinging, ""),
            AlarmsGone::Unknown => {
                let none = self.agenda.alarms().is_empty() || time.is_none();
                let spoken = if none { "You have no alarms." } else { "You have no alarm at that time." };
                Outcome::failed("no such alarm", spoken)
            }
            AlarmsGone::Which(alarms) => {
                let all: Vec<String> = alarms.iter().map(|a| self.alarm_when(a)).collect();
                Outcome::failed(
                    format!("several alarms are set: {}; name one, or all", all.join("; ")),
                    format!("You have {} alarms: {}. Which one?", all.len(), some_of(&all, NAMED_MAX)),
                )
            }
            AlarmsGone::Gone(alarms) => {
                let spoken = match alarms.as_slice() {
                    [one] => format!("Your alarm {} is cancelled.", self.alarm_when(one)),
                    many => format!("{} alarms are cancelled.", count(many.len())),
                };
                self.noted(Outcome::said(json!({ "ok": true }), spoken))
            }
        }
    }

    pub(super) fn snooze(&self, asked: Option<&str>) -> Outcome {
        let seconds = match asked.map(|d| duration::parse(d.trim_start_matches("for ").trim_start_matches("in "))) {
            None => SNOOZE_S,
            Some(Some(seconds)) if seconds <= SNOOZE_MAX_S => seconds,
            Some(Some(_)) => return Outcome::failed("duration: too long", "I can snooze for 12 hours at most."),
            Some(None) => return Outcome::failed("duration: not a duration", "For how long?"),
        };
        match self.agenda.snooze(Duration::from_secs(seconds)) {
            None => Outcome::failed("no alarm rings", "No alarm is ringing."),
            Some(_) => {
                let length = duration::plain(seconds);
                let spoken = format!("Snoozing for {}.", duration::spoken(seconds));
                let outcome = Outcome::said(json!({ "ok": true, "duration": length }), spoken);
                self.noted(Outcome { effect: Some(Effect::StopRinging), ..outcome })
            }
        }
    }

    /// "at 6:30 tomorrow morning", "at 7 AM on weekdays".
    fn alarm_when(&self, alarm: &Alarm) -> String {
        let when = match alarm.on {
            On::Days(days) => format!("at {} {}", clock_words(alarm.time, self.settings.clock_24h), days.spoken()),
            On::Date(_) => alarm.due().map(|at| self.told_stamp(at)).unwrap_or_default(),
        };
        match (alarm.snoozed, alarm.on) {
            (Some(until), On::Days(_)) => {
                format!("{when}, snoozed until {}", self.told_stamp(until).trim_start_matches("at "))
            }
            _ => when,
        }
    }
}
