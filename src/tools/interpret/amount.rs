//! Amounts that can be meant in two ways, or are written in signs.

use crate::schema::ToolCall;
use crate::tools::{number, text as plain};

/// "Turn the volume up 30": a number without "to" may be a step as well as a level. The number, where it may.
pub(super) fn relative_level(text: &str, calls: &[ToolCall]) -> Option<i64> {
    let level = calls.iter().find(|c| c.name == "set_volume")?.parameters.get("level")?.as_i64()?;
    let t = plain::tokens(text);
    let any = |list: &[&str]| t.iter().any(|w| list.contains(&w.as_str()));
    let step =
        any(&["up", "down", "increase", "decrease", "raise", "lower", "reduce", "louder", "quieter", "drop", "crank"]);
    (step && !any(&["to", "at", "max", "maximum", "full", "way", "half", "halfway"])).then_some(level)
}

/// "2 and 1/2 hours" is two and a half.
pub(super) fn fractions(text: &str) -> String {
    const SPELLED: &[(&str, &str)] = &[
        ("½", " 1/2"),
        ("¼", " 1/4"),
        ("¾", " 3/4"),
        ("and a 1/2", "and a half"),
        ("and 1/2", "and a half"),
        ("and a 1/4", "and a quarter"),
        ("and 1/4", "and a quarter"),
        ("1/2 an hour", "half an hour"),
        ("1/2 hour", "half hour"),
        ("1/4 hour", "quarter of an hour"),
        ("and 3/4", "and three quarters"),
    ];
    if !text.contains(['/', '½', '¼', '¾']) {
        return text.to_owned();
    }
    let spelled = SPELLED.iter().fold(text.to_owned(), |t, (a, b)| t.replace(a, b));
    // "2 1/2 hours"
    let mut words: Vec<String> = spelled.split_whitespace().map(str::to_owned).collect();
    for i in 1..words.len() {
        if words[i] == "1/2" && number::is_number_word(&words[i - 1].to_lowercase()) {
            words[i] = "and a half".to_owned();
        }
    }
    words.join(" ")
}
