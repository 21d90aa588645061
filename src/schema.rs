//! What passes between conversation, model, tools and ears: messages, tool calls, the argument schemas that the prompt
//! shows, the grammar constrains and `tools` checks, and what the ears listen for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who wrote a message of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    /// The result of a tool call, as JSON.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What the ears listen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarMode {
    /// The wake word only. Speech is reported, but no turn is collected, except from a wake word on.
    Asleep,
    /// Speech and where it ends, turn after turn; wake words as well. A wake word restarts the utterance after it.
    Open,
    /// Nothing: what comes in is thrown away, and what was heard before is forgotten. The clock goes on.
    Deaf,
}

/// Type of one argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ParamType {
    /// UTF-8 text of at most `max_chars` characters (default [`ParamType::MAX_CHARS`]).
    String {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_chars: Option<usize>,
    },
    Int {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
    },
    Number {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    },
    Bool,
    /// One of a fixed list of words.
    Enum {
        values: Vec<String>,
    },
}

impl ParamType {
    /// Longest string argument accepted where the schema names no limit.
    pub const MAX_CHARS: usize = 500;
}

/// One named argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    pub name: String,
    #[serde(flatten)]
    pub kind: ParamType,
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// A tool's name, what it is for, and its arguments in the order shown to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSchema {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub params: Vec<Param>,
}

/// A call as the model wrote it: not yet checked against anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub name: String,
    #[serde(default, alias = "arguments")]
    pub parameters: Map<String, Value>,
}

impl ToolSchema {
    /// `set_timer(duration: string, label?: string)`: the form the default model was trained on.
    pub fn signature(&self) -> String {
        let args: Vec<String> = self
            .params
            .iter()
            .map(|p| {
                let ty = match &p.kind {
                    ParamType::String { .. } => "string".to_owned(),
                    ParamType::Int { .. } => "int".to_owned(),
                    ParamType::Number { .. } => "number".to_owned(),
                    ParamType::Bool => "bool".to_owned(),
                    ParamType::Enum { values } => {
                        values.iter().map(|v| format!("\"{v}\"")).collect::<Vec<_>>().join("|")
                    }
                };
                format!("{}{}: {ty}", p.name, if p.required { "" } else { "?" })
            })
            .collect();
        format!("{}({})", self.name, args.join(", "))
    }

    /// Reads a [`ToolSchema::signature`] back. What a signature does not tell (bounds, descriptions) is not there.
    pub fn from_signature(line: &str) -> Option<Self> {
        let (name, rest) = line.trim().split_once('(')?;
        let mut rest = rest.strip_suffix(')')?;
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let mut params = Vec::new();
        while !rest.is_empty() {
            let (param, after) = rest.split_once(": ")?;
            let (kind, after) = ParamType::from_signature(after)?;
            let required = !param.ends_with('?');
            let param = param.strip_suffix('?').unwrap_or(param);
            if !word(param) {
                return None;
            }
            params.push(Param { name: param.to_owned(), kind, required });
            rest = match after.strip_prefix(", ") {
                Some(more) if !more.is_empty() => more,
                None if after.is_empty() => after,
                _ => return None,
            };
        }
        word(name).then(|| Self { name: name.to_owned(), description: String::new(), params })
    }

    /// The tools that a system message offers: its lines that are signatures.
    pub fn offered_by(system: &str) -> Vec<Self> {
        system.lines().filter_map(Self::from_signature).collect()
    }

    /// Checks arguments against the schema; returns every problem, each naming the argument.
    pub fn check(&self, args: &Map<String, Value>) -> Vec<String> {
        let mut problems = Vec::new();
        for p in &self.params {
            match args.get(&p.name) {
                None | Some(Value::Null) if p.required => problems.push(format!("{}: missing", p.name)),
                None | Some(Value::Null) => {}
                Some(v) => {
                    if let Some(problem) = p.kind.problem(v) {
                        problems.push(format!("{}: {problem}", p.name));
                    }
                }
            }
        }
        for name in args.keys() {
            if !self.params.iter().any(|p| &p.name == name) {
                problems.push(format!("{name}: no such argument of {}", self.name));
            }
        }
        problems
    }
}

