//! Free text inside a request: what is to be remembered, written down, announced or called something. Its words are not
//! about what the device is to do, whatever they are.

use super::english as en;
use super::lex::{Mark, Word, begins_any, line};
use super::{time, verbs};

/// Openings after which everything is free text, up to a new command.
const TO_THE_END: &[&str] = &[
    "announce everywhere that",
    "announce everywhere",
    "announce to everyone that",
    "announce to everyone",
    "announce to everybody that",
    "announce to everybody",
    "broadcast everywhere that",
    "broadcast everywhere",
    "broadcast to everyone that",
    "broadcast to everyone",
    "announce that",
    "announce",
    "broadcast that",
    "broadcast",
    "make an announcement that",
    "make an announcement",
    "make the announcement",
    "tell everyone that",
    "tell everyone to",
    "tell everyone",
    "tell everybody that",
    "tell everybody to",
    "tell everybody",
    "tell the family",
    "tell the kids",
    "tell the house",
    "let everyone know that",
    "let everyone know",
    "let everybody know that",
    "let everybody know",
    "let the family know",
    "let the kids know",
    "a text saying",
    "a text that",
    "a message saying",
    "a message that",
    "text saying",
    "message saying",
    "a note saying",
    "to say that",
    "search for",
    "search the web for",
    "do a search for",
    "google",
    "look up",
    "note that",
    "note down",
    "make a note that",
    "make a note to",
    "play",
    "put on",
    "put on some",
    "listen to",
    "i want to listen to",
    "i want to hear",
    "let us hear",
    "write down",
    "spell",
    "translate",
    "define",
    "what does",
    "how do you spell",
    "how do you say",
    "repeat after me",
    "call it",
    "name it",
];

/// Openings of a reminder; what is to be remembered comes after "to", "that" or "about", maybe after a time.
const REMINDERS: &[&str] = &[
    "remind me",
    "remind us",
    "remind everyone",
    "a reminder",
    "another reminder",
    "new reminder",
    "reminder",
    "let me forget",
    "let us forget",
    "i need to remember",
    "i have to remember",
    "help me remember",
];

/// Joins a reminder's opening and its text.
const OF: &[&str] = &["to", "that", "about", "of", "for"];

/// Verbs before what goes onto a list, and comes off it.
const LISTING: &[&str] = &[
    "add", "put", "write", "get", "include", "stick", "throw", "remove", "delete", "take", "cross", "check", "scratch",
    "strike", "tick", "jot", "place", "drop", "need", "append",
];

/// Verbs before whom a message goes to, and the message.
const MESSAGING: &[&str] = &["tell", "text", "message", "email", "sms", "whatsapp"];

/// Between an item and its list.
const ONTO: &[&str] = &["to", "on", "onto", "in", "into", "from", "off", "off of", "out of", "on to", "down on"];

/// A name begins behind these.
const CALLED: &[&str] =
    &["called", "named", "labeled", "labelled", "titled", "with the name", "with the label", "under the name"];

/// Marks the words of free text in a request. Gives, for each of them, whether it is free.
pub(super) fn mark(words: &[Word]) -> Vec<bool> {
    let mut free = vec![false; words.len()];
    let mut i = 0;
    while i < words.len() {
        match span(words, i) {
            Some((from, to)) if from < to => {
                free[from..to].fill(true);
                i = to;
            }
            _ => i += 1,
        }
    }
    free
}

