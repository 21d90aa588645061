//! Alarms: at a time of day, once or on days of the week, by the zone's own clock and across its changes.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use rusqlite::{Connection, Transaction, params};

use super::days::Days;
use super::deadline::Now;
use super::row::{Row, next_id};
use super::{Agenda, refused};
use crate::error::Result;

/// Alarms at once; one more is refused in words.
const ALARMS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct Alarm {
    pub(super) id: i64,
    pub(in crate::tools) time: Time,
    pub(in crate::tools) on: On,
    /// When it rings next by itself; `None` after it rang for the last time.
    pub(super) next: Option<Timestamp>,
    /// When it rings again after a snooze.
    pub(in crate::tools) snoozed: Option<Timestamp>,
}

/// The days of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) enum On {
    Date(Date),
    Days(Days),
}

/// What a cancellation did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum AlarmsGone {
    /// These are gone.
    Gone(Vec<Alarm>),
    /// These rang and are silent now.
    Silent(Vec<Alarm>),
    /// There is none like that.
    Unknown,
    /// There are several and none was named.
    Which(Vec<Alarm>),
}

impl Alarm {
    /// When it rings next; `None` where it does not any more.
    pub(in crate::tools) fn due(&self) -> Option<Timestamp> {
        self.next.into_iter().chain(self.snoozed).min()
    }

    /// After it rang: what is left of it, if anything.
    pub(super) fn after_ringing(&self, now: Now, zone: &TimeZone) -> Option<Self> {
        let passed = |at: Option<Timestamp>| at.filter(|t| *t > now.wall);
        let next = match self.on {
            On::Days(_) => passed(self.next).or_else(|| self.next_after(now.wall, zone)),
            On::Date(_) => passed(self.next),
        };
        let left = Self { next, snoozed: passed(self.snoozed), ..self.clone() };
        left.due().is_some().then_some(left)
    }

    /// In another zone than the one it was set in it rings when the clocks there show its time.
    pub(super) fn move_to(&mut self, zone: &TimeZone, now: Now) {
        let Some(next) = self.next.filter(|t| *t > now.wall) else { return };
        let here = next.to_zoned(zone.clone()).date().to_datetime(self.time);
        if moment(here, zone) != Some(next) {
            self.next = self.next_after(now.wall, zone).or(self.next);
        }
    }

    /// The first time after `after` at which it rings by itself.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self.on {
            On::Date(date) => moment(date.to_datetime(self.time), zone).filter(|t| *t > after),
            On::Days(days) => {
                // The zone's day may have begun before or after the one of `after` anywhere else.
                let today = after.to_zoned(zone.clone()).date();
                (0..=8).find_map(|n| {
                    let date = today.checked_add(n.days()).ok()?;
                    let rings = days.has(date.weekday());
                    moment(date.to_datetime(self.time), zone).filter(|t| rings && *t > after)
                })
            }
        }
    }
}

/// When a clock on the wall shows `at`: the first time where it does so twice; where it skips that, the moment it jumps.
fn moment(at: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // As if it had jumped before: the moment just before the jump.
            let before = after.to_timestamp(at).ok()?;
            Some(zone.following(before).next().map_or(before, |t| t.timestamp()))
        }
        _ => ambiguous.compatible().ok(),
    }
}

impl Agenda {
    /// Sets an alarm, or finds the one there is at the same time. True where it is new.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unsupported`] when there are too many already, or it would never ring.
    pub(in crate::tools) fn set_alarm(&self, time: Time, on: On) -> Result<(Alarm, bool)> {
        self.change(|kept, now| {
            if let Some(same) = kept.alarms.iter().find(|a| a.time == time && a.on == on && a.next.is_some()) {
                return Ok((same.clone(), false));
            }
            if kept.alarms.len() >= ALARMS_MAX {
                return Err(refused(format!("{ALARMS_MAX} alarms are set already")));
            }
            let mut alarm = Alarm { id: next_id(&kept.alarms), time, on, next: None, snoozed: None };
            alarm.next = alarm.next_after(now.wall, &self.zone);
            if alarm.next.is_none() {
                return Err(refused("that time is over".to_owned()));
            }
            kept.alarms.push(alarm.clone());
            Ok((alarm, true))
        })
    }

