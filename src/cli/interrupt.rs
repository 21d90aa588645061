//! Ctrl-C, and other signals that end a program, turned into something a command can react to instead of being killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Kind, Result};

/// What Ctrl-C sends.
pub(super) const PRESSED: &[libc::c_int] = &[libc::SIGINT];
/// What asks a program to end: Ctrl-C, `kill` and a closed terminal.
pub(super) const ASKED_TO_END: &[libc::c_int] = &[libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Whether such a signal came. Clones are one flag.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    raised: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on `signals` do not end the process: each raises the flag, then calls `then` with its number.
    pub(super) fn listen(signals: &[libc::c_int], then: impl Fn(libc::c_int) + Clone + Send + 'static) -> Result<Self> {
        let failed = |e| Error::new(Kind::Internal, "cannot listen for signals").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let flag = Self::default();
        let told = {
            let _inside = runtime.enter();
            let one = |&n: &libc::c_int| Ok((n, signal(SignalKind::from_raw(n)).map_err(failed)?));
            signals.iter().map(one).collect::<Result<Vec<(libc::c_int, Signal)>>>()?
        };
        for (number, mut signal) in told {
            let (raised, then) = (flag.clone(), then.clone());
            runtime.spawn(async move {
                while signal.recv().await.is_some() {
                    raised.raised.store(true, Ordering::Relaxed);
                    then(number);
                }
            });
        }
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(failed)?;
        Ok(flag)
    }

    /// Lowers the flag and says whether it was up.
    pub(super) fn take(&self) -> bool {
        self.raised.swap(false, Ordering::Relaxed)
    }

    pub(super) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}
