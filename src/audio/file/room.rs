//! What happens in the room, block by block.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Event, Script, Sound, When};
use crate::audio::queue::{self, Player, Queue};
use crate::audio::{Resampler, WavWriter, read_16k};
use crate::error::{Error, Result};
use crate::units::SampleRate;

/// Rate of the loudspeaker and of the recording of replies.
pub(super) const OUT_RATE: SampleRate = SampleRate(24_000);
pub(super) const BLOCK_MS: u64 = 10;
/// Less sound than this is an earcon, not a reply.
const REPLY_MIN_MS: u64 = 400;
const IN_BLOCK: usize = 160;
const OUT_BLOCK: usize = 240;
/// Speech queued for the loudspeaker.
const QUEUE_MS: u32 = 1500;
/// Samples kept for a reader that is late; what comes after is dropped and counted.
const IN_QUEUE: usize = 10 * 16_000;

/// What the clock moves.
pub(super) struct State {
    script: Script,
    pub(super) started: Instant,
    pub(super) blocks: u32,
    cues: VecDeque<(When, Vec<f32>)>,
    total: usize,
    /// The cue being said and how much of it has been.
    playing: Option<(Vec<f32>, usize)>,
    cue_began_ms: u64,
    cue_ended_ms: u64,
    /// Sound from the loudspeaker since the last cue ended.
    reply_ms: u64,
    reply_last_ms: Option<u64>,
    in_reply: bool,
    pub(super) ended: bool,
    pub(super) ready: VecDeque<f32>,
    pub(super) dropped: u64,
    pub(super) failed: Option<Error>,
    pub(super) events: Vec<Event>,
    noise: Noise,
    echo_gain: Option<f32>,
    echo: VecDeque<f32>,
    down: Resampler,
    replies: Option<WavWriter>,
    mixed: Option<WavWriter>,
    player: Player,
    output: Arc<Queue>,
}

impl State {
    /// The room before anything has happened, and its loudspeaker.
    pub(super) fn new(script: Script) -> Result<(Self, Arc<Queue>)> {
        let mut cues = VecDeque::new();
        for cue in &script.cues {
            let pcm = match &cue.sound {
                Sound::File(path) => read_16k(path)?,
                Sound::Samples(pcm) => pcm.clone(),
            };
            cues.push_back((cue.when, pcm));
        }
        let create =
            |path: &Option<PathBuf>, rate| path.as_deref().map(|p: &Path| WavWriter::create(p, rate)).transpose();
        let (output, player) = queue::pair(OUT_RATE, QUEUE_MS, script.volume);
        let output = Arc::new(output);
        let state = Self {
            started: Instant::now(),
            blocks: 0,
            cues,
            total: script.cues.len(),
            playing: None,
            cue_began_ms: 0,
            cue_ended_ms: 0,
            reply_ms: 0,
            reply_last_ms: None,
            in_reply: false,
            ended: false,
            ready: VecDeque::new(),
            dropped: 0,
            failed: None,
            events: Vec::new(),
            noise: Noise::new(script.noise_db),
            echo_gain: script.echo_db.map(decibel),
            echo: VecDeque::new(),
            down: Resampler::new(OUT_RATE, SampleRate::HEARING)?,
            replies: create(&script.replies_wav, OUT_RATE)?,
            mixed: create(&script.mixed_wav, SampleRate::HEARING)?,
            player,
            output: Arc::clone(&output),
            script,
        };
        Ok((state, output))
    }

    pub(super) fn is_realtime(&self) -> bool {
        self.script.realtime
    }

    fn now_ms(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_MS
    }

    /// Index of the cue that was last begun.
    fn current(&self) -> usize {
        (self.total - self.cues.len()).saturating_sub(1)
    }

