//! The coordinator: puts together and starts the pipeline, and feeds the dialog what happened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::desk::{Desk, Request, TOLD_MAX};
use super::executor::{Executor, Handles};
use super::latency::Clocks;
use super::listener::Listener;
use super::loudness::Loudness;
use super::notice::{Notice, Observer};
use super::queue::{Queue, WhenFull};
use super::speaker::Speaker;
use super::thinker::Thinker;
use super::threads::{Threads, panicked};
use super::toolbench::Toolbench;
use super::transcriber::Transcriber;
use super::{Archive, Msg};
use crate::audio::{Output, Presence, Source};
use crate::budget::Reservation;
use crate::dialog::{self, Context, Dialog, Event, State};
use crate::error::{Error, Kind, Result};
use crate::hear::{Ears, Stt};
use crate::llm::{Engine, Sampling};
use crate::pipeline::cancel::Cancel;
use crate::pipeline::conductor::Conductor;
use crate::pipeline::mind::{Mind, Thought};
use crate::pipeline::report::Told;
use crate::speak::Voice;
use crate::store::{PrefixCache, StateFolder};
use crate::tools::Registry;
use crate::tools::interpret::Interpreter;
use crate::units::SampleRate;

/// Messages waiting for the coordinator; senders wait while it is full.
const MESSAGES: usize = 256;
/// How long after a fatal error the turn under way may take to apologise and end.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// How long it may take to say how it stands.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How the pipeline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Whether there is a microphone, as far as is known.
    pub microphone: bool,
}

/// Everything loaded, before the threads start.
pub struct Parts {
    /// Transcribe while the user is still speaking, for observers.
    pub partials: bool,
    pub dialog: dialog::Settings,
    pub sampling: Sampling,
    pub source: Box<dyn Source>,
    pub output: Arc<dyn Output>,
    pub ears: Ears,
    pub stt: Stt,
    pub engine: Arc<Engine>,
    pub voice: Voice,
    pub tools: Arc<Registry>,
    /// The prefix cache, which keeps the computed system prompt across restarts.
    pub prefixes: Option<PrefixCache>,
    /// Where utterances are kept, for those who asked for it.
    pub archive: Option<Archive>,
    /// Reservations that live as long as the pipeline.
    pub standing: Vec<Reservation>,
    /// Held as long as anything may be written there.
    pub state: Option<StateFolder>,
    pub observer: Box<dyn Observer>,
}

/// A running pipeline.
pub struct Pipeline {
    messages: Queue<Msg>,
    coordinator: Option<JoinHandle<Result<()>>>,
}

impl Pipeline {
    /// Starts every thread; the microphone is read from now on.
    ///
    /// # Errors
    /// When the session's memory does not fit, or a thread cannot be started.
    pub fn start(parts: Parts) -> Result<Self> {
        let messages = Queue::new(MESSAGES, WhenFull::Block);
        let schemas = parts.tools.shown().to_vec();
        let memory = Context::new(&parts.dialog, &schemas);
        let mind =
            Mind::new(&parts.engine, parts.sampling, &memory, &schemas, parts.dialog.reply_tokens, parts.prefixes)?;
        let chat = Arc::clone(mind.chat());
        let cancel = Cancel::default();
        let mut threads = Threads::new(messages.clone());
        let stt = Transcriber::start(parts.stt, parts.archive, messages.clone(), &mut threads)?;
        let llm = Thinker::start(mind, cancel.clone(), messages.clone(), &mut threads)?;
        let tts = Speaker::start(parts.voice, Arc::clone(&parts.output), messages.clone(), &mut threads)?;
        let tools = Toolbench::start(Arc::clone(&parts.tools), cancel.clone(), messages.clone(), &mut threads)?;
        let partials = parts.partials.then(|| stt.clone());
        let ears = Listener::start(parts.source, parts.ears, partials, messages.clone(), &mut threads)?;
        let handles =
            Handles { messages: messages.clone(), cancel: cancel.clone(), ears, stt, llm, tts, tools, threads };
        let heard = messages.clone();
        parts.output.on_presence(Box::new(move |presence| {
            let _ = heard.send(Msg::Loudspeaker(presence));
        }));
        let loudness = Loudness::new(Arc::clone(&parts.output), parts.tools.alarm_volume());
        let executor = Executor {
            start: Instant::now(),
            memory,
            chat,
            engine: parts.engine,
            interpreter: Interpreter::new(Arc::clone(&parts.tools)),
            registry: parts.tools,
            observer: parts.observer,
            desk: Desk::default(),
            cancel,
            handles,
            utterance: None,
            clocks: Clocks::default(),
            said: VecDeque::new(),
            loudness,
            output: parts.output,
        };
        let coordinator = Coordinator {
            conductor: Conductor::new(Dialog::new(parts.dialog)),
            executor,
            messages: messages.clone(),
            source_ended: false,
            microphone: true,
            fatal: None,
            _standing: parts.standing,
            _state: parts.state,
        };
        let thread = std::thread::Builder::new()
            .name("coordinator".into())
            .spawn(move || coordinator.run())
            .map_err(|e| Error::new(Kind::Unavailable, "cannot start the coordinator's thread").because(e))?;
        Ok(Self { messages, coordinator: Some(thread) })
    }

