//! Where a turn's time goes, as the user hears it: everything is counted from the end of their speech.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::units::TurnId;

/// The moments of one turn.
#[derive(Debug, Clone)]
pub(super) struct TurnClock {
    pub(super) turn: TurnId,
    /// The user's last audible sample (for a typed turn: when the text came).
    pub(super) speech_end: Instant,
    /// Speech was judged to be over.
    pub(super) endpoint: Option<Instant>,
    pub(super) transcript: Option<Instant>,
    pub(super) first_token: Option<Instant>,
    pub(super) first_sentence: Option<Instant>,
    pub(super) first_audio: Option<Instant>,
}

/// A turn's latencies in milliseconds since the end of the user's speech; `None` for a stage that did not happen
/// (a command understood without the model has no first token).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TurnLatency {
    pub turn: TurnId,
    pub endpoint_ms: Option<u64>,
    pub transcript_ms: Option<u64>,
    pub first_token_ms: Option<u64>,
    pub first_sentence_ms: Option<u64>,
    pub first_audio_ms: Option<u64>,
}

impl TurnClock {
    pub(super) fn new(turn: TurnId, speech_end: Instant) -> Self {
        Self {
            turn,
            speech_end,
            endpoint: None,
            transcript: None,
            first_token: None,
            first_sentence: None,
            first_audio: None,
        }
    }

    pub(super) fn latency(&self) -> TurnLatency {
        let since = |at: Option<Instant>| {
            at.map(|t| t.saturating_duration_since(self.speech_end)).map(|d: Duration| d.as_millis() as u64)
        };
        TurnLatency {
            turn: self.turn,
            endpoint_ms: since(self.endpoint),
            transcript_ms: since(self.transcript),
            first_token_ms: since(self.first_token),
            first_sentence_ms: since(self.first_sentence),
            first_audio_ms: since(self.first_audio),
        }
    }
}
