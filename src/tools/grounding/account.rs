//! What of a request a call explains, and what of the call was said.

use serde_json::{Map, Value};

use crate::schema::{Param, ParamType};
use crate::tools::duration;
use crate::tools::number::is_number_word;
use crate::tools::policy::alike;
use crate::tools::reading::{Said, time_of_day};
use crate::tools::text::tokens;

use super::state::{amounts, choice, in_words, truth};
use super::{Tool, english as en, is_empty, name, texts};

/// How a call accounts for a request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tools) struct Account {
    /// The call's arguments, without optional ones that nobody said.
    pub(in crate::tools) args: Map<String, Value>,
    /// Words of the request that the call leaves unexplained, as they were said.
    pub(in crate::tools) unexplained: Vec<String>,
    /// Whether the request says what the tool is for.
    pub(in crate::tools) evidence: bool,
    pub(in crate::tools) problem: Option<Problem>,
}

/// What is wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) enum Problem {
    /// The value of this argument was not said.
    Unsaid(String),
    /// Something else was said for this argument.
    Contradicted(String),
    /// What the tool does was not asked for.
    NotAsked,
}

impl Account {
    /// Whether nothing speaks against the call.
    pub(in crate::tools) fn is_balanced(&self) -> bool {
        self.unexplained.is_empty() && self.evidence && self.problem.is_none()
    }
}

/// A request in which words are ticked off.
pub(super) struct Ledger<'a> {
    words: &'a [Said],
    explained: Vec<bool>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(words: &'a [Said]) -> Self {
        Self { words, explained: vec![false; words.len()] }
    }

    pub(super) fn tick(&mut self, at: impl IntoIterator<Item = usize>) {
        for i in at {
            if let Some(e) = self.explained.get_mut(i) {
                *e = true;
            }
        }
    }

    /// Words with a meaning that nothing explains yet.
    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.words.len())
            // In free text, too, small words say little; a "not" says much.
            .filter(|&i| {
                let w = &self.words[i];
                let negates = w.free && matches!(w.text.as_str(), "not" | "no" | "never");
                !self.explained[i] && (negates || !is_empty(&w.text))
            })
            .collect()
    }
}

