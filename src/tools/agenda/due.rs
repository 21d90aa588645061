//! What is due, what was missed, and the sentences for both.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::alarms::Alarm;
use super::deadline::{Deadline, Now};
use super::timers::{Count, Timer};
use super::{Kept, Rung};
use crate::schema::ToolCall;
use crate::tools::listed;
use crate::tools::text::capitalized;

/// A command that is later than this is not run any more: nobody expects the light to change hours after.
const COMMAND_LATE: Duration = Duration::from_secs(120);
/// What is later than this was missed, whether or not the process was running: the machine slept, or its clock was set.
const LATE: Duration = Duration::from_secs(120);
/// Missed timers and alarms still ring if they are no later than this; after that they are only told.
const RINGS_LATE: Duration = Duration::from_secs(600);
/// A timer that ran out longer ago than this is not told any more.
const STALE: Duration = Duration::from_secs(12 * 3600);
/// Things named in one sentence; of more, the last is "and five more".
const NAMED_MAX: usize = 4;

/// What is due.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Due {
    /// To ring with until somebody answers.
    pub ring: Option<Ring>,
    /// To say once.
    pub announcements: Vec<String>,
    /// To run.
    pub commands: Vec<DueCommand>,
}

/// A ring and what is said with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    pub text: String,
    /// Whether it must be heard although the loudspeaker is muted.
    pub alarm: bool,
}

/// A call whose time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct DueCommand {
    pub call: ToolCall,
    /// "kitchen light off".
    pub told: String,
}

/// What was missed, as parts of one sentence.
#[derive(Default)]
struct Missed {
    timers: Vec<String>,
    alarms: Vec<String>,
    reminders: Vec<String>,
    commands: Vec<String>,
    /// Whether to ring for it, and whether as an alarm.
    ring: Option<bool>,
}

pub(super) fn take(kept: &mut Kept, now: Now, zone: &TimeZone, clock_24h: bool) -> Due {
    kept.forget_rung(now);
    let mut due = Due::default();
    let mut missed = Missed::default();
    let done = timers(kept, now, &mut missed);
    let rung = alarms(kept, now, zone, clock_24h, &mut missed);
    reminders(kept, now, &mut due, &mut missed);
    commands(kept, now, &mut due, &mut missed);

    let alarm = !rung.is_empty() || missed.ring == Some(true);
    let ring_missed = missed.ring.is_some();
    let told = missed.sentence();
    let done = sentence(&done, "is done", "are done");
    let rung = (!rung.is_empty()).then(|| format!("This is {}.", listed(&rung)));
    let (with_ring, alone) = if ring_missed { (told, None) } else { (None, told) };
    let text = [with_ring, done, rung].into_iter().flatten().collect::<Vec<_>>().join(" ");
    due.ring = (!text.is_empty()).then_some(Ring { text, alarm });
    // What was missed comes first.
    due.announcements.splice(0..0, alone);
    due
}

/// The names of the timers that ran out just now.
fn timers(kept: &mut Kept, now: Now, missed: &mut Missed) -> Vec<String> {
    let mut out: Vec<(Timer, Deadline)> = Vec::new();
    kept.timers.retain(|t| match t.count {
        Count::Running(deadline) if t.is_due(now) => {
            out.push((t.clone(), deadline));
            false
        }
        _ => true,
    });
    out.sort_by_key(|(_, d)| std::cmp::Reverse(d.late(now)));
    let mut done = Vec::new();
    for (timer, deadline) in out {
        let late = deadline.late(now);
        if late > STALE {
            tracing::info!("a timer ran out too long ago to ring for it now");
            continue;
        }
        let name = format!("your {}", timer.seen(now).name());
        kept.rung_timers.push(Rung { what: timer, at: now.steady });
        if late > LATE || kept.was_due_at_open(&deadline) {
            missed.ring_if(late, false);
            missed.timers.push(name);
        } else {
            done.push(name);
        }
    }
    done
}

