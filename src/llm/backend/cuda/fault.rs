//! What the driver's error codes mean, and the memory of the one that is sticky.

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use cudarc::driver::sys;

use crate::error::{Error, Kind, Result};

/// The first sticky error. From then on the driver does nothing more for this process: the error takes all of its contexts, and
/// no new one is made. Handles from before are not used any more, not even to free them.
static LOST: OnceLock<String> = OnceLock::new();

/// What a person can do about it.
pub(super) const RESTART: &str =
    "start tercet again; if it comes back, see what the system's log says of the GPU (`dmesg`)";

/// Whether an error is sticky: NVIDIA's documentation says of these that the process must be started again (of the memory and
/// link errors it says nothing, but what they have spoilt is not known).
fn is_sticky(code: sys::CUresult) -> bool {
    use sys::CUresult as R;
    matches!(
        code,
        R::CUDA_ERROR_ILLEGAL_ADDRESS
            | R::CUDA_ERROR_MISALIGNED_ADDRESS
            | R::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | R::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | R::CUDA_ERROR_INVALID_PC
            | R::CUDA_ERROR_HARDWARE_STACK_ERROR
            | R::CUDA_ERROR_LAUNCH_FAILED
            | R::CUDA_ERROR_LAUNCH_TIMEOUT
            | R::CUDA_ERROR_ASSERT
            | R::CUDA_ERROR_EXTERNAL_DEVICE
            | R::CUDA_ERROR_MPS_CLIENT_TERMINATED
            | R::CUDA_ERROR_ECC_UNCORRECTABLE
            | R::CUDA_ERROR_NVLINK_UNCORRECTABLE
    )
}

/// An error once the GPU is lost to this process.
pub(super) fn not_lost() -> Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => Err(Error::new(Kind::Device, format!("the GPU is lost to this process: {why}")).remedy(RESTART)),
    }
}

/// The error for a failed call. If it is sticky, the GPU is lost from now on.
pub(super) fn failed(doing: &str, code: sys::CUresult) -> Error {
    let mut text: *const c_char = std::ptr::null();
    // SAFETY: the call writes a pointer to a static string, or leaves null.
    let ok = unsafe { sys::cuGetErrorString(code, &raw mut text) } == sys::CUresult::CUDA_SUCCESS && !text.is_null();
    let why = if ok {
        // SAFETY: the driver's strings are static and end with a zero.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    } else {
        format!("{code:?}")
    };
    match code {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::new(
            Kind::Unavailable,
            format!("{doing}: the GPU has no memory left"),
        )
        .remedy(
            "choose a shorter context, int8 keys and values or a smaller model, or end other programs that use the GPU",
        ),
        _ => {
            let what = format!("{doing}: {why} ({code:?})");
            if !is_sticky(code) {
                return Error::new(Kind::Device, what);
            }
            LOST.get_or_init(|| what.clone());
            Error::new(Kind::Device, what).remedy(RESTART)
        }
    }
}

pub(super) fn check(doing: &str, code: sys::CUresult) -> Result<()> {
    if code == sys::CUresult::CUDA_SUCCESS { Ok(()) } else { Err(failed(doing, code)) }
}
