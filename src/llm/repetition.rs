//! Whether a text is stuck in a loop: a phrase repeated again and again, with nothing in between.
//!
//! Small models get caught in loops ("the manual of the manual of the manual of …") and go on until the token limit is
//! reached. People repeat themselves too ("no, no, no", a word ten times because somebody asked for it, a refrain), so a
//! phrase must repeat many times before it counts as a loop: the shorter, the more times ([`allowed`]). Meanwhile what is
//! being repeated is held back ([`Watch::settled`]), so that a loop is never spoken; a phrase that turns out not to be one
//! comes a little later.
//!
//! The text is read as words and signs, ignoring case and white space. Where a script does not separate words with
//! spaces every character is a word, and of a long word every further character stands for itself, so that "hahaha…" is
//! recognised as a loop, too.

use std::ops::Range;

/// Longest phrase that is looked for, in words and signs.
const LONGEST: usize = 256;

/// Characters at the start of a word that are taken together; those after them are taken one by one.
const START: usize = 8;

/// White space in a row that no text has.
const BLANK: usize = 256;

/// What a phrase is made of.
#[derive(Debug, Clone, Copy)]
struct Made {
    words: usize,
    /// Of ASCII, and others: emoji.
    signs: usize,
    pictures: usize,
    /// Characters from within a word.
    inner: usize,
}

/// How many times a phrase may come in a row.
///
/// One word 36 times, three words 12 times, six or more 6 times. Within a word a letter 48 times, a syllable of two 24
/// times; emoji as letters. Other signs alone are rules and tables ("-----").
fn allowed(phrase: Made) -> usize {
    let Made { words, signs, pictures, inner } = phrase;
    let (many, of) = match (words, inner, pictures) {
        (0, 0, 0) => (120, signs.max(1)),
        (0, 0, _) => (48, pictures),
        (0, _, _) => (48, inner),
        _ => (36, words),
    };
    (many / of).max(6)
}

/// As [`allowed`], of a text that did not end by itself: whatever repeats until the token limit was not going
/// to stop.
fn allowed_at_limit(phrase: Made) -> usize {
    allowed(phrase) / 3
}

/// Follows a growing text.
#[derive(Debug)]
pub(super) struct Watch {
    /// Lower case, without white space.
    folded: String,
    units: Vec<Unit>,
    /// How many units, up to the last, equal those `period` before them; by `period - 1`.
    runs: Vec<usize>,
    /// The last unit is the start of a word, and may go on.
    open: bool,
    /// Characters of the word at the end.
    word: usize,
    /// White space at the end, in characters.
    blank: usize,
    /// Bytes seen.
    seen: usize,
}

/// A word or its start, a further character of it, or a sign.
#[derive(Debug, Clone)]
struct Unit {
    /// In [`Watch::folded`].
    folded: Range<usize>,
    /// Where it begins in the text.
    at: usize,
    kind: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Word,
    Inner,
    Sign,
    Picture,
}

impl Default for Watch {
    fn default() -> Self {
        let (folded, units, runs) = (String::new(), Vec::new(), vec![0; LONGEST]);
        Self { folded, units, runs, open: false, word: 0, blank: 0, seen: 0 }
    }
}

impl Watch {
    /// Takes the text that was added.
    pub(super) fn push(&mut self, more: &str) {
        for (i, c) in more.char_indices() {
            self.take(c, self.seen + i);
        }
        self.seen += more.len();
    }

    fn take(&mut self, c: char, at: usize) {
        if c.is_whitespace() {
            self.close();
            (self.word, self.blank) = (0, self.blank + 1);
            return;
        }
        self.blank = 0;
        // A sign within a word ("don't", "10.5") is a sign; the word's two parts are two words.
        let kind = match c.is_alphanumeric() {
            false if c.is_ascii() => What::Sign,
            false => What::Picture,
            true if self.word >= START && !stands_alone(c) => What::Inner,
            true => What::Word,
        };
        let alone = matches!(kind, What::Sign | What::Picture) || stands_alone(c);
        self.word = if alone { 0 } else { self.word + 1 };
        if self.open && !alone && kind == What::Word {
            self.folded.extend(c.to_lowercase());
            if let Some(unit) = self.units.last_mut() {
                unit.folded.end = self.folded.len();
            }
            return;
        }
        self.close();
        let start = self.folded.len();
        self.folded.extend(c.to_lowercase());
        self.units.push(Unit { folded: start..self.folded.len(), at, kind });
        self.open = true;
        if alone || kind == What::Inner {
            self.close();
        }
    }

