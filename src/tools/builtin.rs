//! The built-in tools and the sentences they answer in.

use jiff::Zoned;
use jiff::fmt::strtime;
use serde_json::{Map, Value, json};

use crate::schema::{Param, ParamType, ToolCall, ToolSchema};

use super::calc::{self, Trouble};
use super::fast;
use super::timers::{Cancelled, Running};
use super::{Effect, Outcome, Registry, duration, zone};

/// In the order they are shown to the model.
pub(super) const NAMES: [&str; 12] = [
    "set_timer",
    "timer_status",
    "cancel_timer",
    "get_time",
    "get_date",
    "set_volume",
    "volume_up",
    "volume_down",
    "mute",
    "stop",
    "repeat",
    "calculate",
];

pub(super) fn schemas() -> Vec<ToolSchema> {
    let text = |name: &str, required: bool, max_chars: usize| Param {
        name: name.to_owned(),
        kind: ParamType::String { max_chars: Some(max_chars) },
        required,
    };
    NAMES
        .iter()
        .map(|&name| {
            let (description, params) = match name {
                "set_timer" => ("Starts a timer", vec![text("duration", true, 80), text("label", false, 60)]),
                "timer_status" => ("Tells how long timers have left", vec![text("label", false, 60)]),
                "cancel_timer" => ("Cancels a timer, or all", vec![text("label", false, 60)]),
                "get_time" => ("Tells the time, here or in a city", vec![text("location", false, 60)]),
                "get_date" => ("Tells the date and the day of the week", vec![]),
                "set_volume" => (
                    "Sets the loudspeaker volume in percent",
                    vec![Param {
                        name: "level".to_owned(),
                        kind: ParamType::Int { min: Some(0), max: Some(100) },
                        required: true,
                    }],
                ),
                "volume_up" => ("Makes it louder", vec![]),
                "volume_down" => ("Makes it quieter", vec![]),
                "mute" => (
                    "Silences the loudspeaker, or lets it sound again",
                    vec![Param { name: "on".to_owned(), kind: ParamType::Bool, required: true }],
                ),
                "stop" => ("Stops speaking and ringing", vec![]),
                "repeat" => ("Says the last answer again", vec![]),
                _ => ("Works out an arithmetic expression", vec![text("expression", true, 200)]),
            };
            ToolSchema { name: name.to_owned(), description: description.to_owned(), params }
        })
        .collect()
}

impl Registry {
    /// Runs a built-in whose arguments passed its schema.
    pub(super) fn run_builtin(&self, call: &ToolCall) -> Outcome {
        let args = &call.parameters;
        match call.name.as_str() {
            "set_timer" => self.set_timer(args),
            "timer_status" => self.timer_status(word(args, "label")),
            "cancel_timer" => self.cancel_timer(word(args, "label")),
            "get_time" => self.get_time(word(args, "location")),
            "get_date" => self.get_date(),
            "set_volume" => set_volume(args),
            "volume_up" => Outcome::effect(Effect::VolumeBy(self.settings.volume_step as i8), "Louder now."),
            "volume_down" => Outcome::effect(Effect::VolumeBy(-(self.settings.volume_step as i8)), "Quieter now."),
            "mute" if args.get("on") == Some(&Value::Bool(true)) => Outcome::effect(Effect::Mute(true), ""),
            "mute" => Outcome::effect(Effect::Mute(false), "I'm back."),
            "stop" => Outcome::effect(Effect::Stop, ""),
            "repeat" => Outcome { spoken: None, ..Outcome::effect(Effect::Repeat, "") },
            "calculate" => calculate(word(args, "expression").unwrap_or_default()),
            other => Outcome::failed(format!("there is no tool {other:?}"), "Sorry, I can't do that."),
        }
    }

    fn now(&self) -> Zoned {
        self.clock.wall().to_zoned(self.zone.clone())
    }

