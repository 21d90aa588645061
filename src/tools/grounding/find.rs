//! The owner's call that a request asks for, found without a model: the only one that leaves nothing unexplained.

use serde_json::{Map, Value, json};

use crate::schema::{Param, ParamType, ToolCall};
use crate::tools::reading::{Mood, Part, Said};
use crate::tools::text::tokens;

use super::account::{Ledger, Problem, account, is_name};
use super::state::{amounts, choice, in_words, is_state, phrase, truth};
use super::{Grounding, Tool, english as en, is_empty, name, texts};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tools) enum Found {
    /// These calls and no others: one for each thing that is meant.
    Calls(Vec<ToolCall>),
    /// A value is beyond the limits of its argument.
    OutOfRange { tool: String, argument: String },
    /// Everything is clear but the value of this argument.
    Missing { tool: String, argument: String, values: Vec<String> },
    /// "All the lights", where there is no list of them, or less than all.
    WhichOfAll { tool: String },
    /// Nothing, or more than one thing: the model may know.
    Nothing,
}

/// Words of [`en::EMPTY`] and others that a scope is made of; behind an exception stand names.
const WHOLE: &[&str] = &["all", "every", "each", "everything", "both", "everywhere"];
/// Where two words can stand between which a name is the thing's: "the porch light".
const BEFORE_NAME: &[&str] =
    &["the", "my", "our", "in", "at", "on", "of", "his", "her", "their", "your", "for", "off", "to", "that", "this"];

impl Grounding {
    /// The calls of owner's tools that account for all of `part`.
    pub(in crate::tools) fn find(&self, part: &Part) -> Found {
        let words = part.words();
        if let Some(scope) = &part.scope {
            return self.all_of(part, &words, &scope.word, scope.except.as_deref());
        }
        let found = match self.find_in(part, &words) {
            Found::Missing { tool, argument, .. } if part.context.is_some() => {
                self.with_context(part, &tool, &argument)
            }
            found => return found,
        };
        found.unwrap_or_else(|| self.find_in(part, &words))
    }

    /// "It's dark in the kitchen, turn on the light": what was told says where.
    fn with_context(&self, part: &Part, tool: &str, argument: &str) -> Option<Found> {
        let tool = self.tool(tool)?;
        let told = Said::of(part.context.as_deref()?);
        let p = tool.schema.params.iter().find(|p| p.name == argument)?;
        let names: Vec<&str> = match &p.kind {
            ParamType::Enum { values } => {
                values.iter().map(String::as_str).filter(|v| choice(v, &tool.name.aliases, &told).is_some()).collect()
            }
            ParamType::String { .. } => {
                let said: Vec<&str> =
                    en::PLACES.iter().copied().filter(|p| phrase(&tokens(p), &told).is_some()).collect();
                // "bedroom" within "guest bedroom" is not meant.
                let within = |p: &&&str| !said.iter().any(|q| q != *p && q.contains(**p));
                said.iter().filter(within).copied().collect()
            }
            _ => Vec::new(),
        };
        let [name] = names.as_slice() else { return None };
        let (mut args, _) = arguments(tool, &part.words())?;
        args.insert(argument.to_owned(), json!(name));
        let call = ToolCall { name: tool.schema.name.clone(), parameters: in_order(tool, args) };
        tool.schema.check(&call.parameters).is_empty().then(|| Found::Calls(vec![call]))
    }

    fn find_in(&self, part: &Part, words: &[Said]) -> Found {
        // A question may only look something up; a command may do so too ("tell me how warm it is").
        match part.mood {
            Mood::Ask => self.find_among(words, false),
            // "Check the bedroom's temperature" looks, whatever could be set there.
            _ => match self.find_among(words, true) {
                Found::Missing { .. } if matches!(self.find_among(words, false), Found::Calls(_)) => {
                    self.find_among(words, false)
                }
                Found::Nothing => self.find_among(words, false),
                found => found,
            },
        }
    }

    fn find_among(&self, words: &[Said], acts: bool) -> Found {
        let mut calls = Vec::new();
        let mut other = Vec::new();
        for tool in self.tools.iter().filter(|t| t.own && t.acts == acts) {
            match self.fill(tool, words) {
                Found::Calls(mut c) => calls.append(&mut c),
                Found::Nothing => {}
                found => other.push(found),
            }
        }
        match (calls.len(), other.len()) {
            (1, _) => Found::Calls(calls),
            (0, 1) => other.remove(0),
            _ => Found::Nothing,
        }
    }

