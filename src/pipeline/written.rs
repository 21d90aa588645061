//! A conversation in writing: the same dialog, tools, policy and memory as the spoken one, without ears and voice, and
//! without threads. A sentence counts as heard as soon as it is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::cancel::Cancel;
use super::conductor::{Conductor, Events};
use super::deeds;
use super::mind::{Mind, Part};
use super::report::{Gather, Told, Turn};
use crate::dialog::{self, Action, Context, Dialog, Event};
use crate::error::{Kind, Result};
use crate::llm::{Engine, Sampling};
use crate::schema::{Message, ToolCall};
use crate::store::PrefixCache;
use crate::tools::interpret::Interpreter;
use crate::tools::{Ctx, Effect, Outcome, Registry};
use crate::units::WorkId;

/// Everything loaded, before the conversation begins.
pub struct WrittenParts {
    pub dialog: dialog::Settings,
    pub sampling: Sampling,
    pub engine: Arc<Engine>,
    pub tools: Arc<Registry>,
    /// The prefix cache, which keeps the computed system prompt across restarts.
    pub prefixes: Option<PrefixCache>,
}

/// A conversation whose turns are asked and answered one after another. It remembers them.
pub struct Conversation {
    mind: Mind,
    /// The pinned block has been computed, or could not be.
    warm: bool,
    conductor: Conductor,
    room: Room,
}

/// Who is told what comes.
type Tell<'a> = &'a mut dyn FnMut(&Told);

/// What the dialog's actions are carried out with, except the model.
struct Room {
    start: Instant,
    memory: Context,
    registry: Arc<Registry>,
    interpreter: Interpreter,
    cancel: Cancel,
    /// What is to be done next; the dialog waits for one thing at a time.
    next: Option<Job>,
}

enum Job {
    Interpret { work: WorkId, text: String },
    Generate { work: WorkId, exchange: Vec<Message> },
    Run { work: WorkId, call: ToolCall, part: usize, said: Vec<String>, fast: bool },
}

impl Conversation {
    /// # Errors
    /// When the session's memory does not fit, or the model's template cannot be used.
    pub fn new(parts: WrittenParts) -> Result<Self> {
        // There is nobody to listen to afterwards, and nothing that sounds.
        let settings = dialog::Settings { earcons: false, echo_guard_ms: 0, follow_up_ms: 0, ..parts.dialog };
        let memory = Context::new(&settings, parts.tools.shown());
        let tools = parts.tools.shown();
        let mind = Mind::new(&parts.engine, parts.sampling, &memory, tools, settings.reply_tokens, parts.prefixes)?;
        let room = Room {
            start: Instant::now(),
            memory,
            interpreter: Interpreter::new(Arc::clone(&parts.tools)),
            registry: parts.tools,
            cancel: Cancel::default(),
            next: None,
        };
        Ok(Self { mind, warm: false, conductor: Conductor::new(Dialog::new(settings)), room })
    }

    /// A new conversation with other tools of the same signatures: what the model has computed of them stays.
    pub fn begin_again(&mut self, tools: Arc<Registry>) {
        debug_assert_eq!(tools.shown(), self.room.registry.shown());
        self.room.memory.forget();
        self.room.interpreter = Interpreter::new(Arc::clone(&tools));
        self.room.registry = tools;
    }

    /// Computes what every prompt begins with, so that the first that needs the model does not wait for it; otherwise it
    /// is computed then.
    pub fn warm_up(&mut self, cancelled: &dyn Fn() -> bool) {
        if !std::mem::replace(&mut self.warm, true)
            && let Err(e) = self.mind.warm_up(cancelled)
        {
            // The first prompt computes what this could not, or fails itself.
            tracing::warn!("cannot prepare the system prompt: {e}");
        }
    }

    /// How long until something that was set is due; `None` where nothing is set.
    pub fn next_due_in(&self) -> Option<Duration> {
        self.room.registry.agenda().next_due_in()
    }

    /// Runs the commands that are due by now, and gives in words what else is, and what did not work: for who owns the
    /// state folder, and only for them.
    pub fn take_due(&self) -> Option<String> {
        let due = self.room.registry.agenda().take_due();
        let mut told: Vec<String> = due.ring.into_iter().map(|r| r.text).chain(due.announcements).collect();
        for command in due.commands {
            let outcome = self.room.registry.run(&command.call, &Ctx::QUIET);
            told.extend(deeds::failed_later(&command.told, &outcome));
        }
        (!told.is_empty()).then(|| told.join(" "))
    }

    pub fn engine(&self) -> &Arc<Engine> {
        self.mind.engine()
    }

