//! `tercet run`: the daemon, live or on recordings.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::{Context, input, log, out, panics, show};
use crate::audio;
use crate::audio::file::{Cue, Script, Sound, When};
use crate::budget::{Budget, Line, resident_now};
use crate::daemon::{self, Orders, Signals};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Notice, TurnLatency};
use crate::store::{Paths, StateFolder};
use crate::units::Bytes;

/// Listen for the wake word and converse until stopped (SIGTERM or Ctrl-C)
///
/// With --input it hears recordings instead of a microphone, as a person would say them: the first at once, each
/// further one when the reply to the previous one is over; then it exits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Hear these recordings (WAV or FLAC) instead of the microphone; "-" reads one from standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    input: Vec<PathBuf>,
    /// Write what is said to this WAV instead of the loudspeaker (only with --input)
    #[arg(long, value_name = "FILE", requires = "input")]
    replies: Option<PathBuf>,
    /// Write both voices to this WAV (only with --input)
    #[arg(long, value_name = "FILE", requires = "input")]
    mixed: Option<PathBuf>,
    /// Pause between a reply and the next recording, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 800, requires = "input")]
    pause_ms: u64,
    /// Mix the replies into what is heard, at this level in dB (to simulate echo; only with --input)
    #[arg(long, value_name = "DB", requires = "input", allow_negative_numbers = true)]
    echo_db: Option<f32>,
    /// Show live what is heard, thought and said
    #[arg(long)]
    show: bool,
    /// Print one JSON object per event
    #[arg(long)]
    json: bool,
    /// Print tables of latency and memory at the end
    #[arg(long)]
    report: bool,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    if args.json && args.show {
        return Err(Error::new(
            Kind::Usage,
            "--json and --show both write to standard output, one for programs and one for people",
        )
        .remedy("give only one of them"));
    }
    Signals::while_loading();
    let settings = ctx.settings()?;
    // Unreadable input is reported before the models are loaded.
    let script = script(&args)?;
    let paths = Paths::from_env();
    let state = StateFolder::own(paths.state_dir())?;
    let loaded = daemon::load(&settings, &paths, state, |part| {
        tracing::info!("loading: {part}");
        if args.show {
            out::note(format!("loading {part}"));
        }
    })?;
    let room = if args.input.is_empty() {
        loaded.open_devices(&settings)?
    } else {
        let room = audio::file::open(script)?;
        (room.source, room.output)
    };
    let budget = loaded.budget.clone();
    let report: Arc<Mutex<Report>> = Arc::default();
    let observer = observer(&args, settings.privacy.log_transcripts, budget.clone(), Arc::clone(&report));
    let about = loaded.about();
    let pipeline = loaded.start(&settings, room, Box::new(observer))?;
    let socket = daemon::serve(&paths, about, pipeline.control());
    let (stop, alive, broken) = (pipeline.control(), pipeline.control(), pipeline.control());
    let _panics = panics::on_panic(move |e| broken.fail(e));
    let (again, terminal) = (ctx.clone(), Terminal::now());
    // Until all is printed: a stopped reader must not keep the program from exiting.
    let _signals = Signals::start(Orders {
        stop: move || stop.stop(),
        reload: move || terminal.is_closed() || reload(&again),
        alive: move || alive.probe(),
    })?;
    let ended = pipeline.join();
    drop(socket);
    if args.report {
        let report = report.lock().unwrap_or_else(|p| p.into_inner());
        if args.json {
            out::json(&serde_json::json!({ "event": "report", "report": *report }))?;
        } else {
            out::line("")?;
            show::latency_table(&report.latency).print()?;
            out::line("")?;
            show::memory_table(&report.memory, budget.cap(), report.resident).print()?;
        }
    }
    ended?;
    // With recordings an interruption is worth reporting; a daemon that is stopped has done its work.
    if args.input.is_empty() { Ok(()) } else { out::Events::all_written() }
}

/// Reloads what can change at run time: the log level.
fn reload(ctx: &Context) -> bool {
    match ctx.settings() {
        Ok(_) if log::is_configurable() => tracing::info!("the log level was reloaded"),
        Ok(_) => tracing::info!("the log level is set by TERCET_LOG or a flag and stays as it is"),
        Err(e) => tracing::error!("the configuration was not reloaded: {e}"),
    }
    false
}

/// The terminal that the program was started from, which sends SIGHUP too: when it is closed.
struct Terminal {
    /// On which of standard output and error it was.
    on: [bool; 2],
}

impl Terminal {
    fn now() -> Self {
        Self { on: [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()] }
    }

    fn is_closed(&self) -> bool {
        self.on != Self::now().on
    }
}

/// The resources the conversation took, measured while its parts were alive.
#[derive(Default, Serialize)]
struct Report {
    latency: Vec<TurnLatency>,
    memory: Vec<Line>,
    resident: Bytes,
}

impl Report {
    fn look(&mut self, budget: &Budget) {
        self.resident = resident_now();
        budget.record_process(self.resident);
        self.memory = budget.lines();
    }
}

fn script(args: &Args) -> Result<Script> {
    input::stdin_once(&args.input)?;
    let when = |i| match i {
        0 => When::AfterStart { delay: Duration::from_millis(500) },
        _ => When::AfterReply { delay: Duration::from_millis(args.pause_ms) },
    };
    let cue = |(i, path): (usize, &PathBuf)| -> Result<Cue> {
        Ok(Cue { sound: Sound::Samples(input::clip_16k(path)?), when: when(i) })
    };
    Ok(Script {
        cues: args.input.iter().enumerate().map(cue).collect::<Result<_>>()?,
        echo_db: args.echo_db,
        replies_wav: args.replies.clone(),
        mixed_wav: args.mixed.clone(),
        ..Script::default()
    })
}

/// Prints, logs and collects what happens.
fn observer(
    args: &Args,
    log_transcripts: bool,
    budget: Budget,
    report: Arc<Mutex<Report>>,
) -> impl FnMut(Duration, &Notice) + Send + use<> {
    let (show, json, mut events) = (args.show, args.json, out::Events::default());
    move |at, notice| {
        let mut report = report.lock().unwrap_or_else(|p| p.into_inner());
        match notice {
            Notice::Ready => {
                Signals::ready();
                tracing::info!("listening");
                report.look(&budget);
            }
            // The reply is over: everything it needs has been used.
            Notice::Latency(l) => {
                report.latency.push(l.clone());
                report.look(&budget);
            }
            Notice::Heard { text: Some(text), .. } if log_transcripts => tracing::info!("heard: {text}"),
            Notice::Saying { text, .. } if log_transcripts => tracing::info!("said: {text}"),
            Notice::Written { text, .. } if log_transcripts => tracing::info!("wrote: {text}"),
            _ => {}
        }
        if json {
            events.json(&serde_json::json!({ "at_ms": at.as_millis() as u64, "notice": notice }));
        } else if show && let Some(line) = show::notice(at, notice) {
            events.line(&line);
        }
    }
}
