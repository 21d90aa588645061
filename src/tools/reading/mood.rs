//! Whether a clause commands, forbids, asks or tells.

use super::courtesy::courtesy;
use super::english::{self as en, Then};
use super::lex::{Mark, Word, begins, begins_any, ends_any, find, line};
use super::split::Clause;
use super::{Mood, time, verbs};

/// Statements that ask for something without a verb of command.
const CUES: &[&str] = &[
    "too dark",
    "too bright",
    "too cold",
    "too hot",
    "too warm",
    "too loud",
    "too quiet",
    "so dark",
    "so loud",
    "so cold",
    "so hot",
    "so quiet",
    "really dark",
    "really loud",
    "very dark",
    "very loud",
    "a bit dark",
    "a bit loud",
    "a bit cold",
    "a bit quiet",
    "a little dark",
    "a little cold",
    "can not hear you",
    "can not see",
    "could not hear",
    "not loud enough",
    "not bright enough",
    "not warm enough",
    "it is dark",
    "it is cold in",
    "it is hot in",
    "it is freezing",
    "i am cold",
    "i am hot",
    "i am freezing",
    "i am done in",
    "nobody is in",
    "missed that",
    "not catch that",
    "not hear that",
    "not understand that",
    "did not get that",
    "is enough",
    "out of milk",
    "are out of",
    "ran out of",
    "run out of",
    "no longer need",
    "loud",
    "noisy",
];

/// Words that make an order of a few words without a verb: "kitchen light on".
const BARE: &[&str] = &[
    "on", "off", "up", "down", "out", "open", "closed", "locked", "unlocked", "shut", "louder", "quieter", "softer",
    "warmer", "cooler", "colder", "brighter", "darker", "percent", "degrees", "timer", "alarm", "mode", "scene",
    "again", "please", "more", "less", "red", "blue", "green", "white", "yellow", "orange", "purple", "pink", "cyan",
    "gold", "to",
];

/// What a clause is, and what of it is left to be done.
pub(super) struct Judged {
    pub(super) mood: Mood,
    /// The request without its wrapping.
    pub(super) words: Vec<Word>,
    pub(super) free: Vec<bool>,
    /// What must come true first.
    pub(super) condition: Option<String>,
    /// It only hints at what is wanted.
    pub(super) hinted: bool,
}

pub(super) fn judge(c: &Clause) -> Judged {
    let (mut words, mut free) = (c.words.clone(), c.free.clone());
    let condition = condition(&words, &free);
    peel(&mut words, &mut free);
    let mut mood = mood(&mut words, &mut free, c.asked);
    // "When I get home," is no question but what the rest waits for.
    if let Some(said) = &condition
        && mood == Mood::Ask
        && !c.asked
        && line(verbs::skip(&c.words, en::OPENINGS)).starts_with(said.as_str())
    {
        mood = Mood::Tell;
    }
    let person = words.first().is_some_and(|w| w.any(en::SUBJECTS));
    let hinted = mood == Mood::Do && person && !words.first().is_some_and(verbs::is_base);
    Judged { mood, words, free, condition, hinted }
}

/// Takes wrapping off both ends.
fn peel(words: &mut Vec<Word>, free: &mut Vec<bool>) {
    loop {
        let before = words.len();
        let forbidding = words[0].is("no")
            && words.get(1).is_some_and(|w| w.any(&["need", "more"]) || verbs::of_ing(w).is_some())
            && words[0].after == Mark::Space;
        // "Listen to jazz" is no call for attention.
        let listening =
            words[0].any(&["listen", "look"]) && words.get(1).is_some_and(|w| w.any(&["to", "for", "up", "at"]));
        if let Some(n) =
            begins_any(words, en::OPENINGS).filter(|n| *n < words.len() && !free[0] && !forbidding && !listening)
        {
            words.drain(..n);
            free.drain(..n);
        }
        if let Some(n) = courtesy(words).filter(|n| *n < words.len() && !free[0]) {
            words.drain(..n);
            free.drain(..n);
        }
        let tail = (1..words.len()).find(|&i| !free[i] && courtesy(&words[i..]) == Some(words.len() - i));
        if let Some(at) = tail {
            words.truncate(at);
            free.truncate(at);
        }
        if let Some(n) = ends_any(words, en::ENDINGS).filter(|n| *n < words.len()) {
            let cut = words.len() - n;
            let from_now = words[cut].is("now") && words[cut - 1].is("from");
            if !free[cut] && !from_now {
                let last = words[words.len() - 1].after;
                words.truncate(cut);
                free.truncate(cut);
                if let Some(w) = words.last_mut() {
                    w.after = last;
                }
            }
        }
        if words.len() == before {
            return;
        }
    }
}

