//! From what was said to what is done: the reading, the fast path, the owner's calls, and what is left to the model;
//! and the check that every call passes before it runs.
//!
//! A request is read first ([`reading`]). What it forbids, what waits for something that nobody can watch, what names no
//! definite time is answered in words. What is plainly commanded is looked for among the commands of the fast path and the
//! owner's tools ([`super::grounding`]); the rest is left to the model, whose calls are held against the part of the request
//! that they belong to ([`Interpreter::admit`]). What a call leaves unexplained is asked about; what is asked about is
//! remembered for the next request.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::schema::{ToolCall, ToolSchema};

use super::fast::{Fast, Understood};
use super::grounding::{Found, Grounding, Kind};
use super::reading::{self, Mood, Part, When};
use super::{Outcome, Registry};

mod admit;
mod amount;
mod answer;
#[cfg(test)]
mod tests;
mod words;

use amount::{fractions, relative_level};
use answer::Answer;

/// How long a question back waits for its answer. The question has to be said, and the window after it to be used.
const QUESTION_LASTS: Duration = Duration::from_secs(60);
/// How long "it" can mean what was done, and "that" what was planned.
const POINTED_AT_FOR: Duration = Duration::from_secs(120);
/// Requests of at most so many words are tried as misheard commands.
const MISHEARD_WORDS_MAX: usize = 7;

/// One thing that a request asks for. `part` is what [`Interpreter::admit`] is to be told with its calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This call, understood without the model.
    Call { call: ToolCall, part: usize },
    /// The model knows.
    Think { request: String, part: usize },
    /// Say this.
    Say(String),
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It runs now, with these arguments.
    Run(ToolCall),
    /// It is kept and runs then.
    Later { call: ToolCall, when: When, told: String },
    /// It only asks how things stand.
    Status(ToolCall),
    /// It does not run.
    Refused(Outcome),
}

/// Understands requests for the tools of one registry. Remembers the last request, and what was asked back.
pub struct Interpreter {
    registry: Arc<Registry>,
    fast: Fast,
    grounding: Grounding,
    /// The owner's tools take times themselves: the model gets those in its request.
    timed: bool,
    parts: Vec<Known>,
    question: Option<(Question, Duration)>,
    /// The last call of an owner's tool, for "turn it off again".
    last: Option<(ToolCall, Duration)>,
    /// What was kept for later last, for "cancel that".
    kept: Option<(String, Duration)>,
    now: Duration,
}

/// A part of the last request.
#[derive(Debug, Clone)]
struct Known {
    part: Part,
    /// The user said yes to it.
    confirmed: bool,
    /// The request with its time, as a model was given it.
    whole: Option<String>,
}

/// What was asked back.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    /// Whether this is to be done.
    Confirm { call: ToolCall, when: Option<When> },
    /// Something that the request so far lacks.
    Missing { so_far: String },
    /// Whether this was said.
    Meant { request: String },
}

impl Interpreter {
    pub fn new(registry: Arc<Registry>) -> Self {
        let own = |s: &ToolSchema| registry.is_own(&s.name);
        let tools = registry.schemas().iter().map(|s| (s, Kind { acts: registry.acts(&s.name), own: own(s) }));
        let grounding = Grounding::new(tools, registry.aliases());
        let takes_time =
            |s: &ToolSchema| own(s) && s.params.iter().any(|p| words::TIME_ARGUMENTS.contains(&p.name.as_str()));
        let timed = registry.schemas().iter().any(takes_time);
        Self {
            fast: registry.fast(),
            grounding,
            timed,
            parts: Vec::new(),
            question: None,
            last: None,
            kept: None,
            now: Duration::ZERO,
            registry,
        }
    }

    /// What `text` asks for, in order. `now` only ever grows; `recent` is what was said before, the latest last.
    pub fn interpret(&mut self, now: Duration, text: &str) -> Vec<Step> {
        self.parts.clear();
        self.now = now;
        let text = &fractions(text);
        let lasts = |at: Duration| now <= at + POINTED_AT_FOR;
        self.last.take_if(|(_, at)| !lasts(*at));
        self.kept.take_if(|(_, at)| !lasts(*at));
        let question = self.question.take().filter(|(_, until)| now <= *until).map(|(q, _)| q);
        let steps = match question {
            Some(question) => self.answered(question, text),
            None => None,
        };
        let mut steps = steps.unwrap_or_else(|| self.request(text));
        self.drop_repeated(&mut steps);
        // Without an answer in time the question is forgotten.
        if let Some((_, until)) = &mut self.question {
            *until = now + QUESTION_LASTS;
        }
        steps
    }

