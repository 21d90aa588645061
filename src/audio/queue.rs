//! The bounded queue between those who speak and the device that plays: one side resamples and waits, the other is
//! called by the device, takes what is there, ramps and counts, and never blocks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::sync::atomic::{Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Counts, Output, Resampler};
use crate::error::{Error, Kind, Result};
#[cfg(any(feature = "sound", test))]
use crate::units::Bytes;
use crate::units::SampleRate;

/// Length of the fade when speech is stopped or runs dry.
const FADE_MS: u64 = 5;
/// Time in which the volume goes from silent to full.
const RAMP_MS: u64 = 30;
/// The most a device is believed to buffer; drivers have been seen to claim hours.
const MAX_AHEAD: Duration = Duration::from_secs(3);
/// Speech is resampled and queued in pieces of this length, and waits for room are no longer than this.
const PIECE_MS: u64 = 20;

/// What both sides see. Positions count frames since opening, over all rings that there have been.
struct Shared {
    origin: Instant,
    /// Frames put into the ring.
    pushed: AtomicU64,
    /// Frames taken out of it: played, or dropped by a stop.
    taken: AtomicU64,
    /// Frames before this position are to be dropped.
    drop_to: AtomicU64,
    /// Raised by every stop; a push that began under another value ends.
    epoch: AtomicU64,
    /// Pushes under way.
    feeding: AtomicUsize,
    /// The device is away; pushes are refused.
    away: AtomicBool,
    /// Microseconds after `origin` at which the last speech handed to the device has been heard; 0: none yet.
    until_us: AtomicU64,
    /// Speech handed to the device, and the part of it since the ring was last dry, in nanoseconds.
    given_ns: AtomicU64,
    run_ns: AtomicU64,
    volume: AtomicU8,
    /// Times the ring ran dry while more was being pushed.
    dry: AtomicU64,
}

/// The speaking side.
pub(super) struct Queue {
    shared: Arc<Shared>,
    feeder: Mutex<Feeder>,
}

struct Feeder {
    ring: Producer<f32>,
    rate: SampleRate,
    resampler: Option<Resampler>,
    piece: Vec<f32>,
}

/// The device's side: called from its callback.
pub(super) struct Player {
    shared: Arc<Shared>,
    ring: Consumer<f32>,
    rate: SampleRate,
    taken: u64,
    gain: f32,
    gain_step: f32,
    fade_frames: u32,
    /// Frames left of the fade of a stop under way.
    fading: Option<u32>,
    /// Last frame played and how much of its fade to zero is left, for when the ring is dry.
    last: f32,
    tail_frames: u32,
    was_dry: bool,
}

/// Frames of a ring for `queue_ms` at `rate`.
fn ring_frames(rate: SampleRate, queue_ms: u32) -> usize {
    rate.samples_in_ms(u64::from(queue_ms)).max(rate.samples_in_ms(2 * PIECE_MS)).max(1)
}

/// What [`pair`] and [`Queue::attach`] will allocate, with room for a resampler.
#[cfg(any(feature = "sound", test))]
pub(super) fn bytes(rate: SampleRate, queue_ms: u32) -> Bytes {
    let piece = rate.samples_in_ms(PIECE_MS) as u64 * 2;
    Bytes(4 * (ring_frames(rate, queue_ms) as u64 + piece) + 60_000)
}

/// Both sides of a queue that holds `queue_ms` of speech at the device's rate.
pub(super) fn pair(rate: SampleRate, queue_ms: u32, volume: u8) -> (Queue, Player) {
    let shared = Arc::new(Shared {
        origin: Instant::now(),
        pushed: AtomicU64::new(0),
        taken: AtomicU64::new(0),
        drop_to: AtomicU64::new(0),
        epoch: AtomicU64::new(0),
        feeding: AtomicUsize::new(0),
        away: AtomicBool::new(false),
        until_us: AtomicU64::new(0),
        given_ns: AtomicU64::new(0),
        run_ns: AtomicU64::new(0),
        volume: AtomicU8::new(volume.min(100)),
        dry: AtomicU64::new(0),
    });
    let (producer, consumer) = RingBuffer::new(ring_frames(rate, queue_ms));
    let player = Player::new(Arc::clone(&shared), consumer, rate);
    let feeder = Feeder { ring: producer, rate, resampler: None, piece: Vec::new() };
    (Queue { shared, feeder: Mutex::new(feeder) }, player)
}

