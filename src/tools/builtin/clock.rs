//! The time and the date.

use jiff::Zoned;
use jiff::civil::Date;
use serde_json::json;

use crate::tools::calendar::{self, Day};
use crate::tools::text::capitalized;
use crate::tools::{Outcome, Registry, calc, zone};

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

    /// Today's date, or the date and the day of the week of a day that was named.
    pub(super) fn get_date(&self, day: Option<&str>) -> Outcome {
        let today = self.now().date();
        let Some(asked) = day else { return told_date(today, format!("It's {}.", full(today))) };
        let Some((day, date)) = find(asked, today) else { return unknown_day(asked) };
        let (is, will) = if date < today { ("was", "was") } else { ("is", "will be") };
        let name = calendar::spoken(date, today);
        let weekday = date.strftime("%A");
        let spoken = match (calendar::holiday_name(asked), day) {
            (Some(holiday), _) if date == today => format!("{} is today, {weekday}, {name}.", capitalized(&holiday)),
            (Some(holiday), _) => format!("{} {is} on {weekday}, {name}.", capitalized(&holiday)),
            (_, Day::Next | Day::Today) => format!("It's {}.", full(date)),
            (_, _) if date == today => format!("That's today, {weekday}, {name}."),
            (_, Day::Tomorrow) => format!("Tomorrow is {weekday}, {name}."),
            (_, Day::Away(-1)) => format!("Yesterday was {weekday}, {name}."),
            (_, Day::Weekday(_)) => format!("{weekday} is {name}."),
            (_, Day::WeekdayOfNextWeek(_)) => format!("Next {weekday} is {name}."),
            (_, Day::WeekdayBefore(_)) => format!("Last {weekday} was {name}."),
            (_, Day::Away(_) | Day::MonthsAway(_) | Day::WeekdayOfMonth { .. }) => {
                format!("That {will} {weekday}, {name}.")
            }
            _ => format!("{name} {is} a {weekday}."),
        };
        told_date(date, spoken)
    }

    /// How many days there are until a day, or since it.
    pub(super) fn days_until(&self, asked: &str) -> Outcome {
        let today = self.now().date();
        let Some((day, date)) = find(asked, today) else { return unknown_day(asked) };
        let days = (date - today).get_days();
        let name = calendar::spoken(date, today);
        let weekday = date.strftime("%A");
        let holiday = calendar::holiday_name(asked);
        // Which day it was taken for is heard, unless everybody knows.
        let subject = match (&holiday, day) {
            (Some(holiday), Day::Feast(_)) if days > 1 => format!("{holiday}, {weekday}, {name}"),
            (Some(holiday), _) => holiday.clone(),
            (None, Day::Today | Day::Tomorrow) => asked.to_lowercase(),
            (None, Day::WeekdayOfNextWeek(_)) => format!("next {weekday}, {name}"),
            (None, Day::WeekdayBefore(_)) => format!("last {weekday}, {name}"),
            (None, Day::OfYear { .. } | Day::Date(_)) => name,
            _ => format!("{weekday}, {name}"),
        };
        let subject_first = capitalized(&subject);
        let count = calc::told(f64::from(days.unsigned_abs())).unwrap_or_default();
        let spoken = match days {
            0 if day == Day::Today => "That's today.".to_owned(),
            0 => format!("{subject_first} is today."),
            1 if day == Day::Tomorrow => "One day: that's tomorrow.".to_owned(),
            1 => format!("{subject_first} is tomorrow."),
            -1 => format!("{subject_first} was yesterday."),
            2.. => format!("{count} days until {subject}."),
            _ => format!("{subject_first} was {count} days ago."),
        };
        Outcome::said(json!({ "days": days, "date": date.to_string() }), spoken)
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

/// What was asked for and its date.
fn find(asked: &str, today: Date) -> Option<(Day, Date)> {
    let day = calendar::parse(asked)?;
    Some((day, calendar::date(day, today)?))
}

fn unknown_day(asked: &str) -> Outcome {
    Outcome::failed(format!("day: {asked:?} is no day that is known"), "I don't know which day that is.")
}

fn told_date(date: Date, spoken: String) -> Outcome {
    Outcome::said(json!({ "date": date.to_string(), "weekday": date.strftime("%A").to_string() }), spoken)
}

/// "Tuesday, March 3, 2026".
fn full(date: Date) -> String {
    date.strftime("%A, %B %-d, %Y").to_string()
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
