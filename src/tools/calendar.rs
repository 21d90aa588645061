//! Days: which date a day that was said is, and how a day is written and told.

use jiff::Span;
use jiff::civil::{Date, Weekday};

use super::text::tokens;

mod english;

pub(super) use english::take;
use english::{HOLIDAYS, MONTHS, WEEKDAYS};

/// A day as it was said; which date it is depends on today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// No day was said: for a time of day, the next time that the clock shows it.
    Next,
    Today,
    Tomorrow,
    /// The next one, today included. Days after Monday: 0 to 6.
    Weekday(u8),
    /// "Next Friday": the Friday of next week, weeks beginning on Monday.
    WeekdayOfNextWeek(u8),
    /// "Last Friday": the latest one before today.
    WeekdayBefore(u8),
    /// So many days after today; before it where negative.
    Away(i32),
    /// So many months after today; before it where negative.
    MonthsAway(i32),
    /// "The 24th": the next one, today included.
    OfMonth(u8),
    /// "Friday the 13th": the next day that is both.
    WeekdayOfMonth {
        weekday: u8,
        day: u8,
    },
    /// "December 24": the next one, today included.
    OfYear {
        month: u8,
        day: u8,
    },
    /// A holiday whose date changes from year to year: the next one, today included.
    Feast(Feast),
    Date(Date),
}

/// Holidays that are reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feast {
    /// So many days after Easter Sunday of the western churches.
    Easter(i8),
    /// So many days after Thanksgiving of the United States, the fourth Thursday of November.
    Thanksgiving(i8),
}

impl Feast {
    fn of(self, year: i16) -> Option<Date> {
        let (date, days) = match self {
            Self::Easter(days) => (easter(year)?, days),
            Self::Thanksgiving(days) => {
                (Date::new(year, 11, 1).ok()?.nth_weekday_of_month(4, Weekday::Thursday).ok()?, days)
            }
        };
        date.checked_add(Span::new().days(days)).ok()
    }
}

/// The day that all of `text` names: "tomorrow", "next Friday", "the 24th of December", "in three weeks", "Easter 2027".
pub(super) fn parse(text: &str) -> Option<Day> {
    let t = tokens(text);
    let (day, n) = take(&t)?;
    (n == t.len()).then_some(day)
}

/// The date that all of `text` names.
pub(super) fn day(text: &str, today: Date) -> Option<Date> {
    date(parse(text)?, today)
}

/// The date of `day`; `None` where the calendar has no such day.
pub(super) fn date(day: Day, today: Date) -> Option<Date> {
    let weekday = |days: u8| Weekday::from_monday_zero_offset(days as i8).ok();
    let ahead = |days: i32| today.checked_add(Span::new().try_days(days).ok()?).ok();
    match day {
        Day::Next | Day::Today => Some(today),
        Day::Tomorrow => ahead(1),
        Day::Away(days) => ahead(days),
        Day::MonthsAway(months) => today.checked_add(Span::new().try_months(months).ok()?).ok(),
        Day::Weekday(d) => ahead(today.weekday().until(weekday(d)?).into()),
        Day::WeekdayBefore(d) => {
            let since = today.weekday().since(weekday(d)?);
            ahead(-i32::from(if since == 0 { 7 } else { since }))
        }
        Day::WeekdayOfNextWeek(d) => {
            let (d, today) = (weekday(d)?.to_monday_zero_offset(), today.weekday().to_monday_zero_offset());
            ahead(7 + i32::from(d) - i32::from(today))
        }
        Day::OfMonth(d) => months(today).find_map(|m| fits(m, d, today)),
        // The 13th is a Friday at least once in any 14 months; the 31st is rarer.
        Day::WeekdayOfMonth { weekday: wanted, day } => {
            let wanted = weekday(wanted)?;
            months(today).filter_map(|m| fits(m, day, today)).find(|d| d.weekday() == wanted)
        }
        // Eight years: 1900 had no February 29.
        Day::OfYear { month, day } => (0..=8)
            .filter_map(|years| Date::new(today.year() + years, month as i8, day as i8).ok())
            .find(|d| *d >= today),
        Day::Feast(feast) => (0..=1).filter_map(|years| feast.of(today.year() + years)).find(|d| *d >= today),
        Day::Date(date) => Some(date),
    }
}

/// The first days of this month and of the next ten years' months.
fn months(today: Date) -> impl Iterator<Item = Date> {
    (0..120_i32).filter_map(move |m| today.first_of_month().checked_add(Span::new().months(m)).ok())
}

