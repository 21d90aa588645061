//! The built-in tools and the sentences they answer in.

use jiff::Zoned;
use serde_json::{Map, Value};

use crate::schema::ToolCall;

use super::{Ctx, Effect, Outcome, Registry};

mod clock;
mod later;
mod sound;
mod sums;
mod table;
mod timers;
mod undo;

pub(super) use table::{all, names};
pub(super) use undo::LastCall;

impl Registry {
    /// Runs a built-in whose arguments passed its schema.
    pub(super) fn run_builtin(&self, call: &ToolCall, ctx: &Ctx<'_>) -> Outcome {
        let args = &call.parameters;
        match call.name.as_str() {
            "set_timer" => self.set_timer(args),
            "timer_status" => self.timer_status(word(args, "label")),
            "cancel_timer" => self.cancel_timer(word(args, "label")),
            "get_time" => self.get_time(word(args, "location")),
            "get_date" => self.get_date(),
            "set_volume" => sound::set_volume(args),
            "volume_up" => Outcome::effect(Effect::VolumeBy(self.settings.volume_step as i8), "Louder now."),
            "volume_down" => Outcome::effect(Effect::VolumeBy(-(self.settings.volume_step as i8)), "Quieter now."),
            "mute" if args.get("on") == Some(&Value::Bool(true)) => Outcome::effect(Effect::Mute(true), ""),
            "mute" => Outcome::effect(Effect::Mute(false), "I'm back."),
            "stop" => Outcome::effect(Effect::Stop, ""),
            "repeat" => Outcome { spoken: None, ..Outcome::effect(Effect::Repeat, "") },
            "undo" => self.undo_last(ctx),
            "calculate" => sums::calculate(word(args, "expression").unwrap_or_default()),
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
        assert_eq!(r.timers().status(None).len(), 1);
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
