//! `tercet ask`: one turn of the agent's conversation, in writing.

use super::complete::question;
use super::interrupt::{ASKED_TO_END, Interrupt};
use super::partner::{Partner, PartnerArgs, Shown};
use super::{Context, out};
use crate::api::wire::Answer;
use crate::error::{Error, Kind, Result};

/// Ask the agent one thing in writing, and print the answer
///
/// It answers as it would aloud: everyday commands, tools, timers. Where the daemon runs, it is asked (and its conversation
/// goes on); otherwise the conversation is of one turn, over the same timers and lists.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask or to tell it; `-` reads it from standard input
    #[arg(value_name = "TEXT")]
    text: String,
    /// Print one JSON object when the answer is complete
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    partner: PartnerArgs,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let text = question(args.text)?;
    let mut partner = Partner::open(&args.partner, ctx)?;
    let interrupt = Interrupt::listen(ASKED_TO_END, |_| ())?;
    let mut shown = Shown::new(false);
    let answer = partner.ask(&text, &|| interrupt.is_raised(), &mut |event| match args.json {
        true => Ok(()),
        false => shown.event(event),
    })?;
    match args.json {
        true => out::json(&answer)?,
        false => out::line("")?,
    }
    if !ctx.global.quiet {
        note(&partner, &answer);
    }
    match interrupt.is_raised() {
        true => Err(Error::new(Kind::Cancelled, "called off")),
        false => Ok(()),
    }
}

/// Says when something was set for later, and nothing is there to do it when its time comes.
fn note(partner: &Partner, answer: &Answer) {
    if answer.rings != Some(false) {
        return;
    }
    match partner.keeps() {
        true => out::note("note: the agent is not running, so nothing will ring or run: start it with tercet run"),
        false => {
            out::note("note: this was not kept, and nothing will ring or run: the state folder is another process's")
        }
    }
}
