//! Actions are carried out in the order given, whatever arises while they are.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialog::{Settings, State, Step, Then};
use crate::schema::{EarMode, ToolCall};
use crate::units::WorkId;

/// An event of a made-up dialog: its actions, each of which may raise another event.
type Steps = Vec<Vec<Option<usize>>>;

/// An event and one of its actions.
type Deed = (usize, usize);

/// What the steps gave and what was carried out, as (event, action).
fn drained(steps: &Steps, first: &[usize]) -> (Vec<Deed>, Vec<Deed>) {
    let mut events = Events::new();
    first.iter().for_each(|e| events.push(*e));
    let (mut given, mut carried_out) = (Vec::new(), Vec::new());
    events.drain(
        |event: usize| {
            let actions: Vec<_> = (0..steps[event].len()).map(|action| (event, action)).collect();
            given.extend_from_slice(&actions);
            actions
        },
        |(event, action), events| {
            carried_out.push((event, action));
            steps[event][action].into_iter().for_each(|raised| events.push(raised));
        },
    );
    (given, carried_out)
}

/// Steps whose actions raise later events only, so that they come to an end.
fn steps() -> impl Strategy<Value = Steps> {
    prop::collection::vec(prop::collection::vec(prop::option::of(1usize..4), 0..5), 1..12).prop_map(|mut steps| {
        let events = steps.len();
        for (event, actions) in steps.iter_mut().enumerate() {
            for raised in actions.iter_mut() {
                *raised = raised.map(|ahead| event + ahead).filter(|e| *e < events);
            }
        }
        steps
    })
}

/// Parts that answer at once what real ones answer at once now and then: the fast path, a prompt that does not fit, too
/// many commands, a voice with too much to say.
struct Room {
    mode: EarMode,
    state: State,
    waits: Vec<WorkId>,
    saying: Vec<(WorkId, u32)>,
    /// Which of them answer at once, a bit an action.
    at_once: u64,
}

impl Room {
    fn new(at_once: u64) -> Self {
        Self { mode: EarMode::Asleep, state: State::Asleep, waits: Vec::new(), saying: Vec::new(), at_once }
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        self.at_once = self.at_once.rotate_left(1);
        let at_once = self.at_once & 1 == 1;
        let event = match action {
            Action::Hear(mode) => {
                self.mode = mode;
                return None;
            }
            Action::State(state) => {
                self.state = state;
                return None;
            }
            Action::StopSpeaking => {
                self.saying.clear();
                return None;
            }
            Action::Say { work, sentence, .. } if !at_once => {
                self.saying.push((work, sentence));
                return None;
            }
            Action::Say { work, .. } => return Some(Event::SpeakFailed { work }),
            Action::Interpret { work, .. } if at_once => {
                Event::Understood { work, steps: vec![Step::Run { call: call(), part: 0 }] }
            }
            Action::Interpret { work, .. } => {
                let steps = vec![Step::Think { request: "Hello".into(), part: 0 }];
                return Some(Event::Understood { work, steps });
            }
            Action::Transcribe { work } => Event::Transcript { work, text: None },
            Action::Generate { work, .. } => Event::ModelFailed { work, spoken: Some("That is too long.".into()) },
            Action::RunTool { work, .. } => Event::ToolDone {
                work,
                result: json!({ "error": "busy" }),
                spoken: Some("I am busy.".into()),
                then: Then::Answer,
            },
            Action::DropUtterance | Action::Earcon(_) | Action::CancelBefore(_) | Action::Remember { .. } => {
                return None;
            }
        };
        if at_once {
            return Some(event);
        }
        self.waits.extend(work_of(&event));
        None
    }

    /// What must hold whenever nothing is left to be done.
    fn check(&self, dialog: &Dialog) -> Result<(), String> {
        let (mode, state) = (dialog.mode(), dialog.state());
        if self.mode != mode || self.state != state {
            return Err(format!("ears are {:?} for {mode:?}, shown is {:?} for {state:?}", self.mode, self.state));
        }
        if !self.saying.is_empty() && mode != EarMode::Deaf {
            return Err(format!("it hears its own voice: {:?}", self.saying));
        }
        Ok(())
    }

    /// A result of what is under way.
    fn answer(&mut self, kind: u8) -> Option<Event> {
        if kind < 8 {
            let (work, sentence) = self.saying.first().copied()?;
            if kind == 0 {
                return Some(Event::VoiceFailed { work });
            }
            self.saying.remove(0);
            return Some(Event::PlaybackDone { work, sentence });
        }
        let work = self.waits.pop()?;
        Some(match kind % 6 {
            0 => Event::Transcript { work, text: Some("What time is it?".into()) },
            1 => Event::SttFailed { work },
            2 => Event::Sentence { work, text: "It is noon.".into() },
            3 => Event::ReplyDone { work },
            4 => Event::ToolWanted { work, call: call() },
            _ => Event::ToolDone { work, result: json!({ "ok": true }), spoken: None, then: Then::Answer },
        })
    }
}

fn call() -> ToolCall {
    ToolCall { name: "get_time".into(), parameters: Default::default() }
}

fn work_of(event: &Event) -> Option<WorkId> {
    match event {
        Event::Transcript { work, .. } | Event::ModelFailed { work, .. } | Event::ToolDone { work, .. } => Some(*work),
        _ => None,
    }
}

