//! Within a turn: what follows from the results of its work.

use serde_json::Value;

use crate::schema::{Message, Role, ToolCall};
use crate::units::WorkId;

use super::super::json::compact_json;
use super::super::turn::{Job, Origin, Thought};
use super::super::{Action, Event, Step, Then, words};
use super::{Dialog, Phase};

/// Most steps of one turn.
const STEPS_MAX: usize = 16;
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
            Event::Understood { work, steps } if self.is_at(work, Stage::Interpret) => self.understood(steps),
            Event::Sentence { work, text } if self.is_at(work, Stage::Generate) => self.sentence(&text),
            Event::ToolWanted { work, call } if self.is_at(work, Stage::Generate) => self.tool_wanted(call),
            Event::Malformed { work, raw, problems } if self.is_at(work, Stage::Generate) => {
                self.malformed(&raw, &problems);
            }
            Event::CallCutOff { work } if self.is_at(work, Stage::Generate) => self.answer(words::CALL_TOO_LONG),
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

    fn understood(&mut self, mut steps: Vec<Step>) {
        let Some(turn) = self.busy() else { return };
        if steps.len() > STEPS_MAX {
            steps.truncate(STEPS_MAX);
            steps.push(Step::Say { text: words::TOO_MANY_CALLS.to_owned() });
        }
        turn.queue = steps.into();
        self.next_step();
    }

    /// Takes the next step, or answers when all are done.
    fn next_step(&mut self) {
        let Some(turn) = self.busy() else { return };
        turn.job = None;
        turn.thought = None;
        loop {
            match turn.queue.pop_front() {
                Some(Step::Say { text }) => turn.words.push(text),
                Some(Step::Run { call, part }) => {
                    if turn.has_called(&call) {
                        continue;
                    }
                    return self.start(Job::Tool { call, part, fast: true });
                }
                Some(Step::Think { request, part }) => {
                    let exchange = vec![Message::new(Role::User, request)];
                    return self.think(part, exchange);
                }
                None => break,
            }
        }
        match turn.wordless.take() {
            Some(part) => {
                let exchange = turn.exchange.clone();
                self.think(part, exchange);
            }
            None => self.say_words(),
        }
    }

    fn think(&mut self, part: usize, exchange: Vec<Message>) {
        if let Some(turn) = self.busy() {
            turn.thought = Some(Thought { part, exchange, calls: 0, repaired: false, answered: false });
        }
        self.generate(Vec::new());
    }

    fn tool_wanted(&mut self, call: ToolCall) {
        let most = self.settings.max_tool_calls;
        let Some(turn) = self.busy() else { return };
        // A small model that lost the thread repeats itself; doing a thing twice is worse than stopping.
        let again = turn.has_called(&call);
        let Some(thought) = &mut turn.thought else { return };
        if again {
            self.answer(words::DONE);
        } else if thought.calls >= most {
            self.answer(words::TOO_MANY_CALLS);
        } else {
            thought.calls += 1;
            let part = thought.part;
            self.start(Job::Tool { call, part, fast: false });
        }
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
        let Some((_, Job::Tool { call, part, fast })) = turn.job.take() else { return };
        turn.called(&call, result);
        if then == Then::Sleep {
            turn.sleep_after = true;
            turn.queue.clear();
        }
        match spoken {
            // Its own words are the answer.
            Some(s) => {
                turn.words.push(s);
                self.next_step();
            }
            None if then == Then::Sleep => self.next_step(),
            None if fast => {
                turn.wordless = Some(part);
                self.next_step();
            }
            None => self.generate(Vec::new()),
        }
    }

    fn sentence(&mut self, text: &str) {
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.progress = now;
        if let Some(thought) = &mut turn.thought {
            thought.answered |= !text.trim().is_empty();
        }
        self.say_words();
        self.say(text);
    }

    fn malformed(&mut self, raw: &str, problems: &[String]) {
        let Some(turn) = self.busy() else { return };
        let Some(thought) = &mut turn.thought else { return };
        if thought.repaired {
            return self.answer(words::CANNOT_CALL);
        }
        thought.repaired = true;
        let shown: String = raw.chars().take(RAW_MAX_CHARS).collect();
        let error = compact_json(&serde_json::json!({ "error": problems.join("; ") }));
        self.generate(vec![Message::new(Role::Assistant, shown), Message::new(Role::Tool, error)]);
    }

    fn reply_done(&mut self) {
        match self.busy().and_then(|t| t.thought.as_ref()).map(|t| (t.answered, t.calls)) {
            Some((false, 0)) => self.answer(words::NO_ANSWER),
            Some((false, _)) => self.answer(words::DONE),
            _ => self.next_step(),
        }
    }

    /// Answers what is being thought about with `text`, unless something was said already; goes on with the next step.
    fn answer(&mut self, text: &str) {
        if let Some(turn) = self.busy() {
            turn.words.push(text.to_owned());
        }
        self.next_step();
    }

    /// Ends the work of this turn: with what its tools had to say, then with `last`.
    pub(super) fn conclude(&mut self, last: &str) {
        self.say_words();
        if let Some(turn) = self.busy() {
            turn.give_up();
        }
        self.say(last);
    }

    /// Says what has come together so far.
    fn say_words(&mut self) {
        let Some(turn) = self.busy() else { return };
        for sentence in std::mem::take(&mut turn.words) {
            self.say(&sentence);
        }
    }

    pub(super) fn generate(&mut self, extra: Vec<Message>) {
        let work = self.fresh();
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        turn.job = Some((work, Job::Generate));
        turn.progress = now;
        let mut exchange = turn.thought.as_ref().map_or_else(Vec::new, |t| t.exchange.clone());
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
            Job::Generate => {
                Action::Generate { work, exchange: turn.thought.as_ref().map_or_else(Vec::new, |t| t.exchange.clone()) }
            }
            Job::Tool { call, part, fast } => {
                let said = said.into_iter().chain([turn.request.clone()]).collect();
                Action::RunTool { work, call: call.clone(), part: *part, said, fast: *fast }
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
