//! No sequence of events wedges the conversation, makes it speak over itself, or leaves it deaf.
//!
//! A model of the outside world tracks what the coordinator would track: which job runs, which sentences are
//! still to be heard, when its own voice was last audible. Events carry current, stale and invented work ids.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::units::TurnId;

/// More actions than this from one event would be a runaway.
const ACTIONS_MAX: usize = 24;

#[derive(Debug, Clone)]
enum Op {
    Wait(u64),
    /// An event that belongs to no work.
    Plain(u8),
    /// An answer to the job under way.
    Answer(u8),
    /// The loudspeaker got on.
    Played(u8),
    /// Something about the work issued `back` items ago, or about work never issued.
    Stale {
        kind: u8,
        back: usize,
    },
    /// The deadline has come.
    Due,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0u64..40_000).prop_map(Op::Wait),
        3 => (0u64..400).prop_map(Op::Wait),
        6 => any::<u8>().prop_map(Op::Plain),
        10 => any::<u8>().prop_map(Op::Answer),
        6 => any::<u8>().prop_map(Op::Played),
        3 => (any::<u8>(), 0usize..12).prop_map(|(kind, back)| Op::Stale { kind, back }),
        4 => Just(Op::Due),
    ];
    prop::collection::vec(op, 0..80)
}

fn settings() -> impl Strategy<Value = Settings> {
    (prop_oneof![Just(0u64), Just(6000)], prop_oneof![Just(0u64), Just(300)], 1u32..6, any::<bool>()).prop_map(
        |(follow_up_ms, echo_guard_ms, max_tool_calls, earcons)| Settings {
            follow_up_ms,
            echo_guard_ms,
            max_tool_calls,
            earcons,
            ..Settings::default()
        },
    )
}

/// What the coordinator knows.
struct World {
    dialog: Dialog,
    settings: Settings,
    now: Duration,
    mode: EarMode,
    state: State,
    issued: Vec<WorkId>,
    job: Option<(WorkId, &'static str)>,
    /// Sentences handed out and not yet heard to their end.
    saying: Vec<(WorkId, u32)>,
    said: Option<(WorkId, u32)>,
    last_sound: Option<Duration>,
    calls: (TurnId, u32),
}

impl World {
    fn new(settings: Settings) -> Self {
        Self {
            dialog: Dialog::new(settings.clone()),
            settings,
            now: Duration::ZERO,
            mode: EarMode::Asleep,
            state: State::Asleep,
            issued: Vec::new(),
            job: None,
            saying: Vec::new(),
            said: None,
            last_sound: None,
            calls: (TurnId(0), 0),
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Wait(ms) => self.now += Duration::from_millis(*ms),
            Op::Plain(kind) => self.send(plain(*kind)),
            Op::Answer(kind) => {
                if let Some((work, job)) = self.job {
                    self.send(answer(job, work, *kind));
                }
            }
            Op::Played(kind) => {
                if let Some(&(work, sentence)) = self.saying.get(usize::from(*kind) % self.saying.len().max(1)) {
                    self.send(match kind % 8 {
                        0 | 1 => Event::PlaybackStarted { work, sentence },
                        2 => Event::SpeakFailed { work },
                        4 => Event::VoiceFailed { work },
                        // A sentence that was never handed out.
                        3 => Event::PlaybackStarted { work, sentence: sentence + 50 },
                        _ => Event::PlaybackDone { work, sentence },
                    });
                }
            }
            Op::Stale { kind, back } => self.stale(*kind, *back),
            Op::Due => {
                if let Some(at) = self.dialog.deadline() {
                    self.now = self.now.max(at);
                    self.send(Event::Tick);
                }
            }
        }
    }

    /// An event about work that is not under way changes nothing but what time alone changes.
    fn stale(&mut self, kind: u8, back: usize) {
        let unknown = WorkId { turn: TurnId(u64::from(kind)), revision: u32::from(kind) + 100 };
        let work = self.issued.iter().rev().nth(back).copied().unwrap_or(unknown);
        if self.job.is_some_and(|(w, _)| w == work) || self.said.is_some_and(|(w, _)| w == work) {
            return;
        }
        if let Some((work, last)) = self.said {
            let future = Event::PlaybackDone { work, sentence: last + 1 + u32::from(kind) };
            assert_eq!(self.dialog.clone().step(self.now, future), self.dialog.clone().step(self.now, nothing()));
        }
        let jobs = ["transcribe", "interpret", "generate", "tool"];
        let event = match kind % 8 {
            0 => Event::PlaybackDone { work, sentence: 0 },
            1 => Event::PlaybackStarted { work, sentence: 0 },
            2 => Event::SpeakFailed { work },
            3 => Event::VoiceFailed { work },
            k => answer(jobs[usize::from(k) % 4], work, kind),
        };
        let expected = self.dialog.clone().step(self.now, nothing());
        let got = self.dialog.clone().step(self.now, event.clone());
        assert_eq!(got, expected, "stale {event:?}");
        self.send(event);
    }

