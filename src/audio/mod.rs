//! Sound in and out: files, resampling, the live microphone and loudspeaker, and a file-backed device that stands in
//! for both.
//!
//! Everything behind the [`Source`] seam is 16 kHz mono `f32` in [−1, 1]; an [`Output`] takes any rate. Device callbacks
//! only move samples over lock-free rings and count; resampling, reopening and logging happen on the threads that call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::error::Result;
use crate::problems::Problems;
use crate::units::SampleRate;

#[cfg(feature = "sound")]
mod capture;
#[cfg(feature = "sound")]
mod device;
pub mod file;
#[cfg(feature = "sound")]
mod line;
mod pcm;
#[cfg(feature = "sound")]
mod playback;
mod queue;
mod read;
mod resample;
mod riff;
mod wav;

#[cfg(feature = "sound")]
pub use device::{Chosen, DeviceInfo, Formats, devices};
pub use read::{Clip, MAX_FILE, read_16k, read_file, read_stream, read_stream_16k};
pub use resample::{Resampler, resample};
pub use wav::WavWriter;

/// What a [`Source::read`] brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Samples were appended.
    Samples,
    /// Nothing came within the wait; the device is there or is being looked for.
    Quiet,
    /// The device went away, for this reason. Said once; reads that follow look for it again, with back-off.
    Lost(String),
    /// The device is back; the next read brings samples.
    Restored,
    /// There will be no more samples (file-backed sources only).
    End,
}

/// A device that went away, or is there again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It went away, for this reason.
    Lost(String),
    Restored,
}

/// What went wrong with a device so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Underruns or overruns of the device's own buffer.
    pub xruns: u64,
    /// Frames dropped because a ring was full (capture), or times speech ran dry in mid-phrase (playback).
    pub dropped: u64,
    /// Times the device went away.
    pub lost: u64,
}

/// Where 16 kHz mono samples come from. One owner thread reads.
pub trait Source: Send {
    /// Appends the samples that have come to `out`, waiting at most `wait` for the first of them.
    ///
    /// # Errors
    /// Only what no retry can cure; a device that went away is [`Read::Lost`], not an error.
    fn read(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Read>;

    /// What went wrong so far.
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// Where speech goes. Any thread may call any method.
pub trait Output: Send + Sync {
    /// Queues `pcm` (mono) for the loudspeaker, whole phrases at a time: each push is resampled on its own.
    /// Returns when all of it is queued, which is before it has been heard: the queue is bounded, and while it is full
    /// this waits.
    ///
    /// # Errors
    /// [`Kind::Cancelled`](crate::error::Kind::Cancelled) when `cancelled` says so or [`Output::stop`] was called
    /// meanwhile; what was queued then stays queued unless `stop` dropped it.
    /// [`Kind::Device`](crate::error::Kind::Device) when the loudspeaker is away; the phrase is dropped.
    fn push(&self, pcm: &[f32], rate: SampleRate, cancelled: &dyn Fn() -> bool) -> Result<()>;

    /// Drops what is queued at once, with a fade of 5 ms.
    fn stop(&self);

    /// Whether speech is queued or still sounds, counting what the device has yet to play.
    fn is_playing(&self) -> bool;

    /// When speech was last audible: now while it sounds, `None` before the first.
    fn last_sound(&self) -> Option<Instant>;

    /// How much speech has been heard since opening, in frames of 16 kHz whatever the device's own rate.
    fn frames_played(&self) -> u64;

    /// Loudness from 0 (silent) to 100; changes ramp, without clicks.
    fn set_volume(&self, percent: u8);

    fn volume(&self) -> u8;

    /// From now on `tell` is called for every loss of the loudspeaker and of every return, each once, on a thread that must
    /// not be held up for long; at once where it is away already. A file-backed loudspeaker never goes away.
    fn on_presence(&self, _tell: Box<dyn Fn(Presence) + Send>) {}

    /// How much speech has been heard since opening.
    fn heard(&self) -> Duration {
        SampleRate::HEARING.duration(usize::try_from(self.frames_played()).unwrap_or(usize::MAX))
    }

    /// What went wrong so far.
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// Settings of the microphone and the loudspeaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Microphone: "default", or an id or part of a name as `tercet devices` lists them.
    pub input: String,
    /// Loudspeaker: "default", or an id or part of a name.
    pub output: String,
    /// Loudness of speech, 0 to 100.
    pub volume: u32,
    /// How much sound a device hands over at a time, in milliseconds; two of these are its latency.
    pub period_ms: u32,
    /// How much speech may be queued for the loudspeaker, in milliseconds.
    pub queue_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { input: "default".into(), output: "default".into(), volume: 80, period_ms: 20, queue_ms: 1500 }
    }
}

impl Settings {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        for (key, name) in [("input", &self.input), ("output", &self.output)] {
            problems.filled(key, name, "write \"default\" for the system's device");
        }
        problems.range("volume", self.volume, 0..=100);
        problems.range("period_ms", self.period_ms, 5..=200);
        problems.range("queue_ms", self.queue_ms, 200..=10_000);
    }

