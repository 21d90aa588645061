//! What the real program says to wrong configuration and unreadable files: every problem named, a remedy, an exit status that means
//! something.

mod check;
mod flags;
mod hints;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::skip;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs tercet with no configuration but what is given.
fn tercet(dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Ran {
    piped(dir, env, args, b"")
}

/// As [`tercet`], with `input` on standard input.
fn piped(dir: &Path, env: &[(&str, &str)], args: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tercet"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("XDG_CONFIG_HOME", dir.join("xdg"))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // A program that ends without reading closes the pipe, which is its right.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let out = child.wait_with_output().expect("the program ends");
    Ran {
        code: out.status.code().expect("it ended by itself"),
        out: String::from_utf8(out.stdout).expect("text"),
        err: String::from_utf8(out.stderr).expect("text"),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("bad.toml"), text).expect("written");
}

impl Ran {
    #[track_caller]
    fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        for p in parts {
            assert!(self.err.contains(p), "{p:?} is not in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!(self.err.contains("hint: "), "a remedy is given:\n{}", self.err);
    }
}

#[test]
fn unknown_keys_and_sections_suggest_the_right_one() {
    let d = folder();
    write(d.path(), "[budget]\ntotl_mb = 900\n\n[dialogue]\nfollow_up_ms = 3\n");
    for command in [["config", "check"], ["config", "show"]] {
        let args = [command.as_slice(), &["--config", "bad.toml"]].concat();
        tercet(d.path(), &[], &args).failed(
            78,
            &[
                "2 problems",
                "bad.toml:2: budget.totl_mb: no such key; did you mean budget.total_mb?",
                "bad.toml:4: dialogue: no such key; did you mean dialog?",
            ],
        );
    }
    tercet(d.path(), &[], &["plan", "--config", "bad.toml"]).failed(78, &["budget.totl_mb"]);
}

#[test]
fn wrong_types_say_what_is_wanted() {
    let d = folder();
    write(d.path(), "[privacy]\nkeep_audio = \"no\"\n");
    tercet(d.path(), &[], &["config", "check", "--config", "bad.toml"])
        .failed(78, &["bad.toml:2: privacy.keep_audio: must be true or false, not the text \"no\""]);
}

#[test]
fn all_problems_of_all_layers_come_at_once() {
    let d = folder();
    let xdg = d.path().join("xdg/tercet");
    std::fs::create_dir_all(&xdg).expect("made");
    std::fs::write(xdg.join("tercet.toml"), "[budget]\ntotal_mb = -1\nreserve_mb = 1.5\n[dialog]\npersona = 3\n")
        .expect("written");
    let ran = tercet(
        d.path(),
        &[("TERCET__BUDGET__RUNTIME_MB", "much"), ("TERCET__BUDGETS__X", "1")],
        &["config", "check", "--set", "dialog.follow_up_ms=1e9", "--set", "budget.reserve=3"],
    );
    ran.failed(
        78,
        &[
            "7 problems",
            "tercet.toml:2: budget.total_mb",
            "tercet.toml:3: budget.reserve_mb",
            "tercet.toml:5: dialog.persona",
            "environment TERCET__BUDGET__RUNTIME_MB: budget.runtime_mb",
            "environment TERCET__BUDGETS__X: budgets",
            "--set dialog.follow_up_ms=1e9: dialog.follow_up_ms",
            "--set budget.reserve=3: budget.reserve: no such key; did you mean budget.reserve_mb?",
        ],
    );
    let ran = tercet(d.path(), &[("TERCET__BUDGET__RUNTIME_MB", "much")], &["config", "check", "--json"]);
    let v: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!(v["ok"], false);
    assert_eq!(v["problems"].as_array().map(Vec::len), Some(4), "{v}");
    assert_eq!(ran.code, 78);
}

#[test]
fn files_that_are_not_there_or_not_readable_are_named() {
    let d = folder();
    tercet(d.path(), &[], &["config", "check", "--config", "none.toml"]).failed(66, &["none.toml", "cannot read"]);
    tercet(d.path(), &[], &["config", "check", "--config", "."]).failed(74, &["folder"]);
    write(d.path(), "[budget\n");
    tercet(d.path(), &[], &["config", "check", "--config", "bad.toml"]).failed(78, &["bad.toml:1: not valid TOML"]);
    std::fs::write(d.path().join("bad.toml"), [0xff, 0xfe, 0x00]).expect("written");
    tercet(d.path(), &[], &["config", "check", "--config", "bad.toml"]).failed(78, &["not UTF-8"]);

    use std::os::unix::fs::PermissionsExt;
    write(d.path(), "");
    let locked = d.path().join("bad.toml");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).expect("changed");
    if std::fs::read(&locked).is_ok() {
        return skip("files_that_are_not_there_or_not_readable_are_named (permission)", "running as root");
    }
    tercet(d.path(), &[], &["config", "check", "--config", "bad.toml"]).failed(74, &["bad.toml", "cannot read"]);
}

#[cfg(feature = "voice")]
#[test]
fn recordings_that_cannot_be_read_are_named_and_nothing_else_is_said() {
    if !crate::support::models_ready("recordings_that_cannot_be_read_are_named_and_nothing_else_is_said") {
        return;
    }
    let d = folder();
    let cache = tercet::store::Paths::from_env().cache_dir().to_string_lossy().into_owned();
    std::fs::write(d.path().join("bad.wav"), b"hello").expect("written");
    for command in ["listen", "transcribe"] {
        let run = |file: &str| tercet(d.path(), &[("TERCET_CACHE", &cache)], &[command, file]);
        let (none, bad) = (run("none.wav"), run("bad.wav"));
        none.failed(66, &["cannot read none.wav"]);
        bad.failed(65, &["cannot read bad.wav", "WAV or FLAC"]);
        assert_eq!((none.out.as_str(), bad.out.as_str()), ("", ""));
        assert!(bad.err.starts_with("error: "), "{}", bad.err);
    }
}

/// A 16-bit WAV of `pcm` whose header gives these sizes.
#[cfg(feature = "voice")]
fn wav(pcm: &[f32], riff_size: u32, data_size: u32) -> Vec<u8> {
    let mut bytes = [b"RIFF", &riff_size.to_le_bytes()[..], b"WAVEfmt ", &16u32.to_le_bytes()].concat();
    bytes.extend_from_slice(&[1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0]);
    bytes.extend_from_slice(&[&b"data"[..], &data_size.to_le_bytes()].concat());
    bytes.extend(pcm.iter().flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()));
    bytes
}

