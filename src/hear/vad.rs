//! Voice activity: Silero's probability per 32 ms, and the hysteresis that makes stretches of speech of it.
//!
//! Source: snakers4/silero-vad, src/silero_vad/utils_vad.py at 0a7d1f6: `OnnxWrapper` (64 samples of context, 512 new
//! ones, a state of `[2, 1, 128]`) and the two thresholds of `get_speech_timestamps` (0.5, and 0.15 less to end); the model
//! is the one in pipecat-ai 1.14.0. Dating edges back and the shortest stretches are tercet's own.

use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;
use serde::{Deserialize, Serialize};

use super::samples_in_ms;
use crate::error::{Error, Kind, Result};
use crate::onnx;
use crate::problems::Problems;
use crate::units::Bytes;

/// Samples per step (32 ms).
pub const FRAME: usize = 512;
/// Samples of the previous step that the model wants to see again.
const CONTEXT: usize = 64;
const STATE: usize = 2 * 128;

/// When a probability is speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Probability from which a silence may become speech (0 to 1).
    pub onset: f32,
    /// Probability under which speech may become silence; below `onset`, so that the state does not chatter.
    pub offset: f32,
    /// Speech starts once it has lasted this long; its start is dated back.
    pub min_speech_ms: u32,
    /// Speech ends once silence has lasted this long; its end is dated back.
    pub min_silence_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { onset: 0.5, offset: 0.35, min_speech_ms: 64, min_silence_ms: 256 }
    }
}

impl Settings {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.range("onset", self.onset, 0.05..=0.99);
        problems.range("offset", self.offset, 0.01..=0.99);
        problems.at_most("offset", self.offset, "onset", self.onset);
        problems.range("min_speech_ms", self.min_speech_ms, 0..=1000);
        problems.range("min_silence_ms", self.min_silence_ms, 32..=2000);
    }
}

/// Silero VAD, streaming.
pub struct Vad {
    session: Session,
    /// `[1, CONTEXT + FRAME]`: the end of the last step, then this one.
    input: Vec<f32>,
    /// `[2, 1, 128]`: the model's recurrent state.
    state: Vec<f32>,
}

impl Vad {
    /// # Errors
    /// As [`onnx::session`].
    pub fn load(model: &Path) -> Result<Self> {
        Ok(Self { session: onnx::session(model, 1)?, input: vec![0.0; CONTEXT + FRAME], state: vec![0.0; STATE] })
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.input.fill(0.0);
        self.state.fill(0.0);
    }

    /// Probability that somebody speaks in these [`FRAME`] samples, given all frames since the last reset.
    ///
    /// # Errors
    /// [`Kind::Internal`] when `frame` has another length or the model does not run.
    pub fn probability(&mut self, frame: &[f32]) -> Result<f32> {
        if frame.len() != FRAME {
            return Err(Error::new(Kind::Internal, format!("a VAD frame has {FRAME} samples, not {}", frame.len())));
        }
        self.input.copy_within(FRAME.., 0);
        self.input[CONTEXT..].copy_from_slice(frame);
        let Self { session, input, state } = self;
        step(session, input, state).map_err(|e| onnx::run_error("silero-vad", e))
    }
}

/// What the model will take.
pub(super) fn estimate(model: &Path) -> Bytes {
    onnx::session_estimate(&[model])
}

/// The probability (0 to 1) for `input` (`[1, 576]`, 16 kHz, in [−1, 1]); `state` (`[2, 1, 128]`) becomes the next one.
fn step(session: &mut Session, input: &[f32], state: &mut [f32]) -> ort::Result<f32> {
    let rate = [super::RATE as i64];
    let outputs = session.run(ort::inputs![
        "input" => TensorRef::from_array_view(([1usize, CONTEXT + FRAME], input))?,
        "state" => TensorRef::from_array_view(([2usize, 1, 128], &*state))?,
        "sr" => TensorRef::from_array_view(((), &rate[..]))?,
    ])?;
    let (_, probability) = outputs["output"].try_extract_tensor::<f32>()?;
    let probability = probability.first().copied().unwrap_or(0.0);
    let (_, next) = outputs["stateN"].try_extract_tensor::<f32>()?;
    if next.len() != state.len() {
        return Err(ort::Error::new(format!("the state has {} values, not {STATE}", next.len())));
    }
    state.copy_from_slice(next);
    Ok(probability)
}

/// An edge between silence and speech, at a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Start(u64),
    End(u64),
}

/// Hysteresis over probabilities: pure, so that it can be tested without a model.
#[derive(Debug, Clone)]
pub struct Segmenter {
    settings: Settings,
    speaking: bool,
    /// First sample of the present run of frames that speak against the present state.
    doubt_since: Option<u64>,
    started: u64,
}

impl Segmenter {
    pub fn new(settings: Settings) -> Self {
        Self { settings, speaking: false, doubt_since: None, started: 0 }
    }

    pub fn reset(&mut self) {
        (self.speaking, self.doubt_since, self.started) = (false, None, 0);
    }

    /// First sample of the present speech; `None` in silence.
    pub fn speaking_since(&self) -> Option<u64> {
        self.speaking.then_some(self.started)
    }

    /// Whether the last frame was voiced speech (as opposed to a pause not yet long enough to end it).
    pub fn voiced(&self) -> bool {
        self.speaking && self.doubt_since.is_none()
    }

    /// Takes the probability of the frame of samples `from..to`.
    pub fn step(&mut self, probability: f32, from: u64, to: u64) -> Option<Edge> {
        let against =
            if self.speaking { probability < self.settings.offset } else { probability >= self.settings.onset };
        if !against {
            // While silence is in doubt, a frame between the thresholds neither confirms nor clears the doubt.
            if self.speaking || probability < self.settings.offset {
                self.doubt_since = None;
            }
            return None;
        }
        let since = *self.doubt_since.get_or_insert(from);
        let wanted = if self.speaking { self.settings.min_silence_ms } else { self.settings.min_speech_ms };
        if to - since < samples_in_ms(wanted) {
            return None;
        }
        self.speaking = !self.speaking;
        self.doubt_since = None;
        if self.speaking {
            self.started = since;
            Some(Edge::Start(since))
        } else {
            Some(Edge::End(since))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(probabilities: &[f32]) -> Vec<Edge> {
        let mut s = Segmenter::new(Settings::default());
        let f = FRAME as u64;
        let steps = probabilities.iter().enumerate();
        steps.filter_map(|(i, p)| s.step(*p, i as u64 * f, (i as u64 + 1) * f)).collect()
    }

    #[test]
    fn edges_are_dated_back_to_where_the_change_began() {
        let mut p = vec![0.0; 10];
        p.extend([0.9; 20]);
        p.extend([0.1; 20]);
        assert_eq!(run(&p), [Edge::Start(10 * 512), Edge::End(30 * 512)]);
    }

    #[test]
    fn a_click_is_no_speech_and_a_short_gap_no_end() {
        let mut click = vec![0.0; 10];
        click.push(0.99);
        click.extend([0.0; 30]);
        assert_eq!(run(&click), []);

        let mut gap = vec![0.9; 10];
        gap.extend([0.1; 5]); // 160 ms
        gap.extend([0.9; 10]);
        gap.extend([0.1; 8]);
        assert_eq!(run(&gap), [Edge::Start(0), Edge::End(25 * 512)]);
    }

    #[test]
    fn between_the_thresholds_nothing_changes() {
        assert_eq!(run(&[0.45; 40]), []);
        let mut p = vec![0.9; 5];
        p.extend([0.4; 40]);
        assert_eq!(run(&p), [Edge::Start(0)]);
    }
}
