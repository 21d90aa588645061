//! The language model: GGUF files, ternary Llama models, and text generated from them.
//!
//! [`gguf`] reads files and believes nothing in them; [`quant`] turns stored blocks into numbers.

pub mod gguf;
