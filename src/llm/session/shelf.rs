//! Computed starts of conversations, kept on disk: what a daemon computed before its last turn need not be computed again
//! after its next start.
//!
//! A file belongs to one model file, backend, precision, build of tercet and list of tokens: all are in its key. It ends with
//! the sha256 of everything before; a file that is not exactly what it should be is as good as none, and is written anew.
//!
//! Little-endian: `tercetkv`, key (32 bytes), tokens (u32), bytes of keys and values (u64), the tokens (u32 each), keys and
//! values as the backend saves them, sha256 (32 bytes).

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::Session;
use crate::budget::Component;
use crate::error::{Error, Kind, Result};
use crate::llm::Engine;
use crate::units::{Bytes, TokenId};

/// Raise it when what a backend saves changes its meaning.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"tercetkv";
const HEADER: usize = 8 + 32 + 4 + 8;
const HASH: usize = 32;

/// Files kept: the last few models, personas and tool lists.
const MOST_FILES: usize = 4;

/// A folder of them.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    /// The folder is made when something is kept.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn path(&self, key: &[u8; HASH]) -> PathBuf {
        let name: String = key[..16].iter().map(|b| format!("{b:02x}")).collect();
        self.dir.join(name).with_extension("kv")
    }
}

impl Session {
    /// Makes `tokens` the whole timeline, pinned, from what `shelf` keeps; `false`, and the timeline is as it was, where it
    /// keeps nothing sound for them.
    ///
    /// # Errors
    /// What the backend says; the timeline is empty then.
    pub fn restore_kept(&mut self, shelf: &Shelf, tokens: &[TokenId]) -> Result<bool> {
        let Some(key) = key(&self.engine, tokens) else { return Ok(false) };
        let path = shelf.path(&key);
        let map = match open(&path) {
            Ok(map) => map,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => {
                tracing::warn!(file = %path.display(), "cannot read the kept start of the conversation: {e}");
                return Ok(false);
            }
        };
        let Some(kv) = sound(&map, &key, tokens) else {
            tracing::warn!(file = %path.display(), "the kept start of the conversation is damaged: computed again");
            return Ok(false);
        };
        if tokens.len() > self.engine.context() {
            return Ok(false);
        }
        self.pinned = 0;
        self.truncate(0)?;
        self.stale();
        if let Err(e) = self.timeline.load(tokens.len(), kv) {
            tracing::warn!(file = %path.display(), "the kept start of the conversation does not fit: {e}");
            return Ok(false);
        }
        self.tokens.extend_from_slice(tokens);
        self.pinned = tokens.len();
        Ok(true)
    }

    /// Keeps the pinned start on `shelf`.
    ///
    /// # Errors
    /// `OverBudget` where there is no room for a copy of it, [`Kind::Io`] where it cannot be written; what the backend says.
    pub fn keep(&self, shelf: &Shelf) -> Result<()> {
        let tokens = &self.tokens[..self.pinned];
        let Some(key) = key(&self.engine, tokens) else {
            return Err(Error::new(Kind::Io, format!("cannot read {}", self.engine.path().display())));
        };
        // The copy is as large as the share of the cache that it is copied from.
        let share = self.engine.kv_bytes().0 / self.engine.context().max(1) as u64;
        let what = "a copy of the start of the conversation".to_owned();
        let _room = self.engine.budget().reserve(Component::Kv, what, Bytes(share * (tokens.len() as u64 + 8)))?;
        let kv = self.timeline.save(tokens.len())?;
        let path = shelf.path(&key);
        write(&shelf.dir, &path, &key, tokens, &kv).map_err(|e| Error::io("write", &path, e))?;
        tidy(&shelf.dir, &path);
        Ok(())
    }
}

/// What a file must have been made from to be of use. `None` where the model's file cannot be read any more.
fn key(engine: &Engine, tokens: &[TokenId]) -> Option<[u8; HASH]> {
    let mut h = Sha256::new();
    let of = format!(
        "{FORMAT} {} {} {} {:?} {:?} {}",
        env!("CARGO_PKG_VERSION"),
        build(),
        engine.backend(),
        engine.kv_precision(),
        engine.hyper(),
        engine.fingerprint()?
    );
    h.update((of.len() as u64).to_le_bytes());
    h.update(of);
    for t in tokens {
        h.update(t.0.to_le_bytes());
    }
    Some(h.finalize().into())
}

