//! Configuration: TOML files, environment and flags into validated [`Settings`].
//!
//! Layers, later ones win key by key: built-in defaults, `/etc/tercet/tercet.toml`,
//! `$XDG_CONFIG_HOME/tercet/tercet.toml` (`~/.config` without it), both replaced by `--config FILE` when given;
//! then `TERCET__SECTION__KEY` variables, then `--set section.key=value` flags. Every layer is checked whole before
//! anything fails: unknown keys, wrong types and values out of range are reported together, each with where it was
//! written. Only this module knows TOML; every other module owns a plain settings struct.

mod de;
mod memory;
mod node;
mod parse;
mod problem;
mod sections;
mod show;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Kind, Result};
use de::{De, Fault, What};
use node::{Node, Step, path_text};

pub use memory::{effective_cap, engine_options, memory_plan};
pub use node::Origin;
pub use problem::Problem;
pub use sections::{Privacy, Settings};

/// Where configuration is looked for. [`Request::from_process`] is what the program uses; tests fill it by hand.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Read where they exist, lowest first; not read when `config` is given.
    pub searched: Vec<PathBuf>,
    /// `--config FILE`: must exist.
    pub config: Option<PathBuf>,
    /// Environment variables; those that do not start with `TERCET__` are ignored. `Err` holds a value that is not
    /// UTF-8, as far as it can be shown.
    pub env: Vec<(String, Result<String, String>)>,
    /// `--set section.key=value` arguments.
    pub set: Vec<String>,
}

impl Request {
    /// What the process was started with.
    pub fn from_process(config: Option<&Path>, set: &[String]) -> Self {
        let home = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".config")));
        let mut searched = vec![PathBuf::from("/etc/tercet/tercet.toml")];
        searched.extend(home.map(|h| h.join("tercet/tercet.toml")));
        let env = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok().filter(|n| n.starts_with(parse::ENV_PREFIX))?;
                Some((name, value.into_string().map_err(|v| v.to_string_lossy().into_owned())))
            })
            .collect();
        Self { searched, config: config.map(Path::to_owned), env, set: set.to_vec() }
    }
}

/// Settings that passed every check, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// The files that were read, lowest layer first.
    pub files: Vec<PathBuf>,
    tree: Node,
}

impl Loaded {
    /// Where the value of `key` (`llm.threads`) was written.
    pub fn origin(&self, key: &str) -> &Origin {
        let path: Vec<Step> = key.split('.').map(|k| Step::Key(k.to_owned())).collect();
        self.tree.get(&path).map_or(&Origin::Default, |n| &n.origin)
    }

    /// The effective configuration as TOML that can be loaded again, each key with its origin.
    pub fn to_toml(&self) -> String {
        show::toml(self)
    }

    /// The same as one JSON object: `settings`, and `origins` by key.
    pub fn to_json(&self) -> serde_json::Value {
        show::json(self)
    }
}

/// Reads and checks every layer.
///
/// # Errors
/// One error that names every problem; its kind is [`Kind::Config`], or what the problems have in common
/// ([`Kind::NotFound`] and [`Kind::Io`] for a file, [`Kind::Usage`] for a malformed `--set`).
pub fn load(request: &Request) -> Result<Loaded> {
    gather(request).map_err(|problems| problem::error_of(&problems))
}

/// [`load`], with the problems one by one.
pub fn gather(request: &Request) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let mut layers = Vec::new();
    let searched = request.searched.iter().filter(|p| p.exists());
    for path in request.config.iter().chain(searched.filter(|_| request.config.is_none())) {
        layers.push(parse::file(path, &mut problems));
        files.push(path.clone());
    }
    layers.push(parse::environment(&request.env, &mut problems));
    layers.push(parse::flags(&request.set, &mut problems));

    let mut tree = Node::table(Origin::Default);
    for mut layer in layers {
        // Each layer alone, so that a mistake is seen even where a higher layer hides it.
        fit(&mut layer, &mut problems);
        tree.overlay(layer);
    }
    let settings = fit(&mut tree, &mut problems);
    if let Some(settings) = &settings {
        check_ranges(settings, &tree, &mut problems);
    }
    match settings {
        Some(settings) if problems.is_empty() => Ok(Loaded { settings, files, tree }),
        _ => Err(problems),
    }
}

