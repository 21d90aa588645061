//! Turns trees into settings structs: a serde deserializer whose errors name the key.
//!
//! Values from the environment and from flags are plain text; here they take the type of the key.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Node, Value};
use super::parse;
use crate::problems::{Step, any_of, clip, must_be, not_one_of};

/// Why a tree does not fit the struct, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub what: What,
    /// From the root to the value at fault; filled from the inside out while the error travels up.
    reversed: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum What {
    /// This key, the last of the path or one of the table there, is not known; these are.
    UnknownKey(String, &'static [&'static str]),
    /// The struct at the path lacks this key.
    Missing(&'static str),
    /// One of a fixed list of words was wanted.
    UnknownWord(String, &'static [&'static str]),
    /// A list of another length was wanted.
    Length(String),
    /// A whole number that the key's type cannot hold; `most` is one that it can.
    Integer {
        wanted: String,
        found: String,
        most: i64,
    },
    Other(String),
}

impl Fault {
    fn new(what: What) -> Self {
        Self { what, reversed: Vec::new() }
    }

    fn at(mut self, step: Step) -> Self {
        self.reversed.push(step);
        self
    }

    pub(super) fn path(&self) -> Vec<Step> {
        self.reversed.iter().rev().cloned().collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::UnknownKey(..) => f.write_str("no such key"),
            What::Missing(key) => write!(f, "the key {key} is missing"),
            What::UnknownWord(word, known) => f.write_str(&not_one_of(word, known)),
            What::Integer { wanted, found, .. } => f.write_str(&must_be(wanted, found)),
            What::Length(s) | What::Other(s) => f.write_str(s),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        Fault::new(What::Other(msg.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let most = match (&found, wanted.to_string().as_str()) {
            (Unexpected::Signed(_) | Unexpected::Unsigned(_), "u8") => Some(u8::MAX.into()),
            (Unexpected::Signed(_) | Unexpected::Unsigned(_), "u32") => Some(u32::MAX.into()),
            (Unexpected::Signed(_) | Unexpected::Unsigned(_), "u64" | "usize") => Some(i64::MAX),
            _ => None,
        };
        let (wanted, found) = (plain(wanted), found_text(found));
        Fault::new(match most {
            Some(most) => What::Integer { wanted, found, most },
            None => What::Other(must_be(&wanted, found)),
        })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn invalid_length(n: usize, wanted: &dyn Expected) -> Self {
        Fault::new(What::Length(must_be(&plain(wanted), format!("a list of {n}"))))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Fault::new(What::UnknownKey(name.to_owned(), known))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Fault::new(What::UnknownWord(word.to_owned(), known))
    }

    fn missing_field(key: &'static str) -> Self {
        Fault::new(What::Missing(key))
    }
}

/// What a key wants, without Rust's names for it.
fn plain(wanted: &dyn Expected) -> String {
    let s = wanted.to_string();
    match s.as_str() {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number from 0 up".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "path string" => "text in quotes".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        _ if s.starts_with("struct ") => "a table".into(),
        _ if s.contains("nonzero") => "a whole number above 0".into(),
        // Of tables that say in one key what they are.
        _ if s.contains("enum ") || s.contains("struct ") || s.contains("variant ") => "a table".into(),
        _ => s,
    }
}

fn found_text(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(b) => b.to_string(),
        Unexpected::Unsigned(n) => n.to_string(),
        Unexpected::Signed(n) => n.to_string(),
        Unexpected::Float(x) => x.to_string(),
        Unexpected::Str(s) => format!("the text {:?}", clip(s)),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// Deserializes from a node. Nothing is borrowed from it, so text can be read as another type on the way.
#[derive(Clone, Copy)]
pub(super) struct De<'a>(pub &'a Node);

impl De<'_> {
    /// The value as it stands; loose text is text.
    fn strict<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Int(i) => visitor.visit_i64(*i),
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Text(s) | Value::Loose(s) => visitor.visit_str(s),
            Value::Array(items) => visitor.visit_seq(Seq { items: items.iter().enumerate() }),
            Value::Table(t) => visitor.visit_map(Table { entries: t.iter(), current: None }),
            Value::Date => Err(Fault::custom(must_be(&plain(&visitor), self.0.kind_text()))),
            Value::Gone => visitor.visit_unit(),
        }
    }

    /// Loose text as text, without the quotes it may have.
    fn words(self) -> Option<String> {
        match &self.0.value {
            Value::Text(s) => Some(s.clone()),
            Value::Loose(s) => Some(match parse::value(s, &self.0.origin).map(|n| n.value) {
                Some(Value::Text(inner)) => inner,
                _ => s.clone(),
            }),
            _ => None,
        }
    }
}

impl<'de> de::Deserializer<'de> for De<'_> {
    type Error = Fault;

    /// Loose text is read as TOML would read it, where it can be.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Loose(s) => match parse::value(s, &self.0.origin) {
                Some(node) => De(&node).strict(visitor),
                // Numbers as people write them: 007, .5, more than TOML can hold.
                None => match (s.parse::<u64>(), s.parse::<f64>()) {
                    (Ok(n), _) => visitor.visit_u64(n),
                    (_, Ok(x)) if x.is_finite() => visitor.visit_f64(x),
                    _ => visitor.visit_str(s),
                },
            },
            _ => self.strict(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.words() {
            Some(s) => visitor.visit_string(s),
            None => self.strict(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    /// Loose text is a TOML list, or words with commas between them.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Value::Loose(s) = &self.0.value else { return self.strict(visitor) };
        if let Some(node) = parse::value(s, &self.0.origin).filter(|n| matches!(n.value, Value::Array(_))) {
            return De(&node).strict(visitor);
        }
        let parts = s.split(',').map(str::trim).filter(|p| !p.is_empty());
        let items: Vec<Node> =
            parts.map(|p| Node { value: Value::Loose(p.to_owned()), origin: self.0.origin.clone() }).collect();
        visitor.visit_seq(Seq { items: items.iter().enumerate() })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    /// An empty variable or flag unsets an optional key.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Loose(s) if s.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(word) = self.words() {
            return visitor.visit_enum(StrDeserializer::<Fault>::new(&word));
        }
        match &self.0.value {
            Value::Table(t) => {
                visitor.visit_enum(MapAccessDeserializer::new(Table { entries: t.iter(), current: None }))
            }
            _ => Err(Fault::custom(must_be(&any_of(words), self.0.kind_text()))),
        }
    }

    /// Only reached for keys that a struct would silently skip: no key is.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(What::UnknownKey(String::new(), &[])))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct map struct
    }
}

struct Seq<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Seq<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        match self.items.find(|(_, n)| !matches!(n.value, Value::Gone)) {
            Some((i, node)) => seed.deserialize(De(node)).map(Some).map_err(|f| f.at(Step::Index(i))),
            None => Ok(None),
        }
    }
}

struct Table<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Node>,
    current: Option<(&'a String, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Table<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let key_de: StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
        seed.deserialize(key_de).map(Some).map_err(|f| f.at(Step::Key(key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.current.take().ok_or_else(|| Fault::custom("a value without a key"))?;
        seed.deserialize(De(node)).map_err(|f| f.at(Step::Key(key.clone())))
    }
}
