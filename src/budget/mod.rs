//! One ledger in bytes for everything large the process holds.
//!
//! A component reserves before it allocates; a reservation that does not fit is refused with the numbers
//! ([`Kind::OverBudget`]) and nothing is allocated. Reservations give their bytes back when dropped.
//! Each reservation also records what was measured, so that estimates can be checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

mod limits;
mod measure;
mod plan;
mod pressure;
mod settings;
#[cfg(test)]
mod tests;

pub use limits::{file_size_remedy, memory_remedy, thread_remedy};
pub use measure::{resident_now, resident_peak};
pub use plan::{Inputs, Plan, PlanItem, Saving};
pub use pressure::{Gauge, Pressure, Reading};
pub use settings::{CGROUP_SHARE_PERCENT, DEFAULT_CEILING, DEFAULT_SHARE_PERCENT, Settings};

/// A line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    Weights,
    Kv,
    Activations,
    Stt,
    /// VAD, wake word and turn detection.
    Detect,
    Tts,
    Audio,
    Http,
    /// Code, stacks, allocator slack, ONNX Runtime itself.
    Runtime,
    /// Kept free for the kernel and other processes.
    Reserve,
}

impl Component {
    pub const ALL: [Component; 10] = [
        Component::Weights,
        Component::Kv,
        Component::Activations,
        Component::Stt,
        Component::Detect,
        Component::Tts,
        Component::Audio,
        Component::Http,
        Component::Runtime,
        Component::Reserve,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Component::Weights => "weights",
            Component::Kv => "kv",
            Component::Activations => "activations",
            Component::Stt => "stt",
            Component::Detect => "vad+wake+turn",
            Component::Tts => "tts",
            Component::Audio => "audio",
            Component::Http => "http",
            Component::Runtime => "runtime",
            Component::Reserve => "reserve",
        }
    }
}

/// The ledger. Cheap to clone; all clones are one ledger.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Mutex<Ledger>>,
}

struct Ledger {
    cap: Bytes,
    next_id: u64,
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    component: Component,
    what: String,
    reserved: Bytes,
    measured: Option<Bytes>,
}

/// Bytes held in the ledger; dropped, they are free again.
pub struct Reservation {
    budget: Budget,
    id: u64,
}

/// One component's sums, for tables.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub component: Component,
    pub reserved: Bytes,
    /// Sum of what was measured; `None` where nothing of this component has been measured.
    pub measured: Option<Bytes>,
}

/// One reservation, for tables.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    pub component: Component,
    pub what: String,
    pub reserved: Bytes,
    pub measured: Option<Bytes>,
}

impl Budget {
    /// A ledger that refuses to go above `cap`.
    pub fn new(cap: Bytes) -> Self {
        Self { inner: Arc::new(Mutex::new(Ledger { cap, next_id: 0, entries: BTreeMap::new() })) }
    }

    /// For commands that hold one model and exit: accounted for, never refused.
    pub fn unlimited() -> Self {
        Self::new(Bytes(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // The ledger's own code does not panic while it holds the lock; a poisoned lock still holds sound data.
        self.inner.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Reserves `bytes` for `what` (shown to people: "whisper tiny.en"), before they are allocated.
    ///
    /// # Errors
    /// [`Kind::OverBudget`] with the numbers when the sum would pass the cap; nothing is then reserved.
    pub fn reserve(&self, component: Component, what: impl Into<String>, bytes: Bytes) -> Result<Reservation> {
        let what = what.into();
        let mut l = self.lock();
        l.check_room(&what, bytes)?;
        let id = l.next_id;
        l.next_id += 1;
        l.entries.insert(id, Entry { component, what, reserved: bytes, measured: None });
        Ok(Reservation { budget: self.clone(), id })
    }

    /// Records as measured for the process itself ([`Settings::standing`]) the most that was resident beyond everything
    /// measured of the others. Call it before anything is loaded, and while all parts are: parts that have given back
    /// some of what they took at most would hide it later.
    pub fn record_process(&self, resident: Bytes) {
        let mut l = self.lock();
        let is_process = |e: &Entry| e.component == Component::Runtime && e.what == settings::PROCESS;
        let others = l.entries.values().filter(|e| !is_process(e)).filter_map(|e| e.measured).sum();
        if let Some(e) = l.entries.values_mut().find(|e| is_process(e)) {
            e.measured = e.measured.max(Some(resident.saturating_sub(others)));
        }
    }

    pub fn cap(&self) -> Bytes {
        self.lock().cap
    }

    pub fn reserved(&self) -> Bytes {
        self.lock().reserved()
    }

    /// Sums by component, in ledger order, components without reservations left out.
    pub fn lines(&self) -> Vec<Line> {
        let l = self.lock();
        Component::ALL
            .iter()
            .filter_map(|&component| {
                let mut of: Vec<&Entry> = l.entries.values().filter(|e| e.component == component).collect();
                let reserved = of.iter().map(|e| e.reserved).sum();
                if of.is_empty() {
                    return None;
                }
                of.retain(|e| e.measured.is_some());
                let measured = (!of.is_empty()).then(|| of.iter().filter_map(|e| e.measured).sum());
                Some(Line { component, reserved, measured })
            })
            .collect()
    }

    /// Every reservation, in the order made.
    pub fn items(&self) -> Vec<Item> {
        self.lock()
            .entries
            .values()
            .map(|e| Item { component: e.component, what: e.what.clone(), reserved: e.reserved, measured: e.measured })
            .collect()
    }
}

impl Ledger {
    fn reserved(&self) -> Bytes {
        self.entries.values().map(|e| e.reserved).sum()
    }

    fn check_room(&self, what: &str, bytes: Bytes) -> Result<()> {
        let free = self.cap.saturating_sub(self.reserved());
        if bytes > free {
            return Err(Error::new(
                Kind::OverBudget,
                format!("{what} needs {bytes}, but only {free} of the memory budget of {} is free", self.cap),
            )
            .remedy("run `tercet plan`: it shows where the budget goes and what would make it fit"));
        }
        Ok(())
    }
}

impl Reservation {
    /// Records what the component was seen to use.
    pub fn record_measured(&self, bytes: Bytes) {
        if let Some(e) = self.budget.lock().entries.get_mut(&self.id) {
            e.measured = Some(bytes);
        }
    }

    pub fn bytes(&self) -> Bytes {
        self.budget.lock().entries.get(&self.id).map_or(Bytes::ZERO, |e| e.reserved)
    }

    /// Grows or shrinks the reservation.
    ///
    /// # Errors
    /// [`Kind::OverBudget`] when growth does not fit; the reservation keeps its size then.
    pub fn resize(&mut self, bytes: Bytes) -> Result<()> {
        let mut l = self.budget.lock();
        let Some((old, what)) = l.entries.get(&self.id).map(|e| (e.reserved, e.what.clone())) else { return Ok(()) };
        if bytes > old {
            l.check_room(&what, bytes.saturating_sub(old))?;
        }
        if let Some(e) = l.entries.get_mut(&self.id) {
            e.reserved = bytes;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.lock().entries.remove(&self.id);
    }
}
