//! Owner threads, bounded queues, cancellation: wires audio, hear, llm, speak, dialog and tools together.
//!
//! | thread | owns | queue in | when full |
//! |---|---|---|---|
//! | `ears` | microphone, detectors | none; the mode is one atomic | – |
//! | `stt` | whisper.cpp | 2 utterances | drops the oldest (a newer one replaces it) |
//! | `llm` | session, KV cache | 1 prompt | drops the oldest (a newer one replaces it) |
//! | `tts` | Piper, espeak | 256 sentences and earcons | the reply fails |
//! | `playback` | watches the loudspeaker | 256 stretches of sound | `tts` waits |
//! | `tools` | configured commands | 4 calls | the call fails |
//! | coordinator | the dialog, the memory, timers | 256 messages | senders wait |
//!
//! The coordinator never waits for anything but its own queue, so the chain cannot deadlock. What arises while it carries out
//! the dialog's actions waits until all of them are done ([`conductor`]). A part that failed for good ends
//! the pipeline, once the apology has been heard; a panic in any of them ends it at once. Every piece of work carries a [`WorkId`];
//! the dialog ignores what is stale.

#[cfg(feature = "voice")]
mod archive;
mod cancel;
mod conductor;
#[cfg(feature = "voice")]
mod coordinator;
mod deeds;
#[cfg(feature = "voice")]
mod desk;
#[cfg(feature = "voice")]
mod executor;
#[cfg(feature = "voice")]
mod latency;
#[cfg(feature = "voice")]
mod listener;
#[cfg(feature = "voice")]
mod loudness;
mod mind;
#[cfg(feature = "voice")]
mod notice;
#[cfg(feature = "voice")]
mod queue;
mod report;
#[cfg(feature = "voice")]
mod speaker;
#[cfg(all(test, feature = "voice"))]
mod tests;
#[cfg(feature = "voice")]
mod thinker;
#[cfg(feature = "voice")]
mod threads;
#[cfg(feature = "voice")]
mod toolbench;
#[cfg(feature = "voice")]
mod transcriber;
mod written;

#[cfg(feature = "voice")]
pub use archive::Archive;
#[cfg(feature = "voice")]
pub use coordinator::{Control, Parts, Pipeline, Standing};
#[cfg(feature = "voice")]
pub use latency::TurnLatency;
#[cfg(feature = "voice")]
pub use notice::{Notice, Observer};
pub use report::{CallReport, Gather, Told, Turn};
pub use written::{Conversation, WrittenParts};

#[cfg(feature = "voice")]
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

#[cfg(feature = "voice")]
use crate::{audio::Presence, dialog::Event, error::Error, units::WorkId};

/// What the threads tell the coordinator.
#[cfg(feature = "voice")]
enum Msg {
    Dialog(Event),
    /// The microphone delivers.
    Hearing,
    Wake {
        model: String,
        score: f32,
    },
    Partial(String),
    TurnEnded(Utterance),
    Transcript {
        work: WorkId,
        text: Option<String>,
        samples: usize,
        took: Duration,
    },
    FirstToken {
        work: WorkId,
        at: Instant,
    },
    Sentence {
        work: WorkId,
        text: String,
        at: Instant,
    },
    Thought {
        work: WorkId,
        thought: mind::Thought,
    },
    /// A tool ran.
    Tool {
        work: WorkId,
        outcome: crate::tools::Outcome,
    },
    /// A command that was kept for later ran.
    Due {
        told: String,
        outcome: crate::tools::Outcome,
    },
    /// The first sample of a sentence was heard.
    Audible {
        work: WorkId,
        sentence: u32,
        at: Instant,
    },
    Loudspeaker(Presence),
    Microphone(Presence),
    /// A part failed, as the sender has logged: [`trouble`].
    Trouble {
        part: &'static str,
        message: String,
    },
    /// A part failed for good: the pipeline ends with this error.
    Fatal(Error),
    /// A defect came to light: the pipeline ends at once with this error.
    Broken(Error),
    /// No more samples will come.
    SourceEnded,
    /// A request in writing.
    Written(desk::Request),
    /// Asks how it stands.
    Standing(std::sync::mpsc::SyncSender<Standing>),
    /// Asks for a sign of life.
    Probe(Arc<AtomicBool>),
    Stop,
}

/// Logs that `part` failed, with the remedy where there is one, and reports it.
#[cfg(feature = "voice")]
fn trouble(out: &queue::Queue<Msg>, part: &'static str, e: &Error) {
    log_trouble(part, e);
    let _ = out.send(Msg::Trouble { part, message: e.to_string() });
}

#[cfg(feature = "voice")]
fn log_trouble(part: &'static str, e: &Error) {
    match e.remedy_text() {
        Some(remedy) => tracing::error!(remedy, "{part}: {e}"),
        None => tracing::error!("{part}: {e}"),
    }
}

/// What the ears held when the turn ended.
#[cfg(feature = "voice")]
struct Utterance {
    sound: transcriber::Sound,
    speech_end: Instant,
    endpoint: Instant,
}
