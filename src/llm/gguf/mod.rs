//! GGUF files (v2 and v3, little-endian), read through a memory map.
//!
//! Layout: magic, version, tensor count, metadata count; the metadata; the tensor infos; padding to the alignment; the
//! tensors' data. Nothing in the header is trusted: every count, length and offset is checked against the bytes that
//! are really there before anything is sized by it, so a hostile file leads to an error and takes no more memory than a
//! small multiple of its own header. Arrays stay in the map and are decoded when asked for.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, UncheckedAdvice};

use crate::error::{Error, Kind, Result};

mod cursor;
mod fingerprint;
mod foreign;
mod guard;
mod meta;
mod tensor;
#[cfg(test)]
mod tests;
mod write;

pub use fingerprint::fingerprint;
pub use meta::{Array, Value, ValueType};
pub use tensor::{TensorInfo, TensorType};
pub use write::{Draft, MetaValue, Writer};

use cursor::Cursor;
use guard::Guard;

/// What the magic and version promise.
const MAGIC: [u8; 4] = *b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;

/// An opened GGUF file: metadata and tensor infos checked, data mapped.
pub struct Gguf {
    path: PathBuf,
    file: File,
    /// The file's size and modification time when it was opened.
    opened: Stamp,
    /// Goes before the map does.
    _guard: Guard,
    map: Mmap,
    version: u32,
    alignment: u64,
    meta: Vec<(String, Value)>,
    meta_index: HashMap<String, usize>,
    tensors: Vec<TensorInfo>,
    tensor_index: HashMap<String, usize>,
}