pub(super) fn account(
    tool: &Tool,
    words: &[Said],
    args: &Map<String, Value>,
    recent: &[String],
    told: &[String],
) -> Account {
    // A tool that takes no text leaves none: "play the next song".
    let bare: Vec<Said>;
    let words = match tool.schema.params.iter().any(|p| matches!(p.kind, ParamType::String { .. })) {
        true => words,
        false => {
            bare = words.iter().map(|w| Said { free: false, ..w.clone() }).collect();
            &bare[..]
        }
    };
    let mut ledger = Ledger::new(words);
    let mut kept = Map::new();
    let mut problem = None;
    let mut evidence = tool.name.is_named(words);
    let mut implied: Option<&Param> = None;
    let says = |list: &[&str]| words.iter().any(|w| !w.free && list.contains(&w.text.as_str()));
    let something =
        |v: &Value| tokens(v.as_str().unwrap_or_default()).iter().any(|w| !tool.name.is_topic(w) && !is_empty(w));
    // "Put on techno", "turn it down": what is meant goes without saying.
    evidence |= tool.name.plays
        && args.values().any(something)
        && words.iter().any(|w| w.free)
        && says(&["put", "listen", "hear", "play", "playing", "start"]);
    evidence |= tool.name.is_topic("volume") && tool.schema.params.is_empty() && says(&["it"]) && says(&["up", "down"]);
    for p in &tool.schema.params {
        let Some(value) = args.get(&p.name).filter(|v| !is_blank(v)) else { continue };
        match said(tool, p, value, words, recent).or_told(value, told) {
            Verdict::At(at) => {
                let place = en::PLACE_ARGUMENTS.contains(&p.name.as_str());
                evidence |= matches!(p.kind, ParamType::Enum { .. }) && !super::state::is_state(p) && !place;
                let text = matches!(p.kind, ParamType::String { .. });
                let said = tokens(value.as_str().unwrap_or_default());
                evidence |= text && tool.name.any_device;
                // "Close the garage door" where what opens and closes is called a cover.
                evidence |=
                    text && tool.name.opens && said.iter().any(|w| en::OPENS.contains(&super::stem(w).as_str()));
                // "Put on Jazz FM": what it is for is part of what is played.
                let names = said.iter().any(|w| !tool.name.is_topic(w) && !is_empty(w));
                evidence |= text
                    && names
                    && words.iter().any(|w| w.free && tool.name.is_topic(&w.text) && said.contains(&w.text));
                ledger.tick(at);
                // The argument's own name may have been said with it.
                let own = tokens(&p.name.replace('_', " "));
                ledger.tick((0..words.len()).filter(|&i| !words[i].free && own.contains(&words[i].text)));
                kept.insert(p.name.clone(), value.clone());
            }
            // "Set the light to 40 percent" turns it on.
            Verdict::Unsaid if is_yes(p, value) => {
                implied = Some(p);
                kept.insert(p.name.clone(), value.clone());
            }
            Verdict::Unsaid if !p.required => {}
            Verdict::Unsaid => problem = problem.or(Some(Problem::Unsaid(p.name.clone()))),
            Verdict::Contradicted => problem = problem.or(Some(Problem::Contradicted(p.name.clone()))),
        }
    }
    if let Some(p) = implied
        && !kept.iter().any(|(name, v)| {
            *name != p.name && !v.is_boolean() && !en::PLACE_ARGUMENTS.contains(&name.as_str()) && optional(tool, name)
        })
    {
        problem = problem.or(Some(Problem::Unsaid(p.name.clone())));
    }
    ledger.tick((0..words.len()).filter(|&i| !words[i].free && tool.name.explains(&words[i].text)));
    let spoken = |list: &[&str]| -> Vec<usize> {
        (0..words.len()).filter(|&i| !words[i].free && list.contains(&words[i].text.as_str())).collect()
    };
    if let Some(verb) = tool.name.verb {
        let at = spoken(verb);
        // What was to be written down, sent or played says by itself that it is to be.
        let free = words.iter().any(|w| w.free);
        // What is added or started is set as well: "an alarm for six".
        let needed = !matches!(verb.first(), Some(&"add" | &"start"));
        let text = kept.iter().any(|(name, v)| {
            v.is_string()
                && tool.schema.params.iter().any(|p| p.name == *name && matches!(p.kind, ParamType::String { .. }))
        });
        // "Unlock the shed": what is locked need be no door.
        evidence |= !at.is_empty() && text && matches!(verb.first(), Some(&"lock" | &"unlock"));
        if at.is_empty() && !free && tool.acts && needed {
            problem = problem.or(Some(Problem::NotAsked));
        }
        ledger.tick(at);
    }
    if tool.acts && !spoken(tool.name.opposite).is_empty() && tool.name.verb.is_none_or(|v| spoken(v).is_empty()) {
        problem = problem.or(Some(Problem::NotAsked));
    }
    let numbers = kept.values().any(Value::is_number);
    if numbers {
        // "Dim the light to 40": the verb says no more than the number.
        let dims = ["dim", "brighten", "brightness", "bright", "dimmed"];
        ledger
            .tick((0..words.len()).filter(|&i| dims.contains(&words[i].text.as_str()) && tool.name.is_topic("light")));
    }
    if numbers && words.iter().any(|w| w.text == "to") {
        ledger.tick((0..words.len()).filter(|&i| CHANGING.contains(&words[i].text.as_str())));
    }
    let switched: Vec<usize> = (0..words.len())
        .filter(|&i| {
            let w = words[i].text.as_str();
            // "Turn the heating down to 18" says no more than its number does.
            !words[i].free && !ledger.explained[i] && (matches!(w, "off" | "out") || w == "down" && !numbers)
        })
        .collect();
    let mut open = ledger.open();
    if tool.acts && tool.name.verb.is_none() {
        open.extend(switched.into_iter().filter(|&i| !particle_of_verb(words, i)));
    }
    open.sort_unstable();
    let unexplained = open.into_iter().map(|i| words[i].text.clone()).collect();
    Account { args: kept, unexplained, evidence, problem }
}