impl Queue {
    fn feeder(&self) -> MutexGuard<'_, Feeder> {
        // A push that panicked leaves a ring that is still sound.
        self.feeder.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// The device went away: what is queued is dropped and pushes fail until [`Queue::attach`].
    pub(super) fn detach(&self) {
        self.shared.away.store(true, Release);
        self.stop();
    }

    /// A new ring and its player for a device that was opened again. The former player must be gone.
    #[cfg(any(feature = "sound", test))]
    pub(super) fn attach(&self, rate: SampleRate, queue_ms: u32) -> Player {
        let mut feeder = self.feeder();
        let (producer, consumer) = RingBuffer::new(ring_frames(rate, queue_ms));
        (feeder.ring, feeder.rate, feeder.resampler) = (producer, rate, None);
        let pushed = self.shared.pushed.load(Acquire);
        self.shared.taken.store(pushed, Release);
        self.shared.away.store(false, Release);
        Player::new(Arc::clone(&self.shared), consumer, rate)
    }

    /// Bytes allocated now.
    #[cfg(any(feature = "sound", test))]
    pub(super) fn held(&self) -> Bytes {
        let f = self.feeder();
        let resampler = f.resampler.as_ref().map_or(60_000, Resampler::heap_bytes);
        Bytes(4 * (f.ring.buffer().capacity() + f.piece.capacity()) as u64 + resampler)
    }

    /// Whether speech waits in the ring or is being pushed.
    pub(super) fn is_queued(&self) -> bool {
        let s = &self.shared;
        let waits = s.taken.load(Acquire).max(s.drop_to.load(Acquire)) < s.pushed.load(Acquire);
        !s.away.load(Acquire) && (waits || s.feeding.load(Acquire) > 0)
    }

    fn check(&self, epoch: u64, cancelled: &dyn Fn() -> bool) -> Result<()> {
        let s = &self.shared;
        if s.epoch.load(Acquire) != epoch {
            // What this push queued after the stop took its mark goes too.
            s.drop_to.fetch_max(s.pushed.load(Acquire), AcqRel);
            if !s.away.load(Acquire) {
                return Err(Error::new(Kind::Cancelled, "speech was stopped"));
            }
        }
        if s.away.load(Acquire) {
            return Err(Error::new(Kind::Device, "the loudspeaker is away; the reply was dropped")
                .remedy("plug it in again: tercet keeps looking for it"));
        }
        if cancelled() {
            return Err(Error::new(Kind::Cancelled, "speech was cancelled"));
        }
        Ok(())
    }

    /// Puts one piece into the ring, waiting for room. Overflow policy: block.
    fn put(
        &self,
        ring: &mut Producer<f32>,
        rate: SampleRate,
        mut piece: &[f32],
        epoch: u64,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<()> {
        loop {
            self.check(epoch, cancelled)?;
            let (_, rest) = ring.push_partial_slice(piece);
            self.shared.pushed.fetch_add((piece.len() - rest.len()) as u64, AcqRel);
            if rest.is_empty() {
                return self.check(epoch, &|| false);
            }
            piece = rest;
            // Room for the rest comes no sooner than it takes to play as much.
            std::thread::sleep(
                rate.duration(piece.len()).clamp(Duration::from_millis(1), Duration::from_millis(PIECE_MS)),
            );
        }
    }

    fn now_us(&self) -> u64 {
        self.shared.origin.elapsed().as_micros() as u64
    }
}

/// Counts a push under way, also when it ends early.
struct Feeding<'a>(&'a Shared);

impl<'a> Feeding<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.feeding.fetch_add(1, AcqRel);
        Self(shared)
    }
}

impl Drop for Feeding<'_> {
    fn drop(&mut self) {
        self.0.feeding.fetch_sub(1, AcqRel);
    }
}

