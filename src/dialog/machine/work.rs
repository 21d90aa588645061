//! Within a turn: what follows from the results of its work.

use serde_json::Value;

use crate::schema::{Message, Role, ToolCall};
use crate::units::WorkId;

use super::super::json::compact_json;
use super::super::turn::{Job, Origin};
use super::super::{Action, Event, Then, words};
use super::{Dialog, Phase};

/// What of a malformed call is shown back to the model.
const RAW_MAX_CHARS: usize = 500;

/// The kinds of [`Job`], for matching results to what is waited for.
#[derive(Clone, Copy)]
enum Stage {
    Transcribe,
    Interpret,
    Generate,
    Tool,
}

impl Dialog {
    pub(super) fn work_event(&mut self, event: Event) {
        match event {
            Event::Transcript { work, text } if self.is_at(work, Stage::Transcribe) => self.transcript(text),
            Event::SttFailed { work } if self.is_at(work, Stage::Transcribe) => self.conclude(words::STT_FAILED),
            Event::CommandFound { work, calls } if self.is_at(work, Stage::Interpret) => {
                if let Some(turn) = self.busy() {
                    turn.queue = calls.into();
                }
                self.next_command();
            }
            Event::NoCommand { work } if self.is_at(work, Stage::Interpret) => self.generate(Vec::new()),
            Event::Sentence { work, text } if self.is_at(work, Stage::Generate) => self.sentence(&text),
            Event::ToolWanted { work, call } if self.is_at(work, Stage::Generate) => self.tool_wanted(call),
            Event::Malformed { work, raw, problems } if self.is_at(work, Stage::Generate) => {
                self.malformed(&raw, &problems);
            }
            Event::CallCutOff { work } if self.is_at(work, Stage::Generate) => self.call_cut_off(),
            Event::ReplyDone { work } if self.is_at(work, Stage::Generate) => self.reply_done(),
            Event::ModelFailed { work, spoken } if self.is_at(work, Stage::Generate) => {
                self.conclude(spoken.as_deref().unwrap_or(words::MODEL_FAILED));
            }
            Event::ToolDone { work, result, spoken, then } if self.is_at(work, Stage::Tool) => {
                self.tool_done(&result, spoken, then);
            }
            Event::PlaybackStarted { work, sentence } => {
                let now = self.now;
                if let Some(turn) = self.busy()
                    && let Some(speech) = &mut turn.speech
                    && speech.work == work
                    && speech.started(sentence)
                {
                    turn.progress = now;
                }
            }
            Event::PlaybackDone { work, sentence } => self.playback_done(work, sentence),
            Event::SpeakFailed { work } if self.is_saying(work) => self.silence(),
            Event::VoiceFailed { work } if self.is_saying(work) => self.voice_failed(),
            // Stale work, or nothing of the kind is under way.
            _ => {}
        }
    }

    fn transcript(&mut self, text: Option<String>) {
        let text = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let Some(turn) = self.busy() else { return };
        match (text, turn.origin) {
            (Some(text), _) => {
                turn.asked(&text);
                self.start(Job::Interpret);
            }
            // A door slammed in the follow-up window: nobody wants an apology for that.
            (None, Origin::FollowUp { until }) => {
                self.phase = if until > self.now { Phase::FollowUp { until } } else { Phase::Asleep };
            }
            (None, _) => self.conclude(words::NOT_UNDERSTOOD),
        }
    }

    /// Runs the next call of the fast path, or answers when all have run.
    fn next_command(&mut self) {
        let most = self.settings.max_tool_calls;
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        let next = turn.queue.pop_front();
        match next {
            Some(call) if turn.calls < most => self.run(call, true),
            None if turn.tool_words.is_none() => self.generate(Vec::new()),
            more => {
                self.say_tool_words();
                if more.is_some() {
                    self.say(words::TOO_MANY_CALLS);
                }
            }
        }
    }

    fn tool_wanted(&mut self, call: ToolCall) {
        let most = self.settings.max_tool_calls;
        let Some(turn) = self.busy() else { return };
        // A small model that lost the thread repeats itself; doing a thing twice is worse than stopping.
        let again = turn.has_called(&call);
        if again {
            self.conclude(words::DONE);
        } else if turn.calls >= most {
            self.conclude(words::TOO_MANY_CALLS);
        } else {
            self.run(call, false);
        }
    }

    fn run(&mut self, call: ToolCall, fast: bool) {
        if let Some(turn) = self.busy() {
            turn.calls += 1;
        }
        self.start(Job::Tool { call, fast });
    }

