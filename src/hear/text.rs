//! Cleans up what a speech recogniser writes into what the person said. Pure functions on text.

/// Removes annotations that nobody said: `[BLANK_AUDIO]`, `(music)`, `*coughs*`, notes, speaker dashes, doubled spaces.
pub fn clean(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut closing: Option<char> = None;
    for c in raw.chars() {
        match (closing, c) {
            (Some(end), c) if c == end => closing = None,
            (Some(_), _) => {}
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
            (None, '{') => closing = Some('}'),
            (None, '*') => closing = Some('*'),
            (None, '♪' | '♫' | '\u{fffd}') => {}
            (None, c) => text.push(c),
        }
    }
    let words: Vec<&str> = text.split_whitespace().filter(|w| !matches!(*w, "-" | "--" | ">>" | ">")).collect();
    let text = words.join(" ");
    let text = text.trim_start_matches(['-', '>', ',', '.', ' ']).trim_end();
    if text.chars().any(char::is_alphanumeric) { text.to_owned() } else { String::new() }
}

/// Lower-case words without punctuation: how transcripts are compared. An apostrophe stays within a word.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .map(|w| w.replace('’', "'").trim_matches('\'').to_lowercase())
        .filter(|w| !w.is_empty())
        .collect()
}

/// What Whisper writes when it hears nothing in particular: the ends of the videos it was trained on.
const HALLUCINATIONS: [&str; 22] = [
    "you",
    "thank you",
    "thank you very much",
    "thank you so much",
    "thanks",
    "thanks for watching",
    "thank you for watching",
    "bye",
    "bye bye",
    "so",
    "oh",
    "uh",
    "um",
    "hmm",
    "mm",
    "mmm",
    "mm hmm",
    "i'm sorry",
    "the",
    "a",
    "i",
    "beep",
];

/// Whether this is something Whisper also writes when nobody spoke; believe it only with good evidence of speech.
pub fn is_doubtful(text: &str) -> bool {
    let words = words(text);
    // "Thank you. Thank you. Thank you." is no better than one of them.
    let joined = words[..period(&words)].join(" ");
    HALLUCINATIONS.contains(&joined.as_str())
        || joined.starts_with("subtitles by")
        || joined.starts_with("please subscribe")
}

/// The fewest words of which `words` are a repetition; all of them where they are none.
fn period(words: &[String]) -> usize {
    let repeats = |n: &usize| words.len().is_multiple_of(*n) && words.chunks(*n).all(|c| c == &words[..*n]);
    (1..words.len()).find(repeats).unwrap_or(words.len())
}

/// Whether the text loops: the decoder was stuck, or somebody says one thing many times.
pub fn is_looping(text: &str) -> bool {
    circles(text, 6, 4)
}

/// Whether a word or phrase comes so often in a row that its count is easily wrong.
pub fn counts(text: &str) -> bool {
    circles(text, 3, 3)
}

/// How often the text says the one word or phrase that it consists of, where that is four times or more.
pub fn repetitions(text: &str) -> Option<usize> {
    let said = spoken_words(text);
    let unit = period(&said);
    (unit <= 6 && unit > 0 && said.len() / unit >= 4).then(|| said.len() / unit)
}

/// A text of [`repetitions`], with so many of them.
pub fn said_times(text: &str, times: usize) -> String {
    let said = spoken_words(text);
    let unit = period(&said);
    if times == 0 || unit == 0 {
        return text.to_owned();
    }
    // "5555", "5, 5, 5, 5", "5-55-5"
    if said[0].chars().all(|c| c.is_ascii_digit()) && unit == 1 && text.starts_with(|c: char| c.is_ascii_digit()) {
        let between = if text.contains(", ") { ", " } else { "" };
        return vec![said[0].as_str(); times].join(between);
    }
    let ends = leading_words(text, said.len());
    let (Some((first, _)), Some((second, _)), Some((last, _))) =
        (ends.get(unit - 1), ends.get(2 * unit - 1), ends.get(said.len() - 1))
    else {
        return text.to_owned();
    };
    format!("{}{}{}", &text[..*first], text[*first..*second].repeat(times - 1), &text[*last..])
}

/// Whether a word comes `words` times in a row, or a phrase of up to six words `phrases` times.
fn circles(text: &str, words: usize, phrases: usize) -> bool {
    let said = spoken_words(text);
    (1..=6).any(|n| {
        let repeats = if n == 1 { words } else { phrases };
        said.windows(n * repeats).any(|w| w.chunks(n).all(|c| c == &w[..n]))
    })
}

/// As [`words`], with each digit a word and "five" a digit: "555", "5, 5, 5" and "five five five" are said alike.
fn spoken_words(text: &str) -> Vec<String> {
    const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    words(text)
        .into_iter()
        .flat_map(|w| match DIGITS.iter().position(|d| *d == w) {
            Some(digit) => vec![digit.to_string()],
            None if w.chars().all(|c| c.is_ascii_digit()) => w.chars().map(String::from).collect(),
            None => vec![w],
        })
        .collect()
}

