//! Requests through the whole agent with the default model: nothing is done that was not asked for.

use std::process::Command;

use serde_json::Value;

#[test]
fn requests_are_done_or_declined_and_never_mistaken() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    for (cases, commands) in [
        ("requests.tsv", "requests.toml"),
        ("held_out/first.tsv", "held_out/light.toml"),
        ("held_out/first_owner.tsv", "held_out/owner.toml"),
        ("held_out/second.tsv", "held_out/light.toml"),
        ("held_out/second_owner.tsv", "held_out/owner.toml"),
    ] {
        let (cases, commands) = (format!("{data}/{cases}"), format!("{data}/{commands}"));
        let mut tercet = Command::new(env!("CARGO_BIN_EXE_tercet"));
        let out =
            tercet.args(["eval", "agent", &cases, "--commands", &commands, "--json"]).output().expect("it starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let totals: Value = serde_json::from_slice(&out.stdout).expect("one object");
        let count = |key: &str| totals[key].as_u64().expect("a number");
        assert_eq!(count("wrong_actions"), 0, "{cases}: {totals}");
        assert!(100 * count("acted_rightly") >= 92 * count("must_act"), "{cases}: {totals}");
    }
}
