//! Templates found in the wild: a conversation renders here as it does in transformers.

use minijinja::{Value, context};
use serde_json::Value as Json;

use super::super::*;
use crate::llm::tokenizer::tests::pocket;

fn chat(template: &str) -> Result<Chat> {
    Chat::new(Some(template), pocket())
}

#[test]
fn templates_write_what_transformers_makes_them_write() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/templates.json");
    let golden: Json = serde_json::from_str(&std::fs::read_to_string(path).expect("it reads")).expect("JSON");
    let turns: Vec<Value> = golden["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|m| context! { role => m["role"].as_str(), content => m["content"].as_str() })
        .collect();
    let rows = golden["rows"].as_array().expect("rows");
    assert!(rows.len() > 20);
    let mut wrong = 0;
    for row in rows {
        let (template, wanted) = (row["template"].as_str().expect("text"), row["text"].as_str().expect("text"));
        let tools = vec![native::value(&golden["tool"])];
        match chat(template).and_then(|c| c.fill(turns.clone(), tools, 500, true)) {
            Ok(text) if text == wanted => continue,
            Ok(text) => println!("{template}\n  is  {text:?}\n  not {wanted:?}"),
            Err(e) => println!("{template}\n  {e}"),
        }
        wrong += 1;
    }
    assert_eq!(wrong, 0, "of {}", rows.len());
}

#[test]
fn a_template_of_nothing_is_none() {
    let hello = [Message::new(Role::User, "Hello.")];
    let of = |template: Option<&str>| {
        Chat::new(template, pocket()).and_then(|c| c.render(pocket(), &hello, true)).expect("renders")
    };
    assert_eq!(of(Some(" \n")), of(None));
}

#[test]
fn what_a_template_cannot_write_is_told_before_anybody_speaks() {
    let tried = |template: &str| chat(template).and_then(|c| c.try_out(pocket()));
    let llama = chat(LLAMA3).expect("compiles");
    assert!(llama.try_out(pocket()).expect("converses").is_none());
    let roles = "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}\
        {{ raise_exception('unknown role') }}{% endif %}{{ m.role + m.content }}{% endfor %}";
    let without_tools = tried(roles).expect("converses").expect("no tools");
    assert!(without_tools.to_string().contains("unknown role"), "{without_tools}");
    for (template, why) in [
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}",
            "System role",
        ),
        ("{{ messages[0].content }}", "leaves out"),
        ("{% for m in messages %}{{ m.content.nothing() }}{% endfor %}", "nothing"),
        ("{% for i in range(100000000) %}x{% endfor %}", "end"),
    ] {
        let e = tried(template).expect_err(template);
        assert!(e.kind() == Kind::Unsupported && e.to_string().contains(why), "{e}");
    }
}

/// Anything that grows is charged, however it grows.
#[test]
fn growth_is_bounded() {
    let grow = |by: &str| {
        format!("{{% set ns = namespace(x='aaaaaaaa', l=[1]) %}}{{% for i in range(60) %}}{by}{{% endfor %}}")
    };
    for by in [
        "{% set ns.x = ns.x + ns.x %}",
        "{% set ns.l = ns.l + ns.l %}",
        "{% set ns.x = ns.x.replace('a', ns.x) %}",
        "{% set ns.x = ns.x.join([ns.x, ns.x]) %}",
        "{% set ns.l = [ns.l, ns.l] | sum(start=[]) %}",
        "{% set ns.x = '{0}{0}'.format(ns.x) %}",
        "{% set ns.x = '%s%s' % (ns.x, ns.x) %}",
        "{{ '%999999999s' % 'x' }}",
        "{{ 'x'.rjust(999999999) }}",
    ] {
        let e = chat(&grow(by)).and_then(|c| c.render(pocket(), &[], false)).expect_err(by);
        assert!(e.to_string().contains("does not come to an end"), "{by}: {e}");
    }
    assert!(chat("{{ [1] | chain([2]) }}").and_then(|c| c.render(pocket(), &[], false)).is_err());
}