    fn set_timer(&self, args: &Map<String, Value>) -> Outcome {
        let asked = word(args, "duration").unwrap_or_default();
        let label = word(args, "label");
        let Some(seconds) = duration::parse(asked) else {
            return Outcome::failed(
                "duration: not a duration between a second and a week",
                "How long should the timer be?",
            );
        };
        match self.timers.set(seconds, label) {
            Ok(kept) => {
                let length = duration::spoken(seconds);
                let mut spoken = match label {
                    // "to check the oven" reads badly as a name.
                    Some(l) if l.split_whitespace().count() <= 3 => {
                        format!("Your {} timer is set for {length}.", l.trim_end_matches(" timer"))
                    }
                    _ => format!("Timer set for {length}."),
                };
                let mut result = json!({ "ok": true, "duration": duration::plain(seconds) });
                if !kept {
                    spoken += " I can't save it, so it will be lost if I am restarted.";
                    result["saved"] = false.into();
                }
                Outcome::said(result, spoken)
            }
            Err(e) => Outcome::failed(e.to_string(), "You have too many timers running already."),
        }
    }

    fn timer_status(&self, label: Option<&str>) -> Outcome {
        let timers = self.timers.status(label);
        let result = match timers.as_slice() {
            [] => json!({ "timers": 0 }),
            [one] => json!({ "remaining": duration::plain(one.remaining_s) }),
            many => {
                let list: Vec<Value> = many
                    .iter()
                    .map(|r| json!({ "label": r.name(), "remaining": duration::plain(r.remaining_s) }))
                    .collect();
                json!({ "timers": list })
            }
        };
        let spoken = match (timers.as_slice(), label) {
            ([], Some(label)) => format!("There is no {} timer.", label.trim_end_matches(" timer")),
            ([], None) => "There are no timers running.".to_owned(),
            ([one], _) => format!("{} left on your {}.", duration::spoken(one.remaining_s), one.name()),
            (many, _) => {
                let list: Vec<String> = many
                    .iter()
                    .take(5)
                    .map(|r| format!("{} left on your {}", duration::spoken(r.remaining_s), r.name()))
                    .collect();
                let more = if many.len() > 5 { " The others run longer." } else { "" };
                format!("You have {} timers: {}.{more}", many.len(), list.join("; "))
            }
        };
        Outcome::said(result, spoken)
    }

    fn cancel_timer(&self, label: Option<&str>) -> Outcome {
        match self.timers.cancel(label) {
            Cancelled::Unknown => {
                let spoken = match label {
                    Some(l) if !matches!(l, "all" | "every" | "everything" | "both") => {
                        format!("There is no {} timer.", l.trim_end_matches(" timer"))
                    }
                    _ => "There are no timers running.".to_owned(),
                };
                Outcome::failed("no such timer", spoken)
            }
            Cancelled::Which(timers) => {
                let names: Vec<String> = timers.iter().take(5).map(Running::name).collect();
                Outcome::failed(
                    format!("several timers are running: {}; name one, or all", names.join(", ")),
                    format!("You have {} timers: {}. Which one?", timers.len(), names.join(", ")),
                )
            }
            Cancelled::Gone { timers, rang } => {
                let spoken = match timers.as_slice() {
                    // Its silence is the answer.
                    _ if rang && label.is_none() => String::new(),
                    [one] => format!("Your {} is cancelled.", one.name()),
                    many => format!("{} timers are cancelled.", many.len()),
                };
                Outcome { effect: rang.then_some(Effect::StopRinging), ..Outcome::said(json!({ "ok": true }), spoken) }
            }
        }
    }

