//! What may come of a request, as files of cases write it, and whether it did.
//!
//! A line is `kind TAB request TAB outcome`, and maybe `TAB requests made before it`, with " || " between. An outcome is calls joined by "; ", written `name(argument=value, …)`, in any
//! order; `@` before a call says when it is to run later ("@+600" in 600 seconds, "@21:00", "@tomorrow 07:00"). "nothing: why"
//! says that no tool that changes anything may run. " | " joins outcomes of which each is right.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::schema::ToolCall;

use super::duration;
use super::moment::{self, Lean};
use super::reading::{Clock, When};
use super::text::tokens;

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub line: usize,
    pub kind: String,
    pub request: String,
    /// Requests that were made before it.
    pub given: Vec<String>,
    outcomes: Vec<Vec<Wanted>>,
}

/// A call that is wanted. None are wanted for "nothing".
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    later: Option<String>,
    name: String,
    args: BTreeMap<String, String>,
}

/// A call that was made, or kept for later.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub call: ToolCall,
    /// When it is to run, where that is later.
    pub later: Option<Timestamp>,
    /// Whether the tool changes anything.
    pub acts: bool,
}

/// How a request came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Right,
    /// Something was done that was not asked for, or otherwise than asked.
    WrongAction,
    /// Nothing wrong was done, but not all that was asked.
    FalseRefusal,
}

/// Reads a file of cases; a line that is none is told by its number.
///
/// # Errors
/// The number of the first line that is no case, and what it lacks.
pub fn read(text: &str) -> Result<Vec<Case>, (usize, String)> {
    let mut cases = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let mut columns = line.split('\t');
        let (Some(kind), Some(request), Some(outcome)) = (columns.next(), columns.next(), columns.next()) else {
            return Err((i + 1, "a case has three columns: kind, request, outcome".to_owned()));
        };
        let outcomes: Result<Vec<_>, String> = outcome.split(" | ").map(wanted).collect();
        let outcomes = outcomes.map_err(|e| (i + 1, e))?;
        let given = columns.next().unwrap_or_default().split("||").map(str::trim).filter(|g| !g.is_empty());
        cases.push(Case {
            line: i + 1,
            kind: kind.to_owned(),
            request: request.to_owned(),
            given: given.map(str::to_owned).collect(),
            outcomes,
        });
    }
    Ok(cases)
}

fn wanted(outcome: &str) -> Result<Vec<Wanted>, String> {
    let outcome = outcome.trim();
    if outcome == "nothing" || outcome.starts_with("nothing:") {
        return Ok(Vec::new());
    }
    outcome.split("); ").map(call).collect()
}

fn call(text: &str) -> Result<Wanted, String> {
    let wrong = || format!("{text:?} is no call: write name(argument=value)");
    let text = text.trim();
    let (later, text) = match text.strip_prefix('@') {
        // The time may hold a space: "tomorrow 07:00".
        Some(rest) => {
            let open = rest.find('(').ok_or_else(wrong)?;
            let space = rest[..open].rfind(' ').ok_or_else(wrong)?;
            (Some(rest[..space].to_owned()), &rest[space + 1..])
        }
        None => (None, text),
    };
    let (name, args) = text.split_once('(').ok_or_else(wrong)?;
    let args = args.strip_suffix(')').unwrap_or(args);
    let mut map = BTreeMap::new();
    let mut last: Option<String> = None;
    for piece in args.split(", ").filter(|p| !p.is_empty()) {
        match (piece.split_once('='), &last) {
            (Some((name, value)), _) if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                map.insert(name.to_owned(), value.to_owned());
                last = Some(name.to_owned());
            }
            // A comma within a value.
            (_, Some(name)) => {
                if let Some(value) = map.get_mut(name) {
                    value.push_str(", ");
                    value.push_str(piece);
                }
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Wanted { later, name: name.to_owned(), args: map })
}

impl Case {
    /// Whether something has to be done.
    pub fn must_act(&self) -> bool {
        self.outcomes.iter().all(|calls| !calls.is_empty())
    }

    /// How `made` compares with what is wanted, for a request made at `now`.
    pub fn judge(&self, made: &[Made], now: &Zoned) -> Verdict {
        let verdicts = self.outcomes.iter().map(|wanted| judge(wanted, made, now));
        verdicts
            .min_by_key(|v| match v {
                Verdict::Right => 0,
                Verdict::FalseRefusal => 1,
                Verdict::WrongAction => 2,
            })
            .unwrap_or(Verdict::Right)
    }
}

fn judge(wanted: &[Wanted], made: &[Made], now: &Zoned) -> Verdict {
    let mut left: Vec<&Made> = made.iter().collect();
    let mut missing = false;
    for w in wanted {
        match left.iter().position(|m| w.is(m, now)) {
            Some(i) => drop(left.remove(i)),
            None => missing = true,
        }
    }
    match (left.iter().any(|m| m.acts), missing) {
        (true, _) => Verdict::WrongAction,
        (false, true) => Verdict::FalseRefusal,
        (false, false) => Verdict::Right,
    }
}

impl Wanted {
    fn is(&self, made: &Made, now: &Zoned) -> bool {
        let time = match (&self.later, &made.later) {
            (None, None) => true,
            (Some(wanted), Some(got)) => {
                let when = match wanted.strip_prefix('+').and_then(|s| s.parse().ok()) {
                    Some(seconds) => Some(When::In(seconds)),
                    None => moment::parse(&certain(wanted)),
                };
                let at = when.and_then(|w| moment::resolve(&w, Lean::Next, now));
                // A request takes a while to be understood.
                at.is_some_and(|at| at.timestamp().duration_since(*got).abs() <= SignedDuration::from_secs(90))
            }
            _ => false,
        };
        let args: BTreeMap<&String, String> =
            made.call.parameters.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, shown(v))).collect();
        let keys = self.args.len() == args.len()
            || self.args.iter().all(|(k, _)| args.contains_key(k)) && defaults(&self.args, &args);
        time && made.call.name == self.name
            && keys
            && self.args.iter().all(|(name, value)| args.get(name).is_some_and(|got| same(name, value, got)))
    }
}

