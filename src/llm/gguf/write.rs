//! Writing GGUF files (v3, little-endian) as a stream: the header first, then each tensor's bytes in the order in which
//! they were announced.

use std::io::{self, Write};

use super::{DEFAULT_ALIGNMENT, MAGIC, TensorType};
use crate::error::{Error, Kind, Result};

const VERSION: u32 = 3;

/// A metadata value to write.
#[derive(Debug, Clone, PartialEq)]
pub enum MetaValue {
    U32(u32),
    F32(f32),
    Bool(bool),
    Str(String),
    I32s(Vec<i32>),
    Strings(Vec<String>),
}

impl MetaValue {
    fn put(&self, to: &mut Vec<u8>) {
        let id = |id: u32, to: &mut Vec<u8>| to.extend(id.to_le_bytes());
        let array = |elem: u32, len: usize, to: &mut Vec<u8>| {
            id(9, to);
            id(elem, to);
            to.extend((len as u64).to_le_bytes());
        };
        match self {
            MetaValue::U32(v) => {
                id(4, to);
                to.extend(v.to_le_bytes());
            }
            MetaValue::F32(v) => {
                id(6, to);
                to.extend(v.to_le_bytes());
            }
            MetaValue::Bool(v) => {
                id(7, to);
                to.push(u8::from(*v));
            }
            MetaValue::Str(s) => {
                id(8, to);
                put_str(s, to);
            }
            MetaValue::I32s(values) => {
                array(5, values.len(), to);
                values.iter().for_each(|v| to.extend(v.to_le_bytes()));
            }
            MetaValue::Strings(values) => {
                array(8, values.len(), to);
                values.iter().for_each(|s| put_str(s, to));
            }
        }
    }
}

fn put_str(s: &str, to: &mut Vec<u8>) {
    to.extend((s.len() as u64).to_le_bytes());
    to.extend_from_slice(s.as_bytes());
}

/// A tensor that will be written.
#[derive(Debug, Clone)]
struct Announced {
    name: String,
    dims: Vec<usize>,
    ty: TensorType,
    bytes: u64,
}

/// What a file will hold, before its first byte is written.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    meta: Vec<(String, MetaValue)>,
    tensors: Vec<Announced>,
}

impl Draft {
    pub fn put(&mut self, key: impl Into<String>, value: MetaValue) {
        self.meta.push((key.into(), value));
    }

    pub fn text(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.put(key, MetaValue::Str(value.into()));
    }

    pub fn float(&mut self, key: impl Into<String>, value: f32) {
        self.put(key, MetaValue::F32(value));
    }

    /// # Errors
    /// [`Kind::Internal`] where the number does not fit 32 bits.
    pub fn uint(&mut self, key: &str, value: usize) -> Result<()> {
        let v = u32::try_from(value)
            .map_err(|_| Error::new(Kind::Internal, format!("metadata {key} = {value} does not fit 32 bits")))?;
        self.put(key, MetaValue::U32(v));
        Ok(())
    }

    /// Announces a tensor; `dims` fastest-varying first: `[cols, rows]`.
    ///
    /// # Errors
    /// [`Kind::Internal`] where `cols` is not a whole number of the type's blocks, or the type has no known size.
    pub fn tensor(&mut self, name: impl Into<String>, dims: &[usize], ty: TensorType) -> Result<()> {
        let name = name.into();
        let rows: usize = dims.iter().skip(1).product();
        let row = match ty {
            TensorType::Other(_) => None,
            _ => ty.row_bytes(dims.first().copied().unwrap_or(0)),
        };
        let bytes = row
            .and_then(|b| b.checked_mul(rows))
            .filter(|&b| b > 0)
            .ok_or_else(|| Error::new(Kind::Internal, format!("tensor {name} of {dims:?} cannot be stored as {ty}")))?;
        self.tensors.push(Announced { name, dims: dims.to_vec(), ty, bytes: bytes as u64 });
        Ok(())
    }

    /// The bytes in front of the tensors' data, padding included.
    fn header(&self) -> Vec<u8> {
        let mut h = Vec::new();
        h.extend(MAGIC);
        h.extend(VERSION.to_le_bytes());
        h.extend((self.tensors.len() as u64).to_le_bytes());
        h.extend((self.meta.len() as u64).to_le_bytes());
        for (key, value) in &self.meta {
            put_str(key, &mut h);
            value.put(&mut h);
        }
        let mut offset = 0u64;
        for t in &self.tensors {
            put_str(&t.name, &mut h);
            h.extend((t.dims.len() as u32).to_le_bytes());
            t.dims.iter().for_each(|&d| h.extend((d as u64).to_le_bytes()));
            h.extend(t.ty.id().to_le_bytes());
            h.extend(offset.to_le_bytes());
            offset += t.bytes.next_multiple_of(DEFAULT_ALIGNMENT);
        }
        h.resize(h.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        h
    }

    /// Size of the whole file.
    pub fn file_bytes(&self) -> u64 {
        let data: u64 = self.tensors.iter().map(|t| t.bytes.next_multiple_of(DEFAULT_ALIGNMENT)).sum();
        self.header().len() as u64 + data
    }

    /// Writes the header; the tensors' bytes follow through the returned writer.
    ///
    /// # Errors
    /// The errors of `out`.
    pub fn begin<W: Write>(self, mut out: W) -> io::Result<Writer<W>> {
        out.write_all(&self.header())?;
        Ok(Writer { out, tensors: self.tensors, at: 0, written: 0 })
    }
}

/// Writes the data of announced tensors, in order.
pub struct Writer<W: Write> {
    out: W,
    tensors: Vec<Announced>,
    /// The tensor being written, and how much of it is.
    at: usize,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// The next bytes of `tensor`, which must be the one that is due.
    ///
    /// # Errors
    /// The errors of the output; `InvalidInput` where another tensor is due or this one is full.
    pub fn write(&mut self, tensor: &str, bytes: &[u8]) -> io::Result<()> {
        let due = self.tensors.get(self.at).filter(|t| t.name == tensor);
        let Some(due) = due.filter(|t| self.written + bytes.len() as u64 <= t.bytes) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("tensor {tensor} is not due")));
        };
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        if self.written == due.bytes {
            let padding = due.bytes.next_multiple_of(DEFAULT_ALIGNMENT) - due.bytes;
            self.out.write_all(&[0; DEFAULT_ALIGNMENT as usize][..padding as usize])?;
            self.at += 1;
            self.written = 0;
        }
        Ok(())
    }

    /// The output, when every announced tensor is written.
    ///
    /// # Errors
    /// `UnexpectedEof` naming the first tensor that is missing.
    pub fn finish(self) -> io::Result<W> {
        match self.tensors.get(self.at) {
            None => Ok(self.out),
            Some(t) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("tensor {} was not written", t.name))),
        }
    }
}
