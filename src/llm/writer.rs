//! Writing an answer: a conversation in, text out while it is being written. The one generation loop there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chat::Chat;
use super::grammar::Grammar;
use super::repetition::Watch;
use super::reply;
use super::tokenizer::StreamDecoder;
use super::{Engine, Finish, Sampler, Sampling, Session};
use crate::error::{Kind, Result};
use crate::schema::Message;

/// A model that answers: its chat template, one session that keeps what two prompts have in common, and a sampler.
pub struct Writer {
    engine: Arc<Engine>,
    chat: Arc<Chat>,
    session: Session,
    sampler: Sampler,
}

/// Most tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub tokens: usize,
    /// Tokens that a call may take, whatever came before it, since half a call is of no use. 0: it shares those of the answer.
    pub call_tokens: usize,
}

/// The new part of the answer. None of it is ever retracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Text as the model writes it, calls included.
    pub text: &'a str,
    /// The part of it to speak, a little later than in `text` as long as it may yet become a call.
    pub words: &'a str,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The model ended it.
    Stop,
    /// It reached the longest allowed, or the context was full.
    Length,
    /// It was caught in a loop: cut after the first occurrence.
    Repetition,
    /// It was cancelled.
    Interrupted,
}

impl End {
    pub fn name(self) -> &'static str {
        match self {
            End::Stop => "stop",
            End::Length => "length",
            End::Repetition => "repetition",
            End::Interrupted => "interrupted",
        }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// All that was handed out, except white space at the end of an answer that was cut.
    pub text: String,
    pub end: End,
    /// Whether it is, or has become, a call.
    pub is_call: bool,
    pub prompt_tokens: usize,
    /// Tokens of the prompt that had been computed before.
    pub cached_tokens: usize,
    /// Tokens written, those of a loop included.
    pub tokens: usize,
    /// From the question to the first token.
    pub first_token: Duration,
    pub took: Duration,
}

impl Answer {
    /// Decoding speed: tokens after the first.
    pub fn tokens_per_second(&self) -> f64 {
        let seconds = self.took.saturating_sub(self.first_token).as_secs_f64();
        if self.tokens > 1 && seconds > 0.0 { (self.tokens - 1) as f64 / seconds } else { 0.0 }
    }
}

