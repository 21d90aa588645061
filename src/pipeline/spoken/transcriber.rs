//! The `stt` thread: utterances in, transcripts out. A final transcript cancels a partial one under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::queue::{Queue, WhenFull};
use super::threads::Threads;
use super::{Archive, Msg, trouble};
use crate::dialog::Event;
use crate::error::{Kind, Result};
use crate::hear::{Pass, Stt};
use crate::units::WorkId;

/// 16 kHz mono, and how much of it is speech.
#[derive(Clone)]
pub(super) struct Sound {
    pub(super) pcm: Arc<[f32]>,
    pub(super) speech_ms: u32,
}

enum Job {
    Partial(Sound),
    Final(WorkId, Sound),
}

/// The handle that gives the thread work.
#[derive(Clone)]
pub(super) struct Transcriber {
    /// A new utterance replaces what has not been started: two queued jobs are a partial and a final.
    jobs: Queue<Job>,
    /// Raised to end the partial transcript under way.
    cancel_partial: Arc<AtomicBool>,
}

impl Transcriber {
    pub(super) fn start(stt: Stt, archive: Option<Archive>, out: Queue<Msg>, threads: &mut Threads) -> Result<Self> {
        let me = Self { jobs: Queue::new(2, WhenFull::DropOldest), cancel_partial: Arc::default() };
        let theirs = me.clone();
        threads.start("stt", move || theirs.run(stt, archive.as_ref(), &out))?;
        Ok(me)
    }

    pub(super) fn transcribe(&self, work: WorkId, sound: Sound) {
        self.jobs.discard(|_| true);
        self.cancel_partial.store(true, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Final(work, sound));
    }

    /// Shows what has been said so far, if the thread has nothing better to do.
    pub(super) fn partial(&self, sound: Sound) {
        self.jobs.discard(|j| matches!(j, Job::Partial(_)));
        self.cancel_partial.store(false, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Partial(sound));
    }

    pub(super) fn close(&self) {
        self.cancel_partial.store(true, Ordering::Relaxed);
        self.jobs.close();
    }

    fn run(self, mut stt: Stt, archive: Option<&Archive>, out: &Queue<Msg>) {
        let never = AtomicBool::new(false);
        while let Some(job) = self.jobs.recv() {
            match job {
                Job::Partial(Sound { pcm, speech_ms }) => {
                    match stt.transcribe(&pcm, speech_ms, Pass::Partial, &self.cancel_partial) {
                        Ok(Some(t)) => {
                            let _ = out.send(Msg::Partial(t.text));
                        }
                        Ok(None) => {}
                        Err(e) if e.kind() == Kind::Cancelled => {}
                        Err(e) => tracing::warn!("partial transcript: {e}"),
                    }
                }
                Job::Final(work, Sound { pcm, speech_ms }) => {
                    let began = Instant::now();
                    let outcome = stt.transcribe(&pcm, speech_ms, Pass::Final, &never);
                    let took = began.elapsed();
                    let _ = match outcome {
                        Ok(t) => {
                            let text = t.map(|t| t.text);
                            out.send(Msg::Transcript { work, text, samples: pcm.len(), took })
                        }
                        Err(e) => {
                            trouble(out, "speech to text", &e);
                            out.send(Msg::Dialog(Event::SttFailed { work }))
                        }
                    };
                    if let Some(e) = archive.and_then(|a| a.keep(&pcm).err()) {
                        trouble(out, "recordings", &e);
                    }
                }
            }
        }
    }
}