    /// What was said twice in one request is done once.
    fn drop_repeated(&self, steps: &mut Vec<Step>) {
        let time = |part: &usize| self.parts.get(*part).and_then(|k| k.part.when.clone());
        let mut seen: Vec<(ToolCall, Option<When>)> = Vec::new();
        steps.retain(|step| match step {
            Step::Call { call, part } => {
                let this = (call.clone(), time(part));
                let new = !seen.contains(&this);
                seen.push(this);
                new
            }
            Step::Think { .. } | Step::Say(_) => true,
        });
    }

    /// What becomes of a call that belongs to `part` of the last request. `fast`: it was understood without the model.
    /// `said` is what was said lately, this request last.
    pub fn admit(&mut self, now: Duration, part: usize, call: ToolCall, said: &[String], fast: bool) -> Admission {
        let admission = self.judge(part, call, said, fast);
        match &admission {
            Admission::Run(call) if self.registry.acts(&call.name) => {
                // "Cancel that" is about what was done last.
                self.kept = None;
                if self.registry.is_own(&call.name) {
                    self.last = Some((call.clone(), now));
                }
            }
            Admission::Later { told, .. } => self.kept = Some((told.clone(), now)),
            _ => {}
        }
        if let Some((_, until)) = &mut self.question {
            *until = now + QUESTION_LASTS;
        }
        admission
    }

    // ---- requests

    /// An answer to what was asked back; `None` where it is a new request.
    fn answered(&mut self, question: Question, text: &str) -> Option<Vec<Step>> {
        match (question, answer::of(text)) {
            (Question::Confirm { call, when }, Answer::Yes) => {
                let part = Part { when, ..Part::plain(text, Mood::Do) };
                Some(vec![Step::Call { call, part: self.know(part, true) }])
            }
            (Question::Meant { request }, Answer::Yes) => Some(self.request(&request)),
            (Question::Missing { .. }, Answer::No) => Some(vec![Step::Say(words::LEFT.to_owned())]),
            (_, Answer::No) => Some(vec![Step::Say(words::WILL_NOT.to_owned())]),
            (Question::Missing { so_far }, _) => self.completed(&so_far, text),
            _ => None,
        }
    }

    /// "Which room?" – "The kitchen.": the request with its answer, where both together are understood and the answer alone
    /// is not.
    fn completed(&mut self, so_far: &str, text: &str) -> Option<Vec<Step>> {
        let alone = reading::read(text);
        let bare = matches!(alone.parts.as_slice(), [p] if matches!(p.mood, Mood::Fragment | Mood::Unclear) || p.words().len() <= 6);
        if !bare || !matches!(self.fast.understand(text), Understood::Nothing | Understood::Incomplete { .. }) {
            return None;
        }
        let answer = text.trim().trim_end_matches(['.', '!', '?']).trim();
        let joined = answer::candidates(so_far, answer);
        for request in joined {
            let steps = self.request(&request);
            if !steps.is_empty() && steps.iter().all(|s| matches!(s, Step::Call { .. })) {
                return Some(steps);
            }
            self.parts.clear();
            self.question = None;
        }
        None
    }

