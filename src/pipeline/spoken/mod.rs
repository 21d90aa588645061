//! The conversation aloud: an owner thread for each part that blocks, and bounded queues between them.
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
//! the dialog's actions waits until all of them are done ([`super::conductor`]). A part that failed for good ends
//! the pipeline, once the apology has been heard; a panic in any of them ends it at once. Every piece of work carries a [`WorkId`];
//! the dialog ignores what is stale.

mod archive;
mod coordinator;
mod desk;
mod executor;
mod latency;
mod listener;
mod loudness;
mod notice;
mod queue;
mod speaker;
#[cfg(test)]
mod tests;
mod thinker;
mod threads;
mod toolbench;
mod transcriber;

pub use archive::Archive;
pub use coordinator::{Control, Parts, Pipeline, Standing};
pub use latency::TurnLatency;
pub use notice::{Notice, Observer};

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use super::mind;
use crate::{audio::Presence, dialog::Event, error::Error, units::WorkId};

/// What the threads tell the coordinator.
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
fn trouble(out: &queue::Queue<Msg>, part: &'static str, e: &Error) {
    log_trouble(part, e);
    let _ = out.send(Msg::Trouble { part, message: e.to_string() });
}

fn log_trouble(part: &'static str, e: &Error) {
    match e.remedy_text() {
        Some(remedy) => tracing::error!(remedy, "{part}: {e}"),
        None => tracing::error!("{part}: {e}"),
    }
}

/// What the ears held when the turn ended.
struct Utterance {
    sound: transcriber::Sound,
    speech_end: Instant,
    endpoint: Instant,
}
