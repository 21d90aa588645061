//! The engine: one model's weights, loaded once, shared by its sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use super::backend::Backend;
use super::backend::cpu::Cpu;
use super::backend::cuda::model::{self as cuda_model, Resident};
use super::backend::cuda::{Cuda, Packing};
use super::backend::reference::Reference;
use super::backend::timed::{Profile, Timed};
use super::gguf::Gguf;
use super::model::{self, Loaded, Model, Sizes};
use super::settings::PackingChoice;
use super::tokenizer::Tokenizer;
use super::{BackendKind, EmbeddingPlace, Hyper, KvPrecision, Options, Session};
use crate::budget::{Budget, Component, Reservation};
use crate::error::{Kind, Result};
use crate::units::Bytes;

#[cfg(test)]
pub(crate) mod fickle;

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
    if let Some(cuda) = gpu(options)? {
        return Ok(of(cuda_sizes(&cuda, &file, &hyper, options)?, cuda.describe()));
    }
    match options.backend {
        BackendKind::Reference => Ok(of(model::estimate(&Reference, &file, &hyper, options)?, Reference.describe())),
        BackendKind::Auto | BackendKind::Cpu | BackendKind::Cuda => {
            // Sizes do not depend on the threads, and starting them for an estimate would be odd.
            let cpu = Cpu::new(1)?;
            let describe = Cpu::describe_with(cpu.isa(), options.thread_count());
            Ok(of(model::estimate(&cpu, &file, &hyper, options)?, describe))
        }
    }
}

/// The GPU, where it is wanted or, with `auto`, where there is one.
fn gpu(options: &Options) -> Result<Option<Cuda>> {
    let wanted = match options.backend {
        BackendKind::Cuda => true,
        BackendKind::Auto => false,
        BackendKind::Cpu | BackendKind::Reference => return Ok(None),
    };
    match Cuda::new(options.packing.first(), &options.kernels) {
        Ok(cuda) => Ok(Some(cuda)),
        Err(e) if !wanted && e.kind() == Kind::Unavailable => {
            tracing::info!("the language model runs on the processor: {e}");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn cuda_sizes(cuda: &Cuda, file: &Gguf, hyper: &Hyper, options: &Options) -> Result<Sizes> {
    let context = options.context(hyper.context);
    let sizes = model::estimate(cuda, file, hyper, options)?;
    let embedding = file.require_tensor("token_embd.weight")?;
    let on_device = (options.embedding == EmbeddingPlace::Device).then_some(embedding);
    let session = (options.chunk(context), context, options.kv_precision);
    Ok(cuda_model::estimate(cuda, hyper, on_device, session, sizes))
}

impl Engine {
    /// Loads the model at `path`. Weights and one session are reserved from `budget` before they are allocated.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`], `Io` where the file cannot be read; `Corrupt` or `Unsupported` naming the field or
    /// tensor where it is not a sound ternary Llama; `OverBudget` with the numbers; `Unavailable` where the system has no
    /// memory or threads to give.
    pub fn load(path: &Path, options: &Options, budget: &Budget) -> Result<Arc<Engine>> {
        if let Some(cuda) = gpu(options)? {
            return Self::load_cuda(cuda, path, options, budget);
        }
        match options.backend {
            BackendKind::Reference => Self::load_with(Reference, path, options, budget),
            BackendKind::Auto | BackendKind::Cpu | BackendKind::Cuda => {
                let cpu = Cpu::new(options.thread_count())?;
                if options.timed {
                    return Self::load_with(Timed::new(cpu), path, options, budget);
                }
                Self::load_with(cpu, path, options, budget)
            }
        }
    }

    /// On the GPU, packed as the options say, or as the budget allows.
    fn load_cuda(mut cuda: Cuda, path: &Path, options: &Options, budget: &Budget) -> Result<Arc<Engine>> {
        let (file, hyper, name) = read(path)?;
        let mut sizes = cuda_sizes(&cuda, &file, &hyper, options)?;
        let free = budget.cap().saturating_sub(budget.reserved());
        if options.packing == PackingChoice::Auto && sizes.total() > free {
            cuda.pack(Packing::Base3);
            sizes = cuda_sizes(&cuda, &file, &hyper, options)?;
        }
        Self::assemble((file, hyper, name), path, (budget, sizes, options), |file, hyper| {
            let model = Model::load(cuda, file, hyper, options)?;
            Ok(Arc::new(Resident::new(model, options.embedding == EmbeddingPlace::Device)?) as Arc<dyn Loaded>)
        })
    }

    /// As [`Engine::load`], on a given backend.
    pub(super) fn load_with<B: Backend>(
        backend: B,
        path: &Path,
        options: &Options,
        budget: &Budget,
    ) -> Result<Arc<Engine>> {
        let (file, hyper, name) = read(path)?;
        let sizes = model::estimate(&backend, &file, &hyper, options)?;
        Self::assemble((file, hyper, name), path, (budget, sizes, options), |file, hyper| {
            Ok(Arc::new(Model::load(backend, file, hyper, options)?) as Arc<dyn Loaded>)
        })
    }

    /// Reserves, loads with `load`, and puts the engine together.
    fn assemble(
        (file, hyper, name): (Arc<Gguf>, Hyper, String),
        path: &Path,
        (budget, sizes, options): (&Budget, Sizes, &Options),
        load: impl FnOnce(&Arc<Gguf>, Hyper) -> Result<Arc<dyn Loaded>>,
    ) -> Result<Arc<Engine>> {
        let tokenizer = Tokenizer::from_gguf(&file)?;
        let weights = budget.reserve(Component::Weights, name.clone(), sizes.weights)?;
        let room = SessionRoom::reserve(budget, &name, &sizes)?;
        let started = std::time::Instant::now();
        let loaded = load(&file, hyper.clone())?;
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
    /// `OverBudget` where another session does not fit; `Unavailable` where the system has no memory to give; `Device` where its
    /// device does not answer.
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

    /// Asks after an error whether it is the last: a session goes on after errors that its device gets over.
    ///
    /// # Errors
    /// [`Kind::Device`], with what to do about it, where the device is lost to this process: no session on it goes on, and
    /// none can be opened.
    pub fn answers(&self) -> Result<()> {
        self.loaded.answers()
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

    /// Bytes held on a device with memory of its own, sessions included.
    pub fn device_bytes(&self) -> Bytes {
        self.loaded.device_bytes()
    }

    /// Where the time goes, where the engine was loaded with [`Options::timed`] on the CPU.
    pub fn profile(&self) -> Option<&Profile> {
        self.loaded.profile()
    }

    /// Bytes of the weights that are resident: what a token reads, the embedding's row and the KV cache apart.
    pub fn weights(&self) -> Bytes {
        self.loaded.resident()
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
