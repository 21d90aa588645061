//! How much of the GPU's memory is taken, by whomever: NVIDIA's management library, which knows it also before this process has a
//! context of its own.

use std::ffi::{c_char, c_int, c_void};

use cudarc::driver::sys;
use libloading::{Library, Symbol};

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
    let (mut device, mut memory) = (std::ptr::null_mut(), Memory::default());
    // SAFETY: as above; the symbols are NVML's, whose signatures these are (nvml.h); the bus's name ends with a zero; out-pointers
    // are valid.
    let read = unsafe {
        let library = Library::new("libnvidia-ml.so.1").ok()?;
        let init: Symbol<'_, Init> = library.get(b"nvmlInit_v2\0").ok()?;
        let by_bus: Symbol<'_, ByBus> = library.get(b"nvmlDeviceGetHandleByPciBusId_v2\0").ok()?;
        let info: Symbol<'_, Info> = library.get(b"nvmlDeviceGetMemoryInfo\0").ok()?;
        let read = init() == 0 && by_bus(bus.as_ptr(), &raw mut device) == 0 && info(device, &raw mut memory) == 0;
        // It is not shut down, so it stays open.
        std::mem::forget(library);
        read
    };
    read.then_some(memory.used)
}
