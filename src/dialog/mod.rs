//! The conversation as a pure state machine: what to do next is a function of state, time and event.
//!
//! No I/O, no clock, no threads: the coordinator feeds [`Event`]s with the time since start and carries out the
//! [`Action`]s in order. [`Dialog::deadline`] says when a [`Event::Tick`] is due. Every piece of work that is started
//! carries a [`WorkId`]; its results come back with that id, and stale ones are ignored.
//!
//! Invariants (property-tested in `properties.rs`):
//! - Ticks alone bring every state back to [`State::Asleep`] within a bound: nothing wedges the conversation.
//! - A sentence of new work is said only after the previous work finished or was stopped.
//! - While it speaks, and for the echo guard after it, ears are [`EarMode::Deaf`]; after that they never are.
//! - At most one job (transcription, interpretation, generation, tool) is under way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problems::Problems;
use crate::schema::{EarMode, Message, ToolCall};
use crate::units::WorkId;

pub mod context;
mod excerpt;
pub mod json;
mod machine;
#[cfg(test)]
mod properties;
mod speech;
#[cfg(test)]
mod tests;
mod turn;
mod words;

pub use context::Context;
pub use machine::Dialog;

/// How the conversation behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Who the agent is: the first line of the system prompt. One line; keep it short for a small model.
    pub persona: String,
    /// How long after the wake word speech may begin before it goes back to sleep.
    pub wake_timeout_ms: u64,
    /// How long after a reply speech starts a turn without the wake word. 0 turns follow-ups off.
    pub follow_up_ms: u64,
    /// Longest utterance waited for; what is longer is dropped.
    pub utterance_ms: u64,
    /// Longest wait for any one step (transcript, token, tool, loudspeaker) before it apologises and recovers.
    pub thinking_ms: u64,
    /// How long after the last audible sample of its own voice the ears stay deaf.
    pub echo_guard_ms: u64,
    /// Most calls that the model may make for one thing that was asked.
    pub max_tool_calls: u32,
    /// How often a ringing timer announces itself before it gives up.
    pub ring_times: u32,
    /// Pause between two rings where follow-ups are off (otherwise the follow-up window is the pause).
    pub ring_pause_ms: u64,
    /// Short sounds that say "listening", "did not hear", "gone to sleep".
    pub earcons: bool,
    /// The wake word interrupts a reply. Needs echo cancellation; without it the agent hears itself.
    pub barge_in: bool,
    /// Minutes without a turn after which the conversation is forgotten. 0 forgets after every turn.
    pub forget_after_min: u64,
    /// Tokens of the context kept free for the reply.
    pub reply_tokens: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            persona: "You are a friendly voice assistant. Reply briefly, as if speaking aloud.".to_owned(),
            wake_timeout_ms: 5_000,
            follow_up_ms: 6_000,
            utterance_ms: 35_000,
            thinking_ms: 30_000,
            echo_guard_ms: 300,
            max_tool_calls: 4,
            ring_times: 8,
            ring_pause_ms: 3_000,
            earcons: true,
            barge_in: false,
            forget_after_min: 10,
            reply_tokens: 200,
        }
    }
}

impl Settings {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        problems.range("wake_timeout_ms", self.wake_timeout_ms, 1_000..=60_000);
        problems.range("follow_up_ms", self.follow_up_ms, 0..=60_000);
        problems.range("utterance_ms", self.utterance_ms, 3_000..=120_000);
        problems.range("thinking_ms", self.thinking_ms, 1_000..=600_000);
        problems.range("echo_guard_ms", self.echo_guard_ms, 0..=5_000);
        problems.range("max_tool_calls", self.max_tool_calls, 1..=16);
        problems.range("ring_times", self.ring_times, 1..=100);
        problems.range("ring_pause_ms", self.ring_pause_ms, 500..=60_000);
        problems.range("forget_after_min", self.forget_after_min, 0..=24 * 60);
        problems.range("reply_tokens", self.reply_tokens, 16..=4_096);
        match self.persona.lines().count() {
            _ if self.persona.trim().is_empty() => {
                problems.wrong("persona", "must not be empty: write one line of text")
            }
            0 | 1 => {}
            lines => problems.wrong("persona", format!("must be one line of text, not {lines} lines")),
        }
    }
}

/// Where the conversation stands, as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Waiting for the wake word.
    Asleep,
    /// Woken (or spoken to in a follow-up window); waiting for the end of the utterance.
    Listening,
    /// An utterance is being transcribed, interpreted or answered; nothing has been said yet.
    Thinking,
    /// The reply is being said, or its echo is dying away.
    Speaking,
    /// The reply is over; speech now starts a turn without the wake word.
    FollowUp,
}

/// Short sounds. The coordinator plays them in order with what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Earcon {
    /// Woken: go ahead.
    Listening,
    /// Nothing was said, or it was told to stop: asleep again.
    Asleep,
    /// Something broke and cannot be said in words.
    Error,
    /// A timer rings.
    Ring,
}

/// What a tool wants of the conversation after it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Then {
    /// Answer as usual.
    #[default]
    Answer,
    /// Say the last reply again.
    Repeat,
    /// Say no more, stop ringing, go to sleep.
    Sleep,
}

