//! The state machine: phases, time, and what begins and ends a turn.

use std::collections::VecDeque;
use std::time::Duration;

use crate::schema::EarMode;
use crate::units::{TurnId, WorkId};

use super::speech::Speech;
use super::turn::{Job, Origin, Turn};
use super::{Action, Earcon, Event, Settings, State};

mod voice;
mod work;

/// Announcements and rings that wait; the oldest is dropped when one more comes.
const WAITING_MAX: usize = 8;
/// Requests before this one that a tool may look at.
const SAID_MAX: usize = 3;

/// One conversation: feed it events, carry out its actions.
#[derive(Debug, Clone)]
pub struct Dialog {
    settings: Settings,
    now: Duration,
    turn: TurnId,
    revision: u32,
    phase: Phase,
    /// The mode the ears were last given.
    mode: EarMode,
    /// The state people were last shown.
    shown: State,
    /// Echo of its own voice until then.
    deaf_until: Duration,
    announcements: VecDeque<String>,
    rings: VecDeque<String>,
    rings_left: u32,
    ring_at: Duration,
    recent: Recent,
    out: Vec<Action>,
}

#[derive(Debug, Clone)]
enum Phase {
    Asleep,
    Listening { origin: Origin, until: Duration, speech: bool },
    Busy(Box<Turn>),
    FollowUp { until: Duration },
}

/// What the last turns leave behind.
#[derive(Debug, Clone, Default)]
struct Recent {
    at: Duration,
    reply: Option<String>,
    said: VecDeque<String>,
}

