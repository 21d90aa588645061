//! The log: on standard error, at the level that the environment, the flags or the configuration ask for.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use super::Global;
use super::lossy::STDERR;

/// What symphonia finds wrong with a file comes back as an error.
const ALWAYS: &str = "symphonia_core=off";

/// How the running log gets another filter.
type Reload = Box<dyn Fn(EnvFilter) + Send + Sync>;

struct Log {
    /// The environment or a flag decides, and the configuration does not.
    decided: bool,
    reload: Reload,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Logs go to stderr, warnings and worse unless asked for more; standard output is for results.
pub(super) fn init(global: &Global) {
    let flags = match (global.quiet, global.verbose) {
        (true, _) => Some("error"),
        (false, 0) => None,
        (false, 1) => Some("info"),
        (false, 2) => Some("tercet=debug,info"),
        (false, _) => Some("tercet=trace,debug"),
    };
    let environment = EnvFilter::try_from_env("TERCET_LOG").ok();
    let decided = environment.is_some() || flags.is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(environment.unwrap_or_else(|| filter(flags.unwrap_or("warn"))))
        .with_writer(|| Line)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would report an unwritable line to the same unwritable output.
        .log_internal_errors(false)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second initialisation (tests) keeps the first.
    if builder.try_init().is_ok() {
        let reload: Reload = Box::new(move |filter| drop(handle.reload(filter)));
        let _ = LOG.set(Log { decided, reload });
    }
}

/// Applies `log.level` of the configuration, where neither TERCET_LOG nor a flag says otherwise.
pub(super) fn configured(level: &str) {
    if let Some(log) = LOG.get().filter(|l| !l.decided) {
        (log.reload)(filter(level));
    }
}

/// Whether [`configured`] changes anything.
#[cfg(feature = "voice")]
pub(super) fn is_configurable() -> bool {
    LOG.get().is_some_and(|l| !l.decided)
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},{ALWAYS}"))
}

/// Writes one line; never fails.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        STDERR.write_log(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
