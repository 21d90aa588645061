//! Just enough of Rust's grammar to judge a file: text without comments and literals, tokens, and the paths into the
//! crate that they spell.

/// The text with comments and the contents of string and character literals blanked; lines and columns stay.
pub(super) fn code_only(text: &str) -> String {
    let src: Vec<char> = text.chars().collect();
    let mut out: Vec<char> = src.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }).collect();
    let at = |i: usize| src.get(i).copied().unwrap_or('\0');
    let mut i = 0;
    while i < src.len() {
        let c = src[i];
        if c == '/' && at(i + 1) == '/' {
            while i < src.len() && src[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= src.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_string(&src, i) {
            i = end;
        } else if c == '"' {
            i += 1;
            while i < src.len() && src[i] != '"' {
                i += if src[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character; otherwise it is a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < src.len() && src[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out[i] = c;
            i += 1;
        }
    }
    out.into_iter().collect()
}

/// Whether the `r` at `i` ends a word, which `br"…"` is not.
fn after_word_but_byte(src: &[char], i: usize) -> bool {
    let word = |j: usize| src[j].is_alphanumeric() || src[j] == '_';
    match i {
        0 => false,
        1 => word(0) && src[0] != 'b',
        _ => word(i - 1) && (src[i - 1] != 'b' || word(i - 2)),
    }
}

/// End of the raw string whose `r` stands at `i`, if one does.
fn raw_string(src: &[char], i: usize) -> Option<usize> {
    if src[i] != 'r' || after_word_but_byte(src, i) {
        return None;
    }
    let hashes = src[i + 1..].iter().take_while(|c| **c == '#').count();
    let open = i + 1 + hashes;
    if src.get(open) != Some(&'"') {
        return None;
    }
    let closes = |j: usize| src[j] == '"' && src[j + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (open + 1..src.len()).find(|j| closes(*j)).map(|j| j + 1 + hashes)
}

/// A word or one punctuation character (`::` counts as one), with its line counted from one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

pub(super) fn tokens(code: &str) -> Vec<Token> {
    let src: Vec<char> = code.chars().collect();
    let (mut out, mut line, mut i) = (Vec::new(), 1, 0);
    while i < src.len() {
        let c = src[i];
        let start = i;
        i += 1;
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            continue;
        }
        if c.is_alphanumeric() || c == '_' {
            while i < src.len() && (src[i].is_alphanumeric() || src[i] == '_') {
                i += 1;
            }
        } else if c == ':' && src.get(i) == Some(&':') {
            i += 1;
        }
        out.push(Token { text: src[start..i].iter().collect(), line });
    }
    out
}

/// Tokens of product code: what stands under `#[cfg(test)]` is left out.
pub(super) fn product_tokens(text: &str) -> Vec<Token> {
    let all = tokens(&code_only(text));
    let is = |i: usize, s: &str| all.get(i).is_some_and(|t| t.text == s);
    let mut out = Vec::new();
    let mut i = 0;
    while i < all.len() {
        let cfg_test = ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(k, s)| is(i + k, s));
        if !cfg_test {
            out.push(all[i].clone());
            i += 1;
            continue;
        }
        // The item after it: up to `;` or the matching brace, whichever ends it.
        let mut depth = 0;
        i += 7;
        while i < all.len() {
            match all[i].text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            i += 1;
            let ended = all[i - 1].text == ";" || all[i - 1].text == "}";
            if depth == 0 && ended {
                break;
            }
        }
    }
    out
}

/// First segments of paths into the crate (`crate::hear::Vad` → `hear`), written in the module `at`
/// (`["hear", "vad"]`). `super` is followed to where it leads.
pub(super) fn crate_paths(tokens: &[Token], at: &[String]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut inline: Vec<usize> = Vec::new(); // brace depths at which inline modules opened
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut i = 0;
    while i < tokens.len() {
        match text(i) {
            "{" => {
                depth += 1;
                if i >= 2 && text(i - 2) == "mod" {
                    inline.push(depth);
                }
            }
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" if text(i + 1) == "::" => segments(tokens, i + 2, &mut found),
            "super" if i == 0 || text(i - 1) != "::" => {
                let mut ups = 1;
                while text(i + 1) == "::" && text(i + 2) == "super" {
                    (ups, i) = (ups + 1, i + 2);
                }
                // Exactly as many steps up as there are modules above lead to the root.
                if text(i + 1) == "::" && ups == at.len() + inline.len() {
                    segments(tokens, i + 2, &mut found);
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The names at `i`: one, or every first name of a `{…}` group.
fn segments(tokens: &[Token], i: usize, found: &mut Vec<(String, usize)>) {
    let Some(first) = tokens.get(i) else { return };
    if first.text != "{" {
        found.push((first.text.clone(), first.line));
        return;
    }
    let (mut depth, mut expect) = (1, true);
    for t in &tokens[i + 1..] {
        match t.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expect = true,
            name if expect && depth == 1 => {
                expect = false;
                found.push((name.to_owned(), t.line));
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "a /* x /* y */ z */ b // c\nd \"e \\\" f\" g r#\"h \" i\"# 'j' '\\'' '\\u{41}' &'k l br\"m\" var\"n\"";
    let words: Vec<String> = tokens(&code_only(text)).into_iter().map(|t| t.text).collect();
    assert_eq!(words, ["a", "b", "d", "g", "&", "'", "k", "l", "b", "var"]);
    assert_eq!(code_only(text).lines().count(), 2);
}

#[test]
fn test_code_is_not_product_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x(); } }\n#[cfg(test)]\nmod more;\nfn c() {}";
    let words: Vec<String> = product_tokens(text).into_iter().map(|t| t.text).filter(|t| t.len() == 1).collect();
    assert_eq!(words.join(""), "a(){}c(){}");
}

#[test]
fn paths_are_found_however_they_are_spelt() {
    let find = |text: &str, at: &[&str]| -> Vec<String> {
        let at: Vec<String> = at.iter().map(|s| (*s).to_owned()).collect();
        crate_paths(&product_tokens(text), &at).into_iter().map(|p| p.0).collect()
    };
    assert_eq!(find("use crate::hear::Vad;", &["llm"]), ["hear"]);
    assert_eq!(find("use crate::{\n  hear::{Vad, Wake},\n  llm,\n};", &["llm"]), ["hear", "llm"]);
    assert_eq!(find("fn f() -> crate :: speak::Voice {}", &["llm"]), ["speak"]);
    assert_eq!(find("use super::super::audio::Clip;", &["hear", "vad"]), ["audio"]);
    assert_eq!(find("use super::wake::Wake;", &["hear", "vad"]), Vec::<String>::new());
    assert_eq!(find("use super::audio;", &["onnx"]), ["audio"]);
    assert_eq!(find("mod inner { use super::audio; use super::super::hear; }", &["onnx"]), ["hear"]);
    assert_eq!(find("// use crate::hear;\nlet s = \"crate::hear\";", &["llm"]), Vec::<String>::new());
}
