//! The engine: one model's weights, loaded once, shared by its sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use super::backend::timed::Profile;
use super::gguf::{self, Gguf};
use super::model::{Loaded, Sizes, Timeline};
use super::session::SessionRoom;
use super::tokenizer::Tokenizer;
use super::{Hyper, KvPrecision, Options, Settings};
use crate::budget::{Budget, Component, Reservation};
use crate::error::Result;
use crate::units::Bytes;

mod chosen;
#[cfg(test)]
pub(crate) mod fickle;

use chosen::Chosen;

/// What a model will take of memory, known from its header alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The model's own name, or the file's.
    pub model: String,
    /// What will compute: `cpu (AVX2, 2 threads)`.
    pub backend: String,
    pub weights: Bytes,
    /// Keys and values of one session of `context_tokens`.
    pub kv: Bytes,
    pub kv_precision: KvPrecision,
    pub activations: Bytes,
    /// Tokens a session will hold.
    pub context_tokens: usize,
    /// Tokens the model was trained for.
    pub trained_tokens: usize,
}

/// A loaded model.
pub struct Engine {
    path: PathBuf,
    name: String,
    hyper: Hyper,
    loaded: Arc<dyn Loaded>,
    tokenizer: Tokenizer,
    file: Arc<Gguf>,
    budget: Budget,
    sizes: Sizes,
    speculates: bool,
    kv_precision: KvPrecision,
    fingerprint: OnceLock<Option<String>>,
    _weights: Reservation,
    /// Room for the first session, reserved together with the weights, so that a model whose session does not fit
    /// is refused before it is loaded.
    first: Mutex<Option<SessionRoom>>,
}

/// The file, its shape and its name.
fn read(path: &Path) -> Result<(Arc<Gguf>, Hyper, String)> {
    let file = Arc::new(Gguf::open(path)?);
    let hyper = Hyper::read(&file)?;
    // The name is only shown: one that cannot be read does not keep the model from running.
    let name = match file.str("general.name") {
        Ok(Some(name)) => name.to_owned(),
        _ => path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned()),
    };
    Ok((file, hyper, name))
}

/// What loading `path` with `options` would take. Reads the header; loads nothing.
///
/// # Errors
/// Those of [`Engine::load`] that the header shows.
pub fn estimate(path: &Path, options: &Options) -> Result<Estimate> {
    let (file, hyper, model) = read(path)?;
    let settings = &options.settings;
    let (sizes, backend) = Chosen::new(options)?.estimate(&file, &hyper, settings)?;
    Ok(Estimate {
        model,
        backend,
        weights: sizes.weights,
        kv: sizes.kv,
        kv_precision: settings.kv_precision,
        activations: sizes.activations,
        context_tokens: settings.context(hyper.context),
        trained_tokens: hyper.context,
    })
}

impl Engine {
    /// Loads the model at `path`. Weights and one session are reserved from `budget` before they are allocated.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`], `Io` where the file cannot be read; `Corrupt` or `Unsupported` naming the field or
    /// tensor where it is not a sound ternary Llama; `OverBudget` with the numbers; `Unavailable` where the system has no
    /// memory or threads to give.
    pub fn load(path: &Path, options: &Options, budget: &Budget) -> Result<Arc<Engine>> {
        let mut chosen = Chosen::new(options)?;
        let (file, hyper, name) = read(path)?;
        let free = budget.cap().saturating_sub(budget.reserved());
        let sizes = chosen.fit(&file, &hyper, &options.settings, free)?;
        Self::assemble((file, hyper, name), path, (budget, sizes, &options.settings), |file, hyper| {
            chosen.load(file, hyper, options)
        })
    }

