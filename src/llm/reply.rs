//! What an assistant's turn is: words to speak, or a call of a tool.

use serde_json::{Map, Value};

use crate::schema::ToolCall;

/// How a family writes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStyle {
    /// `{"name", "parameters"}` alone in the turn (Llama 3).
    Bare,
    /// `{"name", "arguments"}` between `<tool_call>` and `</tool_call>`, after words or without any (Qwen3).
    Tagged,
}

/// What begins a call in the tagged style.
pub const OPEN_TAG: &str = "<tool_call>";
/// What ends it.
pub const CLOSE_TAG: &str = "</tool_call>";

/// An assistant's turn, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Words to speak, trimmed. May be empty.
    Text(String),
    /// A call in either style, at the turn's end. Not yet checked against any tool.
    Call(ToolCall),
    /// Meant as a call, but not one: never to be run, never to be spoken. Says what is wrong with it.
    Malformed(String),
}

/// Whether a turn that begins like this is meant as a call: `None` as long as that is unknown.
///
/// Lets a reply be spoken while it is generated, without reading JSON aloud.
pub fn begins_call(so_far: &str) -> Option<bool> {
    let turn = so_far.trim_start();
    match turn.chars().next()? {
        '{' | '[' => Some(true),
        _ if turn.starts_with(OPEN_TAG) => Some(true),
        _ if OPEN_TAG.starts_with(turn) => None,
        _ => Some(false),
    }
}

/// The words that a turn begins with: all of it, or what stands before a call. Nothing while that is unknown, and of an
/// unfinished turn not what may yet become a call's tag.
pub fn words(so_far: &str) -> &str {
    if begins_call(so_far) != Some(false) {
        return "";
    }
    match so_far.find(OPEN_TAG) {
        Some(at) => &so_far[..at],
        None => {
            let tail = (1..OPEN_TAG.len()).rev().find(|&n| so_far.ends_with(&OPEN_TAG[..n])).unwrap_or(0);
            &so_far[..so_far.len() - tail]
        }
    }
}

/// Whether the turn so far is, or has become, a call.
pub fn calls(so_far: &str) -> bool {
    begins_call(so_far) == Some(true) || so_far.contains(OPEN_TAG)
}

/// Reads a whole assistant's turn.
pub fn parse_reply(turn: &str) -> Reply {
    let turn = turn.trim();
    if let Some((_, tagged)) = turn.split_once(OPEN_TAG) {
        // The end of the turn ends a call as well.
        let (json, after) = tagged.split_once(CLOSE_TAG).unwrap_or((tagged, ""));
        return match call(json.trim()) {
            Ok(_) if !after.is_empty() => Reply::Malformed("something follows the call".into()),
            Ok(call) => Reply::Call(call),
            Err(why) => Reply::Malformed(why),
        };
    }
    match begins_call(turn) {
        Some(true) => match call(turn) {
            Ok(call) => Reply::Call(call),
            Err(why) => Reply::Malformed(why),
        },
        _ if holds_call(turn) => Reply::Malformed("the turn holds something besides the call".into()),
        _ => Reply::Text(turn.to_owned()),
    }
}

/// Whether a JSON object whose first key is `name` stands somewhere in the text.
fn holds_call(text: &str) -> bool {
    text.match_indices('{').any(|(at, _)| text[at + 1..].trim_start().starts_with("\"name\""))
}

