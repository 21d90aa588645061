//! Conversations as they should go, step by step.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::schema::Role;

#[derive(Clone)]
struct Talk {
    dialog: Dialog,
    now: Duration,
}

impl Talk {
    fn new(settings: Settings) -> Self {
        Self { dialog: Dialog::new(Settings { earcons: false, ..settings }), now: Duration::ZERO }
    }

    /// The event's actions, 10 ms later; state changes left out.
    fn on(&mut self, event: Event) -> Vec<Action> {
        self.now += Duration::from_millis(10);
        let mut actions = self.dialog.step(self.now, event);
        actions.retain(|a| !matches!(a, Action::State(_)));
        actions
    }

    fn wait(&mut self, ms: u64) -> Vec<Action> {
        self.now += Duration::from_millis(ms);
        self.on(Event::Tick)
    }

    /// Wakes it and says `text`; returns the work of the interpretation.
    fn hears(&mut self, text: &str) -> WorkId {
        if self.dialog.state() == State::Asleep {
            assert_eq!(self.on(Event::Wake { model: "alexa".into() }), [Action::Hear(EarMode::Open)]);
        }
        self.on(Event::SpeechStarted);
        let work = match self.on(Event::TurnEnded).as_slice() {
            [Action::Transcribe { work }, Action::Hear(EarMode::Asleep)] => *work,
            other => panic!("{other:?}"),
        };
        match self.on(Event::Transcript { work, text: Some(text.into()) }).as_slice() {
            [Action::Interpret { work, text: t, .. }] if t == text => *work,
            other => panic!("{other:?}"),
        }
    }

    /// As `hears`, and leaves it to the model.
    fn asks(&mut self, text: &str) -> (WorkId, Vec<Message>) {
        let work = self.hears(text);
        match self.on(Event::Understood { work, steps: vec![Step::Think { request: text.into(), part: 0 }] }).as_slice()
        {
            [Action::Generate { work, exchange }] => (*work, exchange.clone()),
            other => panic!("{other:?}"),
        }
    }
}

fn call(name: &str) -> ToolCall {
    ToolCall { name: name.into(), parameters: Default::default() }
}

fn runs(names: &[&str]) -> Vec<Step> {
    names.iter().enumerate().map(|(part, name)| Step::Run { call: call(name), part }).collect()
}

fn said(actions: &[Action]) -> Vec<(WorkId, u32, &str)> {
    actions
        .iter()
        .filter_map(|a| match a {
            Action::Say { work, sentence, text } => Some((*work, *sentence, text.as_str())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_question_its_answer_and_a_follow_up() {
    let mut t = Talk::new(Settings::default());
    let (work, exchange) = t.asks("What is the capital of France?");
    assert_eq!(exchange, [Message::new(Role::User, "What is the capital of France?")]);
    assert_eq!(t.dialog.state(), State::Thinking);
    let a = t.on(Event::Sentence { work, text: "The capital is Paris.".into() });
    let (voice, _, _) = said(&a)[0];
    assert_eq!(a[0], Action::Hear(EarMode::Deaf));
    assert_eq!(t.dialog.state(), State::Speaking);
    let a = t.on(Event::Sentence { work, text: "It is on the Seine.".into() });
    assert_eq!(said(&a), [(voice, 1, "It is on the Seine.")]);
    t.on(Event::PlaybackStarted { work: voice, sentence: 0 });
    assert_eq!(t.on(Event::PlaybackDone { work: voice, sentence: 0 }), []);
    assert_eq!(t.on(Event::ReplyDone { work }), []);
    let a = t.on(Event::PlaybackDone { work: voice, sentence: 1 });
    match a.as_slice() {
        [Action::Remember { messages }] => {
            assert_eq!(messages[1], Message::new(Role::Assistant, "The capital is Paris. It is on the Seine."));
        }
        other => panic!("{other:?}"),
    }
    // The echo dies away first.
    assert_eq!(t.dialog.state(), State::Speaking);
    assert_eq!(t.on(Event::SpeechStarted), []);
    assert_eq!(t.on(Event::TurnEnded), [Action::DropUtterance]);
    assert_eq!(t.wait(290), [Action::Hear(EarMode::Open)]);
    assert_eq!(t.dialog.state(), State::FollowUp);
    t.asks("And of Spain?");
}

#[test]
fn the_follow_up_window_closes() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Sentence { work, text: "Hello.".into() });
    let (voice, _, _) = said(&a)[0];
    t.on(Event::ReplyDone { work });
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    t.wait(300);
    assert_eq!(t.wait(5000), []);
    assert_eq!(t.wait(1000), [Action::Hear(EarMode::Asleep)]);
    assert_eq!(t.dialog.state(), State::Asleep);
    assert_eq!(t.dialog.deadline(), None);
}

#[test]
fn noise_in_the_follow_up_window_gets_no_apology() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::ReplyDone { work });
    let (voice, _, text) = said(&a)[0];
    assert_eq!(text, words::NO_ANSWER);
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    t.wait(300);
    t.on(Event::SpeechStarted);
    let a = t.on(Event::TurnEnded);
    let Action::Transcribe { work } = a[0] else { panic!("{a:?}") };
    assert_eq!(t.on(Event::Transcript { work, text: None }), [Action::Hear(EarMode::Open)]);
    assert_eq!(t.dialog.state(), State::FollowUp);
    t.wait(6000);
    assert_eq!(t.dialog.state(), State::Asleep);
}