#[cfg(feature = "voice")]
#[test]
fn recordings_with_wrong_sizes_are_transcribed_with_a_note_and_from_standard_input_too() {
    let test = "recordings_with_wrong_sizes_are_transcribed_with_a_note_and_from_standard_input_too";
    if !crate::support::models_ready(test) {
        return;
    }
    let d = folder();
    let cache = tercet::store::Paths::from_env().cache_dir().to_string_lossy().into_owned();
    let env = [("TERCET_CACHE", cache.as_str())];
    let person = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/coffee-order.flac");
    let pcm = tercet::audio::read_16k(&person).expect("a recording of a person");
    let right = pcm.len() as u32 * 2;
    let said = |ran: &Ran| tercet::hear::text::words(&ran.out).join(" ");
    for (riff, data) in
        [(0, right), (right + 28, right), (right + 36, 0), (u32::MAX, u32::MAX), (right + 36, 2 * right)]
    {
        let bytes = wav(&pcm, riff, data);
        std::fs::write(d.path().join("odd.wav"), &bytes).expect("written");
        let ran = tercet(d.path(), &env, &["transcribe", "odd.wav"]);
        assert_eq!((ran.code, said(&ran).as_str()), (0, "can i have a medium double shot americano"), "{}", ran.err);
        assert!(ran.err.contains("odd.wav: ") && ran.err.contains("read to its end"), "{riff} {data}: {}", ran.err);
        let quiet = tercet(d.path(), &env, &["--quiet", "transcribe", "odd.wav"]);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), (ran.out.as_str(), ""));
    }
    let streamed = piped(d.path(), &env, &["transcribe", "-"], &wav(&pcm, u32::MAX, u32::MAX));
    assert_eq!((streamed.code, streamed.err.as_str()), (0, ""));
    assert_eq!(said(&streamed), "can i have a medium double shot americano");
    let flac = piped(d.path(), &env, &["listen", "--json", "-"], &std::fs::read(&person).expect("reads"));
    assert!(flac.code == 0 && flac.out.contains(r#""file":"-","event":"turn""#), "{}{}", flac.out, flac.err);
    piped(d.path(), &env, &["transcribe", "-"], b"").failed(65, &["cannot read standard input: it is empty"]);
    piped(d.path(), &env, &["transcribe", "-"], b"hello, world").failed(65, &["standard input", "WAV or FLAC"]);
    piped(d.path(), &env, &["transcribe", "-", "-"], b"").failed(64, &["given twice"]);
}

#[test]
fn standard_input_is_read_or_refused_by_whatever_takes_a_file() {
    let d = folder();
    for args in [&["inspect", "-"][..], &["convert", "-", "-o", "x.gguf"]] {
        tercet(d.path(), &[], args).failed(64, &["cannot be read from standard input"]);
    }
    // A setting, and judged as one.
    tercet(d.path(), &[], &["ask", "--model", "-", "Hello"]).failed(78, &["flag --model: llm.model", "not \"-\""]);
    piped(d.path(), &[], &["config", "check", "--config", "-"], b"[budget]\ntotl_mb = 9\n")
        .failed(78, &["2: budget.totl_mb: no such key"]);
    piped(d.path(), &[], &["eval", "tools", "-"], b"{}\n").failed(65, &["standard input, line 1: not a conversation"]);
    piped(d.path(), &[], &["eval", "ppl", "-"], b"\xff\xfe").failed(65, &["standard input is not UTF-8"]);
    piped(d.path(), &[], &["ask", "-"], b"\xff\xfe").failed(65, &["standard input is not UTF-8"]);
    piped(d.path(), &[], &["ask", "-"], b" \n").failed(64, &["empty"]);
}

#[test]
fn files_that_are_no_files_or_no_text_are_named() {
    let d = folder();
    std::fs::write(d.path().join("binary"), [0xff, 0xfe, 0x00, 0x41]).expect("written");
    std::fs::write(d.path().join("empty"), "").expect("written");
    for command in [["eval", "tools"], ["eval", "ppl"]] {
        let run = |file: &str| tercet(d.path(), &[], &[command.as_slice(), &[file]].concat());
        run("none").failed(66, &["cannot read none"]);
        run(".").failed(74, &["cannot read ."]);
        run("binary").failed(65, &["binary is not UTF-8"]);
    }
    tercet(d.path(), &[], &["eval", "tools", "empty"]).failed(65, &["empty holds no conversations"]);
    for file in ["none", ".", "binary", "empty"] {
        let ran = tercet(d.path(), &[], &["inspect", file]);
        assert!((65..=74).contains(&ran.code) && ran.err.contains(file), "{file}: {} {}", ran.code, ran.err);
        ran.failed(ran.code, &[file]);
    }
}

#[test]
fn nonsense_on_the_command_line_is_a_usage_error() {
    let d = folder();
    for nonsense in ["nonsense", "=3", "budget=3", "budget..x=3", ".=", ""] {
        tercet(d.path(), &[], &["config", "check", "--set", nonsense]).failed(64, &["section.key=value"]);
    }
    let ran = tercet(d.path(), &[], &["config", "chekc"]);
    assert_eq!(ran.code, 64, "{}", ran.err);
}

#[test]
fn what_is_right_is_shown_with_its_origin() {
    let d = folder();
    write(d.path(), "[budget]\ntotal_mb = 3000\n");
    let ran = tercet(
        d.path(),
        &[("TERCET__PRIVACY__KEEP_AUDIO", "true")],
        &["config", "show", "--config", "bad.toml", "--set", "budget.reserve_mb=100"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in [
        "total_mb = 3000  # bad.toml:2",
        "reserve_mb = 100  # --set budget.reserve_mb=100",
        "keep_audio = true  # environment TERCET__PRIVACY__KEEP_AUDIO",
        "log_transcripts = false  # default",
    ] {
        assert!(ran.out.lines().any(|l| l == line), "{line:?} is not in:\n{}", ran.out);
    }
    let ran = tercet(d.path(), &[], &["config", "check"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok: no configuration file, built-in defaults\n"));
}
