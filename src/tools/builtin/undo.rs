//! Taking the last command back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::schema::ToolCall;
use crate::tools::{Ctx, Outcome, Registry};

/// How long a command can be taken back: later, "undo" is not about it.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// What can be taken back.
#[derive(Debug, Clone)]
enum Deed {
    /// A call that changed something.
    Ran(ToolCall),
    /// A command that waits for its time, by its number in the agenda.
    Planned { id: i64, told: String },
}

/// The last thing that was done, and when by the steady clock.
#[derive(Default)]
pub(in crate::tools) struct LastDeed(Mutex<Option<(Deed, Duration)>>);

impl LastDeed {
    fn put(&self, deed: Option<(Deed, Duration)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deed;
    }

    fn get(&self, now: Duration) -> Option<Deed> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(_, at)| now.saturating_sub(*at) < KEPT).map(|(deed, _)| deed.clone())
    }
}

impl Registry {
    /// Keeps a call that ran, so that "undo" is about it.
    pub(in crate::tools) fn remember(&self, call: &ToolCall, outcome: &Outcome) {
        // To silence a ring and then take the light back is one thing after the other.
        if !self.acts(&call.name) || ["stop", "undo"].contains(&call.name.as_str()) {
            return;
        }
        if outcome.is_ok() {
            self.last.put(Some((Deed::Ran(call.clone()), self.clock.steady())));
        } else if self.command(&call.name).is_some() {
            // A program that failed may have done something: the command before it is not the last any more.
            self.last.put(None);
        }
    }

    /// Keeps a command that is to run later, so that "undo" is about it.
    pub(super) fn remember_planned(&self, id: i64, told: &str) {
        self.last.put(Some((Deed::Planned { id, told: told.to_owned() }, self.clock.steady())));
    }

    /// What "undo" would take back now, in a few words.
    pub(in crate::tools) fn last_told(&self) -> Option<String> {
        self.last.get(self.clock.steady()).map(|deed| match deed {
            Deed::Ran(call) => self.told(&call),
            Deed::Planned { told, .. } => told,
        })
    }

    /// The call that "undo" would take back now, where it has run.
    pub(in crate::tools) fn last_call(&self) -> Option<ToolCall> {
        match self.last.get(self.clock.steady()) {
            Some(Deed::Ran(call)) => Some(call),
            Some(Deed::Planned { .. }) | None => None,
        }
    }

    pub(super) fn undo_last(&self, ctx: &Ctx<'_>) -> Outcome {
        let call = match self.last.get(self.clock.steady()) {
            Some(Deed::Ran(call)) => call,
            Some(Deed::Planned { id, told }) => return self.unplan(id, &told),
            None => return Outcome::failed("there is nothing to undo", "There is nothing to undo."),
        };
        let told = self.told(&call);
        match self.undo(&call, ctx) {
            None => Outcome::failed(format!("{told}: cannot be undone"), format!("I can't undo that: {told}.")),
            Some(undone) if undone.is_ok() => {
                self.last.put(None);
                Outcome::said(json!({ "ok": true, "undone": told }), format!("Undone: {told}."))
            }
            Some(failed) => failed,
        }
    }

