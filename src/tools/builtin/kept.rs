//! The sentences about what is kept: tests over a clock that is set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::schema::ToolCall;
use crate::tools::reading::When;
use crate::tools::{Clock, Ctx, Effect, Outcome, Registry, Settings};

/// Tuesday, 2026-03-03, 19:52 UTC.
const START_UNIX_S: i64 = 1_772_567_520;

struct Room {
    tools: Registry,
    passed_s: Arc<AtomicI64>,
}

impl Room {
    fn new() -> Self {
        Self::at(START_UNIX_S)
    }

    fn at(start_unix_s: i64) -> Self {
        let passed_s = Arc::new(AtomicI64::new(0));
        let (a, b) = (passed_s.clone(), passed_s.clone());
        let clock = Clock::new(
            move || jiff::Timestamp::from_second(start_unix_s + a.load(Ordering::Relaxed)).unwrap(),
            move || Duration::from_secs(100 + b.load(Ordering::Relaxed) as u64),
        );
        let settings = Settings { time_zone: Some("UTC".into()), ..Settings::default() };
        Self { tools: Registry::new(&settings, None, clock).unwrap(), passed_s }
    }

    fn run(&self, name: &str, args: Value) -> Outcome {
        self.tools.run(&call(name, args), &Ctx::QUIET)
    }

    fn said(&self, name: &str, args: Value) -> String {
        let outcome = self.run(name, args);
        assert!(outcome.is_ok(), "{outcome:?}");
        outcome.spoken.unwrap()
    }

    fn refused(&self, name: &str, args: Value) -> String {
        let outcome = self.run(name, args);
        assert!(!outcome.is_ok() && outcome.effect.is_none(), "{outcome:?}");
        outcome.spoken.unwrap()
    }

    fn pass(&self, s: i64) {
        self.passed_s.fetch_add(s, Ordering::Relaxed);
    }
}

fn call(name: &str, args: Value) -> ToolCall {
    ToolCall { name: name.into(), parameters: args.as_object().cloned().unwrap_or_default() }
}

#[test]
fn six_timers_are_told_in_one_short_sentence() {
    let room = Room::new();
    for (minutes, label) in [(2, "pasta"), (5, "eggs"), (8, "tea"), (12, "bread"), (20, "beans"), (40, "rice")] {
        room.said("set_timer", json!({ "duration": format!("{minutes} minutes"), "label": label }));
    }
    room.pass(1);
    let said = room.said("timer_status", json!({}));
    assert_eq!(said, "Six timers; the next is pasta in 1 minute and 59 seconds, the last rice in 40 minutes.");
    assert_eq!(
        room.said("timer_status", json!({ "label": "eggs" })),
        "4 minutes and 59 seconds left on your eggs timer."
    );
    assert_eq!(room.refused("pause_timer", json!({})), "You have 6 timers. Which one?");
    assert_eq!(
        room.said("pause_timer", json!({ "label": "rice" })),
        "Your rice timer is paused with 39 minutes and 59 seconds left."
    );
    assert_eq!(room.refused("pause_timer", json!({ "label": "rice" })), "That is paused already.");
    assert_eq!(room.refused("resume_timer", json!({ "label": "tea" })), "That timer isn't paused.");
    assert_eq!(room.said("resume_timer", json!({})), "Your rice timer goes on, 39 minutes and 59 seconds left.");
    assert_eq!(room.said("cancel_timer", json!({ "label": "all" })), "Six timers are cancelled.");
}

#[test]
fn a_timer_is_changed_within_reason() {
    let room = Room::new();
    assert_eq!(room.refused("adjust_timer", json!({ "by": "5 minutes" })), "There are no timers running.");
    assert_eq!(room.refused("set_timer", json!({ "duration": "2 weeks" })), "A timer can run for a week at most.");
    room.said("set_timer", json!({ "duration": "10 minutes" }));
    assert_eq!(
        room.said("set_timer", json!({ "duration": "one week", "label": "vacation" })),
        "Your vacation timer is set for 7 days."
    );
    room.said("cancel_timer", json!({ "label": "vacation" }));
    let by = |by: &str| json!({ "by": by });
    assert_eq!(room.said("adjust_timer", by("5 minutes")), "Your 10 minute timer now has 15 minutes left.");
    assert_eq!(room.said("adjust_timer", by("-5 minutes")), "Your 10 minute timer now has 10 minutes left.");
    assert_eq!(room.refused("adjust_timer", by("-10 minutes")), "Your 10 minute timer has only 10 minutes left.");
    assert_eq!(room.refused("adjust_timer", by("a bit")), "By how much?");
    assert_eq!(
        room.said("change_timer", json!({ "duration": "20 minutes" })),
        "Your 20 minute timer now has 20 minutes left."
    );
    assert_eq!(room.said("name_timer", json!({ "name": "Pizza" })), "It's your pizza timer now.");
    assert_eq!(room.said("timer_status", json!({ "label": "pizza" })), "20 minutes left on your pizza timer.");
}

