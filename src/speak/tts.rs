//! The voice: Piper (VITS) on the process's ONNX Runtime, one sentence at a time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use piper_rs::{ModelConfig, Piper};
use serde::{Deserialize, Serialize};

use super::espeak::{self, Phonemizer};
use super::letters;
use super::pcm::Pcm;
use super::phrase::{Clause, clauses, parts};
use super::spoken::{self, Language};
use crate::budget::{Budget, Component, Reservation, resident_now};
use crate::error::{Error, Kind, Result};
use crate::onnx;
use crate::problems::Problems;
use crate::store::{self, ModelRole, Paths};
use crate::units::{Bytes, SampleRate};

/// Settings of the voice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Model id, as `tercet models list` shows it; a Piper voice.
    pub voice: String,
    /// Speaker of a voice that has several, by number.
    pub speaker: u32,
    /// How words are read that are not written as words (numbers, units, abbreviations).
    pub language: Language,
    /// Speed of speech: 1 is the voice's own, 1.5 half as fast again.
    pub speed: f32,
    /// How much melody and rhythm vary: 1 is the voice's own, 0 says the same sentence the same way every time.
    pub variation: f32,
    /// Silence after a sentence, in milliseconds; half of it after a sentence cut at a clause.
    pub sentence_gap_ms: u32,
    /// Threads of the model. One is fast enough (a sixteenth of real time) and leaves the others to the rest.
    pub threads: usize,
    /// Folder of espeak-ng's data, where it is not where systems install it.
    pub espeak_data: Option<PathBuf>,
}

/// What `voice` may be.
const VOICE: store::Reference = store::Reference { noun: "a voice", role: ModelRole::Tts, prefix: "", file: None };

impl Default for Settings {
    fn default() -> Self {
        Self {
            voice: "piper-en_US-joe-medium".into(),
            speaker: 0,
            language: Language::English,
            speed: 1.0,
            variation: 1.0,
            sentence_gap_ms: 200,
            threads: 1,
            espeak_data: None,
        }
    }
}

impl Settings {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        VOICE.validate(problems, "voice", &self.voice);
        problems.range("speed", self.speed, 0.5..=2.0);
        problems.range("variation", self.variation, 0.0..=1.5);
        problems.range("sentence_gap_ms", self.sentence_gap_ms, 0..=2_000);
        problems.range("threads", self.threads, 1..=64);
    }

    /// Reports what the settings name but this machine lacks.
    pub fn look(&self, paths: &Paths, problems: &mut Problems) {
        VOICE.look(problems, "voice", &self.voice, paths);
        if let Ok(speakers) = self.speakers(paths)
            && self.speaker >= speakers
        {
            let text = match speakers {
                1 => format!("must be 0, not {}: the voice {} has one speaker", self.speaker, self.voice),
                n => format!("must be between 0 and {}, not {}: the voice {} has {n}", n - 1, self.speaker, self.voice),
            };
            problems.involving("speaker", &["voice"], text);
        }
        if let Err(e) = espeak::find_data(self.espeak_data.as_deref()) {
            let remedy = e.remedy_text().map(|r| format!("; {r}")).unwrap_or_default();
            match self.espeak_data {
                Some(_) => problems.wrong("espeak_data", format!("{}{remedy}", e.context())),
                None => problems.note("espeak_data", format!("is not set, and {}{remedy}", e.context())),
            }
        }
    }

    /// Speakers of the voice; where it is not installed yet nobody knows.
    fn speakers(&self, paths: &Paths) -> Result<u32> {
        let model = store::locate(paths, &self.voice)?;
        Ok(model_config(&store::locate_file(paths, &self.voice, &config_name(&model))?)?.num_speakers.max(1))
    }
}

/// Longest part spoken in one go, in characters of the spoken words (seven seconds). The model's scratch memory grows
/// with it: about 17 MB a second of speech.
const PART_CHARS: usize = 120;

/// Said once while loading, so that the first sentence of a conversation finds everything touched, and as long as a
/// part can be, so that the memory seen then is the most a conversation takes.
const WARM_UP: &str = "This is the longest part that is ever spoken in one go and it is said once to nobody so that \
                       every corner is warm then.";

