//! What carrying out the dialog's actions has in common, whether the answer is spoken or written.

use std::time::Duration;

use crate::dialog::{Context, Event, Then};
use crate::error::Result;
use crate::llm::Engine;
use crate::llm::chat::Chat;
use crate::schema::{Message, ToolCall};
use crate::tools::{Ctx, Effect, Fast, Outcome, Registry};
use crate::units::WorkId;

/// What is said instead of an answer where the request itself is too long.
pub(super) const TOO_LONG: &str = "Sorry, that is more than I can keep in mind at once.";

/// What the fast path makes of a request.
pub(super) fn interpret(fast: &Fast, work: WorkId, text: &str) -> Event {
    match fast.interpret(text) {
        Some(calls) => Event::CommandFound { work, calls },
        None => Event::NoCommand { work },
    }
}

/// The prompt for `exchange`: what fits of the memory goes before it.
///
/// # Errors
/// As [`Context::prompt`]: what was asked is too long by itself.
pub(super) fn prompt(
    memory: &mut Context,
    now: Duration,
    exchange: &[Message],
    engine: &Engine,
    chat: &Chat,
) -> Result<Vec<Message>> {
    let count = |messages: &[Message]| {
        // A conversation that does not render is reported by whoever renders it for real.
        chat.render(engine.tokenizer(), messages, true).map_or(0, |t| t.len())
    };
    memory.prompt(now, exchange, engine.context(), count)
}

/// Runs a call for a user who lately said `said`.
pub(super) fn run(
    registry: &Registry,
    call: &ToolCall,
    said: &[String],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Outcome {
    registry.run(call, &Ctx { said, cancelled })
}

/// What the dialog is told of a call that ran, or was refused.
pub(super) fn done(work: WorkId, outcome: Outcome) -> Event {
    let then = match outcome.effect {
        Some(Effect::Repeat) => Then::Repeat,
        Some(Effect::Stop) => Then::Sleep,
        _ => Then::Answer,
    };
    Event::ToolDone { work, result: outcome.result, spoken: outcome.spoken, then }
}
