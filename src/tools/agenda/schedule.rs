//! Commands that are to run later.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::deadline::{Deadline, Now, Saved};
use super::names::{is_all, means, plain, tidy};
use super::row::{Row, next_id};
use super::{Agenda, At, refused};
use crate::error::Result;
use crate::schema::ToolCall;

/// Commands at once; one more is refused in words.
const COMMANDS_MAX: usize = 64;
/// Longest description, in characters.
const TOLD_MAX: usize = 300;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) id: i64,
    pub(super) call: ToolCall,
    /// "kitchen light off".
    pub(super) told: String,
    pub(super) due: Deadline,
}

/// A command that is to run later, as people are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct Planned {
    pub(in crate::tools) told: String,
    pub(in crate::tools) at: Timestamp,
}

/// What a cancellation did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Unplanned {
    /// These are gone.
    Gone(Vec<Planned>),
    /// There is none like that.
    Unknown,
    /// There are several and none was named.
    Which(Vec<Planned>),
}

impl Command {
    fn seen(&self, now: Now) -> Planned {
        Planned { told: self.told.clone(), at: self.due.when(now) }
    }
}

impl Agenda {
    /// Keeps a call to be made later; its number, and the moment at which it is made. `told`: "kitchen light off", as it is told back.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unsupported`] when there are too many already, the time is over, or the clock that would
    /// tell it is not set.
    pub(in crate::tools) fn schedule(&self, call: &ToolCall, told: &str, at: At) -> Result<(i64, Timestamp)> {
        self.change(|kept, now| {
            if kept.commands.len() >= COMMANDS_MAX {
                return Err(refused(format!("{COMMANDS_MAX} commands are waiting already")));
            }
            let due = at.deadline(now)?;
            // Ids only grow, as long as any is left: the last is the one that was asked for last.
            let id = next_id(&kept.commands);
            kept.commands.push(Command { id, call: call.clone(), told: plain(told, TOLD_MAX), due });
            Ok((id, due.when(now)))
        })
    }

    /// All commands that are to run later, the next first.
    pub(in crate::tools) fn scheduled(&self) -> Vec<Planned> {
        self.look(|kept, now| sorted(kept.commands.iter().map(|c| c.seen(now)).collect()))
    }

    /// Drops the command of that number; `None` where it waits no more.
    pub(in crate::tools) fn unschedule(&self, id: i64) -> Option<Planned> {
        self.change(|kept, now| {
            let at = kept.commands.iter().position(|c| c.id == id)?;
            Some(kept.commands.remove(at).seen(now))
        })
    }

    /// Drops commands: those described by the words of `which`, all for "all", the last one for "that" or "last", the
    /// only one without a word.
    pub(in crate::tools) fn cancel_scheduled(&self, which: Option<&str>) -> Unplanned {
        let asked = which.map(|w| tidy(w, TOLD_MAX));
        let asked = asked.as_deref();
        self.change(|kept, now| {
            let last = kept.commands.iter().map(|c| c.id).max();
            let idle = ["command", "commands", "scheduled", "turning", "turn", "switch", "that", "this", "one"];
            let hit = |c: &Command| match asked {
                None => true,
                Some(all) if is_all(all) => true,
                Some("that" | "this" | "it" | "last" | "the last" | "the last one" | "that one") => Some(c.id) == last,
                Some(words) => means(words, &c.told, &idle),
            };
            let found = sorted(kept.commands.iter().filter(|c| hit(c)).map(|c| c.seen(now)).collect());
            match found.len() {
                0 => Unplanned::Unknown,
                2.. if asked.is_none() => Unplanned::Which(found),
                _ => {
                    kept.commands.retain(|c| !hit(c));
                    Unplanned::Gone(found)
                }
            }
        })
    }
}

fn sorted(mut commands: Vec<Planned>) -> Vec<Planned> {
    commands.sort_by_key(|c| c.at);
    commands
}

impl Row for Command {
    const DELETE: &'static str = "DELETE FROM command WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let saved = self.due.saved();
        let parameters = serde_json::Value::Object(self.call.parameters.clone()).to_string();
        to.execute(
            "INSERT OR REPLACE INTO command (id, tool, parameters, told, steady_ms, unix_ms, span_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![self.id, self.call.name, parameters, self.told, saved.steady_ms, saved.unix_ms, saved.span_ms],
        )?;
        Ok(())
    }
}

/// What the file has. A row that makes no sense is left out: it must not become another command.
pub(super) fn load(from: &Connection) -> rusqlite::Result<Vec<Command>> {
    let mut query =
        from.prepare("SELECT id, tool, parameters, told, steady_ms, unix_ms, span_ms FROM command ORDER BY id")?;
    let rows = query.query_map([], |row| {
        let saved = Saved { steady_ms: row.get(4)?, unix_ms: row.get(5)?, span_ms: row.get(6)? };
        let parameters: String = row.get(2)?;
        let (id, name, told) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let parsed = serde_json::from_str(&parameters).ok().zip(Deadline::from_saved(saved));
        Ok(parsed.map(|(parameters, due)| Command { id, call: ToolCall { name, parameters }, told, due }))
    })?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().take(COMMANDS_MAX).collect())
}