    /// One turn; `tell` gets what comes of it as it comes, [`Told::Over`] last. When `cancelled`, the turn is what has
    /// come so far.
    ///
    /// # Errors
    /// Those of the session. The conversation goes on where the engine still answers.
    pub fn ask(
        &mut self,
        text: &str,
        cancelled: &(dyn Fn() -> bool + Sync),
        tell: &mut dyn FnMut(&Told),
    ) -> Result<Turn> {
        let mut gather = Gather::begin();
        let mut tell = |told: &Told| {
            gather.take(told);
            tell(told);
        };
        self.conductor.events().push(Event::Written { text: text.to_owned() });
        let mut failed = None;
        loop {
            self.room.step(&mut self.conductor, &mut tell);
            let Some(job) = self.room.next.take() else { break };
            let event = match self.carry_on(job, cancelled, &mut tell) {
                Ok(event) => event,
                Err(e) => {
                    // Whoever wrote sees the error itself instead of an apology.
                    failed = Some(e).filter(|e| e.kind() != Kind::Cancelled);
                    Event::StopRequested
                }
            };
            let event = if cancelled() { Event::StopRequested } else { event };
            self.conductor.events().push(event);
        }
        tell(&Told::Over { whole: !cancelled() });
        match failed {
            Some(e) => Err(e),
            None => Ok(gather.finish()),
        }
    }

    /// Does what the dialog waits for, and gives what it is to be told of it. What is said meanwhile is shown at once.
    fn carry_on(&mut self, job: Job, cancelled: &(dyn Fn() -> bool + Sync), tell: Tell<'_>) -> Result<Event> {
        if matches!(job, Job::Generate { .. }) {
            self.warm_up(cancelled);
        }
        let Self { mind, conductor, room, .. } = self;
        match job {
            Job::Interpret { work, text } => {
                let now = room.now();
                Ok(deeds::interpret(&mut room.interpreter, now, work, &text))
            }
            Job::Run { work, call, part, said, fast } => {
                let admission = room.interpreter.admit(room.now(), part, call, &said, fast);
                // A call that is refused is none: nothing was tried.
                let made = deeds::admitted(&admission).cloned();
                if let Some(call) = &made {
                    tell(&Told::Call { call: call.clone(), fast });
                }
                let outcome = room.apply(deeds::run(&room.registry, admission, &said, cancelled));
                if made.is_some() {
                    tell(&Told::Result { result: outcome.result.clone() });
                }
                Ok(deeds::done(work, outcome))
            }
            Job::Generate { work, exchange } => {
                let now = room.now();
                let prompt = match deeds::prompt(&mut room.memory, now, &exchange, mind.engine(), mind.chat()) {
                    Ok(prompt) => prompt,
                    Err(e) => {
                        tell(&Told::Trouble { part: "prompt", message: e.to_string() });
                        return Ok(Event::ModelFailed { work, spoken: Some(deeds::TOO_LONG.to_owned()) });
                    }
                };
                let cancel = room.cancel.clone();
                let stale = || cancel.is_cancelled(work);
                let thought = mind.think(&prompt, &|| cancelled() || stale(), &mut |part| match part {
                    Part::Begun => {}
                    Part::Sentence(text) => {
                        conductor.events().push(Event::Sentence { work, text });
                        room.step(conductor, tell);
                    }
                    Part::Thought(t) => {
                        tell(&Told::Thought { end: t.end.name(), prompt_tokens: t.prompt_tokens, tokens: t.tokens });
                    }
                });
                match thought {
                    // The dialog has what it wanted, and ignores this.
                    Err(e) if e.kind() == Kind::Cancelled && stale() => Ok(Event::ReplyDone { work }),
                    thought => thought.map(|outcome| outcome.event(work)),
                }
            }
        }
    }
}

impl Room {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Gives the dialog what waits for it, and carries out what follows at once.
    fn step(&mut self, conductor: &mut Conductor, tell: Tell<'_>) {
        let start = self.start;
        conductor.run(|| start.elapsed(), |action, events| self.carry_out(action, events, tell));
    }

    fn carry_out(&mut self, action: Action, events: &mut Events, tell: Tell<'_>) {
        match action {
            Action::Interpret { work, text } => self.next = Some(Job::Interpret { work, text }),
            Action::Generate { work, exchange } => self.next = Some(Job::Generate { work, exchange }),
            Action::RunTool { work, call, part, said, fast } => {
                self.next = Some(Job::Run { work, call, part, said, fast });
            }
            Action::Say { work, sentence, text } => {
                tell(&Told::Said { text });
                events.push(Event::PlaybackStarted { work, sentence });
                events.push(Event::PlaybackDone { work, sentence });
            }
            Action::CancelBefore(work) => self.cancel.before(work),
            Action::Remember { messages } => self.memory.remember(self.start.elapsed(), messages),
            // Neither ears nor a loudspeaker are there.
            Action::State(_)
            | Action::Hear(_)
            | Action::Transcribe { .. }
            | Action::DropUtterance
            | Action::StopSpeaking
            | Action::Earcon(_) => {}
        }
    }

    /// What a call wants done to a device that is not there has not been done, and is not claimed to be.
    fn apply(&mut self, outcome: Outcome) -> Outcome {
        match outcome.effect {
            Some(Effect::SetVolume(_) | Effect::VolumeBy(_) | Effect::Mute(_)) => Outcome {
                // No error: what was asked besides can still be done.
                result: json!({ "ok": false, "reason": "no loudspeaker here" }),
                spoken: Some("There is no loudspeaker here.".to_owned()),
                effect: None,
            },
            Some(Effect::Stop | Effect::StopRinging) => {
                self.registry.agenda().stop_ringing();
                outcome
            }
            Some(Effect::Repeat) | None => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
