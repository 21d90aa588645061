//! The agenda over time: restarts, reboots, clocks that are set, and what is told of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::civil::{date, time};
use serde_json::json;

use super::*;
use crate::schema::ToolCall;

/// 2026-03-03, 19:52 in Berlin.
pub(super) const START: &str = "2026-03-03T18:52:00Z";

/// Two clocks that the test sets, and the boot.
pub(super) struct Hands {
    wall_ms: AtomicI64,
    steady_ms: AtomicU64,
    boot: AtomicU64,
}

impl Hands {
    pub(super) fn new(wall: &str) -> Arc<Self> {
        let wall: Timestamp = wall.parse().unwrap();
        Arc::new(Self {
            wall_ms: AtomicI64::new(wall.as_millisecond()),
            steady_ms: AtomicU64::new(100_000),
            boot: AtomicU64::new(1),
        })
    }

    fn clock(self: &Arc<Self>) -> Clock {
        let (a, b) = (self.clone(), self.clone());
        Clock::new(
            move || Timestamp::from_millisecond(a.wall_ms.load(Ordering::Relaxed)).unwrap(),
            move || Duration::from_millis(b.steady_ms.load(Ordering::Relaxed)),
        )
        .in_boot(&format!("boot {}", self.boot.load(Ordering::Relaxed)))
    }

    pub(super) fn open(self: &Arc<Self>, dir: &Path) -> Agenda {
        Agenda::open(Some(dir), self.clock(), berlin(), false).unwrap()
    }

    pub(super) fn pass(&self, s: u64) {
        self.set_wall_by(s as i64);
        self.steady_ms.fetch_add(s * 1000, Ordering::Relaxed);
    }

    fn pass_until(&self, wall: &str) {
        let wall: Timestamp = wall.parse().unwrap();
        self.pass(((wall.as_millisecond() - self.wall_ms.load(Ordering::Relaxed)) / 1000) as u64);
    }

    pub(super) fn set_wall_by(&self, s: i64) {
        self.wall_ms.fetch_add(s * 1000, Ordering::Relaxed);
    }

    fn set_wall(&self, wall: &str) {
        self.wall_ms.store(wall.parse::<Timestamp>().unwrap().as_millisecond(), Ordering::Relaxed);
    }

    /// The machine is off for that long.
    fn reboot(&self, off_s: i64) {
        self.set_wall_by(off_s);
        self.steady_ms.store(3_000, Ordering::Relaxed);
        self.boot.fetch_add(1, Ordering::Relaxed);
    }
}

/// By rule, so that no time zone data is needed.
pub(super) fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn rings(agenda: &Agenda) -> Option<String> {
    let due = agenda.take_due();
    assert_eq!((due.announcements.len(), due.commands.len()), (0, 0), "{due:?}");
    due.ring.map(|r| r.text)
}

pub(super) fn light() -> ToolCall {
    ToolCall {
        name: "set_light".into(),
        parameters: json!({ "room": "kitchen", "on": false }).as_object().unwrap().clone(),
    }
}

fn wall(text: &str) -> At {
    At::Wall(text.parse().unwrap())
}

#[test]
fn timers_ring_in_their_order_and_only_once() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.next_due_in(), None);
    agenda.set_timer(600, Some("Pasta")).unwrap();
    agenda.set_timer(20, None).unwrap();
    assert_eq!(agenda.next_due_in(), Some(Duration::from_secs(20)));
    hands.pass(19);
    assert_eq!(agenda.take_due(), Due::default());
    hands.pass(1);
    assert_eq!(agenda.next_due_in(), Some(Duration::ZERO));
    let due = agenda.take_due();
    assert_eq!(due.ring, Some(Ring { text: "Your 20 second timer is done.".into(), alarm: false }));
    assert_eq!(agenda.take_due(), Due::default());
    assert_eq!(agenda.timers(Some("pasta"))[0].remaining_s, 580);
    hands.pass(1000);
    // The machine slept through it: it rings, and says so.
    assert_eq!(rings(&agenda).as_deref(), Some("While I was off, your pasta timer ran out."));
    assert_eq!(agenda.next_due_in(), None);
}

