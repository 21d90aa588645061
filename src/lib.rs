//! tercet: a voice agent that lives on one small machine.
//!
//! The map, in the order modules may depend on each other (a test enforces it):
//! `units, error, numerals, schema ← budget ← store, onnx ← { audio | hear | llm | speak | dialog | tools } ←
//! pipeline ← config ← daemon ← cli`. Siblings in braces do not import each other; `dialog` imports only `units`,
//! `error`, `schema`.

pub mod error;
pub mod numerals;
pub mod schema;
pub mod units;

pub mod budget;

#[cfg(feature = "voice")]
pub mod onnx;
pub mod store;

pub mod audio;
pub mod dialog;
#[cfg(feature = "voice")]
pub mod hear;
pub mod llm;
#[cfg(feature = "voice")]
pub mod speak;
pub mod tools;

#[cfg(feature = "voice")]
pub mod pipeline;

pub mod config;
pub mod daemon;

pub mod cli;