    /// A command that waits for its time will not run. One that has run meanwhile stays as it is.
    fn unplan(&self, id: i64, told: &str) -> Outcome {
        self.last.put(None);
        match self.agenda.unschedule(id) {
            Some(_) => Outcome::said(json!({ "ok": true, "undone": told }), format!("Cancelled: {told}.")),
            None => Outcome::failed(format!("{told}: waits no more"), format!("I can't undo that: {told}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::Value;

    use super::*;
    use crate::tools::reading::When;
    use crate::tools::{Clock, Settings};

    /// Commands that write what they are told into a file, and a clock that is set by hand.
    struct House {
        dir: tempfile::TempDir,
        registry: Registry,
        now_s: Arc<AtomicU64>,
    }

    impl House {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log").display().to_string();
            let exec = |words: &[&str]| {
                let mut argv = vec!["/bin/sh", "-c", r#"f="$1"; shift; echo "$@" >> "$f""#, "log", &log];
                argv.extend_from_slice(words);
                json!(argv)
            };
            let light = json!({ "name": "set_light", "exec": exec(&["light", "{room}", "{on}"]), "undo": "opposite",
                "params": [{ "name": "room", "type": "string" }, { "name": "on", "type": "bool" }] });
            let scene = json!({ "name": "set_scene", "exec": exec(&["scene", "{scene}"]),
                "undo": exec(&["no scene", "{scene}"]), "confirm": true,
                "params": [{ "name": "scene", "type": "string" }] });
            let bell = json!({ "name": "ring_bell", "exec": exec(&["bell"]) });
            let look = json!({ "name": "get_light", "exec": ["/bin/echo", "on"] });
            let broken = json!({ "name": "broken", "exec": ["/bin/false"] });
            let settings: Settings =
                serde_json::from_value(json!({ "command": [light, scene, bell, look, broken] })).unwrap();
            let now_s = Arc::new(AtomicU64::new(1000));
            let now = Arc::clone(&now_s);
            let clock = Clock::new(jiff::Timestamp::now, move || Duration::from_secs(now.load(Ordering::Relaxed)));
            let registry = Registry::new(&settings, None, clock).unwrap();
            Self { dir, registry, now_s }
        }

        fn run(&self, name: &str, args: Value) -> Outcome {
            let call = ToolCall { name: name.into(), parameters: args.as_object().cloned().unwrap() };
            self.registry.run(&call, &Ctx::QUIET)
        }

        fn undo(&self) -> String {
            // Nothing of the arguments is said when it is taken back.
            let ctx = Ctx { said: &["undo that".to_owned()], ..Ctx::QUIET };
            let call = ToolCall { name: "undo".into(), parameters: serde_json::Map::new() };
            self.registry.run(&call, &ctx).spoken.unwrap()
        }

        fn log(&self) -> Vec<String> {
            let text = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn the_last_command_is_taken_back_once() {
        let house = House::new();
        assert_eq!(house.undo(), "There is nothing to undo.");
        house.run("set_light", json!({ "room": "kitchen", "on": false }));
        house.run("get_light", json!({}));
        house.run("stop", json!({}));
        assert_eq!(house.undo(), "Undone: kitchen light off.");
        assert_eq!(house.undo(), "There is nothing to undo.");
        assert_eq!(house.log(), ["light kitchen false", "light kitchen true"]);
        house.run("set_scene", json!({ "scene": "movie" }));
        let undo = ToolCall { name: "undo".into(), parameters: serde_json::Map::new() };
        assert_eq!(house.registry.told(&undo), "undo movie scene");
        assert!(house.registry.confirms("set_scene") && house.registry.confirms("undo"));
        assert_eq!(house.undo(), "Undone: movie scene.");
        assert!(!house.registry.confirms("undo"));
        assert_eq!(house.log()[2..], ["scene movie", "no scene movie"]);
    }

    #[test]
    fn a_command_that_waits_is_taken_back_and_not_the_one_before_it() {
        let house = House::new();
        let light = |on: bool| json!({ "room": "hall", "on": on });
        house.run("set_light", light(true));
        let off = ToolCall { name: "set_light".into(), parameters: light(false).as_object().cloned().unwrap() };
        let plan = || house.registry.run_later(&off, "hall light off", &When::In(600));
        assert!(plan().is_ok());
        let undo = ToolCall { name: "undo".into(), parameters: serde_json::Map::new() };
        assert_eq!(house.registry.told(&undo), "undo hall light off");
        assert_eq!(house.undo(), "Cancelled: hall light off.");
        assert_eq!(house.undo(), "There is nothing to undo.");
        assert!(plan().is_ok());
        house.run("cancel_scheduled", json!({ "which": "all" }));
        assert!(plan().is_ok());
        house.now_s.fetch_add(4 * 60, Ordering::Relaxed);
        assert_eq!(house.undo(), "Cancelled: hall light off.");
        assert_eq!(house.log(), ["light hall true"]);
    }

    #[test]
    fn another_command_is_not_taken_back_in_its_place() {
        let house = House::new();
        let light = || house.run("set_light", json!({ "room": "kitchen", "on": false }));
        light();
        house.run("ring_bell", json!({}));
        assert_eq!(house.undo(), "I can't undo that: ring bell.");
        light();
        house.run("set_timer", json!({ "duration": "10 minutes" }));
        assert_eq!(house.undo(), "I can't undo that: timer of 10 minutes.");
        light();
        assert!(!house.run("broken", json!({})).is_ok());
        assert_eq!(house.undo(), "There is nothing to undo.");
        light();
        house.now_s.fetch_add(5 * 60, Ordering::Relaxed);
        assert_eq!(house.undo(), "There is nothing to undo.");
        assert_eq!(
            house.log(),
            ["light kitchen false", "bell", "light kitchen false", "light kitchen false", "light kitchen false"]
        );
    }
}
