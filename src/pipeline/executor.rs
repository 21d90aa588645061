//! Carries out what the dialog decides, using the parts of the pipeline that act, and reports it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::cancel::Cancel;
use super::conductor::Events;
use super::latency::Clocks;
use super::listener::Listener;
use super::loudness::Loudness;
use super::notice::{Notice, Observer};
use super::queue::Queue;
use super::speaker::{self, Speaker};
use super::thinker::Thinker;
use super::threads::Threads;
use super::toolbench::Toolbench;
use super::transcriber::Transcriber;
use super::{Msg, Utterance, log_trouble};
use crate::audio::Output;
use crate::dialog::{self, Action, Context, Earcon, Event, State};
use crate::llm::Engine;
use crate::llm::chat::Chat;
use crate::schema::Message;
use crate::tools::{DueCommand, Effect, Fast, Outcome, Registry};
use crate::units::WorkId;

/// What is said instead of an answer where the request itself is too long.
const TOO_LONG: &str = "Sorry, that is more than I can keep in mind at once.";

/// The handles of the other threads. Dropping this tells them to end, even on a panic.
pub(super) struct Handles {
    pub(super) ears: Listener,
    pub(super) stt: Transcriber,
    pub(super) llm: Thinker,
    pub(super) tts: Speaker,
    pub(super) tools: Toolbench,
    pub(super) messages: Queue<Msg>,
    pub(super) cancel: Cancel,
    pub(super) threads: Threads,
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.messages.close();
        self.cancel.all();
        self.ears.stop();
        self.stt.close();
        self.llm.close();
        self.tts.close();
        self.tools.close();
        self.threads.wait();
    }
}

pub(super) struct Executor {
    pub(super) start: Instant,
    pub(super) memory: Context,
    pub(super) engine: Arc<Engine>,
    pub(super) chat: Arc<Chat>,
    pub(super) registry: Arc<Registry>,
    pub(super) fast: Fast,
    pub(super) output: Arc<dyn Output>,
    pub(super) observer: Box<dyn Observer>,
    pub(super) cancel: Cancel,
    pub(super) handles: Handles,
    /// What the ears held at the last end of a turn, until it is transcribed or dropped.
    pub(super) utterance: Option<Utterance>,
    pub(super) clocks: Clocks,
    /// Sentences handed to the voice and not yet heard, for [`Notice::Saying`]; at most as many as it queues, the newest.
    pub(super) said: VecDeque<(WorkId, u32, String)>,
    pub(super) loudness: Loudness,
}

impl Executor {
    pub(super) fn tell(&mut self, notice: &Notice) {
        self.observer.notice(self.start.elapsed(), notice);
    }

    /// Carries out one action. What comes of it at once is an event.
    pub(super) fn carry_out(&mut self, action: Action, events: &mut Events) {
        match action {
            Action::State(state) => {
                if state != State::Speaking {
                    self.loudness.settle();
                }
                self.tell(&Notice::State { state });
            }
            Action::Hear(mode) => self.handles.ears.set_mode(mode),
            Action::Transcribe { work } => self.transcribe(work, events),
            Action::DropUtterance => self.utterance = None,
            Action::Interpret { work, text } => self.interpret(work, &text, events),
            Action::Generate { work, exchange } => self.generate(work, &exchange, events),
            Action::RunTool { work, call, said, fast } => {
                self.tell(&Notice::Call { work, call: call.clone(), fast });
                if !self.handles.tools.run(work, call, said) {
                    self.tool_done(work, Outcome::busy(), events);
                }
            }
            Action::Say { work, sentence, text } => self.say(work, sentence, text, events),
            Action::StopSpeaking => {
                self.said.clear();
                self.handles.tts.stop();
            }
            Action::Earcon(kind) => {
                if kind == Earcon::Ring {
                    self.loudness.ring();
                }
                self.handles.tts.earcon(kind);
            }
            Action::CancelBefore(work) => self.cancel.before(work),
            Action::Remember { messages } => self.memory.remember(self.start.elapsed(), messages),
        }
    }

