//! The effective configuration for people (TOML with origins) and for programs (JSON).

use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value as Json;

use super::de::{De, What};
use super::node::{Node, Value};
use super::{Loaded, Origin, Settings};
use crate::problems::{Key, Step};

/// Every key, sections apart: `(hear.wake, threshold)`. In the order of the structs, keys of one section together.
pub(super) fn keys() -> &'static [(String, String)] {
    static KEYS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut found = Vec::new();
        probe(&mut Vec::new(), &mut found);
        let mut sections: Vec<&str> = Vec::new();
        for (s, _) in &found {
            if !sections.contains(&s.as_str()) {
                sections.push(s);
            }
        }
        let of = |s: &str| found.iter().filter(|k| k.0 == s).cloned().collect::<Vec<_>>();
        sections.into_iter().flat_map(of).collect()
    })
}

/// Every key in one piece: `hear.wake.threshold`.
pub(super) fn full_keys() -> impl Iterator<Item = String> {
    keys().iter().map(|(s, k)| format!("{s}.{k}"))
}

/// Asks the structs themselves for their keys, by offering one that no struct has: keys without a default value and
/// those left out when serialized are found too.
fn probe(at: &mut Vec<Step>, found: &mut Vec<(String, String)>) {
    let bogus = Node { value: Value::Gone, origin: Origin::Default };
    let tree = at.iter().cloned().chain([Step::Key("\u{0}".to_owned())]).rev().fold(bogus, |inner, step| {
        let Step::Key(key) = step else { return inner };
        Node { value: Value::Table([(key, inner)].into()), origin: Origin::Default }
    });
    match Settings::deserialize(De(&tree)).err() {
        // The struct at `at` names its keys.
        Some(fault) if matches!(fault.what, What::UnknownKey(..)) && fault.path().len() == at.len() + 1 => {
            let What::UnknownKey(_, known) = fault.what else { return };
            for key in known {
                at.push(Step::Key((*key).to_owned()));
                probe(at, found);
                at.pop();
            }
        }
        // No struct: one value.
        _ => {
            // A section without keys is one this build leaves out.
            if let Some((Step::Key(key), section @ [_, ..])) = at.split_last() {
                found.push((Key(section.to_vec()).to_string(), key.clone()));
            }
        }
    }
}

/// The value of a key among the serialized settings; null where it is not set.
fn lookup<'a>(settings: &'a Json, section: &str, key: &str) -> &'a Json {
    section.split('.').chain([key]).fold(settings, |at, k| at.get(k).unwrap_or(&Json::Null))
}

pub(super) fn toml(loaded: &Loaded) -> String {
    let settings = serde_json::to_value(&loaded.settings).unwrap_or_default();
    let mut text = String::new();
    let mut section = "";
    for (s, key) in keys() {
        if s != section {
            text += &format!("{}[{s}]\n", if text.is_empty() { "" } else { "\n" });
            section = s;
        }
        let origin = loaded.origin(&format!("{s}.{key}")).to_string().replace(char::is_control, "?");
        match toml_value(lookup(&settings, s, key)) {
            Some(v) => text += &format!("{key} = {v}  # {origin}\n"),
            None => text += &format!("# {key} is not set  # {origin}\n"),
        }
    }
    text
}

pub(super) fn json(loaded: &Loaded) -> Json {
    let mut settings = serde_json::to_value(&loaded.settings).unwrap_or_default();
    round(&mut settings);
    let origins: serde_json::Map<String, Json> = full_keys()
        .map(|key| {
            let origin = match loaded.origin(&key) {
                Origin::Set(_) => "--set".to_owned(),
                o => o.to_string(),
            };
            (key, Json::String(origin))
        })
        .collect();
    let files: Vec<String> = loaded.files.iter().map(|f| f.display().to_string()).collect();
    serde_json::json!({ "files": files, "settings": settings, "origins": origins })
}

/// 32-bit fractions as they were written (0.3, not 0.30000001192092896).
fn round(v: &mut Json) {
    match v {
        Json::Number(n) if n.is_f64() => {
            if let Some(x) = n.as_f64().and_then(short) {
                *v = Json::from(x);
            }
        }
        Json::Array(a) => a.iter_mut().for_each(round),
        Json::Object(o) => o.values_mut().for_each(round),
        _ => {}
    }
}

fn short(x: f64) -> Option<f64> {
    let narrow = x as f32;
    if f64::from(narrow) == x { narrow.to_string().parse().ok() } else { None }
}

/// On one line; `None` for what is not set.
fn toml_value(v: &Json) -> Option<String> {
    Some(match v {
        Json::Null => return None,
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => match n.as_f64().filter(|_| n.is_f64()) {
            Some(x) => toml::Value::Float(short(x).unwrap_or(x)).to_string(),
            None => n.to_string(),
        },
        Json::String(s) => basic_string(s),
        Json::Array(a) => format!("[{}]", a.iter().filter_map(toml_value).collect::<Vec<_>>().join(", ")),
        Json::Object(o) => {
            let inner: Vec<String> =
                o.iter().filter_map(|(k, v)| Some(format!("{} = {}", basic_string(k), toml_value(v)?))).collect();
            format!("{{ {} }}", inner.join(", "))
        }
    })
}

/// A TOML basic string on one line.
fn basic_string(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out += &format!("\\u{:04X}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
