//! The streaming half of hearing: wake words, voice activity and turns on one sample clock, in bounded memory.

use std::path::PathBuf;

use super::turn::Tracker;
use super::vad::Edge;
use super::{EndOfTurn, RATE, Segmenter, Settings, SilenceEnd, Situation, Vad, Wake, samples_in_ms, vad, wake};
use crate::budget::{Budget, Component, Reservation};
use crate::error::{Error, Result};
use crate::onnx;
use crate::schema::EarMode;
use crate::store::{self, Paths};
use crate::units::Bytes;

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The user stopped speaking.
    Silence,
    /// The longest utterance was reached.
    TooLong,
    /// The input ended ([`Ears::finish`]).
    InputEnded,
}

/// What was heard. Times are counted in samples pushed since the ears were made ([`Ears::now_samples`]).
#[derive(Debug, Clone, PartialEq)]
pub enum EarEvent {
    /// A wake word; `start_samples` is where its stretch of speech began, `end_samples` about where the word ended.
    Wake {
        model: String,
        score: f32,
        start_samples: u64,
        end_samples: u64,
    },
    SpeechStart {
        at_samples: u64,
    },
    SpeechEnd {
        at_samples: u64,
    },
    /// The turn in [`Ears::finished`] is complete. `speech_ms` is the voiced part of it.
    TurnEnd {
        start_samples: u64,
        end_samples: u64,
        speech_ms: u32,
        reason: EndReason,
    },
}

/// Sound is taken in pieces of at most this many samples, so that memory is bounded whatever is pushed at once.
const PIECE: usize = RATE;
/// Longest time between a wake word and [`EarMode::Open`] for its turn to be kept, in samples.
const WAKE_KEPT: u64 = samples_in_ms(5000);
/// A wake word's score passes the threshold around its end; the end is sought from this long before …
const CUT_BEFORE: u64 = samples_in_ms(160);
/// … to this long after.
const CUT_AFTER: u64 = samples_in_ms(240);
/// Longest wake phrase, for where a detection in the midst of speech may have begun.
const LONGEST_PHRASE: u64 = samples_in_ms(1200);
/// A wake word this soon after a turn began is its address ("er, Alexa, …"), later it is part of what is said.
const ADDRESS: u64 = samples_in_ms(2000);
/// Sound kept after the last voiced frame of a finished turn: the "s" of "lights" can come 450 ms after the vowel, and
/// is not voiced.
const POST_ROLL: u64 = samples_in_ms(600);

/// Wake words, voice activity and turns over one stream of 16 kHz samples.
pub struct Ears {
    settings: Settings,
    wake: Option<Wake>,
    vad: Vad,
    segmenter: Segmenter,
    end_of_turn: Box<dyn EndOfTurn>,
    mode: EarMode,
    /// Samples pushed so far: the clock.
    now: u64,
    /// The last samples, up to `now`; at most `keep` + [`PIECE`] of them.
    history: Vec<f32>,
    keep: usize,
    vad_at: u64,
    wake_at: u64,
    turn: Option<Tracker>,
    /// Where a wake word was detected whose end is not known yet: sound after it is still awaited.
    uncut: Option<u64>,
    finished: Vec<f32>,
    _reservation: Option<Reservation>,
}

impl Ears {
    /// What [`Ears::load`] will reserve: the models, and the buffers of sound. Known before the models are fetched.
    ///
    /// # Errors
    /// As [`store::size`], or when a wake word given as a file cannot be read.
    pub fn estimate(settings: &Settings, paths: &Paths) -> Result<Bytes> {
        let mut models = vec![store::size(paths, "silero-vad", None)?];
        for model in &settings.wake.models {
            models.push(if let Some(file) = wake::Settings::file(model) {
                Bytes(std::fs::metadata(file).map_err(|e| Error::io("open the wake word", file, e))?.len())
            } else {
                store::size(paths, &format!("wake-{model}"), None)?
            });
        }
        if !settings.wake.models.is_empty() {
            for name in ["melspectrogram.onnx", "embedding_model.onnx"] {
                models.push(store::size(paths, "openwakeword", Some(name))?);
            }
        }
        let buffers = (2 * kept_samples(settings) + 2 * PIECE) * size_of::<f32>();
        Ok(onnx::estimate_of_sizes(models) + Bytes(buffers as u64))
    }

