//! Text normalisation, from writing to words: digits, times, dates, money, units and abbreviations become words.
//!
//! The voice reads letters well and everything else badly, so nothing but words and punctuation reaches it. Each class
//! of what is written (numbers, measures, money, dates, ...) has a file, which says how it decides where a text could
//! be read in two ways, and a table of cases in `tests/data/spoken`.

mod abbreviations;
mod arc;
mod cardinal;
mod clock;
mod code;
mod date;
mod dimension;
mod duration;
mod english;
mod fraction;
mod label;
mod lexer;
mod measure;
mod money;
mod net;
mod number;
mod roman;
pub(super) mod shorthand;
mod symbols;
mod telephone;
mod units;
mod year;

use serde::{Deserialize, Serialize};

/// Language of the words; the rules of each live behind [`normalize`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// American English: months before days, kilometers, no "and" within numbers.
    #[default]
    English,
}

/// Rewrites `text` with words in place of digits, symbols and abbreviations.
///
/// The result holds no ASCII digit and no run of white space; text that has nothing to rewrite comes back as it was.
pub fn normalize(text: &str, language: Language) -> String {
    match language {
        Language::English => english::normalize(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn say(text: &str) -> String {
        normalize(text, Language::English)
    }
    #[test]
    fn words_alone_are_left_alone() {
        for text in [
            "Sure, the kitchen light is on.",
            "I'm sorry, I don't know; should I look it up?",
            "Well... maybe: who knows!",
            "\"Yes,\" she said, \"it's the well-known one.\"",
        ] {
            assert_eq!(say(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_to_read_digit_by_digit(text in "\\PC{0,60}") {
            let spoken = say(&text);
            prop_assert!(!spoken.contains(|c: char| c.is_ascii_digit()), "{spoken:?}");
            prop_assert!(!spoken.contains("  "), "{spoken:?}");
        }

        #[test]
        fn garbled_quantities_do_not_break_it(text in "[0-9$€%°:/.,+ xkmhCAPs\"'()=-]{0,24}") {
            let spoken = say(&text);
            prop_assert!(!spoken.contains(|c: char| c.is_ascii_digit()), "{text:?} -> {spoken:?}");
        }

        #[test]
        fn whole_numbers_keep_their_value(n in 0u64..2_000_000_000) {
            let spoken = number::cardinal(n);
            prop_assert_eq!(value(&spoken), n, "{}", spoken);
        }
    }

    /// Reads number words back, by other means than they were written.
    fn value(words: &str) -> u64 {
        let small = |w: &str| (0..=90u64).find(|n| (*n <= 20 || n % 10 == 0) && number::cardinal(*n) == w);
        let (mut total, mut group) = (0, 0);
        for w in words.split([' ', '-']) {
            match w {
                "hundred" => group *= 100,
                "thousand" | "million" | "billion" => {
                    let scale = match w {
                        "thousand" => 1_000,
                        "million" => 1_000_000,
                        _ => 1_000_000_000,
                    };
                    total += group * scale;
                    group = 0;
                }
                w => group += small(w).expect("a number word"),
            }
        }
        total + group
    }
}