/// Whether three words or more are said twice in a row, which a recogniser does more often than people.
pub fn repeats_itself(text: &str) -> bool {
    let words = words(text);
    (3..=words.len() / 2).any(|n| words.windows(2 * n).any(|w| w[..n] == w[n..]))
}

/// Whether two transcripts of one utterance say the same, however often they repeat it, but for a word in eight (one
/// at least): a recogniser that miscounts a word said six times is not stuck.
pub fn agree(a: &str, b: &str) -> bool {
    let (a, b) = (unrepeated(a), unrepeated(b));
    let differ = strsim::generic_levenshtein(&a, &b);
    differ <= (a.len().max(b.len()) / 8).max(usize::from(a.len() > 1 && b.len() > 1))
}

/// The words with what comes several times in a row said once.
fn unrepeated(text: &str) -> Vec<String> {
    let mut said = spoken_words(text);
    for n in 1..=6 {
        let mut at = n;
        while at + n <= said.len() {
            if said[at - n..at] == said[at..at + n] {
                said.drain(at..at + n);
            } else {
                at += 1;
            }
        }
    }
    said
}

/// Whether a person can say this in so much time: the fastest repeat about nine syllables a second.
pub fn fits(text: &str, speech_ms: u32) -> bool {
    let syllables: usize = words(text).iter().map(|w| syllables(w)).sum();
    syllables * FASTEST_SYLLABLE_MS <= speech_ms as usize
}

/// Nobody articulates faster than this.
const FASTEST_SYLLABLE_MS: usize = 110;

/// Syllables of a word at least: its groups of vowels, less a last "e" that is not spoken; a digit is one.
fn syllables(word: &str) -> usize {
    let vowel = |c: char| "aeiouyáéíóúàèäöü".contains(c);
    let spoken = word.strip_suffix('e').filter(|w| w.chars().any(vowel)).unwrap_or(word);
    let (mut groups, mut within) = (0, false);
    for c in spoken.chars() {
        groups += usize::from(c.is_ascii_digit() || (vowel(c) && !within));
        within = vowel(c);
    }
    groups.max(1)
}

/// A text that consists of the same three words or more twice, once: "Stop the music. Stop the music."
pub fn once(text: &str) -> &str {
    let words = words(text);
    let half = words.len() / 2;
    if half < 3 || words[..half] != words[half..] {
        return text;
    }
    let Some(&(end, _)) = leading_words(text, half).last() else { return text };
    let punctuation = text[end..].chars().take_while(|c| c.is_ascii_punctuation()).count();
    &text[..end + punctuation]
}

/// The text without a wake phrase at its start ("Alexa, what time is it?" → "What time is it?"), spelled about like
/// `phrase`; a recogniser may have heard the end of the phrase again or in another spelling.
pub fn without_phrase(text: &str, phrase: &str) -> String {
    let wanted: Vec<String> = words(phrase);
    let sound = wanted.concat();
    if sound.is_empty() {
        return text.to_owned();
    }
    // Ends of the first few words, as byte positions, and the letters up to there.
    let mut letters = String::new();
    let mut best: Option<usize> = None;
    for (end, word) in leading_words(text, wanted.len() + 1) {
        letters += &word;
        if close(&letters, &sound) {
            best = Some(end);
        }
    }
    match best {
        Some(end) => capitalise(text[end..].trim_start_matches(|c: char| !c.is_alphanumeric())),
        None => text.to_owned(),
    }
}

fn leading_words(text: &str, count: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut word = String::new();
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_alphanumeric() || c == '\'' {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            found.push((at, std::mem::take(&mut word)));
            if found.len() == count {
                break;
            }
        }
    }
    found
}

/// Equal but for a quarter of the letters.
fn close(a: &str, b: &str) -> bool {
    strsim::levenshtein(a, b) * 4 <= b.chars().count()
}

