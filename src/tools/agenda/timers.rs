//! Timers: several at once, with names, that can be halted and changed.

use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use super::deadline::{Deadline, Now, Saved};
use super::names::{self, is_all, tidy};
use super::row::{Row, next_id};
use super::{Agenda, Rung, refused};
use crate::error::Result;
use crate::tools::duration;

/// Timers at once; one more is refused in words.
const TIMERS_MAX: usize = 32;
/// Longest name, in characters.
const NAME_MAX: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) id: i64,
    pub(super) label: Option<String>,
    /// What it was set to.
    pub(super) total_s: u64,
    pub(super) count: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Running(Deadline),
    /// With so much left.
    Halted(Duration),
}

/// A timer as its status describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct Running {
    pub(in crate::tools) label: Option<String>,
    pub(in crate::tools) total_s: u64,
    pub(in crate::tools) remaining_s: u64,
    pub(in crate::tools) halted: bool,
}

/// Which timers a request took.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Picked {
    /// These, as they are now.
    These(Vec<Running>),
    /// None answers to it.
    Unknown,
    /// There are several, and none was named.
    Which(Vec<Running>),
}

/// What a cancellation did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Cancelled {
    /// These are gone, or silent now.
    Gone { timers: Vec<Running>, rang: bool },
    /// There is none of that label.
    Unknown,
    /// There are several and no label.
    Which(Vec<Running>),
}

/// What came of adding or taking off time.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Adjusted {
    Picked(Picked),
    /// These rang, and run again for that long.
    Again(Vec<Running>),
    /// It has no more left than that.
    TooMuch(Running),
    /// It would be longer than a timer can be.
    TooLong(Running),
}

impl Running {
    /// "pasta timer", "10 minute timer".
    pub(in crate::tools) fn name(&self) -> String {
        match self.label.as_deref() {
            Some(l) if l.ends_with("timer") => l.to_owned(),
            // "Your check the oven timer" is not English.
            Some(l) if l.split(' ').count() > 3 => format!("timer to {l}"),
            Some(l) => format!("{l} timer"),
            None => {
                let plain = duration::plain(self.total_s);
                match plain.split(' ').collect::<Vec<_>>().as_slice() {
                    [n, unit] => format!("{n} {} timer", unit.trim_end_matches('s')),
                    _ => format!("timer of {}", duration::spoken(self.total_s)),
                }
            }
        }
    }
}

impl Timer {
    pub(super) fn deadline(&self) -> Option<&Deadline> {
        match &self.count {
            Count::Running(deadline) => Some(deadline),
            Count::Halted(_) => None,
        }
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.deadline().is_some_and(|d| d.is_due(now))
    }

    pub(super) fn seen(&self, now: Now) -> Running {
        let (left, halted) = match self.count {
            // While nobody knows the time, nobody knows better.
            Count::Running(d) => (d.left(now).unwrap_or(Duration::from_secs(self.total_s)), false),
            Count::Halted(left) => (left, true),
        };
        // Rounded up: a timer just set has all of its time left.
        let remaining_s = left.as_secs() + u64::from(left.subsec_millis() > 0);
        Running { label: self.label.clone(), total_s: self.total_s, remaining_s, halted }
    }

    /// Whether this is the timer people mean by `label`: its name, give or take a plural, or its duration.
    fn answers_to(&self, label: &str) -> bool {
        let asked = tidy(label, NAME_MAX);
        if duration::parse(asked.trim_end_matches("timer").trim_end()) == Some(self.total_s) {
            return true;
        }
        self.label.as_deref().is_some_and(|mine| names::means(&asked, mine, &["timer", "timers"]))
    }

    fn set_left(&mut self, left: Duration, now: Now) {
        self.count = match self.count {
            Count::Running(_) => Count::Running(Deadline::after(left, now)),
            Count::Halted(_) => Count::Halted(left),
        };
    }
}

impl Agenda {
    /// Starts a timer.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unsupported`] when there are too many already.
    pub(in crate::tools) fn set_timer(&self, seconds: u64, label: Option<&str>) -> Result<()> {
        self.change(|kept, now| {
            if kept.timers.len() >= TIMERS_MAX {
                return Err(refused(format!("{TIMERS_MAX} timers are running already")));
            }
            let count = Count::Running(Deadline::after(Duration::from_secs(seconds), now));
            let id = next_id(&kept.timers);
            kept.timers.push(Timer { id, label: tidied(label), total_s: seconds, count });
            Ok(())
        })
    }

