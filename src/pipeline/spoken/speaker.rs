//! The `tts` thread turns sentences into sound; the `playback` thread watches the loudspeaker and reports what was
//! really heard of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::queue::{Queue, Sent, WhenFull};
use super::threads::Threads;
use super::{Msg, trouble};
use crate::audio::Output;
use crate::dialog::{Earcon, Event};
use crate::error::{Kind, Result};
use crate::speak::{Voice, earcon};
use crate::units::WorkId;

/// Sentences and earcons waiting to be synthesized: more than any reply has. One more is refused.
pub(super) const JOBS: usize = 256;
/// How closely the loudspeaker is watched while it plays.
const WATCH_EVERY: Duration = Duration::from_millis(8);
/// Rounding of lengths between sample rates.
const SLACK: Duration = Duration::from_millis(3);

enum Job {
    Say { work: WorkId, sentence: u32, text: String, epoch: u64 },
    Earcon(Earcon, u64),
}

/// A stretch of sound on the loudspeaker's own clock ([`Output::heard`]).
struct Span {
    work: WorkId,
    sentence: u32,
    epoch: u64,
    from: Duration,
    to: Duration,
}

/// The coordinator's handle to the thread.
#[derive(Clone)]
pub(super) struct Speaker {
    jobs: Queue<Job>,
    spans: Queue<Span>,
    /// Raised by [`Speaker::stop`]: sound of an earlier epoch is dropped.
    epoch: Arc<AtomicU64>,
    output: Arc<dyn Output>,
}

impl Speaker {
    pub(super) fn start(voice: Voice, output: Arc<dyn Output>, out: Queue<Msg>, threads: &mut Threads) -> Result<Self> {
        let me = Self {
            jobs: Queue::new(JOBS, WhenFull::Reject),
            spans: Queue::new(JOBS, WhenFull::Block),
            epoch: Arc::default(),
            output,
        };
        let (tts, watch, out2) = (me.clone(), me.clone(), out.clone());
        threads.start("tts", move || tts.synthesize(voice, &out))?;
        threads.start("playback", move || watch.watch(&out2))?;
        Ok(me)
    }

    /// Queues a sentence; false when too many wait already.
    pub(super) fn say(&self, work: WorkId, sentence: u32, text: String) -> bool {
        let epoch = self.epoch.load(Ordering::Acquire);
        self.jobs.send(Job::Say { work, sentence, text, epoch }) == Sent::Yes
    }

    pub(super) fn earcon(&self, kind: Earcon) {
        let _ = self.jobs.send(Job::Earcon(kind, self.epoch.load(Ordering::Acquire)));
    }

    /// Silence at once; pending speech reports nothing more.
    pub(super) fn stop(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.jobs.discard(|_| true);
        self.spans.discard(|_| true);
        self.output.stop();
    }

    pub(super) fn close(&self) {
        self.stop();
        self.jobs.close();
        self.spans.close();
    }

    fn is_stale(&self, epoch: u64) -> bool {
        self.epoch.load(Ordering::Acquire) != epoch
    }

    fn synthesize(self, mut voice: Voice, out: &Queue<Msg>) {
        // Where the sound pushed last will end on the loudspeaker's clock.
        let mut end = Duration::ZERO;
        // Once part of a piece of work could not be spoken, nothing more of it is: the dialog is about to stop it.
        let mut failed: Option<WorkId> = None;
        while let Some(job) = self.jobs.recv() {
            let (pcm, epoch, of) = match job {
                Job::Say { work, sentence, text, epoch } => {
                    if self.is_stale(epoch) || failed == Some(work) {
                        continue;
                    }
                    match voice.synthesize(&text) {
                        Ok(pcm) => (pcm, epoch, Some((work, sentence))),
                        Err(e) => {
                            failed = Some(work);
                            trouble(out, "voice", &e);
                            let _ = out.send(Msg::Dialog(Event::VoiceFailed { work }));
                            continue;
                        }
                    }
                }
                Job::Earcon(kind, epoch) => (earcon::render(tone_of(kind)), epoch, None),
            };
            if self.is_stale(epoch) {
                continue;
            }
            let from = end.max(self.output.heard());
            let length = pcm.rate.duration(pcm.samples.len());
            // Announced before it is queued, because pushing waits while the queue is full.
            if let Some((work, sentence)) = of {
                let _ = self.spans.send(Span { work, sentence, epoch, from, to: from + length });
            }
            match self.output.push(&pcm.samples, pcm.rate, &|| self.is_stale(epoch)) {
                Ok(()) => end = from + length,
                Err(e) if e.kind() == Kind::Cancelled => end = Duration::ZERO,
                Err(e) => {
                    // A lost loudspeaker was already reported when it went away.
                    if e.kind() != Kind::Device {
                        trouble(out, "loudspeaker", &e);
                    }
                    self.spans.discard(|s| s.epoch == epoch);
                    if let Some((work, _)) = of {
                        failed = Some(work);
                        let _ = out.send(Msg::Dialog(Event::SpeakFailed { work }));
                    }
                    end = Duration::ZERO;
                }
            }
        }
    }

    fn watch(self, out: &Queue<Msg>) {
        while let Some(span) = self.spans.recv() {
            let Some(started) = self.wait_heard(&span, span.from + SLACK) else { continue };
            let _ = out.send(Msg::Audible { work: span.work, sentence: span.sentence, at: started });
            if self.wait_heard(&span, span.to.saturating_sub(SLACK)).is_some() {
                let _ = out.send(Msg::Dialog(Event::PlaybackDone { work: span.work, sentence: span.sentence }));
            }
        }
    }

    /// Waits until the loudspeaker's clock reads `at`, or nothing of the span is left to play; `None` when it was
    /// stopped before.
    fn wait_heard(&self, span: &Span, at: Duration) -> Option<Instant> {
        let begun = Instant::now();
        // A lost loudspeaker's clock stands still; the span gets its own length and a margin.
        let patience = span.to.saturating_sub(span.from) + Duration::from_secs(5);
        loop {
            if self.is_stale(span.epoch) {
                return None;
            }
            let heard = self.output.heard();
            if heard >= at || begun.elapsed() > patience {
                return Some(Instant::now());
            }
            std::thread::sleep((at - heard).clamp(Duration::from_millis(1), WATCH_EVERY));
        }
    }
}

fn tone_of(kind: Earcon) -> earcon::Kind {
    match kind {
        Earcon::Listening => earcon::Kind::Listening,
        Earcon::Asleep => earcon::Kind::Done,
        Earcon::Error => earcon::Kind::Error,
        Earcon::Ring => earcon::Kind::Alarm,
    }
}
