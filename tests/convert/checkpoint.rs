//! Checkpoints of every kind, converted and computed as transformers computes them.
//!
//! `tests/data/golden/transformers.json` is made by `tests/golden/from_transformers.py`. Integers are exact; logits agree
//! to f32 rounding, except where an activation lies so close to a rounding tie that it falls the other way.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tercet::budget::Budget;
use tercet::llm::backend::cpu::Cpu;
use tercet::llm::backend::reference::Reference;
use tercet::llm::backend::{Backend, Part};
use tercet::llm::gguf::{Gguf, TensorType};
use tercet::llm::quant::{Ternary, encode_ternary};
use tercet::llm::tokenizer::{Specials, Tokenizer};
use tercet::llm::{BackendKind, Engine, Settings};
use tercet::units::TokenId;

use super::source::{self, Tensor};
use super::{fails, repository, succeeds, tercet, utf8};

/// Share of a row's largest logit by which logits may differ: f32 sums in another order.
const CLOSE: f32 = 1e-4;
/// The same where a rounding fell the other way: one activation of a token off by one in 127.
const AFTER_A_TIE: f32 = 2e-2;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Case>,
}

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    config: Value,
    tensors: Vec<Tensor>,
    pub(super) tokens: Vec<u32>,
    logits: Vec<Vec<f32>>,
    linear: Option<OneLinear>,
}

/// What one packed linear of transformers computes of one row.
#[derive(Deserialize)]
struct OneLinear {
    tensor: usize,
    x_seed: u64,
    q: Vec<i8>,
    dots: Vec<i32>,
    y: Vec<f32>,
}

pub(super) fn golden() -> Vec<Case> {
    let text = std::fs::read_to_string(repository("tests/data/golden/transformers.json")).expect("the golden reads");
    serde_json::from_str::<Golden>(&text).expect("the golden parses").rows
}

fn case(name: &str) -> Case {
    golden().into_iter().find(|c| c.name == name).expect("the golden has it")
}

impl Case {
    fn pre(&self) -> &'static str {
        if self.config["model_type"] == "qwen3" { "qwen2" } else { "llama-bpe" }
    }

    pub(super) fn grouped(&self) -> bool {
        self.name.starts_with("grouped")
    }

    /// Of a width that only blocks of 64 divide.
    pub(super) fn narrow(&self) -> bool {
        self.name.starts_with("narrow")
    }

    /// The types that its linears can be stored in, those that llama.cpp reads first.
    pub(super) fn types(&self) -> &'static [&'static str] {
        match (self.grouped(), self.narrow()) {
            (true, _) => &["q2_0", "q2_0_g128"],
            (_, true) => &["smallest", "q2_0"],
            _ => &["tq1_0", "tq2_0", "q2_0"],
        }
    }

    /// The checkpoint as a folder.
    pub(super) fn write(&self, folder: &Path, shards: usize) {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join("config.json"), self.config.to_string()).expect("written");
        source::write_tensors(folder, &self.tensors, shards);
        source::write_tokenizer(folder, self.pre());
    }
}

/// Logits after each token.
pub(super) fn logits(file: &Path, backend: BackendKind, tokens: &[u32]) -> Vec<Vec<f32>> {
    let options = Settings { backend, threads: 2, ..Settings::default() };
    let engine = Engine::load(file, &options.into(), &Budget::unlimited()).expect("it loads");
    let mut session = Arc::clone(&engine).session().expect("a session");
    let one = |t: &u32| {
        session.append(&[TokenId(*t)], &|| false).expect("it fits");
        session.logits().to_vec()
    };
    tokens.iter().map(one).collect()
}

/// How far two rows are apart, as a share of the largest.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
}

