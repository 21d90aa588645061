//! Outputs that cannot be written to.

use std::process::{Command, Output, Stdio};

/// Runs a shell line in which `tercet` is the program under test.
fn sh(line: &str) -> Output {
    Command::new("/bin/sh")
        .args(["-c", &line.replace("tercet", "\"$TERCET\"")])
        .env("TERCET", env!("CARGO_BIN_EXE_tercet"))
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env_remove("TERCET_CONFIG")
        .env_remove("TERCET_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn ends_with(line: &str, code: i32) -> Output {
    let out = sh(line);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{line}\n{said}");
    assert!(!said.contains("panicked"), "{line}\n{said}");
    out
}

#[test]
fn a_log_that_cannot_be_written_changes_nothing() {
    let plain = ends_with("tercet plan", 0).stdout;
    assert!(!plain.is_empty());
    for line in [
        "tercet -vvv plan 2>/dev/full",
        "tercet -vvv plan 2>&-",
        "tercet -vvv plan <&- 2>&-",
        // Whoever reads the log has gone already.
        "{ tercet -vvv plan 2>&1 >&3 | true; } 3>&1",
        "tercet -vvv plan 2>/dev/null",
    ] {
        assert_eq!(text(&ends_with(line, 0).stdout), text(&plain), "{line}");
    }
    // Nor do errors that cannot be printed.
    for stderr in ["2>/dev/full", "2>&-"] {
        ends_with(&format!("tercet inspect /nonexistent.gguf {stderr}"), 66);
        ends_with(&format!("tercet no-such-command {stderr}"), 64);
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    for command in ["plan", "plan --json", "config show", "models list", "--help", "run --help", "--version"] {
        let out = ends_with(&format!("tercet {command} >/dev/full"), 74);
        assert!(text(&out.stderr).contains("cannot write to standard output"), "{command}: {}", text(&out.stderr));
        // A reader that has seen enough is nobody's error.
        let out = ends_with(&format!("tercet {command} | true"), 0);
        assert_eq!(text(&out.stderr), "", "{command}");
        // Nobody asked for results.
        ends_with(&format!("tercet {command} >&-"), 0);
        ends_with(&format!("tercet {command} <&- >&- 2>&-"), 0);
    }
}

#[test]
fn closed_descriptors_are_not_taken_by_files() {
    let dir = tempfile::tempdir().expect("a folder");
    // What is opened first would be standard output, and the progress and the log would go into the model.
    let pocket = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
    let copy = dir.path().join("copy.gguf");
    std::fs::copy(pocket, &copy).expect("copied");
    let before = std::fs::read(&copy).expect("read");
    ends_with(&format!("tercet -vvv inspect {} <&- >&- 2>&-", copy.display()), 0);
    assert!(std::fs::read(&copy).expect("read") == before, "the log was written into the model");
}

#[test]
fn two_kinds_of_output_at_once_are_refused_in_plain_words() {
    let out = ends_with("tercet run --json --show", 64);
    let said = text(&out.stderr);
    assert!(said.contains("--json and --show both write to standard output"), "{said}");
    assert!(said.contains("hint: give only one of them"), "{said}");
}