    /// Timers that answer to `label` (all without one), the next to ring first, halted ones last.
    pub(in crate::tools) fn timers(&self, label: Option<&str>) -> Vec<Running> {
        let label = label.filter(|l| !is_all(l));
        self.look(|kept, now| {
            let hit = |t: &&Timer| label.is_none_or(|l| t.answers_to(l));
            sorted(kept.timers.iter().filter(hit).map(|t| t.seen(now)).collect())
        })
    }

    /// Cancels: the ones called `label`, all of them for "all", the only one (or the ringing ones) without a label.
    pub(in crate::tools) fn cancel_timer(&self, label: Option<&str>) -> Cancelled {
        let all = label.is_some_and(is_all);
        let hit = |t: &Timer| all || label.is_none_or(|l| t.answers_to(l));
        self.change(|kept, now| {
            kept.forget_rung(now);
            let rang: Vec<Running> =
                kept.rung_timers.iter().filter(|r| hit(&r.what)).map(|r| r.what.seen(now)).collect();
            if label.is_none() && !rang.is_empty() {
                kept.rung_timers.clear();
                return Cancelled::Gone { timers: rang, rang: true };
            }
            let mut found = sorted(kept.timers.iter().filter(|t| hit(t)).map(|t| t.seen(now)).collect());
            if found.is_empty() && rang.is_empty() {
                return Cancelled::Unknown;
            }
            if label.is_none() && found.len() > 1 {
                return Cancelled::Which(found);
            }
            kept.timers.retain(|t| !hit(t));
            kept.rung_timers.retain(|r| !hit(&r.what));
            let was_ringing = !rang.is_empty();
            found.extend(rang);
            Cancelled::Gone { timers: found, rang: was_ringing }
        })
    }

    /// Halts running timers: the ones called `label`, all for "all", the only one without a label.
    pub(in crate::tools) fn pause_timer(&self, label: Option<&str>) -> Picked {
        self.pick(
            label,
            |t| matches!(t.count, Count::Running(_)),
            |t, now| {
                if let Count::Running(deadline) = t.count {
                    t.count = Count::Halted(deadline.left(now).unwrap_or(Duration::from_secs(t.total_s)));
                }
            },
        )
    }

    /// Lets halted timers go on; which ones, as in [`Agenda::pause_timer`].
    pub(in crate::tools) fn resume_timer(&self, label: Option<&str>) -> Picked {
        self.pick(
            label,
            |t| matches!(t.count, Count::Halted(_)),
            |t, now| {
                if let Count::Halted(left) = t.count {
                    t.count = Count::Running(Deadline::after(left, now));
                }
            },
        )
    }

    /// Sets what a timer has left; which one, as in [`Agenda::pause_timer`].
    pub(in crate::tools) fn change_timer(&self, label: Option<&str>, seconds: u64) -> Picked {
        self.pick(
            label,
            |_| true,
            |t, now| {
                t.total_s = seconds;
                t.set_left(Duration::from_secs(seconds), now);
            },
        )
    }

    /// Names a timer; which one, as in [`Agenda::pause_timer`].
    pub(in crate::tools) fn name_timer(&self, label: Option<&str>, name: &str) -> Picked {
        self.pick(label, |_| true, |t, _| t.label = tidied(Some(name)))
    }

    /// Adds `by_s` seconds to what a timer has left, or takes them off; which one, as in [`Agenda::pause_timer`].
    /// Where it would not be possible for one of several, none is changed. More time for one that rings lets it run again.
    pub(in crate::tools) fn adjust_timer(&self, label: Option<&str>, by_s: i64) -> Adjusted {
        let by = Duration::from_secs(by_s.unsigned_abs());
        let longest = Duration::from_secs(duration::MAX_S);
        let left = |t: &Timer, now: Now| match t.count {
            Count::Running(d) => d.left(now).unwrap_or(Duration::from_secs(t.total_s)),
            Count::Halted(left) => left,
        };
        self.change(|kept, now| {
            kept.forget_rung(now);
            let rings = |r: &mut Rung<Timer>| label.is_none_or(|l| r.what.answers_to(l));
            let rung: Vec<_> = if by_s > 0 { kept.rung_timers.extract_if(.., rings).collect() } else { Vec::new() };
            if !rung.is_empty() {
                let mut again = Vec::new();
                for r in rung {
                    let count = Count::Running(Deadline::after(by, now));
                    let timer = Timer { id: next_id(&kept.timers), count, ..r.what };
                    again.push(timer.seen(now));
                    kept.timers.push(timer);
                }
                return Adjusted::Again(again);
            }
            match choose(&kept.timers, label, |_| true, now) {
                Err(picked) => Adjusted::Picked(picked),
                Ok(ids) => {
                    for t in kept.timers.iter().filter(|t| ids.contains(&t.id)) {
                        if by_s < 0 && left(t, now) <= by {
                            return Adjusted::TooMuch(t.seen(now));
                        }
                        if by_s > 0 && left(t, now) + by > longest {
                            return Adjusted::TooLong(t.seen(now));
                        }
                    }
                    let mut changed = Vec::new();
                    for t in kept.timers.iter_mut().filter(|t| ids.contains(&t.id)) {
                        let left = left(t, now);
                        t.set_left(if by_s < 0 { left.saturating_sub(by) } else { left + by }, now);
                        changed.push(t.seen(now));
                    }
                    Adjusted::Picked(Picked::These(sorted(changed)))
                }
            }
        })
    }

