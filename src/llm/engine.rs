//! The engine: one model's weights, loaded once, shared by its sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use super::backend::Backend;
use super::backend::cpu::Cpu;
use super::backend::reference::Reference;
use super::gguf::Gguf;
use super::model::{self, Loaded, Model, Sizes};
use super::tokenizer::Tokenizer;
use super::{BackendKind, Hyper, KvPrecision, Options, Session};
use crate::budget::{Budget, Component, Reservation};
use crate::error::Result;
use crate::units::Bytes;

/// What a model will take of memory, told from its header alone.
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
    /// Tokens the model was made for.
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

/// The reservations of one session.
pub(super) struct SessionRoom {
    pub(super) kv: Reservation,
    pub(super) activations: Reservation,
}

/// The file, its shape and its name.
fn read(path: &Path) -> Result<(Arc<Gguf>, Hyper, String)> {
    let file = Arc::new(Gguf::open(path)?);
    let hyper = Hyper::read(&file)?;
    let name = match file.str("general.name")? {
        Some(name) => name.to_owned(),
        None => path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned()),
    };
    Ok((file, hyper, name))
}

/// What loading `path` with `options` would take. Reads the header; loads nothing.
///
/// # Errors
/// Those of [`Engine::load`] that the header shows.
pub fn estimate(path: &Path, options: &Options) -> Result<Estimate> {
    let (file, hyper, model) = read(path)?;
    let context_tokens = options.context(hyper.context);
    let of = |sizes: Sizes, backend: String| Estimate {
        model,
        backend,
        weights: sizes.weights,
        kv: sizes.kv,
        kv_precision: options.kv_precision,
        activations: sizes.activations,
        context_tokens,
        trained_tokens: hyper.context,
    };
    match options.backend {
        BackendKind::Reference => Ok(of(model::estimate(&Reference, &file, &hyper, options)?, Reference.describe())),
        BackendKind::Auto | BackendKind::Cpu => {
            // Sizes do not depend on the threads, and starting them for an estimate would be odd.
            let cpu = Cpu::new(1)?;
            let describe = Cpu::describe_with(cpu.isa(), options.thread_count());
            Ok(of(model::estimate(&cpu, &file, &hyper, options)?, describe))
        }
    }
}

impl Engine {
    /// Loads the model at `path`. Weights and one session are reserved from `budget` before they are allocated.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`], `Io` where the file cannot be read; `Corrupt` or `Unsupported` naming the field or
    /// tensor where it is not a sound ternary Llama; `OverBudget` with the numbers; `Unavailable` where the system has no
    /// memory or threads to give.
    pub fn load(path: &Path, options: &Options, budget: &Budget) -> Result<Arc<Engine>> {
        match options.backend {
            BackendKind::Reference => Self::load_with(Reference, path, options, budget),
            BackendKind::Auto | BackendKind::Cpu => {
                Self::load_with(Cpu::new(options.thread_count())?, path, options, budget)
            }
        }
    }

    /// As [`Engine::load`], on a given backend.
    pub(super) fn load_with<B: Backend>(
        backend: B,
        path: &Path,
        options: &Options,
        budget: &Budget,
    ) -> Result<Arc<Engine>> {
        let (file, hyper, name) = read(path)?;
        let tokenizer = Tokenizer::from_gguf(&file)?;
        let sizes = model::estimate(&backend, &file, &hyper, options)?;
        let weights = budget.reserve(Component::Weights, name.clone(), sizes.weights)?;
        let room = SessionRoom::reserve(budget, &name, &sizes)?;
        let started = std::time::Instant::now();
        let model = Model::load(backend, &file, hyper.clone(), options)?;
        let loaded: Arc<dyn Loaded> = Arc::new(model);
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
            speculates: options.speculation,
            kv_precision: options.kv_precision,
            fingerprint: OnceLock::new(),
            _weights: weights,
            first: Mutex::new(Some(room)),
        }))
    }

    /// Starts a session: an empty timeline of [`Engine::context`] tokens.
    ///
    /// # Errors
    /// `OverBudget` where another session does not fit; `Unavailable` where the system has no memory to give.
    pub fn session(self: &Arc<Self>) -> Result<Session> {
        let first = self.first.lock().unwrap_or_else(|p| p.into_inner()).take();
        let room = match first {
            Some(room) => room,
            None => SessionRoom::reserve(&self.budget, &self.name, &self.sizes)?,
        };
        let timeline = self.loaded.clone().open()?;
        let (kv, activations) = timeline.resident();
        room.kv.record_measured(kv);
        room.activations.record_measured(activations);
        Ok(Session::new(self.clone(), timeline, room))
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

    /// Tells the model's file from others (see [`super::session`]'s shelf); `None` where it cannot be read any more.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        let read = || super::session::fingerprint(&self.path).ok();
        self.fingerprint.get_or_init(read).as_deref()
    }

    /// Whether sessions guess ahead.
    pub(super) fn speculates(&self) -> bool {
        self.speculates
    }

    /// Tokens of a prompt computed together.
    pub fn prefill_chunk(&self) -> usize {
        self.loaded.chunk()
    }

    /// What computes: `cpu (AVX2, 2 threads)`.
    pub fn backend(&self) -> String {
        self.loaded.describe()
    }
}

impl SessionRoom {
    fn reserve(budget: &Budget, name: &str, sizes: &Sizes) -> Result<Self> {
        Ok(Self {
            kv: budget.reserve(Component::Kv, format!("{name}: keys and values"), sizes.kv)?,
            activations: budget.reserve(Component::Activations, format!("{name}: workspace"), sizes.activations)?,
        })
    }
}
