//! Speaking: a stream of text becomes sentences, sentences become spoken words, words become sound.
//!
//! Invariants: the chunker's output does not depend on how its input was cut into pieces; nothing but words and
//! punctuation reaches the voice; espeak-ng's global state is only ever touched under one lock.

pub mod chunker;
pub mod earcon;
mod espeak;
mod html;
mod letters;
mod markup;
mod pcm;
mod phrase;
pub mod spoken;
mod stops;
mod tts;

pub use chunker::Chunker;
pub use pcm::Pcm;
pub use tts::{Settings, Voice};

#[cfg(test)]
#[path = "tests/spoken.rs"]
mod spoken_tests;
