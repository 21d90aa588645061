//! A file of facts that must survive a crash of the process and a power cut at any moment: SQLite, with every change
//! synced to the disk before it counts.
//!
//! A file that is damaged, or no database at all, is moved aside with a warning and a fresh one is begun: what keeps time
//! for people has to start. One of a newer version of tercet is left alone and refused.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::error::{Error, Kind, Result};

/// How long a change waits for another connection (a backup, a person with a shell) before it fails.
const WAIT: Duration = Duration::from_secs(5);

/// An open database.
pub struct Database {
    connection: Connection,
    /// `None` where it lives in memory only.
    file: Option<PathBuf>,
}

/// Why a file was not opened.
enum Trouble {
    /// Its bytes are not to be used.
    Damaged(rusqlite::Error),
    Other(Error),
}

impl Database {
    /// Opens `file`, which is made where there is none, brings it up to date with `migrations` (the n-th leads from version
    /// n to n + 1) and gives what `load` reads from it.
    ///
    /// # Errors
    /// [`Kind::Io`] when it cannot be opened or written; [`Kind::Unsupported`] when a newer tercet wrote it.
    pub fn open<T>(
        file: &Path,
        migrations: &[&str],
        load: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T)> {
        match Self::try_open(file, migrations, &load) {
            Err(Trouble::Damaged(e)) => {
                let aside = set_aside(file)?;
                tracing::warn!(
                    error = %e, file = %file.display(), aside = %aside.display(),
                    "what was kept is unreadable; the file was moved aside and a fresh one is begun"
                );
                Self::try_open(file, migrations, &load).map_err(|t| match t {
                    Trouble::Damaged(e) => failed("open", Some(file), e),
                    Trouble::Other(e) => e,
                })
            }
            Err(Trouble::Other(e)) => Err(e),
            Ok(open) => Ok(open),
        }
    }

    /// A database that ends with the process.
    ///
    /// # Errors
    /// [`Kind::Io`] when a migration fails.
    pub fn in_memory(migrations: &[&str]) -> Result<Self> {
        let mut connection = Connection::open_in_memory().map_err(|e| failed("open", None, e))?;
        migrate(&mut connection, migrations).map_err(|e| failed("prepare", None, e))?;
        Ok(Self { connection, file: None })
    }

    fn try_open<T>(
        file: &Path,
        migrations: &[&str],
        load: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T), Trouble> {
        // Made here, not by SQLite: what people ask for is nobody else's business. Its journals get the same mode.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)
            .and_then(|f| f.set_permissions(Permissions::from_mode(0o600)))
            .map_err(|e| Trouble::Other(Error::io("open", file, e)))?;
        let sort = |e| if is_damage(&e) { Trouble::Damaged(e) } else { Trouble::Other(failed("open", Some(file), e)) };
        let mut connection = Connection::open(file).map_err(sort)?;
        prepare(&connection).map_err(sort)?;
        let version = version(&connection).map_err(sort)?;
        if version > migrations.len() {
            let known = migrations.len();
            let what = format!("{} was written by a newer tercet (version {version}, known {known})", file.display());
            return Err(Trouble::Other(
                Error::new(Kind::Unsupported, what)
                    .remedy("update tercet, or move that file away to begin without what it keeps"),
            ));
        }
        migrate(&mut connection, migrations).map_err(|e| match e.sqlite_error_code() {
            // Tables that are not what their version says.
            Some(ErrorCode::Unknown | ErrorCode::ConstraintViolation) => Trouble::Damaged(e),
            _ => sort(e),
        })?;
        // What cannot be read as what it should be is as good as damaged.
        let loaded = load(&connection).map_err(|e| match e.sqlite_error_code() {
            Some(ErrorCode::Unknown) | None => Trouble::Damaged(e),
            _ => sort(e),
        })?;
        Ok((Self { connection, file: Some(file.to_owned()) }, loaded))
    }

    /// Makes changes all together or not at all; they are on the disk when this returns.
    ///
    /// # Errors
    /// [`Kind::Io`] with the file's name; nothing is changed then.
    pub fn change<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|e| failed("write", self.file.as_deref(), e))
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(WAIT)?;
    let damage: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if damage != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(damage)));
    }
    // Answers with the mode that it got; a file system without shared memory keeps the rollback journal, as safe.
    let _mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A negative one is of nobody's making.
    usize::try_from(version).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, version))
}

/// Each step in a transaction of its own, its version with it.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    for (i, step) in migrations.iter().enumerate().skip(version(connection)?) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", i as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn is_damage(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        || matches!(e, rusqlite::Error::IntegralValueOutOfRange(..))
}