impl Writer {
    /// # Errors
    /// The errors of [`Engine::session`].
    pub fn new(engine: Arc<Engine>, chat: Arc<Chat>, sampling: Sampling) -> Result<Self> {
        Ok(Self { session: engine.session()?, sampler: Sampler::new(sampling), chat, engine })
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub fn chat(&self) -> &Arc<Chat> {
        &self.chat
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Tokens of the prompt that a conversation is.
    ///
    /// # Errors
    /// As [`Chat::render`].
    pub fn prompt_tokens(&self, messages: &[Message]) -> Result<usize> {
        Ok(self.chat.render(self.engine.tokenizer(), messages, true)?.len())
    }

    /// Answers the conversation, its calls constrained by `grammar`. `on` gets the text as it comes; its first call is empty,
    /// when the first token has arrived.
    ///
    /// # Errors
    /// The errors of the session, the template or `on`. Cancelling is not an error: the answer is what has come so far.
    pub fn write(
        &mut self,
        messages: &[Message],
        grammar: Option<&Arc<Grammar>>,
        limits: Limits,
        cancelled: &dyn Fn() -> bool,
        on: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<Answer> {
        let started = Instant::now();
        let tokenizer = self.engine.tokenizer();
        let prompt = self.chat.render(tokenizer, messages, true)?;
        let mut answer = Answer {
            text: String::new(),
            end: End::Interrupted,
            is_call: false,
            prompt_tokens: prompt.len(),
            cached_tokens: 0,
            tokens: 0,
            first_token: Duration::ZERO,
            took: Duration::ZERO,
        };
        match self.session.sync(&prompt, cancelled) {
            Err(e) if e.kind() == Kind::Cancelled => return Ok(answer),
            kept => answer.cached_tokens = kept?,
        }
        let mut draft = Draft::default();
        let mut most = limits.tokens;
        let max = limits.tokens + limits.call_tokens;
        let matcher = grammar.map(Grammar::matcher);
        let mut generation =
            self.session.generate(&mut self.sampler, tokenizer.stops(), max, cancelled).held_to(matcher);
        loop {
            if answer.tokens >= most {
                answer.end = End::Length;
                break;
            }
            let token = match generation.next() {
                Some(Err(e)) if e.kind() == Kind::Cancelled => break,
                Some(token) => token?,
                None => {
                    answer.end = match generation.finish() {
                        Some(Finish::Stop(_)) => End::Stop,
                        _ => End::Length,
                    };
                    break;
                }
            };
            answer.tokens += 1;
            if answer.tokens == 1 {
                answer.first_token = started.elapsed();
                on(Piece { text: "", words: "" })?;
            }
            draft.grow(|decoder, text| decoder.push(tokenizer, token, text));
            if let Some(at) = draft.watch.looped() {
                draft.cut(at);
                answer.end = End::Repetition;
                break;
            }
            draft.give_out(draft.watch.settled(), on)?;
            if limits.call_tokens > 0 && !answer.is_call && reply::calls(&draft.text) {
                answer.is_call = true;
                most = answer.tokens + limits.call_tokens;
            }
        }
        if answer.end == End::Stop {
            // Part of a character left over by a limit is not text.
            draft.grow(|decoder, text| decoder.finish(text));
        }
        if answer.end == End::Length
            && let Some(at) = draft.watch.looped_at_limit()
        {
            draft.cut(at);
            answer.end = End::Repetition;
        }
        answer.is_call = reply::calls(&draft.text);
        draft.give_out_all(answer.is_call, on)?;
        answer.text = draft.text;
        answer.took = started.elapsed();
        Ok(answer)
    }
}

/// An answer while it is being written.
#[derive(Default)]
struct Draft {
    decoder: StreamDecoder,
    text: String,
    watch: Watch,
    /// Bytes of the text, and of its words, that were handed out.
    given: usize,
    said: usize,
}

impl Draft {
    fn grow(&mut self, by: impl FnOnce(&mut StreamDecoder, &mut String)) {
        let from = self.text.len();
        by(&mut self.decoder, &mut self.text);
        self.watch.push(&self.text[from..]);
    }

    /// The text ends at `at`; nothing more comes.
    fn cut(&mut self, at: usize) {
        self.text.truncate(at);
        self.text.truncate(self.text.trim_end().len());
    }

    /// Hands `on` the text up to `to`.
    fn give_out(&mut self, to: usize, on: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        // An unfinished turn's last words may be the beginning of a call.
        self.give(to, reply::words(&self.text).len().min(to), on)
    }

    /// Hands `on` the rest: what only looked like the beginning of a call is text after all.
    fn give_out_all(&mut self, is_call: bool, on: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        let words = if is_call { reply::words(&self.text).len() } else { self.text.len() };
        self.give(self.text.len(), words, on)
    }

    fn give(&mut self, to: usize, words: usize, on: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        let piece = Piece {
            text: self.text.get(self.given..to).unwrap_or_default(),
            words: self.text.get(self.said..words).unwrap_or_default(),
        };
        (self.given, self.said) = (self.given.max(to), self.said.max(words));
        match piece.text.is_empty() && piece.words.is_empty() {
            true => Ok(()),
            false => on(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;
    use crate::error::Error;
    use crate::llm::{Options, Settings};
    use crate::schema::Role;

    /// Writes `text` a few characters at a time, without a model; returns the text and the words given out.
    fn write(text: &str, step: usize, end: End) -> (String, String, Draft) {
        let (mut given, mut words) = (String::new(), String::new());
        let mut draft = Draft::default();
        let mut on = |p: Piece<'_>| {
            given.push_str(p.text);
            words.push_str(p.words);
            Ok(())
        };
        let chars: Vec<char> = text.chars().collect();
        for part in chars.chunks(step) {
            draft.grow(|_, text| text.extend(part));
            if let Some(at) = draft.watch.looped() {
                draft.cut(at);
                break;
            }
            draft.give_out(draft.watch.settled(), &mut on).expect("taken");
        }
        if end == End::Length
            && let Some(at) = draft.watch.looped_at_limit()
        {
            draft.cut(at);
        }
        let is_call = reply::calls(&draft.text);
        draft.give_out_all(is_call, &mut on).expect("taken");
        (given, words, draft)
    }

    #[test]
    fn all_of_an_answer_is_given_out_and_its_words_without_the_call() {
        let call = r#"{"name": "stop", "arguments": {}}"#;
        for (text, words) in [
            ("It is seven. Ha ha ha!".to_owned(), "It is seven. Ha ha ha!"),
            (format!("One moment, one moment. <tool_call>{call}</tool_call>"), "One moment, one moment. "),
            (call.to_owned(), ""),
            ("It is <tool".to_owned(), "It is <tool"),
            ("<b>".to_owned(), "<b>"),
            (String::new(), ""),
        ] {
            for step in 1..7 {
                let (given, said, draft) = write(&text, step, End::Stop);
                assert_eq!((given.as_str(), said.as_str(), draft.text.as_str()), (&*text, words, &*text));
            }
        }
    }

    #[test]
    fn a_loop_is_neither_given_out_nor_said() {
        let text = format!("It is in the {}", "Molecular Manual of ".repeat(30));
        let left = "It is in the Molecular Manual of";
        for step in 1..30 {
            let (given, said, draft) = write(&text, step, End::Stop);
            assert_eq!((given.trim_end(), said.trim_end(), draft.text.as_str()), (left, left, left), "{step}");
        }
        // A limit within the loop.
        let (given, said, draft) = write(&text[..150], 5, End::Length);
        assert_eq!((given.trim_end(), said.trim_end(), draft.text.as_str()), (left, left, left));
        // A loop within a call is not words.
        let call = format!(r#"{{"name": "note", "parameters": {{"text": "{}"#, "and so on ".repeat(40));
        let (given, said, draft) = write(&call, 3, End::Stop);
        assert!(said.is_empty() && given.len() < 70 && draft.text.ends_with("and so on"), "{given}");
    }

    fn writer() -> Writer {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
        let options = Options::from(Settings { threads: 2, context_tokens: 512, ..Settings::default() });
        let engine = Engine::load(&path, &options, &Budget::unlimited()).expect("the default model loads");
        let chat = Arc::new(Chat::from_gguf(engine.file(), engine.tokenizer()).expect("a template"));
        Writer::new(engine, chat, Sampling::default()).expect("a session")
    }

    #[test]
    fn limits_interruptions_and_errors_end_an_answer() {
        let mut w = writer();
        let ask = [Message::new(Role::User, "Tell me about the moon and the sea.")];
        let limits = |tokens| Limits { tokens, call_tokens: 0 };
        let go = || false;
        let mut given = String::new();
        let mut pieces = 0;
        let whole = w
            .write(&ask, None, limits(40), &go, &mut |p| {
                assert!(pieces > 0 || p.text.is_empty(), "the first token is told first");
                pieces += 1;
                given.push_str(p.text);
                assert_eq!(p.text, p.words);
                Ok(())
            })
            .expect("an answer");
        assert_eq!((whole.text.trim_end(), whole.cached_tokens), (given.trim_end(), 0));
        assert!(whole.tokens > 9 && whole.first_token <= whole.took && whole.prompt_tokens > 5);

        let short = w.write(&ask, None, limits(2), &go, &mut |_| Ok(())).expect("an answer");
        assert_eq!((short.end, short.tokens), (End::Length, 2));
        assert!(whole.text.starts_with(&short.text) && short.cached_tokens > 5);
        let none = w.write(&ask, None, limits(0), &go, &mut |_| Ok(())).expect("an answer");
        assert_eq!((none.end, none.tokens, none.text.as_str()), (End::Length, 0, ""));

        let came = std::cell::Cell::new(0);
        let late = || came.get() >= 3;
        let mut on = |_: Piece<'_>| {
            came.set(came.get() + 1);
            Ok(())
        };
        let stopped = w.write(&ask, None, limits(40), &late, &mut on).expect("what has come");
        assert!(stopped.end == End::Interrupted && whole.text.starts_with(&stopped.text) && stopped.tokens >= 2);
        let never = w.write(&ask, None, limits(40), &|| true, &mut |_| Ok(())).expect("nothing has come");
        assert_eq!((never.end, never.tokens), (End::Interrupted, 0));

        let refused = |_: Piece<'_>| Err(Error::new(Kind::Io, "cannot write"));
        assert_eq!(w.write(&ask, None, limits(9), &go, &mut { refused }).expect_err("told").kind(), Kind::Io);
        let again = w.write(&ask, None, limits(40), &go, &mut |_| Ok(())).expect("it goes on");
        assert_eq!(again.text, whole.text);
    }
}
