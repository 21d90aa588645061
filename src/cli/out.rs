//! How commands print: results to stdout, progress and errors to stderr.

use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::lossy::STDERR;
#[cfg(feature = "voice")]
use super::lossy::{Losses, STDOUT};
use crate::error::{Error, Kind, Result};

/// Prints one line of result. A reader that closed the pipe ends the command quietly ([`Kind::Cancelled`]).
pub fn line(text: impl AsRef<str>) -> Result<()> {
    text_raw(&format!("{}\n", text.as_ref()))
}

/// Prints text as it is and flushes: for streamed replies.
pub fn text_raw(text: &str) -> Result<()> {
    let mut o = std::io::stdout().lock();
    o.write_all(text.as_bytes()).and_then(|()| o.flush()).map_err(stdout_failed)
}

/// Prints one JSON object on one line.
pub fn json(value: &impl Serialize) -> Result<()> {
    let s = serde_json::to_string(value).map_err(|e| Error::new(Kind::Internal, "cannot print JSON").because(e))?;
    line(s)
}

fn stdout_failed(e: std::io::Error) -> Error {
    let kind = if e.kind() == ErrorKind::BrokenPipe { Kind::Cancelled } else { Kind::Io };
    Error::new(kind, "cannot write to standard output").because(e)
}

/// A note to the user; not part of the result, and not an error where nobody reads it.
pub fn note(text: impl AsRef<str>) {
    raw_note(&format!("{}\n", text.as_ref()));
}

/// As [`note`], without a newline.
pub(super) fn raw_note(text: &str) {
    STDERR.write(text.as_bytes());
}

/// Prints events as they happen: what cannot be written at once is dropped, so that nothing waits for a reader.
#[cfg(feature = "voice")]
#[derive(Debug, Default)]
pub(super) struct Events {
    complained: bool,
}

#[cfg(feature = "voice")]
impl Events {
    pub(super) fn line(&mut self, text: &str) {
        STDOUT.write(format!("{text}\n").as_bytes());
        let why = STDOUT.losses().why;
        // Once each time it starts.
        let complained = std::mem::replace(&mut self.complained, why.is_some());
        if let Some(why) = why.filter(|_| !complained) {
            tracing::warn!("events cannot be written to standard output and are lost: {why}");
        }
    }

    pub(super) fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(&text),
            Err(e) => tracing::error!("an event cannot be written as JSON: {e}"),
        }
    }

    /// The outcome for all of them, for callers that wait for the end.
    ///
    /// # Errors
    /// [`Kind::Io`] where events were lost that somebody might have wanted to read.
    pub(super) fn all_written() -> Result<()> {
        match STDOUT.losses() {
            Losses { lines: 0, .. } => Ok(()),
            // The reader closed the pipe because it had read enough.
            Losses { why: Some(ErrorKind::BrokenPipe), .. } => Ok(()),
            Losses { lines, why } => {
                let why = why.unwrap_or(ErrorKind::TimedOut);
                Err(stdout_failed(why.into()).remedy(format!("{lines} events are missing; run the command again")))
            }
        }
    }
}

/// Prints an error with its remedy.
pub fn error(e: &Error) {
    if e.kind() == Kind::Cancelled {
        return;
    }
    note(format!("error: {e}"));
    if let Some(r) = e.remedy_text() {
        note(format!("  hint: {r}"));
    }
}

/// Columns aligned by width; numbers (cells that start with a digit or a sign) to the right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { rows: vec![header.into_iter().map(Into::into).collect()] }
    }

    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether there is nothing below the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    pub fn print(&self) -> Result<()> {
        text_raw(&self.to_text())
    }

    /// Lines of the table, each ended by a newline, without trailing spaces.
    pub fn to_text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], c: usize| row.get(c).cloned().unwrap_or_default();
        let width = |c: usize| self.rows.iter().map(|r| cell(r, c).chars().count()).max().unwrap_or(0);
        let numeric = |c: usize| {
            let mut body =
                self.rows.iter().skip(1).map(|r| cell(r, c)).filter(|s| !s.is_empty() && s != "-").peekable();
            body.peek().is_some()
                && body.all(|s| s.starts_with(|ch: char| ch.is_ascii_digit() || "+-−<≥≤".contains(ch)))
        };
        let mut text = String::new();
        for row in &self.rows {
            let mut l = String::new();
            for c in 0..columns {
                let s = cell(row, c);
                let pad = " ".repeat(width(c) - s.chars().count());
                let gap = if c == 0 { "" } else { "  " };
                l += &if numeric(c) { format!("{gap}{pad}{s}") } else { format!("{gap}{s}{pad}") };
            }
            text += l.trim_end();
            text.push('\n');
        }
        text
    }
}

/// A progress bar on stderr over `total` bytes; invisible when stderr is not a terminal or `quiet` is set.
pub fn progress_bytes(total: u64, label: &str, quiet: bool) -> ProgressBar {
    bar(
        total,
        label,
        quiet,
        "{msg:24} [{bar:30}] {decimal_bytes:>10}/{decimal_total_bytes:10} {decimal_bytes_per_sec:>12} {eta:>4}",
    )
}

/// A progress bar on stderr over `total` steps.
pub fn progress_steps(total: u64, label: &str, quiet: bool) -> ProgressBar {
    bar(total, label, quiet, "{msg:24} [{bar:30}] {pos:>6}/{len:6} {eta:>4}")
}

fn bar(total: u64, label: &str, quiet: bool, template: &str) -> ProgressBar {
    let visible = !quiet && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let b = ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("=> "));
    b.set_message(label.to_owned());
    b.enable_steady_tick(Duration::from_millis(200));
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_aligns_text_left_and_numbers_right() {
        let mut t = Table::new(["stage", "ms"]);
        t.row(["vad", "7"]);
        t.row(["transcript", "310"]);
        assert_eq!(t.to_text(), "stage        ms\nvad           7\ntranscript  310\n");
    }
}
