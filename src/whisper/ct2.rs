//! CTranslate2's `model.bin`: named tensors, read in place and never beyond their bounds.
//!
//! Layout, little-endian: u32 version, string specification, u32 revision, u32 count, then for each variable
//! string name, u8 rank, u32 dims, u8 element type, u32 byte count, bytes; then u32 count of aliases, each two
//! strings. A string is a u16 length and so many bytes, the last a NUL.
//!
//! Source: `_serialize` of OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py, and src/models/model.cc, which reads it.

use std::collections::HashMap;

use half::f16;

use super::corrupt;
use crate::error::{Error, Kind, Result};

/// Versions whose layout is the one above.
const OLDEST: u32 = 4;
const NEWEST: u32 = 6;

const MAX_RANK: usize = 4;

/// How one number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    I8,
    I16,
    I32,
    F16,
}

impl Element {
    fn of(code: u8) -> Option<Self> {
        [Self::F32, Self::I8, Self::I16, Self::I32, Self::F16].get(usize::from(code)).copied()
    }

    fn bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 | Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
        }
    }
}

/// A tensor whose bytes are as many as its shape says.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'a> {
    dims: Vec<usize>,
    element: Element,
    data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// Outermost first; empty for a single number.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }

    pub(super) fn rows(&self) -> usize {
        self.dims.first().copied().unwrap_or(1)
    }

    /// Numbers in one row.
    pub(super) fn columns(&self) -> usize {
        self.dims.iter().skip(1).product()
    }

    /// Rows `from..from + rows` as a tensor of their own; fewer where there are fewer.
    pub(super) fn slice_rows(&self, from: usize, rows: usize) -> Tensor<'a> {
        let row = self.columns() * self.element.bytes();
        let end = ((from + rows) * row).min(self.data.len());
        let mut dims = self.dims.clone();
        if let Some(first) = dims.first_mut() {
            *first = rows;
        }
        Tensor { dims, element: self.element, data: &self.data[(from * row).min(end)..end] }
    }

    /// Appends the numbers `from..from + n`, as they are stored; fewer where there are fewer.
    pub(super) fn decode(&self, from: usize, n: usize, out: &mut Vec<f32>) {
        let width = self.element.bytes();
        let end = ((from + n) * width).min(self.data.len());
        let data = &self.data[(from * width).min(end)..end];
        match self.element {
            Element::F32 => out.extend(words(data).map(f32::from_le_bytes)),
            Element::I8 => out.extend(data.iter().map(|&b| f32::from(b as i8))),
            Element::I16 => out.extend(words(data).map(|b| f32::from(i16::from_le_bytes(b)))),
            Element::I32 => out.extend(words(data).map(|b| i32::from_le_bytes(b) as f32)),
            Element::F16 => out.extend(words(data).map(|b| f16::from_le_bytes(b).to_f32())),
        }
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

/// The variables of a model, by name.
pub(super) struct Variables<'a> {
    by_name: HashMap<&'a str, Tensor<'a>>,
}

impl<'a> Variables<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self> {
        let mut r = Reader { rest: file };
        let version = r.u32()?;
        if !(OLDEST..=NEWEST).contains(&version) {
            return Err(Error::new(Kind::Unsupported, format!("CTranslate2 model of version {version}"))
                .remedy(format!("versions {OLDEST} to {NEWEST} are handled")));
        }
        let specification = r.string()?;
        if specification != "WhisperSpec" {
            return Err(Error::new(Kind::Unsupported, format!("CTranslate2 model of kind {specification:?}"))
                .remedy("a WhisperSpec is needed"));
        }
        let _revision = r.u32()?;
        let mut by_name = HashMap::new();
        for _ in 0..r.u32()? {
            let name = r.string()?;
            let tensor = r.tensor(name)?;
            by_name.insert(name, tensor);
        }
        for _ in 0..r.u32()? {
            let (alias, name) = (r.string()?, r.string()?);
            if let Some(t) = by_name.get(name).cloned() {
                by_name.entry(alias).or_insert(t);
            }
        }
        Ok(Self { by_name })
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Tensor<'a>> {
        self.by_name.get(name).cloned().ok_or_else(|| corrupt(format!("it has no {name}")))
    }

    /// A tensor that must be of floats.
    pub(super) fn floats(&self, name: &str) -> Result<Tensor<'a>> {
        let t = self.tensor(name)?;
        match t.element {
            Element::F32 | Element::F16 => Ok(t),
            other => Err(corrupt(format!("{name} is stored as {other:?}"))),
        }
    }

    /// A single whole number.
    pub(super) fn scalar(&self, name: &str) -> Result<i32> {
        let t = self.tensor(name)?;
        let mut value = Vec::new();
        t.decode(0, 2, &mut value);
        match value.as_slice() {
            [v] if (1.0..65_536.0).contains(v) => Ok(*v as i32),
            _ => Err(corrupt(format!("{name} is not a small number"))),
        }
    }

    /// Layers of the encoder or decoder.
    pub(super) fn layers(&self, side: &str) -> usize {
        let there = |i: &usize| self.by_name.contains_key(format!("{side}/layer_{i}/ffn/linear_0/weight").as_str());
        (0..).take_while(there).count()
    }
}

/// Reads from the front; missing bytes are an error, never a panic.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or_else(|| corrupt(format!("it ends where {n} more bytes should be")))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut a = [0; N];
        a.copy_from_slice(self.take(N)?);
        Ok(a)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn string(&mut self) -> Result<&'a str> {
        let n = u16::from_le_bytes(self.array()?);
        let text = self.take(usize::from(n))?;
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        std::str::from_utf8(text).map_err(|e| corrupt("a name is not UTF-8").because(e))
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor<'a>> {
        let rank = usize::from(self.u8()?);
        if rank > MAX_RANK {
            return Err(corrupt(format!("{name} has {rank} dimensions")));
        }
        let dims = (0..rank).map(|_| Ok(self.u32()? as usize)).collect::<Result<Vec<_>>>()?;
        if dims.contains(&0) {
            return Err(corrupt(format!("{name} has shape {dims:?}")));
        }
        let code = self.u8()?;
        let bytes = self.u32()? as usize;
        let data = self.take(bytes)?;
        let Some(element) = Element::of(code) else {
            return Err(Error::new(Kind::Unsupported, format!("{name} is stored as CTranslate2 type {code}"))
                .remedy("convert a float32, float16 or int8 CTranslate2 model"));
        };
        let expected = dims.iter().try_fold(element.bytes(), |n, &d| n.checked_mul(d));
        if expected != Some(bytes) {
            return Err(corrupt(format!("{name} of shape {dims:?} has {bytes} bytes")));
        }
        Ok(Tensor { dims, element, data })
    }
}
