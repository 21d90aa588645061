//! Odd files as people report them: parts of split models, templates that do not work, checkpoints with leftovers.

use std::path::Path;

use serde_json::Value;

use super::checkpoint::golden;
use super::{fails, json, repository, succeeds, tercet, utf8};

/// `file` with `entries` (key, type, value as stored) before its other metadata; `renamed` keys lose their meaning.
fn with_metadata(file: &[u8], renamed: &[&str], entries: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
    const COUNT_AT: usize = 16;
    const METADATA_AT: usize = 24;
    let mut added = Vec::new();
    let mut put = |key: &str, ty: u32, value: &[u8]| {
        added.extend((key.len() as u64).to_le_bytes());
        added.extend(key.as_bytes());
        added.extend(ty.to_le_bytes());
        added.extend(value);
        added.len()
    };
    let mut len = 0;
    for (key, ty, value) in entries {
        len = put(key, *ty, value);
    }
    // The data stay where they are aligned: what is added fills whole steps of 32 bytes.
    let filler = (8 + 6 + 4 + 8 + len).next_multiple_of(32) - (8 + 6 + 4 + 8 + len);
    put("filler", 8, &[&(filler as u64).to_le_bytes()[..], &vec![b'.'; filler]].concat());
    let count = u64::from_le_bytes(file[COUNT_AT..METADATA_AT].try_into().expect("eight bytes"));
    let mut out = file[..COUNT_AT].to_vec();
    out.extend((count + entries.len() as u64 + 1).to_le_bytes());
    out.extend(added);
    out.extend(&file[METADATA_AT..]);
    for key in renamed {
        let at = out.windows(key.len()).rposition(|w| w == key.as_bytes()).expect("the key is there");
        out[at] = b'X';
    }
    out
}

fn text(value: &str) -> (u32, Vec<u8>) {
    (8, [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat())
}

#[test]
fn a_part_of_a_split_model_says_which_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = std::fs::read(repository("models/pocket.gguf")).expect("reads");
    let u16s = |n: u16| (2, n.to_le_bytes().to_vec());
    let write = |name: &str, no: u16, count: u16| {
        let ((ty, no), (_, count)) = (u16s(no), u16s(count));
        let path = dir.path().join(name);
        let bytes = with_metadata(&model, &[], &[("split.no", ty, no), ("split.count", ty, count)]);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let part = write("big-00002-of-00003.gguf", 1, 3);
    let v = json(&["inspect", utf8(&part), "--json"]);
    let problem = v["problem"].as_str().expect("a problem");
    assert!(v["runs"] == false && problem.contains("part 2 of 3"), "{v}");
    let shown = succeeds(&["inspect", utf8(&part)]);
    assert!(shown.contains("part 2 of 3"), "{shown}");
    let (code, why) = fails(&["complete", "Hello.", "--model", utf8(&part)]);
    assert_eq!(code, 65, "{why}");
    for wanted in ["part 2 of 3", "llama-gguf-split --merge big-00001-of-00003.gguf big.gguf"] {
        assert!(why.contains(wanted), "{why}");
    }
    // One part is the whole.
    let whole = write("whole.gguf", 0, 1);
    assert_eq!(json(&["inspect", utf8(&whole), "--json"])["runs"], true);
}

#[test]
fn inspect_tries_the_template() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.gguf");
    let model = std::fs::read(repository("models/pocket.gguf")).expect("reads");
    let inspect = |template: &str| {
        let (ty, value) = text(template);
        let key = "tokenizer.chat_template";
        std::fs::write(&file, with_metadata(&model, &[key], &[(key, ty, value)])).expect("written");
        json(&["inspect", utf8(&file), "--json"])
    };
    let good = "{% for m in messages %}{% generation %}{{ m['role'] + m['content'].strip().replace('x', 'x') }}{% endgeneration %}{% endfor %}";
    for template in [good, "", " \n"] {
        let v = inspect(template);
        assert!(v["runs"] == true && v["tools_problem"].is_null(), "{template:?}: {v}");
    }
    let plain = "{% for m in messages %}{% if m.role == 'ipython' %}{{ raise_exception('no tools here') }}{% endif %}{{ m.content }}{% endfor %}";
    let v = inspect(plain);
    assert!(v["runs"] == true && v["tools_problem"].as_str().expect("one").contains("no tools here"), "{v}");
    assert!(succeeds(&["inspect", utf8(&file)]).contains("but not with tools"));
    for (template, why) in [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{% for m in messages %}{{ m.content }", "does not compile"),
        ("{% for i in range(100000000) %}x{% endfor %}", "range has too many elements"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not come to an end"),
        ("{{ messages[0].content }}", "leaves out"),
    ] {
        let v = inspect(template);
        assert!(v["runs"] == false && v["problem"].as_str().expect("one").contains(why), "{template}: {v}");
        assert!(v["remedy"].as_str().is_some_and(|r| !r.is_empty()), "{template}: {v}");
    }
    assert!(succeeds(&["inspect", utf8(&file)]).contains("\n  hint: "));
}

#[test]
fn a_name_that_cannot_be_read_is_no_reason_not_to_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.gguf");
    let model = std::fs::read(repository("models/pocket.gguf")).expect("reads");
    let key = "general.name";
    for (ty, value) in [(8, vec![3, 0, 0, 0, 0, 0, 0, 0, b'a', 0xff, 0xfe]), (4, vec![1, 0, 0, 0])] {
        std::fs::write(&file, with_metadata(&model, &[key], &[(key, ty, value)])).expect("written");
        let v = json(&["inspect", utf8(&file), "--json"]);
        assert!(v["runs"] == true && v["estimate"]["model"] == "model", "{v}");
    }
}

/// The first checkpoint of the goldens with its configuration changed, in `folder`.
fn checkpoint(folder: &Path, shards: usize, change: impl Fn(&mut Value)) {
    golden()[0].write(folder, shards);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("JSON");
    change(&mut config);
    std::fs::write(&path, config.to_string()).expect("written");
}

fn name_of(file: &Path) -> Value {
    json(&["inspect", utf8(file), "--json"])["metadata"]["general.name"].clone()
}

#[test]
fn a_model_is_called_what_its_maker_calls_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, file) = (dir.path().join("run-7"), dir.path().join("out.gguf"));
    let convert = |source: &Path, more: &[&str]| {
        succeeds(&[&["convert", utf8(source), "-o", utf8(&file)][..], more].concat());
        name_of(&file)
    };
    checkpoint(&source, 1, |_| {});
    assert_eq!(convert(&source, &[]), "run-7");
    assert_eq!(convert(&source, &["--name", "My model"]), "My model");
    checkpoint(&source, 1, |c| c["_name_or_path"] = "maker/Falcon3-1B".into());
    assert_eq!(convert(&source, &[]), "Falcon3-1B");
    assert_eq!(convert(&source, &["--name", "My model"]), "My model");
    let cached = dir.path().join("models--maker--Llama3/snapshots/0123456789abcdef");
    checkpoint(&cached, 1, |_| {});
    assert_eq!(convert(&cached, &[]), "Llama3");
    assert_eq!(fails(&["convert", utf8(&source), "-o", utf8(&file), "--name", ""]).0, 64);
}