    /// The last unit is whole: compared with those before it.
    fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let last = self.units.len() - 1;
        for (i, run) in self.runs.iter_mut().enumerate() {
            let again = last.checked_sub(i + 1).is_some_and(|before| {
                self.folded[self.units[before].folded.clone()] == self.folded[self.units[last].folded.clone()]
            });
            *run = if again { *run + 1 } else { 0 };
        }
    }

    /// Units that are whole.
    fn whole(&self) -> usize {
        self.units.len() - usize::from(self.open)
    }

    /// Up to which byte the text does not repeat what stands right before it: what comes after may yet become a loop.
    pub(super) fn settled(&self) -> usize {
        let whole = self.whole();
        let growing = self.units.last().filter(|_| self.open).map(|u| &self.folded[u.folded.clone()]);
        let held = |(i, &run): (usize, &usize)| {
            // A word that goes on may become the one that it would have to be.
            let goes_on = growing.is_none_or(|word| {
                let before = whole.checked_sub(i + 1).map(|at| &self.folded[self.units[at].folded.clone()]);
                before.is_some_and(|before| before.starts_with(word))
            });
            match goes_on {
                true => run + usize::from(growing.is_some()),
                false => 0,
            }
        };
        match self.runs.iter().enumerate().map(held).max() {
            None | Some(0) => self.seen,
            Some(n) => self.units[self.units.len() - n].at,
        }
    }

    /// Where to cut the text if it has become a loop: after the first occurrence of the phrase.
    pub(super) fn looped(&self) -> Option<usize> {
        self.cut(allowed)
    }

    /// As [`Watch::looped`], where the text was ended by a limit: a phrase that came a few times is a loop then.
    pub(super) fn looped_at_limit(&self) -> Option<usize> {
        self.cut(allowed_at_limit)
    }

    fn cut(&self, allowed: fn(Made) -> usize) -> Option<usize> {
        if self.blank > BLANK {
            return Some(self.seen);
        }
        let whole = self.whole();
        self.runs.iter().enumerate().find_map(|(i, &run)| {
            let period = i + 1;
            let times = 1 + run / period;
            // Most phrases did not even come twice.
            if times < 2 {
                return None;
            }
            let phrase = &self.units[whole - period..whole];
            let count = |kind| phrase.iter().filter(|u| u.kind == kind).count();
            let made = Made {
                words: count(What::Word),
                signs: count(What::Sign),
                pictures: count(What::Picture),
                inner: count(What::Inner),
            };
            (times > allowed(made)).then(|| self.units[whole - run].at)
        })
    }
}

