use jiff::civil::{Date, date as ymd};
use proptest::prelude::*;

use super::*;

/// Sunday.
const TODAY: Date = ymd(2026, 11, 29);

#[test]
fn days_in_many_words() {
    for (text, wanted) in [
        ("today", "2026-11-29"),
        ("tomorrow", "2026-11-30"),
        ("yesterday", "2026-11-28"),
        ("the day after tomorrow", "2026-12-01"),
        ("day before yesterday", "2026-11-27"),
        ("Sunday", "2026-11-29"),
        ("monday", "2026-11-30"),
        ("this Friday", "2026-12-04"),
        ("on Saturday", "2026-12-05"),
        ("next Friday", "2026-12-04"),
        ("next Sunday", "2026-12-06"),
        ("last Sunday", "2026-11-22"),
        ("last Friday", "2026-11-27"),
        ("the 24th of December", "2026-12-24"),
        ("December 24th", "2026-12-24"),
        ("on December the 24th", "2026-12-24"),
        ("24 December", "2026-12-24"),
        ("december twenty fourth", "2026-12-24"),
        ("the twenty-fourth of December", "2026-12-24"),
        ("Dec 24", "2026-12-24"),
        ("on the 24th", "2026-12-24"),
        ("the 29th", "2026-11-29"),
        ("the 28th", "2026-12-28"),
        ("the 31st", "2026-12-31"),
        ("November 28", "2027-11-28"),
        ("February 29", "2028-02-29"),
        ("July 4th, 1776", "1776-07-04"),
        ("july fourth seventeen seventy six", "1776-07-04"),
        ("the fifth of may nineteen eighty four", "1984-05-05"),
        ("March 3rd two thousand and five", "2005-03-03"),
        ("first of January in 2030", "2030-01-01"),
        ("2026-12-24", "2026-12-24"),
        ("12/24/2026", "2026-12-24"),
        ("24/12/2026", "2026-12-24"),
        ("24.12.2026", "2026-12-24"),
        ("Friday the 13th", "2027-08-13"),
        ("Thursday, December 24th", "2026-12-24"),
        ("Thursday the 24th of December", "2026-12-24"),
        ("Christmas", "2026-12-25"),
        ("Christmas Eve", "2026-12-24"),
        ("Christmas 2027", "2027-12-25"),
        ("New Year's Eve", "2026-12-31"),
        ("new years", "2027-01-01"),
        ("New Year's Day", "2027-01-01"),
        ("Valentine's Day", "2027-02-14"),
        ("Halloween", "2027-10-31"),
        ("Easter", "2027-03-28"),
        ("Easter 2026", "2026-04-05"),
        ("Good Friday", "2027-03-26"),
        ("the third day", ""),
        ("3 days before Easter", "2027-03-25"),
        ("Thanksgiving", "2027-11-25"),
        ("Thanksgiving 2026", "2026-11-26"),
        ("Black Friday 2026", "2026-11-27"),
        ("in three weeks", "2026-12-20"),
        ("in a week", "2026-12-06"),
        ("in ten days", "2026-12-09"),
        ("a hundred days from now", "2027-03-09"),
        ("a hundred days from today", "2027-03-09"),
        ("two weeks from tomorrow", "2026-12-14"),
        ("in three months", "2027-02-28"),
        ("in a year", "2027-11-29"),
        ("three days ago", "2026-11-26"),
        ("a week ago", "2026-11-22"),
        ("two months ago", "2026-09-29"),
        ("a fortnight from today", "2026-12-13"),
        ("February 30", ""),
        ("February 29 2027", ""),
        ("the 32nd", ""),
        ("2026-13-01", ""),
        ("99/99/2026", ""),
        ("three weeks", ""),
        ("soon", ""),
        ("december", ""),
        ("mother's day", ""),
        ("", ""),
    ] {
        let found = day(text, TODAY).map(|d| d.to_string()).unwrap_or_default();
        assert_eq!(found, wanted, "{text}");
    }
}

