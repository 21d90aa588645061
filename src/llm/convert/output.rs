//! A file that appears whole or not at all.

use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

const BUFFER_BYTES: usize = 1 << 20;

/// A file being written beside where it will be, or one without a name. Dropped before [`Output::finish`], it is gone.
pub(super) struct Output {
    /// Its final path, and its name until then.
    names: Option<(PathBuf, PathBuf)>,
    file: Option<BufWriter<File>>,
}

impl Output {
    /// Begins to write what will be `path`; the disk must have room for `bytes`. What a killed run left behind is
    /// overwritten.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `path` names no file; [`Kind::Io`] where the file cannot be made, does not fit, or another
    /// process writes it.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
            return Err(Error::new(Kind::Usage, format!("{} is not a file name", path.display())));
        };
        if path.is_dir() {
            return Err(
                Error::new(Kind::Usage, format!("{} is a folder", path.display())).remedy("name the file to write")
            );
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !folder.is_dir() {
            return Err(Error::new(Kind::NotFound, format!("there is no folder {}", folder.display()))
                .remedy("make it, or write somewhere else"));
        }
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = folder.join(partial);
        let file = claim(&partial, path)?;
        let output = Self { names: Some((path.to_owned(), partial)), file: Some(buffered(file)) };
        check_room(path, folder, bytes)?;
        Ok(output)
    }

    /// Begins to write a file in `folder` that nobody else sees and that disappears when it is closed.
    ///
    /// # Errors
    /// [`Kind::Io`] where the file cannot be made or does not fit.
    pub(super) fn unnamed(folder: &Path, bytes: u64) -> Result<Self> {
        let path = folder.join(format!("tercet-{}.gguf", std::process::id()));
        check_room(&path, folder, bytes)?;
        let failed = |e| Error::io("write", &path, e);
        let _ = std::fs::remove_file(&path);
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        Ok(Self { names: None, file: Some(buffered(file)) })
    }

    /// Gives the file its name, if it gets one; programs that have the old one open keep it.
    pub(super) fn finish(mut self) -> Result<File> {
        let written = match self.file.take() {
            Some(file) => file.into_inner().map_err(io::IntoInnerError::into_error),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        let Some((path, partial)) = self.names.take() else {
            return written.map_err(|e| Error::io("write", Path::new("a temporary file"), e));
        };
        let named = written.and_then(|f| f.sync_all().and_then(|()| std::fs::rename(&partial, &path)).map(|()| f));
        named.map_err(|e| {
            let _ = std::fs::remove_file(&partial);
            Error::io("write", &path, e)
        })
    }
}

fn buffered(file: File) -> BufWriter<File> {
    BufWriter::with_capacity(BUFFER_BYTES, file)
}

/// The empty file `partial`, locked: two writers of the same file would spoil each other's work.
fn claim(partial: &Path, path: &Path) -> Result<File> {
    let failed = |e| Error::io("write", partial, e);
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(partial).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Io, format!("another process is writing {}", path.display()))
                    .remedy("wait until it is done, or choose another name"));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // Between opening and locking, the holder may have renamed or removed it.
        let mine = file.metadata().map_err(failed)?;
        if partial.metadata().is_ok_and(|now| (now.dev(), now.ino()) == (mine.dev(), mine.ino())) {
            if mine.len() > 0 {
                tracing::info!("overwriting {}, left behind by a run that was killed", partial.display());
                file.set_len(0).map_err(failed)?;
            }
            return Ok(file);
        }
    }
}

fn check_room(path: &Path, folder: &Path, bytes: u64) -> Result<()> {
    match crate::store::free_bytes(folder).filter(|&free| free < bytes) {
        None => Ok(()),
        Some(free) => {
            let what = format!("{} takes {}, but the disk has {} left", path.display(), Bytes(bytes), Bytes(free));
            Err(Error::new(Kind::Io, what).remedy("free some disk space, or write to another disk"))
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(f) => f.write(buf),
            None => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((_, partial)) = self.names.take() {
            // Best effort: what is left behind has a name that nothing reads and that the next run overwrites.
            let _ = std::fs::remove_file(partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_at_a_time_and_a_killed_run_is_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, partial) = (dir.path().join("m.gguf"), dir.path().join("m.gguf.partial"));
        std::fs::write(&partial, "half of an earlier one").expect("written");
        let mut first = Output::create(&path, 3).expect("nobody writes it");
        let second = Output::create(&path, 3).err().expect("one writes it");
        assert!(second.to_string().contains("another process is writing"), "{second}");
        first.write_all(b"new").expect("written");
        drop(first.finish().expect("named"));
        assert_eq!(std::fs::read(&path).expect("there"), b"new");
        assert!(!partial.exists());
        drop(Output::create(&path, 3).expect("nobody writes it"));
        assert!(!partial.exists() && path.exists());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("m.gguf");
        let refused = Output::create(&path, u64::MAX).err().expect("no disk has that much");
        assert!(refused.kind() == Kind::Io && refused.to_string().contains(" left"), "{refused}");
        let refused = Output::create(&dir.path().join("no/m.gguf"), 3).err().expect("no folder");
        assert!(refused.kind() == Kind::NotFound && refused.remedy_text().is_some(), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }

    #[test]
    fn an_unnamed_file_is_not_to_be_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut out = Output::unnamed(dir.path(), 3).expect("made");
        out.write_all(b"abc").expect("written");
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
        assert_eq!(out.finish().expect("whole").metadata().expect("open").len(), 3);
    }
}