fn mood(words: &mut Vec<Word>, free: &mut Vec<bool>, asked: bool) -> Mood {
    if let Some(mood) = opposite(words, free) {
        return mood;
    }
    // A question within a polite question: "can you tell me whether the light is on".
    if let Some(n) = begins_any(words, en::ASKING).filter(|n| request(words).is_none_or(|(m, _)| m <= *n)) {
        let rest = &words[n..];
        let about = rest.first().is_none_or(|w| !w.any(&["a", "another", "something"]));
        if about
            && !(begins(words, "tell me").is_some()
                && n == 2
                && verbs::is_command(rest)
                && !rest[0].any(en::QUESTION_WORDS))
        {
            return Mood::Ask;
        }
    }
    if forbids(words, free) {
        return Mood::Forbid;
    }
    let mut form = None;
    while let Some((n, then)) = request(words) {
        words.drain(..n);
        free.drain(..n);
        while let Some(n) = begins_any(words, en::SOFTENERS).filter(|n| *n < words.len()) {
            words.drain(..n);
            free.drain(..n);
        }
        form = Some(then);
        if words.is_empty() || free[0] {
            break;
        }
    }
    if words.is_empty() {
        return Mood::Unclear;
    }
    if forbids(words, free) {
        return Mood::Forbid;
    }
    if begins_any(words, en::KEEP) == Some(1)
        && !words.get(1).is_some_and(|w| w.any(&["a", "me", "track", "going", "playing", "count"]))
    {
        return Mood::Forbid;
    }
    match form {
        Some(Then::Command) => plain(words),
        Some(Then::Ing) => {
            if let Some(base) = words.first().and_then(verbs::of_ing) {
                words[0].text = base.to_owned();
            } else if begins_any(words, &["i", "we", "if"]).is_some() {
                return Mood::Ask;
            }
            Mood::Do
        }
        Some(Then::Past) => match words.first().and_then(verbs::of_past) {
            Some(base) => {
                words[0].text = base.to_owned();
                Mood::Do
            }
            None => Mood::Unclear,
        },
        Some(Then::Thing | Then::State) => {
            if words.iter().zip(free.iter()).any(|(w, f)| !f && w.any(&["not", "never"])) {
                return Mood::Forbid;
            }
            Mood::Do
        }
        None => bare(words, free, asked),
    }
}

/// After "could you": a verb follows, or it is a question ("can you swim").
fn plain(words: &[Word]) -> Mood {
    if words.iter().any(|w| w.is("not")) && begins_any(words, &["not"]).is_some() { Mood::Forbid } else { Mood::Do }
}

/// The longest opening that asks for something.
fn request(words: &[Word]) -> Option<(usize, Then)> {
    let (n, then) =
        en::REQUESTS.iter().filter_map(|(p, t)| begins(words, p).map(|n| (n, *t))).max_by_key(|(n, _)| *n)?;
    let next = words.get(n)?;
    let ok = match then {
        // "let us", "you can" and the like want a verb; "why not" too.
        Then::Command if begins(words, "i said").is_some() => verbs::is_base(next),
        Then::Command => {
            let after = verbs::skip(&words[n..], en::SOFTENERS);
            let senses = after
                .first()
                .is_some_and(|w| w.any(&["see", "hear", "swim", "imagine", "believe", "guess", "understand"]));
            let minding = begins(words, "mind").is_some() && n == 1 && verbs::of_ing(next).is_none();
            !senses && !minding
        }
        Then::Ing => n > 1 || verbs::of_ing(next).is_some(),
        _ => true,
    };
    ok.then_some((n, then))
}

