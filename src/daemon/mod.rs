//! The long-running process: loads every part within the budget, runs the pipeline, handles signals and systemd.

#[cfg(feature = "voice")]
mod assemble;
#[cfg(feature = "voice")]
mod serve;
mod signals;

#[cfg(feature = "voice")]
pub use assemble::{Loaded, load};
#[cfg(feature = "voice")]
pub use serve::{About, serve};
pub use signals::{Orders, Signals};
