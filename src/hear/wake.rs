//! Wake words: openWakeWord's chain, streaming, one front-end for any number of words.
//!
//! Every 80 ms: 1280 new samples and 480 old ones → 8 mel frames → a window of 76 mel frames → one embedding of 96
//! values → a window of 16 embeddings → one score per word.
//!
//! Source: `AudioFeatures` and `Model.predict` of openWakeWord 0.4.0 (dscripka/openWakeWord, openwakeword/utils.py and
//! model.py), whose scores the goldens are (`tests/golden/wake_scores.py`); the embedding is Google's speech_embedding
//! (Lin et al., 2020, arXiv:2002.01322).

use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::value::{TensorRef, ValueType};
use serde::{Deserialize, Serialize};

use super::ms_in_samples;
use crate::error::{Error, Kind, Result};
use crate::onnx;
use crate::problems::Problems;
use crate::store::{self, ModelRole, Paths};

/// Samples per step (80 ms).
pub const FRAME: usize = 1280;
/// Samples before a step that the mel windows of its first frames reach back to.
const OVERLAP: usize = 480;
const MEL_BINS: usize = 32;
const MEL_WINDOW: usize = 76;
const EMBEDDING: usize = 96;
/// Scores of the first steps after a reset are meaningless: most of the window is made-up silence.
const WARM_UP_STEPS: u64 = 5;
/// Samples of which the mel model makes exactly one window.
const PRIMING: usize = MEL_WINDOW * 160 + OVERLAP;
/// The models were trained on 16-bit sample values.
const FULL_SCALE: f32 = 32768.0;

/// Which words wake tercet, and how sure the detector must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Wake words: `alexa`, `hey_jarvis`, `hey_mycroft`, `hey_marvin`. Empty: none, only push-to-talk and the API.
    pub models: Vec<String>,
    /// Score from which a word counts as heard (0 to 1): higher wakes less often by mistake and misses more.
    pub threshold: f32,
    /// How many steps of 80 ms in a row must reach the threshold.
    pub patience: u32,
    /// After a word was heard, no word is heard again for this long, in milliseconds.
    pub refractory_ms: u32,
}

/// What a wake word may be.
const WORDS: store::Reference =
    store::Reference { noun: "a wake word", role: ModelRole::Wake, prefix: "wake-", file: Some("onnx") };

impl Default for Settings {
    fn default() -> Self {
        Self { models: vec!["alexa".into()], threshold: 0.5, patience: 1, refractory_ms: 1500 }
    }
}

impl Settings {
    pub(super) fn validate(&self, problems: &mut Problems) {
        for (i, model) in self.models.iter().enumerate() {
            problems.element("models", i, |p| WORDS.validate(p, "", model));
        }
        problems.range("threshold", self.threshold, 0.05..=0.999);
        problems.range("patience", self.patience, 1..=10);
        problems.range("refractory_ms", self.refractory_ms, 0..=10_000);
    }

    /// The file of a wake word that is named by its path.
    pub(super) fn file(model: &str) -> Option<&Path> {
        WORDS.is_file(model).then(|| Path::new(model))
    }

    pub(super) fn look(&self, paths: &Paths, problems: &mut Problems) {
        for (i, model) in self.models.iter().enumerate() {
            problems.element("models", i, |p| {
                WORDS.look(p, "", model, paths);
            });
        }
        if !self.models.is_empty() {
            store::note_missing(problems, "models", "openwakeword", paths);
        }
    }
}

/// What people say to wake `model`: `hey_jarvis` → "hey Jarvis".
pub fn phrase(model: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|c| c.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    let words: Vec<String> = model
        .split(['_', ' '])
        .filter(|w| !w.is_empty())
        .map(|w| if w.eq_ignore_ascii_case("hey") { w.to_lowercase() } else { capital(w) })
        .collect();
    words.join(" ")
}

/// A wake word was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Index of the word in the order given to [`Wake::load`].
    pub word: usize,
    pub score: f32,
}

struct Word {
    name: String,
    session: Session,
    /// Embeddings its window holds.
    window: usize,
    /// Steps in a row at or above the threshold.
    above: u32,
}

