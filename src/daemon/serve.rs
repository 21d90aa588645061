//! What the running agent answers on its socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::api::wire::{Status, Timer, Timers};
use crate::api::{Agent, Socket, place};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Control, Gather, Told, Turn};
use crate::store::Paths;
use crate::tools::{Entry, Registry};

/// What does not change while it runs.
pub struct About {
    pub(super) tools: Arc<Registry>,
    pub(super) model: String,
    pub(super) backend: String,
    pub(super) state_folder: PathBuf,
}

struct Running {
    about: About,
    control: Control,
    began: Instant,
}

/// Opens the socket. Without one the agent does what it does, and the log says why nothing can be asked in writing.
pub fn serve(paths: &Paths, about: About, control: Control) -> Option<Socket> {
    let agent = Arc::new(Running { about, control, began: Instant::now() });
    match Socket::open(&place::to_serve(paths), agent) {
        Ok(socket) => {
            tracing::info!("the socket is {}", socket.path().display());
            Some(socket)
        }
        Err(e) => {
            tracing::warn!("there is no socket, so nothing can be asked in writing: {e}");
            None
        }
    }
}

impl Agent for Running {
    fn ask(&self, text: &str, tell: &mut dyn FnMut(&Told)) -> Result<Turn> {
        let mut gather = Gather::begin();
        let mut trouble = None;
        for told in self.control.write(text) {
            gather.take(&told);
            tell(&told);
            match told {
                Told::Over { whole: true } => return Ok(gather.finish()),
                Told::Over { whole: false } => {
                    return Err(Error::new(
                        Kind::Cancelled,
                        "somebody spoke to the agent, so the answer was not finished",
                    )
                    .remedy("ask again"));
                }
                Told::Trouble { message, .. } => trouble = Some(message),
                _ => {}
            }
        }
        Err(Error::new(Kind::Unavailable, trouble.unwrap_or_else(|| "the agent is ending".to_owned())))
    }

    fn say(&self, text: &str) -> Result<()> {
        self.control.announce(text);
        Ok(())
    }

    fn timers(&self) -> Timers {
        Timers { timers: self.about.tools.agenda().entries().into_iter().map(timer).collect() }
    }

    fn status(&self) -> Result<Status> {
        let standing = self
            .control
            .standing()
            .ok_or_else(|| Error::new(Kind::Unavailable, "the agent does not answer").remedy("look at its log"))?;
        Ok(Status {
            state: standing.state,
            model: self.about.model.clone(),
            backend: self.about.backend.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.began.elapsed().as_secs(),
            microphone: standing.microphone,
            state_folder: self.about.state_folder.display().to_string(),
        })
    }
}

fn timer(entry: Entry) -> Timer {
    let Entry { kind, name, remaining, at } = entry;
    Timer { kind: kind.to_owned(), name, remaining, at: at.map(|at| at.to_string()) }
}
