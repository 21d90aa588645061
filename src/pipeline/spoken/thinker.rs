//! The `llm` thread: prompts in, sentences and tool calls out, while they are being written.

use std::time::Instant;

use super::queue::{Queue, WhenFull};
use super::threads::Threads;
use super::{Msg, trouble};
use crate::dialog::Event;
use crate::error::{Kind, Result};
use crate::pipeline::cancel::Cancel;
use crate::pipeline::mind::{Mind, Part};
use crate::schema::Message;
use crate::units::{TurnId, WorkId};

struct Job {
    work: WorkId,
    prompt: Vec<Message>,
}

/// The coordinator's handle to the thread.
#[derive(Clone)]
pub(super) struct Thinker {
    /// One prompt at a time matters: a newer one replaces what has not been started.
    jobs: Queue<Job>,
    cancel: Cancel,
}

impl Thinker {
    pub(super) fn start(mind: Mind, cancel: Cancel, out: Queue<Msg>, threads: &mut Threads) -> Result<Self> {
        let me = Self { jobs: Queue::new(1, WhenFull::DropOldest), cancel };
        let theirs = me.clone();
        threads.start("llm", move || Worker { mind, handle: theirs, out }.run())?;
        Ok(me)
    }

    pub(super) fn think(&self, work: WorkId, prompt: Vec<Message>) {
        let _ = self.jobs.send(Job { work, prompt });
    }

    pub(super) fn close(&self) {
        self.jobs.close();
    }
}

struct Worker {
    mind: Mind,
    handle: Thinker,
    out: Queue<Msg>,
}

impl Worker {
    fn run(mut self) {
        self.prepare();
        while let Some(job) = self.handle.jobs.recv() {
            if !self.handle.cancel.is_cancelled(job.work) {
                self.turn(&job);
            }
        }
    }

    /// Reports the result of a job, unless it was cancelled.
    fn turn(&mut self, job: &Job) {
        let (work, out) = (job.work, &self.out);
        let cancelled = || self.handle.cancel.is_cancelled(work);
        let thought = self.mind.think(&job.prompt, &cancelled, &mut |part| {
            let _ = out.send(match part {
                Part::Begun => Msg::FirstToken { work, at: Instant::now() },
                Part::Sentence(text) => Msg::Sentence { work, text, at: Instant::now() },
                Part::Thought(thought) => Msg::Thought { work, thought },
            });
        });
        let mut lost = Ok(());
        let event = match thought {
            Ok(outcome) => outcome.event(work),
            Err(e) if e.kind() == Kind::Cancelled => return,
            Err(e) => {
                trouble(&self.out, "language model", &e);
                lost = self.mind.engine().answers();
                Event::ModelFailed { work, spoken: None }
            }
        };
        let _ = self.out.send(Msg::Dialog(event));
        // After the event, so that the apology comes before the end.
        if let Err(e) = lost {
            let _ = self.out.send(Msg::Fatal(e));
        }
    }

    /// Computes the pinned block, so that no turn waits for it.
    fn prepare(&mut self) {
        // Only the end of the pipeline cancels this.
        let ending = || self.handle.cancel.is_cancelled(WorkId { turn: TurnId(u64::from(u32::MAX)), revision: 0 });
        let Err(e) = self.mind.warm_up(&ending) else { return };
        // Not fatal where the model still answers: the first prompt computes what this could not.
        tracing::warn!("cannot prepare the system prompt: {e}");
        if let Err(e) = self.mind.engine().answers() {
            let _ = self.out.send(Msg::Fatal(e));
        }
    }
}

#[cfg(test)]
mod lost;
