//! Commands the owner configured: a schema, an argument vector, and what to say afterwards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::problems::{Problems, clip};
use crate::schema::{Param, ParamType, ToolSchema};

use super::exec::{self, Ended};
use super::{Ctx, Outcome, policy, program};

/// Longest command allowed, whatever the configuration says.
const TIMEOUT_MAX_MS: u64 = 120_000;

/// One `[[tools.command]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What the model calls it: lowercase letters, digits, `_`.
    pub name: String,
    /// What it is for, in a few words.
    #[serde(default)]
    pub description: String,
    /// Its arguments.
    #[serde(default)]
    pub params: Vec<Param>,
    /// Program and arguments. `{room}` inside an argument is replaced by the value of `room`, within that one
    /// argument; an argument that names an absent optional value is left out; `{{` is a brace. All arguments also
    /// come as a JSON object on standard input.
    pub exec: Vec<String>,
    /// Killed after this long.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// What to say when it succeeded; `{room}` is an argument or a key of the JSON it printed, `{output}` the text it
    /// printed. Without it the model answers in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// Ask back when the words of a text argument were not in what the user said (the model made them up).
    #[serde(default = "yes")]
    pub check_words: bool,
}

fn default_timeout_ms() -> u64 {
    10_000
}

fn yes() -> bool {
    true
}

impl Command {
    pub(super) fn schema(&self) -> ToolSchema {
        ToolSchema { name: self.name.clone(), description: self.description.clone(), params: self.params.clone() }
    }

    /// Adds everything that cannot be right.
    pub(super) fn validate(&self, problems: &mut Problems) {
        identifier(problems, "name", &self.name);
        for (i, p) in self.params.iter().enumerate() {
            let twice = self.params[..i].iter().any(|q| q.name == p.name);
            problems.element("params", i, |problems| {
                identifier(problems, "name", &p.name);
                if twice {
                    problems.wrong("name", format!("{:?} is given twice", clip(&p.name)));
                }
                bounds(problems, &p.kind);
            });
        }
        match self.exec.first() {
            None => problems.wrong("exec", "must not be empty: name a program"),
            Some(program) if program.trim().is_empty() || program.contains('{') => {
                problems.element("exec", 0, |p| p.wrong("", "must be a program, not a placeholder"));
            }
            Some(_) => {}
        }
        for (i, argument) in self.exec.iter().enumerate().skip(1) {
            problems.element("exec", i, |problems| match pieces(argument) {
                Err(problem) => problems.wrong("", problem),
                Ok(pieces) => {
                    for name in pieces.iter().filter_map(Piece::name) {
                        if !self.params.iter().any(|p| p.name == name) {
                            problems.wrong("", format!("{{{name}}} is not an argument: params has none of that name"));
                        }
                    }
                }
            });
        }
        if let Some(Err(problem)) = self.say.as_deref().map(pieces) {
            problems.wrong("say", problem);
        }
        problems.range("timeout_ms", self.timeout_ms, 100..=TIMEOUT_MAX_MS);
    }

    /// Adds a program that cannot be started.
    pub(super) fn look(&self, problems: &mut Problems) {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
        let program = self.exec.first().filter(|p| !p.trim().is_empty() && !p.contains('{'));
        if let Some(trouble) = program.and_then(|p| program::trouble(p, &path)) {
            problems.element("exec", 0, |p| p.wrong("", trouble));
        }
    }

