//! The kernels of all loaded cubins, by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Device;
use super::function::{Function, Module};
use crate::error::{Error, Kind, Result};

/// Loaded cubins, and the kernels found in them so far.
pub(super) struct Modules {
    modules: Vec<Arc<Module>>,
    found: Mutex<HashMap<String, Function>>,
}

impl Modules {
    /// Loads `cubins` (name for messages, bytes).
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where one does not fit the device or the driver.
    pub(super) fn load(device: &Arc<Device>, cubins: &[(String, Vec<u8>)]) -> Result<Self> {
        let modules = cubins.iter().map(|(name, bytes)| Module::load(device, name, bytes)).collect::<Result<_>>()?;
        Ok(Self { modules, found: Mutex::new(HashMap::new()) })
    }

    /// The kernel `name`.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there is none.
    pub(super) fn get(&self, name: &str) -> Result<Function> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(f) = found.get(name) {
            return Ok(f.clone());
        }
        for module in &self.modules {
            if let Some(f) = module.function(name)? {
                found.insert(name.to_owned(), f.clone());
                return Ok(f);
            }
        }
        Err(Error::new(Kind::Internal, format!("there is no kernel {name}")))
    }
}
