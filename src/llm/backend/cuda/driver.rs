//! The CUDA driver, thinly: a device, its memory, streams and captured graphs.
//!
//! Handles free themselves. Any thread may use them: every call that needs it makes the device's context current first.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cudarc::driver::sys;

use super::arena::Region;
use super::modules::Function;
use crate::error::{Error, Kind, Result};

/// A device and everything allocated on it.
pub(super) struct Device {
    context: sys::CUcontext,
    device: sys::CUdevice,
    name: String,
    pub(super) arch: u32,
    pub(super) multiprocessors: u32,
    /// Shared memory one block may have.
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

/// The first error after which the driver does nothing more for this process: such an error takes all of the process's
/// contexts, and no new one is made. Handles from before are used no more, not even to free them.
static LOST: OnceLock<String> = OnceLock::new();

/// What a person can do about that.
const RESTART: &str = "start tercet again; if it comes back, see what the system's log says of the GPU (`dmesg`)";

/// Whether NVIDIA's documentation says of an error that the process must be started again (of the memory and link errors
/// it says nothing, but what they have spoilt is not known).
fn is_final(code: sys::CUresult) -> bool {
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

/// An error where the GPU is lost to this process.
fn not_lost() -> Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => Err(Error::new(Kind::Device, format!("the GPU is lost to this process: {why}")).remedy(RESTART)),
    }
}

