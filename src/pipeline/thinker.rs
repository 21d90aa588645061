//! The `llm` thread: prompts in, sentences and tool calls out, while they are being written.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::cancel::Cancel;
use super::queue::{Queue, WhenFull};
use super::{Msg, Thought};
use crate::dialog::Event;
use crate::error::{Error, Kind, Result};
use crate::llm::chat::Chat;
use crate::llm::reply::{self, Reply};
use crate::llm::tokenizer::StreamDecoder;
use crate::llm::{Engine, Sampler, Sampling, Session};
use crate::schema::{Message, ToolCall, ToolSchema};
use crate::speak::Chunker;
use crate::units::{TurnId, WorkId};

/// Longest tool call written before it counts as malformed; longest reply otherwise.
const CALL_TOKENS: usize = 160;

struct Job {
    work: WorkId,
    prompt: Vec<Message>,
}

/// What the thread needs beside the engine.
pub(super) struct Mind {
    pub(super) engine: Arc<Engine>,
    pub(super) chat: Arc<Chat>,
    pub(super) session: Session,
    pub(super) sampling: Sampling,
    pub(super) reply_tokens: usize,
    pub(super) tools: Vec<ToolSchema>,
    /// The pinned block, computed before the first turn.
    pub(super) system: Message,
}

/// The handle by which the coordinator makes it think.
#[derive(Clone)]
pub(super) struct Thinker {
    /// One prompt at a time matters: a newer one replaces what has not been started.
    jobs: Queue<Job>,
    cancel: Cancel,
}

impl Thinker {
    pub(super) fn start(mind: Mind, cancel: Cancel, out: Queue<Msg>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let me = Self { jobs: Queue::new(1, WhenFull::DropOldest), cancel };
        let theirs = me.clone();
        let thread = std::thread::Builder::new().name("llm".into()).spawn(move || {
            Worker { mind, handle: theirs, out }.run();
        })?;
        Ok((me, thread))
    }

    pub(super) fn think(&self, work: WorkId, prompt: Vec<Message>) {
        let _ = self.jobs.send(Job { work, prompt });
    }

    pub(super) fn close(&self) {
        self.jobs.close();
    }
}

struct Worker {
    mind: Mind,
    handle: Thinker,
    out: Queue<Msg>,
}

/// How a generation ended.
enum Outcome {
    Said,
    Call(ToolCall),
    Malformed { raw: String, problems: Vec<String> },
}

impl Worker {
    fn run(mut self) {
        if let Err(e) = self.warm_up() {
            // Not fatal: the first prompt computes what this could not.
            tracing::warn!("cannot prepare the system prompt: {e}");
        }
        while let Some(job) = self.handle.jobs.recv() {
            let work = job.work;
            if self.handle.cancel.is_cancelled(work) {
                continue;
            }
            let event = match self.think(&job) {
                Ok(Outcome::Said) => Event::ReplyDone { work },
                Ok(Outcome::Call(call)) => Event::ToolWanted { work, call },
                Ok(Outcome::Malformed { raw, problems }) => Event::Malformed { work, raw, problems },
                Err(e) if e.kind() == Kind::Cancelled => continue,
                Err(e) => {
                    tracing::error!("the language model failed: {e}");
                    Event::ModelFailed { work, spoken: None }
                }
            };
            let _ = self.out.send(Msg::Dialog(event));
        }
    }

    /// Computes the pinned block, so that no turn waits for it.
    fn warm_up(&mut self) -> Result<()> {
        let m = &mut self.mind;
        let tokens = m.chat.render(m.engine.tokenizer(), std::slice::from_ref(&m.system), false)?;
        // Only the end of the pipeline cancels this.
        let ending = || self.handle.cancel.is_cancelled(WorkId { turn: TurnId(u64::from(u32::MAX)), revision: 0 });
        m.session.sync(&tokens, &ending)?;
        m.session.pin(tokens.len())
    }

    fn think(&mut self, job: &Job) -> Result<Outcome> {
        let began = Instant::now();
        let work = job.work;
        let Mind { engine, chat, session, sampling, reply_tokens, .. } = &mut self.mind;
        let reply_tokens = *reply_tokens;
        let tokenizer = engine.tokenizer();
        let cancelled = || self.handle.cancel.is_cancelled(work);
        let prompt = chat.render(tokenizer, &job.prompt, true)?;
        let cached_tokens = session.sync(&prompt, &cancelled)?;

        let mut sampler = Sampler::new(sampling.clone());
        let mut decoder = StreamDecoder::default();
        let mut chunker = Chunker::new();
        let mut text = String::new();
        let mut piece = String::new();
        let mut tokens = 0;
        let most = reply_tokens.max(CALL_TOKENS);
        for token in session.generate(&mut sampler, tokenizer.stops(), most, &cancelled) {
            let token = token?;
            if tokens == 0 {
                let _ = self.out.send(Msg::FirstToken { work, at: Instant::now() });
            }
            tokens += 1;
            piece.clear();
            decoder.push(tokenizer, token, &mut piece);
            text.push_str(&piece);
            let calling = reply::begins_call(&text);
            if calling == Some(false) {
                for sentence in chunker.push(&piece) {
                    say(&self.out, work, sentence);
                }
            }
            if tokens >= if calling == Some(true) { CALL_TOKENS } else { reply_tokens } {
                break;
            }
        }
        if cancelled() {
            return Err(Error::new(Kind::Cancelled, "the turn is over"));
        }
        let took = began.elapsed();
        let thought = Thought { text: text.clone(), prompt_tokens: prompt.len(), cached_tokens, tokens, took };
        let _ = self.out.send(Msg::Thought { work, thought });
        if reply::begins_call(&text) == Some(true) {
            return Ok(self.judge_call(text));
        }
        for sentence in chunker.finish() {
            say(&self.out, work, sentence);
        }
        Ok(Outcome::Said)
    }

    /// A call is only passed on when it is one of a known tool with sound arguments.
    fn judge_call(&self, raw: String) -> Outcome {
        match reply::parse_reply(&raw) {
            Reply::Call(call) => match self.mind.tools.iter().find(|t| t.name == call.name) {
                None => {
                    let problems = vec![format!("there is no tool named {}", call.name)];
                    Outcome::Malformed { raw, problems }
                }
                Some(tool) => {
                    let problems = tool.check(&call.parameters);
                    if problems.is_empty() { Outcome::Call(call) } else { Outcome::Malformed { raw, problems } }
                }
            },
            Reply::Malformed(problem) => Outcome::Malformed { raw, problems: vec![problem] },
            Reply::Text(_) => Outcome::Malformed { raw, problems: vec!["not a call".into()] },
        }
    }
}

fn say(out: &Queue<Msg>, work: WorkId, text: String) {
    let _ = out.send(Msg::Sentence { work, text, at: Instant::now() });
}
