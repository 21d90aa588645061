//! The language model: GGUF files, ternary models (Llama, Qwen3), and text generated from them.
//!
//! [`gguf`] reads files and trusts nothing in them; [`quant`] turns stored blocks into numbers; [`backend`] computes;
//! [`tokenizer`] and [`chat`] turn conversations into tokens, [`reply`] reads what comes back, [`grammar`] holds it to calls
//! that can be made, [`writer`] puts them together. Callers hold an [`Engine`] (weights, shared, never changing) and a
//! [`Session`] (one timeline of tokens), and never see a tensor.
//!
//! What may use what in here is a table in `docs/architecture.md`. Files, folders and settings are passed in.

pub mod backend;
pub mod chat;
pub mod convert;
mod engine;
pub mod gguf;
pub mod grammar;
mod model;
pub mod quant;
mod repetition;
pub mod reply;
mod sampler;
mod session;
mod settings;
pub mod timing;
pub mod tokenizer;
pub mod writer;

pub use backend::KvPrecision;
pub use backend::cpu::read_bandwidth;
pub use backend::timed::{Profile, Spent};
#[cfg(test)]
pub(crate) use engine::fickle;
pub use engine::{Engine, Estimate, estimate};
pub use model::{Architecture, Hyper, RopeScaling, Yarn};
pub use sampler::{Sampler, Sampling};
pub use session::{Constraint, Counts, Each, Finish, Generation, Session, Snapshot, WindowFull};
pub use settings::{BackendKind, EmbeddingPlace, Options, PackingChoice, Settings};
