//! Whether a configured program can be started: what the kernel would say, asked beforehand.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::problems::nearest;

/// How much of a script's first line the kernel reads.
const SHEBANG_MAX: u64 = 256;

/// What is wrong with `program`, worded to follow its key; `None` where it can be started. A name without a slash is
/// looked for along `path`, as the kernel's `execvp` does.
pub(super) fn trouble(program: &str, path: &std::ffi::OsStr) -> Option<String> {
    if program.contains('/') {
        // Found along the PATH such a script is run by sh; named by its path it is refused.
        let nameless = || is_text_without_shebang(Path::new(program));
        let what = unstartable(Path::new(program)).or_else(|| {
            nameless().then(|| "is a script without an interpreter line; begin it with #!/bin/sh".to_owned())
        });
        return what.map(|what| format!("{program} {what}"));
    }
    let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let found: Vec<PathBuf> = folders.iter().map(|f| f.join(program)).filter(|p| p.exists()).collect();
    let mut troubles = Vec::new();
    for candidate in &found {
        troubles.push(format!("{} {}", candidate.display(), unstartable(candidate)?));
    }
    Some(troubles.into_iter().next().unwrap_or_else(|| {
        let names: Vec<String> = folders
            .iter()
            .filter_map(|f| std::fs::read_dir(f).ok())
            .flat_map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()))
            .collect();
        let near = nearest(program, names.iter().map(String::as_str));
        let near = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
        format!("there is no program {program} on the PATH{near}")
    }))
}

/// Why the file at `path` cannot be started, after its name.
fn unstartable(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let near = crate::store::neighbour(path).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            return Some(format!("does not exist{near}"));
        }
        Err(e) => return Some(format!("cannot be examined: {e}")),
        Ok(m) if m.is_dir() => return Some("is a folder, not a program".to_owned()),
        Ok(m) if !m.is_file() => return Some("is not a program".to_owned()),
        Ok(_) => {}
    }
    if !executable(path) {
        return Some(format!("is not executable; run `chmod +x {}`", path.display()));
    }
    let interpreter = interpreter(path)?;
    match std::fs::metadata(&interpreter) {
        Ok(m) if m.is_file() && executable(&interpreter) => None,
        _ => {
            Some(format!("names the interpreter {} in its first line, which cannot be started", interpreter.display()))
        }
    }
}

fn executable(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the name is a C string that lives until the call returns; nothing else is touched.
    unsafe { libc::access(name.as_ptr(), libc::X_OK) == 0 }
}

/// The start of a file; `None` where it cannot be read, which is allowed for a program.
fn start(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(SHEBANG_MAX).read_to_end(&mut start).ok()?;
    Some(start)
}

fn is_text_without_shebang(path: &Path) -> bool {
    start(path).is_some_and(|s| !s.starts_with(b"#!") && s.is_ascii() && !s.contains(&0) && !s.starts_with(b"\x7fELF"))
}

/// What a script names after `#!`.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let start = start(path)?;
    let line = start.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let word = line.split(|b| *b == b' ' || *b == b'\t').find(|w| !w.is_empty())?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(word)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_cannot_be_started_is_told_with_the_reason() {
        let dir = tempfile::tempdir().expect("a folder");
        let script = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
            path.display().to_string()
        };
        let path = std::env::join_paths([dir.path(), Path::new("/bin")]).expect("a path");
        let of = |program: &str| trouble(program, &path);
        let good = script("lamp", "#!/bin/sh\n", 0o755);
        assert_eq!((of("sh"), of("/bin/sh"), of(&good), of("lamp")), (None, None, None, None));
        let ends = |program: &str, end: &str| {
            let text = of(program).expect("it cannot be started");
            assert!(text.ends_with(end), "{text:?} does not end with {end:?}");
        };
        ends("lmap", "did you mean lamp?");
        ends(&format!("{good}s"), &format!("does not exist; did you mean {good}?"));
        ends(&dir.path().display().to_string(), "is a folder, not a program");
        let plain = script("plain.sh", "#!/bin/sh\n", 0o644);
        ends(&plain, &format!("is not executable; run `chmod +x {plain}`"));
        ends("plain.sh", &format!("is not executable; run `chmod +x {plain}`"));
        let orphan = script("orphan", "#! /no/such/python3 -u\n", 0o755);
        ends(&orphan, "names the interpreter /no/such/python3 in its first line, which cannot be started");
        let bare = script("bare", "echo hello\n", 0o755);
        ends(&bare, "is a script without an interpreter line; begin it with #!/bin/sh");
        assert_eq!(of("bare"), None, "sh runs it where it is found along the PATH");
        ends("zzzzzzzzzzzzzzzz", "there is no program zzzzzzzzzzzzzzzz on the PATH");
    }
}
