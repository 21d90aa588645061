//! `tercet config`: what is configured, and whether it is right.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Context, out};
use crate::config::{self, Mistake, Request};
use crate::error::Result;
use crate::store::Paths;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every file, variable and flag; list everything that is wrong
    ///
    /// Also looks for what the settings name. Anything that can never work as written is a problem, and the exit status is
    /// 78: an unknown model, voice or wake word, a file or program that is not there. Anything that is right but not here yet is
    /// a note, and the status stays 0: a known model that has not been fetched, a microphone that is not plugged in.
    Check(Format),
    /// Print the effective configuration as TOML, with the origin of each value
    Show(Format),
}

#[derive(Debug, clap::Args)]
struct Format {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let request = ctx.request();
    match args.action {
        Action::Check(format) => check(&request, format.json, ctx.global.quiet),
        Action::Show(format) => {
            let loaded = config::load(&request)?;
            if format.json { out::json(&loaded.to_json()) } else { out::text_raw(&loaded.to_toml()) }
        }
    }
}

fn check(request: &Request, as_json: bool, quiet: bool) -> Result<()> {
    let checked = config::check(request, &Paths::from_env());
    if as_json {
        let listed = |all: &[Mistake], what: &str| -> Vec<Value> {
            all.iter().map(|m| json!({ "origin": m.origin.to_string(), "key": m.key, what: m.text })).collect()
        };
        out::json(&json!({
            "ok": checked.mistakes.is_empty(),
            "problems": listed(&checked.mistakes, "problem"),
            "notes": listed(&checked.notes, "note"),
        }))?;
        return checked.result();
    }
    if !quiet {
        checked.notes.iter().for_each(|n| out::note(format!("note: {n}")));
    }
    checked.result()?;
    match checked.files.as_slice() {
        [] => out::line("ok: no configuration file, built-in defaults"),
        files => {
            out::line(format!("ok: {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")))
        }
    }
}
