//! What the session's parts cost and save on this machine, printed: `cargo bench --bench session`, or one of them,
//! `cargo bench --bench session -- first`. On the default model or on `TERCET_SPEED_MODEL`; figures of a busy machine say nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tercet::budget::Budget;
use tercet::llm::chat::Chat;
use tercet::llm::tokenizer::Specials;
use tercet::llm::{Counts, Engine, KvPrecision, Sampler, Sampling, Session, Settings, timing};
use tercet::schema::{Message, Role};
use tercet::store::PrefixCache;
use tercet::units::TokenId;

fn engine(options: Settings) -> Arc<Engine> {
    let path = std::env::var_os("TERCET_SPEED_MODEL").map(PathBuf::from);
    let path = path.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf"));
    Engine::load(&path, &Settings { threads: 2, ..options }.into(), &Budget::unlimited()).expect("the model loads")
}

fn go() -> bool {
    false
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn text(engine: &Engine, of: &str) -> Vec<TokenId> {
    engine.tokenizer().encode(of, Specials::AsText).expect("it encodes")
}

/// Conversations as prompts, and texts that repeat themselves.
fn prompts(engine: &Engine) -> Vec<(&'static str, Vec<TokenId>)> {
    let chat = Chat::from_gguf(engine.file(), engine.tokenizer()).expect("a template");
    let ask = |q: &str| {
        let system = "You are a friendly voice assistant. Reply briefly, as if speaking aloud.";
        let messages = [Message::new(Role::System, system), Message::new(Role::User, q)];
        chat.render(engine.tokenizer(), &messages, true).expect("it renders")
    };
    let list = "Red, green, blue, black and white. Up, down, left and right. ".repeat(4);
    let prose = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/prose.txt"));
    let prose: String = prose.expect("the text reads").chars().take(1500).collect();
    vec![
        ("question", ask("Tell me about the sea and the ships on it.")),
        ("story", ask("Please tell me a long story about a farmer and his dog.")),
        ("prose", text(engine, &prose)),
        ("repetition", text(engine, &list)),
        ("say after me", ask(&format!("Repeat after me: {}", &prose[..400]))),
    ]
}

/// Time of generating `n` tokens after `prompt`, without reading it.
fn generate(session: &mut Session, prompt: &[TokenId], n: usize, temperature: f32) -> (Duration, Vec<TokenId>) {
    session.sync(prompt, &go).expect("it fits");
    let mut sampler = Sampler::new(Sampling { temperature, ..Sampling::default() });
    let began = Instant::now();
    let said = session.generate(&mut sampler, &[], n, &go).map(|t| t.expect("a token")).collect();
    (began.elapsed(), said)
}

fn speculation() {
    let plain = engine(Settings { speculation: false, context_tokens: 768, ..Settings::default() });
    let ahead = engine(Settings { speculation: true, context_tokens: 768, ..Settings::default() });
    // A large model takes its time.
    let large = plain.hyper().width > 2000;
    let (tokens, runs) = if large { (48, 2) } else { (160, 10) };
    // The hotter, the less it repeats itself: the last is what drafting must not slow down.
    let all = prompts(&plain).into_iter().map(|(name, prompt)| (name, prompt, 0.0));
    let hot = prompts(&plain)
        .into_iter()
        .take(3)
        .flat_map(|(name, prompt)| [(name, prompt.clone(), 0.7), (name, prompt, 1.2)]);
    for (name, prompt, temperature) in all.chain(hot) {
        if large && prompt.len() > 150 {
            continue;
        }
        // Sessions that know nothing yet, and one that has learnt whether it pays.
        let mut learnt = ahead.session().expect("a session");
        let (mut first, mut later) = (Vec::new(), Vec::new());
        let mut counts = Counts::default();
        let mut without = plain.session().expect("a session");
        for i in 0..runs {
            // In turns, each first as often as the other, so that what else the machine does hits both.
            let mut fresh = ahead.session().expect("a session");
            let one = |session| generate(session, &prompt, tokens, temperature);
            let ((with, same), (plain, said)) = match i % 2 {
                0 => (one(&mut fresh), one(&mut without)),
                _ => {
                    let plain = one(&mut without);
                    (one(&mut fresh), plain)
                }
            };
            let (then, again) = one(&mut learnt);
            assert!(said == same && said == again, "{name}: speculation changed what was said");
            counts = fresh.draft_counts();
            first.push(plain.as_secs_f64() / with.as_secs_f64());
            later.push(plain.as_secs_f64() / then.as_secs_f64());
        }
        let (first, later) = (median(first), median(later));
        println!(
            "{name}, temperature {temperature}: fresh {first:.3} × plain ({counts:?}), learnt {later:.3} ({:?})",
            learnt.draft_counts()
        );
    }
}

fn kv_precisions() {
    let mut f16 = engine(Settings::default()).session().expect("a session");
    let mut int8 =
        engine(Settings { kv_precision: KvPrecision::Int8, ..Settings::default() }).session().expect("a session");
    for depth in [0, 900] {
        let once = |s: &mut Session| timing::decode(s, depth, 48).expect("it fits").tokens_per_second();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            a.push(once(&mut f16));
            b.push(once(&mut int8));
        }
        println!("decode at depth {depth}: f16 {:.1}, int8 {:.1} tokens/s", median(a), median(b));
    }
}

