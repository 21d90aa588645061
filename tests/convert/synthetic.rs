//! Models with random weights, and the commands that look at model files.

use std::io::Read;

use serde_json::Value;

use super::{fails, json, repository, succeeds, utf8};

fn read(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).expect("there").read_to_end(&mut bytes).expect("reads");
    bytes
}

#[test]
fn the_same_seed_makes_the_same_file_and_every_type_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.gguf");
    let file = utf8(&file);
    for shape in ["tiny-llama", "tiny-qwen3"] {
        for ty in ["tq1_0", "tq2_0", "q2_0", "q2_0_g128"] {
            succeeds(&["convert", "--synthetic", shape, "--type", ty, "-o", file]);
            let once = read(file.as_ref());
            succeeds(&["convert", "--synthetic", shape, "--type", ty, "-o", file]);
            assert!(once == read(file.as_ref()), "{shape} {ty} is not the same twice");
            succeeds(&["convert", "--synthetic", shape, "--type", ty, "-o", file, "--weight-seed", "2"]);
            assert!(once != read(file.as_ref()), "{shape} {ty} has no seed");
            let v = json(&["inspect", file, "--json"]);
            assert_eq!(v["runs"], true, "{v}");
            let say = |backend: &str| {
                json(&["complete", "hello there", "--model", file, "--max-tokens", "8", "--backend", backend, "--json"])
            };
            let (plain, fast) = (say("reference"), say("cpu"));
            assert_eq!(plain["answer"], fast["answer"], "{shape} {ty}");
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 1, "something is left behind");
    // Linears of other programs are written and not run.
    succeeds(&["convert", "--synthetic", "tiny-llama", "--type", "q4_0", "-o", file]);
    let v = json(&["inspect", file, "--json"]);
    assert!(v["runs"] == false && v["problem"].as_str().expect("text").contains("not ternary"), "{v}");
    let (code, why) = fails(&["complete", "Hello.", "--model", file]);
    assert!(code == 65 && why.contains("Q4_0, not ternary"), "{code} {why}");
}

#[test]
fn real_shapes_have_their_real_sizes() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.gguf");
    let file = utf8(&file);
    succeeds(&["convert", "--synthetic", "falcon3-7b", "--layers", "1", "--type", "tq1_0", "-o", file]);
    let v = json(&["inspect", file, "--json", "--tensors"]);
    let of = |name: &str| {
        let t = v["tensors"].as_array().expect("a list").iter().find(|t| t["name"] == name).expect("there");
        (t["type"].as_str().expect("text").to_owned(), t["dims"].clone(), t["bytes"].as_u64().expect("a number"))
    };
    assert_eq!(
        of("blk.0.ffn_gate.weight"),
        ("TQ1_0".into(), serde_json::json!([3072, 23040]), 3072 * 23040 / 256 * 54)
    );
    assert_eq!(of("token_embd.weight"), ("Q4_0".into(), serde_json::json!([3072, 131072]), 3072 * 131072 / 32 * 18));
    assert_eq!(v["metadata"]["llama.attention.head_count_kv"], 4);
    assert_eq!(v["runs"], true, "{}", v["problem"]);
    let (code, why) = fails(&["convert", "--synthetic", "falcon3-7b", "--layers", "29", "-o", file]);
    assert!(code == 64 && why.contains("28"), "{code} {why}");
    assert_eq!(fails(&["convert", "--synthetic", "llama4", "-o", file]).0, 64);
    assert_eq!(fails(&["convert", "--synthetic", "tiny-llama", "--type", "q5_0", "-o", file]).0, 64);
}

#[test]
fn what_is_stopped_leaves_nothing_and_what_is_killed_is_written_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.gguf");
    let partial = dir.path().join("model.gguf.partial");
    let args = ["convert", "--synthetic", "llama3-8b", "--layers", "6", "-o", utf8(&file)];
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGKILL] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tercet"))
            .args(args)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("starts");
        while partial.metadata().map_or(0, |m| m.len()) == 0 {
            assert!(child.try_wait().expect("asked").is_none(), "it ended before it began to write");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if signal == libc::SIGKILL {
            let (code, why) = fails(&args);
            assert!(code == 74 && why.contains("another process is writing"), "{code} {why}");
        }
        // SAFETY: plain integers; the child is not waited for yet, so the number is its.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        let ended = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        let killed = signal == libc::SIGKILL;
        assert_eq!(ended.status.code(), if killed { None } else { Some(75) }, "{said}");
        assert_eq!(said.contains("was not written"), !killed, "{said}");
        assert_eq!((file.exists(), partial.exists()), (false, killed), "signal {signal}");
    }
    succeeds(&args);
    assert_eq!((file.exists(), partial.exists()), (true, false));
}

