//! Lists of names that several commands share: `[tools.names]`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::problems::{Problems, clip};

/// Longest name: it is shown to the model with every request.
const CHARS_MAX: usize = 60;

/// The lists, by what they are called.
pub type Names = BTreeMap<String, Vec<Name>>;

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What a command is given.
    pub name: String,
    /// What else people say for it.
    pub also: Vec<String>,
}

/// As it is written where it has other names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    #[serde(default)]
    also: Vec<String>,
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.also.as_slice() {
            [] => serializer.serialize_str(&self.name),
            also => Named { name: self.name.clone(), also: also.to_vec() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes or a table with name and also")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name { name: name.to_owned(), also: Vec::new() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Name, A::Error> {
                let Named { name, also } = Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Name { name, also })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// Reports every list and name that cannot be used.
pub(super) fn validate(lists: &Names, problems: &mut Problems) {
    for (list, names) in lists {
        if !is_identifier(list) {
            let text = format!(
                "has a list {:?}; it must be called by at most 40 lowercase letters, digits and _, a letter first",
                clip(list)
            );
            problems.wrong("names", text);
            continue;
        }
        let key = format!("names.{list}");
        if names.is_empty() {
            problems.wrong(&key, "must not be empty: list the names");
        }
        let mut before: Vec<String> = Vec::new();
        for (i, name) in names.iter().enumerate() {
            problems.element(&key, i, |problems| {
                for said in std::iter::once(&name.name).chain(&name.also) {
                    if let Some(trouble) = trouble(said) {
                        problems.wrong("", trouble);
                    } else if before.contains(&said.to_lowercase()) {
                        problems.wrong("", format!("{said:?} is given twice"));
                    }
                    before.push(said.to_lowercase());
                }
            });
        }
    }
}

/// At most 40 lowercase letters, digits and `_`, a letter first.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn trouble(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("must not be empty: write a name".to_owned());
    }
    // A name stands between quotes where the model is shown it.
    let odd = name.contains('"') || name.chars().any(char::is_control) || name.chars().count() > CHARS_MAX;
    odd.then(|| {
        format!("must be at most {CHARS_MAX} letters without quotes and control characters, not {:?}", clip(name))
    })
}

/// Every name that has others, with what is said for it; lists that share a name share what is said.
pub(super) fn aliases(lists: &Names) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for name in lists.values().flatten().filter(|n| !n.also.is_empty()) {
        match found.iter_mut().find(|(value, _)| *value == name.name) {
            Some((_, also)) => {
                let new: Vec<String> = name.also.iter().filter(|a| !also.contains(a)).cloned().collect();
                also.extend(new);
            }
            None => found.push((name.name.clone(), name.also.clone())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lists(written: serde_json::Value) -> Names {
        serde_json::from_value(written).unwrap()
    }

    fn told(written: serde_json::Value) -> Vec<String> {
        let mut p = Problems::new();
        validate(&lists(written), &mut p);
        p.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_written_back_as_they_were() {
        let written = json!({ "rooms": ["kitchen", { "name": "living room", "also": ["lounge", "sitting room"] }] });
        assert_eq!(serde_json::to_value(lists(written.clone())).unwrap(), written);
        for wrong in
            [json!({ "rooms": [3] }), json!({ "rooms": [{ "name": "a", "als": [] }] }), json!({ "rooms": "a" })]
        {
            assert!(serde_json::from_value::<Names>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_at_its_place() {
        assert!(
            told(json!({ "rooms": ["kitchen", { "name": "hall", "also": ["corridor"] }], "lamps": ["hall"] }))
                .is_empty()
        );
        assert_eq!(told(json!({ "rooms": [] })), ["names.rooms: must not be empty: list the names"]);
        assert_eq!(told(json!({ "rooms": ["hall", "Hall"] })), [r#"names.rooms[1]: "Hall" is given twice"#]);
        assert_eq!(
            told(
                json!({ "rooms": [{ "name": "hall", "also": ["hall"] }, { "name": "den", "also": ["study"] }, "study"] })
            ),
            [r#"names.rooms[0]: "hall" is given twice"#, r#"names.rooms[2]: "study" is given twice"#]
        );
        assert_eq!(told(json!({ "rooms": [" "] })), ["names.rooms[0]: must not be empty: write a name"]);
        assert!(told(json!({ "rooms": ["a \"b\""] }))[0].starts_with("names.rooms[0]: must be at most 60 letters"));
        assert!(told(json!({ "my.rooms": [] }))[0].starts_with("names: has a list \"my.rooms\""));
    }

    #[test]
    fn what_is_said_for_a_name_is_gathered_over_lists() {
        let both = lists(json!({
            "lamps": [{ "name": "hall", "also": ["corridor"] }, "desk"],
            "rooms": [{ "name": "hall", "also": ["hallway", "corridor"] }, { "name": "den", "also": ["study"] }]
        }));
        let wanted = [("hall", vec!["corridor", "hallway"]), ("den", vec!["study"])];
        let found = aliases(&both);
        let found: Vec<(&str, Vec<&str>)> =
            found.iter().map(|(v, also)| (v.as_str(), also.iter().map(String::as_str).collect())).collect();
        assert_eq!(found, wanted);
    }
}
