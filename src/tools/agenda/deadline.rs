//! When something is due: after a while, by the steady clock, or at a time, by the wall clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::tools::clock::Clock;

/// A wall clock that shows an earlier time was never set.
const SET_SINCE_UNIX_S: i64 = 1_735_689_600; // 2025-01-01
/// The wall clock was set if it moved more than this against the steady one.
const SET_BY: SignedDuration = SignedDuration::from_secs(2);

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: Timestamp,
    pub(super) steady: Duration,
}

impl Now {
    pub(super) fn of(clock: &Clock) -> Self {
        Self { wall: clock.wall(), steady: clock.steady() }
    }

    /// Whether the wall clock tells the time at all: a machine without a battery starts in 1970.
    pub(super) fn is_set(&self) -> bool {
        self.wall.as_second() >= SET_SINCE_UNIX_S
    }
}

/// When something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// On the steady clock: setting the wall clock changes nothing. `wall` is the same moment there, as far as it is
    /// known, for the time after a reboot; `span` is the most that can be left.
    Steady { at: Duration, wall: Option<Timestamp>, span: Duration },
    /// Was on the steady clock of an earlier boot, and this one's wall clock is not set yet.
    Waiting { wall: Timestamp, span: Duration },
    /// On the wall clock.
    Wall(Timestamp),
}

impl Deadline {
    pub(super) fn after(span: Duration, now: Now) -> Self {
        let at = now.steady + span;
        Self::Steady { at, wall: wall_of(at, now), span }
    }

    /// As the file has it, read in the boot that wrote it.
    pub(super) fn from_saved(saved: Saved) -> Option<Self> {
        let wall = saved.unix_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let ms = |ms: i64| u64::try_from(ms).ok().map(Duration::from_millis);
        match (saved.span_ms.map(ms), saved.steady_ms.map(ms)) {
            (None, None) => Some(Self::Wall(wall?)),
            (Some(span), Some(at)) => Some(Self::Steady { at: at?, wall, span: span? }),
            (Some(span), None) => Some(Self::Waiting { wall: wall?, span: span? }),
            (None, Some(_)) => None,
        }
    }

    pub(super) fn saved(&self) -> Saved {
        let ms = |d: &Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match self {
            Self::Steady { at, wall, span } => {
                Saved { steady_ms: Some(ms(at)), unix_ms: wall.map(Timestamp::as_millisecond), span_ms: Some(ms(span)) }
            }
            Self::Waiting { wall, span } => {
                Saved { steady_ms: None, unix_ms: Some(wall.as_millisecond()), span_ms: Some(ms(span)) }
            }
            Self::Wall(at) => Saved { steady_ms: None, unix_ms: Some(at.as_millisecond()), span_ms: None },
        }
    }

    /// The deadline of an earlier boot in this one: the wall clock bridges the time between.
    pub(super) fn after_reboot(self, now: Now) -> Self {
        match self {
            // Nobody knows when that was: it counts as over, and is told so.
            Self::Steady { wall: None, span, .. } => Self::Steady { at: now.steady, wall: None, span },
            Self::Steady { wall: Some(wall), span, .. } => Self::Waiting { wall, span }.kept_right(now),
            other => other.kept_right(now),
        }
    }

    /// The same deadline after the wall clock may have been set.
    pub(super) fn kept_right(self, now: Now) -> Self {
        match self {
            _ if !now.is_set() => self,
            Self::Waiting { wall, span } => {
                if wall <= now.wall {
                    // Only the wall clock can tell how long ago that was.
                    return Self::Wall(wall);
                }
                // A wall clock that was wrong before or now must not make it longer than it was.
                let left = Duration::try_from(wall.duration_since(now.wall)).unwrap_or(Duration::ZERO).min(span);
                let wall = if left < span { Some(wall) } else { wall_of(now.steady + left, now) };
                Self::Steady { at: now.steady + left, wall, span: left }
            }
            Self::Steady { at, wall, span } if at > now.steady => {
                let is = wall_of(at, now);
                let moved = match (wall, is) {
                    (Some(was), Some(is)) => is.duration_since(was).abs() > SET_BY,
                    (was, is) => was != is,
                };
                Self::Steady { at, wall: if moved { is } else { wall }, span }
            }
            other => other,
        }
    }

