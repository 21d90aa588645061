//! Timers that ring, several at once, and survive a restart.
//!
//! They run on the steady clock, so setting the wall clock neither fires nor delays them; the wall clock only bridges
//! the time the process was not running.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::store::file::write_whole;

use super::clock::Clock;
use super::duration;
use super::listed;

/// Timers at once; one more is refused in words.
const TIMERS_MAX: usize = 32;
/// Timers named in one sentence; of more, the last is "and five more".
const NAMED_MAX: usize = 4;
/// A timer that ran out longer ago than this while the machine was off is not announced any more.
const STALE: SignedDuration = SignedDuration::from_hours(12);
/// How long a timer that rang counts as ringing, for "cancel the timer".
const RINGS_FOR: Duration = Duration::from_secs(120);

/// All running timers. Shared by the thread that runs tools and the one that waits for deadlines.
pub struct Timers {
    clock: Clock,
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    running: Vec<Timer>,
    /// Rang and was not silenced, with its start time.
    ringing: Vec<(Timer, Duration)>,
}

#[derive(Debug, Clone)]
struct Timer {
    label: Option<String>,
    total_s: u64,
    /// On the steady clock.
    due: Duration,
    /// Ran out while the process was not running.
    missed: bool,
}

/// As in the state file.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    total_s: u64,
    /// On the wall clock, since 1970.
    due_unix_ms: i64,
}

/// A timer as its status describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) label: Option<String>,
    pub(super) total_s: u64,
    pub(super) remaining_s: u64,
}

impl Running {
    /// "pasta timer", "10 minute timer".
    pub(super) fn name(&self) -> String {
        name(self.label.as_deref(), self.total_s)
    }
}

/// What a cancellation did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// These are gone, or silent now.
    Gone { timers: Vec<Running>, rang: bool },
    /// There is none of that label.
    Unknown,
    /// There are several and no label.
    Which(Vec<Running>),
}

impl Timers {
    /// Timers kept in `state_dir/timers.json`. A file that cannot be read is moved aside with a warning.
    pub(super) fn open(state_dir: Option<&Path>, clock: Clock) -> Self {
        let file = state_dir.map(|d| d.join("timers.json"));
        let running = file.as_deref().map(|f| load(f, &clock)).unwrap_or_default();
        Self { clock, file, inner: Mutex::new(Inner { running, ringing: Vec::new() }) }
    }

    /// How long until the next timer rings; `None` where none runs.
    pub fn next_due_in(&self) -> Option<Duration> {
        let now = self.clock.steady();
        self.lock().running.iter().map(|t| t.due.saturating_sub(now)).min()
    }

