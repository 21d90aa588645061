//! The days of the week on which something happens again.

use jiff::civil::Weekday;

/// A set of days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) struct Days(u8);

const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const WORKING: Days = Days(0b001_1111);
const WEEKEND: Days = Days(0b110_0000);
const EVERY: Days = Days(0b111_1111);

impl Days {
    /// "weekdays", "every day", "Mondays and Thursdays", "every Monday". `None` for anything else: a day without
    /// "every" is a single day.
    pub(in crate::tools) fn parse(text: &str) -> Option<Self> {
        let text = text.to_lowercase().replace([',', '&', '.'], " ");
        let mut words: Vec<&str> =
            text.split_whitespace().filter(|w| !matches!(*w, "on" | "and" | "the" | "at")).collect();
        let every = matches!(words.first(), Some(&("every" | "each")));
        if every {
            words.remove(0);
            words.retain(|w| !matches!(*w, "every" | "each"));
        }
        match (words.as_slice(), every) {
            (["weekdays" | "workdays"] | ["week" | "work" | "working", "days"], _) => return Some(WORKING),
            (["weekday" | "workday"] | ["week" | "work" | "working", "day"], true) => return Some(WORKING),
            (["weekends"], _) | (["weekend"], true) => return Some(WEEKEND),
            (["day" | "morning" | "evening" | "night" | "days"], true) => return Some(EVERY),
            (["daily" | "everyday"] | ["all", "days"], false) => return Some(EVERY),
            ([], _) => return None,
            _ => {}
        }
        let days = words.iter().map(|w| day(w).filter(|(plural, _)| *plural || every));
        let bits = days.collect::<Option<Vec<_>>>()?.iter().fold(0, |bits, (_, i)| bits | 1 << i);
        Some(Self(bits))
    }

    /// As the file has it; 0 is none.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (1..=EVERY.0).contains(&bits).then_some(Self(bits))
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn has(self, day: Weekday) -> bool {
        self.0 >> day.to_monday_zero_offset() & 1 == 1
    }

    /// "on weekdays", "every day", "on Mondays and Thursdays".
    pub(in crate::tools) fn spoken(self) -> String {
        match self {
            WORKING => "on weekdays".to_owned(),
            WEEKEND => "on weekends".to_owned(),
            EVERY => "every day".to_owned(),
            Self(bits) => {
                let days: Vec<String> = NAMES
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| bits >> i & 1 == 1)
                    .map(|(_, d)| format!("{d}s"))
                    .collect();
                format!("on {}", crate::tools::listed(&days))
            }
        }
    }
}

/// Whether it is a plural, and which day after Monday.
fn day(word: &str) -> Option<(bool, usize)> {
    let find = |w: &str| NAMES.iter().position(|d| d.eq_ignore_ascii_case(w));
    find(word).map(|i| (false, i)).or_else(|| Some((true, find(word.strip_suffix('s')?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_understood_and_told() {
        for (text, told) in [
            ("weekdays", "on weekdays"),
            ("on weekdays", "on weekdays"),
            ("every weekday", "on weekdays"),
            ("weekends", "on weekends"),
            ("every day", "every day"),
            ("daily", "every day"),
            ("every morning", "every day"),
            ("mondays", "on Mondays"),
            ("every Monday", "on Mondays"),
            ("mondays and thursdays", "on Mondays and Thursdays"),
            ("Sundays, Tuesdays and Fridays", "on Tuesdays, Fridays and Sundays"),
            ("every monday and every friday", "on Mondays and Fridays"),
            ("saturdays and sundays", "on weekends"),
        ] {
            let days = Days::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(days.spoken(), told, "{text}");
            assert_eq!(Days::from_bits(days.bits()), Some(days));
        }
        for text in ["monday", "tomorrow", "", "every", "2026-12-24", "the weekend", "every alarm"] {
            assert_eq!(Days::parse(text), None, "{text}");
        }
        assert_eq!(Days::from_bits(0), None);
        assert_eq!(Days::from_bits(128), None);
    }
}
