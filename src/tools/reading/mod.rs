//! What a request asks for, read without a model.
//!
//! Before any call that acts, the request is read: what is commanded and what is forbidden, what is asked about and what is
//! only told; when it is to happen, and under which condition; which things it is about and which it leaves out. The reading
//! decides nothing by itself: it says what a call must account for. It is pure (no clock, no tools) and takes microseconds.
//!
//! The words of the language are in [`english`]; another language is another table.

use std::ops::Range;

mod courtesy;
mod english;
mod free;
mod lex;
mod mood;
mod order;
mod repair;
mod split;
mod time;
mod verbs;

use english as en;
use lex::{Mark, Word, begins_any, find, line, texts};
pub use time::{Clock, Day, When};
pub(super) use time::{FAR_MAX_S, moment};

/// Longest request that is read, in words; a longer one is no command.
const WORDS_MAX: usize = 160;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// One for each thing asked, in the order in which they were said. Empty where all was taken back.
    pub parts: Vec<Part>,
    /// Everything was taken back: "… never mind".
    pub taken_back: bool,
    /// Something was said again otherwise: the words as they were said are not what is meant.
    pub corrected: bool,
}

/// One thing that is asked, forbidden or told.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The request alone: without its wrapping, its time and what was corrected.
    pub text: String,
    pub mood: Mood,
    /// When it is to be done; `None` for at once.
    pub when: Option<When>,
    /// How long it is to last ("for ten minutes"), in seconds.
    pub hold_s: Option<u64>,
    /// What must come true first, as it was said.
    pub condition: Option<String>,
    /// Whether it is about all of a kind, and what is left out.
    pub scope: Option<Scope>,
    /// Two or more possibilities were named: "five or ten minutes", "10 to 15 minutes".
    pub choice: bool,
    /// Bytes of [`Self::text`] that are free text: an item, a message, a name.
    pub free: Vec<Range<usize>>,
    /// Somebody else was called before it: "Dave, …".
    pub calls_for: Option<String>,
    /// What was told before it in the same breath: "It's dark in the kitchen, …".
    pub context: Option<String>,
}

/// A word of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// In lower case, contractions written out.
    pub(super) text: String,
    /// It belongs to free text: an item, a message, a name.
    pub(super) free: bool,
}

impl Said {
    /// The words of a text, none of them free.
    pub(super) fn of(text: &str) -> Vec<Self> {
        lex::words(text).into_iter().map(|w| Self { text: w.text, free: false }).collect()
    }

    pub(super) fn line(words: &[Self]) -> String {
        words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Part {
    /// All of `request`, without anything special in it.
    pub(super) fn plain(request: &str, mood: Mood) -> Self {
        whole(request, mood)
    }

    /// The words of [`Self::text`].
    pub(super) fn words(&self) -> Vec<Said> {
        let free = |w: &Word| self.free.iter().any(|r| r.start < w.end && w.start < r.end);
        lex::words(&self.text).into_iter().map(|w| Said { free: free(&w), text: w.text }).collect()
    }

    /// The words before "except", where something is left out.
    pub(super) fn before_exception(&self) -> Option<Vec<Said>> {
        self.scope.as_ref()?.except.as_ref()?;
        let words = lex::words(&self.text);
        let at = (1..words.len()).find(|&i| begins_any(&words[i..], en::EXCEPT).is_some())?;
        let mut said = self.words();
        said.truncate(at);
        Some(said)
    }
}

/// The hour and minute that `text` begins with, where it is a time of day.
pub(super) fn time_of_day(text: &str) -> Option<(u8, u8)> {
    let (_, c) = time::clock(&lex::words(text))?;
    Some((c.hour, c.minute))
}

/// What a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// A command, in whatever form.
    Do,
    /// A question: only what looks something up may run.
    Ask,
    /// It is not to be done.
    Forbid,
    /// Something is told; nothing is asked for.
    Tell,
    /// A thing without anything to do with it: "the kitchen light".
    Fragment,
    /// Broken off, or somebody else's words.
    Unclear,
}

/// "All the lights", "everything but the kitchen".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The word that was used: "all", "both", "half".
    pub word: String,
    /// What is left out, as it was said.
    pub except: Option<String>,
}