    fn request(&mut self, text: &str) -> Vec<Step> {
        let understood = self.fast.understand(text);
        // "Never mind", "leave it": whatever else they may be, they are understood as a whole.
        if let Understood::Calls(calls) = &understood
            && calls.iter().all(|c| matches!(c.name.as_str(), "stop" | "repeat" | "snooze"))
        {
            return match self.unplanned(text) {
                Some(call) => self.calls(vec![call], Part::plain(text, Mood::Do)),
                None => self.calls(calls.clone(), Part::plain(text, Mood::Do)),
            };
        }
        let reading = reading::read(text);
        if reading.taken_back {
            return vec![Step::Say(words::LEFT.to_owned())];
        }
        // Where nothing in it needs care, the grammar sees the whole: "two timers, one for five minutes and one for ten".
        let careless = |p: &Part| {
            p.calls_for.is_none()
                && matches!(p.mood, Mood::Do | Mood::Ask | Mood::Fragment)
                && p.when.is_none()
                && p.condition.is_none()
                && p.hold_s.is_none()
                && !p.choice
                && p.scope.as_ref().is_none_or(|s| s.except.is_none())
        };
        if !reading.corrected
            && reading.parts.iter().all(careless)
            && let Understood::Calls(calls) = understood
            && relative_level(text, &calls).is_none()
            && (calls.iter().all(|c| !self.registry.acts(&c.name)) || reading.parts.iter().any(|p| p.mood == Mood::Do))
        {
            return self.calls(calls, Part::plain(text, Mood::Do));
        }
        let single = reading.parts.len() == 1;
        let mut steps = Vec::new();
        for part in reading.parts {
            let of_part = self.part(part, single.then_some(text));
            // "Get the light in the guest room, turn it on": what was not understood is not what was done before.
            if !single && !of_part.iter().any(|s| matches!(s, Step::Call { .. })) {
                self.last = None;
            }
            steps.extend(of_part);
        }
        steps
    }

    /// "Cancel that", said right after something was planned.
    fn unplanned(&self, text: &str) -> Option<ToolCall> {
        let (told, _) = self.kept.as_ref()?;
        let said = super::text::tokens(text).join(" ");
        let meant = ["cancel that", "cancel it", "cancel this", "forget that", "forget it", "scrap that", "undo that"];
        let args = json!({ "which": told }).as_object().cloned()?;
        meant.contains(&said.as_str()).then(|| ToolCall { name: "cancel_scheduled".to_owned(), parameters: args })
    }

    /// One part of a request; `whole` is the request where it has no other.
    fn part(&mut self, part: Part, whole: Option<&str>) -> Vec<Step> {
        let part = self.with_its_thing(part);
        if part.calls_for.is_some() && part.mood == Mood::Do {
            self.question = Some((Question::Meant { request: part.text }, Duration::MAX));
            return vec![Step::Say(words::WAS_THAT_FOR_ME.to_owned())];
        }
        // "I don't need the timer any more, cancel it": that was done.
        let again = matches!(part.text.as_str(), "cancel it" | "cancel that" | "stop it" | "cancel them" | "stop that");
        if again && self.parts.last().is_some_and(|k| k.part.text.starts_with("cancel")) {
            return Vec::new();
        }
        match part.mood {
            Mood::Forbid => vec![Step::Say(words::forbidden(&part.text).to_owned())],
            Mood::Do => self.command(part, whole),
            Mood::Ask => self.ask(part, whole),
            Mood::Tell => vec![self.think(part, whole)],
            Mood::Fragment => self.fragment(part, whole),
            Mood::Unclear => self.unclear(&part),
        }
    }

    /// "Cancel the timer and set a new one": the one is what the part before was about.
    fn with_its_thing(&self, mut part: Part) -> Part {
        const THINGS: &[&str] = &["timer", "alarm", "reminder"];
        let before = self.parts.last().map(|k| k.part.text.to_lowercase());
        let thing = before.and_then(|t| THINGS.iter().find(|w| t.contains(**w)).copied());
        if let Some(thing) = thing {
            for one in ["a new one", "another one", "a second one", "a longer one", "a shorter one", "one more"] {
                if let Some(at) = part.text.find(one) {
                    part.text.replace_range(at..at + one.len(), &format!("a {thing}"));
                    // Free text would no longer stand where it did.
                    part.free.clear();
                    break;
                }
            }
        }
        part
    }

