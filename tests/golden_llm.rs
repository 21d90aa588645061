//! The engine beside llama.cpp on the default model: same text, same next token.
//!
//! Both round activations to int8 before every linear, llama.cpp per 256 columns and tercet per token (the contract the
//! model was trained with). One rounding that falls the other way changes all that follows it, so near-ties are decided by
//! chance: llama.cpp itself, computing a text token by token, chooses another best token than when it computes the text
//! at once at 2 % of the positions of plain prose. The measure is therefore taken where the model speaks: in the
//! assistant's turns. On prose every difference must be a near-tie.
//! Every difference is printed with how far apart llama.cpp saw the two tokens.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tercet::budget::Budget;
use tercet::llm::chat::Chat;
use tercet::llm::{BackendKind, Engine, Sampler, Session, Settings};
use tercet::schema::Message;
use tercet::units::TokenId;

/// Share of an assistant's tokens where the best must be llama.cpp's.
const TOP1: f64 = 0.99;
/// How much less than with itself llama.cpp may agree with tercet in conversation.
const NOISE: f64 = 0.01;
/// Share on prose, where the model is unsure of most words: activations quantized per 256 and per token differ by more
/// than llama.cpp's two ways do (98 %), and every difference must still be a near-tie.
const PROSE: f64 = 0.95;
/// Furthest that llama.cpp may see its best token above ours, in logits; its own two ways differ by up to 0.7.
const NEAR_TIE: f32 = 0.8;
/// Best tokens that the file holds for each position.
const TOP: usize = 3;
/// Mean Kullback–Leibler divergence of tercet's distributions from llama.cpp's, in conversation.
const MEAN_KL: f64 = 1e-3;
/// Best tokens of each distribution in `distributions.bin`.
const SHOWN: usize = 16;

/// Text with llama.cpp's best next tokens.
#[derive(Deserialize)]
struct Forced {
    /// `prose` or `conversation`.
    text: String,
    tokens: Vec<u32>,
    /// Positions compared, ascending.
    at: Vec<usize>,
    /// The best tokens after each, [`TOP`] a position, with their logits.
    top: Vec<u32>,
    logits: Vec<f32>,
    /// The best when llama.cpp computes token by token.
    again: Vec<u32>,
}

/// A prompt with llama.cpp's greedy reply.
#[derive(Deserialize)]
struct Greedy {
    messages: Vec<Message>,
    prompt: Vec<u32>,
    reply: Vec<u32>,
    best: Vec<Vec<(u32, f32)>>,
}

/// How often the best tokens were the same.
#[derive(Default)]
struct Tally {
    compared: usize,
    same: usize,
    /// llama.cpp's two ways.
    same_as_itself: usize,
    widest: f32,
}

impl Tally {
    fn share(&self) -> f64 {
        self.same as f64 / self.compared as f64
    }

    fn of_itself(&self) -> f64 {
        self.same_as_itself as f64 / self.compared as f64
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} of {} best tokens are llama.cpp's, {:.2} % (with itself: {:.2} %); widest gap {:.2}",
            self.same,
            self.compared,
            100.0 * self.share(),
            100.0 * self.of_itself(),
            self.widest
        );
    }
}

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
    let options = Settings { backend, threads: 2, ..Settings::default() };
    Engine::load(&path("models/pocket.gguf"), &options.into(), &Budget::unlimited()).expect("the default model loads")
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len() as u32).max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).expect("logits")
}

/// Compares the best next token at the first `limit` of a text's positions.
fn compare(session: &mut Session, row: &Forced, limit: usize, tally: &mut Tally) {
    session.truncate(0).expect("nothing is pinned");
    let tokens: Vec<TokenId> = row.tokens.iter().map(|&t| TokenId(t)).collect();
    for (i, &at) in row.at.iter().enumerate().take(limit) {
        // Everything between two positions at once, as a prompt is read; within a turn, token by token.
        session.append(&tokens[session.position()..=at], &|| false).expect("it fits");
        let ours = best(session.logits());
        let top = &row.top[i * TOP..(i + 1) * TOP];
        tally.compared += 1;
        tally.same_as_itself += usize::from(row.again[i] == top[0]);
        if ours == top[0] {
            tally.same += 1;
            continue;
        }
        let other_way = session.logits()[ours as usize] - session.logits()[top[0] as usize];
        let gap =
            report(session, &format!("{} position {at}", row.text), ours, top, &row.logits[i * TOP..(i + 1) * TOP]);
        println!("    (tercet sees {other_way:.2} the other way)");
        tally.widest = tally.widest.max(gap);
    }
}

/// Prints a difference; returns how far llama.cpp saw its token above ours, or at least how far.
fn report(session: &Session, at: &str, ours: u32, top: &[u32], logits: &[f32]) -> f32 {
    let text = |t: u32| String::from_utf8_lossy(session.engine().tokenizer().bytes_of(TokenId(t))).into_owned();
    let found = top.iter().position(|&t| t == ours);
    let gap = logits[0] - logits[found.unwrap_or(top.len() - 1)];
    let more = if found.is_none() { "more than " } else { "" };
    println!("  {at}: llama.cpp {:?}, tercet {:?}; gap {more}{gap:.2}", text(top[0]), text(ours));
    gap
}

