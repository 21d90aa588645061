//! The daemon's unix socket: who connects asks, one line after another.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::peer;
use super::wire::{self, Answer, Event, Request, Status, Timers};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Told, Turn};

/// Connections at once.
pub const CONNECTIONS_MAX: usize = 8;
/// How long a connection may ask nothing.
pub const IDLE: Duration = Duration::from_secs(60);
/// How long a reader may take nothing.
pub const STUCK: Duration = Duration::from_secs(10);

/// The agent that is asked. Each function may be called from several threads at once, and may take as long as it takes.
pub trait Agent: Send + Sync + 'static {
    /// Answers in writing; `tell` gets what comes of it as it comes.
    ///
    /// # Errors
    /// Where there is no answer.
    fn ask(&self, text: &str, tell: &mut dyn FnMut(&Told)) -> Result<Turn>;

    /// Says a text aloud when nothing else is going on.
    ///
    /// # Errors
    /// Where it will not be said.
    fn say(&self, text: &str) -> Result<()>;

    fn timers(&self) -> Timers;

    /// # Errors
    /// Where the agent does not answer.
    fn status(&self) -> Result<Status>;
}

/// An open socket; it goes, and its connections with it, when this is dropped.
pub struct Socket {
    path: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    listener: UnixListener,
    agent: Arc<dyn Agent>,
    group: Option<u32>,
    idle: Duration,
    ended: AtomicBool,
    /// Connections under way, by number.
    open: Mutex<HashMap<u64, UnixStream>>,
}

impl Socket {
    /// Opens the socket at the first of `places` where one can be opened. One that nobody serves any more is replaced.
    ///
    /// # Errors
    /// Where it can be opened at none of them, for the reason of the last.
    pub fn open(places: &[PathBuf], agent: Arc<dyn Agent>) -> Result<Self> {
        Self::open_with(places, agent, IDLE)
    }

    fn open_with(places: &[PathBuf], agent: Arc<dyn Agent>, idle: Duration) -> Result<Self> {
        let group = peer::group();
        let mut why = Error::new(Kind::Unavailable, "there is no place for the socket");
        for path in places {
            match bind(path, group) {
                Ok((listener, group)) => return Self::serve(path.clone(), listener, agent, group, idle),
                Err(e) => why = e,
            }
        }
        Err(why)
    }

    fn serve(
        path: PathBuf,
        listener: UnixListener,
        agent: Arc<dyn Agent>,
        group: Option<u32>,
        idle: Duration,
    ) -> Result<Self> {
        let (ended, open) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { listener, agent, group, idle, ended, open });
        let theirs = Arc::clone(&shared);
        let accepting = start("socket", move || accept(&theirs))?;
        Ok(Self { path, shared, accepting: Some(accepting) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        let _ = std::fs::remove_file(&self.path);
        // SAFETY: the descriptor is the listener's, which lives; this wakes whoever accepts on it, and frees nothing.
        unsafe { libc::shutdown(self.shared.listener.as_raw_fd(), libc::SHUT_RDWR) };
        self.shared.open().values().for_each(|s| drop(s.shutdown(std::net::Shutdown::Both)));
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        // Nothing here panics while it holds the lock; a poisoned lock still holds sound data.
        self.open.lock().unwrap_or_else(|p| p.into_inner())
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| Error::new(Kind::Unavailable, format!("cannot start the thread {name}")).because(e))
}

/// A listener at `path` for this user, and for the group where it may be given to it.
fn bind(path: &Path, group: Option<u32>) -> Result<(UnixListener, Option<u32>)> {
    let failed = |e| Error::io("open the socket", path, e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    let listener = match UnixListener::bind(path) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(Error::new(Kind::Unavailable, format!("another agent serves {}", path.display()))
                    .remedy("stop it first, or give this one its own folder: XDG_RUNTIME_DIR=FOLDER"));
            }
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path)).map_err(failed)?
        }
        bound => bound.map_err(failed)?,
    };
    let group = group.filter(|g| std::os::unix::fs::chown(path, None, Some(*g)).is_ok());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok((listener, group))
}

fn accept(shared: &Arc<Shared>) {
    let mut number = 0;
    while !shared.ended.load(Ordering::Acquire) {
        let stream = match shared.listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) if shared.ended.load(Ordering::Acquire) => return,
            Err(e) => {
                // Out of descriptors, mostly: what frees some takes a while.
                tracing::warn!("the socket cannot take a connection: {e}");
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
        };
        number += 1;
        if let Err(e) = welcome(shared, number, stream) {
            tracing::warn!("a connection to the socket was refused: {e}");
        }
    }
}

