//! The coordinator: feeds the dialog what happened and carries out what it decides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use super::latency::TurnClock;
use super::listener::Listener;
use super::notice::{Notice, Observer};
use super::queue::{Queue, WhenFull};
use super::speaker::Speaker;
use super::thinker::{Mind, Thinker};
use super::toolbench::Toolbench;
use super::transcriber::Transcriber;
use super::{Archive, Msg, Utterance};
use crate::audio::{Output, Source};
use crate::budget::Reservation;
use crate::dialog::{self, Action, Context, Dialog, Event, State};
use crate::error::{Error, Kind, Result};
use crate::hear::{Ears, Stt};
use crate::llm::chat::Chat;
use crate::llm::grammar::Grammar;
use crate::llm::writer::Writer;
use crate::llm::{Engine, Sampling};
use crate::schema::Message;
use crate::speak::Voice;
use crate::store::PrefixCache;
use crate::tools::{Effect, Fast, Outcome, Registry};
use crate::units::{SampleRate, TurnId, WorkId};

/// Messages waiting for the coordinator; senders wait while it is full.
const MESSAGES: usize = 256;
/// Turns whose moments are kept for latency.
const CLOCKS: usize = 4;
/// How long after a fatal error the turn under way may take to apologise and end.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Everything loaded, before the threads start.
pub struct Parts {
    /// Transcribe while the user still speaks, for whoever watches.
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
    /// Where the computed system prompt is kept from one start to the next.
    pub prefixes: Option<PrefixCache>,
    /// Where utterances are kept, for those who asked for it.
    pub archive: Option<Archive>,
    /// Reservations that live as long as the pipeline.
    pub standing: Vec<Reservation>,
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
        let schemas = parts.tools.schemas().to_vec();
        let memory = Context::new(&parts.dialog, &schemas);
        let chat = Arc::new(Chat::from_gguf(parts.engine.file(), parts.engine.tokenizer())?);
        let grammar = Grammar::new(&schemas, chat.call_style())?;
        let mind = Mind {
            grammar,
            prefixes: parts.prefixes,
            writer: Writer::new(Arc::clone(&parts.engine), Arc::clone(&chat), parts.sampling)?,
            reply_tokens: parts.dialog.reply_tokens,
            tools: schemas,
            system: memory.system().clone(),
        };
        let cancel = Cancel::default();
        let mut threads = Vec::new();
        let mut keep = |t: JoinHandle<()>| threads.push(t);
        let (stt, thread) = Transcriber::start(parts.stt, parts.archive, messages.clone()).map_err(no_thread)?;
        keep(thread);
        let (llm, thread) = Thinker::start(mind, cancel.clone(), messages.clone()).map_err(no_thread)?;
        keep(thread);
        let (tts, [a, b]) =
            Speaker::start(parts.voice, Arc::clone(&parts.output), messages.clone()).map_err(no_thread)?;
        keep(a);
        keep(b);
        let (tools, thread) =
            Toolbench::start(Arc::clone(&parts.tools), cancel.clone(), messages.clone()).map_err(no_thread)?;
        keep(thread);
        let partials = parts.partials.then(|| stt.clone());
        let (ears, thread) =
            Listener::start(parts.source, parts.ears, partials, messages.clone()).map_err(no_thread)?;
        keep(thread);
        let coordinator = Coordinator {
            start: Instant::now(),
            dialog: Dialog::new(parts.dialog),
            memory,
            chat,
            engine: parts.engine,
            fast: parts.tools.fast(),
            registry: parts.tools,
            observer: parts.observer,
            messages: messages.clone(),
            cancel,
            handles: Handles { ears, stt, llm, tts, tools },
            threads,
            utterance: None,
            clocks: VecDeque::new(),
            said: VecDeque::new(),
            unmuted: parts.output.volume(),
            output: parts.output,
            source_ended: false,
            fatal: None,
            _standing: parts.standing,
        };
        let thread = std::thread::Builder::new()
            .name("coordinator".into())
            .spawn(move || coordinator.run())
            .map_err(no_thread)?;
        Ok(Self { messages, coordinator: Some(thread) })
    }

    /// A handle by which other threads steer the pipeline.
    pub fn control(&self) -> Control {
        Control(self.messages.clone())
    }

    /// Waits until the pipeline ends: it was stopped, or its source ended and the last reply is over.
    ///
    /// # Errors
    /// What a part failed with for good; [`Kind::Device`] where the language model's device is lost to this process.
    pub fn join(mut self) -> Result<()> {
        match self.coordinator.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::new(Kind::Internal, "the coordinator thread panicked")),
            Some(Ok(ended)) => ended,
            None => Ok(()),
        }
    }
}

