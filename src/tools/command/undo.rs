//! How a configured command is taken back.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// What it is called in the settings.
const OPPOSITE: &str = "opposite";

/// A command's `undo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The command itself, with its one truth value turned round.
    Opposite,
    /// A program and arguments of its own.
    Exec(Vec<String>),
}

impl Serialize for Undo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Undo::Opposite => serializer.serialize_str(OPPOSITE),
            Undo::Exec(argv) => argv.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Undo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Undo;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{OPPOSITE:?} or a list: a program and its arguments")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Undo, E> {
                match word {
                    OPPOSITE => Ok(Undo::Opposite),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Undo, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Undo::Exec)
            }
        }
        deserializer.deserialize_any(Written)
    }
}
