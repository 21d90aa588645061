//! Streams: ordered queues of copies and kernels, and graphs recorded from them.
//!
//! Copies are done when they return, so that none reads or writes a borrow that has ended. Only copies between the device and
//! pinned memory run behind each other's backs, and they are waited for together ([`Stream::download_all`]).

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys;

use super::agreed::Arguments;
use super::device::Device;
use super::fault::{RESTART, check};
use super::function::{Function, Launch};
use super::memory::{Buffer, Pinned};
use crate::error::{Error, Kind, Result};

/// An ordered queue of work. Any thread may enqueue.
pub(super) struct Stream {
    device: Arc<Device>,
    at: sys::CUstream,
}

// SAFETY: streams may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: the driver serializes what is enqueued.
unsafe impl Sync for Stream {}

/// `bytes` bytes of a buffer from `offset` on.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) buffer: &'a Buffer,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

impl Stream {
    pub(super) fn new(device: &Arc<Device>) -> Result<Self> {
        device.bind()?;
        let mut at = std::ptr::null_mut();
        // SAFETY: the out-pointer is valid; 1 is CU_STREAM_NON_BLOCKING.
        check("making a stream", unsafe { sys::cuStreamCreate(&raw mut at, 1) })?;
        Ok(Self { device: device.clone(), at })
    }

    /// Waits until everything enqueued is done; an error of any of it comes out here.
    pub(super) fn wait(&self) -> Result<()> {
        self.device.bind()?;
        // SAFETY: the stream lives.
        check("computing on the GPU", unsafe { sys::cuStreamSynchronize(self.at) })
    }

    /// Asks whether the device still takes work: a sticky error is told by every call after it.
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

    /// Enqueues zeros into all of `buffer`.
    pub(super) fn clear(&self, buffer: &Buffer) -> Result<()> {
        self.device.bind()?;
        let bytes = buffer.bytes() as usize;
        let at = buffer.range("clearing", 0, bytes)?;
        // SAFETY: the range is the buffer; freeing it waits for this.
        check("clearing memory", unsafe { sys::cuMemsetD8Async(at, 0, bytes, self.at) })
    }

    /// A buffer of `bytes` zeros, for what is enqueued after this.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the device has no memory left.
    pub(super) fn zeros(&self, bytes: u64) -> Result<Buffer> {
        let buffer = Buffer::new(&self.device, bytes)?;
        self.clear(&buffer)?;
        Ok(buffer)
    }

    /// Enqueues a copy of all of `from` to the beginning of `to`.
    ///
    /// # Errors
    /// [`Kind::Internal`] where `to` is smaller.
    pub(super) fn copy(&self, from: &Buffer, to: &Buffer) -> Result<()> {
        let bytes = from.bytes() as usize;
        let (source, target) = (from.range("copying", 0, bytes)?, to.range("copying", 0, bytes)?);
        self.device.bind()?;
        // SAFETY: both ranges are within their buffers, as was just checked; freeing either waits for this.
        check("copying on the GPU", unsafe { sys::cuMemcpyDtoDAsync_v2(target, source, bytes, self.at) })
    }

    /// Copies `data` to byte `offset` of `to`, after what was enqueued before; waits.
    ///
    /// # Errors
    /// [`Kind::Internal`] where it does not fit.
    pub(super) fn upload(&self, to: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        let at = to.range("a host-to-device copy", offset, data.len())?;
        if data.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        // SAFETY: source and destination hold that many bytes, as was just checked; both stay until the wait below.
        let enqueued = check("copying to the GPU", unsafe {
            sys::cuMemcpyHtoDAsync_v2(at, data.as_ptr().cast(), data.len(), self.at)
        });
        let waited = self.wait();
        enqueued.and(waited)
    }

    /// Copies from byte `offset` of `from`, after what was enqueued before; waits.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there is not as much.
    pub(super) fn download(&self, from: &Buffer, offset: u64, to: &mut [u8]) -> Result<()> {
        let at = from.range("a device-to-host copy", offset, to.len())?;
        if to.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        // SAFETY: source and destination hold that many bytes, as was just checked; both stay until the wait below.
        let enqueued = check("copying from the GPU", unsafe {
            sys::cuMemcpyDtoHAsync_v2(to.as_mut_ptr().cast(), at, to.len(), self.at)
        });
        let waited = self.wait();
        enqueued.and(waited)
    }