#[test]
fn timers_go_over_a_restart_by_the_steady_clock_and_over_a_reboot_by_the_wall_clock() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    agenda.set_timer(600, Some("pasta")).unwrap();
    // Killed, not closed; and somebody sets the clock meanwhile.
    std::mem::forget(agenda);
    hands.pass(100);
    hands.set_wall_by(86_400);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.timers(None)[0].remaining_s, 500);
    std::mem::forget(agenda);
    hands.reboot(200);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.timers(None)[0].remaining_s, 300);
    // A wall clock that went back does not make it longer than it was.
    drop(agenda);
    hands.reboot(-5_000_000);
    assert_eq!(hands.open(dir.path()).timers(None)[0].remaining_s, 300);
}

#[test]
fn a_wall_clock_that_is_set_neither_fires_nor_stretches_timers() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    agenda.set_timer(600, None).unwrap();
    agenda.schedule(&light(), "kitchen light off", At::In(700)).unwrap();
    agenda.set_reminder("tea", Some(At::In(800))).unwrap();
    for by in [1_000_000, -9_000_000] {
        hands.set_wall_by(by);
        assert_eq!(agenda.take_due(), Due::default());
        assert_eq!(agenda.timers(None)[0].remaining_s, 600);
    }
    hands.pass(600);
    assert_eq!(rings(&agenda).as_deref(), Some("Your 10 minute timer is done."));
    hands.pass(100);
    assert_eq!(agenda.take_due().commands.len(), 1);
    hands.pass(100);
    assert_eq!(agenda.take_due().announcements, ["Reminder: tea."]);
}

#[test]
fn the_clock_being_set_after_a_reboot_is_waited_for() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    agenda.set_timer(3600, Some("roast")).unwrap();
    agenda.set_alarm(time(20, 30, 0, 0), On::Date(date(2026, 3, 3))).unwrap();
    drop(agenda);
    // No battery: the machine starts in 1970.
    hands.reboot(0);
    hands.set_wall("1970-01-01T00:00:10Z");
    let agenda = hands.open(dir.path());
    assert!(!agenda.clock_is_set());
    assert_eq!(agenda.take_due(), Due::default());
    assert_eq!(agenda.timers(None)[0].remaining_s, 3600);
    assert!(agenda.schedule(&light(), "x", wall("2026-03-03T20:00:00Z")).is_err());
    assert!(agenda.set_reminder("x", Some(wall("2026-03-03T20:00:00Z"))).is_err());
    assert_eq!(agenda.next_due_in(), Some(LOOK_AGAIN));
    // Set, a quarter of an hour after it went off.
    hands.set_wall("2026-03-03T19:07:00Z");
    assert_eq!(agenda.take_due(), Due::default());
    assert_eq!(agenda.timers(None)[0].remaining_s, 45 * 60);
    hands.pass(23 * 60);
    assert_eq!(rings(&agenda).as_deref(), Some("This is your 8:30 PM alarm."));
    // One that is set while nobody knows the time counts too.
    hands.set_wall("1970-01-01T00:00:10Z");
    agenda.set_timer(60, None).unwrap();
    hands.pass(60);
    assert_eq!(rings(&agenda).as_deref(), Some("Your 1 minute timer is done."));
}

#[test]
fn timers_are_halted_and_go_on_and_are_changed() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.pause_timer(None), Picked::Unknown);
    agenda.set_timer(600, Some("pasta")).unwrap();
    hands.pass(100);
    assert!(matches!(agenda.pause_timer(None), Picked::These(t) if t[0].halted && t[0].remaining_s == 500));
    assert_eq!(agenda.next_due_in(), None);
    assert_eq!(agenda.pause_timer(Some("pasta")), Picked::Unknown);
    drop(agenda);
    hands.reboot(86_400);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.take_due(), Due::default());
    assert!(matches!(agenda.resume_timer(None), Picked::These(t) if t[0].remaining_s == 500));
    assert!(matches!(agenda.adjust_timer(None, 60), Adjusted::Picked(Picked::These(t)) if t[0].remaining_s == 560));
    assert!(matches!(agenda.adjust_timer(None, -500), Adjusted::Picked(Picked::These(t)) if t[0].remaining_s == 60));
    assert!(matches!(agenda.adjust_timer(None, -60), Adjusted::TooMuch(t) if t.remaining_s == 60));
    assert!(matches!(agenda.adjust_timer(None, 604_800), Adjusted::TooLong(_)));
    agenda.set_timer(300, None).unwrap();
    assert!(matches!(agenda.adjust_timer(None, 60), Adjusted::Picked(Picked::Which(t)) if t.len() == 2));
    assert!(matches!(agenda.change_timer(Some("pasta"), 900), Picked::These(t) if t[0].remaining_s == 900));
    assert!(
        matches!(agenda.name_timer(Some("5 minute timer"), "Eggs"), Picked::These(t) if t[0].name() == "eggs timer")
    );
    assert_eq!(agenda.timers(Some("egg")).len(), 1);
    assert!(matches!(agenda.pause_timer(Some("all")), Picked::These(t) if t.len() == 2));
}

