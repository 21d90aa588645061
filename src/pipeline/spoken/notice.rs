//! What the pipeline reports to observers: the terminal, the kiosk page, a test.

use std::time::Duration;

use serde::Serialize;

use super::latency::TurnLatency;
use crate::audio::Presence;
use crate::dialog::State;
use crate::schema::ToolCall;
use crate::units::WorkId;

/// Something that happened, for people. Texts are what was said in the room: a watcher may show them, and only
/// `privacy.log_transcripts` lets anyone keep them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Notice {
    /// Everything is loaded and the microphone delivers.
    Ready,
    State {
        state: State,
    },
    Wake {
        model: String,
        score: f32,
    },
    /// What the user seems to be saying, while they speak.
    Partial {
        text: String,
    },
    /// What the user said; `None` where it was not intelligible.
    Heard {
        work: WorkId,
        text: Option<String>,
        audio_ms: u64,
        took_ms: u64,
    },
    /// A tool is called; `fast` without asking the model.
    Call {
        work: WorkId,
        call: ToolCall,
        fast: bool,
    },
    /// A call that the model wants is not made.
    Refused {
        work: WorkId,
        call: ToolCall,
        result: serde_json::Value,
    },
    Result {
        work: WorkId,
        result: serde_json::Value,
    },
    /// A command that was kept for later ran, or could not; `told` is what it does.
    Scheduled {
        told: String,
        result: serde_json::Value,
    },
    /// The model finished writing; `text` is all of it.
    Thought {
        work: WorkId,
        text: String,
        prompt_tokens: usize,
        cached_tokens: usize,
        tokens: usize,
        took_ms: u64,
    },
    /// A sentence starts to be heard.
    Saying {
        work: WorkId,
        text: String,
    },
    /// A sentence of an answer in writing: nobody hears it.
    Written {
        work: WorkId,
        text: String,
    },
    Latency(TurnLatency),
    /// The microphone or the loudspeaker went away, or came back.
    Device {
        what: &'static str,
        ok: bool,
        reason: String,
    },
    /// A part failed in a way the user should know of.
    Trouble {
        part: &'static str,
        message: String,
    },
    /// The pipeline ended.
    Ended,
}

impl Notice {
    pub(super) fn device(what: &'static str, presence: Presence) -> Self {
        match presence {
            Presence::Lost(reason) => Self::Device { what, ok: false, reason },
            Presence::Restored => Self::Device { what, ok: true, reason: String::new() },
        }
    }
}

/// Receives every notice on the coordinator's thread; must not block for long.
pub trait Observer: Send {
    fn notice(&mut self, since_start: Duration, notice: &Notice);
}

impl<F: FnMut(Duration, &Notice) + Send> Observer for F {
    fn notice(&mut self, since_start: Duration, notice: &Notice) {
        self(since_start, notice);
    }
}
