use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::llm::reply::{Reply, parse_reply};
use crate::schema::ToolCall;

fn tools() -> Vec<ToolSchema> {
    serde_json::from_value(json!([
        {"name": "set_light", "params": [
            {"name": "room", "type": "string", "max_chars": 12},
            {"name": "on", "type": "bool"},
            {"name": "brightness", "type": "int", "min": -5, "max": 100, "required": false},
            {"name": "mode", "type": "enum", "values": ["warm", "warmer", "say \"cold\""], "required": false}]},
        {"name": "set_light_all"},
        {"name": "dim", "params": [{"name": "to", "type": "number", "min": 0.25, "max": 7.5}]},
        {"name": "count", "params": [{"name": "n", "type": "int", "required": false}]},
        {"name": "weigh", "params": [{"name": "kg", "type": "number", "required": false}]}
    ]))
    .expect("schemas")
}

fn grammar(style: CallStyle) -> Arc<Grammar> {
    Grammar::new(&tools(), style).expect("a grammar").expect("tools")
}

/// The state a text leads to.
fn follow(g: &Arc<Grammar>, text: &str) -> Option<Matcher> {
    let state = text.bytes().try_fold(State::Start, |s, b| g.step(s, b))?;
    Some(Matcher { grammar: g.clone(), state })
}

fn complete(g: &Arc<Grammar>, text: &str) -> bool {
    follow(g, text).is_some_and(|m| m.must_end())
}

/// Whether a turn is a call of a known tool with sound arguments.
fn sound(turn: &str) -> bool {
    let Reply::Call(call) = parse_reply(turn) else { return false };
    tools().iter().any(|t| t.name == call.name && t.check(&call.parameters).is_empty())
}

#[test]
fn sound_calls_may_be_written() {
    let g = grammar(CallStyle::Bare);
    for turn in [
        r#"{"name": "set_light", "parameters": {"room": "hall", "on": true}}"#,
        r#" {"name":"set_light","parameters":{"on":false,"room":"","brightness":-5,"mode":"warmer"}}"#,
        r#"{"name": "set_light", "parameters": {"mode": "say \"cold\"", "on": true, "room": "\u00e9\ud83d\ude00é😀\n"}}"#,
        "{\n  \"name\": \"set_light_all\",\n  \"parameters\": {}\n}",
        r#"{"name": "dim", "parameters": {"to": 7.50}}"#,
        r#"{"name": "dim", "parameters": {"to": 0.25}}"#,
        r#"{"name": "dim", "parameters": {"to": 1}}"#,
        r#"{"name": "count", "parameters": {"n": -9223372036854775808}}"#,
        r#"{"name": "count", "parameters": { "n" : 0 } }"#,
        r#"{"name": "weigh", "parameters": {"kg": -0.125}}"#,
    ] {
        assert!(complete(&g, turn), "{turn}");
        assert!(sound(turn), "{turn}");
    }
}

#[test]
fn nothing_else_may() {
    let g = grammar(CallStyle::Bare);
    for turn in [
        r#"{"name": "set_lights"#,
        r#"{"name": "set_light" "#.trim_end().to_owned().as_str(),
        r#"{"parameters""#,
        r#"{"name": "set_light", "parameters": {}"#,
        r#"{"name": "set_light", "parameters": {"room": "hall"}"#,
        r#"{"name": "set_light", "parameters": {"room": "hall", "room"#,
        r#"{"name": "set_light", "parameters": {"room": "a room too long""#,
        r#"{"name": "set_light", "parameters": {"room": 3"#,
        r#"{"name": "set_light", "parameters": {"room": "\x"#,
        r#"{"name": "set_light", "parameters": {"room": "\udc00"#,
        r#"{"name": "set_light", "parameters": {"room": "\ud800x"#,
        "{\"name\": \"set_light\", \"parameters\": {\"room\": \"a\nb",
        r#"{"name": "set_light", "parameters": {"on": truest"#,
        r#"{"name": "set_light", "parameters": {"brightness": 101"#,
        r#"{"name": "set_light", "parameters": {"brightness": -6"#,
        r#"{"name": "set_light", "parameters": {"brightness": -0,"#,
        r#"{"name": "set_light", "parameters": {"brightness": 01"#,
        r#"{"name": "set_light", "parameters": {"brightness": 5.0"#,
        r#"{"name": "set_light", "parameters": {"mode": "cold"#,
        r#"{"name": "set_light", "parameters": {"on": true,}"#,
        r#"{"name": "set_light_all", "parameters": {"x"#,
        r#"{"name": "set_light_all", "parameters": {}} "#,
        r#"{"name": "dim", "parameters": {"to": 0.24"#,
        r#"{"name": "dim", "parameters": {"to": 7.51"#,
        r#"{"name": "dim", "parameters": {"to": 8"#,
        r#"{"name": "dim", "parameters": {"to": -"#,
        r#"{"name": "dim", "parameters": {"to": 1e"#,
        r#"{"name": "count", "parameters": {"n": 9223372036854775808"#,
        r#"[{"name"#,
    ] {
        // The name's end and the comma are told apart by the byte that follows.
        if turn.ends_with("set_light\"") {
            assert!(!complete(&g, turn));
            continue;
        }
        assert!(
            follow(&g, turn).is_none_or(|m| m.in_call() && !m.must_end() && turn.ends_with("\"parameters\"")),
            "{turn}"
        );
    }
}