/// What the driver says to a failed call. That the GPU is lost with it is remembered.
pub(super) fn failed(doing: &str, code: sys::CUresult) -> Error {
    let mut text: *const std::ffi::c_char = std::ptr::null();
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
            if !is_final(code) {
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

/// Has `context` hold no more than our kernels want: none has a stack, prints or allocates, and stacks of 1 KiB for every thread
/// that could be resident, the default, are a quarter of a gigabyte on a large device. Where that is refused, it is not had.
///
/// # Safety
/// `context` lives.
unsafe fn spare(context: sys::CUcontext) {
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
            spare(context);
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

    /// `bytes` more, or fewer, are taken.
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

    /// `bytes` of device memory; contents are undefined.
    pub(super) fn alloc(self: &Arc<Self>, bytes: u64) -> Result<Buffer> {
        self.bind()?;
        let (bytes, mut at) = (bytes.max(16), 0);
        // SAFETY: the out-pointer is valid.
        check(&format!("allocating {bytes} bytes on the GPU"), unsafe {
            sys::cuMemAlloc_v2(&raw mut at, bytes as usize)
        })?;
        self.count(bytes, true);
        Ok(Buffer { device: self.clone(), at, bytes, owner: Owner::Driver })
    }

    /// `bytes` of zeros.
    pub(super) fn zeros(self: &Arc<Self>, bytes: u64, stream: &Stream) -> Result<Buffer> {
        let b = self.alloc(bytes)?;
        stream.clear(&b)?;
        Ok(b)
    }

    /// Host memory the device can read and write; zeroed.
    pub(super) fn pinned(self: &Arc<Self>, bytes: usize) -> Result<Pinned> {
        self.bind()?;
        let mut at = std::ptr::null_mut();
        let bytes = bytes.max(16);
        let flags = sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP;
        // SAFETY: the out-pointer is valid.
        check("allocating pinned memory", unsafe { sys::cuMemHostAlloc(&raw mut at, bytes, flags) })?;
        // SAFETY: the driver gave `bytes` bytes.
        unsafe { std::ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
        let mut device_at = 0;
        // SAFETY: `at` is mapped pinned memory.
        let got = unsafe { sys::cuMemHostGetDevicePointer_v2(&raw mut device_at, at, 0) };
        let pinned = Pinned { device: self.clone(), at: at.cast(), device_at, bytes };
        check("mapping pinned memory", got)?;
        Ok(pinned)
    }

    /// Whether all blocks of a launch fit on the device at once.
    pub(super) fn holds_together(&self, f: Function, shape: Launch) -> Result<bool> {
        self.bind()?;
        let mut each = 0;
        let (threads, shared) = (shape.threads as c_int, shape.shared as usize);
        // SAFETY: the out-pointer is valid; the function is loaded.
        check("counting blocks", unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(&raw mut each, f.0, threads, shared)
        })?;
        Ok(each as u32 * self.multiprocessors >= shape.grid.0)
    }

    pub(super) fn stream(self: &Arc<Self>) -> Result<Stream> {
        self.bind()?;
        let mut at = std::ptr::null_mut();
        // SAFETY: the out-pointer is valid; 1 is CU_STREAM_NON_BLOCKING.
        check("making a stream", unsafe { sys::cuStreamCreate(&raw mut at, 1) })?;
        Ok(Stream { device: self.clone(), at })
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

/// Device memory: the driver's, an arena's, or a part of another buffer's ([`Buffer::part`]).
pub(super) struct Buffer {
    device: Arc<Device>,
    pub(super) at: u64,
    pub(super) bytes: u64,
    owner: Owner,
}

/// Who gives a buffer's memory back.
enum Owner {
    /// The buffer, to the driver.
    Driver,
    Arena(Arc<Region>),
    /// Another buffer, which outlives it.
    Other,
}

impl Buffer {
    /// The first `bytes` from `offset` on (at least 16), under a name of their own. The buffer must outlive it.
    pub(super) fn part(&self, offset: u64, bytes: u64) -> Buffer {
        let bytes = bytes.max(16);
        assert!(offset.is_multiple_of(16) && offset + bytes <= self.bytes, "a part lies within its buffer");
        Buffer { device: self.device.clone(), at: self.at + offset, bytes, owner: Owner::Other }
    }

    /// The `bytes` at `at`, which `region` has given out.
    pub(super) fn within(region: &Arc<Region>, device: Arc<Device>, at: u64, bytes: u64) -> Buffer {
        Buffer { device, at, bytes, owner: Owner::Arena(region.clone()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match &self.owner {
            Owner::Driver => {
                self.device.count(self.bytes, false);
                if self.device.bind().is_ok() {
                    // SAFETY: allocated in `Device::alloc`, freed once. The driver waits for work that uses it.
                    let _ = unsafe { sys::cuMemFree_v2(self.at) };
                }
            }
            Owner::Arena(region) => region.give_back(),
            Owner::Other => {}
        }
    }
}

/// Pinned host memory, mapped into the device's address space.
pub(super) struct Pinned {
    device: Arc<Device>,
    at: *mut u8,
    pub(super) device_at: u64,
    bytes: usize,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pinned {}
// SAFETY: shared references only read.
unsafe impl Sync for Pinned {}

impl std::ops::Deref for Pinned {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `bytes` bytes were allocated and zeroed; callers wait for the device before they read what it wrote.
        unsafe { std::slice::from_raw_parts(self.at, self.bytes) }
    }
}

impl std::ops::DerefMut for Pinned {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `Device::pinned`, freed once.
            let _ = unsafe { sys::cuMemFreeHost(self.at.cast()) };
        }
    }
}

/// An ordered queue of work.
pub(super) struct Stream {
    pub(super) device: Arc<Device>,
    at: sys::CUstream,
}

// SAFETY: streams may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: the driver serializes what is put into a stream.
unsafe impl Sync for Stream {}

impl Stream {
    /// Waits until everything put in is done; an error of any of it comes out here.
    pub(super) fn wait(&self) -> Result<()> {
        self.device.bind()?;
        // SAFETY: the stream lives.
        check("computing on the GPU", unsafe { sys::cuStreamSynchronize(self.at) })
    }

    /// Asks whether the device still takes work: an error that its context does not get over is told by every call after it.
    ///
    /// # Errors
    /// [`Kind::Device`] with that error.
    pub(super) fn answers(&self) -> Result<()> {
        self.device.bind()?;
        // SAFETY: the stream lives.
        match unsafe { sys::cuStreamQuery(self.at) } {
            sys::CUresult::CUDA_ERROR_NOT_READY => Ok(()),
            code => check("asking whether the GPU answers", code).map_err(|e| e.remedy(RESTART)),
        }
    }

    /// Zeros in all of `buffer`.
    pub(super) fn clear(&self, buffer: &Buffer) -> Result<()> {
        self.device.bind()?;
        // SAFETY: the range is the buffer.
        check("clearing memory", unsafe { sys::cuMemsetD8Async(buffer.at, 0, buffer.bytes as usize, self.at) })
    }

    /// Copies all of `from` into `to`, which is no smaller.
    pub(super) fn copy(&self, from: &Buffer, to: &Buffer) -> Result<()> {
        debug_assert!(from.bytes <= to.bytes);
        self.device.bind()?;
        // SAFETY: both ranges are within their buffers.
        check("copying on the GPU", unsafe { sys::cuMemcpyDtoDAsync_v2(to.at, from.at, from.bytes as usize, self.at) })
    }

    /// Copies `data` to byte `offset` of `to`. Pageable memory is copied out before this returns.
    pub(super) fn upload(&self, to: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        debug_assert!(offset + data.len() as u64 <= to.bytes);
        if data.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        // SAFETY: source and destination hold that many bytes (checked above).
        check("copying to the GPU", unsafe {
            sys::cuMemcpyHtoDAsync_v2(to.at + offset, data.as_ptr().cast(), data.len(), self.at)
        })
    }

    /// Copies from byte `offset` of `from`; waits.
    pub(super) fn download(&self, from: &Buffer, offset: u64, to: &mut [u8]) -> Result<()> {
        self.download_later(from, offset, to)?;
        self.wait()
    }

    /// As [`Stream::download`], without waiting: `to` must stay and is undefined until [`Stream::wait`].
    pub(super) fn download_later(&self, from: &Buffer, offset: u64, to: &mut [u8]) -> Result<()> {
        debug_assert!(offset + to.len() as u64 <= from.bytes);
        if to.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        // SAFETY: source and destination hold that many bytes; callers keep `to` until they have waited.
        check("copying from the GPU", unsafe {
            sys::cuMemcpyDtoHAsync_v2(to.as_mut_ptr().cast(), from.at + offset, to.len(), self.at)
        })
    }

    /// Puts a kernel in. `args` is the one struct it takes. With `overlap` it may start before the kernel before it has
    /// ended (sm_90; the kernel itself waits).
    pub(super) fn launch<A: Copy>(&self, f: Function, shape: Launch, args: &A) -> Result<()> {
        let mut overlap = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
        };
        let config = sys::CUlaunchConfig {
            gridDimX: shape.grid.0,
            gridDimY: shape.grid.1,
            gridDimZ: shape.grid.2,
            blockDimX: shape.threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: shape.shared,
            hStream: self.at,
            attrs: &raw mut overlap,
            numAttrs: u32::from(shape.overlap && self.device.arch >= 90),
        };
        self.device.bind()?;
        let mut params = [std::ptr::from_ref(args).cast_mut().cast::<c_void>()];
        // SAFETY: the kernel takes exactly one parameter of type A (paired 1:1 with its .cu file); buffers it points to are
        // kept by the caller until the stream has been waited for.
        check("starting a kernel", unsafe {
            sys::cuLaunchKernelEx(&raw const config, f.0, params.as_mut_ptr(), std::ptr::null_mut())
        })
    }

    /// Records what `work` puts into this stream, as a graph.
    pub(super) fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.device.bind()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives and is not capturing.
        check("starting to record", unsafe { sys::cuStreamBeginCapture_v2(self.at, mode) })?;
        let worked = work();
        let mut graph = std::ptr::null_mut();
        // SAFETY: ends the capture begun above, whatever came of the work.
        let ended = check("recording", unsafe { sys::cuStreamEndCapture(self.at, &raw mut graph) });
        worked?;
        ended?;
        let mut at = std::ptr::null_mut();
        // SAFETY: the graph was just captured; it is not needed once instantiated.
        let made = unsafe {
            let made = sys::cuGraphInstantiateWithFlags(&raw mut at, graph, 0);
            let _ = sys::cuGraphDestroy(graph);
            made
        };
        check("instantiating the recorded graph", made)?;
        Ok(Graph { device: self.device.clone(), at })
    }

    pub(super) fn replay(&self, graph: &Graph) -> Result<()> {
        self.device.bind()?;
        // SAFETY: both live.
        check("starting a recorded step", unsafe { sys::cuGraphLaunch(graph.at, self.at) })
    }

    /// Milliseconds that `work` takes on the device.
    pub(super) fn time(&self, work: impl FnOnce() -> Result<()>) -> Result<f32> {
        self.device.bind()?;
        let (mut from, mut to, mut ms) = (std::ptr::null_mut(), std::ptr::null_mut(), 0f32);
        // SAFETY: events are made, recorded in this stream, read after it is done and destroyed once.
        unsafe {
            check("making an event", sys::cuEventCreate(&raw mut from, 0))?;
            check("making an event", sys::cuEventCreate(&raw mut to, 0))?;
            check("timing", sys::cuEventRecord(from, self.at))?;
            let worked = work();
            check("timing", sys::cuEventRecord(to, self.at))?;
            let waited = self.wait();
            let read = sys::cuEventElapsedTime(&raw mut ms, from, to);
            let _ = (sys::cuEventDestroy_v2(from), sys::cuEventDestroy_v2(to));
            worked.and(waited).and(check("timing", read))?;
        }
        Ok(ms)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `Device::stream`, destroyed once; the driver finishes its work first.
            let _ = unsafe { sys::cuStreamDestroy_v2(self.at) };
        }
    }
}

/// A recorded sequence of kernels.
pub(super) struct Graph {
    device: Arc<Device>,
    at: sys::CUgraphExec,
}

// SAFETY: graphs may be launched from any thread, one at a time; the owner is one timeline.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `capture`, destroyed once.
            let _ = unsafe { sys::cuGraphExecDestroy(self.at) };
        }
    }
}

/// How a kernel is spread out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    pub(super) grid: (u32, u32, u32),
    pub(super) threads: u32,
    /// Bytes of dynamic shared memory.
    pub(super) shared: u32,
    pub(super) overlap: bool,
}
