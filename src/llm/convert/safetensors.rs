//! Reading safetensors files: a header that says where each tensor's bytes are, checked before anything is sized by it.
//!
//! Layout: the header's length (u64), the header (a JSON object: name → dtype, shape and byte range), then the data.
//! Tensors are read with positioned reads into buffers of the reader's own, so that no more of a checkpoint is in
//! memory than is being worked on.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::Value;

use super::hf::{FETCH, check_folder, pointer};
use crate::error::{Error, Kind, Result};

/// Larger headers are refused; the largest real ones are a few MB.
const MAX_HEADER_BYTES: u64 = 64 << 20;
const MAX_DIMS: usize = 8;

/// How numbers are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dtype {
    F32,
    F16,
    Bf16,
    U8,
    /// Exists, but is not supported here.
    Other(String),
}

impl Dtype {
    fn parse(name: &str) -> Self {
        match name {
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::Bf16,
            "U8" => Dtype::U8,
            other => Dtype::Other(other.to_owned()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            Dtype::U8 => "U8",
            Dtype::Other(name) => name,
        }
    }

    /// Bytes of one number, where the type is known.
    fn bytes(&self) -> Option<u64> {
        match self {
            Dtype::F32 => Some(4),
            Dtype::F16 | Dtype::Bf16 => Some(2),
            Dtype::U8 => Some(1),
            Dtype::Other(_) => None,
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub dtype: Dtype,
    /// Slowest-varying first.
    pub shape: Vec<usize>,
    /// In the file.
    start: u64,
    bytes: u64,
}

impl Entry {
    /// Bytes of the file.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.start..self.start + self.bytes
    }
}

/// Tensors by name.
pub type Header = BTreeMap<String, Entry>;

/// Bytes in front of the header.
const PREFIX: u64 = 8;

/// Reads a header of a file of `file_bytes`; `json` is what follows the length.
///
/// # Errors
/// What is wrong, naming the tensor.
pub fn parse_header(json: &[u8], file_bytes: u64) -> Result<Header, String> {
    let value: Value = serde_json::from_slice(json).map_err(|e| format!("the header is not valid JSON: {e}"))?;
    let Value::Object(object) = value else { return Err("the header is not a JSON object".into()) };
    let data_start = PREFIX + json.len() as u64;
    let data_bytes = file_bytes.checked_sub(data_start).ok_or("the file ends inside its header")?;
    let mut header = Header::new();
    for (name, about) in object {
        if name == "__metadata__" {
            continue;
        }
        let entry = entry(&about).ok_or_else(|| format!("the entry of tensor {name:?} is malformed"))?;
        if entry.to > data_bytes {
            let needed = data_start.saturating_add(entry.to);
            return Err(format!("it is cut short: it has {file_bytes} bytes, tensor {name:?} ends at {needed}"));
        }
        let Offsets { dtype, shape, from, to } = entry;
        header.insert(name, Entry { dtype, shape, start: data_start + from, bytes: to - from });
    }
    Ok(header)
}

/// A tensor as the header has it: bytes count from the end of the header.
struct Offsets {
    dtype: Dtype,
    shape: Vec<usize>,
    from: u64,
    to: u64,
}

/// `None` where a field is missing, of another type, or does not agree with the others.
fn entry(about: &Value) -> Option<Offsets> {
    let dtype = Dtype::parse(about.get("dtype")?.as_str()?);
    let shape = about.get("shape")?.as_array()?;
    let [from, to] = about.get("data_offsets")?.as_array()?.as_slice() else { return None };
    let (from, to) = (from.as_u64()?, to.as_u64()?);
    if shape.len() > MAX_DIMS || from > to {
        return None;
    }
    let shape: Vec<usize> = shape.iter().map(|d| usize::try_from(d.as_u64()?).ok()).collect::<Option<_>>()?;
    let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64))?;
    if let Some(each) = dtype.bytes()
        && elements.checked_mul(each)? != to - from
    {
        return None;
    }
    Some(Offsets { dtype, shape, from, to })
}

