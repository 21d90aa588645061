//! A request into the single things it asks for.

use super::courtesy::courtesy;
use super::english as en;
use super::lex::{Mark, Word, begins, begins_any, find, texts};
use super::order::order;
use super::{free, verbs};
use crate::tools::number::number;

const DETERMINERS: &[&str] = &["the", "my", "our", "a", "an", "your", "one"];
const PARTICLES: &[&str] = &["on", "off", "up", "down", "open", "closed", "shut", "locked", "unlocked"];
const PREPOSITIONS: &[&str] = &["in", "at", "for", "to", "from", "of", "by", "with", "on"];
const UNITS: &[&str] =
    &["second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "percent", "degrees"];

/// One clause of a request.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) words: Vec<Word>,
    pub(super) free: Vec<bool>,
    /// Ended by a question mark.
    pub(super) asked: bool,
    /// Joined to the clause before it without a full stop between.
    pub(super) joined: bool,
    /// Another object of the verb of the clause before it.
    pub(super) sibling: bool,
}

impl Clause {
    /// Whether it is nothing but politeness: "if you don't mind,".
    pub(super) fn is_courtesy(&self) -> bool {
        let mut rest = &self.words[..];
        while let Some(n) = begins_any(rest, en::OPENINGS).max(begins_any(rest, en::ENDINGS)).max(courtesy(rest)) {
            rest = &rest[n..];
        }
        // A word alone may be an answer.
        rest.is_empty()
    }
}

/// The clauses of `words`: one for each verb, and one for each object of a verb that has several.
pub(super) fn clauses(words: &[Word]) -> Vec<Clause> {
    let free = free::mark(words);
    let mut out: Vec<Clause> = Vec::new();
    let mut from = 0;
    let mut joined = false;
    for k in 0..=words.len() {
        let ends = k == words.len()
            || (k > from
                && matches!(words[k - 1].after, Mark::Stop | Mark::Ask)
                && !free.get(k).copied().unwrap_or(false));
        let breaks = !ends && k > from && !free[k] && splits(words, from, k);
        if !ends && !breaks {
            continue;
        }
        if k > from {
            let asked = words[k - 1].after == Mark::Ask;
            out.push(Clause {
                words: words[from..k].to_vec(),
                free: free[from..k].to_vec(),
                asked,
                joined,
                sibling: false,
            });
        }
        joined = breaks;
        from = k;
    }
    for c in &mut out {
        strip_links(c);
    }
    out.retain(|c| !c.words.is_empty());
    out.into_iter().flat_map(run_on).flat_map(objects).collect()
}

/// Whether a new clause begins at `k`.
fn splits(words: &[Word], from: usize, k: usize) -> bool {
    let w = &words[k..];
    let comma = words[k - 1].after == Mark::Comma;
    let Some(link) = begins_any(
        w,
        &["and", "then", "and then", "and also", "also", "but", "plus", "and after that", "and now", "but also", "so"],
    )
    .or(comma.then_some(0)) else {
        return false;
    };
    let rest = verbs::skip(
        &w[link..],
        &["please", "also", "then", "now", "just", "could you", "can you", "would you", "uh", "um", "you know", "like"],
    );
    let rest = match super::time::find(rest) {
        Some(f) if f.start == 0 && f.end < rest.len() => &rest[f.end..],
        _ => rest,
    };
    // "Do me a favor and turn it off" is one thing.
    if w[0].is("and")
        && en::REQUESTS
            .iter()
            .any(|(p, _)| p.strip_suffix(" and").is_some_and(|p| super::lex::ends_any(&words[from..k], &[p]).is_some()))
    {
        return false;
    }
    // "Go and turn it off" is one thing.
    if words[from..k].len() == 1 && words[from].any(&["go", "try", "come"]) {
        return false;
    }
    let begun = words[from..k]
        .iter()
        .any(|w| !w.any(&["please", "okay", "hey", "so", "well", "no", "wait", "yes", "oh", "sorry"]));
    // "All the lights but not the hall": an exception is no order.
    let exception = begins_any(w, &["but not"]).is_some_and(|n| !verbs::is_command(&w[n..]))
        && words[from..k].iter().any(|x| x.any(en::ALL));
    if exception {
        return false;
    }
    let but = w[0].is("but") && rest.first().is_some_and(|x| x.any(&["not", "leave", "keep", "never", "do"]));
    // "In ten minutes, turn …": a time is no clause either.
    let body = verbs::skip(&words[from..k], en::OPENINGS);
    if super::time::find(body).is_some_and(|f| f.start == 0 && f.end == body.len()) {
        return false;
    }
    // "Hey Jarvis, turn …": an opening is no clause.
    let opening = verbs::skip(&words[from..k], en::OPENINGS).len() <= 1
        && begins_any(verbs::skip(&words[from..k], en::OPENINGS), en::OPENINGS).is_some();
    let firmly = begins_any(w, &["and then", "and also", "then", "also", "plus"]).is_some() || comma;
    begun && !opening && (but || verbs::is_command(rest) || lists_again(rest) || order(rest, firmly))
}