    /// Runs with arguments that passed the schema.
    pub(super) fn run(&self, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Outcome {
        if self.check_words
            && let Some(unsaid) = policy::unsaid_argument(&self.params, args, ctx.said)
        {
            return Outcome::failed(
                format!("{}: the user did not say that", unsaid.name),
                format!("Which {} do you mean?", unsaid.name.replace('_', " ")),
            );
        }
        let argv = match self.argv(args) {
            Ok(argv) => argv,
            Err(problem) => return Outcome::failed(problem, "Sorry, I can't do that."),
        };
        let input = Value::Object(args.clone()).to_string();
        let limit = Duration::from_millis(self.timeout_ms);
        match exec::run(&self.name, &argv, &input, limit, ctx.cancelled) {
            Ok(Ended::Finished { ok: true, output }) => self.succeeded(args, &output),
            Ok(Ended::Finished { ok: false, output }) => {
                // Its output may tell the model more than an exit status does.
                let detail = object(&output).and_then(|o| o.get("error").and_then(Value::as_str).map(str::to_owned));
                let error = detail.unwrap_or_else(|| format!("{} failed", self.name));
                Outcome::failed(error, "Sorry, that didn't work.")
            }
            Ok(Ended::TimedOut) => {
                Outcome::failed(format!("{} took too long", self.name), "Sorry, that took too long.")
            }
            Ok(Ended::Cancelled) => Outcome::failed("cancelled", ""),
            Err(e) => {
                tracing::warn!(command = %self.name, error = %e, "a configured command could not be started");
                Outcome::failed(format!("{} could not be started", self.name), "Sorry, I couldn't start that.")
            }
        }
    }

    fn succeeded(&self, args: &Map<String, Value>, output: &str) -> Outcome {
        let mut result = Map::new();
        match object(output) {
            Some(printed) if printed.contains_key("error") => {
                return Outcome::failed(
                    printed.get("error").and_then(Value::as_str).unwrap_or("failed"),
                    "Sorry, that didn't work.",
                );
            }
            Some(printed) => {
                result.insert("ok".to_owned(), json!(true));
                result.extend(printed);
            }
            None => {
                result.insert("ok".to_owned(), json!(true));
                if !output.is_empty() {
                    result.insert("output".to_owned(), json!(output));
                }
            }
        }
        let spoken = self.say.as_deref().and_then(|say| {
            let mut s = String::new();
            for piece in pieces(say).ok()? {
                match piece {
                    Piece::Text(t) => s.push_str(&t),
                    // A key that is not there leaves the answer to the model.
                    Piece::Name(n) => s.push_str(&shown(args.get(&n).or_else(|| result.get(&n))?)),
                }
            }
            Some(s)
        });
        Outcome { result: Value::Object(result), spoken, effect: None }
    }

    /// The argument vector. A value stays inside its argument, whatever is in it.
    fn argv(&self, args: &Map<String, Value>) -> Result<Vec<String>, String> {
        let mut argv = Vec::with_capacity(self.exec.len());
        let mut options_over = false;
        for (i, template) in self.exec.iter().enumerate() {
            if i == 0 {
                argv.push(template.clone());
                continue;
            }
            let mut argument = String::new();
            let mut absent = false;
            let mut starts_with_text_value = false;
            for piece in pieces(template)? {
                match piece {
                    Piece::Text(t) => argument.push_str(&t),
                    Piece::Name(name) => match args.get(&name) {
                        None | Some(Value::Null) => absent = true,
                        Some(value) => {
                            let value_text = shown(value);
                            if value_text.chars().any(char::is_control) {
                                return Err(format!("{name}: control characters are not allowed"));
                            }
                            starts_with_text_value |= argument.is_empty() && value.is_string();
                            argument.push_str(&value_text);
                        }
                    },
                }
            }
            if absent {
                continue;
            }
            // A value must not become an option of the program.
            if starts_with_text_value && argument.starts_with('-') && !options_over {
                return Err("a value must not begin with a dash".to_owned());
            }
            options_over |= template == "--";
            argv.push(argument);
        }
        Ok(argv)
    }
}

/// A name as the model writes it.
fn identifier(problems: &mut Problems, key: &str, name: &str) {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain {
        problems.wrong(
            key,
            format!("must be at most 40 lowercase letters, digits and _, a letter first, not {:?}", clip(name)),
        );
    }
}

/// An argument that no value could satisfy.
fn bounds(problems: &mut Problems, kind: &ParamType) {
    match kind {
        ParamType::Enum { values } if values.is_empty() => {
            problems.wrong("values", "must not be empty: list the words")
        }
        ParamType::Int { min: Some(min), max: Some(max) } => problems.at_most("min", *min, "max", *max),
        ParamType::Number { min: Some(min), max: Some(max) } => problems.at_most("min", *min, "max", *max),
        ParamType::String { max_chars: Some(0) } => problems.wrong("max_chars", "must be at least 1, not 0"),
        _ => {}
    }
}

enum Piece {
    Text(String),
    Name(String),
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Piece::Text(_) => None,
            Piece::Name(n) => Some(n),
        }
    }
}