#[test]
fn cancelling_asks_when_it_is_not_clear_which() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.cancel_timer(None), Cancelled::Unknown);
    agenda.set_timer(600, Some("pasta")).unwrap();
    agenda.set_timer(300, Some("eggs")).unwrap();
    assert!(matches!(agenda.cancel_timer(None), Cancelled::Which(w) if w.len() == 2));
    assert_eq!(agenda.cancel_timer(Some("tea")), Cancelled::Unknown);
    assert!(matches!(agenda.cancel_timer(Some("egg")), Cancelled::Gone { timers, rang: false } if timers.len() == 1));
    assert!(matches!(agenda.cancel_timer(Some("10 minutes")), Cancelled::Gone { .. }));
    agenda.set_timer(5, None).unwrap();
    agenda.set_timer(500, Some("tea")).unwrap();
    hands.pass(5);
    assert!(agenda.take_due().ring.is_some());
    assert!(matches!(agenda.cancel_timer(None), Cancelled::Gone { rang: true, .. }));
    assert!(matches!(agenda.cancel_timer(Some("all")), Cancelled::Gone { timers, .. } if timers.len() == 1));
    for _ in 0..32 {
        agenda.set_timer(600, None).unwrap();
    }
    assert!(agenda.set_timer(600, None).is_err(), "there is a limit");
}

#[test]
fn what_was_missed_is_told_once_in_one_sentence() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    agenda.set_timer(60, Some("egg")).unwrap();
    agenda.set_timer(600, None).unwrap();
    agenda.set_alarm(time(20, 0, 0, 0), On::Date(date(2026, 3, 3))).unwrap();
    agenda.set_reminder("call mom", Some(wall("2026-03-03T19:10:00Z"))).unwrap();
    agenda.schedule(&light(), "kitchen light off", At::In(120)).unwrap();
    agenda.schedule(&light(), "hall light on", wall("2026-03-03T20:51:00Z")).unwrap();
    drop(agenda);
    hands.reboot(7200);
    let agenda = hands.open(dir.path());
    let due = agenda.take_due();
    assert_eq!(
        due.announcements,
        ["While I was off, your egg timer and your 10 minute timer ran out, your 8 PM alarm was due, \
          I could not do this: kitchen light off and I could not remind you: call mom."]
    );
    assert_eq!(due.ring, None, "nobody wants to be woken for that");
    // A minute late is not too late.
    assert_eq!(due.commands, [DueCommand { call: light(), told: "hall light on".into() }]);
    drop(agenda);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.take_due(), Due::default());
    // What was missed a moment ago still rings.
    agenda.set_timer(60, Some("tea")).unwrap();
    agenda.set_alarm(time(21, 53, 0, 0), On::Days(Days::parse("every day").unwrap())).unwrap();
    drop(agenda);
    hands.reboot(100);
    let ring = hands.open(dir.path()).take_due().ring.unwrap();
    assert!(ring.alarm);
    assert_eq!(ring.text, "While I was off, your tea timer ran out and your 9:53 PM alarm was due.");
    // Days later nobody wants to hear about a timer.
    let agenda = hands.open(dir.path());
    agenda.set_timer(60, Some("tea")).unwrap();
    drop(agenda);
    hands.reboot(43_300);
    assert_eq!(hands.open(dir.path()).take_due(), Due::default());
    // Many are not all named.
    let agenda = hands.open(dir.path());
    for label in ["a", "b", "c", "d", "e", "f"] {
        agenda.set_timer(60, Some(label)).unwrap();
    }
    hands.pass(60);
    let all = "Your a timer, your b timer, your c timer and 3 more are done.";
    assert_eq!(agenda.take_due().ring.unwrap().text, all);
}