/// What the model file becomes in memory: its graph, weights packed for the kernels, espeak-ng's dictionary.
const BESIDE_WEIGHTS: Bytes = Bytes::mb(30);
/// Scratch memory of the longest part, as much again as is live at once because freed blocks do not fit the next layer.
const SCRATCH: Bytes = Bytes::mb(170);

/// A loaded voice. Used by one thread at a time; several voices may exist, espeak-ng guards itself.
pub struct Voice {
    piper: Piper,
    phonemizer: Phonemizer,
    /// Phonemes the model knows.
    known: HashSet<char>,
    settings: Settings,
    rate: SampleRate,
    scales: Scales,
    /// Held as long as the voice is.
    reservation: Option<Reservation>,
    /// So many of the next sentences fail.
    #[cfg(test)]
    pub(crate) failures: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

/// Inference parameters: the voice's own, adjusted by the settings.
#[derive(Debug, Clone, Copy)]
struct Scales {
    length: f32,
    noise: f32,
    noise_w: f32,
}

impl Voice {
    /// What [`Voice::load`] will reserve; known before the voice is fetched.
    ///
    /// # Errors
    /// As [`store::size`].
    pub fn estimate(settings: &Settings, paths: &Paths) -> Result<Bytes> {
        Ok(store::size(paths, &settings.voice, None)? + BESIDE_WEIGHTS + SCRATCH)
    }

    /// Loads the voice and says one sentence to nobody.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a model or espeak data that is missing, [`Kind::Corrupt`] for a model that is not a Piper
    /// voice, [`Kind::Config`] for a speaker it does not have, [`Kind::OverBudget`] before anything is loaded.
    pub fn load(settings: &Settings, paths: &Paths, budget: &Budget) -> Result<Self> {
        let model = store::locate(paths, &settings.voice)?;
        let config = store::locate_file(paths, &settings.voice, &config_name(&model))?;
        let estimate = Self::estimate(settings, paths)?;
        onnx::init_reserved(&store::locate(paths, "onnxruntime")?, budget)?;
        return_large_blocks();
        let what = format!("voice {}", settings.voice);
        let ((mut voice, peak), reservation) = onnx::load_measured(budget, Component::Tts, what, estimate, || {
            let before = resident_now();
            let mut voice = Self::open(settings, &model, &config)?;
            let (said, peak) = peak_during(|| voice.synthesize(WARM_UP));
            said.map_err(|e| not_a_voice(&model).because(e))?;
            Ok((voice, peak.saturating_sub(before)))
        })?;
        // Between sentences it holds less; what must fit is the most it ever takes.
        reservation.record_measured(peak);
        voice.reservation = Some(reservation);
        Ok(voice)
    }

    fn open(settings: &Settings, model: &Path, config: &Path) -> Result<Self> {
        let config = model_config(config)?;
        let speakers = config.num_speakers.max(1);
        if settings.speaker >= speakers {
            return Err(Error::new(
                Kind::Config,
                format!("speak.speaker is {}, but the voice {} has {speakers}", settings.speaker, settings.voice),
            )
            .remedy(format!("choose a number from 0 to {}", speakers - 1)));
        }
        let own = &config.inference;
        let scales = Scales {
            length: own.length_scale / settings.speed.clamp(0.25, 4.0),
            noise: own.noise_scale * settings.variation,
            noise_w: own.noise_w * settings.variation,
        };
        Ok(Self {
            phonemizer: Phonemizer::new(settings.espeak_data.as_deref(), &config.espeak.voice)?,
            known: config.phoneme_id_map.keys().copied().collect(),
            settings: settings.clone(),
            rate: SampleRate(config.audio.sample_rate),
            scales,
            reservation: None,
            #[cfg(test)]
            failures: Default::default(),
            piper: Piper::from_session(onnx::session(model, settings.threads)?, config),
        })
    }

