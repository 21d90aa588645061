//! How the language model is run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Sampling;
use super::backend::KvPrecision;
use super::backend::cuda::Packing;
use crate::error::Result;
use crate::store::{self, Paths};

/// What computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// The fastest that this machine has.
    #[default]
    Auto,
    /// The plain implementation that defines what is right: slow.
    Reference,
    /// SIMD on the processor.
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

impl std::str::FromStr for BackendKind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        [BackendKind::Auto, BackendKind::Reference, BackendKind::Cpu, BackendKind::Cuda]
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| format!("{s} is not a backend; auto, cuda, cpu and reference are"))
    }
}

/// How weights are packed on a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackingChoice {
    /// Two bits a weight where the budget allows it, else base 3.
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
    /// In the mapped file: each token's row is sent along.
    #[default]
    File,
    /// In its own memory: 0.3 GB of an 8B model's, and no page of the file is read once it is loaded.
    Device,
}

impl std::str::FromStr for EmbeddingPlace {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "file" => Ok(EmbeddingPlace::File),
            "device" => Ok(EmbeddingPlace::Device),
            _ => Err(format!("{s} is not a place for the embedding; file and device are")),
        }
    }
}

/// How an engine is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub backend: BackendKind,
    /// Threads that compute, the caller's included; 0: one for each processor, at most [`Options::MAX_AUTO_THREADS`].
    pub threads: usize,
    /// Tokens a session holds; 0, or more than the model was made for: as many as the model was made for.
    pub context_tokens: usize,
    /// Tokens computed together when a prompt is read; cancellation is looked at between two of these.
    pub prefill_chunk: usize,
    pub packing: PackingChoice,
    pub embedding: EmbeddingPlace,
    pub kv_precision: KvPrecision,
    /// Guess that text goes on as it did before, and compute the guesses together. Changes what it takes, never what is
    /// written.
    pub speculation: bool,
    /// Count and time each operation (see [`super::Engine::profile`]).
    pub timed: bool,
}

impl Options {
    /// Beyond this, decoding waits for memory on the machines tercet is made for.
    pub const MAX_AUTO_THREADS: usize = 8;
    pub const MAX_PREFILL_CHUNK: usize = 2048;

    /// Threads that will compute.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(Self::MAX_AUTO_THREADS),
            n => n.min(1024),
        }
    }

    /// Tokens of a session of a model made for `trained`.
    pub(super) fn context(&self, trained: usize) -> usize {
        match self.context_tokens {
            0 => trained,
            n => n.min(trained),
        }
    }

    pub(super) fn chunk(&self, context: usize) -> usize {
        self.prefill_chunk.clamp(1, Self::MAX_PREFILL_CHUNK).min(context)
    }
}

impl Default for Options {
    fn default() -> Self {
        Settings::default().options()
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
    /// Tokens of conversation kept; 0, or more than the model was made for: as many as it was made for.
    pub context_tokens: usize,
    /// Tokens of a prompt computed together.
    pub prefill_chunk: usize,
    /// How weights lie in a GPU's memory: `auto`, `two-bits` or `base3`.
    pub packing: PackingChoice,
    /// Where a GPU finds the embedding's rows: `file` (nothing of it in the GPU's memory) or `device`.
    pub embedding: EmbeddingPlace,
    /// How keys and values are kept: `f16`, or `int8` in half the memory.
    pub kv_precision: KvPrecision,
    /// Guess that text goes on as it did before: faster where it repeats itself, never other words.
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
    /// Where the model's file is.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`] where a model of the manifest is not installed.
    pub fn model_path(&self, paths: &Paths) -> Result<PathBuf> {
        if self.model.ends_with(".gguf") || self.model.contains('/') {
            return Ok(PathBuf::from(&self.model));
        }
        store::locate(paths, &self.model)
    }

    pub fn options(&self) -> Options {
        Options {
            backend: self.backend,
            threads: self.threads,
            context_tokens: self.context_tokens,
            prefill_chunk: self.prefill_chunk,
            packing: self.packing,
            embedding: self.embedding,
            kv_precision: self.kv_precision,
            speculation: self.speculation,
            timed: false,
        }
    }

    /// Adds what is out of range to `problems`.
    pub fn validate(&self, problems: &mut Vec<String>) {
        if self.threads > 256 {
            problems.push(format!("threads is {}; at most 256", self.threads));
        }
        if self.context_tokens != 0 && !(128..=1 << 20).contains(&self.context_tokens) {
            problems.push(format!("context_tokens is {}; 0, or 128 to 1048576", self.context_tokens));
        }
        if !(1..=Options::MAX_PREFILL_CHUNK).contains(&self.prefill_chunk) {
            problems.push(format!("prefill_chunk is {}; 1 to {}", self.prefill_chunk, Options::MAX_PREFILL_CHUNK));
        }
        self.sampling.validate(problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_what_is_out_of_range_is_named() {
        let mut problems = Vec::new();
        Settings::default().validate(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let bad = Settings { threads: 1000, context_tokens: 5, prefill_chunk: 0, ..Settings::default() };
        bad.validate(&mut problems);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn options_fit_the_model() {
        let o = Options { context_tokens: 4096, ..Options::default() };
        assert_eq!((o.context(1024), o.context(8192)), (1024, 4096));
        assert_eq!(Options { context_tokens: 0, ..o.clone() }.context(8192), 8192);
        assert_eq!(o.chunk(64), 64);
        assert!(Options { threads: 0, ..o }.thread_count() >= 1);
        assert_eq!("cpu".parse(), Ok(BackendKind::Cpu));
        assert!("gpu".parse::<BackendKind>().is_err());
    }
}
