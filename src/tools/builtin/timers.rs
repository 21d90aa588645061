//! The timers' tools.

use serde_json::{Map, Value, json};

use super::word;
use crate::tools::timers::{Cancelled, Running};
use crate::tools::{Effect, Outcome, Registry, duration};

impl Registry {
    pub(super) fn set_timer(&self, args: &Map<String, Value>) -> Outcome {
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

    pub(super) fn timer_status(&self, label: Option<&str>) -> Outcome {
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

    pub(super) fn cancel_timer(&self, label: Option<&str>) -> Outcome {
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
}
