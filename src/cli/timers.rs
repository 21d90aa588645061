//! `tercet timers`: what is set in the running agent.

use super::partner::running;
use super::{Context, out};
use crate::error::Result;
use crate::store::Paths;

/// List the timers that are set in the running agent
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    let set = running(&Paths::from_env())?.timers()?;
    if args.json {
        return out::json(&set);
    }
    let mut table = out::Table::new(["set", "left"]);
    set.timers.into_iter().for_each(|t| table.row([t.name, t.remaining]));
    if table.is_empty() { out::line("nothing is set") } else { table.print() }
}