#[test]
fn woken_and_not_spoken_to() {
    let mut t = Talk::new(Settings::default());
    t.on(Event::Wake { model: "alexa".into() });
    assert_eq!(t.wait(4000), []);
    // A cough gives it as long again, and no turn.
    t.on(Event::SpeechStarted);
    t.on(Event::SpeechDropped);
    assert_eq!(t.wait(4900), []);
    assert_eq!(t.wait(200), [Action::Hear(EarMode::Asleep)]);
    assert_eq!(t.dialog.state(), State::Asleep);
}

#[test]
fn woken_and_not_understood() {
    let mut t = Talk::new(Settings::default());
    t.on(Event::Wake { model: "alexa".into() });
    t.on(Event::SpeechStarted);
    let a = t.on(Event::TurnEnded);
    let Action::Transcribe { work } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::Transcript { work, text: None });
    assert_eq!(said(&a)[0].2, words::NOT_UNDERSTOOD);
}

#[test]
fn a_fast_command_is_answered_in_the_tools_words() {
    let mut t = Talk::new(Settings::default());
    let work = t.hears("Set a timer for ten minutes and turn it down.");
    let a = t.on(Event::Understood { work, steps: runs(&["set_timer", "volume_down"]) });
    let Action::RunTool { work, call: c, said: heard, fast, part: 0 } = &a[0] else { panic!("{a:?}") };
    assert_eq!((c.name.as_str(), heard.len(), fast), ("set_timer", 1, &true));
    let done = |work, spoken: &str| Event::ToolDone {
        work,
        result: json!({ "ok": true }),
        spoken: Some(spoken.into()),
        then: Then::Answer,
    };
    let a = t.on(done(*work, "Timer set."));
    let Action::RunTool { work, fast: true, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(done(work, "Quieter now."));
    assert_eq!(said(&a).iter().map(|s| s.2).collect::<Vec<_>>(), ["Timer set.", "Quieter now."]);
    let (voice, last, _) = said(&a)[1];
    let a = t.on(Event::PlaybackDone { work: voice, sentence: last });
    let Action::Remember { messages } = &a[0] else { panic!("{a:?}") };
    let roles: Vec<Role> = messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant, Role::Tool, Role::Assistant]);
    assert_eq!(messages[1].content, r#"{"name": "set_timer", "parameters": {}}"#);
}

