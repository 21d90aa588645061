//! The timers' tools.

use serde_json::{Map, Value, json};

use super::times::count;
use super::word;
use crate::tools::agenda::{Adjusted, At, Cancelled, Picked, Running, is_all};
use crate::tools::moment::{self, Lean};
use crate::tools::reading::When;
use crate::tools::{Effect, Outcome, Registry, duration};

/// Timers that are all named when it is asked which one is meant.
const NAMED_MAX: usize = 4;

impl Registry {
    pub(super) fn set_timer(&self, args: &Map<String, Value>) -> Outcome {
        let label = word(args, "label");
        let seconds = match length(word(args, "duration").unwrap_or_default(), "How long should the timer be?") {
            Ok(seconds) => seconds,
            Err(failed) => return failed,
        };
        let told = format!("for {}", duration::spoken(seconds));
        self.start_timer(seconds, label, &told)
    }

    pub(super) fn set_timer_until(&self, args: &Map<String, Value>) -> Outcome {
        let (at, moment) = match self.moment(word(args, "time").unwrap_or_default(), Lean::Next) {
            Ok(found) => found,
            Err(failed) => return failed,
        };
        let seconds = match at {
            At::In(seconds) => seconds,
            // Rounded up, so that it never ends before the time that was said.
            At::Wall(at) => {
                let left = at.duration_since(self.clock.wall());
                left.as_secs().max(0) as u64 + u64::from(left.subsec_nanos() > 0)
            }
        };
        if !(1..=duration::MAX_S).contains(&seconds) {
            return too_long();
        }
        let told = match self.told_when(at, &moment) {
            // "set until at 4:30" is not English.
            told if told.starts_with("at ") => format!("until {}", &told[3..]),
            told => format!("to end {told}"),
        };
        self.start_timer(seconds, word(args, "label"), &told)
    }

    fn start_timer(&self, seconds: u64, label: Option<&str>, told: &str) -> Outcome {
        if let Err(e) = self.agenda.set_timer(seconds, label) {
            return Outcome::failed(e.to_string(), "You have too many timers running already.");
        }
        let spoken = match label {
            // "to check the oven" reads badly as a name.
            Some(l) if l.split_whitespace().count() <= 3 => {
                format!("Your {} timer is set {told}.", l.trim_end_matches(" timer"))
            }
            _ => format!("Timer set {told}."),
        };
        self.noted(Outcome::said(json!({ "ok": true, "duration": duration::plain(seconds) }), spoken))
    }

    pub(super) fn timer_status(&self, label: Option<&str>) -> Outcome {
        let timers = self.agenda.timers(label);
        let result = match timers.as_slice() {
            [] => json!({ "timers": 0 }),
            [one] if one.halted => json!({ "remaining": duration::plain(one.remaining_s), "paused": true }),
            [one] => json!({ "remaining": duration::plain(one.remaining_s) }),
            many => {
                let list: Vec<Value> = many
                    .iter()
                    .map(|r| json!({ "label": r.name(), "remaining": duration::plain(r.remaining_s) }))
                    .collect();
                json!({ "timers": list })
            }
        };
        let spoken = match timers.as_slice() {
            [] => none(label),
            [one] if one.halted => paused(one),
            [one] => format!("{} left on your {}.", duration::spoken(one.remaining_s), one.name()),
            [a, b] => format!("Two timers: {} and {}.", left(a), left(b)),
            [first, .., last] => {
                let running = timers.iter().rev().find(|t| !t.halted).unwrap_or(last);
                let halted = timers.iter().filter(|t| t.halted).count();
                let n = count(timers.len());
                match (halted, timers.len() - halted) {
                    (_, 0) => format!("{n} timers, all paused."),
                    (0, _) => format!("{n} timers; the next is {}, the last {}.", left(first), left(running)),
                    (_, _) => format!("{n} timers, {halted} of them paused; the next is {}.", left(first)),
                }
            }
        };
        Outcome::said(result, spoken)
    }

    pub(super) fn cancel_timer(&self, label: Option<&str>) -> Outcome {
        match self.agenda.cancel_timer(label) {
            Cancelled::Unknown => unknown(label),
            Cancelled::Which(timers) => which(&timers),
            Cancelled::Gone { timers, rang } => {
                let spoken = match timers.as_slice() {
                    // Its silence is the answer.
                    _ if rang && label.is_none() => String::new(),
                    [one] => format!("Your {} is cancelled.", one.name()),
                    many => format!("{} timers are cancelled.", count(many.len())),
                };
                let outcome = Outcome::said(json!({ "ok": true }), spoken);
                self.noted(Outcome { effect: rang.then_some(Effect::StopRinging), ..outcome })
            }
        }
    }

    pub(super) fn pause_timer(&self, label: Option<&str>) -> Outcome {
        let none = || match self.agenda.timers(label).iter().any(|t| t.halted) {
            true => Outcome::failed("it is paused already", "That is paused already."),
            false => unknown(label),
        };
        self.picked(self.agenda.pause_timer(label), none, |timers| match timers {
            [one] => paused(one),
            many => format!("{} timers are paused.", count(many.len())),
        })
    }

    pub(super) fn resume_timer(&self, label: Option<&str>) -> Outcome {
        let none = || match self.agenda.timers(label).is_empty() {
            true => unknown(label),
            false => Outcome::failed("no such timer is paused", "That timer isn't paused."),
        };
        self.picked(self.agenda.resume_timer(label), none, |timers| match timers {
            [one] => format!("Your {} goes on, {} left.", one.name(), duration::spoken(one.remaining_s)),
            many => format!("{} timers go on.", count(many.len())),
        })
    }

