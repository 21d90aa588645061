//! Configuration: TOML files, environment and flags into validated [`Settings`].
//!
//! Layers, later ones win key by key: built-in defaults, `/etc/tercet/tercet.toml`,
//! `$XDG_CONFIG_HOME/tercet/tercet.toml` (`~/.config` without it), both replaced by `--config FILE` when given;
//! then `TERCET__SECTION__KEY` variables, then `--set section.key=value`, then the flags of a command that stand for a
//! setting (`--temperature`). Every layer is checked whole before anything fails: unknown keys, wrong types and values
//! out of range are reported together, each with where it was written. [`check`] also looks for what the settings name:
//! models, programs, devices. Only this module knows TOML; every other module owns a plain settings struct.

mod de;
mod engine;
mod memory;
mod mistake;
mod node;
mod parse;
mod sections;
mod show;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Kind, Result};
use crate::problems::{Key, Problems, Severity, Step, clip, must_be, nearest};
use crate::store::Paths;
use de::{De, Fault, What};
use node::Node;

pub use engine::engine_options;
pub use memory::{effective_cap, memory_plan};
pub use mistake::Mistake;
pub use node::Origin;
pub use sections::{Log, Privacy, Settings};

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
    /// Flags of the command that stand for a setting.
    pub flags: Vec<Flag>,
}

/// A command's own flag for a setting: `--temperature 0.7` for `llm.sampling.temperature`.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As it is written: `--temperature`.
    pub name: &'static str,
    /// The key it stands for.
    pub key: &'static str,
    /// As it was given; it takes the type of the key.
    pub value: String,
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
        Self { searched, config: config.map(Path::to_owned), env, set: set.to_vec(), flags: Vec::new() }
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
    gather(request).map_err(|mistakes| mistake::error_of(&mistakes))
}

/// [`load`], with the mistakes one by one.
pub fn gather(request: &Request) -> Result<Loaded, Vec<Mistake>> {
    match read(request) {
        (Some(loaded), mistakes) if mistakes.is_empty() => Ok(loaded),
        (_, mistakes) => Err(mistakes),
    }
}

/// What [`check`] found.
#[derive(Debug)]
pub struct Checked {
    /// The files that were read, lowest layer first.
    pub files: Vec<PathBuf>,
    /// What cannot work as it is written.
    pub mistakes: Vec<Mistake>,
    /// What is right, but needs something that is not on this machine yet.
    pub notes: Vec<Mistake>,
}

impl Checked {
    /// # Errors
    /// As [`load`], for every mistake.
    pub fn result(&self) -> Result<()> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(mistake::error_of(&self.mistakes)) }
    }
}

/// Reads and checks every layer as [`load`] does, and looks on this machine for what the settings name.
pub fn check(request: &Request, paths: &Paths) -> Checked {
    let (loaded, mut mistakes) = read(request);
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    if let Some(loaded) = loaded {
        let mut problems = Problems::new();
        loaded.settings.look(paths, &mut problems);
        for problem in problems.into_vec() {
            let list = if problem.severity == Severity::Note { &mut notes } else { &mut mistakes };
            list.push(Mistake::of(problem, &loaded.tree));
        }
        files = loaded.files;
    }
    Checked { files, mistakes, notes }
}

/// What the layers come to, as far as they can be understood, and every mistake.
fn read(request: &Request) -> (Option<Loaded>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let mut files = Vec::new();
    let mut layers = Vec::new();
    let searched = request.searched.iter().filter(|p| p.exists());
    for path in request.config.iter().chain(searched.filter(|_| request.config.is_none())) {
        layers.push(parse::file(path, &mut mistakes));
        files.push(path.clone());
    }
    layers.push(parse::environment(&request.env, &mut mistakes));
    layers.push(parse::set(&request.set, &mut mistakes));
    layers.push(parse::flags(&request.flags));

    let mut tree = Node::table(Origin::Default);
    for mut layer in layers {
        // Each layer alone, so that a mistake is seen even where a higher layer hides it.
        fit(&mut layer, &mut mistakes);
        tree.overlay(layer);
    }
    let settings = fit(&mut tree, &mut mistakes);
    if let Some(settings) = &settings {
        let mut found = Problems::new();
        settings.validate(&mut found);
        mistakes.extend(found.into_vec().into_iter().map(|p| Mistake::of(p, &tree)));
    }
    (settings.map(|settings| Loaded { settings, files, tree }), mistakes)
}

/// Deserializes the tree; what does not fit is reported, taken out, and the rest tried again.
fn fit(tree: &mut Node, mistakes: &mut Vec<Mistake>) -> Option<Settings> {
    let mut reported: Vec<Vec<Step>> = Vec::new();
    // Whole numbers that a key's type cannot hold: which mistake, where, what was found, and one that it can.
    let mut integers: Vec<(usize, Vec<Step>, String, i64)> = Vec::new();
    loop {
        let fault = match Settings::deserialize(De(tree)) {
            Ok(settings) => {
                for (mistake, path, found, most) in integers {
                    if let Some(wanted) = wanted_at(tree, &path, most) {
                        mistakes[mistake].text = must_be(&wanted, found);
                    }
                }
                return Some(settings);
            }
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
            if let What::Integer { found, most, .. } = &fault.what {
                integers.push((mistakes.len(), path.clone(), found.clone(), *most));
            }
            mistakes.push(Mistake {
                origin: tree.nearest(&path).origin.clone(),
                key: Key(path.clone()).to_string(),
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

/// What the module says that the value at `path` must be: asked with `most`, the largest number that the key can hold, so
/// that -1 and 80 are reported with the same wording. `None` where `most` is right.
fn wanted_at(tree: &Node, path: &[Step], most: i64) -> Option<String> {
    let mut tree = tree.clone();
    tree.put(path, node::Value::Int(most));
    let settings = Settings::deserialize(De(&tree)).ok()?;
    let mut problems = Problems::new();
    settings.validate(&mut problems);
    let mut about = problems.into_vec().into_iter().filter(|p| mistake::as_written(&tree, p.key.clone()).0 == path);
    about.find_map(|p| p.wanted)
}

fn explain(fault: &Fault, path: &[Step], tree: &Node) -> String {
    let What::UnknownKey(unknown, known) = &fault.what else { return fault.to_string() };
    let (name, parents) = match path.split_last() {
        Some((Step::Key(name), parents)) if unknown.is_empty() || name == unknown => (name, parents),
        // The table at the path holds the key.
        _ => {
            let near =
                nearest(unknown, known.iter().copied()).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            return format!("has no key {}{near}", clip(unknown));
        }
    };
    let section = Key(parents.to_vec()).to_string();
    let full = |key: &str| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    if let Some(near) = nearest(name, known.iter().copied()) {
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
