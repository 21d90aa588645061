//! Writing to the running daemon: its socket, and the commands that use it. It hears a long silence instead of a room.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tercet::audio::WavWriter;
use tercet::units::SampleRate;

use crate::support::{models_ready, skip};

/// Longest wait for anything; what is tested is what happens, never how fast.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test takes.
const SILENCE_S: usize = 300;

/// A daemon in a silent room, with folders of its own.
struct Daemon {
    folder: tempfile::TempDir,
    child: Child,
    notices: Receiver<Value>,
}

impl Daemon {
    fn start(test: &str) -> Option<Self> {
        if !models_ready(test) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let silence = folder.path().join("silence.wav");
        let mut wav = WavWriter::create(&silence, SampleRate::HEARING).expect("a file");
        (0..SILENCE_S).for_each(|_| wav.write(&[0.0; 16_000]).expect("written"));
        wav.finish().expect("written");
        let mut child = command(folder.path(), &["run", "--json", "--input"])
            .arg(&silence)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("tercet starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, notices) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).expect("JSON");
                let _ = tell.send(event["notice"].clone());
            }
        });
        let daemon = Self { folder, child, notices };
        daemon.wait(|n| n["event"] == "ready");
        let until = Instant::now() + PATIENCE;
        while !daemon.socket().exists() {
            assert!(Instant::now() < until, "no socket: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(daemon)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("tercet/tercet.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Reads notices up to one that is as wanted.
    #[track_caller]
    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            match self.notices.recv_timeout(PATIENCE) {
                Ok(notice) => seen.push(notice),
                Err(e) => panic!("{e}; seen {seen:#?}\n{}", self.log()),
            }
            if seen.last().is_some_and(&wanted) {
                return seen;
            }
        }
    }

    fn tercet(&self, args: &[&str]) -> Output {
        command(self.folder.path(), args).stdin(Stdio::null()).output().expect("it runs")
    }

    fn ask(&self, request: &str) -> Value {
        json_of(&self.tercet(&["ask", "--json", request]))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &std::path::Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    c.args(args)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("XDG_RUNTIME_DIR", folder)
        .env("TERCET_STATE", folder.join("state"))
        .env("TERCET_CACHE", tercet::store::Paths::from_env().cache_dir())
        .env_remove("TERCET_CONFIG")
        .env_remove("RUNTIME_DIRECTORY");
    c
}

#[track_caller]
fn json_of(o: &Output) -> Value {
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    serde_json::from_slice(&o.stdout).expect("one JSON object")
}