fn span(words: &[Word], i: usize) -> Option<(usize, usize)> {
    let w = &words[i..];
    // "what's on my list", "a reminder" as the thing asked about: only behind a beginning or a command's verb.
    if let Some(n) = begins_any(w, REMINDERS) {
        // A time may come first: "remind me at six to …".
        let mut k = i + n;
        if let Some(f) = time::find(&words[k..])
            && f.start == 0
        {
            k += f.end;
        }
        let lead = begins_any(&words[k..], OF)?;
        if words[k..].first().is_some_and(|x| x.is("for")) && time::clock(&words[k + 1..]).is_some() {
            return None;
        }
        let from = k + lead;
        // "to" in "not to" stays; a clause ends it.
        let to = end(words, from);
        return Some((from, without_time(words, from, without_arrival(words, from, to))));
    }
    if let Some(n) = begins_any(w, TO_THE_END) {
        // "Put on the light" is about a thing of the house, "put on Jazz FM" is not.
        let thing = words[i].is("put")
            && words[i + n..]
                .first()
                .is_none_or(|w| w.any(&["the", "my", "our", "all", "a", "every", "both", "that", "this"]))
            && !words[i + n..].first().is_some_and(|w| w.is("some"));
        let lights = words[i].is("put") && words[i + n..].iter().any(|w| w.any(&["light", "lights", "lamp", "lamps"]));
        let new = (i == 0 || verbs::starts_clause(words, i)) && !thing && !lights;
        if new || w[0].any(&["a", "text", "message", "to", "call", "name"]) {
            let to = end(words, i + n);
            let mut from = i + n;
            // "Announce in ten minutes that …": the time is not part of it.
            if let Some(f) = time::find(&words[from..to.max(from)])
                && f.start == 0
                && words.get(from + f.end).is_some_and(|x| x.is("that"))
            {
                from += f.end + 1;
            }
            let to = until_condition(words, from, to);
            // What is played can be played later; what is announced holds its own times.
            let playing = w[0].any(&["play", "put", "listen"]);
            return Some((from, if playing { without_time(words, from, to) } else { to }));
        }
    }
    if w[0].any(MESSAGING) && (i == 0 || verbs::starts_clause(words, i)) {
        return message(words, i);
    }
    if w[0].any(LISTING) {
        return item(words, i);
    }
    if let Some(n) = begins_any(w, CALLED) {
        let from = i + n;
        let to = end(words, from);
        // "called pasta for ten minutes": the length is not part of the name.
        let cut = (from..to).find(|&k| {
            words[k].is("for") && crate::tools::duration::duration(&super::lex::texts(&words[k + 1..to])).is_some()
        });
        return Some((from, cut.unwrap_or(to)));
    }
    None
}

/// "tell Rachel *good luck*", "message the office that *I am late*".
fn message(words: &[Word], i: usize) -> Option<(usize, usize)> {
    let stop = sentence_end(words, i);
    let who = words.get(i + 1).filter(|w| {
        !w.any(&["me", "us", "him", "her", "them", "it", "a", "what", "if", "whether", "when", "how", "the"])
            || w.is("the")
    })?;
    // "the office", "my wife", "Rachel".
    let name = if who.any(&["the", "my", "our", "uncle", "aunt"]) { 2 } else { 1 };
    let from = i + 1 + name;
    let from = from
        + begins_any(&words[from.min(stop)..stop], &["that", "saying", "to say", "to tell them that"]).unwrap_or(0);
    (from < stop && words[i].any(&["tell", "text", "message", "email", "sms", "whatsapp"]))
        .then(|| (from, end(words, from)))
}

/// "add *milk and eggs* to my shopping list".
fn item(words: &[Word], i: usize) -> Option<(usize, usize)> {
    let stop = sentence_end(words, i);
    let list = (i + 1..stop).rfind(|&k| words[k].any(&["list", "lists", "basket", "cart", "calendar", "agenda"]))?;
    // The nearest joining word before the list, with at most three words between ("to my hardware store list").
    let (onto, _) =
        (i + 1..list).rev().filter(|k| list - k <= 5).find_map(|k| begins_any(&words[k..], ONTO).map(|n| (k, n)))?;
    let from = i + 1 + usize::from(words[i + 1].any(&["down"]));
    (from < onto).then_some((from, onto))
}

