//! Files written whole: hashed as they are written, synced, and renamed into place only when they are right.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use crate::error::{Error, Kind, Result};

/// How much is read or written between two looks at the progress bar.
const CHUNK_BYTES: usize = 1 << 18;

/// A failure to write below the cache, with what to do about it.
pub(super) fn cache_error(doing: &str, path: &Path, e: std::io::Error) -> Error {
    let remedy = match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some disk space and run the command again, or set TERCET_CACHE to a folder on another disk".to_owned()
        }
        ErrorKind::FileTooLarge => format!("{} (TERCET_CACHE names the folder)", crate::budget::file_size_remedy()),
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::NotFound => {
            "set TERCET_CACHE to a folder that you may write to, or change the owner of this one".to_owned()
        }
        _ => String::new(),
    };
    let error = Error::new(Kind::Io, format!("cannot {doing} {}", path.display())).because(e);
    if remedy.is_empty() { error } else { error.remedy(remedy) }
}

/// How the names of files begin and end that are not finished.
const UNFINISHED: (&str, &str) = (".tercet-", ".new");

/// Writes `bytes` to `path` so that a reader, or the next start after a power cut, finds the old file or the new one and
/// never a part: into a temporary file beside it, synced and renamed. Its folder is created where there is none. A symbolic
/// link is followed, a device or a pipe is written to as it is, and the permissions of a file that is replaced are kept.
///
/// # Errors
/// [`Kind::Io`] or [`Kind::NotFound`], with the path; nothing of the temporary file is left then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Errors name the path that was asked for, whatever it links to.
    let failed = |e| Error::io("write", path, e);
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(|m| !m.is_file()) {
        return File::create(path).and_then(|mut f| f.write_all(bytes)).map_err(failed);
    }
    let target = if there.is_some() { path.canonicalize().map_err(failed)? } else { path.to_owned() };
    let folder = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    // A name of its own for every write of every process: two writers never share a temporary file.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("{}{}-{write}{}", UNFINISHED.0, std::process::id(), UNFINISHED.1));
    let write = || -> std::io::Result<()> {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        if let Some(there) = there {
            file.set_permissions(there.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, &target)?;
        // The name itself must survive a power cut too.
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        failed(e)
    })
}

/// Removes what interrupted writes of dead processes left in `folder`, which nobody else writes to.
pub(super) fn sweep(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_left = |name: &str| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1);
    for left in entries.filter(|e| e.file_name().to_str().is_some_and(is_left)) {
        let _ = std::fs::remove_file(left.path());
    }
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// sha256 of a file; `progress` is called with how many bytes each step read.
pub(super) fn sha256_of(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<String> {
    let failed = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&sha.finalize())),
            n => {
                sha.update(&buffer[..n]);
                progress(n as u64);
            }
        }
    }
}

/// A file being written under a temporary name.
pub(super) struct NewFile {
    path: PathBuf,
    file: BufWriter<File>,
    sha: Sha256,
    bytes: u64,
}

impl NewFile {
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| cache_error("create", &path, e))?;
        Ok(Self { path, file: BufWriter::with_capacity(CHUNK_BYTES, file), sha: Sha256::new(), bytes: 0 })
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.sha.update(data);
        self.bytes += data.len() as u64;
        self.file.write_all(data).map_err(|e| cache_error("write", &self.path, e))
    }

    /// Copies at most one byte more than `entry` promises, so that an archive bomb stops early.
    pub(super) fn copy_from(&mut self, source: &mut dyn Read, entry: &FileEntry, what: &str) -> Result<()> {
        let mut source = source.take(entry.bytes + 1);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let n = source
                .read(&mut buffer)
                .map_err(|e| Error::new(Kind::Corrupt, format!("cannot read {} of {what}", entry.name)).because(e))?;
            if n == 0 {
                return Ok(());
            }
            self.write(&buffer[..n])?;
        }
    }

    /// Syncs the file and checks it against the manifest.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the bytes are not those of the manifest.
    pub(super) fn finish(mut self, entry: &FileEntry, what: &str) -> Result<PathBuf> {
        self.file.flush().map_err(|e| cache_error("write", &self.path, e))?;
        self.file.get_ref().sync_all().map_err(|e| cache_error("write", &self.path, e))?;
        check_hash(&entry.name, what, &hex(&self.sha.finalize()), &entry.sha256)?;
        Ok(self.path)
    }
}

/// [`Kind::Corrupt`] with both hashes when they differ.
pub(super) fn check_hash(name: &str, what: &str, found: &str, wanted: &str) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::new(Kind::Corrupt, format!("{name} from {what} has sha256 {found}, not {wanted} as the manifest says"))
        .remedy("nothing was installed from it; delete that copy and fetch again"))
}

/// Renames a finished file into place; a reader sees the old file or the new one, whole.
pub(super) fn install(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|e| cache_error("write", to, e))?;
    if let Some(dir) = to.parent() {
        // The name itself must survive a power cut too.
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| cache_error("write", dir, e))?;
    }
    Ok(())
}

pub(super) fn create_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| cache_error("create the folder", dir, e))
}

/// Bytes free to this user on the disk that holds `dir`; `None` where the kernel does not say.
pub(crate) fn free_bytes(dir: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a NUL-terminated string and `stat` is large enough; both outlive the call.
    let status = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: every field is an integer, zeroed above and filled in by the successful call.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast)] // the fields' widths differ between targets
    Some((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_permissions() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("new/deep/file.json");
        write_whole(&path, b"one").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("permissions");
        write_whole(&path, b"two").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(names(path.parent().expect("a folder")), ["file.json"]);
    }

    #[test]
    fn what_is_no_plain_file_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, b"old").expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        write_whole(&link, b"new").expect("written through the link");
        assert_eq!(std::fs::read(&real).expect("read"), b"new");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        write_whole(Path::new("/dev/null"), b"gone").expect("written");
        assert_eq!(write_whole(Path::new("/dev/full"), b"x").expect_err("full").kind(), Kind::Io);
        // A folder is nobody's file.
        assert!(write_whole(dir.path(), b"x").is_err());
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        std::os::unix::fs::symlink(dir.path().join("nowhere/file"), &path).expect("a dangling link");
        write_whole(&path, b"x").expect("a link to nothing is replaced");
        assert_eq!(names(dir.path()), ["file"]);
        // The last step, the renaming, is what fails.
        let long = dir.path().join("x".repeat(256));
        let e = write_whole(&long, b"x").expect_err("no such name is possible");
        assert!(e.to_string().contains("xxx"), "{e}");
        assert_eq!(names(dir.path()), ["file"]);
    }
}
