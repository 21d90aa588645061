//! The `ears` thread: samples in, what is heard in them out. It owns the microphone and the detectors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::threads::Threads;
use super::transcriber::{Sound, Transcriber};
use super::{Msg, Utterance, trouble};
use crate::audio::{Presence, Read, Source};
use crate::dialog::Event;
use crate::error::Result;
use crate::hear::{EarEvent, Ears};
use crate::schema::EarMode;
use crate::units::SampleRate;

/// Longest wait for samples: bounds how late a change of mode takes effect.
const READ_WAIT: Duration = Duration::from_millis(50);
/// Speech needed before a first partial transcript, and between two.
const PARTIAL_EVERY: Duration = Duration::from_millis(900);

/// How long hearing may pause and still count as hearing: a device may take some seconds to open.
pub(super) const LATELY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// The coordinator's handle to the thread.
#[derive(Clone)]
pub(super) struct Listener {
    /// A [`EarMode`] as its index in [`MODES`]; the thread takes it up between two reads.
    mode: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
    proof: Proof,
}

/// When the ears last did what they are for: judged samples, or, while the microphone is away, looked for it.
#[derive(Clone)]
struct Proof {
    start: Instant,
    /// Since `start`.
    last_ms: Arc<AtomicU64>,
}

impl Proof {
    fn new() -> Self {
        Self { start: Instant::now(), last_ms: Arc::default() }
    }

    fn give(&self) {
        self.last_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}

const MODES: [EarMode; 3] = [EarMode::Asleep, EarMode::Open, EarMode::Deaf];

impl Listener {
    /// Starts the thread. `partials` gets snapshots of the utterance while the user speaks.
    pub(super) fn start(
        source: Box<dyn Source>,
        ears: Ears,
        partials: Option<Transcriber>,
        out: Queue<Msg>,
        threads: &mut Threads,
    ) -> Result<Self> {
        let me = Self { mode: Arc::default(), stop: Arc::default(), proof: Proof::new() };
        let theirs = me.clone();
        threads.start("ears", move || {
            Worker { source, ears, partials, out, control: theirs, partial_at: None }.run();
        })?;
        Ok(me)
    }

    /// Whether it hears: samples were judged lately, or the microphone is known to be away and is being looked for.
    pub(super) fn hears(&self) -> bool {
        self.proof.age() < LATELY
    }

    pub(super) fn set_mode(&self, mode: EarMode) {
        let index = MODES.iter().position(|m| *m == mode).unwrap_or(0);
        self.mode.store(index as u8, Ordering::Release);
    }

    fn mode(&self) -> EarMode {
        MODES[usize::from(self.mode.load(Ordering::Acquire)) % MODES.len()]
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Worker {
    source: Box<dyn Source>,
    ears: Ears,
    partials: Option<Transcriber>,
    out: Queue<Msg>,
    control: Listener,
    /// When the next partial transcript is due; `None` while nobody speaks.
    partial_at: Option<Instant>,
}

impl Worker {
    fn run(&mut self) {
        let mut samples = Vec::with_capacity(SampleRate::HEARING.samples_in_ms(500));
        let (mut ready, mut away) = (false, false);
        // What the ears were last told; a mode that was set before this thread ran is told to them, too.
        let mut mode = None;
        while !self.control.stop.load(Ordering::Acquire) {
            samples.clear();
            let read = match self.source.read(&mut samples, READ_WAIT) {
                Ok(read) => read,
                Err(e) => {
                    // Retrying here does not help; a new process may.
                    trouble(&self.out, "microphone", &e);
                    let _ = self.out.send(Msg::Fatal(e));
                    break;
                }
            };
            let at = Instant::now();
            let wanted = self.control.mode();
            if mode.replace(wanted) != Some(wanted) {
                self.ears.set_mode(wanted);
                self.partial_at = None;
            }
            match read {
                Read::Samples => {
                    if !ready {
                        ready = true;
                        let _ = self.out.send(Msg::Hearing);
                    }
                    self.hear(&samples, at);
                }
                // The source looks for a microphone that is away before it says that there is nothing.
                Read::Quiet if away => self.control.proof.give(),
                Read::Quiet => {}
                // The source has logged it.
                Read::Lost(reason) => {
                    away = true;
                    let _ = self.out.send(Msg::Microphone(Presence::Lost(reason)));
                }
                Read::Restored => {
                    away = false;
                    let _ = self.out.send(Msg::Microphone(Presence::Restored));
                }
                Read::End => {
                    let events = self.ears.finish();
                    self.report(events, at);
                    break;
                }
            }
        }
        let _ = self.out.send(Msg::SourceEnded);
    }

    /// `at`: when the last of `samples` arrived.
    fn hear(&mut self, samples: &[f32], at: Instant) {
        let events = match self.ears.push(samples) {
            Ok(events) => events,
            Err(e) => {
                trouble(&self.out, "ears", &e);
                if !self.control.hears() {
                    // Deaf, and not about to hear again.
                    let _ = self.out.send(Msg::Fatal(e));
                }
                return;
            }
        };
        self.control.proof.give();
        self.report(events, at);
        if let (Some(due), Some(stt)) = (self.partial_at, &self.partials)
            && at >= due
        {
            stt.partial(Sound { pcm: self.ears.utterance().into(), speech_ms: self.ears.speech_ms() });
            self.partial_at = Some(at + PARTIAL_EVERY);
        }
    }

    fn report(&mut self, events: Vec<EarEvent>, at: Instant) {
        for event in events {
            let msg = match event {
                EarEvent::Wake { model, score, .. } => Msg::Wake { model, score },
                EarEvent::SpeechStart { .. } => {
                    self.partial_at = Some(at + PARTIAL_EVERY);
                    Msg::Dialog(Event::SpeechStarted)
                }
                // Silence after speech: the turn may go on, unless what was heard was too short to be one.
                EarEvent::SpeechEnd { .. } if self.ears.utterance().is_empty() => {
                    self.partial_at = None;
                    Msg::Dialog(Event::SpeechDropped)
                }
                EarEvent::SpeechEnd { .. } => continue,
                EarEvent::TurnEnd { end_samples, speech_ms, .. } => {
                    self.partial_at = None;
                    let sound = Sound { pcm: self.ears.finished().into(), speech_ms };
                    Msg::TurnEnded(Utterance { sound, speech_end: self.moment_of(end_samples, at), endpoint: at })
                }
            };
            let _ = self.out.send(msg);
        }
    }

    /// Wall-clock moment of a sample on the ears' clock, given that the latest sample arrived at `at`.
    fn moment_of(&self, sample: u64, at: Instant) -> Instant {
        let since = usize::try_from(self.ears.now_samples().saturating_sub(sample)).unwrap_or(usize::MAX);
        at.checked_sub(SampleRate::HEARING.duration(since)).unwrap_or(at)
    }
}
