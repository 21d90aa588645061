//! Writing to standard output and error without ever blocking: a reader that went away, a full disk or a terminal
//! that is stopped costs the line, never the program. Lost lines are counted.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long to wait for a stopped reader, once; from then on not at all until it reads again.
const PATIENCE: Duration = Duration::from_millis(500);
/// Written at once: a pipe that has room for anything has room for this much (`PIPE_BUF`).
const PIECE_BYTES: usize = 4096;

/// The log, notes and errors.
pub(super) static STDERR: Lossy = Lossy::new(libc::STDERR_FILENO);
/// Events, reported as they happen.
#[cfg(feature = "voice")]
pub(super) static STDOUT: Lossy = Lossy::new(libc::STDOUT_FILENO);

/// A descriptor that lines are written to while that works.
pub(super) struct Lossy {
    descriptor: RawFd,
    state: Mutex<State>,
}

struct State {
    /// The last reader did not read in time.
    stuck: bool,
    /// A line was cut short: the next one starts on a new line.
    mid_line: bool,
    /// Lines lost since one was written.
    lost: u64,
    /// Lines lost in all.
    lost_in_all: u64,
    /// Why the last line was lost, unless a reader was missing.
    failure: Option<ErrorKind>,
}

/// How many lines were written and lost so far.
#[cfg_attr(not(feature = "voice"), allow(dead_code))] // of its events the daemon wants to know
pub(super) struct Losses {
    pub(super) lines: u64,
    /// Why the last one was lost; [`ErrorKind::TimedOut`] for a stopped reader.
    pub(super) why: Option<ErrorKind>,
}

impl Lossy {
    const fn new(descriptor: RawFd) -> Self {
        let state = State { stuck: false, mid_line: false, lost: 0, lost_in_all: 0, failure: None };
        Self { descriptor, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Writes one or more whole lines, or drops them.
    pub(super) fn write(&self, lines: &[u8]) {
        let mut s = self.lock();
        let outcome = self.put_all(lines, &mut s);
        s.failure = outcome.err();
        match s.failure {
            None => s.lost = 0,
            Some(_) => {
                s.lost += 1;
                s.lost_in_all += 1;
            }
        }
    }

    /// As [`Lossy::write`]; the next line that can be written again is preceded by one that says how many were lost.
    pub(super) fn write_log(&self, lines: &[u8]) {
        let lost = self.lock().lost;
        if lost == 0 {
            return self.write(lines);
        }
        let notice = format!("({lost} lines of the log could not be written and were lost)\n");
        self.write(&[notice.as_bytes(), lines].concat());
    }

    #[cfg_attr(not(feature = "voice"), allow(dead_code))]
    pub(super) fn losses(&self) -> Losses {
        let s = self.lock();
        Losses { lines: s.lost_in_all, why: s.failure }
    }

    fn put_all(&self, lines: &[u8], s: &mut State) -> Result<(), ErrorKind> {
        if s.mid_line {
            self.put(b"\n", s)?;
            s.mid_line = false;
        }
        for (i, piece) in lines.chunks(PIECE_BYTES).enumerate() {
            s.mid_line = i > 0;
            self.put(piece, s)?;
        }
        s.mid_line = false;
        Ok(())
    }

    fn put(&self, mut piece: &[u8], s: &mut State) -> Result<(), ErrorKind> {
        // SAFETY: the descriptor is one of the three that are open as long as the process is; `ManuallyDrop` never closes it.
        let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(self.descriptor) });
        let latest = Instant::now() + if s.stuck { Duration::ZERO } else { PATIENCE };
        while !piece.is_empty() {
            if !self.takes_some(latest)? {
                s.stuck = true;
                return Err(ErrorKind::TimedOut);
            }
            s.stuck = false;
            match file.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero),
                Ok(n) => {
                    piece = &piece[n..];
                    s.mid_line |= !piece.is_empty();
                }
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(e) => return Err(e.kind()),
            }
        }
        Ok(())
    }

    /// Whether something can be written without waiting, by `latest`. A descriptor error counts as well: writing returns it.
    fn takes_some(&self, latest: Instant) -> Result<bool, ErrorKind> {
        loop {
            let mut poll = libc::pollfd { fd: self.descriptor, events: libc::POLLOUT, revents: 0 };
            let left_ms = latest.saturating_duration_since(Instant::now()).as_millis() as libc::c_int;
            // SAFETY: `poll` is one pollfd, and lives during the call.
            let ready = unsafe { libc::poll(&mut poll, 1, left_ms) };
            match ready {
                0 => return Ok(false),
                1.. => return Ok(true),
                _ => match std::io::Error::last_os_error().kind() {
                    ErrorKind::Interrupted => {}
                    other => return Err(other),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let lossy = Lossy::new(writer.as_raw_fd());
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let begun = Instant::now();
        for _ in 0..1000 {
            lossy.write_log(&line);
        }
        // Waited for once; a pipe holds 64 KiB.
        assert!(begun.elapsed() < PATIENCE * 10, "{:?}", begun.elapsed());
        let lost = lossy.losses().lines;
        assert!((900..1000).contains(&lost), "{lost}");
        assert_eq!(lossy.losses().why, Some(ErrorKind::TimedOut));
        let mut read = vec![0; 1 << 20];
        let n = reader.read(&mut read).expect("something was written");
        assert!(read[..n].starts_with(&line));
        lossy.write_log(b"here again\n");
        let n = reader.read(&mut read).expect("it goes on");
        let text = String::from_utf8_lossy(&read[..n]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('x') && !l.is_empty()).collect();
        assert_eq!(lines, [&*format!("({lost} lines of the log could not be written and were lost)"), "here again"]);
        assert_eq!(lossy.losses().why, None);
    }

    #[test]
    fn a_reader_that_went_away_and_a_full_disk_are_told_apart() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let lossy = Lossy::new(writer.as_raw_fd());
        lossy.write(b"x\n");
        assert_eq!(lossy.losses().why, Some(ErrorKind::BrokenPipe));
        let full = File::options().write(true).open("/dev/full").expect("a full disk");
        let lossy = Lossy::new(full.as_raw_fd());
        lossy.write(b"x\n");
        assert_eq!((lossy.losses().lines, lossy.losses().why), (1, Some(ErrorKind::StorageFull)));
        let lossy = Lossy::new(1_000_000);
        lossy.write(b"x\n");
        assert_eq!(lossy.losses().lines, 1);
    }
}
