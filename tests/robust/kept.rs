//! What was acknowledged is there after a kill at that very moment, whoever owned the store.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::quiet::{Daemon, command, json_of};

/// `tercet ask`, which owns the store while no daemon does.
#[track_caller]
fn ask(folder: &Path, request: &str) -> Value {
    json_of(&command(folder, &["ask", "--json", request]).stdin(Stdio::null()).output().expect("it runs"))
}

#[track_caller]
fn answers(v: &Value, words: &[&str]) {
    assert!(v["answer"].as_str().is_some_and(|a| words.iter().any(|w| a.contains(w))), "{words:?}: {v}");
}

/// Has it acknowledged by a `tercet chat`, and kills that as soon as the acknowledgement can be read.
fn told_to_a_chat_that_is_killed(folder: &Path, request: &str, acknowledged: &str) {
    let mut chat = command(folder, &["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    // Held open: it does not end by itself.
    let mut stdin = chat.stdin.take().expect("a pipe");
    writeln!(stdin, "{request}").expect("it reads");
    let mut line = String::new();
    BufReader::new(chat.stdout.take().expect("a pipe")).read_line(&mut line).expect("an answer");
    chat.kill().expect("it runs");
    chat.wait().expect("it ends");
    assert!(line.contains(acknowledged), "{line}");
}

#[test]
fn what_the_daemon_acknowledged_outlives_a_kill() {
    let Some(daemon) = Daemon::start("what_the_daemon_acknowledged_outlives_a_kill") else { return };
    answers(&daemon.ask("Set a pasta timer for twenty minutes."), &["20 minutes"]);
    let daemon = Daemon::start_in(daemon.cut());
    let left = daemon.ask("How long is left on the pasta timer?");
    answers(&left, &["19 minutes", "20 minutes"]);
    answers(&daemon.ask("Set an alarm for seven tomorrow morning."), &["7"]);
    answers(&daemon.ask("Add milk to the shopping list."), &["milk"]);
    let folder = daemon.cut();
    answers(&ask(folder.path(), "What's on the shopping list?"), &["milk"]);
    let daemon = Daemon::start_in(folder);
    let set = json_of(&daemon.tercet(&["timers", "--json"]));
    let kinds: Vec<_> = set["timers"].as_array().expect("a list").iter().map(|t| t["kind"].clone()).collect();
    assert!(kinds.len() == 2 && kinds.contains(&"timer".into()) && kinds.contains(&"alarm".into()), "{set}");
}

#[test]
fn what_a_chat_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    told_to_a_chat_that_is_killed(folder.path(), "Set a timer for twenty minutes.", "20 minutes");
    answers(&ask(folder.path(), "How long is left on the timer?"), &["19 minutes", "20 minutes"]);
    told_to_a_chat_that_is_killed(folder.path(), "Set an alarm for seven tomorrow morning.", "7");
    answers(&ask(folder.path(), "What alarms are set?"), &["7"]);
    told_to_a_chat_that_is_killed(folder.path(), "Add milk to the shopping list.", "milk");
    told_to_a_chat_that_is_killed(folder.path(), "Add bread to the shopping list.", "bread");
    let list = ask(folder.path(), "What's on the shopping list?");
    answers(&list, &["milk"]);
    answers(&list, &["bread"]);
    // What was taken away stays away.
    told_to_a_chat_that_is_killed(folder.path(), "Cancel the timer.", "ancelled");
    answers(&ask(folder.path(), "How long is left on the timer?"), &["no timer", "No timer", "no timers"]);
}
