//! `tercet complete`: the bare language model: one message, one answer, streamed. No tools, no memory, no policy.

use std::path::Path;

use serde::Serialize;

use super::model::{TalkArgs, note_end};
use super::{Context, input, out};
use crate::error::{Error, Kind, Result};
use crate::llm::writer::Answer;
use crate::schema::{Message, Role};

/// Longest question read from standard input.
const MAX_QUESTION_BYTES: u64 = 1 << 20;

/// Ask the bare language model: one message, one answer, without tools, memory or clock
///
/// This is what `eval tools`, `eval ppl` and `bench` measure. `ask` and `chat` hold the agent's conversation.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message; `-` reads it from standard input
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    talk: TalkArgs,
    /// Print one JSON object when the answer is complete
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    answer: &'a str,
    /// `stop` (the model ended it), `length` (no room was left) or `repetition` (it repeated itself and was cut).
    finish: &'static str,
    prompt_tokens: usize,
    answer_tokens: usize,
    /// From the question to the first token.
    first_token_ms: u64,
    tokens_per_second: f64,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let question = question(args.text)?;
    let (mut talker, system) = args.talk.load(ctx)?;
    let messages = [Message::new(Role::System, system), Message::new(Role::User, question)];
    let answer = talker.answer(&messages, &|| false, &mut |piece| match args.json {
        true => Ok(()),
        false => out::text_raw(piece),
    })?;
    match args.json {
        true => out::json(&report(&answer)),
        false => out::line("").map(|()| note_end(&answer, ctx)),
    }
}

fn report(a: &Answer) -> Report<'_> {
    Report {
        answer: &a.text,
        finish: a.end.name(),
        prompt_tokens: a.prompt_tokens,
        answer_tokens: a.tokens,
        first_token_ms: a.first_token.as_millis() as u64,
        tokens_per_second: a.tokens_per_second(),
    }
}

/// A question as it was given, or from standard input for `-`.
pub(super) fn question(text: String) -> Result<String> {
    let text = match text.as_str() {
        "-" => input::text(Path::new("-"), MAX_QUESTION_BYTES, "give a question in UTF-8")?,
        _ => text,
    };
    match text.trim() {
        "" => Err(Error::new(Kind::Usage, "the question is empty").remedy("give one in quotes: \"What time is it?\"")),
        t => Ok(t.to_owned()),
    }
}
