//! States, choices and amounts in the words that ask for them.

use crate::schema::{Param, ParamType};
use crate::tools::number::number;
use crate::tools::reading::Said;
use crate::tools::text::tokens;

use super::{english as en, stem, texts};

/// Behind these "on" and "off" say what is to be done, wherever else they stand.
const SWITCHING: &[&str] =
    &["turn", "switch", "flip", "put", "click", "flick", "power", "turned", "switched", "come", "go"];
/// Before these "on" says where.
const DETERMINERS: &[&str] = &["the", "my", "our", "a", "an", "your", "his", "her", "their", "this", "that"];
/// They ask for light, but less clearly than "on" and "off" do.
const WEAK: &[&str] = &["light", "dark", "need", "want", "start", "up", "back", "sound"];

/// Whether an argument brings a state about: on and off, open and closed.
pub(super) fn is_state(p: &Param) -> bool {
    match &p.kind {
        ParamType::Bool => true,
        ParamType::Enum { values } => {
            values.len() <= 3 && values.iter().all(|v| en::CHOICES.iter().any(|(c, _)| c == v))
        }
        _ => false,
    }
}

/// The truth value that was asked for, and the words that did. `None` where none was, or both.
pub(super) fn truth(argument: &str, words: &[Said]) -> Option<(bool, Vec<usize>)> {
    let Some(p) = en::POLARITIES.iter().find(|p| p.names.contains(&argument)) else {
        // A flag of another name is set by naming it.
        let parts = tokens(&argument.replace('_', " "));
        let at: Vec<usize> = (0..words.len()).filter(|&i| parts.contains(&words[i].text)).collect();
        return (!at.is_empty()).then_some((true, at));
    };
    let yes = said(p.yes, words);
    let no = said(p.no, words);
    let strong = |v: &[usize]| -> Vec<usize> {
        v.iter().copied().filter(|&i| !WEAK.contains(&words[i].text.as_str())).collect()
    };
    match (strong(&yes).as_slice(), strong(&no).as_slice()) {
        ([], []) => match (yes.is_empty(), no.is_empty()) {
            (false, true) => Some((true, yes)),
            (true, false) => Some((false, no)),
            _ => None,
        },
        ([_, ..], []) => Some((true, yes)),
        ([], [_, ..]) => Some((false, no)),
        // "Shut off", "lock up and out": only what says one thing says it.
        _ => None,
    }
}

/// Where words of `list` stand outside free text, an "on" that says where left out.
fn said(list: &[&str], words: &[Said]) -> Vec<usize> {
    (0..words.len())
        .filter(|&i| {
            let w = &words[i];
            if w.free || !list.contains(&w.text.as_str()) {
                return false;
            }
            let behind = i > 0 && SWITCHING.contains(&words[i - 1].text.as_str());
            let before = words.get(i + 1).is_some_and(|n| DETERMINERS.contains(&n.text.as_str()));
            match w.text.as_str() {
                "on" => behind || !before,
                // The thing, not the verb.
                "light" => {
                    (i == 0 && words.get(1).is_some())
                        || (i > 0 && matches!(words[i - 1].text.as_str(), "some" | "more"))
                }
                "need" | "want" => words.get(i + 1).is_some_and(|n| !n.free),
                _ => true,
            }
        })
        .collect()
}

/// Where `value` of a choice was said, by itself or in other words.
pub(super) fn choice(value: &str, aliases: &[(String, Vec<String>)], words: &[Said]) -> Option<Vec<usize>> {
    let mut names = vec![value.replace(['_', '-'], " ")];
    names.extend(aliases.iter().filter(|(v, _)| v == value).flat_map(|(_, also)| also.clone()));
    // The longest name that was said.
    let mut found: Option<Vec<usize>> = None;
    for name in &names {
        if let Some(at) = phrase(&tokens(name), words)
            && found.as_ref().is_none_or(|f| f.len() < at.len())
        {
            found = Some(at);
        }
    }
    found.or_else(|| {
        let (_, list) = en::CHOICES.iter().find(|(c, _)| *c == value)?;
        let at = said(list, words);
        (!at.is_empty()).then_some(at)
    })
}

/// Where the words of `phrase` stand in a row, give or take a plural.
pub(super) fn phrase(phrase: &[String], words: &[Said]) -> Option<Vec<usize>> {
    if phrase.is_empty() {
        return None;
    }
    let same = |a: &str, b: &str| a == b || stem(a) == stem(b);
    (0..words.len()).find_map(|i| {
        let fits = phrase.iter().enumerate().all(|(k, p)| words.get(i + k).is_some_and(|w| same(&w.text, p)));
        fits.then(|| (i..i + phrase.len()).collect())
    })
}

/// A number that was said, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Amount {
    pub(super) value: f64,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The numbers outside free text, with their units.
pub(super) fn amounts(words: &[Said]) -> Vec<Amount> {
    let t = texts(words);
    let mut out = Vec::new();
    let mut i = 0;
    while i < t.len() {
        // "a" and "one" are articles more often than numbers.
        let article = t[i] == "a" || (t[i] == "one" && !t.get(i + 1).is_some_and(|w| is_unit(w) || w == "hundred"));
        match number(&t[i..]) {
            // "By two degrees" is a step, which nothing here takes.
            Some((_, n)) if i > 0 && t[i - 1] == "by" => i += n,
            Some((value, n)) if !words[i].free && !article => {
                let minus = i > 0 && matches!(t[i - 1].as_str(), "minus" | "negative" | "-");
                let mut end = i + n;
                while t.get(end).is_some_and(|w| is_unit(w)) {
                    end += 1;
                }
                let (value, start) = if minus { (-value, i - 1) } else { (value, i) };
                out.push(Amount { value, start, end });
                i = end;
            }
            _ => i += 1,
        }
    }
    out
}

fn is_unit(w: &str) -> bool {
    matches!(w, "percent" | "degree" | "degrees" | "celsius" | "fahrenheit" | "c" | "f" | "points" | "steps")
}

/// An amount in words ("full", "half"), within the limits of its argument.
pub(super) fn in_words(kind: &ParamType, words: &[Said]) -> Option<(f64, usize)> {
    let (min, max) = match kind {
        ParamType::Int { min: Some(min), max: Some(max) } => (*min as f64, *max as f64),
        ParamType::Number { min: Some(min), max: Some(max) } => (*min, *max),
        _ => (0.0, 100.0),
    };
    (0..words.len()).find_map(|i| {
        let (_, percent) = en::AMOUNTS.iter().find(|(w, _)| !words[i].free && *w == words[i].text)?;
        Some((min + (max - min) * percent / 100.0, i))
    })
}
