use jiff::civil::date as ymd;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::tools::calendar::tests::any_day;

fn zoned(text: &str) -> Zoned {
    text.parse().unwrap()
}

/// Sunday morning.
fn now() -> Zoned {
    zoned("2026-11-29T10:00:00+00:00[UTC]")
}

fn clock(hour: u8, minute: u8, certain: bool, day: Day) -> When {
    When::At(Clock { hour, minute, certain, day })
}

#[test]
fn canonical_and_as_said() {
    let december = Day::Date(ymd(2026, 12, 24));
    for (text, wanted, form) in [
        ("10 minutes", When::In(600), "10 minutes"),
        ("in ten minutes", When::In(600), "10 minutes"),
        ("ten minutes from now", When::In(600), "10 minutes"),
        ("an hour and a half", When::In(5400), "1 hour 30 minutes"),
        ("in a week", When::In(604_800), "7 days"),
        ("in three weeks", When::In(1_814_400), "21 days"),
        ("06:30", clock(6, 30, true, Day::Next), "06:30"),
        ("6:30", clock(6, 30, false, Day::Next), "6:30"),
        ("06:30:00", clock(6, 30, true, Day::Next), "06:30"),
        ("at 6.30", clock(6, 30, false, Day::Next), "6:30"),
        ("half past six", clock(6, 30, false, Day::Next), "6:30"),
        ("six thirty", clock(6, 30, false, Day::Next), "6:30"),
        ("seven", clock(7, 0, false, Day::Next), "7:00"),
        ("at seven o'clock", clock(7, 0, false, Day::Next), "7:00"),
        ("7 am", clock(7, 0, true, Day::Next), "07:00"),
        ("7:15 p.m.", clock(19, 15, true, Day::Next), "19:15"),
        ("10:30", clock(10, 30, false, Day::Next), "10:30"),
        ("10:30 am", clock(10, 30, true, Day::Next), "10:30 am"),
        ("noon", clock(12, 0, true, Day::Next), "12:00 pm"),
        ("12:30 am", clock(0, 30, true, Day::Next), "00:30"),
        ("ten to noon", clock(11, 50, true, Day::Next), "11:50 am"),
        ("quarter past midnight", clock(0, 15, true, Day::Next), "00:15"),
        ("quarter to one", clock(12, 45, false, Day::Next), "12:45"),
        ("six in the morning", clock(6, 0, true, Day::Next), "06:00"),
        ("today 9:00", clock(9, 0, false, Day::Today), "today 9:00"),
        ("tomorrow 09:00", clock(9, 0, true, Day::Tomorrow), "tomorrow 09:00"),
        ("tomorrow at nine", clock(9, 0, false, Day::Tomorrow), "tomorrow 9:00"),
        ("at nine tomorrow morning", clock(9, 0, true, Day::Tomorrow), "tomorrow 09:00"),
        ("tomorrow morning at nine", clock(9, 0, true, Day::Tomorrow), "tomorrow 09:00"),
        ("tonight at eleven", clock(23, 0, true, Day::Today), "today 23:00"),
        ("tonight at one", clock(1, 0, true, Day::Next), "01:00"),
        ("at one tonight", clock(1, 0, true, Day::Next), "01:00"),
        ("midnight tonight", clock(0, 0, true, Day::Next), "00:00"),
        ("tomorrow at midnight", clock(0, 0, true, Day::Away(2)), "2 days from today 00:00"),
        ("on New Year's Eve at midnight", clock(0, 0, true, Day::OfYear { month: 1, day: 1 }), "january 1 00:00"),
        ("monday 07:00", clock(7, 0, true, Day::Weekday(0)), "monday 07:00"),
        ("half past six on Monday", clock(6, 30, false, Day::Weekday(0)), "monday 6:30"),
        ("next friday at 6 pm", clock(18, 0, true, Day::WeekdayOfNextWeek(4)), "next friday 18:00"),
        ("2026-12-24 09:00", clock(9, 0, true, december), "2026-12-24 09:00"),
        ("on the 24th at nine", clock(9, 0, false, Day::OfMonth(24)), "the 24th 9:00"),
        ("at nine on the 24th", clock(9, 0, false, Day::OfMonth(24)), "the 24th 9:00"),
        ("December 24th at 9 am", clock(9, 0, true, Day::OfYear { month: 12, day: 24 }), "december 24 09:00"),
        ("9 am on Christmas", clock(9, 0, true, Day::OfYear { month: 12, day: 25 }), "december 25 09:00"),
        ("in three days at nine", clock(9, 0, false, Day::Away(3)), "3 days from today 9:00"),
        ("the day after tomorrow at seven", clock(7, 0, false, Day::Away(2)), "2 days from today 7:00"),
        ("tomorrow", When::On(Day::Tomorrow), "tomorrow"),
        ("monday", When::On(Day::Weekday(0)), "monday"),
        ("2026-12-24", When::On(december), "2026-12-24"),
        ("december 24", When::On(Day::OfYear { month: 12, day: 24 }), "december 24"),
        ("christmas", When::On(Day::OfYear { month: 12, day: 25 }), "december 25"),
        ("easter", When::On(Day::Feast(calendar::Feast::Easter(0))), "easter"),
        ("in two months", When::On(Day::MonthsAway(2)), "2 months from today"),
    ] {
        assert_eq!(parse(text), Some(wanted.clone()), "{text}");
        assert_eq!(written(&wanted).as_deref(), Some(form), "{text}");
    }
    for text in ["", "25:00", "twenty nine o'clock sharp", "the kitchen", "ten apples", "percent", "7 percent", "13:75"]
    {
        assert_eq!(parse(text), None, "{text}");
    }
    for text in ["soon", "every day", "tomorrow morning", "tonight"] {
        let when = parse(text).unwrap();
        assert_eq!((written(&when), resolve(&when, Lean::Next, &now())), (None, None), "{text}");
    }
}