    /// The call of `tool` that accounts for all of `words`.
    fn fill(&self, tool: &Tool, words: &[Said]) -> Found {
        let Some((args, missing)) = arguments(tool, words) else { return Found::Nothing };
        let mut account = account(tool, words, &args, &[], &[]);
        account.evidence |= self.only_one_for(tool, &args);
        if !account.evidence || !account.unexplained.is_empty() {
            return Found::Nothing;
        }
        if let Some(p) = missing {
            // Without the state nobody knows what is wanted of the thing.
            let stated =
                tool.schema.params.iter().filter(|p| p.required && is_state(p)).all(|p| args.contains_key(&p.name));
            let asked = tool.schema.params.iter().filter(|q| q.required && !args.contains_key(&q.name)).count() == 1;
            let values = match &p.kind {
                ParamType::Enum { values } => values.clone(),
                _ => Vec::new(),
            };
            return match stated && asked && account.problem.is_none() {
                true => Found::Missing { tool: tool.schema.name.clone(), argument: p.name.clone(), values },
                false => Found::Nothing,
            };
        }
        if account.problem.is_some() {
            return Found::Nothing;
        }
        let call = ToolCall { name: tool.schema.name.clone(), parameters: args };
        match tool.schema.check(&call.parameters).first() {
            None => Found::Calls(vec![call]),
            Some(problem) => {
                let argument = problem.split(':').next().unwrap_or_default().to_owned();
                Found::OutOfRange { tool: call.name, argument }
            }
        }
    }

    /// "All the lights except the kitchen": one call for each value of the only choice that was not named.
    fn all_of(&self, part: &Part, words: &[Said], word: &str, except: Option<&str>) -> Found {
        let kept: Vec<Said> = match part.before_exception() {
            Some(before) => before,
            None => words.to_vec(),
        };
        let kept: Vec<Said> = kept.into_iter().filter(|w| w.free || !WHOLE.contains(&w.text.as_str())).collect();
        let mut found: Vec<Found> = self
            .tools
            .iter()
            .filter(|t| t.own && t.acts && t.name.is_named(&kept))
            .map(|t| self.all_of_tool(t, &kept, word, except))
            .filter(|f| *f != Found::Nothing)
            .collect();
        let calls = found.iter().filter(|f| matches!(f, Found::Calls(_))).count();
        match (calls, found.len()) {
            (1, _) => found.into_iter().find(|f| matches!(f, Found::Calls(_))).unwrap_or(Found::Nothing),
            (0, 1..) => found.remove(0),
            _ => Found::Nothing,
        }
    }

    fn all_of_tool(&self, tool: &Tool, kept: &[Said], word: &str, except: Option<&str>) -> Found {
        // Nobody knows where "here" is.
        let here = kept.iter().any(|w| matches!(w.text.as_str(), "here" | "this"));
        let which = || Found::WhichOfAll { tool: tool.schema.name.clone() };
        let Some((args, Some(open))) = arguments(tool, kept) else {
            // A place was named: "all the lights in the kitchen" are that one switch.
            return match self.fill(tool, kept) {
                found @ Found::Calls(_) if except.is_none() => found,
                _ => which(),
            };
        };
        let account = account(tool, kept, &args, &[], &[]);
        let ParamType::Enum { values } = &open.kind else { return which() };
        if here {
            return which();
        }
        if !account.unexplained.is_empty() || !WHOLE.contains(&word) || (word == "both" && values.len() != 2) {
            return which();
        }
        if matches!(account.problem, Some(Problem::NotAsked | Problem::Contradicted(_)))
            || tool.schema.params.iter().any(|p| p.required && p.name != open.name && !args.contains_key(&p.name))
        {
            return Found::Nothing;
        }
        let excepted: Vec<Said> = except.map(Said::of).unwrap_or_default();
        let mut left_out: Vec<usize> = Vec::new();
        let mut rest: Vec<&String> = Vec::new();
        for value in values {
            match choice(value, &tool.name.aliases, &excepted) {
                Some(mut at) => left_out.append(&mut at),
                None => rest.push(value),
            }
        }
        let unknown = (0..excepted.len())
            .any(|i| !left_out.contains(&i) && !is_empty(&excepted[i].text) && !tool.name.explains(&excepted[i].text));
        if unknown || (except.is_some() && left_out.is_empty()) || rest.is_empty() {
            return which();
        }
        let call = |value: &String| {
            let mut parameters = args.clone();
            parameters.insert(open.name.clone(), json!(value));
            ToolCall { name: tool.schema.name.clone(), parameters: in_order(tool, parameters) }
        };
        Found::Calls(rest.into_iter().map(call).collect())
    }
}

