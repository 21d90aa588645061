//! Memory for what stays as long as a model: one run of addresses that grows by pages and is filled without gaps.
//!
//! The driver rounds every large allocation up to its page (2 MiB), which for the hundreds of matrices of a model comes to
//! 0.1 GB; here only the last page is not full. Memory is mapped as it is needed: where the device has no more, that is an
//! error of the one allocation, and what was there before stays as it was.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys;

use super::device::Device;
use super::fault::check;
use super::memory::{self, Buffer};
use crate::error::{Error, Kind, Result};

/// What begins in an arena begins at a multiple of this: what copies and kernels like.
const ALIGN: u64 = 256;

/// How far a run of addresses is mapped and used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    page: u64,
    addresses: u64,
    mapped: u64,
    used: u64,
    /// Buffers that are there; without any, all is free again (and stays mapped).
    live: u64,
}

impl Room {
    fn new(page: u64, addresses: u64) -> Self {
        Self { page, addresses, mapped: 0, used: 0, live: 0 }
    }

    /// Where the next `bytes` lie, and by how much more must be mapped for them; `None` where there are no addresses left.
    fn place(&self, bytes: u64) -> Option<(u64, u64)> {
        let at = self.used.next_multiple_of(ALIGN);
        let grow = at.checked_add(bytes)?.saturating_sub(self.mapped).checked_next_multiple_of(self.page)?;
        (self.mapped + grow <= self.addresses).then_some((at, grow))
    }

    fn take(&mut self, at: u64, bytes: u64) {
        self.used = at + bytes;
        self.live += 1;
    }

    fn give_back(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            self.used = 0;
        }
    }
}

/// Bytes that `buffers` buffers may take beyond their own, in pages of `page`.
fn slack(page: u64, buffers: usize) -> u64 {
    page + buffers as u64 * ALIGN
}

/// A run of addresses; goes with the last buffer in it.
struct Region {
    device: Arc<Device>,
    at: u64,
    room: Mutex<Room>,
}

/// A buffer's hold on its region.
struct Lease(Arc<Region>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner).give_back();
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let room = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        self.device.count(room.mapped, false);
        if self.device.bind().is_err() {
            return;
        }
        // SAFETY: the range was reserved and mapped by this value and no buffer is left in it; unlike freeing, unmapping does
        // not wait for work that was started, so that is done first.
        unsafe {
            let _ = sys::cuCtxSynchronize();
            if room.mapped > 0 {
                let _ = sys::cuMemUnmap(self.at, room.mapped as usize);
            }
            let _ = sys::cuMemAddressFree(self.at, room.addresses as usize);
        }
    }
}

/// Gives out parts of a [`Region`].
pub(super) struct Arena {
    region: Arc<Region>,
}

fn location(device: &Device) -> sys::CUmemLocation {
    sys::CUmemLocation { type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id: device.number() }
}

fn properties(device: &Device) -> sys::CUmemAllocationProp {
    // SAFETY: plain numbers and pointers, for all of which zero is a value.
    let mut p: sys::CUmemAllocationProp = unsafe { std::mem::zeroed() };
    p.type_ = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    p.location = location(device);
    p
}

