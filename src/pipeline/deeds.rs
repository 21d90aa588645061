//! What carrying out the dialog's actions has in common, whether the answer is spoken or written.

use std::time::Duration;

use crate::dialog::{Context, Event, Step, Then};
use crate::error::Result;
use crate::llm::Engine;
use crate::llm::chat::Chat;
use crate::schema::{Message, ToolCall};
use crate::tools::interpret::{self, Admission, Interpreter};
use crate::tools::{Ctx, Effect, Outcome, Registry};
use crate::units::WorkId;

/// What is said instead of an answer where the request itself is too long.
pub(super) const TOO_LONG: &str = "Sorry, that is more than I can keep in mind at once.";

/// What a request asks for, as steps for the dialog.
pub(super) fn interpret(interpreter: &mut Interpreter, now: Duration, work: WorkId, text: &str) -> Event {
    let step = |step| match step {
        interpret::Step::Call { call, part } => Step::Run { call, part },
        interpret::Step::Think { request, part } => Step::Think { request, part },
        interpret::Step::Say(text) => Step::Say { text },
    };
    Event::Understood { work, steps: interpreter.interpret(now, text).into_iter().map(step).collect() }
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

/// The call that is made, as it is made; `None` where none is.
pub(super) fn admitted(admission: &Admission) -> Option<&ToolCall> {
    match admission {
        Admission::Run(call) | Admission::Later { call, .. } | Admission::Status(call) => Some(call),
        Admission::Refused(_) => None,
    }
}

/// Does what was admitted, for a user who lately said `said`.
pub(super) fn run(
    registry: &Registry,
    admission: Admission,
    said: &[String],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Outcome {
    let ctx = Ctx { said, cancelled };
    match admission {
        Admission::Run(call) => registry.run(&call, &ctx),
        Admission::Later { call, when, told } => registry.run_later(&call, &told, &when),
        Admission::Status(call) => {
            let unknown = || Outcome::failed("it cannot be asked", "Sorry, I can't see that from here.");
            registry.status(&call.name, &call.parameters, &ctx).unwrap_or_else(unknown)
        }
        Admission::Refused(outcome) => outcome,
    }
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

/// What is said of a command that was to run later, where it did not work. What worked is seen.
pub(super) fn failed_later(told: &str, outcome: &Outcome) -> Option<String> {
    (!outcome.is_ok()).then(|| format!("I was to do this now, and it didn't work: {told}."))
}