#[test]
fn alarms_ring_once_or_again_and_again() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    let (alarm, new) = agenda.set_alarm(time(6, 30, 0, 0), On::Date(date(2026, 3, 4))).unwrap();
    assert!(new && alarm.due() == Some("2026-03-04T05:30:00Z".parse().unwrap()));
    assert!(!agenda.set_alarm(time(6, 30, 0, 0), On::Date(date(2026, 3, 4))).unwrap().1);
    assert!(agenda.set_alarm(time(6, 30, 0, 0), On::Date(date(2026, 3, 3))).is_err(), "it is over");
    agenda.set_alarm(time(7, 0, 0, 0), On::Days(Days::parse("weekdays").unwrap())).unwrap();
    hands.pass_until("2026-03-04T05:30:00Z");
    let ring = agenda.take_due().ring.unwrap();
    assert_eq!(ring, Ring { text: "This is your 6:30 AM alarm.".into(), alarm: true });
    let mut told = Vec::new();
    for _ in 0..7 {
        hands.pass_until(&agenda.alarms()[0].due().unwrap().to_string());
        assert_eq!(rings(&agenda).as_deref(), Some("This is your 7 AM alarm."));
        assert_eq!(agenda.take_due(), Due::default());
        told.push(agenda.clock.wall().to_zoned(berlin()).strftime("%a %H").to_string());
    }
    assert_eq!(told, ["Wed 07", "Thu 07", "Fri 07", "Mon 07", "Tue 07", "Wed 07", "Thu 07"]);
    assert!(matches!(agenda.cancel_alarm(None), AlarmsGone::Silent(a) if a.len() == 1));
    agenda.set_alarm(time(9, 0, 0, 0), On::Days(Days::parse("weekends").unwrap())).unwrap();
    assert!(matches!(agenda.cancel_alarm(None), AlarmsGone::Which(a) if a.len() == 2));
    assert!(matches!(agenda.cancel_alarm(Some(&|a| a.time.hour() == 9)), AlarmsGone::Gone(a) if a.len() == 1));
    assert!(matches!(agenda.cancel_alarm(Some(&|_| true)), AlarmsGone::Gone(a) if a.len() == 1));
    assert_eq!(agenda.cancel_alarm(None), AlarmsGone::Unknown);
}

