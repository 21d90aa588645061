//! Ctrl-C as something a command is told about, in place of its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};

/// Whether Ctrl-C was pressed. Clones are one flag.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on Ctrl-C does not end the process: it raises the flag, then calls `pressed`.
    pub(super) fn listen(pressed: impl Fn() + Send + 'static) -> Result<Self> {
        let failed = |e| Error::new(Kind::Internal, "cannot listen for Ctrl-C").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut signal = {
            let _inside = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?
        };
        let flag = Self::default();
        let raised = flag.clone();
        std::thread::Builder::new()
            .name("ctrl-c".into())
            .spawn(move || {
                runtime.block_on(async {
                    while signal.recv().await.is_some() {
                        raised.pressed.store(true, Ordering::Relaxed);
                        pressed();
                    }
                });
            })
            .map_err(failed)?;
        Ok(flag)
    }

    /// Lowers the flag and says whether it was up.
    pub(super) fn take(&self) -> bool {
        self.pressed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn is_raised(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
}
