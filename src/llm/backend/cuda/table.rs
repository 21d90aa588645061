//! The embedding on the device: the file's own rows, so that a token's row needs no way over the bus.

use super::loader::Loader;
use super::memory::{Buffer, View};
use crate::error::Result;
use crate::llm::backend::FileRows;
use crate::units::TokenId;

/// Rows as the file has them, each from a multiple of [`ALIGN`] on.
pub(super) struct Table {
    data: Buffer,
    pub(super) stride: usize,
}

/// What kernels that read whole words need.
const ALIGN: usize = 4;

/// Bytes that are brought over at a time.
const WINDOW_BYTES: usize = 4 << 20;

fn stride(row_bytes: usize) -> usize {
    row_bytes.next_multiple_of(ALIGN)
}

/// Bytes of a table of `rows` rows.
pub(super) fn bytes(rows: usize, row_bytes: usize) -> u64 {
    (rows * stride(row_bytes)) as u64
}

/// `rows` of `row_bytes` bytes with their gaps.
fn spread(rows: &[u8], row_bytes: usize, to: &mut Vec<u8>) {
    to.clear();
    for row in rows.chunks_exact(row_bytes) {
        to.extend_from_slice(row);
        to.resize(to.len().next_multiple_of(ALIGN), 0);
    }
}

impl Table {
    /// # Errors
    /// [`crate::error::Kind::Unavailable`] where there is no memory left.
    pub(super) fn new(loader: &Loader, rows: &FileRows) -> Result<Self> {
        let (row_bytes, tensor) = (rows.row_bytes(), &rows.tensor);
        let stride = stride(row_bytes);
        let data = loader.keep(bytes(tensor.rows(), row_bytes))?;
        let each = (WINDOW_BYTES / stride).max(1);
        let mut window = Vec::with_capacity(each * stride);
        for (i, part) in rows.file.data(tensor).chunks(each * row_bytes).enumerate() {
            spread(part, row_bytes, &mut window);
            loader.stream.upload(&data, (i * each * stride) as u64, &window)?;
            // What has been read need not stay mapped.
            rows.file.release(tensor);
        }
        Ok(Self { data, stride })
    }

    pub(super) fn view(&self) -> View<'_> {
        self.data.view()
    }

    /// From `token`'s row on.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where there is no such row.
    pub(super) fn row(&self, token: TokenId) -> Result<View<'_>> {
        self.data.view().after(u64::from(token.0) * self.stride as u64)
    }

    pub(super) fn resident(&self) -> u64 {
        self.data.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_at_whole_words() {
        for row_bytes in [1, 4, 18, 34, 66, 108, 2304] {
            let rows: Vec<u8> = (0..3 * row_bytes).map(|i| (i % 251 + 1) as u8).collect();
            let mut to = vec![9; 5];
            spread(&rows, row_bytes, &mut to);
            let stride = stride(row_bytes);
            assert!(stride.is_multiple_of(ALIGN) && stride < row_bytes + ALIGN);
            assert_eq!(to.len() as u64, bytes(3, row_bytes));
            for i in 0..3 {
                let (row, gap) = to[i * stride..][..stride].split_at(row_bytes);
                assert_eq!(row, &rows[i * row_bytes..][..row_bytes]);
                assert!(gap.iter().all(|&b| b == 0));
            }
        }
    }
}
