//! The prefix cache: the computed prompts of conversations, kept across restarts in a folder of a few files.
//!
//! What is in a file is the language model's business (it knows whether it is sound); here is where it lies, that it is
//! written whole or not at all, and when it goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file::hex;
use crate::error::{Error, Result};

/// Files kept: the last few models, personas and tool lists.
const MOST_FILES: usize = 4;

/// A folder of computed prefixes.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    dir: PathBuf,
    /// Distinguishes builds of one version: a corrected kernel computes different keys and values.
    build: String,
}

impl PrefixCache {
    /// The folder is made when something is kept.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let about = std::env::current_exe().and_then(|exe| exe.metadata());
        let build =
            about.map_or_else(|_| String::new(), |m| format!("{} {}.{:09}", m.len(), m.mtime(), m.mtime_nsec()));
        Self { dir: dir.into(), build }
    }

    /// Where the prefix called `id` is, or would be.
    fn path(&self, id: &str) -> PathBuf {
        let name = Sha256::new().chain_update(&self.build).chain_update([0]).chain_update(id).finalize();
        self.dir.join(&hex(&name)[..32]).with_extension("kv")
    }

    /// The prefix called `id`; `None` where none is kept.
    ///
    /// # Errors
    /// [`crate::error::Kind::Io`] where it cannot be opened.
    pub fn open(&self, id: &str) -> Result<Option<File>> {
        let path = self.path(id);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("open", &path, e)),
        }
    }

    /// Keeps what `save` writes as the prefix called `id`, and removes all but the newest few. Whole or not at all.
    ///
    /// # Errors
    /// [`crate::error::Kind::Io`] where it cannot be written; the errors of `save`.
    pub fn keep(&self, id: &str, save: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let path = self.path(id);
        std::fs::create_dir_all(&self.dir).map_err(|e| Error::io("create", &self.dir, e))?;
        let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = (|| {
            let failed = |e| Error::io("write", &fresh, e);
            let mut file = BufWriter::with_capacity(1 << 18, File::create(&fresh).map_err(failed)?);
            save(&mut file)?;
            file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
            std::fs::rename(&fresh, &path).map_err(|e| Error::io("write", &path, e))
        })();
        match written {
            Ok(()) => tidy(&self.dir, &path),
            Err(_) => drop(std::fs::remove_file(&fresh)),
        }
        written
    }
}

/// Removes all but the newest files, and what an interrupted write of a dead process left. Best effort: the folder
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

/// Whether the process that a temporary file names (`name.PID.tmp`) is there.
fn being_written(temporary: &Path) -> bool {
    let stem = temporary.file_stem().map(Path::new);
    let pid = stem.and_then(Path::extension).and_then(|pid| pid.to_str()?.parse::<u32>().ok());
    pid.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::error::Kind;

    fn keep(cache: &PrefixCache, id: &str, text: &str) -> Result<()> {
        cache.keep(id, |to| to.write_all(text.as_bytes()).map_err(|e| Error::new(Kind::Io, "no room").because(e)))
    }

    fn kept(cache: &PrefixCache, id: &str) -> Option<String> {
        let mut text = String::new();
        cache.open(id).expect("opens")?.read_to_string(&mut text).expect("reads");
        Some(text)
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("one").path()).collect()
    }

    #[test]
    fn what_is_kept_is_found_by_its_name_and_by_no_other_build() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = PrefixCache::new(dir.path().join("kv"));
        assert_eq!(kept(&cache, "a"), None);
        keep(&cache, "a", "one").expect("kept");
        keep(&cache, "b", "two").expect("kept");
        keep(&cache, "a", "three").expect("kept");
        assert_eq!((kept(&cache, "a").as_deref(), kept(&cache, "b").as_deref()), (Some("three"), Some("two")));
        let other = PrefixCache { build: "another".into(), ..cache };
        assert_eq!(kept(&other, "a"), None);
    }

    #[test]
    fn what_cannot_be_kept_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        // A file where the folder should be.
        std::fs::write(dir.path().join("kv"), b"").expect("writes");
        let e = keep(&PrefixCache::new(dir.path().join("kv")), "a", "one").expect_err("no folder");
        assert!(matches!(e.kind(), Kind::Io | Kind::NotFound), "{e:?}");
        // A device that is always full; one that does not say what it should.
        let folder = dir.path().join("cache");
        let cache = PrefixCache::new(&folder);
        keep(&cache, "a", "one").expect("kept");
        let file = files(&folder).remove(0);
        let full = file.with_extension(format!("{}.tmp", std::process::id()));
        std::os::unix::fs::symlink("/dev/full", full).expect("a link");
        assert_eq!(keep(&cache, "a", "two").expect_err("it is full").kind(), Kind::Io);
        let e = cache.keep("a", |_| Err(Error::new(Kind::Device, "gone"))).expect_err("nothing to keep");
        assert_eq!(e.kind(), Kind::Device);
        assert_eq!((files(&folder), kept(&cache, "a").as_deref()), (vec![file], Some("one")));
    }

    #[test]
    fn only_the_last_few_stay_and_what_a_process_that_is_gone_left_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = PrefixCache::new(dir.path());
        // Process numbers end at 2²².
        let (left, written) = (dir.path().join("a.4194305.tmp"), dir.path().join("b.1.tmp"));
        for name in [&left, &written] {
            std::fs::write(name, b"half").expect("writes");
        }
        for n in 0..7 {
            keep(&cache, &n.to_string(), "text").expect("kept");
        }
        assert!(!left.exists() && written.exists());
        assert_eq!(files(dir.path()).len(), MOST_FILES + 1, "the half-written one is not counted");
        assert!(kept(&cache, "6").is_some() && kept(&cache, "0").is_none());
    }
}