fn call(json: &str) -> Result<ToolCall, String> {
    let value: Value = serde_json::from_str(json).map_err(|e| format!("not one JSON object: {e}"))?;
    let Value::Object(mut object) = value else { return Err("not a JSON object".into()) };
    let name = match object.remove("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        Some(_) => return Err("\"name\" is not the name of a tool".into()),
        None => return Err("\"name\" is missing".into()),
    };
    let parameters = match (object.remove("parameters"), object.remove("arguments")) {
        (Some(_), Some(_)) => return Err("both \"parameters\" and \"arguments\"".into()),
        (Some(Value::Object(p)), None) | (None, Some(Value::Object(p))) => p,
        (None | Some(Value::Null), None) | (None, Some(Value::Null)) => Map::new(),
        _ => return Err("\"parameters\" is not an object".into()),
    };
    // Some checkpoints write the kind of call; there is one kind.
    if object.get("type").is_some_and(|t| t == "function") {
        object.remove("type");
    }
    match object.keys().next() {
        Some(extra) => Err(format!("unknown key {extra:?}")),
        None => Ok(ToolCall { name, parameters }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(turn: &str) -> Option<String> {
        match parse_reply(turn) {
            Reply::Call(c) => Some(c.name),
            _ => None,
        }
    }

    #[test]
    fn a_call_alone_is_a_call() {
        let Reply::Call(c) =
            parse_reply(" {\"name\": \"set_timer\", \"parameters\": {\"duration\": \"10 minutes\"}}\n")
        else {
            panic!("not a call")
        };
        assert_eq!((c.name.as_str(), &c.parameters["duration"]), ("set_timer", &Value::from("10 minutes")));
        assert_eq!(name_of(r#"{"name": "stop", "parameters": {}}"#).as_deref(), Some("stop"));
        assert_eq!(name_of(r#"{"name": "stop"}"#).as_deref(), Some("stop"));
        assert_eq!(name_of(r#"{"type": "function", "name": "stop", "arguments": {}}"#).as_deref(), Some("stop"));
    }

    #[test]
    fn what_is_not_quite_a_call_is_malformed() {
        for turn in [
            r#"{"name": "stop", "parameters": {}"#,
            r#"{"name": "stop", "parameters": {}} Done."#,
            r#"Sure: {"name": "stop", "parameters": {}}"#,
            r#"[{"name": "stop", "parameters": {}}]"#,
            r#"{"name": "a"} {"name": "b"}"#,
            r#"{"name": 3, "parameters": {}}"#,
            r#"{"name": "", "parameters": {}}"#,
            r#"{"name": "stop", "parameters": "now"}"#,
            r#"{"name": "stop", "parameters": {}, "arguments": {}}"#,
            r#"{"name": "stop", "parameters": {}, "then": 1}"#,
            r#"{"parameters": {}}"#,
            "{",
        ] {
            assert!(matches!(parse_reply(turn), Reply::Malformed(_)), "{turn}");
        }
        let deep = format!("{{\"name\": \"a\", \"parameters\": {{\"x\": {}", "[".repeat(100_000));
        assert!(matches!(parse_reply(&deep), Reply::Malformed(_)));
    }

    #[test]
    fn a_tagged_call_is_a_call() {
        let call = r#"{"name": "stop", "arguments": {}}"#;
        for turn in [
            format!("<tool_call>\n{call}\n</tool_call>"),
            format!("<tool_call>{call}"),
            format!("One moment.\n<tool_call>\n{call}\n</tool_call>\n"),
        ] {
            assert_eq!(name_of(&turn).as_deref(), Some("stop"), "{turn}");
            assert!(calls(&turn));
        }
        for turn in [
            format!("<tool_call>{call}</tool_call><tool_call>{call}</tool_call>"),
            format!("<tool_call>{call}</tool_call> Done."),
            "<tool_call></tool_call>".to_owned(),
            "<tool_call>".to_owned(),
        ] {
            assert!(matches!(parse_reply(&turn), Reply::Malformed(_)), "{turn}");
        }
    }

    #[test]
    fn only_words_are_spoken() {
        for (turn, spoken) in [
            ("It is <b>", "It is <b>"),
            ("It is <tool", "It is "),
            ("It is <", "It is "),
            ("Wait.\n<tool_call>{\"name", "Wait.\n"),
            ("<tool_c", ""),
            ("<tool_call>", ""),
            ("{\"name", ""),
            (" ", ""),
            ("<tools", "<tools"),
        ] {
            assert_eq!(words(turn), spoken, "{turn}");
        }
        assert_eq!(
            (begins_call("<tool_"), begins_call("<tool_call>{"), begins_call("<b>")),
            (None, Some(true), Some(false))
        );
    }

    #[test]
    fn words_are_words() {
        for turn in ["It is seven.", "Use braces like { and } in code.", "", "The name is \"name\"."] {
            assert_eq!(parse_reply(turn), Reply::Text(turn.to_owned()));
        }
        assert_eq!(begins_call("  "), None);
        assert_eq!(begins_call(" {\"na"), Some(true));
        assert_eq!(begins_call(" The"), Some(false));
    }

    proptest! {
        #[test]
        fn any_turn_is_read(turn in r#"[{}\[\]":, a-z0-9\n]{0,60}"#) {
            if let Reply::Text(t) = parse_reply(&turn) {
                prop_assert!(begins_call(&t) != Some(true));
            }
        }
    }
}