    /// Reserves, loads with `load`, and puts the engine together.
    fn assemble(
        (file, hyper, name): (Arc<Gguf>, Hyper, String),
        path: &Path,
        (budget, sizes, settings): (&Budget, Sizes, &Settings),
        load: impl FnOnce(&Arc<Gguf>, Hyper) -> Result<Arc<dyn Loaded>>,
    ) -> Result<Arc<Engine>> {
        let tokenizer = Tokenizer::from_gguf(&file)?;
        let weights = budget.reserve(Component::Weights, name.clone(), sizes.weights)?;
        let room = SessionRoom::reserve(budget, &name, &sizes)?;
        let started = std::time::Instant::now();
        let loaded = load(&file, hyper.clone())?;
        // A file that is overwritten while it is read would make a model of two halves.
        file.unchanged()?;
        let resident = loaded.resident();
        weights.record_measured(resident);
        tracing::info!(
            model = %name, backend = %loaded.describe(), weights = %resident, context = loaded.context(),
            seconds = started.elapsed().as_secs_f32(), "language model loaded"
        );
        Ok(Arc::new(Engine {
            path: path.to_owned(),
            name,
            hyper,
            loaded,
            tokenizer,
            file,
            budget: budget.clone(),
            sizes,
            speculates: settings.speculation,
            kv_precision: settings.kv_precision,
            fingerprint: OnceLock::new(),
            _weights: weights,
            first: Mutex::new(Some(room)),
        }))
    }

    /// An empty timeline, and the memory reserved for it.
    pub(super) fn open(&self) -> Result<(Box<dyn Timeline>, SessionRoom)> {
        let first = self.first.lock().unwrap_or_else(|p| p.into_inner()).take();
        let room = match first {
            Some(room) => room,
            None => SessionRoom::reserve(&self.budget, &self.name, &self.sizes)?,
        };
        let timeline = self.loaded.clone().open()?;
        let (kv, activations) = timeline.resident();
        room.kv.record_measured(kv);
        room.activations.record_measured(activations);
        Ok((timeline, room))
    }

    /// Whether sessions can go on after an error: they can unless it was a sticky one, which loses the device.
    ///
    /// # Errors
    /// [`Kind::Device`], with what to do about it, where the device is lost to this process (no session on it goes on, and
    /// none can be opened), or where the model's file is no longer the one that was loaded.
    pub fn answers(&self) -> Result<()> {
        self.loaded.answers()?;
        self.file.unchanged()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model's own name, or the file's.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's file: its metadata (chat template, licence) and tensor infos.
    pub fn file(&self) -> &Gguf {
        &self.file
    }

    /// Tokens a session holds.
    pub fn context(&self) -> usize {
        self.loaded.context()
    }

    /// What would give a session more tokens, as an imperative: the setting, or, where that no longer helps, another model.
    pub fn longer_context(&self) -> String {
        match self.hyper.context {
            most if self.context() < most => format!("raise llm.context_tokens (this model takes up to {most})"),
            most => format!("use a model with a longer context (this one takes {most} tokens at most)"),
        }
    }

    pub fn kv_precision(&self) -> KvPrecision {
        self.kv_precision
    }

    /// Bytes of the keys and values of one session.
    pub(super) fn kv_bytes(&self) -> Bytes {
        self.sizes.kv
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Identifies the model's file; `None` where it can no longer be read.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        let read = || gguf::fingerprint(&self.path).ok();
        self.fingerprint.get_or_init(read).as_deref()
    }

    /// Whether sessions draft tokens (speculative decoding).
    pub(super) fn speculates(&self) -> bool {
        self.speculates
    }

    /// Tokens of a prompt computed together.
    pub fn prefill_chunk(&self) -> usize {
        self.loaded.chunk()
    }

    /// Bytes held on a device with its own memory, sessions included.
    pub fn device_bytes(&self) -> Bytes {
        self.loaded.device_bytes()
    }

    /// Where the time goes, where the engine was loaded with [`Options::timed`] on the CPU.
    pub fn profile(&self) -> Option<&Profile> {
        self.loaded.profile()
    }

    /// Bytes of the weights that are resident: what a token reads, apart from the embedding's row and the KV cache.
    pub fn weights(&self) -> Bytes {
        self.loaded.resident()
    }

    /// What computes: `cpu (AVX2, 2 threads)`.
    pub fn backend(&self) -> String {
        self.loaded.describe()
    }
}