/// One thing that an utterance asks for. `part` says which of its parts it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This call, understood without the model.
    Run { call: ToolCall, part: usize },
    /// Ask the model about this.
    Think { request: String, part: usize },
    /// Say this.
    Say { text: String },
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The wake word `model` was heard.
    Wake {
        model: String,
    },
    /// A button was pressed: listen now, whatever is being said.
    PushToTalk,
    /// A turn that arrives as text (API, kiosk). The newest request wins over what is under way.
    TextTurn {
        text: String,
    },
    /// As `TextTurn`, to be answered in writing: whoever carries out `Say` shows the sentence and reports it as heard.
    /// Nobody in the room asked, so no one is listened to afterwards.
    Written {
        text: String,
    },
    /// Speech began.
    SpeechStarted,
    /// What began was too short to be speech; nothing is held.
    SpeechDropped,
    /// The end of the turn was found; the ears hold the utterance until `Transcribe` or `DropUtterance`.
    TurnEnded,
    /// The final transcript; `None` where nothing intelligible was said.
    Transcript {
        work: WorkId,
        text: Option<String>,
    },
    SttFailed {
        work: WorkId,
    },
    /// What the utterance asks for, in order; nothing where it was all taken back.
    Understood {
        work: WorkId,
        steps: Vec<Step>,
    },
    /// The model produced a sentence.
    Sentence {
        work: WorkId,
        text: String,
    },
    /// The model wrote a call that passed its schema; this generation is over.
    ToolWanted {
        work: WorkId,
        call: ToolCall,
    },
    /// The model wrote something that is not a valid call of a known tool; this generation is over.
    Malformed {
        work: WorkId,
        raw: String,
        problems: Vec<String>,
    },
    /// The model was still writing a call when no more tokens could come; this generation is over.
    CallCutOff {
        work: WorkId,
    },
    /// The model finished its reply.
    ReplyDone {
        work: WorkId,
    },
    /// The model failed; `spoken` is what to tell the user, where there is something better than an apology.
    ModelFailed {
        work: WorkId,
        spoken: Option<String>,
    },
    /// A tool ran (or refused). `spoken` is the tool's own answer; `Some("")` asks for silence; without one the model
    /// answers.
    ToolDone {
        work: WorkId,
        result: Value,
        spoken: Option<String>,
        then: Then,
    },
    /// The first sample of this sentence left the loudspeaker.
    PlaybackStarted {
        work: WorkId,
        sentence: u32,
    },
    /// The last audible sample of this sentence, and of all before it, left the loudspeaker.
    PlaybackDone {
        work: WorkId,
        sentence: u32,
    },
    /// The loudspeaker failed, or too much waits to be said; nothing more of this work will be heard.
    SpeakFailed {
        work: WorkId,
    },
    /// The voice could not make a sentence of this work; what was to follow it will not be heard.
    VoiceFailed {
        work: WorkId,
    },
    /// Something to say when nothing else is going on.
    Announce {
        text: String,
    },
    /// A timer is due: ring and say `text` until it is stopped.
    Ring {
        text: String,
    },
    /// Stop ringing (the ringing timer was cancelled).
    RingStop,
    /// The microphone went away.
    DeviceLost,
    /// The microphone is back.
    DeviceRestored,
    /// Stop everything and go to sleep (button, API).
    StopRequested,
    /// [`Dialog::deadline`] has come.
    Tick,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The state changed; for people to see.
    State(State),
    Hear(EarMode),
    /// Transcribe the utterance the ears hold → `Transcript` or `SttFailed`.
    Transcribe {
        work: WorkId,
    },
    /// The utterance the ears hold is not wanted.
    DropUtterance,
    /// Find out what the utterance asks for → `Understood`.
    Interpret {
        work: WorkId,
        text: String,
    },
    /// Generate after `exchange` (what this step is about so far; the memory goes before it) → `Sentence`*, then one of
    /// `ReplyDone`, `ToolWanted`, `Malformed`, `CallCutOff`, `ModelFailed`.
    Generate {
        work: WorkId,
        exchange: Vec<Message>,
    },
    /// Run a call that belongs to `part` of the utterance; `said` is what the user said lately, this turn's request last;
    /// `fast`: the call was understood without the model → `ToolDone`.
    RunTool {
        work: WorkId,
        call: ToolCall,
        part: usize,
        said: Vec<String>,
        fast: bool,
    },
    /// Say a sentence after those of the same work → `PlaybackStarted`, `PlaybackDone`, `SpeakFailed` or `VoiceFailed`.
    /// `sentence` counts from 0 within a work.
    Say {
        work: WorkId,
        sentence: u32,
        text: String,
    },
    /// Silence at once; pending speech is dropped and reports nothing more.
    StopSpeaking,
    Earcon(Earcon),
    /// All work with a smaller id is cancelled; its results are no longer wanted.
    CancelBefore(WorkId),
    /// The turn is over; these messages are what the memory keeps of it (what was heard, not what was generated).
    Remember {
        messages: Vec<Message>,
    },
}