/// Steers a running pipeline from any thread. Does nothing once the pipeline has ended.
#[derive(Clone)]
pub struct Control(Queue<Msg>);

impl Control {
    /// A turn that arrives as text.
    pub fn ask(&self, text: impl Into<String>) {
        let _ = self.0.send(Msg::Dialog(Event::TextTurn { text: text.into() }));
    }

    /// Listen now, without the wake word.
    pub fn push_to_talk(&self) {
        let _ = self.0.send(Msg::Dialog(Event::PushToTalk));
    }

    /// Asks the coordinator for a sign of life; the flag is raised when it gets to it.
    pub fn probe(&self) -> Arc<AtomicBool> {
        let answered = Arc::new(AtomicBool::new(false));
        let _ = self.0.send(Msg::Probe(Arc::clone(&answered)));
        answered
    }

    pub fn stop(&self) {
        let _ = self.0.send(Msg::Stop);
    }
}

fn no_thread(e: std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "cannot start a thread").remedy("raise the limit on processes (ulimit -u)").because(e)
}

struct Handles {
    ears: Listener,
    stt: Transcriber,
    llm: Thinker,
    tts: Speaker,
    tools: Toolbench,
}

struct Coordinator {
    start: Instant,
    dialog: Dialog,
    memory: Context,
    engine: Arc<Engine>,
    chat: Arc<Chat>,
    registry: Arc<Registry>,
    fast: Fast,
    output: Arc<dyn Output>,
    observer: Box<dyn Observer>,
    messages: Queue<Msg>,
    cancel: Cancel,
    handles: Handles,
    threads: Vec<JoinHandle<()>>,
    /// What the ears held at the last end of a turn, until it is transcribed or dropped.
    utterance: Option<Utterance>,
    clocks: VecDeque<TurnClock>,
    /// Sentences handed to the voice and not yet heard, for [`Notice::Saying`]; at most as many as `tts` queues.
    said: VecDeque<(WorkId, u32, String)>,
    /// Volume to come back to from mute.
    unmuted: u8,
    source_ended: bool,
    /// What a part failed with for good, and when all is to end at the latest.
    fatal: Option<(Error, Instant)>,
    _standing: Vec<Reservation>,
}

impl Coordinator {
    fn run(mut self) -> Result<()> {
        loop {
            let due = [
                self.dialog.deadline().map(|d| self.start + d),
                self.registry.timers().next_due_in().map(|d| Instant::now() + d),
                self.fatal.as_ref().map(|(_, latest)| *latest),
            ];
            match self.messages.recv_until(due.into_iter().flatten().min()) {
                Some(None) | Some(Some(Msg::Stop)) => break,
                Some(Some(msg)) => self.handle(msg),
                None => self.tick(),
            }
            if self.is_over() {
                break;
            }
        }
        let fatal = self.fatal.take();
        self.shut_down();
        fatal.map_or(Ok(()), |(e, _)| Err(e))
    }

    /// Nothing more is to come, and nothing is under way.
    fn is_over(&self) -> bool {
        let idle = match self.dialog.state() {
            State::Asleep | State::FollowUp => !self.output.is_playing(),
            // Without samples nobody ends the turn; after a fatal error whoever is speaking still gets their apology.
            State::Listening => self.source_ended && !self.output.is_playing(),
            State::Thinking | State::Speaking => false,
        };
        let late = self.fatal.as_ref().is_some_and(|(_, latest)| *latest <= Instant::now());
        late || idle && (self.source_ended || self.fatal.is_some())
    }

    fn tick(&mut self) {
        if let Some(text) = self.registry.timers().take_due() {
            self.step(Event::Ring { text });
        }
        if self.dialog.deadline().is_some_and(|d| d <= self.start.elapsed()) {
            self.step(Event::Tick);
        }
    }

