//! The live loudspeaker: kept open and fed silence while nothing is said, so that speech starts without delay.
//!
//! A thread of its own holds the stream and opens it again, with back-off, after the device has gone away. The reply in
//! flight is dropped then: speech that comes minutes late is no use to anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};

use super::device::{self, Direction};
use super::line::{BACK_OFF, Line, Watch, with_fallback};
use super::queue::{self, Player, Queue};
use super::{Counts, Output, Presence, Settings};
use crate::budget::{Budget, Component, Reservation};
use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// How often the stream is checked while it reports nothing.
const LOOK: Duration = Duration::from_millis(500);
/// How long the device may go without taking samples; sound servers have been seen to pause for two seconds.
const STALL: Duration = Duration::from_secs(5);
/// Frames rendered at a time, on the callback's stack.
const BLOCK: usize = 256;

pub(super) struct Speaker {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    queue: Queue,
    closing: AtomicBool,
    xruns: AtomicU64,
    lost: AtomicU64,
    line: Mutex<Arc<Line>>,
    presence: Mutex<PresenceTold>,
}

/// Whether the loudspeaker is there, and who is notified when that changes.
#[derive(Default)]
struct PresenceTold {
    /// Why it is away, while it is.
    away: Option<String>,
    tell: Option<Box<dyn Fn(Presence) + Send>>,
}

struct Stream {
    _stream: cpal::Stream,
    watch: Watch,
}

/// Chosen device and how to run it.
struct Plan {
    device: cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
}

impl Plan {
    fn make(settings: &Settings) -> Result<Self> {
        let wanted = settings.output.as_str();
        let device = device::find(wanted, Direction::Out)?;
        let (config, format) = device::config(&device, Direction::Out, settings.period_ms)
            .map_err(|e| device::device_error(Direction::Out, wanted, &e))?;
        Ok(Self { device, config, format })
    }

    fn rate(&self) -> SampleRate {
        SampleRate(self.config.sample_rate)
    }
}

impl Speaker {
    pub(super) fn open(settings: &Settings, budget: &Budget) -> Result<Self> {
        let plan = Plan::make(settings)?;
        let bytes = queue::bytes(plan.rate(), settings.queue_ms);
        let reservation = budget.reserve(Component::Audio, "loudspeaker", bytes)?;
        let (queue, player) = queue::pair(plan.rate(), settings.queue_ms, settings.volume.min(100) as u8);
        reservation.record_measured(queue.held());
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            queue,
            closing: AtomicBool::new(false),
            xruns: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            line: Mutex::default(),
            presence: Mutex::default(),
        });
        // The error callback wakes the keeper, so the keeper comes first and is handed the stream.
        let (send, receive) = std::sync::mpsc::sync_channel::<Stream>(1);
        let keeper = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("loudspeaker".into())
                .spawn(move || {
                    if let Ok(stream) = receive.recv() {
                        keep(&shared, stream, reservation);
                    }
                })
                .map_err(|e| Error::new(Kind::Io, "cannot start the loudspeaker's thread").because(e))?
        };
        let stream = shared.start(&plan, player, keeper.thread().clone())?;
        let speaker = Self { shared, keeper: Some(keeper) };
        send.send(stream).map_err(|_| Error::new(Kind::Internal, "the loudspeaker's thread ended early"))?;
        Ok(speaker)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(keeper) = self.keeper.take() {
            keeper.thread().unpark();
            // A panic of the keeper has been reported by its thread.
            let _ = keeper.join();
        }
    }
}

impl Shared {
    fn start(&self, plan: &Plan, player: Player, keeper: std::thread::Thread) -> Result<Stream> {
        let line = Arc::new(Line::default());
        let mut player = Some(player);
        let stream = with_fallback(plan.config, |config| {
            // A refused stream takes its player along; the next attempt gets a fresh ring.
            let player = player.take().unwrap_or_else(|| self.queue.attach(plan.rate(), self.settings.queue_ms));
            let ends = Ends { line: Arc::clone(&line), keeper: keeper.clone() };
            build(&plan.device, config, plan.format, player, ends)
        });
        let stream = stream
            .and_then(|s| s.play().map(|()| s))
            .map_err(|e| device::device_error(Direction::Out, &self.settings.output, &e))?;
        *self.line.lock().unwrap_or_else(|p| p.into_inner()) = Arc::clone(&line);
        tracing::info!(device = %plan.device, rate = plan.rate().0, channels = plan.config.channels, format = %plan.format, "loudspeaker open");
        Ok(Stream { _stream: stream, watch: Watch::new(line, STALL) })
    }

    fn presence(&self) -> MutexGuard<'_, PresenceTold> {
        // One assignment, whole or not at all.
        self.presence.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Logs that the loudspeaker went away (with the reason) or is back, and reports it.
    fn changed(&self, away: Option<String>) {
        match &away {
            Some(reason) => tracing::warn!(reason, "the loudspeaker went away"),
            None => tracing::info!("the loudspeaker is back"),
        }
        let mut presence = self.presence();
        presence.away.clone_from(&away);
        if let Some(tell) = &presence.tell {
            tell(away.map_or(Presence::Restored, Presence::Lost));
        }
    }

