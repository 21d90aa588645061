//! One process owns a state folder: two over one would overwrite each other's timers, and both would ring.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// Locked by the owner for as long as it lives; holds its process id, for those who are refused.
const LOCK: &str = "lock";

/// A state folder that no other process writes to while this lives. Anything that writes there needs one.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// The lock goes with the descriptor, however the process ends. `None` where the folder cannot even be opened: then
    /// nobody can write there.
    _lock: Option<File>,
}

impl StateFolder {
    /// Takes the folder, which is made where there is none. One that cannot be written to is taken too: what is kept there
    /// says for itself that it cannot be kept.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] naming the process that has it.
    pub fn own(path: PathBuf) -> Result<Self> {
        let lock = open(&path);
        if let Err(e) = &lock {
            tracing::warn!(
                "the state folder {} is not accessible, so nothing will survive a restart: {e}",
                path.display()
            );
        }
        let Ok(mut file) = lock else { return Ok(Self { path, _lock: None }) };
        match file.try_lock() {
            Ok(()) => {
                super::file::sweep(&path);
                // Only for messages; a folder that cannot be written to has no such file.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Self { path, _lock: Some(file) })
            }
            Err(TryLockError::WouldBlock) => Err(refused(&path, &mut file)),
            Err(TryLockError::Error(e)) => {
                tracing::warn!("the state folder {} cannot be locked: {e}", path.display());
                Ok(Self { path, _lock: None })
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The lock's file, to be written if possible; the folder itself where there is none and none can be made.
fn open(folder: &Path) -> std::io::Result<File> {
    let file = folder.join(LOCK);
    std::fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file))
        .or_else(|e| if e.kind() == ErrorKind::NotFound { Err(e) } else { File::open(&file) })
        .or_else(|_| File::open(folder))
}

fn refused(folder: &Path, lock: &mut File) -> Error {
    let mut text = String::new();
    let _ = lock.rewind().and_then(|()| lock.read_to_string(&mut text));
    let owner = text.trim().parse::<u32>().ok();
    let command = owner.and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok()).map(|bytes| {
        let words: Vec<_> = bytes.split(|&b| b == 0).filter(|w| !w.is_empty()).map(String::from_utf8_lossy).collect();
        words.join(" ")
    });
    let who = match (owner, command) {
        (Some(pid), Some(command)) => format!("process {pid} ({command})"),
        (Some(pid), None) => format!("process {pid}"),
        (None, _) => "another process".to_owned(),
    };
    Error::new(Kind::Unavailable, format!("{who} is using the state folder {}", folder.display()))
        .remedy("stop it first, or give this one its own state folder: TERCET_STATE=FOLDER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_who_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("deep/state");
        let first = StateFolder::own(path.clone()).expect("nobody has it");
        let e = StateFolder::own(path.clone()).expect_err("it is taken");
        assert_eq!(e.kind(), Kind::Unavailable);
        assert!(e.to_string().contains(&format!("process {} (", std::process::id())), "{e}");
        assert!(e.to_string().contains("deep/state") && e.remedy_text().is_some(), "{e:?}");
        drop(first);
        // A longer number of an owner that is gone does not stay.
        std::fs::write(path.join(LOCK), "999999999999\n").expect("written");
        // Nor does what it had begun to write.
        std::fs::write(path.join(".tercet-1-0.new"), "").expect("written");
        let again = StateFolder::own(path.clone()).expect("it is free again");
        assert_eq!(std::fs::read_to_string(path.join(LOCK)).expect("read"), format!("{}\n", std::process::id()));
        assert_eq!(again.path(), path);
        assert_eq!(std::fs::read_dir(&path).expect("a folder").count(), 1, "the lock");
    }

    #[test]
    fn a_folder_that_cannot_be_is_nobodys() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        StateFolder::own(file.join("state")).expect("it goes without");
    }
}
