//! Asking the agent that runs on this machine.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::place;
use super::wire::{Answer, Event, Status, Timers};
use crate::error::{Error, Kind, Result};
use crate::store::Paths;

/// How often a wait looks whether it was called off.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait for a reply that needs no thought.
const PROMPTLY: Duration = Duration::from_secs(10);

/// A connection to the agent.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// The agent that runs for these folders; `None` where none answers.
    pub fn find(paths: &Paths) -> Option<Self> {
        place::to_ask(paths).iter().find_map(|socket| {
            let mut client = Self::connect(socket).ok()?;
            let status = client.status().ok()?;
            let same = || same_folder(Path::new(&status.state_folder), &paths.state_dir());
            (!place::one_is_meant() || same()).then_some(client)
        })
    }

    /// # Errors
    /// Where nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).map_err(|e| Error::io("connect to", socket, e))?;
        let failed = |e| Error::io("use the connection to", socket, e);
        stream.set_read_timeout(Some(LOOK)).map_err(failed)?;
        stream.set_write_timeout(Some(PROMPTLY)).map_err(failed)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks a question; `on` gets what comes before the answer.
    ///
    /// # Errors
    /// What the agent says; [`Kind::Cancelled`] when `cancelled`, and then this connection is of no more use.
    pub fn ask(&mut self, text: &str, cancelled: &dyn Fn() -> bool, on: &mut dyn FnMut(Event)) -> Result<Answer> {
        self.write(&json!({ "ask": text }))?;
        loop {
            let line = self.line(cancelled)?;
            if line.get("event").is_none() {
                return read(line);
            }
            // An event that this version does not know is not for it.
            if let Ok(event) = serde_json::from_value(line) {
                on(event);
            }
        }
    }

    /// Has a text said aloud.
    ///
    /// # Errors
    /// What the agent says.
    pub fn say(&mut self, text: &str) -> Result<()> {
        self.promptly::<Value>(&json!({ "say": text })).map(drop)
    }

    /// # Errors
    /// What the agent says.
    pub fn timers(&mut self) -> Result<Timers> {
        self.promptly(&json!({ "timers": {} }))
    }

    /// # Errors
    /// What the agent says.
    pub fn status(&mut self) -> Result<Status> {
        self.promptly(&json!({ "status": {} }))
    }

    fn promptly<T: DeserializeOwned>(&mut self, request: &Value) -> Result<T> {
        let began = std::time::Instant::now();
        self.write(request)?;
        match self.line(&|| began.elapsed() > PROMPTLY) {
            Err(e) if e.kind() == Kind::Cancelled => Err(Error::new(Kind::Unavailable, "the agent does not answer")),
            line => read(line?),
        }
    }

    fn write(&mut self, request: &Value) -> Result<()> {
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes()).map_err(gone)
    }

    fn line(&mut self, cancelled: &dyn Fn() -> bool) -> Result<Value> {
        let mut line = Vec::new();
        loop {
            match self.stream.read_until(b'\n', &mut line) {
                Ok(0) => return Err(gone(ErrorKind::UnexpectedEof.into())),
                Ok(_) if line.ends_with(b"\n") => break,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if cancelled() {
                        return Err(Error::new(Kind::Cancelled, "called off"));
                    }
                }
                Err(e) => return Err(gone(e)),
            }
        }
        serde_json::from_slice(&line).map_err(|e| Error::new(Kind::Corrupt, "the agent's reply is not JSON").because(e))
    }
}

fn read<T: DeserializeOwned>(line: Value) -> Result<T> {
    if line["ok"] != true {
        let why = line["error"].as_str().unwrap_or("it does not say why");
        return Err(Error::new(Kind::Unavailable, format!("the agent refuses: {why}")));
    }
    serde_json::from_value(line)
        .map_err(|e| Error::new(Kind::Corrupt, "the agent's reply is not as expected").because(e))
        .map_err(|e| e.remedy("use the same version of tercet for both"))
}

fn gone(e: std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "the agent ended the connection").remedy("look at its log, and ask again").because(e)
}

fn same_folder(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
    real(a) == real(b)
}
