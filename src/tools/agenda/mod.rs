//! What the agent keeps for people: timers, alarms, reminders, commands for later, and lists, in one store
//! (`STATE/agenda.sqlite`).
//!
//! Everything is held in memory and written row by row when it changes; an answer is given only after that is on the disk.
//! What cannot be written still works and is written with the next change that can be; until then the answers say so.
//! Timers, and whatever else is due after a while, count on the steady clock, over restarts too; over a reboot, the wall
//! clock bridges. What is due at a time of day goes by the wall clock and the zone, and only while that clock is set.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use crate::error::{Error, Kind, Result};
use crate::store::Database;
use crate::tools::clock::Clock;

mod alarms;
mod days;
mod deadline;
mod due;
mod legacy;
mod listed;
mod lists;
mod names;
#[cfg(test)]
mod properties;
mod reminders;
mod row;
mod schedule;
#[cfg(test)]
mod tests;
mod timers;

pub(in crate::tools) use alarms::{Alarm, AlarmsGone, On};
pub(in crate::tools) use days::Days;
pub(in crate::tools) use due::clock as clock_words;
pub use due::{Due, DueCommand, Ring};
pub use listed::Entry;
pub(in crate::tools) use lists::{Added, Removed, list_name};
pub(in crate::tools) use names::is_all;
pub(in crate::tools) use reminders::{Dropped, Noted};
pub(in crate::tools) use schedule::{Planned, Unplanned};
pub(in crate::tools) use timers::{Adjusted, Cancelled, Picked, Running};

use deadline::{Deadline, Now};
use row::write_changes;

/// The store's name in the state folder.
const FILE: &str = "agenda.sqlite";

/// How a file of each version becomes one of the next.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE boot (id TEXT NOT NULL) STRICT;
    CREATE TABLE timer (
        id INTEGER PRIMARY KEY, label TEXT, total_s INTEGER NOT NULL,
        steady_ms INTEGER, unix_ms INTEGER, span_ms INTEGER, halted_ms INTEGER
    ) STRICT;
    CREATE TABLE alarm (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, date TEXT, days INTEGER,
        next_unix_ms INTEGER, snoozed_unix_ms INTEGER
    ) STRICT;
    CREATE TABLE reminder (
        id INTEGER PRIMARY KEY, text TEXT NOT NULL, timed INTEGER NOT NULL,
        steady_ms INTEGER, unix_ms INTEGER, span_ms INTEGER
    ) STRICT;
    CREATE TABLE command (
        id INTEGER PRIMARY KEY, tool TEXT NOT NULL, parameters TEXT NOT NULL, told TEXT NOT NULL,
        steady_ms INTEGER, unix_ms INTEGER, span_ms INTEGER
    ) STRICT;
    CREATE TABLE list (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY, list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE, text TEXT NOT NULL
    ) STRICT;
"];

/// Longest wait until somebody looks again whether something is due: the wall clock may be set meanwhile, and no wait
/// goes on while the machine is suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long what rang counts as ringing, for "cancel the timer".
const RINGS_FOR: Duration = Duration::from_secs(120);
/// How long after it rang an alarm can be snoozed.
const SNOOZE_WITHIN: Duration = Duration::from_secs(600);

/// All that is kept. Shared by the thread that runs tools and the one that waits for deadlines.
pub struct Agenda {
    clock: Clock,
    zone: TimeZone,
    clock_24h: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    database: Database,
    kept: Kept,
    /// What the database holds.
    saved: Kept,
    /// Whether the next start will find what is kept now, as far as it should.
    is_saved: bool,
    /// Should be kept, but only memory is there for it.
    is_homeless: bool,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    timers: Vec<timers::Timer>,
    alarms: Vec<Alarm>,
    reminders: Vec<reminders::Reminder>,
    commands: Vec<schedule::Command>,
    lists: Vec<lists::List>,
    items: Vec<lists::Item>,
    /// What the steady deadlines count from; empty where nobody can tell.
    boot: String,
    // What follows is not written.
    /// When the store was opened: what was due then was missed.
    opened: Option<Now>,
    rung_timers: Vec<Rung<timers::Timer>>,
    rung_alarms: Vec<Rung<Alarm>>,
    /// Alarms that were silenced, or gave up.
    silent_alarms: Vec<Rung<Alarm>>,
}

