//! The live microphone.
//!
//! The device's callback moves samples into a ring and counts; the reader mixes down, resamples to 16 kHz, and brings
//! the device back when it has gone away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::device::{self, Direction};
use super::line::{BACK_OFF, Line, Watch, with_fallback};
use super::read::mix_down;
use super::{Counts, Read, Resampler, Settings, Source};
use crate::budget::{Budget, Component, Reservation};
use crate::error::{Error, Kind, Result};
use crate::units::{Bytes, SampleRate};

/// The ring between callback and reader. When it is full the newest samples are dropped, and counted.
const RING: Duration = Duration::from_secs(2);
/// How long no samples may come: silence of the device, not of the room.
const STALL: Duration = Duration::from_secs(2);
/// Most that one read takes.
const GULP: Duration = Duration::from_millis(500);

/// What an open microphone of this kind holds: ring, one gulp, and the resampler's blocks.
pub(super) fn bytes(rate: SampleRate, channels: usize, resampler: &Resampler) -> Bytes {
    let frames = |d: Duration| rate.samples_in_ms(d.as_millis() as u64);
    Bytes(4 * (frames(RING) * channels + frames(GULP)) as u64 + resampler.heap_bytes())
}

pub(super) struct Microphone {
    settings: Settings,
    reservation: Reservation,
    state: State,
    /// Of streams that are gone.
    past: Counts,
    mono: Vec<f32>,
}

#[allow(clippy::large_enum_variant)] // there is one
enum State {
    Live(Live),
    Away { next_try: Instant, pause: Duration },
}

struct Live {
    _stream: cpal::Stream,
    watch: Watch,
    ring: Consumer<f32>,
    channels: usize,
    rate: SampleRate,
    resampler: Resampler,
    /// Pause before the next attempt if this one brings no samples; `None`: the device was never lost.
    restoring: Option<Duration>,
    overrun_told: bool,
}

impl Microphone {
    pub(super) fn open(settings: &Settings, budget: &Budget) -> Result<Self> {
        let mut reservation = budget.reserve(Component::Audio, "microphone", Bytes::ZERO)?;
        let (live, mono) = (Live::open(settings, &mut reservation, None)?, Vec::new());
        let mut mic = Self {
            settings: settings.clone(),
            reservation,
            state: State::Away { next_try: Instant::now(), pause: *BACK_OFF.start() },
            past: Counts::default(),
            mono,
        };
        mic.take_up(live);
        Ok(mic)
    }

    /// From now on reads come from `live`.
    fn take_up(&mut self, live: Live) {
        self.mono = Vec::with_capacity(live.gulp());
        let samples = live.ring.buffer().capacity() + self.mono.capacity();
        self.reservation.record_measured(Bytes(4 * samples as u64 + live.resampler.heap_bytes()));
        self.state = State::Live(live);
    }

    /// Drops the stream. Logs it once per loss.
    fn lose(&mut self, reason: String) -> Read {
        let State::Live(live) = &self.state else { return Read::Quiet };
        self.past.xruns += live.watch.line().xruns.load(Ordering::Relaxed);
        self.past.dropped += live.watch.line().dropped.load(Ordering::Relaxed);
        let (pause, again) = match live.restoring {
            Some(pause) => ((pause * 2).min(*BACK_OFF.end()), true),
            None => (*BACK_OFF.start(), false),
        };
        self.state = State::Away { next_try: Instant::now() + pause, pause };
        if again {
            tracing::debug!(reason, "the microphone is still away");
            return Read::Quiet;
        }
        self.past.lost += 1;
        tracing::warn!(reason, "the microphone went away");
        Read::Lost(reason)
    }

    /// One attempt, if it is time for one; waits no longer than `wait`.
    fn seek(&mut self, wait: Duration) -> Read {
        let State::Away { next_try, pause } = self.state else { return Read::Quiet };
        let now = Instant::now();
        if now < next_try {
            std::thread::sleep(wait.min(next_try - now));
            return Read::Quiet;
        }
        match Live::open(&self.settings, &mut self.reservation, Some(pause)) {
            Ok(live) => self.take_up(live),
            Err(e) => {
                tracing::debug!("the microphone is still away: {e}");
                let pause = (pause * 2).min(*BACK_OFF.end());
                self.state = State::Away { next_try: Instant::now() + pause, pause };
            }
        }
        Read::Quiet
    }
}

