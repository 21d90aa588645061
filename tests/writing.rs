//! Writing to the running daemon: its socket, and the commands that use it. It hears a long silence instead of a room.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::quiet::{Daemon, PATIENCE, command, json_of};
use crate::support::skip;

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
