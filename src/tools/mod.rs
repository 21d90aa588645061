//! What the agent can do: built-in tools, configured commands, timers, and the fast path that understands everyday
//! commands without the model.
//!
//! A call is checked against its schema before anything runs, no matter who wrote it. Built-ins answer in words of their
//! own; what they want done to the device comes back as an [`Effect`], which the pipeline carries out.
//! Configured commands run as an argument vector, never through a shell.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Kind, Result};
use crate::problems::{Problems, clip, nearest};
use crate::schema::{ToolCall, ToolSchema};

mod agenda;
mod builtin;
mod calc;
mod calendar;
mod clock;
mod command;
mod convert;
mod duration;
mod exec;
pub mod expected;
pub mod fast;
mod grounding;
pub mod interpret;
mod moment;
mod names;
mod number;
mod policy;
mod program;
pub mod reading;
mod text;
mod told;
mod zone;

pub use agenda::{Agenda, Due, DueCommand, Entry, Ring};
pub use clock::Clock;
pub use command::{Argument, ArgumentType, Command, Undo};
pub use fast::Fast;
pub use names::{Name, Names};

/// Most tools one agent offers: every signature costs context.
const TOOLS_MAX: usize = 64;

/// What tools there are and how they answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// IANA time zone ("Europe/Berlin"); the system's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether times are said as 19:52 rather than 7:52.
    pub clock_24h: bool,
    /// What "turn it up" adds, in percent.
    pub volume_step: u32,
    /// Alarms are at least this loud, in percent, even if the loudspeaker is muted.
    pub alarm_volume: u32,
    /// Whether everyday commands are understood before the model is asked.
    pub fast_path: bool,
    /// Built-in tools that are not offered.
    pub disable: Vec<String>,
    /// Lists of names that commands share: `[tools.names]`.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// The owner's commands: `[[tools.command]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Command>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: None,
            clock_24h: false,
            volume_step: 10,
            alarm_volume: 40,
            fast_path: true,
            disable: Vec::new(),
            names: Names::new(),
            command: Vec::new(),
        }
    }
}

impl Settings {
    /// Reports every invalid value.
    pub fn validate(&self, problems: &mut Problems) {
        if let Some(name) = &self.time_zone
            && jiff::tz::TimeZone::get(name).is_err()
        {
            problems.wrong("time_zone", unknown_zone(name));
        }
        problems.range("volume_step", self.volume_step, 1..=50);
        problems.range("alarm_volume", self.alarm_volume, 1..=100);
        for (i, name) in self.disable.iter().enumerate() {
            problems.element("disable", i, |p| p.known("", name, builtin::names()));
        }
        names::validate(&self.names, problems);
        for (i, command) in self.command.iter().enumerate() {
            let twice = self.command[..i].iter().any(|c| c.name == command.name);
            let built_in = builtin::names().any(|n| n == command.name) && !self.disable.contains(&command.name);
            problems.element("command", i, |p| {
                command.validate(&self.names, p);
                let name = clip(&command.name);
                if built_in {
                    p.wrong("name", format!("{name} is a built-in tool; list it in tools.disable to replace it"));
                } else if twice {
                    p.wrong("name", format!("{name} is the name of another command"));
                }
            });
        }
        let most = TOOLS_MAX - builtin::all().iter().filter(|b| b.shown.is_some()).count();
        if self.command.len() > most {
            problems.wrong("command", format!("must be at most {most} commands, not {}", self.command.len()));
        }
    }

    /// Reports what the settings name but this machine lacks.
    pub fn look(&self, problems: &mut Problems) {
        for (i, command) in self.command.iter().enumerate() {
            problems.element("command", i, |p| command.look(p));
        }
    }
}

fn unknown_zone(name: &str) -> String {
    let zones: Vec<String> = jiff::tz::db().available().map(|z| z.as_str().to_owned()).collect();
    if zones.is_empty() {
        return "cannot be looked up: this system has no time zones; install the package tzdata".to_owned();
    }
    // A city alone is enough to be understood.
    let cities = zones.iter().map(|z| z.rsplit('/').next().unwrap_or(z));
    let city = nearest(name, cities).and_then(|c| zones.iter().find(|z| z.rsplit('/').next() == Some(c)));
    let near = nearest(name, zones.iter().map(String::as_str)).or(city.map(String::as_str));
    let near = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
    format!("must be a time zone such as Europe/Berlin, not {:?}{near}", clip(name))
}

/// What a tool wants done to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Loudspeaker volume in percent.
    SetVolume(u8),
    /// Change of the volume in percent points.
    VolumeBy(i8),
    /// Silence the loudspeaker, or let it sound again.
    Mute(bool),
    /// Stop speaking and ringing, and go to sleep.
    Stop,
    /// Stop ringing; the answer is said as usual.
    StopRinging,
    /// Say the last reply again.
    Repeat,
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For the model: `{"ok": true}`, `{"time": "07:52"}`, `{"error": "…"}`.
    pub result: Value,
    /// The tool's own answer; `Some("")` where silence says it best, `None` where the model answers in its own words.
    pub spoken: Option<String>,
    pub effect: Option<Effect>,
}

