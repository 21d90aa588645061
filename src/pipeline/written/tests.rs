//! Conversations in writing with the default model.

use serde_json::Value;

use super::*;
use crate::budget::Budget;
use crate::llm;
use crate::llm::fickle::Fickle;
use crate::tools::{self, Clock};

/// Few tools: the small model keeps a conversation better in mind.
fn conversation(device: &Arc<Fickle>) -> Conversation {
    let all = Registry::new(&tools::Settings::default(), None, Clock::system()).expect("tools");
    let kept = ["get_time", "set_volume", "set_timer", "timer_status", "stop"];
    let others: Vec<_> = all.schemas().iter().map(|t| t.name.as_str()).filter(|n| !kept.contains(n)).collect();
    let light = json!([{
        "name": "set_light", "description": "switch a light", "exec": ["true"],
        "params": [{"name": "room", "type": "string"}, {"name": "on", "type": "bool"}]
    }]);
    let settings: tools::Settings =
        serde_json::from_value(json!({ "disable": others, "command": light })).expect("settings");
    let settings_of_model = llm::Settings { threads: 2, ..llm::Settings::default() };
    let parts = WrittenParts {
        dialog: dialog::Settings::default(),
        sampling: Sampling::default(),
        engine: device.load(&settings_of_model, &Budget::unlimited()),
        tools: Arc::new(Registry::new(&settings, None, Clock::system()).expect("tools")),
        prefixes: None,
    };
    Conversation::new(parts).expect("a session")
}

fn ask(c: &mut Conversation, text: &str) -> Turn {
    let mut said = Vec::new();
    let turn = c
        .ask(text, &|| false, &mut |told| {
            if let Told::Said { text } = told {
                said.push(text.clone());
            }
        })
        .expect("an answer");
    assert_eq!(said.join(" "), turn.answer);
    turn
}

fn calls(turn: &Turn) -> Vec<Value> {
    turn.calls.iter().map(|c| json!([c.call.name, c.call.parameters])).collect()
}

#[test]
fn it_is_the_spoken_conversation_without_sound() {
    let device = Arc::new(Fickle::default());
    let mut c = conversation(&device);
    c.warm_up(&|| false);

    let turn = ask(&mut c, "What is the capital of France?");
    assert!(turn.answer.contains("Paris") && turn.calls.is_empty() && turn.tokens > 0, "{turn:?}");
    assert!(turn.finish == "stop" && turn.first_word_ms <= Some(turn.total_ms), "{turn:?}");

    let turn = ask(&mut c, "Set a timer for ten minutes.");
    assert_eq!(calls(&turn), [json!(["set_timer", { "duration": "10 minutes" }])]);
    assert!(turn.calls[0].outcome.as_ref().is_some_and(|o| o["ok"] == true), "{turn:?}");
    assert!(turn.answer.contains("10 minutes") && turn.tokens == 0, "the fast path needs no model: {turn:?}");

    let turn = ask(&mut c, "Turn on the light in the kitchen.");
    assert_eq!(calls(&turn), [json!(["set_light", { "room": "kitchen", "on": true }])], "{turn:?}");
    assert!(!turn.answer.is_empty(), "{turn:?}");
    // Only the turn before says which.
    let turn = ask(&mut c, "Turn it off again.");
    assert_eq!(calls(&turn), [json!(["set_light", { "room": "kitchen", "on": false }])], "{turn:?}");

    // What was not done is not claimed, and keeps nothing else from being done.
    let turn = ask(&mut c, "Set the volume to 30 and set a timer for five minutes.");
    assert_eq!(turn.calls.len(), 2, "{turn:?}");
    assert_eq!(turn.calls[0].outcome, Some(json!({ "ok": false, "reason": "no loudspeaker here" })));
    assert!(turn.answer.contains("no loudspeaker") && turn.answer.contains("5 minutes"), "{turn:?}");
    assert_eq!(ask(&mut c, "Stop.").answer, "");
}

#[test]
fn who_calls_it_off_gets_what_has_come_and_an_error_costs_its_turn() {
    let device = Arc::new(Fickle::default());
    let mut c = conversation(&device);
    let turn = c.ask("Who are you?", &|| true, &mut |_| ()).expect("nothing failed");
    assert_eq!((turn.finish, turn.answer.as_str()), ("interrupted", ""));

    device.refuse_at(3);
    let mut over = false;
    let e = c.ask("Who are you?", &|| false, &mut |told| over |= *told == Told::Over { whole: true });
    assert!(e.is_err() && over, "{e:?}");

    let turn = ask(&mut c, &"word ".repeat(2000));
    assert_eq!(turn.answer, deeds::TOO_LONG);
    assert!(ask(&mut c, "What is the capital of France?").answer.contains("Paris"));
}
