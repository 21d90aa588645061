//! Speech to text: whisper.cpp on one utterance at a time, and the guard that discards what is not speech.

use std::ffi::{c_char, c_void};
use std::io::Read;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState, whisper_rs_sys,
};

use super::{RATE, repeats, text};
use crate::budget::{Budget, Component, Reservation};
use crate::error::{Error, Kind, Result};
use crate::onnx;
use crate::problems::Problems;
use crate::store::{self, ModelRole, Paths};
use crate::units::Bytes;

/// How speech becomes text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Model id of the manifest, or the path of a ggml file of whisper.cpp.
    pub model: String,
    /// Threads of the final transcript; partial ones take one.
    pub threads: u32,
    /// Transcribe while the user is still speaking, so that thinking can start early.
    pub partials: bool,
    /// Refuse a transcript whose tokens are on average less likely than this (log probability).
    pub min_logprob: f32,
}

/// What files of whisper.cpp begin with.
const GGML: [u8; 4] = *b"lmgg";

/// What `model` may be.
const MODEL: store::Reference =
    store::Reference { noun: "a speech recognition model", role: ModelRole::Stt, prefix: "", file: Some("bin") };

impl Default for Settings {
    fn default() -> Self {
        Self { model: "whisper-tiny.en".into(), threads: 2, partials: true, min_logprob: -1.0 }
    }
}

impl Settings {
    pub(super) fn validate(&self, problems: &mut Problems) {
        MODEL.validate(problems, "model", &self.model);
        problems.range("threads", self.threads, 1..=64);
        problems.range("min_logprob", self.min_logprob, -10.0..=0.0);
    }

    pub(super) fn look(&self, paths: &Paths, problems: &mut Problems) {
        if MODEL.look(problems, "model", &self.model, paths) && MODEL.is_file(&self.model) {
            let mut magic = [0; 4];
            let read = std::fs::File::open(&self.model).and_then(|mut f| f.read_exact(&mut magic));
            if read.is_err() || magic != GGML {
                problems.wrong("model", format!("{} is not a whisper.cpp model", self.model));
            }
        }
    }
}

/// Which transcript is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The user is still speaking: cheap, one thread, likely to be cancelled.
    Partial,
    /// The turn is over.
    Final,
}

/// What was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    pub text: String,
    /// Whisper's own probability that there is no speech.
    pub no_speech: f32,
    /// Mean log probability of the text's tokens.
    pub logprob: f32,
}

/// Longest sound for one call: Whisper's window.
pub const MAX_SAMPLES: usize = 30 * RATE;
/// Positions of Whisper's window (50 a second).
const FULL_CONTEXT: usize = 1500;
/// Below this the model mis-hears or says everything twice: of 69 synthetic questions 12 went wrong at 384, 4 at 512.
const MIN_CONTEXT: usize = 512;
/// A transcript that repeats itself or is unlikely is made again with this much context, which takes twice the time.
const SECOND_CONTEXT: usize = 1024;
/// A transcript that says one thing many times is made again with all of Whisper's window, as it was trained: of ten
/// recordings of a word said six times, with 512 positions two were counted right, with 1,500 seven.
const COUNTING_CONTEXT: usize = FULL_CONTEXT;
/// Less speech than this is a click or a breath.
const MIN_SPEECH_MS: u32 = 96;