/// Deserializes the tree; what does not fit is reported, taken out, and the rest tried again.
fn fit(tree: &mut Node, problems: &mut Vec<Problem>) -> Option<Settings> {
    let mut reported: Vec<Vec<Step>> = Vec::new();
    loop {
        let fault = match Settings::deserialize(De(tree)) {
            Ok(settings) => return Some(settings),
            Err(fault) => fault,
        };
        let path = fault.path();
        let about = match fault.what {
            What::Missing(key) => path.iter().cloned().chain([Step::Key(key.to_owned())]).collect(),
            _ => path.clone(),
        };
        // A struct whose bad key was taken out may now lack it, a list its length: the same mistake, not a second one.
        let echo = reported.iter().any(|r| match fault.what {
            What::Missing(_) => *r == about,
            _ => r.len() > path.len() && r.starts_with(&path),
        });
        if !echo {
            problems.push(Problem {
                origin: tree.nearest(&path).origin.clone(),
                key: path_text(&path),
                text: explain(&fault, &path, tree),
                kind: Kind::Config,
            });
            reported.push(about);
        }
        if !tree.remove(&path) {
            return None;
        }
    }
}

fn explain(fault: &Fault, path: &[Step], tree: &Node) -> String {
    let What::UnknownKey(known) = fault.what else { return fault.to_string() };
    let Some((Step::Key(name), parents)) = path.split_last() else { return fault.to_string() };
    let section = path_text(parents);
    let full = |key: &str| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    if let Some(near) = problem::nearest(name, known.iter().copied()) {
        return format!("no such key; did you mean {}?", full(near));
    }
    // The right key in the wrong section (or in none).
    let elsewhere: Vec<String> = show::full_keys().filter(|k| k.rsplit('.').next() == Some(name)).collect();
    if !elsewhere.is_empty() {
        return format!("no such key here; did you mean {}?", elsewhere.join(" or "));
    }
    let what = if parents.is_empty() && matches!(tree.nearest(path).value, node::Value::Table(_)) {
        "no such section; sections are"
    } else {
        "no such key; known are"
    };
    if known.is_empty() { fault.to_string() } else { format!("{what} {}", known.join(", ")) }
}

/// Asks every module whether its values make sense, and finds out who wrote the ones that do not.
fn check_ranges(settings: &Settings, tree: &Node, problems: &mut Vec<Problem>) {
    let known: Vec<String> = show::full_keys().collect();
    for (section, text) in settings.validate() {
        let (key, others, text) = complaint(section, &text, &known);
        let origin_of = |key: &String| {
            let path: Vec<Step> = key.split('.').map(|k| Step::Key(k.to_owned())).collect();
            tree.get(&path).map(|n| n.origin.clone()).filter(|o| *o != Origin::Default)
        };
        // A default that another key's value made wrong: who wrote that other key has something to mend.
        let origin = std::iter::once(&key).chain(&others).find_map(origin_of).unwrap_or(Origin::Default);
        problems.push(Problem { origin, key, text, kind: Kind::Config });
    }
}

/// Modules name the key they complain about, with or without their section; where that is the beginning of the
/// sentence it is taken off, since every problem is printed after its key. The other keys named come beside it.
fn complaint(section: &str, text: &str, known: &[String]) -> (String, Vec<String>, String) {
    let word = |c: char| c.is_alphanumeric() || "_.".contains(c);
    let mut mentioned = text
        .split(|c| !word(c))
        .map(|w| w.trim_matches('.'))
        .map(|w| (w, format!("{section}.{}", w.strip_prefix(section).and_then(|w| w.strip_prefix('.')).unwrap_or(w))))
        .filter(|(_, key)| known.iter().any(|k| k == key || k.starts_with(&format!("{key}."))));
    let Some((word, key)) = mentioned.next() else { return (section.to_owned(), Vec::new(), text.to_owned()) };
    let rest = text.strip_prefix(word).map_or(text, |rest| rest.trim_start_matches([' ', '=', ':']));
    (key, mentioned.map(|(_, key)| key).collect(), rest.to_owned())
}