fn capitalise(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_not_speech() {
        for nothing in ["[BLANK_AUDIO]", " (music)", "*coughs*", "♪ ♪", " .", "[Music] (laughs)", "-", "(unclosed"]
        {
            assert_eq!(clean(nothing), "", "{nothing}");
        }
        assert_eq!(clean("  Turn on  the lights. [BLANK_AUDIO]"), "Turn on the lights.");
        assert_eq!(clean(">> - What time is it?"), "What time is it?");
    }

    #[test]
    fn stock_phrases_are_doubtful_and_sentences_with_them_are_not() {
        assert!(is_doubtful("Thank you.") && is_doubtful("you") && is_doubtful("Thanks for watching!"));
        assert!(!is_doubtful("Thank you, that is enough.") && !is_doubtful("Stop.") && !is_doubtful("Yes."));
    }

    #[test]
    fn loops_are_seen_and_lists_are_not() {
        assert!(is_looping("I'm I'm I'm I'm I'm I'm"));
        assert!(is_looping("of the city of the city of the city of the city of"));
        assert!(is_looping("5555555") && is_looping("seven seven 7 7 7 7"));
        assert!(counts("no no no no") && counts("turn it off turn it off turn it off") && !counts("no no, yes"));
        assert!(!is_looping("no no no, not that one"));
        assert!(!is_looping("row row row your boat gently down the stream"));
    }

    #[test]
    fn a_stock_phrase_said_many_times_is_as_doubtful_as_once() {
        assert!(
            is_doubtful("Thank you. Thank you. Thank you. Thank you.") && is_doubtful("Bye. Bye. Bye. Bye. Bye. Bye.")
        );
        assert!(!is_doubtful("Stop. Stop. Stop. Stop. Stop. Stop.") && !is_doubtful("no no no no no no"));
    }

    #[test]
    fn only_what_can_be_said_in_the_time_fits() {
        assert!(fits("stop stop stop stop stop stop", 1400) && !fits("stop stop stop stop stop stop", 500));
        assert!(fits("5, 5, 5, 5, 5, 5", 700) && fits("555555", 700) && !fits("555555", 600));
        // A loop that filled three seconds' tokens.
        let stuck = "of the city ".repeat(12);
        assert!(!fits(&stuck, 3000) && fits("", 0));
        for (word, count) in [("stop", 1), ("time", 1), ("seven", 2), ("the", 1), ("alarm", 2), ("americano", 5)] {
            assert_eq!(syllables(word), count, "{word}");
        }
    }

    #[test]
    fn repetitions_are_counted_and_corrected() {
        assert_eq!(repetitions("Stop, stop, stop, stop."), Some(4));
        assert_eq!(repetitions("turn it off turn it off turn it off turn it off"), Some(4));
        assert_eq!(repetitions("5-55-55-55"), Some(7));
        for none in ["Stop, stop, stop.", "no no no no, not that", "", "one two three four"] {
            assert_eq!(repetitions(none), None, "{none}");
        }
        for (heard, times, said) in [
            ("Stop, stop, stop, stop, stop.", 6, "Stop, stop, stop, stop, stop, stop."),
            ("No! No! No! No! No!", 4, "No! No! No! No!"),
            ("Turn it off. Turn it off. Turn it off. Turn it off.", 2, "Turn it off. Turn it off."),
            ("777777", 7, "7777777"),
            ("5, 5, 5, 5", 5, "5, 5, 5, 5, 5"),
            ("Stop, stop, stop, stop.", 1, "Stop."),
        ] {
            assert_eq!(said_times(heard, times), said);
        }
    }

    #[test]
    fn transcripts_that_differ_in_little_agree() {
        assert!(agree("Stop stop stop stop stop stop.", "stop, stop, stop, stop, stop, stop, stop"));
        assert!(agree("no no no no no no", "No! No! No! No! No! No! No! No! No! No!"));
        assert!(agree("Turn it off, turn it off, turn it off", "turn it off, turn it off"));
        assert!(agree("5, 5, 5, 5, 5", "555555") && agree("Call five five five", "Call 5555"));
        assert!(!agree("no no no no no no", "turn on the light") && !agree("stop stop stop", "so so so"));
    }

    #[test]
    fn what_is_said_twice_is_suspicious_and_can_be_said_once() {
        assert!(repeats_itself("And so my fellow Americans. And so my fellow Americans, ask not"));
        assert!(!repeats_itself("No, no. Turn it off, off!") && !repeats_itself("what can you do and what can I do"));
        assert_eq!(once("What is the time? What is the time?"), "What is the time?");
        assert_eq!(once("turn it off turn it off"), "turn it off");
        for kept in ["Stop. Stop.", "Set it to one, set it to two.", "", "Turn on the light. Turn on the light now."] {
            assert_eq!(once(kept), kept);
        }
    }

    #[test]
    fn the_wake_phrase_is_no_part_of_the_question() {
        assert_eq!(without_phrase("Alexa, what time is it?", "Alexa"), "What time is it?");
        assert_eq!(without_phrase("Alexa what's new", "Alexa"), "What's new");
        assert_eq!(without_phrase("Alexia. Stop.", "Alexa"), "Stop.");
        assert_eq!(without_phrase("Hey, Jarvis, stop.", "hey Jarvis"), "Stop.");
        assert_eq!(without_phrase("Hey Jarvas stop", "hey Jarvis"), "Stop");
        assert_eq!(without_phrase("Alexa.", "Alexa"), "");
        for kept in ["What time is it?", "Hey, what is new?", "Is Alexa a name?", "Relax.", ""] {
            assert_eq!(without_phrase(kept, "Alexa"), kept);
        }
    }

    #[test]
    fn words_ignore_case_and_punctuation() {
        assert_eq!(words("It's 7 o’clock, \"isn't\" it?"), ["it's", "7", "o'clock", "isn't", "it"]);
    }
}
