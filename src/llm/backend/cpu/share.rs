//! One output array, written by several threads in parts that do not overlap.

use std::marker::PhantomData;

/// A mutable slice that threads may take disjoint parts of.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: parts are only handed out through the unsafe `slice`, whose callers promise that no two live parts overlap, so
// this is no more than sending each thread its own `&mut [T]`.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(of: &'a mut [T]) -> Self {
        Self { start: of.as_mut_ptr(), len: of.len(), of: PhantomData }
    }

    /// `len` elements from `at` on, which must exist.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)] // the point of the type; see the safety contract
    pub(crate) unsafe fn slice(&self, at: usize, len: usize) -> &mut [T] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "a thread's part lies outside the array");
        // SAFETY: inside the borrowed slice, and the caller promises that nothing else uses these elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