/// The recogniser: weights and one decoding state. One utterance at a time.
pub struct Stt {
    state: WhisperState,
    settings: Settings,
    padded: Vec<f32>,
    phrases: Vec<String>,
    _reservation: Reservation,
    /// How many of the next runs fail.
    #[cfg(test)]
    pub(crate) failures: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Stt {
    /// What [`Stt::load`] will reserve; known before the model is fetched.
    ///
    /// # Errors
    /// As [`store::size`], or when a model given as a file cannot be read.
    pub fn estimate(settings: &Settings, max_utterance_s: u32, paths: &Paths) -> Result<Bytes> {
        let bytes = if MODEL.is_file(&settings.model) {
            let file = Path::new(&settings.model);
            std::fs::metadata(file).map_err(|e| Error::io("open the speech recognition model", file, e))?.len()
        } else {
            store::size(paths, &settings.model, None)?.0
        };
        Ok(estimate(bytes, longest(max_utterance_s)))
    }

    /// Loads the model and runs it once at the length of the longest utterance, so that what it takes is measured.
    ///
    /// # Errors
    /// [`Kind::NotFound`] or [`Kind::Corrupt`] naming the model, [`Kind::OverBudget`].
    pub fn load(settings: &Settings, max_utterance_s: u32, paths: &Paths, budget: &Budget) -> Result<Self> {
        let file = if MODEL.is_file(&settings.model) {
            settings.model.clone().into()
        } else {
            store::locate(paths, &settings.model)?
        };
        Self::open(&file, settings, max_utterance_s, budget)
    }

    /// As [`Stt::load`], of a ggml file.
    ///
    /// # Errors
    /// As [`Stt::load`].
    pub fn open(file: &Path, settings: &Settings, max_utterance_s: u32, budget: &Budget) -> Result<Self> {
        let bytes = std::fs::metadata(file)
            .map_err(|e| Error::io("open the speech recognition model", file, e).remedy("run `tercet models fetch`"))?
            .len();
        let longest = longest(max_utterance_s);
        let what = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ((state, padded), reservation) =
            onnx::load_measured(budget, Component::Stt, what, estimate(bytes, longest), || {
                let mut state = open_state(file)?;
                let mut padded = vec![0.0; longest + RATE];
                // Not silence: some text must be decoded to touch the decoder's memory.
                padded.iter_mut().enumerate().for_each(|(i, x)| *x = 0.1 * (i as f32 * 0.05).sin());
                let mut params = parameters(Pass::Final, settings.threads, longest, widest(longest));
                params.set_max_tokens(8);
                state.full(params, &padded[..longest]).map_err(|e| unsound(file).because(e))?;
                padded.clear();
                Ok((state, padded))
            })?;
        Ok(Self {
            state,
            settings: settings.clone(),
            padded,
            phrases: Vec::new(),
            _reservation: reservation,
            #[cfg(test)]
            failures: Default::default(),
        })
    }

    /// Phrases that are never part of what was said, because they only address the agent ("Alexa, what time is it?").
    /// The ears cut them off where they can; this takes off what the cut left.
    pub fn drop_phrases(&mut self, phrases: impl IntoIterator<Item = String>) {
        self.phrases = phrases.into_iter().collect();
    }

    /// What was said in `samples` (16 kHz, at most [`MAX_SAMPLES`]; the rest is ignored), in which the VAD found
    /// `speech_ms` of speech; `None` when nobody said anything. `cancel` is checked throughout.
    ///
    /// # Errors
    /// [`Kind::Cancelled`] soon after `cancel` is set; [`Kind::Internal`] when the model fails to run.
    pub fn transcribe(
        &mut self,
        samples: &[f32],
        speech_ms: u32,
        pass: Pass,
        cancel: &AtomicBool,
    ) -> Result<Option<Transcript>> {
        if speech_ms < MIN_SPEECH_MS {
            return Ok(None);
        }
        let started = Instant::now();
        let samples = &samples[..samples.len().min(MAX_SAMPLES)];
        // Shorter than a second is refused or misheard.
        self.padded.clear();
        self.padded.extend_from_slice(samples);
        self.padded.resize(samples.len().max(RATE + RATE / 10), 0.0);

        let context = audio_context(self.padded.len());
        let (mut heard, mut ended) = self.run(pass, context, cancel)?;
        let suspicious =
            text::repeats_itself(&heard.text) || (heard.logprob < self.settings.min_logprob && !heard.text.is_empty());
        let second = if text::counts(&heard.text) { COUNTING_CONTEXT } else { SECOND_CONTEXT };
        let mut agreed = context >= second;
        if pass == Pass::Final && context < second && (suspicious || second == COUNTING_CONTEXT) {
            let (again, ended_again) = self.run(pass, second, cancel)?;
            agreed = text::agree(&heard.text, &again.text);
            (heard, ended) = (again, ended_again);
        }
        // A decoder that is stuck goes on until it is stopped, writes other things at another context, and more than can
        // be said in the time. What is repeated and is none of these was said so; the sound, which comes back with every
        // word, is as good a witness as another decoding.
        let times = text::repetitions(&heard.text);
        let counted = times.and_then(|times| repeats::count(samples, times));
        let heard_again = times.zip(counted).is_some_and(|(times, counted)| times.abs_diff(counted) <= 1);
        let repeated = ended && (agreed || heard_again) && text::fits(&heard.text, speech_ms);
        match counted {
            _ if !repeated => heard.text = text::once(&heard.text).to_owned(),
            Some(counted) => heard.text = text::said_times(&heard.text, counted),
            None => {}
        }
        for phrase in &self.phrases {
            heard.text = text::without_phrase(&heard.text, phrase);
        }
        tracing::debug!(
            ms = started.elapsed().as_millis() as u64,
            sound_ms = (samples.len() * 1000 / RATE) as u64,
            speech_ms,
            no_speech = heard.no_speech,
            logprob = heard.logprob,
            ended,
            agreed,
            ?pass,
            "transcribed"
        );
        let stuck = !repeated && text::is_looping(&heard.text);
        Ok((!stuck && is_speech(&heard, speech_ms, &self.settings)).then_some(heard))
    }

    /// One run of the model over `self.padded` with so many positions of context: what it wrote, and whether it ended
    /// that by itself.
    fn run(&mut self, pass: Pass, context: usize, cancel: &AtomicBool) -> Result<(Transcript, bool)> {
        let threads = if pass == Pass::Partial { 1 } else { self.settings.threads };
        let mut params = parameters(pass, threads, self.padded.len(), context);
        // SAFETY: the callback reads one atomic through the pointer, which outlives the call of `full` below; `params`
        // is used for that call only.
        unsafe {
            params.set_abort_callback(Some(is_cancelled));
            params.set_abort_callback_user_data(std::ptr::from_ref(cancel).cast_mut().cast::<c_void>());
        }
        #[cfg(test)]
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Error::new(Kind::Internal, "speech recognition failed"));
        }
        let outcome = self.state.full(params, &self.padded);
        if cancel.load(Ordering::Acquire) {
            return Err(Error::new(Kind::Cancelled, "the transcript was cancelled"));
        }
        outcome.map_err(|e| Error::new(Kind::Internal, "speech recognition failed").because(e))?;
        let (heard, tokens) = self.read();
        let cap = token_cap(self.padded.len()) as u32;
        tracing::trace!(context, tokens, cap, "decoded");
        Ok((heard, tokens < cap))
    }

    /// What the last run wrote, and of how many tokens.
    fn read(&self) -> (Transcript, u32) {
        let (mut raw, mut no_speech) = (String::new(), 0.0_f32);
        let (mut sum, mut count) = (0.0_f32, 0_u32);
        for segment in self.state.as_iter() {
            raw += &segment.to_str_lossy().unwrap_or_default();
            no_speech = no_speech.max(segment.no_speech_probability());
            for token in (0..segment.n_tokens()).filter_map(|i| segment.get_token(i)) {
                sum += token.token_data().plog;
                count += 1;
            }
        }
        let logprob = if count == 0 { 0.0 } else { sum / count as f32 };
        (Transcript { text: text::clean(&raw), no_speech, logprob }, count)
    }
}