    /// A handle with which other threads control the pipeline.
    pub fn control(&self) -> Control {
        Control(self.messages.clone())
    }

    /// Waits until the pipeline ends: it was stopped, or its source ended and the last reply is over.
    ///
    /// # Errors
    /// The error that ended a part for good; [`Kind::Device`] where the language model's device is lost to this process.
    pub fn join(mut self) -> Result<()> {
        match self.coordinator.take().map(JoinHandle::join) {
            Some(Err(panic)) => Err(panicked("coordinator", panic.as_ref())),
            Some(Ok(ended)) => ended,
            None => Ok(()),
        }
    }
}

/// Controls a running pipeline from any thread. Does nothing once the pipeline has ended.
#[derive(Clone)]
pub struct Control(Queue<Msg>);

impl Control {
    /// A turn that arrives as text.
    pub fn ask(&self, text: impl Into<String>) {
        let _ = self.0.send(Msg::Dialog(Event::TextTurn { text: text.into() }));
    }

    /// A turn that arrives as text and is answered in writing, when nobody is being spoken with. What comes of it is
    /// received; where nothing more comes before [`Told::Over`], the request was refused or the pipeline ended.
    pub fn write(&self, text: impl Into<String>) -> Receiver<Told> {
        let (to, told) = sync_channel(TOLD_MAX);
        let _ = self.0.send(Msg::Written(Request { text: text.into(), to }));
        told
    }

    /// Says something when nothing else is going on.
    pub fn announce(&self, text: impl Into<String>) {
        let _ = self.0.send(Msg::Dialog(Event::Announce { text: text.into() }));
    }

    /// How it stands; `None` where it does not answer in time.
    pub fn standing(&self) -> Option<Standing> {
        let (to, standing) = sync_channel(1);
        if !self.0.offer(Msg::Standing(to)) {
            return None;
        }
        standing.recv_timeout(ANSWERS_WITHIN).ok()
    }

    /// Listen now, without the wake word.
    pub fn push_to_talk(&self) {
        let _ = self.0.send(Msg::Dialog(Event::PushToTalk));
    }

    /// Asks for proof of life: the flag is raised when the coordinator gets to it, if the ears hear then. Never waits.
    pub fn probe(&self) -> Arc<AtomicBool> {
        let answered = Arc::new(AtomicBool::new(false));
        let _ = self.0.offer(Msg::Probe(Arc::clone(&answered)));
        answered
    }

    /// The pipeline ends, before anything that waits. Never waits itself.
    pub fn stop(&self) {
        self.0.urge(Msg::Stop);
    }

    /// As [`Control::stop`]; [`Pipeline::join`] gives `why`.
    pub fn fail(&self, why: Error) {
        self.0.urge(Msg::Broken(why));
    }
}

struct Coordinator {
    conductor: Conductor,
    executor: Executor,
    messages: Queue<Msg>,
    source_ended: bool,
    /// Whether there is one, as far as is known.
    microphone: bool,
    /// The error that ended a part for good, and the latest time for everything to end.
    fatal: Option<(Error, Instant)>,
    _standing: Vec<Reservation>,
    _state: Option<StateFolder>,
}

impl Coordinator {
    fn run(mut self) -> Result<()> {
        loop {
            let due = [
                self.conductor.dialog().deadline().map(|d| self.executor.start + d),
                self.executor.registry.agenda().next_due_in().map(|d| Instant::now() + d),
                self.fatal.as_ref().map(|(_, latest)| *latest),
            ];
            match self.messages.recv_until(due.into_iter().flatten().min()) {
                Some(None) | Some(Some(Msg::Stop)) => break,
                Some(Some(msg)) => self.handle(msg),
                None => self.tick(),
            }
            let Self { conductor, executor, .. } = &mut self;
            let start = executor.start;
            loop {
                conductor.run(|| start.elapsed(), |action, events| executor.carry_out(action, events));
                let Some(text) = executor.desk.next(conductor.dialog().state()) else { break };
                conductor.events().push(Event::Written { text });
            }
            if self.is_over() {
                break;
            }
        }
        let fatal = self.fatal.take();
        self.shut_down();
        fatal.map_or(Ok(()), |(e, _)| Err(e))
    }

