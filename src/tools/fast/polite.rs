//! What people wrap a command in: hesitation, politeness, the agent's name.

use std::ops::Range;

use crate::tools::number::is_number_word;
use crate::tools::text::Token;

/// Politer than that is nobody, on either side.
const WRAPPINGS_MAX: usize = 8;
/// As often as something is said for emphasis.
const UNDOUBLED_MAX: usize = 8;

/// Removed anywhere.
const HESITATION: &[&str] = &["um", "umm", "uh", "uhm", "er", "erm", "hmm", "mm", "please", "kindly"];

/// Openings that change nothing, one or more in a row.
const OPENINGS: &[&str] = &[
    "hey",
    "hey there",
    "hi",
    "hello",
    "yo",
    "okay",
    "all right",
    "right",
    "so",
    "well",
    "now",
    "and",
    "then",
    "also",
    "oh",
    "ah",
    "actually",
    "wait",
    "just",
    "quickly",
    "sorry",
    "excuse me",
    "never mind",
    "yes",
    "yeah",
    "yep",
    "no",
    "sure",
    "maybe",
    "thanks",
    "thank you",
    "alexa",
    "jarvis",
    "mycroft",
    "marvin",
    "tercet",
    "computer",
    "assistant",
    "can you",
    "could you",
    "would you",
    "will you",
    "can we",
    "could we",
    "can i",
    "can you just",
    "you can",
    "you could",
    "could you maybe",
    "i want you to",
    "i would like you to",
    "i need you to",
    "go ahead and",
    "go and",
    "let us",
    "do me a favor and",
    "do me a favour and",
    "if you could",
    "if you can",
    "i was wondering if you could",
    "i want to",
    "i would like to",
    "i need to",
    // Questions asked politely.
    "tell me",
    "do you know",
    "you know",
    "do you happen to know",
    "let me know",
    "i want to know",
    "i would like to know",
    "i need to know",
    "give me",
    "show me",
    "remind me",
    "any idea",
    "can you tell",
    "i wonder",
];

/// Endings that change nothing, one or more in a row.
const ENDINGS: &[&str] = &[
    "thanks",
    "thank you",
    "thanks a lot",
    "thank you very much",
    "thank you so much",
    "now",
    "right now",
    "from now",
    "for me",
    "for us",
    "if you can",
    "if you could",
    "if you would",
    "if you do not mind",
    "if possible",
    "if you please",
    "would you",
    "will you",
    "can you",
    "could you",
    "okay",
    "all right",
    "already",
    "immediately",
    "at once",
    "real quick",
    "quickly",
    "then",
    "man",
    "dude",
    "buddy",
    "mate",
    "for now",
    "alexa",
    "jarvis",
    "mycroft",
    "marvin",
    "tercet",
    "computer",
    "assistant",
    "at the moment",
    "yeah",
    "sorry",
    "do you know",
    "by the way",
    "too",
    "as well",
];

/// Takes out hesitation and stutter ("the the timer"); numbers may be repeated.
pub(super) fn drop_hesitation(t: &mut Vec<Token>) {
    let stutters = |a: &Token, b: &Token| {
        a.text == b.text && !b.comma && a.text.chars().all(char::is_alphabetic) && !is_number_word(&a.text)
    };
    let mut kept: Vec<Token> = Vec::with_capacity(t.len());
    for token in t.drain(..) {
        match kept.last_mut() {
            // "Remind me to say please."
            Some(last) if token.text == "please" && matches!(last.text.as_str(), "say" | "saying") => kept.push(token),
            // "Milk, um, bread": the comma stays.
            Some(last) if HESITATION.contains(&token.text.as_str()) => last.comma |= token.comma,
            None if HESITATION.contains(&token.text.as_str()) => {}
            Some(last) if stutters(&token, last) => *last = token,
            _ => kept.push(token),
        }
    }
    *t = kept;
}

/// "Stop! Stop!" asks for one thing.
pub(super) fn undouble(t: &mut Vec<Token>) {
    let same = |a: &[Token], b: &[Token]| a.iter().map(|t| &t.text).eq(b.iter().map(|t| &t.text));
    for times in 2..=UNDOUBLED_MAX {
        let n = t.len() / times;
        if n > 0 && t.len() == n * times && t.chunks(n).all(|c| same(c, &t[..n])) {
            t.truncate(n);
            return;
        }
    }
}

/// What may be meant once politeness is gone, the least shortened first. Never empty ranges.
pub(super) fn cores(t: &[String]) -> Vec<Range<usize>> {
    let starts = reach(t.len(), |at| OPENINGS.iter().filter_map(|o| starts_with(&t[at..], o)).collect());
    let ends = reach(t.len(), |gone| ENDINGS.iter().filter_map(|e| ends_with(&t[..t.len() - gone], e)).collect());
    let mut cores: Vec<Range<usize>> = starts
        .iter()
        .flat_map(|&s| ends.iter().map(move |&e| (s, t.len() - e)))
        .filter(|(s, e)| s < e)
        .map(|(s, e)| s..e)
        .collect();
    cores.sort_by_key(|r| (std::cmp::Reverse(r.len()), r.start));
    cores
}

/// Everything reachable from 0 by steps, below `limit`.
fn reach(limit: usize, steps: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let mut found = vec![0];
    let mut next = 0;
    while let Some(&at) = found.get(next) {
        for n in steps(at) {
            if found.len() < WRAPPINGS_MAX && at + n < limit && !found.contains(&(at + n)) {
                found.push(at + n);
            }
        }
        next += 1;
    }
    found
}

fn starts_with(t: &[String], phrase: &str) -> Option<usize> {
    let n = phrase.split(' ').count();
    (n <= t.len() && phrase.split(' ').zip(t).all(|(p, w)| p == w)).then_some(n)
}

fn ends_with(t: &[String], phrase: &str) -> Option<usize> {
    let n = phrase.split(' ').count();
    (n <= t.len() && phrase.split(' ').zip(&t[t.len() - n..]).all(|(p, w)| p == w)).then_some(n)
}
