//! SIGTERM and SIGINT end the daemon cleanly; systemd is told when it is ready, that it lives, and that it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};

/// The thread that waits for signals and pings systemd's watchdog. Ends when dropped.
pub struct Signals {
    done: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// `stop` is called at the first SIGTERM or SIGINT; a second one ends the process at once.
    /// `alive` is asked before each ping of the watchdog: silence lets systemd restart a stuck daemon.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn start(
        stop: impl Fn() + Send + 'static,
        alive: impl Fn() -> Arc<AtomicBool> + Send + 'static,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| Error::new(Kind::Internal, "cannot wait for signals").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let done = Arc::new(Notify::new());
        let until = Arc::clone(&done);
        // Registered here, so that no signal is missed once this returns.
        let (mut term, mut int) = {
            let _guard = runtime.enter();
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?)
        };
        let thread = std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = until.notified() => {}
                        () = watchdog(alive) => {}
                        () = async {
                            tokio::select! { _ = term.recv() => {} _ = int.recv() => {} }
                            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
                            tracing::info!("stopping");
                            stop();
                            tokio::select! { _ = term.recv() => {} _ = int.recv() => {} }
                            tracing::warn!("second signal: ending at once");
                            end_now();
                        } => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Self { done, thread: Some(thread) })
    }

    /// Tells systemd that the daemon is ready; nothing happens without systemd.
    pub fn ready() {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
}

/// What SIGTERM does where nobody catches it.
fn end_now() {
    // SAFETY: both calls take plain integers; the default action ends the process, with nothing of ours run after it.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_DFL);
        libc::raise(libc::SIGTERM);
    }
}

/// Pings at half the interval that systemd asks for; waits forever where it asks for none.
async fn watchdog(alive: impl Fn() -> Arc<AtomicBool>) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        let answered = alive();
        tokio::time::sleep((interval / 2).max(Duration::from_millis(100))).await;
        if answered.load(Ordering::Acquire) {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.done.notify_one();
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}