impl Output for Queue {
    fn push(&self, pcm: &[f32], rate: SampleRate, cancelled: &dyn Fn() -> bool) -> Result<()> {
        // Taken before the wait for another push: a stop ends those who wait, too.
        let epoch = self.shared.epoch.load(Acquire);
        let feeding = Feeding::new(&self.shared);
        let mut feeder = self.feeder();
        let Feeder { ring, rate: to, resampler, piece } = &mut *feeder;
        if resampler.as_ref().is_none_or(|r| r.from() != rate || r.to() != *to) {
            *resampler = Some(Resampler::new(rate, *to)?);
        }
        let Some(resampler) = resampler.as_mut() else { return Ok(()) };
        resampler.reset();
        for part in pcm.chunks(rate.samples_in_ms(PIECE_MS).max(1)) {
            piece.clear();
            resampler.process(part, piece)?;
            self.put(ring, *to, piece, epoch, cancelled)?;
        }
        piece.clear();
        resampler.flush(piece)?;
        self.put(ring, *to, piece, epoch, cancelled)?;
        drop(feeding);
        Ok(())
    }

    fn stop(&self) {
        let s = &self.shared;
        s.epoch.fetch_add(1, AcqRel);
        s.drop_to.fetch_max(s.pushed.load(Acquire), AcqRel);
    }

    fn is_playing(&self) -> bool {
        self.is_queued() || self.now_us() < self.shared.until_us.load(Acquire)
    }

    fn last_sound(&self) -> Option<Instant> {
        let until = self.shared.until_us.load(Acquire);
        (until > 0).then(|| self.shared.origin + Duration::from_micros(until.min(self.now_us())))
    }

    fn frames_played(&self) -> u64 {
        let s = &self.shared;
        let ahead = s.until_us.load(Acquire).saturating_sub(self.now_us()) * 1000;
        let given = s.given_ns.load(Acquire).saturating_sub(ahead.min(s.run_ns.load(Acquire)));
        (u128::from(given) * u128::from(SampleRate::HEARING.0) / 1_000_000_000) as u64
    }

    fn set_volume(&self, percent: u8) {
        self.shared.volume.store(percent.min(100), Relaxed);
    }

    fn volume(&self) -> u8 {
        self.shared.volume.load(Relaxed)
    }

    fn counts(&self) -> Counts {
        Counts { dropped: self.shared.dry.load(Relaxed), ..Counts::default() }
    }
}

/// Amplitude (0 to 1) for a volume in percent: half the percentage is a quarter of the amplitude, −12 dB, and sounds about
/// half as loud. Source: ten decibels for half the loudness, Stevens, "The measurement of loudness", 1955.
fn amplitude(percent: u8) -> f32 {
    let x = f32::from(percent.min(100)) / 100.0;
    x * x
}

impl Player {
    fn new(shared: Arc<Shared>, ring: Consumer<f32>, rate: SampleRate) -> Self {
        let gain = amplitude(shared.volume.load(Relaxed));
        let taken = shared.taken.load(Acquire);
        let fade_frames = rate.samples_in_ms(FADE_MS).max(1) as u32;
        let gain_step = 1.0 / rate.samples_in_ms(RAMP_MS).max(1) as f32;
        Self {
            shared,
            ring,
            rate,
            taken,
            gain,
            gain_step,
            fade_frames,
            fading: None,
            last: 0.0,
            tail_frames: 0,
            was_dry: true,
        }
    }

    /// Fills `out` with what is to be heard next, silence where there is nothing; `ahead` is how long after now its
    /// first frame is heard. Returns whether any of it is speech. Neither locks nor allocates.
    pub(super) fn fill(&mut self, out: &mut [f32], ahead: Duration) -> bool {
        let now = self.shared.origin.elapsed();
        let mut at = 0;
        let mut speech_end = None;
        while at < out.len() {
            let drop_to = self.shared.drop_to.load(Acquire);
            if drop_to > self.taken && self.fading.is_none() {
                self.fading = Some(self.fade_frames);
            }
            let n = self.take(&mut out[at..], drop_to);
            self.shape(&mut out[at..at + n]);
            at += n;
            if n > 0 {
                speech_end = Some(at);
            }
            if self.fading.is_some_and(|left| left == 0 || n == 0 || self.taken >= drop_to) {
                self.skip(drop_to);
                if self.fading.take() == Some(0) {
                    self.last = 0.0;
                }
            } else if n == 0 {
                self.run_dry(&mut out[at..]);
                break;
            }
        }
        self.shared.taken.store(self.taken, Release);
        if let Some(end) = speech_end {
            let until = now + ahead.min(MAX_AHEAD) + self.rate.duration(end);
            self.shared.until_us.store(until.as_micros() as u64, Release);
        }
        speech_end.is_some()
    }