/// "… and lights on in the kitchen", "and volume up": a clause without a verb but with a state.
fn lists_again(w: &[Word]) -> bool {
    w.len() >= 2
        && w[0].any(&["volume", "alarm", "timer", "reminder", "weather"])
        && !w.get(1).is_some_and(|x| x.any(&["and", "or", "light", "lights"]))
}

/// "kitchen light on hall light off": two orders without a verb and without a pause.
fn run_on(c: Clause) -> Vec<Clause> {
    let particle = |w: &Word| w.any(&["on", "off", "open", "closed", "shut"]);
    let bare = !c.free.contains(&true)
        && !c.words.iter().any(|w| verbs::is_base(w) && !w.any(&["light", "time", "lock", "open", "shut", "close"]));
    let at: Vec<usize> = (0..c.words.len()).filter(|&i| particle(&c.words[i])).collect();
    let [first, last] = at.as_slice() else { return vec![c] };
    // A thing before each, and nothing behind the last.
    if !bare || *first == 0 || last - first < 2 || last + 1 != c.words.len() || c.words[first + 1].any(DETERMINERS) {
        return vec![c];
    }
    let part = |from: usize, to: usize, joined: bool| Clause {
        words: c.words[from..to].to_vec(),
        free: vec![false; to - from],
        asked: false,
        joined,
        sibling: false,
    };
    vec![part(0, first + 1, c.joined), part(first + 1, last + 1, true)]
}

fn strip_links(c: &mut Clause) {
    while let Some(n) = begins_any(
        &c.words,
        &["and then", "and also", "and", "then", "also", "but", "plus", "after that", "and after that"],
    )
    .filter(|n| *n <= c.words.len())
    {
        c.words.drain(..n);
        c.free.drain(..n);
    }
}

/// One clause for each object: "the kitchen light and the hallway light", "3, 5 and 7 minutes".
fn objects(c: Clause) -> Vec<Clause> {
    if let Some(several) = timers(&c).or_else(|| listed(&c)) {
        return several;
    }
    let Some(groups) = groups(&c) else { return vec![c] };
    let (first, rest) = match groups.split_first() {
        Some((f, r)) if !r.is_empty() => (f.clone(), r.to_vec()),
        _ => return vec![c],
    };
    if let Some(several) = without_verb(&c, &groups) {
        return several;
    }
    let mut out: Vec<Vec<Word>> = vec![first.clone()];
    for g in &rest {
        match parallel(&first, g) {
            Some(w) => out.push(w),
            None => return vec![c],
        }
    }
    share_tail(&mut out, &first, &rest);
    out.into_iter()
        .enumerate()
        .map(|(i, words)| Clause {
            free: vec![false; words.len()],
            words,
            asked: c.asked,
            joined: c.joined || i > 0,
            sibling: i > 0,
        })
        .collect()
}

/// "living room and bedroom lights off": names alone, and what is common to them behind the last.
fn without_verb(c: &Clause, groups: &[Vec<Word>]) -> Option<Vec<Clause>> {
    const THINGS: &[&str] = &["lights", "lamps", "blinds", "doors", "curtains", "shutters", "light", "lamp", "door"];
    let (last, names) = groups.split_last()?;
    let at = last.iter().position(|w| w.any(THINGS)).filter(|at| *at > 0)?;
    let simple =
        |g: &Vec<Word>| g.len() <= 3 && !g.iter().any(|w| w.any(THINGS) || w.any(PARTICLES) || verbs::is_base(w));
    let state = last.last().is_some_and(|w| w.any(PARTICLES));
    if !state
        || !names.iter().all(simple)
        || last.iter().any(|w| verbs::is_base(w) && !w.any(THINGS) && !w.any(PARTICLES))
    {
        return None;
    }
    let clause = |(i, name): (usize, &Vec<Word>)| {
        let words: Vec<Word> = if i < names.len() { [name, &last[at..]].concat() } else { last.clone() };
        Clause { free: vec![false; words.len()], words, asked: c.asked, joined: c.joined || i > 0, sibling: i > 0 }
    };
    Some(groups.iter().enumerate().map(clause).collect())
}

