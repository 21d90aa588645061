//! The memory plan of the real program: it says what the parts then reserve, refuses what does not fit, and its advice
//! helps.

use std::path::Path;
use std::process::Command;

fn tercet(home: &Path, args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_tercet"))
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .output()
        .expect("the program runs");
    let text = |b: Vec<u8>| String::from_utf8(b).expect("text");
    (out.status.code().expect("it ended by itself"), text(out.stdout), text(out.stderr))
}

/// Nothing is fetched in an empty home: the plan knows sizes from the manifest and the header of the shipped model.
#[test]
fn a_plan_needs_nothing_fetched() {
    let home = tempfile::tempdir().expect("a folder");
    let (code, out, err) = tercet(home.path(), &["plan"]);
    assert_eq!(code, 0, "{err}");
    for part in ["weights", "kv", "activations", "runtime", "reserve", "total", "budget", "free"] {
        assert!(out.lines().any(|l| l.starts_with(part)), "{part} is not in\n{out}");
    }
    let (code, out, err) = tercet(home.path(), &["plan", "--json"]);
    assert_eq!(code, 0, "{err}");
    let v: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    let sum: u64 = v["items"].as_array().expect("items").iter().filter_map(|i| i["bytes"].as_u64()).sum();
    assert_eq!(v["total"].as_u64(), Some(sum));
    assert_eq!(v["fits"], true);
}

#[test]
fn what_does_not_fit_is_refused_and_the_advice_is_exact() {
    let home = tempfile::tempdir().expect("a folder");
    let (code, out, err) = tercet(home.path(), &["plan", "--set", "budget.total_mb=100"]);
    assert_eq!(code, 71, "{err}");
    assert!(out.contains("does not fit"), "the table comes first:\n{out}");
    assert!(err.contains("the memory budget is 100.0 MB (budget.total_mb)") && err.contains("too much"), "{err}");
    let needed: u64 = err
        .split("raise budget.total_mb to at least ")
        .nth(1)
        .and_then(|s| s.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no number in {err}"));
    let with = |mb: u64| tercet(home.path(), &["plan", "--set", &format!("budget.total_mb={mb}")]);
    assert_eq!(with(needed).0, 0);
    let (code, _, err) = with(needed - 1);
    assert_eq!(code, 71);
    // The last megabyte can be saved in milder ways; each of them must do.
    let hint = err.split("hint: ").nth(1).expect("a hint");
    let changes: Vec<String> = hint
        .split("; or ")
        .filter_map(|c| {
            let (words, _) = c.split_once(" (")?;
            let (rest, value) = words.rsplit_once(" to ")?;
            let key = rest.rsplit_once(' ')?.1;
            Some(format!("{key}={value}"))
        })
        .collect();
    assert!(changes.iter().any(|c| c.starts_with("llm.context_tokens=")), "{changes:?} from {hint}");
    for change in changes {
        let total = format!("budget.total_mb={}", needed - 1);
        let (code, _, err) = tercet(home.path(), &["plan", "--set", &total, "--set", &change]);
        assert_eq!(code, 0, "{change} was advised, but {err}");
    }
}

#[test]
fn a_model_that_cannot_be_read_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("short.gguf");
    std::fs::write(&file, b"GGUF\x03\0\0\0").expect("written");
    let model = format!("llm.model={}", file.display());
    let (code, _, err) = tercet(home.path(), &["plan", "--set", &model]);
    assert_eq!(code, 65, "{err}");
    assert!(err.contains("short.gguf"), "{err}");
    let (code, _, err) = tercet(home.path(), &["plan", "--set", "llm.model=/nowhere/x.gguf"]);
    assert_eq!(code, 66, "{err}");
    assert!(err.contains("/nowhere/x.gguf"), "{err}");
    let (code, _, err) = tercet(home.path(), &["plan", "--set", "hear.stt.model=whisper-huge"]);
    assert_ne!(code, 0);
    assert!(err.contains("whisper-huge"), "{err}");
}

/// Every part loaded as the daemon loads it: each reservation is the plan's line, to the byte.
#[cfg(feature = "voice")]
#[test]
fn the_ledger_follows_the_plan_to_the_byte() {
    use tercet::budget::Component;
    use tercet::config::{Settings, memory_plan};
    use tercet::store::{Paths, StateFolder};

    let (settings, paths) = (Settings::default(), Paths::from_env());
    let folder = tempfile::tempdir().expect("a folder");
    let state = StateFolder::own(folder.path().to_owned()).expect("nobody has it");
    let loaded = match tercet::daemon::load(&settings, &paths, state, |_| {}) {
        Ok(loaded) => loaded,
        Err(e) if e.kind() == tercet::error::Kind::NotFound && std::env::var_os("TERCET_REQUIRE_MODELS").is_none() => {
            return crate::support::skip("the_ledger_follows_the_plan_to_the_byte", &e.to_string());
        }
        Err(e) => panic!("{e}"),
    };
    let sums = |items: Vec<(Component, u64)>| {
        let mut sums = std::collections::BTreeMap::new();
        // Devices are opened later.
        for (component, bytes) in items.into_iter().filter(|i| i.0 != Component::Audio) {
            *sums.entry(component).or_insert(0) += bytes;
        }
        sums
    };
    let plan = memory_plan(&settings, &paths).expect("planned before");
    let planned = sums(plan.items.iter().map(|i| (i.component, i.bytes.0)).collect());
    let reserved = sums(loaded.budget.items().iter().map(|i| (i.component, i.reserved.0)).collect());
    assert_eq!(planned, reserved);
    for i in loaded.budget.items() {
        println!("{:14} {:32} reserved {:>9} measured {:?}", i.component.name(), i.what, i.reserved, i.measured);
    }
}
