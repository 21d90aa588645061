//! What a call does in a few words, for telling it back: "kitchen light off", "timer of 10 minutes".

use serde_json::{Map, Value};

use crate::problems::clip;
use crate::schema::{Param, ToolSchema};

/// First words of a command's name that say nothing: in "set_light" only the light does.
const EMPTY_VERBS: [&str; 13] =
    ["set", "switch", "turn", "change", "control", "adjust", "get", "check", "put", "make", "is", "use", "move"];
/// First words that are what is done: "lock_door", "open_blinds".
const VERBS: [&str; 38] = [
    "activate", "announce", "arm", "begin", "call", "cancel", "clean", "close", "dim", "disable", "disarm", "enable",
    "end", "feed", "find", "list", "lock", "lower", "open", "pause", "play", "raise", "read", "restart", "resume",
    "ring", "run", "say", "search", "send", "show", "start", "stop", "tell", "toggle", "unlock", "wake", "water",
];
/// Words in a name that say how it is afterwards: "turn_on_light", "lights_off".
const STATES: [&str; 4] = ["on", "off", "up", "down"];
/// Arguments that say where: their values stand before what the command is about.
const PLACES: [&str; 11] =
    ["room", "place", "zone", "area", "location", "floor", "side", "device", "which", "name", "where"];
/// Arguments that say which of several things; the same, and the thing is named after a value that does not name it.
const THINGS: [&str; 20] = [
    "appliance",
    "blind",
    "blinds",
    "camera",
    "curtain",
    "door",
    "fan",
    "gate",
    "heater",
    "lamp",
    "light",
    "lights",
    "lock",
    "plug",
    "shade",
    "shutter",
    "socket",
    "speaker",
    "tv",
    "window",
];
/// What is named better by the name of the one that is meant: "fan on", not "fan switch on".
const GENERIC: [&str; 6] = ["switch", "device", "appliance", "cover", "entity", "power"];
/// What is done somewhere, not to what is there: "play music in kitchen", but "open kitchen blinds".
const DONE_IN: [&str; 7] = ["announce", "find", "play", "say", "search", "send", "show"];
/// Arguments that need their name after another one: "fan on, speed high".
const LABELLED: [&str; 6] = ["speed", "color", "colour", "mode", "effect", "preset"];
/// Arguments named by the word that goes before their value.
const PREPOSITIONS: [&str; 6] = ["to", "from", "for", "at", "by", "until"];
/// Arguments of which the value alone says enough.
const PLAIN: [&str; 8] = ["temperature", "target", "setpoint", "value", "number", "amount", "level", "state"];
/// Arguments named by the unit of their value.
const UNITS: [&str; 6] = ["percent", "degrees", "seconds", "minutes", "hours", "days"];

/// Truth values with words of their own: the argument, what true is, what false is.
const POLARITIES: [(&str, &str, &str); 6] = [
    ("on", "on", "off"),
    ("enabled", "on", "off"),
    ("open", "open", "closed"),
    ("closed", "closed", "open"),
    ("locked", "locked", "unlocked"),
    ("armed", "armed", "disarmed"),
];