#[test]
fn words_are_free() {
    let g = grammar(CallStyle::Bare);
    for turn in ["It is {seven}.", "", "  ", "Sure: {\"name\": \"x\"}", "5 [a]", "<tool_call>"] {
        let m = follow(&g, turn).expect("allowed");
        assert!(m.may_end() && !m.in_call(), "{turn}");
    }
    assert!(Grammar::new(&[], CallStyle::Bare).expect("none").is_none());
}

#[test]
fn tagged_calls_are_calls_wherever_they_begin() {
    let g = grammar(CallStyle::Tagged);
    let call = r#"{"name": "set_light_all", "arguments": {}}"#;
    for before in ["", "\n", "Let me see <tool_<<tool_call", "<b>x</b> "] {
        for turn in
            [format!("{before}<tool_call>\n{call}\n</tool_call>"), format!("{before}<tool_call>{call}</tool_call>")]
        {
            assert!(complete(&g, &turn), "{turn}");
            assert!(sound(&turn), "{turn}");
        }
    }
    assert!(complete(&g, call) && !complete(&g, &call.replace("arguments", "parameters")));
    for turn in ["<tool_call>x", "<tool_call>{\"name\": \"x", "<tool_call>\n{\"name\": \"dim\", \"parameters"] {
        assert!(follow(&g, turn).is_none(), "{turn}");
    }
    let m = follow(&g, "<tool_call>").expect("allowed");
    assert!(!m.may_end() && m.in_call());
    assert!(follow(&g, "<tool_cal").expect("allowed").may_end());
}

/// Texts that the grammar allows, chosen byte by byte.
fn wander(g: &Arc<Grammar>, start: &str, choices: &[u8], steps: usize) -> (String, bool) {
    let mut bytes = start.as_bytes().to_vec();
    let mut state = bytes.iter().try_fold(State::Start, |s, &b| g.step(s, b)).expect("a start");
    for i in 0..steps {
        let allowed: Vec<(u8, State)> = (0..=255).filter_map(|b| Some((b, g.step(state, b)?))).collect();
        if matches!(state, State::End) {
            assert!(allowed.is_empty());
            break;
        }
        assert!(!allowed.is_empty(), "a dead end: {:?}", String::from_utf8_lossy(&bytes));
        let (byte, next) = allowed[usize::from(choices[i % choices.len()]) % allowed.len()];
        bytes.push(byte);
        state = next;
    }
    (String::from_utf8_lossy(&bytes).into_owned(), matches!(state, State::End))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is written within the grammar is sound when it is complete, and can always go on when it is not.
    #[test]
    fn every_path_through_the_grammar_is_a_sound_call(choices in prop::collection::vec(any::<u8>(), 50..300), tagged: bool) {
        let (style, start) = match tagged {
            true => (CallStyle::Tagged, "Well. <tool_call>"),
            false => (CallStyle::Bare, "{"),
        };
        let (turn, ended) = wander(&grammar(style), start, &choices, 600);
        if ended {
            prop_assert!(sound(&turn), "{}", turn);
        }
    }

    /// Every sound call, written as JSON is written, may be written.
    #[test]
    fn every_sound_call_is_in_the_grammar(
        room in "\\PC{0,12}", on: bool, brightness in -5i64..=100, with: bool, to in 0.25f64..=7.5, n: i64, kg in -1e6f64..1e6,
    ) {
        let mut light = Map::new();
        light.insert("room".into(), room.into());
        if with {
            light.insert("brightness".into(), brightness.into());
        }
        light.insert("on".into(), on.into());
        // As many digits as are written out.
        let short = |x: f64| serde_json::from_str::<Value>(&format!("{x:.6}")).expect("a number");
        for (name, parameters) in [
            ("set_light", light),
            ("dim", Map::from_iter([("to".to_owned(), short(to.max(0.2501)))])),
            ("count", Map::from_iter([("n".to_owned(), n.into())])),
            ("weigh", Map::from_iter([("kg".to_owned(), short(kg))])),
        ] {
            let turn = serde_json::to_string(&ToolCall { name: name.into(), parameters }).expect("JSON");
            prop_assert_eq!(complete(&grammar(CallStyle::Bare), &turn), sound(&turn), "{}", turn);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_taken(bytes in prop::collection::vec(any::<u8>(), 0..80), tagged: bool) {
        let g = grammar(if tagged { CallStyle::Tagged } else { CallStyle::Bare });
        let mut state = State::Start;
        for b in bytes {
            let Some(next) = g.step(state, b) else { break };
            state = next;
        }
    }
}
