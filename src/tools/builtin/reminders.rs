//! The reminders' tools.

use serde_json::{Map, Value, json};

use super::times::{count, some_of};
use super::word;
use crate::tools::agenda::{Dropped, Noted};
use crate::tools::moment::Lean;
use crate::tools::{Outcome, Registry};

/// Reminders told in one sentence.
const NAMED_MAX: usize = 5;

impl Registry {
    pub(super) fn set_reminder(&self, args: &Map<String, Value>) -> Outcome {
        let Some(text) = word(args, "text") else {
            return Outcome::failed("text: empty", "What should I remind you of?");
        };
        let at = match word(args, "time").map(|time| self.moment(time, Lean::Next)).transpose() {
            Ok(at) => at,
            Err(failed) => return failed,
        };
        if let Err(e) = self.agenda.set_reminder(text, at.as_ref().map(|(at, _)| *at)) {
            return Outcome::failed(e.to_string(), "You have too many reminders already.");
        }
        let when = at.map(|(at, moment)| self.told_when(at, &moment));
        let (result, spoken) = match when {
            Some(when) => (json!({ "ok": true, "when": when }), format!("I'll remind you {when}.")),
            None => (json!({ "ok": true }), "It's on your reminders.".to_owned()),
        };
        self.noted(Outcome::said(result, spoken))
    }

    pub(super) fn list_reminders(&self) -> Outcome {
        let reminders: Vec<String> = self.agenda.reminders().iter().map(|r| self.reminder_told(r)).collect();
        let spoken = match reminders.as_slice() {
            [] => "You have no reminders.".to_owned(),
            [one] => format!("One reminder: {one}."),
            // A first sentence that is short is heard early.
            many => format!("{} reminders. First: {}.", count(many.len()), some_of(many, NAMED_MAX)),
        };
        Outcome::said(json!({ "reminders": reminders }), spoken)
    }

    pub(super) fn cancel_reminder(&self, text: Option<&str>) -> Outcome {
        match self.agenda.cancel_reminder(text) {
            Dropped::Unknown => {
                let none = self.agenda.reminders().is_empty();
                let spoken = if none { "You have no reminders." } else { "There is no reminder like that." };
                Outcome::failed("no such reminder", spoken)
            }
            Dropped::Which(reminders) => {
                let all: Vec<String> = reminders.iter().map(|r| r.text.clone()).collect();
                Outcome::failed(
                    format!("several reminders are set: {}; name one, or all", all.join("; ")),
                    format!("You have {} reminders: {}. Which one?", all.len(), some_of(&all, NAMED_MAX)),
                )
            }
            Dropped::Gone(reminders) => {
                let spoken = match reminders.as_slice() {
                    [one] => format!("I won't remind you of this: {}.", one.text.trim_end_matches('.')),
                    many => format!("{} reminders are cancelled.", count(many.len())),
                };
                self.noted(Outcome::said(json!({ "ok": true }), spoken))
            }
        }
    }

    /// "call mom, at 6 tomorrow evening"
    fn reminder_told(&self, reminder: &Noted) -> String {
        let text = reminder.text.trim_end_matches('.');
        match reminder.at {
            Some(at) => format!("{text}, {}", self.told_stamp(at)),
            None => text.to_owned(),
        }
    }
}
