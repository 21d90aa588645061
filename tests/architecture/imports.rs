//! Which file uses which: paths are followed through imports and re-exports to the file that defines what they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rules::module_of;
use super::source::{Token, product_tokens};

/// Files of a crate and what they use of each other.
pub(super) struct Imports {
    /// From the user to the used, with the line.
    edges: BTreeMap<String, BTreeMap<String, usize>>,
}

/// One file.
#[derive(Default)]
struct File {
    name: String,
    /// What names mean that were brought in: `use super::hf::Config as C` → `C`, `[…, "hf", "Config"]`.
    names: HashMap<String, Vec<String>>,
    /// Everything of these was brought in.
    globs: Vec<Vec<String>>,
    /// All paths into the crate, from its root on, with their lines.
    paths: Vec<(Vec<String>, usize)>,
    /// Modules that it declares in files of their own, outside tests.
    children: BTreeSet<String>,
}

type Files = HashMap<Vec<String>, File>;

/// Most re-exports that a path is followed through.
const HOPS: usize = 8;

impl Imports {
    /// Reads `files` (name, text). Files that are only declared for tests are left out.
    pub(super) fn new(files: &[(String, String)]) -> Self {
        let texts: Vec<(Vec<String>, &String, Vec<Token>)> =
            // The program is another crate.
            files.iter().filter(|(name, _)| name != "src/main.rs").map(|(name, text)| (module_of(name), name, product_tokens(text))).collect();
        let mut all: Files = texts
            .iter()
            .map(|(module, name, tokens)| {
                let children = tokens
                    .windows(3)
                    .filter(|w| w[0].text == "mod" && w[2].text == ";")
                    .map(|w| w[1].text.clone())
                    .collect();
                (module.clone(), File { name: (*name).clone(), children, ..File::default() })
            })
            .collect();
        let declared: BTreeSet<Vec<String>> = all
            .iter()
            .flat_map(|(module, f)| f.children.iter().map(move |c| [&module[..], std::slice::from_ref(c)].concat()))
            .collect();
        all.retain(|module, _| {
            let within = |n: usize| declared.contains(&module[..n]) || !all_has_parent(files, &module[..n]);
            (1..=module.len()).all(within)
        });
        for (module, _, tokens) in &texts {
            if let Some(file) = all.get_mut(module) {
                read(file, module, tokens);
            }
        }
        let mut edges: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (module, file) in &all {
            for (path, line) in &file.paths {
                let Some(to) = resolve(&all, path, HOPS) else { continue };
                if to != module.as_slice() {
                    let used = edges.entry(file.name.clone()).or_default();
                    used.entry(all[to].name.clone()).or_insert(*line);
                }
            }
        }
        Self { edges }
    }

    /// From the user to the used, with the line of one use.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.edges.iter().flat_map(|(from, to)| to.iter().map(move |(to, line)| (from.as_str(), to.as_str(), *line)))
    }

    /// Circles, the shortest through each file that is on one, each reported once. A file and the modules that it is part of are
    /// no circle: a module may use its parts, and they what they are part of.
    pub(super) fn circles(&self) -> Vec<String> {
        let is_part = |file: &str, of: &str| module_of(file).starts_with(&module_of(of));
        let next = |from: &str| -> Vec<(&str, usize)> {
            let used = self.edges.get(from).into_iter().flatten();
            used.filter(|(to, _)| !is_part(from, to)).map(|(to, line)| (to.as_str(), *line)).collect()
        };
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for start in self.edges.keys() {
            let Some(circle) = shortest(start, &next) else { continue };
            let mut on: Vec<&str> = circle.iter().map(|(file, _)| *file).collect();
            on.sort_unstable();
            if told.insert(on) {
                let steps: Vec<String> = circle.iter().map(|(file, line)| format!("{file}:{line}")).collect();
                found.push(format!("a circle: {} → {start}", steps.join(" → ")));
            }
        }
        found
    }
}