#[test]
fn more_time_for_a_timer_that_rings_lets_it_run_again() {
    let room = Room::new();
    room.said("set_timer", json!({ "duration": "1 minute", "label": "tea" }));
    room.pass(60);
    assert!(room.tools.agenda().take_due().ring.is_some());
    let outcome = room.run("adjust_timer", json!({ "by": "5 minutes" }));
    assert_eq!(outcome.spoken.as_deref(), Some("Your tea timer goes on for 5 minutes."));
    assert_eq!(outcome.effect, Some(Effect::StopRinging));
    assert_eq!(room.said("timer_status", json!({})), "5 minutes left on your tea timer.");
}

#[test]
fn a_timer_until_a_time_of_day() {
    let room = Room::new();
    room.said("set_timer_until", json!({ "time": "8:30", "label": "cake" }));
    assert_eq!(room.said("timer_status", json!({})), "38 minutes left on your cake timer.");
    room.said("set_timer_until", json!({ "time": "16:30" }));
    room.refused("set_timer_until", json!({ "time": "soon" }));
}

#[test]
fn alarms_from_set_to_cancel() {
    let room = Room::new();
    assert_eq!(room.said("list_alarms", json!({})), "You have no alarms.");
    assert_eq!(room.refused("cancel_alarm", json!({})), "You have no alarms.");
    let said = room.said("set_alarm", json!({ "time": "6:30" }));
    assert!(said.starts_with("Your alarm will ring at 6:30 tomorrow morning"), "{said}");
    assert!(
        room.said("set_alarm", json!({ "time": "06:30", "day": "tomorrow" })).starts_with("You already have an alarm")
    );
    assert_eq!(
        room.said("set_alarm", json!({ "time": "7 am", "day": "weekdays" })),
        "Your alarm will ring at 7 AM on weekdays."
    );
    assert_eq!(
        room.said("set_alarm", json!({ "time": "9:30", "day": "mondays and thursdays" })),
        "Your alarm will ring at 9:30 AM on Mondays and Thursdays."
    );
    assert_eq!(
        room.said("set_alarm", json!({ "time": "every day at 8 pm" })),
        "Your alarm will ring at 8 PM every day."
    );
    assert_eq!(room.refused("set_alarm", json!({ "time": "soonish" })), "Sorry, I didn't get the time.");
    let listed = room.said("list_alarms", json!({}));
    assert!(
        listed.starts_with("Four alarms: at 8 PM every day, ") && listed.contains(" and at 9:30 AM on Mondays"),
        "{listed}"
    );
    assert!(room.refused("cancel_alarm", json!({})).ends_with("Which one?"));
    assert_eq!(room.refused("cancel_alarm", json!({ "time": "5:00" })), "You have no alarm at that time.");
    assert_eq!(room.said("cancel_alarm", json!({ "time": "8:00" })), "Your alarm at 8 PM every day is cancelled.");
    assert_eq!(
        room.said("cancel_alarm", json!({ "time": "weekdays" })),
        "Your alarm at 7 AM on weekdays is cancelled."
    );
    assert_eq!(room.said("cancel_alarm", json!({ "time": "all" })), "Two alarms are cancelled.");
}

#[test]
fn an_alarm_is_snoozed_and_silenced() {
    let room = Room::new();
    assert_eq!(room.refused("snooze", json!({})), "No alarm is ringing.");
    room.said("set_alarm", json!({ "time": "19:53" }));
    room.pass(60);
    assert!(room.tools.agenda().take_due().ring.unwrap().alarm);
    let outcome = room.run("snooze", json!({}));
    assert_eq!(
        (outcome.spoken.as_deref(), outcome.effect),
        (Some("Snoozing for 9 minutes."), Some(Effect::StopRinging))
    );
    room.pass(540);
    assert!(room.tools.agenda().take_due().ring.unwrap().alarm);
    assert_eq!(room.refused("snooze", json!({ "duration": "a while" })), "For how long?");
    let outcome = room.run("cancel_alarm", json!({}));
    assert_eq!((outcome.spoken.as_deref(), outcome.effect), (Some(""), Some(Effect::StopRinging)));
    assert_eq!(room.said("list_alarms", json!({})), "You have no alarms.");
}

