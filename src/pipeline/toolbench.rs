//! The `tools` thread: runs calls one after another, so that a slow command never holds up the conversation.

use std::sync::Arc;

use super::cancel::Cancel;
use super::queue::{Queue, Sent, WhenFull};
use super::threads::Threads;
use super::{Msg, deeds};
use crate::error::Result;
use crate::tools::Registry;
use crate::tools::interpret::Admission;
use crate::units::WorkId;

struct Job {
    work: WorkId,
    admission: Admission,
    /// What the user said lately, this turn's request last.
    said: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Toolbench {
    /// More than four calls waiting means that commands hang; the next is refused.
    jobs: Queue<Job>,
}

impl Toolbench {
    pub(super) fn start(tools: Arc<Registry>, cancel: Cancel, out: Queue<Msg>, threads: &mut Threads) -> Result<Self> {
        let me = Self { jobs: Queue::new(4, WhenFull::Reject) };
        let theirs = me.clone();
        threads.start("tools", move || {
            while let Some(job) = theirs.jobs.recv() {
                let cancelled = || cancel.is_cancelled(job.work);
                let outcome = deeds::run(&tools, job.admission, &job.said, &cancelled);
                let _ = out.send(Msg::Tool { work: job.work, outcome });
            }
        })?;
        Ok(me)
    }

    /// Queues a call; false when too many wait already.
    pub(super) fn run(&self, work: WorkId, admission: Admission, said: Vec<String>) -> bool {
        self.jobs.send(Job { work, admission, said }) == Sent::Yes
    }

    pub(super) fn close(&self) {
        self.jobs.close();
    }
}