/// "Raise it to 22", "turn it down to 18" say no more than the number.
pub(super) const CHANGING: &[&str] =
    &["raise", "lower", "increase", "decrease", "reduce", "up", "down", "drop", "bump", "crank"];

/// "Figure out", "write down": the particle belongs to the verb.
fn particle_of_verb(words: &[Said], i: usize) -> bool {
    i > 0
        && matches!(
            words[i - 1].text.as_str(),
            "figure" | "find" | "write" | "note" | "work" | "check" | "read" | "calm" | "slow" | "jot"
        )
}

fn optional(tool: &Tool, name: &str) -> bool {
    tool.schema.params.iter().any(|p| p.name == name && !p.required)
}

fn is_yes(p: &Param, v: &Value) -> bool {
    super::state::is_state(p) && (*v == Value::Bool(true) || v.as_str() == Some("on"))
}

/// Small models fill optional arguments with nothing.
fn is_blank(v: &Value) -> bool {
    v.is_null() || v.as_str().is_some_and(|s| s.trim().is_empty())
}

enum Verdict {
    /// It was said by these words.
    At(Vec<usize>),
    Unsaid,
    /// Something else was said.
    Contradicted,
}

impl Verdict {
    /// What was not said in the request itself may have been told with it.
    fn or_told(self, value: &Value, told: &[String]) -> Self {
        let words: Vec<String> = told.iter().flat_map(|t| tokens(t)).collect();
        let value = tokens(value.as_str().unwrap_or_default());
        let all = value.iter().all(|w| words.iter().any(|t| alike(w, t)));
        match self {
            Self::Unsaid if !value.is_empty() && all => Self::At(Vec::new()),
            other => other,
        }
    }
}

fn said(tool: &Tool, p: &Param, value: &Value, words: &[Said], recent: &[String]) -> Verdict {
    match (&p.kind, value) {
        (ParamType::Bool, Value::Bool(b)) => match truth(tool.name.state(&p.name), words) {
            Some((said, at)) if said == *b => Verdict::At(at),
            Some(_) => Verdict::Contradicted,
            None => Verdict::Unsaid,
        },
        (ParamType::Enum { values }, Value::String(v)) => {
            if super::state::is_state(p)
                && values.len() == 2
                && values.iter().all(|v| matches!(v.as_str(), "on" | "off"))
            {
                return match truth(tool.name.state("on"), words) {
                    Some((said, at)) if said == (v == "on") => Verdict::At(at),
                    Some(_) => Verdict::Contradicted,
                    None => Verdict::Unsaid,
                };
            }
            match choice(v, &tool.name.aliases, words) {
                Some(at) => Verdict::At(at),
                None if values.iter().any(|other| choice(other, &tool.name.aliases, words).is_some()) => {
                    Verdict::Contradicted
                }
                None => before(v, words, recent),
            }
        }
        (ParamType::Int { .. } | ParamType::Number { .. }, Value::Number(n)) => {
            let wanted = n.as_f64().unwrap_or(f64::NAN);
            let all = amounts(words);
            if let Some(a) = all.iter().find(|a| (a.value - wanted).abs() < 1e-6) {
                return Verdict::At((a.start..a.end).collect());
            }
            match in_words(&p.kind, words) {
                Some((v, at)) if (v - wanted).abs() < 1e-6 => Verdict::At(vec![at]),
                _ if all.is_empty() => Verdict::Unsaid,
                _ => Verdict::Contradicted,
            }
        }
        (ParamType::String { .. }, Value::String(v)) => text(v, words, recent),
        _ => Verdict::Unsaid,
    }
}