#[test]
fn the_models_call_runs_and_its_words_give_way_to_the_tools() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Could the pasta go for ten?");
    let a = t.on(Event::ToolWanted { work, call: call("set_timer") });
    let Action::RunTool { work, fast: false, .. } = a[0] else { panic!("{a:?}") };
    let done = Event::ToolDone {
        work,
        result: json!({ "ok": true }),
        spoken: Some("Timer set for 10 minutes.".into()),
        then: Then::Answer,
    };
    let a = t.on(done.clone());
    assert_eq!(said(&a).iter().map(|s| s.2).collect::<Vec<_>>(), ["Timer set for 10 minutes."]);
    assert!(!a.iter().any(|a| matches!(a, Action::Generate { .. })), "{a:?}");
    // The result came already; again it means nothing.
    assert_eq!(t.on(done), []);
}

#[test]
fn a_tool_without_words_is_answered_by_the_model() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Is the door locked?");
    let a = t.on(Event::ToolWanted { work, call: call("get_state") });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::ToolDone { work, result: json!({ "locked": true }), spoken: None, then: Then::Answer });
    let Action::Generate { work, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::Sentence { work, text: "Yes, it is.".into() });
    assert_eq!(said(&a)[0].2, "Yes, it is.");
}

#[test]
fn a_call_said_twice_runs_once() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Lock up");
    let a = t.on(Event::ToolWanted { work, call: call("lock") });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::ToolDone { work, result: json!({ "ok": true }), spoken: None, then: Then::Answer });
    let Action::Generate { work, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::ToolWanted { work, call: call("lock") });
    assert_eq!(said(&a)[0].2, words::DONE);
    assert!(!a.iter().any(|a| matches!(a, Action::RunTool { .. })));
}

#[test]
fn a_malformed_call_is_repaired_once_and_then_answered_in_words() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Do something");
    let bad =
        |work| Event::Malformed { work, raw: "{\"name\": \"launch\"".into(), problems: vec!["no such tool".into()] };
    let a = t.on(bad(work));
    let Action::Generate { work, exchange } = &a[0] else { panic!("{a:?}") };
    assert_eq!(exchange.len(), 3);
    assert_eq!(exchange[2], Message::new(Role::Tool, r#"{"error": "no such tool"}"#));
    let a = t.on(bad(*work));
    assert_eq!(said(&a)[0].2, words::CANNOT_CALL);
    let (voice, _, _) = said(&a)[0];
    let a = t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    // The failed attempt is not remembered.
    let Action::Remember { messages } = &a[0] else { panic!("{a:?}") };
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_call_cut_off_is_answered_in_words_and_never_run() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Note down this poem");
    let a = t.on(Event::CallCutOff { work });
    let [(voice, 0, words::CALL_TOO_LONG)] = said(&a)[..] else { panic!("{a:?}") };
    assert!(!a.iter().any(|a| matches!(a, Action::RunTool { .. } | Action::Generate { .. })), "{a:?}");
    assert_eq!(t.on(Event::CallCutOff { work }), []);
    let a = t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    let Action::Remember { messages } = &a[0] else { panic!("{a:?}") };
    assert_eq!(messages[1], Message::new(Role::Assistant, words::CALL_TOO_LONG));
    t.wait(300);
    // Behind another step, what that did is said first.
    let work = t.hears("Set a timer and note down this poem");
    let mut steps = runs(&["set_timer"]);
    steps.push(Step::Think { request: "note down this poem".into(), part: 1 });
    let a = t.on(Event::Understood { work, steps });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    let spoken = Some("Timer set.".into());
    let a = t.on(Event::ToolDone { work, result: json!({ "ok": true }), spoken, then: Then::Answer });
    let Action::Generate { work, exchange } = &a[0] else { panic!("{a:?}") };
    assert_eq!(exchange, &[Message::new(Role::User, "note down this poem")]);
    let a = t.on(Event::CallCutOff { work: *work });
    assert_eq!(said(&a).iter().map(|s| s.2).collect::<Vec<_>>(), ["Timer set.", words::CALL_TOO_LONG]);
}

#[test]
fn tools_that_fail_in_words_of_their_own_are_answered_in_them() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Lights");
    let a = t.on(Event::ToolWanted { work, call: call("set_light") });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(Event::ToolDone {
        work,
        result: json!({ "error": "room" }),
        spoken: Some("Which room do you mean?".into()),
        then: Then::Answer,
    });
    assert_eq!(said(&a)[0].2, "Which room do you mean?");
    assert!(!a.iter().any(|a| matches!(a, Action::Generate { .. })));
}