/// "Don't leave the light on", "I don't need the light anymore": the opposite is asked for.
fn opposite(words: &mut Vec<Word>, free: &mut Vec<bool>) -> Option<Mood> {
    let word = |text: &str, like: &Word| Word { text: text.to_owned(), after: Mark::Space, ..like.clone() };
    if let Some(n) = begins_any(words, &["do not leave", "do not keep", "never leave", "do not you leave"]) {
        let (_, other) = en::STATES.iter().find(|(s, _)| words.last().is_some_and(|w| w.is(s)))?;
        if other.is_empty() {
            return None;
        }
        let first = words[0].clone();
        let verb = match *other {
            "locked" => "lock",
            "unlocked" => "unlock",
            "closed" => "close",
            "open" => "open",
            _ => "turn",
        };
        let thing: Vec<Word> = words[n..words.len() - 1].to_vec();
        let mut new = vec![word(verb, &first)];
        new.extend(thing);
        if verb == "turn" {
            new.push(word(other, &first));
        }
        *free = vec![false; new.len()];
        *words = new;
        return Some(Mood::Do);
    }
    if let Some(n) = begins_any(words, &["do not let me forget", "do not let us forget", "do not let me forget to"]) {
        let first = words[0].clone();
        let rest = words[n.min(5)..].to_vec();
        let rest_free = free[n.min(5)..].to_vec();
        let mut new = vec![word("remind", &first), word("me", &first)];
        if !rest.first().is_some_and(|w| w.any(&["to", "about", "that"])) {
            new.push(word("about", &first));
        }
        *free = vec![false; new.len()];
        free.extend(rest_free);
        new.extend(rest);
        *words = new;
        return Some(Mood::Do);
    }
    let needless = begins_any(
        words,
        &[
            "i do not need",
            "we do not need",
            "i no longer need",
            "we no longer need",
            "i do not want",
            "no longer need",
        ],
    )?;
    let tail = ends_any(words, &["anymore", "any more", "any longer", "no more", "no longer"]);
    let longer = words[..needless].iter().any(|w| w.is("longer"));
    if !longer && tail.is_none() {
        return None;
    }
    let end = words.len() - tail.unwrap_or(0);
    let thing: Vec<Word> = words[needless..end].to_vec();
    if thing.is_empty() || thing[0].any(&["you", "to"]) {
        return None;
    }
    let first = words[0].clone();
    let ends = thing.iter().any(|w| w.any(&["timer", "timers", "alarm", "reminder", "alarms", "reminders"]));
    let mut new = if ends { vec![word("cancel", &first)] } else { vec![word("turn", &first), word("off", &first)] };
    new.extend(thing);
    *free = vec![false; new.len()];
    *words = new;
    Some(Mood::Do)
}

fn forbids(words: &[Word], free: &[bool]) -> bool {
    if free.first().copied().unwrap_or(false) {
        return false;
    }
    // "Do not be so loud" asks for quiet.
    if begins_any(
        words,
        &[
            "do not be so",
            "do not be that",
            "do not be too",
            "do not shout",
            "do not yell",
            "do not scream",
            "do not talk so",
            "do not speak so",
            "no need to shout",
            "no need to yell",
            "do not forget",
            "do not let me forget",
            "not so loud",
            "not that loud",
            "do not be mute",
            "do not worry",
        ],
    )
    .is_some()
    {
        return false;
    }
    let Some(n) = begins_any(words, en::FORBID) else { return false };
    let rest = &words[n..];
    let said = line(&words[..n]);
    if en::FORBID_ING.contains(&said.as_str()) {
        // "forget about the timer" ends it; "stop turning it on" forbids.
        return rest.first().is_some_and(|w| {
            verbs::of_ing(w).is_some()
                && !w.any(&["ringing", "beeping", "talking", "speaking", "being", "playing", "listening", "buzzing"])
        }) || (matches!(said.as_str(), "no need to") && !rest.is_empty());
    }
    if said == "not" {
        return !rest.is_empty();
    }
    if said == "you can not" || said == "i do not want" {
        return !rest.is_empty();
    }
    !(rest.is_empty() && matches!(said.as_str(), "never" | "do not"))
}

