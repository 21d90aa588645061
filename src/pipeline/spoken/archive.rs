//! What is kept of what the microphone hears: nothing, unless the privacy settings ask for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::WavWriter;
use crate::error::{Error, Result};
use crate::units::SampleRate;

/// Most recordings kept; the oldest go first.
const FILES: usize = 500;

/// A folder of utterances, one WAV each (`privacy.keep_audio`).
pub struct Archive {
    folder: PathBuf,
    next: AtomicU64,
}

impl Archive {
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("make the folder", &folder, e))?;
        Ok(Self { folder, next: AtomicU64::new(0) })
    }

    /// Writes one utterance (16 kHz mono).
    ///
    /// # Errors
    /// When it cannot be written; the conversation goes on without it.
    pub fn keep(&self, pcm: &[f32]) -> Result<()> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let stamp = jiff::Timestamp::now().as_millisecond();
        let path = self.folder.join(format!("utterance-{stamp:015}-{n:04}.wav"));
        let mut w = WavWriter::create(&path, SampleRate::HEARING)?;
        w.write(pcm)?;
        w.finish()?;
        self.prune();
        Ok(())
    }

    fn prune(&self) {
        let Ok(dir) = std::fs::read_dir(&self.folder) else { return };
        let mut files: Vec<PathBuf> =
            dir.flatten().map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "wav")).collect();
        files.sort();
        for old in files.iter().take(files.len().saturating_sub(FILES)) {
            let _ = std::fs::remove_file(old);
        }
    }
}