    fn send(&mut self, event: Event) {
        self.before(&event);
        let actions = self.dialog.step(self.now, event.clone());
        assert!(actions.len() <= ACTIONS_MAX, "{} actions for {event:?}", actions.len());
        for action in actions {
            self.carry_out(action);
        }
        assert_eq!(self.state, self.dialog.state(), "people were not told after {event:?}");
        assert_eq!(self.mode, self.dialog.mode());
        if !self.saying.is_empty() {
            assert_eq!(self.mode, EarMode::Deaf, "it hears itself after {event:?}");
            assert_eq!(self.dialog.state(), State::Speaking);
        }
        if let Some(sound) = self.last_sound
            && self.now < sound + Duration::from_millis(self.settings.echo_guard_ms)
        {
            assert_eq!(self.mode, EarMode::Deaf, "it hears its echo after {event:?}");
        }
    }

    /// The model's state after the event.
    fn before(&mut self, event: &Event) {
        match event {
            Event::PlaybackDone { work, sentence } => {
                let before = self.saying.len();
                self.saying.retain(|(w, s)| w != work || s > sentence);
                if self.saying.len() < before {
                    self.last_sound = Some(self.now);
                }
            }
            Event::Transcript { work, .. }
            | Event::SttFailed { work }
            | Event::Understood { work, .. }
            | Event::ToolWanted { work, .. }
            | Event::Malformed { work, .. }
            | Event::CallCutOff { work }
            | Event::ReplyDone { work }
            | Event::ModelFailed { work, .. }
            | Event::ToolDone { work, .. }
                if self.job.is_some_and(|(w, _)| w == *work) =>
            {
                self.job = None;
            }
            _ => {}
        }
    }

    fn begins(&mut self, work: WorkId, job: &'static str) {
        assert_eq!(self.job, None, "{job} {work} beside other work");
        assert!(self.issued.iter().all(|w| *w < work), "{job} {work} is not new");
        assert_eq!(work.turn, self.dialog.turn());
        self.issued.push(work);
        self.job = Some((work, job));
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::State(s) => {
                assert_ne!(s, self.state);
                self.state = s;
            }
            Action::Hear(m) => self.mode = m,
            Action::Transcribe { work } => self.begins(work, "transcribe"),
            Action::Interpret { work, .. } => self.begins(work, "interpret"),
            Action::Generate { work, exchange } => {
                assert!(!exchange.is_empty());
                self.begins(work, "generate");
            }
            Action::RunTool { work, said, .. } => {
                assert!(!said.is_empty());
                self.calls = if self.calls.0 == work.turn { (work.turn, self.calls.1 + 1) } else { (work.turn, 1) };
                // Sixteen steps, of which each asks the model or is a call.
                assert!(self.calls.1 <= 16 * self.settings.max_tool_calls);
                self.begins(work, "tool");
            }
            Action::Say { work, sentence, text } => {
                assert!(!text.trim().is_empty());
                assert_eq!(self.mode, EarMode::Deaf, "it speaks with its ears open");
                assert!(self.saying.iter().all(|(w, _)| *w == work), "it speaks over itself");
                match self.said {
                    Some((w, s)) if w == work => assert_eq!(sentence, s + 1),
                    _ => {
                        assert!(self.issued.iter().all(|w| *w < work), "speech {work} is not new");
                        assert_eq!(sentence, 0);
                        self.issued.push(work);
                    }
                }
                self.said = Some((work, sentence));
                self.saying.push((work, sentence));
            }
            Action::StopSpeaking => {
                if !self.saying.is_empty() {
                    self.last_sound = Some(self.now);
                }
                self.saying.clear();
            }
            Action::CancelBefore(id) => {
                assert!(self.saying.iter().all(|(w, _)| *w >= id), "speech was cancelled without being stopped");
                if self.job.is_some_and(|(w, _)| w < id) {
                    self.job = None;
                }
            }
            Action::Remember { messages } => assert!(!messages.is_empty()),
            Action::DropUtterance | Action::Earcon(_) => {}
        }
    }

    /// Only time passes from here on.
    fn run_down(&mut self) {
        let began = self.now;
        for _ in 0..400 {
            let Some(at) = self.dialog.deadline() else { break };
            self.now = self.now.max(at);
            self.send(Event::Tick);
            if let Some(next) = self.dialog.deadline() {
                assert!(next > self.now, "it asks for the same tick again");
            }
        }
        assert_eq!(self.dialog.deadline(), None, "wedged in {:?}", self.dialog.state());
        assert_eq!(self.dialog.state(), State::Asleep);
        assert_eq!(self.mode, EarMode::Asleep, "the microphone stays deaf");
        // Each of 8 announcements and 8 rings may find the loudspeaker dead.
        assert!(self.now - began < Duration::from_secs(3600), "{:?} to fall asleep", self.now - began);
    }

    /// The outside world does its part until the conversation is asleep.
    fn cooperate(&mut self) {
        for _ in 0..1000 {
            self.now += Duration::from_millis(50);
            if let Some(&(work, sentence)) = self.saying.first() {
                self.send(Event::PlaybackDone { work, sentence });
            } else if let Some((work, job)) = self.job {
                self.send(answer(job, work, 0));
            } else if let Some(at) = self.dialog.deadline() {
                self.now = self.now.max(at);
                self.send(Event::Tick);
            } else {
                break;
            }
        }
        assert_eq!(self.dialog.state(), State::Asleep);
        assert_eq!(self.mode, EarMode::Asleep);
        assert!(self.job.is_none() && self.saying.is_empty());
    }
}