#[test]
fn logits_are_those_of_transformers() {
    let dir = tempfile::tempdir().expect("a folder");
    for (i, case) in golden().iter().enumerate() {
        let source = dir.path().join(format!("checkpoint-{i}"));
        case.write(&source, 1 + i % 3);
        let mut first: Option<Vec<Vec<f32>>> = None;
        for ty in case.types() {
            let file = dir.path().join(format!("{i}-{ty}.gguf"));
            let mut args = vec!["convert", utf8(&source), "-o", utf8(&file), "--type", ty];
            if !case.grouped() {
                args.extend(["--embeddings", "f16"]);
            }
            let o = tercet(&args);
            let notes = String::from_utf8_lossy(&o.stderr);
            assert!(o.status.success(), "{}: {notes}", case.name);
            assert_eq!(notes.contains("Without training"), case.name.starts_with("plain"), "{notes}");
            for backend in [BackendKind::Reference, BackendKind::Cpu] {
                let got = logits(&file, backend, &case.tokens);
                let apart: Vec<f32> = got.iter().zip(&case.logits).map(|(a, b)| distance(b, a)).collect();
                let exact = apart.iter().filter(|&&d| d <= CLOSE).count();
                println!("{} {ty} {}: {exact} of {} within {CLOSE:e}; {apart:?}", case.name, backend.name(), got.len());
                assert!(
                    3 * exact >= 2 * case.tokens.len() && apart[0] <= CLOSE && apart.iter().all(|&d| d <= AFTER_A_TIE),
                    "{}",
                    case.name
                );
                if backend == BackendKind::Reference {
                    // The same codes and scales, whatever they are packed as.
                    let same = first.get_or_insert_with(|| got.clone());
                    assert!(*same == got, "{} as {ty} computes something else", case.name);
                }
            }
        }
    }
}

#[test]
fn integers_are_exactly_those_of_transformers() {
    let case = case("bitlinear");
    let linear = case.linear.as_ref().expect("one linear");
    let (weight, scale) = (&case.tensors[linear.tensor], &case.tensors[linear.tensor + 1]);
    assert!(weight.name.ends_with("q_proj.weight") && scale.name.ends_with("q_proj.weight_scale"));
    let (rows, cols) = (4 * weight.shape[0], weight.shape[1]);
    let packed = weight.bytes();
    let scale: [u8; 4] = scale.bytes().try_into().expect("one number");
    let mut stored = Vec::new();
    for r in 0..rows {
        let row = &packed[r % (rows / 4) * cols..][..cols];
        let codes: Vec<u8> = row.iter().map(|b| (b >> (2 * (r / (rows / 4)))) & 3).collect();
        encode_ternary(TensorType::Tq1_0, &codes, |_| half::f16::ONE, &mut stored).expect("whole blocks");
    }
    let x: Vec<f32> = (0..cols).map(|i| source::unit(source::mix(linear.x_seed, i)) - 0.5).collect();
    fn run<B: Backend>(b: &B, linear: &OneLinear, x: &[f32], stored: &[u8], (rows, scale): (usize, f32)) {
        let (mut input, mut q) = (b.rows(1, x.len()).expect("rows"), b.quant(1, x.len()).expect("rows"));
        b.write_rows(&mut input, x).expect("written");
        b.quantize(&input, 1, &mut q).expect("quantized");
        let (got, _) = b.read_quant(&q, 1).expect("read");
        assert_eq!(got, linear.q, "{}: the quantized input", b.describe());
        let product = |factor: f32, scales: Option<&[f32]>| {
            let mut q = b.quant(1, x.len()).expect("rows");
            b.quantize(&input, 1, &mut q).expect("quantized");
            if let Some(s) = scales {
                b.write_quant(&mut q, &linear.q, s).expect("written");
            }
            let weights = Ternary::new(TensorType::Tq1_0, rows, x.len(), stored).expect("sound");
            let w = b.linear(&[Part { weights, factor }]).expect("packed");
            let mut y = b.rows(1, rows).expect("rows");
            b.linear_into(&w, &q, 1, &mut y).expect("multiplied");
            b.read_rows(&y, 1).expect("read")
        };
        // Under scales of one the product is the integer dot itself.
        let dots: Vec<i32> = product(1.0, Some(&[1.0])).iter().map(|&v| v as i32).collect();
        assert_eq!(dots, linear.dots, "{}", b.describe());
        let y = product(1.0 / scale, None);
        assert!(distance(&linear.y, &y) < 1e-6, "{}", b.describe());
    }
    let of = (rows, f32::from_le_bytes(scale));
    run(&Reference, linear, &x, &stored, of);
    run(&Cpu::new(2).expect("threads"), linear, &x, &stored, of);
}

