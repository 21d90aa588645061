//! How much of the GPU's memory is taken, by whomever: NVIDIA's management library, which knows it also before this process has a
//! context of its own.

use std::ffi::{CStr, c_char, c_int, c_void};

use cudarc::driver::sys;

/// `nvmlMemory_t`.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

type Init = unsafe extern "C" fn() -> c_int;
type ByBus = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Info = unsafe extern "C" fn(*mut c_void, *mut Memory) -> c_int;

/// Bytes taken on device 0, by all programs and the driver; `None` without a device or without the library (Jetson has
/// none that tells).
pub fn memory_used() -> Option<u64> {
    // SAFETY: loading the driver's library runs its initialisers, which expect nothing of us.
    if !unsafe { sys::is_culib_present() } {
        return None;
    }
    let mut bus = [0; 32];
    // SAFETY: the library is present; out-pointers are valid and as long as is said.
    let found = unsafe {
        let (ok, mut device) = (sys::CUresult::CUDA_SUCCESS, 0);
        sys::cuInit(0) == ok
            && sys::cuDeviceGet(&raw mut device, 0) == ok
            && sys::cuDeviceGetPCIBusId(bus.as_mut_ptr(), 32, device) == ok
    };
    if !found {
        return None;
    }
    // SAFETY: as above; the library stays open.
    let library = unsafe { libc::dlopen(c"libnvidia-ml.so.1".as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return None;
    }
    let symbol = |name: &CStr| {
        // SAFETY: the handle is open and is never closed.
        let at = unsafe { libc::dlsym(library, name.as_ptr()) };
        (!at.is_null()).then_some(at)
    };
    let (mut device, mut memory) = (std::ptr::null_mut(), Memory::default());
    // SAFETY: the symbols are NVML's, whose signatures these are (nvml.h); the bus's name ends with a zero; out-pointers are
    // valid.
    let read = unsafe {
        let init = std::mem::transmute::<*mut c_void, Init>(symbol(c"nvmlInit_v2")?);
        let by_bus = std::mem::transmute::<*mut c_void, ByBus>(symbol(c"nvmlDeviceGetHandleByPciBusId_v2")?);
        let info = std::mem::transmute::<*mut c_void, Info>(symbol(c"nvmlDeviceGetMemoryInfo")?);
        init() == 0 && by_bus(bus.as_ptr(), &raw mut device) == 0 && info(device, &raw mut memory) == 0
    };
    read.then_some(memory.used)
}