    fn get_time(&self, location: Option<&str>) -> Outcome {
        let Some(place) = location.filter(|l| !matches!(l.to_lowercase().as_str(), "here" | "local" | "home")) else {
            let now = self.now();
            return Outcome::said(json!({ "time": clock_time(&now) }), format!("It's {}.", self.say_time(&now, false)));
        };
        let Some(zone) = zone::of(place) else {
            return Outcome::failed(format!("the time zone of {place:?} is not known"), "I only know the time here.");
        };
        let there = self.clock.wall().to_zoned(zone);
        let spoken = format!("It's {} in {}.", self.say_time(&there, true), title(place));
        Outcome::said(json!({ "time": clock_time(&there), "location": place }), spoken)
    }

    fn get_date(&self) -> Outcome {
        let now = self.now();
        let day = strftime("%A, %B", &now);
        Outcome::said(
            json!({ "date": strftime("%Y-%m-%d", &now), "weekday": strftime("%A", &now) }),
            format!("It's {day} {}, {}.", now.day(), now.year()),
        )
    }

    /// `half_of_day` where people cannot look out of the window to tell morning from evening.
    fn say_time(&self, t: &Zoned, half_of_day: bool) -> String {
        if self.settings.clock_24h {
            return clock_time(t);
        }
        let hour = if t.hour() % 12 == 0 { 12 } else { t.hour() % 12 };
        let half = if t.hour() < 12 { "AM" } else { "PM" };
        match (t.minute(), half_of_day) {
            (0, false) => format!("{hour} o'clock"),
            (0, true) => format!("{hour} {half}"),
            (m, false) => format!("{hour}:{m:02}"),
            (m, true) => format!("{hour}:{m:02} {half}"),
        }
    }
}

fn set_volume(args: &Map<String, Value>) -> Outcome {
    let level = args.get("level").and_then(Value::as_u64).unwrap_or(0).min(100) as u8;
    Outcome::effect(Effect::SetVolume(level), format!("Volume {level} percent."))
}

fn calculate(expression: &str) -> Outcome {
    // Models and people write "20 percent of 50" as well as "20 / 100 * 50".
    let value = calc::evaluate(expression).or_else(|trouble| match fast::expression(expression) {
        Some(e) => calc::evaluate(&e),
        None => Err(trouble),
    });
    match value {
        Ok(v) if v.abs() >= 1e15 => Outcome::failed("the result is too large", "That number is too large to say."),
        Ok(v) => {
            let v = calc::tidy(v);
            let result = if v.fract() == 0.0 { json!(v as i64) } else { json!(v) };
            let shown = result.to_string();
            Outcome::said(json!({ "result": result }), format!("That's {shown}."))
        }
        Err(Trouble::DivisionByZero) => Outcome::failed("division by zero", "I can't divide by zero."),
        Err(Trouble::TooLarge) => Outcome::failed("the result is too large", "That number is too large to say."),
        Err(Trouble::NotReal) => Outcome::failed("no real number", "There is no real number for that."),
        Err(Trouble::NotUnderstood) => {
            Outcome::failed("expression: not arithmetic", "Sorry, I couldn't work that out.")
        }
    }
}

/// A string argument, blank ones counted as absent: small models fill optional arguments with nothing.
fn word<'a>(args: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    args.get(name).and_then(Value::as_str).map(str::trim).filter(|s| !s.is_empty())
}

fn clock_time(t: &Zoned) -> String {
    format!("{:02}:{:02}", t.hour(), t.minute())
}

fn strftime(format: &str, t: &Zoned) -> String {
    strtime::format(format, t).unwrap_or_default()
}

fn title(place: &str) -> String {
    let words: Vec<String> = place
        .split_whitespace()
        .map(|w| {
            let mut c = w.chars();
            match c.next() {
                Some(first) if !matches!(w, "the" | "de" | "of") => first.to_uppercase().chain(c).collect(),
                _ => w.to_owned(),
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{Clock, Ctx, Settings};
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
        let signatures: Vec<String> = schemas().iter().map(ToolSchema::signature).collect();
        for known in [
            "set_timer(duration: string, label?: string)",
            "timer_status(label?: string)",
            "cancel_timer(label?: string)",
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