impl Dialog {
    /// Asleep, with the ears assumed to listen for the wake word ([`EarMode::Asleep`]).
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Duration::ZERO,
            turn: TurnId(0),
            revision: 0,
            phase: Phase::Asleep,
            mode: EarMode::Asleep,
            shown: State::Asleep,
            deaf_until: Duration::ZERO,
            announcements: VecDeque::new(),
            rings: VecDeque::new(),
            rings_left: 0,
            ring_at: Duration::ZERO,
            recent: Recent::default(),
            out: Vec::new(),
        }
    }

    /// What follows from `event` at `now` (since start; time that runs backwards counts as unchanged).
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        match event {
            Event::Wake { .. } => {
                if self.mode != EarMode::Deaf {
                    self.listen();
                }
            }
            Event::PushToTalk => self.listen(),
            Event::TextTurn { text } => self.text_turn(text.trim(), Origin::Addressed),
            Event::Written { text } => self.text_turn(text.trim(), Origin::Written),
            Event::SpeechStarted => self.speech_started(),
            Event::SpeechDropped => self.speech_dropped(),
            Event::TurnEnded => self.turn_ended(),
            Event::Announce { text } => push_bounded(&mut self.announcements, text),
            Event::Ring { text } => {
                push_bounded(&mut self.rings, text);
                self.rings_left = self.settings.ring_times;
                self.ring_at = self.now;
            }
            Event::RingStop => self.rings.clear(),
            Event::DeviceLost => {
                if matches!(self.phase, Phase::Listening { .. } | Phase::FollowUp { .. }) {
                    self.phase = Phase::Asleep;
                }
            }
            Event::DeviceRestored => self.out.push(Action::Hear(self.mode)),
            Event::StopRequested => self.stop(),
            Event::Tick => self.tick(),
            of_a_turn => self.work_event(of_a_turn),
        }
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// When the next [`Event::Tick`] is due; `None` where only an event can change anything.
    pub fn deadline(&self) -> Option<Duration> {
        let mut at = match &self.phase {
            Phase::Asleep => None,
            Phase::Listening { until, .. } | Phase::FollowUp { until } => Some(*until),
            Phase::Busy(turn) => Some(turn.gives_up_at(self.patience())),
        };
        let mut sooner = |t: Duration| at = Some(at.map_or(t, |a: Duration| a.min(t)));
        if self.now < self.deaf_until {
            sooner(self.deaf_until);
        }
        if !self.rings.is_empty() && matches!(self.phase, Phase::Asleep | Phase::FollowUp { .. }) {
            sooner(self.ring_at);
        }
        at
    }

    /// Where the conversation stands.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Asleep => State::Asleep,
            Phase::Listening { .. } => State::Listening,
            Phase::Busy(turn) if turn.speech.is_some() => State::Speaking,
            Phase::Busy(_) => State::Thinking,
            // Its echo is dying away; nobody is heard yet.
            Phase::FollowUp { .. } if self.now < self.deaf_until => State::Speaking,
            Phase::FollowUp { .. } => State::FollowUp,
        }
    }

    /// Whether something rings that nobody has answered yet.
    pub fn is_ringing(&self) -> bool {
        !self.rings.is_empty()
    }

    /// The mode the ears were last given.
    pub fn mode(&self) -> EarMode {
        self.mode
    }

    /// The current turn's id; results of other turns are stale.
    pub fn turn(&self) -> TurnId {
        self.turn
    }

    // ---- starting and ending turns

    /// The user asked for attention: whatever is under way ends.
    fn listen(&mut self) {
        self.interrupt();
        self.next_turn();
        self.earcon(Earcon::Listening);
        let until = self.now.max(self.deaf_until) + ms(self.settings.wake_timeout_ms);
        self.phase = Phase::Listening { origin: Origin::Addressed, until, speech: false };
    }

    fn text_turn(&mut self, text: &str, origin: Origin) {
        if text.is_empty() {
            return;
        }
        self.interrupt();
        self.next_turn();
        let mut turn = Turn::new(origin, self.now);
        turn.asked(text);
        self.begin(turn);
        self.start(Job::Interpret);
    }

    fn speech_started(&mut self) {
        let origin = match (&self.phase, self.mode) {
            (Phase::Listening { origin, speech: false, .. }, EarMode::Open) => *origin,
            (Phase::FollowUp { until }, EarMode::Open) => {
                let origin = Origin::FollowUp { until: *until };
                self.next_turn();
                origin
            }
            _ => return,
        };
        let until = self.now + ms(self.settings.utterance_ms);
        self.phase = Phase::Listening { origin, until, speech: true };
    }

    fn speech_dropped(&mut self) {
        if let Phase::Listening { origin, speech: true, .. } = self.phase {
            self.phase = match origin {
                Origin::FollowUp { until } => Phase::FollowUp { until },
                _ => {
                    let until = self.now + ms(self.settings.wake_timeout_ms);
                    Phase::Listening { origin, until, speech: false }
                }
            };
        }
    }

    fn turn_ended(&mut self) {
        let origin = match (&self.phase, self.mode) {
            (Phase::Listening { origin, .. }, EarMode::Open) => *origin,
            (Phase::FollowUp { until }, EarMode::Open) => {
                let origin = Origin::FollowUp { until: *until };
                self.next_turn();
                origin
            }
            _ => {
                self.out.push(Action::DropUtterance);
                return;
            }
        };
        self.begin(Turn::new(origin, self.now));
        self.start(Job::Transcribe);
    }

    /// Ends what is under way: silence, no more results wanted, the memory keeps what was heard.
    fn interrupt(&mut self) {
        if let Phase::Busy(turn) = std::mem::replace(&mut self.phase, Phase::Asleep) {
            if let Some(speech) = &turn.speech
                && !speech.is_over()
            {
                self.out.push(Action::StopSpeaking);
                self.guard();
            }
            self.out.push(Action::CancelBefore(WorkId { turn: TurnId(self.turn.0 + 1), revision: 0 }));
            self.remember(&turn);
        }
    }

    fn stop(&mut self) {
        self.rings.clear();
        self.announcements.clear();
        self.interrupt();
        self.phase = Phase::Asleep;
    }

    fn tick(&mut self) {
        match &self.phase {
            Phase::Listening { origin, until, .. } if self.now >= *until => {
                // Whoever woke it hears that it gave up; whoever chatted nearby does not.
                if *origin == Origin::Addressed {
                    self.earcon(Earcon::Asleep);
                }
                self.phase = Phase::Asleep;
            }
            Phase::FollowUp { until } if self.now >= *until => self.phase = Phase::Asleep,
            Phase::Busy(turn) if self.now >= turn.gives_up_at(self.patience()) => self.recover(),
            _ => {}
        }
    }

    /// The consequences of the event: a finished turn ends, what waited begins, ears and observers are notified.
    fn settle(&mut self) {
        if let Phase::Busy(turn) = &self.phase
            && turn.job.is_none()
            && turn.speech.as_ref().is_none_or(Speech::is_over)
        {
            self.finish();
        }
        if !self.rings.is_empty()
            && self.now >= self.ring_at
            && matches!(self.phase, Phase::Asleep | Phase::FollowUp { .. })
        {
            self.ring();
        } else if matches!(self.phase, Phase::Asleep)
            && let Some(text) = self.announcements.pop_front()
        {
            self.next_turn();
            self.begin(Turn::new(Origin::Announcement, self.now));
            self.say(&text);
        }
        self.hear(self.wanted_mode());
        let state = self.state();
        if state != self.shown {
            self.shown = state;
            self.out.insert(0, Action::State(state));
        }
    }

    fn finish(&mut self) {
        let Phase::Busy(turn) = std::mem::replace(&mut self.phase, Phase::Asleep) else { return };
        self.remember(&turn);
        let open = self.now.max(self.deaf_until);
        let window = ms(self.settings.follow_up_ms);
        if turn.sleep_after && !turn.has_spoken() && turn.origin != Origin::Written {
            self.earcon(Earcon::Asleep);
        }
        if turn.origin == Origin::Ring {
            let pause = if window.is_zero() { ms(self.settings.ring_pause_ms) } else { window };
            self.ring_at = open + pause;
            if self.rings_left == 0 {
                self.rings.clear();
            }
        }
        let nobody_asked = matches!(turn.origin, Origin::Announcement | Origin::Written);
        if !nobody_asked && !turn.sleep_after && !window.is_zero() {
            self.phase = Phase::FollowUp { until: open + window };
        }
    }

    fn ring(&mut self) {
        let text = self.rings.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        self.rings_left = self.rings_left.saturating_sub(1);
        self.next_turn();
        self.begin(Turn::new(Origin::Ring, self.now));
        // The ears must not hear the chime either.
        self.hear(self.speaking_mode());
        self.out.push(Action::Earcon(Earcon::Ring));
        self.say(&text);
    }

    fn remember(&mut self, turn: &Turn) {
        if self.remembered(|_| ()).is_none() {
            self.recent = Recent::default();
        }
        self.recent.at = self.now;
        if let Some(heard) = turn.heard() {
            self.recent.reply = Some(heard);
        }
        if !turn.request.is_empty() {
            if self.recent.said.len() == SAID_MAX {
                self.recent.said.pop_front();
            }
            self.recent.said.push_back(turn.request.clone());
        }
        if let Some(messages) = turn.memory() {
            self.out.push(Action::Remember { messages });
        }
    }

    // ---- small things

    fn busy(&mut self) -> Option<&mut Turn> {
        match &mut self.phase {
            Phase::Busy(turn) => Some(turn),
            _ => None,
        }
    }

    fn begin(&mut self, turn: Turn) {
        self.phase = Phase::Busy(Box::new(turn));
    }

    fn next_turn(&mut self) {
        self.turn = TurnId(self.turn.0 + 1);
        self.revision = 0;
    }

    fn fresh(&mut self) -> WorkId {
        self.revision = self.revision.saturating_add(1);
        WorkId { turn: self.turn, revision: self.revision }
    }

    /// Something of the recent turns, unless they are to be forgotten by now.
    fn remembered<T>(&self, f: impl FnOnce(&Recent) -> T) -> Option<T> {
        let forget_at = self.recent.at + Duration::from_secs(self.settings.forget_after_min.max(1) * 60);
        (self.now <= forget_at).then(|| f(&self.recent))
    }

    fn earcon(&mut self, which: Earcon) {
        if self.settings.earcons {
            self.out.push(Action::Earcon(which));
        }
    }

    /// Whether the turn under way is answered in writing: nothing sounds that the ears could mistake for a user.
    fn in_writing(&self) -> bool {
        matches!(&self.phase, Phase::Busy(turn) if turn.origin == Origin::Written)
    }

    fn guard(&mut self) {
        if !self.settings.barge_in && !self.in_writing() {
            self.deaf_until = self.now + ms(self.settings.echo_guard_ms);
        }
    }

    fn patience(&self) -> Duration {
        ms(self.settings.thinking_ms)
    }

    fn speaking_mode(&self) -> EarMode {
        if self.settings.barge_in || self.in_writing() { EarMode::Asleep } else { EarMode::Deaf }
    }

    fn wanted_mode(&self) -> EarMode {
        match &self.phase {
            Phase::Busy(turn) if turn.speech.is_some() => self.speaking_mode(),
            _ if self.now < self.deaf_until => EarMode::Deaf,
            Phase::Listening { .. } | Phase::FollowUp { .. } => EarMode::Open,
            // While it thinks, the wake word calls off the turn.
            Phase::Asleep | Phase::Busy(_) => EarMode::Asleep,
        }
    }

    fn hear(&mut self, mode: EarMode) {
        if mode != self.mode {
            self.mode = mode;
            self.out.push(Action::Hear(mode));
        }
    }
}

fn push_bounded(queue: &mut VecDeque<String>, text: String) {
    if text.trim().is_empty() {
        return;
    }
    if queue.len() == WAITING_MAX {
        queue.pop_front();
    }
    queue.push_back(text);
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
