//! Whom `ask` and `chat` talk with: the daemon where one runs, or else a conversation of their own.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{self, EngineArgs, flag};
use super::{Context, out};
use crate::api::Client;
use crate::api::wire::{Answer, Event, Outcome};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Conversation, WrittenParts};
use crate::store::{Paths, PrefixCache, StateFolder};
use crate::tools::{Clock, Registry};

/// How long the state folder may be another command's, which is done soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(50);

/// A conversation of one's own, where one is wanted: any of these flags asks for it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of a conversation of its own, without the daemon")]
pub(super) struct PartnerArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// 0 always takes the most likely token; higher values vary more (llm.sampling.temperature)
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<String>,
    /// The same seed gives the same words (llm.sampling.seed)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Longest answer, in tokens (dialog.reply_tokens)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_tokens: Option<String>,
}

pub(super) enum Partner {
    /// Each question has a connection of its own: one that asks nothing for a while is closed.
    Daemon(Paths),
    Own {
        conversation: Box<Conversation>,
        /// Held as long as anything may be written there.
        state: Option<StateFolder>,
    },
}

impl Partner {
    /// # Errors
    /// Those of the configuration and of loading the model.
    pub(super) fn open(args: &PartnerArgs, ctx: &Context) -> Result<Self> {
        let mut flags = args.engine.flags();
        flags.extend(flag("--temperature", "llm.sampling.temperature", args.temperature.as_ref()));
        flags.extend(flag("--seed", "llm.sampling.seed", args.seed.as_ref()));
        flags.extend(flag("--max-tokens", "dialog.reply_tokens", args.max_tokens.as_ref()));
        // Settings that were given for this conversation are not the daemon's.
        let of_its_own = !flags.is_empty() || !ctx.global.set.is_empty();
        let settings = ctx.settings_with(flags)?;
        let paths = Paths::from_env();
        match find_or_own(&paths, of_its_own) {
            Ok(()) => Ok(Self::Daemon(paths)),
            Err(state) => Self::own(&settings, state),
        }
    }

    fn own(settings: &Settings, state: Result<StateFolder>) -> Result<Self> {
        let state = match state {
            Ok(state) => Some(state),
            Err(e) => {
                out::note(format!("note: {e}, and does not answer: nothing of this conversation is kept"));
                None
            }
        };
        let folder = state.as_ref().map(StateFolder::path);
        let parts = WrittenParts {
            dialog: settings.dialog.clone(),
            sampling: settings.llm.sampling.clone(),
            engine: model::load(&settings.llm)?,
            tools: Arc::new(Registry::new(&settings.tools, folder, Clock::system())?),
            prefixes: folder.map(|f| PrefixCache::new(f.join("kv"))),
        };
        Ok(Self::Own { conversation: Box::new(Conversation::new(parts)?), state })
    }

    /// Whether what is set outlives this conversation.
    pub(super) fn keeps(&self) -> bool {
        matches!(self, Self::Daemon(_) | Self::Own { state: Some(_), .. })
    }

    /// Who answers, in a few words.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Daemon(_) => "the running agent".to_owned(),
            Self::Own { conversation, .. } => {
                let e = conversation.engine();
                format!("{} · {}", e.name(), e.backend())
            }
        }
    }

    /// Computes beforehand what the first answer would wait for.
    pub(super) fn warm_up(&mut self) {
        if let Self::Own { conversation, .. } = self {
            conversation.warm_up(&|| false);
        }
    }

    /// How long until something that was set here is due. What is set in the daemon rings there.
    pub(super) fn next_due_in(&self) -> Option<Duration> {
        match self {
            Self::Own { conversation, .. } => conversation.next_due_in(),
            Self::Daemon(_) => None,
        }
    }

    /// What is due by now, in words.
    pub(super) fn take_due(&self) -> Option<String> {
        match self {
            Self::Own { conversation, .. } => conversation.take_due(),
            Self::Daemon(_) => None,
        }
    }

    /// One turn. When `cancelled`, the answer is what has come so far.
    ///
    /// # Errors
    /// Those of the model, of the daemon or of `on`.
    pub(super) fn ask(
        &mut self,
        text: &str,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut dyn FnMut(&Event) -> Result<()>,
    ) -> Result<Answer> {
        let mut shown = Ok(());
        let mut show = |event: &Event| {
            if shown.is_ok() {
                shown = on(event);
            }
        };
        let answer = match self {
            Self::Daemon(paths) => match running(paths)?.ask(text, cancelled, &mut |event| show(&event)) {
                Err(e) if e.kind() == Kind::Cancelled => called_off(),
                answer => answer?,
            },
            Self::Own { conversation, .. } => {
                let turn = conversation.ask(text, cancelled, &mut |told| {
                    if let Some(event) = Event::of(told) {
                        show(&event);
                    }
                })?;
                Answer::of(turn, false)
            }
        };
        shown.map(|()| answer)
    }
}