#[test]
fn a_step_that_fails_does_not_cost_the_others() {
    let mut t = Talk::new(Settings::default());
    let work = t.hears("Light off, timer for five minutes, and don't lock the door");
    let mut steps = runs(&["set_light", "set_timer"]);
    steps.push(Step::Say { text: "Okay, I won't.".into() });
    let a = t.on(Event::Understood { work, steps });
    let Action::RunTool { work, part: 0, .. } = a[0] else { panic!("{a:?}") };
    let done =
        |work, result, spoken: &str| Event::ToolDone { work, result, spoken: Some(spoken.into()), then: Then::Answer };
    let a = t.on(done(work, json!({ "error": "room" }), "Which room?"));
    let Action::RunTool { work, part: 1, .. } = a[0] else { panic!("{a:?}") };
    let a = t.on(done(work, json!({ "ok": true }), "Timer set."));
    let words: Vec<&str> = said(&a).iter().map(|s| s.2).collect();
    assert_eq!(words, ["Which room?", "Timer set.", "Okay, I won't."]);
}

#[test]
fn a_model_that_hangs_is_given_up() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Think");
    assert_eq!(t.wait(29_000), []);
    let a = t.wait(1_000);
    assert!(matches!(a[0], Action::CancelBefore(_)));
    assert_eq!(said(&a)[0].2, words::TOO_SLOW);
    assert_eq!(t.on(Event::Sentence { work, text: "At last.".into() }), []);
}

#[test]
fn a_dead_loudspeaker_does_not_hold_it() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Sentence { work, text: "Hello.".into() });
    let (voice, _, _) = said(&a)[0];
    let a = t.on(Event::SpeakFailed { work: voice });
    assert!(a.contains(&Action::StopSpeaking) && a.contains(&Action::Earcon(Earcon::Error)));
    t.wait(300);
    assert_eq!(t.dialog.state(), State::FollowUp);
    assert_eq!(t.dialog.mode(), EarMode::Open);
}

#[test]
fn a_voice_that_fails_says_sorry_once_and_then_a_tone_does() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Sentence { work, text: "Hello.".into() });
    let (voice, _, _) = said(&a)[0];
    t.on(Event::PlaybackStarted { work: voice, sentence: 0 });
    t.on(Event::Sentence { work, text: "How are you?".into() });
    let a = t.on(Event::VoiceFailed { work: voice });
    assert!(matches!(a[..2], [Action::StopSpeaking, Action::CancelBefore(_)]), "{a:?}");
    let [(sorry, 0, words::VOICE_FAILED)] = said(&a)[..] else { panic!("{a:?}") };
    assert_eq!(t.dialog.mode(), EarMode::Deaf);
    assert_eq!(t.on(Event::Sentence { work, text: "Well?".into() }), []);
    assert_eq!(t.on(Event::VoiceFailed { work: voice }), []);
    let a = t.clone().on(Event::PlaybackDone { work: sorry, sentence: 0 });
    let Action::Remember { messages } = &a[0] else { panic!("{a:?}") };
    assert_eq!(messages[1].content, format!("Hello. {}", words::VOICE_FAILED));
    // The apology cannot be said either.
    let a = t.on(Event::VoiceFailed { work: sorry });
    assert!(said(&a).is_empty() && a.contains(&Action::Earcon(Earcon::Error)), "{a:?}");
    t.wait(300);
    assert_eq!((t.dialog.state(), t.dialog.mode()), (State::FollowUp, EarMode::Open));
}