    /// Copies `runs` one after the other into `to`, from its beginning; waits for all of them together.
    ///
    /// # Errors
    /// [`Kind::Internal`] where a run is not within its buffer, or `to` is too small.
    pub(super) fn download_all(&self, runs: &[Span<'_>], to: &mut Pinned) -> Result<()> {
        self.device.bind()?;
        let mut rest: &mut [u8] = to;
        let enqueued = runs.iter().try_for_each(|run| {
            let at = run.buffer.range("a device-to-host copy", run.offset, run.bytes)?;
            let (part, after) = std::mem::take(&mut rest).split_at_mut_checked(run.bytes).ok_or_else(too_small)?;
            rest = after;
            // SAFETY: source and destination hold that many bytes, as was just checked; both stay until the wait below, on
            // every way out.
            check("copying from the GPU", unsafe {
                sys::cuMemcpyDtoHAsync_v2(part.as_mut_ptr().cast(), at, run.bytes, self.at)
            })
        });
        let waited = self.wait();
        enqueued.and(waited)
    }

    /// Copies the bytes of `from`, from its beginning, into `runs` one after the other; waits for all of them together.
    ///
    /// # Errors
    /// [`Kind::Internal`] where a run is not within its buffer, or `from` is too small.
    pub(super) fn upload_all(&self, from: &Pinned, runs: &[Span<'_>]) -> Result<()> {
        self.device.bind()?;
        let mut rest: &[u8] = from;
        let enqueued = runs.iter().try_for_each(|run| {
            let at = run.buffer.range("a host-to-device copy", run.offset, run.bytes)?;
            let (part, after) = rest.split_at_checked(run.bytes).ok_or_else(too_small)?;
            rest = after;
            // SAFETY: as in `download_all`.
            check("copying to the GPU", unsafe {
                sys::cuMemcpyHtoDAsync_v2(at, part.as_ptr().cast(), run.bytes, self.at)
            })
        });
        let waited = self.wait();
        enqueued.and(waited)
    }

    /// Enqueues a kernel.
    ///
    /// # Safety
    /// `f` takes one parameter, the struct `A::LAYOUT` names. Every address in `args` is that of as much memory as `f`, in this
    /// shape and with these arguments, reads or writes there, and the memory stays until the stream has been waited for (buffers
    /// and pinned memory wait before they go).
    pub(super) unsafe fn launch<A: Arguments>(&self, f: &Function, shape: Launch, args: &A) -> Result<()> {
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
        // SAFETY: as the caller promises; the driver copies the arguments before it returns.
        check("starting a kernel", unsafe {
            sys::cuLaunchKernelEx(&raw const config, f.handle(), params.as_mut_ptr(), std::ptr::null_mut())
        })
    }

    /// Records what `work` enqueues here, as a graph; nothing of it runs.
    pub(super) fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.device.bind()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives and is not capturing.
        check("starting to record", unsafe { sys::cuStreamBeginCapture_v2(self.at, mode) })?;
        let worked = work();
        let mut graph = std::ptr::null_mut();
        // SAFETY: ends the capture begun above, whatever came of the work.
        let ended = check("recording", unsafe { sys::cuStreamEndCapture(self.at, &raw mut graph) });
        let mut at = std::ptr::null_mut();
        let made = worked.and(ended).and_then(|()| {
            // SAFETY: the graph was just captured.
            let made = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut at, graph, 0) };
            check("instantiating the recorded graph", made)
        });
        if !graph.is_null() {
            // SAFETY: captured above; it is not needed once instantiated.
            let _ = unsafe { sys::cuGraphDestroy(graph) };
        }
        made?;
        Ok(Graph { device: self.device.clone(), at })
    }

    /// Enqueues what was recorded.
    ///
    /// # Safety
    /// All memory that its kernels use is where it was, and stays as [`Stream::launch`] says.
    pub(super) unsafe fn replay(&self, graph: &Graph) -> Result<()> {
        self.device.bind()?;
        // SAFETY: both live; for the rest, as the caller promises.
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

fn too_small() -> Error {
    Error::new(Kind::Internal, "copying to or from pinned memory that is too small")
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `Stream::new`, destroyed once; the driver finishes its work first.
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