    /// Moves one block of sound each way.
    pub(super) fn block(&mut self) {
        if self.ended {
            return;
        }
        let mut speech = [0.0; OUT_BLOCK];
        let sounds = self.player.fill(&mut speech, Duration::ZERO);
        self.follow_reply(sounds);
        let mut heard = Vec::with_capacity(2 * IN_BLOCK);
        if let Err(e) = self.down.process(&speech, &mut heard) {
            self.failed = Some(e);
        }
        self.echo.extend(heard);

        self.follow_cues();
        let mut voice = [0.0; IN_BLOCK];
        if let Some((pcm, at)) = &mut self.playing {
            let n = IN_BLOCK.min(pcm.len() - *at);
            voice[..n].copy_from_slice(&pcm[*at..*at + n]);
            *at += n;
            if *at == pcm.len() {
                self.playing = None;
                self.cue_ended_ms = self.now_ms() + BLOCK_MS;
                self.events.push(Event::CueEnd { cue: self.current(), at_ms: self.cue_ended_ms });
            }
        }
        let echo: Vec<f32> = (0..IN_BLOCK).map(|_| self.echo.pop_front().unwrap_or(0.0)).collect();
        let both: Vec<f32> = voice.iter().zip(&echo).map(|(v, e)| v + e).collect();
        for (v, e) in voice.iter().zip(&echo) {
            if self.ready.len() < IN_QUEUE {
                self.ready.push_back(v + self.echo_gain.map_or(0.0, |g| g * e) + self.noise.next());
            } else {
                self.dropped += 1;
            }
        }
        let written = self.replies.as_mut().map_or(Ok(()), |w| w.write(&speech));
        let written = written.and(self.mixed.as_mut().map_or(Ok(()), |w| w.write(&both)));
        if let Err(e) = written {
            (self.replies, self.mixed) = (None, None);
            self.failed = Some(e);
        }
        self.blocks += 1;
        if self.over() {
            self.events.push(Event::End { at_ms: self.now_ms() });
            self.finish();
        }
    }

    fn follow_reply(&mut self, sounds: bool) {
        let now = self.now_ms();
        if sounds {
            if !self.in_reply {
                self.events.push(Event::ReplyStart { at_ms: now });
            }
            self.in_reply = true;
            if self.playing.is_none() {
                self.reply_ms += BLOCK_MS;
            }
            self.reply_last_ms = Some(now + BLOCK_MS);
        } else if self.in_reply && self.silent_for(300) {
            self.in_reply = false;
            self.events.push(Event::ReplyEnd { at_ms: self.reply_last_ms.unwrap_or(now) });
        }
    }

    /// The loudspeaker has been silent for `ms`, and nothing is queued.
    fn silent_for(&self, ms: u64) -> bool {
        !self.output.is_queued() && self.reply_last_ms.is_none_or(|last| self.now_ms() >= last + ms)
    }

    /// A reply to the last cue has come and has been over for `quiet`, or none came in time.
    fn answered(&mut self, quiet: Duration) -> bool {
        if self.reply_ms >= REPLY_MIN_MS {
            return self.silent_for(quiet.as_millis() as u64);
        }
        let late = self.now_ms() >= self.cue_ended_ms + self.script.reply_timeout.as_millis() as u64;
        if late {
            self.events.push(Event::NoReply { cue: self.current(), at_ms: self.now_ms() });
        }
        late
    }

    fn follow_cues(&mut self) {
        if self.playing.is_some() {
            return;
        }
        let Some(&(when, _)) = self.cues.front() else { return };
        let first = self.cues.len() == self.total;
        let due = match when {
            When::AfterStart { delay } => self.now_ms() >= delay.as_millis() as u64,
            When::AfterReply { delay } | When::AfterCue { delay } if first => self.now_ms() >= delay.as_millis() as u64,
            When::AfterReply { delay } => self.answered(delay),
            When::AfterCue { delay } => self.now_ms() >= self.cue_began_ms + delay.as_millis() as u64,
        };
        if !due {
            return;
        }
        if let Some((_, pcm)) = self.cues.pop_front() {
            self.cue_began_ms = self.now_ms();
            self.cue_ended_ms = self.now_ms();
            self.reply_ms = 0;
            self.events.push(Event::CueStart { cue: self.current(), at_ms: self.now_ms() });
            self.playing = (!pcm.is_empty()).then_some((pcm, 0));
        }
    }

    fn over(&mut self) -> bool {
        if self.playing.is_some() || !self.cues.is_empty() {
            return false;
        }
        if self.total == 0 {
            return self.silent_for(0) && self.now_ms() >= self.script.end_after_quiet.as_millis() as u64;
        }
        self.answered(self.script.end_after_quiet)
    }

    /// Completes the recordings; nothing sounds any more.
    pub(super) fn finish(&mut self) {
        self.ended = true;
        for w in [self.replies.take(), self.mixed.take()].into_iter().flatten() {
            if let Err(e) = w.finish() {
                self.failed.get_or_insert(e);
            }
        }
        self.output.detach();
    }
}

/// White noise of a given level; the same in every run.
struct Noise {
    state: u32,
    amplitude: f32,
}

impl Noise {
    fn new(db: Option<f32>) -> Self {
        // A uniform distribution in ±a has the level a / √3.
        Self { state: 0x9e37_79b9, amplitude: db.map_or(0.0, |db| decibel(db) * 3f32.sqrt()) }
    }

    fn next(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state as f32 / u32::MAX as f32 * 2.0 - 1.0) * self.amplitude
    }
}

fn decibel(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}
