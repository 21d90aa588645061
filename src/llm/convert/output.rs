//! A file that is there whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

const BUFFER_BYTES: usize = 1 << 20;

/// A file being written beside where it will be. Dropped before [`Output::finish`], it is gone.
pub(super) struct Output {
    path: PathBuf,
    partial: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Output {
    /// Begins to write what will be `path`; the disk must have room for `bytes`.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `path` names no file; [`Kind::Io`] where the file cannot be made or does not fit.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
            return Err(Error::new(Kind::Usage, format!("{} is no file name", path.display())));
        };
        if path.is_dir() {
            return Err(Error::new(Kind::Usage, format!("{} is a folder", path.display()))
                .remedy("name the file that is to be written"));
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = folder.join(partial);
        if let Some(free) = crate::store::free_bytes(folder).filter(|&free| free < bytes) {
            let what = format!("{} needs {bytes} bytes, but the disk has {free} left", path.display());
            return Err(Error::new(Kind::Io, what).remedy("free some disk space or write to another disk"));
        }
        let file = File::create(&partial).map_err(|e| Error::io("write", &partial, e))?;
        Ok(Self { path: path.to_owned(), partial, file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)) })
    }

    /// Gives the file its name; whoever had the old one open keeps it.
    pub(super) fn finish(mut self) -> Result<()> {
        let synced = match self.file.take() {
            Some(file) => file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|f| f.sync_all()),
            None => Ok(()),
        };
        synced.and_then(|()| std::fs::rename(&self.partial, &self.path)).map_err(|e| {
            let _ = std::fs::remove_file(&self.partial);
            Error::io("write", &self.path, e)
        })
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
        if self.file.take().is_some() {
            // Best effort: what is left behind has a name that nothing reads and the next run writes over.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
