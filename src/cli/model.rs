//! What commands that talk with the language model share: finding and loading it, and answering a conversation.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Context, out};
use crate::budget::Budget;
use crate::config::{self, Settings};
use crate::error::Result;
use crate::llm::chat::Chat;
use crate::llm::grammar::Grammar;
use crate::llm::writer::{Answer, End, Limits, Writer};
use crate::llm::{self, BackendKind, EmbeddingPlace, Engine, KvPrecision, Options, Sampling};
use crate::schema::{Message, Role, ToolSchema};
use crate::store;

/// Which model, and what computes it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EngineArgs {
    /// Model file (GGUF) in place of the configured model
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Threads that compute; 0: one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
    threads: Option<u16>,
    /// What computes: auto, cuda, cpu or reference
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendKind>,
    /// How keys and values are kept: f16, or int8 in half the memory
    #[arg(long, value_name = "PRECISION")]
    kv: Option<KvPrecision>,
    /// Where a GPU finds the embedding's rows: file (nothing of it in the GPU's memory) or device
    #[arg(long, value_name = "PLACE")]
    embedding: Option<EmbeddingPlace>,
}

/// How to talk with it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TalkArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// System message in place of the configured persona
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// 0 always takes the likeliest word; higher is more varied
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Same seed, same words
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Longest answer
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: usize,
    /// Let it write calls of tools that are not offered, or with arguments that they do not take
    #[arg(long)]
    free: bool,
}

impl EngineArgs {
    /// Configuration with these options over it.
    pub(super) fn settings(&self, ctx: &Context) -> Result<Settings> {
        let mut settings = ctx.settings()?;
        if let Some(n) = self.threads {
            settings.llm.threads = usize::from(n);
        }
        if let Some(b) = self.backend {
            settings.llm.backend = b;
        }
        if let Some(kv) = self.kv {
            settings.llm.kv_precision = kv;
        }
        if let Some(place) = self.embedding {
            settings.llm.embedding = place;
        }
        Ok(settings)
    }

    /// Only what is said here.
    pub(super) fn new(
        model: Option<PathBuf>,
        threads: Option<u16>,
        backend: Option<BackendKind>,
        kv: Option<KvPrecision>,
        embedding: Option<EmbeddingPlace>,
    ) -> Self {
        Self { model, threads, backend, kv, embedding }
    }

    /// Loads the model. The command holds one and ends: accounted, never refused.
    pub(super) fn load(&self, settings: &llm::Settings) -> Result<Arc<Engine>> {
        self.load_timed(settings, false)
    }

    /// As [`EngineArgs::load`]; with `timed`, each operation on the CPU is counted and timed.
    pub(super) fn load_timed(&self, settings: &llm::Settings, timed: bool) -> Result<Arc<Engine>> {
        let paths = store::Paths::from_env();
        let path = match &self.model {
            Some(path) => path.clone(),
            None => store::model_path(&paths, &settings.model)?,
        };
        let options = Options { timed, ..config::engine_options(settings, &paths) };
        Engine::load(&path, &options, &Budget::unlimited())
    }
}

impl TalkArgs {
    /// The model loaded, and the system message it is to follow.
    pub(super) fn load(&self, ctx: &Context) -> Result<(Talker, String)> {
        let settings = self.engine.settings(ctx)?;
        let engine = self.engine.load(&settings.llm)?;
        let mut sampling = settings.llm.sampling;
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.seed = self.seed.unwrap_or(sampling.seed);
        let system = self.system.clone().unwrap_or(settings.dialog.persona);
        Ok((Talker::new(engine, sampling, self.max_tokens, !self.free)?, system))
    }
}

/// A model in conversation.
pub(super) struct Talker {
    writer: Writer,
    max_tokens: usize,
    constrained: bool,
    /// The grammar of a system message's tools.
    grammar: Option<(String, Option<Arc<Grammar>>)>,
}

impl Talker {
    /// `constrained`: calls are held to the tools that the system message offers, one signature a line.
    pub(super) fn new(engine: Arc<Engine>, sampling: Sampling, max_tokens: usize, constrained: bool) -> Result<Self> {
        let chat = Arc::new(Chat::from_gguf(engine.file(), engine.tokenizer())?);
        Ok(Self { writer: Writer::new(engine, chat, sampling)?, max_tokens, constrained, grammar: None })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.writer.engine()
    }

    /// Whether the conversation leaves room for an answer: the longest allowed, or a quarter of the context.
    pub(super) fn fits(&self, messages: &[Message]) -> Result<bool> {
        let context = self.engine().context();
        Ok(self.writer.prompt_tokens(messages)? + self.max_tokens.min(context / 4) <= context)
    }

    /// The grammar of the tools that a conversation offers, made once for each system message.
    fn grammar(&mut self, messages: &[Message]) -> Result<Option<Arc<Grammar>>> {
        let Some(system) = messages.iter().find(|m| m.role == Role::System).filter(|_| self.constrained) else {
            return Ok(None);
        };
        if let Some((of, grammar)) = &self.grammar
            && *of == system.content
        {
            return Ok(grammar.clone());
        }
        let grammar = Grammar::new(&ToolSchema::offered_by(&system.content), self.writer.chat().call_style())?;
        self.grammar = Some((system.content.clone(), grammar.clone()));
        Ok(grammar)
    }

    /// Answers the conversation; `piece` gets the text as it comes. When `cancelled`, what has come is the answer.
    ///
    /// # Errors
    /// What the session, the template or `piece` says.
    pub(super) fn answer(
        &mut self,
        messages: &[Message],
        cancelled: &dyn Fn() -> bool,
        piece: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Answer> {
        let grammar = self.grammar(messages)?;
        // The longest answer is what was asked for, calls or not.
        let limits = Limits { tokens: self.max_tokens, call_tokens: 0 };
        self.writer.write(messages, grammar.as_ref(), limits, cancelled, &mut |p| piece(p.text))
    }
}

/// Says so where an answer did not end as the model meant it to.
pub(super) fn note_end(answer: &Answer, ctx: &Context) {
    if answer.end == End::Repetition && !ctx.global.quiet {
        out::note("(the answer began to repeat itself and was ended)");
    }
}
