//! The engine beside llama.cpp on the default model: same text, same next token.
//!
//! llama.cpp quantizes activations per 256 columns, tercet per token (the contract the model was trained with), so logits
//! differ a little and near-ties may fall either way. Every difference is printed with how far apart llama.cpp saw the
//! two tokens, and may only be such a near-tie.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tercet::budget::Budget;
use tercet::llm::chat::Chat;
use tercet::llm::{BackendKind, Engine, Options, Sampler, Session};
use tercet::schema::Message;
use tercet::units::TokenId;

/// Share of positions where the best next token must be llama.cpp's.
const TOP1: f64 = 0.99;
/// Furthest that llama.cpp may see its best token above ours, in logits.
const NEAR_TIE: f32 = 0.6;

/// Text with llama.cpp's best next tokens.
#[derive(Deserialize)]
struct Forced {
    tokens: Vec<u32>,
    /// The best after each token, `TOP` a position.
    top: Vec<u32>,
    logits: Vec<f32>,
}

/// A prompt with llama.cpp's greedy reply.
#[derive(Deserialize)]
struct Greedy {
    messages: Vec<Message>,
    prompt: Vec<u32>,
    reply: Vec<u32>,
    best: Vec<Vec<(u32, f32)>>,
}

const TOP: usize = 4;

fn path(of: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(of)
}

fn golden<T: DeserializeOwned>(name: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct File<T> {
        rows: Vec<T>,
    }
    let text = std::fs::read_to_string(path("tests/data/golden").join(name)).expect("the golden file reads");
    serde_json::from_str::<File<T>>(&text).expect("the golden file parses").rows
}

fn engine(backend: BackendKind) -> Arc<Engine> {
    let options = Options { backend, threads: 2, ..Options::default() };
    Engine::load(&path("models/pocket.gguf"), &options, &Budget::unlimited()).expect("the default model loads")
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len() as u32).max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).expect("logits")
}

/// Compares the best next token after each of at most `limit` tokens; returns how many were compared and how many agree.
fn compare(session: &mut Session, row: &Forced, limit: usize) -> (usize, usize) {
    session.truncate(0).expect("nothing is pinned");
    let mut agree = 0;
    let n = row.tokens.len().min(limit);
    for (i, &token) in row.tokens[..n].iter().enumerate() {
        session.append(&[TokenId(token)], &|| false).expect("it fits");
        let ours = best(session.logits());
        let theirs = &row.top[i * TOP..(i + 1) * TOP];
        if ours == theirs[0] {
            agree += 1;
            continue;
        }
        let logits = &row.logits[i * TOP..(i + 1) * TOP];
        let own_gap = session.logits()[ours as usize] - session.logits()[theirs[0] as usize];
        let gap = report(session, &format!("position {i}"), theirs[0], ours, theirs, logits);
        println!("    (tercet sees {own_gap:.3} the other way)");
        assert!(gap <= NEAR_TIE, "position {i}: not a near-tie");
    }
    (n, agree)
}

/// Prints a difference; returns how far llama.cpp saw its token above ours.
fn report(session: &Session, at: &str, theirs: u32, ours: u32, top: &[u32], logits: &[f32]) -> f32 {
    let text = |t: u32| String::from_utf8_lossy(session.engine().tokenizer().bytes_of(TokenId(t))).into_owned();
    // Not among its best: further away than the last of those.
    let at_ours = top.iter().position(|&t| t == ours);
    let gap = logits[0] - at_ours.map_or(logits[top.len() - 1], |i| logits[i]);
    let more = if at_ours.is_none() { "more than " } else { "" };
    println!("  {at}: llama.cpp {:?}, tercet {:?}; gap {more}{gap:.3}", text(theirs), text(ours));
    if at_ours.is_none() { f32::INFINITY } else { gap }
}

#[test]
fn next_tokens_are_llama_cpps() {
    let mut session = engine(BackendKind::Cpu).session().expect("a session");
    let (mut compared, mut agree) = (0, 0);
    for row in golden::<Forced>("logits.json") {
        let (n, a) = compare(&mut session, &row, usize::MAX);
        compared += n;
        agree += a;
    }
    let share = agree as f64 / compared as f64;
    println!("top-1 agreement with llama.cpp: {agree} of {compared}, {:.2} %", 100.0 * share);
    assert!(compared >= 2000);
    assert!(share >= TOP1, "{:.2} %", 100.0 * share);
}

#[test]
fn the_reference_agrees_too() {
    let mut session = engine(BackendKind::Reference).session().expect("a session");
    // A plain implementation takes its time: the head of each text.
    let (mut compared, mut agree) = (0, 0);
    for row in golden::<Forced>("logits.json").iter().take(3) {
        let (n, a) = compare(&mut session, row, 40);
        compared += n;
        agree += a;
    }
    println!("top-1 agreement of the reference with llama.cpp: {agree} of {compared}");
    assert!(agree as f64 >= TOP1 * compared as f64);
}

#[test]
fn replies_are_llama_cpps_up_to_a_near_tie() {
    let engine = engine(BackendKind::Cpu);
    let chat = Chat::from_gguf(engine.file(), engine.tokenizer()).expect("the template compiles");
    let mut session = engine.session().expect("a session");
    let rows = golden::<Greedy>("greedy.json");
    let mut same = 0;
    for row in &rows {
        let prompt = chat.render(engine.tokenizer(), &row.messages, true).expect("renders");
        assert_eq!(prompt, row.prompt.iter().map(|&t| TokenId(t)).collect::<Vec<_>>(), "the prompt is the same");
        session.sync(&prompt, &|| false).expect("it fits");
        // Its end-of-turn token is part of llama.cpp's reply, so nothing stops generation here.
        let ours: Vec<u32> = session
            .generate(&mut Sampler::greedy(), &[], row.reply.len(), &|| false)
            .map(|t| t.expect("generates").0)
            .collect();
        let Some(i) = (0..ours.len()).find(|&i| ours[i] != row.reply[i]) else {
            same += 1;
            continue;
        };
        let question = &row.messages.last().expect("a question").content;
        let (top, logits): (Vec<u32>, Vec<f32>) = row.best[i].iter().copied().unzip();
        let gap = report(&session, &format!("{question:?}, token {i}"), row.reply[i], ours[i], &top, &logits);
        assert!(gap <= NEAR_TIE, "{question:?}: not a near-tie");
    }
    println!("greedy replies the same as llama.cpp's: {same} of {}", rows.len());
    assert!(same * 4 >= rows.len() * 3, "{same} of {}", rows.len());
}
