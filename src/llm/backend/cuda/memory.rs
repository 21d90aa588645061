//! Memory that kernels can reach: buffers and their parts on the device, pinned memory of the host.
//!
//! An address leaves this file only through [`View::holding`], which checks that the memory behind it is as long as the caller
//! says that a kernel goes.

use std::marker::PhantomData;
use std::sync::Arc;

use cudarc::driver::sys;

use super::device::Device;
use super::fault::check;
use crate::error::{Error, Kind, Result};

/// Bytes of the smallest buffer: an empty one has an address too.
const LEAST_BYTES: u64 = 16;

/// Bytes that a buffer of `bytes` bytes takes.
pub(super) fn taken(bytes: u64) -> u64 {
    bytes.max(LEAST_BYTES)
}

/// What keeps memory where it is. The memory goes when the last buffer and the last part of it have gone.
pub(super) type KeepAlive = Arc<dyn Send + Sync>;

/// Device memory, or a part of some ([`Buffer::part`]). Contents are undefined until they are written.
pub struct Buffer {
    at: u64,
    bytes: u64,
    owner: KeepAlive,
}

/// An allocation of the driver's.
struct Allocation {
    device: Arc<Device>,
    at: u64,
    bytes: u64,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.device.count(self.bytes, false);
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `Buffer::new`, freed once. The driver waits for work that uses it.
            let _ = unsafe { sys::cuMemFree_v2(self.at) };
        }
    }
}

/// An error of this program: memory was asked for beyond a buffer's end.
fn beyond(what: &str, offset: u64, bytes: u64, of: u64) -> Error {
    Error::new(Kind::Internal, format!("{what}: {bytes} bytes from byte {offset} on, of a buffer of {of}"))
}

impl Buffer {
    /// An allocation of `bytes` bytes.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the device has no memory left.
    pub(super) fn new(device: &Arc<Device>, bytes: u64) -> Result<Self> {
        device.bind()?;
        let (bytes, mut at) = (taken(bytes), 0);
        // SAFETY: the out-pointer is valid.
        check(&format!("allocating {bytes} bytes on the GPU"), unsafe {
            sys::cuMemAlloc_v2(&raw mut at, bytes as usize)
        })?;
        device.count(bytes, true);
        Ok(Self { at, bytes, owner: Arc::new(Allocation { device: device.clone(), at, bytes }) })
    }

    /// The `bytes` bytes of device memory at `at`.
    ///
    /// # Safety
    /// They are mapped, and no other buffer's, for as long as `owner` is kept.
    pub(super) unsafe fn kept(at: u64, bytes: u64, owner: KeepAlive) -> Self {
        Self { at, bytes, owner }
    }

    /// The `bytes` bytes (at least 16) from `offset` on, a multiple of 16. They stay there when the buffer goes.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the buffer has not as many.
    pub(super) fn part(&self, offset: u64, bytes: u64) -> Result<Self> {
        let bytes = taken(bytes);
        if !offset.is_multiple_of(16) || !within(offset, bytes, self.bytes) {
            return Err(beyond("a part", offset, bytes, self.bytes));
        }
        Ok(Self { at: self.at + offset, bytes, owner: self.owner.clone() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it, for a kernel.
    pub(super) fn view(&self) -> View<'_> {
        View { at: self.at, bytes: self.bytes, memory: PhantomData }
    }

    /// What keeps it where it is, for whoever holds its address.
    pub(super) fn owner(&self) -> KeepAlive {
        self.owner.clone()
    }

    /// The address of `bytes` bytes from `offset` on, for a copy.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the buffer has not as many.
    pub(super) fn range(&self, what: &str, offset: u64, bytes: usize) -> Result<u64> {
        if within(offset, bytes as u64, self.bytes) {
            Ok(self.at + offset)
        } else {
            Err(beyond(what, offset, bytes as u64, self.bytes))
        }
    }
}

fn within(offset: u64, bytes: u64, of: u64) -> bool {
    offset.checked_add(bytes).is_some_and(|end| end <= of)
}

/// Memory that a kernel is to read or write: an address with the number of bytes behind it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    at: u64,
    bytes: u64,
    memory: PhantomData<&'a ()>,
}

impl View<'_> {
    /// What follows the first `bytes` bytes.
    ///
    /// # Errors
    /// [`Kind::Internal`] where there are not as many.
    pub(super) fn after(self, bytes: u64) -> Result<Self> {
        if bytes > self.bytes {
            return Err(beyond("what follows", bytes, 0, self.bytes));
        }
        Ok(Self { at: self.at + bytes, bytes: self.bytes - bytes, memory: PhantomData })
    }

    /// Its address, for a kernel that touches no more than `bytes` bytes of it.
    ///
    /// # Errors
    /// [`Kind::Internal`], naming `what`, where there are not as many.
    pub(super) fn holding(self, bytes: usize, what: &str) -> Result<u64> {
        if bytes as u64 <= self.bytes { Ok(self.at) } else { Err(beyond(what, 0, bytes as u64, self.bytes)) }
    }

