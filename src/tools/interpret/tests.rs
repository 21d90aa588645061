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
        (interpreter.question, interpreter.last, interpreter.kept) = (None, None, None);
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
        // Requests that need others before them are for the whole agent.
        if !case.given.is_empty() {
            continue;
        }
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

/// Each file of requests with the owner's commands that it is for.
const FILES: [(&str, &str); 5] = [
    (include_str!("../../../tests/data/requests.tsv"), include_str!("../../../tests/data/requests.toml")),
    (include_str!("../../../tests/data/held_out/first.tsv"), include_str!("../../../tests/data/held_out/light.toml")),
    (
        include_str!("../../../tests/data/held_out/first_owner.tsv"),
        include_str!("../../../tests/data/held_out/owner.toml"),
    ),
    (include_str!("../../../tests/data/held_out/second.tsv"), include_str!("../../../tests/data/held_out/light.toml")),
    (
        include_str!("../../../tests/data/held_out/second_owner.tsv"),
        include_str!("../../../tests/data/held_out/owner.toml"),
    ),
];

#[test]
fn nothing_is_done_that_was_not_asked_for() {
    for (cases, commands) in FILES {
        let (right, wrong, refused) = judged(cases, commands);
        assert_eq!(wrong, 0);
        assert!(20 * refused <= right, "{refused} of {right} refused");
    }
}

/// How long a request takes to be understood: a figure, not a test (`cargo test --release --lib interpret -- --ignored --nocapture`).
#[test]
#[ignore = "measures"]
fn time_to_understand() {
    let mut took: Vec<Duration> = Vec::new();
    for (file, commands) in FILES {
        let mut interpreter = Interpreter::new(registry(commands));
        for case in expected::read(file).expect("cases") {
            let began = std::time::Instant::now();
            let _ = interpreter.interpret(Duration::ZERO, &case.request);
            took.push(began.elapsed());
        }
    }
    took.sort();
    let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{} requests: median {median:?}, 99 % {:?}, longest {last:?}", took.len(), took[took.len() * 99 / 100]);
}

proptest::proptest! {
    #[test]
    fn words_in_any_order_never_panic(words in proptest::collection::vec("turn|off|on|the|kitchen|light|lights|and|not|don't|no|wait|,|\\.|if|when|in|ten|minutes|at|9|p\\.m\\.|all|except|timer|set|a|for|remind|me|to|add|milk|list|1/2|volume|up|is|it|everything|but|cancel|that|\\PC{0,6}", 0..16)) {
        thread_local! {
            static INTERPRETER: std::cell::RefCell<Interpreter> = std::cell::RefCell::new(Interpreter::new(registry(FILES[0].1)));
        }
        INTERPRETER.with_borrow_mut(|i| drop(i.interpret(Duration::ZERO, &words.join(" "))));
    }
}

#[test]
fn what_is_asked_back_is_answered() {
    let mut i = Interpreter::new(registry(FILES[0].1));
    let mut call = |request: &str| {
        let (all, model, said) = made(&mut i, request);
        assert!(!model, "{request}");
        (
            all.iter()
                .map(|m| format!("{} {}", m.call.name, serde_json::Value::Object(m.call.parameters.clone())))
                .collect::<Vec<_>>(),
            said,
        )
    };
    assert_eq!(call("Turn off the light."), (vec![], vec!["Which room do you mean?".to_owned()]));
    assert_eq!(call("The kitchen.").0, [r#"set_light {"room":"kitchen","on":false}"#]);
    assert_eq!(call("Set a timer.").1, ["For how long?"]);
    assert_eq!(call("Ten minutes.").0, [r#"set_timer {"duration":"10 minutes"}"#]);
    // A new request is no answer.
    assert_eq!(call("Turn off the light.").1.len(), 1);
    assert_eq!(call("Lock the front door.").0, [r#"lock_door {"door":"front","locked":true}"#]);
    assert_eq!(call("Turn off the hallway light.").0.len(), 1);
    assert_eq!(call("And turn it on again.").0, [r#"set_light {"room":"hallway","on":true}"#]);
    assert!(call("Don't turn off the kitchen light.").0.is_empty());
}
