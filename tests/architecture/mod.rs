//! The architecture's invariants, enforced on every tracked file. docs/architecture.md lists them.

mod imports;
mod rules;
mod source;

use std::path::Path;
use std::process::Command;

use crate::support::skip;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files under `folder`, as `folder/…` names.
fn walk(folder: &str) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else { return out };
    for e in entries.flatten() {
        let name = format!("{folder}/{}", e.file_name().to_string_lossy());
        if e.path().is_dir() {
            out.extend(walk(&name));
        } else {
            out.push(name);
        }
    }
    out.sort();
    out
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let read = |name: &String| std::fs::read_to_string(root().join(name)).ok();
    walk(folder).into_iter().filter(|f| f.ends_with(".rs")).filter_map(|f| read(&f).map(|t| (f, t))).collect()
}

/// Product code: without the files that hold a module's tests.
fn product_files() -> Vec<(String, String)> {
    rust_files("src").into_iter().filter(|(f, _)| !f.ends_with("/tests.rs") && !f.contains("/tests/")).collect()
}

fn enforce(rule: fn(&str, &str) -> Vec<String>, files: &[(String, String)]) {
    assert!(!files.is_empty(), "nothing to judge");
    let found: Vec<String> = files.iter().flat_map(|(f, t)| rule(f, t)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn dependencies_point_one_way() {
    enforce(rules::direction, &product_files());
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    let found = imports::Imports::new(&product_files()).circles();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_language_model_has_one_order_inside() {
    let imports = imports::Imports::new(&product_files());
    let found: Vec<String> = imports.edges().filter_map(|(from, to, line)| rules::llm_order(from, to, line)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_language_model_knows_no_folders_and_no_environment() {
    enforce(rules::given_everything, &product_files());
}

#[test]
fn files_hold_one_concern() {
    let files: Vec<_> = ["src", "tests", "benches"].iter().flat_map(|f| rust_files(f)).collect();
    enforce(rules::length, &files);
}

#[test]
fn nothing_is_left_unfinished() {
    enforce(rules::finished, &rust_files("src"));
}

#[test]
fn only_the_command_line_prints() {
    enforce(rules::quiet, &product_files());
}

#[test]
fn only_main_ends_the_process() {
    enforce(rules::exits, &rust_files("src"));
}

#[test]
fn every_queue_is_bounded() {
    enforce(rules::bounded, &product_files());
}

#[test]
fn nothing_of_the_build_machine_is_tracked() {
    let listed = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output();
    let Some(listed) = listed.ok().filter(|o| o.status.success()) else {
        return skip("nothing_of_the_build_machine_is_tracked", "not a git checkout");
    };
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let files: Vec<(String, String)> = names
        .split('\0')
        .filter(|n| !n.is_empty())
        // What is not UTF-8 is a model or a recording.
        .filter_map(|n| Some((n.to_owned(), std::fs::read_to_string(root().join(n)).ok()?)))
        .collect();
    enforce(rules::portable, &files);
}

#[test]
fn the_map_names_every_module_and_every_module_has_a_place() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    let known: Vec<&str> = rules::LAYERS.concat();
    let missing = rules::mapped(&page, &known);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("the root");
    let declared: Vec<&str> =
        lib.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| l.trim_end_matches(';')).collect();
    let (mut a, mut b) = (declared, known);
    a.sort_unstable();
    b.sort_unstable();
    assert_eq!(a, b, "src/lib.rs and the order of modules name the same modules");
}