#[test]
fn tokenizer_and_template_come_along() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["bitlinear", "plain qwen3"] {
        let case = case(name);
        let (source, file) = (dir.path().join(name), dir.path().join(format!("{name}.gguf")));
        case.write(&source, 1);
        succeeds(&["convert", utf8(&source), "-o", utf8(&file)]);
        let gguf = Gguf::open(&file).expect("sound");
        let text = |key: &str| gguf.str(key).expect("a text").unwrap_or_default().to_owned();
        assert_eq!(text("general.name"), name);
        assert_eq!(text("tokenizer.ggml.pre"), case.pre());
        let tokenizer = Tokenizer::from_gguf(&gguf).expect("it works");
        let ids = |t: &str, s| tokenizer.encode(t, s).expect("encodes").iter().map(|t| t.0).collect::<Vec<_>>();
        assert_eq!(ids(" hat a", Specials::AsText), [263, 97, 116, 256]);
        if name == "bitlinear" {
            assert_eq!(ids("<|eot_id|>", Specials::Parse), [317]);
            assert_eq!(
                (tokenizer.bos(), tokenizer.eos(), tokenizer.adds_bos()),
                (Some(TokenId(316)), Some(TokenId(317)), true)
            );
            assert_eq!(text("tokenizer.chat_template"), "{{ bos_token }}");
        } else {
            assert_eq!(ids("<tool_call>", Specials::Parse), [318]);
            assert_eq!((tokenizer.eos(), tokenizer.adds_bos()), (Some(TokenId(317)), false));
        }
        let kinds = gguf.ints("tokenizer.ggml.token_type").expect("integers").expect("there");
        assert_eq!((kinds[0], kinds[300], kinds[316], kinds[319]), (1, 5, 3, if name == "bitlinear" { 3 } else { 4 }));
    }
}

#[test]
fn what_is_not_converted_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    let file = dir.path().join("out.gguf");
    let try_with = |edit: &dyn Fn(&mut Case), extra: &[&str]| {
        let _ = std::fs::remove_dir_all(&source);
        let mut c = case("plain llama");
        edit(&mut c);
        c.write(&source, 1);
        let mut args = vec!["convert", utf8(&source), "-o", utf8(&file)];
        args.extend(extra);
        let (code, why) = fails(&args);
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("reads").filter_map(|e| e.ok()).collect();
        assert_eq!(left.len(), 1, "something is left behind: {left:?}");
        (code, why)
    };
    let set = |key: &'static str, value: Value| move |c: &mut Case| c.config[key] = value.clone();
    for (key, value, code, wanted) in [
        ("model_type", json!("gemma3"), 65, "gemma3"),
        ("attention_bias", json!(true), 65, "attention_bias"),
        ("hidden_act", json!("relu2"), 65, "relu2"),
        ("quantization_config", json!({"quant_method": "gptq"}), 65, "gptq"),
        ("quantization_config", json!({"quant_method": "bitnet", "use_rms_norm": true}), 65, "use_rms_norm"),
        ("quantization_config", json!({"quant_method": "bitnet"}), 65, "F32"),
        ("rope_scaling", json!({"rope_type": "longrope"}), 65, "longrope"),
        ("num_hidden_layers", json!(3), 65, "model.layers.2"),
        ("num_hidden_layers", json!(1), 65, "model.layers.1"),
        ("num_hidden_layers", json!("two"), 65, "num_hidden_layers"),
        ("intermediate_size", json!(256), 65, "mlp.gate_proj"),
        ("vocab_size", json!(310), 65, "310"),
    ] {
        let (got, why) = try_with(&set(key, value), &[]);
        assert!(got == code && why.contains(wanted), "{key}: {got} {why}");
    }
    let (code, why) = try_with(&|_| (), &["--pre", "llama4"]);
    assert!(code == 64 && why.contains("falcon3"), "{code} {why}");
    let (code, why) = try_with(&|_| (), &["--layers", "1"]);
    assert!(code == 64 && why.contains("--synthetic"), "{code} {why}");
    let (code, why) = try_with(&|_| (), &["--type", "q4_0"]);
    assert!(code == 64 && why.contains("q4_0"), "{code} {why}");
    let (code, why) = try_with(&|c| c.tensors[2].dtype = "U8".into(), &[]);
    assert!(code == 65 && why.contains("q_proj"), "{code} {why}");
    assert_eq!(fails(&["convert", "/nonexistent", "-o", utf8(&file)]).0, 66);
    assert_eq!(fails(&["convert", "-o", utf8(&file)]).0, 64);
    assert_eq!(fails(&["convert", utf8(dir.path()), "-o", utf8(dir.path())]).0, 66);
}

