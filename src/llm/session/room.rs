//! The memory that one session is given.

use crate::budget::{Budget, Component, Reservation};
use crate::error::Result;
use crate::llm::model::Sizes;

/// The reservations of one session.
pub(in crate::llm) struct SessionRoom {
    pub(in crate::llm) kv: Reservation,
    pub(in crate::llm) activations: Reservation,
}

impl SessionRoom {
    /// Reserves what a session of the model `name` takes.
    ///
    /// # Errors
    /// `OverBudget` with the numbers.
    pub(in crate::llm) fn reserve(budget: &Budget, name: &str, sizes: &Sizes) -> Result<Self> {
        Ok(Self {
            kv: budget.reserve(Component::Kv, format!("{name}: keys and values"), sizes.kv)?,
            activations: budget.reserve(Component::Activations, format!("{name}: workspace"), sizes.activations)?,
        })
    }
}