fn fits(month: Date, day: u8, today: Date) -> Option<Date> {
    Date::new(month.year(), month.month(), day as i8).ok().filter(|d| *d >= today)
}

/// The day after `day`; `None` where that cannot be said.
pub(super) fn following(day: Day) -> Option<Day> {
    Some(match day {
        Day::Next | Day::Today => Day::Next,
        Day::Tomorrow => Day::Away(2),
        Day::Away(n) => Day::Away(n.checked_add(1)?),
        Day::Weekday(d) => Day::Weekday((d + 1) % 7),
        Day::WeekdayOfNextWeek(d) if d < 6 => Day::WeekdayOfNextWeek(d + 1),
        // Any year without a leap day will do.
        Day::OfYear { month, day } => {
            let next = Date::new(2023, month as i8, day as i8).ok()?.tomorrow().ok()?;
            Day::OfYear { month: next.month() as u8, day: next.day() as u8 }
        }
        Day::Feast(Feast::Easter(n)) => Day::Feast(Feast::Easter(n.checked_add(1)?)),
        Day::Feast(Feast::Thanksgiving(n)) => Day::Feast(Feast::Thanksgiving(n.checked_add(1)?)),
        Day::Date(date) => Day::Date(date.tomorrow().ok()?),
        _ => return None,
    })
}

/// Whether the day comes again, so that one that is over means the next.
pub(super) fn recurs(day: Day) -> bool {
    matches!(day, Day::Weekday(_) | Day::OfMonth(_) | Day::WeekdayOfMonth { .. } | Day::OfYear { .. } | Day::Feast(_))
}

/// Easter Sunday, by the Gregorian computus (Meeus, "Astronomical Algorithms", chapter 8).
fn easter(year: i16) -> Option<Date> {
    // Before 1583 the calendar was another.
    let y = i32::from(year);
    if y < 1583 {
        return None;
    }
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let correction = b - b / 4 - (8 * b + 13) / 25;
    let moon = (19 * a + correction + 15) % 30;
    let sunday = (32 + 2 * (b % 4) + 2 * (c / 4) - moon - c % 4) % 7;
    let late = (a + 11 * moon + 22 * sunday) / 451;
    let n = moon + sunday - 7 * late + 114;
    Date::new(year, (n / 31) as i8, (n % 31 + 1) as i8).ok()
}

/// The day as [`parse`] reads it again; empty for [`Day::Next`].
pub(super) fn written(day: Day) -> String {
    let weekday = |d: u8| WEEKDAYS.get(usize::from(d)).copied().unwrap_or_default();
    match day {
        Day::Next => String::new(),
        Day::Today => "today".to_owned(),
        Day::Tomorrow => "tomorrow".to_owned(),
        Day::Weekday(d) => weekday(d).to_owned(),
        Day::WeekdayOfNextWeek(d) => format!("next {}", weekday(d)),
        Day::WeekdayBefore(d) => format!("last {}", weekday(d)),
        Day::Away(n) => away(n, "day"),
        Day::MonthsAway(n) => away(n, "month"),
        Day::OfMonth(d) => format!("the {}", ordinal(d)),
        Day::WeekdayOfMonth { weekday: w, day } => format!("{} the {}", weekday(w), ordinal(day)),
        Day::OfYear { month, day } => {
            format!("{} {day}", MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or_default())
        }
        Day::Feast(feast) => {
            HOLIDAYS.iter().find(|(_, d)| *d == day).map_or_else(|| feast_away(feast), |(name, _)| (*name).to_owned())
        }
        Day::Date(date) => date.to_string(),
    }
}

fn away(n: i32, unit: &str) -> String {
    let s = if n.abs() == 1 { "" } else { "s" };
    if n < 0 { format!("{} {unit}{s} ago", n.unsigned_abs()) } else { format!("{n} {unit}{s} from today") }
}

fn feast_away(feast: Feast) -> String {
    let (name, n) = match feast {
        Feast::Easter(n) => ("easter", n),
        Feast::Thanksgiving(n) => ("thanksgiving", n),
    };
    let side = if n < 0 { "before" } else { "after" };
    format!("{} days {side} {name}", n.unsigned_abs())
}

fn ordinal(n: u8) -> String {
    let end = match (n % 10, n / 10) {
        (_, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// "November 30", with the year where it is another than `today`'s.
pub(super) fn spoken(date: Date, today: Date) -> String {
    let month = date.strftime("%B");
    if date.year() == today.year() {
        format!("{month} {}", date.day())
    } else {
        format!("{month} {}, {}", date.day(), date.year())
    }
}

#[cfg(test)]
pub(in crate::tools) mod tests;
