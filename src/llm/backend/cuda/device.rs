//! A device of the CUDA driver and its context.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::driver::sys;

use super::fault::{check, not_lost};
use crate::error::{Error, Kind, Result};

/// A device with this process's context on it. Any thread may use it: every call that needs the context makes it current first.
pub(super) struct Device {
    context: sys::CUcontext,
    device: sys::CUdevice,
    name: String,
    /// Compute capability, 90 for 9.0.
    pub(super) arch: u32,
    pub(super) multiprocessors: u32,
    /// Bytes of shared memory that one block may have.
    pub(super) shared_bytes: u32,
    /// The driver's version, as 12060 for 12.6.
    pub(super) driver: i32,
    /// Whether memory can be mapped page by page.
    pub(super) maps_pages: bool,
    allocated: AtomicU64,
}

// SAFETY: the driver's handles may be used from any thread; all calls make the context current on theirs.
unsafe impl Send for Device {}
// SAFETY: as above; the driver synchronizes its own state.
unsafe impl Sync for Device {}

/// Has `context` hold no more than our kernels want: none has a stack, prints or allocates, and stacks of 1 KiB for every thread
/// that could be resident, the default, are a quarter of a gigabyte on a large device. A refusal is ignored: it only costs memory.
///
/// # Safety
/// `context` lives.
unsafe fn limit(context: sys::CUcontext) {
    use sys::CUlimit as L;
    // SAFETY: as the caller promises; limits are plain numbers.
    unsafe {
        if sys::cuCtxSetCurrent(context) == sys::CUresult::CUDA_SUCCESS {
            let _ = sys::cuCtxSetLimit(L::CU_LIMIT_STACK_SIZE, 0);
            let _ = sys::cuCtxSetLimit(L::CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 12);
            let _ = sys::cuCtxSetLimit(L::CU_LIMIT_MALLOC_HEAP_SIZE, 1 << 12);
        }
    }
}

impl Device {
    /// Opens device 0.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] saying what is missing: the driver's library, a driver that works, or a device.
    /// [`Kind::Device`] where the GPU is lost to this process.
    pub(super) fn open() -> Result<Arc<Self>> {
        not_lost()?;
        // SAFETY: loading the driver's library runs its initialisers, which expect nothing of us.
        if !unsafe { sys::is_culib_present() } {
            return Err(Error::new(Kind::Unavailable, "there is no NVIDIA driver: libcuda.so is not found")
                .remedy("install NVIDIA's driver, or use `--backend cpu`"));
        }
        let no_device = |e: Error| {
            Error::new(Kind::Unavailable, "no usable NVIDIA GPU")
                .remedy("check `nvidia-smi`, or use `--backend cpu`")
                .because(e)
        };
        // SAFETY: the library is present; out-pointers are valid for the calls.
        unsafe {
            check("starting the driver", sys::cuInit(0)).map_err(no_device)?;
            let mut count = 0;
            check("counting devices", sys::cuDeviceGetCount(&raw mut count)).map_err(no_device)?;
            if count == 0 {
                return Err(no_device(Error::new(Kind::Unavailable, "the driver sees no device")));
            }
            let (mut device, mut driver) = (0, 0);
            check("opening device 0", sys::cuDeviceGet(&raw mut device, 0)).map_err(no_device)?;
            check("reading the driver's version", sys::cuDriverGetVersion(&raw mut driver))?;
            let mut name = [0; 128];
            check("reading its name", sys::cuDeviceGetName(name.as_mut_ptr(), 128, device))?;
            let attribute = |of| {
                let mut v = 0;
                check("reading an attribute", sys::cuDeviceGetAttribute(&raw mut v, of, device)).map(|()| v as u32)
            };
            use sys::CUdevice_attribute as A;
            let major = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
            let minor = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
            let multiprocessors = attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
            let shared_bytes = attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
            let maps_pages = attribute(A::CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)? != 0;
            let mut context = std::ptr::null_mut();
            check("making a context", sys::cuDevicePrimaryCtxRetain(&raw mut context, device)).map_err(no_device)?;
            limit(context);
            Ok(Arc::new(Self {
                context,
                device,
                name: CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
                arch: major * 10 + minor,
                multiprocessors,
                shared_bytes,
                driver,
                maps_pages,
                allocated: AtomicU64::new(0),
            }))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The driver's number of it.
    pub(super) fn number(&self) -> sys::CUdevice {
        self.device
    }

    /// Counts `bytes` more, or fewer, as taken.
    pub(super) fn count(&self, bytes: u64, more: bool) {
        if more {
            self.allocated.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.allocated.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes that this process has on the device: its buffers, arenas with all of their pages.
    pub(super) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Makes the context current on this thread.
    ///
    /// # Errors
    /// [`Kind::Device`] where the GPU is lost to this process.
    pub(super) fn bind(&self) -> Result<()> {
        not_lost()?;
        // SAFETY: the context lives as long as self.
        check("making the context current", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    /// Waits for all work of this process on the device.
    ///
    /// # Errors
    /// What that work ended with.
    pub(super) fn synchronize(&self) -> Result<()> {
        self.bind()?;
        // SAFETY: the context is current.
        check("waiting for the GPU", unsafe { sys::cuCtxSynchronize() })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.bind().is_err() {
            return;
        }
        // SAFETY: retained once in `open`, and not lost; everything that used it held an Arc of self.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}
