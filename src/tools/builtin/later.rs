//! Commands that are kept and run later.

use jiff::Timestamp;
use serde_json::json;

use crate::schema::ToolCall;
use crate::tools::moment::{self, Lean};
use crate::tools::reading::When;
use crate::tools::{Outcome, Registry, duration};

impl Registry {
    /// Keeps a call to be made at a later time. `told` is what it does, in words: "kitchen light off".
    pub fn keep(&self, call: &ToolCall, when: &When, told: &str) -> Outcome {
        let now = self.now();
        let Some(at) = moment::resolve(when, Lean::Next, &now) else {
            return Outcome::failed("that time is over or not definite", "When exactly?");
        };
        let _ = (call, Timestamp::now());
        let spoken = match when {
            When::In(seconds) => format!("In {}: {told}.", duration::spoken(*seconds)),
            _ => format!("{}: {told}.", sentence(&moment::spoken(&at, &now, self.settings.clock_24h))),
        };
        Outcome::said(json!({ "scheduled": at.timestamp().to_string(), "command": told }), spoken)
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