/// Starts a thread for a connection, unless its other end may not ask or there are too many already.
fn welcome(shared: &Arc<Shared>, number: u64, stream: UnixStream) -> Result<()> {
    let failed = |e| Error::new(Kind::Io, "a connection cannot be used").because(e);
    stream.set_write_timeout(Some(STUCK)).map_err(failed)?;
    if !peer::may_ask(&stream, shared.group).map_err(failed)? {
        refuse(&stream, "you may not ask: this is for the agent's user and the group tercet");
        return Err(Error::new(Kind::Unavailable, "its user may not ask"));
    }
    let mut open = shared.open();
    if open.len() >= CONNECTIONS_MAX {
        drop(open);
        refuse(&stream, "busy: too many connections are open");
        return Err(Error::new(Kind::Unavailable, format!("{CONNECTIONS_MAX} are open")));
    }
    open.insert(number, stream.try_clone().map_err(failed)?);
    drop(open);
    let theirs = Arc::clone(shared);
    let started = start("connection", move || {
        converse(&theirs, &stream);
        theirs.open().remove(&number);
    });
    if started.is_err() {
        shared.open().remove(&number);
    }
    started.map(drop)
}

fn refuse(stream: &UnixStream, why: &str) {
    let _ = write(stream, &wire::reply(None, Err::<&(), _>(why)));
}

/// Answers the lines of a connection until its other end has no more, or is gone.
fn converse(shared: &Shared, stream: &UnixStream) {
    let mut lines = Lines { stream, held: Vec::new(), ended: false };
    loop {
        let line = match lines.next(shared.idle) {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(why) => return refuse(stream, &why),
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        if answer(&*shared.agent, stream, &line).is_err() || shared.ended.load(Ordering::Acquire) {
            return;
        }
    }
}

fn answer(agent: &dyn Agent, stream: &UnixStream, line: &[u8]) -> std::io::Result<()> {
    let (id, request) = wire::parse(line);
    let id = id.as_ref();
    let reply = match request {
        Err(e) => wire::reply(id, Err::<&(), _>(e.as_str())),
        Ok(Request::Ask(text)) => {
            // What was asked is done, also where nobody reads on.
            let mut there = Ok(());
            let turn = agent.ask(&text, &mut |told| {
                if there.is_ok()
                    && let Some(event) = Event::of(told)
                {
                    there = write(stream, &event.line(id));
                }
            });
            there?;
            reply_of(id, turn.map(|t| Answer::of(t, true)))
        }
        Ok(Request::Say(text)) => reply_of(id, agent.say(&text)),
        Ok(Request::Timers) => reply_of(id, Ok(agent.timers())),
        Ok(Request::Status) => reply_of(id, agent.status()),
    };
    write(stream, &reply)
}

fn reply_of(id: Option<&Value>, done: Result<impl Serialize>) -> Value {
    match &done {
        Ok(body) => wire::reply(id, Ok(body)),
        Err(e) => wire::reply(id, Err::<&(), _>(wire::sentence(e).as_str())),
    }
}

fn write(mut stream: &UnixStream, object: &Value) -> std::io::Result<()> {
    stream.write_all(format!("{object}\n").as_bytes())
}

/// The lines of a connection.
struct Lines<'a> {
    stream: &'a UnixStream,
    /// Read and not yet taken.
    held: Vec<u8>,
    ended: bool,
}

impl Lines<'_> {
    /// The next line, without its end; `None` when there are no more. A last line needs no end.
    ///
    /// # Errors
    /// Why no more lines are read: one is too long, or `idle` passes before one is whole.
    fn next(&mut self, idle: Duration) -> Result<Option<Vec<u8>>, String> {
        let until = Instant::now() + idle;
        let mut seen = 0;
        loop {
            if let Some(at) = self.held[seen..].iter().position(|b| *b == b'\n') {
                let rest = self.held.split_off(seen + at + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                return Ok(Some(line));
            }
            seen = self.held.len();
            if seen >= wire::LINE_MAX {
                return Err(format!("a line is longer than {} bytes", wire::LINE_MAX));
            }
            if self.ended {
                return Ok(Some(std::mem::take(&mut self.held)).filter(|l| !l.is_empty()));
            }
            self.read(until)?;
        }
    }

    fn read(&mut self, until: Instant) -> Result<(), String> {
        let idle = || "nothing was asked for too long".to_owned();
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return Err(idle());
        }
        let mut buffer = [0; 4096];
        let room = buffer.len().min(wire::LINE_MAX - self.held.len());
        match self.stream.read(&mut buffer[..room]) {
            Ok(0) => self.ended = true,
            Ok(n) => self.held.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(idle()),
            Err(_) => self.ended = true,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
