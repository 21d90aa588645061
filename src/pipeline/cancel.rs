//! Which work is cancelled: one number that only rises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::WorkId;

/// Shared by the threads that do long work. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Cancel {
    below: Arc<AtomicU64>,
}

/// Orders works in one number; 2³² revisions of 2³² turns outlast any process.
fn pack(work: WorkId) -> u64 {
    (work.turn.0 << 32) | u64::from(work.revision)
}

impl Cancel {
    /// All work with a smaller id is cancelled.
    pub(super) fn before(&self, work: WorkId) {
        self.below.fetch_max(pack(work), Ordering::AcqRel);
    }

    /// All work is cancelled, for good.
    #[cfg(feature = "voice")]
    pub(super) fn all(&self) {
        self.below.store(u64::MAX, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self, work: WorkId) -> bool {
        pack(work) < self.below.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TurnId;

    #[test]
    fn cancelling_never_goes_back() {
        let work = |turn, revision| WorkId { turn: TurnId(turn), revision };
        let c = Cancel::default();
        assert!(!c.is_cancelled(work(0, 0)));
        c.before(work(2, 1));
        c.before(work(1, 9));
        assert!(c.is_cancelled(work(2, 0)) && c.is_cancelled(work(1, 9)));
        assert!(!c.is_cancelled(work(2, 1)) && !c.is_cancelled(work(3, 0)));
        #[cfg(feature = "voice")]
        {
            c.all();
            assert!(c.is_cancelled(work(9, 9)));
        }
    }
}