impl Gguf {
    /// Opens and checks `path`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]/[`Kind::Io`] where the file cannot be opened or mapped, [`Kind::Unsupported`] for GGUF v1 and
    /// big-endian files, [`Kind::Corrupt`] naming the file and the field for everything else that is wrong in the header
    /// or points outside the file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| {
            Error::io("open model", path, e)
                .if_missing("give the path of a GGUF file; `tercet convert` makes one from a checkpoint")
        })?;
        let size = file.metadata().map_err(|e| Error::io("read the size of", path, e))?;
        if !size.is_file() {
            return Err(Error::new(Kind::NotFound, format!("{} is not a file", path.display()))
                .remedy("name the model file itself, for example models/pocket.gguf"));
        }
        if size.len() == 0 {
            return Err(corrupt(path, "the file is empty"));
        }
        // SAFETY: the map is read-only and private to this value. As with every mapped file, the contents could change
        // if another process writes the file while it is open; all reads go through bounds-checked slices of plain
        // bytes, so that changes numbers, never memory safety, and [`Gguf::unchanged`] detects it. Anything cut off reads as zeros.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Self::parse(path.to_owned(), file, stamp(&size), map)
    }

    fn parse(path: PathBuf, file: File, opened: Stamp, map: Mmap) -> Result<Self> {
        let _guard = Guard::new(&map);
        let header = Header::parse(&map).map_err(|p| p.into_error(&path))?;
        let Header { version, alignment, meta, tensors } = header;
        let index = |names: &mut dyn Iterator<Item = String>| -> HashMap<String, usize> {
            names.enumerate().map(|(i, n)| (n, i)).collect()
        };
        let meta_index = index(&mut meta.iter().map(|(k, _)| k.clone()));
        let tensor_index = index(&mut tensors.iter().map(|t| t.name.clone()));
        Ok(Self { path, file, opened, _guard, map, version, alignment, meta, meta_index, tensors, tensor_index })
    }

    /// The file's path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Alignment of tensor data in bytes.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Size of the whole file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    // ---- metadata ----

    /// All metadata in file order.
    pub fn meta(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.meta.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// One metadata value, untyped.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.meta_index.get(key).map(|&i| &self.meta[i].1)
    }

    /// A string; `None` where the key is absent.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the value is of another type or not UTF-8. The same holds for all typed getters.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(range)) => {
                let bytes = &self.map[range.clone()];
                let text = std::str::from_utf8(bytes).map_err(|e| self.bad(key, "is not UTF-8").because(e))?;
                Ok(Some(text))
            }
            Some(v) => Err(self.wrong_type(key, v, "a string")),
        }
    }

    /// A non-negative integer of any stored width.
    ///
    /// # Errors
    /// As [`Gguf::str`]; also for negative values.
    pub fn uint(&self, key: &str) -> Result<Option<u64>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        match v.as_int() {
            Some(i) => u64::try_from(i).map(Some).map_err(|_| self.bad(key, &format!("is {i}, below zero"))),
            None => Err(self.wrong_type(key, v, "an integer")),
        }
    }

    /// A float of any stored width, or an integer.
    ///
    /// # Errors
    /// As [`Gguf::str`]; also for values that are not finite.
    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        match v.as_float() {
            Some(f) if f.is_finite() => Ok(Some(f)),
            Some(f) => Err(self.bad(key, &format!("is {f}"))),
            None => Err(self.wrong_type(key, v, "a number")),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// As [`Gguf::str`].
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(v) => Err(self.wrong_type(key, v, "a boolean")),
        }
    }

    /// Which part of a split model this file is, counted from 1, and how many there are; `None` for a whole one.
    pub fn part(&self) -> Option<(u64, u64)> {
        let number = |key: &str| self.uint(key).ok().flatten();
        let count = number("split.count").filter(|&n| n > 1)?;
        Some((number("split.no").unwrap_or(0).saturating_add(1), count))
    }

    /// # Errors
    /// [`Kind::Unsupported`] for a part of a split model, saying how to join the parts.
    pub fn whole(&self) -> Result<()> {
        let Some((part, count)) = self.part() else { return Ok(()) };
        let what = format!("{} is part {part} of {count} of a split model", self.path.display());
        let name = self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (from, to) = (format!("-{part:05}-of-{count:05}"), format!("-00001-of-{count:05}"));
        let first = if name.contains(&from) { name.replace(&from, &to) } else { "FIRST-PART.gguf".to_owned() };
        let whole = if name.contains(&from) { name.replace(&from, "") } else { "WHOLE.gguf".to_owned() };
        Err(Error::new(Kind::Unsupported, what).remedy(format!(
            "put all {count} parts into one folder and join them: llama-gguf-split --merge {first} {whole}"
        )))
    }

    /// An array of strings, borrowed from the map.
    ///
    /// # Errors
    /// As [`Gguf::str`].
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let Some(array) = self.array(key, "an array of strings")? else { return Ok(None) };
        if array.elem != ValueType::Str {
            return Err(self.wrong_type(key, &Value::Array(array.clone()), "an array of strings"));
        }
        let mut c = Cursor::new(&self.map, array.range.clone());
        let mut out = Vec::with_capacity(array.len);
        for i in 0..array.len {
            let range = c.string(key).map_err(|p| p.into_error(&self.path))?;
            let text = std::str::from_utf8(&self.map[range])
                .map_err(|e| self.bad(key, &format!("element {i} is not UTF-8")).because(e))?;
            out.push(text);
        }
        Ok(Some(out))
    }

    /// An array of integers of any stored width.
    ///
    /// # Errors
    /// As [`Gguf::str`].
    pub fn ints(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.scalars(key, "an array of integers", Value::as_int)
    }

    /// An array of floats (or integers) of any stored width.
    ///
    /// # Errors
    /// As [`Gguf::str`].
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.scalars(key, "an array of numbers", Value::as_float)
    }

    /// `getter(key)`, with an error where the key is absent: `gguf.required("general.architecture", Gguf::str)?`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] naming the key where it is absent, otherwise the error of `getter`.
    pub fn required<'a, T>(&'a self, key: &str, getter: impl FnOnce(&'a Self, &str) -> Result<Option<T>>) -> Result<T> {
        getter(self, key)?.ok_or_else(|| {
            self.bad(key, "is missing").remedy("use a GGUF written by tercet convert or llama.cpp's converters")
        })
    }

    fn array(&self, key: &str, wanted: &str) -> Result<Option<&Array>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(a)) => Ok(Some(a)),
            Some(v) => Err(self.wrong_type(key, v, wanted)),
        }
    }

    fn scalars<T>(&self, key: &str, wanted: &str, convert: impl Fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>> {
        let Some(array) = self.array(key, wanted)? else { return Ok(None) };
        let mut c = Cursor::new(&self.map, array.range.clone());
        let mut out = Vec::with_capacity(array.len);
        for _ in 0..array.len {
            let v = c.value(array.elem, key, 0).map_err(|p| p.into_error(&self.path))?;
            out.push(convert(&v).ok_or_else(|| self.wrong_type(key, &Value::Array(array.clone()), wanted))?);
        }
        Ok(Some(out))
    }

    fn bad(&self, key: &str, what: &str) -> Error {
        corrupt(&self.path, &format!("metadata {key} {what}"))
    }

    fn wrong_type(&self, key: &str, found: &Value, wanted: &str) -> Error {
        self.bad(key, &format!("is {}, not {wanted}", found.type_name()))
    }

    // ---- tensors ----

    /// All tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// One tensor's info.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensor_index.get(name).map(|&i| &self.tensors[i])
    }

    /// One tensor's info; an error where it is absent.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] naming the tensor.
    pub fn require_tensor(&self, name: &str) -> Result<&TensorInfo> {
        self.tensor(name).ok_or_else(|| corrupt(&self.path, &format!("tensor {name} is missing")))
    }

    /// The stored bytes of `tensor`, exactly as long as its shape and type say.
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        // Checked against the file when it was opened; an info from another file reads as empty.
        self.map.get(tensor.range.clone()).unwrap_or_default()
    }

    /// Copies bytes `at..` of `tensor` into `to`, from the file itself and not from its map, so that a file that was cut
    /// short is an error.
    ///
    /// # Errors
    /// [`Kind::Device`] where the file is not what it was when it was opened; [`Kind::Internal`] for bytes that are not the
    /// tensor's.
    pub fn read(&self, tensor: &TensorInfo, at: usize, to: &mut [u8]) -> Result<()> {
        let inside = at.checked_add(to.len()).is_some_and(|end| end <= tensor.range.len());
        let from = tensor.range.start.checked_add(at).filter(|_| inside);
        let from = from.ok_or_else(|| Error::new(Kind::Internal, format!("reading beyond tensor {}", tensor.name)))?;
        self.unchanged()?;
        self.file.read_exact_at(to, from as u64).map_err(|e| self.changed().because(e))
    }

    /// Checks that nobody has written into the file since it was opened. A file that another one replaced under its name is
    /// still the file that was opened.
    ///
    /// # Errors
    /// [`Kind::Device`]: what was loaded and what would be read now do not belong together.
    pub fn unchanged(&self) -> Result<()> {
        match self.file.metadata() {
            Ok(now) if stamp(&now) == self.opened => Ok(()),
            Ok(_) => Err(self.changed()),
            Err(e) => Err(self.changed().because(e)),
        }
    }

    fn changed(&self) -> Error {
        Error::new(Kind::Device, format!("{} was changed while the model was in use", self.path.display()))
            .remedy("restart tercet; replace a model by renaming the new file over the old one, not by writing into it")
    }

    /// Returns the mapped pages wholly inside `tensor` to the kernel, because they were copied elsewhere. Reading
    /// them again is correct and costs a page fault.
    pub fn release(&self, tensor: &TensorInfo) {
        self.release_part(tensor, 0..tensor.range.len());
    }

    /// As [`Gguf::release`], of bytes `part` of the tensor.
    pub fn release_part(&self, tensor: &TensorInfo, part: Range<usize>) {
        let page = page_size();
        let at = |n: usize| tensor.range.start.saturating_add(n).min(tensor.range.end).min(self.map.len());
        let start = at(part.start).div_ceil(page) * page;
        let end = at(part.end) / page * page;
        if start < end {
            // SAFETY: the map is file-backed, shared and never written through, so dropped pages are read back
            // from the file with the same contents; no reference loses its memory.
            let advised = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
            if let Err(e) = advised {
                tracing::debug!(error = %e, "pages of a loaded tensor stay mapped");
            }
        }
    }
}