/// Something that rang, and when on the steady clock.
#[derive(Debug, Clone)]
struct Rung<T> {
    what: T,
    at: Duration,
}

/// When a command or a reminder is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) enum At {
    /// After so many seconds.
    In(u64),
    /// At a time of the wall clock.
    Wall(Timestamp),
}

impl At {
    /// # Errors
    /// [`Kind::Unsupported`] when that time is over, or the clock is not set.
    fn deadline(self, now: Now) -> Result<Deadline> {
        match self {
            Self::In(seconds) => Ok(Deadline::after(Duration::from_secs(seconds), now)),
            Self::Wall(_) if !now.is_set() => Err(refused("the clock is not set".to_owned())),
            Self::Wall(at) if at <= now.wall => Err(refused("that time is over".to_owned())),
            Self::Wall(at) => Ok(Deadline::Wall(at)),
        }
    }
}

fn refused(why: String) -> Error {
    Error::new(Kind::Unsupported, why)
}

impl Agenda {
    /// What is kept in `state_dir`; without one, nothing outlives the process. A damaged file is moved aside with a
    /// warning, and one that cannot be opened is done without.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when a newer tercet wrote the file.
    pub(super) fn open(state_dir: Option<&Path>, clock: Clock, zone: TimeZone, clock_24h: bool) -> Result<Self> {
        let opened = match state_dir {
            None => None,
            Some(folder) => match open_file(folder) {
                Ok(opened) => Some(opened),
                Err(e) if e.kind() == Kind::Unsupported => return Err(e),
                Err(e) => {
                    tracing::warn!(error = %e, "timers, alarms, reminders and lists cannot be kept: a restart will lose them");
                    None
                }
            },
        };
        let is_homeless = state_dir.is_some() && opened.is_none();
        let (database, saved) = match opened {
            Some(opened) => opened,
            None => (Database::in_memory(MIGRATIONS)?, Kept::default()),
        };
        let now = Now::of(&clock);
        let mut kept = saved.clone();
        kept.boot = clock.boot().unwrap_or_default().to_owned();
        if kept.boot.is_empty() || kept.boot != saved.boot {
            kept.each_deadline(|d| *d = d.after_reboot(now));
        }
        for alarm in kept.alarms.iter_mut().filter(|_| now.is_set()) {
            alarm.move_to(&zone, now);
        }
        let inner = Inner { database, kept, saved, is_saved: true, is_homeless };
        let agenda = Self { clock, zone, clock_24h, inner: Mutex::new(inner) };
        if let Some(folder) = state_dir.filter(|_| !is_homeless) {
            legacy::take_over(&agenda, folder);
        }
        agenda.change(|kept, now| kept.opened = Some(now));
        Ok(agenda)
    }

    /// How long until somebody has to ask [`Agenda::take_due`]; `None` where nothing waits.
    pub fn next_due_in(&self) -> Option<Duration> {
        self.look(|kept, now| {
            let mut any = !kept.alarms.is_empty();
            let alarms = kept.alarms.iter().filter(|_| now.is_set()).filter_map(Alarm::due);
            let mut soonest = alarms.map(|at| Deadline::Wall(at).left(now).unwrap_or(LOOK_AGAIN)).min();
            for deadline in kept.deadlines() {
                any = true;
                soonest = soonest.into_iter().chain(deadline.left(now)).min();
            }
            any.then(|| soonest.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN))
        })
    }

    /// Takes what is due now. It will not be given again, by no later process either.
    pub fn take_due(&self) -> Due {
        self.change(|kept, now| due::take(kept, now, &self.zone, self.clock_24h))
    }

    /// The ringing was heard or given up: "cancel the timer" means the running ones again.
    pub fn stop_ringing(&self) {
        self.change(|kept, _| {
            kept.rung_timers.clear();
            let rung = std::mem::take(&mut kept.rung_alarms);
            kept.silent_alarms.extend(rung);
        });
    }

    /// Whether the wall clock shows a time that can be one.
    pub(in crate::tools) fn clock_is_set(&self) -> bool {
        Now::of(&self.clock).is_set()
    }

    /// Whether what is kept now would outlive a restart, or need not.
    pub(in crate::tools) fn is_saved(&self) -> bool {
        let inner = self.lock();
        inner.is_saved && !inner.is_homeless
    }

    fn look<R>(&self, work: impl FnOnce(&Kept, Now) -> R) -> R {
        let now = Now::of(&self.clock);
        work(&self.lock().kept, now)
    }

    /// Makes a change and writes it down.
    fn change<R>(&self, work: impl FnOnce(&mut Kept, Now) -> R) -> R {
        let now = Now::of(&self.clock);
        let mut inner = self.lock();
        inner.kept.each_deadline(|d| *d = d.kept_right(now));
        let done = work(&mut inner.kept, now);
        inner.save();
        done
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here panics while it holds the lock; a poisoned lock still holds sound data.
        self.inner.lock().unwrap_or_else(|p| p.into_inner())
    }
}