#[test]
fn the_wake_word_calls_off_a_turn_and_the_button_a_reply() {
    let mut t = Talk::new(Settings::default());
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Wake { model: "alexa".into() });
    assert!(matches!(a[0], Action::CancelBefore(id) if id > work));
    assert_eq!(t.dialog.state(), State::Listening);
    let (work, _) = t.asks("Tell me a story");
    let a = t.on(Event::Sentence { work, text: "Once upon a time.".into() });
    let (voice, _, _) = said(&a)[0];
    t.on(Event::PlaybackStarted { work: voice, sentence: 0 });
    t.on(Event::Sentence { work, text: "There was a fox.".into() });
    // Its own voice cannot wake it.
    assert_eq!(t.on(Event::Wake { model: "alexa".into() }), []);
    let a = t.on(Event::PushToTalk);
    assert_eq!(a[0], Action::StopSpeaking);
    // Only what was heard is remembered.
    let Action::Remember { messages } = &a[2] else { panic!("{a:?}") };
    assert_eq!(messages[1].content, "Once upon a time.");
    assert_eq!(t.dialog.mode(), EarMode::Deaf);
    assert_eq!(t.wait(300), [Action::Hear(EarMode::Open)]);
}

#[test]
fn stop_means_silence_and_sleep() {
    let mut t = Talk::new(Settings::default());
    let work = t.hears("Stop");
    let a = t.on(Event::Understood { work, steps: runs(&["stop"]) });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    let a =
        t.on(Event::ToolDone { work, result: json!({ "ok": true }), spoken: Some(String::new()), then: Then::Sleep });
    assert_eq!(said(&a), []);
    assert_eq!(t.dialog.state(), State::Asleep);
}

#[test]
fn the_last_reply_can_be_had_again() {
    let mut t = Talk::new(Settings::default());
    let again = |t: &mut Talk| {
        let work = t.hears("Say that again");
        let a = t.on(Event::Understood { work, steps: runs(&["repeat"]) });
        let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
        let a = t.on(Event::ToolDone { work, result: json!({ "ok": true }), spoken: None, then: Then::Repeat });
        let (voice, n, text) = said(&a)[0];
        let text = text.to_owned();
        t.on(Event::PlaybackDone { work: voice, sentence: n });
        t.wait(300);
        text
    };
    assert_eq!(again(&mut t), words::NOTHING_TO_REPEAT);
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Sentence { work, text: "Good morning.".into() });
    let (voice, _, _) = said(&a)[0];
    t.on(Event::ReplyDone { work });
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    t.wait(300);
    assert_eq!(again(&mut t), "Good morning.");
    assert_eq!(again(&mut t), "Good morning.");
}

#[test]
fn a_timer_rings_until_it_is_stopped() {
    let mut t = Talk::new(Settings::default());
    let ring = |a: &[Action]| -> Option<WorkId> {
        let at = a.iter().position(|a| *a == Action::Earcon(Earcon::Ring))?;
        match &a[at + 1] {
            Action::Say { work, text, .. } if text == "Your pasta timer is done." => Some(*work),
            other => panic!("{other:?}"),
        }
    };
    // It waits for the reply under way.
    let (work, _) = t.asks("Hello");
    let a = t.on(Event::Sentence { work, text: "Good morning.".into() });
    let (voice, _, _) = said(&a)[0];
    assert_eq!(t.on(Event::Ring { text: "Your pasta timer is done.".into() }), []);
    t.on(Event::ReplyDone { work });
    let a = t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    let voice = ring(&a).expect("it rings");
    // Then it listens for a while, and rings again.
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    t.wait(300);
    assert_eq!((t.dialog.state(), t.dialog.mode()), (State::FollowUp, EarMode::Open));
    let a = t.wait(6000);
    let voice = ring(&a).expect("it rings again");
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    t.wait(300);
    // "Stop", without the wake word.
    let work = t.hears("Stop");
    let a = t.on(Event::Understood { work, steps: runs(&["stop"]) });
    let Action::RunTool { work, .. } = a[0] else { panic!("{a:?}") };
    t.on(Event::ToolDone { work, result: json!({ "ok": true }), spoken: Some(String::new()), then: Then::Sleep });
    assert_eq!(t.dialog.deadline(), None);
    assert_eq!(ring(&t.wait(60_000)), None);
}

