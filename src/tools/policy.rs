//! Whether the user said what the model put into a call.
//!
//! A small model fills a text argument it has no value for with one it has seen before. Values of text arguments must
//! therefore occur in what the user said lately; numbers, choices and booleans are mapped from words ("fifty", "on")
//! and are left to the schema.

use serde_json::{Map, Value};

use crate::schema::{Param, ParamType};

use super::number::is_number_word;
use super::text::tokens;

/// Words that carry no value.
const EMPTY: &[&str] = &[
    "the", "a", "an", "my", "our", "your", "of", "in", "on", "at", "to", "for", "and", "is", "are", "be", "it", "that",
    "this", "with", "s", "some",
];
/// Words that stand for digits: "half past seven", "an hour", "noon".
const TIME_WORDS: &[&str] = &[
    "half", "quarter", "noon", "midnight", "hour", "minute", "o'clock", "couple", "dozen", "first", "second", "third",
];

/// The first text argument with a word that was not said. Where nothing was said, nothing can be checked.
pub(super) fn unsaid_argument<'a>(
    params: &'a [Param],
    args: &Map<String, Value>,
    said: &[String],
) -> Option<&'a Param> {
    if said.is_empty() {
        return None;
    }
    let heard: Vec<String> = said.iter().flat_map(|s| tokens(s)).collect();
    params.iter().find(|p| match (&p.kind, args.get(&p.name)) {
        (ParamType::String { .. }, Some(Value::String(value))) => !was_said(value, &heard),
        _ => false,
    })
}

fn was_said(value: &str, heard: &[String]) -> bool {
    let numbers = heard.iter().any(|w| is_number_word(w) || TIME_WORDS.contains(&w.as_str()));
    let run_together: String = heard.concat();
    tokens(value).iter().filter(|w| !EMPTY.contains(&w.as_str())).all(|w| {
        // "19:30" was "half past seven", "10 minutes" was "ten minutes".
        if w.chars().any(|c| c.is_ascii_digit()) || is_number_word(w) {
            return numbers;
        }
        // "bedroom" was "bed room"; signs are not words.
        w.chars().count() < 2
            || heard.iter().any(|h| alike(w, h))
            || (w.chars().count() >= 5 && run_together.contains(w.as_str()))
    })
}

/// The same word give or take an ending or a slip of the transcript.
pub(super) fn alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let n = short.chars().count();
    // "light" and "lights", "door" and "door's", "bake" and "baking".
    if n >= 3 && long.starts_with(short) && long.chars().count() <= n + 3 {
        return true;
    }
    let stem = |w: &str| w.trim_end_matches("ing").trim_end_matches("ed").trim_end_matches('e').to_owned();
    if n >= 4 && stem(a) == stem(b) {
        return true;
    }
    n >= 5 && one_slip(short, long)
}

/// Whether one letter replaced, added or left out makes them equal.
fn one_slip(short: &str, long: &str) -> bool {
    let (s, l): (Vec<char>, Vec<char>) = (short.chars().collect(), long.chars().collect());
    if l.len() > s.len() + 1 {
        return false;
    }
    let head = s.iter().zip(&l).take_while(|(a, b)| a == b).count();
    let tail = s.iter().rev().zip(l.iter().rev()).take_while(|(a, b)| a == b).count();
    head + tail + 1 >= l.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str, request: &str) -> bool {
        was_said(value, &tokens(request))
    }

    #[test]
    fn what_was_said_passes() {
        for (value, request) in [
            ("kitchen", "turn the kitchen lights off"),
            ("living room", "it's too dark in the living-room"),
            ("bedroom", "light in the bed room please"),
            ("50", "make it fifty"),
            ("19:30", "remind me at half past seven in the evening"),
            ("10 minutes", "in a couple of minutes"),
            ("dinner is ready", "tell everyone dinner's ready"),
            ("mail the package", "remind me to mail the packages"),
            ("take out the trash", "remind me about taking out the trash"),
            ("colour", "what color"),
            ("Beyoncé", "play some beyoncé"),
        ] {
            assert!(said(value, request), "{value} / {request}");
        }
    }

    #[test]
    fn what_was_made_up_does_not() {
        for (value, request) in [
            ("kitchen", "turn the lights off"),
            ("master bedroom", "turn the bedroom light off"),
            ("07:00", "wake me up tomorrow"),
            ("john", "send a message"),
            ("garage", "lock the door"),
        ] {
            assert!(!said(value, request), "{value} / {request}");
        }
    }
}