impl Arena {
    /// `None` where the device cannot map memory page by page.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) fn new(device: &Arc<Device>) -> Result<Option<Self>> {
        if !device.maps_pages {
            return Ok(None);
        }
        device.bind()?;
        let (mut page, mut total, mut at) = (0, 0, 0);
        let least = sys::CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_MINIMUM;
        let of = properties(device);
        // SAFETY: out-pointers and the description are valid for the calls.
        unsafe {
            check(
                "asking for the size of pages",
                sys::cuMemGetAllocationGranularity(&raw mut page, &raw const of, least),
            )?;
            check("asking for the device's memory", sys::cuDeviceTotalMem_v2(&raw mut total, device.number()))?;
            let (page, addresses) = (page as u64, (total as u64).next_multiple_of(page as u64));
            check("reserving addresses", sys::cuMemAddressReserve(&raw mut at, addresses as usize, 0, 0, 0))?;
            let room = Mutex::new(Room::new(page, addresses));
            Ok(Some(Self { region: Arc::new(Region { device: device.clone(), at, room }) }))
        }
    }

    /// Bytes that `buffers` buffers may take beyond their own.
    pub(super) fn slack(&self, buffers: usize) -> u64 {
        slack(self.region.room.lock().unwrap_or_else(PoisonError::into_inner).page, buffers)
    }

    /// `bytes` of device memory; contents are undefined.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the device has no memory left; everything else stays as it was.
    pub(super) fn alloc(&self, bytes: u64) -> Result<Buffer> {
        let (region, bytes) = (&self.region, memory::taken(bytes));
        let mut room = region.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, grow)) = room.place(bytes) else {
            return Err(Error::new(
                Kind::Unavailable,
                format!("{bytes} bytes more than the GPU's memory are asked for"),
            )
            .remedy("choose a smaller model"));
        };
        if grow > 0 {
            self.map(region.at + room.mapped, grow, bytes)?;
            room.mapped += grow;
            region.device.count(grow, true);
        }
        room.take(at, bytes);
        // SAFETY: the range is mapped until the region goes, and given out once until the lease goes.
        Ok(unsafe { Buffer::kept(region.at + at, bytes, Arc::new(Lease(region.clone()))) })
    }

    /// Bytes of addresses that there are.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> u64 {
        self.region.room.lock().unwrap_or_else(PoisonError::into_inner).addresses
    }

    /// Puts `grow` bytes of memory behind the addresses from `at` on.
    fn map(&self, at: u64, grow: u64, bytes: u64) -> Result<()> {
        let device = &self.region.device;
        device.bind()?;
        let (of, mut handle) = (properties(device), 0);
        let doing = format!("allocating {bytes} bytes on the GPU");
        let access = sys::CUmemAccessDesc {
            location: of.location,
            flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        };
        let size = grow as usize;
        // SAFETY: descriptions and out-pointers are valid; the addresses are reserved and not mapped. The handle is released
        // at once: what is mapped keeps the memory.
        unsafe {
            check(&doing, sys::cuMemCreate(&raw mut handle, size, &raw const of, 0))?;
            let mapped = check(&doing, sys::cuMemMap(at, size, 0, handle, 0));
            let released = check(&doing, sys::cuMemRelease(handle));
            mapped?;
            let set = released.and_then(|()| check(&doing, sys::cuMemSetAccess(at, size, &raw const access, 1)));
            if set.is_err() {
                let _ = sys::cuMemUnmap(at, size);
            }
            set
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 2 << 20;

    /// Takes all of `sizes` one after the other; returns where they lie.
    fn fill(room: &mut Room, sizes: &[u64]) -> Vec<u64> {
        let one = |&bytes: &u64| {
            let (at, grow) = room.place(bytes).expect("there is room");
            room.mapped += grow;
            room.take(at, bytes);
            at
        };
        sizes.iter().map(one).collect()
    }

    #[test]
    fn parts_are_aligned_apart_and_within_what_is_mapped() {
        let mut room = Room::new(PAGE, 1 << 30);
        let sizes = [16, 1, 255, 256, 257, PAGE, PAGE - 1, 3 * PAGE + 7, 16, 5 << 20];
        let at = fill(&mut room, &sizes);
        for (i, (&from, &bytes)) in at.iter().zip(&sizes).enumerate() {
            assert!(from.is_multiple_of(ALIGN));
            assert!(at.get(i + 1).is_none_or(|&next| from + bytes <= next), "{i} reaches into the next");
        }
        assert!(room.used <= room.mapped && room.mapped - room.used < PAGE, "{room:?}");
        assert!(room.mapped.is_multiple_of(PAGE));
        let sum: u64 = sizes.iter().sum();
        assert!(room.mapped <= sum + slack(PAGE, sizes.len()), "the plan has counted enough");
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut room = Room::new(PAGE, 4 * PAGE);
        fill(&mut room, &[3 * PAGE]);
        let before = room;
        assert_eq!(room.place(PAGE + 1), None);
        assert_eq!(room.place(u64::MAX - 100), None);
        assert_eq!(room, before);
        assert_eq!(room.place(PAGE), Some((3 * PAGE, PAGE)));
        for _ in 0..2 {
            room.place(PAGE).expect("asking is not taking");
        }
    }

    #[test]
    fn an_empty_arena_begins_again_with_what_it_has() {
        let mut room = Room::new(PAGE, 1 << 30);
        fill(&mut room, &[PAGE, PAGE]);
        room.give_back();
        assert_eq!(room.used, 2 * PAGE);
        room.give_back();
        assert_eq!((room.used, room.mapped), (0, 2 * PAGE));
        assert_eq!(room.place(PAGE), Some((0, 0)));
    }

    /// The matrices of Llama3-8B in base 3, which are no multiples of a page: what rounding each costs, and rounding all.
    #[test]
    fn a_model_in_base_3_wastes_less_than_a_page() {
        // Strips of 16 rows, tiles of 160 columns in 512 bytes.
        let layer = [(6144u64, 4096u64), (4096, 4096), (28672, 4096), (4096, 14336)]
            .map(|(rows, cols)| rows.div_ceil(16) * cols.div_ceil(160) * 512);
        let sizes: Vec<u64> = (0..32).flat_map(|_| layer).collect();
        let mut room = Room::new(PAGE, 8 << 30);
        fill(&mut room, &sizes);
        let sum: u64 = sizes.iter().sum();
        let rounded: u64 = sizes.iter().map(|b| b.next_multiple_of(PAGE)).sum();
        println!("{sum} bytes; rounded one by one {} more, in an arena {} more", rounded - sum, room.mapped - sum);
        assert!(room.mapped - sum < PAGE && rounded - sum > 30 * PAGE);
    }
}