fn first_token() {
    let e = engine(Settings::default());
    let mut s = e.session().expect("a session");
    let prose = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/prose.txt"));
    let tokens = text(&e, &prose.expect("the text reads"))[..300].to_vec();
    let first = |s: &mut Session| {
        let mut sampler = Sampler::greedy();
        let began = Instant::now();
        let kept = s.sync(&tokens, &go).expect("it fits");
        let next = s.generate(&mut sampler, &[], 1, &go).next().expect("a token");
        next.expect("a token");
        (kept, began.elapsed().as_secs_f64() * 1e3)
    };
    let mut cached = Vec::new();
    for _ in 0..9 {
        s.sync(&tokens[..270], &go).expect("it fits");
        let (kept, ms) = first(&mut s);
        assert_eq!(kept, 270);
        cached.push(ms);
    }
    println!("first token of 300 tokens with 270 cached: {:.1} ms (median of 9: {cached:.1?})", median(cached.clone()));

    // As after a start of the daemon: a fresh engine and session, the first 270 tokens from the disk.
    let dir = tempfile::tempdir().expect("a folder");
    let cache = PrefixCache::new(dir.path());
    s.sync(&tokens[..270], &go).expect("it fits");
    s.pin(270).expect("there");
    let id = s.prefix_id(&tokens[..270]).expect("the model is there");
    cache.keep(&id, |to| s.save_prefix(to)).expect("kept");
    let (mut restore, mut turn, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut s = engine(Settings::default()).session().expect("a session");
        let began = Instant::now();
        let mut file = cache.open(&id).expect("opens").expect("there");
        assert!(s.load_prefix(&tokens[..270], &mut file).expect("no trouble"));
        restore.push(began.elapsed().as_secs_f64() * 1e3);
        turn.push(first(&mut s).1);
        s.truncate(270).expect("in range");
        second.push(first(&mut s).1);
    }
    let (restore, turn, second) = (median(restore), median(turn), median(second));
    println!("restored in {restore:.1} ms; first turn after a start {turn:.1} ms, second {second:.1} ms");
}

fn main() {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let all: [(&str, fn()); 3] =
        [("speculation", speculation), ("kv_precisions", kv_precisions), ("first_token", first_token)];
    for (name, run) in all {
        if asked.is_empty() || asked.iter().any(|a| name.contains(a.as_str())) {
            println!("{name}:");
            run();
        }
    }
}
