//! Timers of tercet before it had a store: `timers.json`, taken over once.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::Agenda;
use super::deadline::Deadline;
use super::names::tidy;
use super::row::next_id;
use super::timers::{Count, Timer};
use crate::error::Error;
use crate::tools::duration;

const FILE: &str = "timers.json";

#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    label: Option<String>,
    total_s: u64,
    due_unix_ms: i64,
}

/// Takes the timers over and renames the file: to `timers.json.old`, or to `timers.json.bad` where nobody can read it.
pub(super) fn take_over(agenda: &Agenda, folder: &Path) {
    let file = folder.join(FILE);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
        Err(e) => return tracing::warn!(error = %Error::io("read", &file, e), "the saved timers are lost"),
    };
    let aside = match serde_json::from_slice::<Vec<Saved>>(&bytes) {
        Ok(saved) => {
            take(agenda, saved);
            if !agenda.is_saved() {
                // The next start tries again.
                return;
            }
            file.with_extension("json.old")
        }
        Err(e) => {
            tracing::warn!(error = %e, "the saved timers are unreadable; the file is moved aside");
            file.with_extension("json.bad")
        }
    };
    if let Err(e) = std::fs::rename(&file, &aside) {
        tracing::warn!(error = %Error::io("rename", &file, e), "the old file of timers stays");
    }
}

fn take(agenda: &Agenda, saved: Vec<Saved>) {
    agenda.change(|kept, now| {
        for old in saved.into_iter().filter(|s| (1..=duration::MAX_S).contains(&s.total_s)) {
            let Ok(wall) = Timestamp::from_millisecond(old.due_unix_ms) else { continue };
            let span = Duration::from_secs(old.total_s);
            let deadline = Deadline::Waiting { wall, span }.kept_right(now);
            let label = old.label.map(|l| tidy(&l, 60)).filter(|l| !l.is_empty());
            let timer =
                Timer { id: next_id(&kept.timers), label, total_s: old.total_s, count: Count::Running(deadline) };
            // A crash before the renaming must not double them.
            let same = |t: &Timer| {
                let close = t.deadline().is_some_and(|d| {
                    d.when(now).duration_since(deadline.when(now)).abs() < jiff::SignedDuration::from_secs(3)
                });
                t.label == timer.label && t.total_s == timer.total_s && close
            };
            if !kept.timers.iter().any(same) {
                kept.timers.push(timer);
            }
        }
    });
}
