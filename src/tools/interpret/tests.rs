//! Requests and what comes of them without the model.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::tools::expected::{self, Made, Verdict};
use crate::tools::{Clock, Settings, moment};

/// The commands of `tests/data/requests.toml`.
fn registry(commands: &str) -> Arc<Registry> {
    #[derive(serde::Deserialize)]
    struct File {
        tools: Settings,
    }
    let file: File = toml::from_str(commands).expect("settings");
    let clock = Clock::new(|| "2026-03-03T09:00:00Z".parse().expect("a time"), || Duration::from_secs(100));
    let settings = Settings { time_zone: Some("UTC".into()), ..file.tools };
    Arc::new(Registry::new(&settings, None, clock).expect("tools"))
}

/// What is done at once, and whether the model is needed.
fn made(i: &mut Interpreter, request: &str) -> (Vec<Made>, bool, Vec<String>) {
    let mut all = Vec::new();
    let (mut model, mut said) = (false, Vec::new());
    for step in i.interpret(Duration::ZERO, request) {
        match step {
            Step::Think { .. } => model = true,
            Step::Say(text) => said.push(text),
            Step::Call { call, part } => {
                let acts = i.registry.acts(&call.name);
                match i.admit(Duration::ZERO, part, call, &[request.to_owned()], true) {
                    Admission::Run(call) => all.push(Made { call, later: None, acts }),
                    Admission::Later { call, when, .. } => {
                        let at = moment::resolve(&when, moment::Lean::Next, &i.registry.local_time());
                        all.push(Made { call, later: at.map(|at| at.timestamp()), acts });
                    }
                    Admission::Status(call) => all.push(Made { call, later: None, acts: false }),
                    Admission::Refused(o) => said.push(o.spoken.unwrap_or_default()),
                }
            }
        }
    }
    (all, model, said)
}

/// Judges a file of cases; what the model decides counts as neither.
fn judged(file: &str, commands: &str) -> (usize, usize, usize) {
    let mut interpreter = Interpreter::new(registry(commands));
    let (mut right, mut wrong, mut refused, mut model) = (0, 0, 0, 0);
    for case in expected::read(file).expect("cases") {
        interpreter.question = None;
        let (all, thinks, said) = made(&mut interpreter, &case.request);
        let calls: Vec<String> = all
            .iter()
            .map(|m| {
                format!(
                    "{}{} {}",
                    m.later.as_ref().map_or(String::new(), |l| format!("@{l} ")),
                    m.call.name,
                    serde_json::Value::Object(m.call.parameters.clone())
                )
            })
            .collect();
        let verdict = case.judge(&all, &interpreter.registry.local_time());
        let undecided = thinks && verdict != Verdict::WrongAction;
        match verdict {
            _ if undecided => model += 1,
            Verdict::Right => right += 1,
            Verdict::WrongAction => wrong += 1,
            Verdict::FalseRefusal => refused += 1,
        }
        if undecided || verdict != Verdict::Right {
            let how = if undecided && case.must_act() {
                "MODEL-ACT"
            } else if undecided {
                "MODEL-NOT"
            } else if verdict == Verdict::WrongAction {
                "WRONG"
            } else {
                "REFUSED"
            };
            println!(
                "{how}\t{}\t{}\t{}\t=> {} / {}",
                case.line,
                case.kind,
                case.request,
                calls.join("; "),
                said.join(" ")
            );
        }
    }
    println!("right {right}, wrong {wrong}, refused {refused}, model {model}");
    (right, wrong, refused)
}

#[test]
fn scratch() {
    let Ok(file) = std::env::var("CASES") else { return };
    let commands = std::fs::read_to_string(std::env::var("COMMANDS").expect("COMMANDS")).expect("commands");
    judged(&std::fs::read_to_string(file).expect("cases"), &commands);
}