#[test]
fn next_tokens_are_llama_cpps() {
    let mut session = engine(BackendKind::Cpu).session().expect("a session");
    let rows = golden::<Forced>("logits.json");
    let mut tally = |kind: &str| {
        let mut t = Tally::default();
        rows.iter().filter(|r| r.text == kind).for_each(|r| compare(&mut session, r, usize::MAX, &mut t));
        t
    };
    let (prose, conversation) = (tally("prose"), tally("conversation"));
    prose.print("prose");
    conversation.print("conversation");
    assert!(conversation.compared >= 2000 && prose.compared >= 900);
    assert!(conversation.share() >= TOP1);
    assert!(conversation.share() >= conversation.of_itself() - NOISE && prose.share() >= PROSE);
    assert!(prose.widest <= NEAR_TIE && conversation.widest <= NEAR_TIE, "not a near-tie");
}

/// `distributions.bin`: for each position of `logits.json` the best tokens' log-probabilities.
fn distributions() -> Vec<Vec<(usize, f64)>> {
    const BYTES: usize = SHOWN * (2 + 4) + 4;
    let bytes = std::fs::read(path("tests/data/golden/distributions.bin")).expect("the golden file reads");
    let float = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let one = |row: &[u8]| {
        let (ids, rest) = row.split_at(2 * SHOWN);
        let whole = float(&rest[4 * SHOWN..]);
        let ids = ids.chunks_exact(2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
        ids.zip(rest.chunks_exact(4)).map(|(id, logit)| (id, float(logit) - whole)).collect()
    };
    bytes.chunks_exact(BYTES).map(one).collect()
}

/// Divergence of the distribution of `logits` from `best` (log-probabilities); all tokens that `best` does not name
/// count as one.
fn divergence(best: &[(usize, f64)], logits: &[f32]) -> f64 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    let whole = logits.iter().map(|&v| f64::from(v - max).exp()).sum::<f64>().ln() + f64::from(max);
    let (mut kl, mut p_rest, mut q_rest) = (0.0, 1.0, 1.0);
    for &(id, ln_p) in best {
        let ln_q = f64::from(logits[id]) - whole;
        kl += ln_p.exp() * (ln_p - ln_q);
        p_rest -= ln_p.exp();
        q_rest -= ln_q.exp();
    }
    if p_rest > 1e-9 && q_rest > 1e-9 { kl + p_rest * (p_rest / q_rest).ln() } else { kl }
}

#[test]
fn distributions_are_llama_cpps() {
    let mut session = engine(BackendKind::Cpu).session().expect("a session");
    let mut wanted = distributions().into_iter();
    let mut measured = std::collections::BTreeMap::<String, Vec<f64>>::new();
    for row in golden::<Forced>("logits.json") {
        session.truncate(0).expect("nothing is pinned");
        let tokens: Vec<TokenId> = row.tokens.iter().map(|&t| TokenId(t)).collect();
        for &at in &row.at {
            session.append(&tokens[session.position()..=at], &|| false).expect("it fits");
            let best = wanted.next().expect("a distribution for each position");
            measured.entry(row.text.clone()).or_default().push(divergence(&best, session.logits()));
        }
    }
    assert!(wanted.next().is_none(), "the files do not belong together");
    for (kind, kl) in &mut measured {
        kl.sort_unstable_by(f64::total_cmp);
        let mean = kl.iter().sum::<f64>() / kl.len() as f64;
        let (half, most) = (kl[kl.len() / 2], kl[kl.len() * 99 / 100]);
        println!("{kind}: {} positions, mean KL {mean:.2e}, median {half:.2e}, 99th percentile {most:.2e}", kl.len());
    }
    let talk = &measured["conversation"];
    assert!(talk.len() >= 2000 && talk.iter().sum::<f64>() / (talk.len() as f64) < MEAN_KL);
}

#[test]
fn the_reference_agrees_too() {
    let mut session = engine(BackendKind::Reference).session().expect("a session");
    let mut tally = Tally::default();
    // A plain implementation takes its time: the shortest conversation.
    let rows = golden::<Forced>("logits.json");
    let shortest = rows.iter().filter(|r| r.text == "conversation").min_by_key(|r| r.tokens.len()).expect("one");
    compare(&mut session, shortest, 40, &mut tally);
    tally.print("reference");
    assert!(tally.compared >= 20 && tally.share() >= TOP1 - NOISE && tally.widest <= NEAR_TIE);
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
        let gap = report(&session, &format!("{question:?}, token {i}"), ours[i], &top, &logits);
        assert!(gap <= NEAR_TIE, "{question:?}: not a near-tie");
    }
    println!("greedy replies the same as llama.cpp's: {same} of {}", rows.len());
    assert!(same * 4 >= rows.len() * 3, "{same} of {}", rows.len());
}
