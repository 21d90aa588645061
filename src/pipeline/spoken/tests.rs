//! The whole pipeline in a room made of files, asked in writing.

mod panics;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::audio::file::{Script, open};
use crate::audio::{Counts, Read, Source, resample};
use crate::budget::Budget;
use crate::dialog::{self, State};
use crate::error::{Kind, Result};
use crate::hear::{self, Ears, Stt};
use crate::llm::fickle::Fickle;
use crate::llm::{self, Engine, Sampling};
use crate::speak::{self, Voice};
use crate::store::Paths;
use crate::tools::{self, Clock, Registry};
use crate::units::SampleRate;

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
    rest_of_turn(notices)
}

fn rest_of_turn(notices: &Receiver<Notice>) -> Vec<Notice> {
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
        Notice::Call { call, .. } => Some(serde_json::json!([call.name, call.parameters])),
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

/// Few tools: the small model keeps a conversation better in mind. `commands` are configured ones.
fn tools(builtin: &[&str], commands: serde_json::Value) -> Arc<Registry> {
    let all = Registry::new(&tools::Settings::default(), None, Clock::system()).expect("tools");
    let others: Vec<_> = all.schemas().iter().map(|t| t.name.as_str()).filter(|n| !builtin.contains(n)).collect();
    let settings: tools::Settings =
        serde_json::from_value(serde_json::json!({ "disable": others, "command": commands })).expect("settings");
    Arc::new(Registry::new(&settings, None, Clock::system()).expect("tools"))
}

/// Somebody who speaks when they are told to, and not at a time of the room's: a slow machine misses nothing.
#[derive(Clone, Default)]
struct Guest(Arc<Mutex<VecDeque<f32>>>);

impl Guest {
    /// Says it from now on; 16 kHz.
    fn say(&self, pcm: &[f32]) {
        self.0.lock().expect("nobody panicked").extend(pcm);
    }
}

/// A room with the guest in it.
struct Spoken {
    room: Box<dyn Source>,
    guest: Guest,
}

impl Source for Spoken {
    fn read(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Read> {
        let before = out.len();
        let read = self.room.read(out, wait);
        let mut said = self.guest.0.lock().expect("nobody panicked");
        out[before..].iter_mut().for_each(|sample| *sample += said.pop_front().unwrap_or(0.0));
        read
    }

    fn counts(&self) -> Counts {
        self.room.counts()
    }
}

/// A pipeline in a quiet room, with its notices.
fn start(senses: (Ears, Stt, Voice), engine: Arc<Engine>, tools: Arc<Registry>) -> (Pipeline, Receiver<Notice>) {
    start_with(senses, engine, tools, &Guest::default())
}

fn start_with(
    (ears, stt, voice): (Ears, Stt, Voice),
    engine: Arc<Engine>,
    tools: Arc<Registry>,
    guest: &Guest,
) -> (Pipeline, Receiver<Notice>) {
    // Nobody is expected to say anything, so the room waits for no reply and never ends by itself.
    let room = open(Script { end_after_quiet: Duration::from_secs(24 * 3600), ..Script::default() }).expect("a room");
    let (tell, notices) = channel();
    let pipeline = Pipeline::start(Parts {
        partials: false,
        // The window never closes on a slow machine.
        dialog: dialog::Settings { follow_up_ms: 60_000, wake_timeout_ms: 60_000, ..dialog::Settings::default() },
        sampling: Sampling::default(),
        source: Box::new(Spoken { room: room.source, guest: guest.clone() }),
        output: room.output,
        ears,
        stt,
        engine,
        voice,
        tools,
        prefixes: None,
        archive: None,
        standing: Vec::new(),
        state: None,
        observer: Box::new(move |_, notice: &Notice| drop(tell.send(notice.clone()))),
    })
    .expect("it starts");
    (pipeline, notices)
}

#[test]
fn an_error_of_the_device_costs_one_turn_and_one_that_loses_it_ends_all() {
    let Some((ears, stt, voice)) = senses("an_error_of_the_device_costs_one_turn_and_one_that_loses_it_ends_all")
    else {
        return;
    };
    let device = Arc::new(Fickle::default());
    let engine = device.load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited());
    let light = serde_json::json!([{
        "name": "set_light", "description": "switch a light", "exec": ["true"],
        "params": [{"name": "room", "type": "string"}, {"name": "on", "type": "bool"}]
    }]);
    let (pipeline, notices) = start((ears, stt, voice), engine, tools(&["get_time", "set_volume"], light));
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

/// The default model on the processor.
fn engine() -> Arc<Engine> {
    Arc::new(Fickle::default()).load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited())
}

#[test]
fn what_speech_to_text_and_the_voice_fail_with_is_told_and_apologised_for() {
    let test = "what_speech_to_text_and_the_voice_fail_with_is_told_and_apologised_for";
    let Some((ears, stt, mut voice)) = senses(test) else { return };
    let (deaf, dumb) = (Arc::clone(&stt.failures), Arc::clone(&voice.failures));
    let pcm = voice.synthesize("What time is it?").expect("it speaks");
    let question = resample(&pcm.samples, pcm.rate, SampleRate::HEARING).expect("resampled");
    let guest = Guest::default();
    let tools = tools(&["get_time"], serde_json::json!([]));
    let (pipeline, notices) = start_with((ears, stt, voice), engine(), tools, &guest);
    let control = pipeline.control();

    deaf.store(1, Ordering::SeqCst);
    // Before anything was heard: the thread of the ears may not even run yet.
    control.push_to_talk();
    // Once this is answered it listens, and what is said from now on is heard.
    while control.standing().is_none_or(|s| s.state != State::Listening) {}
    guest.say(&question);
    let told = rest_of_turn(&notices);
    assert_eq!(troubles(&told), ["speech to text: speech recognition failed"], "{told:?}");
    assert_eq!(said(&told), "Sorry, something went wrong while I was listening.", "{told:?}");

    dumb.store(1, Ordering::SeqCst);
    let told = turn(&control, &notices, "What time is it?");
    let [trouble] = &troubles(&told)[..] else { panic!("{told:?}") };
    assert!(trouble.starts_with("voice: the voice piper-"), "{trouble}");
    assert_eq!(said(&told), "Sorry, something went wrong while I was speaking.", "{told:?}");
    // The fast path needs no model, and says so.
    assert!(told.iter().any(|n| matches!(n, Notice::Call { fast: true, .. })), "{told:?}");

    // Where not even the apology can be said, a tone has to do; both are reported, and the next turn is spoken again.
    dumb.store(2, Ordering::SeqCst);
    let told = turn(&control, &notices, "What time is it?");
    assert!(troubles(&told).len() == 2 && said(&told).is_empty(), "{told:?}");
    let told = turn(&control, &notices, "What time is it?");
    assert!(troubles(&told).is_empty() && said(&told).starts_with("It's "), "{told:?}");
    control.stop();
    pipeline.join().expect("it ends");
}

#[test]
fn a_command_that_prints_more_than_fits_is_answered() {
    let Some(senses) = senses("a_command_that_prints_more_than_fits_is_answered") else { return };
    let log = serde_json::json!([{
        "name": "read_log", "description": "read the log aloud", "exec": ["seq", "-f", "line %g of the log is quiet", "400"]
    }]);
    let (pipeline, notices) = start(senses, engine(), tools(&[], log));
    let control = pipeline.control();
    let told = turn(&control, &notices, "Read the log.");
    assert_eq!(calls(&told), [serde_json::json!(["read_log", {}])], "{told:?}");
    // The notices carry all of it, the prompt what fits.
    let result = |n: &Notice| match n {
        Notice::Result { result, .. } => Some(result["output"].as_str().expect("text").len()),
        _ => None,
    };
    assert!(told.iter().find_map(result) > Some(4000), "{told:?}");
    assert!(troubles(&told).is_empty(), "{told:?}");
    assert!(!said(&told).is_empty() && !said(&told).contains("more than I can keep in mind"), "{told:?}");

    // What the user says is never cut.
    let told = turn(&control, &notices, &"word ".repeat(2000));
    let [trouble] = &troubles(&told)[..] else { panic!("{told:?}") };
    assert!(trouble.starts_with("prompt: the request and the tool list take"), "{trouble}");
    assert_eq!(said(&told), "Sorry, that is more than I can keep in mind at once.");
    control.stop();
    pipeline.join().expect("it ends");
}
