//! Loaded cubins, the kernels in them, and the shape of a launch.

use std::ffi::{CString, c_int};
use std::sync::Arc;

use cudarc::driver::sys;

use super::device::Device;
use super::fault::{check, failed};
use crate::error::{Error, Kind, Result};

/// A cubin that the driver has loaded.
pub(super) struct Module {
    device: Arc<Device>,
    handle: sys::CUmodule,
}

// SAFETY: a handle of the driver, usable from any thread.
unsafe impl Send for Module {}
// SAFETY: as above; nothing is changed through it.
unsafe impl Sync for Module {}

/// A kernel. Its module stays loaded as long as it is there.
#[derive(Clone)]
pub(super) struct Function {
    handle: sys::CUfunction,
    module: Arc<Module>,
}

// SAFETY: a handle of the driver, usable from any thread while its module is loaded, which it keeps.
unsafe impl Send for Function {}
// SAFETY: as above; nothing is changed through it.
unsafe impl Sync for Function {}

/// How a kernel is spread out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    pub(super) grid: (u32, u32, u32),
    /// Threads of a block.
    pub(super) threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub(super) shared: u32,
    /// Whether it may start before the kernel before it has ended (sm_90; the kernel itself waits).
    pub(super) overlap: bool,
}

impl Module {
    /// Loads a cubin; `name` is for messages.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where it does not fit the device or the driver.
    pub(super) fn load(device: &Arc<Device>, name: &str, cubin: &[u8]) -> Result<Arc<Self>> {
        device.bind()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the driver checks the image; the bytes outlive the call.
        let code = unsafe { sys::cuModuleLoadData(&raw mut handle, cubin.as_ptr().cast()) };
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
        Ok(Arc::new(Self { device: device.clone(), handle }))
    }

    /// The kernel `name`, ready for all the dynamic shared memory that its static shared memory leaves; `None` where it is not
    /// in this module.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) fn function(self: &Arc<Self>, name: &str) -> Result<Option<Function>> {
        self.device.bind()?;
        let symbol = CString::new(name).unwrap_or_default();
        let mut handle = std::ptr::null_mut();
        // SAFETY: module and name are valid.
        let code = unsafe { sys::cuModuleGetFunction(&raw mut handle, self.handle, symbol.as_ptr()) };
        if code == sys::CUresult::CUDA_ERROR_NOT_FOUND {
            return Ok(None);
        }
        check(&format!("finding the kernel {name}"), code)?;
        let mut fixed: c_int = 0;
        // SAFETY: the function was just found.
        unsafe {
            use sys::CUfunction_attribute as A;
            let of = A::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
            check("reading a kernel", sys::cuFuncGetAttribute(&raw mut fixed, of, handle))?;
            let to = A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            let room = self.device.shared_bytes as c_int - fixed;
            check("preparing a kernel", sys::cuFuncSetAttribute(handle, to, room))?;
        }
        Ok(Some(Function { handle, module: self.clone() }))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: loaded in `load`, unloaded once; no function of it is left.
            let _ = unsafe { sys::cuModuleUnload(self.handle) };
        }
    }
}

impl Function {
    /// The driver's handle, valid as long as self.
    pub(super) fn handle(&self) -> sys::CUfunction {
        self.handle
    }

    /// Whether all blocks of a launch fit on the device at once.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) fn fits_at_once(&self, shape: Launch) -> Result<bool> {
        let device = &self.module.device;
        device.bind()?;
        let mut each = 0;
        let (threads, shared) = (shape.threads as c_int, shape.shared as usize);
        // SAFETY: the out-pointer is valid; the function is loaded.
        check("counting blocks", unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(&raw mut each, self.handle, threads, shared)
        })?;
        Ok(each as u32 * device.multiprocessors >= shape.grid.0)
    }
}
