//! Commands that run later: kept, told and cancelled.

use serde_json::json;

use super::times::{count, some_of};
use crate::schema::ToolCall;
use crate::tools::agenda::{Planned, Unplanned};
use crate::tools::moment::Lean;
use crate::tools::reading::When;
use crate::tools::text::capitalized;
use crate::tools::{Outcome, Registry};

/// Commands told in one sentence.
const NAMED_MAX: usize = 4;

impl Registry {
    /// Keeps `call` until `when` instead of running it. `told` is what it does, as it is told back: "kitchen light off".
    pub fn run_later(&self, call: &ToolCall, told: &str, when: &When) -> Outcome {
        let problems = self.check(call);
        if !problems.is_empty() {
            return Outcome::failed(problems.join("; "), "Sorry, I can't do that.");
        }
        let (at, moment) = match self.moment_of(Some(when), Lean::Next) {
            Ok(found) => found,
            Err(failed) => return failed,
        };
        match self.agenda.schedule(call, told, at) {
            Ok((id, at_unix)) => {
                self.remember_planned(id, told);
                let when = self.told_when(at, &moment);
                let result = json!({ "scheduled": told, "when": when, "at": at_unix.to_string() });
                self.noted(Outcome::said(result, format!("{}: {told}.", capitalized(&when))))
            }
            Err(e) => Outcome::failed(e.to_string(), "Too many commands are waiting already."),
        }
    }

    pub(super) fn list_scheduled(&self) -> Outcome {
        let commands: Vec<String> = self.agenda.scheduled().iter().map(|c| self.planned_told(c)).collect();
        let spoken = match commands.as_slice() {
            [] => "Nothing is scheduled.".to_owned(),
            [one] => format!("One thing: {one}."),
            many => format!("{} things: {}.", count(many.len()), some_of(many, NAMED_MAX)),
        };
        Outcome::said(json!({ "scheduled": commands }), spoken)
    }

    pub(super) fn cancel_scheduled(&self, which: Option<&str>) -> Outcome {
        match self.agenda.cancel_scheduled(which) {
            Unplanned::Unknown => {
                let none = self.agenda.scheduled().is_empty();
                let spoken = if none { "Nothing is scheduled." } else { "Nothing like that is scheduled." };
                Outcome::failed("no such command", spoken)
            }
            Unplanned::Which(commands) => {
                let all: Vec<String> = commands.iter().map(|c| self.planned_told(c)).collect();
                Outcome::failed(
                    format!("several commands wait: {}; name one, or all", all.join("; ")),
                    format!("{} things wait: {}. Which one?", count(all.len()), some_of(&all, NAMED_MAX)),
                )
            }
            Unplanned::Gone(commands) => {
                let spoken = match commands.as_slice() {
                    [one] => format!("Cancelled: {}.", one.told),
                    many => format!("{} things are cancelled.", count(many.len())),
                };
                self.noted(Outcome::said(json!({ "ok": true }), spoken))
            }
        }
    }

    /// "kitchen light off at 9 this evening"
    fn planned_told(&self, command: &Planned) -> String {
        format!("{} {}", command.told, self.told_stamp(command.at))
    }
}
