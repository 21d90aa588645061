//! Bounds-checked reading of little-endian fields; every error names the field.

use std::ops::Range;

use super::Problem;
use super::meta::{Array, Value, ValueType};

/// Arrays of arrays are legal; deeper than this is an attack on the stack.
const MAX_DEPTH: usize = 4;

/// A read position inside `bytes`; ranges it returns are absolute in `bytes`.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// Reads `range` of `bytes`; a range outside reads as truncated.
    pub(super) fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(bytes.len());
        Self { bytes, pos: range.start.min(end), end }
    }

    pub(super) fn position(&self) -> usize {
        self.pos
    }

    fn remaining(&self) -> usize {
        self.end - self.pos
    }

    pub(super) fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8], Problem> {
        if n > self.remaining() {
            return Err(Problem::corrupt(format!(
                "ends inside {field}: {n} bytes wanted at {}, {} left",
                self.pos,
                self.remaining()
            )));
        }
        let s = &self.bytes[self.pos..self.pos + n];
        self.pos += n;
        Ok(s)
    }

    fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], Problem> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, field)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    pub(super) fn u64(&mut self, field: &str) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// A u64 count of things of at least `min_bytes` each, refused where they cannot fit into what is left.
    pub(super) fn count(&mut self, min_bytes: usize, field: &str) -> Result<usize, Problem> {
        let n = self.u64(field)?;
        let room = (self.remaining() / min_bytes.max(1)) as u64;
        if n > room {
            return Err(Problem::corrupt(format!("{field} is {n}, but at most {room} fit into the rest of the file")));
        }
        Ok(n as usize)
    }

    /// A length-prefixed string; its range.
    pub(super) fn string(&mut self, field: &str) -> Result<Range<usize>, Problem> {
        let n = self.count(1, &format!("length of {field}"))?;
        let start = self.pos;
        self.take(n, field)?;
        Ok(start..start + n)
    }

    /// A length-prefixed string that must be UTF-8 (keys, tensor names).
    pub(super) fn utf8(&mut self, field: &str) -> Result<&'a str, Problem> {
        let range = self.string(field)?;
        std::str::from_utf8(&self.bytes[range]).map_err(|_| Problem::corrupt(format!("{field} is not UTF-8")))
    }

    pub(super) fn value_type(&mut self, key: &str) -> Result<ValueType, Problem> {
        let id = self.u32(&format!("type of metadata {key}"))?;
        ValueType::from_id(id).ok_or_else(|| Problem::corrupt(format!("metadata {key} has the unknown type {id}")))
    }

    /// One value of type `ty`. Arrays are walked, so that their extent and every length in them is checked, but
    /// not decoded.
    pub(super) fn value(&mut self, ty: ValueType, key: &str, depth: usize) -> Result<Value, Problem> {
        Ok(match ty {
            ValueType::U8 => Value::U8(self.array::<1>(key)?[0]),
            ValueType::I8 => Value::I8(i8::from_le_bytes(self.array(key)?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(self.array(key)?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(self.array(key)?)),
            ValueType::U32 => Value::U32(self.u32(key)?),
            ValueType::I32 => Value::I32(i32::from_le_bytes(self.array(key)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(self.array(key)?)),
            ValueType::U64 => Value::U64(self.u64(key)?),
            ValueType::I64 => Value::I64(i64::from_le_bytes(self.array(key)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(self.array(key)?)),
            ValueType::Bool => match self.array::<1>(key)?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                b => return Err(Problem::corrupt(format!("metadata {key} is the boolean {b}"))),
            },
            ValueType::Str => Value::Str(self.string(key)?),
            ValueType::Array => Value::Array(self.array_value(key, depth)?),
        })
    }

    fn array_value(&mut self, key: &str, depth: usize) -> Result<Array, Problem> {
        if depth >= MAX_DEPTH {
            return Err(Problem::corrupt(format!("metadata {key} nests arrays deeper than {MAX_DEPTH}")));
        }
        let elem = self.value_type(key)?;
        let len = self.count(elem.min_bytes(), &format!("length of metadata {key}"))?;
        let start = self.pos;
        match elem.fixed_bytes() {
            // The count was checked against what is left, so the product cannot overflow.
            Some(bytes) if elem != ValueType::Bool => {
                self.take(bytes * len, key)?;
            }
            _ => {
                for _ in 0..len {
                    self.value(elem, key, depth + 1)?;
                }
            }
        }
        Ok(Array { elem, len, range: start..self.pos })
    }
}
