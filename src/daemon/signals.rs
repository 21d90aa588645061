//! Signals: SIGTERM and its like end the daemon cleanly, SIGHUP reloads; systemd is told when it is ready, alive,
//! and stopping.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};

/// Signals that kill a program unless caught; they end this one in order.
const END: [(&str, libc::c_int); 5] = [
    ("SIGTERM", libc::SIGTERM),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
];
const RELOAD: (&str, libc::c_int) = ("SIGHUP", libc::SIGHUP);

/// What the daemon does when it is asked to.
pub struct Orders<Stop, Reload, Alive> {
    /// Ends it; called at the first signal that asks for it. A second one ends the process at once. Must not wait.
    pub stop: Stop,
    /// Reads again what can change while it runs; true where it is to end instead (its terminal was closed).
    pub reload: Reload,
    /// Asks for proof that it does its work; asked before each ping of the watchdog. Silence lets systemd restart it.
    pub alive: Alive,
}

/// The thread that waits for signals and pings systemd's watchdog. Ends when dropped.
pub struct Signals {
    done: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// # Errors
    /// When signals cannot be caught.
    pub fn start<Stop, Reload, Alive>(orders: Orders<Stop, Reload, Alive>) -> Result<Self>
    where
        Stop: Fn() + Send + 'static,
        Reload: Fn() -> bool + Send + 'static,
        Alive: Fn() -> Arc<AtomicBool> + Send + 'static,
    {
        let failed = |e: std::io::Error| Error::new(Kind::Internal, "cannot wait for signals").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let done = Arc::new(Notify::new());
        let until = Arc::clone(&done);
        // Registered here, so that no signal is missed once this returns. What `while_loading` set must not be there any more:
        // whoever registers a handler calls the one before it too.
        Self::default_actions();
        let mut caught = {
            let _guard = runtime.enter();
            let one = |(name, number)| Ok((name, signal(SignalKind::from_raw(number)).map_err(failed)?));
            END.into_iter().chain([RELOAD]).map(one).collect::<Result<Vec<_>>>()?
        };
        let Orders { stop, reload, alive } = orders;
        let serve = async move {
            let mut watchdog = pin!(watchdog(alive));
            let mut stopping = false;
            loop {
                let name = tokio::select! {
                    () = until.notified() => return,
                    () = &mut watchdog => return,
                    name = next(&mut caught) => name,
                };
                if name == RELOAD.0 && !reload() {
                    continue;
                }
                if stopping {
                    tracing::warn!("{name}, a second signal: exiting at once");
                    end_now();
                }
                stopping = true;
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
                tracing::info!("{name}: stopping");
                stop();
            }
        };
        let thread = std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(serve))
            .map_err(failed)?;
        Ok(Self { done, thread: Some(thread) })
    }

    /// What signals do until [`Signals::start`], while everything is loaded: those that ask for an end do what SIGTERM does,
    /// none leaves a core, and a request to reload is ignored, since what it would read again is being read.
    pub fn while_loading() {
        extern "C" fn end(_: libc::c_int) {
            end_now();
        }
        let end = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: to ignore a signal runs nothing, and the handler makes two calls that may be made at any time.
        unsafe {
            END.iter().skip(1).for_each(|(_, number)| {
                let _ = libc::signal(*number, end);
            });
            libc::signal(RELOAD.1, libc::SIG_IGN);
        }
    }

    fn default_actions() {
        // SAFETY: to give a signal its default action back runs nothing.
        END.iter().skip(1).for_each(|(_, number)| unsafe {
            let _ = libc::signal(*number, libc::SIG_DFL);
        });
    }

    /// Tells systemd that the daemon is ready; nothing happens without systemd.
    pub fn ready() {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
}

/// The name of the next of these signals that comes.
async fn next(caught: &mut [(&'static str, Signal)]) -> &'static str {
    poll_fn(|cx| {
        let came =
            caught.iter_mut().find_map(|(name, s)| matches!(s.poll_recv(cx), Poll::Ready(Some(()))).then_some(*name));
        came.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// The default action of SIGTERM.
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