#[test]
fn leftovers_of_python_are_read_as_python_reads_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, file) = (dir.path().join("source"), dir.path().join("out.gguf"));
    let convert = || tercet(&["convert", utf8(&source), "-o", utf8(&file)]);
    // An index of parts that are gone, beside the model in one file.
    checkpoint(&source, 3, |_| {});
    std::fs::remove_file(source.join("model-00002-of-00003.safetensors")).expect("there");
    checkpoint(&source, 1, |_| {});
    let o = convert();
    let said = String::from_utf8_lossy(&o.stderr).into_owned();
    assert!(o.status.success() && said.contains("model.safetensors.index.json"), "{said}");
    // Numbers that are none where they do not count, and where they do.
    let path = source.join("config.json");
    let config = std::fs::read_to_string(&path).expect("reads");
    let with = |key: &str| format!("\u{feff}{{\"{key}\": NaN, \"x\": [Infinity, -Infinity], {}", &config[1..]);
    std::fs::write(&path, with("attention_dropout")).expect("written");
    assert!(convert().status.success());
    std::fs::write(&path, config.replace("10000.0", "Infinity")).expect("written");
    let said = String::from_utf8_lossy(&convert().stderr).into_owned();
    assert!(said.contains("rope_theta"), "{said}");
}

#[test]
fn types_are_known_by_the_names_that_people_write() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, file) = (dir.path().join("source"), dir.path().join("out.gguf"));
    checkpoint(&source, 1, |_| {});
    let with = |ty: &str, embeddings: &str| {
        let args = ["convert", utf8(&source), "-o", utf8(&file), "--type", ty, "--embeddings", embeddings];
        succeeds(&args);
        json(&["inspect", utf8(&file), "--json"])["types"]
            .as_object()
            .expect("types")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    for (ty, embeddings, wanted) in [
        ("Q2_0", "BF16", ["BF16", "F32", "Q2_0"]),
        ("tq2_0", "F16", ["F16", "F32", "TQ2_0"]),
        ("TQ1-0", "q8_0", ["F32", "Q8_0", "TQ1_0"]),
        ("Smallest", "fp16", ["F16", "F32", "TQ1_0"]),
    ] {
        assert_eq!(with(ty, embeddings), wanted);
    }
    let (code, why) = fails(&["convert", utf8(&source), "-o", utf8(&file), "--type", "i2_s"]);
    assert!(code == 64 && why.contains("tq1_0, tq2_0, q2_0, q2_0_g128, q4_0, smallest"), "{why}");
    let (code, why) = fails(&["convert", utf8(&source), "-o", utf8(&file), "--embeddings", "q6_k"]);
    assert!(code == 64 && why.contains("q4_0, q8_0, f16, bf16, f32"), "{why}");
}
