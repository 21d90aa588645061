//! tercet: a voice agent that lives on one small machine.
//!
//! The map, in the order modules may depend on each other (a test enforces it):
//! `units, random, error, problems, numerals, schema ← budget, whisper ← store, onnx ← { audio | hear | llm | speak | dialog |
//! tools } ← pipeline ← api ← config ← daemon ← cli`. Siblings in braces do not import each other; `dialog` imports only `units`,
//! `error`, `problems` and `schema`.

pub mod error;
pub mod numerals;
pub mod problems;
pub mod random;
pub mod schema;
pub mod units;

pub mod budget;
pub mod whisper;

#[cfg(feature = "voice")]
pub mod onnx;
pub mod store;

pub mod audio;
pub mod dialog;
#[cfg(feature = "voice")]
pub mod hear;
pub mod llm;
pub mod speak;
pub mod tools;

pub mod pipeline;

pub mod api;

pub mod config;
pub mod daemon;

pub mod cli;
