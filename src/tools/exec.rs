//! Runs a program of the owner's: no shell, a small environment, a time limit, bounded output.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// What is kept of the output; the rest is read and thrown away.
const OUTPUT_MAX: usize = 4096;
/// How often a running command looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(50);
/// How long output may still come after the program ended (a child of its own holds the pipe).
const AFTERMATH: Duration = Duration::from_millis(300);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Exit status 0 or not; what it printed, trimmed, at most [`OUTPUT_MAX`] bytes.
    Finished {
        ok: bool,
        output: String,
    },
    TimedOut,
    Cancelled,
}

enum News {
    Exited(std::io::Result<ExitStatus>),
    Output(Vec<u8>),
}

/// Runs `argv` with `input` on its standard input, in a process group of its own that is killed at the limit.
///
/// # Errors
/// [`Kind::Unavailable`] when it cannot be started.
pub(super) fn run(
    name: &str,
    argv: &[String],
    input: &str,
    limit: Duration,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Ended> {
    let (program, args) =
        argv.split_first().ok_or_else(|| Error::new(Kind::Config, format!("{name}: exec is empty")))?;
    let cannot = |e: std::io::Error| {
        Error::new(Kind::Unavailable, format!("{name}: cannot start {program}"))
            .remedy("check tools.command.exec: the program must exist and be executable")
            .because(e)
    };
    let mut command = Command::new(program);
    command.args(args).env_clear().env("TERCET_TOOL", name);
    for key in ["PATH", "HOME", "LANG", "TZ", "XDG_RUNTIME_DIR"] {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(cannot)?;
    let group = child.id() as libc::pid_t;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());

    // At most one of each kind of news ever comes: the channel never blocks its writers.
    let (tell, news) = mpsc::sync_channel(2);
    let started = (|| {
        if let Some(mut stdin) = stdin {
            let input = input.to_owned();
            // A program that does not read its input closes the pipe; that is its right.
            thread("tool-in", move || drop(stdin.write_all(input.as_bytes())))?;
        }
        if let Some(stdout) = stdout {
            let tell = tell.clone();
            thread("tool-out", move || read_bounded(stdout, &tell))?;
        }
        thread("tool-wait", move || drop(tell.send(News::Exited(child.wait()))))
    })();
    if let Err(e) = started {
        kill(group);
        return Err(e);
    }
    Ok(watch(&news, group, limit, cancelled))
}

fn watch(news: &Receiver<News>, group: libc::pid_t, limit: Duration, cancelled: &(dyn Fn() -> bool + Sync)) -> Ended {
    let mut deadline = Instant::now() + limit;
    let (mut status, mut output): (Option<bool>, Option<Vec<u8>>) = (None, None);
    while status.is_none() || output.is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        match news.recv_timeout(left.min(GLANCE)) {
            Ok(News::Output(bytes)) => output = Some(bytes),
            Ok(News::Exited(s)) => {
                status = Some(s.is_ok_and(|s| s.success()));
                deadline = deadline.min(Instant::now() + AFTERMATH);
            }
            // Both threads are gone: nothing more will come.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if cancelled() => {
                kill(group);
                return Ended::Cancelled;
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                kill(group);
                if status.is_none() {
                    return Ended::TimedOut;
                }
                // Its own child held the pipe; with the group gone the output ends.
                if let Ok(News::Output(bytes)) = news.recv_timeout(AFTERMATH) {
                    output = Some(bytes);
                }
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    let output = String::from_utf8_lossy(&output.unwrap_or_default()).trim().to_owned();
    Ended::Finished { ok: status.unwrap_or(false), output }
}

fn read_bounded(mut from: impl Read, tell: &SyncSender<News>) {
    let mut kept = Vec::new();
    let _ = from.by_ref().take(OUTPUT_MAX as u64).read_to_end(&mut kept);
    // Keep reading, or the program would hang on a full pipe.
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    let _ = tell.send(News::Output(kept));
}

fn thread(name: &str, f: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(f)
        .map(drop)
        .map_err(|e| Error::new(Kind::Unavailable, "cannot start a thread for a command").because(e))
}

/// Kills the whole process group.
fn kill(group: libc::pid_t) {
    // SAFETY: kill(2) touches no memory of ours. The group is the child's own (process_group(0)), so its id is above 0
    // and -group never means "every process".
    unsafe {
        libc::kill(-group, libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit_ms: u64) -> Ended {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run("test", &argv, "{}", Duration::from_millis(limit_ms), &|| false).unwrap()
    }

    fn ok(output: &str) -> Ended {
        Ended::Finished { ok: true, output: output.to_owned() }
    }

    #[test]
    fn output_and_status() {
        assert_eq!(sh("echo hello", 5000), ok("hello"));
        assert_eq!(sh("cat", 5000), ok("{}"));
        assert_eq!(sh("echo no; exit 3", 5000), Ended::Finished { ok: false, output: "no".into() });
        assert_eq!(sh("exec <&-; exit 0", 5000), ok(""));
    }

    #[test]
    fn output_is_bounded_and_a_flood_does_not_block() {
        match sh("yes | head -c 1000000", 10_000) {
            Ended::Finished { ok: true, output } => assert!(output.len() <= OUTPUT_MAX),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_limit_kills_grandchildren_too() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 60", mark.display());
        assert_eq!(sh(&script, 200), Ended::TimedOut);
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!mark.exists());
    }

    #[test]
    fn a_daemon_left_behind_does_not_hold_the_answer_back() {
        assert_eq!(sh("echo done; sleep 60 &", 30_000), ok("done"));
    }

    #[test]
    fn unwanted_work_is_killed() {
        let argv = ["/bin/sleep", "60"].map(str::to_owned);
        let ended = run("test", &argv, "", Duration::from_secs(30), &|| true).unwrap();
        assert_eq!(ended, Ended::Cancelled);
    }

    #[test]
    fn the_environment_is_small() {
        let Ended::Finished { output, .. } = sh("env | cut -d= -f1 | sort | tr '\\n' ' '", 5000) else { panic!() };
        for name in output.split_whitespace() {
            let known = ["HOME", "LANG", "PATH", "PWD", "SHLVL", "TERCET_TOOL", "TZ", "XDG_RUNTIME_DIR", "_", "OLDPWD"];
            assert!(known.contains(&name), "{name}");
        }
    }
}
