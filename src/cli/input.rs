//! Files that commands read: `-` stands for standard input wherever a file is read from its start to its end.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
#[cfg(feature = "voice")]
use std::path::PathBuf;

use crate::audio::{self, Clip};
use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

/// What errors call standard input.
const STDIN: &str = "standard input";

/// Whether `path` stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What errors call the file.
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { STDIN.into() } else { path.display().to_string() }
}

/// Refuses `-` given twice: standard input can be read once.
///
/// # Errors
/// [`Kind::Usage`].
#[cfg(feature = "voice")]
pub(super) fn stdin_once(files: &[PathBuf]) -> Result<()> {
    match files.iter().filter(|f| is_stdin(f)).count() {
        0 | 1 => Ok(()),
        _ => Err(Error::new(Kind::Usage, "- (standard input) is given twice, but can be read only once")
            .remedy("give the other recordings by name")),
    }
}

/// Refuses `-` where a file must be a file, because it is mapped into memory or read out of order.
///
/// # Errors
/// [`Kind::Usage`] naming `what`, for example "a model".
pub(super) fn no_stdin(path: &Path, what: &str) -> Result<()> {
    if !is_stdin(path) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("{what} cannot be read from standard input"))
        .remedy("save it to a file and give its path (a file called - is ./-)"))
}

/// Reads a recording at its own rate, as [`audio::read_file`].
///
/// # Errors
/// As [`audio::read_file`]; [`Kind::Usage`] where standard input is a terminal.
pub(super) fn clip(path: &Path) -> Result<Clip> {
    if is_stdin(path) { audio::read_stream(piped()?, STDIN) } else { audio::read_file(path) }
}

/// Reads a recording at 16 kHz, as [`audio::read_16k`].
///
/// # Errors
/// As [`clip`].
#[cfg(feature = "voice")]
pub(super) fn clip_16k(path: &Path) -> Result<Vec<f32>> {
    if is_stdin(path) { audio::read_stream_16k(piped()?, STDIN) } else { audio::read_16k(path) }
}

/// Standard input, for sound, which nobody types.
fn piped() -> Result<std::io::Stdin> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::new(Kind::Usage, "standard input is a terminal, but a recording is expected there")
            .remedy("pipe a WAV or FLAC into it, for example `arecord -f S16_LE -r 16000 | tercet transcribe -`"));
    }
    Ok(stdin)
}

/// Reads a text of at most `most` bytes; `remedy` is for a file that is missing or no text.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Io`]; [`Kind::Corrupt`] for what is not UTF-8; [`Kind::Unsupported`] for what is longer.
pub(super) fn text(path: &Path, most: u64, remedy: &str) -> Result<String> {
    let bytes = if is_stdin(path) {
        limited(std::io::stdin().lock(), path, most)?
    } else {
        let file = File::open(path).map_err(|e| Error::io("read", path, e).if_missing(remedy))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            let e = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Error::io("read", path, e).remedy(remedy));
        }
        limited(file, path, most)?
    };
    String::from_utf8(bytes).map_err(|e| {
        Error::new(Kind::Corrupt, format!("{} is not UTF-8 text", name(path)))
            .remedy(format!("{remedy}; `iconv` converts other encodings"))
            .because(e.utf8_error())
    })
}

fn limited(source: impl Read, path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let failed = |e| Error::io("read", Path::new(&name(path)), e);
    source.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(Kind::Unsupported, format!("{} is longer than {}", name(path), Bytes(most)))
            .remedy("give it in parts"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "voice")]
    #[test]
    fn standard_input_is_read_once() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert!(stdin_once(&files(&["a.wav", "-", "./-"])).is_ok());
        assert_eq!(stdin_once(&files(&["-", "a.wav", "-"])).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn standard_input_is_no_model() {
        assert!(no_stdin(Path::new("./-"), "a model").is_ok());
        let e = no_stdin(Path::new("-"), "a model").unwrap_err();
        assert!(e.to_string().contains("a model") && e.remedy_text().is_some(), "{e}");
    }

    #[test]
    fn texts_are_bounded_utf8_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.txt");
        std::fs::write(&path, "naïve").unwrap();
        assert_eq!(text(&path, 6, "").unwrap(), "naïve");
        for (bytes, kind) in [(&b"seven b"[..], Kind::Unsupported), (b"\xff\xfe", Kind::Corrupt)] {
            std::fs::write(&path, bytes).unwrap();
            let e = text(&path, 6, "give a text").unwrap_err();
            assert!(e.kind() == kind && e.to_string().contains("t.txt") && e.remedy_text().is_some(), "{e:?}");
        }
        assert_eq!(text(&dir.path().join("none"), 6, "x").unwrap_err().kind(), Kind::NotFound);
        let e = text(dir.path(), 6, "give a text").unwrap_err();
        assert!(e.kind() == Kind::Io && e.remedy_text().is_some(), "{e:?}");
    }
}
