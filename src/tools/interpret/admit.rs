//! What becomes of a call: it runs, it is kept for later, it asks how things stand, or it is declined.

use std::time::Duration;

use serde_json::{Map, Value};

use super::amount::relative_level;
use super::{Admission, Interpreter, Known, Question, words};
use crate::schema::ToolCall;
use crate::tools::Outcome;
use crate::tools::grounding::Problem;
use crate::tools::reading::{Mood, Part};

impl Interpreter {
    pub(super) fn judge(&mut self, part: usize, call: ToolCall, said: &[String], fast: bool) -> Admission {
        let Some(known) = self.parts.get(part).cloned() else {
            return refused("no request", words::CANNOT);
        };
        let Known { part, confirmed, whole } = known;
        if !self.registry.acts(&call.name) {
            return Admission::Run(call);
        }
        if part.mood == Mood::Ask && fast && self.registry.has_status(&call.name) {
            return Admission::Status(call);
        }
        let mut call = call;
        let mut when = part.when.clone();
        if !fast {
            match part.mood {
                Mood::Do => {}
                Mood::Ask => return refused("the user asked a question: nothing was done", words::CANNOT_SEE),
                _ => return refused("the user did not ask for that: nothing was done", words::WHAT),
            }
            if let Some(level) = relative_level(&part.text, std::slice::from_ref(&call)) {
                let request = format!("set the volume to {level} percent");
                self.question = Some((Question::Meant { request }, Duration::MAX));
                return refused("a step or a level: the user is asked", &words::to_level(level));
            }
            if part.hold_s.is_some() {
                return refused("the user wants it for a limited time only", words::CANNOT_HOLD);
            }
            // A tool that takes the time itself is held against all that was said.
            let timed = call.parameters.keys().any(|name| words::TIME_ARGUMENTS.contains(&name.as_str()));
            let all = whole.filter(|_| timed).map(|text| Part { text, free: Vec::new(), ..part.clone() });
            match self.grounded(all.as_ref().unwrap_or(&part), &call, said) {
                Ok((args, takes_time)) => {
                    call.parameters = args;
                    if takes_time {
                        when = None;
                    }
                }
                Err(admission) => return *admission,
            }
        }
        if let Some(problem) = self.registry.check(&call).first()
            && let Some(argument) = problem.split(':').next()
            && let Some(limits) = self.grounding.limits(&call.name, argument)
        {
            return refused(problem, &words::limits(&call.name, argument, Some(limits)));
        }
        if self.registry.confirms(&call.name) && !confirmed {
            let told = self.registry.told(&call);
            self.question = Some((Question::Confirm { call, when }, Duration::MAX));
            return refused("the user is asked first", &words::shall_i(&told));
        }
        match when {
            Some(when) => {
                let told = self.registry.told(&call);
                Admission::Later { call, when, told }
            }
            None => Admission::Run(call),
        }
    }

    /// The arguments of a model's call that accounts for all of `part`, and whether one of them is its time.
    fn grounded(
        &mut self,
        part: &Part,
        call: &ToolCall,
        said: &[String],
    ) -> Result<(Map<String, Value>, bool), Box<Admission>> {
        let refused = |error: &str, words: &str| Err(Box::new(refused(error, words)));
        let recent = said.split_last().map_or(&[][..], |(_, before)| before);
        let Some(account) = self.grounding.account(part, &call.name, &call.parameters, recent) else {
            // Its check names what there is.
            return Ok((call.parameters.clone(), false));
        };
        match &account.problem {
            Some(Problem::Unsaid(argument)) if account.evidence && account.unexplained.is_empty() => {
                let question = words::which(argument, &[]);
                self.ask_for(&part.text, &question);
                return refused(&format!("{argument}: the user did not say that"), &question);
            }
            Some(_) => return refused("the user did not ask for that", words::CANNOT),
            None => {}
        }
        if !account.evidence {
            return refused("no tool fits the request", words::CANNOT);
        }
        if account.is_balanced() {
            let takes_time =
                account.args.keys().any(|name| words::TIME_ARGUMENTS.contains(&name.as_str())) && part.when.is_some();
            return Ok((account.args, takes_time));
        }
        let open = account.unexplained.join(" ");
        let meant = ToolCall { name: call.name.clone(), parameters: account.args };
        if self.registry.check(&meant).is_empty() {
            let told = self.registry.told(&meant);
            self.question = Some((Question::Confirm { call: meant, when: part.when.clone() }, Duration::MAX));
            return refused(&format!("unexplained: {open}"), &words::not_sure(&open, &told));
        }
        refused(&format!("unexplained: {open}"), words::CANNOT)
    }
}

fn refused(error: &str, spoken: &str) -> Admission {
    Admission::Refused(Outcome::failed(error, spoken))
}
