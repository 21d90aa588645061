//! The command line: one file per subcommand; this one holds what they share.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Flag, Request, Settings};
use crate::error::{Kind, Result};

pub mod announce;
pub mod ask;
pub mod bench;
pub mod chat;
pub mod complete;
pub mod config;
pub mod convert;
pub mod devices;
pub mod eval;
mod input;
pub mod inspect;
mod interrupt;
pub mod kernels;
mod lines;
#[cfg(feature = "voice")]
pub mod listen;
mod log;
mod lossy;
mod model;
pub mod models;
pub mod out;
mod panics;
mod partner;
mod perplexity;
pub mod plan;
mod process;
#[cfg(feature = "voice")]
pub mod run;
#[cfg(feature = "voice")]
pub mod say;
#[cfg(feature = "voice")]
mod show;
pub mod status;
pub mod timers;
#[cfg(feature = "voice")]
pub mod transcribe;

/// A voice agent that lives on one small machine.
///
/// Speech in, a ternary (1.58-bit) language model, speech out; offline, under one memory budget.
#[derive(Debug, Parser)]
#[command(name = "tercet", version, about, long_about, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options every subcommand takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file ("-": standard input), instead of /etc/tercet/tercet.toml and ~/.config/tercet/tercet.toml
    #[arg(long, global = true, value_name = "FILE", env = "TERCET_CONFIG")]
    pub config: Option<PathBuf>,
    /// Override one setting, for example --set llm.threads=2 (repeatable)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Log more than log.level says (-v info, -vv debug, -vvv trace); TERCET_LOG takes a filter such as tercet::audio=debug
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print results and errors only: no progress, no warnings
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What a subcommand is given beside its own arguments.
#[derive(Debug, Clone)]
pub struct Context {
    pub global: Global,
}

impl Context {
    /// The effective settings: files, environment and flags.
    ///
    /// # Errors
    /// Names every problem of the configuration.
    pub fn settings(&self) -> Result<Settings> {
        self.settings_with(Vec::new())
    }

    /// The effective settings, with the command's own flags as the uppermost layer.
    ///
    /// # Errors
    /// As [`Context::settings`]; what is wrong with a flag names the flag.
    pub fn settings_with(&self, flags: Vec<Flag>) -> Result<Settings> {
        let settings = crate::config::load(&Request { flags, ..self.request() })?.settings;
        log::configured(&settings.log.level);
        Ok(settings)
    }

    /// Where the configuration is looked for.
    pub fn request(&self) -> Request {
        Request::from_process(self.global.config.as_deref(), &self.global.set)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "voice")]
    Run(run::Args),
    Ask(ask::Args),
    Chat(chat::Args),
    Status(status::Args),
    Timers(timers::Args),
    Announce(announce::Args),
    Complete(complete::Args),
    #[cfg(feature = "voice")]
    Listen(listen::Args),
    #[cfg(feature = "voice")]
    Transcribe(transcribe::Args),
    #[cfg(feature = "voice")]
    Say(say::Args),
    /// List microphones and loudspeakers, or try them
    Devices(devices::Args),
    /// List, fetch and verify models
    Models(models::Args),
    /// Show how much memory the agent will use, and whether it fits
    Plan(plan::Args),
    /// Check or show the configuration
    Config(config::Args),
    /// Measure speed on this machine
    Bench(bench::Args),
    /// Measure the quality of the language model
    Eval(eval::Args),
    Convert(convert::Args),
    Inspect(inspect::Args),
    /// Compile the GPU's kernels
    Kernels(kernels::Args),
}

impl Command {
    fn run(self, ctx: &Context) -> Result<()> {
        match self {
            Command::Ask(args) => ask::run(args, ctx),
            Command::Chat(args) => chat::run(args, ctx),
            Command::Status(args) => status::run(args, ctx),
            Command::Timers(args) => timers::run(args, ctx),
            Command::Announce(args) => announce::run(args, ctx),
            Command::Complete(args) => complete::run(args, ctx),
            Command::Bench(args) => bench::run(args, ctx),
            Command::Eval(args) => eval::run(args, ctx),
            Command::Plan(args) => plan::run(args, ctx),
            Command::Convert(args) => convert::run(args, ctx),
            Command::Inspect(args) => inspect::run(args, ctx),
            Command::Models(args) => models::run(args, ctx),
            Command::Kernels(args) => kernels::run(args, ctx),
            Command::Config(args) => config::run(args, ctx),
            #[cfg(feature = "voice")]
            Command::Run(args) => run::run(args, ctx),
            Command::Devices(args) => devices::run(args, ctx),
            #[cfg(feature = "voice")]
            Command::Listen(args) => listen::run(args, ctx),
            #[cfg(feature = "voice")]
            Command::Transcribe(args) => transcribe::run(args, ctx),
            #[cfg(feature = "voice")]
            Command::Say(args) => say::run(args, ctx),
        }
    }
}

/// Parses the process's arguments, runs the command and turns its outcome into an exit status:
/// 0 success, 64–78 as [`Kind::exit_code`] says; a panic in any thread is [`Kind::Internal`].
pub fn main() -> ExitCode {
    process::prepare();
    panics::install();
    let outcome = panics::caught(|| match Cli::try_parse() {
        Ok(cli) => {
            log::init(&cli.global);
            let ctx = Context { global: cli.global };
            cli.command.run(&ctx).map(|()| ExitCode::SUCCESS)
        }
        Err(e) => not_a_command(&e),
    });
    match outcome {
        Some(Ok(code)) => code,
        Some(Err(e)) => {
            out::error(&e);
            ExitCode::from(e.kind().exit_code())
        }
        None => ExitCode::from(Kind::Internal.exit_code()),
    }
}

/// Prints the help or version that was asked for, or what is wrong with the arguments.
fn not_a_command(e: &clap::Error) -> Result<ExitCode> {
    let text = |colours: bool| if colours { e.render().ansi().to_string() } else { e.render().to_string() };
    if e.use_stderr() {
        out::raw_note(&text(std::io::stderr().is_terminal()));
        return Ok(ExitCode::from(Kind::Usage.exit_code()));
    }
    match out::text_raw(&text(std::io::stdout().is_terminal())) {
        // A reader that closes the pipe early is not an error here.
        Err(e) if e.kind() != Kind::Cancelled => Err(e),
        _ => Ok(ExitCode::SUCCESS),
    }
}
