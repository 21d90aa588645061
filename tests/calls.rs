//! Tool calls of the default model, held to a grammar: whatever it is made to say, a call is one that can be made.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tercet::budget::Budget;
use tercet::llm::chat::Chat;
use tercet::llm::grammar::Grammar;
use tercet::llm::reply::{Reply, calls, parse_reply};
use tercet::llm::tokenizer::Specials;
use tercet::llm::{Engine, Finish, Options, Sampler, Sampling};
use tercet::schema::{Message, Role, ToolSchema};

/// A hundred times what it takes here, and 3 % of the fastest decoding that tercet knows of (about 0.7 ms a token).
const MOST_A_TOKEN: Duration = Duration::from_micros(20);

struct Case {
    messages: Vec<Message>,
    wanted: String,
    tools: Vec<ToolSchema>,
}

fn engine() -> Arc<Engine> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
    Engine::load(&path, &Options { threads: 2, ..Options::default() }, &Budget::unlimited()).expect("the model loads")
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tools_eval.jsonl");
    let text = std::fs::read_to_string(path).expect("the conversations read");
    let case = |line: &str| {
        let v: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let mut messages: Vec<Message> = serde_json::from_value(v["messages"].clone()).expect("messages");
        let at = messages.iter().position(|m| m.role == Role::Assistant).expect("an answer");
        let wanted = messages[at].content.clone();
        messages.truncate(at);
        let tools = ToolSchema::offered_by(&messages[0].content);
        Case { messages, wanted, tools }
    };
    text.lines().map(case).collect()
}

/// Every wanted answer may be written, token by token, and may end where it ends.
#[test]
fn every_wanted_call_is_in_its_grammar() {
    let engine = engine();
    let chat = Chat::from_gguf(engine.file(), engine.tokenizer()).expect("a template");
    let t = engine.tokenizer();
    let (mut took, mut tokens) = (Duration::ZERO, 0);
    for Case { wanted, tools, .. } in cases() {
        assert!(tools.len() >= 2, "the signatures were not read");
        let mut m = Grammar::new(&tools, chat.call_style()).expect("a grammar").expect("tools").matcher();
        let written = t.encode(&wanted, Specials::AsText).expect("it encodes");
        let began = Instant::now();
        for &token in &written {
            assert!(m.fits(t, token, t.stops()) && m.accept(t, token), "{wanted} in {tools:?}");
        }
        took += began.elapsed();
        tokens += written.len();
        assert!(m.may_end() && m.must_end() == calls(&wanted), "{wanted}");
        assert!(m.fits(t, t.eot().expect("a token that ends turns"), t.stops()));
    }
    // Decoding takes milliseconds a token.
    let each = took / tokens as u32;
    println!("the grammar took {each:?} a token over {tokens} tokens");
    assert!(each < MOST_A_TOKEN);
}

/// Sampled so hot that hardly anything it writes makes sense, and begun as a call: still one that can be made.
#[test]
fn hot_calls_can_be_made() {
    let engine = engine();
    let t = engine.tokenizer();
    let chat = Chat::from_gguf(engine.file(), t).expect("a template");
    let mut session = engine.session().expect("a session");
    let (mut complete, mut wild) = (0, 0);
    for (seed, case) in (0..).zip(cases().iter().filter(|c| c.wanted.starts_with('{')).step_by(12).take(14)) {
        let mut prompt = chat.render(t, &case.messages, true).expect("it renders");
        let start = t.encode("{\"", Specials::AsText).expect("it encodes");
        prompt.extend(&start);
        session.sync(&prompt, &|| false).expect("it fits");
        let sampling = Sampling { temperature: 3.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed, ..Sampling::default() };
        let mut turn = start.clone();
        let grammar = Grammar::new(&case.tools, chat.call_style()).expect("a grammar").expect("tools");
        let mut matcher = grammar.matcher();
        start.iter().for_each(|&s| assert!(matcher.accept(t, s)));
        let mut sampler = Sampler::new(sampling);
        let mut run = session.generate(&mut sampler, t.stops(), 250, &|| false).held_to(Some(matcher));
        turn.extend(run.by_ref().map(|t| t.expect("a token")));
        if !matches!(run.finish(), Some(Finish::Stop(_))) {
            // Cut off within a long string.
            continue;
        }
        let text = t.decode(&turn);
        let Reply::Call(call) = parse_reply(&text) else { panic!("not a call: {text}") };
        let tool = case.tools.iter().find(|t| t.name == call.name).unwrap_or_else(|| panic!("no such tool: {text}"));
        assert_eq!(tool.check(&call.parameters), Vec::<String>::new(), "{text}");
        complete += 1;
        wild += usize::from(Some(call) != wanted_call(&case.wanted));
    }
    println!("{complete} calls, {wild} of them not the wanted ones");
    assert!(complete >= 5 && wild >= 3, "too few to tell");
}

fn wanted_call(wanted: &str) -> Option<tercet::schema::ToolCall> {
    match parse_reply(wanted) {
        Reply::Call(call) => Some(call),
        _ => None,
    }
}