impl Grounding {
    /// "And turn it off in an hour": the call before it, in the state that is asked for now.
    pub(in crate::tools) fn pointed(&self, part: &Part, before: &ToolCall) -> Option<ToolCall> {
        const POINTING: &[&str] = &["it", "them", "that", "those", "this", "these"];
        let words = part.words();
        let tool = self.tool(&before.name).filter(|t| t.own && t.acts)?;
        if !words.iter().any(|w| POINTING.contains(&w.text.as_str()))
            || words.iter().any(|w| w.free)
            || part.scope.is_some()
        {
            return None;
        }
        let (args, _) = arguments(tool, &words)?;
        let account = account(tool, &words, &args, &[], &[]);
        let changed = tool.schema.params.iter().any(|p| is_state(p) && args.contains_key(&p.name));
        if !changed || !account.unexplained.is_empty() || account.problem.is_some() {
            return None;
        }
        let mut call = before.clone();
        call.parameters.extend(args);
        tool.schema.check(&call.parameters).is_empty().then_some(call)
    }
}

/// A question about what `tool` changes, as a call of the arguments that it names; without the state that is asked for.
pub(super) fn question(tool: &Tool, words: &[Said]) -> Option<ToolCall> {
    if !tool.name.is_named(words) {
        return None;
    }
    let (mut args, missing) = arguments(tool, words)?;
    let account = account(tool, words, &args, &[], &[]);
    if missing.is_some_and(|p| !is_state(p)) || !account.unexplained.is_empty() {
        return None;
    }
    args.retain(|name, _| !tool.schema.params.iter().any(|p| p.name == *name && is_state(p)));
    Some(ToolCall { name: tool.schema.name.clone(), parameters: args })
}

/// The arguments that `words` give, and the required one that they do not. `None` where they give one of them twice.
fn arguments<'a>(tool: &'a Tool, words: &[Said]) -> Option<(Map<String, Value>, Option<&'a Param>)> {
    let mut args = Map::new();
    let mut ledger = Ledger::new(words);
    let numeric = tool
        .schema
        .params
        .iter()
        .filter(|p| matches!(p.kind, ParamType::Int { .. } | ParamType::Number { .. }))
        .count();
    for p in &tool.schema.params {
        match &p.kind {
            ParamType::Bool => {
                if let Some((value, at)) = truth(tool.name.state(&p.name), words) {
                    args.insert(p.name.clone(), json!(value));
                    ledger.tick(at);
                }
            }
            ParamType::Enum { values } => {
                let found: Vec<(&String, Vec<usize>)> =
                    values.iter().filter_map(|v| Some((v, choice(v, &tool.name.aliases, words)?))).collect();
                // "bedroom" within "guest bedroom" is not meant.
                let longest: Vec<&(&String, Vec<usize>)> = found
                    .iter()
                    .filter(|(v, at)| {
                        !found
                            .iter()
                            .any(|(w, other)| w != v && other.len() > at.len() && at.iter().all(|i| other.contains(i)))
                    })
                    .collect();
                match longest.as_slice() {
                    [] => {}
                    [(value, at)] => {
                        args.insert(p.name.clone(), json!(value));
                        ledger.tick(at.iter().copied());
                    }
                    _ => return None,
                }
            }
            ParamType::Int { .. } | ParamType::Number { .. } => {
                let said = amounts(words);
                match said.as_slice() {
                    [one] if numeric == 1 => {
                        let whole = one.value.fract() == 0.0 && one.value.abs() < 1e15;
                        args.insert(p.name.clone(), if whole { json!(one.value as i64) } else { json!(one.value) });
                        ledger.tick(one.start..one.end);
                    }
                    [] => {
                        if let Some((value, at)) = in_words(&p.kind, words) {
                            args.insert(p.name.clone(), json!(value.round() as i64));
                            ledger.tick([at]);
                        }
                    }
                    _ => return None,
                }
            }
            ParamType::String { .. } => {}
        }
    }
    // "Raise it to 22": the verb says no more than the number.
    if args.values().any(Value::is_number) && words.iter().any(|w| w.text == "to") {
        ledger.tick((0..words.len()).filter(|&i| super::account::CHANGING.contains(&words[i].text.as_str())));
    }
    // An amount turns on what it is set for.
    for p in tool.schema.params.iter().filter(|p| p.required && is_state(p)) {
        let amount = tool.schema.params.iter().any(|q| !q.required && args.get(&q.name).is_some_and(Value::is_number));
        if !args.contains_key(&p.name) && amount {
            args.insert(p.name.clone(), if matches!(p.kind, ParamType::Bool) { json!(true) } else { json!("on") });
        }
    }
    ledger.tick((0..words.len()).filter(|&i| !words[i].free && tool.name.explains(&words[i].text)));
    if let Some(verb) = tool.name.verb {
        ledger.tick((0..words.len()).filter(|&i| !words[i].free && verb.contains(&words[i].text.as_str())));
    }
    let strings: Vec<&Param> =
        tool.schema.params.iter().filter(|p| matches!(p.kind, ParamType::String { .. })).collect();
    let required: Vec<&Param> = strings.iter().filter(|p| p.required).copied().collect();
    // What names and texts are to look like is the model's to know, save a place, or the only text that was said.
    let all_free = words.iter().any(|w| w.free);
    let text = |p: &&Param| !en::PLACE_ARGUMENTS.contains(&p.name.as_str());
    if strings.iter().any(text) && (!all_free || strings.len() != 1) {
        return None;
    }
    let place = |p: &&&Param| en::PLACE_ARGUMENTS.contains(&p.name.as_str());
    let slot = match required.as_slice() {
        [one] => Some(*one),
        [] => strings.iter().find(place).copied(),
        _ => return None,
    };
    if let Some(p) = slot
        && let Some(value) = leftover(tool, p, words, &ledger)
    {
        args.insert(p.name.clone(), json!(value));
    }
    let missing = tool.schema.params.iter().find(|p| p.required && !args.contains_key(&p.name));
    Some((in_order(tool, args), missing))
}