#[test]
fn nobody_there_and_it_stops_ringing() {
    let mut t = Talk::new(Settings { ring_times: 3, ..Settings::default() });
    let mut rings = 0;
    let mut a = t.on(Event::Ring { text: "Done.".into() });
    for _ in 0..50 {
        if let Some((work, sentence, _)) = said(&a).first().copied() {
            rings += 1;
            a = t.on(Event::PlaybackDone { work, sentence });
        } else if let Some(at) = t.dialog.deadline() {
            t.now = at;
            a = t.on(Event::Tick);
        } else {
            break;
        }
    }
    assert_eq!((rings, t.dialog.state()), (3, State::Asleep));
}

#[test]
fn announcements_wait_for_quiet_and_want_no_answer() {
    let mut t = Talk::new(Settings::default());
    t.on(Event::Wake { model: "alexa".into() });
    assert_eq!(t.on(Event::Announce { text: "The microphone is back.".into() }), []);
    let a = t.wait(5000);
    let (voice, _, _) = said(&a)[0];
    t.on(Event::PlaybackDone { work: voice, sentence: 0 });
    assert_eq!(t.dialog.state(), State::Asleep);
    assert_eq!(t.wait(300), [Action::Hear(EarMode::Asleep)]);
}

#[test]
fn a_lost_microphone_ends_listening() {
    let mut t = Talk::new(Settings::default());
    t.on(Event::Wake { model: "alexa".into() });
    assert_eq!(t.on(Event::DeviceLost), [Action::Hear(EarMode::Asleep)]);
    assert_eq!(t.on(Event::DeviceRestored), [Action::Hear(EarMode::Asleep)]);
}

#[test]
fn settings_out_of_range_are_named() {
    let mut problems = crate::problems::Problems::new();
    Settings::default().validate(&mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let bad = Settings { thinking_ms: 1, persona: "two\nlines".into(), ..Settings::default() };
    bad.validate(&mut problems);
    let told: Vec<String> = problems.into_vec().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["thinking_ms: must be between 1000 and 600000, not 1", "persona: must be one line of text, not 2 lines"]
    );
}

#[test]
fn what_is_written_is_answered_without_sound_and_without_listening_afterwards() {
    let mut t = Talk { dialog: Dialog::new(Settings::default()), now: Duration::ZERO };
    let work = match t.on(Event::Written { text: "Hello".into() }).as_slice() {
        [Action::Interpret { work, .. }] => *work,
        other => panic!("{other:?}"),
    };
    let work = match t
        .on(Event::Understood { work, steps: vec![Step::Think { request: "Hello".into(), part: 0 }] })
        .as_slice()
    {
        [Action::Generate { work, .. }] => *work,
        other => panic!("{other:?}"),
    };
    // The ears stay as they are.
    let a = t.on(Event::Sentence { work, text: "Hello.".into() });
    let [Action::Say { work: voice, sentence: 0, .. }] = a.as_slice() else { panic!("{a:?}") };
    t.on(Event::PlaybackStarted { work: *voice, sentence: 0 });
    assert_eq!(t.on(Event::PlaybackDone { work: *voice, sentence: 0 }), []);
    let a = t.on(Event::ReplyDone { work });
    assert!(matches!(a.as_slice(), [Action::Remember { .. }]), "{a:?}");
    assert_eq!((t.dialog.state(), t.dialog.mode()), (State::Asleep, EarMode::Asleep));
    // Told to stop, it makes no sound of going to sleep.
    let work = match t.on(Event::Written { text: "Stop.".into() }).as_slice() {
        [Action::Interpret { work, .. }] => *work,
        other => panic!("{other:?}"),
    };
    let work = match t.on(Event::Understood { work, steps: runs(&["stop"]) }).as_slice() {
        [Action::RunTool { work, .. }] => *work,
        other => panic!("{other:?}"),
    };
    let (result, spoken) = (json!({ "ok": true }), Some(String::new()));
    assert_eq!(t.on(Event::ToolDone { work, result, spoken, then: Then::Sleep }), []);
    assert_eq!(t.dialog.state(), State::Asleep);
}
