//! Where a turn's time goes, as the user perceives it: everything is counted from the end of their speech.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::units::{TurnId, WorkId};

/// Turns whose moments are kept; the oldest goes when one more begins.
const TURNS: usize = 4;

/// The moments of the latest turns.
#[derive(Debug, Default)]
pub(super) struct Clocks(VecDeque<TurnClock>);

impl Clocks {
    /// A turn whose last audible sample came at `speech_end`, and whose end was judged at `endpoint`.
    pub(super) fn start(&mut self, turn: TurnId, speech_end: Instant, endpoint: Option<Instant>) {
        if self.0.len() == TURNS {
            self.0.pop_front();
        }
        self.0.push_back(TurnClock { endpoint, ..TurnClock::new(turn, speech_end) });
    }

    pub(super) fn has(&self, turn: TurnId) -> bool {
        self.0.iter().any(|c| c.turn == turn)
    }

    fn of(&mut self, turn: TurnId) -> Option<&mut TurnClock> {
        self.0.iter_mut().rev().find(|c| c.turn == turn)
    }

    /// Notes when a stage of a turn was first reached.
    pub(super) fn mark(&mut self, work: WorkId, stage: impl Fn(&mut TurnClock) -> &mut Option<Instant>, at: Instant) {
        if let Some(c) = self.of(work.turn) {
            stage(c).get_or_insert(at);
        }
    }

    /// Notes the turn's first audible sample; its latencies, the first time.
    pub(super) fn first_audio(&mut self, turn: TurnId, at: Instant) -> Option<TurnLatency> {
        let c = self.of(turn).filter(|c| c.first_audio.is_none())?;
        c.first_audio = Some(at);
        Some(c.latency())
    }
}

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