    pub(super) fn adjust_timer(&self, args: &Map<String, Value>) -> Outcome {
        let by = word(args, "by").unwrap_or_default();
        let (sign, amount) = signed(by);
        let seconds = match length(amount, "By how much?") {
            Ok(seconds) => seconds as i64,
            Err(failed) => return failed,
        };
        let label = word(args, "label");
        match self.agenda.adjust_timer(label, sign * seconds) {
            Adjusted::Picked(picked) => self.picked(picked, || unknown(label), now_left),
            Adjusted::Again(timers) => {
                let again = self.picked(
                    Picked::These(timers),
                    || unknown(label),
                    |timers| match timers {
                        [one] => format!("Your {} goes on for {}.", one.name(), duration::spoken(one.remaining_s)),
                        many => format!("{} timers go on.", count(many.len())),
                    },
                );
                Outcome { effect: Some(Effect::StopRinging), ..again }
            }
            Adjusted::TooMuch(timer) => Outcome::failed(
                format!("only {} left", duration::plain(timer.remaining_s)),
                format!("Your {} has only {} left.", timer.name(), duration::spoken(timer.remaining_s)),
            ),
            Adjusted::TooLong(_) => too_long(),
        }
    }

    pub(super) fn change_timer(&self, args: &Map<String, Value>) -> Outcome {
        let label = word(args, "label");
        match length(word(args, "duration").unwrap_or_default(), "How long should it be?") {
            Ok(seconds) => self.picked(self.agenda.change_timer(label, seconds), || unknown(label), now_left),
            Err(failed) => failed,
        }
    }

    pub(super) fn name_timer(&self, args: &Map<String, Value>) -> Outcome {
        let (name, label) = (word(args, "name").unwrap_or_default(), word(args, "label"));
        if name.is_empty() {
            return Outcome::failed("name: empty", "What should I call it?");
        }
        self.picked(
            self.agenda.name_timer(label, name),
            || unknown(label),
            |timers| match timers {
                [one] => format!("It's your {} now.", one.name()),
                many => format!("{} timers have that name now.", count(many.len())),
            },
        )
    }

    fn picked(&self, picked: Picked, none: impl Fn() -> Outcome, say: impl Fn(&[Running]) -> String) -> Outcome {
        match picked {
            Picked::Unknown => none(),
            Picked::Which(timers) => which(&timers),
            Picked::These(timers) => {
                let result = match timers.as_slice() {
                    [one] => json!({ "ok": true, "remaining": duration::plain(one.remaining_s) }),
                    _ => json!({ "ok": true }),
                };
                self.noted(Outcome::said(result, say(&timers)))
            }
        }
    }
}

/// A duration that a timer can have.
fn length(text: &str, ask: &str) -> Result<u64, Outcome> {
    match duration::parse(text) {
        Some(seconds) if seconds <= duration::MAX_S => Ok(seconds),
        Some(_) => Err(too_long()),
        None if matches!(moment::parse(&format!("in {text}")), Some(When::TooFar(_) | When::In(_))) => Err(too_long()),
        None => Err(Outcome::failed("not a duration between a second and a week", ask)),
    }
}

/// "-5 minutes", "5 minutes less": whether it is to be more or less, and how much.
fn signed(by: &str) -> (i64, &str) {
    let by = by.trim();
    for sign in ["-", "\u{2212}", "minus ", "less "] {
        if let Some(amount) = by.strip_prefix(sign) {
            return (-1, amount.trim());
        }
    }
    for sign in [" less", " off", " shorter"] {
        if let Some(amount) = by.strip_suffix(sign) {
            return (-1, amount.trim());
        }
    }
    for sign in ["+", "plus "] {
        if let Some(amount) = by.strip_prefix(sign) {
            return (1, amount.trim());
        }
    }
    (1, by.strip_suffix(" more").or(by.strip_suffix(" longer")).unwrap_or(by))
}

fn too_long() -> Outcome {
    Outcome::failed("not a duration between a second and a week", "A timer can run for a week at most.")
}

fn none(label: Option<&str>) -> String {
    match label {
        Some(l) if !is_all(l) => format!("There is no {} timer.", l.trim_end_matches(" timer")),
        _ => "There are no timers running.".to_owned(),
    }
}

fn unknown(label: Option<&str>) -> Outcome {
    Outcome::failed("no such timer", none(label))
}

fn which(timers: &[Running]) -> Outcome {
    let names: Vec<String> = timers.iter().map(Running::name).collect();
    let spoken = match timers.len() {
        n if n <= NAMED_MAX => format!("You have {n} timers: {}. Which one?", names.join(", ")),
        n => format!("You have {n} timers. Which one?"),
    };
    Outcome::failed(format!("several timers are running: {}; name one, or all", names.join(", ")), spoken)
}

fn paused(timer: &Running) -> String {
    format!("Your {} is paused with {} left.", timer.name(), duration::spoken(timer.remaining_s))
}

fn now_left(timers: &[Running]) -> String {
    match timers {
        [one] if one.halted => paused(one),
        [one] => format!("Your {} now has {} left.", one.name(), duration::spoken(one.remaining_s)),
        many => format!("{} timers are changed.", count(many.len())),
    }
}

/// "pasta in 2 minutes", "rice, paused": for a sentence about several.
fn left(timer: &Running) -> String {
    let name = timer.label.clone().unwrap_or_else(|| timer.name());
    // Seconds matter to nobody who asks about several, unless they are all there is.
    let s = timer.remaining_s;
    let rounded = match s {
        0..120 => s,
        120..86_400 => s.div_ceil(60) * 60,
        _ => s.div_ceil(3600) * 3600,
    };
    match timer.halted {
        true => format!("{name}, paused with {}", duration::spoken(rounded)),
        false => format!("{name} in {}", duration::spoken(rounded)),
    }
}