/// The running daemon.
///
/// # Errors
/// [`Kind::Unavailable`] where none runs.
pub(super) fn running(paths: &Paths) -> Result<Client> {
    Client::find(paths).ok_or_else(|| {
        Error::new(Kind::Unavailable, "the agent is not running, or you may not ask it")
            .remedy("start it with tercet run; for the service, be a member of the group tercet")
    })
}

/// Whether a daemon runs, unless a conversation `of_its_own` is wanted; otherwise the state folder, or why it is not to be
/// had.
fn find_or_own(paths: &Paths, of_its_own: bool) -> Result<(), Result<StateFolder>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if !of_its_own && Client::find(paths).is_some() {
            return Ok(());
        }
        match StateFolder::own(paths.state_dir()) {
            // Another command, or a daemon that is about to open its socket.
            Err(_) if Instant::now() < until => std::thread::sleep(AGAIN),
            state => return Err(state),
        }
    }
}

/// What is left of a question to the daemon that was called off.
fn called_off() -> Answer {
    Answer {
        answer: String::new(),
        calls: Vec::new(),
        finish: "interrupted".to_owned(),
        rings: None,
        first_word_ms: None,
        total_ms: 0,
        prompt_tokens: 0,
        answer_tokens: 0,
    }
}

/// A turn on the terminal, as it comes.
pub(super) struct Shown {
    /// Whether calls are shown too.
    calls: bool,
    dim: bool,
    /// Something of the answer stands in this line.
    begun: bool,
}

impl Shown {
    pub(super) fn new(calls: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self { calls, dim: !plain && std::io::stdout().is_terminal(), begun: false }
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Said { text } => {
                let before = if std::mem::replace(&mut self.begun, true) { " " } else { "" };
                out::text_raw(&format!("{before}{text}"))
            }
            Event::Call { name, arguments } if self.calls => self.aside(&call(name, arguments)),
            Event::Result(outcome) if self.calls => scheduled(outcome).map_or(Ok(()), |text| self.aside(&text)),
            Event::Trouble { part, message } => {
                out::note(format!("{part}: {message}"));
                Ok(())
            }
            Event::Call { .. } | Event::Result(_) => Ok(()),
        }
    }

    /// A line beside the answer.
    fn aside(&mut self, text: &str) -> Result<()> {
        let before = if std::mem::replace(&mut self.begun, false) { "\n" } else { "" };
        match self.dim {
            true => out::text_raw(&format!("{before}\x1b[2m{text}\x1b[0m\n")),
            false => out::text_raw(&format!("{before}{text}\n")),
        }
    }
}

/// `· set_timer duration=10 minutes`
fn call(name: &str, arguments: &serde_json::Map<String, serde_json::Value>) -> String {
    let value = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let arguments: String = arguments.iter().map(|(k, v)| format!(" {k}={}", value(v))).collect();
    format!("· {name}{arguments}")
}

fn scheduled(outcome: &Outcome) -> Option<String> {
    outcome.when.as_ref().map(|when| format!("  at {when}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_call_is_one_line() {
        let arguments = json!({ "duration": "10 minutes", "on": true });
        let line = super::call("set_timer", arguments.as_object().expect("an object"));
        assert_eq!(line, "· set_timer duration=10 minutes on=true");
    }
}