/// "21:00", "10:30": two digits are certain here, also where a clock of twelve hours shows them.
fn certain(moment: &str) -> String {
    match moment.rsplit(' ').next().and_then(|t| t.split_once(':')).map(|(h, _)| h) {
        Some("10" | "11") => format!("{moment} am"),
        Some("12") => format!("{moment} pm"),
        _ => moment.to_owned(),
    }
}

/// Whether the arguments that were not named are what is taken anyway.
fn defaults(wanted: &BTreeMap<String, String>, got: &BTreeMap<&String, String>) -> bool {
    got.iter()
        .filter(|(k, _)| !wanted.contains_key(**k))
        .all(|(k, v)| (k.as_str() == "list" && v.starts_with("shopping")) || k.as_str() == "which")
}

fn shown(v: &serde_json::Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

fn same_time(a: &str, b: &str) -> bool {
    match (moment::parse(a), moment::parse(b)) {
        (Some(When::At(a)), Some(When::At(b))) => same_clock(&a, &b),
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// "6:30" may be either; "today" and the next that comes are the same where nobody says otherwise.
fn same_clock(a: &Clock, b: &Clock) -> bool {
    let hour = if a.certain && b.certain { a.hour == b.hour } else { a.hour % 12 == b.hour % 12 };
    let near = |c: &Clock| matches!(c.day, super::reading::Day::Next | super::reading::Day::Today);
    hour && a.minute == b.minute && (a.day == b.day || near(a) && near(b))
}

fn same(name: &str, wanted: &str, got: &str) -> bool {
    if plain(wanted) == plain(got) || (wanted.parse::<f64>().is_ok() && wanted.parse::<f64>() == got.parse::<f64>()) {
        return true;
    }
    let minus = |t: &str| t.starts_with('-');
    if let (Some(a), Some(b)) =
        (duration::parse(wanted.trim_start_matches('-')), duration::parse(got.trim_start_matches('-')))
    {
        return a == b && minus(wanted) == minus(got);
    }
    if same_time(wanted, got) || same_time(&certain(wanted), got) {
        return true;
    }
    match name {
        "expression" => wanted.replace(' ', "") == got.replace(' ', ""),
        "from" | "to" => unit(wanted) == unit(got),
        "list" | "label" | "which" => unit(&plain(wanted)) == unit(&plain(got)),
        _ => false,
    }
}

/// Without case, signs, and a leading article or "that".
fn plain(text: &str) -> String {
    let mut t = tokens(text);
    while t.len() > 1 && matches!(t[0].as_str(), "the" | "a" | "an" | "my" | "some" | "that" | "to") {
        t.remove(0);
    }
    if t.len() > 1 && t.last().is_some_and(|w| matches!(w.as_str(), "timer" | "list")) {
        t.pop();
    }
    t.join(" ")
}

fn unit(text: &str) -> String {
    text.to_lowercase()
        .replace("metre", "meter")
        .replace("litre", "liter")
        .replace(['-', ' '], "")
        .trim_end_matches('s')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Zoned {
        "2026-03-03T09:00:00Z[UTC]".parse().expect("a time")
    }

    fn made(name: &str, args: serde_json::Value, later: Option<&str>) -> Made {
        let parameters = args.as_object().cloned().expect("an object");
        Made {
            call: ToolCall { name: name.into(), parameters },
            later: later.map(|t| t.parse().expect("a time")),
            acts: !name.starts_with("get_"),
        }
    }

    #[test]
    fn outcomes_are_told_apart() {
        let text = "light\tLights!\tset_light(room=living room, on=true); @+600 set_light(room=living room, on=false)\n\
                    nothing\tNo.\tnothing: negated\n\
                    either\tTimer.\tset_timer(duration=1 hour 30 minutes) | nothing: unclear\n";
        let cases = read(text).expect("cases");
        let on = made("set_light", json!({"room": "living room", "on": true}), None);
        let off = made("set_light", json!({"room": "the living room", "on": false}), Some("2026-03-03T09:10:05Z"));
        assert_eq!(cases[0].judge(&[off.clone(), on.clone()], &now()), Verdict::Right);
        assert_eq!(cases[0].judge(std::slice::from_ref(&on), &now()), Verdict::FalseRefusal);
        assert_eq!(cases[0].judge(&[on.clone(), Made { later: None, ..off }], &now()), Verdict::WrongAction);
        assert_eq!(cases[1].judge(&[on], &now()), Verdict::WrongAction);
        assert_eq!(cases[1].judge(&[made("get_time", json!({}), None)], &now()), Verdict::Right);
        assert!(!cases[1].must_act() && cases[0].must_act() && !cases[2].must_act());
        assert_eq!(
            cases[2].judge(&[made("set_timer", json!({"duration": "90 minutes"}), None)], &now()),
            Verdict::Right
        );
        assert_eq!(
            cases[2].judge(&[made("set_timer", json!({"duration": "9 minutes"}), None)], &now()),
            Verdict::WrongAction
        );
        assert_eq!(read("one\ttwo\n").map_err(|e| e.0), Err(1));
        assert!(read("a\tb\tset light\n").is_err());
    }
}
