//! A socket with an agent that answers at once.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;
use crate::api::Client;
use crate::dialog::State;
use crate::pipeline::Gather;

/// Says what it was asked, slowly where asked to.
#[derive(Default)]
struct Parrot {
    asked: AtomicUsize,
}

impl Agent for Parrot {
    fn ask(&self, text: &str, tell: &mut dyn FnMut(&Told)) -> Result<Turn> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if text == "fail" {
            return Err(Error::new(Kind::Unavailable, "it cannot").remedy("ask something else"));
        }
        if text == "slowly" {
            std::thread::sleep(Duration::from_millis(300));
        }
        let mut gather = Gather::begin();
        for told in [Told::Said { text: text.to_owned() }, Told::Over { whole: true }] {
            gather.take(&told);
            tell(&told);
        }
        Ok(gather.finish())
    }

    fn say(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn timers(&self) -> Timers {
        Timers { timers: Vec::new() }
    }

    fn status(&self) -> Result<Status> {
        Ok(Status {
            state: State::Asleep,
            model: "parrot".into(),
            backend: "none".into(),
            version: "1".into(),
            uptime_s: 1,
            microphone: true,
            state_folder: "/nonexistent".into(),
        })
    }
}

struct Room {
    folder: tempfile::TempDir,
    agent: Arc<Parrot>,
    socket: Socket,
}

fn room(idle: Duration) -> Room {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Arc::new(Parrot::default());
    let places = [folder.path().join("run/tercet.sock")];
    let socket = Socket::open_with(&places, Arc::<Parrot>::clone(&agent), idle).expect("it opens");
    Room { folder, agent, socket }
}

impl Room {
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket.path()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    /// What comes back for these bytes until the other end closes.
    fn replies(&self, bytes: &[u8]) -> Vec<Value> {
        let mut stream = self.connect();
        // It may close before it has read all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        BufReader::new(stream).lines().map_while(Result::ok).map(|l| serde_json::from_str(&l).expect("JSON")).collect()
    }
}

#[test]
fn a_question_is_answered_after_its_events_and_carries_its_id() {
    let room = room(IDLE);
    let all = room.replies(b"{\"id\":1,\"ask\":\"Hello.\"}\n\n{\"status\":{}}\n{\"ask\":\"fail\"}\n{\"say\":\"Hi.\"}");
    assert_eq!(all[0], json!({ "id": 1, "event": "said", "text": "Hello." }));
    assert_eq!((&all[1]["id"], &all[1]["ok"], &all[1]["answer"]), (&json!(1), &json!(true), &json!("Hello.")));
    assert_eq!((&all[2]["model"], &all[2]["state"]), (&json!("parrot"), &json!("asleep")));
    assert_eq!(all[3], json!({ "ok": false, "error": "it cannot; ask something else" }));
    assert_eq!((&all[4], all.len()), (&json!({ "ok": true }), 5));

    let mut client = Client::connect(room.socket.path()).expect("it listens");
    let mut events = Vec::new();
    let answer = client.ask("Hello again.", &|| false, &mut |e| events.push(e)).expect("an answer");
    assert_eq!((answer.answer.as_str(), events.len()), ("Hello again.", 1));
    assert!(client.timers().expect("a reply").timers.is_empty());
    client.say("Hi.").expect("said");
    let e = client.ask("fail", &|| false, &mut |_| ()).expect_err("it refuses");
    assert!(e.to_string().contains("it cannot"), "{e}");
    assert_eq!(client.ask("slowly", &|| true, &mut |_| ()).expect_err("called off").kind(), Kind::Cancelled);
}

#[test]
fn malformed_lines_are_errors_and_what_follows_is_answered() {
    let room = room(IDLE);
    let all = room.replies(b"\xff\xfe\n[]\n{\"ask\":\n{\"id\":\"x\",\"sing\":1}\n{\"status\":{}}\n");
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(all[..4].iter().all(|r| r["ok"] == false && r["error"].is_string()), "{all:?}");
    assert_eq!((&all[3]["id"], &all[4]["ok"]), (&json!("x"), &json!(true)));

    let mut long = vec![b' '; wire::LINE_MAX + 10];
    long.extend_from_slice(b"{\"status\":{}}\n");
    let all = room.replies(&long);
    assert!(all.len() == 1 && all[0]["error"].as_str().is_some_and(|e| e.contains("longer than")), "{all:?}");
    // The longest that is taken.
    let mut line = format!("{{\"ask\":\"{}\"}}", "x".repeat(wire::LINE_MAX - 20)).into_bytes();
    line.push(b'\n');
    assert_eq!(room.replies(&line).last().map(|r| r["ok"].clone()), Some(json!(true)));
}

#[test]
fn any_bytes_leave_it_serving() {
    let room = room(IDLE);
    let bytes = prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'{'), Just(b'"')], 0..300);
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    runner
        .run(&bytes, |bytes| {
            let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).count();
            prop_assert!(room.replies(&bytes).len() >= lines);
            Ok(())
        })
        .expect("every line is answered");
    assert_eq!(room.replies(b"{\"timers\":{}}\n")[0]["ok"], true);
}

#[test]
fn a_connection_too_many_is_told_so_and_two_are_answered_side_by_side() {
    let room = room(IDLE);
    let held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| Client::connect(room.socket.path()).expect("it listens")).collect();
    let mut line = String::new();
    BufReader::new(room.connect()).read_line(&mut line).expect("a reply");
    assert!(line.contains("too many"), "{line}");
    let asked: Vec<_> = held
        .into_iter()
        .map(|mut client| std::thread::spawn(move || client.ask("slowly", &|| false, &mut |_| ())))
        .collect();
    let began = Instant::now();
    for thread in asked {
        assert_eq!(thread.join().expect("no panic").expect("an answer").answer, "slowly");
    }
    assert!(began.elapsed() < Duration::from_millis(300) * CONNECTIONS_MAX as u32, "one after another");
    assert_eq!(room.agent.asked.load(Ordering::SeqCst), CONNECTIONS_MAX);
}

#[test]
fn who_asks_nothing_is_sent_away_however_slowly_they_write() {
    let room = room(Duration::from_millis(200));
    let mut stream = room.connect();
    let began = Instant::now();
    // The other end is gone at some time.
    while stream.write_all(b" ").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "it waits forever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(room.replies(b"{\"timers\":{}}\n")[0]["ok"], true);
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_that_answers_is_not() {
    let room = room(IDLE);
    let path = room.socket.path().to_owned();
    assert_eq!(std::fs::metadata(&path).expect("it is there").mode() & 0o777, 0o660);
    let again = |places: &[PathBuf]| Socket::open(places, Arc::new(Parrot::default()));
    let Err(e) = again(std::slice::from_ref(&path)) else { panic!("it is served") };
    assert!(e.kind() == Kind::Unavailable && e.to_string().contains("another agent"), "{e}");
    // There is another place.
    let other = room.folder.path().join("state/tercet.sock");
    let second = again(&[path.clone(), other.clone()]).expect("it opens there");
    assert_eq!(second.path(), other);
    drop(second);
    assert!(!other.exists());

    let Room { folder, socket, .. } = room;
    drop(socket);
    assert!(!path.exists());
    // As a process that was killed leaves it.
    drop(UnixListener::bind(&path).expect("bound"));
    assert!(path.exists());
    let third = again(std::slice::from_ref(&path)).expect("nobody serves it");
    assert!(Client::connect(third.path()).expect("it listens").status().is_ok());
    drop(folder);
}
