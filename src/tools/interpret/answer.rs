//! Answers to what was asked back.

use crate::tools::text::tokens;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    Other,
}

const YES: &[&str] = &[
    "yes",
    "yeah",
    "yep",
    "yup",
    "sure",
    "okay",
    "ok",
    "right",
    "correct",
    "exactly",
    "absolutely",
    "definitely",
    "certainly",
    "of course",
    "do it",
    "do that",
    "go ahead",
    "go for it",
    "please do",
    "that is right",
    "that is it",
    "all right",
    "fine",
    "yes please",
    "i do",
    "i did",
    "that one",
    "confirm",
    "confirmed",
    "affirmative",
    "why not",
    "sounds good",
    "by all means",
    "make it so",
    "indeed",
    "uh huh",
    "mm hm",
    "you got it",
    "that is correct",
    "please",
    "yes do it",
    "yes do that",
];
const NO: &[&str] = &[
    "no",
    "nope",
    "nah",
    "no thanks",
    "no thank you",
    "do not",
    "never mind",
    "cancel",
    "stop",
    "forget it",
    "leave it",
    "wrong",
    "not now",
    "do not do it",
    "do not do that",
    "no do not",
    "negative",
    "cancel that",
    "that is wrong",
    "i do not",
    "better not",
    "rather not",
    "nothing",
    "none",
    "neither",
    "no way",
    "please do not",
    "abort",
    "not that",
    "not that one",
    "i did not",
];
/// Around an answer, without a meaning of its own.
const AROUND: &[&str] = &["please", "thanks", "thank", "you", "oh", "well", "um", "uh", "just", "it"];

/// What `text` says to a yes-or-no question.
pub(super) fn of(text: &str) -> Answer {
    let mut t = tokens(text);
    let is = |list: &[&str], t: &[String]| list.contains(&t.join(" ").as_str());
    loop {
        if is(YES, &t) {
            return Answer::Yes;
        }
        if is(NO, &t) {
            return Answer::No;
        }
        // "Yes, yes, do it": each half an answer, both the same.
        for cut in 1..t.len() {
            match (is(YES, &t[..cut]), is(NO, &t[..cut])) {
                (true, _) if is(YES, &t[cut..]) => return Answer::Yes,
                (_, true) if is(NO, &t[cut..]) => return Answer::No,
                _ => {}
            }
        }
        let end = t.last().is_some_and(|w| AROUND.contains(&w.as_str()));
        let start = t.first().is_some_and(|w| AROUND.contains(&w.as_str()));
        match (t.len() > 1, end, start) {
            (true, true, _) => drop(t.pop()),
            (true, _, true) => drop(t.remove(0)),
            _ => return Answer::Other,
        }
    }
}

/// The ways in which an answer completes the request that it was asked about.
pub(super) fn candidates(so_far: &str, answer: &str) -> Vec<String> {
    let so_far = so_far.trim().trim_end_matches(['.', '!', '?', ',']).trim();
    ["", " for", " to", " in", " at", " in the", " the"].iter().map(|link| format!("{so_far}{link} {answer}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_told_apart() {
        for text in ["Yes.", "Yeah, sure.", "Okay.", "Yes, please.", "Go ahead.", "Yes, do it please", "Oh yes"] {
            assert_eq!(of(text), Answer::Yes, "{text}");
        }
        for text in ["No.", "No, thank you.", "Don't.", "No, don't do that.", "Never mind.", "Nope, no"] {
            assert_eq!(of(text), Answer::No, "{text}");
        }
        for text in ["The kitchen.", "Yes, but the hallway light.", "No, the kitchen.", "Turn it off.", "", "Yesterday"]
        {
            assert_eq!(of(text), Answer::Other, "{text}");
        }
    }
}
