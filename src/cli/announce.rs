//! `tercet announce`: has the running agent say something aloud.

use super::partner::running;
use super::{Context, complete};
use crate::error::Result;
use crate::store::Paths;

/// Have the running agent say a text aloud, when nothing else is going on
///
/// `say` speaks without the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to say, at most 500 characters; `-` reads it from standard input
    #[arg(value_name = "TEXT")]
    text: String,
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    let text = complete::question(args.text)?;
    running(&Paths::from_env())?.say(&text)
}