    fn transcribe(&mut self, work: WorkId, events: &mut Events) {
        let Some(u) = self.utterance.take() else {
            // The dialog asks only after TurnEnded; a lost utterance is an empty one.
            return events.push(Event::Transcript { work, text: None });
        };
        self.clocks.start(work.turn, u.speech_end, Some(u.endpoint));
        self.handles.stt.transcribe(work, u.sound);
    }

    fn interpret(&mut self, work: WorkId, text: &str, events: &mut Events) {
        if !self.clocks.has(work.turn) {
            self.clocks.start(work.turn, Instant::now(), None);
        }
        events.push(match self.fast.interpret(text) {
            Some(calls) => Event::CommandFound { work, calls },
            None => Event::NoCommand { work },
        });
    }

    fn generate(&mut self, work: WorkId, exchange: &[Message], events: &mut Events) {
        let (engine, chat) = (&self.engine, &self.chat);
        let count = |messages: &[Message]| {
            // A conversation that does not render is reported by the thread that renders it for real.
            chat.render(engine.tokenizer(), messages, true).map_or(0, |t| t.len())
        };
        match self.memory.prompt(self.start.elapsed(), exchange, engine.context(), count) {
            Ok(prompt) => self.handles.llm.think(work, prompt),
            Err(e) => {
                log_trouble("prompt", &e);
                self.tell(&Notice::Trouble { part: "prompt", message: e.to_string() });
                events.push(Event::ModelFailed { work, spoken: Some(TOO_LONG.to_owned()) });
            }
        }
    }

    fn say(&mut self, work: WorkId, sentence: u32, text: String, events: &mut Events) {
        self.clocks.mark(work, |c| &mut c.first_sentence, Instant::now());
        if self.said.len() >= speaker::JOBS {
            self.said.pop_front();
        }
        self.said.push_back((work, sentence, text.clone()));
        if !self.handles.tts.say(work, sentence, text) {
            events.push(Event::SpeakFailed { work });
        }
    }

    /// A tool ran, or was refused: what it wants done to the device is done, the rest is for the dialog.
    pub(super) fn tool_done(&mut self, work: WorkId, outcome: Outcome, events: &mut Events) {
        self.tell(&Notice::Result { work, result: outcome.result.clone() });
        let then = match outcome.effect {
            None => dialog::Then::Answer,
            Some(Effect::Repeat) => dialog::Then::Repeat,
            Some(Effect::Stop) => {
                self.registry.agenda().stop_ringing();
                dialog::Then::Sleep
            }
            Some(effect) => {
                self.apply(effect, events);
                dialog::Then::Answer
            }
        };
        events.push(Event::ToolDone { work, result: outcome.result, spoken: outcome.spoken, then });
    }

    fn apply(&mut self, effect: Effect, events: &mut Events) {
        match effect {
            Effect::SetVolume(percent) => self.loudness.set(percent),
            Effect::VolumeBy(by) => self.loudness.change(by),
            Effect::Mute(on) => self.loudness.mute(on),
            Effect::StopRinging => {
                self.registry.agenda().stop_ringing();
                events.push(Event::RingStop);
            }
            // The dialog does these.
            Effect::Stop | Effect::Repeat => {}
        }
    }

    /// The time has come for commands that were to run later.
    pub(super) fn run_due(&mut self, commands: Vec<DueCommand>, _events: &mut Events) {
        for command in commands {
            tracing::info!(tool = command.call.name, "a scheduled command is due");
        }
    }

    /// The first sample of a sentence was heard.
    pub(super) fn audible(&mut self, work: WorkId, sentence: u32, at: Instant, events: &mut Events) {
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
        if let Some(latency) = self.clocks.first_audio(work.turn, at) {
            self.tell(&Notice::Latency(latency));
        }
        events.push(Event::PlaybackStarted { work, sentence });
    }
}