/// The words between commas and "and" outside free text; `None` where there is but one group or a fixed pair.
fn groups(c: &Clause) -> Option<Vec<Vec<Word>>> {
    if c.free.contains(&true) {
        return None;
    }
    let mut groups: Vec<Vec<Word>> = vec![Vec::new()];
    let mut i = 0;
    // What is left out belongs together, and so does what lies between two values.
    let excepts =
        |i: usize| begins_any(&c.words[i..], en::EXCEPT).is_some() && c.words[..i].iter().any(|w| w.any(en::ALL));
    if find(&c.words, 0, "between").is_some() || (1..c.words.len()).any(excepts) {
        return None;
    }
    let both = find(&c.words, 0, "both").map(|(k, _)| k).filter(|k| c.words[*k..].iter().any(|w| w.is("and")));
    while i < c.words.len() {
        let w = &c.words[i];
        if Some(i) == both {
            i += 1;
            continue;
        }
        let link = begins_any(&c.words[i..], &["and", "as well as", "and also", "along with", "plus", "together with"]);
        let number_joint = (w.is("and") && i > 0 && is_sum(&c.words, i))
            || (w.is("plus") && i > 0 && number(&texts(&c.words[i - 1..i])).is_some());
        let fixed = w.is("and")
            && i > 0
            && i + 1 < c.words.len()
            && en::PAIRS.iter().any(|p| *p == format!("{} and {}", c.words[i - 1].text, c.words[i + 1].text));
        if let Some(n) = link.filter(|_| !number_joint && !fixed && i > 0) {
            groups.push(Vec::new());
            i += n;
            continue;
        }
        let mut word = w.clone();
        let comma = word.after == Mark::Comma && i + 1 < c.words.len();
        word.after = Mark::Space;
        if let Some(g) = groups.last_mut() {
            g.push(word);
        }
        if comma {
            groups.push(Vec::new());
        }
        i += 1;
    }
    groups.retain(|g| !g.is_empty());
    (groups.len() > 1).then_some(groups)
}

/// "an hour *and* twenty minutes", "two *and* a half": the "and" belongs to a number.
fn is_sum(words: &[Word], at: usize) -> bool {
    let after = texts(&words[at + 1..]);
    let before = &words[at - 1];
    let unit = before.any(&["hour", "hours", "minute", "minutes", "day", "days", "week", "weeks"]);
    let half = begins_any(&words[at + 1..], &["a half", "a quarter", "three quarters", "half"]).is_some();
    let scale = before.any(&["hundred", "thousand"]);
    let span = crate::tools::duration::duration(&after).is_some();
    half || (scale && number(&after).is_some()) || (unit && span)
}