#[test]
fn a_time_that_the_clock_skips_rings_as_it_jumps_and_a_doubled_one_rings_once() {
    // Summer time begins on 2026-03-29 at 2:00 and ends on 2026-10-25 at 3:00.
    let spring = ("2026-03-27T12:00:00Z", ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    let autumn = ("2026-10-23T12:00:00Z", ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    for (start, moments) in [spring, autumn] {
        let (hands, dir) = (Hands::new(start), tempfile::tempdir().unwrap());
        let mut agenda = hands.open(dir.path());
        agenda.set_alarm(time(2, 30, 0, 0), On::Days(Days::parse("every day").unwrap())).unwrap();
        for moment in moments {
            assert_eq!(agenda.alarms()[0].due(), Some(moment.parse().unwrap()));
            hands.pass_until(moment);
            assert_eq!(rings(&agenda).as_deref(), Some("This is your 2:30 AM alarm."));
            // Nor does a restart in the doubled hour make it ring again.
            drop(agenda);
            hands.pass(1800);
            agenda = hands.open(dir.path());
        }
    }
    let (hands, dir) = (Hands::new(spring.0), tempfile::tempdir().unwrap());
    let (once, _) = hands.open(dir.path()).set_alarm(time(2, 30, 0, 0), On::Date(date(2026, 3, 29))).unwrap();
    assert_eq!(once.due(), Some("2026-03-29T01:00:00Z".parse().unwrap()));
    // Elsewhere after the next start: seven is seven there.
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    hands.open(dir.path()).set_alarm(time(7, 0, 0, 0), On::Date(date(2026, 3, 4))).unwrap();
    let there = Agenda::open(Some(dir.path()), hands.clock(), TimeZone::UTC, false).unwrap();
    assert_eq!(there.alarms()[0].due(), Some("2026-03-04T07:00:00Z".parse().unwrap()));
}

#[test]
fn a_snoozed_alarm_rings_again_over_a_restart_too() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    let nine = Duration::from_secs(540);
    agenda.set_alarm(time(20, 0, 0, 0), On::Date(date(2026, 3, 3))).unwrap();
    agenda.set_alarm(time(20, 0, 0, 0), On::Days(Days::parse("every day").unwrap())).unwrap();
    assert_eq!(agenda.snooze(nine), None, "nothing rings yet");
    hands.pass_until("2026-03-03T19:00:00Z");
    assert!(agenda.take_due().ring.is_some());
    assert_eq!(agenda.alarms().len(), 1);
    assert_eq!(agenda.snooze(nine), Some("2026-03-03T19:09:00Z".parse().unwrap()));
    assert_eq!(agenda.snooze(nine), None, "it does not ring any more");
    drop(agenda);
    let agenda = hands.open(dir.path());
    hands.pass(539);
    assert_eq!(agenda.take_due(), Due::default());
    hands.pass(1);
    assert_eq!(rings(&agenda).as_deref(), Some("This is your 8 PM alarm."));
    agenda.stop_ringing();
    // One that was silenced may still be snoozed, for a while.
    hands.pass(300);
    assert!(agenda.snooze(nine).is_some());
    assert!(matches!(agenda.cancel_alarm(Some(&|a| a.snoozed.is_some())), AlarmsGone::Gone(a) if a.len() == 2));
    assert_eq!(agenda.next_due_in(), None);
}

#[test]
fn reminders_are_said_or_wait_to_be_asked_for() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.set_reminder("buy  milk", None).unwrap(), None);
    let at = agenda.set_reminder("call mom", Some(At::In(600))).unwrap();
    assert_eq!(at, Some("2026-03-03T19:02:00Z".parse().unwrap()));
    assert!(agenda.set_reminder("x", Some(wall(START))).is_err(), "it is over");
    let texts = |a: &Agenda| a.reminders().into_iter().map(|r| r.text).collect::<Vec<_>>();
    assert_eq!(texts(&agenda), ["call mom", "buy milk"]);
    hands.pass(600);
    assert_eq!(agenda.take_due().announcements, ["Reminder: call mom."]);
    drop(agenda);
    let agenda = hands.open(dir.path());
    assert_eq!(texts(&agenda), ["buy milk"]);
    agenda.set_reminder("water the plants", None).unwrap();
    assert!(matches!(agenda.cancel_reminder(None), Dropped::Which(r) if r.len() == 2));
    assert!(matches!(agenda.cancel_reminder(Some("the plant")), Dropped::Gone(r) if r[0].text == "water the plants"));
    assert_eq!(agenda.cancel_reminder(Some("plants")), Dropped::Unknown);
    assert!(matches!(agenda.cancel_reminder(Some("all")), Dropped::Gone(r) if r.len() == 1));
}

#[test]
fn commands_wait_run_once_and_are_cancelled() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    agenda.schedule(&light(), "kitchen light off", At::In(600)).unwrap();
    let (_, nine) = agenda.schedule(&light(), "hall light on", wall("2026-03-03T20:00:00Z")).unwrap();
    assert_eq!(nine, "2026-03-03T20:00:00Z".parse().unwrap());
    std::mem::forget(agenda);
    hands.pass(600);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.take_due().commands, [DueCommand { call: light(), told: "kitchen light off".into() }]);
    std::mem::forget(agenda);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.take_due(), Due::default(), "it ran");
    agenda.schedule(&light(), "fan off", At::In(60)).unwrap();
    assert!(matches!(agenda.cancel_scheduled(None), Unplanned::Which(c) if c.len() == 2));
    assert!(matches!(agenda.cancel_scheduled(Some("that")), Unplanned::Gone(c) if c[0].told == "fan off"));
    assert_eq!(agenda.cancel_scheduled(Some("turning off the fan")), Unplanned::Unknown);
    assert!(matches!(agenda.cancel_scheduled(Some("the hall light")), Unplanned::Gone(c) if c.len() == 1));
    assert_eq!(agenda.next_due_in(), None);
}