/// Whether it is of a script that does not part words with spaces: Thai and its neighbours, Chinese, Japanese.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0FFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{2E80}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the text a few characters at a time; returns where it was found to be a loop, and what was handed out by then.
    fn feed(text: &str, step: usize) -> (Option<usize>, usize) {
        let mut watch = Watch::default();
        let mut settled = 0;
        let chars: Vec<char> = text.chars().collect();
        for part in chars.chunks(step) {
            watch.push(&part.iter().collect::<String>());
            if let Some(at) = watch.looped() {
                return (Some(at), settled);
            }
            settled = settled.max(watch.settled());
        }
        (None, settled)
    }

    fn kept(text: &str) -> Option<&str> {
        feed(text, 3).0.map(|at| text[..at].trim_end())
    }

    #[test]
    fn loops_end_behind_the_first_time() {
        for (text, left) in [
            ("Molecular Manual of ".repeat(40), "Molecular Manual of"),
            (format!("It is {}", "the sky and ".repeat(40)), "It is the sky and"),
            ("I am sorry, I cannot do that. ".repeat(20), "I am sorry, I cannot do that."),
            ("I'm sorry. ".repeat(20), "I'm sorry."),
            (format!("So {}", "the ".repeat(200)), "So the"),
            ("👍🏽✨".repeat(100), "👍🏽✨"),
            ("你好".repeat(50), "你好"),
            ("Très bien ! ".repeat(30), "Très bien !"),
            // Case does not matter, nor where the lines end.
            ("The end\nthe END ".repeat(20), "The end"),
            (format!("Well: {}", "- one\n- two\n- three\n".repeat(20)), "Well: - one\n- two\n- three"),
        ] {
            assert_eq!(kept(&text), Some(left), "{text}");
        }
        // Within a word.
        for (text, left) in [
            ("hahaha".repeat(20), "hahahaha"),
            (format!("Suminium add,{}", "igh".repeat(60)), "Suminium add,ighighig"),
            (format!("Appendix SAR{}", "ES".repeat(60)), "Appendix SARESESE"),
            ("A".repeat(100), "AAAAAAAA"),
        ] {
            let kept = kept(&text).expect("a loop");
            assert!(kept.starts_with(left) && kept.len() <= left.len() + 3, "{kept}");
        }
        assert_eq!(kept(&format!("So.{}", "\n".repeat(300))), Some("So."));
        // A long paragraph comes seven times.
        let paragraph = (0..90).map(|i| format!("word{i} ")).collect::<String>();
        assert_eq!(kept(&paragraph.repeat(8)), Some(paragraph.trim_end()));
    }

    #[test]
    fn what_people_say_is_no_loop() {
        let count = (1..=200).map(|i| format!("{i}, ")).collect::<String>();
        let list = (1..=60).map(|i| format!("- Buy apples for {i} people.\n")).collect::<String>();
        let table = format!("| a | b | c | d |\n|---|---|---|---|\n{}", "| 1 | 2 | 3 | 4 |\n".repeat(3));
        for text in [
            "Ha ha ha!",
            "No, no, no.",
            "Ten, ten, ten.",
            &"ten, ".repeat(30),
            &"hello ".repeat(36),
            &"I love you. ".repeat(10),
            &"Good morning! ".repeat(12),
            &"I will not talk in class. ".repeat(6),
            &count,
            &list,
            &table,
            &"-".repeat(100),
            &"😀".repeat(40),
            "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
            "Happy birthday to you, happy birthday to you, happy birthday dear Ann, happy birthday to you.",
            "1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144",
            "0000000000000000000000000000000000000000",
            "哈哈哈哈哈哈",
            "Hahahahahahahahaha, aaaaaaaaaaaaaaaargh!",
            "Pneumonoultramicroscopicsilicovolcanoconiosis, 3.14159265358979323846264338327950288419716939937510",
            "https://example.org/a/b/c/d/e/f/g/index.html?x=00000000000000000000000000000000",
        ] {
            assert_eq!(kept(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_ended_by_a_limit_is_judged_sooner() {
        let at_limit = |text: &str| {
            let mut watch = Watch::default();
            watch.push(text);
            watch.looped_at_limit().map(|at| text[..at].trim_end().to_owned())
        };
        assert_eq!(at_limit(&"Molecular Manual of ".repeat(5)).as_deref(), Some("Molecular Manual of"));
        assert_eq!(at_limit(&"Molecular Manual of ".repeat(4)), None);
        assert_eq!(at_limit("No, no, no, no, no, no, no, no"), None);
        assert_eq!(at_limit("I think so. I think so, too."), None);
    }

    #[test]
    fn what_is_repeated_is_held_back_until_it_goes_on() {
        let mut watch = Watch::default();
        let mut settled = |more: &str| {
            watch.push(more);
            watch.settled()
        };
        assert_eq!(settled("The cat and"), 11);
        assert_eq!(settled(" th"), 12, "it may become `the`");
        assert_eq!(settled("e"), 12);
        assert_eq!(settled(" "), 12);
        assert_eq!(settled("dog"), 19);
        assert_eq!(settled("."), 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        /// Nothing that was handed out is cut off, and the phrase is left at most once.
        #[test]
        fn a_loop_is_ended_whatever_it_is_made_of(
            before in "[a-z]{0,3}( [a-z]{1,6}[.,]?){0,12} ?",
            phrase in "[a-zé你😀]{1,7}([ ,.'][A-Za-z0-9]{1,7}){0,9}[.!]?",
            step in 1usize..9,
        ) {
            let text = format!("{before}{}", format!("{phrase} ").repeat(80));
            let (cut, settled) = feed(&text, step);
            let cut = cut.expect("80 times is a loop");
            prop_assert!(settled <= cut);
            prop_assert!(text.is_char_boundary(cut));
            // Where the phrase runs into what stands before it, its first time is not like the others.
            let left = text[..cut].trim_end();
            prop_assert!(left.len() <= before.len() + phrase.len() + 1 + phrase.len(), "{left:?}");
        }

        /// Text without a repeated phrase is handed out in full, whatever the pieces.
        #[test]
        fn other_text_is_left_alone(words in prop::collection::vec("[a-z]{1,6}", 1..80), step in 1usize..9) {
            let text: String = words.iter().enumerate().map(|(i, w)| format!("{w}{i} ")).collect();
            let (cut, settled) = feed(&text, step);
            prop_assert_eq!(cut, None);
            prop_assert!(settled > 0 && text.is_char_boundary(settled));
        }

        /// Any text: no panic, positions within it and on characters, and pieces make no difference.
        #[test]
        fn any_text_is_watched(text in "\\PC{0,60}", times in 1usize..30, step in 1usize..9) {
            let text = text.repeat(times);
            let (cut, settled) = feed(&text, step);
            let (cut_by_one, _) = feed(&text, 1);
            prop_assert_eq!(cut, cut_by_one);
            prop_assert!(text.is_char_boundary(cut.unwrap_or(0)) && text.is_char_boundary(settled));
            prop_assert!(cut.is_none_or(|cut| settled <= cut));
        }
    }
}
