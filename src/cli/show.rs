//! A conversation as a person reads it: one line an event, then tables.

use std::time::Duration;

use super::out::Table;
use crate::budget::{Line, resident_peak};
use crate::pipeline::{Notice, TurnLatency};
use crate::units::Bytes;

/// One line for a notice; `None` for what is not worth a line.
pub(super) fn notice(at: Duration, notice: &Notice) -> Option<String> {
    let (what, text) = match notice {
        Notice::Ready => ("ready", "the microphone is on".to_owned()),
        Notice::State { state } => ("state", format!("{state:?}").to_lowercase()),
        Notice::Wake { model, score } => ("wake", format!("{model} ({score:.2})")),
        Notice::Partial { text } => ("hearing", format!("{text} …")),
        Notice::Heard { text: Some(text), audio_ms, took_ms, .. } => {
            ("heard", format!("“{text}”   [{:.1} s of sound, {took_ms} ms]", *audio_ms as f64 / 1e3))
        }
        Notice::Heard { text: None, .. } => ("heard", "nothing intelligible".to_owned()),
        Notice::Call { call, fast, .. } => {
            let how = if *fast { "   [understood without the model]" } else { "" };
            let arguments = serde_json::Value::Object(call.parameters.clone());
            ("tool", format!("{} {arguments}{how}", call.name))
        }
        Notice::Refused { call, result, .. } => ("refused", format!("{} {result}", call.name)),
        Notice::Result { result, .. } => ("result", result.to_string()),
        Notice::Scheduled { told, result } => ("later", format!("{told}   {result}")),
        Notice::Thought { text, prompt_tokens, cached_tokens, tokens, took_ms, .. } => (
            "thought",
            format!("{text}   [{tokens} tokens, {took_ms} ms; {cached_tokens} of {prompt_tokens} prompt tokens kept]"),
        ),
        Notice::Saying { text, .. } => ("saying", format!("“{text}”")),
        Notice::Written { text, .. } => ("wrote", format!("“{text}”")),
        Notice::Latency(l) => {
            ("latency", format!("first sound {} ms after the end of speech", l.first_audio_ms.unwrap_or_default()))
        }
        Notice::Device { what, ok: true, .. } => ("device", format!("the {what} is back")),
        Notice::Device { what, reason, .. } => ("device", format!("the {what} is gone: {reason}")),
        Notice::Trouble { part, message } => ("trouble", format!("{part}: {message}")),
        Notice::Ended => return None,
    };
    Some(format!("{:7.2} s  {what:8} {text}", at.as_secs_f64()))
}

/// Milliseconds from the end of the user's speech, a turn a row, then the medians.
pub(super) fn latency_table(turns: &[TurnLatency]) -> Table {
    let mut t = Table::new([
        "latency, ms after the end of speech",
        "endpoint",
        "transcript",
        "first token",
        "first sentence",
        "first audible sample",
    ]);
    let columns: [fn(&TurnLatency) -> Option<u64>; 5] =
        [|l| l.endpoint_ms, |l| l.transcript_ms, |l| l.first_token_ms, |l| l.first_sentence_ms, |l| l.first_audio_ms];
    let cell = |v: Option<u64>| v.map_or("-".to_owned(), |v| v.to_string());
    for l in turns {
        t.row([format!("turn {}", l.turn.0)].into_iter().chain(columns.iter().map(|c| cell(c(l)))));
    }
    if turns.len() > 1 {
        let median = |c: &fn(&TurnLatency) -> Option<u64>| {
            let mut v: Vec<u64> = turns.iter().filter_map(c).collect();
            v.sort_unstable();
            v.get(v.len() / 2).copied()
        };
        t.row(["median".to_owned()].into_iter().chain(columns.iter().map(|c| cell(median(c)))));
    }
    t
}

/// The ledger: reserved and measured, per component.
pub(super) fn memory_table(lines: &[Line], cap: Bytes, resident: Bytes) -> Table {
    let mut t = Table::new(["memory", "reserved", "measured", "measured/reserved"]);
    for l in lines {
        let measured = l.measured.map_or("-".to_owned(), |m| m.to_string());
        let ratio = l.measured.filter(|_| l.reserved.0 > 0).map(|m| m.0 as f64 / l.reserved.0 as f64);
        let ratio = ratio.map_or("-".to_owned(), |r| format!("{r:.2}"));
        t.row([l.component.name().to_owned(), l.reserved.to_string(), measured, ratio]);
    }
    let mut sum = |what: &str, reserved: Option<Bytes>, measured: Option<Bytes>| {
        let cell = |b: Option<Bytes>| b.map(|b| b.to_string()).unwrap_or_default();
        t.row([what.to_owned(), cell(reserved), cell(measured), String::new()]);
    };
    sum("sum", Some(lines.iter().map(|l| l.reserved).sum()), Some(lines.iter().filter_map(|l| l.measured).sum()));
    sum("budget", Some(cap), None);
    sum("process, resident", None, Some(resident));
    sum("process, resident peak", None, Some(resident_peak()));
    t
}