/// A checkpoint's tensors, over all its files.
pub(super) struct Shards {
    files: Vec<(PathBuf, File)>,
    tensors: BTreeMap<String, (usize, Entry)>,
    note: Option<String>,
}

impl Shards {
    /// The tensors of `folder`: `model.safetensors`, or else the files that `model.safetensors.index.json` names. (In this
    /// order, as in transformers: saving a model in one file leaves the old index of the parts behind.)
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there are none, [`Kind::Corrupt`] naming the damaged file.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let both = folder.join(ONE).exists() && folder.join(INDEX).exists();
        let note = both.then(|| format!("{ONE} is used; the parts named by {INDEX} are ignored"));
        let mut shards = Self { files: Vec::new(), tensors: BTreeMap::new(), note };
        for path in shard_paths(folder)? {
            shards.add(path)?;
        }
        Ok(shards)
    }

    fn add(&mut self, path: PathBuf) -> Result<()> {
        let file = File::open(&path).map_err(|e| absent(e, "open", &path))?;
        let bytes = file.metadata().map_err(|e| Error::io("read the size of", &path, e))?.len();
        let mut length = [0; PREFIX as usize];
        if bytes < PREFIX {
            return Err(corrupt(&path, &format!("it has {bytes} bytes, too few for a header")));
        }
        file.read_exact_at(&mut length, 0).map_err(|e| Error::io("read", &path, e))?;
        if length == *b"version " {
            return Err(pointer(&path));
        }
        let length = u64::from_le_bytes(length);
        if length > (bytes - PREFIX).min(MAX_HEADER_BYTES) {
            return Err(corrupt(&path, &format!("its header claims {length} of the file's {bytes} bytes")));
        }
        let mut json = vec![0; length as usize];
        file.read_exact_at(&mut json, PREFIX).map_err(|e| Error::io("read", &path, e))?;
        let header = parse_header(&json, bytes).map_err(|what| corrupt(&path, &what))?;
        let at = self.files.len();
        for (name, entry) in header {
            if self.tensors.insert(name.clone(), (at, entry)).is_some() {
                return Err(corrupt(&path, &format!("tensor {name} is in another file too")));
            }
        }
        self.files.push((path, file));
        Ok(())
    }

    /// What the user should know about how the files were chosen.
    pub(super) fn note(&self) -> Option<String> {
        self.note.clone()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<Tensor<'_>> {
        let (file, entry) = self.tensors.get(name)?;
        let (path, file) = &self.files[*file];
        Some(Tensor { name: self.tensors.get_key_value(name)?.0, entry, path, file })
    }

    /// # Errors
    /// [`Kind::Corrupt`] where there is no such tensor; [`Kind::Unsupported`] where it is one of a larger model.
    pub(super) fn require(&self, name: &str) -> Result<Tensor<'_>> {
        self.get(name).ok_or_else(|| {
            let path = self.files.first().map_or(Path::new("the checkpoint"), |(p, _)| p);
            let within = self.names().find(|n| n.strip_suffix(name).is_some_and(|before| before.ends_with('.')));
            match within {
                Some(within) => Error::new(
                    Kind::Unsupported,
                    format!("{}: tensor {name} is missing; there is {within}", path.display()),
                )
                .remedy("use a checkpoint of the language model alone: this one has a model of several parts"),
                None => corrupt(path, &format!("tensor {name} is missing")),
            }
        })
    }
}

/// One tensor of a checkpoint.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    entry: &'a Entry,
    path: &'a Path,
    file: &'a File,
}

