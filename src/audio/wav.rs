//! Writing mono 16-bit WAV files that appear whole or not at all.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::units::SampleRate;

/// Writes a mono 16-bit WAV. Samples go to a temporary file beside the target, which takes the target's name when the
/// writer is finished, or dropped after it was given samples; a failed write leaves an older file of that name untouched.
pub struct WavWriter {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once finished or failed.
    inner: Option<hound::WavWriter<BufWriter<File>>>,
    samples: u64,
    rate: SampleRate,
}

impl WavWriter {
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) where the folder is missing, else
    /// [`Kind::Io`](crate::error::Kind::Io).
    pub fn create(path: &Path, rate: SampleRate) -> Result<Self> {
        let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
        if name.is_empty() || path.is_dir() {
            let e = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Error::io("write", path, e).remedy("give the name of a file"));
        }
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(|e| {
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            let e = Error::io("write", path, e);
            if missing { e.remedy("create its folder first") } else { e }
        })?;
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate.0,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let inner = match hound::WavWriter::new(BufWriter::new(file), spec) {
            Ok(inner) => inner,
            Err(e) => {
                let _ = std::fs::remove_file(&temporary);
                return Err(write_error(path, e));
            }
        };
        Ok(Self { path: path.to_owned(), temporary, inner: Some(inner), samples: 0, rate })
    }

    /// Appends samples; what lies outside [−1, 1] is clipped, anything that is not a number becomes silence.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io); the temporary file is removed then, and further calls fail likewise.
    pub fn write(&mut self, pcm: &[f32]) -> Result<()> {
        let Some(inner) = &mut self.inner else {
            let e = std::io::Error::other("an earlier write failed");
            return Err(Error::io("write", &self.path, e));
        };
        for &x in pcm {
            if let Err(e) = inner.write_sample(to_i16(x)) {
                self.abandon();
                return Err(write_error(&self.path, e));
            }
        }
        self.samples += pcm.len() as u64;
        Ok(())
    }

    /// Length written so far.
    pub fn duration(&self) -> std::time::Duration {
        self.rate.duration(usize::try_from(self.samples).unwrap_or(usize::MAX))
    }

    /// Completes the header and gives the file its name. Dropping does the same, with errors logged instead.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io); nothing half-written is left behind.
    pub fn finish(mut self) -> Result<()> {
        self.complete()
    }

    fn complete(&mut self) -> Result<()> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let done = inner
            .finalize()
            .map_err(|e| write_error(&self.path, e))
            .and_then(|()| std::fs::rename(&self.temporary, &self.path).map_err(|e| Error::io("write", &self.path, e)));
        if done.is_err() {
            let _ = std::fs::remove_file(&self.temporary);
        }
        done
    }

    fn abandon(&mut self) {
        if self.inner.take().is_some() {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        if self.samples == 0 {
            // A writer dropped before the first sample must not replace an older file with an empty one.
            return self.abandon();
        }
        if let Err(e) = self.complete() {
            tracing::error!("{e}");
        }
    }
}

fn to_i16(x: f32) -> i16 {
    // `as` saturates and sends NaN to 0.
    (x * 32_767.0).round() as i16
}

fn write_error(path: &Path, e: hound::Error) -> Error {
    match e {
        hound::Error::IoError(e) => Error::io("write", path, e),
        e => Error::io("write", path, std::io::Error::other(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::read_file;
    use crate::error::Kind;

    #[test]
    fn a_dropped_writer_leaves_a_whole_file_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let mut w = WavWriter::create(&path, SampleRate(22_050)).unwrap();
        w.write(&[0.0, 0.5, -0.5, 1.5, f32::NAN]).unwrap();
        assert!(!path.exists(), "the target appears only when it is whole");
        drop(w);
        let clip = read_file(&path).unwrap();
        assert_eq!(clip.rate, SampleRate(22_050));
        for (got, want) in clip.samples.iter().zip([0.0, 0.5, -0.5, 1.0, 0.0]) {
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
        drop(WavWriter::create(&dir.path().join("b.wav"), SampleRate(16_000)).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "and no file that was never written to");
    }

    #[test]
    fn a_folder_that_is_missing_or_named_as_the_file_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let e = WavWriter::create(&dir.path().join("no/such/a.wav"), SampleRate(16_000)).err().expect("an error");
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(e.remedy_text().is_some());
        let e = WavWriter::create(dir.path(), SampleRate(16_000)).err().expect("an error");
        assert_eq!(e.kind(), Kind::Io);
    }

    #[test]
    fn a_full_disk_keeps_the_older_file() {
        // /dev/full cannot be renamed over; writing to it fails as a full disk does.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        std::fs::write(&path, b"older").unwrap();
        let mut w = WavWriter::create(&path, SampleRate(16_000)).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        w.inner = hound::WavWriter::new(BufWriter::with_capacity(1 << 20, full), spec).ok();
        let mut failed = w.write(&vec![0.1; 1 << 20]).is_err();
        let temporary = w.temporary.clone();
        failed |= w.finish().is_err();
        assert!(failed);
        assert!(!temporary.exists());
        assert_eq!(std::fs::read(&path).unwrap(), b"older");
    }
}
