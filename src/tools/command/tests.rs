//! Running configured commands, and what is wrong with their settings.

use serde_json::{Value, json};

use super::*;
use crate::schema::ToolCall;
use crate::tools::{Clock, Ctx, Outcome, Registry, Settings};

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
    for evil in
        ["; rm -rf /", "$(touch /tmp/x)", "`id`", "a b  c", "'\"", "*", "{level}", "| cat", "&& true", "a\\b", "%s%n"]
    {
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
    let call =
        ToolCall { name: "set_light".into(), parameters: json!({ "room": "kitchen" }).as_object().cloned().unwrap() };
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

fn registry(settings: Value) -> Registry {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Registry::new(&settings, None, Clock::system()).unwrap()
}

fn told(settings: Value) -> Vec<String> {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let mut p = Problems::new();
    settings.validate(&mut p);
    p.into_vec().iter().map(ToString::to_string).collect()
}

fn map(args: Value) -> Map<String, Value> {
    args.as_object().cloned().unwrap()
}

/// A light with `more` beside its arguments.
fn light(more: Value) -> Value {
    let mut light = json!({ "name": "set_light", "exec": ["/bin/true"], "params": [
        { "name": "room", "type": "string" },
        { "name": "on", "type": "bool" },
        { "name": "brightness", "type": "int", "min": 0, "max": 100, "required": false },
    ] });
    light.as_object_mut().unwrap().extend(map(more));
    light
}

#[test]
fn truth_values_are_said_in_words() {
    let r = registry(json!({ "command": [light(json!({ "say": "The {room} light is {on}." }))] }));
    let call = ToolCall { name: "set_light".into(), parameters: map(json!({ "room": "hall", "on": false })) };
    assert_eq!(r.run(&call, &Ctx::QUIET).spoken.as_deref(), Some("The hall light is off."));
}

#[test]
fn a_status_is_asked_with_the_arguments_that_it_names() {
    let script = r#"printf 'The light in the %s is on.' "$1""#;
    let r = registry(json!({ "command": [
        light(json!({ "status": ["/bin/sh", "-c", script, "status", "{room}", "{brightness}"] })),
        { "name": "ring_bell", "exec": ["/bin/true"] },
    ] }));
    let status = |args: Value| r.status("set_light", &map(args), &Ctx::QUIET).unwrap();
    let o = status(json!({ "room": "hall" }));
    assert_eq!(o.spoken.as_deref(), Some("The light in the hall is on."));
    assert_eq!(o.result, json!({ "ok": true, "output": "The light in the hall is on." }));
    assert_eq!(status(json!({ "room": "hall", "on": true })), o);
    let o = status(json!({}));
    assert_eq!((o.is_ok(), o.spoken.as_deref()), (false, Some("Which room do you mean?")));
    for wrong in [json!({ "room": 3 }), json!({ "room": "hall", "colour": "red" }), json!({ "room": "--all" })] {
        assert!(!status(wrong.clone()).is_ok(), "{wrong}");
    }
    // Words that were not said are no more believed than in a command.
    let said = ["is the light on".to_owned()];
    let o = r.status("set_light", &map(json!({ "room": "hall" })), &Ctx { said: &said, ..Ctx::QUIET }).unwrap();
    assert_eq!(o.spoken.as_deref(), Some("Which room do you mean?"));
    for none in ["ring_bell", "set_timer", "nothing"] {
        assert_eq!(r.status(none, &Map::new(), &Ctx::QUIET), None, "{none}");
    }
}

#[test]
fn what_a_status_prints_is_said_or_left_to_the_model() {
    let status = |printed: &str, say: Option<&str>| {
        let printed = printed.replace('{', "{{").replace('}', "}}");
        let r = registry(json!({ "command": [light(json!({
            "status": ["/bin/sh", "-c", format!("printf '%s' '{printed}'")], "status_say": say })) ] }));
        r.status("set_light", &map(json!({ "room": "hall", "on": true })), &Ctx::QUIET).unwrap()
    };
    let o = status(r#"{"on": false}"#, None);
    assert_eq!((o.spoken, o.result), (None, json!({ "ok": true, "on": false })));
    // How it is, not how it was asked about.
    let o = status(r#"{"on": false}"#, Some("The {room} light is {on}."));
    assert_eq!(o.spoken.as_deref(), Some("The hall light is off."));
    assert_eq!(status("dimmed", Some("It is {output}.")).spoken.as_deref(), Some("It is dimmed."));
    assert_eq!(status("dimmed", Some("It is {level}.")).spoken, None);
    assert!(!status("", None).is_ok() && !status(r#"{"error": "no bridge"}"#, None).is_ok());
}

#[test]
fn a_call_is_taken_back_by_its_own_program_or_by_its_opposite() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let exec = |words: &[&str]| {
        let mut argv = vec!["/bin/sh", "-c", r#"f="$1"; shift; echo "$@" >> "$f""#, "log", log.to_str().unwrap()];
        argv.extend_from_slice(words);
        json!(argv)
    };
    let undone = |undo: Option<Value>, args: Value| {
        let mut command = light(json!({ "exec": exec(&["do", "{room}", "{on}", "{brightness}"]) }));
        command["undo"] = undo.unwrap_or_default();
        let call = ToolCall { name: "set_light".into(), parameters: map(args) };
        let said = ["undo that".to_owned()];
        registry(json!({ "command": [command] })).undo(&call, &Ctx { said: &said, ..Ctx::QUIET })
    };
    let call = json!({ "room": "hall", "on": true });
    assert_eq!(undone(None, call.clone()), None);
    let o = undone(Some(exec(&["undo", "{room}", "{brightness}"])), call.clone()).unwrap();
    assert_eq!((o.is_ok(), o.spoken), (true, None));
    assert!(undone(Some(json!("opposite")), call).unwrap().is_ok());
    assert!(!undone(Some(json!("opposite")), json!({ "room": "hall" })).unwrap().is_ok(), "no call of its schema");
    assert!(!undone(Some(json!(["/bin/false"])), json!({ "room": "hall", "on": true })).unwrap().is_ok());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "undo hall\ndo hall false\n");
}

#[test]
fn what_only_looks_something_up_is_known_by_its_name_or_said() {
    let r = registry(json!({ "command": [
        { "name": "get_temperature", "exec": ["x"] },
        { "name": "door_status", "exec": ["x"] },
        { "name": "is_open", "exec": ["x"] },
        { "name": "check_in", "exec": ["x"], "acts": true, "confirm": true },
        { "name": "temperature", "exec": ["x"], "acts": false },
        { "name": "getaway", "exec": ["x"] },
    ] }));
    let acting = ["get_temperature", "door_status", "is_open", "check_in", "temperature", "getaway"];
    assert_eq!(acting.map(|name| r.acts(name)), [false, false, false, true, false, true]);
    assert_eq!(acting.map(|name| r.confirms(name)), [false, false, false, true, false, false]);
    assert!(!r.confirms("undo") && !r.confirms("set_timer"));
}

#[test]
fn calls_are_told_in_the_owners_words_or_in_ones_made_up() {
    let of = |tell: Option<&str>, args: Value| {
        let r = registry(json!({ "command": [light(json!({ "tell": tell }))] }));
        r.told(&ToolCall { name: "set_light".into(), parameters: map(args) })
    };
    let call = json!({ "on": false, "room": "hall" });
    assert_eq!(of(None, call.clone()), "hall light off");
    assert_eq!(of(Some("{room} ceiling light {on}"), call.clone()), "hall ceiling light off");
    assert_eq!(of(Some("{room} at {brightness}"), call), "hall light off", "a value is absent");
    let r = registry(json!({}));
    let timer = ToolCall { name: "set_timer".into(), parameters: map(json!({ "duration": "10 minutes" })) };
    assert_eq!(r.told(&timer), "timer of 10 minutes");
}

#[test]
fn commands_share_lists_of_names() {
    let rooms = json!({ "rooms": ["kitchen", { "name": "living room", "also": ["lounge"] }] });
    let room = json!({ "name": "room", "type": "enum", "names": "rooms" });
    let r = registry(json!({ "names": rooms, "command": [
        { "name": "set_light", "exec": ["/bin/true"], "params": [room] },
        { "name": "set_blinds", "exec": ["/bin/true"], "params": [room] },
    ] }));
    for schemas in [r.schemas(), r.shown()] {
        let with = schemas.iter().filter(|s| s.signature().ends_with(r#"(room: "kitchen"|"living room")"#));
        assert_eq!(with.count(), 2);
    }
    let call = |room: &str| ToolCall { name: "set_light".into(), parameters: map(json!({ "room": room })) };
    assert!(r.run(&call("living room"), &Ctx::QUIET).is_ok() && !r.run(&call("garage"), &Ctx::QUIET).is_ok());
    assert_eq!(r.aliases(), [("living room".to_owned(), vec!["lounge".to_owned()])]);
    let settings: Settings = serde_json::from_value(json!({ "names": rooms, "command": [
        { "name": "set_light", "exec": ["x"], "params": [room], "undo": ["x"] }] }))
    .unwrap();
    let written = serde_json::to_value(&settings).unwrap();
    assert_eq!(
        written["command"][0]["params"][0],
        json!({ "name": "room", "type": "enum", "names": "rooms", "required": true })
    );
    assert_eq!(serde_json::from_value::<Settings>(written).unwrap(), settings);
}

#[test]
fn lists_that_are_not_there_are_named() {
    let with = |kind: Value| {
        let mut room = map(json!({ "name": "room", "type": "enum" }));
        room.extend(map(kind));
        told(json!({ "names": { "rooms": ["kitchen"], "lamps": [] },
            "command": [{ "name": "set_light", "exec": ["x"], "params": [room] }] }))[1..]
            .join("; ")
    };
    let at = "command[0].params[0]";
    assert_eq!(with(json!({ "names": "rooms" })), "");
    // The empty list is told where it is written, once.
    assert_eq!(with(json!({ "names": "lamps" })), "");
    assert_eq!(
        with(json!({ "names": "roms" })),
        format!("{at}.names: there is no list \"roms\" under tools.names; did you mean rooms?")
    );
    assert_eq!(with(json!({})), format!("{at}: needs values, or names: a list under tools.names"));
    assert_eq!(
        with(json!({ "names": "rooms", "values": ["a"] })),
        format!("{at}.names: must not stand beside values: give one of the two")
    );
    assert_eq!(with(json!({ "values": [] })), format!("{at}.values: must not be empty: list the words"));
}

#[test]
fn keys_that_do_not_go_together_are_named() {
    for (more, wanted) in [
        (json!({ "status": [] }), "command[0].status: must not be empty"),
        (json!({ "status": ["{room}"] }), "command[0].status[0]: must be a program"),
        (json!({ "status": ["x", "{lamp}"] }), "command[0].status[1]: {lamp} is not an argument"),
        (json!({ "status_say": "It is {on}." }), "command[0].status_say: needs status"),
        (json!({ "status": ["x"], "status_say": "{on" }), "command[0].status_say: \"{on\" has a brace"),
        (json!({ "undo": ["x", "{lamp}"] }), "command[0].undo[1]: {lamp} is not an argument"),
        (json!({ "undo": "opposite", "params": [] }), "command[0].undo: must name a program"),
        (json!({ "tell": "{lamp} light" }), "command[0].tell: {lamp} is not an argument"),
        (json!({ "acts": false, "confirm": true }), "command[0].confirm: must not be given"),
        (json!({ "name": "get_light", "undo": ["x"] }), "command[0].undo: must not be given"),
    ] {
        let found = told(json!({ "command": [light(more.clone())] }));
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{more}: {found:?}");
    }
    let fine = json!({ "status": ["x", "{room}"], "status_say": "{state}", "undo": "opposite", "confirm": true,
        "tell": "{room} {on}", "acts": true });
    assert_eq!(told(json!({ "command": [light(fine)] })), [""; 0]);
    let undo = |word: Value| serde_json::from_value::<Undo>(word);
    assert!(undo(json!("oposite")).unwrap_err().to_string().contains("opposite"));
    assert!(undo(json!(true)).is_err() && undo(json!(["x", 3])).is_err());
}

#[test]
fn programs_that_cannot_be_started_are_found_in_every_vector() {
    let command = light(json!({ "status": ["/no/status"], "undo": ["/no/undo"] }));
    let settings: Settings = serde_json::from_value(json!({ "command": [command] })).unwrap();
    let mut p = Problems::new();
    settings.look(&mut p);
    let found: Vec<String> = p.into_vec().iter().map(|p| p.key.to_string()).collect();
    assert_eq!(found, ["command[0].status[0]", "command[0].undo[0]"]);
}