    /// Moves frames from the ring to `out`, no more than the fade under way still takes.
    fn take(&mut self, out: &mut [f32], drop_to: u64) -> usize {
        let most = match self.fading {
            Some(left) => out.len().min(left as usize).min(drop_to.saturating_sub(self.taken) as usize),
            None => out.len(),
        };
        let (got, _) = self.ring.pop_partial_slice(&mut out[..most]);
        let n = got.len();
        self.taken += n as u64;
        let ns = self.rate.duration(n).as_nanos() as u64;
        let run = if self.was_dry && n > 0 { 0 } else { self.shared.run_ns.load(Relaxed) };
        self.shared.run_ns.store(run + ns, Release);
        self.shared.given_ns.fetch_add(ns, AcqRel);
        self.was_dry &= n == 0;
        n
    }

    /// Volume and the fade of a stop.
    fn shape(&mut self, frames: &mut [f32]) {
        let target = amplitude(self.shared.volume.load(Relaxed));
        for x in frames.iter_mut() {
            self.gain += (target - self.gain).clamp(-self.gain_step, self.gain_step);
            *x *= self.gain;
            if let Some(left) = &mut self.fading {
                *x *= *left as f32 / self.fade_frames as f32;
                *left = left.saturating_sub(1);
            }
        }
        if let Some(&x) = frames.last() {
            self.last = x;
            self.tail_frames = self.fade_frames;
        }
    }

    /// Nothing left: lets the last frame fade to zero, then silence.
    fn run_dry(&mut self, out: &mut [f32]) {
        for x in out {
            self.tail_frames = self.tail_frames.saturating_sub(1);
            *x = self.last * self.tail_frames as f32 / self.fade_frames as f32;
        }
        if !self.was_dry && self.shared.feeding.load(Acquire) > 0 {
            self.shared.dry.fetch_add(1, Relaxed);
        }
        self.was_dry = true;
    }

    /// Drops what a stop marked.
    fn skip(&mut self, drop_to: u64) {
        let n = (drop_to.saturating_sub(self.taken) as usize).min(self.ring.slots());
        if let Ok(chunk) = self.ring.read_chunk(n) {
            chunk.commit_all();
            self.taken += n as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate(16_000);

    fn never() -> impl Fn() -> bool {
        || false
    }

    fn play(p: &mut Player, n: usize) -> Vec<f32> {
        let mut out = vec![9.0; n];
        p.fill(&mut out, Duration::ZERO);
        out
    }

    #[test]
    fn what_is_pushed_is_played_once_and_then_there_is_silence() {
        let (q, mut p) = pair(RATE, 1000, 100);
        assert!(!q.is_playing() && q.last_sound().is_none());
        q.push(&[0.5; 800], RATE, &never()).unwrap();
        assert!(q.is_playing());
        let out = play(&mut p, 1000);
        assert!(out[..800].iter().all(|x| *x == 0.5));
        assert_eq!(out[999], 0.0);
        // No jump where speech ends.
        assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01));
        assert!(q.last_sound().is_some());
    }

