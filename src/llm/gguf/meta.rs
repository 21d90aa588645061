//! Metadata values.

use std::ops::Range;

/// The thirteen value types of GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Str,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    pub(super) fn from_id(id: u32) -> Option<Self> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, Str, Array, U64, I64, F64].get(id as usize).copied()
    }

    /// Bytes of one value, where all have the same.
    pub(super) fn fixed_bytes(self) -> Option<usize> {
        use ValueType::*;
        match self {
            U8 | I8 | Bool => Some(1),
            U16 | I16 => Some(2),
            U32 | I32 | F32 => Some(4),
            U64 | I64 | F64 => Some(8),
            Str | Array => None,
        }
    }

    /// The fewest bytes one value takes.
    pub(super) fn min_bytes(self) -> usize {
        match self {
            ValueType::Str => 8,
            ValueType::Array => 12,
            other => other.fixed_bytes().unwrap_or(1),
        }
    }
}

/// One metadata value. Strings and arrays are ranges of the file, decoded by the getters of [`super::Gguf`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Str(Range<usize>),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array: element type, length, and where it lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub elem: ValueType,
    pub len: usize,
    pub(super) range: Range<usize>,
}

impl Value {
    /// The value as an integer; `None` for other types and for what does not fit.
    pub fn as_int(&self) -> Option<i64> {
        Some(match *self {
            Value::U8(v) => v.into(),
            Value::I8(v) => v.into(),
            Value::U16(v) => v.into(),
            Value::I16(v) => v.into(),
            Value::U32(v) => v.into(),
            Value::I32(v) => v.into(),
            Value::U64(v) => i64::try_from(v).ok()?,
            Value::I64(v) => v,
            _ => return None,
        })
    }

    /// The value as a float; integers are converted.
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Value::F32(v) => Some(v.into()),
            Value::F64(v) => Some(v),
            _ => self.as_int().map(|i| i as f64),
        }
    }

    /// `u32`, `string`, `array of 3 f32`, …
    pub fn type_name(&self) -> String {
        let plain = match self {
            Value::U8(_) => "a u8",
            Value::I8(_) => "an i8",
            Value::U16(_) => "a u16",
            Value::I16(_) => "an i16",
            Value::U32(_) => "a u32",
            Value::I32(_) => "an i32",
            Value::F32(_) => "an f32",
            Value::Bool(_) => "a boolean",
            Value::Str(_) => "a string",
            Value::U64(_) => "a u64",
            Value::I64(_) => "an i64",
            Value::F64(_) => "an f64",
            Value::Array(a) => return format!("an array of {} {:?}", a.len, a.elem),
        };
        plain.to_owned()
    }
}
