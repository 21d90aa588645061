//! Commands the owner configured: a schema, argument vectors, and what to say afterwards.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problems::{Problems, clip};
use crate::schema::ToolSchema;

use super::names::{Names, is_identifier};
use super::program;

mod argument;
mod run;
mod template;
#[cfg(test)]
mod tests;
mod undo;

pub use argument::{Argument, ArgumentType};
pub use undo::Undo;

use template::{Piece, pieces};

/// Longest command allowed, whatever the configuration says.
const TIMEOUT_MAX_MS: u64 = 120_000;

/// How the names of tools begin that only look something up.
const LOOKS: [&str; 9] = ["get_", "list_", "read_", "check_", "show_", "find_", "search_", "tell_", "is_"];
/// How they end.
const LOOKS_END: &str = "_status";
/// Words of their names, where no verb that changes something stands beside them.
const LOOKED_UP: &[&str] = &[
    "weather",
    "forecast",
    "news",
    "headlines",
    "briefing",
    "joke",
    "time",
    "date",
    "clock",
    "calendar",
    "agenda",
    "calculate",
    "calculator",
    "calc",
    "compute",
    "math",
    "convert",
    "conversion",
    "converter",
    "lookup",
    "query",
    "diagnostics",
    "health",
    "search",
    "status",
];
const CHANGES: &[&str] = &[
    "add", "set", "new", "create", "delete", "remove", "cancel", "clear", "start", "stop", "send", "change", "update",
    "schedule", "turn", "make", "adjust", "control", "reset", "move", "write",
];

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
    pub params: Vec<Argument>,
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
    /// Program and arguments, as in `exec`, that print how things stand: the answer to "is the light on?".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<String>>,
    /// What to say of it, as `say`. Without it text is said as it was printed, and JSON is put into words by the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_say: Option<String>,
    /// Program and arguments, as in `exec`, that take a call back, or `opposite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Ask before it runs.
    #[serde(default)]
    pub confirm: bool,
    /// Whether it changes anything. What does not may run to answer a question. Absent: told by the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acts: Option<bool>,
    /// A call in a few words, for telling it back: "{room} light {on}". Absent: made of the name and the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tell: Option<String>,
}

fn default_timeout_ms() -> u64 {
    10_000
}

fn yes() -> bool {
    true
}

impl Command {
    /// A command of this schema that does nothing.
    pub(super) fn rehearsed(schema: &ToolSchema) -> Self {
        Self {
            name: schema.name.clone(),
            description: schema.description.clone(),
            params: schema.params.iter().cloned().map(Argument::from).collect(),
            exec: vec!["true".to_owned()],
            timeout_ms: default_timeout_ms(),
            say: Some("Done.".to_owned()),
            check_words: true,
            status: None,
            status_say: None,
            undo: None,
            confirm: false,
            acts: None,
            tell: None,
        }
    }

    pub(super) fn schema(&self, lists: &Names) -> ToolSchema {
        let params = self.params.iter().map(|p| p.param(lists)).collect();
        ToolSchema { name: self.name.clone(), description: self.description.clone(), params }
    }

    /// Whether it changes anything.
    pub fn acts(&self) -> bool {
        let looks = LOOKS.iter().any(|l| self.name.starts_with(l)) || self.name.ends_with(LOOKS_END);
        let parts = || self.name.split(['_', '.', '-']);
        let looked_up = parts().any(|p| LOOKED_UP.contains(&p)) && !parts().any(|p| CHANGES.contains(&p));
        self.acts.unwrap_or(!looks && !looked_up)
    }

    /// Whether it can be asked how things stand.
    pub fn has_status(&self) -> bool {
        self.status.is_some()
    }

    /// A call in the owner's words; `None` where there are none for it.
    pub(super) fn told(&self, args: &Map<String, Value>) -> Option<String> {
        template::said(self.tell.as_deref()?, [args, &Map::new()])
    }

