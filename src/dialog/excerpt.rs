//! Long results of tools, cut to their head and tail.

use serde_json::{Value, json};

use crate::schema::{Message, Role};

use super::json::compact_json;

/// A cut looks this many characters back or ahead for a space: half a word misleads, half a number more so.
const WORD_MAX: usize = 30;
/// What surrounds the longest string of a result may have this many bytes, however little is kept.
const REST_MAX: usize = 120;

/// `messages` with every tool result cut to about `keep` characters.
pub(super) fn shortened(messages: &[Message], keep: usize) -> Vec<Message> {
    let shorten = |m: &Message| match m.role {
        Role::Tool => Message::new(Role::Tool, result(&m.content, keep)),
        _ => m.clone(),
    };
    messages.iter().map(shorten).collect()
}

/// Characters of the longest tool result in `messages`.
pub(super) fn longest(messages: &[Message]) -> usize {
    messages.iter().filter(|m| m.role == Role::Tool).map(|m| m.content.chars().count()).max().unwrap_or(0)
}

/// A result (JSON) cut to about `keep` characters: its longest string where that is most of it, otherwise all of it, as
/// one string. What is not longer stays as it is.
fn result(content: &str, keep: usize) -> String {
    let mut value: Value = serde_json::from_str(content).unwrap_or_else(|_| json!(content));
    if let Some(text) = longest_string(&mut value)
        && content.len().saturating_sub(compact_json(text).len()) <= keep.max(REST_MAX)
    {
        let Some(shorter) = cut(text, keep) else { return content.to_owned() };
        *text = shorter;
        return compact_json(&value);
    }
    let Some(shorter) = cut(content, keep) else { return content.to_owned() };
    let mut short = serde_json::Map::new();
    // How the call ended stays readable.
    if let Some(ok) = value.get("ok").filter(|v| v.is_boolean()) {
        short.insert("ok".to_owned(), ok.clone());
    }
    short.insert("output".to_owned(), json!(shorter));
    compact_json(&short)
}

fn longest_string(value: &mut Value) -> Option<&mut String> {
    let strings = value.as_object_mut()?.values_mut().filter_map(|v| match v {
        Value::String(s) => Some(s),
        _ => None,
    });
    strings.max_by_key(|s| s.len())
}

/// Head and tail of `text`, `keep` characters in all or a few less, with a note between them of what was left out. `None`
/// where that is not shorter.
fn cut(text: &str, keep: usize) -> Option<String> {
    let chars = text.chars().count();
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let (head_end, tail_start) = (at(keep.div_ceil(2)), at(chars.checked_sub(keep / 2)?));
    if tail_start <= head_end {
        return None;
    }
    let (head, tail) = (head(text, head_end), tail(text, tail_start));
    let left_out = chars - head.chars().count() - tail.chars().count();
    let told = format!("[… {left_out} characters cut …]");
    let parts = [head, &told, tail].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ");
    (parts.len() < text.len()).then_some(parts)
}

/// `text` up to byte `end`, without the beginning of a word that continues after it.
fn head(text: &str, end: usize) -> &str {
    let head = &text[..end];
    if text[end..].starts_with(char::is_whitespace) {
        return head.trim_end();
    }
    match head.char_indices().rev().take(WORD_MAX).find(|(_, c)| c.is_whitespace()) {
        Some((i, _)) => head[..i].trim_end(),
        None => longer_than_a_word(head),
    }
}

/// `text` from byte `start` on, without the end of a word that began before it.
fn tail(text: &str, start: usize) -> &str {
    let tail = &text[start..];
    if text[..start].ends_with(char::is_whitespace) {
        return tail.trim_start();
    }
    match tail.char_indices().take(WORD_MAX).find(|(_, c)| c.is_whitespace()) {
        Some((i, _)) => tail[i..].trim_start(),
        None => longer_than_a_word(tail),
    }
}

/// A text without spaces is cut anywhere; a part of a word is dropped.
fn longer_than_a_word(part: &str) -> &str {
    if part.chars().count() > WORD_MAX { part } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn head_and_tail_stay_and_the_cut_is_told() {
        let lines: Vec<String> = (1..=200).map(|n| format!("line {n} of 200.")).collect();
        let output = lines.join("\n");
        let content = compact_json(&json!({ "ok": true, "output": output }));
        let v: Value = serde_json::from_str(&result(&content, 100)).expect("JSON");
        let text = v["output"].as_str().expect("text");
        assert_eq!(v["ok"], true);
        let (head, rest) = text.split_once(" [… ").expect("it is told");
        let (told, tail) = rest.split_once(" characters cut …] ").expect("how much");
        assert!(output.starts_with(head) && head.starts_with("line 1 of 200.") && head.len() > 40, "{text}");
        assert!(output.ends_with(tail) && tail.ends_with("line 200 of 200.") && tail.len() > 30, "{text}");
        assert_eq!(told.parse::<usize>().expect("a number") + head.len() + tail.len(), output.len());
        assert_eq!(result(&content, content.len()), content);
    }

    #[test]
    fn no_word_and_no_number_is_cut_in_two() {
        let text = format!("costs 12345 or so, {}up to 67890 euros", "and so on ".repeat(10));
        for keep in 0..50 {
            let short = cut(&text, keep).expect("shorter");
            let (head, tail) =
                (short.split('[').next().unwrap_or_default(), short.rsplit(']').next().unwrap_or_default());
            let words = |s: &str| s.split_whitespace().all(|w| text.split_whitespace().any(|t| t == w));
            assert!(words(head) && words(tail), "{short}");
        }
        // What has no spaces is cut anywhere.
        let x = |n: usize| "x".repeat(n);
        assert_eq!(cut(&x(300), 100), Some(format!("{} [… 200 characters cut …] {}", x(50), x(50))));
        assert_eq!(cut("a cut must be shorter", 0), None);
    }

    #[test]
    fn several_long_strings_are_cut_as_well() {
        let content = compact_json(&json!({ "ok": true, "a": "one ".repeat(400), "b": "two ".repeat(400) }));
        for keep in [0, 100, 500] {
            let short = result(&content, keep);
            assert!(short.starts_with(r#"{"ok": true, "#) && short.len() < keep + 100, "{short}");
        }
    }

    #[test]
    fn a_result_of_many_small_parts_is_cut_as_text() {
        let content = compact_json(&json!({ "ok": true, "lights": (0..300).collect::<Vec<_>>() }));
        let v: Value = serde_json::from_str(&result(&content, 60)).expect("JSON");
        let text = v["output"].as_str().expect("text");
        assert!(v["ok"] == true && text.contains("[0, 1,") && text.contains(" 299]"), "{v}");
    }

    proptest! {
        #[test]
        fn any_result_is_cut_to_what_is_kept_of_it(content in ".{0,400}", keep in 0usize..450, as_output: bool) {
            let content = if as_output { compact_json(&json!({ "ok": true, "output": content })) } else { content };
            let short = result(&content, keep);
            // The cut's own words, an object around them, and escapes.
            prop_assert!(short.chars().count() <= content.chars().count().max(6 * keep + 80), "{short}");
            if keep >= content.chars().count() {
                prop_assert_eq!(short, content);
            }
        }
    }
}
