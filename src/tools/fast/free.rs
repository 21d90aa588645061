//! Free text: what is to be remembered, and what goes on a list. Any words, as they were said.

use std::ops::Range;

use super::names::is_label_word;
use super::said::Said;
use super::value::Value;

/// Longest thing on a list, in words.
const ITEM_MAX: usize = 16;
/// Most things in one breath.
const ITEMS_MAX: usize = 12;
/// Longest name of a list, in words.
const LIST_MAX: usize = 3;

/// Things whose name holds an "and".
const PAIRS: &[&str] = &[
    "macaroni and cheese",
    "mac and cheese",
    "fish and chips",
    "peanut butter and jelly",
    "peanut butter and jam",
    "half and half",
    "ham and cheese",
    "salt and vinegar",
    "sour cream and onion",
    "oil and vinegar",
    "bread and butter pickles",
    "sweet and sour",
    "hot and sour",
    "cookies and cream",
    "pork and beans",
    "franks and beans",
    "biscuits and gravy",
    "bangers and mash",
    "surf and turf",
    "gin and tonic",
    "rum and coke",
    "cream and sugar cookies",
    "ben and jerry's",
    "head and shoulders",
    "arm and hammer",
    "black and white cookies",
    "nuts and bolts",
    "m and m's",
    "salt and pepper",
    "wash and go",
    "d and d",
];

/// Not part of a text that they end, unless it is about saying them.
const COURTESY: &[&str] = &[
    "please",
    "thanks",
    "thank you",
    "thanks a lot",
    "thank you very much",
    "thank you so much",
    "okay",
    "would you",
    "will you",
    "could you",
    "can you",
    "if you can",
    "if you could",
    "if possible",
    "alexa",
    "jarvis",
    "mycroft",
    "marvin",
    "tercet",
    "computer",
    "assistant",
];
const SAYING: &[&str] = &["say", "saying", "says", "said", "a", "send", "write", "to", "my", "with", "of", "and"];

/// What a text that is kept for one moment does not hold: it would have to be said again and again, or when something
/// happens.
const AGAIN: &[&str] = &[
    "every day",
    "every morning",
    "every evening",
    "every night",
    "every hour",
    "every week",
    "every month",
    "every year",
    "every weekday",
    "every weekend",
    "every minute",
    "every time",
    "every monday",
    "every tuesday",
    "every wednesday",
    "every thursday",
    "every friday",
    "every saturday",
    "every sunday",
    "every other",
    "each day",
    "each morning",
    "each evening",
    "each week",
    "daily at",
    "weekly at",
    "on mondays",
    "on tuesdays",
    "on wednesdays",
    "on thursdays",
    "on fridays",
    "on saturdays",
    "on sundays",
    "on weekdays",
    "on weekends",
    "when i",
    "when we",
    "once i",
    "once we",
    "as soon as",
    "next time",
    "whenever",
];

/// After "and" these begin a command of their own more often than they go on with a text.
const COMMANDS: &[&str] = &[
    "then", "also", "play", "set", "turn", "switch", "mute", "dim", "cancel", "what", "what's", "how", "start", "stop",
];

/// What stands behind the things that go on a list.
const BEHIND: &[&str] =
    &["to", "on", "onto", "in", "into", "from", "off", "out", "down", "goes", "go", "should", "belongs", "belong"];

/// Words that stand for something said before.
const POINTING: &[&str] =
    &["it", "that", "this", "them", "those", "these", "one", "everything", "something", "anything"];

/// Ways to take a text from the start of `t`, the shortest first.
pub(super) fn texts(t: &[String]) -> Vec<usize> {
    let whole = t.join(" ");
    let padded = format!(" {whole} ");
    if AGAIN.iter().any(|p| padded.contains(&format!(" {p} "))) {
        return Vec::new();
    }
    let command = t.windows(2).position(|w| w[0] == "and" && COMMANDS.contains(&w[1].as_str()));
    let most = command.unwrap_or(t.len());
    (1..=most).filter(|&n| !courteous(&t[..n])).collect()
}

/// Whether a text ends in politeness that is not part of it.
fn courteous(t: &[String]) -> bool {
    COURTESY.iter().any(|p| {
        let n = p.split(' ').count();
        let Some(before) = t.len().checked_sub(n) else { return false };
        p.split(' ').eq(t[before..].iter().map(String::as_str))
            && !before.checked_sub(1).is_some_and(|i| SAYING.contains(&t[i].as_str()))
    })
}

/// Ways to take what goes on a list, the longest first: "milk, bread and butter" are three.
pub(super) fn items(said: &Said<'_>, left: Range<usize>) -> Vec<(usize, Value)> {
    let most = left.len().min(ITEM_MAX * ITEMS_MAX);
    let ends = |n: &usize| said.words[left.start + n..left.end].first().is_none_or(|w| BEHIND.contains(&w.as_str()));
    (1..=most).rev().filter(ends).filter_map(|n| Some((n, split(said, left.start..left.start + n)?))).collect()
}