#[test]
fn lists_are_bounded_and_forgive_a_plural() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let agenda = hands.open(dir.path());
    for (asked, name) in [
        (None, "shopping"),
        (Some("grocery list"), "shopping"),
        (Some("my to-do list"), "to-do"),
        (Some("todo"), "to-do"),
        (Some("Tasks"), "to-do"),
        (Some("the packing list"), "packing"),
    ] {
        assert_eq!(list_name(asked), name);
    }
    assert_eq!(agenda.items("shopping"), None);
    for item in ["Eggs", "oat milk", "milk"] {
        assert_eq!(agenda.add_item("shopping", item), Added::New);
    }
    assert_eq!(agenda.add_item("shopping", "an egg"), Added::Already);
    assert_eq!(agenda.add_item("to-do", "pay the rent"), Added::New);
    drop(agenda);
    let agenda = hands.open(dir.path());
    assert_eq!(agenda.items("shopping").unwrap(), ["Eggs", "oat milk", "milk"]);
    assert_eq!(agenda.remove_item("shopping", "milk"), Removed::Gone("milk".into()));
    assert_eq!(agenda.remove_item("shopping", "the egg"), Removed::Gone("Eggs".into()));
    assert_eq!(agenda.remove_item("shopping", "bread"), Removed::Unknown);
    assert_eq!(agenda.clear_list("shopping"), 1);
    assert_eq!(agenda.list_names(), ["to-do"]);
    for i in 0..200 {
        assert_eq!(agenda.add_item("shopping", &format!("thing {i}")), Added::New);
    }
    assert_eq!(agenda.add_item("shopping", "one more"), Added::Full(200));
    for i in 0..18 {
        assert_eq!(agenda.add_item(&format!("list {i}"), "x"), Added::New);
    }
    assert_eq!(agenda.add_item("too many", "x"), Added::TooManyLists(20));
    assert_eq!(agenda.clear_list("all"), 219);
}

#[test]
fn timers_of_before_the_store_are_taken_over_once() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let old = dir.path().join("timers.json");
    let due = hands.clock().wall().as_millisecond() + 300_000;
    let json = format!(r#"[{{"label":"pasta","total_s":600,"due_unix_ms":{due}}},{{"total_s":60,"due_unix_ms":1}}]"#);
    std::fs::write(&old, &json).unwrap();
    let agenda = hands.open(dir.path());
    let timers = agenda.timers(Some("pasta"));
    assert_eq!((timers[0].remaining_s, timers[0].total_s), (300, 600));
    assert!(!old.exists() && dir.path().join("timers.json.old").exists());
    assert_eq!(agenda.take_due(), Due::default(), "one was from another age");
    // A crash before the renaming doubles nothing.
    std::fs::write(&old, json).unwrap();
    hands.pass(10);
    drop(agenda);
    assert_eq!(hands.open(dir.path()).timers(Some("pasta")).len(), 1);
    std::fs::write(&old, b"{not json").unwrap();
    assert_eq!(hands.open(dir.path()).timers(Some("pasta")).len(), 1);
    assert!(dir.path().join("timers.json.bad").exists());
}

#[test]
fn a_damaged_store_is_put_aside_and_a_newer_one_refused() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    let file = dir.path().join(FILE);
    std::fs::write(&file, b"no database at all, but long enough to be looked at".repeat(20)).unwrap();
    let agenda = hands.open(dir.path());
    assert!(agenda.is_saved());
    agenda.set_timer(60, None).unwrap();
    drop(agenda);
    assert!(dir.path().join("agenda.sqlite.bad").exists());
    assert_eq!(hands.open(dir.path()).timers(None).len(), 1);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let e = Agenda::open(Some(dir.path()), hands.clock(), berlin(), false).err().unwrap();
    assert!(e.kind() == Kind::Unsupported && e.to_string().contains(FILE) && e.remedy_text().is_some(), "{e:?}");
}

#[test]
fn what_cannot_be_written_down_works_and_says_so() {
    let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
    // Nobody, not even root, can make a folder of a file.
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let agenda = hands.open(&file);
    agenda.set_timer(60, None).unwrap();
    assert!(!agenda.is_saved() && agenda.timers(None).len() == 1);
    let nowhere = Agenda::open(None, hands.clock(), berlin(), false).unwrap();
    nowhere.set_timer(60, None).unwrap();
    assert!(nowhere.is_saved(), "none was to be kept");
    // What another program kept from being written is written with the next change.
    let agenda = hands.open(dir.path());
    let other = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    other.execute_batch("CREATE TRIGGER no BEFORE INSERT ON timer BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    agenda.set_timer(60, None).unwrap();
    assert!(!agenda.is_saved());
    other.execute_batch("DROP TRIGGER no").unwrap();
    agenda.set_timer(90, None).unwrap();
    assert!(agenda.is_saved());
    std::mem::forget(agenda);
    assert_eq!(hands.open(dir.path()).timers(None).len(), 2);
}
