//! What the prompt holds, and what goes first where it does not fit.

use super::*;
use crate::dialog::json::compact_json;
use crate::schema::ToolCall;
use proptest::prelude::*;

fn turn(n: usize, words: usize) -> Vec<Message> {
    vec![
        Message::new(Role::User, format!("question {n} {}", "x ".repeat(words))),
        Message::new(Role::Assistant, format!("answer {n}")),
    ]
}

/// A word a token and three for each message's frame.
fn count(messages: &[Message]) -> usize {
    messages.iter().map(|m| 3 + m.content.split_whitespace().count()).sum()
}

fn context() -> Context {
    let tools = [ToolSchema { name: "stop".into(), description: String::new(), params: vec![] }];
    Context::new(&Settings { reply_tokens: 20, ..Settings::default() }, &tools)
}

#[test]
fn the_prompt_is_what_the_model_was_trained_on() {
    let c = context();
    assert_eq!(
        c.system().content,
        "You are a friendly voice assistant. Reply briefly, as if speaking aloud.\nTools:\nstop()"
    );
    let call: ToolCall = serde_json::from_str(
        r#"{"name":"set_timer","parameters":{"duration":"10 minutes","label":"pasta","n":[1,2]}}"#,
    )
    .expect("a call");
    assert_eq!(
        compact_json(&call),
        r#"{"name": "set_timer", "parameters": {"duration": "10 minutes", "label": "pasta", "n": [1, 2]}}"#
    );
}

#[test]
fn the_oldest_turns_go_first_and_the_pinned_block_never() {
    let mut c = context();
    for n in 0..10 {
        c.remember(Duration::ZERO, turn(n, 10));
    }
    let exchange = [Message::new(Role::User, "and now?")];
    let prompt = c.prompt(Duration::ZERO, &exchange, 120, count).expect("fits");
    assert!(count(&prompt) <= 100);
    assert_eq!(prompt.first(), Some(c.system()));
    assert_eq!(prompt.last(), exchange.last());
    // Three would fit; two leave room for the next ones.
    assert!(prompt[1].content.starts_with("question 8"), "{prompt:?}");
    assert_eq!(c.turns(), 2);
    c.remember(Duration::ZERO, turn(10, 10));
    assert_eq!(c.prompt(Duration::ZERO, &exchange, 120, count).expect("fits")[1].content, prompt[1].content);
    let e = c.prompt(Duration::ZERO, &exchange, 30, count).expect_err("does not fit");
    assert_eq!(e.kind(), Kind::Unsupported);
}

#[test]
fn it_forgets() {
    let mut c = context();
    c.remember(Duration::from_secs(10), turn(1, 1));
    c.forget_if_idle(Duration::from_secs(600));
    assert_eq!(c.turns(), 1);
    c.forget_if_idle(Duration::from_secs(610));
    assert_eq!(c.turns(), 0);
    let mut never = Context::new(&Settings { forget_after_min: 0, ..Settings::default() }, &[]);
    never.remember(Duration::from_secs(1), turn(1, 1));
    let p = never.prompt(Duration::from_secs(1), &turn(2, 1), 1000, count).expect("fits");
    assert_eq!(p.len(), 3);
}

/// A turn with a call whose result has so many words.
fn called(words: usize) -> Vec<Message> {
    let output = (1..=words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    vec![
        Message::new(Role::User, "Read me the log."),
        Message::new(Role::Assistant, r#"{"name": "read_log", "parameters": {}}"#),
        Message::new(Role::Tool, compact_json(&serde_json::json!({ "ok": true, "output": output }))),
    ]
}

#[test]
fn a_long_result_is_cut_to_what_is_left() {
    let mut c = context();
    let whole = called(300);
    let prompt = c.prompt(Duration::ZERO, &whole, 200, count).expect("the result is cut");
    let used = count(&prompt);
    assert!((100..=135).contains(&used), "{used}: three quarters of 180");
    assert_eq!(prompt[..3], [&[c.system().clone()], &whole[..2]].concat()[..]);
    let text = &prompt[3].content;
    assert!(text.starts_with(r#"{"ok": true, "output": "w1 w2 w3"#) && text.ends_with(r#"w299 w300"}"#), "{text}");
    assert!(text.contains("characters cut …]"), "{text}");

    // One that fits is whole.
    assert_eq!(c.prompt(Duration::ZERO, &called(100), 200, count).expect("fits")[1..], called(100));

    // Every call that a turn may make finds room, however much the ones before it printed.
    let mut exchange = whole.clone();
    for _ in 0..3 {
        exchange.extend_from_slice(&whole[1..]);
    }
    let prompt = c.prompt(Duration::ZERO, &exchange, 200, count).expect("all of them are cut");
    assert!(prompt.iter().filter(|m| m.content.contains("characters cut …]")).count() == 4, "{prompt:?}");
    assert!(count(&prompt) <= 180);
}

#[test]
fn a_long_result_does_not_cost_the_memory_of_its_turn() {
    let mut c = context();
    let mut first = called(300);
    first.push(Message::new(Role::Assistant, "It is long."));
    c.remember(Duration::ZERO, first.clone());
    let exchange = [Message::new(Role::User, "And what was the last line?")];
    let prompt = c.prompt(Duration::ZERO, &exchange, 200, count).expect("fits");
    assert_eq!((prompt.len(), &prompt[1], &prompt[4]), (6, &first[0], &first[3]));
    assert!(prompt[3].content.contains("characters cut …]") && prompt[3].content.contains("w300"), "{prompt:?}");
    // It stays what the model has seen: what follows need not be computed again.
    let again = c.prompt(Duration::ZERO, &exchange, 200, count).expect("fits");
    assert_eq!(again, prompt);

    // A new result is worth more than an old turn.
    let prompt = c.prompt(Duration::ZERO, &called(300), 200, count).expect("fits");
    assert!(prompt[prompt.len() - 1].content.chars().count() >= RESULT_MIN, "{prompt:?}");
}

#[test]
fn what_the_user_says_is_never_cut() {
    let mut c = context();
    let mut exchange = called(300);
    exchange[0].content = "long ".repeat(170);
    let e = c.prompt(Duration::ZERO, &exchange, 200, count).expect_err("the request itself is too long");
    assert_eq!(e.kind(), Kind::Unsupported);
}

proptest! {
    #[test]
    fn prompts_fit_whatever_is_remembered(
        turns in prop::collection::vec(0usize..60, 0..100),
        asked in 0usize..40,
        results in prop::collection::vec(0usize..400, 0..4),
        window in 60usize..400,
    ) {
        let mut c = context();
        for (n, words) in turns.iter().enumerate() {
            c.remember(Duration::ZERO, turn(n, *words));
        }
        prop_assert!(c.turns() <= TURNS_MAX);
        let mut exchange = vec![Message::new(Role::User, "x ".repeat(asked))];
        results.iter().for_each(|words| exchange.extend_from_slice(&called(*words)[1..]));
        let least = [&[c.system().clone()], &excerpt::shortened(&exchange, 0)[..]].concat();
        match c.prompt(Duration::ZERO, &exchange, window, count) {
            Ok(p) => {
                prop_assert!(count(&p) + 20 <= window);
                prop_assert_eq!(p.first(), Some(c.system()));
                prop_assert_eq!(p.iter().rev().find(|m| m.role == Role::User), exchange.first());
            }
            Err(_) => prop_assert!(count(&least) + 20 > window),
        }
    }
}