fn split(said: &Said<'_>, all: Range<usize>) -> Option<Value> {
    let word = |i: usize| said.words[i].as_str();
    // What comes before an "and", or after one, is not the end of an item.
    if matches!(word(all.end - 1), "and" | "the" | "a" | "my") || word(all.start) == "and" {
        return None;
    }
    let pairs = paired(&said.words[all.clone()]);
    let mut items = Vec::new();
    let mut from = all.start;
    // Behind a comma "and" joins the last of a list.
    for i in all.clone() {
        let and = word(i) == "and" && (!pairs.contains(&(i - all.start)) || said.comma(i - 1));
        if and {
            items.push(from..i);
            from = i + 1;
        } else if said.comma(i) && i + 1 < all.end {
            items.push(from..i + 1);
            from = i + 1;
        }
    }
    items.push(from..all.end);
    // "Bread, and butter": nothing stands between the two signs.
    items.retain(|r| !r.is_empty());
    let fine = |r: &Range<usize>| r.len() <= ITEM_MAX && is_item(&said.words[r.clone()]);
    (items.len() <= ITEMS_MAX && items.iter().all(fine))
        .then(|| Value::Each(items.into_iter().map(Value::Written).collect()))
}

/// Whether it can be meant as a thing: not as one said before, nor as all but one, nor with another list.
fn is_item(t: &[String]) -> bool {
    let words: Vec<&str> = t.iter().map(String::as_str).collect();
    let pointing = match words[..] {
        [one] => POINTING.contains(&one),
        ["the", "first" | "second" | "third" | "last" | "next" | "other" | "same", ..] if words.len() == 3 => true,
        ["everything" | "anything" | "but" | "not" | "except", ..] => true,
        _ => false,
    };
    !pointing && !words.iter().any(|w| matches!(*w, "list" | "lists" | "except"))
}

/// Which "and"s belong to a thing's name.
fn paired(t: &[String]) -> Vec<usize> {
    let mut ands = Vec::new();
    for i in 0..t.len() {
        for p in PAIRS {
            let n = p.split(' ').count();
            if i + n <= t.len() && p.split(' ').eq(t[i..i + n].iter().map(String::as_str)) {
                ands.extend((i..i + n).filter(|k| t[*k] == "and"));
            }
        }
    }
    ands
}

/// Whether each "and" in an item of this list is part of it: tasks are sentences.
pub(super) fn holds_sentences(list: &str) -> bool {
    matches!(list, "to-do" | "task" | "tasks" | "chores" | "chore")
}

/// From the first of several items to the last, as one.
pub(super) fn whole(items: &[Value]) -> Option<Value> {
    match (items.first()?, items.last()?) {
        (Value::Written(first), Value::Written(last)) => Some(Value::Written(first.start..last.end)),
        _ => None,
    }
}

/// "my shopping list", "the to-do list", "the list": the name that a list is kept under.
pub(super) fn lists(t: &[String]) -> Vec<(usize, Value)> {
    let known = |n: usize| Value::Text(if n == 0 { "shopping".to_owned() } else { name(&t[1..=n]) });
    let word = |i: usize| t.get(i).map_or("", String::as_str);
    let is_list = |i: usize| matches!(word(i), "list" | "lists");
    if matches!(word(0), "the" | "my" | "our" | "a" | "your" | "this") {
        let most = (0..=LIST_MAX).take_while(|&n| n == 0 || is_list_word(t, n)).last().unwrap_or(0);
        let mut found: Vec<(usize, Value)> =
            (0..=most).rev().filter(|&n| is_list(n + 1)).map(|n| (n + 2, known(n))).collect();
        // "My to-do", without the word.
        if word(1) == "to" && word(2) == "do" && !is_list(3) {
            found.push((3, Value::Text("to-do".to_owned())));
        }
        // "My to-dos", "my groceries".
        if matches!(word(1), "todos" | "todo") {
            found.push((2, Value::Text("to-do".to_owned())));
        }
        return found;
    }
    // "From list", "on packing list": people leave the article out.
    if is_list(0) {
        return vec![(1, known(0))];
    }
    let named = (1..=2).find(|&n| is_list(n)).filter(|&n| (0..n).all(|i| is_list_word(t, i)) && word(0) != "list");
    if let Some(n) = named {
        return vec![(n + 1, Value::Text(name(&t[..n])))];
    }
    // Without an article only what everybody has.
    let bare = [(1, matches!(word(0), "shopping" | "grocery" | "todo")), (2, word(0) == "to" && word(1) == "do")];
    bare.iter().filter(|(n, fits)| *fits && is_list(*n)).map(|(n, _)| (n + 1, Value::Text(name(&t[..*n])))).collect()
}

fn is_list_word(t: &[String], i: usize) -> bool {
    let word = |i: usize| t.get(i).map_or("", String::as_str);
    match word(i) {
        "to" => word(i + 1) == "do",
        "do" => word(i - 1) == "to",
        "todo" => true,
        "new" | "whole" | "entire" => false,
        "list" | "lists" => false,
        w => is_label_word(w),
    }
}

fn name(t: &[String]) -> String {
    match t.join(" ").as_str() {
        "to do" | "todo" => "to-do".to_owned(),
        other => other.to_owned(),
    }
}
