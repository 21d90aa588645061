//! Reminders: a text that is said at a time, or kept until it is asked for.

use rusqlite::{Connection, Transaction, params};

use super::deadline::{Deadline, Now, Saved};
use super::names::{is_all, means, plain};
use super::row::{Row, next_id};
use super::{Agenda, At, refused};
use crate::error::Result;

/// Reminders at once; one more is refused in words.
const REMINDERS_MAX: usize = 100;
/// Longest text, in characters.
const TEXT_MAX: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reminder {
    pub(super) id: i64,
    pub(super) text: String,
    /// `None`: it is told when somebody asks.
    pub(super) due: Option<Deadline>,
}

/// A reminder as people are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct Noted {
    pub(in crate::tools) text: String,
    pub(in crate::tools) at: Option<jiff::Timestamp>,
}

/// What a cancellation did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Dropped {
    /// These are gone.
    Gone(Vec<Noted>),
    /// There is none like that.
    Unknown,
    /// There are several and none was named.
    Which(Vec<Noted>),
}

impl Reminder {
    fn seen(&self, now: Now) -> Noted {
        Noted { text: self.text.clone(), at: self.due.map(|d| d.when(now)) }
    }
}

impl Agenda {
    /// Keeps a reminder; the moment at which it is said.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unsupported`] when there are too many already, or the clock that would tell the time is not
    /// set.
    pub(in crate::tools) fn set_reminder(&self, text: &str, at: Option<At>) -> Result<Option<jiff::Timestamp>> {
        self.change(|kept, now| {
            if kept.reminders.len() >= REMINDERS_MAX {
                return Err(refused(format!("{REMINDERS_MAX} reminders are set already")));
            }
            let due = at.map(|at| at.deadline(now)).transpose()?;
            let id = next_id(&kept.reminders);
            kept.reminders.push(Reminder { id, text: plain(text, TEXT_MAX), due });
            Ok(due.map(|d| d.when(now)))
        })
    }

    /// All reminders, the next first, those without a time last.
    pub(in crate::tools) fn reminders(&self) -> Vec<Noted> {
        self.look(|kept, now| sorted(kept.reminders.iter().map(|r| r.seen(now)).collect()))
    }

    /// Drops the reminders whose text has the words of `text`, all of them for "all", the only one without a text.
    pub(in crate::tools) fn cancel_reminder(&self, text: Option<&str>) -> Dropped {
        let all = text.is_some_and(is_all);
        let idle = ["reminder", "reminders", "to", "about", "me", "remind", "for"];
        let hit = |r: &Reminder| all || text.is_none_or(|t| means(t, &r.text, &idle));
        self.change(|kept, now| {
            let found = sorted(kept.reminders.iter().filter(|r| hit(r)).map(|r| r.seen(now)).collect());
            match found.len() {
                0 => Dropped::Unknown,
                2.. if text.is_none() => Dropped::Which(found),
                _ => {
                    kept.reminders.retain(|r| !hit(r));
                    Dropped::Gone(found)
                }
            }
        })
    }
}

fn sorted(mut reminders: Vec<Noted>) -> Vec<Noted> {
    reminders.sort_by_key(|r| (r.at.is_none(), r.at));
    reminders
}

impl Row for Reminder {
    const DELETE: &'static str = "DELETE FROM reminder WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let saved = self.due.map(|d| d.saved());
        to.execute(
            "INSERT OR REPLACE INTO reminder (id, text, steady_ms, unix_ms, span_ms, timed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                self.id,
                self.text,
                saved.and_then(|s| s.steady_ms),
                saved.and_then(|s| s.unix_ms),
                saved.and_then(|s| s.span_ms),
                saved.is_some(),
            ],
        )?;
        Ok(())
    }
}

/// What the file has. A time that makes no sense is none: the text is worth keeping.
pub(super) fn load(from: &Connection) -> rusqlite::Result<Vec<Reminder>> {
    let mut query = from.prepare("SELECT id, text, steady_ms, unix_ms, span_ms, timed FROM reminder ORDER BY id")?;
    let rows = query.query_map([], |row| {
        let saved = Saved { steady_ms: row.get(2)?, unix_ms: row.get(3)?, span_ms: row.get(4)? };
        let timed: bool = row.get(5)?;
        let due = if timed { Deadline::from_saved(saved) } else { None };
        Ok(Reminder { id: row.get(0)?, text: row.get(1)?, due })
    })?;
    rows.take(REMINDERS_MAX).collect()
}