    fn pick(&self, label: Option<&str>, fits: fn(&Timer) -> bool, work: impl Fn(&mut Timer, Now)) -> Picked {
        self.change(|kept, now| match choose(&kept.timers, label, fits, now) {
            Err(picked) => picked,
            Ok(ids) => {
                let mut taken = Vec::new();
                for t in kept.timers.iter_mut().filter(|t| ids.contains(&t.id)) {
                    work(t, now);
                    taken.push(t.seen(now));
                }
                Picked::These(sorted(taken))
            }
        })
    }
}

/// The ids of the timers that `label` means among those that fit.
fn choose(timers: &[Timer], label: Option<&str>, fits: fn(&Timer) -> bool, now: Now) -> Result<Vec<i64>, Picked> {
    let all = label.is_some_and(is_all);
    let found: Vec<&Timer> =
        timers.iter().filter(|t| fits(t) && (all || label.is_none_or(|l| t.answers_to(l)))).collect();
    match found.as_slice() {
        [] => Err(Picked::Unknown),
        [_, _, ..] if label.is_none() => Err(Picked::Which(sorted(found.iter().map(|t| t.seen(now)).collect()))),
        found => Ok(found.iter().map(|t| t.id).collect()),
    }
}

fn sorted(mut timers: Vec<Running>) -> Vec<Running> {
    timers.sort_by_key(|r| (r.halted, r.remaining_s));
    timers
}

fn tidied(label: Option<&str>) -> Option<String> {
    label.map(|l| tidy(l, NAME_MAX)).filter(|l| !l.is_empty())
}

impl Row for Timer {
    const DELETE: &'static str = "DELETE FROM timer WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let (saved, halted_ms) = match self.count {
            Count::Running(deadline) => (deadline.saved(), None),
            Count::Halted(left) => {
                let none = Saved { steady_ms: None, unix_ms: None, span_ms: None };
                (none, Some(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)))
            }
        };
        to.execute(
            "INSERT OR REPLACE INTO timer (id, label, total_s, steady_ms, unix_ms, span_ms, halted_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![self.id, self.label, self.total_s as i64, saved.steady_ms, saved.unix_ms, saved.span_ms, halted_ms],
        )?;
        Ok(())
    }
}

/// What the file has. A row that makes no sense is left out.
pub(super) fn load(from: &Connection) -> rusqlite::Result<Vec<Timer>> {
    let mut query =
        from.prepare("SELECT id, label, total_s, steady_ms, unix_ms, span_ms, halted_ms FROM timer ORDER BY id")?;
    let rows = query.query_map([], |row| {
        let saved = Saved { steady_ms: row.get(3)?, unix_ms: row.get(4)?, span_ms: row.get(5)? };
        let halted: Option<i64> = row.get(6)?;
        let count = match halted {
            Some(ms) => u64::try_from(ms).ok().map(|ms| Count::Halted(Duration::from_millis(ms))),
            None => Deadline::from_saved(saved).map(Count::Running),
        };
        let total_s: i64 = row.get(2)?;
        let total_s = u64::try_from(total_s).ok().filter(|s| (1..=duration::MAX_S).contains(s));
        let (id, label) = (row.get(0)?, row.get(1)?);
        Ok(total_s.zip(count).map(|(total_s, count)| Timer { id, label, total_s, count }))
    })?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().take(TIMERS_MAX).collect())
}
