//! Large arrays: anonymous pages that the kernel may back with huge ones, and that can be counted.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};

use crate::error::{Error, Kind, Result};
use crate::llm::backend::Footprint;

/// A zeroed array of `T`, page-aligned. Every page is touched when it is made, so that memory the budget granted is
/// there for good, and does not run out in the middle of a sentence.
pub(crate) struct Buffer<T> {
    map: Option<MmapMut>,
    of: PhantomData<T>,
}

/// How much larger than asked for a buffer may come out.
const PAGE: u64 = 4096;

impl<T: Pod> Buffer<T> {
    /// # Errors
    /// [`Kind::Unavailable`] where the kernel has no memory left.
    pub(crate) fn zeroed(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).filter(|&b| b <= isize::MAX as usize);
        let refused = |why: String| {
            Error::new(Kind::Unavailable, format!("cannot get {len} × {} bytes of memory", size_of::<T>()))
                .remedy(crate::budget::memory_remedy())
                .because(why)
        };
        let bytes = bytes.ok_or_else(|| refused("the size overflows".to_owned()))?;
        if bytes == 0 {
            return Ok(Self { map: None, of: PhantomData });
        }
        let mut map = MmapMut::map_anon(bytes).map_err(|e| refused(e.to_string()))?;
        if bytes >= 1 << 21 {
            // Fewer TLB misses where the kernel grants it; nothing depends on it.
            if let Err(e) = map.advise(Advice::HugePage) {
                tracing::debug!(error = %e, "no huge pages");
            }
        }
        map.iter_mut().step_by(PAGE as usize).for_each(|b| *b = 0);
        Ok(Self { map: Some(map), of: PhantomData })
    }

    /// Upper bound of [`Footprint::resident`] for `len` elements.
    pub(crate) fn bytes(len: usize) -> u64 {
        ((len * size_of::<T>()) as u64).next_multiple_of(PAGE)
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // Page-aligned and exactly `len` elements long, so the cast cannot fail.
        self.map.as_deref().map_or(&[], |m| bytemuck::cast_slice(m))
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.map.as_deref_mut().map_or(&mut [], |m| bytemuck::cast_slice_mut(m))
    }
}

impl<T: Pod> Footprint for Buffer<T> {
    /// Counted by the kernel, page by page.
    fn resident(&self) -> u64 {
        let Some(map) = &self.map else { return 0 };
        let mut present = vec![0u8; map.len().div_ceil(PAGE as usize)];
        // SAFETY: the range is this map's, which starts on a page; `present` has a byte for each of its pages.
        let rc = unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), present.as_mut_ptr().cast()) };
        if rc != 0 {
            return map.len() as u64;
        }
        present.iter().filter(|&&p| p & 1 == 1).count() as u64 * PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zero_writable_and_resident() {
        let mut b = Buffer::<u32>::zeroed(3_000_000).unwrap();
        assert!(b.iter().all(|&v| v == 0));
        b[2_999_999] = 7;
        assert_eq!(b[2_999_999], 7);
        assert_eq!(b.len(), 3_000_000);
        let resident = b.resident();
        assert!(resident <= Buffer::<u32>::bytes(3_000_000) && resident >= 11_000_000, "{resident}");
    }

    #[test]
    fn absurd_sizes_are_errors() {
        assert_eq!(Buffer::<u32>::zeroed(usize::MAX).err().map(|e| e.kind()), Some(Kind::Unavailable));
        assert_eq!(Buffer::<u8>::zeroed(1 << 60).err().map(|e| e.kind()), Some(Kind::Unavailable));
        assert_eq!(Buffer::<u8>::zeroed(0).unwrap().len(), 0);
    }
}
