//! What a stream's callbacks report to its owner, and how the owner judges whether the stream is still alive.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Pauses between attempts to open a device that is away.
pub(super) const BACK_OFF: RangeInclusive<Duration> = Duration::from_millis(250)..=Duration::from_secs(5);
/// How long callbacks may be missing before the first and after an overrun or underrun: a sound server may take seconds
/// to (re)start a stream.
const START: Duration = Duration::from_secs(6);
/// The same after the stream has reported an error. Sound servers report errors that pass by themselves.
const TROUBLE: Duration = Duration::from_millis(500);

/// Written by the callbacks, read by the owner.
#[derive(Default)]
pub(super) struct Line {
    beats: AtomicU64,
    pub(super) xruns: AtomicU64,
    pub(super) dropped: AtomicU64,
    failed: AtomicBool,
    troubled: AtomicBool,
    reason: OnceLock<String>,
}

impl Line {
    /// For the data callback: sound was moved.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// For the error callback. Returns whether the owner should look.
    pub(super) fn note(&self, e: &cpal::Error) -> bool {
        use cpal::ErrorKind as K;
        let flag = match e.kind() {
            K::Xrun => {
                self.xruns.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            // The stream goes on.
            K::DeviceChanged | K::RealtimeDenied => return false,
            K::DeviceNotAvailable | K::HostUnavailable | K::StreamInvalidated | K::PermissionDenied => &self.failed,
            _ => &self.troubled,
        };
        if flag.load(Ordering::Acquire) {
            // A broken stream may report thousands of times a second; the first report says it all.
            return false;
        }
        let _ = self.reason.set(e.to_string());
        flag.store(true, Ordering::Release);
        true
    }
}

/// The owner's judgement.
pub(super) struct Watch {
    line: Arc<Line>,
    /// How long callbacks may be missing otherwise.
    stall: Duration,
    beats: u64,
    xruns: u64,
    starting: bool,
    moved: Instant,
}

impl Watch {
    pub(super) fn new(line: Arc<Line>, stall: Duration) -> Self {
        Self { line, stall, beats: 0, xruns: 0, starting: true, moved: Instant::now() }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Sound has been moved since the stream was opened.
    pub(super) fn has_moved(&self) -> bool {
        self.line.beats.load(Ordering::Relaxed) > 0
    }

    /// Why the stream is over, if it is.
    pub(super) fn failure(&mut self) -> Option<String> {
        let beats = self.line.beats.load(Ordering::Relaxed);
        if beats != self.beats {
            (self.beats, self.moved, self.starting) = (beats, Instant::now(), false);
            self.line.troubled.store(false, Ordering::Release);
        }
        let xruns = self.line.xruns.load(Ordering::Relaxed);
        if xruns != self.xruns {
            (self.xruns, self.starting) = (xruns, true);
        }
        let reason = || self.line.reason.get().cloned();
        if self.line.failed.load(Ordering::Acquire) {
            return Some(reason().unwrap_or_default());
        }
        let troubled = self.line.troubled.load(Ordering::Acquire);
        let patience = match (self.starting, troubled) {
            (true, _) => START,
            (_, true) => TROUBLE,
            (_, false) => self.stall,
        };
        if self.moved.elapsed() <= patience {
            return None;
        }
        let stalled = || format!("no sound has moved for {} s", patience.as_secs());
        Some(reason().filter(|_| troubled).unwrap_or_else(stalled))
    }
}

/// Calls `build` with the configuration, and again with the device's own period where it refuses ours.
pub(super) fn with_fallback<S>(
    config: cpal::StreamConfig,
    mut build: impl FnMut(cpal::StreamConfig) -> Result<S, cpal::Error>,
) -> Result<S, cpal::Error> {
    build(config).or_else(|_| build(cpal::StreamConfig { buffer_size: cpal::BufferSize::Default, ..config }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpal::ErrorKind as K;

    const STALL: Duration = Duration::from_secs(2);

    #[test]
    fn an_error_ends_a_stream_only_if_sound_stops() {
        let line = Arc::new(Line::default());
        let mut watch = Watch::new(Arc::clone(&line), STALL);
        assert!(!line.note(&K::Xrun.into()) && !line.note(&K::DeviceChanged.into()));
        line.beat();
        assert!(watch.failure().is_none());
        assert_eq!(line.xruns.load(Ordering::Relaxed), 1);
        assert!(line.note(&cpal::Error::with_message(K::BackendError, "I/O error")));
        assert!(!line.note(&K::BackendError.into()), "said once");
        line.beat();
        assert!(watch.failure().is_none(), "the stream went on");
        assert!(line.note(&K::BackendError.into()), "and may be in trouble again");
        watch.moved -= TROUBLE * 2;
        assert_eq!(watch.failure().as_deref(), Some("I/O error"));
    }

    #[test]
    fn a_device_that_is_gone_ends_it_at_once_and_one_that_stalls_later() {
        let line = Arc::new(Line::default());
        let mut watch = Watch::new(Arc::clone(&line), STALL);
        watch.moved -= STALL * 2;
        assert!(watch.failure().is_none(), "the first sound may take its time");
        watch.moved -= START;
        assert!(watch.failure().is_some());
        line.beat();
        assert!(watch.failure().is_none());
        watch.moved -= STALL * 2;
        assert!(watch.failure().is_some());
        line.note(&K::Xrun.into());
        assert!(watch.failure().is_none(), "after an overrun the server may start again");
        assert!(line.note(&cpal::Error::with_message(K::DeviceNotAvailable, "unplugged")));
        assert_eq!(watch.failure().as_deref(), Some("unplugged"));
    }
}