/// `agenda.sqlite` becomes `agenda.sqlite.bad`, in the place of an earlier one; its journals go with it, since SQLite
/// would take them for the new file's.
fn set_aside(file: &Path) -> Result<PathBuf> {
    let aside = with_suffix(file, ".bad");
    for journal in ["-wal", "-shm", "-journal"] {
        match std::fs::rename(with_suffix(file, journal), with_suffix(&aside, journal)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("move aside", &with_suffix(file, journal), e));
            }
            _ => {}
        }
    }
    std::fs::rename(file, &aside).map_err(|e| Error::io("move aside", file, e))?;
    Ok(aside)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(doing: &str, file: Option<&Path>, e: rusqlite::Error) -> Error {
    let what = file.map_or_else(|| "a database in memory".to_owned(), |f| f.display().to_string());
    let error = Error::new(Kind::Io, format!("cannot {doing} {what}"));
    let error = match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => error.remedy("free some disk space"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            error.remedy("check the owner and permissions of the file and its folder")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            error.remedy("end the other program that has this file open")
        }
        _ => error,
    };
    error.because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
    const SECOND: &str = "ALTER TABLE word ADD COLUMN language TEXT NOT NULL DEFAULT 'en'";

    fn words(c: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut query = c.prepare("SELECT text FROM word ORDER BY id")?;
        query.query_map([], |row| row.get(0))?.collect()
    }

    fn open(file: &Path) -> (Database, Vec<String>) {
        Database::open(file, &[FIRST], words).expect("it opens")
    }

    fn add(database: &mut Database, word: &str) {
        database.change(|t| t.execute("INSERT INTO word (text) VALUES (?1)", [word])).expect("written");
    }

    #[test]
    fn what_was_written_is_there_again_without_any_closing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        let (mut database, found) = open(&file);
        assert_eq!(found.len(), 0);
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        add(&mut database, "milk");
        let setting = |name: &str| -> String {
            let read = |row: &rusqlite::Row<'_>| Ok(format!("{:?}", row.get_ref(0)?));
            database.connection.query_row(&format!("PRAGMA {name}"), [], read).expect("a setting")
        };
        assert!(setting("synchronous").contains('2') && setting("journal_mode").contains("Text"), "full, WAL");
        // As after kill -9: the old connection was never closed, and a copy has only what is on the disk.
        std::mem::forget(database);
        assert_eq!(open(&file).1, ["milk"]);
    }

    #[test]
    fn a_journal_that_was_cut_short_loses_only_its_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        let (mut database, _) = open(&file);
        let all = ["milk", "eggs", "bread", "tea", "rice"];
        for word in all {
            add(&mut database, word);
        }
        let (main, journal) = (with_suffix(&file, ""), with_suffix(&file, "-wal"));
        let journal = std::fs::read(journal).expect("a journal");
        assert!(journal.len() > 1000, "nothing was moved to the file yet");
        for cut in (0..=journal.len()).rev().step_by(journal.len() / 23) {
            let copy = dir.path().join(format!("cut at {cut}"));
            std::fs::copy(&main, &copy).expect("copied");
            std::fs::write(with_suffix(&copy, "-wal"), &journal[..cut]).expect("written");
            // Even the tables may be in the part that is gone.
            let found = open(&copy).1;
            assert_eq!(found, all[..found.len()], "cut at {cut}");
            assert!(!with_suffix(&copy, ".bad").exists());
            assert!(cut < journal.len() || found.len() == all.len());
        }
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut database, _) = open(&dir.path().join("a.sqlite"));
        let e = database
            .change(|t| {
                t.execute("INSERT INTO word (text) VALUES ('x')", [])?;
                t.execute("INSERT INTO nothing VALUES (1)", [])
            })
            .expect_err("no such table");
        assert!(e.kind() == Kind::Io && e.to_string().contains("a.sqlite"), "{e}");
        assert_eq!(words(&database.connection).expect("read").len(), 0);
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_and_a_newer_one_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        add(&mut open(&file).0, "milk");
        let language = |c: &Connection| c.query_row("SELECT language FROM word", [], |row| row.get::<_, String>(0));
        let (_, found) = Database::open(&file, &[FIRST, SECOND], language).expect("it opens");
        assert_eq!(found, "en");
        let e = Database::open(&file, &[FIRST], words).err().expect("it is newer");
        assert_eq!(e.kind(), Kind::Unsupported);
        assert!(e.to_string().contains("a.sqlite") && e.remedy_text().is_some(), "{e:?}");
        assert!(!dir.path().join("a.sqlite.bad").exists(), "it is nobody's to move");
    }

    #[test]
    fn what_is_no_database_is_moved_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        for bytes in [b"{not a database}".repeat(100), vec![0; 4096], b"SQLite format 3\0".repeat(300)] {
            std::fs::write(&file, &bytes).expect("written");
            let (mut database, found) = open(&file);
            assert_eq!(found.len(), 0);
            add(&mut database, "milk");
            drop(database);
            assert_eq!(open(&file).1, ["milk"]);
            assert_eq!(std::fs::read(dir.path().join("a.sqlite.bad")).expect("kept"), bytes);
        }
    }

    #[test]
    fn a_damaged_page_is_noticed_at_the_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        let (mut database, _) = open(&file);
        for i in 0..2000 {
            if i % 500 == 0 {
                add(&mut database, &"word ".repeat(400));
            }
        }
        drop(database);
        let mut bytes = std::fs::read(&file).expect("read");
        let from = bytes.len() - 4096;
        bytes[from..].fill(0x5a);
        bytes[4096..4196].fill(0xff);
        std::fs::write(&file, &bytes).expect("written");
        assert_eq!(open(&file).1.len(), 0);
        assert!(dir.path().join("a.sqlite.bad").exists());
    }

    #[test]
    fn tables_of_somebody_else_are_moved_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.sqlite");
        Database::open(&file, &["CREATE TABLE word (other BLOB)"], |_| Ok(())).expect("it opens");
        assert_eq!(open(&file).1.len(), 0);
        assert!(dir.path().join("a.sqlite.bad").exists());
    }

    #[test]
    fn where_nothing_can_be_written_that_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("in the way");
        std::fs::write(&file, "").expect("written");
        let e = Database::open(&file.join("a.sqlite"), &[FIRST], words).err().expect("no folder");
        assert!(e.to_string().contains("in the way"), "{e}");
        let mut database = Database::in_memory(&[FIRST]).expect("memory is there");
        add(&mut database, "milk");
        assert_eq!(words(&database.connection).expect("read"), ["milk"]);
    }
}
