//! The live daemon: the real binary with real models on a virtual microphone and loudspeaker. What is said to it is
//! another voice's (flite), and what it answers is recorded from the loudspeaker and transcribed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::pulse::Pulse;
use crate::support::user::{room, user_says};

/// Questions the default model is known to answer, and a word that the answer must contain.
const KNOWN: &str = include_str!("data/known_questions.tsv");

/// Longest wait for anything; these tests assert what happens, never how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon and what it reports.
struct Daemon {
    child: Child,
    notices: Receiver<Value>,
    seen: Vec<Value>,
    log: PathBuf,
}

impl Daemon {
    /// Starts `tercet run --json` on the sound card; returns when it listens.
    fn start(pulse: &Pulse, extra: &[&str]) -> Self {
        let log = pulse.dir().join("daemon.log");
        let mut child = pulse
            .tercet()
            .args(["run", "--json", "-vvv"])
            .args(extra)
            .env("TERCET_CACHE", cache())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("tercet starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (send, notices) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).expect("every line is JSON"));
            }
        });
        let mut daemon = Self { child, notices, seen: Vec::new(), log };
        daemon.wait("ready", |_| true);
        daemon
    }

    /// Waits for a notice of this event for which `is` holds.
    fn wait(&mut self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.notices.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let notice = line["notice"].clone();
                    self.seen.push(notice.clone());
                    if notice["event"] == event && is(&notice) {
                        return notice;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {event} came; seen: {:#?}\n{}", self.seen, self.log()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the daemon ended before {event}; seen: {:#?}\n{}", self.seen, self.log())
                }
            }
        }
    }

    fn wait_state(&mut self, state: &str) {
        self.wait("state", |n| n["state"] == state);
    }

    /// Everything reported within `time` from now.
    fn watch(&mut self, time: Duration) -> Vec<Value> {
        let until = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok(line) = self.notices.recv_timeout(until.saturating_duration_since(Instant::now())) {
            all.push(line["notice"].clone());
        }
        self.seen.extend(all.iter().cloned());
        all
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// Ends it as systemd would; it must end by itself, with success.
    fn stop(mut self) -> Vec<Value> {
        self.signal("-TERM");
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(Instant::now() < until, "it does not end on SIGTERM\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "ended with {status}\n{}", self.log());
        std::mem::take(&mut self.seen)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cache() -> PathBuf {
    tercet::store::Paths::from_env().cache_dir().to_owned()
}

/// What a recording says, in lower case, without punctuation.
fn transcribe(pulse: &Pulse, wav: &Path) -> String {
    let out = pulse.tercet().arg("transcribe").arg(wav).env("TERCET_CACHE", cache()).output().expect("tercet runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    plain(&String::from_utf8_lossy(&out.stdout))
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace()).collect::<String>().to_lowercase()
}

/// A different number in every run, which failure messages can name.
fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(7, |d| d.as_nanos() as u64 / 1000)
}

fn turns_started(notices: &[Value]) -> usize {
    notices.iter().filter(|n| n["event"] == "heard" || n["event"] == "wake").count()
}

#[test]
fn a_spoken_question_is_answered_aloud_and_nothing_is_kept() {
    let Some(pulse) = room("a_spoken_question_is_answered_aloud_and_nothing_is_kept") else { return };
    let questions: Vec<(&str, &str)> = KNOWN.lines().filter_map(|l| l.split_once('\t')).collect();
    assert!(questions.len() >= 20);
    let mut daemon = Daemon::start(&pulse, &[]);
    // The voice says a name a little differently each time, and one time in hundreds Whisper mishears it: what is to be
    // said must hold the answer each time, what comes out of the loudspeaker in the first or the second turn.
    let mut wavs = Vec::new();
    let mut misheard = Vec::new();
    let mut spoken = Vec::new();
    loop {
        let (question, answer) = questions[seed() as usize % questions.len()];
        let recording = pulse.record_speaker();
        user_says(&pulse, &format!("Alexa, {question}"));
        let heard = daemon.wait("heard", |_| true);
        let saying = daemon.wait("saying", |_| true);
        daemon.wait_state("follow-up");
        wavs.push(recording.finish_wav());
        let sentence = plain(saying["text"].as_str().expect("a text"));
        assert!(sentence.contains(answer), "{question} was heard as {heard} and is answered {sentence:?}");
        let said = transcribe(&pulse, wavs.last().expect("just recorded"));
        spoken.push((plain(heard["text"].as_str().expect("a text")), sentence.clone()));
        if said.contains(answer) {
            break;
        }
        misheard.push(format!("{sentence:?} sounded like {said:?}"));
        assert!(misheard.len() < 2, "{misheard:#?}");
    }

    // Privacy: nothing of the words in the log, no sound on the disk.
    let log = plain(&daemon.log());
    for (words, sentence) in &spoken {
        assert!(!log.contains(words.trim()), "what was said is in the log");
        assert!(!log.contains(sentence.trim()), "what was answered is in the log");
    }
    daemon.stop();
    let kept: Vec<PathBuf> = files_below(pulse.dir())
        .into_iter()
        .filter(|p| !wavs.contains(p) && p.file_name().is_some_and(|n| n != "user.wav"))
        .filter(|p| p.extension().is_some_and(|e| e == "wav" || e == "flac" || e == "pcm"))
        .collect();
    assert!(kept.is_empty(), "sound was written: {kept:?}");
}

#[test]
fn a_tool_answers_with_what_is_true_now() {
    let Some(pulse) = room("a_tool_answers_with_what_is_true_now") else { return };
    // Told apart by ear, unlike thirteen and thirty.
    let minutes = 22 + seed() % 8;
    let word = words_for(minutes);
    let mut daemon = Daemon::start(&pulse, &[]);
    user_says(&pulse, &format!("Alexa, set a timer for {word} minutes."));
    let result = daemon.wait("result", |_| true);
    assert!(result["result"].get("error").is_none(), "{result}; seen {:#?}", daemon.seen);
    daemon.wait_state("follow-up");
    let recording = pulse.record_speaker();
    user_says(&pulse, "How long is left on the timer?");
    daemon.wait("heard", |_| true);
    daemon.wait_state("follow-up");
    let said = transcribe(&pulse, &recording.finish_wav()).replace("twenty ", "twenty");
    // A little of the time has passed by now.
    let left = [minutes, minutes - 1];
    let tells = left.iter().any(|m| said.contains(&m.to_string()) || said.contains(&words_for(*m).replace(' ', "")));
    assert!(tells, "a timer of {minutes} minutes was reported as {said:?}; seen {:#?}", daemon.seen);
    daemon.stop();
}

fn words_for(n: u64) -> String {
    let ones = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    format!("twenty {}", ones[n as usize - 21])
}

#[test]
fn it_does_not_answer_itself_and_hears_again_afterwards() {
    let Some(pulse) = room("it_does_not_answer_itself_and_hears_again_afterwards") else { return };
    pulse.loopback_db(-10.0);
    let mut daemon = Daemon::start(&pulse, &[]);
    user_says(&pulse, "Alexa, what is the capital of France?");
    daemon.wait("heard", |_| true);
    daemon.wait_state("speaking");
    daemon.wait_state("follow-up");
    // The window in which speech would start a turn without the wake word, and some more.
    let after = daemon.watch(Duration::from_secs(8));
    assert_eq!(turns_started(&after), 0, "it answered itself: {after:#?}");
    user_says(&pulse, "Alexa, what is the capital of Italy?");
    let heard = daemon.wait("heard", |_| true);
    assert!(plain(heard["text"].as_str().unwrap_or_default()).contains("italy"), "{heard}");
    daemon.wait_state("follow-up");
    daemon.stop();
}

#[test]
fn a_microphone_that_is_replugged_is_heard_again() {
    let Some(pulse) = room("a_microphone_that_is_replugged_is_heard_again") else { return };
    let mut daemon = Daemon::start(&pulse, &[]);
    pulse.unplug_mic();
    daemon.wait("device", |n| n["ok"] == false);
    pulse.replug_mic();
    daemon.wait("device", |n| n["ok"] == true);
    user_says(&pulse, "Alexa, what time is it?");
    daemon.wait("wake", |_| true);
    daemon.wait("result", |n| n["result"].get("time").is_some());
    let log = daemon.log();
    assert_eq!(told_once(&daemon.stop(), &log, "microphone"), ["lost", "back"]);
}

#[test]
fn a_loudspeaker_that_is_replugged_speaks_again() {
    let Some(pulse) = room("a_loudspeaker_that_is_replugged_speaks_again") else { return };
    let mut daemon = Daemon::start(&pulse, &[]);
    pulse.unplug_speaker();
    let lost = daemon.wait("device", |n| n["ok"] == false);
    assert!(lost["reason"].as_str().is_some_and(|r| !r.is_empty()), "{lost}");
    pulse.replug_speaker();
    daemon.wait("device", |n| n["ok"] == true);
    user_says(&pulse, "Alexa, what time is it?");
    daemon.wait("saying", |_| true);
    daemon.wait_state("follow-up");
    let log = daemon.log();
    assert_eq!(told_once(&daemon.stop(), &log, "loudspeaker"), ["lost", "back"]);
}

/// What is reported about a device, in order, checking that the log reports each event once as well.
fn told_once(seen: &[Value], log: &str, what: &str) -> Vec<&'static str> {
    let lines = |texts: &[&str]| {
        let of_the_device = log.lines().filter(|l| (l.contains("WARN") || l.contains("INFO")) && l.contains(what));
        of_the_device.filter(|l| texts.iter().any(|t| l.contains(t))).count()
    };
    assert_eq!((lines(&["went away", "lost", "is away"]), lines(&["is back"])), (1, 1), "{log}");
    let devices = seen.iter().filter(|n| n["event"] == "device" && n["what"] == what);
    devices.map(|n| if n["ok"] == true { "back" } else { "lost" }).collect()
}

#[test]
fn a_timer_rings_until_it_is_told_to_stop() {
    let Some(pulse) = room("a_timer_rings_until_it_is_told_to_stop") else { return };
    let mut daemon = Daemon::start(&pulse, &[]);
    user_says(&pulse, "Alexa, set a timer for five seconds.");
    daemon.wait("result", |n| n["result"].get("error").is_none());
    daemon.wait_state("follow-up");
    let recording = pulse.record_speaker();
    let ring = daemon.wait("saying", |_| true);
    assert!(plain(ring["text"].as_str().unwrap_or_default()).contains("timer"), "{ring}");
    daemon.wait_state("follow-up");
    user_says(&pulse, "Stop.");
    daemon.wait("call", |n| n["call"]["name"] == "stop");
    daemon.wait_state("asleep");
    let quiet = daemon.watch(Duration::from_secs(5));
    assert!(!quiet.iter().any(|n| n["event"] == "saying"), "it rings on: {quiet:#?}");
    let said = transcribe(&pulse, &recording.finish_wav());
    assert!(said.contains("timer"), "{said:?}");
    daemon.stop();
}

#[test]
fn ctrl_c_ends_it_while_it_speaks() {
    let Some(pulse) = room("ctrl_c_ends_it_while_it_speaks") else { return };
    let mut daemon = Daemon::start(&pulse, &[]);
    user_says(&pulse, "Alexa, what time is it?");
    daemon.wait_state("speaking");
    daemon.signal("-INT");
    let until = Instant::now() + PATIENCE;
    while daemon.child.try_wait().expect("wait").is_none() {
        assert!(Instant::now() < until, "it does not end on SIGINT\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(daemon.child.wait().expect("wait").success(), "{}", daemon.log());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(f) = folders.pop() {
        for entry in std::fs::read_dir(&f).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