impl Tensor<'_> {
    pub(super) fn dtype(&self) -> &Dtype {
        &self.entry.dtype
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    pub(super) fn bytes(&self) -> u64 {
        self.entry.bytes
    }

    /// An error about this tensor.
    pub(super) fn bad(&self, what: &str) -> Error {
        corrupt(self.path, &format!("tensor {} {what}", self.name))
    }

    /// # Errors
    /// [`Kind::Corrupt`] unless the tensor has this shape.
    pub(super) fn check_shape(&self, shape: &[usize]) -> Result<()> {
        match self.entry.shape == shape {
            true => Ok(()),
            false => Err(self.bad(&format!("is {:?}, not {shape:?}", self.entry.shape))),
        }
    }

    /// Bytes from `offset` on.
    pub(super) fn read(&self, offset: u64, to: &mut [u8]) -> Result<()> {
        if offset.checked_add(to.len() as u64).is_none_or(|end| end > self.entry.bytes) {
            return Err(Error::new(Kind::Internal, format!("a read outside tensor {}", self.name)));
        }
        self.file.read_exact_at(to, self.entry.start + offset).map_err(|e| Error::io("read", self.path, e))
    }

    /// Numbers from element `from` on, as f32; `raw` is scratch.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for types that hold no floats; [`Kind::Corrupt`] where a number is not finite.
    pub(super) fn floats(&self, from: usize, raw: &mut Vec<u8>, to: &mut [f32]) -> Result<()> {
        let each = match self.entry.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            ref other => {
                let what = format!("{}: tensor {} holds {other}", self.path.display(), self.name);
                return Err(Error::new(Kind::Unsupported, what).remedy("use a checkpoint in F32, F16 or BF16"));
            }
        };
        raw.resize(to.len() * each, 0);
        self.read((from * each) as u64, raw)?;
        match self.entry.dtype {
            Dtype::F32 => {
                let numbers = raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                to.iter_mut().zip(numbers).for_each(|(o, v)| *o = v);
            }
            Dtype::F16 => {
                let numbers = raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32());
                to.iter_mut().zip(numbers).for_each(|(o, v)| *o = v);
            }
            _ => {
                let numbers = raw.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32());
                to.iter_mut().zip(numbers).for_each(|(o, v)| *o = v);
            }
        }
        match to.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(self.bad("holds numbers that are not finite")),
        }
    }
}

const ONE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Files of a checkpoint, in order.
fn shard_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let (one, index) = (folder.join(ONE), folder.join(INDEX));
    if one.exists() {
        return Ok(vec![one]);
    }
    if !index.exists() {
        return Err(no_shards(folder));
    }
    let value = super::hf::read_json(&index)?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| corrupt(&index, "no weight_map"))?;
    let mut names: Vec<&str> = Vec::new();
    for file in map.values() {
        // A name, not a path: an index cannot point outside its folder.
        let name = file.as_str().filter(|n| !n.is_empty() && !n.contains(['/', '\\']) && *n != "..");
        names.push(name.ok_or_else(|| corrupt(&index, &format!("{file} is not a file name")))?);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(|n| folder.join(n)).collect())
}

/// Why there is nothing to read in `folder`.
fn no_shards(folder: &Path) -> Error {
    let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.collect();
    let any = |end: &str| names.iter().find(|n| n.ends_with(end));
    let (what, remedy) = if let Some(part) = any(".safetensors") {
        (format!("holds {part}, but no model.safetensors.index.json that lists the parts"), FETCH)
    } else if let Some(other) = any(".bin").or(any(".pth")).or(any(".gguf")) {
        (format!("holds {other}, but no safetensors"), "use a checkpoint in safetensors; GGUF files run as they are")
    } else {
        let remedy = "name the folder of a Hugging Face checkpoint (config.json, *.safetensors, tokenizer.json)";
        ("holds no model.safetensors".to_owned(), remedy)
    };
    Error::new(Kind::NotFound, format!("{} {what}", folder.display())).remedy(remedy)
}

/// An error about a file of the checkpoint that the index names.
fn absent(e: std::io::Error, doing: &str, path: &Path) -> Error {
    match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::NotFound, format!("{} is missing; the index names it", path.display())).remedy(FETCH)
        }
        _ => Error::io(doing, path, e),
    }
}

/// Size of a checkpoint's files.
///
/// # Errors
/// As [`Shards::open`] where there are none.
pub fn checkpoint_bytes(folder: &Path) -> Result<u64> {
    check_folder(folder)?;
    let size = |p: PathBuf| p.metadata().map(|m| m.len()).map_err(|e| absent(e, "read the size of", &p));
    shard_paths(folder)?.into_iter().map(size).sum()
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("{}: {what}", path.display())).remedy("download the checkpoint again")
}