/// Text is said by its words; a time or an amount in it by the same time or amount.
fn text(value: &str, words: &[Said], recent: &[String]) -> Verdict {
    let t = texts(words);
    if let Some(seconds) = duration::parse(value.trim_start_matches("in ")) {
        let mut other = false;
        for i in 0..t.len() {
            match duration::duration(&t[i..]) {
                Some((s, n)) if s == seconds => return Verdict::At((i..i + n).collect()),
                Some(_) if i == 0 || duration::duration(&t[i - 1..]).is_none() => other = true,
                _ => {}
            }
        }
        return if other { Verdict::Contradicted } else { before(value, words, recent) };
    }
    if value.contains(':')
        && let Some((hour, minute)) = time_of_day(&tokens(value).join(" "))
    {
        let same = |i: &usize| time_of_day(&t[*i..].join(" ")).is_some_and(|(h, m)| h % 12 == hour % 12 && m == minute);
        let Some(i) = (0..t.len()).find(same) else {
            // Some other time was said, or none.
            return if t.iter().any(|w| is_number_word(w)) {
                Verdict::Contradicted
            } else {
                before(value, words, recent)
            };
        };
        let timely = |w: &String| is_number_word(w) || en::UNITS.contains(&w.as_str()) || is_empty(w);
        let end = i + t[i..].iter().take_while(|w| timely(w)).count().max(1);
        // The day that stands before it belongs to it.
        let start = i - t[..i].iter().rev().take_while(|w| timely(w)).count();
        return Verdict::At((start..end).collect());
    }
    let mut at = Vec::new();
    let wanted: Vec<String> = tokens(value).into_iter().filter(|w| !is_empty(w) || t.contains(w)).collect();
    if wanted.iter().all(|w| is_empty(w)) && !wanted.iter().any(|w| words.iter().any(|s| s.free && s.text == *w)) {
        return Verdict::Unsaid;
    }
    let joined = t.concat();
    for w in &wanted {
        let hits: Vec<usize> = (0..t.len()).filter(|&i| alike(w, &t[i])).collect();
        let numeric = w.chars().any(|c| c.is_ascii_digit()) || is_number_word(w);
        if !hits.is_empty() {
            at.extend(hits);
        } else if numeric && t.iter().any(|x| is_number_word(x) || en::UNITS.contains(&x.as_str())) {
            at.extend((0..t.len()).filter(|&i| is_number_word(&t[i]) || en::UNITS.contains(&t[i].as_str())));
        } else if w.chars().count() >= 5 && joined.contains(w.as_str()) {
            // "bed room" was written as one word.
            at.extend((0..t.len()).filter(|&i| t[i].len() >= 3 && w.contains(t[i].as_str())));
        } else if w.chars().count() >= 2 && !is_empty(w) {
            return before(value, words, recent);
        }
    }
    // "12 * 8" was "twelve times eight": the words of sums are the sum's.
    if value.chars().any(|c| matches!(c, '*' | '+' | '/' | '^')) {
        at.extend((0..t.len()).filter(|&i| {
            is_number_word(&t[i])
                || matches!(
                    t[i].as_str(),
                    "times"
                        | "plus"
                        | "minus"
                        | "divided"
                        | "by"
                        | "percent"
                        | "of"
                        | "multiplied"
                        | "squared"
                        | "cubed"
                        | "root"
                        | "square"
                        | "over"
                        | "power"
                        | "x"
                        | "half"
                        | "third"
                        | "quarter"
                )
        }));
    }
    let units: Vec<usize> =
        (1..t.len()).filter(|&i| en::UNITS.contains(&t[i].as_str()) && at.contains(&(i - 1))).collect();
    at.extend(units);
    Verdict::At(at)
}

/// Words that point back to what was said before.
const POINTING: &[&str] = &[
    "it", "that", "them", "there", "again", "same", "one", "this", "those", "too", "back", "also", "what", "he", "she",
    "him", "her",
];

/// Whether a value was said before, by a request that points back.
fn before(value: &str, words: &[Said], recent: &[String]) -> Verdict {
    let points = words.iter().any(|w| !w.free && POINTING.contains(&w.text.as_str())) || words.len() <= 2;
    let heard: Vec<String> = recent.iter().flat_map(|s| tokens(s)).collect();
    let all = tokens(value).iter().filter(|w| !is_empty(w)).all(|w| heard.iter().any(|h| alike(w, h)));
    if points && all && !heard.is_empty() { Verdict::At(Vec::new()) } else { Verdict::Unsaid }
}

/// Whether a name can be what a place or thing is called.
pub(super) fn is_name(value: &str) -> bool {
    name::is_place(value) || !tokens(value).iter().any(|w| en::NO_NAMES.contains(&w.as_str()) || is_number_word(w))
}
