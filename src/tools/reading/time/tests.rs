use super::super::lex::words;
use super::*;

fn found(text: &str) -> Option<(String, When)> {
    let words = words(text);
    find(&words).map(|f| (line(&words[f.start..f.end]), f.when))
}

fn clock(hour: u8, minute: u8, certain: bool, day: Day) -> When {
    When::At(Clock { hour, minute, certain, day })
}

#[test]
fn times_in_requests() {
    let vague = |text: &str| When::Vague(text.to_owned());
    let far = |text: &str| When::TooFar(text.to_owned());
    for (text, words, when) in [
        ("turn it off in ten minutes", "in ten minutes", When::In(600)),
        ("turn it off in a week", "in a week", When::In(604_800)),
        ("turn it off in three weeks", "in three weeks", far("in three weeks")),
        ("turn it off in ten days", "in ten days", far("in ten days")),
        ("turn it off in a month", "in a month", far("in a month")),
        ("turn it off at nine", "at nine", clock(9, 0, false, Day::Next)),
        ("turn the heating on at 6.30", "at 6.30", clock(6, 30, false, Day::Next)),
        ("turn it off tomorrow at nine", "tomorrow at nine", clock(9, 0, false, Day::Tomorrow)),
        ("turn it off at nine tomorrow evening", "at nine tomorrow evening", clock(21, 0, true, Day::Tomorrow)),
        ("turn it off tonight at midnight", "tonight at midnight", clock(0, 0, true, Day::Next)),
        ("turn it off tonight at half past twelve", "tonight at half past twelve", clock(0, 30, true, Day::Next)),
        ("turn it off in three days at nine", "in three days at nine", clock(9, 0, false, Day::Away(3))),
        ("turn it off on the 24th at nine", "on the 24 th at nine", clock(9, 0, false, Day::OfMonth(24))),
        (
            "turn it off on December 24th at 9 pm",
            "on december 24 th at 9 pm",
            clock(21, 0, true, Day::OfYear { month: 12, day: 24 }),
        ),
        ("turn it off next Friday at six", "next friday at six", clock(6, 0, false, Day::WeekdayOfNextWeek(4))),
        ("turn it off on the Monday at six", "on the monday at six", clock(6, 0, false, Day::Weekday(0))),
        ("turn it off tomorrow", "tomorrow", vague("tomorrow")),
        ("turn it off next Friday", "next friday", vague("next friday")),
        ("turn it off tonight", "tonight", vague("tonight")),
        ("turn it off the day after tomorrow", "the day after tomorrow", vague("the day after tomorrow")),
        ("turn the light off on Christmas", "on christmas", vague("on christmas")),
        ("turn it off an hour ago", "an hour ago", vague("an hour ago")),
    ] {
        assert_eq!(found(text), Some((words.to_owned(), when)), "{text}");
    }
}

#[test]
fn what_is_no_time() {
    for text in [
        "turn on the christmas lights",
        "turn on the second light",
        "turn the light on the third floor off",
        "play new year songs",
        "set the volume to 30 percent",
        "set the heating to 21.50",
        "turn the heating to 21 degrees",
        "open the first blind",
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}
