//! The rules. Each takes a file's name and text and says what is wrong, with the line.

use super::source::{Token, code_only, crate_paths, product_tokens, tokens};

/// Modules from the bottom up; those of one layer do not know each other, except at the very bottom.
pub(super) const LAYERS: &[&[&str]] = &[
    &["units", "random", "error", "problems", "numerals", "schema"],
    &["budget", "whisper"],
    &["store", "onnx"],
    &["audio", "hear", "llm", "speak", "dialog", "tools"],
    &["pipeline"],
    &["api"],
    &["config"],
    &["daemon"],
    &["cli"],
];

/// What the pure state machine may know.
const DIALOG_MAY: &[&str] = &["units", "error", "problems", "schema", "dialog"];

/// Modules of the language model from the bottom up; the longest name that fits counts. Those of one line do not know each
/// other, except the engine and its sessions.
const LLM: &[&[&str]] = &[
    &["gguf", "reply", "sampler"],
    &["quant", "tokenizer"],
    &["backend"],
    &["settings"],
    &["model"],
    // The model as one graph of kernels: it lies beside the kernels, and runs in the place of the other.
    &["backend::cuda::model"],
    &["convert"],
    &["engine", "session"],
    &["chat", "grammar", "repetition", "timing"],
    &["writer"],
];

pub(super) const MAX_LINES: usize = 600;

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

