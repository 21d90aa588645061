//! The built-in tools and the sentences they answer in.

use jiff::Zoned;
use serde_json::{Map, Value};

use crate::schema::ToolCall;

use super::{Ctx, Effect, Outcome, Registry};

mod alarms;
mod clock;
mod jokes;
#[cfg(test)]
mod kept;
mod lists;
mod offer;
mod reminders;
mod schedule;
mod sound;
mod sums;
mod table;
mod timers;
mod times;
mod undo;

pub(super) use jokes::Jokes;
pub(super) use table::{all, names};
pub(super) use undo::LastDeed;

impl Registry {
    /// Runs a built-in whose arguments passed its schema.
    pub(super) fn run_builtin(&self, call: &ToolCall, ctx: &Ctx<'_>) -> Outcome {
        let args = &call.parameters;
        match call.name.as_str() {
            "set_timer" => self.set_timer(args),
            "set_timer_until" => self.set_timer_until(args),
            "timer_status" => self.timer_status(word(args, "label")),
            "cancel_timer" => self.cancel_timer(word(args, "label")),
            "pause_timer" => self.pause_timer(word(args, "label")),
            "resume_timer" => self.resume_timer(word(args, "label")),
            "adjust_timer" => self.adjust_timer(args),
            "change_timer" => self.change_timer(args),
            "name_timer" => self.name_timer(args),
            "set_alarm" => self.set_alarm(args),
            "cancel_alarm" => self.cancel_alarm(word(args, "time")),
            "list_alarms" => self.list_alarms(),
            "snooze" => self.snooze(word(args, "duration")),
            "set_reminder" => self.set_reminder(args),
            "list_reminders" => self.list_reminders(),
            "cancel_reminder" => self.cancel_reminder(word(args, "text")),
            "list_scheduled" => self.list_scheduled(),
            "cancel_scheduled" => self.cancel_scheduled(word(args, "which")),
            "add_to_list" => self.add_to_list(args),
            "remove_from_list" => self.remove_from_list(args),
            "read_list" => self.read_list(word(args, "list")),
            "clear_list" => self.clear_list(word(args, "list")),
            "get_time" => self.get_time(word(args, "location")),
            "get_date" => self.get_date(word(args, "day")),
            "days_until" => self.days_until(word(args, "day").unwrap_or_default()),
            "set_volume" => sound::set_volume(args),
            "volume_up" => Outcome::effect(Effect::VolumeBy(self.settings.volume_step as i8), "Louder now."),
            "volume_down" => Outcome::effect(Effect::VolumeBy(-(self.settings.volume_step as i8)), "Quieter now."),
            "mute" if args.get("on") == Some(&Value::Bool(true)) => Outcome::effect(Effect::Mute(true), ""),
            "mute" => Outcome::effect(Effect::Mute(false), "I'm back."),
            "stop" => Outcome::effect(Effect::Stop, ""),
            "repeat" => Outcome { spoken: None, ..Outcome::effect(Effect::Repeat, "") },
            "undo" => self.undo_last(ctx),
            "calculate" => sums::calculate(word(args, "expression").unwrap_or_default()),
            "convert" => sums::convert(
                args.get("value").and_then(Value::as_f64).unwrap_or_default(),
                word(args, "from").unwrap_or_default(),
                word(args, "to").unwrap_or_default(),
            ),
            "tell_joke" => self.tell_joke(),
            "capabilities" => self.capabilities(),
            other => Outcome::failed(format!("there is no tool {other:?}"), "Sorry, I can't do that."),
        }
    }

    fn now(&self) -> Zoned {
        self.clock.wall().to_zoned(self.zone.clone())
    }
}