#[test]
fn the_daemon_is_asked_in_writing_and_answers_in_writing() {
    let Some(mut daemon) = Daemon::start("the_daemon_is_asked_in_writing_and_answers_in_writing") else { return };
    assert_eq!(std::fs::metadata(daemon.socket()).expect("it is there").mode() & 0o777, 0o660);

    let v = daemon.ask("Set a timer for ten minutes.");
    assert_eq!(v["calls"][0]["name"], "set_timer", "{v}");
    assert!(v["calls"][0]["outcome"]["ok"] == true && v["rings"] == true, "{v}");
    assert!(v["answer"].as_str().is_some_and(|a| a.contains("10 minutes")), "{v}");
    // Nobody hears it, and nobody is listened to afterwards.
    let seen = daemon.wait(|n| n["event"] == "state" && n["state"] == "asleep");
    assert!(seen.iter().any(|n| n["event"] == "written") && !seen.iter().any(|n| n["event"] == "saying"), "{seen:#?}");
    assert!(!seen.iter().any(|n| n["state"] == "follow-up"), "{seen:#?}");

    let v = json_of(&daemon.tercet(&["timers", "--json"]));
    assert_eq!(v["timers"].as_array().map(Vec::len), Some(1), "{v}");
    let v = json_of(&daemon.tercet(&["status", "--json"]));
    assert!(v["microphone"] == true && v["model"].is_string() && v["version"] == env!("CARGO_PKG_VERSION"), "{v}");

    assert!(daemon.tercet(&["announce", "Dinner is ready."]).status.success());
    daemon.wait(|n| n["event"] == "saying" && n["text"] == "Dinner is ready.");

    // The conversation goes on from command to command, and in a pipe.
    assert!(daemon.ask("What is the capital of France?")["answer"].as_str().is_some_and(|a| a.contains("Paris")));
    let mut chat =
        command(daemon.folder.path(), &["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let asked = b"What time is it?\nWhat is the capital of Italy?\n";
    chat.stdin.take().expect("a pipe").write_all(asked).expect("it reads");
    let out = chat.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.lines().count() == 2 && text.contains("Rome"), "{text}");

    // Flags for a model are for another conversation, which cannot have the folder.
    let o = daemon.tercet(&["ask", "What time is it?", "--threads", "1"]);
    assert!(String::from_utf8_lossy(&o.stderr).contains("nothing of this conversation is kept"), "{o:?}");

    // SAFETY: kill(2) with the id of a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(daemon.child.id() as i32, libc::SIGTERM) }, 0);
    assert!(daemon.child.wait().expect("it ends").success(), "{}", daemon.log());
    assert!(!daemon.socket().exists());
    assert_eq!(daemon.tercet(&["status"]).status.code(), Some(69));
    // What was set is still set, for whoever owns the folder now.
    let v = daemon.ask("How long is left on the timer?");
    assert!(v["answer"].as_str().is_some_and(|a| a.contains("left on your")), "{v}");
}

#[test]
fn two_ask_at_once_and_each_gets_their_own_answer_whatever_others_write() {
    let test = "two_ask_at_once_and_each_gets_their_own_answer_whatever_others_write";
    let Some(daemon) = Daemon::start(test) else { return };
    let connect = || {
        let stream = UnixStream::connect(daemon.socket()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    };
    let ask = |request: &str| {
        let mut stream = connect();
        writeln!(stream, "{}", json!({ "id": request, "ask": request })).expect("it reads");
        stream
    };
    let asked = [
        (ask("What is the capital of France?"), "Paris"),
        (ask("What is the capital of Italy?"), "Rome"),
        (ask("What is three plus four?"), "7"),
    ];
    // Meanwhile somebody writes nonsense, and somebody goes away in the middle.
    let mut nonsense = connect();
    nonsense.write_all(b"\xff{]\n\n{\"ask\": 3}\n{\"status\": {}}\n").expect("it reads");
    drop(ask("Who are you?"));
    let replies: Vec<Value> = BufReader::new(nonsense)
        .lines()
        .take(3)
        .map(|l| serde_json::from_str(&l.expect("a line")).expect("JSON"))
        .collect();
    assert!(replies[0]["ok"] == false && replies[1]["ok"] == false && replies[2]["ok"] == true, "{replies:#?}");
    for (stream, word) in asked {
        let lines = BufReader::new(stream).lines().map(|l| l.expect("a line"));
        let mut lines = lines.map(|l| serde_json::from_str::<Value>(&l).expect("JSON"));
        let reply = lines.find(|l| l.get("ok").is_some()).expect("a reply");
        assert!(reply["answer"].as_str().is_some_and(|a| a.contains(word)), "{word}: {reply}");
        assert!(reply["id"].as_str().is_some_and(|id| id.starts_with("What is")), "{reply}");
    }
}

#[test]
fn strangers_may_not_ask() {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return skip("strangers_may_not_ask", "only root can be somebody else");
    }
    let Some(daemon) = Daemon::start("strangers_may_not_ask") else { return };
    let open = |path: PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("they are ours");
    };
    // The file's own permissions do not stand in the way: what is asked is who it is.
    for folder in ["", "tercet"] {
        open(daemon.folder.path().join(folder), 0o755);
    }
    open(daemon.socket(), 0o666);
    let mut stranger = Command::new("python3");
    let program = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(999))";
    stranger.args(["-c", program]).arg(daemon.socket()).uid(65534).gid(65534);
    let Ok(out) = stranger.output() else { return skip("strangers_may_not_ask", "no python3 here") };
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("may not ask"), "{said} {}", String::from_utf8_lossy(&out.stderr));
    assert!(json_of(&daemon.tercet(&["status", "--json"]))["ok"].is_null());
}
