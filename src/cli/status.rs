//! `tercet status`: how the running agent is.

use std::time::Duration;

use super::partner::running;
use super::{Context, out};
use crate::error::Result;
use crate::store::Paths;

/// Show whether the agent runs, and how it is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    let status = running(&Paths::from_env())?.status()?;
    if args.json {
        return out::json(&status);
    }
    let state = format!("{:?}", status.state).to_lowercase();
    let microphone = if status.microphone { "there" } else { "away" };
    let mut table = out::Table::new(["tercet", &status.version]);
    for (what, text) in [
        ("state", state.as_str()),
        ("microphone", microphone),
        ("model", &status.model),
        ("backend", &status.backend),
        ("up for", &format!("{:?}", Duration::from_secs(status.uptime_s))),
        ("state folder", &status.state_folder),
    ] {
        table.row([what, text]);
    }
    table.print()
}