    #[test]
    fn stop_fades_within_five_milliseconds_and_spares_what_comes_after() {
        let (q, mut p) = pair(RATE, 1000, 100);
        q.push(&[0.5; 4000], RATE, &never()).unwrap();
        play(&mut p, 320);
        q.stop();
        q.push(&[0.25; 100], RATE, &never()).unwrap();
        let out = play(&mut p, 320);
        assert_eq!(out[0], 0.5);
        assert!(out[79] < 0.01, "{}", out[79]);
        assert!(out[80..180].iter().all(|x| *x == 0.25), "{:?}", &out[78..182]);
        assert_eq!(out[319], 0.0);
        q.stop();
        assert!(play(&mut p, 320).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn playing_lasts_until_the_device_has_played_the_last_frame() {
        let (q, mut p) = pair(RATE, 1000, 100);
        q.push(&[0.5; 160], RATE, &never()).unwrap();
        let mut out = [0.0; 320];
        p.fill(&mut out, Duration::from_millis(200));
        assert!(q.is_playing(), "the device still holds it");
        assert_eq!(q.frames_played(), 0, "nothing has been heard yet");
        std::thread::sleep(Duration::from_millis(230));
        assert!(!q.is_playing());
        assert_eq!(q.frames_played(), 160);
        assert!(q.last_sound().unwrap().elapsed() >= Duration::from_millis(15));
    }

    #[test]
    fn a_full_queue_makes_the_speaker_wait_and_a_stop_or_a_cancel_lets_it_go() {
        let (q, mut p) = pair(RATE, 200, 100);
        let e = q.push(&[0.5; 16_000], RATE, &|| q.shared.pushed.load(Acquire) >= 3200).expect_err("cancelled");
        assert_eq!(e.kind(), Kind::Cancelled);
        q.stop();
        play(&mut p, 320);
        std::thread::scope(|s| {
            let pushing = s.spawn(|| q.push(&[0.5; 16_000], RATE, &never()));
            while q.shared.pushed.load(Acquire) < 3200 + 3200 {
                std::thread::yield_now();
            }
            q.stop();
            assert_eq!(pushing.join().unwrap().expect_err("stopped").kind(), Kind::Cancelled);
        });
        let out = play(&mut p, 640);
        assert!(out[100..].iter().all(|x| *x == 0.0), "nothing of a stopped push is left");
        assert!(!q.shared.away.load(Acquire) && q.shared.taken.load(Acquire) == q.shared.pushed.load(Acquire));
    }

    #[test]
    fn volume_ramps_without_clicks() {
        let (q, mut p) = pair(RATE, 1000, 100);
        q.push(&[0.9; 4000], RATE, &never()).unwrap();
        play(&mut p, 320);
        q.set_volume(10);
        let out = play(&mut p, 1600);
        assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01));
        assert!((out[1599] - 0.009).abs() < 1e-4, "{}", out[1599]);
        assert_eq!(q.volume(), 10);
    }

    #[test]
    fn speech_at_another_rate_keeps_its_length() {
        let (q, mut p) = pair(SampleRate(48_000), 2000, 100);
        q.push(&vec![0.5; 22_050], SampleRate(22_050), &never()).unwrap();
        let out = play(&mut p, 60_000);
        assert_eq!(p.taken, 48_000);
        assert!(out[2_000..46_000].iter().all(|x| (x - 0.5).abs() < 0.01));
    }

    #[test]
    fn what_is_held_fits_what_is_reserved_and_fills_most_of_it() {
        for (device, speech) in [(48_000, 22_050), (44_100, 22_050), (16_000, 24_000), (48_000, 48_000)] {
            let rate = SampleRate(device);
            let (q, mut p) = pair(rate, 1500, 100);
            let reserved = bytes(rate, 1500);
            q.push(&vec![0.1; speech as usize / 2], SampleRate(speech), &never()).unwrap();
            play(&mut p, 100);
            let held = q.held();
            assert!(held <= reserved && held.0 * 10 >= reserved.0 * 6, "{device}: {held} of {reserved}");
        }
    }

    #[test]
    fn a_device_that_went_away_drops_the_reply_and_serves_the_next() {
        let (q, p) = pair(RATE, 1000, 100);
        q.push(&[0.5; 1000], RATE, &never()).unwrap();
        drop(p);
        q.detach();
        assert!(!q.is_playing(), "nobody waits for a loudspeaker that is away");
        assert_eq!(q.push(&[0.5; 10], RATE, &never()).expect_err("away").kind(), Kind::Device);
        let mut p = q.attach(SampleRate(8_000), 1000);
        q.push(&[0.5; 1600], RATE, &never()).unwrap();
        let out = play(&mut p, 1000);
        assert!((out[400] - 0.5).abs() < 0.01 && out[999] == 0.0);
    }
}