/// The words that nothing else explains, where they can be the value of `p`.
fn leftover(tool: &Tool, p: &Param, words: &[Said], ledger: &Ledger<'_>) -> Option<String> {
    let open = ledger.open();
    let is_place = en::PLACE_ARGUMENTS.contains(&p.name.as_str());
    let free: Vec<usize> = (0..words.len()).filter(|&i| words[i].free).collect();
    if let (Some(first), Some(last)) = (free.first(), free.last()) {
        // Free text is the value of a text, never of a place.
        let whole = last - first + 1 == free.len() && open.iter().all(|i| free.contains(i));
        let named = tool.name.is_named(&words[..*first]) || free.iter().any(|&i| tool.name.is_topic(&words[i].text));
        // "Play the radio" names no station.
        let says = free.iter().any(|&i| !tool.name.is_topic(&words[i].text) && !is_empty(&words[i].text));
        return (whole && !is_place && named && says).then(|| Said::line(&words[*first..=*last]));
    }
    let (first, mut last) = (*open.first()?, *open.last()?);
    // "the living room": "room" alone says nothing.
    if words.get(last + 1).is_some_and(|w| matches!(w.text.as_str(), "room" | "house")) {
        last += 1;
    }
    if last + 1 - first > 4
        || (first..=last).any(|i| !open.contains(&i) && !matches!(words[i].text.as_str(), "room" | "'s" | "s" | "of"))
    {
        return None;
    }
    let value = texts(&words[first..=last]).join(" ");
    if !is_name(&value) {
        return None;
    }
    let before = first > 0 && BEFORE_NAME.contains(&words[first - 1].text.as_str());
    let named = words.get(last + 1).is_some_and(|w| tool.name.is_topic(&w.text));
    let behind =
        first > 0 && matches!(words[first - 1].text.as_str(), "in" | "at" | "on" | "of" | "the" | "my" | "our");
    let fits = if is_place {
        name::is_place(&value)
            || (named && (before || first == 0))
            || (behind && words[..first].iter().any(|w| tool.name.is_topic(&w.text)))
    } else {
        before || named
    };
    fits.then_some(value)
}

/// Arguments in the order of the schema.
fn in_order(tool: &Tool, mut args: Map<String, Value>) -> Map<String, Value> {
    let mut ordered = Map::new();
    for p in &tool.schema.params {
        if let Some(v) = args.remove(&p.name) {
            ordered.insert(p.name.clone(), v);
        }
    }
    ordered
}