#[test]
fn reminders_with_and_without_a_time() {
    let room = Room::new();
    assert_eq!(room.said("list_reminders", json!({})), "You have no reminders.");
    assert_eq!(
        room.said("set_reminder", json!({ "text": "call mom", "time": "10 minutes" })),
        "I'll remind you in 10 minutes."
    );
    assert_eq!(room.said("set_reminder", json!({ "text": "buy milk" })), "It's on your reminders.");
    assert_eq!(room.refused("set_reminder", json!({ "text": "x", "time": "tomorrow" })), "At what time?");
    let listed = room.said("list_reminders", json!({}));
    assert!(
        listed.starts_with("Two reminders. First: call mom, at 8:02") && listed.ends_with("and buy milk."),
        "{listed}"
    );
    assert_eq!(room.refused("cancel_reminder", json!({})), "You have 2 reminders: call mom and buy milk. Which one?");
    assert_eq!(room.said("cancel_reminder", json!({ "text": "the milk" })), "I won't remind you of this: buy milk.");
    room.pass(600);
    assert_eq!(room.tools.agenda().take_due().announcements, ["Reminder: call mom."]);
}

#[test]
fn commands_are_kept_told_and_cancelled() {
    let room = Room::new();
    let louder = call("volume_up", json!({}));
    let later = room.tools.run_later(&louder, "louder", &When::In(600));
    assert_eq!(later.spoken.as_deref(), Some("In 10 minutes: louder."));
    assert_eq!(later.result["scheduled"], "louder");
    let listed = room.said("list_scheduled", json!({}));
    assert!(listed.starts_with("One thing: louder at 8:02"), "{listed}");
    let nonsense = room.tools.run_later(&call("volume_up", json!({ "by": 7 })), "x", &When::In(600));
    assert!(!nonsense.is_ok(), "a call that fails its check is refused now, not then");
    assert_eq!(room.said("cancel_scheduled", json!({ "which": "that" })), "Cancelled: louder.");
    assert_eq!(room.refused("cancel_scheduled", json!({})), "Nothing is scheduled.");
    assert_eq!(room.said("list_scheduled", json!({})), "Nothing is scheduled.");
    room.tools.run_later(&louder, "louder", &When::In(600));
    room.pass(600);
    assert_eq!(room.tools.agenda().take_due().commands[0].call, louder);
}

#[test]
fn lists_are_filled_read_and_emptied() {
    let room = Room::new();
    assert_eq!(room.said("read_list", json!({})), "Your shopping list is empty.");
    assert_eq!(room.refused("read_list", json!({ "list": "packing" })), "You have no packing list.");
    assert_eq!(room.said("add_to_list", json!({ "item": "eggs" })), "Added eggs to your shopping list.");
    assert_eq!(
        room.said("add_to_list", json!({ "item": "egg", "list": "groceries" })),
        "Egg is on your shopping list already."
    );
    room.said("add_to_list", json!({ "item": "bread" }));
    assert_eq!(room.said("read_list", json!({})), "On your shopping list: eggs and bread.");
    assert_eq!(room.said("remove_from_list", json!({ "item": "the egg" })), "Took eggs off your shopping list.");
    assert_eq!(room.refused("remove_from_list", json!({ "item": "tea" })), "Tea isn't on your shopping list.");
    for i in 0..7 {
        room.said("add_to_list", json!({ "item": format!("thing {i}"), "list": "to do" }));
    }
    let read = room.said("read_list", json!({ "list": "tasks" }));
    assert!(read.starts_with("Seven things are on your to-do list. Thing 0, thing 1"), "{read}");
    assert_eq!(room.said("clear_list", json!({ "list": "todo" })), "Your to-do list is empty now.");
    assert_eq!(room.said("clear_list", json!({ "list": "todo" })), "Your to-do list is empty already.");
}

#[test]
fn an_unset_clock_is_said() {
    let room = Room::at(1_000);
    assert_eq!(room.refused("set_alarm", json!({ "time": "6:30" })), "My clock isn't set, so I can't set an alarm.");
    for (name, args) in [
        ("set_reminder", json!({ "text": "call mom", "time": "9:00" })),
        ("set_timer_until", json!({ "time": "16:30" })),
    ] {
        assert!(room.refused(name, args).starts_with("My clock isn't set, so I can't"), "{name}");
    }
    assert_eq!(
        room.said("set_reminder", json!({ "text": "call mom", "time": "10 minutes" })),
        "I'll remind you in 10 minutes."
    );
    assert_eq!(room.said("set_timer", json!({ "duration": "10 minutes" })), "Timer set for 10 minutes.");
}
