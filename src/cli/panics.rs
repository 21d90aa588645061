//! What happens on a panic, in whatever thread: it is reported on standard error and ends the program with an error.
//!
//! Threads that are not the pipeline's own (the sound system's callbacks, the signals, the workers of a backend) would
//! otherwise just be missing from then on.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, MutexGuard};

use super::lossy::STDERR;
use crate::error::{Error, Kind, Result};

type End = Box<dyn Fn(Error) + Send>;

/// Stops the program.
static END: Mutex<Option<End>> = Mutex::new(None);

fn end() -> MutexGuard<'static, Option<End>> {
    END.lock().unwrap_or_else(|p| p.into_inner())
}

/// From now on panics are reported here. Writing what happened never panics itself.
pub(super) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let error = error_of(info);
        let mut text = format!("error: {error}\n");
        if let Some(remedy) = error.remedy_text() {
            text += &format!("  hint: {remedy}\n");
        }
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            text += &format!("{trace}\n");
        }
        STDERR.write(text.as_bytes());
        if let Some(end) = &*end() {
            end(error);
        }
    }));
}

/// Until the guard is dropped, a panic in any thread stops the program by calling `how`.
#[cfg(feature = "voice")]
pub(super) fn on_panic(how: impl Fn(Error) + Send + 'static) -> Guard {
    *end() = Some(Box::new(how));
    Guard
}

/// See [`on_panic`].
#[cfg(feature = "voice")]
#[must_use]
pub(super) struct Guard;

#[cfg(feature = "voice")]
impl Drop for Guard {
    fn drop(&mut self) {
        *end() = None;
    }
}

/// Runs `f`; a panic, already reported, becomes an error without a message.
pub(super) fn caught<T>(f: impl FnOnce() -> Result<T>) -> Option<Result<T>> {
    // The process ends next: nothing sees what the panic left half done.
    catch_unwind(AssertUnwindSafe(f)).ok()
}

fn error_of(info: &PanicHookInfo<'_>) -> Error {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let at = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
    let what = info.payload_as_str().unwrap_or("no reason given");
    Error::new(Kind::Internal, format!("a defect: the thread {name} panicked{at}: {what}"))
        .remedy("restart tercet, and report this bug")
}

#[cfg(all(test, feature = "voice"))]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn a_panic_in_a_thread_that_nobody_waits_for_is_told() {
        let (tell, told) = sync_channel(16);
        let before = std::panic::take_hook();
        install();
        let guard = on_panic(move |e| drop(tell.try_send(e)));
        let thread = std::thread::Builder::new().name("bystander".into()).spawn(|| panic!("of {}", "nothing"));
        let _ = thread.expect("it starts").join();
        // Other tests of this process may panic, as they should, at the same time.
        let error = loop {
            let e = told.recv_timeout(Duration::from_secs(10)).expect("it is told");
            if e.to_string().contains("bystander") {
                break e;
            }
        };
        drop(guard);
        std::panic::set_hook(before);
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.to_string().contains("panics.rs") && error.to_string().contains("of nothing"), "{error}");
        assert!(caught(|| -> Result<()> { panic!("once more") }).is_none());
        assert!(caught(|| Ok(())).is_some_and(|r| r.is_ok()));
    }
}
