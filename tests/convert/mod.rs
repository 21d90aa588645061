//! `tercet convert`, `inspect`, `bench --synthetic` and `eval ppl` through the real program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

mod checkpoint;
mod llama_cpp;
mod odd;
mod source;
mod synthetic;

pub(crate) fn tercet(args: &[&str]) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    // No configuration of this machine.
    c.args(args).env("XDG_CONFIG_HOME", "/nonexistent").env_remove("TERCET_CONFIG").env_remove("TERCET_MODELS");
    c.output().expect("the program starts")
}

/// Standard output of a command that succeeds.
pub(crate) fn succeeds(args: &[&str]) -> String {
    let o = tercet(args);
    assert!(o.status.success(), "{args:?}: {}", String::from_utf8_lossy(&o.stderr));
    String::from_utf8(o.stdout).expect("UTF-8")
}

/// Exit status and message of one that does not.
pub(crate) fn fails(args: &[&str]) -> (i32, String) {
    let o = tercet(args);
    assert!(!o.status.success(), "{args:?} succeeded: {}", String::from_utf8_lossy(&o.stdout));
    (o.status.code().expect("no signal"), String::from_utf8_lossy(&o.stderr).into_owned())
}

pub(crate) fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(args)).expect("one JSON object")
}

pub(crate) fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

pub(crate) fn repository(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}