/// What is done to a checkpoint's folder.
type Spoil<'a> = &'a dyn Fn(&Path);

#[test]
fn an_incomplete_checkpoint_names_the_file_and_the_remedy() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("out.gguf");
    let part = "model-00002-of-00003.safetensors";
    let index = "model.safetensors.index.json";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let put = |name: &'static str, text: &'static str| {
        move |folder: &Path| std::fs::write(folder.join(name), text).expect("written")
    };
    let take = |name: &'static str| move |folder: &Path| std::fs::remove_file(folder.join(name)).expect("removed");
    let cut = |folder: &Path| {
        let part = File::options().write(true).open(folder.join(part)).expect("there");
        part.set_len(part.metadata().expect("there").len() - 1).expect("cut");
    };
    let cases: [(&str, Spoil<'_>, i32, [&str; 2]); 9] = [
        ("a part missing", &take(part), 66, [part, "index names it"]),
        ("a part cut short", &cut, 65, [part, "cut short"]),
        ("an empty part", &put(part, ""), 65, [part, "0 bytes"]),
        ("a pointer", &put(part, pointer), 65, [part, "git lfs pull"]),
        ("no index", &take(index), 66, [index, "download"]),
        ("no tokenizer", &take("tokenizer.json"), 66, ["tokenizer.json", "download"]),
        ("half a tokenizer", &put("tokenizer.json", "{\"model\": {"), 65, ["tokenizer.json", "not valid JSON"]),
        ("another file's tokenizer", &put("tokenizer.json", "{}"), 65, ["tokenizer.json", "no \"model\""]),
        ("no configuration", &take("config.json"), 66, ["config.json", "download"]),
    ];
    for (name, spoil, wanted, parts) in cases {
        let source = dir.path().join(name);
        case("plain llama").write(&source, 3);
        spoil(&source);
        let (code, why) = fails(&["convert", utf8(&source), "-o", utf8(&file)]);
        assert!(
            code == wanted && parts.iter().all(|p| why.contains(p)) && why.contains("hint: "),
            "{name}: {code} {why}"
        );
        assert!(!file.exists() && !file.with_extension("gguf.partial").exists(), "{name}");
    }
    // What is no checkpoint at all, and an output that cannot be.
    let source = dir.path().join("packed");
    case("bitlinear").write(&source, 1);
    let source = utf8(&source);
    succeeds(&["convert", source, "-o", utf8(&file)]);
    for (args, wanted, part) in [
        (vec![utf8(&file), "-o", "/nonexistent/x.gguf"], 64, "GGUF file already"),
        (vec![source, "-o", "/nonexistent/x.gguf"], 66, "no folder /nonexistent"),
        (vec![source, "-o", source], 64, "is a folder"),
        (vec![source, "-o", utf8(&file), "--ternarize", "absmean"], 64, "ternary already"),
    ] {
        let (code, why) = fails(&[&["convert"], args.as_slice()].concat());
        assert!(code == wanted && why.contains(part) && why.contains("hint: "), "{args:?}: {code} {why}");
    }
}