    /// A view of whatever lies at `at`.
    ///
    /// # Safety
    /// For as long as the view is used, `bytes` bytes lie there; or that they do not is what is tested.
    #[cfg(test)]
    pub(super) unsafe fn anywhere(at: u64, bytes: u64) -> Self {
        Self { at, bytes, memory: PhantomData }
    }
}

/// The address as [`View::holding`] gives it, or 0, which kernels take for "none".
///
/// # Errors
/// As [`View::holding`].
pub(super) fn or_null(view: Option<View<'_>>, bytes: usize, what: &str) -> Result<u64> {
    view.map_or(Ok(0), |v| v.holding(bytes, what))
}

/// Pinned host memory, mapped into the device's address space; zeroed.
pub(super) struct Pinned {
    device: Arc<Device>,
    at: *mut u8,
    device_at: u64,
    bytes: usize,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pinned {}
// SAFETY: shared references only read.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// # Errors
    /// [`Kind::Unavailable`] where the system has no memory left.
    pub(super) fn new(device: &Arc<Device>, bytes: usize) -> Result<Self> {
        device.bind()?;
        let mut at = std::ptr::null_mut();
        let bytes = taken(bytes as u64) as usize;
        let flags = sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP;
        // SAFETY: the out-pointer is valid.
        check("allocating pinned memory", unsafe { sys::cuMemHostAlloc(&raw mut at, bytes, flags) })?;
        // SAFETY: the driver gave `bytes` bytes.
        unsafe { std::ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
        let mut device_at = 0;
        // SAFETY: `at` is mapped pinned memory.
        let got = unsafe { sys::cuMemHostGetDevicePointer_v2(&raw mut device_at, at, 0) };
        let pinned = Self { device: device.clone(), at: at.cast(), device_at, bytes };
        check("mapping pinned memory", got)?;
        Ok(pinned)
    }

    /// All of it, as the device sees it.
    pub(super) fn view(&self) -> View<'_> {
        View { at: self.device_at, bytes: self.bytes as u64, memory: PhantomData }
    }
}

impl std::ops::Deref for Pinned {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `bytes` bytes were allocated and zeroed; whoever lets a kernel write here waits for it before reading.
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
        // Kernels may still be reading or writing here; an error of theirs is told by the next call.
        let _ = self.device.synchronize();
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `Pinned::new`, freed once.
            let _ = unsafe { sys::cuMemFreeHost(self.at.cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Memory that is only counted: no GPU is needed to see who keeps it.
    struct Kept(Arc<AtomicU32>);

    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn buffer(bytes: u64) -> (Buffer, Arc<AtomicU32>) {
        let gone = Arc::new(AtomicU32::new(0));
        // SAFETY: nothing is ever read or written there.
        (unsafe { Buffer::kept(4096, bytes, Arc::new(Kept(gone.clone()))) }, gone)
    }

    #[test]
    fn parts_lie_within_their_buffer() {
        let (b, _) = buffer(1024);
        for (offset, bytes) in
            [(0, 1025), (1024, 1), (1024, 0), (8, 16), (1008, 17), (u64::MAX - 15, 32), (16, u64::MAX)]
        {
            let e = b.part(offset, bytes).err().expect("beyond the end, or no multiple of 16");
            assert_eq!(e.kind(), Kind::Internal, "{offset} {bytes}");
        }
        let part = b.part(1008, 16).expect("the last 16");
        assert_eq!(part.view().holding(16, "x").expect("fits"), 4096 + 1008);
        assert!(part.view().holding(17, "x").is_err());
        assert!(part.part(16, 16).is_err(), "a part ends where it ends");
    }

    #[test]
    fn a_part_keeps_its_owner() {
        let (b, gone) = buffer(1024);
        let part = b.part(512, 256).expect("fits");
        let inner = part.part(0, 32).expect("fits");
        drop(b);
        drop(part);
        assert_eq!(gone.load(Ordering::Relaxed), 0, "a part of a part is still there");
        let owner = inner.owner();
        drop(inner);
        assert_eq!(gone.load(Ordering::Relaxed), 0, "its address is still held");
        drop(owner);
        assert_eq!(gone.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn addresses_come_with_a_length() {
        let (b, _) = buffer(1024);
        let v = b.view();
        assert!(v.holding(1024, "x").is_ok() && v.holding(1025, "x").is_err());
        let rest = v.after(1000).expect("fits");
        assert_eq!(rest.holding(24, "x").expect("fits"), 4096 + 1000);
        let e = rest.holding(25, "the norm's weights").expect_err("one too many");
        assert!(e.kind() == Kind::Internal && e.to_string().contains("the norm's weights"), "{e}");
        assert!(v.after(1025).is_err());
        assert_eq!(or_null(None, 1 << 40, "x").expect("none"), 0);
        for (offset, bytes) in [(0, 1025), (1025, 0), (1, 1024), (u64::MAX, 2), (1000, 25)] {
            assert!(b.range("copying", offset, bytes).is_err(), "{offset} {bytes}");
        }
        assert_eq!(b.range("copying", 1000, 24).expect("fits"), 4096 + 1000);
    }
}