fn from_outside(kind: u8) -> Event {
    match kind % 9 {
        0 => Event::Wake { model: "alexa".into() },
        1 => Event::PushToTalk,
        2 | 3 => Event::TextTurn { text: "What time is it?".into() },
        4 => Event::SpeechStarted,
        5 => Event::TurnEnded,
        6 => Event::Ring { text: "Your timer is done.".into() },
        7 => Event::Announce { text: "Good morning.".into() },
        _ => Event::StopRequested,
    }
}

/// A dialog in its follow-up window, and its room with open ears.
fn follow_up() -> (Dialog, Room, Duration) {
    let mut conductor = Conductor::new(Dialog::new(Settings::default()));
    let mut room = Room::new(0);
    let mut now = Duration::ZERO;
    let take = |conductor: &mut Conductor, room: &mut Room, now: Duration, event: Event| {
        conductor.events().push(event);
        conductor.run(|| now, |action, events| room.carry_out(action).into_iter().for_each(|e| events.push(e)));
    };
    take(&mut conductor, &mut room, now, Event::TextTurn { text: "Hello.".into() });
    let work = room.waits.pop().expect("it thinks");
    take(&mut conductor, &mut room, now, Event::Sentence { work, text: "Hello.".into() });
    take(&mut conductor, &mut room, now, Event::ReplyDone { work });
    let (work, sentence) = room.saying.pop().expect("it speaks");
    take(&mut conductor, &mut room, now, Event::PlaybackDone { work, sentence });
    now += Duration::from_secs(1);
    take(&mut conductor, &mut room, now, Event::Tick);
    assert_eq!((room.state, room.mode), (State::FollowUp, EarMode::Open));
    (conductor.dialog, room, now)
}

/// The parts in the order of [`follow_up`]'s text turn: the fast path finds nothing, the prompt does not fit.
fn prompt_that_does_not_fit(room: &mut Room, action: Action) -> Option<Event> {
    room.at_once = if matches!(action, Action::Generate { .. }) { u64::MAX } else { 0 };
    room.carry_out(action)
}

#[test]
fn a_prompt_that_does_not_fit_leaves_the_ears_deaf_while_it_says_so() {
    let (dialog, mut room, now) = follow_up();
    let mut conductor = Conductor::new(dialog);
    conductor.events().push(Event::TextTurn { text: "A very long request.".into() });
    conductor.run(
        || now,
        |action, events| prompt_that_does_not_fit(&mut room, action).into_iter().for_each(|e| events.push(e)),
    );
    assert_eq!((room.state, room.mode, room.saying.len()), (State::Speaking, EarMode::Deaf, 1));
    room.check(conductor.dialog()).expect("in order");
}

/// The check notices what a step within a step does: the order this queue is there to prevent.
#[test]
fn a_step_within_a_step_is_noticed() {
    fn nested(dialog: &mut Dialog, room: &mut Room, now: Duration, event: Event) {
        for action in dialog.step(now, event) {
            if let Some(event) = prompt_that_does_not_fit(room, action) {
                nested(dialog, room, now, event);
            }
        }
    }
    let (mut dialog, mut room, now) = follow_up();
    nested(&mut dialog, &mut room, now, Event::TextTurn { text: "A very long request.".into() });
    let told = room.check(&dialog).expect_err("out of order");
    assert!(told.starts_with("ears are Asleep for Deaf"), "{told}");
}

#[test]
fn a_full_queue_drops_what_comes_and_goes_on() {
    let mut events = Events::new();
    (0..WAITING_MAX + 9).for_each(|e| events.push(e));
    let mut taken = Vec::new();
    events.drain(
        |e| vec![e],
        |e, events| {
            taken.push(e);
            if e == 0 {
                events.push(1000);
            }
        },
    );
    assert_eq!(taken, (0..WAITING_MAX).chain([1000]).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn actions_are_carried_out_in_the_order_given(steps in steps(), first in prop::collection::vec(0usize..1, 1..3)) {
        let (given, carried_out) = drained(&steps, &first);
        prop_assert_eq!(given, carried_out);
    }

    #[test]
    fn ears_and_people_end_up_with_what_the_dialog_decided(
        at_once in any::<u64>(),
        ops in prop::collection::vec((0u8..4, any::<u8>(), 0u64..3000), 0..60),
    ) {
        let mut conductor = Conductor::new(Dialog::new(Settings::default()));
        let mut room = Room::new(at_once);
        let mut now = Duration::ZERO;
        for (what, kind, wait_ms) in ops {
            let event = match what {
                0 => from_outside(kind),
                1 | 2 => room.answer(kind % 32).unwrap_or(Event::Tick),
                _ => { now += Duration::from_millis(wait_ms); Event::Tick }
            };
            conductor.events().push(event);
            let mut carried_out = 0;
            conductor.run(|| now, |action, events| {
                carried_out += 1;
                room.carry_out(action).into_iter().for_each(|e| events.push(e));
            });
            prop_assert!(carried_out < 200, "{carried_out} actions of one event");
            if let Err(told) = room.check(conductor.dialog()) {
                return Err(TestCaseError::fail(told));
            }
        }
    }
}