#[test]
fn groups_that_are_none_are_refused_where_they_stop() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut case = case("grouped qwen3");
    let file = dir.path().join("out.gguf");
    // Scales differ per 128 columns, so blocks of 256 do not hold them.
    case.write(&dir.path().join("a"), 1);
    let (code, why) = fails(&["convert", utf8(&dir.path().join("a")), "-o", utf8(&file), "--type", "tq2_0"]);
    assert!(code == 65 && why.contains("within 256 columns") && why.contains("q2_0"), "{code} {why}");
    assert!(!file.exists());
    // The first linear is ternary, a later one is not.
    let plain = golden().into_iter().find(|c| c.name == "plain qwen3").expect("there");
    let at = case.tensors.iter().position(|t| t.name.ends_with("1.mlp.down_proj.weight")).expect("there");
    case.tensors[at] = plain.tensors[at].clone();
    case.write(&dir.path().join("b"), 1);
    let (code, why) = fails(&["convert", utf8(&dir.path().join("b")), "-o", utf8(&file)]);
    assert!(code == 65 && why.contains("1.mlp.down_proj") && why.contains("absmean"), "{code} {why}");
    succeeds(&["convert", utf8(&dir.path().join("b")), "-o", utf8(&file), "--ternarize", "absmean"]);
}

#[test]
fn a_large_checkpoint_takes_little_memory() {
    // An embedding of half a gigabyte, in a file with holes; the linears are tiny.
    const ROWS: usize = 1 << 18;
    let dir = tempfile::tempdir().expect("a folder");
    let mut case = case("bitlinear");
    case.config["vocab_size"] = ROWS.into();
    case.config["tie_word_embeddings"] = true.into();
    case.tensors.pop();
    let source = dir.path().join("source");
    let embedding = case.tensors.remove(0);
    case.write(&source, 1);
    let small = source.join("model.safetensors");
    std::fs::rename(&small, source.join("a.safetensors")).expect("renamed");
    let header =
        json!({embedding.name.clone(): {"dtype": "F32", "shape": [ROWS, 256], "data_offsets": [0, ROWS * 256 * 4]}});
    let header = header.to_string();
    let large = File::create(source.join("b.safetensors")).expect("created");
    std::io::Write::write_all(&mut &large, &[&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat())
        .expect("written");
    large.set_len((8 + header.len() + ROWS * 256 * 4) as u64).expect("sized");
    let mut map = serde_json::Map::new();
    map.insert(embedding.name, "b.safetensors".into());
    case.tensors.iter().for_each(|t| drop(map.insert(t.name.clone(), "a.safetensors".into())));
    std::fs::write(source.join("model.safetensors.index.json"), json!({"weight_map": map}).to_string())
        .expect("written");

    let file = dir.path().join("out.gguf");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tercet"))
        .args(["convert", utf8(&source), "-o", utf8(&file)])
        .spawn()
        .expect("starts");
    // Not what wait4 says: until it runs a program of its own, a new process counts as large as this one.
    let mut peak = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kb = line.and_then(|l| l.trim().strip_suffix(" kB")).and_then(|n| n.trim().parse::<u64>().ok());
        peak = peak.max(kb.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(status.success() && peak > 0, "{status}, {peak}");
    println!("peak {peak} bytes for {} of checkpoint", ROWS * 1024);
    // The vocabulary of 262144 names is the most of it.
    assert!(peak < 200 << 20, "{peak}");
    assert!(file.metadata().expect("there").len() > (ROWS * 144) as u64);
}
