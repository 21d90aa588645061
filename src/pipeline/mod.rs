//! Owner threads, bounded queues, cancellation: wires audio, hear, llm, speak, dialog and tools together.
//!
//! Aloud, each part has a thread of its own ([`Pipeline`]); in writing, one thread does everything ([`Conversation`]). Both carry
//! out the actions of the same dialog.

mod cancel;
mod conductor;
mod deeds;
mod mind;
mod report;
#[cfg(feature = "voice")]
mod spoken;
mod written;

pub use report::{CallReport, Gather, Told, Turn};
#[cfg(feature = "voice")]
pub use spoken::{Archive, Control, Notice, Observer, Parts, Pipeline, Standing, TurnLatency};
pub use written::{Conversation, WrittenParts};