/// Tells builds of one version from each other: a kernel that was put right computes other keys and values.
fn build() -> String {
    std::env::current_exe().and_then(|exe| exe.metadata()).map_or_else(|_| String::new(), |m| stamp(&m))
}

/// Length and time of change.
fn stamp(of: &Metadata) -> String {
    format!("{} {}.{:09}", of.len(), of.mtime(), of.mtime_nsec())
}

fn open(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: files of the shelf are replaced by renaming, never written to or cut short, so the mapping stays whole.
    unsafe { Mmap::map(&file) }
}

/// The keys and values of a file that is exactly what was kept for `tokens`.
fn sound<'m>(file: &'m [u8], key: &[u8; HASH], tokens: &[TokenId]) -> Option<&'m [u8]> {
    let (body, hash) = file.split_at_checked(file.len().checked_sub(HASH)?)?;
    let (header, rest) = body.split_at_checked(HEADER)?;
    let (listed, kv) = rest.split_at_checked(tokens.len().checked_mul(4)?)?;
    let whole = header == self::header(key, tokens.len(), kv.len())
        && listed.chunks_exact(4).zip(tokens).all(|(a, b)| a == b.0.to_le_bytes())
        && Sha256::digest(body).as_slice() == hash;
    whole.then_some(kv)
}

fn header(key: &[u8; HASH], tokens: usize, kv: usize) -> Vec<u8> {
    let mut h = Vec::with_capacity(HEADER);
    h.extend_from_slice(MAGIC);
    h.extend_from_slice(key);
    h.extend_from_slice(&(tokens as u32).to_le_bytes());
    h.extend_from_slice(&(kv as u64).to_le_bytes());
    h
}

fn write(dir: &Path, path: &Path, key: &[u8; HASH], tokens: &[TokenId], kv: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut head = header(key, tokens.len(), kv.len());
    tokens.iter().for_each(|t| head.extend_from_slice(&t.0.to_le_bytes()));
    let mut hash = Sha256::new();
    hash.update(&head);
    hash.update(kv);
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = File::create(&fresh)?;
        file.write_all(&head)?;
        file.write_all(kv)?;
        file.write_all(&hash.finalize())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

/// Removes all but the newest files, and what the interrupted write of a process that is gone left. Best effort: the folder
/// is only ever too full.
fn tidy(dir: &Path, newest: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let all: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p != newest).collect();
    let ends = |p: &Path, with: &str| p.extension().is_some_and(|x| x == with);
    for left in all.iter().filter(|p| ends(p, "tmp") && !being_written(p)) {
        let _ = std::fs::remove_file(left);
    }
    let mut files: Vec<_> =
        all.into_iter().filter(|p| ends(p, "kv")).map(|p| (p.metadata().and_then(|m| m.modified()).ok(), p)).collect();
    files.sort();
    let extra = (files.len() + 1).saturating_sub(MOST_FILES);
    for (_, path) in files.drain(..extra) {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether the process that a temporary file names (`key.PID.tmp`) is there.
fn being_written(temporary: &Path) -> bool {
    let stem = temporary.file_stem().map(Path::new);
    let pid = stem.and_then(Path::extension).and_then(|pid| pid.to_str()?.parse::<u32>().ok());
    pid.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists())
}

/// Tells a model file from every other without reading all of it: its length, when it was changed, and blocks spread over
/// it, hashed. Two models of one shape differ in all of their weights, so they differ in these; a file of which a few
/// were changed has another time.
pub(in crate::llm) fn fingerprint(path: &Path) -> io::Result<String> {
    const BLOCK: usize = 4096;
    const BLOCKS: u64 = 512;
    let file = File::open(path)?;
    let about = file.metadata()?;
    let len = about.len();
    let mut hash = Sha256::new();
    hash.update(stamp(&about));
    let mut block = [0u8; BLOCK];
    for i in 0..BLOCKS {
        let at = len.saturating_sub(BLOCK as u64) / (BLOCKS - 1) * i;
        let n = file.read_at(&mut block, at)?;
        hash.update(&block[..n]);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
