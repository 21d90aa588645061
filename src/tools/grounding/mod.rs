//! Whether a call accounts for a request, and which call does.
//!
//! Grounding goes both ways. Every argument of a call must have been said, and every word of the request that carries
//! meaning must be explained by the call: by an argument, by what the tool is for, by the state that it brings about.
//! A call that leaves something unexplained is not made. The same account, turned round, finds the call of an owner's
//! tool without a model: the only one that leaves nothing over.
//!
//! The words of the language are in [`english`]; another language is another table.

use serde_json::{Map, Value};

use crate::schema::{ParamType, ToolSchema};

use super::reading::{Part, Said};

mod account;
mod english;
mod find;
mod name;
mod state;
#[cfg(test)]
mod tests;

pub(super) use account::{Account, Problem};
pub(super) use find::Found;

use english as en;
use name::Name;
pub(super) use name::is_place;

/// What all tools are for, in the words of requests.
pub(super) struct Grounding {
    tools: Vec<Tool>,
}

struct Tool {
    schema: ToolSchema,
    name: Name,
    /// It changes something.
    acts: bool,
    /// The owner's: such are found without the model.
    own: bool,
}

/// What is known of a tool beside its schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) acts: bool,
    pub(super) own: bool,
}

/// Words that name a value beside the value itself: (value, said as).
pub(super) type Aliases = [(String, Vec<String>)];

impl Grounding {
    pub(super) fn new<'a>(tools: impl Iterator<Item = (&'a ToolSchema, Kind)>, aliases: &Aliases) -> Self {
        let tool = |(schema, kind): (&ToolSchema, Kind)| Tool {
            name: Name::new(schema, aliases),
            schema: schema.clone(),
            acts: kind.acts,
            own: kind.own,
        };
        Self { tools: tools.map(tool).collect() }
    }

    fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|t| t.schema.name == name)
    }

    /// How a call of the tool `name` accounts for `part`. `recent` is what was said before, where the request points back
    /// to it ("and off again").
    pub(super) fn account(
        &self,
        part: &Part,
        name: &str,
        args: &Map<String, Value>,
        recent: &[String],
    ) -> Option<Account> {
        let tool = self.tool(name)?;
        // What was told in the same breath counts as said.
        let told: Vec<String> = part.context.iter().cloned().collect();
        let mut account = account::account(tool, &part.words(), args, recent, &told);
        account.evidence |= self.only_one_for(tool, &account.args);
        Some(account)
    }

    /// "Turn off the kitchen" is about the light where nothing else in a kitchen can be turned off.
    fn only_one_for(&self, tool: &Tool, args: &Map<String, Value>) -> bool {
        let place = |t: &Tool| t.schema.params.iter().find(|p| en::PLACE_ARGUMENTS.contains(&p.name.as_str())).cloned();
        let switches = |t: &Tool| t.acts && place(t).is_some() && t.schema.params.iter().any(state::is_state);
        let said = place(tool).and_then(|p| args.get(&p.name)).and_then(Value::as_str);
        let known = said.is_some_and(name::is_place);
        known && switches(tool) && self.tools.iter().filter(|t| switches(t)).count() == 1
    }

    /// The tools that a question may be about: something in it names what they are for.
    pub(super) fn about(&self, part: &Part) -> Vec<&ToolSchema> {
        let words = part.words();
        self.tools.iter().filter(|t| t.own && t.name.is_named(&words)).map(|t| &t.schema).collect()
    }

    /// Whether some tool may be meant: one that is for something that `part` names, or one that takes any device.
    pub(super) fn may_do(&self, part: &Part) -> bool {
        let words = part.words();
        let known = |t: &Tool| words.iter().any(|w| !is_empty(&w.text) && t.name.explains(&w.text));
        self.tools.iter().any(|t| t.name.is_named(&words) || (t.own && (t.name.any_device || known(t))))
    }

    /// The call that asks how things stand with what `part` is about, where one of the owner's tools can be asked.
    pub(super) fn asked(&self, part: &Part, can_be: impl Fn(&str) -> bool) -> Option<crate::schema::ToolCall> {
        let words = part.words();
        let mut found =
            self.tools.iter().filter(|t| t.own && can_be(&t.schema.name)).filter_map(|t| find::question(t, &words));
        let call = found.next()?;
        found.next().is_none().then_some(call)
    }

    /// The limits of an argument, for people: "between 10 and 30".
    pub(super) fn limits(&self, tool: &str, argument: &str) -> Option<String> {
        let kind = &self.tool(tool)?.schema.params.iter().find(|p| p.name == argument)?.kind;
        let (min, max) = match kind {
            ParamType::Int { min, max } => (min.map(|n| n.to_string()), max.map(|n| n.to_string())),
            ParamType::Number { min, max } => (min.map(|n| n.to_string()), max.map(|n| n.to_string())),
            _ => return None,
        };
        match (min, max) {
            (Some(min), Some(max)) => Some(format!("between {min} and {max}")),
            (Some(min), None) => Some(format!("at least {min}")),
            (None, Some(max)) => Some(format!("at most {max}")),
            (None, None) => None,
        }
    }
}

/// Whether a word carries no meaning of its own.
fn is_empty(word: &str) -> bool {
    en::EMPTY.contains(&word)
}

/// A word without the ending of a plural or a genitive.
fn stem(word: &str) -> String {
    let w = word.strip_suffix("'s").or_else(|| word.strip_suffix("s'")).unwrap_or(word);
    match w {
        w if w.len() > 4 && w.ends_with("ies") => format!("{}y", &w[..w.len() - 3]),
        w if w.len() > 4 && (w.ends_with("ches") || w.ends_with("shes") || w.ends_with("xes")) => {
            w[..w.len() - 2].to_owned()
        }
        w if w.len() > 3 && w.ends_with('s') && !w.ends_with("ss") && !w.ends_with("us") && !w.ends_with("is") => {
            w[..w.len() - 1].to_owned()
        }
        w => w.to_owned(),
    }
}

/// The plain texts of `words`.
fn texts(words: &[Said]) -> Vec<String> {
    words.iter().map(|w| w.text.clone()).collect()
}
