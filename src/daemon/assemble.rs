//! Loads every part of the agent, each under its own reservation, in the order that lets memory be measured best.

use std::sync::Arc;

use super::serve::About;
use crate::audio::{self, Output, Source};
use crate::budget::{Budget, Reservation, resident_now};
use crate::config::{self, Settings};
use crate::error::Result;
use crate::hear::{Ears, Stt, wake};
use crate::llm::Engine;
use crate::onnx;
use crate::pipeline::{Archive, Observer, Parts, Pipeline};
use crate::speak::Voice;
use crate::store::{self, Paths, PrefixCache, StateFolder};
use crate::tools::{Clock, Registry};

/// Microphone and loudspeaker, live or from files.
type Room = (Box<dyn Source>, Arc<dyn Output>);

/// Everything loaded and not yet started.
pub struct Loaded {
    pub budget: Budget,
    ears: Ears,
    stt: Stt,
    engine: Arc<Engine>,
    voice: Voice,
    tools: Arc<Registry>,
    archive: Option<Archive>,
    prefixes: PrefixCache,
    standing: Vec<Reservation>,
    state: StateFolder,
}

/// Loads the models. The plan is checked first: what cannot fit is refused before anything is allocated. Timers and what
/// else outlives a restart are kept in `state`. `step` is called with what is being loaded.
///
/// # Errors
/// Those of the parts: a model that is missing or corrupt, a budget that is too small, a bad tool configuration.
pub fn load(settings: &Settings, paths: &Paths, state: StateFolder, mut step: impl FnMut(&str)) -> Result<Loaded> {
    config::memory_plan(settings, paths)?.check()?;
    let budget = Budget::new(config::effective_cap(settings).0);
    let standing = settings.budget.reserve_standing(&budget)?;
    budget.record_process(resident_now());
    let tools = Arc::new(Registry::new(&settings.tools, Some(state.path()), Clock::system())?);

    onnx::init_reserved(&store::locate(paths, "onnxruntime")?, &budget)?;
    step("language model");
    let engine = Engine::load(
        &store::model_path(paths, &settings.llm.model)?,
        &config::engine_options(&settings.llm, paths),
        &budget,
    )?;
    step("speech recognition");
    let mut stt = Stt::load(&settings.hear.stt, settings.hear.turn.max_utterance_s, paths, &budget)?;
    stt.drop_phrases(settings.hear.wake.models.iter().map(|m| wake::phrase(m)));
    step("voice");
    let voice = Voice::load(&settings.speak, paths, &budget)?;
    step("wake word and voice activity");
    let ears = Ears::load(&settings.hear, paths, &budget)?;
    let archive = settings.privacy.keep_audio.then(|| Archive::open(state.path().join("audio"))).transpose()?;
    let prefixes = PrefixCache::new(state.path().join("kv"));
    Ok(Loaded { budget, ears, stt, engine, voice, tools, archive, prefixes, standing, state })
}

impl Loaded {
    /// What the socket tells of it.
    pub fn about(&self) -> About {
        About {
            tools: Arc::clone(&self.tools),
            model: self.engine.name().to_owned(),
            backend: self.engine.backend(),
            state_folder: self.state.path().to_owned(),
        }
    }

    /// The live devices of the settings.
    ///
    /// # Errors
    /// When there is no such device, with what to do about it.
    pub fn open_devices(&self, settings: &Settings) -> Result<Room> {
        audio::open(&settings.audio, &self.budget)
    }

    /// Starts the conversation.
    ///
    /// # Errors
    /// As [`Pipeline::start`].
    pub fn start(self, settings: &Settings, room: Room, observer: Box<dyn Observer>) -> Result<Pipeline> {
        let (source, output) = room;
        Pipeline::start(Parts {
            partials: settings.hear.stt.partials,
            dialog: settings.dialog.clone(),
            sampling: settings.llm.sampling.clone(),
            source,
            output,
            ears: self.ears,
            stt: self.stt,
            engine: self.engine,
            voice: self.voice,
            tools: self.tools,
            prefixes: Some(self.prefixes),
            archive: self.archive,
            standing: self.standing,
            state: Some(self.state),
            observer,
        })
    }
}