/// The streaming detector.
pub struct Wake {
    front: FrontEnd,
    words: Vec<Word>,
    settings: Settings,
    steps: u64,
    /// Steps left in which nothing is reported.
    refractory: u64,
    scores: Vec<f32>,
}

impl Wake {
    /// Loads the front-end and the words, each as (name, model file).
    ///
    /// # Errors
    /// As [`onnx::session`]; [`Kind::Unsupported`] when a model's input has another shape.
    pub fn load(mel: &Path, embedding: &Path, words: &[(String, PathBuf)], settings: Settings) -> Result<Self> {
        let front = FrontEnd::load(mel, embedding)?;
        let words = words
            .iter()
            .map(|(name, file)| {
                let session = onnx::session(file, 1)?;
                let window = embeddings_wanted(&session).ok_or_else(|| {
                    let context = format!("{} is not an openWakeWord model", file.display());
                    Error::new(Kind::Unsupported, context).remedy("use a model whose input is [1, frames, 96]")
                })?;
                Ok(Word { name: name.clone(), session, window, above: 0 })
            })
            .collect::<Result<Vec<Word>>>()?;
        let scores = vec![0.0; words.len()];
        Ok(Self { front, words, settings, steps: 0, refractory: 0, scores })
    }

    pub fn name(&self, word: usize) -> &str {
        self.words.get(word).map_or("", |w| &w.name)
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.front.reset();
        self.words.iter_mut().for_each(|w| w.above = 0);
        (self.steps, self.refractory) = (0, 0);
    }

    /// Scores of all words for the next [`FRAME`] samples, in order; zero in the first steps after a reset.
    ///
    /// # Errors
    /// [`Kind::Internal`] when `frame` has another length or a model does not run.
    pub fn scores(&mut self, frame: &[f32]) -> Result<&[f32]> {
        if frame.len() != FRAME {
            return Err(Error::new(Kind::Internal, format!("a wake frame has {FRAME} samples, not {}", frame.len())));
        }
        self.front.push(frame)?;
        for (word, score) in self.words.iter_mut().zip(&mut self.scores) {
            // Inference in the first steps would be thrown away.
            *score = if self.steps < WARM_UP_STEPS {
                0.0
            } else {
                let window = self.front.latest(word.window);
                classify(&mut word.session, window, word.window).map_err(|e| onnx::run_error(&word.name, e))?
            };
        }
        self.steps += 1;
        Ok(&self.scores)
    }

    /// Takes the next [`FRAME`] samples; at most one detection per utterance.
    ///
    /// # Errors
    /// As [`Wake::scores`].
    pub fn step(&mut self, frame: &[f32]) -> Result<Option<Detection>> {
        self.scores(frame)?;
        let mut best: Option<Detection> = None;
        for (i, (word, &score)) in self.words.iter_mut().zip(&self.scores).enumerate() {
            word.above = if score >= self.settings.threshold { word.above + 1 } else { 0 };
            // Exactly at the count: a word that stays above the threshold is one detection, however long.
            if word.above == self.settings.patience && best.as_ref().is_none_or(|b| score > b.score) {
                best = Some(Detection { word: i, score });
            }
        }
        if self.refractory > 0 {
            self.refractory -= 1;
            return Ok(None);
        }
        if best.is_some() {
            self.refractory = u64::from(self.settings.refractory_ms.div_ceil(ms_in_samples(FRAME as u64)));
        }
        Ok(best)
    }
}

fn embeddings_wanted(session: &Session) -> Option<usize> {
    let ValueType::Tensor { shape, .. } = session.inputs().first()?.dtype() else { return None };
    match &shape[..] {
        [_, frames, width] if *width == EMBEDDING as i64 => {
            usize::try_from(*frames).ok().filter(|f| (1..=FrontEnd::KEPT).contains(f))
        }
        _ => None,
    }
}

/// The score (0 to 1) of a window of `[frames, 96]` embeddings.
fn classify(session: &mut Session, window: &[f32], frames: usize) -> ort::Result<f32> {
    let outputs = session.run(ort::inputs![TensorRef::from_array_view(([1usize, frames, EMBEDDING], window))?])?;
    let (_, score) = outputs[0].try_extract_tensor::<f32>()?;
    score.first().copied().ok_or_else(|| ort::Error::new("no score came out"))
}