/// A string argument, blank ones counted as absent: small models fill optional arguments with nothing.
fn word<'a>(args: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    args.get(name).and_then(Value::as_str).map(str::trim).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::{Clock, Settings};
    use std::time::Duration;

    fn registry(settings: Settings) -> Registry {
        // 2026-03-03 19:52 UTC.
        let clock = Clock::new(|| "2026-03-03T19:52:10Z".parse().unwrap(), || Duration::from_secs(100));
        Registry::new(&Settings { time_zone: Some("UTC".into()), ..settings }, None, clock).unwrap()
    }

    fn call(name: &str, args: Value) -> ToolCall {
        ToolCall { name: name.into(), parameters: args.as_object().cloned().unwrap_or_default() }
    }

    fn said(r: &Registry, name: &str, args: Value) -> String {
        r.run(&call(name, args), &Ctx::QUIET).spoken.unwrap_or_default()
    }

    #[test]
    fn signatures_are_the_ones_the_default_model_knows() {
        let signatures: Vec<String> = all().iter().filter_map(|b| Some(b.shown.as_ref()?.signature())).collect();
        for known in [
            "set_timer(duration: string, label?: string)",
            "timer_status(label?: string)",
            "cancel_timer(label?: string)",
            "set_alarm(time: string, day?: string)",
            "cancel_alarm(time?: string)",
            "set_reminder(text: string, time?: string)",
            "add_to_list(item: string, list?: string)",
            "read_list(list?: string)",
            "get_time(location?: string)",
            "get_date()",
            "set_volume(level: int)",
            "mute(on: bool)",
            "calculate(expression: string)",
        ] {
            assert!(signatures.iter().any(|s| s == known), "{known}");
        }
    }

    #[test]
    fn time_and_date_in_sentences() {
        let r = registry(Settings::default());
        assert_eq!(said(&r, "get_time", json!({})), "It's 7:52.");
        assert_eq!(said(&r, "get_date", json!({})), "It's Tuesday, March 3, 2026.");
        let o = r.run(&call("get_time", json!({})), &Ctx::QUIET);
        assert_eq!(o.result, json!({ "time": "19:52" }));
        assert_eq!(said(&r, "get_time", json!({ "location": "narnia" })), "I only know the time here.");
        let r24 = registry(Settings { clock_24h: true, ..Settings::default() });
        assert_eq!(said(&r24, "get_time", json!({ "location": "" })), "It's 19:52.");
    }

    #[test]
    fn other_days_in_sentences() {
        let r = registry(Settings::default());
        for (day, date, until) in [
            ("tomorrow", "Tomorrow is Wednesday, March 4.", "One day: that's tomorrow."),
            ("today", "It's Tuesday, March 3, 2026.", "That's today."),
            ("yesterday", "Yesterday was Monday, March 2.", "Monday, March 2 was yesterday."),
            ("friday", "Friday is March 6.", "3 days until Friday, March 6."),
            ("next friday", "Next Friday is March 13.", "10 days until next Friday, March 13."),
            ("last Friday", "Last Friday was February 27.", "Last Friday, February 27 was 4 days ago."),
            ("tuesday", "That's today, Tuesday, March 3.", "Tuesday, March 3 is today."),
            ("Christmas", "Christmas is on Friday, December 25.", "297 days until Christmas."),
            ("New Year's Eve", "New Year's Eve is on Thursday, December 31.", "303 days until New Year's Eve."),
            ("Easter", "Easter is on Sunday, April 5.", "33 days until Easter, Sunday, April 5."),
            (
                "thanksgiving",
                "US Thanksgiving is on Thursday, November 26.",
                "268 days until US Thanksgiving, Thursday, November 26.",
            ),
            ("the 24th of December", "December 24 is a Thursday.", "296 days until December 24."),
            ("July 4 1776", "July 4, 1776 was a Thursday.", "July 4, 1776 was 91,187 days ago."),
            ("in three weeks", "That will be Tuesday, March 24.", "21 days until Tuesday, March 24."),
            ("3 days ago", "That was Saturday, February 28.", "Saturday, February 28 was 3 days ago."),
            (
                "the end of the year",
                "The end of the year is on Thursday, December 31.",
                "303 days until the end of the year.",
            ),
            ("mother's day", "I don't know which day that is.", "I don't know which day that is."),
        ] {
            assert_eq!(said(&r, "get_date", json!({ "day": day })), date, "{day}");
            assert_eq!(said(&r, "days_until", json!({ "day": day })), until, "{day}");
        }
        let o = r.run(&call("days_until", json!({ "day": "christmas" })), &Ctx::QUIET);
        assert_eq!(o.result, json!({ "days": 297, "date": "2026-12-25" }));
        // Where the clock already shows tomorrow, tomorrow is another day.
        if jiff::tz::TimeZone::get("Asia/Tokyo").is_ok() {
            let clock = Clock::new(|| "2026-03-03T19:52:10Z".parse().unwrap(), || Duration::from_secs(100));
            let settings = Settings { time_zone: Some("Asia/Tokyo".into()), ..Settings::default() };
            let r = Registry::new(&settings, None, clock).unwrap();
            assert_eq!(said(&r, "get_date", json!({ "day": "tomorrow" })), "Tomorrow is Thursday, March 5.");
        }
    }

    #[test]
    fn conversions_and_what_cannot_be_converted() {
        let r = registry(Settings::default());
        let convert =
            |value: f64, from: &str, to: &str| said(&r, "convert", json!({ "value": value, "from": from, "to": to }));
        assert_eq!(convert(5.0, "miles", "kilometers"), "5 miles is about 8.05 kilometers.");
        assert_eq!(convert(20.0, "celsius", "fahrenheit"), "20 degrees Celsius is 68 degrees Fahrenheit.");
        assert_eq!(convert(5.0, "smoots", "meters"), "I don't know the unit smoots.");
        assert_eq!(convert(5.0, "miles", "kilos"), "I can't turn miles into kilograms: they measure different things.");
        assert_eq!(
            convert(5.0, "dollars", "euros"),
            "I can't convert money: I work offline and don't know today's rates."
        );
    }

    #[test]
    fn what_is_offered_is_told() {
        let r = registry(Settings::default());
        assert_eq!(
            said(&r, "capabilities", json!({})),
            "I can set timers, alarms and reminders, tell the time and the date, count the days and keep your lists. \
             I also do sums and convert units, change the volume and tell jokes."
        );
        let command = |name: &str, description: &str| -> crate::tools::Command {
            serde_json::from_value(json!({ "name": name, "description": description, "exec": ["true"] })).unwrap()
        };
        let everything_but_timers: Vec<String> =
            names().filter(|n| !matches!(*n, "set_timer" | "convert")).map(str::to_owned).collect();
        let r = registry(Settings {
            disable: everything_but_timers,
            command: vec![command("lights", "Switches a light."), command("play_music", "")],
            ..Settings::default()
        });
        assert_eq!(
            r.capabilities().spoken.unwrap(),
            "I can set timers and convert units. Your own commands: switches a light and play music."
        );
        let joke = said(&registry(Settings::default()), "tell_joke", json!({}));
        assert!(!joke.is_empty());
    }

    #[test]
    fn the_time_elsewhere() {
        if jiff::tz::TimeZone::get("Asia/Tokyo").is_err() {
            println!("SKIPPED the_time_elsewhere: no time zone data on this machine");
            return;
        }
        let r = registry(Settings::default());
        assert_eq!(said(&r, "get_time", json!({ "location": "New York" })), "It's 2:52 PM in New York.");
        assert_eq!(said(&r, "get_time", json!({ "location": "tokyo" })), "It's 4:52 AM in Tokyo.");
    }

    #[test]
    fn timers_from_set_to_cancel() {
        let r = registry(Settings::default());
        assert_eq!(said(&r, "timer_status", json!({})), "There are no timers running.");
        assert_eq!(
            said(&r, "set_timer", json!({ "duration": "ten minutes", "label": "pasta" })),
            "Your pasta timer is set for 10 minutes."
        );
        assert_eq!(said(&r, "timer_status", json!({})), "10 minutes left on your pasta timer.");
        assert_eq!(said(&r, "set_timer", json!({ "duration": "1h30" })), "Timer set for 1 hour and 30 minutes.");
        assert_eq!(
            said(&r, "cancel_timer", json!({})),
            "You have 2 timers: pasta timer, timer of 1 hour and 30 minutes. Which one?"
        );
        assert_eq!(said(&r, "cancel_timer", json!({ "label": "pasta" })), "Your pasta timer is cancelled.");
        assert_eq!(said(&r, "set_timer", json!({ "duration": "soon" })), "How long should the timer be?");
        assert_eq!(r.agenda().timers(None).len(), 1);
    }

    #[test]
    fn effects_are_asked_for_not_done() {
        let r = registry(Settings::default());
        let effect = |name, args| r.run(&call(name, args), &Ctx::QUIET).effect;
        assert_eq!(effect("set_volume", json!({ "level": 40 })), Some(Effect::SetVolume(40)));
        assert_eq!(effect("set_volume", json!({ "level": 140 })), None);
        assert_eq!(effect("volume_down", json!({})), Some(Effect::VolumeBy(-10)));
        assert_eq!(effect("mute", json!({ "on": true })), Some(Effect::Mute(true)));
        assert_eq!(effect("stop", json!({})), Some(Effect::Stop));
        assert_eq!(effect("repeat", json!({})), Some(Effect::Repeat));
    }

    #[test]
    fn sums_in_digits_and_in_words() {
        let r = registry(Settings::default());
        assert_eq!(said(&r, "calculate", json!({ "expression": "12 * 8" })), "That's 96.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "20 percent of 50" })), "That's 10.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "10 / 4" })), "That's 2.5.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "100 divided by 3" })), "That's about 33.33.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "123456 * 654321" })), "That's 80,779,853,376.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "2.5 hours in minutes" })), "2.5 hours is 150 minutes.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "1 / 0" })), "I can't divide by zero.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "rm -rf" })), "Sorry, I couldn't work that out.");
        assert_eq!(said(&r, "calculate", json!({ "expression": "9^99" })), "That number is too large to say.");
    }

    #[test]
    fn calls_that_fail_their_check_run_nothing() {
        let r = registry(Settings { disable: vec!["mute".into()], ..Settings::default() });
        for (name, args) in [
            ("mute", json!({ "on": true })),
            ("launch_rocket", json!({})),
            ("set_volume", json!({ "level": "loud" })),
            ("set_timer", json!({})),
            ("volume_up", json!({ "by": 10 })),
        ] {
            let o = r.run(&call(name, args), &Ctx::QUIET);
            assert!(!o.is_ok(), "{name}");
            assert_eq!(o.effect, None);
        }
    }
}
