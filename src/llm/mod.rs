//! The language model: GGUF files, ternary Llama models, and text generated from them.
//!
//! [`gguf`] reads files and believes nothing in them; [`quant`] turns stored blocks into numbers.
//! [`tokenizer`] and [`chat`] turn conversations into tokens, [`reply`] reads what comes back.

pub mod chat;
pub mod gguf;
pub mod reply;
pub mod tokenizer;
