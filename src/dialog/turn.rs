//! One turn: what was asked, what is being done about it, what has been said.

use std::collections::VecDeque;
use std::time::Duration;

use crate::schema::{Message, Role, ToolCall};
use crate::units::WorkId;

use super::Step;
use super::json::compact_json;
use super::speech::Speech;

/// The one thing being waited for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Job {
    Transcribe,
    Interpret,
    Generate,
    Tool { call: ToolCall, part: usize, fast: bool },
}

/// Why the turn exists, which decides how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Wake word, button or text.
    Addressed,
    /// Text that is answered in writing.
    Written,
    /// Speech in the follow-up window, which would have closed at this time.
    FollowUp { until: Duration },
    /// An announcement; nobody asked.
    Announcement,
    /// A ringing timer.
    Ring,
}

/// One question to the model.
#[derive(Debug, Clone)]
pub(super) struct Thought {
    pub(super) part: usize,
    pub(super) exchange: Vec<Message>,
    pub(super) calls: u32,
    pub(super) repaired: bool,
    /// Something was said in answer.
    pub(super) answered: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) origin: Origin,
    /// What the user said.
    pub(super) request: String,
    /// User message, calls and results so far.
    pub(super) exchange: Vec<Message>,
    pub(super) job: Option<(WorkId, Job)>,
    /// What is still to be done.
    pub(super) queue: VecDeque<Step>,
    /// What the model is being asked, and its calls and results.
    pub(super) thought: Option<Thought>,
    /// What is to be said when the queue is done, or before the model speaks.
    pub(super) words: Vec<String>,
    /// A call of the fast path left the words to the model; the part it belongs to.
    pub(super) wordless: Option<usize>,
    pub(super) speech: Option<Speech>,
    /// Last sign of life; the watchdog counts from here.
    pub(super) progress: Duration,
    /// What was heard of speech that was cut short.
    pub(super) heard_before: String,
    /// The voice failed in this turn, and an apology was tried.
    pub(super) voice_failed: bool,
    /// Go to sleep afterwards: the user asked for silence.
    pub(super) sleep_after: bool,
}

impl Turn {
    pub(super) fn new(origin: Origin, now: Duration) -> Self {
        Self {
            origin,
            request: String::new(),
            exchange: Vec::new(),
            job: None,
            queue: VecDeque::new(),
            thought: None,
            words: Vec::new(),
            wordless: None,
            speech: None,
            progress: now,
            heard_before: String::new(),
            voice_failed: false,
            sleep_after: false,
        }
    }

    pub(super) fn asked(&mut self, text: &str) {
        self.request = text.to_owned();
        self.exchange.push(Message::new(Role::User, text));
    }

    pub(super) fn called(&mut self, call: &ToolCall, result: &serde_json::Value) {
        let both = [Message::new(Role::Assistant, compact_json(call)), Message::new(Role::Tool, compact_json(result))];
        if let Some(thought) = &mut self.thought {
            thought.exchange.extend(both.clone());
        }
        self.exchange.extend(both);
    }

    /// Nothing more is done.
    pub(super) fn give_up(&mut self) {
        self.job = None;
        self.queue.clear();
        self.thought = None;
        self.wordless = None;
        self.words.clear();
    }

    /// Whether exactly this call already ran in this turn.
    pub(super) fn has_called(&self, call: &ToolCall) -> bool {
        let text = compact_json(call);
        self.exchange.iter().any(|m| m.role == Role::Assistant && m.content == text)
    }

    /// Whether anything was said, or is being said.
    pub(super) fn has_spoken(&self) -> bool {
        self.speech.is_some() || !self.heard_before.is_empty()
    }

    /// No more of this speech will be heard; what is said next is new work.
    pub(super) fn retire_speech(&mut self) {
        if let Some(heard) = self.heard() {
            self.heard_before = heard;
        }
        self.speech = None;
    }

    /// What reached the user so far.
    pub(super) fn heard(&self) -> Option<String> {
        let now = self.speech.as_ref().map(Speech::heard).unwrap_or_default();
        let all = [self.heard_before.as_str(), now.as_str()].join(" ").trim().to_owned();
        (!all.is_empty()).then_some(all)
    }

    /// When to give up.
    pub(super) fn gives_up_at(&self, patience: Duration) -> Duration {
        let saying = self.speech.as_ref().map_or(Duration::ZERO, Speech::allowance);
        self.progress + patience + saying
    }

    /// What the memory keeps: nothing where nothing was asked or heard.
    pub(super) fn memory(&self) -> Option<Vec<Message>> {
        let heard = self.heard()?;
        if self.request.is_empty() {
            return None;
        }
        let mut messages = self.exchange.clone();
        messages.push(Message::new(Role::Assistant, heard));
        Some(messages)
    }
}
