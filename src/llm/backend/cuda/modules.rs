//! Cubins that the driver has loaded, and the kernels in them.

use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::sync::{Arc, Mutex};

use cudarc::driver::sys;

use super::driver::{Device, check, failed};
use crate::error::{Error, Kind, Result};

/// A kernel.
#[derive(Clone, Copy)]
pub(super) struct Function(pub(super) sys::CUfunction);

// SAFETY: a handle of the driver, valid while its module is loaded.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// Loaded cubins and the kernels found in them so far.
pub(super) struct Modules {
    device: Arc<Device>,
    modules: Vec<sys::CUmodule>,
    found: Mutex<HashMap<String, Function>>,
}

// SAFETY: handles of the driver; the map is behind a lock.
unsafe impl Send for Modules {}
// SAFETY: as above.
unsafe impl Sync for Modules {}

impl Modules {
    /// Loads `cubins` (name for messages, bytes).
    pub(super) fn load(device: &Arc<Device>, cubins: &[(String, Vec<u8>)]) -> Result<Self> {
        device.bind()?;
        let mut loaded = Self { device: device.clone(), modules: Vec::new(), found: Mutex::new(HashMap::new()) };
        for (name, bytes) in cubins {
            let mut module = std::ptr::null_mut();
            // SAFETY: the driver checks the image; the bytes outlive the call.
            let code = unsafe { sys::cuModuleLoadData(&raw mut module, bytes.as_ptr().cast()) };
            use sys::CUresult as R;
            let misfit = matches!(
                code,
                R::CUDA_ERROR_NO_BINARY_FOR_GPU | R::CUDA_ERROR_INVALID_IMAGE | R::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
            );
            if misfit {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!(
                        "the kernels {name} do not fit {} (sm_{}, driver {}.{})",
                        device.name(),
                        device.arch,
                        device.driver / 1000,
                        device.driver % 1000 / 10
                    ),
                )
                .remedy(format!("run `tercet kernels build --arch sm_{}`, or update the driver", device.arch))
                .because(failed("loading kernels", code)));
            }
            check(&format!("loading the kernels {name}"), code)?;
            loaded.modules.push(module);
        }
        Ok(loaded)
    }

    /// The kernel `name`, ready for `shared` bytes of dynamic shared memory.
    pub(super) fn get(&self, name: &str) -> Result<Function> {
        let mut found = self.found.lock().unwrap_or_else(|p| p.into_inner());
        if let Some(f) = found.get(name) {
            return Ok(*f);
        }
        self.device.bind()?;
        let symbol = CString::new(name).unwrap_or_default();
        for &module in &self.modules {
            let mut f = std::ptr::null_mut();
            // SAFETY: module and name are valid.
            if unsafe { sys::cuModuleGetFunction(&raw mut f, module, symbol.as_ptr()) } == sys::CUresult::CUDA_SUCCESS {
                // What static shared memory leaves is allowed as dynamic.
                let mut fixed: c_int = 0;
                // SAFETY: the function was just found.
                unsafe {
                    use sys::CUfunction_attribute as A;
                    let of = A::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
                    check("reading a kernel", sys::cuFuncGetAttribute(&raw mut fixed, of, f))?;
                    let to = A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                    let room = self.device.shared_bytes as c_int - fixed;
                    check("preparing a kernel", sys::cuFuncSetAttribute(f, to, room))?;
                }
                found.insert(name.to_owned(), Function(f));
                return Ok(Function(f));
            }
        }
        Err(Error::new(Kind::Internal, format!("there is no kernel {name}")))
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            for &m in &self.modules {
                // SAFETY: loaded in `load`, unloaded once.
                let _ = unsafe { sys::cuModuleUnload(m) };
            }
        }
    }
}