impl Source for Microphone {
    fn read(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Read> {
        let deadline = Instant::now() + wait;
        let period = Duration::from_millis(u64::from(self.settings.period_ms) / 2).max(Duration::from_millis(2));
        loop {
            let State::Live(live) = &mut self.state else { return Ok(self.seek(wait)) };
            if live.waiting() {
                if live.restoring.take().is_some() {
                    tracing::info!("the microphone is back");
                    return Ok(Read::Restored);
                }
                live.drain(&mut self.mono, out)?;
                return Ok(Read::Samples);
            }
            if let Some(reason) = live.watch.failure() {
                return Ok(self.lose(reason));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Read::Quiet);
            }
            std::thread::sleep(left.min(period));
        }
    }

    fn counts(&self) -> Counts {
        let (xruns, dropped) = match &self.state {
            State::Live(l) => {
                (l.watch.line().xruns.load(Ordering::Relaxed), l.watch.line().dropped.load(Ordering::Relaxed))
            }
            State::Away { .. } => (0, 0),
        };
        Counts { xruns: self.past.xruns + xruns, dropped: self.past.dropped + dropped, lost: self.past.lost }
    }
}

impl Live {
    fn open(settings: &Settings, reservation: &mut Reservation, restoring: Option<Duration>) -> Result<Self> {
        let wanted = settings.input.as_str();
        let device = device::find(wanted, Direction::In)?;
        let (config, format) = device::config(&device, Direction::In, settings.period_ms)
            .map_err(|e| device::device_error(Direction::In, wanted, &e))?;
        let rate = SampleRate(config.sample_rate);
        let channels = usize::from(config.channels);
        let resampler = Resampler::new(rate, SampleRate::HEARING)?;
        let frames = |d: Duration| rate.samples_in_ms(d.as_millis() as u64);
        reservation.resize(bytes(rate, channels, &resampler))?;
        let line = Arc::new(Line::default());
        let mut ring = None;
        let stream = with_fallback(config, |config| {
            let (producer, consumer) = RingBuffer::new(frames(RING) * channels);
            ring = Some(consumer);
            build(&device, config, format, producer, Arc::clone(&line))
        });
        let stream =
            stream.and_then(|s| s.play().map(|()| s)).map_err(|e| device::device_error(Direction::In, wanted, &e))?;
        let ring = ring.ok_or_else(|| Error::new(Kind::Internal, "the microphone was opened without a ring"))?;
        reservation.record_measured(bytes(rate, channels, &resampler));
        tracing::info!(device = %device, rate = rate.0, channels, %format, "microphone open");
        Ok(Self {
            _stream: stream,
            watch: Watch::new(line, STALL),
            ring,
            channels,
            rate,
            resampler,
            restoring,
            overrun_told: false,
        })
    }

    /// Frames of [`GULP`].
    fn gulp(&self) -> usize {
        self.rate.samples_in_ms(GULP.as_millis() as u64)
    }

    fn waiting(&self) -> bool {
        self.ring.slots() >= self.channels
    }

    /// Mixes down and resamples what has come, at most [`GULP`] of it.
    fn drain(&mut self, mono: &mut Vec<f32>, out: &mut Vec<f32>) -> Result<()> {
        if !self.overrun_told && self.watch.line().dropped.load(Ordering::Relaxed) > 0 {
            self.overrun_told = true;
            tracing::warn!("hearing fell behind: microphone samples were dropped");
        }
        let frames = (self.ring.slots() / self.channels).min(self.gulp());
        let Ok(chunk) = self.ring.read_chunk(frames * self.channels) else { return Ok(()) };
        let (a, b) = chunk.as_slices();
        // A frame may lie across the ring's end only if its size is not a multiple of the channel count; it is.
        for part in [a, b] {
            mix_down(part, self.channels, mono);
            self.resampler.process(mono, out)?;
        }
        chunk.commit_all();
        Ok(())
    }
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    ring: Producer<f32>,
    line: Arc<Line>,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => build_as::<f32>(device, config, ring, line),
        SampleFormat::I16 => build_as::<i16>(device, config, ring, line),
        SampleFormat::I32 => build_as::<i32>(device, config, ring, line),
        SampleFormat::U8 => build_as::<u8>(device, config, ring, line),
        _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
    }
}

fn build_as<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut ring: Producer<f32>,
    line: Arc<Line>,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels).max(1);
    let errors = Arc::clone(&line);
    device.build_input_stream(
        config,
        move |data: &[T], _: &cpal::InputCallbackInfo| {
            line.beat();
            let room = (ring.slots().min(data.len()) / channels) * channels;
            if let Ok(chunk) = ring.write_chunk_uninit(room) {
                chunk.fill_from_iter(data.iter().map(|&x| f32::from_sample_(x)));
            }
            if room < data.len() {
                line.dropped.fetch_add(((data.len() - room) / channels) as u64, Ordering::Relaxed);
            }
        },
        move |e| {
            errors.note(&e);
        },
        None,
    )
}