/// An event without content: only time passes.
fn nothing() -> Event {
    Event::PlaybackDone { work: WorkId { turn: TurnId(u64::MAX), revision: 0 }, sentence: 0 }
}

fn plain(kind: u8) -> Event {
    match kind % 18 {
        0..=2 => Event::Wake { model: "alexa".into() },
        3 => Event::PushToTalk,
        4 => Event::TextTurn { text: "What time is it?".into() },
        5..=7 => Event::SpeechStarted,
        8 => Event::SpeechDropped,
        9..=11 => Event::TurnEnded,
        12 => Event::Announce { text: "The microphone is back.".into() },
        13 => Event::Ring { text: "Your pasta timer is done.".into() },
        14 => Event::RingStop,
        15 => Event::DeviceLost,
        16 => Event::DeviceRestored,
        _ => match kind % 5 {
            0 => Event::StopRequested,
            1 => Event::Announce { text: "  ".into() },
            2 => Event::TextTurn { text: " ".into() },
            _ => Event::Tick,
        },
    }
}

fn call(kind: u8) -> ToolCall {
    let parameters = json!({ "level": kind % 3 }).as_object().cloned().unwrap_or_default();
    ToolCall { name: "set_volume".into(), parameters }
}

fn think(part: usize) -> Step {
    Step::Think { request: "set the volume".into(), part }
}

fn step(kind: u8) -> Step {
    match kind % 4 {
        0 => think(usize::from(kind)),
        1 => Step::Say { text: "Okay.".into() },
        _ => Step::Run { call: call(kind), part: usize::from(kind) },
    }
}

/// Possible results of a job; kind 0 is the usual one.
fn answer(job: &str, work: WorkId, kind: u8) -> Event {
    match (job, kind % 16) {
        ("transcribe", 0..=9) => Event::Transcript { work, text: Some("set the volume".into()) },
        ("transcribe", 10..=12) => Event::Transcript { work, text: None },
        ("transcribe", 13) => Event::Transcript { work, text: Some("  ".into()) },
        ("transcribe", _) => Event::SttFailed { work },
        ("interpret", 0..=6) => Event::Understood { work, steps: vec![think(0)] },
        ("interpret", 7) => Event::Understood { work, steps: Vec::new() },
        ("interpret", k) => Event::Understood { work, steps: (8..k).map(step).collect() },
        ("generate", 0..=1) => Event::ReplyDone { work },
        ("generate", 2..=6) => Event::Sentence { work, text: "The volume is set.".into() },
        ("generate", 7) => Event::Sentence { work, text: " ".into() },
        ("generate", 8..=11) => Event::ToolWanted { work, call: call(kind / 16) },
        ("generate", 12) => Event::CallCutOff { work },
        ("generate", 13) => Event::Malformed { work, raw: "{\"name\"".into(), problems: vec!["not JSON".into()] },
        ("generate", 14) => Event::ModelFailed { work, spoken: None },
        ("generate", _) => Event::ModelFailed { work, spoken: Some("I am out of memory.".into()) },
        (_, k) => Event::ToolDone {
            work,
            result: if k % 4 == 3 { json!({ "error": "no" }) } else { json!({ "ok": true }) },
            spoken: match k % 3 {
                0 => Some("Done.".into()),
                1 => Some(String::new()),
                _ => None,
            },
            then: match k {
                12 => Then::Sleep,
                13 => Then::Repeat,
                _ => Then::Answer,
            },
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_wedges_it_and_time_alone_puts_it_to_sleep(settings in settings(), ops in ops()) {
        let mut world = World::new(settings);
        for op in &ops {
            world.apply(op);
        }
        world.run_down();
    }

    #[test]
    fn a_world_that_answers_brings_it_to_rest(settings in settings(), ops in ops()) {
        let mut world = World::new(settings);
        for op in &ops {
            world.apply(op);
        }
        world.cooperate();
    }

    #[test]
    fn with_barge_in_the_wake_word_is_always_heard(ops in ops()) {
        // No echo to fear: the ears are never deaf, and waking it always ends in listening.
        let settings = Settings { barge_in: true, ..Settings::default() };
        let mut dialog = Dialog::new(settings);
        let mut now = Duration::ZERO;
        for op in &ops {
            let event = match op {
                Op::Wait(ms) => { now += Duration::from_millis(*ms); Event::Tick }
                Op::Plain(k) => plain(*k),
                Op::Answer(k) | Op::Played(k) => answer("transcribe", WorkId { turn: dialog.turn(), revision: 1 }, *k),
                _ => Event::Tick,
            };
            dialog.step(now, event);
            prop_assert_ne!(dialog.mode(), EarMode::Deaf);
            let mut woken = dialog.clone();
            woken.step(now, Event::Wake { model: "alexa".into() });
            prop_assert_eq!(woken.state(), State::Listening);
        }
    }
}