    /// Reports devices that are named but absent, as notes: they may be plugged in later.
    #[cfg(feature = "sound")]
    pub fn look(&self, problems: &mut Problems) {
        for (key, direction) in [("input", device::Direction::In), ("output", device::Direction::Out)] {
            device::look(problems, key, if key == "input" { &self.input } else { &self.output }, direction);
        }
    }

    /// Without live devices there is nothing to look for.
    #[cfg(not(feature = "sound"))]
    pub fn look(&self, _: &mut Problems) {}
}

/// What the live devices will reserve, by name. Their own rates are known only once they are open: 48 kHz stereo is what
/// most have.
#[cfg(feature = "sound")]
pub fn estimate(settings: &Settings) -> Vec<(&'static str, crate::units::Bytes)> {
    const USUAL: SampleRate = SampleRate(48_000);
    let microphone = Resampler::new(USUAL, SampleRate::HEARING).map(|r| capture::bytes(USUAL, 2, &r));
    let loudspeaker = queue::bytes(USUAL, settings.queue_ms);
    vec![("microphone", microphone.unwrap_or_default()), ("loudspeaker", loudspeaker)]
}

/// Without live devices there is nothing to reserve.
#[cfg(not(feature = "sound"))]
pub fn estimate(_: &Settings) -> Vec<(&'static str, crate::units::Bytes)> {
    Vec::new()
}

/// Opens the live microphone and loudspeaker.
///
/// # Errors
/// [`Kind::Device`](crate::error::Kind::Device) where one cannot be opened, with what to do about it;
/// [`Kind::Unavailable`](crate::error::Kind::Unavailable) without a sound system.
pub fn open(settings: &Settings, budget: &Budget) -> Result<(Box<dyn Source>, Arc<dyn Output>)> {
    Ok((open_source(settings, budget)?, open_output(settings, budget)?))
}

/// Opens the live microphone alone.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "sound")]
pub fn open_source(settings: &Settings, budget: &Budget) -> Result<Box<dyn Source>> {
    Ok(Box::new(capture::Microphone::open(settings, budget)?))
}

/// Opens the live loudspeaker alone.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "sound")]
pub fn open_output(settings: &Settings, budget: &Budget) -> Result<Arc<dyn Output>> {
    Ok(Arc::new(playback::Speaker::open(settings, budget)?))
}

#[cfg(not(feature = "sound"))]
mod absent {
    use super::{Arc, Budget, Output, Result, Settings, Source};
    use crate::error::{Error, Kind};

    fn absent() -> Error {
        Error::new(Kind::Unavailable, "this build of tercet has no sound devices")
            .remedy("build it with the feature `sound`, or use files: `tercet run --input FILE`")
    }

    /// Always [`Kind::Unavailable`] in this build.
    pub fn open_source(_: &Settings, _: &Budget) -> Result<Box<dyn Source>> {
        Err(absent())
    }

    /// Always [`Kind::Unavailable`] in this build.
    pub fn open_output(_: &Settings, _: &Budget) -> Result<Arc<dyn Output>> {
        Err(absent())
    }
}
#[cfg(not(feature = "sound"))]
pub use absent::{open_output, open_source};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_every_bad_key_is_named() {
        let mut problems = Problems::new();
        Settings::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let bad = Settings { input: " ".into(), output: String::new(), volume: 101, period_ms: 0, queue_ms: 1 };
        bad.validate(&mut problems);
        let named: Vec<String> = problems.into_vec().iter().map(|p| p.key.to_string()).collect();
        assert_eq!(named, ["input", "output", "volume", "period_ms", "queue_ms"]);
    }
}
