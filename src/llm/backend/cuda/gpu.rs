//! The device with the kernels built for it.

use std::sync::Arc;

use super::device::Device;
use super::function::Function;
use super::modules::Modules;
use crate::error::Result;

/// The device and its kernels.
pub(super) struct Gpu {
    pub(super) modules: Modules,
    pub(super) device: Arc<Device>,
    /// Blocks of kernels that have one block a multiprocessor.
    pub(super) blocks: u32,
}

impl Gpu {
    /// The kernel `name`.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where there is none.
    pub(super) fn kernel(&self, name: &str) -> Result<Function> {
        self.modules.get(name)
    }
}