/// Reads `request`.
pub fn read(request: &str) -> Reading {
    let mut words = lex::words(request);
    if words.len() > WORDS_MAX {
        return Reading { parts: vec![whole(request, Mood::Tell)], taken_back: false, corrected: false };
    }
    drop_hesitation(&mut words);
    undouble(&mut words);
    misspelled(&mut words);
    let untouched = words.clone();
    contrast(&mut words);
    let Some(words) = repair::repaired(words) else {
        return Reading { parts: Vec::new(), taken_back: true, corrected: true };
    };
    let repairs = |k: usize| begins_any(&words[k..], en::REPAIRS).is_some() && words[k - 1].after == Mark::Comma;
    let corrected = words != untouched
        || (1..words.len()).any(|k| repairs(k) || begins_any(&words[k..], en::SURE_REPAIRS).is_some());
    let mut clauses = split::clauses(&words);
    if clauses.iter().any(|c| !c.is_courtesy()) {
        clauses.retain(|c| !c.is_courtesy());
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut told: Option<Part> = None;
    // A condition or a leading time governs the whole sentence.
    let mut governed: (Option<String>, Option<When>) = (None, None);
    for clause in &clauses {
        if !clause.joined {
            governed = (None, None);
            told = None;
        }
        let (mut part, hinted) = part(clause, &mut governed, request);
        if let Some(before) = told.take()
            && (part.mood == Mood::Do || part.mood == Mood::Forbid)
        {
            // "It's dark in the kitchen, turn on the light": what was told says where, and asks for nothing itself.
            parts.pop();
            let words = lex::words(&before.text);
            match (&mut part.scope, begins_any(&words, en::EXCEPT)) {
                (Some(scope), Some(n)) if scope.except.is_none() => scope.except = Some(line(&words[n..])),
                _ if is_name(&before.text, request) => part.calls_for = Some(before.text),
                _ => part.context = Some(before.text).filter(|t| !t.is_empty()),
            }
        }
        // What was told in the same breath belongs to the command that follows.
        if matches!(part.mood, Mood::Tell | Mood::Fragment | Mood::Unclear) || hinted || part.text.is_empty() {
            told = Some(part.clone());
        }
        parts.push(part);
    }
    trailing(&mut parts, &clauses);
    later_together(&mut parts, &clauses);
    Reading { parts, taken_back: false, corrected }
}

fn plain(request: &str) -> String {
    request.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn whole(request: &str, mood: Mood) -> Part {
    Part {
        text: plain(request),
        mood,
        when: None,
        hold_s: None,
        condition: None,
        scope: None,
        choice: false,
        free: Vec::new(),
        calls_for: None,
        context: None,
    }
}

/// A part, and whether it only hints at what is wanted ("it's too dark in here").
fn part(clause: &split::Clause, governed: &mut (Option<String>, Option<When>), request: &str) -> (Part, bool) {
    let mut clause = clause.clone();
    let mut when = None;
    let timed = clause.words.iter().zip(&clause.free).any(|(w, f)| !f && w.any(en::TIMED_THINGS));
    // "In ten minutes turn it off": a leading time governs what follows in its sentence.
    let opened = clause.words.len() - verbs::skip(&clause.words, en::OPENINGS).len();
    if !timed
        && let Some(f) = time::find(&clause.words[opened..])
        && f.start == 0
        && opened + f.end < clause.words.len()
        && !clause.free[opened]
    {
        governed.1 = Some(f.when.clone());
        when = Some(f.when);
        clause.words.drain(opened..opened + f.end);
        clause.free.drain(opened..opened + f.end);
    }
    let clause = &clause;
    let judged = mood::judge(clause);
    let (mut words, mut free) = (judged.words, judged.free);
    let mut mood = judged.mood;
    // "And another one for ten minutes" is about what has a length of its own.
    let another = (1..words.len())
        .any(|i| words[i].is("one") && words[i - 1].any(&["new", "another", "second", "longer", "shorter", "more"]));
    // "Cancel the timer at eleven": a timer has no time of day that it could be called by.
    let ended = words.first().is_some_and(|w| w.any(&["cancel", "stop", "pause", "resume", "delete"]))
        && words.iter().any(|w| w.any(&["timer", "timers"]))
        && words.iter().any(|w| w.any(&["at"]));
    let timed_thing = !ended && (another || words.iter().zip(&free).any(|(w, f)| !f && w.any(en::TIMED_THINGS)));
    let open = |words: &[Word], free: &[bool]| -> Vec<Word> {
        // Free text says nothing about when.
        words
            .iter()
            .zip(free)
            .map(|(w, f)| if *f { Word { text: "\u{0}".into(), ..w.clone() } } else { w.clone() })
            .collect()
    };
    let mut hold_s = None;
    if !timed_thing && matches!(mood, Mood::Do | Mood::Forbid | Mood::Fragment) {
        if when.is_none()
            && let Some(f) = time::find(&open(&words, &free))
        {
            when = Some(f.when);
            words.drain(f.start..f.end);
            free.drain(f.start..f.end);
            while let Some(n) = begins_any(&words, &["then", "please"]) {
                words.drain(..n);
                free.drain(..n);
            }
        }
        // "And another one for ten minutes" is about a timer.
        let thing = words.iter().any(|w| w.any(&["on", "off", "open", "closed", "up", "down", "out"]))
            || words.first().is_some_and(verbs::is_base);
        if let Some((from, to, seconds)) = time::span(&open(&words, &free)).filter(|_| thing) {
            hold_s = Some(seconds);
            words.drain(from..to);
            free.drain(from..to);
        }
        if words.is_empty() {
            mood = Mood::Unclear;
        }
    }
    let when = when.or_else(|| governed.1.clone().filter(|_| mood == Mood::Do && !timed_thing && !now(clause)));
    let condition = judged.condition.filter(|_| mood != Mood::Ask);
    if condition.is_some() {
        governed.0.clone_from(&condition);
    }
    let condition = condition.or_else(|| governed.0.clone());
    let visible = open(&words, &free);
    let scope = if matches!(mood, Mood::Do | Mood::Forbid) { scope(&visible) } else { None };
    let choice = matches!(mood, Mood::Do) && choice(&visible);
    let (text, free) = joined(&words, &free, request);
    (Part { text, mood, when, hold_s, condition, scope, choice, free, calls_for: None, context: None }, judged.hinted)
}

/// Whether `word` is one word that was written with a capital at the very start: the name of whoever is meant.
fn is_name(word: &str, request: &str) -> bool {
    let start = request.trim_start();
    let capital = start.chars().next().is_some_and(char::is_uppercase);
    let known = en::NO_PERSONS.contains(&word) || lex::words(word).iter().any(verbs::is_base);
    capital
        && !word.contains(' ')
        && word.chars().all(char::is_alphabetic)
        && start.to_lowercase().starts_with(word)
        && !known
}

/// "Turn of the light": what is written so is said as "off".
fn misspelled(words: &mut [Word]) {
    for i in 1..words.len() {
        if words[i].is("of") && words[i - 1].any(&["turn", "switch", "shut"]) {
            words[i].text = "off".to_owned();
        }
        // "Set a time for ten minutes."
        if words[i].is("time")
            && words[i - 1].is("a")
            && words.get(i + 1).is_some_and(|w| w.any(&["for", "of"]))
            && crate::tools::duration::duration(&texts(&words[i + 2..])).is_some()
        {
            words[i].text = "timer".to_owned();
        }
    }
}

/// Whether "now" was said.
fn now(clause: &split::Clause) -> bool {
    clause.words.iter().any(|w| w.any(&["now", "immediately"]))
}

/// The words as a line, and where in it the free text is, which stands there as it was written in `request`.
fn joined(words: &[Word], free: &[bool], request: &str) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (i, w) in words.iter().enumerate() {
        let same = i > 0 && free[i] && free[i - 1] && words[i - 1].start == w.start && words[i - 1].end == w.end;
        if same {
            // The second word of a contraction.
            continue;
        }
        if i > 0 {
            let glued = free[i] && free[i - 1] && words[i - 1].after == Mark::Hyphen && words[i - 1].end + 1 == w.start;
            text.push(if glued { '-' } else { ' ' });
        }
        let start = text.len();
        match request.get(w.start..w.end) {
            Some(written) if free[i] => text += written,
            _ => text += &w.text,
        }
        if free[i] {
            match ranges.last_mut() {
                Some(r) if i > 0 && free[i - 1] => r.end = text.len(),
                _ => ranges.push(start..text.len()),
            }
        }
    }
    (text, ranges)
}

/// A condition or a time at the end of a sentence governs what was said before it in the same breath, where that has none.
fn trailing(parts: &mut [Part], clauses: &[split::Clause]) {
    if parts.len() != clauses.len() {
        return;
    }
    for i in (1..parts.len()).rev() {
        if !clauses[i].joined || !matches!(parts[i - 1].mood, Mood::Do) {
            continue;
        }
        if parts[i - 1].condition.is_none() {
            parts[i - 1].condition = parts[i].condition.clone();
        }
    }
}

/// "Turn off the office light and the hall light in five minutes": the time is that of both.
fn later_together(parts: &mut [Part], clauses: &[split::Clause]) {
    if parts.len() != clauses.len() {
        return;
    }
    for i in (1..parts.len()).rev() {
        if clauses[i].sibling && parts[i - 1].when.is_none() && !now(&clauses[i - 1]) {
            parts[i - 1].when = parts[i].when.clone();
        }
    }
}

fn drop_hesitation(words: &mut Vec<Word>) {
    let mut i = 0;
    while i < words.len() {
        if words.len() > 1 && words[i].any(en::HESITATION) {
            let after = words[i].after;
            words.remove(i);
            // "Lock the, uh, unlock": the comma stays.
            if i > 0 && after != Mark::Space && words[i - 1].after == Mark::Space {
                words[i - 1].after = after;
            }
        } else {
            i += 1;
        }
    }
    // A stutter: "the the timer". Numbers may well stand twice.
    let mut i = 1;
    while i < words.len() {
        let same = words[i].text == words[i - 1].text
            && words[i].text.chars().all(char::is_alphabetic)
            && !crate::tools::number::is_number_word(&words[i].text);
        if same && words[i - 1].after == Mark::Space {
            words.remove(i - 1);
        } else {
            i += 1;
        }
    }
}

/// "Stop! Stop! Stop!" asks for one thing.
fn undouble(words: &mut Vec<Word>) {
    for times in 2..=8 {
        let n = words.len() / times;
        if n > 0 && words.len() == n * times && words.chunks(n).all(|c| texts(c) == texts(&words[..n])) {
            words.truncate(n);
            return;
        }
    }
}

/// "not the hall but the kitchen light", "the kitchen light, not the hall": what is named only to be left out goes.
fn contrast(words: &mut Vec<Word>) {
    // "Not the landing, the porch light": what is named first only to be left out.
    let opened = words.len() - verbs::skip(words, &["no", "nope", "oh", "well", "please"]).len();
    if words.get(opened).is_some_and(|w| w.is("not")) {
        let end = (opened..words.len()).find(|&k| words[k].after == Mark::Comma).filter(|k| k - opened <= 5);
        if let Some(k) = end.filter(|k| k + 1 < words.len() && !verbs::is_command(&words[opened + 1..])) {
            words.drain(opened..=k);
        }
    }
    if let Some((i, _)) = find(words, 0, "not")
        && i > 0
        && !words[i - 1].any(&[
            "do", "does", "did", "is", "are", "can", "could", "would", "should", "why", "will", "have", "has", "was",
            "were", "am", "must", "need", "better", "rather", "or", "to", "if", "whether",
        ])
    {
        let but = (i + 1..words.len()).find(|&k| words[k].any(&["but"])).filter(|k| *k < i + 8);
        if let Some(k) = but {
            words.drain(i..=k);
            return;
        }
        let comma = words[i - 1].after == Mark::Comma || words[i - 1].any(&["but", "and"]);
        let verb_before = words[..i].iter().any(verbs::is_base);
        let rest = &words[i + 1..];
        let rest = match (0..rest.len()).find(|&k| rest[k].after == Mark::Comma) {
            Some(k) => &rest[..=k],
            None => rest,
        };
        let thing =
            !rest.is_empty() && !verbs::is_command(rest) && verbs::of_ing(&rest[0]).is_none() && rest.len() <= 6;
        if comma && verb_before && thing && !words[..i].iter().any(|w| w.any(en::ALL)) {
            let end = (i..words.len())
                .find(|&k| matches!(words[k].after, Mark::Stop | Mark::Ask))
                .map_or(words.len(), |k| k + 1);
            let from = if words[i - 1].any(&["but", "and"]) { i - 1 } else { i };
            // "The kitchen light, not the kitchen, the office."
            let inner = (i..end).find(|&k| words[k].after == Mark::Comma).filter(|k| k + 1 < end);
            let meant = inner.and_then(|k| repair::replaced(&words[..from], &words[k + 1..end]));
            match meant {
                Some(mut meant) => {
                    meant.extend_from_slice(&words[end..]);
                    *words = meant;
                }
                None => drop(words.drain(from..end)),
            }
        }
    }
}

fn scope(words: &[Word]) -> Option<Scope> {
    let at = (0..words.len()).find(|&i| {
        let next = words.get(i + 1);
        words[i].any(en::ALL)
            && match words[i].text.as_str() {
                "half" => next.is_some_and(|w| w.any(&["of", "the"])),
                "some" => next.is_some_and(|w| w.is("of")),
                "any" => i > 0 && !words[i - 1].any(&["and", "for", "at"]),
                "all" => {
                    !next.is_some_and(|w| w.any(&["right", "the"]) && words.get(i + 2).is_some_and(|x| x.any(&["way"])))
                }
                "other" | "others" => !words[..i].iter().any(|w| w.is("each")),
                "rest" => i > 0 && words[i - 1].is("the"),
                _ => true,
            }
    });
    let except = (1..words.len()).find_map(|i| begins_any(&words[i..], en::EXCEPT).map(|n| (i, n)));
    match (at, except) {
        (None, None) => None,
        (at, except) => Some(Scope {
            word: at.map_or_else(|| "all".to_owned(), |i| words[i].text.clone()),
            except: except.map(|(i, n)| line(&words[i + n..])),
        }),
    }
}

/// Whether several possibilities were named where one is needed.
fn choice(words: &[Word]) -> bool {
    let or = (1..words.len()).any(|i| {
        words[i].is("or")
            && words.get(i + 1).is_some_and(|w| !w.any(&["so", "something", "whatever", "anything", "not"]))
    });
    let between = begins_in(words, "between") && words.iter().any(|w| w.is("and"));
    let range = (0..words.len()).any(|i| {
        let t = texts(&words[i..]);
        crate::tools::number::number(&t).is_some_and(|(_, n)| {
            words.get(i + n).is_some_and(|w| w.any(&["to", "-"]))
                && crate::tools::number::number(&t[(n + 1).min(t.len())..]).is_some()
        }) && (i == 0 || !words[i - 1].any(&["from", "quarter", "half", "ten", "twenty", "five"]))
            && !words.iter().any(|w| w.any(&["alarm", "wake", "until", "at"]))
    });
    or || between || range
}

fn begins_in(words: &[Word], phrase: &str) -> bool {
    find(words, 0, phrase).is_some()
}