    fn restart(&self, reservation: &mut Reservation) -> Result<Stream> {
        let plan = Plan::make(&self.settings)?;
        reservation.resize(queue::bytes(plan.rate(), self.settings.queue_ms))?;
        let player = self.queue.attach(plan.rate(), self.settings.queue_ms);
        let started = self.start(&plan, player, std::thread::current());
        if started.is_err() {
            self.queue.detach();
        }
        reservation.record_measured(self.queue.held());
        started
    }
}

/// Holds the stream; opens it again when it fails, until the speaker is dropped.
fn keep(shared: &Shared, stream: Stream, mut reservation: Reservation) {
    let mut stream = Some(stream);
    let mut pause = *BACK_OFF.start();
    // Whether it was reported away, and not since reported back.
    let mut away = false;
    while !shared.closing.load(Ordering::Acquire) {
        let Some(live) = &mut stream else {
            std::thread::park_timeout(pause);
            match shared.restart(&mut reservation) {
                Ok(s) => stream = Some(s),
                Err(e) => {
                    tracing::debug!("the loudspeaker is still away: {e}");
                    pause = (pause * 2).min(*BACK_OFF.end());
                }
            }
            continue;
        };
        if live.watch.has_moved() {
            pause = *BACK_OFF.start();
            // A stream that was opened is not yet one that plays.
            if away {
                away = false;
                shared.changed(None);
            }
        }
        if let Some(reason) = live.watch.failure() {
            shared.xruns.fetch_add(live.watch.line().xruns.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            stream = None;
            shared.queue.detach();
            if away {
                tracing::debug!(reason, "the loudspeaker is still away");
                pause = (pause * 2).min(*BACK_OFF.end());
            } else {
                away = true;
                shared.lost.fetch_add(1, Ordering::Relaxed);
                shared.changed(Some(reason));
            }
            continue;
        }
        std::thread::park_timeout(LOOK);
    }
}

impl Output for Speaker {
    fn push(&self, pcm: &[f32], rate: SampleRate, cancelled: &dyn Fn() -> bool) -> Result<()> {
        self.shared.queue.push(pcm, rate, cancelled)
    }

    fn stop(&self) {
        self.shared.queue.stop();
    }

    fn is_playing(&self) -> bool {
        self.shared.queue.is_playing()
    }

    fn last_sound(&self) -> Option<Instant> {
        self.shared.queue.last_sound()
    }

    fn frames_played(&self) -> u64 {
        self.shared.queue.frames_played()
    }

    fn set_volume(&self, percent: u8) {
        self.shared.queue.set_volume(percent);
    }

    fn volume(&self) -> u8 {
        self.shared.queue.volume()
    }

    fn on_presence(&self, tell: Box<dyn Fn(Presence) + Send>) {
        let mut presence = self.shared.presence();
        if let Some(reason) = &presence.away {
            tell(Presence::Lost(reason.clone()));
        }
        presence.tell = Some(tell);
    }

    fn counts(&self) -> Counts {
        let s = &self.shared;
        let now = s.line.lock().unwrap_or_else(|p| p.into_inner()).xruns.load(Ordering::Relaxed);
        let xruns = s.xruns.load(Ordering::Relaxed) + now;
        Counts { xruns, lost: s.lost.load(Ordering::Relaxed), ..s.queue.counts() }
    }
}

/// What the callbacks touch beside the player.
struct Ends {
    line: Arc<Line>,
    keeper: std::thread::Thread,
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    player: Player,
    ends: Ends,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => build_as::<f32>(device, config, player, ends),
        SampleFormat::I16 => build_as::<i16>(device, config, player, ends),
        SampleFormat::I32 => build_as::<i32>(device, config, player, ends),
        SampleFormat::U8 => build_as::<u8>(device, config, player, ends),
        _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
    }
}

fn build_as<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut player: Player,
    ends: Ends,
) -> Result<cpal::Stream, cpal::Error> {
    let Ends { line, keeper } = ends;
    let errors = Arc::clone(&line);
    let channels = usize::from(config.channels).max(1);
    let rate = SampleRate(config.sample_rate);
    device.build_output_stream(
        config,
        move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
            let at = info.timestamp();
            let mut ahead = at.playback.saturating_duration_since(at.callback);
            let mut mono = [0f32; BLOCK];
            for block in data.chunks_mut(BLOCK * channels) {
                let frames = block.len() / channels;
                player.fill(&mut mono[..frames], ahead);
                for (frame, &x) in block.chunks_exact_mut(channels).zip(&mono) {
                    frame.fill(T::from_sample_(x));
                }
                ahead += rate.duration(frames);
            }
            line.beat();
        },
        move |e| {
            if errors.note(&e) {
                keeper.unpark();
            }
        },
        None,
    )
}