/// The first group with the part that `other` stands for replaced by it.
fn parallel(first: &[Word], other: &[Word]) -> Option<Vec<Word>> {
    let head = other.first()?;
    // A command or a sentence of its own is no other object.
    if verbs::is_command(other)
        || head.any(&["i", "you", "he", "she", "we", "they", "it", "somebody", "someone", "nobody", "everybody"])
    {
        return None;
    }
    // "on now and off in five minutes": the same thing in another state.
    if head.any(PARTICLES) && other.len() > 1 && !other[1].any(DETERMINERS) {
        let mut words: Vec<Word> = first.iter().filter(|w| !w.any(&["now", "immediately"])).cloned().collect();
        if let Some(f) = super::time::find(&words) {
            words.drain(f.start..f.end);
        }
        let at = words.iter().rposition(|w| w.any(PARTICLES))?;
        words[at] = head.clone();
        words.extend_from_slice(&other[1..]);
        return Some(words);
    }
    let cut = if number(&texts(other)).is_some() {
        (0..first.len()).rev().find(|&i| {
            number(&texts(&first[i..])).is_some()
                && (i == 0 || number(&texts(&first[i - 1..])).is_none_or(|n| n.1 == 1))
        })?
    } else if head.any(DETERMINERS) {
        first.iter().rposition(|w| w.any(DETERMINERS)).or_else(|| after_verb(first))?
    } else if head.any(PREPOSITIONS) && first.iter().any(|w| w.text == head.text) && other.len() > 1 {
        first.iter().rposition(|w| w.text == head.text)?
    } else {
        // Bare names stand for what follows the last article or preposition.
        first
            .iter()
            .rposition(|w| w.any(DETERMINERS) || w.any(PREPOSITIONS))
            .map(|p| p + 1)
            .or_else(|| after_verb(first))?
    };
    // "turn the kitchen light on and the hallway light off": each brings its own state along.
    let mut words = first[..cut].to_vec();
    words.extend_from_slice(other);
    let state = first[cut..].iter().find(|w| w.any(PARTICLES));
    if let Some(state) = state
        && !first[..cut].iter().any(|w| w.any(PARTICLES))
        && !other.iter().any(|w| w.any(PARTICLES))
    {
        words.push(state.clone());
    }
    Some(words)
}

fn after_verb(words: &[Word]) -> Option<usize> {
    let v = words.iter().position(verbs::is_base)?;
    let p = usize::from(words.get(v + 1).is_some_and(|w| w.any(PARTICLES)));
    (v + 1 + p < words.len()).then_some(v + 1 + p)
}

/// "the kitchen and hallway *lights*", "3 and 5 *minutes*", "the front and the back *door*", "on … and … *off*".
fn share_tail(out: &mut [Vec<Word>], first: &[Word], rest: &[Vec<Word>]) {
    let Some(last) = rest.last() else { return };
    // A unit that only the last one (or only the first one) has.
    let unit = last.iter().chain(first).find(|w| w.any(UNITS)).cloned();
    for words in out.iter_mut() {
        if let Some(unit) = &unit
            && !words.iter().any(|w| w.any(UNITS))
            && words.last().is_some_and(|w| crate::tools::number::is_number_word(&w.text))
        {
            words.push(unit.clone());
        }
    }
    // "both the porch light and the garage light off": a state that only the last one has.
    if let Some(state) = last.last().filter(|w| w.any(PARTICLES)) {
        for words in out.iter_mut().filter(|w| !w.iter().any(|x| x.any(PARTICLES))) {
            words.push(state.clone());
        }
    }
    // A head noun that only the last one has.
    let name = |w: &[Word]| {
        let from = w.iter().rposition(|x| x.any(DETERMINERS) || x.any(PREPOSITIONS)).map_or(0, |p| p + 1);
        w[from..].iter().filter(|x| !x.any(PARTICLES)).count()
    };
    let Some(noun) = last.iter().rev().find(|w| !w.any(PARTICLES)).cloned() else { return };
    if number(&texts(last)).is_some() || noun.any(UNITS) {
        return;
    }
    // "the lounge and the dining room": a lounge is a room by itself, a dining is not.
    let whole = |w: &[Word]| {
        noun.any(&["room", "rooms"])
            && w.iter().rev().find(|x| !x.any(PARTICLES)).is_none_or(|x| !x.any(en::KINDS_OF_ROOM))
    };
    let wanted = name(last);
    let n = out.len();
    for words in out.iter_mut().take(n - 1) {
        let bare = wanted >= 2
            && !whole(words)
            && name(words) + 1 == wanted
            && !words.iter().any(|w| w.text.trim_end_matches('s') == noun.text.trim_end_matches('s'));
        if bare {
            let at = if words.last().is_some_and(|w| w.any(PARTICLES)) { words.len() - 1 } else { words.len() };
            words.insert(at, noun.clone());
        }
    }
}

