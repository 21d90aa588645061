//! The whole pipeline in a room made of files, asked in writing.

use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::audio::file::{Script, open};
use crate::budget::Budget;
use crate::dialog::{self, State};
use crate::error::{Kind, Result};
use crate::hear::{self, Ears, Stt};
use crate::llm::fickle::Fickle;
use crate::llm::{self, Sampling};
use crate::speak::{self, Voice};
use crate::store::Paths;
use crate::tools::{self, Clock, Registry};

/// Longest wait for a turn to be over; it takes a few seconds, which its words take to be said.
const PATIENCE: Duration = Duration::from_secs(60);

const APOLOGY: &str = "Sorry, something went wrong while I was thinking.";

/// Ears, recogniser and voice, or nothing where their models are not on this machine.
fn senses(test: &str) -> Option<(Ears, Stt, Voice)> {
    let (paths, budget, hear) = (Paths::from_env(), Budget::unlimited(), hear::Settings::default());
    let load = || -> Result<_> {
        let voice = Voice::load(&speak::Settings::default(), &paths, &budget)?;
        let stt = Stt::load(&hear.stt, hear.turn.max_utterance_s, &paths, &budget)?;
        Ok((Ears::load(&hear, &paths, &budget)?, stt, voice))
    };
    match load() {
        Ok(senses) => Some(senses),
        Err(e) if e.kind() == Kind::NotFound && std::env::var_os("TERCET_REQUIRE_MODELS").is_none() => {
            println!("SKIPPED {test}: {e}");
            None
        }
        Err(e) => panic!("{e:?}"),
    }
}

/// What people are told up to the end of the turn.
fn turn(control: &Control, notices: &Receiver<Notice>, request: &str) -> Vec<Notice> {
    control.ask(request);
    let mut told = Vec::new();
    loop {
        let notice = notices.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the turn does not end: {told:?}"));
        let over = notice == Notice::State { state: State::FollowUp };
        told.push(notice);
        if over {
            return told;
        }
    }
}

fn calls(told: &[Notice]) -> Vec<serde_json::Value> {
    let call = |n: &Notice| match n {
        Notice::Call { call, fast: false, .. } => Some(serde_json::json!([call.name, call.parameters])),
        _ => None,
    };
    told.iter().filter_map(call).collect()
}

fn said(told: &[Notice]) -> String {
    let text = |n: &Notice| match n {
        Notice::Saying { text, .. } => Some(text.clone()),
        _ => None,
    };
    told.iter().filter_map(text).collect::<Vec<_>>().join(" ")
}

fn troubles(told: &[Notice]) -> Vec<String> {
    let trouble = |n: &Notice| match n {
        Notice::Trouble { part, message } => Some(format!("{part}: {message}")),
        _ => None,
    };
    told.iter().filter_map(trouble).collect()
}

#[test]
fn an_error_of_the_device_costs_one_turn_and_one_that_loses_it_ends_all() {
    let Some((ears, stt, voice)) = senses("an_error_of_the_device_costs_one_turn_and_one_that_loses_it_ends_all")
    else {
        return;
    };
    let device = Arc::new(Fickle::default());
    let engine = device.load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited());
    // Few tools: the small model keeps a conversation better in mind.
    let all = Registry::new(&tools::Settings::default(), None, Clock::system()).expect("tools");
    let others = all.schemas().iter().map(|t| t.name.as_str()).filter(|n| !["get_time", "set_volume"].contains(n));
    let others: Vec<_> = others.collect();
    let tools: tools::Settings = serde_json::from_value(serde_json::json!({ "disable": others, "command": [{
        "name": "set_light", "description": "switch a light", "exec": ["true"],
        "params": [{"name": "room", "type": "string"}, {"name": "on", "type": "bool"}]
    }] }))
    .expect("settings");
    let room = open(Script { end_after_quiet: Duration::from_secs(600), ..Script::default() }).expect("a room");
    let (tell, notices) = channel();
    let pipeline = Pipeline::start(Parts {
        partials: false,
        // The window never closes on a slow machine.
        dialog: dialog::Settings { follow_up_ms: 60_000, ..dialog::Settings::default() },
        sampling: Sampling::default(),
        source: room.source,
        output: room.output,
        ears,
        stt,
        engine,
        voice,
        tools: Arc::new(Registry::new(&tools, None, Clock::system()).expect("tools")),
        prefixes: None,
        archive: None,
        standing: Vec::new(),
        observer: Box::new(move |_, notice: &Notice| drop(tell.send(notice.clone()))),
    })
    .expect("it starts");
    let control = pipeline.control();

    let told = turn(&control, &notices, "Turn on the light in the kitchen.");
    assert_eq!(calls(&told), [serde_json::json!(["set_light", {"room": "kitchen", "on": true}])], "{told:?}");
    assert!(troubles(&told).is_empty() && !said(&told).is_empty(), "{told:?}");

    // The prompt is read in one pass; the error comes while the answer is written.
    device.refuse_at(3);
    let told = turn(&control, &notices, "Who are you?");
    let [trouble] = &troubles(&told)[..] else { panic!("{told:?}") };
    assert!(trouble.starts_with("language model: starting a kernel"), "{trouble}");
    assert!(said(&told).ends_with(APOLOGY), "{told:?}");

    // Only the first turn says which.
    let told = turn(&control, &notices, "Turn it off again.");
    assert_eq!(calls(&told), [serde_json::json!(["set_light", {"room": "kitchen", "on": false}])], "{told:?}");
    assert!(troubles(&told).is_empty(), "{told:?}");

    // The apology is heard to its end, and then nobody needs to stop anything.
    device.fail_at(3);
    let told = turn(&control, &notices, "Who are you?");
    let [trouble] = &troubles(&told)[..] else { panic!("{told:?}") };
    assert!(trouble.starts_with("language model: computing on the GPU"), "{trouble}");
    assert!(said(&told).ends_with(APOLOGY), "{told:?}");
    assert_eq!(notices.recv_timeout(PATIENCE), Ok(Notice::Ended));
    let e = pipeline.join().expect_err("the device is lost");
    assert!(e.kind() == Kind::Device && e.remedy_text().is_some(), "{e:?}");
}
