//! Keys and values in int8 beside fp16, on the default model: what they cost in quality, and what they save.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tercet::budget::Budget;
use tercet::llm::tokenizer::Specials;
use tercet::llm::{BackendKind, Engine, KvPrecision, Options, Settings, estimate};

/// Most that int8 may add to perplexity, or take from it: a bug in scales or layout costs far more.
const TOLERANCE: f64 = 0.005;

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

fn options(kv_precision: KvPrecision) -> Options {
    Settings { backend: BackendKind::Cpu, threads: 2, kv_precision, ..Settings::default() }.into()
}

/// Perplexity of a text that is kept with the goldens, in one window.
fn perplexity(engine: &Arc<Engine>) -> f64 {
    let text = std::fs::read_to_string(path("tests/golden/prose.txt")).expect("the text reads");
    let t = engine.tokenizer();
    let mut tokens: Vec<_> = t.bos().into_iter().collect();
    tokens.extend(t.encode(&text, Specials::AsText).expect("it encodes"));
    tokens.truncate(engine.context());
    assert!(tokens.len() > 900, "{} tokens are too few to judge by", tokens.len());
    let mut nll = 0.0;
    let mut session = engine.session().expect("a session");
    let mut each = |i: usize, logits: &[f32]| {
        let Some(next) = tokens.get(i + 1) else { return };
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
        nll += sum.ln() - f64::from(logits[next.0 as usize] - max);
    };
    session.append_each(&tokens, &|| false, &mut each).expect("it fits");
    (nll / (tokens.len() - 1) as f64).exp()
}

#[test]
fn int8_keys_and_values_cost_no_perplexity() {
    let of = |precision| {
        let engine = Engine::load(&path("models/pocket.gguf"), &options(precision), &Budget::unlimited());
        perplexity(&engine.expect("the default model loads"))
    };
    let (f16, int8) = (of(KvPrecision::F16), of(KvPrecision::Int8));
    println!("perplexity with f16 {f16:.3}, with int8 {int8:.3}: {:+.3} %", 100.0 * (int8 / f16 - 1.0));
    assert!((int8 / f16 - 1.0).abs() < TOLERANCE);
    assert_ne!(int8, f16, "int8 was not used");
}

#[test]
fn int8_halves_what_the_plan_counts() {
    let of = |precision| estimate(&path("models/pocket.gguf"), &options(precision)).expect("an estimate").kv;
    let (f16, int8) = (of(KvPrecision::F16), of(KvPrecision::Int8));
    // 64 bytes and a scale of 4 in place of 128.
    let ratio = int8.0 as f64 / f16.0 as f64;
    assert!((0.53..0.54).contains(&ratio), "{int8} beside {f16}");
}