/// Whether somebody said this, where it is no loop: the text, Whisper's own doubts and the VAD's evidence taken together.
///
/// Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, arXiv:2212.04356, section
/// 4.5, and `no_speech_thold` (0.6) and `logprob_thold` (−1.0) of whisper.cpp 1.8.3, which are those of openai/whisper,
/// whisper/transcribe.py; −0.5 together with a doubt, and the VAD's evidence, are tercet's own.
fn is_speech(heard: &Transcript, speech_ms: u32, settings: &Settings) -> bool {
    if heard.text.is_empty() || heard.logprob < settings.min_logprob {
        return false;
    }
    if heard.no_speech > 0.6 && heard.logprob < -0.5 {
        return false;
    }
    // Stock phrases need both witnesses: Whisper sure of itself, and about as much speech as the words take.
    let enough_ms = 120 * text::words(&heard.text).len() as u32;
    !text::is_doubtful(&heard.text) || (heard.no_speech < 0.3 && heard.logprob > -0.5 && speech_ms >= enough_ms)
}

/// Positions of the audio context for so many samples: what they fill and a second and a quarter, in steps of 64.
///
/// Source: 50 positions a second, 1500 in 30 s, arXiv:2212.04356, section 2.2; `audio_ctx` of whisper.cpp 1.8.3. The margins
/// were measured.
fn audio_context(samples: usize) -> usize {
    let filled = (samples * 50).div_ceil(RATE);
    (filled + 64).next_multiple_of(64).clamp(MIN_CONTEXT, FULL_CONTEXT)
}

/// The largest context that an utterance of at most `longest` samples is given.
fn widest(longest: usize) -> usize {
    audio_context(longest).max(COUNTING_CONTEXT)
}

/// Most tokens that so many samples can hold: fast speech has about seven a second.
fn token_cap(samples: usize) -> i32 {
    (16 + samples * 8 / RATE).min(220) as i32
}

/// Alternatives a final transcript follows: the best token alone often loses the last "s" of "lights" (4 of 72 cuts of
/// recordings; with four alternatives none).
const BEAMS: i32 = 4;

fn parameters(pass: Pass, threads: u32, samples: usize, context: usize) -> FullParams<'static, 'static> {
    // English is whisper.cpp's default language, and the only one here so far.
    let mut p = FullParams::new(match pass {
        Pass::Partial => SamplingStrategy::Greedy { best_of: 1 },
        Pass::Final => SamplingStrategy::BeamSearch { beam_size: BEAMS, patience: -1.0 },
    });
    p.set_n_threads(threads.clamp(1, 64) as i32);
    p.set_audio_ctx(context as i32);
    p.set_max_tokens(token_cap(samples));
    p.set_no_context(true);
    p.set_single_segment(true);
    p.set_no_timestamps(true);
    p.set_suppress_blank(true);
    p.set_temperature_inc(0.0);
    p.set_print_special(false);
    p.set_print_progress(false);
    p.set_print_realtime(false);
    p.set_print_timestamps(false);
    p
}

