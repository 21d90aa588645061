//! The model at work: prompts in, sentences and calls out, while they are being written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dialog::{self, Event};
use crate::error::{Error, Kind, Result};
use crate::llm::chat::Chat;
use crate::llm::grammar::Grammar;
use crate::llm::reply::{self, Reply};
use crate::llm::writer::{Answer, End, Limits, Writer};
use crate::llm::{Engine, Sampling, Session};
use crate::schema::{Message, ToolCall, ToolSchema};
use crate::speak::Chunker;
use crate::store::PrefixCache;
use crate::units::{TokenId, WorkId};

/// Longest tool call written before it is given up.
const CALL_TOKENS: usize = 160;

/// What it takes to think.
pub(super) struct Mind {
    writer: Writer,
    reply_tokens: usize,
    tools: Vec<ToolSchema>,
    /// The grammar of calls; `None` where there are no tools.
    grammar: Option<Arc<Grammar>>,
    /// The prefix cache, which keeps the computed pinned block across restarts.
    prefixes: Option<PrefixCache>,
    /// The pinned block, computed before the first turn.
    system: Message,
}

/// What comes while it thinks, in this order.
pub(super) enum Part {
    /// The first token is there.
    Begun,
    Sentence(String),
    /// The model has written all of it; a last sentence may follow.
    Thought(Thought),
}

/// What the model wrote, and what it took.
#[cfg_attr(not(feature = "voice"), allow(dead_code))] // Only observers of speech look at all of it.
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) end: End,
    pub(super) prompt_tokens: usize,
    pub(super) cached_tokens: usize,
    pub(super) tokens: usize,
    pub(super) took: Duration,
}

/// How a generation ended.
pub(super) enum Outcome {
    Said,
    Call(ToolCall),
    Malformed {
        raw: String,
        problems: Vec<String>,
    },
    /// A call that was still being written when no more tokens could come.
    CutOff,
}

impl Outcome {
    /// What the dialog is told of it.
    pub(super) fn event(self, work: WorkId) -> Event {
        match self {
            Outcome::Said => Event::ReplyDone { work },
            Outcome::Call(call) => Event::ToolWanted { work, call },
            Outcome::Malformed { raw, problems } => Event::Malformed { work, raw, problems },
            Outcome::CutOff => Event::CallCutOff { work },
        }
    }
}

impl Mind {
    /// `memory` has the pinned block, which offers `tools`.
    ///
    /// # Errors
    /// When the session's memory does not fit, or the model's template cannot be used.
    pub(super) fn new(
        engine: &Arc<Engine>,
        sampling: Sampling,
        memory: &dialog::Context,
        tools: &[ToolSchema],
        reply_tokens: usize,
        prefixes: Option<PrefixCache>,
    ) -> Result<Self> {
        let chat = Arc::new(Chat::from_gguf(engine.file(), engine.tokenizer())?);
        Ok(Self {
            grammar: Grammar::new(tools, chat.call_style())?,
            writer: Writer::new(Arc::clone(engine), chat, sampling)?,
            reply_tokens,
            tools: tools.to_vec(),
            prefixes,
            system: memory.system().clone(),
        })
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        self.writer.engine()
    }

    pub(super) fn chat(&self) -> &Arc<Chat> {
        self.writer.chat()
    }

    /// Computes the pinned block, so that no turn waits for it.
    ///
    /// # Errors
    /// Those of the session. The first prompt then computes what this could not, where the model still answers.
    pub(super) fn warm_up(&mut self, ending: &dyn Fn() -> bool) -> Result<()> {
        let engine = Arc::clone(self.writer.engine());
        let tokens = self.writer.chat().render(engine.tokenizer(), std::slice::from_ref(&self.system), false)?;
        let session = self.writer.session();
        let began = Instant::now();
        let id = session.prefix_id(&tokens);
        let kept = self.prefixes.as_ref().zip(id.as_deref());
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
        session.sync(&tokens, ending)?;
        session.pin(tokens.len())?;
        tracing::info!(tokens = tokens.len(), ms = began.elapsed().as_millis(), "system prompt computed");
        if let Some((cache, id)) = kept
            && let Err(e) = cache.keep(id, |to| session.save_prefix(to))
        {
            tracing::warn!("cannot save the system prompt to the prefix cache: {e}");
        }
        Ok(())
    }

    /// Answers `prompt`, or calls a tool; `on` gets the parts as they come.
    ///
    /// # Errors
    /// Those of the session; [`Kind::Cancelled`] when `cancelled`.
    pub(super) fn think(
        &mut self,
        prompt: &[Message],
        cancelled: &dyn Fn() -> bool,
        on: &mut dyn FnMut(Part),
    ) -> Result<Outcome> {
        let limits = Limits { tokens: self.reply_tokens, call_tokens: CALL_TOKENS };
        let mut chunker = Chunker::new();
        let mut begun = false;
        let answer = self.writer.write(prompt, self.grammar.as_ref(), limits, cancelled, &mut |piece| {
            if !std::mem::replace(&mut begun, true) {
                on(Part::Begun);
            }
            chunker.push(piece.words).into_iter().for_each(|sentence| on(Part::Sentence(sentence)));
            Ok(())
        })?;
        if answer.end == End::Interrupted || cancelled() {
            return Err(Error::new(Kind::Cancelled, "the turn is over"));
        }
        if answer.end == End::Repetition {
            tracing::info!(tokens = answer.tokens, "the reply began to repeat itself and was cut off");
        }
        let Answer { text, end, is_call, prompt_tokens, cached_tokens, tokens, took, .. } = answer;
        on(Part::Thought(Thought { text: text.clone(), end, prompt_tokens, cached_tokens, tokens, took }));
        chunker.finish().into_iter().for_each(|sentence| on(Part::Sentence(sentence)));
        Ok(match is_call {
            true => judge_call(text, end == End::Stop, &self.tools),
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