/// Splits `"{room} light {{"` at its placeholders.
fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                text.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                        _ => {
                            return Err(format!("{template:?} has a brace that is not closed; write {{{{ for a brace"));
                        }
                    }
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Name(name));
            }
            '}' => return Err(format!("{template:?} has a brace that is not opened; write }}}} for a brace")),
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn object(output: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(output) {
        Ok(Value::Object(o)) => Some(o),
        _ => None,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ToolCall;
    use crate::tools::{Clock, Registry, Settings};

    fn command(exec: &[&str]) -> Command {
        serde_json::from_value(json!({
            "name": "set_light", "exec": exec, "check_words": false,
            "params": [{"name": "room", "type": "string"}, {"name": "level", "type": "int", "required": false}]
        }))
        .unwrap()
    }

    fn run(c: Command, args: Value) -> Outcome {
        let settings = Settings { command: vec![c], ..Settings::default() };
        let r = Registry::new(&settings, None, Clock::system()).unwrap();
        let parameters = args.as_object().cloned().unwrap_or_default();
        r.run(&ToolCall { name: "set_light".into(), parameters }, &Ctx::QUIET)
    }

    fn problems(c: Command) -> Vec<String> {
        let mut p = Problems::new();
        Settings { command: vec![c], ..Settings::default() }.validate(&mut p);
        p.into_vec().iter().map(ToString::to_string).collect()
    }

    /// Prints its arguments one a line, between angle brackets.
    const SHOW: [&str; 3] = ["/bin/sh", "-c", r#"for a in "$@"; do printf '<%s>' "$a"; done"#];

    fn show(args: &[&str]) -> Command {
        let mut exec = SHOW.to_vec();
        // $0 of the shell.
        exec.push("show");
        exec.extend_from_slice(args);
        command(&exec)
    }

    #[test]
    fn values_stay_inside_their_argument() {
        for evil in [
            "; rm -rf /",
            "$(touch /tmp/x)",
            "`id`",
            "a b  c",
            "'\"",
            "*",
            "{level}",
            "| cat",
            "&& true",
            "a\\b",
            "%s%n",
        ] {
            let o = run(show(&["{room}", "in {room}!"]), json!({ "room": evil }));
            assert_eq!(o.result["output"], json!(format!("<{evil}><in {evil}!>")), "{evil}");
        }
    }

    #[test]
    fn values_cannot_become_options_or_smuggle_control_characters() {
        for evil in ["--flag", "-rf", "-", "a\0b", "a\nb", "\u{1b}[2J"] {
            let o = run(show(&["{room}"]), json!({ "room": evil }));
            assert!(!o.is_ok(), "{evil:?}: {o:?}");
        }
        let o = run(show(&["--", "{room}", "--room={room}"]), json!({ "room": "-x" }));
        assert_eq!(o.result["output"], json!("<--><-x><--room=-x>"));
        let o = run(show(&["{level}"]), json!({ "room": "x", "level": -5 }));
        assert_eq!(o.result["output"], json!("<-5>"));
        let long = "x".repeat(100_000);
        assert!(!run(show(&["{room}"]), json!({ "room": long })).is_ok());
    }

    #[test]
    fn absent_values_leave_their_argument_out() {
        let o = run(show(&["{room}", "--level={level}", "{{x}}"]), json!({ "room": "hall" }));
        assert_eq!(o.result["output"], json!("<hall><{x}>"));
        let o = run(show(&["{room}", "--level={level}"]), json!({ "room": "hall", "level": 7 }));
        assert_eq!(o.result["output"], json!("<hall><--level=7>"));
    }

    #[test]
    fn arguments_also_come_as_json() {
        let o = run(command(&["/bin/cat"]), json!({ "room": "hall", "level": 3 }));
        assert_eq!(o.result, json!({ "ok": true, "room": "hall", "level": 3 }));
    }

    #[test]
    fn what_it_says_is_filled_in_or_left_to_the_model() {
        let mut c = show(&["{room}"]);
        c.say = Some("{room}: {output}".into());
        assert_eq!(run(c.clone(), json!({ "room": "hall" })).spoken.as_deref(), Some("hall: <hall>"));
        c.say = Some("{temperature} degrees".into());
        assert_eq!(run(c, json!({ "room": "hall" })).spoken, None);
        let mut c = command(&["/bin/echo", r#"{{"temperature": 21}}"#]);
        c.say = Some("{temperature} degrees in the {room}.".into());
        assert_eq!(run(c, json!({ "room": "hall" })).spoken.as_deref(), Some("21 degrees in the hall."));
    }

    #[test]
    fn failures_are_told_apart() {
        let o = run(command(&["/bin/false"]), json!({ "room": "x" }));
        assert_eq!(o.result, json!({ "error": "set_light failed" }));
        let o = run(command(&["/no/such/program"]), json!({ "room": "x" }));
        assert_eq!(o.result, json!({ "error": "set_light could not be started" }));
        let mut c = command(&["/bin/sleep", "60"]);
        c.timeout_ms = 200;
        let o = run(c, json!({ "room": "x" }));
        assert_eq!(o.result, json!({ "error": "set_light took too long" }));
        let o = run(command(&["/bin/echo", r#"{{"error": "no such room"}}"#]), json!({ "room": "x" }));
        assert_eq!(o.result, json!({ "error": "no such room" }));
    }

    #[test]
    fn bad_configurations_are_named() {
        assert!(problems(command(&["/bin/true", "{room}"])).is_empty());
        for (exec, word) in [
            (&[][..], "empty"),
            (&["{room}"][..], "exec[0]"),
            (&["x", "{kitchen}"][..], "{kitchen}"),
            (&["x", "{room"][..], "not closed"),
            (&["x", "room}"][..], "not opened"),
        ] {
            let p = problems(command(exec));
            assert!(p.len() == 1 && p[0].contains(word), "{exec:?}: {p:?}");
        }
        let taken = Command { name: "get_time".into(), ..command(&["x"]) };
        assert!(problems(taken)[0].contains("get_time is a built-in tool"));
        let odd = Command { name: "Set Light".into(), timeout_ms: 0, ..command(&["x"]) };
        assert_eq!(problems(odd).len(), 2);
    }

    #[test]
    fn made_up_arguments_are_asked_back() {
        let c = Command { check_words: true, ..show(&["{room}"]) };
        let settings = Settings { command: vec![c], ..Settings::default() };
        let r = Registry::new(&settings, None, Clock::system()).unwrap();
        let call = ToolCall {
            name: "set_light".into(),
            parameters: json!({ "room": "kitchen" }).as_object().cloned().unwrap(),
        };
        let run = |said: &[&str]| {
            let said: Vec<String> = said.iter().map(|s| (*s).to_owned()).collect();
            r.run(&call, &Ctx { said: &said, cancelled: &|| false })
        };
        assert!(run(&["Lights on in the kitchen"]).is_ok());
        assert!(run(&["Turn on the kitchen light", "and off again"]).is_ok());
        let o = run(&["Make it bright"]);
        assert_eq!(o.spoken.as_deref(), Some("Which room do you mean?"));
        assert!(!o.is_ok());
    }
}