    /// All alarms, the next to ring first.
    pub(in crate::tools) fn alarms(&self) -> Vec<Alarm> {
        self.look(|kept, _| sorted(kept.alarms.clone()))
    }

    /// Cancels the alarms that `hit` accepts; without it the ringing ones, else the only one.
    pub(in crate::tools) fn cancel_alarm(&self, hit: Option<&dyn Fn(&Alarm) -> bool>) -> AlarmsGone {
        self.change(|kept, now| {
            kept.forget_rung(now);
            if hit.is_none() && !kept.rung_alarms.is_empty() {
                return AlarmsGone::Silent(kept.rung_alarms.drain(..).map(|r| r.what).collect());
            }
            let found: Vec<Alarm> = sorted(kept.alarms.iter().filter(|a| hit.is_none_or(|h| h(a))).cloned().collect());
            match found.len() {
                0 => AlarmsGone::Unknown,
                2.. if hit.is_none() => AlarmsGone::Which(found),
                _ => {
                    kept.alarms.retain(|a| !found.contains(a));
                    AlarmsGone::Gone(found)
                }
            }
        })
    }

    /// Lets the alarms that ring, or rang a moment ago, ring again after `pause`. When that is; `None` where there are
    /// none.
    pub(in crate::tools) fn snooze(&self, pause: Duration) -> Option<Timestamp> {
        self.change(|kept, now| {
            kept.forget_rung(now);
            let at = now.wall.checked_add(SignedDuration::try_from(pause).ok()?).ok()?;
            let rung = std::mem::take(&mut kept.rung_alarms);
            let heard = std::mem::take(&mut kept.silent_alarms);
            let rung = if rung.is_empty() { heard } else { rung };
            if rung.is_empty() {
                return None;
            }
            for alarm in rung.into_iter().map(|r| r.what) {
                match kept.alarms.iter_mut().find(|a| a.time == alarm.time && a.on == alarm.on) {
                    Some(still) => still.snoozed = Some(at),
                    None => {
                        let id = next_id(&kept.alarms);
                        kept.alarms.push(Alarm { id, next: None, snoozed: Some(at), ..alarm });
                    }
                }
            }
            Some(at)
        })
    }
}

fn sorted(mut alarms: Vec<Alarm>) -> Vec<Alarm> {
    alarms.sort_by_key(Alarm::due);
    alarms
}

impl Row for Alarm {
    const DELETE: &'static str = "DELETE FROM alarm WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let (date, days) = match self.on {
            On::Date(date) => (Some(date.to_string()), None),
            On::Days(days) => (None, Some(days.bits())),
        };
        to.execute(
            "INSERT OR REPLACE INTO alarm (id, time, date, days, next_unix_ms, snoozed_unix_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                self.id,
                self.time.strftime("%H:%M").to_string(),
                date,
                days,
                self.next.map(Timestamp::as_millisecond),
                self.snoozed.map(Timestamp::as_millisecond),
            ],
        )?;
        Ok(())
    }
}

/// What the file has. A row that makes no sense is left out.
pub(super) fn load(from: &Connection) -> rusqlite::Result<Vec<Alarm>> {
    let mut query =
        from.prepare("SELECT id, time, date, days, next_unix_ms, snoozed_unix_ms FROM alarm ORDER BY id")?;
    let rows = query.query_map([], |row| {
        let (id, time): (i64, String) = (row.get(0)?, row.get(1)?);
        let (date, days): (Option<String>, Option<u8>) = (row.get(2)?, row.get(3)?);
        let stamp = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let (next, snoozed) = (stamp(row.get(4)?), stamp(row.get(5)?));
        let on = match (date, days) {
            (Some(date), None) => date.parse().ok().map(On::Date),
            (None, Some(days)) => Days::from_bits(days).map(On::Days),
            _ => None,
        };
        let time = Time::strptime("%H:%M", time).ok();
        Ok(time.zip(on).map(|(time, on)| Alarm { id, time, on, next, snoozed }))
    })?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().take(ALARMS_MAX).collect())
}