#[test]
fn bench_takes_a_shape_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let mut c = std::process::Command::new(env!("CARGO_BIN_EXE_tercet"));
        c.args(["bench", "llm"]).args(args).env("XDG_CONFIG_HOME", "/nonexistent").env("TMPDIR", dir.path());
        let o = c.output().expect("starts");
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0, "a file is left behind");
        o
    };
    let o = run(&["--synthetic", "tiny-qwen3", "-p", "16", "-n", "4", "-d", "0,32", "-r", "2", "--json"]);
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    let text = String::from_utf8(o.stdout).expect("UTF-8");
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    assert_eq!(rows.len(), 4);
    assert!(
        rows.iter().all(|r| r["model"] == "synthetic tiny Qwen3 q2_0" && r["tokens_per_second"].as_f64() > Some(0.0))
    );
    let fields = [
        "model",
        "backend",
        "threads",
        "test",
        "depth",
        "tokens_per_second",
        "stddev",
        "resident_bytes",
        "load_peak_resident_bytes",
        "peak_resident_bytes",
        "device_bytes",
        "device_context_bytes",
        "total_bytes",
    ];
    for row in &rows {
        let row = row.as_object().expect("an object");
        assert!(row.len() == fields.len() && fields.iter().all(|f| row.contains_key(*f)), "{row:?}");
    }
    // Lists of everything: backends, then threads, then depths, then tests.
    let args = ["--backend", "cpu,reference", "-t", "1,2", "-p", "4,8", "-n", "2", "-d", "0,5", "-r", "1", "--json"];
    let o = run(&[&["--synthetic", "tiny-llama"], &args[..]].concat());
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    let text = String::from_utf8(o.stdout).expect("UTF-8");
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    let of = |key: &str| rows.iter().map(|r| r[key].to_string()).collect::<Vec<_>>();
    assert_eq!(of("test")[..4], ["\"pp4\"", "\"pp8\"", "\"tg2\"", "\"pp4\""]);
    assert_eq!(
        (rows.len(), of("depth")[2..4].join(" "), of("threads")[..12].join("")),
        (24, "0 5".into(), "111111222222".into())
    );
    assert!(
        of("backend")[..12].iter().all(|b| b.contains("cpu"))
            && of("backend")[12..].iter().all(|b| b.contains("reference"))
    );
    assert_eq!(run(&["--synthetic", "tiny-llama", "--model", "x.gguf"]).status.code(), Some(64));
    assert_eq!(run(&["--layers", "1"]).status.code(), Some(64));
    assert_eq!(run(&["--synthetic", "tiny-llama", "--type", "q4_0"]).status.code(), Some(65));
}

#[test]
fn inspect_shows_what_a_file_holds() {
    let file = repository("models/pocket.gguf");
    let text = succeeds(&["inspect", utf8(&file), "--tensors"]);
    for wanted in ["llama.block_count", "blk.29.ffn_down.weight", "Q2_0", "2.2500", "576 × 24576", "tercet runs it"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(text.lines().all(|l| l.chars().count() < 160), "a line is too long");
    let v = json(&["inspect", utf8(&file), "--json"]);
    assert_eq!((&v["types"]["Q2_0"]["tensors"], &v["metadata"]["llama.context_length"]), (&210.into(), &2048.into()));
    assert!(v.get("tensors").is_none() && v["estimate"]["weights"].as_u64() > Some(30_000_000), "{v}");
    assert_eq!(fails(&["inspect", utf8(&repository("Cargo.toml"))]).0, 65);
    assert_eq!(fails(&["inspect", "/nonexistent.gguf"]).0, 66);
}

#[test]
fn perplexity_tells_sense_from_nonsense() {
    let prose = repository("tests/golden/prose.txt");
    let of = |file: &str| json(&["eval", "ppl", file, "--window", "256", "--limit", "200", "--json"]);
    let v = of(utf8(&prose));
    let (sense, n) = (v["perplexity"].as_f64().expect("a number"), v["tokens"].as_u64());
    assert!(n == Some(200) && sense > 2.0 && sense < 200.0, "{v}");
    let dir = tempfile::tempdir().expect("a folder");
    let shuffled = dir.path().join("shuffled.txt");
    let text = std::fs::read_to_string(&prose).expect("reads");
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable_by_key(|w| w.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
    std::fs::write(&shuffled, words.join(" ")).expect("written");
    let nonsense = of(utf8(&shuffled))["perplexity"].as_f64().expect("a number");
    println!("perplexity of prose {sense:.1}, of its words shuffled {nonsense:.1}");
    assert!(nonsense > 3.0 * sense, "{nonsense} {sense}");
    std::fs::write(&shuffled, "a").expect("written");
    assert_eq!(fails(&["eval", "ppl", utf8(&shuffled)]).0, 64);
    std::fs::write(&shuffled, [0xff, 0xfe]).expect("written");
    assert_eq!(fails(&["eval", "ppl", utf8(&shuffled)]).0, 65);
    assert_eq!(fails(&["eval", "ppl", "/nonexistent.txt"]).0, 66);
}