/// "two timers, one for five minutes and one for ten minutes"; "timers for 3, 5 and 7 minutes".
fn timers(c: &Clause) -> Option<Vec<Clause>> {
    let at = c.words.iter().position(|w| w.any(&["timers", "alarms", "reminders"]))?;
    let verb = c.words[..at].iter().position(|w| w.any(&["set", "start", "make", "create", "add", "give", "run"]))?;
    let one = c.words[at].text.trim_end_matches('s').to_owned();
    let rest = &c.words[at + 1..];
    let mut starts: Vec<usize> = Vec::new();
    for (i, _) in rest.iter().enumerate() {
        if begins_any(
            &rest[i..],
            &[
                "one for",
                "one at",
                "one of",
                "another for",
                "another one for",
                "the other for",
                "a second for",
                "the first for",
                "the second for",
                "the third for",
                "the other one for",
                "a second one for",
                "one called",
                "one named",
            ],
        )
        .is_some()
            && (i == 0 || !rest[i - 1].any(&["another", "other", "second"]))
        {
            starts.push(i);
        }
    }
    let word = |text: &str| Word { text: text.to_owned(), after: Mark::Space, ..c.words[at].clone() };
    let head = |tail: &[Word]| {
        let mut words = vec![c.words[verb].clone(), word("a"), word(&one)];
        words.extend_from_slice(tail);
        words
    };
    let tails: Vec<Vec<Word>> = if starts.len() >= 2 {
        let ends = starts.iter().skip(1).copied().chain([rest.len()]);
        starts
            .iter()
            .zip(ends)
            .map(|(&s, e)| {
                let n = begins_any(
                    &rest[s..e],
                    &[
                        "one",
                        "another",
                        "another one",
                        "the other",
                        "the other one",
                        "a second",
                        "a second one",
                        "the first",
                        "the second",
                        "the third",
                    ],
                )
                .unwrap_or(1);
                let mut t = rest[s + n..e].to_vec();
                while t.last().is_some_and(|w| w.is("and")) {
                    t.pop();
                }
                t
            })
            .collect()
    } else {
        let n = begins_any(rest, &["for", "at", "of"])?;
        let inner = Clause {
            words: rest[n..].to_vec(),
            free: vec![false; rest.len() - n],
            asked: false,
            joined: false,
            sibling: false,
        };
        let mut groups = groups(&inner)?;
        let unit = groups.last().and_then(|g| g.last()).filter(|w| w.any(UNITS)).cloned();
        for g in &mut groups {
            if let Some(unit) = &unit
                && g.last().is_some_and(|w| crate::tools::number::is_number_word(&w.text))
            {
                g.push(unit.clone());
            }
            g.insert(0, rest[0].clone());
        }
        groups
    };
    // A number of timers that was said must be the number of timers that were described.
    let said = c.words[verb + 1..at].iter().find_map(|w| number(std::slice::from_ref(&w.text)).map(|n| n.0 as usize));
    if said.is_some_and(|n| n != tails.len()) || tails.len() < 2 {
        return None;
    }
    Some(
        tails
            .iter()
            .enumerate()
            .map(|(i, t)| {
                let words = head(t);
                Clause {
                    free: vec![false; words.len()],
                    words,
                    asked: c.asked,
                    joined: c.joined || i > 0,
                    sibling: i > 0,
                }
            })
            .collect(),
    )
}

/// "add milk, bread and butter to my list": one clause an item.
fn listed(c: &Clause) -> Option<Vec<Clause>> {
    let from = c.free.iter().position(|f| *f)?;
    let to = from + c.free[from..].iter().take_while(|f| **f).count();
    let on_list = c.words[to..].iter().any(|w| w.any(&["list", "lists", "basket", "cart"]))
        && begins_any(&c.words[to..], &["to", "on", "onto", "in", "into", "from", "off", "out of"]).is_some();
    if !on_list {
        return None;
    }
    let items = free::items(&c.words[from..to]);
    let taken_back = items.len() == 1 && items[0].len() < to - from;
    if (items.len() < 2 && !taken_back) || items.iter().any(|i| begins(i, "and").is_some()) {
        return None;
    }
    Some(
        items
            .iter()
            .enumerate()
            .map(|(i, item)| {
                let mut words = c.words[..from].to_vec();
                let mut free = vec![false; from];
                words.extend(item.iter().map(|w| Word { after: Mark::Space, ..w.clone() }));
                free.extend(vec![true; item.len()]);
                words.extend_from_slice(&c.words[to..]);
                free.extend(vec![false; c.words.len() - to]);
                Clause { words, free, asked: c.asked, joined: c.joined || i > 0, sibling: i > 0 }
            })
            .collect(),
    )
}