impl Outcome {
    fn said(result: Value, spoken: impl Into<String>) -> Self {
        Self { result, spoken: Some(spoken.into()), effect: None }
    }

    fn effect(effect: Effect, spoken: impl Into<String>) -> Self {
        Self { result: json!({ "ok": true }), spoken: Some(spoken.into()), effect: Some(effect) }
    }

    pub(crate) fn failed(error: impl Into<String>, spoken: impl Into<String>) -> Self {
        Self { result: json!({ "error": error.into() }), spoken: Some(spoken.into()), effect: None }
    }

    /// For a call that was not run because too many wait already.
    pub fn busy() -> Self {
        Self::failed("busy", "Sorry, I am still busy with something else.")
    }

    /// Whether the call did what it was asked to.
    pub fn is_ok(&self) -> bool {
        self.result.get("error").is_none()
    }
}

/// What a call is run for.
pub struct Ctx<'a> {
    /// What the user said lately, this turn's request last. Empty where no user spoke (a test, an API call).
    pub said: &'a [String],
    /// Whether the call was cancelled: a running command is then killed.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Ctx<'_> {
    /// For calls without a user, which nobody cancels.
    pub const QUIET: Ctx<'static> = Ctx { said: &[], cancelled: &|| false };
}

/// All tools that are offered.
pub struct Registry {
    settings: Settings,
    schemas: Vec<ToolSchema>,
    shown: Vec<ToolSchema>,
    /// The names of the tools that change something.
    acting: Vec<String>,
    /// What else people say for the names of shared lists.
    aliases: Vec<(String, Vec<String>)>,
    /// What "undo" is about.
    last: builtin::LastDeed,
    clock: Clock,
    zone: jiff::tz::TimeZone,
    agenda: Agenda,
    jokes: builtin::Jokes,
}

impl Registry {
    /// `state_dir` is where timers, alarms, reminders and lists survive a restart; without it they do not.
    ///
    /// # Errors
    /// [`Kind::Config`] naming every bad key; [`Kind::Unsupported`] when a newer tercet wrote what is in `state_dir`.
    pub fn new(settings: &Settings, state_dir: Option<&Path>, clock: Clock) -> Result<Self> {
        let mut problems = Problems::new();
        problems.within("tools", |p| settings.validate(p));
        problems.into_result()?;
        let zone = match &settings.time_zone {
            Some(name) => jiff::tz::TimeZone::get(name).map_err(|e| {
                Error::new(Kind::Config, format!("tools.time_zone = {name:?} cannot be loaded"))
                    .remedy("install the tzdata package")
                    .because(e)
            })?,
            None => jiff::tz::TimeZone::system(),
        };
        let (mut schemas, mut shown, mut acting) = (Vec::new(), Vec::new(), Vec::new());
        for tool in builtin::all() {
            if settings.disable.contains(&tool.schema.name) {
                continue;
            }
            if tool.acts {
                acting.push(tool.schema.name.clone());
            }
            schemas.push(tool.schema);
            shown.extend(tool.shown);
        }
        for command in &settings.command {
            if command.acts() {
                acting.push(command.name.clone());
            }
            schemas.push(command.schema(&settings.names));
            shown.push(command.schema(&settings.names));
        }
        let agenda = Agenda::open(state_dir, clock.clone(), zone.clone(), settings.clock_24h)?;
        let jokes = builtin::Jokes::new(clock.wall().as_nanosecond() as u64);
        Ok(Self {
            settings: settings.clone(),
            schemas,
            shown,
            acting,
            aliases: names::aliases(&settings.names),
            last: builtin::LastDeed::default(),
            clock,
            zone,
            agenda,
            jokes,
        })
    }

    /// Tools of these schemas that do nothing, for finding out what would be called.
    ///
    /// # Errors
    /// Those of [`Registry::new`].
    pub fn rehearsal(schemas: &[ToolSchema], clock: Clock) -> Result<Self> {
        let disable = builtin::names().map(str::to_owned).collect();
        let mut me = Self::new(&Settings { disable, ..Settings::default() }, None, clock)?;
        me.settings.command = schemas.iter().map(Command::rehearsed).collect();
        me.acting = me.settings.command.iter().filter(|c| c.acts()).map(|c| c.name.clone()).collect();
        me.schemas = schemas.to_vec();
        me.shown = schemas.to_vec();
        Ok(me)
    }

    /// What the user's clock shows.
    pub fn local_time(&self) -> jiff::Zoned {
        self.clock.wall().to_zoned(self.zone.clone())
    }

    /// Every tool, in an order that does not change.
    pub fn schemas(&self) -> &[ToolSchema] {
        &self.schemas
    }

