//! The time and the date.

use jiff::Zoned;
use jiff::fmt::strtime;
use serde_json::json;

use crate::tools::{Outcome, Registry, zone};

impl Registry {
    pub(super) fn get_time(&self, location: Option<&str>) -> Outcome {
        let Some(place) = location.filter(|l| !matches!(l.to_lowercase().as_str(), "here" | "local" | "home")) else {
            let now = self.now();
            return Outcome::said(json!({ "time": clock_time(&now) }), format!("It's {}.", self.say_time(&now, false)));
        };
        let Some(zone) = zone::of(place) else {
            return Outcome::failed(format!("the time zone of {place:?} is not known"), "I only know the time here.");
        };
        let there = self.clock.wall().to_zoned(zone);
        let spoken = format!("It's {} in {}.", self.say_time(&there, true), title(place));
        Outcome::said(json!({ "time": clock_time(&there), "location": place }), spoken)
    }

    pub(super) fn get_date(&self) -> Outcome {
        let now = self.now();
        let day = strftime("%A, %B", &now);
        Outcome::said(
            json!({ "date": strftime("%Y-%m-%d", &now), "weekday": strftime("%A", &now) }),
            format!("It's {day} {}, {}.", now.day(), now.year()),
        )
    }

    /// `half_of_day` where people cannot look out of the window to tell morning from evening.
    fn say_time(&self, t: &Zoned, half_of_day: bool) -> String {
        if self.settings.clock_24h {
            return clock_time(t);
        }
        let hour = if t.hour() % 12 == 0 { 12 } else { t.hour() % 12 };
        let half = if t.hour() < 12 { "AM" } else { "PM" };
        match (t.minute(), half_of_day) {
            (0, false) => format!("{hour} o'clock"),
            (0, true) => format!("{hour} {half}"),
            (m, false) => format!("{hour}:{m:02}"),
            (m, true) => format!("{hour}:{m:02} {half}"),
        }
    }
}

fn clock_time(t: &Zoned) -> String {
    format!("{:02}:{:02}", t.hour(), t.minute())
}

fn strftime(format: &str, t: &Zoned) -> String {
    strtime::format(format, t).unwrap_or_default()
}

fn title(place: &str) -> String {
    let words: Vec<String> = place
        .split_whitespace()
        .map(|w| {
            let mut c = w.chars();
            match c.next() {
                Some(first) if !matches!(w, "the" | "de" | "of") => first.to_uppercase().chain(c).collect(),
                _ => w.to_owned(),
            }
        })
        .collect();
    words.join(" ")
}