/// The files from `start` back to it, each with the line that uses the one after it.
fn shortest<'a>(start: &'a str, next: &dyn Fn(&str) -> Vec<(&'a str, usize)>) -> Option<Vec<(&'a str, usize)>> {
    let mut came: HashMap<&str, (&'a str, usize)> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for (to, line) in next(file) {
            if to == start {
                let mut circle = vec![(file, line)];
                while circle.last().is_some_and(|(f, _)| *f != start) {
                    let (from, line) = came[circle.last()?.0];
                    circle.push((from, line));
                }
                circle.reverse();
                return Some(circle);
            }
            came.entry(to).or_insert_with(|| {
                queue.push_back(to);
                (file, line)
            });
        }
    }
    None
}

/// Whether the file that would declare `module` is among `files`.
fn all_has_parent(files: &[(String, String)], module: &[String]) -> bool {
    let parent = &module[..module.len() - 1];
    files.iter().any(|(name, _)| module_of(name) == parent)
}

/// The module that defines what `path` names.
fn resolve<'f>(all: &'f Files, path: &[String], hops: usize) -> Option<&'f [String]> {
    let (at, file, depth) =
        (0..=path.len()).rev().find_map(|n| all.get_key_value(&path[..n]).map(|(m, f)| (m.as_slice(), f, n)))?;
    let Some(name) = path.get(depth) else { return Some(at) };
    if hops > 0 {
        if let Some(to) = file.names.get(name) {
            let further = [&to[..], &path[depth + 1..]].concat();
            return resolve(all, &further, hops - 1).or(Some(at));
        }
        for glob in &file.globs {
            let further = [&glob[..], &path[depth..]].concat();
            if let Some(to) = resolve(all, &further, hops - 1).filter(|to| *to != glob.as_slice() && *to != at) {
                return Some(to);
            }
        }
    }
    Some(at)
}

/// Fills in what `tokens` of the file that is `module` use.
fn read(file: &mut File, module: &[String], tokens: &[Token]) {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut depth = 0usize;
    let mut inline: Vec<usize> = Vec::new();
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
            "use" if inline.is_empty() => {
                let mut leaves = Vec::new();
                i = tree(tokens, i + 1, &[], &mut leaves);
                for (path, name, line) in leaves {
                    let Some(path) = absolute(&path, module, &file.children) else { continue };
                    match name.as_str() {
                        "*" => file.globs.push(path.clone()),
                        name => drop(file.names.insert(name.to_owned(), path.clone())),
                    }
                    file.paths.push((path, line));
                }
                continue;
            }
            first if text(i + 1) == "::" && (i == 0 || text(i - 1) != "::") => {
                let mut path = vec![first.to_owned()];
                let mut j = i;
                while text(j + 1) == "::" && text(j + 2).starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    j += 2;
                    path.push(text(j).to_owned());
                }
                // Within a module inside the file, the first steps up lead to the file's own.
                let ups = path.iter().take_while(|s| *s == "super").count();
                path.drain(..ups.min(inline.len()));
                if let Some(path) = absolute(&path, module, &file.children) {
                    file.paths.push((path, tokens[i].line));
                }
                i = j;
            }
            _ => {}
        }
        i += 1;
    }
}

/// From the crate's root on; `None` where it leads out of the crate, or names what was brought in by a `use`.
fn absolute(path: &[String], module: &[String], children: &BTreeSet<String>) -> Option<Vec<String>> {
    let first = path.first()?;
    let ups = path.iter().take_while(|s| *s == "super").count();
    match first.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat()),
        name if children.contains(name) => Some([module, path].concat()),
        _ => None,
    }
}