impl ParamType {
    /// The type at the start of a signature's rest, and what follows it.
    fn from_signature(rest: &str) -> Option<(Self, &str)> {
        if !rest.starts_with('"') {
            let (word, after) = rest.split_at(rest.find(", ").unwrap_or(rest.len()));
            let kind = match word {
                "string" => ParamType::String { max_chars: None },
                "int" => ParamType::Int { min: None, max: None },
                "number" => ParamType::Number { min: None, max: None },
                "bool" => ParamType::Bool,
                _ => return None,
            };
            return Some((kind, after));
        }
        let mut values = Vec::new();
        let mut rest = rest;
        loop {
            let (value, after) = rest.strip_prefix('"')?.split_once('"')?;
            values.push(value.to_owned());
            match after.strip_prefix('|') {
                Some(more) => rest = more,
                None => return Some((ParamType::Enum { values }, after)),
            }
        }
    }

    fn problem(&self, v: &Value) -> Option<String> {
        match (self, v) {
            (ParamType::String { max_chars }, Value::String(s)) => {
                let max = max_chars.unwrap_or(Self::MAX_CHARS);
                (s.chars().count() > max).then(|| format!("longer than {max} characters"))
            }
            (ParamType::Int { min, max }, Value::Number(n)) => match n.as_i64() {
                None => Some(format!("{n} is not a whole number")),
                Some(i) => match (min, max) {
                    (Some(m), _) if i < *m => Some(format!("{i} is below {m}")),
                    (_, Some(m)) if i > *m => Some(format!("{i} is above {m}")),
                    _ => None,
                },
            },
            (ParamType::Number { min, max }, Value::Number(n)) => match n.as_f64() {
                None => Some(format!("{n} is not a number")),
                Some(x) => match (min, max) {
                    (Some(m), _) if x < *m => Some(format!("{x} is below {m}")),
                    (_, Some(m)) if x > *m => Some(format!("{x} is above {m}")),
                    _ => None,
                },
            },
            (ParamType::Bool, Value::Bool(_)) => None,
            (ParamType::Enum { values }, Value::String(s)) => {
                (!values.contains(s)).then(|| format!("{s:?} is not one of {}", values.join(", ")))
            }
            (_, v) => Some(format!("{v} has the wrong type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn light() -> ToolSchema {
        serde_json::from_value(json!({"name": "set_light", "params": [
            {"name": "room", "type": "string", "max_chars": 20},
            {"name": "on", "type": "bool"},
            {"name": "brightness", "type": "int", "min": 0, "max": 100, "required": false},
            {"name": "mode", "type": "enum", "values": ["warm", "cold"], "required": false}]}))
        .expect("a valid schema")
    }

    #[test]
    fn signature_is_what_the_model_was_trained_on() {
        assert_eq!(
            light().signature(),
            "set_light(room: string, on: bool, brightness?: int, mode?: \"warm\"|\"cold\")"
        );
    }

    #[test]
    fn signatures_read_back() {
        for tool in [light(), ToolSchema { name: "timer.set-2".into(), description: String::new(), params: vec![] }] {
            let read = ToolSchema::from_signature(&tool.signature()).expect("a signature");
            assert_eq!(read.signature(), tool.signature());
            assert_eq!(read.name, tool.name);
        }
        for line in [
            "Tools:",
            "",
            "f(",
            "f(x)",
            "f(x: text)",
            "f(x: int,)",
            "f(x: int, )",
            "f(x: \"a)",
            "(x: int)",
            "a b()",
            "f(): g",
        ] {
            assert_eq!(ToolSchema::from_signature(line), None, "{line}");
        }
        let system = "You are kind (mostly).\nTools:\nstop()\nset(on: bool)\nCall them.";
        let names: Vec<String> = ToolSchema::offered_by(system).into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["stop", "set"]);
    }

    #[test]
    fn check_reports_every_problem() {
        let ok = json!({"room": "kitchen", "on": true, "brightness": 40});
        assert!(light().check(ok.as_object().expect("object")).is_empty());
        let bad = json!({"room": "a room with a very long name", "brightness": 140, "mode": "hot", "x": 1});
        let p = light().check(bad.as_object().expect("object"));
        assert_eq!(p.len(), 5, "{p:?}");
    }
}