    fn command(&mut self, part: Part, whole: Option<&str>) -> Vec<Step> {
        if part.condition.is_some() {
            return vec![Step::Say(words::CANNOT_WATCH.to_owned())];
        }
        match &part.when {
            Some(When::Vague(_) | When::On(_)) => return self.ask_for(&part.text, words::WHEN_EXACTLY),
            Some(When::Recurring(_)) => return vec![Step::Say(words::ONLY_ALARMS_REPEAT.to_owned())],
            Some(When::TooFar(_)) => return vec![Step::Say(words::TOO_FAR.to_owned())],
            Some(When::In(_) | When::At(_)) | None => {}
        }
        if part.choice {
            return vec![Step::Say(words::WHICH_OF_THEM.to_owned())];
        }
        if let Some(steps) = self.named(&part) {
            return steps;
        }
        // Only the owner's choices know what "all except" is; a grammar that reads over an exception must not.
        if part.scope.as_ref().is_none_or(|s| s.except.is_none()) {
            match self.fast.understand(&part.text) {
                Understood::Calls(calls) => {
                    if let Some(level) = relative_level(&part.text, &calls) {
                        let request = format!("set the volume to {level} percent");
                        self.question = Some((Question::Meant { request }, Duration::MAX));
                        return vec![Step::Say(words::to_level(level))];
                    }
                    return self.calls(calls, part);
                }
                Understood::OutOfRange { tool, argument, .. } => {
                    return vec![Step::Say(words::limits(&tool, &argument, self.grounding.limits(&tool, &argument)))];
                }
                Understood::Incomplete { missing, .. } => {
                    return self.ask_for(&part.text, words::missing(missing));
                }
                Understood::Nothing => {}
            }
        }
        match self.grounding.find(&part) {
            Found::Calls(calls) => return self.found(calls, part),
            Found::OutOfRange { tool, argument } => {
                return vec![Step::Say(words::limits(&tool, &argument, self.grounding.limits(&tool, &argument)))];
            }
            Found::Missing { argument, values, .. } => {
                return self.ask_for(&part.text, &words::which(&argument, &values));
            }
            Found::WhichOfAll { .. } => return vec![Step::Say(words::WHICH_OF_ALL.to_owned())],
            Found::Nothing => {}
        }
        // "Any news" leaves nothing out.
        if part
            .scope
            .as_ref()
            .is_some_and(|s| s.except.is_some() || !matches!(s.word.as_str(), "any" | "some" | "several" | "most"))
        {
            return vec![Step::Say(words::WHICH_OF_ALL.to_owned())];
        }
        if let Some(call) = self.last.as_ref().and_then(|(before, _)| self.grounding.pointed(&part, before)) {
            return self.calls(vec![call], part);
        }
        // One part among several is no misheard command: the others were heard well.
        if whole.is_some()
            && let Some(steps) = self.misheard(&part.text)
        {
            return steps;
        }
        // The model would promise what nothing here can do.
        let deed = part.words().first().is_some_and(|w| words::DEEDS.contains(&w.text.as_str()));
        if deed && !self.grounding.may_do(&part) {
            return vec![Step::Say(words::CANNOT.to_owned())];
        }
        vec![self.think(part, whole)]
    }

    /// "A timer called do not touch for ten minutes": the name is a name, whatever its words.
    fn named(&mut self, part: &Part) -> Option<Vec<Step>> {
        let [free] = part.free.as_slice() else { return None };
        let (before, after) = (part.text[..free.start].trim_end(), part.text[free.end..].trim_start());
        let called = ["called", "named", "labeled", "labelled", "titled"];
        let before = called.iter().find_map(|c| before.strip_suffix(c))?;
        let Understood::Calls(calls) = self.fast.understand(&format!("{} {after}", before.trim_end())) else {
            return None;
        };
        let [call] = calls.as_slice() else { return None };
        if !call.name.starts_with("set_timer") || call.parameters.contains_key("label") {
            return None;
        }
        let mut call = call.clone();
        call.parameters.insert("label".to_owned(), json!(part.text[free.clone()]));
        Some(self.calls(vec![call], part.clone()))
    }

    /// Calls of the fast path for one part.
    fn calls(&mut self, calls: Vec<ToolCall>, part: Part) -> Vec<Step> {
        let part = self.know(part, false);
        calls.into_iter().map(|call| Step::Call { call, part }).collect()
    }

    /// Calls of the owner's tools; what is to last only a while is taken back after it.
    fn found(&mut self, calls: Vec<ToolCall>, part: Part) -> Vec<Step> {
        let Some(seconds) = part.hold_s else {
            // Within the request already: "turn it on, and turn it off in an hour".
            self.last = calls.last().map(|c| (c.clone(), self.now));
            return self.calls(calls, part);
        };
        let back: Option<Vec<ToolCall>> = calls.iter().map(opposite).collect();
        if let Some(last) = calls.last() {
            self.last = Some((last.clone(), self.now));
        }
        let (Some(back), None) = (back, &part.when) else { return vec![Step::Say(words::CANNOT_HOLD.to_owned())] };
        let later = Part { when: Some(When::In(seconds)), hold_s: None, ..part.clone() };
        let mut steps = self.calls(calls, Part { hold_s: None, ..part });
        steps.extend(self.calls(back, later));
        steps
    }