/// The leaves of the `use` tree at `i`, each with the name that it gets; returns where it ends.
fn tree(tokens: &[Token], mut i: usize, before: &[String], leaves: &mut Vec<(Vec<String>, String, usize)>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut path = before.to_vec();
    let line = tokens.get(i).map_or(0, |t| t.line);
    loop {
        match text(i) {
            "{" => {
                i += 1;
                while i < tokens.len() && text(i) != "}" {
                    i = tree(tokens, i, &path, leaves);
                    if text(i) == "," {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "*" => {
                leaves.push((path, "*".into(), line));
                return i + 1;
            }
            "self" if !before.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        i += 1;
        if text(i) != "::" {
            break;
        }
        i += 1;
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if text(i) == "as" {
        name = text(i + 1).to_owned();
        i += 2;
    }
    leaves.push((path, name, line));
    i
}

#[cfg(test)]
mod found {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect();
        Imports::new(&files).edges().map(|(from, to, line)| format!("{from}:{line} {to}")).collect()
    }

    const A: &str = "src/m/a.rs";
    const B: &str = "src/m/b.rs";
    const M: &str = "src/m/mod.rs";

    #[test]
    fn uses_are_followed_to_where_things_are_defined() {
        let parent = "mod a;\nmod b;\npub use b::Thing;\nuse b::Other as Renamed;\nuse std::fmt;\npub struct Own;";
        for (text, to) in [
            ("use super::b::Thing;", Some(B)),
            ("use crate::m::b;\nfn f() { b::g() }", Some(B)),
            // Through a re-export, and through what the parent brought in for itself.
            ("use super::Thing;", Some(B)),
            ("use crate::{m::{self, Thing}};", Some(B)),
            ("use super::{Renamed, Own};", Some(B)),
            ("fn f(x: &super::b::Thing) {}", Some(B)),
            ("fn f() { crate::m::Thing::new() }", Some(B)),
            ("use super::Own;", Some(M)),
            ("use super::fmt;", Some(M)),
            ("use std::b::Thing;\nuse serde::b;", None),
            ("#[cfg(test)]\nmod tests { use super::super::b::Thing; }", None),
            ("// use super::b::Thing;\nconst S: &str = \"super::b::Thing\";", None),
            ("mod inner { fn f() { super::super::b::g() } }", Some(B)),
        ] {
            let all = edges(&[(M, parent), (A, text), (B, "pub struct Thing;")]);
            let of_a: Vec<_> =
                all.iter().filter(|e| e.starts_with(A)).map(|e| &e[e.find(' ').expect("two") + 1..]).collect();
            match to {
                Some(to) => assert!(of_a.contains(&to), "{text}: {of_a:?}"),
                None => assert!(of_a.is_empty(), "{text}: {of_a:?}"),
            }
        }
    }

    fn circles(files: &[(&str, &str)]) -> usize {
        let files: Vec<_> = files.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect();
        Imports::new(&files).circles().len()
    }

    #[test]
    fn circles_are_found_and_what_is_none_is_not() {
        let m = "mod a;\nmod b;\nmod c;\npub use b::Thing;\nuse a::f;";
        let all = |a, b, c| circles(&[(M, m), (A, a), (B, b), ("src/m/c.rs", c)]);
        assert_eq!(all("use super::b::Thing;", "use super::a::f;", ""), 1);
        // Of three, and through the parent's re-export.
        assert_eq!(all("use super::Thing;", "use super::c::g;", "use crate::m::a;"), 1);
        // Two that share a file.
        assert_eq!(all("use super::b::X;", "use super::{a::Y, c::Z};", "use super::b::X;"), 2);
        // The parts use what they are part of, and it uses them.
        assert_eq!(all("use super::Own;", "use super::Own;", "use super::{Own, a::f};"), 0);
        assert_eq!(all("use super::b::X;", "", "use super::{a::Y, b::X};"), 0);
        // Tests may look at anything.
        assert_eq!(all("use super::b::Thing;", "#[cfg(test)]\nmod tests { use super::super::a::f; }", ""), 0);
        // Between a module's part and another module.
        let other = ("src/n.rs", "use crate::m::Thing;");
        assert_eq!(circles(&[(M, m), (B, "use crate::n;"), other]), 1);
        assert_eq!(circles(&[(M, m), (A, "use crate::n;"), (B, ""), other]), 0);
        // A file that is declared for tests only.
        assert_eq!(circles(&[(M, "mod b;\n#[cfg(test)]\nmod a;"), (A, "use super::b;"), (B, "use super::a;")]), 0);
    }
}
