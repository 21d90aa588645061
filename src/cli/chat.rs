//! `tercet chat`: the agent's conversation in the terminal. Reads line by line, so it also works in a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::lines::{Input, Lines};
use super::partner::{Partner, PartnerArgs, Shown};
use super::{Context, out};
use crate::error::Result;
use crate::store::Paths;

/// Ctrl-C this soon after an answer was meant to stop that answer, not the program.
const LATE_PRESS: Duration = Duration::from_secs(1);

/// Converse with the agent in writing
///
/// Where the daemon runs, its conversation goes on here; otherwise this is one of its own, and timers ring and commands that
/// were kept for later run as long as it is open. In a terminal, lines can be edited, and the last thousand are kept in the state folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    partner: PartnerArgs,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let console = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut partner = Partner::open(&args.partner, ctx)?;
    let mut lines = Lines::read(console, Paths::from_env().state_dir().join("chat_history"))?;
    if console && !ctx.global.quiet {
        out::note(format!("{} · Ctrl-C stops an answer, Ctrl-D quits", partner.about()));
    }
    partner.warm_up();
    let mut answered = None;
    while let Some(text) = next_text(&mut lines, &partner, console, answered)? {
        lines.interrupt.take();
        let interrupt = lines.interrupt.clone();
        let mut shown = Shown::new(console);
        let answer = partner.ask(&text, &|| interrupt.is_raised(), &mut |event| shown.event(event))?;
        out::line("")?;
        if answer.finish == "repetition" && !ctx.global.quiet {
            out::note("(the answer began to repeat itself and was cut off)");
        }
        answered = Some(Instant::now());
    }
    if console { out::line("") } else { Ok(()) }
}

/// The next line that says something; `None` when there are no more. `answered`: when the last answer ended.
fn next_text(lines: &mut Lines, partner: &Partner, console: bool, answered: Option<Instant>) -> Result<Option<String>> {
    let mut presses = 0;
    loop {
        let Some(input) = lines.next(partner.next_due_in()) else {
            if let Some(due) = partner.take_due() {
                lines.aside(&format!("* {due}"));
            }
            continue;
        };
        match input {
            Input::Line(l) if !l.trim().is_empty() => return Ok(Some(l.trim().to_owned())),
            Input::Line(_) => {}
            Input::End => return Ok(None),
            Input::Failed(e) => return Err(e),
            Input::Interrupt if answered.is_some_and(|at| at.elapsed() < LATE_PRESS) => {}
            // In a terminal the first press at the prompt explains and the second exits.
            Input::Interrupt if console && presses == 0 => {
                presses += 1;
                lines.aside("(Ctrl-D or Ctrl-C again ends)");
            }
            Input::Interrupt => return Ok(None),
        }
    }
}