#[test]
fn the_longest_moment_at_the_start() {
    for (text, used) in [
        ("at nine on monday to call mom", 4),
        ("in ten minutes to call mom", 3),
        ("tomorrow to call mom", 1),
        ("tomorrow at nine to call mom", 3),
        ("6:30 every day", 1),
        ("december 24th at nine feed the cat", 5),
    ] {
        assert_eq!(take(&tokens(text)).map(|f| f.1), Some(used), "{text}");
    }
    assert_eq!(take(&tokens("to call mom at nine")), None);
}

#[test]
fn when_that_is() {
    use Lean::{Morning, Next};
    for (text, lean, wanted) in [
        ("in ten minutes", Next, "2026-11-29T10:10"),
        ("6:30", Next, "2026-11-29T18:30"),
        ("6:30", Morning, "2026-11-30T06:30"),
        ("06:30", Next, "2026-11-30T06:30"),
        ("11:00", Next, "2026-11-29T11:00"),
        ("10:00", Next, "2026-11-29T22:00"),
        ("10:00", Morning, "2026-11-30T10:00"),
        ("12:00", Morning, "2026-11-29T12:00"),
        ("3:00", Morning, "2026-11-29T15:00"),
        ("noon", Next, "2026-11-29T12:00"),
        ("midnight", Next, "2026-11-30T00:00"),
        ("tonight at one", Next, "2026-11-30T01:00"),
        ("tomorrow 9:00", Next, "2026-11-30T09:00"),
        ("tomorrow 2:00", Next, "2026-11-30T14:00"),
        ("tomorrow 6:00", Next, "2026-11-30T18:00"),
        ("tomorrow 6:00", Morning, "2026-11-30T06:00"),
        ("tomorrow 12:00", Next, "2026-11-30T12:00"),
        ("today 9:00", Next, "2026-11-29T21:00"),
        ("today 9:00", Morning, "2026-11-29T21:00"),
        ("today 09:00", Next, ""),
        ("yesterday at 11:30 pm", Next, ""),
        ("sunday 09:00", Next, "2026-12-06T09:00"),
        ("sunday 11:00", Next, "2026-11-29T11:00"),
        ("this sunday at 09:00", Next, "2026-12-06T09:00"),
        ("the 29th at 9 am", Next, "2026-12-29T09:00"),
        ("november 29 09:00", Next, "2027-11-29T09:00"),
        ("2026-11-29 09:00", Next, ""),
        ("2026-12-24 09:00", Next, "2026-12-24T09:00"),
        ("christmas at 8 am", Next, "2026-12-25T08:00"),
        ("tomorrow", Next, ""),
    ] {
        let found = resolve(&parse(text).unwrap(), lean, &now()).map(|z| z.strftime("%Y-%m-%dT%H:%M").to_string());
        assert_eq!(found.unwrap_or_default(), wanted, "{text}");
    }
}

