//! What can be configured about memory.

use serde::{Deserialize, Serialize};

use super::{Budget, Component, Reading, Reservation};
use crate::error::Result;
use crate::problems::Problems;
use crate::units::Bytes;

/// `[budget]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Everything tercet may hold, in MB. Not set: 80 % of the machine's memory (90 % of the service's memory limit,
    /// if that is less), at most 7400.
    pub total_mb: Option<u64>,
    /// Part of the total that stays free, for the kernel and other processes. Memory pressure begins when less than
    /// this is free on the machine.
    pub reserve_mb: u64,
    /// Code, thread stacks, allocator slack and libraries.
    pub runtime_mb: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { total_mb: None, reserve_mb: 256, runtime_mb: 24 }
    }
}

/// The ledger's line for the process itself.
pub(super) const PROCESS: &str = "code, stacks, libraries";

/// Share of physical memory that is the budget where none is set, in percent. The service unit's `MemoryMax` stands
/// above it, so that the ledger refuses before the kernel kills; a test compares them.
pub const DEFAULT_SHARE_PERCENT: u64 = 80;
/// Share of a control group's limit that is the budget where none is set.
pub const CGROUP_SHARE_PERCENT: u64 = 90;
/// What the target machine has; more is never taken unless asked for.
pub const DEFAULT_CEILING: Bytes = Bytes::mb(7_400);

impl Settings {
    /// The ledger's cap on this machine, and in words where it comes from.
    pub fn cap(&self, machine: &Reading) -> (Bytes, String) {
        if let Some(mb) = self.total_mb {
            return (Bytes::mb(mb), "budget.total_mb".to_owned());
        }
        let mut cap = DEFAULT_CEILING;
        let mut why = "most that is taken unless budget.total_mb says so".to_owned();
        let mut at_most = |share: u64, of: Bytes, name: &str| {
            let bytes = Bytes((u128::from(of.0) * u128::from(share) / 100) as u64);
            if bytes < cap {
                cap = bytes;
                why = format!("{share} % of {name} of {of}");
            }
        };
        if machine.total > Bytes::ZERO {
            at_most(DEFAULT_SHARE_PERCENT, machine.total, "this machine's memory");
        }
        if let Some(limit) = machine.group_limit {
            at_most(CGROUP_SHARE_PERCENT, limit, "the control group's limit");
        }
        (cap, why)
    }

    /// What is held for as long as the process runs, whatever it loads.
    pub fn standing(&self) -> [(Component, &'static str, Bytes); 2] {
        [
            (Component::Runtime, PROCESS, Bytes::mb(self.runtime_mb)),
            (Component::Reserve, "kept free for the system", Bytes::mb(self.reserve_mb)),
        ]
    }

    /// Reserves [`Settings::standing`].
    ///
    /// # Errors
    /// [`crate::error::Kind::OverBudget`] when even that does not fit.
    pub fn reserve_standing(&self, budget: &Budget) -> Result<Vec<Reservation>> {
        self.standing().into_iter().map(|(c, what, bytes)| budget.reserve(c, what, bytes)).collect()
    }

    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        const MAX_MB: u64 = 1_000_000;
        if let Some(total) = self.total_mb {
            problems.range("total_mb", total, 1..=MAX_MB);
        }
        problems.range("reserve_mb", self.reserve_mb, 0..=MAX_MB);
        problems.range("runtime_mb", self.runtime_mb, 1..=MAX_MB);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(total_mb: u64, limit_mb: Option<u64>) -> Reading {
        Reading { total: Bytes::mb(total_mb), group_limit: limit_mb.map(Bytes::mb), ..Reading::default() }
    }

    #[test]
    fn the_cap_follows_the_machine() {
        let s = Settings::default();
        assert_eq!(s.cap(&machine(24_000, None)).0, DEFAULT_CEILING);
        let (orin, why) = s.cap(&machine(7_400, None));
        assert_eq!(orin, Bytes::mb(5_920));
        assert!(why.contains("80 %"), "{why}");
        assert_eq!(s.cap(&machine(7_400, Some(2_000))).0, Bytes::mb(1_800));
        assert_eq!(s.cap(&Reading::default()).0, DEFAULT_CEILING, "an unknown machine gets the ceiling");
        let set = Settings { total_mb: Some(100), ..s };
        assert_eq!(set.cap(&machine(7_400, Some(50))), (Bytes::mb(100), "budget.total_mb".to_owned()));
    }

    #[test]
    fn absurd_values_are_named() {
        let mut p = Problems::new();
        Settings::default().validate(&mut p);
        assert!(p.is_empty(), "{p:?}");
        Settings { total_mb: Some(0), reserve_mb: u64::MAX, runtime_mb: 0 }.validate(&mut p);
        assert_eq!(p.into_vec().len(), 3);
    }

    #[test]
    fn standing_reservations_enter_the_ledger() {
        let s = Settings::default();
        let b = Budget::new(Bytes::mb(280));
        let held = s.reserve_standing(&b).expect("fits exactly");
        assert_eq!(b.reserved(), Bytes::mb(280));
        drop(held);
        assert!(s.reserve_standing(&Budget::new(Bytes::mb(279))).is_err());
    }
}