    /// Loads the VAD and the wake words of `settings`, reserved and measured as one item of `budget`.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`] naming a model that is not installed, those of [`onnx::session`], and
    /// [`crate::error::Kind::OverBudget`].
    pub fn load(settings: &Settings, paths: &Paths, budget: &Budget) -> Result<Self> {
        let vad_file = store::locate(paths, "silero-vad")?;
        let mut words: Vec<(String, PathBuf)> = Vec::new();
        for model in &settings.wake.models {
            let word = if let Some(file) = wake::Settings::file(model) {
                (file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), file.to_owned())
            } else {
                (model.clone(), store::locate(paths, &format!("wake-{model}"))?)
            };
            words.push(word);
        }
        let front = if words.is_empty() {
            None
        } else {
            let file = |name| store::locate_file(paths, "openwakeword", name);
            Some((file("melspectrogram.onnx")?, file("embedding_model.onnx")?))
        };

        onnx::init_reserved(&store::locate(paths, "onnxruntime")?, budget)?;
        let estimate = Self::estimate(settings, paths)?;
        let (mut ears, reservation) =
            onnx::load_measured(budget, Component::Detect, "vad and wake words", estimate, || {
                let vad = Vad::load(&vad_file)?;
                let wake = match &front {
                    Some((mel, embedding)) => Some(Wake::load(mel, embedding, &words, settings.wake.clone())?),
                    None => None,
                };
                let mut ears = Self::new(settings.clone(), vad, wake);
                ears.warm_up()?;
                Ok(ears)
            })?;
        ears._reservation = Some(reservation);
        Ok(ears)
    }

    fn new(settings: Settings, vad: Vad, wake: Option<Wake>) -> Self {
        let keep = kept_samples(&settings);
        Self {
            wake,
            vad,
            segmenter: Segmenter::new(settings.vad.clone()),
            end_of_turn: Box::new(SilenceEnd::new(&settings.turn)),
            mode: EarMode::Asleep,
            now: 0,
            history: Vec::with_capacity(keep + 2 * PIECE),
            keep,
            vad_at: 0,
            wake_at: 0,
            turn: None,
            uncut: None,
            finished: Vec::with_capacity(keep),
            settings,
            _reservation: None,
        }
    }

    /// Runs every model and touches every buffer, so that what they take is measured and the first word is not late.
    fn warm_up(&mut self) -> Result<()> {
        self.push(&vec![0.0; RATE])?;
        for buffer in [&mut self.history, &mut self.finished] {
            buffer.resize(buffer.capacity(), 0.0);
            buffer.clear();
        }
        self.now = 0;
        self.reset();
        Ok(())
    }

    /// Replaces the judge of turn ends.
    pub fn set_end_of_turn(&mut self, judge: Box<dyn EndOfTurn>) {
        self.end_of_turn = judge;
    }

    pub fn mode(&self) -> EarMode {
        self.mode
    }

    /// Changes the mode of the ears; setting the current mode again does nothing. Opening within five seconds of a wake word
    /// keeps what was said since that word; otherwise a turn may begin from now on (and its first consonant a moment
    /// before). Leaving or entering [`EarMode::Deaf`] forgets everything.
    pub fn set_mode(&mut self, mode: EarMode) {
        if mode == self.mode {
            return;
        }
        if mode == EarMode::Deaf || self.mode == EarMode::Deaf {
            self.reset();
        }
        match mode {
            EarMode::Open if self.turn.is_none() && self.uncut.is_none() => {
                self.next_turn(self.now, self.settings.turn.pre_roll_ms)
            }
            EarMode::Open => {}
            EarMode::Asleep | EarMode::Deaf => self.forget_turn(),
        }
        self.mode = mode;
    }

    /// Drops what was collected of the present turn; the next one may begin now.
    pub fn discard(&mut self) {
        self.forget_turn();
        if self.mode == EarMode::Open {
            self.next_turn(self.now, 0);
        }
    }

    /// Samples pushed so far: the clock of every [`EarEvent`].
    pub fn now_samples(&self) -> u64 {
        self.now
    }

    /// What the user has said so far in the present turn, from just before the first speech; empty while nobody has
    /// spoken. Good for partial transcripts.
    pub fn utterance(&self) -> &[f32] {
        match self.turn.as_ref().and_then(|t| Some((t, t.start()?))) {
            Some((t, start)) => self.between(self.with_pre_roll(t, start), self.now),
            None => &[],
        }
    }

    /// Voiced part of [`Ears::utterance`].
    pub fn speech_ms(&self) -> u32 {
        self.turn.as_ref().map_or(0, Tracker::speech_ms)
    }

    /// The turn of the last [`EarEvent::TurnEnd`]; kept until the next one.
    pub fn finished(&self) -> &[f32] {
        &self.finished
    }

    /// Takes the next samples; returns what was heard in them, in order.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] when a model fails to run.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<EarEvent>> {
        let mut events = Vec::new();
        for piece in samples.chunks(PIECE) {
            self.now += piece.len() as u64;
            if self.mode == EarMode::Deaf {
                (self.vad_at, self.wake_at) = (self.now, self.now);
                continue;
            }
            self.history.extend_from_slice(piece);
            self.step_all(&mut events)?;
            let surplus = self.history.len().saturating_sub(self.keep);
            // In large pieces, so that the copying stays negligible.
            if surplus >= PIECE {
                self.history.drain(..surplus);
            }
        }
        Ok(events)
    }

    /// Ends the speech and the turn that are going on, because the input has ended.
    pub fn finish(&mut self) -> Vec<EarEvent> {
        let mut events = Vec::new();
        if self.segmenter.speaking_since().is_some() {
            events.push(EarEvent::SpeechEnd { at_samples: self.vad_at });
            self.segmenter.reset();
        }
        let enough = self.turn.as_ref().is_some_and(|t| t.speech_ms() >= self.settings.turn.min_speech_ms);
        if self.mode == EarMode::Open && enough {
            self.end_turn(EndReason::InputEnded, &mut events);
        }
        events
    }

    /// Forgets what was heard: models, speech, turn and sound. The clock goes on.
    fn reset(&mut self) {
        self.vad.reset();
        self.segmenter.reset();
        if let Some(w) = &mut self.wake {
            w.reset();
        }
        self.history.clear();
        (self.vad_at, self.wake_at) = (self.now, self.now);
        self.forget_turn();
    }

    fn forget_turn(&mut self) {
        self.turn = None;
        self.uncut = None;
        self.end_of_turn.reset();
    }

    fn next_turn(&mut self, floor: u64, reach_back_ms: u32) {
        let floor = floor.saturating_sub(samples_in_ms(reach_back_ms)).max(self.history_start());
        self.turn = Some(Tracker::new(floor, floor));
        self.end_of_turn.reset();
    }

    fn history_start(&self) -> u64 {
        self.now - self.history.len() as u64
    }

    fn between(&self, from: u64, to: u64) -> &[f32] {
        slice_between(&self.history, self.now, from, to)
    }

    fn with_pre_roll(&self, turn: &Tracker, start: u64) -> u64 {
        start.saturating_sub(samples_in_ms(self.settings.turn.pre_roll_ms)).max(turn.floor())
    }

    /// Steps the models over everything that is complete, in the order in which their frames end.
    fn step_all(&mut self, events: &mut Vec<EarEvent>) -> Result<()> {
        loop {
            let vad_to = self.vad_at + vad::FRAME as u64;
            let wake_to = if self.wake.is_some() { self.wake_at + wake::FRAME as u64 } else { u64::MAX };
            if vad_to.min(wake_to) > self.now {
                return Ok(());
            }
            if vad_to <= wake_to { self.step_vad(vad_to, events)? } else { self.step_wake(wake_to, events)? }
        }
    }

    fn step_wake(&mut self, to: u64, events: &mut Vec<EarEvent>) -> Result<()> {
        let start = self.history_start();
        let Some(wake) = &mut self.wake else { return Ok(()) };
        let frame = &self.history[(self.wake_at - start) as usize..(to - start) as usize];
        let heard = wake.step(frame)?;
        self.wake_at = to;
        let Some(heard) = heard else { return Ok(()) };
        let model = wake.name(heard.word).to_owned();
        let began = self.segmenter.speaking_since().unwrap_or(to).clamp(to.saturating_sub(LONGEST_PHRASE), to);
        events.push(EarEvent::Wake { model, score: heard.score, start_samples: began, end_samples: to });
        let address = self.turn.as_ref().and_then(Tracker::start).is_none_or(|s| to.saturating_sub(s) <= ADDRESS);
        if address {
            self.forget_turn();
            self.uncut = Some(to);
        }
        Ok(())
    }

    fn step_vad(&mut self, to: u64, events: &mut Vec<EarEvent>) -> Result<()> {
        let (from, start) = (self.vad_at, self.history_start());
        let probability = self.vad.probability(&self.history[(from - start) as usize..(to - start) as usize])?;
        self.vad_at = to;
        match self.segmenter.step(probability, from, to) {
            Some(Edge::Start(at)) => events.push(EarEvent::SpeechStart { at_samples: at }),
            Some(Edge::End(at)) => events.push(EarEvent::SpeechEnd { at_samples: at }),
            None => {}
        }
        if let Some(heard) = self.uncut {
            if to < heard + CUT_AFTER {
                return Ok(());
            }
            self.uncut = None;
            let floor = self.word_end(heard);
            self.turn = Some(Tracker::new(floor, heard + CUT_AFTER));
        }
        self.step_turn(from, to, events);
        Ok(())
    }

    fn step_turn(&mut self, from: u64, to: u64, events: &mut Vec<EarEvent>) {
        let min_speech_ms = self.settings.turn.min_speech_ms;
        let Some(turn) = &mut self.turn else { return };
        turn.step(from, to, self.segmenter.voiced(), self.segmenter.speaking_since(), min_speech_ms);
        if self.mode != EarMode::Open {
            if to > turn.floor() + WAKE_KEPT {
                self.forget_turn();
            }
            return;
        }
        let (Some(turn), true) = (&self.turn, self.turn.as_ref().is_some_and(|t| t.start().is_some())) else { return };
        let begun = self.with_pre_roll(turn, turn.start().unwrap_or(from));
        if to - begun >= samples_in_ms(self.settings.turn.max_utterance_s * 1000) {
            return self.end_turn(EndReason::TooLong, events);
        }
        let silence = to.saturating_sub(turn.last_voiced());
        if silence == 0 || turn.speech_ms() < min_speech_ms {
            return;
        }
        let situation = Situation {
            samples: slice_between(&self.history, self.now, begun, to),
            speech_ms: turn.speech_ms(),
            silence_ms: super::ms_in_samples(silence),
            longest_pause_ms: turn.longest_pause_ms(),
        };
        if self.end_of_turn.has_ended(&situation) {
            self.end_turn(EndReason::Silence, events);
        }
    }

    fn end_turn(&mut self, reason: EndReason, events: &mut Vec<EarEvent>) {
        let Some((turn, start)) = self.turn.as_ref().and_then(|t| Some((t, t.start()?))) else { return };
        let begin = self.with_pre_roll(turn, start);
        let end = (turn.last_voiced() + POST_ROLL).min(self.vad_at);
        let (last_voiced, speech_ms) = (turn.last_voiced(), turn.speech_ms());
        self.finished.clear();
        self.finished.extend_from_slice(slice_between(&self.history, self.now, begin, end));
        events.push(EarEvent::TurnEnd { start_samples: start, end_samples: last_voiced, speech_ms, reason });
        self.next_turn(self.vad_at, 0);
    }

    /// Where the wake word detected at `heard` (a sample) most likely ended: the quietest moment around there, by the mean
    /// square of 20 ms at a time, every 10 ms. Tercet's own.
    fn word_end(&self, heard: u64) -> u64 {
        const STEP: u64 = samples_in_ms(10);
        let energy = |at: u64| {
            let window = self.between(at - STEP, at + STEP);
            window.iter().map(|x| x * x).sum::<f32>() / window.len().max(1) as f32
        };
        let first = heard.saturating_sub(CUT_BEFORE).max(self.history_start() + STEP);
        let mut best = (f32::INFINITY, heard);
        let mut at = first;
        while at + STEP <= heard + CUT_AFTER {
            let e = energy(at);
            if e < best.0 {
                best = (e, at);
            }
            at += STEP;
        }
        best.1
    }
}

/// Samples `from..to` of a history that ends at `now`, as far as it reaches.
fn slice_between(history: &[f32], now: u64, from: u64, to: u64) -> &[f32] {
    let start = now - history.len() as u64;
    let index = |at: u64| (at.saturating_sub(start) as usize).min(history.len());
    &history[index(from)..index(to).max(index(from))]
}

/// Samples of the past that may be asked for: the longest utterance, the silence that ends it, and a wake word.
fn kept_samples(settings: &Settings) -> usize {
    let turn = &settings.turn;
    let ms = turn.max_utterance_s * 1000 + turn.pre_roll_ms + turn.max_silence_ms + 2000;
    samples_in_ms(ms) as usize
}
