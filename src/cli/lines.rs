//! What a person types, line by line: with an editor and a history in a terminal, as it comes from a pipe.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Editor, ExternalPrinter};

use super::interrupt::{Interrupt, PRESSED};
use super::out;
use crate::error::{Error, Kind, Result};

/// Longest line taken as one question.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Lines kept in the history; the oldest goes when one more comes.
const HISTORY_MAX: usize = 1000;
/// What the editor shows.
const PROMPT: &str = "> ";

/// What the user does.
pub(super) enum Input {
    Line(String),
    End,
    Interrupt,
    Failed(Error),
}

/// Standard input, read on a thread of its own, so that Ctrl-C is heard while it waits.
pub(super) struct Lines {
    inputs: Receiver<(Input, From)>,
    editor: Option<Prompter>,
    /// Raised by Ctrl-C.
    pub(super) interrupt: Interrupt,
}

#[derive(PartialEq)]
enum From {
    Reader,
    Signal,
}

/// The editor's thread, which reads a line when it is asked to.
struct Prompter {
    wanted: SyncSender<()>,
    /// It was asked to, and has not given the line yet.
    reading: bool,
    /// Prints above the line being typed.
    above: Option<Box<dyn ExternalPrinter + Send>>,
}

impl Lines {
    /// `console`: a person types, and sees what is printed. The history is kept in the file `history`.
    ///
    /// # Errors
    /// Where signals cannot be caught, a thread cannot be started or the terminal cannot be used.
    pub(super) fn read(console: bool, history: PathBuf) -> Result<Self> {
        // One line waits at most; a faster pipe is read as fast as answers come.
        let (send, inputs) = sync_channel(1);
        let pressed = send.clone();
        // Dropped where a line waits already: the raised flag alone stops the answer being written.
        let interrupt = Interrupt::listen(PRESSED, move |_| drop(pressed.try_send((Input::Interrupt, From::Signal))))?;
        let editor = if console {
            Some(edit(send, history)?)
        } else {
            start(move || pipe(&send))?;
            None
        };
        Ok(Self { inputs, editor, interrupt })
    }

    /// What the user does next; `None` when `patience` passes first.
    pub(super) fn next(&mut self, patience: Option<Duration>) -> Option<Input> {
        if let Some(editor) = &mut self.editor
            && !std::mem::replace(&mut editor.reading, true)
        {
            let _ = editor.wanted.send(());
        }
        let got = match patience {
            Some(patience) => match self.inputs.recv_timeout(patience) {
                Err(RecvTimeoutError::Timeout) => return None,
                got => got.ok(),
            },
            None => self.inputs.recv().ok(),
        };
        let Some((input, from)) = got else { return Some(Input::End) };
        if let Some(editor) = &mut self.editor
            && from == From::Reader
        {
            editor.reading = false;
        }
        Some(input)
    }

    /// Shows something that nobody asked for, without disturbing what is being typed.
    pub(super) fn aside(&mut self, text: &str) {
        match self.editor.as_mut().and_then(|e| e.above.as_mut()) {
            Some(above) => drop(above.print(format!("{text}\n"))),
            None => out::note(text),
        }
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(work)
        .map(drop)
        .map_err(|e| Error::new(Kind::Internal, "cannot start the thread that reads standard input").because(e))
}

fn pipe(send: &SyncSender<(Input, From)>) {
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
        if send.send((input, From::Reader)).is_err() || last {
            return;
        }
    }
}

fn edit(send: SyncSender<(Input, From)>, history: PathBuf) -> Result<Prompter> {
    let failed = |e| Error::new(Kind::Unavailable, "cannot edit lines in this terminal").because(e);
    let mut editor = Editor::<(), FileHistory>::new().map_err(failed)?;
    editor.set_max_history_size(HISTORY_MAX).map_err(failed)?;
    editor.set_auto_add_history(true);
    // There is none yet, or it is of no use.
    let _ = editor.load_history(&history);
    let above = editor.create_external_printer().ok().map(|p| Box::new(p) as Box<dyn ExternalPrinter + Send>);
    let (wanted, asked) = sync_channel(1);
    start(move || {
        while asked.recv().is_ok() {
            let input = match editor.readline(PROMPT) {
                Ok(line) => Input::Line(line),
                Err(ReadlineError::Interrupted) => Input::Interrupt,
                Err(ReadlineError::Eof) => Input::End,
                Err(e) => Input::Failed(Error::new(Kind::Io, "cannot read from the terminal").because(e)),
            };
            keep(&mut editor, &history);
            if send.send((input, From::Reader)).is_err() {
                return;
            }
        }
    })?;
    Ok(Prompter { wanted, reading: false, above })
}

/// A history that cannot be kept is no reason to stop.
fn keep(editor: &mut Editor<(), FileHistory>, history: &Path) {
    let kept = history.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(ReadlineError::from);
    if let Err(e) = kept.and_then(|()| editor.append_history(history)) {
        tracing::debug!("the history cannot be kept in {}: {e}", history.display());
    }
}