/// Where a free text that begins at `from` ends: with its sentence, or before what can only be a new command.
fn end(words: &[Word], from: usize) -> usize {
    let stop = sentence_end(words, from);
    for k in from..stop {
        let joined = begins_any(&words[k..stop], &["and then", "and also", "then", "also"]);
        let comma = k > from && words[k - 1].after == Mark::Comma;
        let and = words[k].is("and");
        let next = k + joined.unwrap_or(usize::from(and));
        let command = next < stop
            && (verbs::is_command(&words[next..stop])
                || super::order::order(&words[next..stop], joined.is_some() || comma));
        if k > from && (joined.is_some() || (comma && and)) && command {
            return k;
        }
    }
    // Politeness at the end is not part of it.
    let mut to = stop;
    while let Some(n) =
        super::lex::ends_any(&words[from..to], &["please", "thanks", "thank you", "okay", "ok", "right now"])
    {
        to -= n;
    }
    to
}

fn sentence_end(words: &[Word], from: usize) -> usize {
    (from..words.len()).find(|&k| matches!(words[k].after, Mark::Stop | Mark::Ask)).map_or(words.len(), |k| k + 1)
}

/// A time at the end of a reminder says when, not what.
fn without_time(words: &[Word], from: usize, to: usize) -> usize {
    (from + 1..to).find(|&k| time::find(&words[k..to]).is_some_and(|f| f.start == 0 && k + f.end == to)).unwrap_or(to)
}

/// "Announce dinner *once the oven beeps*": what must come first is no part of what is said. Behind "that" all is.
fn until_condition(words: &[Word], from: usize, to: usize) -> usize {
    if from > 0 && words[from - 1].is("that") {
        return to;
    }
    let subject = |w: &Word| w.any(en::SUBJECTS) || w.any(&["someone", "anyone", "somebody", "anybody", "a"]);
    (from + 1..to)
        .find(|&k| {
            begins_any(&words[k..to], &["when", "once", "as soon as", "until", "till", "unless", "if"])
                .is_some_and(|n| words[k + n..to].first().is_some_and(subject))
        })
        .unwrap_or(to)
}

/// "when I get home" at the end of a reminder says when, not what.
fn without_arrival(words: &[Word], from: usize, to: usize) -> usize {
    (from + 1..to)
        .find(|&k| {
            begins_any(
                &words[k..to],
                &[
                    "when",
                    "once",
                    "as soon as",
                    "after",
                    "before",
                    "next time",
                    "the next time",
                    "the moment",
                    "whenever",
                ],
            )
            .is_some_and(|n| words[k + n..to].first().is_some_and(|w| w.any(&["i", "we"])))
        })
        .unwrap_or(to)
}

/// Splits the items of a list: "milk, bread and butter". A fixed pair stays together.
pub(super) fn items(words: &[Word]) -> Vec<Vec<Word>> {
    let mut items: Vec<Vec<Word>> = vec![Vec::new()];
    let mut i = 0;
    while i < words.len() {
        // Behind a comma "and" joins the last of a list.
        let pair = items.len() == 1
            && en::PAIRS.iter().any(|p| {
                let n = p.split(' ').count();
                let before = p.split(' ').position(|w| w == "and").unwrap_or(0);
                i >= before && i - before + n <= words.len() && line(&words[i - before..i - before + n]) == **p
            });
        if words[i].is("and") && !pair && i > 0 {
            items.push(Vec::new());
        } else {
            if let Some(last) = items.last_mut() {
                last.push(words[i].clone());
            }
            if words[i].after == Mark::Comma {
                items.push(Vec::new());
            }
        }
        i += 1;
    }
    items.retain(|i| !i.is_empty());
    // "apples, no, pears": what was said before the "no" is taken back.
    while let Some(at) = items.iter().position(|i| begins_any(i, en::REPAIRS).is_some_and(|n| n <= i.len())) {
        let n = begins_any(&items[at], en::REPAIRS).unwrap_or(1);
        items[at].drain(..n);
        if items[at].is_empty() {
            items.remove(at);
        }
        if at > 0 {
            items.remove(at - 1);
        }
    }
    items
}