    /// How much time is left; `None` where the clock that would tell is not set.
    pub(super) fn left(&self, now: Now) -> Option<Duration> {
        match self {
            Self::Steady { at, .. } => Some(at.saturating_sub(now.steady)),
            Self::Waiting { .. } => None,
            Self::Wall(at) => {
                now.is_set().then(|| Duration::try_from(at.duration_since(now.wall)).unwrap_or(Duration::ZERO))
            }
        }
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.left(now).is_some_and(|left| left.is_zero())
    }

    /// How long ago it was due, as far as that is known.
    pub(super) fn late(&self, now: Now) -> Duration {
        match self {
            Self::Steady { at, .. } => now.steady.saturating_sub(*at),
            Self::Wall(at) if now.is_set() => {
                Duration::try_from(now.wall.duration_since(*at)).unwrap_or(Duration::ZERO)
            }
            _ => Duration::ZERO,
        }
    }

    /// On the wall clock, as far as that can be told.
    pub(super) fn when(&self, now: Now) -> Timestamp {
        match self {
            Self::Steady { at, wall, .. } => wall_at(*at, now).or(*wall).unwrap_or(now.wall),
            Self::Waiting { wall, .. } => *wall,
            Self::Wall(at) => *at,
        }
    }
}

/// The columns of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) steady_ms: Option<i64>,
    pub(super) unix_ms: Option<i64>,
    pub(super) span_ms: Option<i64>,
}

/// The moment `at` of the steady clock on the wall clock; `None` while that is not set.
fn wall_of(at: Duration, now: Now) -> Option<Timestamp> {
    wall_at(at, now).filter(|_| now.is_set())
}

fn wall_at(at: Duration, now: Now) -> Option<Timestamp> {
    let left = SignedDuration::try_from(at).ok()?.checked_sub(SignedDuration::try_from(now.steady).ok()?)?;
    now.wall.checked_add(left).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(unix_s: i64, steady_s: u64) -> Now {
        Now { wall: Timestamp::from_second(unix_s).unwrap(), steady: Duration::from_secs(steady_s) }
    }

    const T: i64 = 1_800_000_000;

    #[test]
    fn a_clock_that_is_set_late_is_used_for_the_next_boot() {
        let before = now(5, 10);
        assert!(!before.is_set());
        let d = Deadline::after(Duration::from_secs(600), before);
        assert_eq!(d.saved().unix_ms, None);
        let d = d.kept_right(now(T, 110));
        assert_eq!(d.saved().unix_ms, Some((T + 500) * 1000));
        // A few milliseconds of drift are no reason to write it down again.
        assert_eq!(d.kept_right(now(T + 101, 210)), d);
        // After a reboot with no clock it waits for one.
        let d = d.after_reboot(now(7, 3));
        assert_eq!(d.left(now(7, 3)), None);
        assert_eq!(Deadline::from_saved(d.saved()), Some(d));
        let n = now(T + 200, 9);
        assert_eq!(d.kept_right(n).left(n), Some(Duration::from_secs(300)));
    }

    #[test]
    fn what_fell_due_in_an_earlier_boot_is_as_late_as_the_wall_clock_says() {
        let d = Deadline::after(Duration::from_secs(60), now(T, 1000));
        let n = now(T + 3660, 4);
        let d = d.after_reboot(n);
        assert!(d.is_due(n));
        assert_eq!(d.late(n), Duration::from_secs(3600));
        assert_eq!(Deadline::from_saved(d.saved()), Some(d));
        assert_eq!(Deadline::from_saved(Saved { steady_ms: Some(-1), unix_ms: None, span_ms: Some(1) }), None);
    }
}