/// The value of an argument as it is said: "off" for `on = false`.
pub(super) fn in_words(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(b) => {
            let (yes, no) = polarity(name).unwrap_or(("yes", "no"));
            (if *b { yes } else { no }).to_owned()
        }
        Value::String(s) => s.clone(),
        Value::Number(n) => {
            let text = n.to_string();
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

fn polarity(name: &str) -> Option<(&'static str, &'static str)> {
    let found = POLARITIES.iter().find(|(known, ..)| *known == name || name == format!("is_{known}"));
    found.map(|(_, yes, no)| (*yes, *no))
}

/// An owner's command, made of its name and its arguments.
pub(super) fn command(schema: &ToolSchema, args: &Map<String, Value>) -> String {
    let mut subject = Subject::of(&schema.name);
    let mut before: Vec<String> = Vec::new();
    let mut after = subject.state.unwrap_or_default().to_owned();
    for param in &schema.params {
        let Some(value) = args.get(&param.name).filter(|v| !v.is_null()) else { continue };
        let text = short(&in_words(&param.name, value));
        if text.is_empty() {
            continue;
        }
        match value {
            Value::String(_) if param.name == "action" && subject.verb.is_none() => subject.verb = Some(text),
            Value::String(_) if subject.is_done_in(param) => follow(&mut after, " ", &format!("in {text}")),
            Value::String(_) if subject.is_named_by(param) => before.push(subject.with_thing(param, text)),
            Value::Bool(_) if polarity(&param.name).is_some() => {
                // "front door unlocked", not "lock front door unlocked".
                subject.verb = None;
                follow(&mut after, ", ", &text);
            }
            _ => {
                let first = after.is_empty();
                let name = param.name.replace('_', " ");
                let goes_on = PREPOSITIONS.contains(&name.as_str());
                let text = after_subject(&subject, &name, value, text, first);
                follow(&mut after, if goes_on { " " } else { ", " }, &text);
            }
        }
    }
    if before.iter().any(|b| ends_with_words(b, &subject.noun))
        || (!before.is_empty() && GENERIC.contains(&subject.noun.as_str()))
    {
        subject.noun.clear();
    }
    let verb = subject.verb.into_iter();
    let words: Vec<String> = verb.chain(before).chain([subject.noun, after]).filter(|w| !w.is_empty()).collect();
    if words.is_empty() { schema.name.replace('_', " ") } else { words.join(" ") }
}

/// Puts `part` after what there is.
fn follow(text: &mut String, glue: &str, part: &str) {
    if !text.is_empty() {
        text.push_str(glue);
    }
    text.push_str(part);
}

/// What the name of a command is about.
struct Subject<'a> {
    verb: Option<String>,
    noun: String,
    state: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn of(name: &'a str) -> Self {
        let mut words: Vec<&str> = name.split('_').filter(|w| !w.is_empty()).collect();
        let mut verb = None;
        if let Some(first) = words.first().copied() {
            if EMPTY_VERBS.contains(&first) {
                words.remove(0);
            } else if VERBS.contains(&first) {
                verb = Some(words.remove(0).to_owned());
            }
        }
        let mut state = None;
        if verb.is_none() && words.len() > 1 {
            for at in [0, words.len() - 1] {
                if state.is_none() && STATES.contains(&words[at]) {
                    state = Some(words.remove(at));
                    break;
                }
            }
        }
        Self { verb, noun: words.join(" "), state }
    }

    /// Whether the argument says where something is done.
    fn is_done_in(&self, param: &Param) -> bool {
        PLACES.contains(&param.name.as_str()) && self.verb.as_deref().is_some_and(|v| DONE_IN.contains(&v))
    }

    /// Whether the argument says which one: its value belongs before the noun.
    fn is_named_by(&self, param: &Param) -> bool {
        let name = param.name.as_str();
        PLACES.contains(&name) || THINGS.contains(&name) || self.noun.split(' ').any(|w| w == name)
    }

    /// "front" as a door is "front door", where nothing else says that it is a door.
    fn with_thing(&mut self, param: &Param, value: String) -> String {
        let thing = param.name.as_str();
        if !THINGS.contains(&thing) {
            return value;
        }
        if ends_with_words(&value, thing) {
            // "reading lamp", not "reading lamp light".
            self.noun.clear();
            return value;
        }
        if self.noun.is_empty() { format!("{value} {thing}") } else { value }
    }
}

/// An argument that follows what the command is about; `first` where nothing else does yet.
fn after_subject(subject: &Subject<'_>, name: &str, value: &Value, text: String, first: bool) -> String {
    let labelled = match value {
        Value::Number(_) if UNITS.contains(&name) => return format!("{text} {name}"),
        Value::Number(_) => !PLAIN.contains(&name) && subject.noun != name,
        Value::Bool(_) => true,
        _ => !first && LABELLED.contains(&name),
    };
    if labelled || PREPOSITIONS.contains(&name) { format!("{name} {text}") } else { text }
}

/// Whether `words` are the last words of `text`.
fn ends_with_words(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    !words.is_empty() && text.strip_suffix(words).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
}

/// On one line, and not long.
fn short(text: &str) -> String {
    clip(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How calls of built-in tools are told. `{label}` is an argument; a part in brackets is left out where its argument is
/// absent.
const BUILTINS: &[(&str, &str)] = &[
    ("set_timer", "[{label} ]timer of {duration}"),
    ("set_timer_until", "[{label} ]timer until {time}"),
    ("timer_status", "time left on [{label} ]timer"),
    ("cancel_timer", "cancel [{label} ]timer"),
    ("pause_timer", "pause [{label} ]timer"),
    ("resume_timer", "resume [{label} ]timer"),
    ("adjust_timer", "[{label} ]timer {by}"),
    ("change_timer", "[{label} ]timer to {duration}"),
    ("name_timer", "[{label} ]timer named {name}"),
    ("set_alarm", "alarm at {time}[ {day}]"),
    ("cancel_alarm", "cancel [{time} ]alarm"),
    ("list_alarms", "alarms"),
    ("snooze", "snooze[ {duration}]"),
    ("set_reminder", "reminder {text}[, {time}]"),
    ("list_reminders", "reminders"),
    ("cancel_reminder", "cancel reminder[ {text}]"),
    ("list_scheduled", "commands for later"),
    ("cancel_scheduled", "cancel [{which}|command for later]"),
    ("add_to_list", "{item} on the [{list} ]list"),
    ("remove_from_list", "{item} off the [{list} ]list"),
    ("read_list", "read the [{list} ]list"),
    ("clear_list", "clear the [{list} ]list"),
    ("get_time", "time[ in {location}]"),
    ("get_date", "date[ {day}]"),
    ("days_until", "days until {day}"),
    ("set_volume", "volume {level} percent"),
    ("volume_up", "volume up"),
    ("volume_down", "volume down"),
    ("mute", "sound {off}"),
    ("stop", "stop"),
    ("repeat", "repeat"),
    ("undo", "undo"),
    ("calculate", "calculate {expression}"),
    ("convert", "convert {value} {from} to {to}"),
    ("tell_joke", "joke"),
    ("capabilities", "what can be asked"),
];

/// What is cancelled where all of them are.
const ALL: [(&str, &str); 4] = [
    ("cancel_timer", "cancel all timers"),
    ("cancel_alarm", "cancel all alarms"),
    ("cancel_reminder", "cancel all reminders"),
    ("cancel_scheduled", "cancel all commands for later"),
];

/// A built-in tool; of one that is not known its name.
pub(super) fn builtin(name: &str, args: &Map<String, Value>) -> String {
    let all = |v: &Value| v.as_str().is_some_and(|s| s.split_whitespace().next() == Some("all"));
    if let Some((_, text)) = ALL.iter().find(|(n, _)| *n == name && args.values().any(all)) {
        return (*text).to_owned();
    }
    let Some((_, template)) = BUILTINS.iter().find(|(n, _)| *n == name) else { return name.replace('_', " ") };
    let mut told = String::new();
    for part in template.split_inclusive(']') {
        let (always, bracket) = part.split_once('[').unwrap_or((part, ""));
        told += &filled(always, args).unwrap_or_else(|| always.to_owned());
        let bracket = bracket.trim_end_matches(']');
        let (present, absent) = bracket.split_once('|').unwrap_or((bracket, ""));
        told += &filled(present, args).unwrap_or_else(|| absent.to_owned());
    }
    told
}

/// The text with the values of its arguments; `None` where one is absent.
fn filled(text: &str, args: &Map<String, Value>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        out += plain;
        out += &argument(name, args)?;
        rest = after;
    }
    Some(out + rest)
}

fn argument(name: &str, args: &Map<String, Value>) -> Option<String> {
    // To silence is to turn the sound off.
    if name == "off" {
        let on = args.get("on")?.as_bool()?;
        return Some(in_words("on", &Value::Bool(!on)));
    }
    let text = short(&in_words(name, args.get(name).filter(|v| !v.is_null())?));
    let text = match name {
        "label" => text.trim_end_matches("timer").trim_end().to_owned(),
        "list" => text.trim_end_matches("list").trim_end().to_owned(),
        "by" => match text.strip_prefix('-').or(text.strip_prefix("minus ")) {
            Some(less) => format!("{} less", less.trim_start()),
            None => format!("{} more", text.trim_start_matches('+').trim_start()),
        },
        _ => text,
    };
    Some(text).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ParamType;
    use serde_json::json;

    /// A command with arguments of the types that the values have.
    fn of(name: &str, args: &Value) -> String {
        let args = args.as_object().cloned().unwrap();
        let param = |(name, value): (&String, &Value)| {
            let kind = match value {
                Value::Bool(_) => ParamType::Bool,
                Value::Number(_) => ParamType::Number { min: None, max: None },
                _ => ParamType::String { max_chars: None },
            };
            Param { name: name.clone(), kind, required: false }
        };
        let schema =
            ToolSchema { name: name.into(), description: String::new(), params: args.iter().map(param).collect() };
        command(&schema, &args)
    }

    #[test]
    fn owners_commands() {
        for (name, args, told) in [
            ("set_light", json!({ "room": "kitchen", "on": false }), "kitchen light off"),
            (
                "set_light",
                json!({ "room": "kitchen", "on": true, "brightness": 40 }),
                "kitchen light on, brightness 40",
            ),
            ("set_light", json!({ "room": "kitchen", "percent": 40 }), "kitchen light 40 percent"),
            ("set_light", json!({ "room": "kitchen", "color": "red" }), "kitchen light red"),
            ("set_light", json!({ "lamp": "desk lamp", "on": true }), "desk lamp on"),
            ("set_lamp", json!({ "on": true, "room": "hall" }), "hall lamp on"),
            ("switch", json!({ "device": "coffee machine", "on": true }), "coffee machine on"),
            ("turn_on_light", json!({ "room": "hall" }), "hall light on"),
            ("turn_light_off", json!({ "room": "hall" }), "hall light off"),
            ("lights_off", json!({}), "lights off"),
            ("lock", json!({ "door": "front" }), "lock front door"),
            ("lock", json!({ "door": "front door" }), "lock front door"),
            ("lock_door", json!({ "door": "front" }), "lock front door"),
            ("lock_door", json!({ "door": "front door" }), "lock front door"),
            ("lock_front_door", json!({}), "lock front door"),
            ("lock_door", json!({ "name": "front", "locked": false }), "front door unlocked"),
            ("set_door", json!({ "door": "garage", "open": false }), "garage door closed"),
            ("garage_door", json!({ "open": true }), "garage door open"),
            ("open_blinds", json!({ "room": "kitchen" }), "open kitchen blinds"),
            ("set_blinds", json!({ "room": "kitchen", "position": 50 }), "kitchen blinds position 50"),
            ("set_thermostat", json!({ "temperature": 21 }), "thermostat 21"),
            ("set_thermostat", json!({ "temperature": 21.0 }), "thermostat 21"),
            ("set_thermostat", json!({ "room": "bedroom", "degrees": 20.5 }), "bedroom thermostat 20.5 degrees"),
            ("set_temperature", json!({ "room": "office", "value": 19 }), "office temperature 19"),
            ("set_fan", json!({ "speed": 3 }), "fan speed 3"),
            ("set_fan", json!({ "on": true, "oscillate": false }), "fan on, oscillate no"),
            ("set_scene", json!({ "scene": "movie" }), "movie scene"),
            ("vacuum", json!({ "action": "start" }), "start vacuum"),
            ("set_cover", json!({ "name": "garage", "action": "open" }), "open garage"),
            ("set_switch", json!({ "device": "fan", "on": true }), "fan on"),
            ("set_fan", json!({ "room": "den", "on": true, "speed": "high" }), "den fan on, speed high"),
            ("play_music", json!({ "query": "jazz", "room": "kitchen" }), "play music jazz in kitchen"),
            ("lock_door", json!({ "door": "front", "locked": true }), "front door locked"),
            ("get_weather", json!({ "location": "Berlin", "day": "tomorrow" }), "Berlin weather tomorrow"),
            ("make_call", json!({ "contact": "Mum" }), "call Mum"),
            ("next_track", json!({}), "next track"),
            ("start_vacuum", json!({ "room": "living room" }), "start living room vacuum"),
            ("play_music", json!({ "title": "Yesterday" }), "play music Yesterday"),
            ("announce", json!({ "text": "dinner is\nready" }), "announce dinner is ready"),
            ("send_message", json!({ "to": "Mum", "text": "on my way" }), "send message to Mum, on my way"),
            ("get_temperature", json!({ "room": "kitchen" }), "kitchen temperature"),
            ("set", json!({}), "set"),
            ("restart_router", json!({ "room": null }), "restart router"),
        ] {
            assert_eq!(of(name, &args), told, "{name} {args}");
        }
        let long = of("announce", &json!({ "text": "x ".repeat(200) }));
        assert!(long.ends_with('…') && long.len() < 100, "{long}");
    }

    #[test]
    fn built_in_tools() {
        for (name, args, told) in [
            ("set_timer", json!({ "duration": "10 minutes" }), "timer of 10 minutes"),
            ("set_timer", json!({ "duration": "10 minutes", "label": "pasta" }), "pasta timer of 10 minutes"),
            ("set_timer", json!({ "duration": "1 hour", "label": " " }), "timer of 1 hour"),
            ("cancel_timer", json!({ "label": "pasta timer" }), "cancel pasta timer"),
            ("cancel_timer", json!({ "label": "all" }), "cancel all timers"),
            ("cancel_timer", json!({}), "cancel timer"),
            ("adjust_timer", json!({ "by": "5 minutes" }), "timer 5 minutes more"),
            ("adjust_timer", json!({ "by": "-5 minutes", "label": "tea" }), "tea timer 5 minutes less"),
            ("set_alarm", json!({ "time": "06:30", "day": "weekdays" }), "alarm at 06:30 weekdays"),
            ("cancel_alarm", json!({ "time": "6:30" }), "cancel 6:30 alarm"),
            (
                "set_reminder",
                json!({ "text": "take out the trash", "time": "19:00" }),
                "reminder take out the trash, 19:00",
            ),
            ("cancel_scheduled", json!({}), "cancel command for later"),
            ("cancel_scheduled", json!({ "which": "kitchen light" }), "cancel kitchen light"),
            ("add_to_list", json!({ "item": "milk", "list": "shopping list" }), "milk on the shopping list"),
            ("add_to_list", json!({ "item": "milk" }), "milk on the list"),
            ("get_time", json!({ "location": "Tokyo" }), "time in Tokyo"),
            ("set_volume", json!({ "level": 30 }), "volume 30 percent"),
            ("mute", json!({ "on": true }), "sound off"),
            ("mute", json!({ "on": false }), "sound on"),
            ("convert", json!({ "value": 5, "from": "miles", "to": "kilometers" }), "convert 5 miles to kilometers"),
            ("water_cactus", json!({}), "water cactus"),
        ] {
            assert_eq!(builtin(name, args.as_object().unwrap()), told, "{name} {args}");
        }
    }

    #[test]
    fn every_built_in_tool_has_words() {
        for tool in crate::tools::builtin::all() {
            let name = &tool.schema.name;
            let (_, template) = BUILTINS.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}"));
            let known = |arg: &str| arg == "off" || tool.schema.params.iter().any(|p| p.name == arg);
            for arg in template.split('{').skip(1).filter_map(|t| t.split('}').next()) {
                assert!(known(arg), "{name}: {arg}");
            }
        }
    }

    #[test]
    fn truth_values_have_words() {
        for (name, yes, no) in [("on", "on", "off"), ("is_open", "open", "closed"), ("quiet", "yes", "no")] {
            assert_eq!(in_words(name, &json!(true)), yes);
            assert_eq!(in_words(name, &json!(false)), no);
        }
    }
}
