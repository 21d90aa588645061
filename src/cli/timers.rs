//! `tercet timers`: what is set in the running agent.

use super::partner::running;
use super::{Context, out};
use crate::error::Result;
use crate::store::Paths;

/// List what is set in the running agent: timers, alarms, reminders, commands for later
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A moment as clocks here show it.
fn local(at: &str) -> Option<String> {
    let at: jiff::Timestamp = at.parse().ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %Y-%m-%d %H:%M").to_string())
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    let set = running(&Paths::from_env())?.timers()?;
    if args.json {
        return out::json(&set);
    }
    let mut table = out::Table::new(["set", "what", "when"]);
    for timer in set.timers {
        let left = timer.remaining.map(|left| format!("in {left}"));
        let at = timer.at.map(|at| local(&at).unwrap_or(at));
        table.row([timer.name, timer.kind, left.or(at).unwrap_or_default()]);
    }
    if table.is_empty() { out::line("nothing is set") } else { table.print() }
}
