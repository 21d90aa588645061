//! The effective configuration for people (TOML with origins) and for programs (JSON).

use serde_json::Value as Json;

use super::{Loaded, Origin, Settings};

/// One key with its effective value.
struct Leaf {
    key: String,
    value: Json,
}

/// Every key in file order. Tables are walked into; a list or an empty table is one value.
fn leaves(settings: &Settings) -> Vec<Leaf> {
    fn walk(prefix: &str, value: Json, out: &mut Vec<Leaf>) {
        match value {
            Json::Object(map) if !map.is_empty() => {
                for (k, v) in map {
                    let bare = !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
                    let k = if bare { k } else { basic_string(&k) };
                    walk(&if prefix.is_empty() { k } else { format!("{prefix}.{k}") }, v, out);
                }
            }
            value => out.push(Leaf { key: prefix.to_owned(), value }),
        }
    }
    let mut out = Vec::new();
    // Settings are plain structs of plain values: they serialize.
    if let Ok(v) = serde_json::to_value(settings) {
        walk("", v, &mut out);
    }
    out
}

/// Names of all keys, such as `llm.threads`.
pub(super) fn keys(settings: &Settings) -> Vec<String> {
    leaves(settings).into_iter().map(|l| l.key).collect()
}

pub(super) fn toml(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for leaf in leaves(&loaded.settings) {
        let (s, key) = leaf.key.split_once('.').unwrap_or(("", &leaf.key));
        if s != section {
            text += &format!("{}[{s}]\n", if text.is_empty() { "" } else { "\n" });
            section = s.to_owned();
        }
        let origin = loaded.origin(&leaf.key).to_string().replace(char::is_control, "?");
        match toml_value(&leaf.value) {
            Some(v) => text += &format!("{key} = {v}  # {origin}\n"),
            None => text += &format!("# {key} is not set  # {origin}\n"),
        }
    }
    text
}

pub(super) fn json(loaded: &Loaded) -> Json {
    let mut settings = serde_json::to_value(&loaded.settings).unwrap_or_default();
    round(&mut settings);
    let origins: serde_json::Map<String, Json> = leaves(&loaded.settings)
        .into_iter()
        .map(|l| {
            let origin = match loaded.origin(&l.key) {
                Origin::Flag(_) => "--set".to_owned(),
                o => o.to_string(),
            };
            (l.key, Json::String(origin))
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
