//! Requests and the calls that do or do not account for them.

use serde_json::{Value, json};

use super::*;
use crate::tools::reading;

fn grounding(tools: Value) -> Grounding {
    let tools: Vec<ToolSchema> = serde_json::from_value(tools).expect("schemas");
    Grounding::new(tools.iter().map(|t| (t, Kind { acts: !t.name.starts_with("get_"), own: true })), &[])
}

fn light() -> Grounding {
    grounding(
        json!([{"name": "set_light", "params": [{"name": "room", "type": "string"}, {"name": "on", "type": "bool"}]}]),
    )
}

fn found(g: &Grounding, request: &str) -> Found {
    let reading = reading::read(request);
    g.find(&reading.parts[0])
}

#[test]
fn a_light_is_switched_in_whatever_words() {
    let g = light();
    for (request, room, on) in [
        ("Turn on the kitchen light.", "kitchen", true),
        ("Turn the kitchen light on.", "kitchen", true),
        ("Kitchen light on.", "kitchen", true),
        ("Lights off in the office.", "office", false),
        ("Put the light on in the bathroom.", "bathroom", true),
        ("Kill the lights in the bedroom.", "bedroom", false),
        ("It's too dark in the kitchen.", "kitchen", true),
        ("I need light in the office.", "office", true),
        ("Lights out in the living room.", "living room", false),
        ("Shut off the hallway light.", "hallway", false),
        ("Light up the office.", "office", true),
        ("Turn off the kitchen.", "kitchen", false),
        ("Switch the reading lamp off.", "reading", false),
        ("Turn off the light on the porch.", "porch", false),
    ] {
        let Found::Calls(calls) = found(&g, request) else { panic!("{request}: {:?}", found(&g, request)) };
        let args = Value::Object(calls[0].parameters.clone());
        assert_eq!((calls.len(), args), (1, json!({"room": room, "on": on})), "{request}");
    }
}

#[test]
fn nothing_is_done_where_a_word_is_left_over() {
    let g = light();
    for request in [
        "Turn on the television.",
        "Turn off the oven.",
        "Dim the kitchen light.",
        "Make the kitchen light blue.",
        "Set the kitchen light to 40 percent.",
        "Turn on the fan in the bedroom.",
        "Turn the kitchen light on at half brightness.",
        "Turn on the heating in the car.",
        "Turn on the blue kitchen light.",
        "Open the window.",
        "Turn off the internet.",
    ] {
        assert!(!matches!(found(&g, request), Found::Calls(_)), "{request}: {:?}", found(&g, request));
    }
    assert!(matches!(found(&g, "Turn off the light."), Found::Missing { argument, .. } if argument == "room"));
    assert!(matches!(found(&g, "Turn off all the lights."), Found::WhichOfAll { .. }));
}
