//! What weights pass through on their way to the device, and where they come to lie.

use std::sync::{Arc, Mutex, PoisonError};

use super::arena::Arena;
use super::gpu::Gpu;
use super::memory::{Buffer, Pinned, View};
use super::packing::Packing;
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::Once;

/// Loads weights onto a device.
pub(super) struct Loader {
    pub(super) gpu: Arc<Gpu>,
    pub(super) stream: Arc<Stream>,
    pub(super) packing: Packing,
    /// Where what stays as long as the model lies; `None`: each in an allocation of its own.
    pub(super) arena: Option<Arena>,
    staging: Mutex<Option<Staging>>,
}

/// The one window through which weights come in.
struct Staging {
    host: Pinned,
    device: Buffer,
}

/// Bytes of the window.
const STAGING_BYTES: usize = 16 << 20;

impl Loader {
    pub(super) fn new(gpu: Arc<Gpu>, stream: Arc<Stream>, packing: Packing, arena: Option<Arena>) -> Self {
        Self { gpu, stream, packing, arena, staging: Mutex::new(None) }
    }

    /// `bytes` for as long as the model is loaded; contents are undefined.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unavailable`] where the device has no memory left.
    pub(super) fn keep(&self, bytes: u64) -> Result<Buffer> {
        match &self.arena {
            Some(arena) => arena.alloc(bytes),
            None => Buffer::new(&self.gpu.device, bytes),
        }
    }

    /// As [`Loader::keep`], zeros.
    pub(super) fn keep_zeros(&self, bytes: u64) -> Result<Buffer> {
        let buffer = self.keep(bytes)?;
        self.stream.clear(&buffer)?;
        Ok(buffer)
    }

    /// Passes `stored` through the window, whole rows at a time: `work(the rows on the device, first row, rows)`, which enqueues
    /// what is to become of them.
    pub(super) fn stage(
        &self,
        stored: Once<'_>,
        row_bytes: usize,
        work: &mut dyn FnMut(View<'_>, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = STAGING_BYTES.max(row_bytes);
        if staging.as_ref().is_none_or(|s| s.host.len() < bytes) {
            let (host, device) = (Pinned::new(&self.gpu.device, bytes)?, Buffer::new(&self.gpu.device, bytes as u64)?);
            *staging = Some(Staging { host, device });
        }
        let Some(window) = staging.as_mut() else { return Ok(()) };
        let rows = (bytes / row_bytes.max(1)).max(1);
        for (i, part) in stored.bytes.chunks((rows * row_bytes).max(1)).enumerate() {
            window.host[..part.len()].copy_from_slice(part);
            self.stream.upload(&window.device, 0, &window.host[..part.len()])?;
            work(window.device.view(), i * rows, part.len() / row_bytes)?;
            self.stream.wait()?;
            let from = i * rows * row_bytes;
            stored.done(from..from + part.len());
        }
        Ok(())
    }

    /// Gives the window back: everything is loaded.
    pub(super) fn done(&self) {
        *self.staging.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