    /// Takes the timers that have run out and announces them in a sentence or two: one for all that ran out while the process was
    /// not running, one for all that do now. `None` where there are none.
    pub fn take_due(&self) -> Option<String> {
        let now = self.clock.steady();
        let mut inner = self.lock();
        let (mut due, rest): (Vec<Timer>, Vec<Timer>) = inner.running.drain(..).partition(|t| t.due <= now);
        inner.running = rest;
        if due.is_empty() {
            return None;
        }
        due.sort_by_key(|t| t.due);
        inner.ringing.extend(due.iter().map(|t| (t.clone(), now)));
        self.save(&inner.running);
        let (missed, done): (Vec<Timer>, Vec<Timer>) = due.into_iter().partition(|t| t.missed);
        let sentences = [missed_sentence(&yours(&missed), missed.len()), done_sentence(&yours(&done))];
        Some(sentences.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// The ringing was heard or given up: "cancel the timer" means the running ones again.
    pub fn stop_ringing(&self) {
        self.lock().ringing.clear();
    }

    /// Starts a timer; false where it should survive a restart but cannot be saved.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when there are too many already.
    pub(super) fn set(&self, seconds: u64, label: Option<&str>) -> Result<bool> {
        let mut inner = self.lock();
        if inner.running.len() >= TIMERS_MAX {
            return Err(Error::new(Kind::Unsupported, format!("{TIMERS_MAX} timers are running already")));
        }
        let label = label.map(tidy_label).filter(|l| !l.is_empty());
        let due = self.clock.steady() + Duration::from_secs(seconds);
        inner.running.push(Timer { label, total_s: seconds, due, missed: false });
        Ok(self.save(&inner.running))
    }

    /// Running timers that answer to `label` (all without one), the next to ring first.
    pub(super) fn status(&self, label: Option<&str>) -> Vec<Running> {
        let now = self.clock.steady();
        let inner = self.lock();
        let mut found: Vec<Running> =
            inner.running.iter().filter(|t| label.is_none_or(|l| t.answers_to(l))).map(|t| t.seen(now)).collect();
        found.sort_by_key(|r| r.remaining_s);
        found
    }

    /// Cancels: the ones called `label`, all of them for "all", the only one (or the ringing ones) without a label.
    pub(super) fn cancel(&self, label: Option<&str>) -> Cancelled {
        let now = self.clock.steady();
        let mut inner = self.lock();
        inner.ringing.retain(|(_, since)| now < *since + RINGS_FOR);
        let all = label.is_some_and(|l| matches!(tidy_label(l).as_str(), "all" | "every" | "everything" | "both"));
        let hit = |t: &Timer| all || label.is_none_or(|l| t.answers_to(l));
        let rang: Vec<Running> = inner.ringing.iter().filter(|(t, _)| hit(t)).map(|(t, _)| t.seen(now)).collect();
        if label.is_none() && !rang.is_empty() {
            inner.ringing.clear();
            return Cancelled::Gone { timers: rang, rang: true };
        }
        let mut found: Vec<Running> = inner.running.iter().filter(|t| hit(t)).map(|t| t.seen(now)).collect();
        found.sort_by_key(|r| r.remaining_s);
        if found.is_empty() && rang.is_empty() {
            return Cancelled::Unknown;
        }
        if label.is_none() && found.len() > 1 {
            return Cancelled::Which(found);
        }
        inner.running.retain(|t| !hit(t));
        inner.ringing.retain(|(t, _)| !hit(t));
        self.save(&inner.running);
        let was_ringing = !rang.is_empty();
        found.extend(rang);
        Cancelled::Gone { timers: found, rang: was_ringing }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here panics while it holds the lock; a poisoned lock still holds sound data.
        self.inner.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// A timer that cannot be saved still runs, but would not survive a restart. False in that case.
    fn save(&self, running: &[Timer]) -> bool {
        let Some(file) = &self.file else { return true };
        let (wall, now) = (self.clock.wall(), self.clock.steady());
        let saved: Vec<Saved> = running
            .iter()
            .filter_map(|t| {
                let left = SignedDuration::try_from(t.due.saturating_sub(now)).ok()?;
                let due_unix_ms = wall.checked_add(left).ok()?.as_millisecond();
                Some(Saved { label: t.label.clone(), total_s: t.total_s, due_unix_ms })
            })
            .collect();
        let written = serde_json::to_vec(&saved)
            .map_err(|e| Error::new(Kind::Internal, "timers cannot be written as JSON").because(e))
            .and_then(|bytes| write_whole(file, &bytes));
        if let Err(e) = &written {
            tracing::warn!(error = %e, "the timers could not be saved: a restart would lose them");
        }
        written.is_ok()
    }
}

impl Timer {
    fn seen(&self, now: Duration) -> Running {
        // Rounded up: a timer just set has all of its time left.
        let left = self.due.saturating_sub(now);
        let remaining_s = left.as_secs() + u64::from(left.subsec_millis() > 0);
        Running { label: self.label.clone(), total_s: self.total_s, remaining_s }
    }

    /// Whether this is the timer people mean by `label`: its name, give or take a plural, or its duration.
    fn answers_to(&self, label: &str) -> bool {
        let asked = tidy_label(label);
        if duration::parse(&asked) == Some(self.total_s) {
            return true;
        }
        let Some(mine) = &self.label else { return false };
        let words = |s: &str| -> Vec<String> {
            s.split_whitespace().filter(|w| !matches!(*w, "the" | "my" | "timer")).map(singular).collect()
        };
        let (mine, asked) = (words(mine), words(&asked));
        !asked.is_empty() && (mine == asked || asked.iter().all(|w| mine.contains(w)))
    }
}

fn singular(word: &str) -> String {
    match word {
        w if w.len() > 3 && w.ends_with("ies") => format!("{}y", &w[..w.len() - 3]),
        w if w.len() > 3 && (w.ends_with("oes") || w.ends_with("shes") || w.ends_with("ches")) => {
            w[..w.len() - 2].to_owned()
        }
        w if w.len() > 2 && w.ends_with('s') && !w.ends_with("ss") => w[..w.len() - 1].to_owned(),
        w => w.to_owned(),
    }
}

fn tidy_label(label: &str) -> String {
    let words: Vec<String> = label.to_lowercase().split_whitespace().map(str::to_owned).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(60).collect()
}

fn name(label: Option<&str>, total_s: u64) -> String {
    match label {
        Some(l) if l.ends_with("timer") => l.to_owned(),
        // "Your check the oven timer" is not English.
        Some(l) if l.split(' ').count() > 3 => format!("timer to {l}"),
        Some(l) => format!("{l} timer"),
        None => {
            let plain = duration::plain(total_s);
            match plain.split(' ').collect::<Vec<_>>().as_slice() {
                [n, unit] => format!("{n} {} timer", unit.trim_end_matches('s')),
                _ => format!("timer of {}", duration::spoken(total_s)),
            }
        }
    }
}

/// "your pasta timer", of each; of many the first few, and how many more.
fn yours(timers: &[Timer]) -> Vec<String> {
    let mut names: Vec<String> =
        timers.iter().map(|t| format!("your {}", name(t.label.as_deref(), t.total_s))).collect();
    if names.len() > NAMED_MAX {
        let more = names.len() - NAMED_MAX + 1;
        names.truncate(NAMED_MAX - 1);
        names.push(format!("{more} more"));
    }
    names
}

fn missed_sentence(yours: &[String], count: usize) -> Option<String> {
    match yours {
        [] => None,
        [one] => Some(format!("{} ran out while I was off.", capitalized(one))),
        all => Some(format!("While I was off, {count} timers ran out: {}.", listed(all))),
    }
}

fn done_sentence(yours: &[String]) -> Option<String> {
    match yours {
        [] => None,
        [one] => Some(format!("{} is done.", capitalized(one))),
        all => Some(format!("{} are done.", capitalized(&listed(all)))),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn load(file: &Path, clock: &Clock) -> Vec<Timer> {
    let bytes = match std::fs::read(file) {
        Ok(b) => b,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            tracing::warn!(error = %Error::io("read", file, e), "the saved timers are lost");
            return Vec::new();
        }
    };
    let saved: Vec<Saved> = match serde_json::from_slice(&bytes) {
        Ok(s) => s,
        Err(e) => {
            let aside = file.with_extension("json.bad");
            let _ = std::fs::rename(file, &aside);
            tracing::warn!(error = %e, aside = %aside.display(), "the saved timers are unreadable; the file was moved aside");
            return Vec::new();
        }
    };
    let (wall, now) = (clock.wall(), clock.steady());
    saved
        .into_iter()
        .take(TIMERS_MAX)
        .filter(|s| (1..=duration::MAX_S).contains(&s.total_s))
        .filter_map(|s| {
            let left = Timestamp::from_millisecond(s.due_unix_ms).ok()?.duration_since(wall);
            if left < -STALE {
                tracing::info!("a timer ran out too long ago to ring for it now");
                return None;
            }
            // A wall clock that was wrong before or now must not make it longer than it was.
            let left_s = Duration::try_from(left).unwrap_or(Duration::ZERO).min(Duration::from_secs(s.total_s));
            let label = s.label.map(|l| tidy_label(&l)).filter(|l| !l.is_empty());
            Some(Timer { label, total_s: s.total_s, due: now + left_s, missed: left.is_negative() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    /// Two clocks that the test sets.
    #[derive(Default)]
    struct Hands {
        wall_s: AtomicI64,
        steady_ms: AtomicU64,
    }

    impl Hands {
        fn clock(self: &Arc<Self>) -> Clock {
            let (a, b) = (self.clone(), self.clone());
            Clock::new(
                move || Timestamp::from_second(1_700_000_000 + a.wall_s.load(Ordering::Relaxed)).unwrap(),
                move || Duration::from_millis(b.steady_ms.load(Ordering::Relaxed)),
            )
        }

        fn pass(&self, s: u64) {
            self.wall_s.fetch_add(s as i64, Ordering::Relaxed);
            self.steady_ms.fetch_add(s * 1000, Ordering::Relaxed);
        }
    }

    #[test]
    fn several_ring_in_their_order_and_only_once() {
        let hands = Arc::new(Hands::default());
        let timers = Timers::open(None, hands.clock());
        assert_eq!(timers.next_due_in(), None);
        timers.set(600, Some("Pasta")).unwrap();
        timers.set(60, None).unwrap();
        assert_eq!(timers.next_due_in(), Some(Duration::from_secs(60)));
        hands.pass(59);
        assert_eq!(timers.take_due(), None);
        hands.pass(1);
        assert_eq!(timers.take_due().as_deref(), Some("Your 1 minute timer is done."));
        assert_eq!(timers.take_due(), None);
        let left = timers.status(Some("pasta"));
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].remaining_s, 540);
        hands.pass(1000);
        assert_eq!(timers.take_due().as_deref(), Some("Your pasta timer is done."));
        assert_eq!(timers.next_due_in(), None);
    }

    #[test]
    fn they_survive_a_restart_and_say_what_was_missed() {
        let dir = tempfile::tempdir().unwrap();
        let hands = Arc::new(Hands::default());
        let timers = Timers::open(Some(dir.path()), hands.clock());
        timers.set(600, Some("pasta")).unwrap();
        timers.set(60, Some("egg")).unwrap();
        drop(timers);
        hands.wall_s.fetch_add(300, Ordering::Relaxed);
        // A restart: the steady clock starts afresh.
        hands.steady_ms.store(5, Ordering::Relaxed);
        let timers = Timers::open(Some(dir.path()), hands.clock());
        assert_eq!(timers.take_due().as_deref(), Some("Your egg timer ran out while I was off."));
        assert_eq!(timers.status(None)[0].remaining_s, 300);
        // What rang does not ring again after another restart.
        let timers = Timers::open(Some(dir.path()), hands.clock());
        assert_eq!(timers.status(None).len(), 1);
        // Days later nobody wants to hear about it.
        hands.wall_s.fetch_add(3 * 86_400, Ordering::Relaxed);
        let timers = Timers::open(Some(dir.path()), hands.clock());
        assert_eq!(timers.take_due(), None);
    }

    #[test]
    fn what_runs_out_together_is_told_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let hands = Arc::new(Hands::default());
        let timers = Timers::open(Some(dir.path()), hands.clock());
        timers.set(60, Some("egg")).unwrap();
        timers.set(600, None).unwrap();
        timers.set(900, Some("tea")).unwrap();
        timers.set(900, Some("bread")).unwrap();
        hands.wall_s.fetch_add(700, Ordering::Relaxed);
        let timers = Timers::open(Some(dir.path()), hands.clock());
        let missed = "While I was off, 2 timers ran out: your egg timer and your 10 minute timer.";
        assert_eq!(timers.take_due().as_deref(), Some(missed));
        hands.pass(200);
        assert_eq!(timers.take_due().as_deref(), Some("Your tea timer and your bread timer are done."));
        // Some ran out while it was off, one does as it starts; and there are many.
        for label in ["a", "b", "c", "d", "e", "f"] {
            timers.set(60, Some(label)).unwrap();
        }
        timers.set(200, Some("cake")).unwrap();
        hands.wall_s.fetch_add(100, Ordering::Relaxed);
        let timers = Timers::open(Some(dir.path()), hands.clock());
        hands.pass(100);
        let all = "While I was off, 6 timers ran out: your a timer, your b timer, your c timer and 3 more. \
                   Your cake timer is done.";
        assert_eq!(timers.take_due().as_deref(), Some(all));
        assert!(matches!(timers.cancel(None), Cancelled::Gone { timers, rang: true } if timers.len() == 7));
    }

    #[test]
    fn a_wall_clock_that_is_set_neither_fires_nor_stretches_them() {
        let dir = tempfile::tempdir().unwrap();
        let hands = Arc::new(Hands::default());
        let timers = Timers::open(Some(dir.path()), hands.clock());
        timers.set(600, None).unwrap();
        hands.wall_s.fetch_add(1_000_000, Ordering::Relaxed);
        assert_eq!(timers.take_due(), None);
        assert_eq!(timers.next_due_in(), Some(Duration::from_secs(600)));
        hands.wall_s.fetch_sub(5_000_000, Ordering::Relaxed);
        let timers = Timers::open(Some(dir.path()), hands.clock());
        assert_eq!(timers.next_due_in(), Some(Duration::from_secs(600)));
    }

    #[test]
    fn a_garbled_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("timers.json"), b"{not json").unwrap();
        let timers = Timers::open(Some(dir.path()), Clock::system());
        assert_eq!(timers.next_due_in(), None);
        assert!(dir.path().join("timers.json.bad").exists());
        timers.set(5, None).unwrap();
        assert!(dir.path().join("timers.json").exists());
    }

    #[test]
    fn cancelling_asks_when_it_is_not_clear_which() {
        let hands = Arc::new(Hands::default());
        let timers = Timers::open(None, hands.clock());
        assert_eq!(timers.cancel(None), Cancelled::Unknown);
        timers.set(600, Some("pasta")).unwrap();
        timers.set(300, Some("eggs")).unwrap();
        assert!(matches!(timers.cancel(None), Cancelled::Which(w) if w.len() == 2));
        assert_eq!(timers.cancel(Some("tea")), Cancelled::Unknown);
        assert!(matches!(timers.cancel(Some("egg")), Cancelled::Gone { timers, rang: false } if timers.len() == 1));
        assert!(matches!(timers.cancel(Some("the 10 minute timer")), Cancelled::Unknown));
        assert!(matches!(timers.cancel(Some("10 minutes")), Cancelled::Gone { .. }));
        timers.set(5, None).unwrap();
        timers.set(500, Some("tea")).unwrap();
        hands.pass(5);
        assert!(timers.take_due().is_some());
        assert!(matches!(timers.cancel(None), Cancelled::Gone { rang: true, .. }));
        assert!(matches!(timers.cancel(Some("all")), Cancelled::Gone { timers, .. } if timers.len() == 1));
    }

    #[test]
    fn one_that_cannot_be_written_down_runs_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        // Nobody, not even root, can make a folder of a file.
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let timers = Timers::open(Some(&file), Clock::system());
        assert!(!timers.set(60, None).unwrap());
        assert_eq!(timers.status(None).len(), 1);
        // A folder in the place of the file: the unfinished file is removed.
        let state = dir.path().join("state");
        std::fs::create_dir_all(state.join("timers.json/in the way")).unwrap();
        let timers = Timers::open(Some(&state), Clock::system());
        assert!(!timers.set(60, None).unwrap());
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "nothing else is left");
        assert!(Timers::open(None, Clock::system()).set(60, None).unwrap(), "none was to be kept");
    }

    #[test]
    fn there_is_a_limit() {
        let timers = Timers::open(None, Clock::system());
        for _ in 0..TIMERS_MAX {
            timers.set(600, None).unwrap();
        }
        assert!(timers.set(600, None).is_err());
    }
}
