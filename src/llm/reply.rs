//! What an assistant's turn is: words to speak, or a call of a tool.

use serde_json::{Map, Value};

use crate::schema::ToolCall;

/// An assistant's turn, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Words to speak, trimmed. May be empty.
    Text(String),
    /// `{"name": …, "parameters": {…}}` alone in the turn. Not yet checked against any tool.
    Call(ToolCall),
    /// Meant as a call, but not one: never to be run, never to be spoken. Says what is wrong with it.
    Malformed(String),
}

/// Whether a turn that begins like this is meant as a call: `None` as long as that cannot be told.
///
/// Lets a reply be spoken while it is generated, without reading JSON aloud.
pub fn begins_call(so_far: &str) -> Option<bool> {
    let so_far = so_far.trim_start();
    if so_far.len() < OPEN.len() && OPEN.starts_with(so_far) {
        return None;
    }
    Some(so_far.starts_with(['{', '[']) || so_far.starts_with(OPEN))
}

/// What ChatML models write around a call, where it is not a special token and so part of the text.
const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Reads a whole assistant's turn.
pub fn parse_reply(turn: &str) -> Reply {
    let turn = turn.trim();
    match begins_call(turn) {
        Some(true) => match call(within_tags(turn)) {
            Ok(call) => Reply::Call(call),
            Err(why) => Reply::Malformed(why),
        },
        _ if holds_call(turn) => Reply::Malformed("the call does not stand alone in the turn".into()),
        _ => Reply::Text(turn.to_owned()),
    }
}

/// The call without its tags.
fn within_tags(turn: &str) -> &str {
    let inner = turn.strip_prefix(OPEN).map(|rest| rest.strip_suffix(CLOSE).unwrap_or(rest));
    inner.map_or(turn, str::trim)
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
        assert_eq!(
            name_of("<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>").as_deref(),
            Some("stop")
        );
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
            "<tool_call>",
            r#"<tool_call>{"name": "stop"}</tool_call> Done."#,
        ] {
            assert!(matches!(parse_reply(turn), Reply::Malformed(_)), "{turn}");
        }
        let deep = format!("{{\"name\": \"a\", \"parameters\": {{\"x\": {}", "[".repeat(100_000));
        assert!(matches!(parse_reply(&deep), Reply::Malformed(_)));
    }

    #[test]
    fn words_are_words() {
        for turn in ["It is seven.", "Use braces like { and } in code.", "", "The name is \"name\"."] {
            assert_eq!(parse_reply(turn), Reply::Text(turn.to_owned()));
        }
        assert_eq!(begins_call("  "), None);
        assert_eq!(begins_call(" {\"na"), Some(true));
        assert_eq!(
            (begins_call("<tool_"), begins_call("<tool_call>\n"), begins_call("<b>")),
            (None, Some(true), Some(false))
        );
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