    /// Rate of the sound it makes.
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// What the voice has on the ledger.
    pub fn reserved(&self) -> Bytes {
        self.reservation.as_ref().map_or(Bytes::ZERO, Reservation::bytes)
    }

    /// Speaks one sentence (as [`Chunker`](super::Chunker) gives them): trimmed, so that it is audible from the first
    /// milliseconds, limited, and followed by the gap that belongs after it. Nothing to pronounce gives no sound.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the model fails to run.
    pub fn synthesize(&mut self, sentence: &str) -> Result<Pcm> {
        #[cfg(test)]
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Error::new(Kind::Internal, format!("the voice {} failed", self.settings.voice)));
        }
        let mut pcm = Pcm::empty(self.rate);
        let clauses = clauses(&spoken::normalize(sentence, self.settings.language));
        // Slower speech makes more sound of the same words.
        let max_chars = (PART_CHARS as f32 * self.settings.speed.clamp(0.25, 1.0)) as usize;
        for part in parts(clauses, max_chars) {
            let said = self.speak(&part)?;
            if said.samples.is_empty() {
                continue;
            }
            let pause_ms = u64::from(self.settings.sentence_gap_ms);
            let mark = part.last().map_or('.', |c| c.mark);
            pcm.samples.extend_from_slice(&said.samples);
            pcm.append_silence(if matches!(mark, '.' | '!' | '?') { pause_ms } else { pause_ms / 2 });
        }
        Ok(pcm)
    }

    /// The sound of some clauses in one run of the model, without silence around it.
    fn speak(&mut self, clauses: &[Clause]) -> Result<Pcm> {
        let mut pcm = Pcm::empty(self.rate);
        let ipa = self.phonemes(clauses)?;
        if !ipa.contains(|c: char| c.is_alphabetic() && self.known.contains(&c)) {
            return Ok(pcm);
        }
        let Scales { length, noise, noise_w } = self.scales;
        let speaker = i64::from(self.settings.speaker);
        (pcm.samples, _) = self
            .piper
            .create(&ipa, true, Some(speaker), Some(length), Some(noise), Some(noise_w))
            .map_err(|e| Error::new(Kind::Internal, format!("the voice {} failed", self.settings.voice)).because(e))?;
        pcm.limit_peak();
        pcm.trim();
        Ok(pcm)
    }

    /// Phonemes of the clauses with their marks between them.
    fn phonemes(&self, clauses: &[Clause]) -> Result<String> {
        let mut out = String::new();
        for clause in clauses {
            let ipa = self.phonemizer.phonemes(&letters::named(&clause.text))?;
            if ipa.is_empty() {
                continue;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&ipa);
            out.push(clause.mark);
        }
        Ok(out)
    }
}

/// Runs `work` and returns the highest resident set seen meanwhile, sampled from a second thread.
fn peak_during<T>(work: impl FnOnce() -> T) -> (T, Bytes) {
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        let watch = s.spawn(|| {
            let mut peak = resident_now();
            while !done.load(Ordering::Acquire) {
                peak = peak.max(resident_now());
                std::thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let result = work();
        done.store(true, Ordering::Release);
        let peak = watch.join().unwrap_or_default();
        (result, peak.max(resident_now()))
    })
}

/// Makes the C library take large blocks from the system and give them back, whatever sizes it has seen: left to
/// itself it grows that limit to 32 MB, and the voice's layers, each larger than the last, fragment its heap to twice
/// what they need.
fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers and may be called at any time; both parameters only change where later
    // allocations come from.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 16 << 20);
    }
}

/// Piper keeps a voice's configuration beside its model, under the model's name and ".json".
fn model_config(file: &Path) -> Result<ModelConfig> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
    serde_json::from_str(&text).map_err(|e| not_a_voice(file).because(e))
}

fn config_name(model: &Path) -> String {
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}.json")
}

fn not_a_voice(file: &Path) -> Error {
    Error::new(Kind::Corrupt, format!("{} is not a Piper voice that tercet can use", file.display()))
        .remedy("run `tercet models verify`, then `tercet models fetch` to get it again")
}

#[cfg(test)]
#[path = "tests/tts.rs"]
mod tests;
