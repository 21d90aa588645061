//! A room made of files: recordings stand in for the person who speaks, and what tercet says is recorded.
//!
//! It keeps the wall clock as a sound card does: a thread of its own moves 10 ms of sound each way every 10 ms, through
//! the same queue as the live loudspeaker. Recordings made here have the session's own timeline.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::queue::{self, Player, Queue};
use super::{Counts, Output, Read, Resampler, Source, WavWriter, read_16k};
use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// Rate of the loudspeaker and of the recording of replies.
const OUT_RATE: SampleRate = SampleRate(24_000);
const BLOCK_MS: u64 = 10;
const IN_BLOCK: usize = 160;
const OUT_BLOCK: usize = 240;
/// Speech queued for the loudspeaker.
const QUEUE_MS: u32 = 1500;
/// Samples kept for a reader that is late; what comes after is dropped and counted.
const IN_QUEUE: usize = 10 * 16_000;

/// What happens in the room.
#[derive(Debug, Clone)]
pub struct Script {
    /// What is said to tercet, in order.
    pub cues: Vec<Cue>,
    /// Keep the wall clock. Otherwise time passes as the source is read, as fast as the reader likes.
    pub realtime: bool,
    /// Silence after the last reply until the source ends.
    pub end_after_quiet: Duration,
    /// How long a reply is waited for; then the script goes on and the journal says so.
    pub reply_timeout: Duration,
    /// Level of the room's noise in dB of full scale; `None`: digital silence.
    pub noise_db: Option<f32>,
    /// Level at which the loudspeaker is heard by the microphone; `None`: not at all.
    pub echo_db: Option<f32>,
    /// Volume of the loudspeaker, 0 to 100.
    pub volume: u8,
    /// Where replies are recorded (24 kHz).
    pub replies_wav: Option<PathBuf>,
    /// Where both voices are recorded (16 kHz).
    pub mixed_wav: Option<PathBuf>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            cues: Vec::new(),
            realtime: true,
            end_after_quiet: Duration::from_secs(2),
            reply_timeout: Duration::from_secs(20),
            noise_db: Some(-70.0),
            echo_db: None,
            volume: 100,
            replies_wav: None,
            mixed_wav: None,
        }
    }
}

/// One thing said to tercet.
#[derive(Debug, Clone)]
pub struct Cue {
    pub sound: Sound,
    pub when: When,
}

impl Cue {
    /// A recording said once the reply to the one before has been over for `delay`.
    pub fn after_reply(path: impl Into<PathBuf>, delay: Duration) -> Self {
        Self { sound: Sound::File(path.into()), when: When::AfterReply { delay } }
    }

    /// A recording said `delay` after the session's start, or at once if what comes before takes longer.
    pub fn after_start(path: impl Into<PathBuf>, delay: Duration) -> Self {
        Self { sound: Sound::File(path.into()), when: When::AfterStart { delay } }
    }
}

/// What is said.
#[derive(Debug, Clone)]
pub enum Sound {
    File(PathBuf),
    /// 16 kHz mono.
    Samples(Vec<f32>),
}

/// When it is said. A cue never starts before the one before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// This long after the session's start.
    AfterStart { delay: Duration },
    /// When something has been played since the cue before began, and the loudspeaker has been silent for `delay`.
    /// As first cue: this long after the start.
    AfterReply { delay: Duration },
    /// This long after the cue before began, whatever tercet does: to talk over a reply.
    AfterCue { delay: Duration },
}

/// What happened, in milliseconds of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    CueStart {
        cue: usize,
        at_ms: u64,
    },
    CueEnd {
        cue: usize,
        at_ms: u64,
    },
    /// The loudspeaker sounds, after at least 300 ms of silence.
    ReplyStart {
        at_ms: u64,
    },
    ReplyEnd {
        at_ms: u64,
    },
    /// No reply came to this cue within the script's `reply_timeout`.
    NoReply {
        cue: usize,
        at_ms: u64,
    },
    End {
        at_ms: u64,
    },
}

/// What [`open`] gives: the two device seams, and what happened between them.
pub struct Room {
    pub source: Box<dyn Source>,
    pub output: Arc<dyn Output>,
    pub journal: Journal,
}

/// Cheap to clone; all clones see one journal.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

impl Journal {
    pub fn events(&self) -> Vec<Event> {
        self.inner.lock().events.clone()
    }

    /// When the session's clock started.
    pub fn started(&self) -> Instant {
        self.inner.lock().started
    }
}