/// `src/hear/vad.rs` → `["hear", "vad"]`; `src/hear/mod.rs` → `["hear"]`; `src/lib.rs` → `[]`.
pub(super) fn module_of(file: &str) -> Vec<String> {
    let inner = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Dependencies point one way.
pub(super) fn direction(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(from) = module.first() else { return Vec::new() };
    let Some(own) = layer(from) else { return vec![format!("{file}: {from} has no place in the order of modules")] };
    crate_paths(&product_tokens(text), &module)
        .into_iter()
        .filter(|(to, _)| to != from)
        .filter_map(|(to, line)| {
            let wrong = match layer(&to) {
                None => format!("{to} is not a module"),
                Some(_) if from == "dialog" && !DIALOG_MAY.contains(&to.as_str()) => {
                    format!("dialog knows only {}", DIALOG_MAY[..4].join(", "))
                }
                Some(l) if l > own => format!("{to} lies above {from}"),
                Some(l) if l == own && l > 0 => format!("{from} and {to} are siblings"),
                Some(_) => return None,
            };
            Some(format!("{file}:{line}: crate::{to}: {wrong}"))
        })
        .collect()
}

/// Within the language model, too, dependencies point one way: `from` uses `to` in line `line`.
pub(super) fn llm_order(from: &str, to: &str, line: usize) -> Option<String> {
    let place = |file: &str| -> Option<(usize, &str)> {
        let module = module_of(file);
        let module = module.strip_prefix(&["llm".to_owned()][..]).filter(|m| !m.is_empty())?.join("::");
        let fits = |name: &str| module == name || module.starts_with(&format!("{name}::"));
        let named = LLM.iter().enumerate().flat_map(|(i, l)| l.iter().map(move |name| (i, *name)));
        let named = named.filter(|(_, name)| fits(name));
        Some(named.max_by_key(|(_, name)| name.len()).unwrap_or((usize::MAX, "")))
    };
    let (Some((own, from_name)), Some((other, to_name))) = (place(from), place(to)) else { return None };
    let wrong = match () {
        () if own == usize::MAX => format!("{from} has no place in the order within llm"),
        () if other == usize::MAX => format!("{to} has no place in the order within llm"),
        () if other > own => format!("{to_name} lies above {from_name}"),
        () if other == own && from_name != to_name && !["engine", "session"].contains(&from_name) => {
            format!("{from_name} and {to_name} are siblings")
        }
        () => return None,
    };
    Some(format!("{from}:{line}: {wrong}"))
}

/// The language model is given its files and settings: it knows no folders and no environment.
pub(super) fn given_everything(file: &str, text: &str) -> Vec<String> {
    if !file.starts_with("src/llm/") {
        return Vec::new();
    }
    let tokens = product_tokens(text);
    let is = |i: usize, s: &str| tokens.get(i).is_some_and(|t| t.text == s);
    let reads = ["var", "var_os", "vars", "vars_os", "current_exe", "current_dir", "home_dir", "temp_dir", "args"];
    let mut found: Vec<String> = (0..tokens.len())
        .filter(|&i| is(i, "env") && is(i + 1, "::") && reads.iter().any(|r| is(i + 2, r)))
        .map(|i| format!("{file}:{}: reads the environment", tokens[i].line))
        .collect();
    // A conversion writes a file where it is told, and asks whether there is room.
    let writes = file.starts_with("src/llm/convert/");
    let stores = crate_paths(&tokens, &module_of(file)).into_iter().filter(|(to, _)| to == "store" && !writes);
    found.extend(stores.map(|(_, line)| format!("{file}:{line}: crate::store: knows folders")));
    found
}

/// A file that long holds a second concern.
pub(super) fn length(file: &str, text: &str) -> Vec<String> {
    let n = text.lines().count();
    if n > MAX_LINES { vec![format!("{file}: {n} lines; at most {MAX_LINES}")] } else { Vec::new() }
}

/// Unfinished work is tracked, not panicked.
pub(super) fn finished(file: &str, text: &str) -> Vec<String> {
    macros(file, &tokens(&code_only(text)), &["todo", "unimplemented", "dbg"])
}

/// Results are printed by the command line; everything else logs.
pub(super) fn quiet(file: &str, text: &str) -> Vec<String> {
    if file.starts_with("src/cli/") {
        return Vec::new();
    }
    macros(file, &product_tokens(text), &["println", "eprintln", "print", "eprint"])
}

fn macros(file: &str, tokens: &[Token], names: &[&str]) -> Vec<String> {
    tokens
        .windows(2)
        .filter(|w| w[1].text == "!" && names.contains(&w[0].text.as_str()))
        .map(|w| format!("{file}:{}: {}!", w[0].line, w[0].text))
        .collect()
}

/// Only main decides how the process ends.
pub(super) fn exits(file: &str, text: &str) -> Vec<String> {
    if file == "src/main.rs" {
        return Vec::new();
    }
    let tokens = tokens(&code_only(text));
    let mut found = Vec::new();
    for (i, t) in tokens.iter().enumerate().filter(|(_, t)| t.text == "process") {
        let rest: Vec<&str> = tokens[i + 1..].iter().map(|t| t.text.as_str()).take(40).collect();
        let named = match rest.as_slice() {
            ["::", "exit" | "abort", ..] => true,
            ["::", "{", list @ ..] => list.iter().take_while(|t| **t != "}").any(|t| matches!(*t, "exit" | "abort")),
            _ => false,
        };
        if named {
            found.push(format!("{file}:{}: ends the process", t.line));
        }
    }
    found
}

/// Every queue has a bound.
pub(super) fn bounded(file: &str, text: &str) -> Vec<String> {
    let tokens = product_tokens(text);
    let text_at = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut found = Vec::new();
    for (i, t) in tokens.iter().enumerate() {
        let unbounded = match t.text.as_str() {
            "unbounded" | "unbounded_channel" | "UnboundedSender" | "UnboundedReceiver" => true,
            // std's `mpsc::channel()` takes no bound; `oneshot` and `watch` hold one value by nature.
            "channel" => {
                let mut j = i + 1;
                if text_at(j) == "::" && text_at(j + 1) == "<" {
                    let mut depth = 0;
                    j += 1;
                    loop {
                        match text_at(j) {
                            "<" => depth += 1,
                            ">" => depth -= 1,
                            _ => {}
                        }
                        j += 1;
                        if depth == 0 || j >= tokens.len() {
                            break;
                        }
                    }
                }
                let one = i >= 2 && matches!(text_at(i - 2), "oneshot");
                text_at(j) == "(" && text_at(j + 1) == ")" && !one && text_at(i.wrapping_sub(1)) != "fn"
            }
            _ => false,
        };
        if unbounded {
            found.push(format!("{file}:{}: a channel without a bound", t.line));
        }
    }
    found
}

/// Nothing of the machine it was written on, and no package registry's host, is part of the product.
pub(super) fn portable(file: &str, text: &str) -> Vec<String> {
    if file == "Cargo.lock" {
        let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        return text
            .lines()
            .enumerate()
            .filter(|(_, l)| l.starts_with("source = ") && *l != usual)
            .map(|(i, l)| format!("{file}:{}: {l}", i + 1))
            .collect();
    }
    // Written in halves so that this file passes its own rule.
    let forbidden = [
        ["/wo", "rk/"],
        ["/tmp", "/w/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
        ["pypi", ".org"],
        ["pythonho", "sted"],
        ["npmjs", ".org"],
        ["static.crates", ".io"],
        ["index.crates", ".io"],
        ["deb.debian", ".org"],
        ["artifac", "tory"],
        ["index", "-url"],
    ]
    .map(|halves| halves.concat());
    let home = ["/ho", "me/"].concat();
    let names_a_home = |l: &str| {
        l.match_indices(&home).any(|(i, _)| l[i + home.len()..].starts_with(|c: char| c.is_ascii_lowercase()))
    };
    text.lines()
        .enumerate()
        .filter(|(_, l)| names_a_home(l) || forbidden.iter().any(|f| l.contains(f.as_str())))
        .map(|(i, l)| format!("{file}:{}: {}", i + 1, l.trim()))
        .collect()
}

/// The one-page map names every module.
pub(super) fn mapped(page: &str, modules: &[&str]) -> Vec<String> {
    modules
        .iter()
        .filter(|m| !page.contains(&format!("`{m}`")))
        .map(|m| format!("docs/architecture.md does not name `{m}`"))
        .collect()
}

#[cfg(test)]
mod caught {
    //! Every rule shown a violation, and something close that is none.
    use super::*;

    fn bad(found: Vec<String>, n: usize) {
        assert_eq!(found.len(), n, "{found:#?}");
    }

    #[test]
    fn direction_catches_upward_sideways_and_unknown() {
        bad(direction("src/llm/mod.rs", "use crate::pipeline::Queue;"), 1);
        bad(direction("src/llm/mod.rs", "use crate::{error::Kind, hear::Vad, config::Settings};"), 2);
        bad(direction("src/hear/vad.rs", "fn f(x: &super::super::audio::Clip) {}"), 1);
        bad(direction("src/dialog/mod.rs", "use crate::budget::Budget;"), 1);
        bad(direction("src/store/fetch.rs", "use crate::onnx;"), 1);
        bad(direction("src/budget/mod.rs", "fn f() { crate::helper(); }"), 1);
        bad(direction("src/misc/mod.rs", ""), 1);
        bad(direction("src/pipeline/mod.rs", "use crate::{audio, hear, llm, speak, dialog, tools, budget};"), 0);
        bad(
            direction(
                "src/dialog/mod.rs",
                "use crate::{units::TurnId, error::Result, problems, schema, dialog::words};",
            ),
            0,
        );
        bad(direction("src/hear/mod.rs", "#[cfg(test)]\nmod tests { use crate::audio::read_16k; }"), 0);
        bad(direction("src/error.rs", "use crate::units::Bytes;"), 0);
    }

    #[test]
    fn llm_order_catches_upward_and_sideways() {
        for (from, to, wrong) in [
            ("src/llm/gguf/mod.rs", "src/llm/quant/mod.rs", true),
            ("src/llm/backend/mod.rs", "src/llm/model/mod.rs", true),
            ("src/llm/backend/cpu/mod.rs", "src/llm/backend/cuda/model.rs", true),
            ("src/llm/session/generation.rs", "src/llm/grammar/mod.rs", true),
            ("src/llm/chat.rs", "src/llm/grammar/mod.rs", true),
            ("src/llm/chat/native.rs", "src/llm/writer.rs", true),
            ("src/llm/reply.rs", "src/llm/sampler.rs", true),
            ("src/llm/misc.rs", "src/llm/gguf/mod.rs", true),
            ("src/llm/engine.rs", "src/llm/misc.rs", true),
            ("src/llm/backend/cuda/model.rs", "src/llm/model/mod.rs", false),
            ("src/llm/backend/cuda/model.rs", "src/llm/backend/cuda/head.rs", false),
            ("src/llm/engine.rs", "src/llm/session/room.rs", false),
            ("src/llm/session/mod.rs", "src/llm/engine.rs", false),
            ("src/llm/chat/native.rs", "src/llm/chat.rs", false),
            ("src/llm/writer.rs", "src/llm/gguf/mod.rs", false),
            ("src/llm/mod.rs", "src/llm/writer.rs", false),
            ("src/pipeline/mod.rs", "src/llm/writer.rs", false),
        ] {
            assert_eq!(llm_order(from, to, 1).is_some(), wrong, "{from} {to}");
        }
    }

    #[test]
    fn given_everything_catches_folders_and_environment() {
        let file = "src/llm/backend/cuda/kernels.rs";
        bad(given_everything(file, "fn f() { std::env::var_os(\"X\"); std::env::current_exe() }"), 2);
        bad(given_everything(file, "use std::env;\nuse crate::store::Paths;\nfn f() { env::var(\"X\") }"), 2);
        bad(given_everything(file, "const V: &str = env!(\"CARGO_PKG_VERSION\"); use std::env::consts::ARCH;"), 0);
        bad(given_everything(file, "#[cfg(test)]\nmod tests { fn f() { std::env::var(\"X\"); } }"), 0);
        bad(given_everything("src/store/paths.rs", "fn f() { std::env::var_os(\"X\") }"), 0);
    }

    #[test]
    fn length_catches_one_line_too_many() {
        bad(length("src/x.rs", &"\n".repeat(MAX_LINES + 1)), 1);
        bad(length("src/x.rs", &"\n".repeat(MAX_LINES)), 0);
    }

    #[test]
    fn finished_catches_placeholders() {
        bad(finished("src/x.rs", "fn f() { todo!() } fn g() { unimplemented! (\"later\") } fn h() { dbg!(1); }"), 3);
        bad(finished("src/x.rs", "// todo!()\nfn todo() {}"), 0);
    }

    #[test]
    fn quiet_catches_prints_outside_the_command_line() {
        bad(quiet("src/llm/mod.rs", "fn f() { println!(\"x\"); eprint!(\"y\") }"), 2);
        bad(quiet("src/cli/out.rs", "fn f() { println!(\"x\"); }"), 0);
        bad(quiet("src/llm/mod.rs", "#[cfg(test)]\nmod tests { fn f() { println!(\"x\"); } }\n// println!"), 0);
    }

    #[test]
    fn exits_catches_every_spelling() {
        bad(exits("src/x.rs", "fn f() { std::process::exit(1) }"), 1);
        bad(exits("src/x.rs", "use std::process::{Command, exit};"), 1);
        bad(exits("src/x.rs", "fn f() { process::abort() }"), 1);
        bad(exits("src/main.rs", "fn f() { std::process::exit(1) }"), 0);
        bad(exits("src/x.rs", "use std::process::{Command, ExitCode}; fn exit() {}"), 0);
    }

    #[test]
    fn bounded_catches_channels_without_a_bound() {
        bad(bounded("src/x.rs", "let (a, b) = mpsc::channel();"), 1);
        bad(bounded("src/x.rs", "let (a, b) = std::sync::mpsc::channel::<Vec<Vec<u8>>>();"), 1);
        bad(bounded("src/x.rs", "let (a, b) = tokio::sync::mpsc::unbounded_channel();"), 1);
        bad(
            bounded(
                "src/x.rs",
                "let x = mpsc::channel(8); let y = oneshot::channel(); sync_channel(3); fn channel() {}",
            ),
            0,
        );
    }

    #[test]
    fn portable_catches_paths_and_hosts() {
        let path = |halves: [&str; 2]| halves.concat();
        bad(portable("README.md", &path(["see /wo", "rk/main"])), 1);
        bad(portable("README.md", &path(["see /ho", "me/someone/x"])), 1);
        bad(portable("Makefile", &path(["pip --index", "-url https://x"])), 1);
        bad(portable("Cargo.lock", "source = \"registry+https://elsewhere/index\""), 1);
        bad(portable("README.md", "cd ~/tercet && cargo build # /etc/tercet, ProtectHome"), 0);
        bad(portable("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""), 0);
    }

    #[test]
    fn mapped_catches_a_module_left_out() {
        bad(mapped("| `llm` | … |", &["llm", "hear"]), 1);
        bad(mapped("`llm` and `hear`", &["llm", "hear"]), 0);
    }
}
