//! What the real program says to wrong configuration and unreadable files: every problem named, a remedy, an exit status that means
//! something.

mod check;
mod flags;
mod hints;

use std::path::Path;
use std::process::Command;

use crate::support::skip;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs tercet with no configuration but what is given.
fn tercet(dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Ran {
    let out = Command::new(env!("CARGO_BIN_EXE_tercet"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("XDG_CONFIG_HOME", dir.join("xdg"))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(env.iter().copied())
        .output()
        .expect("the program runs");
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