    /// No more input is to come, and no work is under way.
    fn is_over(&self) -> bool {
        let playing = self.executor.output.is_playing();
        let idle = match self.conductor.dialog().state() {
            State::Asleep | State::FollowUp => !playing,
            // Without samples nobody ends the turn; after a fatal error whoever is speaking still gets their apology.
            State::Listening => self.source_ended && !playing,
            State::Thinking | State::Speaking => false,
        };
        let late = self.fatal.as_ref().is_some_and(|(_, latest)| *latest <= Instant::now());
        late || idle && (self.source_ended || self.fatal.is_some())
    }

    fn tick(&mut self) {
        let Self { conductor, executor, .. } = self;
        let due = executor.registry.agenda().take_due();
        if let Some(ring) = due.ring {
            executor.loudness.rings(ring.alarm, conductor.dialog().is_ringing());
            conductor.events().push(Event::Ring { text: ring.text });
        }
        for text in due.announcements {
            conductor.events().push(Event::Announce { text });
        }
        executor.run_due(due.commands, conductor.events());
        if self.conductor.dialog().deadline().is_some_and(|d| d <= self.executor.start.elapsed()) {
            self.conductor.events().push(Event::Tick);
        }
    }

    /// Reports what happened, and queues what the dialog has to know about it.
    fn handle(&mut self, msg: Msg) {
        let Self { conductor, executor, .. } = self;
        match msg {
            Msg::Dialog(event) => conductor.events().push(event),
            Msg::Hearing => executor.tell(&Notice::Ready),
            Msg::Wake { model, score } => {
                executor.tell(&Notice::Wake { model: model.clone(), score });
                conductor.events().push(Event::Wake { model });
            }
            Msg::Partial(text) => {
                if conductor.dialog().state() == State::Listening {
                    executor.tell(&Notice::Partial { text });
                }
            }
            Msg::TurnEnded(utterance) => {
                executor.utterance = Some(utterance);
                conductor.events().push(Event::TurnEnded);
            }
            Msg::Transcript { work, text, samples, took } => {
                executor.clocks.mark(work, |c| &mut c.transcript, Instant::now());
                let audio_ms = SampleRate::HEARING.duration(samples).as_millis() as u64;
                let took_ms = took.as_millis() as u64;
                executor.tell(&Notice::Heard { work, text: text.clone(), audio_ms, took_ms });
                conductor.events().push(Event::Transcript { work, text });
            }
            Msg::FirstToken { work, at } => executor.clocks.mark(work, |c| &mut c.first_token, at),
            Msg::Sentence { work, text, at } => {
                executor.clocks.mark(work, |c| &mut c.first_sentence, at);
                conductor.events().push(Event::Sentence { work, text });
            }
            Msg::Thought { work, thought } => {
                let Thought { text, end, prompt_tokens, cached_tokens, tokens, took } = thought;
                executor.desk.tell(work.turn, Told::Thought { end: end.name(), prompt_tokens, tokens });
                let took_ms = took.as_millis() as u64;
                executor.tell(&Notice::Thought { work, text, prompt_tokens, cached_tokens, tokens, took_ms });
            }
            Msg::Tool { work, outcome } => executor.tool_done(work, outcome, conductor.events()),
            Msg::Due { told, outcome } => executor.due_done(told, outcome, conductor.events()),
            Msg::Audible { work, sentence, at } => executor.audible(work, sentence, at, conductor.events()),
            Msg::Loudspeaker(presence) => {
                executor.tell(&Notice::device("loudspeaker", presence));
            }
            Msg::Microphone(presence) => {
                self.microphone = matches!(presence, Presence::Restored);
                conductor.events().push(match &presence {
                    Presence::Lost(_) => Event::DeviceLost,
                    Presence::Restored => Event::DeviceRestored,
                });
                executor.tell(&Notice::device("microphone", presence));
            }
            Msg::Trouble { part, message } => executor.tell(&Notice::Trouble { part, message }),
            Msg::Fatal(e) => {
                self.fatal.get_or_insert((e, Instant::now() + LAST_WORDS));
            }
            // No last words from a program that can no longer be trusted.
            Msg::Broken(e) => {
                self.fatal.get_or_insert((e, Instant::now())).1 = Instant::now();
            }
            Msg::SourceEnded => self.source_ended = true,
            Msg::Written(request) => executor.desk.take(request),
            Msg::Standing(to) => {
                let standing = Standing { state: conductor.dialog().state(), microphone: self.microphone };
                let _ = to.try_send(standing);
            }
            Msg::Probe(answered) => answered.store(executor.handles.ears.hears(), Ordering::Release),
            // Handled by the loop.
            Msg::Stop => {}
        }
    }

    fn shut_down(self) {
        let Executor { handles, start, mut observer, .. } = self.executor;
        drop(handles);
        observer.notice(start.elapsed(), &Notice::Ended);
    }
}
