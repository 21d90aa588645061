//! What commands that talk with the language model share: finding and loading it, and answering a conversation.

use std::path::Path;
use std::sync::Arc;

use super::{Context, input, out};
use crate::budget::Budget;
use crate::config::{self, Flag, Settings};
use crate::error::Result;
use crate::llm::chat::Chat;
use crate::llm::grammar::Grammar;
use crate::llm::writer::{Answer, End, Limits, Writer};
use crate::llm::{self, Engine, Options, Sampling};
use crate::schema::{Message, Role, ToolSchema};
use crate::store;

/// Which model, and what computes it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EngineArgs {
    /// Model file (GGUF) or id, instead of the configured model (llm.model)
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<String>,
    /// Threads that compute (llm.threads); 0: one per CPU
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) threads: Option<String>,
    /// What computes: auto, cuda, cpu or reference (llm.backend)
    #[arg(long, value_name = "NAME")]
    pub(super) backend: Option<String>,
    /// Precision of the KV cache: f16, or int8 in half the memory (llm.kv_precision)
    #[arg(long, value_name = "PRECISION")]
    pub(super) kv: Option<String>,
    /// Where a GPU finds embedding rows: file (they take no GPU memory) or device (llm.embedding)
    #[arg(long, value_name = "PLACE")]
    pub(super) embedding: Option<String>,
}

/// How to talk with the bare model.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TalkArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// System message instead of the configured persona
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// 0 always takes the most likely token; higher values vary more (llm.sampling.temperature)
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<String>,
    /// The same seed gives the same words (llm.sampling.seed)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: usize,
    /// Do not restrict tool calls to the tools offered and the arguments they take
    #[arg(long)]
    free: bool,
}

impl EngineArgs {
    /// Configuration with these flags over it.
    pub(super) fn settings(&self, ctx: &Context) -> Result<Settings> {
        ctx.settings_with(self.flags())
    }

    pub(super) fn flags(&self) -> Vec<Flag> {
        let model = self.model.as_deref().map(model_value);
        let given = [
            ("--model", "llm.model", model.as_ref()),
            ("--threads", "llm.threads", self.threads.as_ref()),
            ("--backend", "llm.backend", self.backend.as_ref()),
            ("--kv", "llm.kv_precision", self.kv.as_ref()),
            ("--embedding", "llm.embedding", self.embedding.as_ref()),
        ];
        given.into_iter().filter_map(|(name, key, value)| flag(name, key, value)).collect()
    }
}

/// A flag that was given, as a setting.
pub(super) fn flag(name: &'static str, key: &'static str, value: Option<&String>) -> Option<Flag> {
    value.map(|v| Flag { name, key, value: v.clone() })
}

/// What `--model` names: a file, whatever it is called, or an id.
pub(super) fn model_value(given: &str) -> String {
    match Path::new(given).is_file() && !given.contains('/') {
        true => format!("./{given}"),
        false => given.to_owned(),
    }
}

/// Loads the configured model. A command holds one model and exits, so it is accounted for but never refused.
pub(super) fn load(settings: &llm::Settings) -> Result<Arc<Engine>> {
    load_timed(settings, false)
}

/// As [`load`]; with `timed`, each operation on the CPU is counted and timed.
pub(super) fn load_timed(settings: &llm::Settings, timed: bool) -> Result<Arc<Engine>> {
    input::no_stdin(Path::new(&settings.model), "a model")?;
    let paths = store::Paths::from_env();
    let options = Options { timed, ..config::engine_options(settings, &paths) };
    Engine::load(&store::model_path(&paths, &settings.model)?, &options, &Budget::unlimited())
}

impl TalkArgs {
    /// The model loaded, and the system message it is to follow.
    pub(super) fn load(&self, ctx: &Context) -> Result<(Talker, String)> {
        let mut flags = self.engine.flags();
        flags.extend(flag("--temperature", "llm.sampling.temperature", self.temperature.as_ref()));
        flags.extend(flag("--seed", "llm.sampling.seed", self.seed.as_ref()));
        let settings = ctx.settings_with(flags)?;
        let engine = load(&settings.llm)?;
        let system = self.system.clone().unwrap_or(settings.dialog.persona);
        Ok((Talker::new(engine, settings.llm.sampling, self.max_tokens, !self.free)?, system))
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
    /// The errors of the session, the template or `piece`.
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

/// Notes when an answer was cut off.
pub(super) fn note_end(answer: &Answer, ctx: &Context) {
    if answer.end == End::Repetition && !ctx.global.quiet {
        out::note("(the answer began to repeat itself and was cut off)");
    }
}