/// Opens the room. Its recordings are complete when the source has said [`Read::End`] or has been dropped.
///
/// # Errors
/// A cue that cannot be read, or a recording that cannot be written.
pub fn open(script: Script) -> Result<Room> {
    let mut cues = VecDeque::new();
    for cue in &script.cues {
        let pcm = match &cue.sound {
            Sound::File(path) => read_16k(path)?,
            Sound::Samples(pcm) => pcm.clone(),
        };
        cues.push_back((cue.when, pcm));
    }
    let create = |path: &Option<PathBuf>, rate| path.as_deref().map(|p: &Path| WavWriter::create(p, rate)).transpose();
    let (output, player) = queue::pair(OUT_RATE, QUEUE_MS, script.volume);
    let output = Arc::new(output);
    let state = State {
        started: Instant::now(),
        blocks: 0,
        cues,
        total: script.cues.len(),
        playing: None,
        cue_began_ms: 0,
        cue_ended_ms: 0,
        replied: false,
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
    let realtime = state.script.realtime;
    let inner = Arc::new(Inner { state: Mutex::new(state), came: Condvar::new(), closed: AtomicBool::new(false) });
    let clock = if realtime {
        let inner = Arc::clone(&inner);
        let run = move || inner.keep_time();
        let thread = std::thread::Builder::new().name("room".into()).spawn(run);
        Some(thread.map_err(|e| Error::new(Kind::Io, "cannot start the file-backed device").because(e))?)
    } else {
        None
    };
    let source = FileSource { inner: Arc::clone(&inner), clock };
    Ok(Room { source: Box::new(source), output, journal: Journal { inner } })
}

struct Inner {
    state: Mutex<State>,
    came: Condvar,
    closed: AtomicBool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // State's own code does not panic while it holds the lock; a poisoned lock still holds sound data.
        self.state.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// The room's clock: as many blocks as time has passed for.
    fn keep_time(&self) {
        let started = {
            let mut s = self.lock();
            s.started = Instant::now();
            s.started
        };
        while !self.closed.load(Ordering::Acquire) {
            let mut s = self.lock();
            while started.elapsed() >= Duration::from_millis(BLOCK_MS) * s.blocks + Duration::from_millis(BLOCK_MS) {
                s.block();
            }
            let next = started + Duration::from_millis(BLOCK_MS) * (s.blocks + 1);
            let ended = s.ended;
            drop(s);
            self.came.notify_all();
            if ended {
                return;
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

struct FileSource {
    inner: Arc<Inner>,
    clock: Option<std::thread::JoinHandle<()>>,
}

impl Source for FileSource {
    fn read(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Read> {
        let mut s = self.inner.lock();
        if self.clock.is_some() {
            let nothing = |s: &mut State| s.ready.is_empty() && !s.ended && s.failed.is_none();
            s = self.inner.came.wait_timeout_while(s, wait, nothing).unwrap_or_else(|p| p.into_inner()).0;
        } else if !s.ended {
            s.block();
        }
        if let Some(e) = s.failed.take() {
            return Err(e);
        }
        if !s.ready.is_empty() {
            out.extend(s.ready.drain(..));
            return Ok(Read::Samples);
        }
        Ok(if s.ended { Read::End } else { Read::Quiet })
    }

    fn counts(&self) -> Counts {
        Counts { dropped: self.inner.lock().dropped, ..Counts::default() }
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Release);
        if let Some(clock) = self.clock.take() {
            // A panic of the clock has been reported by its thread.
            let _ = clock.join();
        }
        self.inner.lock().finish();
    }
}

/// What the clock moves.
struct State {
    script: Script,
    started: Instant,
    blocks: u32,
    cues: VecDeque<(When, Vec<f32>)>,
    total: usize,
    /// The cue being said and how much of it has been.
    playing: Option<(Vec<f32>, usize)>,
    cue_began_ms: u64,
    cue_ended_ms: u64,
    /// Something has been heard since the last cue began.
    replied: bool,
    reply_last_ms: Option<u64>,
    in_reply: bool,
    ended: bool,
    ready: VecDeque<f32>,
    dropped: u64,
    failed: Option<Error>,
    events: Vec<Event>,
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
    fn now_ms(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_MS
    }

    /// Index of the cue that was last begun.
    fn current(&self) -> usize {
        (self.total - self.cues.len()).saturating_sub(1)
    }

    /// Moves one block of sound each way.
    fn block(&mut self) {
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
            self.replied = true;
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
        if self.replied {
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
            self.replied = false;
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
    fn finish(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::read_file;

    fn tone(ms: usize) -> Vec<f32> {
        (0..16 * ms).map(|i| 0.5 * (i as f32 * 0.2).sin()).collect()
    }

    fn cue(ms: usize, when: When) -> Cue {
        Cue { sound: Sound::Samples(tone(ms)), when }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn rms(x: &[f32]) -> f32 {
        (x.iter().map(|v| v * v).sum::<f32>() / x.len().max(1) as f32).sqrt()
    }

    /// Reads to the end, speaking `reply` once after each cue that ended when `answer` says so.
    fn run(room: &mut Room, reply: &[f32], answer: impl Fn(usize) -> bool) -> Vec<f32> {
        let (mut heard, mut answered) = (Vec::new(), 0);
        loop {
            match room.source.read(&mut heard, ms(50)).unwrap() {
                Read::End => return heard,
                Read::Samples => {}
                other => panic!("{other:?}"),
            }
            let ends = room.journal.events().iter().filter(|e| matches!(e, Event::CueEnd { .. })).count();
            if ends > answered {
                answered = ends;
                if answer(ends - 1) {
                    room.output.push(reply, SampleRate(16_000), &|| false).unwrap();
                }
            }
        }
    }

    #[test]
    fn cues_wait_for_replies_and_recordings_share_the_timeline() {
        let dir = tempfile::tempdir().unwrap();
        let (replies, mixed) = (dir.path().join("replies.wav"), dir.path().join("mixed.wav"));
        let script = Script {
            cues: vec![
                cue(200, When::AfterStart { delay: ms(100) }),
                cue(100, When::AfterReply { delay: ms(400) }),
                cue(100, When::AfterReply { delay: ms(400) }),
            ],
            realtime: false,
            end_after_quiet: ms(500),
            reply_timeout: ms(1000),
            replies_wav: Some(replies.clone()),
            mixed_wav: Some(mixed.clone()),
            ..Script::default()
        };
        let mut room = open(script).unwrap();
        let heard = run(&mut room, &tone(300), |cue| cue != 1);
        let events = room.journal.events();
        let want = [
            Event::CueStart { cue: 0, at_ms: 100 },
            Event::CueEnd { cue: 0, at_ms: 300 },
            Event::ReplyStart { at_ms: 300 },
            Event::ReplyEnd { at_ms: 600 },
            Event::CueStart { cue: 1, at_ms: 1000 },
            Event::CueEnd { cue: 1, at_ms: 1100 },
            Event::NoReply { cue: 1, at_ms: 2100 },
            Event::CueStart { cue: 2, at_ms: 2100 },
            Event::CueEnd { cue: 2, at_ms: 2200 },
            Event::ReplyStart { at_ms: 2200 },
            Event::ReplyEnd { at_ms: 2500 },
            Event::End { at_ms: 3000 },
        ];
        assert_eq!(events, want);
        assert_eq!(heard.len(), 16 * 3000);
        assert!(rms(&heard[16 * 100..16 * 300]) > 0.3);
        let quiet = rms(&heard[16 * 320..16 * 980]);
        assert!(quiet > 1e-4 && quiet < 1e-3, "noise of -70 dB and no echo: {quiet}");
        let replies = read_file(&replies).unwrap();
        assert_eq!((replies.rate, replies.samples.len()), (OUT_RATE, 24 * 3000));
        assert!(rms(&replies.samples[24 * 310..24 * 590]) > 0.3 && rms(&replies.samples[24 * 620..24 * 2190]) == 0.0);
        let mixed = read_file(&mixed).unwrap().samples;
        assert_eq!(mixed.len(), 16 * 3000);
        assert!(rms(&mixed[16 * 110..16 * 190]) > 0.3 && rms(&mixed[16 * 350..16 * 550]) > 0.3);
    }

    #[test]
    fn the_loudspeaker_is_heard_at_the_level_asked_for() {
        let script = Script {
            cues: vec![cue(100, When::AfterStart { delay: ms(0) })],
            realtime: false,
            echo_db: Some(-10.0),
            noise_db: None,
            ..Script::default()
        };
        let mut room = open(script).unwrap();
        let heard = run(&mut room, &tone(400), |_| true);
        let ratio = rms(&heard[16 * 150..16 * 450]) / rms(&tone(400));
        assert!((ratio - 0.316).abs() < 0.02, "{ratio}");
    }

    #[test]
    fn real_time_passes_and_stop_silences_the_recording() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("replies.wav");
        let script = Script { end_after_quiet: ms(600), replies_wav: Some(path.clone()), ..Script::default() };
        let started = Instant::now();
        let room = open(script).unwrap();
        let (mut source, output) = (room.source, room.output);
        output.push(&tone(1000), SampleRate(16_000), &|| false).unwrap();
        let mut heard = Vec::new();
        while heard.len() < 16 * 200 {
            source.read(&mut heard, ms(100)).unwrap();
        }
        assert!(output.is_playing());
        output.stop();
        while source.read(&mut heard, ms(100)).unwrap() != Read::End {}
        assert!(started.elapsed() >= ms(600), "the room keeps the wall clock");
        assert!(!output.is_playing());
        let replies = read_file(&path).unwrap().samples;
        assert!(rms(&replies[24 * 50..24 * 150]) > 0.3);
        assert_eq!(rms(&replies[replies.len() - 24 * 100..]), 0.0);
        let e = output.push(&tone(10), SampleRate(16_000), &|| false).expect_err("the room is closed");
        assert_eq!(e.kind(), Kind::Device);
    }

    #[test]
    fn a_cue_that_cannot_be_read_is_named() {
        let script = Script { cues: vec![Cue::after_start("/nowhere/hello.wav", ms(0))], ..Script::default() };
        let e = open(script).err().expect("an error");
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(e.to_string().contains("hello.wav"));
    }
}
