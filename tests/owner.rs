//! The owner's commands through the real program, in writing: kept for later, asked about before they run, taken back.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::models_ready;
use crate::support::quiet::{Daemon, PATIENCE, command, json_of};

/// A folder in which a light, and a door that is asked about, write down what they were told.
struct House(tempfile::TempDir);

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let done = folder.path().join("done").display().to_string();
        let exec = |a: &str, b: &str| json!(["/bin/sh", "-c", "echo \"$1 $2\" >> \"$0\"", done, a, b]);
        let config = format!(
            r#"
[tools.names]
rooms = ["kitchen", "hallway"]

[[tools.command]]
name = "set_light"
description = "Turns the light of a room on or off"
params = [{{ name = "room", type = "enum", names = "rooms" }}, {{ name = "on", type = "bool" }}]
exec = {}

[[tools.command]]
name = "lock_door"
description = "Locks or unlocks a door"
params = [{{ name = "door", type = "enum", values = ["front", "back"] }}, {{ name = "locked", type = "bool" }}]
exec = {}
confirm = true
"#,
            exec("{room}", "{on}"),
            exec("{door}", "{locked}")
        );
        std::fs::write(folder.path().join("tercet.toml"), config).expect("written");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn ask(&self, request: &str) -> (Value, String) {
        let o: Output =
            command(self.path(), &["ask", "--json", request]).stdin(Stdio::null()).output().expect("it runs");
        (json_of(&o), String::from_utf8_lossy(&o.stderr).into_owned())
    }
}

/// What the house was told so far.
fn done(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("done")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait_until_done(folder: &Path, what: &[&str]) {
    let until = Instant::now() + PATIENCE;
    while done(folder) != what {
        assert!(Instant::now() < until, "{:?} instead of {what:?}", done(folder));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing ran, and what was asked for is kept until then.
#[track_caller]
fn is_kept(v: &Value, folder: &Path, minutes: i64) {
    let call = &v["calls"][0];
    assert_eq!((&call["name"], &call["outcome"]), (&json!("set_light"), &json!("scheduled")), "{v}");
    let when: jiff::Timestamp = call["when"].as_str().expect("a moment").parse().expect("RFC 3339");
    let late_s = jiff::Timestamp::now().as_second() + 60 * minutes - when.as_second();
    assert!((0..60).contains(&late_s), "{v}");
    assert_eq!(done(folder), [""; 0]);
}

#[test]
fn a_command_waits_for_its_time_in_the_daemon() {
    let test = "a_command_waits_for_its_time_in_the_daemon";
    if !models_ready(test) {
        return;
    }
    let daemon = Daemon::start_in(House::new().0);
    let folder: PathBuf = daemon.folder.path().to_owned();
    let v = daemon.ask("Turn off the kitchen light in ten minutes.");
    is_kept(&v, &folder, 10);
    assert!(v["rings"] == true && v["answer"] == "In 10 minutes: kitchen light off.", "{v}");
    let set = json_of(&daemon.tercet(&["timers", "--json"]));
    assert_eq!(
        (&set["timers"][0]["kind"], &set["timers"][0]["name"]),
        (&json!("command"), &json!("kitchen light off"))
    );
    let v = daemon.ask("What is scheduled?");
    assert!(v["answer"].as_str().is_some_and(|a| a.contains("kitchen light off at")), "{v}");

    // It waits on over a kill, and is cancelled by somebody else.
    let daemon = Daemon::start_in(daemon.cut());
    let v = daemon.ask("Cancel everything that is scheduled.");
    assert_eq!(v["calls"][0]["name"], "cancel_scheduled", "{v}");
    assert_eq!(json_of(&daemon.tercet(&["timers", "--json"]))["timers"], json!([]));

    let v = daemon.ask("Turn on the hallway light in two seconds.");
    assert_eq!(v["calls"][0]["outcome"], "scheduled", "{v}");
    wait_until_done(&folder, &["hallway true"]);
    let v = daemon.ask("Turn off the hallway light in ten minutes.");
    assert_eq!(v["calls"][0]["outcome"], "scheduled", "{v}");
    let v = daemon.ask("Undo that.");
    assert!(v["answer"] == "Cancelled: hallway light off.", "{v}");
    assert_eq!(done(&folder), ["hallway true"]);
}

#[test]
fn a_command_waits_for_its_time_where_no_daemon_runs() {
    let house = House::new();
    let (v, notes) = house.ask("Turn off the kitchen light in ten minutes.");
    is_kept(&v, house.path(), 10);
    assert!(v["rings"] == false && notes.contains("the agent is not running"), "{v} {notes}");
    let (v, notes) = house.ask("What is scheduled?");
    assert!(
        v["answer"].as_str().is_some_and(|a| a.contains("kitchen light off at")) && notes.is_empty(),
        "{v} {notes}"
    );
    house.ask("Cancel everything that is scheduled.");
    let (v, _) = house.ask("What is scheduled?");
    assert_eq!(v["answer"], "Nothing is scheduled.", "{v}");

    // Whoever comes next, and stays, runs what is due.
    house.ask("Turn on the kitchen light in one second.");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(done(house.path()), [""; 0]);
    let _chat = Chat::start(house.path());
    wait_until_done(house.path(), &["kitchen true"]);
}

/// A conversation that stays open, as long as this lives.
struct Chat {
    child: Child,
    stdin: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Chat {
    fn start(folder: &Path) -> Self {
        let mut child =
            command(folder, &["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let (stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, stdin, out: BufReader::new(stdout) }
    }

    fn ask(&mut self, request: &str) -> String {
        writeln!(self.stdin, "{request}").expect("it reads");
        let mut line = String::new();
        self.out.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_command_to_be_confirmed_runs_after_a_yes_only() {
    let house = House::new();
    let mut chat = Chat::start(house.path());
    for no in ["No.", "What time is it?"] {
        assert_eq!(chat.ask("Unlock the front door."), "Shall I? Front door unlocked.");
        chat.ask(no);
        assert_eq!(done(house.path()), [""; 0], "{no}");
    }
    // It was asked about something else meanwhile.
    chat.ask("Yes.");
    assert_eq!(done(house.path()), [""; 0]);
    assert_eq!(chat.ask("Unlock the front door."), "Shall I? Front door unlocked.");
    chat.ask("Yes, please.");
    assert_eq!(done(house.path()), ["front false"]);
    // What is to run later is asked about now.
    assert_eq!(chat.ask("Turn on the kitchen light in two seconds."), "In 2 seconds: kitchen light on.");
    wait_until_done(house.path(), &["front false", "kitchen true"]);
}