    /// Adds everything that cannot be right.
    pub(super) fn validate(&self, lists: &Names, problems: &mut Problems) {
        identifier(problems, "name", &self.name);
        for (i, p) in self.params.iter().enumerate() {
            let twice = self.params[..i].iter().any(|q| q.name == p.name);
            problems.element("params", i, |problems| {
                identifier(problems, "name", &p.name);
                if twice {
                    problems.wrong("name", format!("{:?} is given twice", clip(&p.name)));
                }
                p.validate(lists, problems);
            });
        }
        for (key, argv) in self.vectors() {
            self.validate_vector(key, argv, problems);
        }
        for (key, template) in [("say", &self.say), ("status_say", &self.status_say)] {
            if let Some(Err(problem)) = template.as_deref().map(pieces) {
                problems.wrong(key, problem);
            }
        }
        if let Some(tell) = &self.tell {
            self.validate_placeholders("tell", tell, problems);
        }
        self.validate_together(problems);
        problems.range("timeout_ms", self.timeout_ms, 100..=TIMEOUT_MAX_MS);
    }

    /// What one key makes of another.
    fn validate_together(&self, problems: &mut Problems) {
        if self.status_say.is_some() && self.status.is_none() {
            problems.involving("status_say", &["status"], "needs status: without it there is nothing to say");
        }
        if self.undo == Some(Undo::Opposite) && self.params.iter().filter(|p| p.is_bool()).count() != 1 {
            let text = "must name a program: \"opposite\" is for a command of which exactly one argument is a bool";
            problems.involving("undo", &["params"], text);
        }
        for (key, given) in [("confirm", self.confirm), ("undo", self.undo.is_some())] {
            if given && !self.acts() {
                let text = "must not be given: the command only looks something up (write acts = true if it does more)";
                problems.involving(key, &["acts", "name"], text);
            }
        }
    }

    /// The argument vectors and their keys.
    fn vectors(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let undo = match &self.undo {
            Some(Undo::Exec(argv)) => Some(argv.as_slice()),
            _ => None,
        };
        let more = [("status", self.status.as_deref()), ("undo", undo)];
        let more = more.into_iter().filter_map(|(key, argv)| Some((key, argv?)));
        std::iter::once(("exec", self.exec.as_slice())).chain(more)
    }

    fn validate_vector(&self, key: &str, argv: &[String], problems: &mut Problems) {
        match argv.first() {
            None => problems.wrong(key, "must not be empty: name a program"),
            Some(program) if program.trim().is_empty() || program.contains('{') => {
                problems.element(key, 0, |p| p.wrong("", "must be a program, not a placeholder"));
            }
            Some(_) => {}
        }
        for (i, argument) in argv.iter().enumerate().skip(1) {
            problems.element(key, i, |problems| self.validate_placeholders("", argument, problems));
        }
    }

    /// A template that may name arguments and nothing else.
    fn validate_placeholders(&self, key: &str, template: &str, problems: &mut Problems) {
        match pieces(template) {
            Err(problem) => problems.wrong(key, problem),
            Ok(pieces) => {
                for name in pieces.iter().filter_map(Piece::name) {
                    if !self.params.iter().any(|p| p.name == name) {
                        problems.wrong(key, format!("{{{name}}} is not an argument: params has none of that name"));
                    }
                }
            }
        }
    }

    /// Adds programs that cannot be started.
    pub(super) fn look(&self, problems: &mut Problems) {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
        for (key, argv) in self.vectors() {
            let program = argv.first().filter(|p| !p.trim().is_empty() && !p.contains('{'));
            if let Some(trouble) = program.and_then(|p| program::trouble(p, &path)) {
                problems.element(key, 0, |p| p.wrong("", trouble));
            }
        }
    }
}

/// A name as the model writes it.
fn identifier(problems: &mut Problems, key: &str, name: &str) {
    if !is_identifier(name) {
        problems.wrong(
            key,
            format!("must be at most 40 lowercase letters, digits and _, a letter first, not {:?}", clip(name)),
        );
    }
}
