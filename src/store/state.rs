//! What is on this machine: a quick look ([`state`]) and a full check ([`verify`]).
//!
//! A model whose files were hashed gets a stamp beside them: name, size, modification time and sha256 of each. While
//! size and time stay the same the stamp vouches for the contents; [`verify`] always reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::file::{sha256_of, write_whole};
use super::manifest::{FileEntry, Manifest, Model, Origin};
use super::paths::Paths;
use crate::error::{Error, Kind, Result};

/// Name of the stamp in a model's folder.
const STAMP: &str = ".verified.json";

/// What is known about a model's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All present, hashed, and unchanged since.
    Present,
    /// All present with the right sizes, but not hashed yet.
    Unverified,
    /// A file is not there.
    Missing,
    /// A file is there with other bytes than the manifest says.
    Corrupt,
    /// Put there by a person; the manifest has no hash for it.
    ByHand,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Present => "present",
            State::Unverified => "unverified",
            State::Missing => "missing",
            State::Corrupt => "corrupt",
            State::ByHand => "by hand",
        }
    }
}

/// Result of hashing one model.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub id: String,
    pub state: State,
    pub files: Vec<FileCheck>,
}

/// Result of hashing one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileCheck {
    pub name: String,
    pub path: PathBuf,
    pub state: State,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Stamp {
    files: BTreeMap<String, Stamped>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Stamped {
    bytes: u64,
    changed_ns: u128,
    sha256: String,
}

/// A look at sizes and stamps; reads no model, except those that come with tercet (they have no stamp).
pub fn state(paths: &Paths, model: &Model) -> State {
    match &model.origin {
        Origin::ByHand { .. } => match by_hand_file(paths, model) {
            Some(_) => State::ByHand,
            None => State::Missing,
        },
        Origin::Shipped => verify(paths, model, &mut |_| {}).map_or(State::Corrupt, |c| c.state),
        Origin::Package { .. } => {
            let stamp = read_stamp(&paths.model_dir(&model.id));
            worst(model.files().map(|f| quick_state(&paths.file(model, f), f, &stamp)))
        }
    }
}

fn quick_state(path: &Path, entry: &FileEntry, stamp: &Stamp) -> State {
    match observe(path, &entry.sha256) {
        None => State::Missing,
        Some(now) if now.bytes != entry.bytes => State::Corrupt,
        Some(now) if stamp.files.get(&entry.name) == Some(&now) => State::Present,
        Some(_) => State::Unverified,
    }
}

/// Missing outweighs corrupt, corrupt outweighs unverified.
fn worst(states: impl Iterator<Item = State>) -> State {
    let rank = |s: &State| match s {
        State::Missing => 3,
        State::Corrupt => 2,
        State::Unverified => 1,
        State::Present | State::ByHand => 0,
    };
    states.max_by_key(rank).unwrap_or(State::Missing)
}

/// Reads and hashes every file; `progress` is called with how many bytes each step read. When all is well the model is
/// stamped, so that later looks are cheap.
///
/// # Errors
/// Only when a file that is there cannot be read; what is missing or corrupt is in the [`Check`].
pub fn verify(paths: &Paths, model: &Model, progress: &mut dyn FnMut(u64)) -> Result<Check> {
    if let Origin::ByHand { .. } = model.origin {
        let files = by_hand_file(paths, model).into_iter().map(|path| FileCheck {
            name: path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            path,
            state: State::ByHand,
            problem: None,
        });
        return Ok(Check { id: model.id.clone(), state: state(paths, model), files: files.collect() });
    }
    let mut files = Vec::new();
    for entry in model.files() {
        files.push(verify_file(paths.file(model, entry), entry, progress)?);
    }
    let state = worst(files.iter().map(|f| f.state));
    if state == State::Present
        && matches!(model.origin, Origin::Package { .. })
        && let Err(e) = write_stamp(paths, model)
    {
        // A cache that cannot be written to is no worse than before.
        tracing::debug!(model = model.id, "cannot write a stamp: {e}");
    }
    Ok(Check { id: model.id.clone(), state, files })
}

fn verify_file(path: PathBuf, entry: &FileEntry, progress: &mut dyn FnMut(u64)) -> Result<FileCheck> {
    let (state, problem) = match observe(&path, &entry.sha256) {
        None => (State::Missing, Some("not there".to_owned())),
        Some(now) if now.bytes != entry.bytes => {
            (State::Corrupt, Some(format!("{} bytes instead of {}", now.bytes, entry.bytes)))
        }
        Some(_) => match sha256_of(&path, progress)? {
            found if found == entry.sha256 => (State::Present, None),
            found => (State::Corrupt, Some(format!("sha256 {found} instead of {}", entry.sha256))),
        },
    };
    Ok(FileCheck { name: entry.name.clone(), path, state, problem })
}

/// Size and modification time of a file, with the hash that a stamp would vouch for.
fn observe(path: &Path, sha256: &str) -> Option<Stamped> {
    let meta = std::fs::metadata(path).ok().filter(|m| m.is_file())?;
    let changed_ns = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(Stamped { bytes: meta.len(), changed_ns, sha256: sha256.to_owned() })
}

/// A stamp that cannot be read vouches for nothing.
fn read_stamp(dir: &Path) -> Stamp {
    let text = std::fs::read_to_string(dir.join(STAMP)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Records that the files as they are now were hashed and found right.
pub(super) fn write_stamp(paths: &Paths, model: &Model) -> Result<()> {
    let files =
        model.files().filter_map(|f| Some((f.name.clone(), observe(&paths.file(model, f), &f.sha256)?))).collect();
    let text = serde_json::to_string_pretty(&Stamp { files })
        .map_err(|e| Error::new(Kind::Internal, "cannot write a stamp").because(e))?;
    write_whole(&paths.model_dir(&model.id).join(STAMP), text.as_bytes())
}

/// The GGUF that a person put into the model's folder; none where there are several to choose from and none has
/// the name that the manifest expects.
pub(super) fn by_hand_file(paths: &Paths, model: &Model) -> Option<PathBuf> {
    let dir = paths.model_dir(&model.id);
    if let Origin::ByHand { file: Some(file), .. } = &model.origin
        && dir.join(file).is_file()
    {
        return Some(dir.join(file));
    }
    let mut found = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.is_file() && p.extension().is_some_and(|x| x.eq_ignore_ascii_case("gguf")));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

impl Manifest {
    /// The models to look at when none is named: what is fetched by default, and whatever else is there.
    pub fn default_or_installed(&self, paths: &Paths) -> Vec<&Model> {
        let wanted = |m: &&Model| m.default || matches!(m.origin, Origin::Shipped) || state(paths, m) != State::Missing;
        self.models.iter().filter(wanted).collect()
    }
}
