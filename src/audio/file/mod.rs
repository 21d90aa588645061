//! A room made of files: recordings stand in for the person who speaks, and what tercet says is recorded.
//!
//! It keeps the wall clock as a sound card does: a thread of its own moves 10 ms of sound each way every 10 ms, through
//! the same queue as the live loudspeaker. Recordings made here have the session's own timeline.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Counts, Output, Read, Source};
use crate::error::{Error, Kind, Result};

mod room;
use room::{BLOCK_MS, State};

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
    /// When a reply (more than an earcon) has been played since the cue before ended, and the loudspeaker has been
    /// silent for `delay`.
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
    let (state, output) = State::new(script)?;
    let realtime = state.is_realtime();
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
            while !s.ended && started.elapsed() >= Duration::from_millis(BLOCK_MS) * (s.blocks + 1) {
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

#[cfg(test)]
mod tests;