/// Weeks begin on Monday: what is "next" belongs to the next of them.
#[test]
fn next_friday_is_of_next_week() {
    for (today, this, next) in [
        ("2026-11-23", "2026-11-27", "2026-12-04"),
        ("2026-11-26", "2026-11-27", "2026-12-04"),
        ("2026-11-27", "2026-11-27", "2026-12-04"),
        ("2026-11-28", "2026-12-04", "2026-12-04"),
        ("2026-11-29", "2026-12-04", "2026-12-04"),
        ("2026-11-30", "2026-12-04", "2026-12-11"),
    ] {
        let today: Date = today.parse().unwrap();
        let of = |text| day(text, today).unwrap().to_string();
        assert_eq!((of("this friday").as_str(), of("next friday").as_str()), (this, next), "{today}");
    }
}

/// As the churches publish them.
#[test]
fn easter_falls_where_it_falls() {
    for wanted in [
        "1818-03-22",
        "1943-04-25",
        "1954-04-18",
        "1981-04-19",
        "2000-04-23",
        "2008-03-23",
        "2011-04-24",
        "2024-03-31",
        "2025-04-20",
        "2026-04-05",
        "2027-03-28",
        "2038-04-25",
        "2049-04-18",
    ] {
        let wanted: Date = wanted.parse().unwrap();
        assert_eq!(easter(wanted.year()), Some(wanted));
    }
    assert_eq!(easter(1500), None);
}

#[test]
fn holidays_are_read_as_they_are_written() {
    for (name, d) in HOLIDAYS {
        assert_eq!(parse(name), Some(*d), "{name}");
        assert_eq!(parse(&written(*d)), Some(*d), "{name}");
        assert!(date(*d, TODAY).is_some_and(|d| d >= TODAY), "{name}");
    }
}

pub(in crate::tools) fn any_day() -> impl Strategy<Value = Day> {
    prop_oneof![
        Just(Day::Today),
        Just(Day::Tomorrow),
        (0..7u8).prop_map(Day::Weekday),
        (0..7u8).prop_map(Day::WeekdayOfNextWeek),
        (0..7u8).prop_map(Day::WeekdayBefore),
        (-4000..4000i32).prop_map(Day::Away),
        prop_oneof![-40..0i32, 1..40i32].prop_map(Day::MonthsAway),
        (1..=31u8).prop_map(Day::OfMonth),
        (0..7u8, 1..=31u8).prop_map(|(weekday, day)| Day::WeekdayOfMonth { weekday, day }),
        (1..=12u8, 1..=28u8).prop_map(|(month, day)| Day::OfYear { month, day }),
        (-60..60i8).prop_map(|n| Day::Feast(Feast::Easter(n))),
        (-60..60i8).prop_map(|n| Day::Feast(Feast::Thanksgiving(n))),
        (1600..2900i16, 1..=12i8, 1..=28i8).prop_map(|(y, m, d)| Day::Date(ymd(y, m, d))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(day in any_day()) {
        prop_assert_eq!(parse(&written(day)), Some(day), "{}", written(day));
    }

    #[test]
    fn what_recurs_is_to_come(d in any_day(), days in 0..20_000i32) {
        let today = ymd(2000, 1, 1).checked_add(Span::new().days(days)).unwrap();
        if recurs(d) && let Some(date) = date(d, today) {
            prop_assert!(date >= today);
        }
        let _ = following(d);
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "\\PC{0,40}",
        words in proptest::collection::vec(
            prop_oneof![
                "in|on|the|of|a|next|last|this|from|ago|before|after|today|tomorrow|day|days|weeks|months|years",
                "monday|may|december|easter|christmas|new|year's|eve|first|twenty|thirty|fourth|hundred|thousand",
                "[0-9]{1,9}|[0-9]{1,2}(st|nd|rd|th)|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}",
            ],
            0..10,
        ),
    ) {
        let _ = day(&text, TODAY);
        let _ = day(&words.join(" "), TODAY);
    }
}
