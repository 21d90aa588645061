//! Converted files as llama.cpp reads them.
//!
//! `tests/data/golden/converted.{json,bin}` are made by `tests/golden/converted_from_llama_cpp.py`: the sha256 of each file
//! that was given to llama.cpp, and the logits it computed. A file that is no longer the same byte for byte was not shown
//! to llama.cpp: the golden has to be made again.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tercet::llm::BackendKind;

use super::checkpoint::{Case, golden, logits};
use super::{repository, succeeds, utf8};

/// Correlation of a row of logits with llama.cpp's. It quantizes activations per 32 or 256 columns, tercet per token (as
/// transformers does): at worst 0.9990 was seen.
const CORRELATION: f64 = 0.999;
/// Positions, of a file's 12, at which the best token must be the same. Of random weights the best two are often close.
const SAME_BEST: usize = 10;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

/// One file: its logits stand in `converted.bin` in the order of the rows, fp16, position by position.
#[derive(Deserialize)]
struct Row {
    file: String,
    sha256: String,
    tokens: Vec<u32>,
}

/// Types that llama.cpp reads. (Its Q2_0 has blocks of 64 weights.)
fn types(case: &Case) -> &'static [&'static str] {
    if case.grouped() { &case.types()[..1] } else { case.types() }
}

/// Every checkpoint of the golden in every type, as files in `folder`.
fn convert_all(folder: &Path) -> Vec<(PathBuf, Vec<u32>)> {
    let mut files = Vec::new();
    for case in golden() {
        let source = folder.join(case.name.replace(' ', "-"));
        case.write(&source, 1);
        for ty in types(&case) {
            let file = source.with_extension(format!("{ty}.gguf"));
            let mut args = vec!["convert", utf8(&source), "-o", utf8(&file), "--type", ty];
            if !case.grouped() {
                args.extend(["--embeddings", "f16"]);
            }
            succeeds(&args);
            files.push((file, case.tokens.clone()));
        }
    }
    files
}

#[test]
#[ignore = "writes the files that tests/golden/converted_from_llama_cpp.py shows to llama.cpp"]
fn write_files_for_llama_cpp() {
    let folder = repository("target/converted");
    std::fs::create_dir_all(&folder).expect("a folder");
    let rows: Vec<_> = convert_all(&folder)
        .into_iter()
        .map(|(file, tokens)| serde_json::json!({ "file": file.file_name().map(|n| n.to_string_lossy()), "tokens": tokens }))
        .collect();
    std::fs::write(folder.join("files.json"), serde_json::Value::from(rows).to_string()).expect("written");
}

#[test]
fn converted_files_compute_in_llama_cpp_what_they_compute_here() {
    let text = std::fs::read_to_string(repository("tests/data/golden/converted.json")).expect("the golden reads");
    let golden: Golden = serde_json::from_str(&text).expect("the golden parses");
    let numbers = std::fs::read(repository("tests/data/golden/converted.bin")).expect("the golden reads");
    let mut theirs = numbers.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f64());
    let dir = tempfile::tempdir().expect("a folder");
    let files = convert_all(dir.path());
    assert_eq!(files.len(), golden.rows.len(), "a checkpoint or a type was not shown to llama.cpp");
    for ((file, tokens), row) in files.iter().zip(&golden.rows) {
        let name = file.file_name().expect("a name").to_string_lossy();
        assert_eq!((&*name, tokens), (row.file.as_str(), &row.tokens));
        let sha = Sha256::digest(std::fs::read(file).expect("it reads"));
        let sha: String = sha.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(sha, row.sha256, "{name} is not the file that llama.cpp was shown: make the golden again");
        let ours = logits(file, BackendKind::Cpu, tokens);
        let (mut worst, mut same) = (1f64, 0);
        for ours in &ours {
            let theirs: Vec<f64> = theirs.by_ref().take(ours.len()).collect();
            assert_eq!(theirs.len(), ours.len(), "{name}: the golden is short");
            let ours: Vec<f64> = ours.iter().map(|&v| v.into()).collect();
            worst = worst.min(correlation(&ours, &theirs));
            same += usize::from(best(&ours) == best(&theirs));
        }
        println!("{name}: correlation {worst:.5} or more, best token the same at {same} of {}", ours.len());
        assert!(worst >= CORRELATION && same >= SAME_BEST, "{name}");
    }
    assert_eq!(theirs.next(), None, "the golden is long");
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (am, bm) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        ab += (a - am) * (b - bm);
        aa += (a - am).powi(2);
        bb += (b - bm).powi(2);
    }
    ab / (aa * bb).sqrt()
}

fn best(x: &[f64]) -> Option<usize> {
    (0..x.len()).max_by(|&i, &j| x[i].total_cmp(&x[j]))
}
