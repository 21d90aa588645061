//! `tercet config check`: what the settings name and this machine lacks.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{folder, tercet, write};

fn script(dir: &Path, name: &str, mode: u32) -> String {
    let path = dir.join(name);
    std::fs::write(&path, "#!/bin/sh\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
    path.display().to_string()
}

#[test]
fn what_can_never_work_is_a_problem_with_its_place() {
    let d = folder();
    let good = script(d.path(), "lamp", 0o755);
    let plain = script(d.path(), "plain.sh", 0o644);
    std::fs::write(d.path().join("model.gguf"), b"GGUF").expect("written");
    let text = format!(
        "\
[llm]
model = \"pokcet\"

[tools]
time_zone = \"Europe/Berln\"
disable = [\"get_tme\"]

[[tools.command]]
name = \"a\"
exec = [\"{good}\"]

[[tools.command]]
name = \"b\"
exec = [\"{good}y\"]

[[tools.command]]
name = \"c\"
exec = [\"{plain}\", \"x\"]

[[tools.command]]
name = \"d\"
exec = [\"no-such-program-anywhere\"]

[[tools.command]]
name = \"e\"
exec = [\"{}\"]

[[tools.command]]
name = \"f\"
exec = [\"{good}\"]
status = [\"{good}y\"]
undo = [\"no-such-program-anywhere\"]
",
        d.path().display()
    );
    write(d.path(), &text);
    let ran = tercet(d.path(), &[], &["config", "check", "--config", "bad.toml"]);
    let here = d.path().display();
    ran.failed(
        78,
        &[
            "bad.toml:2: llm.model: must be a language model (one of pocket, ",
            "did you mean pocket?",
            "bad.toml:5: tools.time_zone: must be a time zone such as Europe/Berlin, not \"Europe/Berln\"; did you mean Europe/Berlin?",
            "bad.toml:6: tools.disable[0]: must be one of ",
            "did you mean get_time?",
            &format!("bad.toml:14: tools.command[1].exec[0]: {good}y does not exist; did you mean {good}?"),
            &format!("bad.toml:18: tools.command[2].exec[0]: {plain} is not executable; run `chmod +x {plain}`"),
            "bad.toml:22: tools.command[3].exec[0]: there is no program no-such-program-anywhere on the PATH",
            &format!("bad.toml:26: tools.command[4].exec[0]: {here} is a folder, not a program"),
            &format!("bad.toml:31: tools.command[5].status[0]: {good}y does not exist; did you mean {good}?"),
            "bad.toml:32: tools.command[5].undo[0]: there is no program no-such-program-anywhere on the PATH",
            "the configuration has 9 problems",
        ],
    );
    for (value, end) in [
        ("./modle.gguf".to_owned(), "there is no file ./modle.gguf; did you mean ./model.gguf?"),
        ("none/x.gguf".to_owned(), "there is no file none/x.gguf"),
        (here.to_string(), "is a folder"),
        ("./model.gguf".to_owned(), "model.gguf"),
    ] {
        tercet(d.path(), &[], &["config", "check", "--set", &format!("llm.model={value}")])
            .failed(78, &["--set llm.model=", ": llm.model: ", end]);
    }
    // Only `check` looks: other commands need not the lamp.
    write(d.path(), "[[tools.command]]\nname = \"b\"\nexec = [\"/no/such\"]\n");
    assert_eq!(tercet(d.path(), &[], &["config", "show", "--config", "bad.toml"]).code, 0);
}

#[cfg(feature = "voice")]
#[test]
fn voices_wake_words_and_recognisers_are_known_or_refused() {
    let d = folder();
    for (key, value, near) in [
        ("hear.wake.models", "alexia", "did you mean alexa?"),
        (
            "hear.wake.models",
            "hey_jarvis,computer",
            "must be a wake word (one of alexa, hey_jarvis, hey_mycroft or hey_marvin)",
        ),
        ("hear.wake.models", "/no/such.onnx", "there is no file /no/such.onnx"),
        ("hear.stt.model", "whisper-tiny", "did you mean whisper-tiny.en?"),
        ("hear.stt.model", "/no/such.bin", "there is no file /no/such.bin"),
        ("hear.stt.model", "pocket", "which is a language model"),
        ("speak.voice", "piper-en_US-jo-medium", "did you mean piper-en_US-joe-medium?"),
        ("speak.voice", "x.onnx", "must be a voice"),
        ("speak.espeak_data", "/no/such/folder", "/no/such/folder"),
    ] {
        tercet(d.path(), &[], &["config", "check", "--set", &format!("{key}={value}")])
            .failed(78, &[&format!("--set {key}={value}: {key}"), near]);
    }
}

#[test]
fn what_is_not_here_yet_is_a_note() {
    let d = folder();
    let set = if cfg!(feature = "voice") { "hear.wake.models=hey_marvin" } else { "llm.model=ternary-bonsai-8b" };
    let args = ["config", "check", "--set", set, "--set", "llm.model=ternary-bonsai-8b"];
    let ran = tercet(d.path(), &[], &args);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok: no configuration file, built-in defaults\n"), "{}", ran.err);
    assert!(
        ran.err.contains(
            "note: --set llm.model=ternary-bonsai-8b: llm.model: ternary-bonsai-8b is not on this machine yet; get "
        ),
        "{}",
        ran.err
    );
    if cfg!(feature = "voice") {
        assert!(ran.err.contains("run `tercet models fetch wake-hey_marvin`"), "{}", ran.err);
    }
    assert_eq!(tercet(d.path(), &[], &[&args[..], &["-q"]].concat()).err, "");
    let ran = tercet(d.path(), &[], &[&args[..], &["--json"]].concat());
    let v: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!((ran.code, &v["ok"], v["problems"].as_array().map(Vec::len)), (0, &true.into(), Some(0)), "{v}");
    let notes = v["notes"].as_array().expect("a list");
    let of = |key: &str| notes.iter().find(|n| n["key"] == key).unwrap_or_else(|| panic!("{key} in {v}"));
    assert!(of("llm.model")["note"].as_str().expect("text").contains("not on this machine yet"), "{v}");
    assert_eq!(of("llm.model")["origin"], "--set llm.model=ternary-bonsai-8b");
}
