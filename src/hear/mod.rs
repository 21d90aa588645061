//! Hearing: wake words, voice activity, turns and speech-to-text, all on 16 kHz mono.
//!
//! [`Ears`] is the streaming half: push any number of samples, get events with times counted in samples.
//! [`Stt`] turns one finished (or unfinished) utterance into text, or into nothing when nobody spoke.
//! Both hold bounded memory and no thread of their own; the pipeline gives each its owner thread.

use serde::{Deserialize, Serialize};

use crate::problems::Problems;
use crate::store::{self, Paths};

pub mod ears;
pub mod recording;
mod repeats;
pub mod stt;
pub mod text;
pub mod turn;
pub mod vad;
pub mod wake;

pub use ears::{EarEvent, Ears, EndReason};
pub use stt::{Pass, Stt, Transcript};
pub use turn::{EndOfTurn, SilenceEnd, Situation};
pub use vad::{Segmenter, Vad};
pub use wake::Wake;

/// Samples a second everywhere in this module.
pub const RATE: usize = 16_000;

const fn samples_in_ms(ms: u32) -> u64 {
    ms as u64 * (RATE as u64) / 1000
}

fn ms_in_samples(samples: u64) -> u32 {
    u32::try_from(samples * 1000 / RATE as u64).unwrap_or(u32::MAX)
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / RATE as f64
}

/// How tercet hears.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub wake: wake::Settings,
    pub vad: vad::Settings,
    pub turn: turn::Settings,
    pub stt: stt::Settings,
}

impl Settings {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        problems.within("wake", |p| self.wake.validate(p));
        problems.within("vad", |p| self.vad.validate(p));
        problems.within("turn", |p| self.turn.validate(p));
        problems.within("stt", |p| self.stt.validate(p));
    }

    /// Reports what the settings name but this machine lacks.
    pub fn look(&self, paths: &Paths, problems: &mut Problems) {
        store::note_missing(problems, "", "onnxruntime", paths);
        store::note_missing(problems, "vad", "silero-vad", paths);
        problems.within("wake", |p| self.wake.look(paths, p));
        problems.within("stt", |p| self.stt.look(paths, p));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_every_bad_value_is_named() {
        let mut problems = Problems::new();
        Settings::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");

        let mut bad = Settings::default();
        bad.wake.threshold = f32::NAN;
        bad.vad.offset = 0.9;
        bad.turn.max_utterance_s = 500;
        bad.stt.threads = 0;
        bad.validate(&mut problems);
        let named: Vec<String> = problems.into_vec().iter().map(|p| p.key.to_string()).collect();
        assert_eq!(named, ["wake.threshold", "vad.offset", "turn.max_utterance_s", "stt.threads"]);
    }
}
