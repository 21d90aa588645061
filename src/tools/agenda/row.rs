//! How what is kept is written: only what changed since the last time, row by row.

use rusqlite::Transaction;

/// Something that is kept as one row of a table.
pub(super) trait Row: PartialEq {
    /// The statement that removes the row whose id is its only parameter.
    const DELETE: &'static str;

    fn id(&self) -> i64;

    /// Inserts the row, in the place of the one with its id.
    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()>;
}

/// Writes what makes `now` of `saved`, which is what the file holds.
pub(super) fn write_changes<R: Row>(to: &Transaction<'_>, saved: &[R], now: &[R]) -> rusqlite::Result<()> {
    for gone in saved.iter().filter(|s| !now.iter().any(|n| n.id() == s.id())) {
        to.execute(R::DELETE, [gone.id()])?;
    }
    for new in now.iter().filter(|n| !saved.contains(n)) {
        new.put(to)?;
    }
    Ok(())
}

/// An id that none of `rows` has.
pub(super) fn next_id<R: Row>(rows: &[R]) -> i64 {
    rows.iter().map(Row::id).max().unwrap_or(0) + 1
}
