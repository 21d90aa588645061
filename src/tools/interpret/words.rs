//! What is said instead of acting.

use crate::tools::text::{capitalized, tokens};

pub(super) const CANNOT: &str = "Sorry, I can't do that.";
pub(super) const CANNOT_SEE: &str = "Sorry, I can't see that from here.";
pub(super) const CANNOT_WATCH: &str = "Sorry, I can't tell when that happens. I can do it now, or at a time you name.";
pub(super) const CANNOT_HOLD: &str = "Sorry, I can't do that for a limited time.";
pub(super) const LEFT: &str = "Okay, never mind.";
pub(super) const WILL_NOT: &str = "Okay, I won't.";
pub(super) const ONLY_ALARMS_REPEAT: &str = "Sorry, only alarms can repeat.";
pub(super) const TOO_FAR: &str = "Sorry, I can plan at most a week ahead.";
pub(super) const WAS_THAT_FOR_ME: &str = "Was that for me?";
pub(super) const WHAT: &str = "Sorry, what should I do?";
pub(super) const WHEN_EXACTLY: &str = "When exactly?";
pub(super) const WHICH_OF_ALL: &str = "Which ones? Please name them.";
pub(super) const WHICH_OF_THEM: &str = "Which one do you want?";

/// Verbs of what is done in the house or the world, not in words.
pub(super) const DEEDS: &[&str] = &[
    "play", "order", "call", "phone", "text", "message", "email", "send", "open", "close", "lock", "unlock", "turn",
    "switch", "dim", "book", "buy", "feed", "water", "clean", "vacuum", "restart", "reboot", "transfer", "run",
    "record", "pause", "skip", "connect", "pair", "charge", "heat", "cook", "brew", "activate", "arm", "disarm",
    "start", "stop", "shut", "raise", "lower", "ring", "dial", "print", "mow", "wash", "pay", "post", "tweet",
    "install", "download", "power", "flip", "take", "put",
];

/// How questions about the state of things begin.
pub(super) const ASKS_STATE: &[&str] = &[
    "is", "are", "was", "were", "did", "does", "do", "has", "have", "which", "who", "why", "when", "where", "am",
    "had", "could", "can", "should", "will", "would", "how",
];

/// Names of arguments that hold a time.
pub(super) const TIME_ARGUMENTS: &[&str] = &[
    "time",
    "when",
    "at",
    "day",
    "date",
    "due",
    "start",
    "start_time",
    "end",
    "until",
    "delay",
    "duration",
    "in",
    "on_day",
    "alarm_time",
    "repeat",
    "minutes",
    "seconds",
    "hours",
];

/// To what was forbidden.
pub(super) fn forbidden(text: &str) -> &'static str {
    match tokens(text).first().map(String::as_str) {
        Some("leave" | "keep") => "Okay, I'll leave it as it is.",
        _ => WILL_NOT,
    }
}

/// Asks for the value of an argument; `values` is what it may be, where that is a list.
pub(super) fn which(argument: &str, values: &[String]) -> String {
    let name = argument.replace('_', " ");
    match values {
        [] if name == "open" => "Open or closed?".to_owned(),
        [] if name == "locked" => "Locked or unlocked?".to_owned(),
        [] if matches!(name.as_str(), "on" | "state" | "power" | "enabled") => "On or off?".to_owned(),
        [] => format!("Which {name} do you mean?"),
        [one] => format!("Which {name}: {one}?"),
        few if few.len() <= 4 => {
            let (last, first) =
                few.split_last().map_or((String::new(), String::new()), |(l, f)| (l.clone(), f.join(", ")));
            format!("Which {name}: {first} or {last}?")
        }
        _ => format!("Which {name} do you mean?"),
    }
}

/// Asks for what a command of the fast path lacks.
pub(super) fn missing(what: &str) -> &'static str {
    match what {
        "duration" => "For how long?",
        "time" => "For what time?",
        "level" => "To how many percent?",
        "text" => "What should I remind you of?",
        "item" => "What should I put on the list?",
        "by" => "By how much?",
        "name" | "label" => "What should it be called?",
        _ => "Can you say more exactly what you want?",
    }
}

/// A value beyond the limits of its argument.
pub(super) fn limits(tool: &str, argument: &str, limits: Option<String>) -> String {
    let name = argument.replace('_', " ");
    match (tool, argument, limits) {
        ("set_timer" | "change_timer" | "adjust_timer", ..) => "A timer can be from one second to one week.".to_owned(),
        ("set_volume", _, Some(limits)) => format!("The volume can be {limits} percent."),
        (_, _, Some(limits)) => format!("The {name} has to be {limits}."),
        _ => format!("Sorry, I can't use that {name}."),
    }
}

pub(super) fn shall_i(told: &str) -> String {
    format!("Shall I? {}.", capitalized(told))
}

pub(super) fn not_sure(unexplained: &str, told: &str) -> String {
    format!("I don't know what to do about \u{201c}{unexplained}\u{201d}. Do you want this: {told}?")
}

pub(super) fn did_you_mean(request: &str) -> String {
    format!("Did you say: {request}?")
}

/// Asks whether a level is meant or a step.
pub(super) fn to_level(level: i64) -> String {
    format!("Do you mean to {level} percent?")
}

/// What is to be done with a thing that was only named.
pub(super) fn what_of(text: &str) -> String {
    let t = tokens(text);
    let articled = t.first().is_some_and(|w| matches!(w.as_str(), "the" | "my" | "our" | "a" | "an"));
    match (t.len() <= 6, articled) {
        (true, true) => format!("What about {}?", t.join(" ")),
        (true, false) => format!("What about \u{201c}{}\u{201d}?", t.join(" ")),
        _ => WHAT.to_owned(),
    }
}

/// Whether something was named rather than told: an amount, a thing with an article.
pub(super) fn is_thing(text: &str) -> bool {
    let t = tokens(text);
    let number = t.iter().any(|w| crate::tools::number::is_number_word(w));
    let article = t.first().is_some_and(|w| matches!(w.as_str(), "the" | "my" | "our"));
    let light = t.len() <= 4 && crate::tools::grounding::is_place(&t.join(" "));
    (t.len() <= 5 && (article || light)) || (t.len() <= 3 && number)
}
