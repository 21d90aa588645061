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

mod archive;
mod cancel;
mod conductor;
mod coordinator;
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

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::audio::Presence;
use crate::dialog::Event;
use crate::error::Error;
use crate::units::WorkId;

pub use archive::Archive;
pub use coordinator::{Control, Parts, Pipeline};
pub use latency::TurnLatency;
pub use notice::{Notice, Observer};

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
        thought: Thought,
    },
    /// A tool ran.
    Tool {
        work: WorkId,
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

/// What the model wrote, and what it took.
struct Thought {
    text: String,
    prompt_tokens: usize,
    cached_tokens: usize,
    tokens: usize,
    took: Duration,
}