    fn handle(&mut self, msg: Msg) {
        match msg {
            Msg::Dialog(event) => self.step(event),
            Msg::Hearing => self.tell(&Notice::Ready),
            Msg::Wake { model, score } => {
                self.tell(&Notice::Wake { model: model.clone(), score });
                self.step(Event::Wake { model });
            }
            Msg::Partial(text) => {
                if self.dialog.state() == State::Listening {
                    self.tell(&Notice::Partial { text });
                }
            }
            Msg::TurnEnded(utterance) => {
                self.utterance = Some(utterance);
                self.step(Event::TurnEnded);
            }
            Msg::Transcript { work, text, samples, took } => {
                self.mark(work, |c| &mut c.transcript, Instant::now());
                let audio_ms = SampleRate::HEARING.duration(samples).as_millis() as u64;
                self.tell(&Notice::Heard { work, text: text.clone(), audio_ms, took_ms: took.as_millis() as u64 });
                self.step(Event::Transcript { work, text });
            }
            Msg::FirstToken { work, at } => self.mark(work, |c| &mut c.first_token, at),
            Msg::Sentence { work, text, at } => {
                self.mark(work, |c| &mut c.first_sentence, at);
                self.step(Event::Sentence { work, text });
            }
            Msg::Thought { work, thought } => self.tell(&Notice::Thought {
                work,
                text: thought.text,
                prompt_tokens: thought.prompt_tokens,
                cached_tokens: thought.cached_tokens,
                tokens: thought.tokens,
                took_ms: thought.took.as_millis() as u64,
            }),
            Msg::Tool { work, outcome } => self.tool_done(work, outcome),
            Msg::Audible { work, sentence, at } => self.audible(work, sentence, at),
            Msg::Loudspeaker { work, reason } => {
                self.tell(&Notice::Device { what: "loudspeaker", ok: false, reason });
                self.step(Event::SpeakFailed { work });
            }
            Msg::Microphone { ok, reason } => {
                self.tell(&Notice::Device { what: "microphone", ok, reason });
                self.step(if ok { Event::DeviceRestored } else { Event::DeviceLost });
            }
            Msg::Trouble { part, message } => self.tell(&Notice::Trouble { part, message }),
            Msg::Fatal(e) => {
                self.fatal.get_or_insert((e, Instant::now() + LAST_WORDS));
            }
            Msg::SourceEnded => self.source_ended = true,
            Msg::Probe(answered) => answered.store(true, Ordering::Release),
            // Handled by the loop.
            Msg::Stop => {}
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.dialog.step(self.start.elapsed(), event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::State(state) => self.tell(&Notice::State { state }),
            Action::Hear(mode) => self.handles.ears.set_mode(mode),
            Action::Transcribe { work } => self.transcribe(work),
            Action::DropUtterance => self.utterance = None,
            Action::Interpret { work, text } => self.interpret(work, &text),
            Action::Generate { work, exchange } => self.generate(work, &exchange),
            Action::RunTool { work, call, said } => {
                self.tell(&Notice::Call { work, call: call.clone(), fast: false });
                if !self.handles.tools.run(work, call, said) {
                    self.tool_done(work, Outcome::busy());
                }
            }
            Action::Say { work, sentence, text } => {
                self.mark(work, |c| &mut c.first_sentence, Instant::now());
                if self.said.len() >= MESSAGES {
                    self.said.pop_front();
                }
                self.said.push_back((work, sentence, text.clone()));
                if !self.handles.tts.say(work, sentence, text) {
                    self.step(Event::SpeakFailed { work });
                }
            }
            Action::StopSpeaking => {
                self.said.clear();
                self.handles.tts.stop();
            }
            Action::Earcon(kind) => self.handles.tts.earcon(kind),
            Action::CancelBefore(work) => self.cancel.before(work),
            Action::Remember { messages } => self.memory.remember(self.start.elapsed(), messages),
        }
    }

    fn transcribe(&mut self, work: WorkId) {
        let Some(u) = self.utterance.take() else {
            // The dialog asks only after TurnEnded; a lost utterance is an empty one.
            return self.step(Event::Transcript { work, text: None });
        };
        let mut clock = TurnClock::new(work.turn, u.speech_end);
        clock.endpoint = Some(u.endpoint);
        self.keep_clock(clock);
        self.handles.stt.transcribe(work, u.sound);
    }

    fn interpret(&mut self, work: WorkId, text: &str) {
        if self.clock(work.turn).is_none() {
            self.keep_clock(TurnClock::new(work.turn, Instant::now()));
        }
        let event = match self.fast.interpret(text) {
            Some(calls) => Event::CommandFound { work, calls },
            None => Event::NoCommand { work },
        };
        self.step(event);
    }

    fn generate(&mut self, work: WorkId, exchange: &[Message]) {
        let (engine, chat) = (Arc::clone(&self.engine), Arc::clone(&self.chat));
        let count = |messages: &[Message]| {
            // A conversation that does not render is reported by the thread that renders it for real.
            chat.render(engine.tokenizer(), messages, true).map_or(0, |t| t.len())
        };
        match self.memory.prompt(self.start.elapsed(), exchange, engine.context(), count) {
            Ok(prompt) => self.handles.llm.think(work, prompt),
            Err(e) => {
                self.tell(&Notice::Trouble { part: "prompt", message: e.to_string() });
                let spoken = Some("Sorry, that is more than I can keep in mind at once.".to_owned());
                self.step(Event::ModelFailed { work, spoken });
            }
        }
    }

    fn tool_done(&mut self, work: WorkId, outcome: Outcome) {
        self.tell(&Notice::Result { work, result: outcome.result.clone() });
        let then = match outcome.effect {
            None => dialog::Then::Answer,
            Some(Effect::Repeat) => dialog::Then::Repeat,
            Some(Effect::Stop) => {
                self.registry.timers().stop_ringing();
                dialog::Then::Sleep
            }
            Some(effect) => {
                self.apply(effect);
                dialog::Then::Answer
            }
        };
        self.step(Event::ToolDone { work, result: outcome.result, spoken: outcome.spoken, then });
    }

    fn apply(&mut self, effect: Effect) {
        let volume = i32::from(self.output.volume());
        match effect {
            Effect::SetVolume(percent) => self.set_volume(percent),
            Effect::VolumeBy(by) => self.set_volume((volume + i32::from(by)).clamp(0, 100) as u8),
            Effect::Mute(true) => {
                if volume > 0 {
                    self.unmuted = self.output.volume();
                }
                self.output.set_volume(0);
            }
            Effect::Mute(false) => self.set_volume(self.unmuted),
            Effect::StopRinging => {
                self.registry.timers().stop_ringing();
                self.step(Event::RingStop);
            }
            // The dialog does these.
            Effect::Stop | Effect::Repeat => {}
        }
    }

    fn set_volume(&mut self, percent: u8) {
        self.unmuted = percent;
        self.output.set_volume(percent);
    }

    fn audible(&mut self, work: WorkId, sentence: u32, at: Instant) {
        while let Some((w, s, _)) = self.said.front() {
            if (*w, *s) > (work, sentence) {
                break;
            }
            if let Some((w, s, text)) = self.said.pop_front()
                && (w, s) == (work, sentence)
            {
                self.tell(&Notice::Saying { work, text });
            }
        }
        if let Some(c) = self.clock_mut(work.turn)
            && c.first_audio.is_none()
        {
            c.first_audio = Some(at);
            let latency = c.latency();
            self.tell(&Notice::Latency(latency));
        }
        self.step(Event::PlaybackStarted { work, sentence });
    }

    fn keep_clock(&mut self, clock: TurnClock) {
        if self.clocks.len() == CLOCKS {
            self.clocks.pop_front();
        }
        self.clocks.push_back(clock);
    }

    fn clock(&self, turn: TurnId) -> Option<&TurnClock> {
        self.clocks.iter().rev().find(|c| c.turn == turn)
    }

    fn clock_mut(&mut self, turn: TurnId) -> Option<&mut TurnClock> {
        self.clocks.iter_mut().rev().find(|c| c.turn == turn)
    }

    fn mark(&mut self, work: WorkId, slot: impl Fn(&mut TurnClock) -> &mut Option<Instant>, at: Instant) {
        if let Some(c) = self.clock_mut(work.turn) {
            slot(c).get_or_insert(at);
        }
    }

    fn tell(&mut self, notice: &Notice) {
        self.observer.notice(self.start.elapsed(), notice);
    }

    fn shut_down(mut self) {
        self.messages.close();
        self.cancel.all();
        self.handles.ears.stop();
        self.handles.stt.close();
        self.handles.llm.close();
        self.handles.tts.close();
        self.handles.tools.close();
        for t in self.threads.drain(..) {
            if t.join().is_err() {
                tracing::error!("a thread of the pipeline panicked");
            }
        }
        self.tell(&Notice::Ended);
    }
}
