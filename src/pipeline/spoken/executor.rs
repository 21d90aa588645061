//! Carries out what the dialog decides, using the parts of the pipeline that act, and reports it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::desk::Desk;
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
use crate::dialog::{Action, Context, Earcon, Event, State};
use crate::llm::Engine;
use crate::llm::chat::Chat;
use crate::pipeline::cancel::Cancel;
use crate::pipeline::conductor::Events;
use crate::pipeline::deeds;
use crate::pipeline::report::Told;
use crate::schema::Message;
use crate::tools::interpret::{Admission, Interpreter};
use crate::tools::{DueCommand, Effect, Outcome, Registry};
use crate::units::WorkId;

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
    pub(super) interpreter: Interpreter,
    pub(super) output: Arc<dyn Output>,
    pub(super) observer: Box<dyn Observer>,
    pub(super) desk: Desk,
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
        self.desk.hear(notice);
        self.observer.notice(self.start.elapsed(), notice);
    }

    /// Carries out one action. What comes of it at once is an event.
    pub(super) fn carry_out(&mut self, action: Action, events: &mut Events) {
        self.desk.watch(&action);
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
            Action::RunTool { work, call, part, said, fast } => {
                let admission = self.interpreter.admit(self.start.elapsed(), part, call.clone(), &said, fast);
                if let Some(call) = deeds::admitted(&admission) {
                    let call = call.clone();
                    self.tell(&Notice::Call { work, call, fast });
                }
                match admission {
                    Admission::Refused(outcome) => {
                        self.tell(&Notice::Refused { work, call, result: outcome.result.clone() });
                        events.push(deeds::done(work, outcome));
                    }
                    admitted => {
                        if !self.handles.tools.run(work, admitted, said) {
                            self.tool_done(work, Outcome::busy(), events);
                        }
                    }
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
        self.desk.begins(work.turn);
        if !self.clocks.has(work.turn) {
            self.clocks.start(work.turn, Instant::now(), None);
        }
        let now = self.start.elapsed();
        events.push(deeds::interpret(&mut self.interpreter, now, work, text));
    }

    fn generate(&mut self, work: WorkId, exchange: &[Message], events: &mut Events) {
        match deeds::prompt(&mut self.memory, self.start.elapsed(), exchange, &self.engine, &self.chat) {
            Ok(prompt) => self.handles.llm.think(work, prompt),
            Err(e) => {
                log_trouble("prompt", &e);
                self.tell(&Notice::Trouble { part: "prompt", message: e.to_string() });
                events.push(Event::ModelFailed { work, spoken: Some(deeds::TOO_LONG.to_owned()) });
            }
        }
    }

    fn say(&mut self, work: WorkId, sentence: u32, text: String, events: &mut Events) {
        if self.desk.answers(work.turn) {
            return self.write(work, sentence, text, events);
        }
        self.clocks.mark(work, |c| &mut c.first_sentence, Instant::now());
        if self.said.len() >= speaker::JOBS {
            self.said.pop_front();
        }
        self.said.push_back((work, sentence, text.clone()));
        if !self.handles.tts.say(work, sentence, text) {
            events.push(Event::SpeakFailed { work });
        }
    }

    /// Whoever asked in writing is shown the sentence, which counts as heard.
    fn write(&mut self, work: WorkId, sentence: u32, text: String, events: &mut Events) {
        self.desk.tell(work.turn, Told::Said { text: text.clone() });
        self.tell(&Notice::Written { work, text });
        events.push(Event::PlaybackStarted { work, sentence });
        events.push(Event::PlaybackDone { work, sentence });
    }

    /// A tool ran, or was refused: what it wants done to the device is done, the rest is for the dialog.
    pub(super) fn tool_done(&mut self, work: WorkId, outcome: Outcome, events: &mut Events) {
        self.tell(&Notice::Result { work, result: outcome.result.clone() });
        if let Some(effect) = outcome.effect {
            self.apply(effect, events);
        }
        events.push(deeds::done(work, outcome));
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
            Effect::Stop => self.registry.agenda().stop_ringing(),
            // The dialog does this.
            Effect::Repeat => {}
        }
    }

    /// The time has come for commands that were to run later.
    pub(super) fn run_due(&mut self, commands: Vec<DueCommand>, events: &mut Events) {
        for command in commands {
            tracing::info!(tool = command.call.name, "a scheduled command is due");
            let told = command.told.clone();
            if !self.handles.tools.run_due(command) {
                self.due_done(told, Outcome::busy(), events);
            }
        }
    }

    /// A command that was kept for later ran, or could not.
    pub(super) fn due_done(&mut self, told: String, outcome: Outcome, events: &mut Events) {
        if let Some(text) = deeds::failed_later(&told, &outcome) {
            events.push(Event::Announce { text });
        }
        self.tell(&Notice::Scheduled { told, result: outcome.result });
        if let Some(effect) = outcome.effect {
            self.apply(effect, events);
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
