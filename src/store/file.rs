//! Files written whole: hashed as they are written, synced, and renamed into place only when they are right.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

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

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// sha256 of a file; `progress` is told how many bytes each step read.
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
