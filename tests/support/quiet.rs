//! The daemon in a silent room, with folders of its own: what there is to talk to is its socket.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tercet::audio::WavWriter;
use tercet::units::SampleRate;

use super::models_ready;

/// Longest wait for anything; what is tested is what happens, never how fast.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test takes.
const SILENCE_S: usize = 300;

/// A daemon in a silent room, with folders of its own.
pub(crate) struct Daemon {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) child: Child,
    notices: Receiver<Value>,
}

impl Daemon {
    pub(crate) fn start(test: &str) -> Option<Self> {
        models_ready(test).then(|| Self::start_in(tempfile::tempdir().expect("a folder")))
    }

    /// The daemon that goes on with what is kept in `folder`.
    pub(crate) fn start_in(folder: tempfile::TempDir) -> Self {
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
        daemon
    }

    /// Kills it as a power cut would, and gives its folder.
    pub(crate) fn cut(mut self) -> tempfile::TempDir {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ends");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("tercet/tercet.sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Reads notices up to one that is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
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

    pub(crate) fn tercet(&self, args: &[&str]) -> Output {
        command(self.folder.path(), args).stdin(Stdio::null()).output().expect("it runs")
    }

    pub(crate) fn ask(&self, request: &str) -> Value {
        json_of(&self.tercet(&["ask", "--json", request]))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tercet` over the folders in `folder`; the configuration is the `tercet.toml` there, if there is one.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    c.args(args)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("XDG_RUNTIME_DIR", folder)
        .env("TERCET_STATE", folder.join("state"))
        .env("TERCET_CACHE", tercet::store::Paths::from_env().cache_dir())
        .env_remove("TERCET_CONFIG")
        .env_remove("RUNTIME_DIRECTORY");
    let config = folder.join("tercet.toml");
    if config.exists() {
        c.env("TERCET_CONFIG", config);
    }
    c
}

#[track_caller]
pub(crate) fn json_of(o: &Output) -> Value {
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    serde_json::from_slice(&o.stdout).expect("one JSON object")
}
