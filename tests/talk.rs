//! Conversing in writing through the real program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Calls that greedy decoding gets right of the first 40.
const RIGHT_OF_40: u64 = 38;

thread_local! {
    /// Each test's own state: no agent that runs on this machine, and no timers of another test.
    static STATE: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

fn tercet(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    // No configuration of this machine, and the same words every time.
    c.args(args).env("XDG_CONFIG_HOME", "/nonexistent").env_remove("TERCET_CONFIG").env_remove("TERCET_MODELS");
    STATE.with(|s| c.env("TERCET_STATE", s.path()).env("XDG_RUNTIME_DIR", s.path()));
    c
}

fn run(args: &[&str], input: &str) -> Output {
    let mut child = tercet(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn fails(args: &[&str], input: &str) -> (i32, String) {
    let o = run(args, input);
    assert!(o.stdout.is_empty(), "{}", String::from_utf8_lossy(&o.stdout));
    (o.status.code().expect("no signal"), String::from_utf8_lossy(&o.stderr).into_owned())
}

fn repository(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

#[test]
fn the_bare_model_completes() {
    let france = "What is the capital of France?";
    assert_eq!(text(&run(&["complete", france], "")).trim(), "The capital of France is Paris.");
    let v: Value = serde_json::from_str(&text(&run(&["complete", "-", "--json"], "What is the capital of Italy?\n")))
        .expect("one JSON object");
    assert!(v["answer"].as_str().expect("text").contains("Rome"), "{v}");
    assert_eq!(v["finish"], "stop");
    assert!(v["prompt_tokens"].as_u64() > Some(20) && v["answer_tokens"].as_u64() > Some(1), "{v}");
    let v: Value = serde_json::from_str(&text(&run(&["complete", "Who are you?", "--max-tokens", "2", "--json"], "")))
        .expect("one JSON object");
    assert_eq!((&v["finish"], &v["answer_tokens"]), (&"length".into(), &2.into()));
}

#[test]
fn the_bare_model_follows_the_system_message_given() {
    let system = "You are a voice assistant.\nTools:\nset_volume(level: int)\nget_time(location?: string)";
    let answer = text(&run(&["complete", "Set the volume to 30.", "--system", system], ""));
    assert_eq!(answer.trim(), r#"{"name": "set_volume", "parameters": {"level": 30}}"#);
}

fn ask(request: &str) -> (Value, String) {
    let o = run(&["ask", "--json", request], "");
    let v = serde_json::from_str(&text(&o)).expect("one JSON object");
    (v, String::from_utf8_lossy(&o.stderr).into_owned())
}

#[test]
fn ask_is_the_agent_and_not_the_bare_model() {
    let (v, _) = ask("What day is it today?");
    assert_eq!(v["calls"][0]["name"], "get_date", "{v}");
    let year = v["answer"].as_str().is_some_and(|a| a.contains("20"));
    assert!(year && v["rings"].is_null() && v["finish"] == "stop", "{v}");
    assert!(v["first_word_ms"].as_u64() <= v["total_ms"].as_u64(), "{v}");

    // What is set is kept, and whoever set it is told that nothing runs that could ring.
    let (v, notes) = ask("Set a timer for ten minutes.");
    let call = &v["calls"][0];
    assert_eq!((&call["name"], &call["arguments"]["duration"]), (&"set_timer".into(), &"10 minutes".into()), "{v}");
    assert!(call["outcome"]["ok"] == true && v["rings"] == false, "{v}");
    assert!(notes.contains("nothing will ring") && notes.contains("tercet run"), "{notes}");
    let (v, notes) = ask("How long is left on the timer?");
    assert!(v["answer"].as_str().is_some_and(|a| a.contains("minutes")) && notes.is_empty(), "{v} {notes}");

    // Somebody else's folder, who does not answer.
    let taken = STATE.with(|s| tercet::store::StateFolder::own(s.path().to_owned())).expect("it is free");
    let (v, notes) = ask("Set a timer for two minutes.");
    assert!(v["rings"] == false && notes.contains("nothing of this conversation is kept"), "{v} {notes}");
    drop(taken);
    let (v, _) = ask("How long is left on the timer?");
    assert!(v["answer"].as_str().is_some_and(|a| a.contains("9 minutes")), "one timer: {v}");
}

#[test]
fn what_needs_the_running_agent_says_that_none_runs() {
    for args in [&["status"][..], &["timers", "--json"], &["announce", "Dinner is ready."]] {
        let (code, why) = fails(args, "");
        assert!(code == 69 && why.contains("not running") && why.contains("tercet run"), "{args:?}: {code} {why}");
    }
}

#[test]
fn chat_converses_through_a_pipe() {
    let answers = text(&run(&["chat"], "What is the capital of France?\n\nWhat is seven times eight?"));
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!(lines.len(), 2, "one answer a question, no prompts: {answers:?}");
    assert!(lines[0].contains("Paris"), "{answers:?}");
    assert_eq!(text(&run(&["chat"], "")), "");
}

#[test]
fn chat_survives_more_than_its_context_holds() {
    let long = "Tell me about the river and the old bridge and the mill and the market in the town. ".repeat(8);
    let input = format!("{}{}\nWhat is the capital of France?\n", format!("{long}\n").repeat(12), "word ".repeat(4000));
    let o = run(&["chat", "--max-tokens", "20"], &input);
    let answers = text(&o);
    assert_eq!(answers.lines().count(), 14, "{answers:?}");
    assert!(answers.contains("more than I can keep in mind"), "{answers:?}");
    let notes = String::from_utf8_lossy(&o.stderr);
    assert!(notes.contains("prompt: the request and the tool list take"), "{notes}");
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_program() {
    let mut child = tercet(&["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "Who are you?").expect("it reads");
    let mut out = child.stdout.take().expect("piped");
    let mut first = [0u8; 1];
    std::io::Read::read_exact(&mut out, &mut first).expect("an answer begins");
    // SAFETY: kill(2) with the id of a child that has not been waited for.
    let sent = unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    assert_eq!(sent, 0);
    writeln!(stdin, "What is the capital of France?").expect("it still reads");
    drop(stdin);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).expect("UTF-8");
    assert!(child.wait().expect("ends").success());
    assert!(rest.contains("Paris"), "{rest:?}");
}

#[test]
fn a_waiting_chat_ends_at_ctrl_c() {
    let mut child = tercet(&["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    // It answers, so it listens.
    writeln!(stdin, "Hello.").expect("it reads");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut String::new()).expect("an answer");
    let began = Instant::now();
    while child.try_wait().expect("asked").is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
        // SAFETY: kill(2) with the id of a child that has not been waited for.
        unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(stdin);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let (code, why) = fails(&["ask", "Hello.", "--model", "/nonexistent/model.gguf"], "");
    assert!(code == 66 && why.contains("/nonexistent/model.gguf"), "{code} {why}");
    let not_a_model = repository("Cargo.toml");
    let (code, why) = fails(&["chat", "--model", not_a_model.to_str().expect("UTF-8")], "Hello.\n");
    assert!(code == 65 && why.contains("Cargo.toml"), "{code} {why}");
    assert_eq!(fails(&["ask", " "], "").0, 64);
    assert_eq!(fails(&["ask", "-"], "\n").0, 64);
    let (code, err) = fails(&["ask", "Hello.", "--backend", "gpu"], "");
    assert!(code == 78 && err.contains("flag --backend: llm.backend: must be one of "), "{err}");
    assert_eq!(fails(&["complete", " "], "").0, 64);
    let (code, why) = fails(&["complete", &"word ".repeat(4000)], "");
    assert!(code == 71 && why.contains("context"), "{code} {why}");
}

#[test]
fn bench_reports_a_line_a_test() {
    let out = text(&run(&["bench", "llm", "-p", "16,0", "-n", "4", "-d", "0,8", "-r", "2", "--json"], ""));
    let rows: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    let tests: Vec<(&str, u64)> =
        rows.iter().map(|r| (r["test"].as_str().expect("text"), r["depth"].as_u64().expect("number"))).collect();
    assert_eq!(tests, [("pp16", 0), ("tg4", 0), ("pp16", 8), ("tg4", 8)]);
    for r in &rows {
        assert!(r["tokens_per_second"].as_f64() > Some(0.0) && r["stddev"].as_f64() >= Some(0.0), "{r}");
        assert!(r["threads"].as_u64() >= Some(1) && r["backend"].as_str().expect("text").starts_with("cpu"), "{r}");
        // The weights alone take 30 MB.
        assert!(r["resident_bytes"].as_u64() > Some(30_000_000) && r["device_bytes"] == 0, "{r}");
        let peak = r["peak_resident_bytes"].as_u64();
        assert!(peak >= r["resident_bytes"].as_u64() && peak >= r["load_peak_resident_bytes"].as_u64(), "{r}");
        assert!(r["device_context_bytes"].is_null() && r["total_bytes"].as_u64() == peak, "{r}");
        assert!(r["model"].as_str().expect("text").contains("pocket"), "{r}");
    }
    let table = text(&run(&["bench", "llm", "-p", "8", "-n", "0", "-r", "1", "--backend", "reference"], ""));
    assert!(table.contains("pp8") && table.contains("reference"), "{table}");
    assert_eq!(fails(&["bench", "llm", "-p", "0", "-n", "0"], "").0, 64);
    assert_eq!(fails(&["bench", "llm", "-p", "4000"], "").0, 64);
}

#[test]
fn eval_counts_tool_calls() {
    let file = repository("tests/data/tools_eval.jsonl");
    let file = file.to_str().expect("UTF-8");
    let out = text(&run(&["eval", "tools", file, "--limit", "40", "--json", "--details"], ""));
    let rows: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    assert_eq!(rows.len(), 41);
    let score = &rows[40];
    for r in rows.iter().filter(|r| r["right"] == false) {
        println!("{r}");
    }
    assert_eq!((&score["calls"], &score["texts"], &score["text_kept"]), (&40.into(), &0.into(), &0.into()), "{score}");
    assert!(score["exact"].as_u64() >= Some(RIGHT_OF_40), "{score}");
}

#[test]
fn eval_tells_refusals_from_chats_and_prints_what_is_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("kinds.jsonl");
    let line = |kind: &str, question: &str, answer: &str| {
        let system = "You are a voice assistant.\nTools:\nset_volume(level: int)\nget_time(location?: string)";
        let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
        let messages = [turn("system", system), turn("user", question), turn("assistant", answer)];
        let mut line = serde_json::json!({ "messages": messages });
        if !kind.is_empty() {
            line["kind"] = kind.into();
        }
        line.to_string()
    };
    let lines = [
        line("single", "Set the volume to 30.", r#"{"name": "set_volume", "parameters": {"level": 30}}"#),
        line("refusal", "Water the plants in the garden.", "That is nothing I do here."),
        line("", "Please book me a flight to Rome.", "Sorry, I can\u{2019}t book flights."),
        line("chat", "What is the capital of France?", "I can't think of anything but Paris."),
        line("", "Who are you?", "Your assistant."),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let name = file.to_str().expect("UTF-8");
    let out = text(&run(&["eval", "tools", name, "--json"], ""));
    let score: Value = serde_json::from_str(&out).expect("the totals and nothing else");
    let of = |key: &str| score[key].as_u64().expect(key);
    assert_eq!((of("calls"), of("refusals"), of("chats"), of("texts")), (1, 2, 2, 4), "{score}");
    assert_eq!(of("text_kept"), of("refusals_kept") + of("chats_kept"), "{score}");
    let table = text(&run(&["eval", "tools", name], ""));
    for row in ["calls", "refusals", "chats"] {
        assert!(table.lines().any(|l| l.starts_with(row)), "{table}");
    }
    assert_eq!(fails(&["eval", "tools", name, "--details"], "").0, 64);
}

#[test]
fn eval_says_what_is_wrong_with_its_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.jsonl");
    std::fs::write(&file, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi.\"}]}\nno JSON\n").expect("written");
    let name = file.to_str().expect("UTF-8");
    let (code, why) = fails(&["eval", "tools", name], "");
    assert!(code == 65 && why.contains("line 2"), "{code} {why}");
    let (code, why) = fails(&["eval", "tools", name, "--limit", "1"], "");
    assert!(code == 65 && why.contains("no assistant turn"), "{code} {why}");
    assert_eq!(fails(&["eval", "tools", "/nonexistent.jsonl"], "").0, 66);
}