    fn ask(&mut self, part: Part, whole: Option<&str>) -> Vec<Step> {
        if let Understood::Calls(calls) = self.fast.understand(whole.unwrap_or(&part.text))
            && calls.iter().all(|c| !self.registry.acts(&c.name))
        {
            return self.calls(calls, part);
        }
        if let Found::Calls(calls) = self.grounding.find(&part)
            && calls.iter().all(|c| !self.registry.acts(&c.name))
        {
            return self.calls(calls, part);
        }
        if let Some(call) = self.grounding.asked(&part, |tool| self.registry.has_status(tool)) {
            return self.calls(vec![call], part);
        }
        // The model would make something up about what it cannot see.
        if self.grounding.about(&part).iter().any(|tool| self.registry.acts(&tool.name)) {
            let state = part.words().first().is_some_and(|w| words::ASKS_STATE.contains(&w.text.as_str()));
            let looks = !state || self.grounding.about(&part).iter().any(|tool| !self.registry.acts(&tool.name));
            if !looks {
                return vec![Step::Say(words::CANNOT_SEE.to_owned())];
            }
        }
        vec![self.think(part, whole)]
    }

    fn fragment(&mut self, part: Part, whole: Option<&str>) -> Vec<Step> {
        // "Kitchen light off", "volume 40": no verb, and yet all is said.
        if let Understood::Calls(calls) = self.fast.understand(&part.text) {
            return self.calls(calls, part);
        }
        if let Found::Calls(calls) = self.grounding.find(&part) {
            return self.calls(calls, part);
        }
        if let Some(steps) = self.misheard(&part.text) {
            return steps;
        }
        if self.grounding.about(&part).iter().any(|t| self.registry.acts(&t.name)) || words::is_thing(&part.text) {
            return self.ask_for(&part.text, &words::what_of(&part.text));
        }
        vec![self.think(part, whole)]
    }

    fn unclear(&mut self, part: &Part) -> Vec<Step> {
        match self.misheard(&part.text) {
            Some(steps) => steps,
            None => vec![Step::Say(words::WHAT.to_owned())],
        }
    }

    /// What sounds like a command but is none is asked about.
    fn misheard(&mut self, text: &str) -> Option<Vec<Step>> {
        if text.split_whitespace().count() > MISHEARD_WORDS_MAX {
            return None;
        }
        let request = self.fast.sounds_like(text)?;
        let question = words::did_you_mean(&request);
        self.question = Some((Question::Meant { request }, Duration::MAX));
        Some(vec![Step::Say(question)])
    }

    fn ask_for(&mut self, so_far: &str, question: &str) -> Vec<Step> {
        self.question = Some((Question::Missing { so_far: so_far.to_owned() }, Duration::MAX));
        vec![Step::Say(question.to_owned())]
    }

    fn think(&mut self, part: Part, whole: Option<&str>) -> Step {
        let changed = part.when.is_some() || part.hold_s.is_some();
        let request = match whole {
            Some(text) if !changed || self.timed => text.trim().to_owned(),
            _ => part.text.clone(),
        };
        let timed = whole.filter(|_| changed && self.timed).map(str::to_owned);
        let part = self.know(part, false);
        if let Some(known) = self.parts.get_mut(part) {
            known.whole = timed;
        }
        Step::Think { request, part }
    }

    fn know(&mut self, part: Part, confirmed: bool) -> usize {
        self.parts.push(Known { part, confirmed, whole: None });
        self.parts.len() - 1
    }
}

/// The call that takes a call of one truth value back.
fn opposite(call: &ToolCall) -> Option<ToolCall> {
    let mut flags = call.parameters.iter().filter(|(_, v)| v.is_boolean());
    let (name, value) = flags.next()?;
    if flags.next().is_some() {
        return None;
    }
    let mut back = call.clone();
    back.parameters.insert(name.clone(), json!(!value.as_bool()?));
    Some(back)
}