/// What changes when a file is written: its size, and the time of that in seconds and nanoseconds.
type Stamp = (u64, i64, i64);

fn stamp(of: &Metadata) -> Stamp {
    (of.len(), of.mtime(), of.mtime_nsec())
}

fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let n = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(n).unwrap_or(4096).max(1)
}

/// A [`Kind::Corrupt`] error about the file at `path`.
pub(crate) fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("{}: {what}", path.display()))
        .remedy("fetch or convert the file again; `tercet models verify` checks the fetched ones")
}

/// What the header says, checked.
struct Header {
    version: u32,
    alignment: u64,
    meta: Vec<(String, Value)>,
    tensors: Vec<TensorInfo>,
}

/// What is wrong in a header, before the path is known.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    what: String,
    /// Where it is not the usual one for its kind.
    remedy: Option<&'static str>,
}

impl Problem {
    fn corrupt(what: impl Into<String>) -> Self {
        Self { kind: Kind::Corrupt, what: what.into(), remedy: None }
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Self { kind: Kind::Unsupported, what: what.into(), remedy: None }
    }

    fn into_error(self, path: &Path) -> Error {
        let error = match self.kind {
            Kind::Corrupt => corrupt(path, &self.what),
            kind => Error::new(kind, format!("{}: {}", path.display(), self.what))
                .remedy("convert the model to a little-endian GGUF of version 2 or 3"),
        };
        match self.remedy {
            Some(remedy) => error.remedy(remedy),
            None => error,
        }
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut c = Cursor::new(bytes, 0..bytes.len());
        if c.take(4, "magic")? != MAGIC {
            let (what, remedy) = foreign::told(bytes);
            return Err(Problem { remedy, ..Problem::corrupt(what) });
        }
        let version = c.u32("version")?;
        match version {
            2 | 3 => {}
            1 => return Err(Problem::unsupported("is GGUF version 1; versions 2 and 3 are supported")),
            v if matches!(v.swap_bytes(), 1..=3) => {
                return Err(Problem::unsupported("is a big-endian GGUF; little-endian files are supported"));
            }
            v => return Err(Problem::corrupt(format!("version is {v}; 2 and 3 are known"))),
        }
        // The smallest tensor info is an empty name, no dimensions, a type and an offset; the smallest metadata entry an
        // empty key, a type and one byte. No more of them can follow than fit into the rest of the file.
        let n_tensors = c.count(8 + 4 + 4 + 8, "tensor count")?;
        let n_meta = c.count(8 + 4 + 1, "metadata count")?;
        let meta = parse_meta(&mut c, n_meta)?;
        let alignment = parse_alignment(&meta)?;
        let raw = tensor::parse_infos(&mut c, n_tensors)?;
        let data_start = (c.position() as u64).next_multiple_of(alignment);
        let tensors = tensor::place(raw, data_start, bytes.len() as u64, alignment)?;
        Ok(Self { version, alignment, meta, tensors })
    }
}

fn parse_meta(c: &mut Cursor<'_>, n: usize) -> Result<Vec<(String, Value)>, Problem> {
    let mut meta = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for i in 0..n {
        let key = c.utf8(&format!("key of metadata entry {i}"))?.to_owned();
        if !seen.insert(key.clone()) {
            return Err(Problem::corrupt(format!("metadata {key} appears twice")));
        }
        let ty = c.value_type(&key)?;
        let value = c.value(ty, &key, 0)?;
        meta.push((key, value));
    }
    Ok(meta)
}

fn parse_alignment(meta: &[(String, Value)]) -> Result<u64, Problem> {
    let Some((_, v)) = meta.iter().find(|(k, _)| k == "general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    match v.as_int().and_then(|i| u64::try_from(i).ok()) {
        Some(a) if a.is_power_of_two() && a <= MAX_ALIGNMENT => Ok(a),
        _ => Err(Problem::corrupt("metadata general.alignment is not a power of two between 1 and 1 MiB")),
    }
}
