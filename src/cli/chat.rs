//! `tercet chat`: a conversation in the terminal, streamed. Reads questions line by line, so it also works in a pipe.

use std::io::{BufRead, IsTerminal, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::interrupt::{Interrupt, PRESSED};
use super::model::{TalkArgs, Talker, note_end};
use super::{Context, out};
use crate::error::{Error, Kind, Result};
use crate::schema::{Message, Role};

/// Longest line taken as one question.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Ctrl-C this soon after an answer was meant to stop that answer, not the program.
const LATE_PRESS: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    talk: TalkArgs,
}

/// What the user does.
enum Input {
    Line(String),
    End,
    Interrupt,
    Failed(Error),
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let (mut talker, system) = args.talk.load(ctx)?;
    // One line waits at most; a faster pipe is read as fast as answers come.
    let (send, inputs) = sync_channel(1);
    let pressed = send.clone();
    // Dropped where a line waits already: the raised flag alone stops the answer being written.
    let interrupt = Interrupt::listen(PRESSED, move |_| drop(pressed.try_send(Input::Interrupt)))?;
    read_lines(send)?;

    let console = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if console && !ctx.global.quiet {
        let e = talker.engine();
        out::note(format!("{} · {} · Ctrl-C stops an answer, Ctrl-D quits", e.name(), e.backend()));
    }
    let mut messages = vec![Message::new(Role::System, system)];
    let mut answered = None;
    while let Some(question) = next_question(&inputs, console, answered)? {
        messages.push(Message::new(Role::User, question));
        if !make_room(&mut messages, &talker)? {
            let engine = talker.engine();
            out::note(format!("that does not fit the model's context of {} tokens", engine.context()));
            out::note(format!("  hint: say it in fewer words, or {}", engine.longer_context()));
            continue;
        }
        interrupt.take();
        let answer = talker.answer(&messages, &|| interrupt.is_raised(), &mut out::text_raw)?;
        out::line("")?;
        note_end(&answer, ctx);
        messages.push(Message::new(Role::Assistant, answer.text));
        answered = Some(Instant::now());
    }
    if console { out::line("") } else { Ok(()) }
}

/// The next line that says something; `None` when there are no more. `answered`: when the last answer ended.
fn next_question(inputs: &Receiver<Input>, console: bool, answered: Option<Instant>) -> Result<Option<String>> {
    let mut presses = 0;
    if console {
        out::text_raw("> ")?;
    }
    loop {
        match inputs.recv().unwrap_or(Input::End) {
            Input::Line(l) if !l.trim().is_empty() => return Ok(Some(l.trim().to_owned())),
            Input::Line(_) => {}
            Input::End => return Ok(None),
            Input::Failed(e) => return Err(e),
            Input::Interrupt if answered.is_some_and(|at| at.elapsed() < LATE_PRESS) => continue,
            // In a terminal the first press at the prompt explains and the second exits.
            Input::Interrupt if console && presses == 0 => {
                presses += 1;
                out::note("\n(Ctrl-D or Ctrl-C again ends)");
            }
            Input::Interrupt => return Ok(None),
        }
        if console {
            out::text_raw("> ")?;
        }
    }
}

/// Forgets the oldest question and answer until the conversation and an answer fit the context. `false`, and the last
/// question is forgotten, if it does not fit even alone.
fn make_room(messages: &mut Vec<Message>, talker: &Talker) -> Result<bool> {
    while !talker.fits(messages)? {
        if messages.len() <= 2 {
            messages.pop();
            return Ok(false);
        }
        messages.drain(1..3);
    }
    Ok(true)
}

/// Reads standard input on a thread of its own, so that Ctrl-C is heard while it waits.
fn read_lines(send: SyncSender<Input>) -> Result<()> {
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            let input = match (&mut stdin).take(MAX_LINE_BYTES).read_line(&mut line) {
                Ok(0) => Input::End,
                Ok(n) if n as u64 == MAX_LINE_BYTES => {
                    Input::Failed(Error::new(Kind::Usage, "a line on standard input is longer than 1 MiB"))
                }
                Ok(_) => Input::Line(line),
                Err(e) => Input::Failed(Error::new(Kind::Io, "cannot read standard input").because(e)),
            };
            let last = !matches!(input, Input::Line(_));
            if send.send(input).is_err() || last {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(read)
        .map(drop)
        .map_err(|e| Error::new(Kind::Internal, "cannot start the thread that reads standard input").because(e))
}
