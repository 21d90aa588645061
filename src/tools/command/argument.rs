//! The arguments of a configured command, as they are written.

use serde::{Deserialize, Serialize};

use crate::problems::{Problems, clip, nearest};
use crate::schema::{Param, ParamType};
use crate::tools::names::Names;

/// One of a command's `params`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    pub name: String,
    #[serde(flatten)]
    pub kind: ArgumentType,
    #[serde(default = "super::yes")]
    pub required: bool,
}

/// What an argument may be: a [`ParamType`] whose words may be a list that commands share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ArgumentType {
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
    /// One of these words, or of the names in a list under `[tools.names]`.
    Enum {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<String>,
    },
}

impl From<Param> for Argument {
    fn from(p: Param) -> Self {
        let kind = match p.kind {
            ParamType::String { max_chars } => ArgumentType::String { max_chars },
            ParamType::Int { min, max } => ArgumentType::Int { min, max },
            ParamType::Number { min, max } => ArgumentType::Number { min, max },
            ParamType::Bool => ArgumentType::Bool,
            ParamType::Enum { values } => ArgumentType::Enum { values: Some(values), names: None },
        };
        Self { name: p.name, kind, required: p.required }
    }
}

impl Argument {
    /// As the schema has it: with the names of its list.
    pub(super) fn param(&self, lists: &Names) -> Param {
        let kind = match &self.kind {
            ArgumentType::String { max_chars } => ParamType::String { max_chars: *max_chars },
            ArgumentType::Int { min, max } => ParamType::Int { min: *min, max: *max },
            ArgumentType::Number { min, max } => ParamType::Number { min: *min, max: *max },
            ArgumentType::Bool => ParamType::Bool,
            ArgumentType::Enum { values: Some(values), .. } => ParamType::Enum { values: values.clone() },
            ArgumentType::Enum { values: None, names } => {
                let list = names.as_ref().and_then(|list| lists.get(list));
                ParamType::Enum { values: list.into_iter().flatten().map(|n| n.name.clone()).collect() }
            }
        };
        Param { name: self.name.clone(), kind, required: self.required }
    }

    pub(super) fn is_bool(&self) -> bool {
        self.kind == ArgumentType::Bool
    }

    /// Adds what no value could satisfy.
    pub(super) fn validate(&self, lists: &Names, problems: &mut Problems) {
        match &self.kind {
            ArgumentType::Enum { values: None, names: None } => {
                problems.wrong("", "needs values, or names: a list under tools.names");
            }
            ArgumentType::Enum { values: Some(_), names: Some(_) } => {
                problems.wrong("names", "must not stand beside values: give one of the two");
            }
            ArgumentType::Enum { values: Some(values), .. } if values.is_empty() => {
                problems.wrong("values", "must not be empty: list the words");
            }
            ArgumentType::Enum { names: Some(list), .. } if !lists.contains_key(list) => {
                let near = nearest(list, lists.keys().map(String::as_str));
                let near = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                problems.wrong("names", format!("there is no list {:?} under tools.names{near}", clip(list)));
            }
            ArgumentType::Int { min: Some(min), max: Some(max) } => problems.at_most("min", *min, "max", *max),
            ArgumentType::Number { min: Some(min), max: Some(max) } => problems.at_most("min", *min, "max", *max),
            ArgumentType::String { max_chars: Some(0) } => problems.wrong("max_chars", "must be at least 1, not 0"),
            _ => {}
        }
    }
}
