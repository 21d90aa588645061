//! The memory plan of a configuration: what each module says it will take, gathered for [`budget::Plan`].
//!
//! Estimates come from file sizes and headers; nothing is loaded.

use super::Settings;
use crate::budget::{Inputs, Plan, PlanItem, Reading};
use crate::error::Result;
use crate::units::Bytes;

/// The ledger's cap for these settings on this machine, and in words where it comes from.
pub fn effective_cap(settings: &Settings) -> (Bytes, String) {
    settings.budget.cap(&Reading::now())
}

/// Adds up what a daemon with these settings will reserve.
///
/// # Errors
/// [`crate::error::Kind::NotFound`] for a model that is not there, [`crate::error::Kind::Corrupt`] for one whose header
/// cannot be read. A plan that does not fit is no error here: see [`Plan::check`].
pub fn memory_plan(settings: &Settings) -> Result<Plan> {
    let machine = Reading::now();
    let (cap, cap_note) = settings.budget.cap(&machine);
    let mut items = Vec::new();
    let savings = Vec::new();
    for (component, what, bytes) in settings.budget.standing() {
        items.push(PlanItem { component, what: what.to_owned(), bytes, note: String::new() });
    }
    let machine = (machine.total > Bytes::ZERO).then_some(machine.total);
    Ok(Plan::compute(Inputs { cap, cap_note, machine, items, savings }))
}