/// Without a polite form.
fn bare(words: &[Word], free: &[bool], asked: bool) -> Mood {
    let Some(first) = words.first().cloned() else { return Mood::Unclear };
    if free[0] {
        return Mood::Do;
    }
    let second = words.get(1);
    let cue = || CUES.iter().any(|c| find(words, 0, c).is_some_and(|(i, _)| !free[i]));
    if first.any(en::QUESTION_WORDS) && words.len() > 1 {
        return Mood::Ask;
    }
    let subject = |w: &Word| {
        w.any(en::SUBJECTS)
            || w.any(&["a", "an", "any", "all", "both", "these", "those", "not", "somebody", "anybody", "anyone"])
    };
    if first.any(en::AUXILIARIES)
        && second.is_some_and(subject)
        && !(first.any(&["do", "have"])
            && second.is_some_and(|w| w.any(&["the", "my", "a", "an", "all", "this", "that", "it", "not"])))
    {
        return Mood::Ask;
    }
    if first.any(en::AUXILIARIES) && asked && !first.any(&["do", "have"]) {
        return Mood::Ask;
    }
    if first.any(en::SUBJECTS) {
        // "the kitchen light is on, is it not?"
        let tag = asked && ends_any(words, en::TAGS).is_some();
        let verb = words.iter().zip(free).skip(1).position(|(w, f)| {
            !f && (w.any(en::AUXILIARIES)
                || w.any(en::TELLING)
                || w.any(en::REPORTS)
                || verbs::of_past(w).is_some_and(|_| !verbs::is_base(w)))
        });
        if tag {
            return Mood::Ask;
        }
        if words.iter().take(4).any(|w| w.any(en::REPORTS)) {
            return Mood::Unclear;
        }
        let person = first.any(&[
            "i",
            "you",
            "he",
            "she",
            "we",
            "they",
            "somebody",
            "someone",
            "everybody",
            "everyone",
            "nobody",
            "people",
            "mom",
            "dad",
            "it",
            "there",
        ]);
        if person || verb.is_some() {
            return if cue() { Mood::Do } else { Mood::Tell };
        }
    }
    if verbs::is_base(&first) {
        // "I love", "like" and so on are told, not commanded; a verb with nothing to act on is broken off.
        let alone = words.len() == 1
            && !first.any(&[
                "stop", "mute", "unmute", "pause", "resume", "repeat", "snooze", "continue", "cancel", "skip", "play",
                "silence", "unpause",
            ]);
        let hanging = !free.last().copied().unwrap_or(false)
            && words.last().is_some_and(|w| w.any(&["the", "a", "an", "my", "for", "to", "and", "of", "with", "in"]));
        return if alone || hanging { Mood::Unclear } else { Mood::Do };
    }
    let step = first.any(&["next", "previous", "last", "quieter", "louder", "softer"])
        && words.get(1).is_none_or(|w| w.any(&["track", "song", "one", "station", "now", "please"]));
    if cue() || step {
        return Mood::Do;
    }
    if asked {
        return Mood::Ask;
    }
    if words.iter().zip(free).any(|(w, f)| !f && w.any(BARE))
        || words.iter().any(|w| w.text.starts_with(|c: char| c.is_ascii_digit()))
    {
        return Mood::Do;
    }
    Mood::Fragment
}

/// What must come true first, in the words that were used.
fn condition(words: &[Word], free: &[bool]) -> Option<String> {
    for i in 0..words.len() {
        if free[i] || (i > 0 && words[i - 1].after == Mark::Hyphen) || words[i].after == Mark::Hyphen {
            continue;
        }
        let w = &words[i..];
        let Some(n) = begins_any(w, en::CONDITIONS) else { continue };
        if courtesy(w).is_some() {
            continue;
        }
        if begins_any(w, en::NO_CONDITION).is_some_and(|m| m >= n) {
            continue;
        }
        let asking = en::ASKING
            .iter()
            .chain(&[
                "see if you can",
                "could you see if you can",
                "i would be glad if you",
                "it would be nice if you",
                "see if",
            ])
            .any(|p| {
                let k = p.split(' ').count();
                p.ends_with(&w[0].text) && i + 1 >= k && begins(&words[i + 1 - k..], p).is_some()
            });
        let polite = en::REQUESTS.iter().any(|(p, _)| {
            let parts: Vec<&str> = p.split(' ').collect();
            parts
                .iter()
                .position(|x| *x == w[0].text)
                .is_some_and(|at| i >= at && begins(&words[i - at..], p).is_some())
        });
        if asking || polite {
            continue;
        }
        let said = line(&w[..n]);
        let rest = &w[n..];
        let timed = time::clock(rest).is_some()
            || crate::tools::duration::duration(&super::lex::texts(rest)).is_some()
            || begins_any(rest, &["tomorrow", "today", "tonight"]).is_some();
        match said.as_str() {
            "after" | "before" | "until" | "by the time" if timed => continue,
            "after" | "before" | "while" | "once"
                if rest.is_empty() || begins_any(rest, &["all", "that"]) == Some(1) && rest.len() == 1 =>
            {
                continue;
            }
            // "when is it", "when did you": a question.
            "when" if i == 0 && rest.first().is_some_and(|x| x.any(en::AUXILIARIES)) => continue,
            "should i" | "should he" | "should she" | "should they" | "should the" | "should it" | "should there"
                if i != 0 || !words[i..].iter().any(|x| x.after == Mark::Comma) =>
            {
                continue;
            }
            "had i" if i != 0 => continue,
            _ if rest.is_empty() && n < 2 => continue,
            _ => {}
        }
        let end = (i..words.len())
            .find(|&k| words[k].after != Mark::Space && words[k].after != Mark::Hyphen)
            .map_or(words.len(), |k| k + 1);
        return Some(line(&words[i..end]));
    }
    None
}
