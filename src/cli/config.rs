//! `tercet config`: what is configured, and whether it is right.

use clap::Subcommand;
use serde_json::json;

use super::{Context, out};
use crate::config::{self, Request};
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every file, variable and flag; list every problem
    Check(Format),
    /// Print the effective configuration as TOML, each key with where its value comes from
    Show(Format),
}

#[derive(Debug, clap::Args)]
struct Format {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let request = Request::from_process(ctx.global.config.as_deref(), &ctx.global.set);
    match args.action {
        Action::Check(format) => check(&request, format.json),
        Action::Show(format) => {
            let loaded = config::load(&request)?;
            if format.json { out::json(&loaded.to_json()) } else { out::text_raw(&loaded.to_toml()) }
        }
    }
}

fn check(request: &Request, as_json: bool) -> Result<()> {
    if as_json {
        let problems = config::gather(request).err().unwrap_or_default();
        let listed: Vec<_> = problems
            .iter()
            .map(|p| json!({ "origin": p.origin.to_string(), "key": p.key, "problem": p.text }))
            .collect();
        out::json(&json!({ "ok": problems.is_empty(), "problems": listed }))?;
    }
    let loaded = config::load(request)?;
    if as_json {
        return Ok(());
    }
    match loaded.files.as_slice() {
        [] => out::line("ok: no configuration file, built-in defaults"),
        files => {
            out::line(format!("ok: {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")))
        }
    }
}
