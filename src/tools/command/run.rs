//! Running what a configured command names: the command, its question, its way back.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::template::{self, placeholders, said};
use super::{Command, Undo};
use crate::schema::Param;
use crate::tools::exec::{self, Ended};
use crate::tools::names::Names;
use crate::tools::{Ctx, Outcome, policy};

impl Command {
    /// Runs with arguments that passed the schema.
    pub(in crate::tools) fn run(&self, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Outcome {
        if let Some(unsaid) = self.unsaid(args, ctx) {
            return unsaid;
        }
        match self.execute(&self.exec, args, ctx) {
            Ok(result) => {
                // A key that is not there leaves the answer to the model.
                let spoken = self.say.as_deref().and_then(|say| said(say, [args, &result]));
                Outcome { result: Value::Object(result), spoken, effect: None }
            }
            Err(failed) => failed,
        }
    }

    /// Asks how things stand. Of the arguments, which passed the schema where they are given, only those are needed that
    /// `status` names.
    pub(in crate::tools) fn run_status(&self, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Outcome {
        let Some(status) = &self.status else {
            return Outcome::failed(format!("{} has no status", self.name), "Sorry, I can't find that out.");
        };
        let absent = |name: &str| args.get(name).is_none_or(Value::is_null);
        let named = placeholders(status);
        let needed = self.params.iter().find(|p| p.required && named.contains(&p.name) && absent(&p.name));
        if let Some(missing) = needed {
            return Outcome::failed(format!("{}: missing", missing.name), which(&missing.name));
        }
        if let Some(unsaid) = self.unsaid(args, ctx) {
            return unsaid;
        }
        let result = match self.execute(status, args, ctx) {
            Ok(result) => result,
            Err(failed) => return failed,
        };
        // What is so now comes before what was asked about.
        let spoken = match (&self.status_say, result.get("output").and_then(Value::as_str)) {
            (Some(say), _) => said(say, [&result, args]),
            (None, text) => text.map(str::to_owned),
        };
        if result.len() == 1 && spoken.is_none() {
            return Outcome::failed(format!("{} printed no status", self.name), "Sorry, I couldn't find that out.");
        }
        Outcome { result: Value::Object(result), spoken, effect: None }
    }

    /// Takes a call back; `None` where it cannot be. The words of its arguments were said when it was made.
    pub(in crate::tools) fn run_undo(&self, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Option<Outcome> {
        let ran = match self.undo.as_ref()? {
            Undo::Exec(argv) => self.execute(argv, args, ctx),
            Undo::Opposite => self.execute(&self.exec, &self.opposite(args)?, ctx),
        };
        Some(ran.map_or_else(|failed| failed, |result| Outcome { result: result.into(), spoken: None, effect: None }))
    }

    /// The arguments with the truth value turned round.
    pub(in crate::tools) fn opposite(&self, args: &Map<String, Value>) -> Option<Map<String, Value>> {
        let mut turned = args.clone();
        let name = self.params.iter().find(|p| p.is_bool()).map(|p| &p.name)?;
        let Some(Value::Bool(on)) = turned.get_mut(name) else { return None };
        *on = !*on;
        Some(turned)
    }

    /// The answer where an argument's words were not said.
    fn unsaid(&self, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Option<Outcome> {
        if !self.check_words {
            return None;
        }
        // Only free text is checked; which names a list holds does not matter.
        let params: Vec<Param> = self.params.iter().map(|p| p.param(&Names::new())).collect();
        let unsaid = policy::unsaid_argument(&params, args, ctx.said)?;
        Some(Outcome::failed(format!("{}: the user did not say that", unsaid.name), which(&unsaid.name)))
    }

    /// Runs one of the argument vectors: what it printed, beside `"ok": true`, or how it failed.
    fn execute(
        &self,
        templates: &[String],
        args: &Map<String, Value>,
        ctx: &Ctx<'_>,
    ) -> Result<Map<String, Value>, Outcome> {
        let argv =
            template::argv(templates, args).map_err(|problem| Outcome::failed(problem, "Sorry, I can't do that."))?;
        let input = Value::Object(args.clone()).to_string();
        let limit = Duration::from_millis(self.timeout_ms);
        match exec::run(&self.name, &argv, &input, limit, ctx.cancelled) {
            Ok(Ended::Finished { ok: true, output }) => printed(output),
            Ok(Ended::Finished { ok: false, output }) => {
                // Its output may tell the model more than an exit status does.
                let detail = object(&output).and_then(|o| o.get("error").and_then(Value::as_str).map(str::to_owned));
                let error = detail.unwrap_or_else(|| format!("{} failed", self.name));
                Err(Outcome::failed(error, "Sorry, that didn't work."))
            }
            Ok(Ended::TimedOut) => {
                Err(Outcome::failed(format!("{} took too long", self.name), "Sorry, that took too long."))
            }
            Ok(Ended::Cancelled) => Err(Outcome::failed("cancelled", "")),
            Err(e) => {
                tracing::warn!(command = %self.name, error = %e, "a configured command could not be started");
                Err(Outcome::failed(format!("{} could not be started", self.name), "Sorry, I couldn't start that."))
            }
        }
    }
}

/// What a program that succeeded printed, for the model.
fn printed(output: String) -> Result<Map<String, Value>, Outcome> {
    let mut result = Map::new();
    result.insert("ok".to_owned(), json!(true));
    match object(&output) {
        Some(printed) if printed.contains_key("error") => {
            let error = printed.get("error").and_then(Value::as_str).unwrap_or("failed");
            return Err(Outcome::failed(error, "Sorry, that didn't work."));
        }
        Some(printed) => result.extend(printed),
        None if output.is_empty() => {}
        None => drop(result.insert("output".to_owned(), json!(output))),
    }
    Ok(result)
}

fn object(output: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(output) {
        Ok(Value::Object(o)) => Some(o),
        _ => None,
    }
}

fn which(argument: &str) -> String {
    format!("Which {} do you mean?", argument.replace('_', " "))
}