    fn tool_done(&mut self, result: &Value, spoken: Option<String>, then: Then) {
        let spoken = match then {
            Then::Repeat => {
                let last = self.remembered(|r| r.reply.clone()).flatten();
                Some(last.unwrap_or_else(|| words::NOTHING_TO_REPEAT.to_owned()))
            }
            Then::Answer | Then::Sleep => spoken,
        };
        if then == Then::Sleep {
            self.rings.clear();
        }
        let Some(turn) = self.busy() else { return };
        let Some((_, Job::Tool { call, fast })) = turn.job.take() else { return };
        turn.called(&call, result);
        turn.sleep_after |= then == Then::Sleep;
        let failed = result.get("error").is_some() && spoken.is_some();
        match (&mut turn.tool_words, spoken) {
            (Some(words), Some(s)) => words.push(s),
            (Some(words), None) if then == Then::Sleep => words.push(String::new()),
            (words, None) => *words = None,
            (None, Some(s)) if failed => turn.tool_words = Some(vec![s]),
            (None, Some(_)) => {}
        }
        if failed || turn.sleep_after {
            turn.queue.clear();
            self.say_tool_words();
        } else if fast {
            self.next_command();
        } else {
            self.generate(Vec::new());
        }
    }

    fn sentence(&mut self, text: &str) {
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.progress = now;
        // Tools that brought their own words are answered in them; the model was asked only whether more calls follow.
        if turn.speech.is_none() && turn.calls > 0 && turn.tool_words.is_some() {
            turn.job = None;
            let cancelled = self.fresh();
            self.out.push(Action::CancelBefore(cancelled));
            self.say_tool_words();
        } else {
            self.say(text);
        }
    }

    fn malformed(&mut self, raw: &str, problems: &[String]) {
        let Some(turn) = self.busy() else { return };
        if turn.repaired {
            return self.conclude(words::CANNOT_CALL);
        }
        turn.repaired = true;
        let shown: String = raw.chars().take(RAW_MAX_CHARS).collect();
        let error = compact_json(&serde_json::json!({ "error": problems.join("; ") }));
        self.generate(vec![Message::new(Role::Assistant, shown), Message::new(Role::Tool, error)]);
    }

    /// The call is not run, and asking again would be cut off again. What ran before it is reported first.
    fn call_cut_off(&mut self) {
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        turn.queue.clear();
        if turn.calls > 0 && !turn.has_spoken() {
            self.say_tool_words();
        }
        self.say(words::CALL_TOO_LONG);
    }

    fn reply_done(&mut self) {
        let Some(turn) = self.busy() else { return };
        if turn.has_spoken() {
            turn.job = None;
        } else {
            self.conclude(words::NO_ANSWER);
        }
    }

    /// Ends the work of this turn: with what its tools had to say, or else with `otherwise`.
    pub(super) fn conclude(&mut self, otherwise: &str) {
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        turn.queue.clear();
        if turn.calls > 0 && turn.tool_words.is_some() && !turn.has_spoken() {
            self.say_tool_words();
        } else {
            self.say(otherwise);
        }
    }

    pub(super) fn say_tool_words(&mut self) {
        let Some(turn) = self.busy() else { return };
        for sentence in turn.tool_words.replace(Vec::new()).unwrap_or_default() {
            self.say(&sentence);
        }
    }

    pub(super) fn generate(&mut self, extra: Vec<Message>) {
        let work = self.fresh();
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.job = Some((work, Job::Generate));
        turn.progress = now;
        let mut exchange = turn.exchange.clone();
        exchange.extend(extra);
        self.out.push(Action::Generate { work, exchange });
    }

    /// Makes `job` the one thing waited for. (`Generate` goes through [`Self::generate`].)
    pub(super) fn start(&mut self, job: Job) {
        let work = self.fresh();
        let now = self.now;
        let said: Vec<String> = self.remembered(|m| m.said.iter().cloned().collect()).unwrap_or_default();
        let Some(turn) = self.busy() else { return };
        turn.progress = now;
        let action = match &job {
            Job::Transcribe => Action::Transcribe { work },
            Job::Interpret => Action::Interpret { work, text: turn.request.clone() },
            Job::Generate => Action::Generate { work, exchange: turn.exchange.clone() },
            Job::Tool { call, fast } => {
                let said = said.into_iter().chain([turn.request.clone()]).collect();
                Action::RunTool { work, call: call.clone(), said, fast: *fast }
            }
        };
        turn.job = Some((work, job));
        self.out.push(action);
    }

    fn is_at(&self, work: WorkId, stage: Stage) -> bool {
        let Phase::Busy(turn) = &self.phase else { return false };
        match &turn.job {
            Some((w, job)) if *w == work => matches!(
                (job, stage),
                (Job::Transcribe, Stage::Transcribe)
                    | (Job::Interpret, Stage::Interpret)
                    | (Job::Generate, Stage::Generate)
                    | (Job::Tool { .. }, Stage::Tool)
            ),
            _ => false,
        }
    }
}
