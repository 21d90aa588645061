//! Device memory to be: counted, or taken. What is laid out by the same code both times takes what was counted.

use super::memory::{self, Buffer};
use super::stream::Stream;
use crate::error::Result;

/// Where memory comes from.
pub(super) trait Memory {
    type Block: Block;

    /// `bytes` of zeros, for what is enqueued after this.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unavailable`] where there is no memory left.
    fn zeros(&mut self, bytes: u64) -> Result<Self::Block>;
}

/// A piece of it.
pub trait Block: Sized {
    fn bytes(&self) -> u64;

    /// As [`Buffer::part`].
    ///
    /// # Errors
    /// As [`Buffer::part`].
    fn part(&self, offset: u64, bytes: u64) -> Result<Self>;
}

impl Block for Buffer {
    fn bytes(&self) -> u64 {
        Buffer::bytes(self)
    }

    fn part(&self, offset: u64, bytes: u64) -> Result<Self> {
        Buffer::part(self, offset, bytes)
    }
}

/// Bytes, and no memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) bytes: u64,
}

impl Memory for Count {
    type Block = Count;

    fn zeros(&mut self, bytes: u64) -> Result<Count> {
        let bytes = memory::taken(bytes);
        self.bytes += bytes;
        Ok(Count { bytes })
    }
}

impl Block for Count {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn part(&self, _: u64, bytes: u64) -> Result<Self> {
        Ok(Count { bytes: memory::taken(bytes) })
    }
}

/// Bytes that `lay_out` asks for.
pub(super) fn counted<T>(lay_out: impl FnOnce(&mut Count) -> Result<T>) -> u64 {
    let mut count = Count::default();
    // Counting takes no memory, so that there is nothing to go wrong.
    let _ = lay_out(&mut count);
    count.bytes
}

/// Memory of the device, zeroed in a stream.
impl Memory for &Stream {
    type Block = Buffer;

    fn zeros(&mut self, bytes: u64) -> Result<Buffer> {
        Stream::zeros(self, bytes)
    }
}
