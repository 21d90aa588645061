//! What commands that talk with the language model share: finding and loading it, and answering a conversation.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use crate::budget::Budget;
use crate::config::Settings;
use crate::error::{Kind, Result};
use crate::llm::chat::Chat;
use crate::llm::grammar::Grammar;
use crate::llm::tokenizer::StreamDecoder;
use crate::llm::{self, BackendKind, EmbeddingPlace, Engine, Finish, KvPrecision, Options, Sampler, Sampling, Session};
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
    pub(super) fn load(&self, settings: &llm::Settings, options: &Options) -> Result<Arc<Engine>> {
        let paths = store::Paths::from_env();
        let path = match &self.model {
            Some(path) => path.clone(),
            None => settings.model_path(&paths)?,
        };
        let options = Options { kernels: paths.kernel_folders().to_vec(), ..options.clone() };
        Engine::load(&path, &options, &Budget::unlimited())
    }
}

impl TalkArgs {
    /// The model loaded, and the system message it is to follow.
    pub(super) fn load(&self, ctx: &Context) -> Result<(Talker, String)> {
        let settings = self.engine.settings(ctx)?;
        let engine = self.engine.load(&settings.llm, &settings.llm.options())?;
        let mut sampling = settings.llm.sampling;
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.seed = self.seed.unwrap_or(sampling.seed);
        let system = self.system.clone().unwrap_or(settings.dialog.persona);
        Ok((Talker::new(engine, sampling, self.max_tokens, !self.free)?, system))
    }
}

/// A model in conversation: one session that keeps what two prompts have in common.
pub(super) struct Talker {
    engine: Arc<Engine>,
    chat: Chat,
    session: Session,
    sampler: Sampler,
    max_tokens: usize,
    constrained: bool,
    /// The grammar of a system message's tools.
    grammar: Option<(String, Option<Arc<Grammar>>)>,
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) end: End,
    pub(super) prompt_tokens: usize,
    pub(super) tokens: usize,
    /// From the question to the first token.
    pub(super) first_token: Duration,
    pub(super) took: Duration,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The model ended it.
    Stop,
    /// It reached the longest allowed, or the context was full.
    Length,
    /// The person stopped it.
    Interrupted,
}

impl End {
    pub(super) fn name(self) -> &'static str {
        match self {
            End::Stop => "stop",
            End::Length => "length",
            End::Interrupted => "interrupted",
        }
    }
}

impl Answer {
    /// Decoding speed: tokens after the first.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let seconds = self.took.saturating_sub(self.first_token).as_secs_f64();
        if self.tokens > 1 && seconds > 0.0 { (self.tokens - 1) as f64 / seconds } else { 0.0 }
    }
}

impl Talker {
    /// `constrained`: calls are held to the tools that the system message offers, one signature a line.
    pub(super) fn new(engine: Arc<Engine>, sampling: Sampling, max_tokens: usize, constrained: bool) -> Result<Self> {
        Ok(Self {
            chat: Chat::from_gguf(engine.file(), engine.tokenizer())?,
            session: engine.session()?,
            sampler: Sampler::new(sampling),
            engine,
            max_tokens,
            constrained,
            grammar: None,
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the conversation leaves room for an answer: the longest allowed, or a quarter of the context.
    pub(super) fn fits(&self, messages: &[Message]) -> Result<bool> {
        let prompt = self.chat.render(self.engine.tokenizer(), messages, true)?.len();
        Ok(prompt + self.max_tokens.min(self.engine.context() / 4) <= self.engine.context())
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
        let grammar = Grammar::new(&ToolSchema::offered_by(&system.content), self.chat.call_style())?;
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
        let started = Instant::now();
        let matcher = self.grammar(messages)?.map(|g| g.matcher());
        let tokenizer = self.engine.tokenizer();
        let prompt = self.chat.render(tokenizer, messages, true)?;
        let mut answer = Answer {
            text: String::new(),
            end: End::Interrupted,
            prompt_tokens: prompt.len(),
            tokens: 0,
            first_token: Duration::ZERO,
            took: Duration::ZERO,
        };
        match self.session.sync(&prompt, cancelled) {
            Err(e) if e.kind() == Kind::Cancelled => return Ok(answer),
            synced => synced?,
        };
        let mut decoder = StreamDecoder::default();
        let mut generation =
            self.session.generate(&mut self.sampler, tokenizer.stops(), self.max_tokens, cancelled).held_to(matcher);
        let mut stopped = false;
        for token in generation.by_ref() {
            let token = match token {
                Err(e) if e.kind() == Kind::Cancelled => {
                    stopped = true;
                    break;
                }
                token => token?,
            };
            answer.tokens += 1;
            if answer.tokens == 1 {
                answer.first_token = started.elapsed();
            }
            let from = answer.text.len();
            decoder.push(tokenizer, token, &mut answer.text);
            if answer.text.len() > from {
                piece(&answer.text[from..])?;
            }
        }
        answer.end = match generation.finish() {
            _ if stopped => End::Interrupted,
            Some(Finish::Stop(_)) => End::Stop,
            _ => End::Length,
        };
        let from = answer.text.len();
        decoder.finish(&mut answer.text);
        if answer.text.len() > from {
            piece(&answer.text[from..])?;
        }
        answer.took = started.elapsed();
        Ok(answer)
    }
}
