//! The long-running process: loads every part within the budget, runs the pipeline, handles signals and systemd.

#[cfg(feature = "voice")]
mod assemble;
mod signals;

#[cfg(feature = "voice")]
pub use assemble::{Loaded, load};
pub use signals::{Orders, Signals};
