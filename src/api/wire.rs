//! What is written on the socket, and what `ask --json` prints.
//!
//! Requests: `{"ask": "text"}`, `{"say": "text"}`, `{"timers": {}}`, `{"status": {}}`, each with an optional `id`, which comes
//! back. Replies: `{"id": …, "ok": true, …}` or `{"id": …, "ok": false, "error": "…"}`; while a question is being answered,
//! lines with an `event` come before its reply.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dialog::State;
use crate::error::Error;
use crate::pipeline::{CallReport, Told, Turn};

/// Longest line, its end included.
pub const LINE_MAX: usize = 64 << 10;
/// Longest text that is said on request, in characters.
pub const SAY_MAX: usize = 500;

/// What is asked of the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Ask(String),
    Say(String),
    Timers,
    Status,
}

/// A line as a request, and the id it carries, as far as it can be told.
pub fn parse(line: &[u8]) -> (Option<Value>, Result<Request, String>) {
    let mut object = match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return (None, Err("a request is a JSON object".to_owned())),
        Err(e) => return (None, Err(format!("not JSON: {e}"))),
    };
    let id = object.remove("id");
    (id, request(&mut object))
}

fn request(object: &mut Map<String, Value>) -> Result<Request, String> {
    const KINDS: &str = "ask, say, timers, status";
    let mut keys = object.keys();
    let key = match (keys.next(), keys.next()) {
        (None, _) => return Err(format!("nothing is asked: give one of {KINDS}")),
        (Some(_), Some(_)) => return Err(format!("one request a line: one of {KINDS}, and id")),
        (Some(key), None) => key.clone(),
    };
    let value = object.remove(&key).unwrap_or_default();
    match (key.as_str(), value) {
        ("ask", Value::String(text)) => worded(text, usize::MAX).map(Request::Ask),
        ("say", Value::String(text)) => worded(text, SAY_MAX).map(Request::Say),
        ("ask" | "say", _) => Err(format!("{key} takes a text")),
        ("timers", Value::Object(none)) if none.is_empty() => Ok(Request::Timers),
        ("status", Value::Object(none)) if none.is_empty() => Ok(Request::Status),
        ("timers" | "status", _) => Err(format!("{key} takes {{}}")),
        _ => Err(format!("no such request; there are {KINDS}")),
    }
}

fn worded(text: String, max_chars: usize) -> Result<String, String> {
    match text.trim() {
        "" => Err("the text is empty".to_owned()),
        t if t.chars().count() > max_chars => Err(format!("the text is longer than {max_chars} characters")),
        t => Ok(t.to_owned()),
    }
}

/// A reply, as the object that is written: `body` with its id and `ok`.
pub fn reply(id: Option<&Value>, body: Result<&impl Serialize, &str>) -> Value {
    let (ok, mut rest) = match body.map(serde_json::to_value) {
        Ok(Ok(Value::Object(body))) => (true, body),
        Ok(Ok(Value::Null)) => (true, Map::new()),
        Ok(_) => (false, error_body("the reply cannot be written as JSON")),
        Err(e) => (false, error_body(e)),
    };
    let mut object = with_id(id);
    object.insert("ok".to_owned(), json!(ok));
    object.append(&mut rest);
    Value::Object(object)
}

fn error_body(text: &str) -> Map<String, Value> {
    Map::from_iter([("error".to_owned(), json!(text))])
}

fn with_id(id: Option<&Value>) -> Map<String, Value> {
    id.map(|id| ("id".to_owned(), id.clone())).into_iter().collect()
}

/// An error as one sentence with its remedy.
pub fn sentence(e: &Error) -> String {
    match e.remedy_text() {
        Some(remedy) => format!("{e}; {remedy}"),
        None => e.to_string(),
    }
}

/// What comes while a question is being answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Call { name: String, arguments: Map<String, Value> },
    Result(Outcome),
    Said { text: String },
    Trouble { part: String, message: String },
}

impl Event {
    /// `None` for what only the reply tells.
    pub fn of(told: &Told) -> Option<Self> {
        Some(match told {
            Told::Call { call, .. } => Self::Call { name: call.name.clone(), arguments: call.parameters.clone() },
            Told::Result { result } => Self::Result(Outcome::of(result)),
            Told::Said { text } => Self::Said { text: text.clone() },
            Told::Trouble { part, message } => Self::Trouble { part: (*part).to_owned(), message: message.clone() },
            Told::Thought { .. } | Told::Over { .. } => return None,
        })
    }

    /// As the line that is written.
    pub fn line(&self, id: Option<&Value>) -> Value {
        let mut object = with_id(id);
        if let Ok(Value::Object(mut event)) = serde_json::to_value(self) {
            object.append(&mut event);
        }
        Value::Object(object)
    }
}

/// What came of a call: what the tool gave back, or `scheduled` and when (RFC 3339).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub outcome: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl Outcome {
    fn of(result: &Value) -> Self {
        let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
        match (text("scheduled"), text("at")) {
            (Some(_), when @ Some(_)) => Self { outcome: json!("scheduled"), when },
            _ => Self { outcome: result.clone(), when: None },
        }
    }
}