/// Samples → embeddings.
struct FrontEnd {
    mel: Session,
    embedding: Session,
    /// At most [`OVERLAP`] old samples, then the new ones.
    samples: Vec<f32>,
    /// The last [`MEL_WINDOW`] mel frames, flat.
    mels: Vec<f32>,
    /// The last [`FrontEnd::KEPT`] embeddings, flat, oldest first.
    embeddings: Vec<f32>,
    /// The embedding of silence, which fills the window after a reset.
    silence: Vec<f32>,
}

impl FrontEnd {
    /// Longest window of embeddings a word may want.
    const KEPT: usize = 64;

    fn load(mel: &Path, embedding: &Path) -> Result<Self> {
        let (mel, embedding) = (onnx::session(mel, 1)?, onnx::session(embedding, 1)?);
        let (samples, mels) = (Vec::with_capacity(OVERLAP + FRAME), Vec::with_capacity((MEL_WINDOW + 8) * MEL_BINS));
        let mut front = Self { mel, embedding, samples, mels, embeddings: Vec::new(), silence: Vec::new() };
        front.silence = front.embed_silence().map_err(|e| onnx::run_error("openwakeword", e))?;
        front.reset();
        Ok(front)
    }

    fn embed_silence(&mut self) -> ort::Result<Vec<f32>> {
        append_mels(&mut self.mel, &[0.0; PRIMING], &mut self.mels)?;
        embed(&mut self.embedding, &self.mels)
    }

    /// As the reference starts: no samples, a mel window of ones, embeddings of silence.
    fn reset(&mut self) {
        self.samples.clear();
        self.mels.clear();
        self.mels.resize(MEL_WINDOW * MEL_BINS, 1.0);
        self.embeddings = self.silence.repeat(Self::KEPT);
    }

    fn push(&mut self, frame: &[f32]) -> Result<()> {
        self.samples.extend(frame.iter().map(|x| x * FULL_SCALE));
        let embedding = self.next_embedding().map_err(|e| onnx::run_error("openwakeword", e))?;
        self.embeddings.drain(..EMBEDDING);
        self.embeddings.extend(embedding);
        self.samples.drain(..self.samples.len() - OVERLAP);
        Ok(())
    }

    fn next_embedding(&mut self) -> ort::Result<Vec<f32>> {
        append_mels(&mut self.mel, &self.samples, &mut self.mels)?;
        let surplus = self.mels.len().saturating_sub(MEL_WINDOW * MEL_BINS);
        self.mels.drain(..surplus);
        embed(&mut self.embedding, &self.mels)
    }

    /// The last `frames` embeddings, flat.
    fn latest(&self, frames: usize) -> &[f32] {
        &self.embeddings[self.embeddings.len() - frames * EMBEDDING..]
    }
}

/// Appends the mel frames (`[n, 32]`) of `samples` (16 kHz, in 16-bit values): `samples / 160 − 3` of them.
fn append_mels(session: &mut Session, samples: &[f32], mels: &mut Vec<f32>) -> ort::Result<()> {
    let outputs = session.run(ort::inputs![TensorRef::from_array_view(([1usize, samples.len()], samples))?])?;
    let (_, m) = outputs[0].try_extract_tensor::<f32>()?;
    // The embedding model was trained on another mel scale; this maps onto it (`melspec_transform` of openWakeWord).
    mels.extend(m.iter().map(|v| v / 10.0 + 2.0));
    Ok(())
}

/// The embedding (`[96]`) of a window of mel frames (`[76, 32]`).
fn embed(session: &mut Session, mels: &[f32]) -> ort::Result<Vec<f32>> {
    let outputs = session.run(ort::inputs![TensorRef::from_array_view(([1usize, MEL_WINDOW, MEL_BINS, 1], mels))?])?;
    let (_, e) = outputs[0].try_extract_tensor::<f32>()?;
    if e.len() == EMBEDDING { Ok(e.to_vec()) } else { Err(ort::Error::new(format!("{} values came out", e.len()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_what_people_say() {
        assert_eq!(phrase("alexa"), "Alexa");
        assert_eq!(phrase("hey_jarvis"), "hey Jarvis");
        assert_eq!(phrase("ok_computer"), "Ok Computer");
    }
}
