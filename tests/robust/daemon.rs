//! The daemon on a virtual microphone and loudspeaker, under abuse.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::pulse::{Pulse, wait};
use crate::support::user::{room, user_says};

/// Longest wait for anything; what is tested is what happens, never how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// `tercet run` on this sound card.
fn run(pulse: &Pulse, extra: &[&str]) -> Command {
    let mut c = pulse.tercet();
    c.arg("run").args(extra);
    c.env("TERCET_CACHE", tercet::store::Paths::from_env().cache_dir()).env_remove("TERCET_LOG");
    c
}

fn log_of(pulse: &Pulse) -> PathBuf {
    pulse.dir().join("daemon.log")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Ends with the test.
struct Daemon(Child);

impl Daemon {
    fn spawn(mut command: Command) -> Self {
        Self(command.spawn().expect("tercet starts"))
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    #[track_caller]
    fn ended(&mut self, log: &str) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "it does not end\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads events until one is as wanted; what was read.
fn events(out: &mut BufReader<ChildStdout>, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut seen = Vec::new();
    loop {
        let mut line = String::new();
        let n = out.read_line(&mut line).expect("events");
        assert!(n > 0, "the daemon ended; seen: {seen:#?}");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        seen.push(event["notice"].clone());
        if wanted(&event["notice"]) {
            return seen;
        }
    }
}

fn is(notice: &Value, event: &str) -> bool {
    notice["event"] == event
}

#[test]
fn a_log_reader_that_ends_leaves_it_hearing() {
    let Some(pulse) = room("a_log_reader_that_ends_leaves_it_hearing") else { return };
    let mut command = run(&pulse, &["--json", "-vv"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon::spawn(command);
    let mut out = BufReader::new(daemon.0.stdout.take().expect("a pipe"));
    events(&mut out, |n| is(n, "ready"));
    drop(daemon.0.stderr.take());
    pulse.unplug_mic();
    events(&mut out, |n| is(n, "device") && n["ok"] == false);
    pulse.replug_mic();
    events(&mut out, |n| is(n, "device") && n["ok"] == true);
    user_says(&pulse, "Alexa, what time is it?");
    events(&mut out, |n| is(n, "result") && n["result"].get("time").is_some());
    daemon.signal("-TERM");
    assert!(daemon.ended("").success());
}

#[test]
fn a_reader_of_events_that_ends_leaves_it_hearing() {
    let Some(pulse) = room("a_reader_of_events_that_ends_leaves_it_hearing") else { return };
    let mut command = run(&pulse, &["--json", "-v", "--set", "privacy.log_transcripts=true"]);
    command.stdout(Stdio::piped()).stderr(std::fs::File::create(log_of(&pulse)).expect("a log"));
    let mut daemon = Daemon::spawn(command);
    let mut out = BufReader::new(daemon.0.stdout.take().expect("a pipe"));
    events(&mut out, |n| is(n, "ready"));
    drop(out);
    user_says(&pulse, "Alexa, what time is it?");
    let log = log_of(&pulse);
    wait("an answer", || read(&log).contains("said: "));
    assert_eq!(read(&log).matches("events cannot be written").count(), 1, "{}", read(&log));
    assert!(!read(&log).contains("panicked"), "{}", read(&log));
    daemon.signal("-USR1");
    assert!(daemon.ended(&read(&log)).success(), "{}", read(&log));
}

#[test]
fn one_folder_has_one_daemon_which_reloads_and_ends_in_order() {
    let Some(pulse) = room("one_folder_has_one_daemon_which_reloads_and_ends_in_order") else { return };
    let config = pulse.dir().join("tercet.toml");
    std::fs::write(&config, "[log]\nlevel = \"warn\"\n").expect("written");
    let (path, log) = (config.to_string_lossy().into_owned(), log_of(&pulse));
    let start = |log: &Path| {
        let mut command = run(&pulse, &["--json", "--config", &path]);
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(log).expect("a log"));
        let mut daemon = Daemon::spawn(command);
        let mut out = BufReader::new(daemon.0.stdout.take().expect("a pipe"));
        events(&mut out, |n| is(n, "ready"));
        (daemon, out)
    };
    let (mut first, _out) = start(&log);

    let second = run(&pulse, &["--json"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(69), "{said}");
    let named = format!("process {} (", first.0.id());
    assert!(said.contains(&named) && said.contains("run --json --config") && said.contains("TERCET_STATE"), "{said}");

    assert!(!read(&log).contains("INFO"), "{}", read(&log));
    std::fs::write(&config, "[log]\nlevel = \"loud\"\n").expect("written");
    first.signal("-HUP");
    wait("the mistake to be told", || read(&log).contains("log.level"));
    std::fs::write(&config, "[log]\nlevel = \"info\"\n").expect("written");
    first.signal("-HUP");
    wait("the level to be taken up", || read(&log).contains("INFO"));
    first.signal("-QUIT");
    assert!(first.ended(&read(&log)).success(), "{}", read(&log));

    // The folder is free again, however its owner ended.
    let (second, _out) = start(&log);
    drop(second);
    let (mut third, _out) = start(&log);
    third.signal("-USR2");
    assert!(third.ended(&read(&log)).success(), "{}", read(&log));
}

#[test]
fn signals_while_it_loads_end_it_as_sigterm_does() {
    use std::os::unix::process::ExitStatusExt;
    let Some(pulse) = room("signals_while_it_loads_end_it_as_sigterm_does") else { return };
    let mut command = run(&pulse, &["--json"]);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(log_of(&pulse)).expect("a log"));
    let mut daemon = Daemon::spawn(command);
    wait("it to begin", || pulse.dir().join("tercet/lock").exists());
    daemon.signal("-HUP");
    daemon.signal("-QUIT");
    let status = daemon.ended(&read(&log_of(&pulse)));
    // On a machine that is quick enough it is ready by now, and ends in order.
    assert!(status.signal() == Some(libc::SIGTERM) && !status.core_dumped() || status.success(), "{status}");
}

#[test]
fn a_model_that_is_cut_short_ends_it_with_an_apology() {
    let Some(pulse) = room("a_model_that_is_cut_short_ends_it_with_an_apology") else { return };
    let model = pulse.dir().join("model.gguf");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf"), &model).expect("copied");
    let set = format!("llm.model={}", model.display());
    let mut command = run(&pulse, &["--json", "--set", &set]);
    command.stdout(Stdio::piped()).stderr(std::fs::File::create(log_of(&pulse)).expect("a log"));
    let mut daemon = Daemon::spawn(command);
    let mut out = BufReader::new(daemon.0.stdout.take().expect("a pipe"));
    events(&mut out, |n| is(n, "ready"));
    std::fs::OpenOptions::new().write(true).open(&model).and_then(|f| f.set_len(4096)).expect("cut short");
    user_says(&pulse, "Alexa, what is the capital of France?");
    let seen = events(&mut out, |n| is(n, "saying"));
    let trouble = seen.iter().find(|n| is(n, "trouble")).unwrap_or_else(|| panic!("{seen:#?}"));
    assert!(trouble["message"].as_str().is_some_and(|m| m.contains("model.gguf was changed")), "{trouble}");
    let log = log_of(&pulse);
    assert_eq!(daemon.ended(&read(&log)).code(), Some(69), "{}", read(&log));
}

#[test]
fn a_timer_that_cannot_be_kept_is_said_to_be_lost_at_a_restart() {
    let Some(pulse) = room("a_timer_that_cannot_be_kept_is_said_to_be_lost_at_a_restart") else { return };
    // A folder that nobody can make, not even root.
    std::fs::write(pulse.dir().join("tercet"), "in the way").expect("written");
    let mut command = run(&pulse, &["--json"]);
    // With all three closed, too: nothing of what it opens may take their places.
    let program = command.get_program().to_owned();
    let envs: Vec<_> = command.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
    command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" run --json <&- 2>&-"]).arg(program).envs(envs).stdout(Stdio::piped());
    let mut daemon = Daemon::spawn(command);
    let mut out = BufReader::new(daemon.0.stdout.take().expect("a pipe"));
    events(&mut out, |n| is(n, "ready"));
    for closed in [0, 2] {
        let link = std::fs::read_link(format!("/proc/{}/fd/{closed}", daemon.0.id())).expect("it is open");
        assert_eq!(link, Path::new("/dev/null"));
    }
    user_says(&pulse, "Alexa, set a timer for five minutes.");
    let seen = events(&mut out, |n| is(n, "saying") && n["text"].as_str().is_some_and(|t| t.contains("restarted")));
    assert!(seen.iter().any(|n| is(n, "result") && n["result"]["saved"] == false), "{seen:#?}");
    daemon.signal("-TERM");
    assert!(daemon.ended("").success());
}

#[test]
fn the_watchdog_is_fed_by_hearing() {
    let Some(pulse) = room("the_watchdog_is_fed_by_hearing") else { return };
    let socket = pulse.dir().join("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut command = run(&pulse, &["--json"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "400000").env_remove("WATCHDOG_PID");
    command.stdout(Stdio::null()).stderr(std::fs::File::create(log_of(&pulse)).expect("a log"));
    let mut daemon = Daemon::spawn(command);
    let is_told = |what: &str, time: Duration| {
        let until = Instant::now() + time;
        let mut message = [0; 256];
        while Instant::now() < until {
            if systemd.recv(&mut message).is_ok_and(|n| String::from_utf8_lossy(&message[..n]).contains(what)) {
                return true;
            }
        }
        false
    };
    assert!(is_told("READY=1", PATIENCE) && is_told("WATCHDOG=1", PATIENCE), "{}", read(&log_of(&pulse)));
    // Its microphone is away, and looked for: that is all it can do.
    pulse.unplug_mic();
    std::thread::sleep(Duration::from_secs(12));
    while is_told("WATCHDOG=1", Duration::from_millis(1)) {}
    assert!(is_told("WATCHDOG=1", PATIENCE), "a restart would bring no microphone\n{}", read(&log_of(&pulse)));
    pulse.replug_mic();
    wait("the microphone", || read(&log_of(&pulse)).contains("microphone went away"));
    // The sound server hangs: no samples come, and a program that asks for some hangs too.
    pulse.hang(true);
    let until = Instant::now() + PATIENCE;
    while is_told("WATCHDOG=1", Duration::from_secs(2)) {
        assert!(Instant::now() < until, "it is fed although nothing is heard\n{}", read(&log_of(&pulse)));
    }
    pulse.hang(false);
    daemon.signal("-TERM");
    daemon.ended(&read(&log_of(&pulse)));
}