/// A call and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub name: String,
    pub arguments: Map<String, Value>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A question's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub answer: String,
    /// In the order in which they ran.
    pub calls: Vec<Call>,
    /// `stop`, `length` (cut by its limit), `repetition` (it repeated itself and was cut) or `interrupted`.
    pub finish: String,
    /// Only where something was set that is to ring or to happen later: whether anything runs that will do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rings: Option<bool>,
    /// From the question to the first sentence.
    pub first_word_ms: Option<u64>,
    pub total_ms: u64,
    /// Of the longest prompt; 0 where the model was not asked.
    pub prompt_tokens: usize,
    /// That the model wrote, calls included.
    pub answer_tokens: usize,
}

/// Calls that ask for something to happen later.
const FOR_LATER: &[&str] = &[
    "set_timer",
    "set_timer_until",
    "resume_timer",
    "adjust_timer",
    "change_timer",
    "set_alarm",
    "snooze",
    "set_reminder",
];

impl Answer {
    /// `runs`: whether whoever answered stays, and rings when the time comes.
    pub fn of(turn: Turn, runs: bool) -> Self {
        let calls: Vec<Call> = turn.calls.into_iter().map(Call::of).collect();
        Self {
            rings: calls.iter().any(Call::is_for_later).then_some(runs),
            answer: turn.answer,
            calls,
            finish: turn.finish.to_owned(),
            first_word_ms: turn.first_word_ms,
            total_ms: turn.total_ms,
            prompt_tokens: turn.prompt_tokens,
            answer_tokens: turn.tokens,
        }
    }
}

impl Call {
    fn of(report: CallReport) -> Self {
        let outcome = report.outcome.as_ref().map_or(Outcome { outcome: Value::Null, when: None }, Outcome::of);
        Self { name: report.call.name, arguments: report.call.parameters, outcome }
    }

    fn is_for_later(&self) -> bool {
        let done = self.outcome.outcome.get("error").is_none() && !self.outcome.outcome.is_null();
        self.outcome.when.is_some() || done && FOR_LATER.contains(&self.name.as_str())
    }
}

/// How the agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub state: State,
    pub model: String,
    pub backend: String,
    pub version: String,
    pub uptime_s: u64,
    /// Whether there is one, as far as is known.
    pub microphone: bool,
    pub state_folder: String,
}

/// What is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timers {
    pub timers: Vec<Timer>,
}

/// Something that is set: a timer, or what else waits for its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// `timer`, `alarm`, `reminder` or `command`.
    pub kind: String,
    pub name: String,
    /// As "9 minutes 50 seconds", where it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    /// When its time comes (RFC 3339), where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::ToolCall;

    #[test]
    fn requests_are_one_thing_with_an_id() {
        for (line, wanted) in [
            (r#"{"ask": " What time is it? "}"#, Request::Ask("What time is it?".into())),
            (r#"{"say":"Dinner.","id":3}"#, Request::Say("Dinner.".into())),
            (r#"{"id":"a","timers":{}}"#, Request::Timers),
            (r#"{"status":{}}"#, Request::Status),
        ] {
            assert_eq!(parse(line.as_bytes()).1, Ok(wanted), "{line}");
        }
        assert_eq!(parse(br#"{"id":"a","timers":{}}"#).0, Some(json!("a")));
        let long = format!(r#"{{"say":"{}"}}"#, "x".repeat(SAY_MAX + 1));
        for line in [
            "",
            "[]",
            "{}",
            "{\"ask\"",
            r#"{"id":1}"#,
            r#"{"ask":1}"#,
            r#"{"ask":"  "}"#,
            r#"{"ask":"a","say":"b"}"#,
            r#"{"timers":null}"#,
            r#"{"status":{"x":1}}"#,
            r#"{"shutdown":{}}"#,
            &long,
        ] {
            assert!(parse(line.as_bytes()).1.is_err(), "{line}");
        }
        assert_eq!(parse(br#"{"id":[7],"nothing":1}"#).0, Some(json!([7])), "an error says whose it is");
    }

    #[test]
    fn an_answer_says_what_was_scheduled_and_whether_anything_rings() {
        let call = |name: &str, result: Option<Value>| CallReport {
            call: ToolCall { name: name.into(), parameters: Map::new() },
            outcome: result,
        };
        let turn = |calls| Turn {
            answer: "Yes.".into(),
            calls,
            finish: "stop",
            first_word_ms: Some(1),
            total_ms: 2,
            prompt_tokens: 0,
            tokens: 0,
        };
        let a = Answer::of(
            turn(vec![call("set_light", Some(json!({ "scheduled": "light off", "at": "2026-01-02T03:04:05Z" })))]),
            false,
        );
        let v = serde_json::to_value(&a).expect("JSON");
        assert_eq!(v["calls"][0]["outcome"], "scheduled");
        assert_eq!((&v["calls"][0]["when"], &v["rings"]), (&json!("2026-01-02T03:04:05Z"), &json!(false)));
        assert_eq!(serde_json::from_value::<Answer>(v).expect("reads back"), a);
        let rings = |calls| Answer::of(turn(calls), true).rings;
        assert_eq!(rings(vec![call("set_timer", Some(json!({ "ok": true })))]), Some(true));
        assert_eq!(rings(vec![call("set_timer", Some(json!({ "error": "no" })))]), None);
        assert_eq!(rings(vec![call("set_timer", None), call("get_time", Some(json!({})))]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let (id, request) = parse(&line);
            if let Err(e) = request {
                let written = reply(id.as_ref(), Err::<&(), _>(e.as_str()));
                prop_assert_eq!(&written["ok"], &json!(false));
                prop_assert!(!written["error"].as_str().unwrap_or_default().is_empty());
            }
        }
    }
}
