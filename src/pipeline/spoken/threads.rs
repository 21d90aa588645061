//! The pipeline's own threads: how they start, how they end, and what happens when one panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::Msg;
use super::queue::{Queue, WhenFull};
use crate::error::{Error, Kind, Result};

/// More threads than a pipeline has.
const MOST: usize = 16;
/// How long threads that were told to end may take. What hangs for longer (a driver, a sound server) ends with the process.
const PATIENCE: Duration = Duration::from_secs(10);

/// The threads that were started and have not been waited for.
pub(super) struct Threads {
    /// Where panics are reported.
    out: Queue<Msg>,
    /// Each thread's name, when it has ended.
    ended: Queue<&'static str>,
    running: Vec<&'static str>,
}

impl Threads {
    pub(super) fn new(out: Queue<Msg>) -> Self {
        Self { out, ended: Queue::new(MOST, WhenFull::Reject), running: Vec::new() }
    }

    /// Starts a thread. A panic in it is a defect that may have left anything half done: it ends the pipeline.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the system refuses a thread.
    pub(super) fn start(&mut self, name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let (out, ended) = (self.out.clone(), self.ended.clone());
        #[cfg(test)]
        let breaks = BREAKS.get() == Some(name);
        #[cfg(test)]
        let work = move || if breaks { panic!("as the test wants") } else { work() };
        let guarded = move || {
            // Nothing of what the thread owned is used again.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                out.urge(Msg::Broken(panicked(name, panic.as_ref())));
            }
            let _ = ended.send(name);
        };
        std::thread::Builder::new().name(name.into()).spawn(guarded).map_err(|e| {
            Error::new(Kind::Unavailable, format!("cannot start the thread {name}"))
                .remedy("raise the limit on processes (ulimit -u)")
                .because(e)
        })?;
        self.running.push(name);
        Ok(())
    }

    /// Waits for the threads, all of which have been told to end; not forever.
    pub(super) fn wait(&mut self) {
        let latest = Instant::now() + PATIENCE;
        while !self.running.is_empty() {
            let Some(Some(name)) = self.ended.recv_until(Some(latest)) else {
                tracing::error!("still running after {} s: {}", PATIENCE.as_secs(), self.running.join(", "));
                return;
            };
            self.running.retain(|n| *n != name);
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Which thread panics of those that are started from this one.
    pub(super) static BREAKS: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// The error that a panic is.
pub(super) fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Error {
    let what = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "no reason given",
    };
    Error::new(Kind::Internal, format!("a defect: the thread {thread} panicked: {what}"))
        .remedy("restart tercet, and report this bug with the log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_before_anything_else_and_the_others_are_waited_for() {
        let out = Queue::new(1, WhenFull::Block);
        let mut threads = Threads::new(out.clone());
        assert_eq!(out.send(Msg::SourceEnded), super::super::queue::Sent::Yes);
        threads.start("calm", || ()).expect("starts");
        // The queue is full, and its reader is not reading.
        threads.start("nervous", || panic!("oh {}", "no")).expect("starts");
        threads.wait();
        let Some(Msg::Broken(e)) = out.recv() else { panic!("the panic was not told") };
        assert_eq!(e.kind(), Kind::Internal);
        assert!(e.to_string().contains("nervous panicked: oh no"), "{e}");
        assert!(matches!(out.recv(), Some(Msg::SourceEnded)));
    }
}
