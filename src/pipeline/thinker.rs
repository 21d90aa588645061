//! The `llm` thread: prompts in, sentences and tool calls out, while they are being written.

use std::sync::Arc;
use std::time::Instant;

use super::cancel::Cancel;
use super::queue::{Queue, WhenFull};
use super::threads::Threads;
use super::{Msg, Thought, trouble};
use crate::dialog::Event;
use crate::error::{Error, Kind, Result};
use crate::llm::Session;
use crate::llm::grammar::Grammar;
use crate::llm::reply::{self, Reply};
use crate::llm::writer::{Answer, End, Limits, Writer};
use crate::schema::{Message, ToolCall, ToolSchema};
use crate::speak::Chunker;
use crate::store::PrefixCache;
use crate::units::{TokenId, TurnId, WorkId};

/// Longest tool call written before it is given up.
const CALL_TOKENS: usize = 160;

struct Job {
    work: WorkId,
    prompt: Vec<Message>,
}

/// What the thread works with.
pub(super) struct Mind {
    pub(super) writer: Writer,
    pub(super) reply_tokens: usize,
    pub(super) tools: Vec<ToolSchema>,
    /// The grammar of calls; `None` where there are no tools.
    pub(super) grammar: Option<Arc<Grammar>>,
    /// The prefix cache, which keeps the computed pinned block across restarts.
    pub(super) prefixes: Option<PrefixCache>,
    /// The pinned block, computed before the first turn.
    pub(super) system: Message,
}

/// The coordinator's handle to the thread.
#[derive(Clone)]
pub(super) struct Thinker {
    /// One prompt at a time matters: a newer one replaces what has not been started.
    jobs: Queue<Job>,
    cancel: Cancel,
}

impl Thinker {
    pub(super) fn start(mind: Mind, cancel: Cancel, out: Queue<Msg>, threads: &mut Threads) -> Result<Self> {
        let me = Self { jobs: Queue::new(1, WhenFull::DropOldest), cancel };
        let theirs = me.clone();
        threads.start("llm", move || Worker { mind, handle: theirs, out }.run())?;
        Ok(me)
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
    Malformed {
        raw: String,
        problems: Vec<String>,
    },
    /// A call that was still being written when no more tokens could come.
    CutOff,
}

impl Worker {
    fn run(mut self) {
        self.prepare();
        while let Some(job) = self.handle.jobs.recv() {
            if !self.handle.cancel.is_cancelled(job.work) {
                self.turn(&job);
            }
        }
    }

    /// Reports the result of a job, unless it was cancelled.
    fn turn(&mut self, job: &Job) {
        let work = job.work;
        let mut lost = Ok(());
        let event = match self.think(job) {
            Ok(Outcome::Said) => Event::ReplyDone { work },
            Ok(Outcome::Call(call)) => Event::ToolWanted { work, call },
            Ok(Outcome::Malformed { raw, problems }) => Event::Malformed { work, raw, problems },
            Ok(Outcome::CutOff) => Event::CallCutOff { work },
            Err(e) if e.kind() == Kind::Cancelled => return,
            Err(e) => {
                trouble(&self.out, "language model", &e);
                lost = self.mind.writer.engine().answers();
                Event::ModelFailed { work, spoken: None }
            }
        };
        let _ = self.out.send(Msg::Dialog(event));
        // After the event, so that the apology comes before the end.
        if let Err(e) = lost {
            let _ = self.out.send(Msg::Fatal(e));
        }
    }

    /// Computes the pinned block, so that no turn waits for it.
    fn prepare(&mut self) {
        let Err(e) = self.warm_up() else { return };
        // Not fatal where the model still answers: the first prompt computes what this could not.
        tracing::warn!("cannot prepare the system prompt: {e}");
        if let Err(e) = self.mind.writer.engine().answers() {
            let _ = self.out.send(Msg::Fatal(e));
        }
    }

    fn warm_up(&mut self) -> Result<()> {
        let m = &mut self.mind;
        let engine = Arc::clone(m.writer.engine());
        let tokens = m.writer.chat().render(engine.tokenizer(), std::slice::from_ref(&m.system), false)?;
        let session = m.writer.session();
        // Only the end of the pipeline cancels this.
        let ending = || self.handle.cancel.is_cancelled(WorkId { turn: TurnId(u64::from(u32::MAX)), revision: 0 });
        let began = Instant::now();
        let id = session.prefix_id(&tokens);
        let kept = m.prefixes.as_ref().zip(id.as_deref());
        if let Some((cache, id)) = kept {
            match restore(session, cache, id, &tokens) {
                Ok(true) => {
                    tracing::info!(tokens = tokens.len(), ms = began.elapsed().as_millis(), "system prompt restored");
                    return Ok(());
                }
                Ok(false) => {}
                Err(e) => {
                    tracing::warn!("cannot restore the system prompt from the prefix cache: {e}");
                    engine.answers()?;
                }
            }
        }
        session.sync(&tokens, &ending)?;
        session.pin(tokens.len())?;
        tracing::info!(tokens = tokens.len(), ms = began.elapsed().as_millis(), "system prompt computed");
        if let Some((cache, id)) = kept
            && let Err(e) = cache.keep(id, |to| session.save_prefix(to))
        {
            tracing::warn!("cannot save the system prompt to the prefix cache: {e}");
        }
        Ok(())
    }