    /// The tools that the model is shown, in an order that does not change.
    pub fn shown(&self) -> &[ToolSchema] {
        &self.shown
    }

    /// Whether the tool of that name changes anything.
    pub fn acts(&self, name: &str) -> bool {
        self.acting.iter().any(|n| n == name)
    }

    /// Whether the user is asked before the tool of that name runs. To take back what was asked about is asked about too.
    pub fn confirms(&self, name: &str) -> bool {
        match self.command(name) {
            Some(command) => command.confirm,
            None if name == "undo" => {
                self.last_call().and_then(|call| self.command(&call.name).map(|c| c.confirm)).unwrap_or(false)
            }
            None => false,
        }
    }

    /// What a call does, in a few words: "kitchen light off", "timer of 10 minutes". Always the same for the same call, save
    /// that "undo" names what it would take back now.
    pub fn told(&self, call: &ToolCall) -> String {
        let args = &call.parameters;
        let is_undo = call.name == "undo" && self.command("undo").is_none();
        if let Some(last) = is_undo.then(|| self.last_told()).flatten() {
            return format!("undo {last}");
        }
        let Some(command) = self.command(&call.name) else { return told::builtin(&call.name, args) };
        command.told(args).unwrap_or_else(|| told::command(&command.schema(&self.settings.names), args))
    }

    /// The names of shared lists ([`Settings::names`]) that are called by other names too, with those.
    pub fn aliases(&self) -> &[(String, Vec<String>)] {
        &self.aliases
    }

    /// Whether the tool of that name is one of the owner's commands.
    pub fn is_own(&self, name: &str) -> bool {
        self.command(name).is_some()
    }

    /// Whether the tool of that name can be asked how things stand ([`Registry::status`]).
    pub fn has_status(&self, name: &str) -> bool {
        self.command(name).is_some_and(Command::has_status)
    }

    fn command(&self, name: &str) -> Option<&Command> {
        self.settings.command.iter().find(|c| c.name == name)
    }

    /// What is kept for people: timers, alarms, reminders, commands for later, lists.
    pub fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// How loud alarms are at least, in percent.
    pub fn alarm_volume(&self) -> u8 {
        self.settings.alarm_volume.min(100) as u8
    }

    /// The fast path for the tools offered here.
    pub fn fast(&self) -> Fast {
        // An owner's tool takes its arguments in forms of its own, also where it bears a built-in's name.
        let built_in = |s: &&ToolSchema| self.settings.fast_path && !self.is_own(&s.name);
        Fast::new(&self.schemas.iter().filter(built_in).cloned().collect::<Vec<_>>())
    }

    /// What is wrong with a call, as sentences for the model; empty where it may run.
    pub fn check(&self, call: &ToolCall) -> Vec<String> {
        match self.schemas.iter().find(|s| s.name == call.name) {
            Some(schema) => schema.check(&call.parameters),
            None => {
                let names: Vec<&str> = self.schemas.iter().map(|s| s.name.as_str()).collect();
                let shown: String = call.name.chars().take(60).collect();
                vec![format!("there is no tool {shown:?}; there are {}", names.join(", "))]
            }
        }
    }

    /// Runs a call. Blocks for as long as a configured command takes (at most its time limit).
    /// A call that fails its check runs nothing and comes back as an error.
    pub fn run(&self, call: &ToolCall, ctx: &Ctx<'_>) -> Outcome {
        let problems = self.check(call);
        if !problems.is_empty() {
            return Outcome::failed(problems.join("; "), "Sorry, I can't do that.");
        }
        let outcome = match self.command(&call.name) {
            Some(command) => command.run(&call.parameters, ctx),
            None => self.run_builtin(call, ctx),
        };
        self.remember(call, &outcome);
        outcome
    }

    /// How things stand with what the tool of that name changes: the answer to "is the light on?". Only those arguments are
    /// needed that it takes to ask. `None` where the tool cannot be asked. Blocks as [`Registry::run`] does.
    pub fn status(&self, name: &str, args: &Map<String, Value>, ctx: &Ctx<'_>) -> Option<Outcome> {
        let command = self.command(name).filter(|c| c.has_status())?;
        let mut schema = command.schema(&self.settings.names);
        schema.params.iter_mut().for_each(|p| p.required = false);
        let problems = schema.check(args);
        if !problems.is_empty() {
            return Some(Outcome::failed(problems.join("; "), "Sorry, I can't find that out."));
        }
        Some(command.run_status(args, ctx))
    }

    /// Takes back what a call did; `None` where that cannot be done. Blocks as [`Registry::run`] does.
    pub fn undo(&self, call: &ToolCall, ctx: &Ctx<'_>) -> Option<Outcome> {
        let command = self.command(&call.name)?;
        let problems = self.check(call);
        if !problems.is_empty() {
            return Some(Outcome::failed(problems.join("; "), "Sorry, I can't do that."));
        }
        command.run_undo(&call.parameters, ctx)
    }
}

/// "a", "a and b", "a, b and c".
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
