//! All that is set, as one list for people's programs.

use jiff::Timestamp;

use super::{Agenda, Alarm, On};
use crate::tools::duration;

/// Something that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `timer`, `alarm`, `reminder` or `command`.
    pub kind: &'static str,
    /// "pasta timer", "07:00 on weekdays", "lock the door", "kitchen light off".
    pub name: String,
    /// As "9 minutes 50 seconds", where it counts.
    pub remaining: Option<String>,
    /// When its time comes; `None` where it has none.
    pub at: Option<Timestamp>,
}

impl Agenda {
    /// All that is set: timers, alarms, reminders, commands, each the next first.
    pub fn entries(&self) -> Vec<Entry> {
        let timers = self.timers(None).into_iter().map(|t| {
            let left = duration::plain(t.remaining_s);
            let remaining = Some(if t.halted { format!("{left} (paused)") } else { left });
            Entry { kind: "timer", name: t.name(), remaining, at: None }
        });
        let alarms = self.alarms().into_iter().map(|a| Entry {
            kind: "alarm",
            name: alarm_name(&a),
            remaining: None,
            at: a.due(),
        });
        let reminders =
            self.reminders().into_iter().map(|r| Entry { kind: "reminder", name: r.text, remaining: None, at: r.at });
        let commands = self.scheduled().into_iter().map(|c| Entry {
            kind: "command",
            name: c.told,
            remaining: None,
            at: Some(c.at),
        });
        timers.chain(alarms).chain(reminders).chain(commands).collect()
    }
}

fn alarm_name(alarm: &Alarm) -> String {
    let time = alarm.time.strftime("%H:%M");
    match alarm.on {
        On::Date(_) => time.to_string(),
        On::Days(days) => format!("{time} {}", days.spoken()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::super::{At, Days};
    use super::*;
    use crate::schema::ToolCall;
    use crate::tools::clock::Clock;

    #[test]
    fn all_that_is_set_is_listed() {
        let clock =
            Clock::new(|| "2026-03-03T18:52:00Z".parse().expect("a time"), || std::time::Duration::from_secs(100));
        let agenda = Agenda::open(None, clock, TimeZone::UTC, false).expect("in memory");
        assert!(agenda.entries().is_empty());
        agenda.set_timer(600, Some("pasta")).expect("set");
        agenda.set_alarm(time(7, 0, 0, 0), On::Days(Days::parse("weekdays").expect("days"))).expect("set");
        agenda.set_reminder("lock the door", None).expect("kept");
        let call = ToolCall { name: "set_light".into(), parameters: Default::default() };
        agenda.schedule(&call, "kitchen light off", At::In(60)).expect("kept");
        let told: Vec<_> =
            agenda.entries().into_iter().map(|e| (e.kind, e.name, e.remaining, e.at.is_some())).collect();
        let entry = |kind, name: &str, remaining: Option<&str>, timed| {
            (kind, name.to_owned(), remaining.map(str::to_owned), timed)
        };
        assert_eq!(
            told,
            [
                entry("timer", "pasta timer", Some("10 minutes"), false),
                entry("alarm", "07:00 on weekdays", None, true),
                entry("reminder", "lock the door", None, false),
                entry("command", "kitchen light off", None, true),
            ]
        );
    }
}
