//! Speaking: a stream of text becomes sentences, sentences become spoken words, words become sound.
//!
//! Invariants: the chunker's output does not depend on how its input was cut into pieces; nothing but words and
//! punctuation reaches the voice; espeak-ng's global state is only ever touched under one lock.

pub mod chunker;
#[cfg(feature = "voice")]
pub mod earcon;
#[cfg(feature = "voice")]
mod espeak;
mod html;
#[cfg(feature = "voice")]
mod letters;
mod markup;
#[cfg(feature = "voice")]
mod pcm;
#[cfg(feature = "voice")]
mod phrase;
pub mod spoken;
mod stops;
#[cfg(feature = "voice")]
mod tts;

pub use chunker::Chunker;
#[cfg(feature = "voice")]
pub use pcm::Pcm;
#[cfg(feature = "voice")]
pub use tts::{Settings, Voice};

#[cfg(test)]
#[path = "tests/spoken.rs"]
mod spoken_tests;
