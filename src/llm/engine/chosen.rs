//! The one place that decides what computes, and that knows how each backend is sized and loaded.

use std::sync::Arc;

use crate::error::{Kind, Result};
use crate::llm::backend::Backend;
use crate::llm::backend::cpu::Cpu;
use crate::llm::backend::cuda::model::{self as cuda_model, Resident};
use crate::llm::backend::cuda::{Cuda, Packing};
use crate::llm::backend::reference::Reference;
use crate::llm::backend::timed::Timed;
use crate::llm::gguf::Gguf;
use crate::llm::model::{self, Loaded, Model, Sizes};
use crate::llm::settings::PackingChoice;
use crate::llm::{BackendKind, EmbeddingPlace, Hyper, Options, Settings};
use crate::units::Bytes;

/// The backend that computes.
#[allow(clippy::large_enum_variant)] // there is one, while a model is being loaded
pub(super) enum Chosen {
    Reference,
    Cpu,
    Cuda(Cuda),
}

impl Chosen {
    /// What the settings name; with `auto` the GPU where there is one, otherwise the CPU.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] saying what a GPU that was asked for lacks; [`Kind::Device`] where the GPU is lost to this process.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let settings = &options.settings;
        let gpu = || Cuda::new(settings.packing.first(), &options.kernels).map(Chosen::Cuda);
        match settings.backend {
            BackendKind::Reference => Ok(Chosen::Reference),
            BackendKind::Cpu => Ok(Chosen::Cpu),
            BackendKind::Cuda => gpu(),
            BackendKind::Auto => match gpu() {
                Err(e) if e.kind() == Kind::Unavailable => {
                    tracing::debug!("the language model runs on the CPU: {e}");
                    Ok(Chosen::Cpu)
                }
                gpu => gpu,
            },
        }
    }

    /// Bytes of the model and of one session, and what [`Backend::describe`] will say.
    pub(super) fn estimate(&self, file: &Gguf, hyper: &Hyper, settings: &Settings) -> Result<(Sizes, String)> {
        match self {
            Chosen::Reference => Ok((model::estimate(&Reference, file, hyper, settings)?, Reference.describe())),
            Chosen::Cpu => {
                // Sizes do not depend on the threads, and starting them for an estimate would be odd.
                let cpu = Cpu::new(1)?;
                let describe = Cpu::describe_with(cpu.isa(), settings.thread_count());
                Ok((model::estimate(&cpu, file, hyper, settings)?, describe))
            }
            Chosen::Cuda(cuda) => Ok((cuda_sizes(cuda, file, hyper, settings)?, cuda.describe())),
        }
    }

    /// As [`Chosen::estimate`], in what `free` leaves: a GPU's weights are packed more tightly where the settings allow it.
    pub(super) fn fit(&mut self, file: &Gguf, hyper: &Hyper, settings: &Settings, free: Bytes) -> Result<Sizes> {
        let sizes = self.estimate(file, hyper, settings)?.0;
        match self {
            Chosen::Cuda(cuda) if settings.packing == PackingChoice::Auto && sizes.total() > free => {
                cuda.pack(Packing::Base3);
                cuda_sizes(cuda, file, hyper, settings)
            }
            _ => Ok(sizes),
        }
    }

    /// The model, loaded.
    pub(super) fn load(self, file: &Arc<Gguf>, hyper: Hyper, options: &Options) -> Result<Arc<dyn Loaded>> {
        let settings = &options.settings;
        Ok(match self {
            Chosen::Reference => Arc::new(Model::load(Reference, file, hyper, settings)?),
            Chosen::Cpu => {
                let cpu = Cpu::new(settings.thread_count())?;
                match options.timed {
                    true => Arc::new(Model::load(Timed::new(cpu), file, hyper, settings)?),
                    false => Arc::new(Model::load(cpu, file, hyper, settings)?),
                }
            }
            Chosen::Cuda(cuda) => Arc::new(Resident::new(
                Model::load(cuda, file, hyper, settings)?,
                settings.embedding == EmbeddingPlace::Device,
            )?),
        })
    }
}

fn cuda_sizes(cuda: &Cuda, file: &Gguf, hyper: &Hyper, settings: &Settings) -> Result<Sizes> {
    let context = settings.context(hyper.context);
    let sizes = model::estimate(cuda, file, hyper, settings)?;
    let embedding = file.require_tensor("token_embd.weight")?;
    let on_device = (settings.embedding == EmbeddingPlace::Device).then_some(embedding);
    let session = (settings.chunk(context), context, settings.kv_precision);
    Ok(cuda_model::estimate(cuda, hyper, on_device, session, sizes))
}
