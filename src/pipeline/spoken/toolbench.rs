//! The `tools` thread: runs calls one after another, so that a slow command never holds up the conversation.

use std::sync::Arc;

use super::Msg;
use super::queue::{Queue, Sent, WhenFull};
use super::threads::Threads;
use crate::error::Result;
use crate::pipeline::cancel::Cancel;
use crate::pipeline::deeds;
use crate::tools::interpret::Admission;
use crate::tools::{Ctx, DueCommand, Registry};
use crate::units::WorkId;

enum Job {
    /// A call of the turn under way.
    Turn {
        work: WorkId,
        admission: Admission,
        /// What the user said lately, this turn's request last.
        said: Vec<String>,
    },
    /// A command whose time has come.
    Due(DueCommand),
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
                let msg = match job {
                    Job::Turn { work, admission, said } => {
                        let outcome = deeds::run(&tools, admission, &said, &|| cancel.is_cancelled(work));
                        Msg::Tool { work, outcome }
                    }
                    Job::Due(command) => {
                        let outcome = tools.run(&command.call, &Ctx::QUIET);
                        Msg::Due { told: command.told, outcome }
                    }
                };
                let _ = out.send(msg);
            }
        })?;
        Ok(me)
    }

    /// Queues a call; false when too many wait already.
    pub(super) fn run(&self, work: WorkId, admission: Admission, said: Vec<String>) -> bool {
        self.jobs.send(Job::Turn { work, admission, said }) == Sent::Yes
    }

    /// Queues a command whose time has come; false when too many wait already.
    pub(super) fn run_due(&self, command: DueCommand) -> bool {
        self.jobs.send(Job::Due(command)) == Sent::Yes
    }

    pub(super) fn close(&self) {
        self.jobs.close();
    }
}
