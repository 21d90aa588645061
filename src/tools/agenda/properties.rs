//! Whatever is done in whatever order, the next process finds what was there.

use jiff::civil::Time;
use proptest::prelude::*;

use super::tests::{Hands, START, berlin, light};
use super::*;

#[derive(Debug, Clone)]
enum Op {
    Timer(u64, Option<u8>),
    Cancel(u8),
    Pause(u8),
    Resume,
    Adjust(u8, i64),
    Rename(u8, u8),
    Alarm(i8, u8),
    CancelAlarm(i8),
    Snooze,
    Remind(Option<u64>),
    CancelReminder(bool),
    Schedule(u64),
    CancelScheduled(bool),
    Add(u8, u8),
    Remove(u8, u8),
    Clear(u8),
    Take,
    Pass(u64),
    SetWall(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (1..7200u64, proptest::option::of(0..4u8)).prop_map(|(s, l)| Op::Timer(s, l)),
        (0..4u8).prop_map(Op::Cancel),
        (0..4u8).prop_map(Op::Pause),
        Just(Op::Resume),
        (0..4u8, -600..600i64).prop_map(|(l, s)| Op::Adjust(l, s)),
        (0..4u8, 0..4u8).prop_map(|(a, b)| Op::Rename(a, b)),
        (0..24i8, 0..128u8).prop_map(|(h, d)| Op::Alarm(h, d)),
        (0..24i8).prop_map(Op::CancelAlarm),
        Just(Op::Snooze),
        proptest::option::of(1..9000u64).prop_map(Op::Remind),
        any::<bool>().prop_map(Op::CancelReminder),
        (1..9000u64).prop_map(Op::Schedule),
        any::<bool>().prop_map(Op::CancelScheduled),
        (0..3u8, 0..9u8).prop_map(|(l, i)| Op::Add(l, i)),
        (0..3u8, 0..9u8).prop_map(|(l, i)| Op::Remove(l, i)),
        (0..3u8).prop_map(Op::Clear),
        Just(Op::Take),
        (0..4000u64).prop_map(Op::Pass),
        (-4000..4000i64).prop_map(Op::SetWall),
    ]
}

fn apply(agenda: &Agenda, hands: &Hands, op: &Op) {
    let name = |n: &u8| format!("name {n}");
    match op {
        Op::Timer(s, label) => drop(agenda.set_timer(*s, label.as_ref().map(name).as_deref())),
        Op::Cancel(l) => drop(agenda.cancel_timer(Some(&name(l)))),
        Op::Pause(l) => drop(agenda.pause_timer(Some(&name(l)))),
        Op::Resume => drop(agenda.resume_timer(Some("all"))),
        Op::Adjust(l, s) => drop(agenda.adjust_timer(Some(&name(l)), *s)),
        Op::Rename(a, b) => drop(agenda.name_timer(Some(&name(a)), &name(b))),
        Op::Alarm(hour, days) => {
            let today = agenda.clock.wall().to_zoned(berlin()).date();
            let on = Days::from_bits(*days).map_or(On::Date(today), On::Days);
            drop(agenda.set_alarm(Time::constant(*hour, 0, 0, 0), on));
        }
        Op::CancelAlarm(hour) => drop(agenda.cancel_alarm(Some(&|a| a.time.hour() == *hour))),
        Op::Snooze => drop(agenda.snooze(Duration::from_secs(540))),
        Op::Remind(s) => drop(agenda.set_reminder("call mom", s.map(At::In))),
        Op::CancelReminder(all) => drop(agenda.cancel_reminder(all.then_some("all"))),
        Op::Schedule(s) => {
            let at = agenda.clock.wall().checked_add(jiff::SignedDuration::from_secs(*s as i64)).unwrap();
            drop(agenda.schedule(&light(), "light off", if s % 2 == 0 { At::In(*s) } else { At::Wall(at) }));
        }
        Op::CancelScheduled(all) => drop(agenda.cancel_scheduled(Some(if *all { "all" } else { "that" }))),
        Op::Add(l, i) => drop(agenda.add_item(&name(l), &name(i))),
        Op::Remove(l, i) => drop(agenda.remove_item(&name(l), &name(i))),
        Op::Clear(l) => drop(agenda.clear_list(&name(l))),
        Op::Take => drop(agenda.take_due()),
        Op::Pass(s) => hands.pass(*s),
        Op::SetWall(s) => hands.set_wall_by(*s),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_restart_at_any_moment_finds_what_was_there(ops in proptest::collection::vec(op(), 1..40)) {
        let (hands, dir) = (Hands::new(START), tempfile::tempdir().unwrap());
        let mut agenda = hands.open(dir.path());
        for op in &ops {
            apply(&agenda, &hands, op);
            prop_assert!(agenda.is_saved());
        }
        // The clock may have been set since the last change, which either process writes down when it notices.
        agenda.stop_ringing();
        let was = agenda.lock().kept.clone();
        let kept_rows = format!("{:?}", was.rows());
        std::mem::forget(agenda);
        agenda = hands.open(dir.path());
        prop_assert_eq!(kept_rows, format!("{:?}", agenda.lock().kept.rows()));
    }
}
