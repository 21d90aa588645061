//! How the language model is run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Sampling;
use super::backend::KvPrecision;
use super::backend::cuda::Packing;
use crate::problems::Problems;

/// The backend that computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// The fastest this machine has.
    #[default]
    Auto,
    /// The plain implementation that defines what is right: slow.
    Reference,
    /// SIMD on the CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl BackendKind {
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Auto => "auto",
            BackendKind::Reference => "reference",
            BackendKind::Cpu => "cpu",
            BackendKind::Cuda => "cuda",
        }
    }
}

/// How weights are packed on a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackingChoice {
    /// Two bits per weight where the budget allows it, otherwise base 3.
    #[default]
    Auto,
    /// Two bits a weight: the faster.
    TwoBits,
    /// Five weights a byte: a fifth smaller.
    Base3,
}

impl PackingChoice {
    /// What is tried first.
    pub(super) fn first(self) -> Packing {
        match self {
            PackingChoice::Auto | PackingChoice::TwoBits => Packing::TwoBits,
            PackingChoice::Base3 => Packing::Base3,
        }
    }
}

/// Where a GPU finds the rows of the embedding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingPlace {
    /// In the file: each token's row is copied host-to-device.
    #[default]
    File,
    /// In its own memory: 0.3 GB of an 8B model's, and no page of the file is read once it is loaded.
    Device,
}

/// How an engine is loaded: the settings, and whatever is not a setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub settings: Settings,
    /// Folders in which a GPU's kernels are looked for, in order.
    pub kernels: Vec<PathBuf>,
    /// Count and time each operation on the CPU (see [`super::Engine::profile`]).
    pub timed: bool,
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }
}

/// The language model: how it computes and how it chooses words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A model of the manifest (`pocket`), or the path of a GGUF file.
    pub model: String,
    /// What computes: `auto` (the GPU where there is one, else the processor), `cuda`, `cpu` or `reference`.
    pub backend: BackendKind,
    /// Threads that compute; 0: one for each processor, at most 8.
    pub threads: usize,
    /// Tokens of conversation kept; 0, or more than the model was trained for: as many as it was trained for.
    pub context_tokens: usize,
    /// Tokens of a prompt computed together.
    pub prefill_chunk: usize,
    /// How weights are packed in GPU memory: `auto`, `two-bits` or `base3`.
    pub packing: PackingChoice,
    /// Where a GPU finds the embedding's rows: `file` (it takes no GPU memory) or `device`.
    pub embedding: EmbeddingPlace,
    /// Precision of the KV cache: `f16`, or `int8` in half the memory.
    pub kv_precision: KvPrecision,
    /// Speculative decoding by prompt lookup: faster where text repeats itself, and never changes the output.
    pub speculation: bool,
    pub sampling: Sampling,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "pocket".into(),
            backend: BackendKind::Auto,
            threads: 0,
            context_tokens: 2048,
            prefill_chunk: 128,
            packing: PackingChoice::Auto,
            embedding: EmbeddingPlace::File,
            kv_precision: KvPrecision::F16,
            speculation: true,
            sampling: Sampling::default(),
        }
    }
}

impl Settings {
    /// Beyond this, decoding is memory-bound on the machines tercet is made for.
    pub const MAX_AUTO_THREADS: usize = 8;
    pub const MAX_PREFILL_CHUNK: usize = 2048;

    /// Threads that will compute.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(Self::MAX_AUTO_THREADS),
            n => n.min(1024),
        }
    }

    /// Tokens of a session of a model trained for `trained`.
    pub(super) fn context(&self, trained: usize) -> usize {
        match self.context_tokens {
            0 => trained,
            n => n.min(trained),
        }
    }

    /// Tokens computed together in a session of `context`.
    pub(super) fn chunk(&self, context: usize) -> usize {
        self.prefill_chunk.clamp(1, Self::MAX_PREFILL_CHUNK).min(context)
    }

    /// Reports every invalid value. Which models there are, the store knows.
    pub fn validate(&self, problems: &mut Problems) {
        problems.range("threads", self.threads, 0..=256);
        problems.range_or("context_tokens", self.context_tokens, 0, 128..=1 << 20);
        problems.range("prefill_chunk", self.prefill_chunk, 1..=Self::MAX_PREFILL_CHUNK);
        problems.within("sampling", |p| self.sampling.validate(p));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_what_is_out_of_range_is_named() {
        let mut problems = Problems::new();
        Settings::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let bad = Settings { threads: 1000, context_tokens: 5, prefill_chunk: 0, ..Settings::default() };
        bad.validate(&mut problems);
        assert_eq!(problems.into_vec().len(), 3);
    }

    #[test]
    fn settings_fit_the_model() {
        let s = Settings { context_tokens: 4096, ..Settings::default() };
        assert_eq!((s.context(1024), s.context(8192)), (1024, 4096));
        assert_eq!(Settings { context_tokens: 0, ..s.clone() }.context(8192), 8192);
        assert_eq!(s.chunk(64), 64);
        assert!(Settings { threads: 0, ..s }.thread_count() >= 1);
    }
}
