//! Runs a program the owner configured: no shell, a small environment, a time limit, bounded output.
//!
//! Nothing of a command remains when its time is up: no process, no thread, no descriptor, whatever it did to get away.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

mod family;

/// What is kept of the output; the rest is read and thrown away.
const OUTPUT_MAX: usize = 4096;
/// How often a running command checks whether it was cancelled.
const GLANCE: Duration = Duration::from_millis(50);
/// How long output may still come after the program ended (a child of its own holds the pipe).
const AFTERMATH: Duration = Duration::from_millis(300);
/// How long a program that was killed may take to end.
const KILLED: Duration = Duration::from_millis(500);

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

/// Runs `argv` with `input` on its standard input. At the limit it is killed together with everything it started. What it leaves
/// running when it ends by itself stays, unless it holds the output in the program's own process group.
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
            .remedy("check this command under tools.command: the program must exist and be executable")
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
    let before = family::Before::now();
    let mut child = command.spawn().map_err(cannot)?;
    let mut pipes = Pipes::of(&mut child, input);
    let ended = watch(&mut child, &mut pipes, limit, cancelled);
    match ended {
        Ended::Finished { .. } if pipes.output.is_some() => family::end_group(child.id() as libc::pid_t),
        Ended::Finished { .. } => {}
        Ended::TimedOut | Ended::Cancelled => {
            family::end(child.id() as libc::pid_t, &before);
            let latest = Instant::now() + KILLED;
            while child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < latest {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    Ok(ended)
}

/// Until the program and its output have ended, or its time is up.
fn watch(child: &mut Child, pipes: &mut Pipes, limit: Duration, cancelled: &(dyn Fn() -> bool + Sync)) -> Ended {
    let exit = exit_of(child);
    let mut latest = Instant::now() + limit;
    let mut ok: Option<bool> = None;
    loop {
        pipes.move_what_can_be();
        if ok.is_none() {
            // Nobody else waits for it: an error means that it is gone.
            ok = child.try_wait().map_or(Some(false), |status| status.map(|s| s.success()));
            if ok.is_some() {
                latest = latest.min(Instant::now() + AFTERMATH);
                // Its last output has arrived by now.
                continue;
            }
        }
        let left = latest.saturating_duration_since(Instant::now());
        match ok {
            Some(ok) if pipes.output.is_none() || left.is_zero() => {
                let output = String::from_utf8_lossy(&pipes.kept).trim().to_owned();
                return Ended::Finished { ok, output };
            }
            _ if cancelled() => return Ended::Cancelled,
            None if left.is_zero() => return Ended::TimedOut,
            _ => {}
        }
        let exit = exit.as_ref().filter(|_| ok.is_none()).map(AsRawFd::as_raw_fd);
        pipes.wait(exit, left.min(GLANCE));
    }
}

/// A descriptor that can be read when the program has ended; `None` where the kernel has none to give.
fn exit_of(child: &Child) -> Option<OwnedFd> {
    // SAFETY: the call takes plain integers; it gives a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the descriptor was just made for us and is nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The program's input and output; each is gone once it was closed.
struct Pipes {
    input: Option<ChildStdin>,
    /// What of the input has not been taken yet.
    rest: Vec<u8>,
    output: Option<ChildStdout>,
    kept: Vec<u8>,
}

impl Pipes {
    fn of(child: &mut Child, input: &str) -> Self {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        stdin.iter().for_each(|p| unblock(p.as_raw_fd()));
        stdout.iter().for_each(|p| unblock(p.as_raw_fd()));
        Self { input: stdin, rest: input.as_bytes().to_vec(), output: stdout, kept: Vec::new() }
    }

    /// Reads and writes as much as goes without waiting.
    fn move_what_can_be(&mut self) {
        while let Some(input) = &mut self.input {
            match input.write(&self.rest) {
                Ok(n) if n < self.rest.len() => drop(self.rest.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // All input was taken, or the program closed its input, as it may.
                Ok(_) | Err(_) => self.input = None,
            }
        }
        let mut piece = [0; 1 << 14];
        // A program that floods its output must not keep this from checking the clock.
        for _ in 0..64 {
            let Some(output) = &mut self.output else { return };
            match output.read(&mut piece) {
                // Read on to the end, or the program would hang on a full pipe.
                Ok(n @ 1..) => self.kept.extend(&piece[..n.min(OUTPUT_MAX - self.kept.len())]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.output = None,
            }
        }
    }

    /// Waits until something can be moved, the program has ended, or the time is over.
    fn wait(&self, exit: Option<RawFd>, time: Duration) {
        // An entry below 0 is left out.
        let of = |fd: Option<RawFd>, events| libc::pollfd { fd: fd.unwrap_or(-1), events, revents: 0 };
        let mut polled = [
            of(self.input.as_ref().map(AsRawFd::as_raw_fd), libc::POLLOUT),
            of(self.output.as_ref().map(AsRawFd::as_raw_fd), libc::POLLIN),
            of(exit, libc::POLLIN),
        ];
        let time_ms = time.as_millis().max(1) as libc::c_int;
        // SAFETY: the pointer and the length are those of an array that lives during the call. Errors only end the wait.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, time_ms) };
    }
}

fn unblock(fd: RawFd) {
    // SAFETY: both calls take plain integers; the descriptor is this process's end of a pipe, open as long as its owner.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK);
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

    fn alive(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
    }

    /// Threads and open descriptors of this process; other tests' come and go.
    fn held() -> (usize, usize) {
        let count = |dir: &str| std::fs::read_dir(dir).map_or(0, Iterator::count);
        (count("/proc/self/task"), count("/proc/self/fd"))
    }

    #[test]
    fn who_leaves_the_group_and_ignores_signals_is_killed_too() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // In a session of its own, still holding the output.
        let stubborn = format!("trap '' TERM HUP INT; echo $$ > {}; while :; do sleep 1; done", pid.display());
        let script = format!("setsid sh -c \"{}\" & sleep 60", stubborn.replace('$', "\\$"));
        let begun = Instant::now();
        assert_eq!(sh(&script, 400), Ended::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let pid = std::fs::read_to_string(pid).expect("it ran");
        assert!(!alive(pid.trim()), "{pid} lives on");
    }

    /// The process adopts orphans, as the program does; its other tests' processes are not to be taken for orphans.
    #[test]
    fn who_hides_behind_init_is_killed_too() {
        let me = std::env::current_exe().expect("this program");
        let run = |name: &str| Command::new(&me).args(["--exact", name, "--ignored", "--nocapture"]).output();
        let name = std::thread::current().name().expect("a test").replace("who_hides", "alone_who_hides");
        let out = run(&name).expect("it runs");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&out.stderr));
    }

    #[test]
    #[ignore = "needs a process of its own: see who_hides_behind_init_is_killed_too"]
    fn alone_who_hides_behind_init_is_killed_too() {
        // SAFETY: plain integers; see `cli`.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        let dir = tempfile::tempdir().unwrap();
        let (pid, kept) = (dir.path().join("pid"), dir.path().join("kept"));
        // What an earlier command left on purpose stays.
        let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 60' >&- 2>&- & sleep 0.3", kept.display());
        assert_eq!(sh(&script, 30_000), ok(""));
        // No ancestor, no group, no session, no pipe and no variable of the command's: a textbook daemon.
        let file = dir.path().join("stubborn");
        let body = format!("trap '' TERM HUP\necho $$ > {}\nwhile :; do sleep 1; done\n", pid.display());
        std::fs::write(&file, body).unwrap();
        let script = format!("(env -i setsid /bin/sh {} <&- >&- 2>&- &) ; sleep 60", file.display());
        assert_eq!(sh(&script, 600), Ended::TimedOut);
        let (pid, kept) = (std::fs::read_to_string(pid).unwrap(), std::fs::read_to_string(kept).unwrap());
        assert!(!alive(pid.trim()), "{pid} lives on");
        assert!(alive(kept.trim()), "what was left on purpose is gone");
        super::family::end_group(kept.trim().parse().unwrap());
    }

    #[test]
    fn a_pipe_that_is_held_open_holds_nothing_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 60' & sleep 0.3; echo done", pid.display());
        let before = held();
        for _ in 0..8 {
            assert_eq!(sh(&script, 30_000), ok("done"));
            // It exited by itself, and whatever it started outside its group is left alone.
            let left = std::fs::read_to_string(&pid).expect("it ran");
            assert!(alive(left.trim()));
            super::family::end_group(left.trim().parse().expect("a number"));
        }
        let after = held();
        assert!(after.0 < before.0 + 8 && after.1 < before.1 + 8, "{before:?} {after:?}");
    }

    #[test]
    fn input_that_nobody_reads_does_not_hold_it_back() {
        let argv = ["/bin/sh", "-c", "sleep 0.2; echo done"].map(str::to_owned);
        let ended = run("test", &argv, &"x".repeat(1 << 20), Duration::from_secs(30), &|| false).unwrap();
        assert_eq!(ended, ok("done"));
        let argv = ["/bin/sh", "-c", "wc -c"].map(str::to_owned);
        let ended = run("test", &argv, &"x".repeat(1 << 20), Duration::from_secs(30), &|| false).unwrap();
        assert_eq!(ended, ok("1048576"));
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
