//! The state machine.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::schema::{Message, Role, ToolCall};
use crate::units::{TurnId, WorkId};

use super::context::compact_json;
use super::speech::Speech;
use super::turn::{Job, Origin, Turn};
use super::{Action, Earcon, Event, Mode, Settings, State, Then, words};

/// Announcements and rings that wait; the oldest is dropped when one more comes.
const WAITING_MAX: usize = 8;
/// Requests before this one that a tool may look at.
const SAID_MAX: usize = 3;
/// What of a malformed call is shown back to the model.
const RAW_MAX_CHARS: usize = 500;

/// One conversation: feed it events, carry out its actions.
#[derive(Debug, Clone)]
pub struct Dialog {
    settings: Settings,
    now: Duration,
    turn: TurnId,
    revision: u32,
    phase: Phase,
    /// What the ears were last told.
    mode: Mode,
    /// What people were last shown.
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
    /// Asleep, with the ears assumed to listen for the wake word ([`Mode::Asleep`]).
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Duration::ZERO,
            turn: TurnId(0),
            revision: 0,
            phase: Phase::Asleep,
            mode: Mode::Asleep,
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

    /// What follows from `event` at `now` (since start; time that runs backwards counts as standing still).
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        match event {
            Event::Wake { .. } => {
                if self.mode != Mode::Deaf {
                    self.listen();
                }
            }
            Event::PushToTalk => self.listen(),
            Event::TextTurn { text } => self.text_turn(text.trim()),
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

    /// What the ears were last told.
    pub fn mode(&self) -> Mode {
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

    fn text_turn(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.interrupt();
        self.next_turn();
        let mut turn = Turn::new(Origin::Addressed, self.now);
        turn.asked(text);
        self.begin(turn);
        self.start(Job::Interpret);
    }

    fn speech_started(&mut self) {
        let origin = match (&self.phase, self.mode) {
            (Phase::Listening { origin, speech: false, .. }, Mode::Open) => *origin,
            (Phase::FollowUp { until }, Mode::Open) => {
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
            (Phase::Listening { origin, .. }, Mode::Open) => *origin,
            (Phase::FollowUp { until }, Mode::Open) => {
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
                // Whoever woke it is told that it gave up; whoever chatted beside it is not.
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

    /// What comes of the event: a finished turn ends, what waited begins, ears and people are told.
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
        if turn.sleep_after && !turn.has_spoken() {
            self.earcon(Earcon::Asleep);
        }
        if turn.origin == Origin::Ring {
            let pause = if window.is_zero() { ms(self.settings.ring_pause_ms) } else { window };
            self.ring_at = open + pause;
            if self.rings_left == 0 {
                self.rings.clear();
            }
        }
        if turn.origin != Origin::Announcement && !turn.sleep_after && !window.is_zero() {
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

    // ---- within a turn

    fn work_event(&mut self, event: Event) {
        match event {
            Event::Transcript { work, text } if self.is_at(work, Stage::Transcribe) => self.transcript(text),
            Event::SttFailed { work } if self.is_at(work, Stage::Transcribe) => self.conclude(words::STT_FAILED),
            Event::CommandFound { work, calls } if self.is_at(work, Stage::Interpret) => {
                if let Some(turn) = self.busy() {
                    turn.queue = calls.into();
                }
                self.next_command();
            }
            Event::NoCommand { work } if self.is_at(work, Stage::Interpret) => self.generate(Vec::new()),
            Event::Sentence { work, text } if self.is_at(work, Stage::Generate) => self.sentence(&text),
            Event::ToolWanted { work, call } if self.is_at(work, Stage::Generate) => self.tool_wanted(call),
            Event::Malformed { work, raw, problems } if self.is_at(work, Stage::Generate) => {
                self.malformed(&raw, &problems);
            }
            Event::ReplyDone { work } if self.is_at(work, Stage::Generate) => self.reply_done(),
            Event::ModelFailed { work, spoken } if self.is_at(work, Stage::Generate) => {
                self.conclude(spoken.as_deref().unwrap_or(words::MODEL_FAILED));
            }
            Event::ToolDone { work, result, spoken, then } if self.is_at(work, Stage::Tool) => {
                self.tool_done(&result, spoken, then);
            }
            Event::PlaybackStarted { work, sentence } => {
                let now = self.now;
                if let Some(turn) = self.busy()
                    && let Some(speech) = &mut turn.speech
                    && speech.work == work
                    && speech.started(sentence)
                {
                    turn.progress = now;
                }
            }
            Event::PlaybackDone { work, sentence } => self.playback_done(work, sentence),
            Event::SpeakFailed { work } if self.is_saying(work) => self.silence(),
            // Stale work, or nothing of the kind is under way.
            _ => {}
        }
    }

    fn transcript(&mut self, text: Option<String>) {
        let text = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let Some(turn) = self.busy() else { return };
        match (text, turn.origin) {
            (Some(text), _) => {
                turn.asked(&text);
                self.start(Job::Interpret);
            }
            // A door slammed in the follow-up window: nobody wants an apology for that.
            (None, Origin::FollowUp { until }) => {
                self.phase = if until > self.now { Phase::FollowUp { until } } else { Phase::Asleep };
            }
            (None, _) => self.conclude(words::NOT_UNDERSTOOD),
        }
    }

    /// Runs the next call of the fast path, or answers when all have run.
    fn next_command(&mut self) {
        let most = self.settings.max_tool_calls;
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        let next = turn.queue.pop_front();
        match next {
            Some(call) if turn.calls < most => self.run(call, true),
            None if turn.tool_words.is_none() => self.generate(Vec::new()),
            more => {
                self.say_tool_words();
                if more.is_some() {
                    self.say(words::TOO_MANY_CALLS);
                }
            }
        }
    }

    fn tool_wanted(&mut self, call: ToolCall) {
        let most = self.settings.max_tool_calls;
        let Some(turn) = self.busy() else { return };
        // A small model that lost the thread repeats itself; doing a thing twice is worse than stopping.
        let again = turn.has_called(&call);
        if again {
            self.conclude(words::DONE);
        } else if turn.calls >= most {
            self.conclude(words::TOO_MANY_CALLS);
        } else {
            self.run(call, false);
        }
    }

    fn run(&mut self, call: ToolCall, fast: bool) {
        if let Some(turn) = self.busy() {
            turn.calls += 1;
        }
        self.start(Job::Tool { call, fast });
    }

    fn tool_done(&mut self, result: &Value, spoken: Option<String>, then: Then) {
        let spoken = match then {
            Then::Repeat => {
                let last = self.remembered(|r| r.reply.clone()).flatten();
                Some(last.unwrap_or_else(|| words::NOTHING_TO_REPEAT.to_owned()))
            }
            Then::Answer | Then::Sleep => spoken,
        };
        if then == Then::Sleep {
            self.rings.clear();
        }
        let Some(turn) = self.busy() else { return };
        let Some((_, Job::Tool { call, fast })) = turn.job.take() else { return };
        turn.called(&call, result);
        turn.sleep_after |= then == Then::Sleep;
        let failed = result.get("error").is_some() && spoken.is_some();
        match (&mut turn.tool_words, spoken) {
            (Some(words), Some(s)) => words.push(s),
            (Some(words), None) if then == Then::Sleep => words.push(String::new()),
            (words, None) => *words = None,
            (None, Some(s)) if failed => turn.tool_words = Some(vec![s]),
            (None, Some(_)) => {}
        }
        if failed || turn.sleep_after {
            turn.queue.clear();
            self.say_tool_words();
        } else if fast {
            self.next_command();
        } else {
            self.generate(Vec::new());
        }
    }

    fn sentence(&mut self, text: &str) {
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.progress = now;
        // Tools that brought their own words are answered in them; the model was asked only whether more calls follow.
        if turn.speech.is_none() && turn.calls > 0 && turn.tool_words.is_some() {
            turn.job = None;
            let cancelled = self.fresh();
            self.out.push(Action::CancelBefore(cancelled));
            self.say_tool_words();
        } else {
            self.say(text);
        }
    }

    fn malformed(&mut self, raw: &str, problems: &[String]) {
        let Some(turn) = self.busy() else { return };
        if turn.repaired {
            return self.conclude(words::CANNOT_CALL);
        }
        turn.repaired = true;
        let shown: String = raw.chars().take(RAW_MAX_CHARS).collect();
        let error = compact_json(&serde_json::json!({ "error": problems.join("; ") }));
        self.generate(vec![Message::new(Role::Assistant, shown), Message::new(Role::Tool, error)]);
    }

    fn reply_done(&mut self) {
        let Some(turn) = self.busy() else { return };
        if turn.has_spoken() {
            turn.job = None;
        } else {
            self.conclude(words::NO_ANSWER);
        }
    }

    /// Ends the work of this turn: with what its tools had to say, or else with `otherwise`.
    fn conclude(&mut self, otherwise: &str) {
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        turn.queue.clear();
        if turn.calls > 0 && turn.tool_words.is_some() && !turn.has_spoken() {
            self.say_tool_words();
        } else {
            self.say(otherwise);
        }
    }

    fn say_tool_words(&mut self) {
        let Some(turn) = self.busy() else { return };
        for sentence in turn.tool_words.replace(Vec::new()).unwrap_or_default() {
            self.say(&sentence);
        }
    }

    fn generate(&mut self, extra: Vec<Message>) {
        let work = self.fresh();
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.job = Some((work, Job::Generate));
        turn.progress = now;
        let mut exchange = turn.exchange.clone();
        exchange.extend(extra);
        self.out.push(Action::Generate { work, exchange });
    }

    /// Makes `job` the one thing waited for. (`Generate` goes through [`Self::generate`].)
    fn start(&mut self, job: Job) {
        let work = self.fresh();
        let now = self.now;
        let said: Vec<String> = self.remembered(|m| m.said.iter().cloned().collect()).unwrap_or_default();
        let Some(turn) = self.busy() else { return };
        turn.progress = now;
        let action = match &job {
            Job::Transcribe => Action::Transcribe { work },
            Job::Interpret => Action::Interpret { work, text: turn.request.clone() },
            Job::Generate => Action::Generate { work, exchange: turn.exchange.clone() },
            Job::Tool { call, .. } => {
                let said = said.into_iter().chain([turn.request.clone()]).collect();
                Action::RunTool { work, call: call.clone(), said }
            }
        };
        turn.job = Some((work, job));
        self.out.push(action);
    }

    // ---- saying

    fn say(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.busy().is_none() {
            return;
        }
        let work = match self.busy().and_then(|t| t.speech.as_ref()) {
            Some(speech) => speech.work,
            None => self.fresh(),
        };
        self.hear(self.speaking_mode());
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        let speech = turn.speech.get_or_insert_with(|| Speech::new(work));
        if speech.is_over() {
            turn.progress = now;
        }
        let sentence = speech.add(text);
        self.out.push(Action::Say { work, sentence, text: text.to_owned() });
    }

    fn playback_done(&mut self, work: WorkId, sentence: u32) {
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        let Some(speech) = &mut turn.speech else { return };
        if speech.work == work && speech.played(sentence) {
            turn.progress = now;
            if speech.is_over() {
                self.guard();
            }
        }
    }

    /// The loudspeaker is stuck or gone: this turn says nothing more.
    fn silence(&mut self) {
        let cancelled = self.fresh();
        self.out.push(Action::StopSpeaking);
        self.out.push(Action::CancelBefore(cancelled));
        self.guard();
        if let Some(turn) = self.busy() {
            turn.job = None;
            turn.queue.clear();
            turn.retire_speech();
        }
        self.out.push(Action::Earcon(Earcon::Error));
    }

    /// The watchdog: something that was waited for never came.
    fn recover(&mut self) {
        if self.busy().and_then(|t| t.speech.as_ref()).is_some_and(|s| !s.is_over()) {
            return self.silence();
        }
        let cancelled = self.fresh();
        self.out.push(Action::CancelBefore(cancelled));
        if let Some(turn) = self.busy() {
            turn.retire_speech();
        }
        self.conclude(words::TOO_SLOW);
    }

    // ---- small things

    fn is_at(&self, work: WorkId, stage: Stage) -> bool {
        let Phase::Busy(turn) = &self.phase else { return false };
        match &turn.job {
            Some((w, job)) if *w == work => matches!(
                (job, stage),
                (Job::Transcribe, Stage::Transcribe)
                    | (Job::Interpret, Stage::Interpret)
                    | (Job::Generate, Stage::Generate)
                    | (Job::Tool { .. }, Stage::Tool)
            ),
            _ => false,
        }
    }

    fn is_saying(&self, work: WorkId) -> bool {
        let Phase::Busy(turn) = &self.phase else { return false };
        turn.speech.as_ref().is_some_and(|s| s.work == work && !s.is_over())
    }

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

    fn guard(&mut self) {
        if !self.settings.barge_in {
            self.deaf_until = self.now + ms(self.settings.echo_guard_ms);
        }
    }

    fn patience(&self) -> Duration {
        ms(self.settings.thinking_ms)
    }

    fn speaking_mode(&self) -> Mode {
        if self.settings.barge_in { Mode::Asleep } else { Mode::Deaf }
    }

    fn wanted_mode(&self) -> Mode {
        match &self.phase {
            Phase::Busy(turn) if turn.speech.is_some() => self.speaking_mode(),
            _ if self.now < self.deaf_until => Mode::Deaf,
            Phase::Listening { .. } | Phase::FollowUp { .. } => Mode::Open,
            // While it thinks, the wake word calls off the turn.
            Phase::Asleep | Phase::Busy(_) => Mode::Asleep,
        }
    }

    fn hear(&mut self, mode: Mode) {
        if mode != self.mode {
            self.mode = mode;
            self.out.push(Action::Hear(mode));
        }
    }
}

/// The kinds of [`Job`], for matching results to what is waited for.
#[derive(Clone, Copy)]
enum Stage {
    Transcribe,
    Interpret,
    Generate,
    Tool,
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
