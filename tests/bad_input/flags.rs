//! Flags that stand for settings: refused as `--set` refuses the same value, whichever command takes them.

use super::{folder, tercet};

/// Flag, its key, and a value that is wrong.
const LLM: [(&str, &str, &str); 7] = [
    ("--model", "llm.model", "pokcet"),
    ("--threads", "llm.threads", "999"),
    ("--threads", "llm.threads", "-1"),
    ("--threads", "llm.threads", "many"),
    ("--backend", "llm.backend", "gpu"),
    ("--kv", "llm.kv_precision", "f8"),
    ("--embedding", "llm.embedding", "moon"),
];
const TALK: [(&str, &str, &str); 5] = [
    ("--temperature", "llm.sampling.temperature", "-1"),
    ("--temperature", "llm.sampling.temperature", "5.5"),
    ("--temperature", "llm.sampling.temperature", "warm"),
    ("--temperature", "llm.sampling.temperature", "nan"),
    ("--seed", "llm.sampling.seed", "-3"),
];

const LENGTH: [(&str, &str, &str); 1] = [("--max-tokens", "dialog.reply_tokens", "4")];

/// What follows the key in the message.
fn said(err: &str, key: &str) -> String {
    let line = err.lines().find(|l| l.contains(key)).unwrap_or_else(|| panic!("{key} is not in:\n{err}"));
    line.split(&format!("{key}: ")).nth(1).unwrap_or_else(|| panic!("nothing is said of {key}:\n{err}")).to_owned()
}

/// A flag, the value tried, and what is said of it.
type Flag = (&'static str, &'static str, &'static str);

#[test]
fn every_flag_for_a_setting_is_judged_as_the_setting_is() {
    let d = folder();
    let cases = std::path::absolute("tests/data/tools_eval.jsonl").expect("a path");
    let cases = cases.to_str().expect("UTF-8");
    let mut commands: Vec<(Vec<&str>, Vec<Flag>)> = vec![
        (vec!["complete", "Hello."], [&LLM[..], &TALK[..]].concat()),
        (vec!["ask", "Hello."], [&LLM[..], &TALK[..], &LENGTH[..]].concat()),
        (vec!["chat"], [&LLM[..], &TALK[..], &LENGTH[..]].concat()),
        (vec!["eval", "tools", cases], LLM.to_vec()),
        (vec!["eval", "ppl", cases], LLM.to_vec()),
        (vec!["bench", "llm"], LLM.to_vec()),
        (vec!["devices", "test"], vec![("--input", "audio.input", ""), ("--output", "audio.output", " ")]),
    ];
    if cfg!(feature = "voice") {
        commands.push((vec!["say", "Hi."], ["-1", "0.1", "9", "fast"].map(|v| ("--speed", "speak.speed", v)).to_vec()));
        let words = ["alexxa", "alexa,hey_jarvs"].map(|v| ("--wake", "hear.wake.models", v));
        commands.push((vec!["listen", "x.wav"], words.to_vec()));
    }
    let mut asked = 0;
    for (command, flags) in &commands {
        for (flag, key, value) in flags {
            let own = tercet(d.path(), &[], &[&command[..], &[flag, value]].concat());
            let set = tercet(d.path(), &[], &["config", "check", "--set", &format!("{key}={value}")]);
            own.failed(78, &[&format!("flag {flag}: {key}")]);
            set.failed(78, &[&format!("--set {key}={value}: {key}")]);
            if !key.starts_with("hear.wake") {
                assert_eq!(said(&own.err, key), said(&set.err, key), "{command:?} {flag} {value}");
            }
            assert_eq!(own.out, "", "nothing was done before");
            asked += 1;
        }
    }
    assert!(asked >= 45, "{asked}");
}

#[test]
fn a_list_of_the_bench_is_judged_before_anything_is_measured() {
    let d = folder();
    let ran = tercet(d.path(), &[], &["bench", "llm", "--backend", "cpu,gpu"]);
    ran.failed(78, &["flag --backend: llm.backend: must be one of auto, reference, cpu or cuda, not \"gpu\""]);
    assert_eq!(ran.out, "");
    tercet(d.path(), &[], &["bench", "llm", "-t", "1,999"])
        .failed(78, &["flag --threads: llm.threads: must be between 0 and 256, not 999"]);
}

#[test]
fn a_flag_and_the_settings_are_told_together() {
    let d = folder();
    super::write(d.path(), "[dialog]\nring_times = 0\n");
    tercet(d.path(), &[], &["ask", "Hi.", "--temperature", "-1", "--config", "bad.toml"]).failed(
        78,
        &[
            "2 problems",
            "bad.toml:2: dialog.ring_times: must be between 1 and 100, not 0",
            "flag --temperature: llm.sampling.temperature: must be between 0 and 5, not -1",
        ],
    );
}
