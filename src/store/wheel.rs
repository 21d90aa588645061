//! Wheels are zip files; only files that the manifest names leave them, under names of ours.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::file::NewFile;
use super::manifest::FileEntry;
use crate::error::{Error, Kind, Result};

/// An open wheel.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    name: String,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|e| Error::new(Kind::Corrupt, format!("{} is not a wheel", path.display())).because(e))?;
        Ok(Self { zip, name })
    }

    /// Unpacks one file into `dir` and checks it.
    pub(super) fn extract(&mut self, entry: &FileEntry, dir: &Path) -> Result<PathBuf> {
        let inside = entry.path.as_deref().unwrap_or(&entry.name);
        let mut packed = self
            .zip
            .by_name(inside)
            .map_err(|e| Error::new(Kind::Corrupt, format!("{} has no {inside}", self.name)).because(e))?;
        let mut out = NewFile::create(dir.join(&entry.name))?;
        out.copy_from(&mut packed, entry, &self.name)?;
        out.finish(entry, &self.name)
    }
}