    fn think(&mut self, job: &Job) -> Result<Outcome> {
        let work = job.work;
        let cancelled = || self.handle.cancel.is_cancelled(work);
        let m = &mut self.mind;
        let limits = Limits { tokens: m.reply_tokens, call_tokens: CALL_TOKENS };
        let mut chunker = Chunker::new();
        let mut begun = false;
        let answer = m.writer.write(&job.prompt, m.grammar.as_ref(), limits, &cancelled, &mut |piece| {
            if !std::mem::replace(&mut begun, true) {
                let _ = self.out.send(Msg::FirstToken { work, at: Instant::now() });
            }
            for sentence in chunker.push(piece.words) {
                say(&self.out, work, sentence);
            }
            Ok(())
        })?;
        if answer.end == End::Interrupted || cancelled() {
            return Err(Error::new(Kind::Cancelled, "the turn is over"));
        }
        if answer.end == End::Repetition {
            tracing::info!(
                turn = work.turn.0,
                tokens = answer.tokens,
                "the reply began to repeat itself and was cut off"
            );
        }
        let Answer { text, prompt_tokens, cached_tokens, tokens, took, .. } = answer;
        let thought = Thought { text: text.clone(), prompt_tokens, cached_tokens, tokens, took };
        let _ = self.out.send(Msg::Thought { work, thought });
        for sentence in chunker.finish() {
            say(&self.out, work, sentence);
        }
        Ok(match answer.is_call {
            true => judge_call(text, answer.end == End::Stop, &m.tools),
            false => Outcome::Said,
        })
    }
}

/// Restores the pinned prefix called `id`; `false` where none is kept, or it is damaged.
fn restore(session: &mut Session, cache: &PrefixCache, id: &str, tokens: &[TokenId]) -> Result<bool> {
    let Some(mut file) = cache.open(id)? else { return Ok(false) };
    let restored = session.load_prefix(tokens, &mut file)?;
    if !restored {
        tracing::warn!("the system prompt in the prefix cache is damaged: computing it again");
    }
    Ok(restored)
}

/// A call is only passed on when it is one of a known tool with sound arguments. `ended`: the model ended the turn itself;
/// what it did not end and is not a whole call was cut off, and to ask again would be cut off again.
fn judge_call(raw: String, ended: bool, tools: &[ToolSchema]) -> Outcome {
    let problems = match reply::parse_reply(&raw) {
        Reply::Call(call) => match tools.iter().find(|t| t.name == call.name) {
            None => vec![format!("there is no tool named {}", call.name)],
            Some(tool) => match tool.check(&call.parameters) {
                problems if problems.is_empty() => return Outcome::Call(call),
                problems => problems,
            },
        },
        _ if !ended => return Outcome::CutOff,
        Reply::Malformed(problem) => vec![problem],
        Reply::Text(_) => vec!["not a call".into()],
    };
    Outcome::Malformed { raw, problems }
}

fn say(out: &Queue<Msg>, work: WorkId, text: String) {
    let _ = out.send(Msg::Sentence { work, text, at: Instant::now() });
}

#[cfg(test)]
mod lost;

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<ToolSchema> {
        serde_json::from_value(serde_json::json!([
            {"name": "note", "params": [{"name": "text", "type": "string"}]}
        ]))
        .expect("schemas")
    }

    #[test]
    fn a_call_cut_off_is_neither_run_nor_malformed() {
        let call = r#"{"name": "note", "parameters": {"text": "buy milk"}}"#;
        let tagged = r#"Yes. <tool_call>{"name": "note", "arguments": {"text": "buy milk"}}"#;
        for whole in [call, tagged] {
            // A complete call is complete, whoever ended it.
            for ended in [true, false] {
                let Outcome::Call(c) = judge_call(whole.into(), ended, &tools()) else { panic!("{whole}") };
                assert_eq!(c.parameters["text"], "buy milk");
            }
            let json = whole.find('{').expect("a brace");
            for end in json + 1..whole.len() {
                assert!(
                    matches!(judge_call(whole[..end].into(), false, &tools()), Outcome::CutOff),
                    "{}",
                    &whole[..end]
                );
                assert!(matches!(judge_call(whole[..end].into(), true, &tools()), Outcome::Malformed { .. }));
            }
        }
    }

    #[test]
    fn a_whole_call_is_held_to_its_schema_whoever_ended_it() {
        for wrong in [r#"{"name": "nota", "parameters": {}}"#, r#"{"name": "note", "parameters": {"text": 1}}"#] {
            for ended in [true, false] {
                assert!(matches!(judge_call(wrong.into(), ended, &tools()), Outcome::Malformed { .. }), "{wrong}");
            }
        }
    }
}