impl Inner {
    fn save(&mut self) {
        let Self { database, kept, saved, .. } = self;
        if kept.rows() == saved.rows() {
            self.is_saved = true;
            return;
        }
        let written = database.change(|to| {
            write_changes(to, &saved.timers, &kept.timers)?;
            write_changes(to, &saved.alarms, &kept.alarms)?;
            write_changes(to, &saved.reminders, &kept.reminders)?;
            write_changes(to, &saved.commands, &kept.commands)?;
            write_changes(to, &saved.lists, &kept.lists)?;
            write_changes(to, &saved.items, &kept.items)?;
            if saved.boot != kept.boot {
                to.execute("DELETE FROM boot", [])?;
                to.execute("INSERT INTO boot (id) VALUES (?1)", [&kept.boot])?;
            }
            Ok(())
        });
        match written {
            Ok(()) => {
                *saved = kept.clone();
                self.is_saved = true;
            }
            Err(e) => {
                if self.is_saved {
                    tracing::warn!(error = %e, "what was asked for could not be saved: a restart would lose it");
                }
                self.is_saved = false;
            }
        }
    }
}

impl Kept {
    /// What is written.
    #[allow(clippy::type_complexity)] // it is only compared
    fn rows(
        &self,
    ) -> (&[timers::Timer], &[Alarm], &[reminders::Reminder], &[schedule::Command], &[lists::List], &[lists::Item], &str)
    {
        (&self.timers, &self.alarms, &self.reminders, &self.commands, &self.lists, &self.items, &self.boot)
    }

    fn deadlines(&self) -> impl Iterator<Item = &Deadline> {
        let timers = self.timers.iter().filter_map(timers::Timer::deadline);
        let reminders = self.reminders.iter().filter_map(|r| r.due.as_ref());
        timers.chain(reminders).chain(self.commands.iter().map(|c| &c.due))
    }

    fn each_deadline(&mut self, work: impl Fn(&mut Deadline)) {
        for timer in &mut self.timers {
            if let timers::Count::Running(deadline) = &mut timer.count {
                work(deadline);
            }
        }
        self.reminders.iter_mut().filter_map(|r| r.due.as_mut()).for_each(&work);
        self.commands.iter_mut().for_each(|c| work(&mut c.due));
    }

    /// Forgets what rang too long ago.
    fn forget_rung(&mut self, now: Now) {
        let rings = |at: Duration| now.steady < at + RINGS_FOR;
        self.rung_timers.retain(|r| rings(r.at));
        let gave_up = self.rung_alarms.extract_if(.., |r| !rings(r.at));
        self.silent_alarms.extend(gave_up);
        self.silent_alarms.retain(|r| now.steady < r.at + SNOOZE_WITHIN);
    }
}

fn open_file(folder: &Path) -> Result<(Database, Kept)> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    Database::open(&folder.join(FILE), MIGRATIONS, load)
}

fn load(from: &Connection) -> rusqlite::Result<Kept> {
    let mut query = from.prepare("SELECT id FROM boot")?;
    let boot = query.query_map([], |row| row.get(0))?.next().transpose()?.unwrap_or_default();
    let (lists, items) = lists::load(from)?;
    Ok(Kept {
        timers: timers::load(from)?,
        alarms: alarms::load(from)?,
        reminders: reminders::load(from)?,
        commands: schedule::load(from)?,
        lists,
        items,
        boot,
        ..Kept::default()
    })
}