fn unsound(file: &Path) -> Error {
    Error::new(Kind::Corrupt, format!("cannot load the speech recognition model {}", file.display()))
        .remedy("run `tercet models verify`, then `tercet models fetch` to get it again")
}

fn open_state(file: &Path) -> Result<WhisperState> {
    quiet();
    let mut how = WhisperContextParameters::default();
    // With flash attention whisper.cpp attends to a multiple of 256 positions whatever was asked for: the rest would be
    // left over from an earlier, longer utterance, and the decoder loops on it.
    how.use_gpu(false).flash_attn(false);
    let context = WhisperContext::new_with_params(file, how).map_err(|e| unsound(file).because(e))?;
    // The state keeps the context alive.
    context.create_state().map_err(|e| unsound(file).because(e))
}

/// Samples of the longest utterance that is transcribed.
fn longest(max_utterance_s: u32) -> usize {
    (max_utterance_s as usize * RATE).clamp(RATE, MAX_SAMPLES)
}

/// whisper.cpp keeps the file's weights, its caches (one a beam), and compute buffers that grow with the audio context: activations,
/// and the attention scores of one layer, f32 `[heads, context, context]` with 6 heads in the smallest model.
fn estimate(file_bytes: u64, longest: usize) -> Bytes {
    let context = widest(longest) as u64;
    Bytes(file_bytes + file_bytes / 4 + 46_000_000 + context * 40_000 + 6 * 4 * context * context)
}

unsafe extern "C" fn is_cancelled(flag: *mut c_void) -> bool {
    // SAFETY: `flag` is the AtomicBool given beside this callback, alive for the whole call.
    unsafe { (*flag.cast::<AtomicBool>()).load(Ordering::Relaxed) }
}

/// whisper.cpp writes to stderr by itself; what it says goes to the log instead, never above DEBUG: its failures come
/// back as errors, and an abandoned partial transcript is none.
fn quiet() {
    static ONCE: Once = Once::new();
    // SAFETY: both functions only store the callback, which is valid for the whole life of the process.
    ONCE.call_once(|| unsafe {
        whisper_rs_sys::whisper_log_set(Some(log), std::ptr::null_mut());
        whisper_rs_sys::ggml_log_set(Some(log), std::ptr::null_mut());
    });
}

unsafe extern "C" fn log(level: whisper_rs_sys::ggml_log_level, message: *const c_char, _: *mut c_void) {
    if message.is_null() {
        return;
    }
    // SAFETY: whisper.cpp passes a C string that lives during the call.
    let message = unsafe { std::ffi::CStr::from_ptr(message) }.to_string_lossy();
    match level {
        whisper_rs_sys::ggml_log_level_GGML_LOG_LEVEL_ERROR | whisper_rs_sys::ggml_log_level_GGML_LOG_LEVEL_WARN => {
            tracing::debug!("whisper.cpp: {}", message.trim());
        }
        _ => tracing::trace!("whisper.cpp: {}", message.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audio_context_fits_the_utterance_within_whispers_limits() {
        assert_eq!(audio_context(0), 512);
        assert_eq!(audio_context(3 * RATE), 512);
        assert_eq!(audio_context(8 * RATE), 512);
        assert_eq!(audio_context(11 * RATE), 640);
        assert_eq!(audio_context(30 * RATE), 1500);
    }

    fn heard(text: &str, no_speech: f32, logprob: f32) -> Transcript {
        Transcript { text: text.into(), no_speech, logprob }
    }

    #[test]
    fn nothing_is_made_of_what_is_no_speech() {
        let s = Settings::default();
        assert!(is_speech(&heard("What time is it?", 0.1, -0.2), 700, &s));
        assert!(is_speech(&heard("Thank you.", 0.1, -0.2), 500, &s), "people do say it");
        for (h, ms) in [
            (heard("", 0.0, 0.0), 900),
            (heard("you", 0.7, -0.6), 900),
            (heard("Thank you.", 0.1, -0.2), 120),
            (heard("Okay so it is", 0.2, -1.4), 900),
        ] {
            assert!(!is_speech(&h, ms, &s), "{h:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_model_is_corrupt_and_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("ggml-nothing.bin");
        let open = |file: &Path| Stt::open(file, &Settings::default(), 10, &Budget::unlimited()).map(|_| ());
        assert_eq!(open(&file).expect_err("nothing is there").kind(), Kind::NotFound);
        std::fs::write(&file, vec![7u8; 4096]).expect("written");
        let e = open(&file).expect_err("no model");
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains("ggml-nothing.bin"), "{e}");
    }
}