#[test]
fn across_changes_of_summer_time() {
    if TimeZone::get("Europe/Berlin").is_err() {
        println!("SKIPPED across_changes_of_summer_time: no time zone data on this machine");
        return;
    }
    let at = |text: &str, now: &str| resolve(&parse(text).unwrap(), Lean::Next, &zoned(now)).unwrap().to_string();
    // 2:30 is jumped over on 2026-03-29 and shown twice on 2026-10-25.
    for (text, now, wanted) in [
        ("07:00", "2026-03-28T22:00:00+01:00[Europe/Berlin]", "2026-03-29T07:00:00+02:00[Europe/Berlin]"),
        ("02:30", "2026-03-28T22:00:00+01:00[Europe/Berlin]", "2026-03-29T03:30:00+02:00[Europe/Berlin]"),
        ("in 8 hours", "2026-03-28T22:00:00+01:00[Europe/Berlin]", "2026-03-29T07:00:00+02:00[Europe/Berlin]"),
        ("07:00", "2026-10-24T22:00:00+02:00[Europe/Berlin]", "2026-10-25T07:00:00+01:00[Europe/Berlin]"),
        ("02:30", "2026-10-24T22:00:00+02:00[Europe/Berlin]", "2026-10-25T02:30:00+02:00[Europe/Berlin]"),
        ("02:30", "2026-10-25T02:45:00+02:00[Europe/Berlin]", "2026-10-25T02:30:00+01:00[Europe/Berlin]"),
        ("02:30", "2026-10-25T02:30:00+01:00[Europe/Berlin]", "2026-10-26T02:30:00+01:00[Europe/Berlin]"),
    ] {
        assert_eq!(at(text, now), wanted, "{text} {now}");
    }
}

#[test]
fn told_back() {
    for (text, twelve, twenty_four) in [
        ("2026-11-29T11:15", "at 11:15 this morning", "at 11:15"),
        ("2026-11-29T12:00", "at noon", "at 12:00"),
        ("2026-11-29T14:00", "at 2 this afternoon", "at 14:00"),
        ("2026-11-29T18:30", "at 6:30 this evening", "at 18:30"),
        ("2026-11-29T22:00", "at 10 tonight", "at 22:00"),
        ("2026-11-30T00:00", "at midnight tonight", "at 00:00 tomorrow"),
        ("2026-11-30T00:30", "at 12:30 AM tomorrow", "at 00:30 tomorrow"),
        ("2026-11-30T06:30", "at 6:30 tomorrow morning", "at 06:30 tomorrow"),
        ("2026-11-30T12:00", "at noon tomorrow", "at 12:00 tomorrow"),
        ("2026-11-30T21:05", "at 9:05 tomorrow night", "at 21:05 tomorrow"),
        ("2026-12-01T07:00", "on Tuesday at 7 AM", "on Tuesday at 07:00"),
        ("2026-12-05T19:30", "on Saturday at 7:30 PM", "on Saturday at 19:30"),
        ("2026-12-06T12:00", "on Sunday, December 6, at noon", "on Sunday, December 6, at 12:00"),
        ("2027-01-01T00:00", "on Friday, January 1, 2027, at 12 AM", "on Friday, January 1, 2027, at 00:00"),
    ] {
        let at = zoned(&format!("{text}:00+00:00[UTC]"));
        assert_eq!(spoken(&at, &now(), false), twelve);
        assert_eq!(spoken(&at, &now(), true), twenty_four);
    }
}

fn any_clock() -> impl Strategy<Value = Clock> {
    (0..24u8, 0..60u8, any::<bool>(), prop_oneof![Just(Day::Next), any_day()]).prop_map(|(hour, minute, sure, day)| {
        let certain = sure || hour > 12 || hour == 0;
        Clock { hour, minute, certain, day }
    })
}

fn any_when() -> impl Strategy<Value = When> {
    prop_oneof![(1..=FAR_MAX_S).prop_map(When::In), any_clock().prop_map(When::At), any_day().prop_map(When::On),]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(when in any_when()) {
        let text = written(&when).unwrap();
        prop_assert_eq!(parse(&text), Some(when), "{}", text);
    }

    #[test]
    fn it_is_always_to_come(
        when in any_when(),
        lean in prop_oneof![Just(Lean::Next), Just(Lean::Morning)],
        second in 0..4_000_000_000i64,
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe")],
    ) {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let now = jiff::Timestamp::from_second(second).unwrap().to_zoned(zone);
        let found = resolve(&when, lean, &now);
        if let Some(at) = &found {
            prop_assert!(*at > now);
            prop_assert!(!spoken(at, &now, false).is_empty());
        }
        // The next time that a clock shows it always comes.
        if matches!(when, When::In(_) | When::At(Clock { day: Day::Next, .. })) {
            prop_assert!(found.is_some());
        }
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "\\PC{0,40}",
        words in proptest::collection::vec(
            prop_oneof![
                "at|in|on|the|half|past|quarter|to|am|pm|noon|midnight|tonight|tomorrow|night|morning|next|this|after",
                "monday|december|christmas|first|ten|thirty|twenty|fourth|hour|minutes|weeks|months|days|from|now|ago",
                "[0-9]{1,9}|[0-9]{1,2}:[0-9]{2}|[0-9]{1,2}\\.[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}|o'clock|a|and",
            ],
            0..10,
        ),
    ) {
        for text in [text, words.join(" ")] {
            if let Some(when) = parse(&text) {
                let _ = resolve(&when, Lean::Morning, &now());
            }
            let _ = reading::read(&text);
        }
    }
}