/// The names of the alarms whose time is now.
fn alarms(kept: &mut Kept, now: Now, zone: &TimeZone, clock_24h: bool, missed: &mut Missed) -> Vec<String> {
    if !now.is_set() {
        return Vec::new();
    }
    let mut out: Vec<(Alarm, Timestamp)> = Vec::new();
    kept.alarms = std::mem::take(&mut kept.alarms)
        .into_iter()
        .filter_map(|alarm| match alarm.due() {
            Some(at) if at <= now.wall => {
                let left = alarm.after_ringing(now, zone);
                out.push((alarm, at));
                left
            }
            _ => Some(alarm),
        })
        .collect();
    out.sort_by_key(|(_, at)| *at);
    let mut rung = Vec::new();
    for (alarm, at) in out {
        let deadline = Deadline::Wall(at);
        let late = deadline.late(now);
        let name = format!("your {} alarm", clock(alarm.time, clock_24h));
        let is_missed = late > LATE || kept.was_due_at_open(&deadline);
        if late <= RINGS_LATE {
            kept.rung_alarms.push(Rung { what: alarm, at: now.steady });
        }
        if is_missed {
            missed.ring_if(late, true);
            missed.alarms.push(name);
        } else {
            rung.push(name);
        }
    }
    // Two of one time are one to the ear.
    rung.dedup();
    missed.alarms.dedup();
    rung
}

fn reminders(kept: &mut Kept, now: Now, due: &mut Due, missed: &mut Missed) {
    let opened = kept.opened;
    kept.reminders.retain(|r| match r.due {
        Some(deadline) if deadline.is_due(now) => {
            if deadline.late(now) > LATE || was_due(&deadline, opened) {
                missed.reminders.push(r.text.clone());
            } else {
                due.announcements.push(format!("Reminder: {}", ended(&r.text)));
            }
            false
        }
        _ => true,
    });
}

fn commands(kept: &mut Kept, now: Now, due: &mut Due, missed: &mut Missed) {
    let mut out = Vec::new();
    kept.commands.retain(|c| {
        let is_due = c.due.is_due(now);
        if is_due {
            out.push(c.clone());
        }
        !is_due
    });
    out.sort_by_key(|c| (c.due.when(now), c.id));
    for command in out {
        if command.due.late(now) > COMMAND_LATE {
            missed.commands.push(command.told);
        } else {
            due.commands.push(DueCommand { call: command.call, told: command.told });
        }
    }
}

impl Kept {
    /// Whether it was due before anybody could look.
    fn was_due_at_open(&self, deadline: &Deadline) -> bool {
        was_due(deadline, self.opened)
    }
}

fn was_due(deadline: &Deadline, opened: Option<Now>) -> bool {
    opened.is_some_and(|then| deadline.is_due(then))
}

impl Missed {
    fn ring_if(&mut self, late: Duration, alarm: bool) {
        if late <= RINGS_LATE {
            self.ring = Some(alarm || self.ring == Some(true));
        }
    }

    /// "While I was off, your egg timer ran out and 2 reminders came up: call mom, buy milk."
    fn sentence(self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.timers.is_empty() {
            parts.push(format!("{} ran out", listed(&few(&self.timers))));
        }
        match self.alarms.as_slice() {
            [] => {}
            [one] => parts.push(format!("{one} was due")),
            more => parts.push(format!("{} were due", listed(&few(more)))),
        }
        if !self.commands.is_empty() {
            parts.push(format!("I could not do this: {}", few(&self.commands).join(", ")));
        }
        if !self.reminders.is_empty() {
            parts.push(format!("I could not remind you: {}", few(&self.reminders).join(", ")));
        }
        (!parts.is_empty()).then(|| format!("While I was off, {}", ended(&listed(&parts))))
    }
}

/// "Your egg timer is done.", "Your egg timer and your tea timer are done."
fn sentence(names: &[String], one: &str, many: &str) -> Option<String> {
    match names {
        [] => None,
        [name] => Some(format!("{} {one}.", capitalized(name))),
        all => Some(format!("{} {many}.", capitalized(&listed(&few(all))))),
    }
}

/// The first few, and how many more.
fn few(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    if names.len() > NAMED_MAX {
        let more = names.len() - NAMED_MAX + 1;
        names.truncate(NAMED_MAX - 1);
        names.push(format!("{more} more"));
    }
    names
}

/// With a full stop where there is no end yet.
fn ended(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// "6:30 AM", "7 PM", "19:52".
pub(in crate::tools) fn clock(time: jiff::civil::Time, clock_24h: bool) -> String {
    if clock_24h {
        return time.strftime("%H:%M").to_string();
    }
    let hour = if time.hour() % 12 == 0 { 12 } else { time.hour() % 12 };
    let half = if time.hour() < 12 { "AM" } else { "PM" };
    match time.minute() {
        0 => format!("{hour} {half}"),
        minute => format!("{hour}:{minute:02} {half}"),
    }
}
