//! What the agent can do: built-in tools, configured commands, timers, and the fast path that understands everyday
//! commands without the model.
//!
//! A call is checked against its schema before anything runs, whoever wrote it. Built-ins answer in words of their
//! own; what they want done to the device comes back as an [`Effect`], which the pipeline carries out.
//! Configured commands run as an argument vector, never through a shell.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::schema::{ToolCall, ToolSchema};

mod builtin;
mod calc;
mod clock;
mod command;
mod duration;
mod exec;
pub mod fast;
mod number;
mod policy;
mod text;
mod timers;
mod zone;

pub use clock::Clock;
pub use command::Command;
pub use fast::Fast;
pub use timers::Timers;

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
    pub volume_step: u8,
    /// Whether everyday commands are understood before the model is asked.
    pub fast_path: bool,
    /// Built-in tools that are not offered.
    pub disable: Vec<String>,
    /// Commands of the owner's: `[[tools.command]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Command>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: None,
            clock_24h: false,
            volume_step: 10,
            fast_path: true,
            disable: Vec::new(),
            command: Vec::new(),
        }
    }
}

impl Settings {
    /// Appends a sentence for every value that is wrong, each naming its key.
    pub fn validate(&self, problems: &mut Vec<String>) {
        if let Some(name) = &self.time_zone
            && jiff::tz::TimeZone::get(name).is_err()
        {
            problems.push(format!("tools.time_zone = {name:?} is no time zone this system knows"));
        }
        if !(1..=50).contains(&self.volume_step) {
            problems.push(format!("tools.volume_step = {} is outside 1..=50", self.volume_step));
        }
        for name in &self.disable {
            if !builtin::NAMES.contains(&name.as_str()) {
                problems.push(format!(
                    "tools.disable: there is no built-in {name:?}; there are {}",
                    builtin::NAMES.join(", ")
                ));
            }
        }
        for (i, command) in self.command.iter().enumerate() {
            command.validate(i, problems);
            let taken = self.command[..i].iter().any(|c| c.name == command.name);
            let built_in = builtin::NAMES.contains(&command.name.as_str()) && !self.disable.contains(&command.name);
            if taken || built_in {
                problems.push(format!(
                    "tools.command[{i}].name = {:?} is taken{}",
                    command.name,
                    if built_in { " by a built-in; name it in tools.disable to replace it" } else { "" }
                ));
            }
        }
        if self.command.len() > TOOLS_MAX - builtin::NAMES.len() {
            problems.push(format!("tools.command: {} commands are more than fit", self.command.len()));
        }
    }
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

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For the model: `{"ok": true}`, `{"time": "07:52"}`, `{"error": "…"}`.
    pub result: Value,
    /// The tool's own answer; `Some("")` where silence says it best, `None` where the model is to find words.
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

    fn failed(error: impl Into<String>, spoken: impl Into<String>) -> Self {
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
    /// Whether the result is no longer wanted: a command under way is killed then.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Ctx<'_> {
    /// For calls that nobody spoke and nobody cancels.
    pub const QUIET: Ctx<'static> = Ctx { said: &[], cancelled: &|| false };
}

/// All tools that are offered.
pub struct Registry {
    settings: Settings,
    schemas: Vec<ToolSchema>,
    clock: Clock,
    zone: jiff::tz::TimeZone,
    timers: Timers,
}

impl Registry {
    /// `state_dir` is where timers survive a restart; without it they do not.
    ///
    /// # Errors
    /// [`Kind::Config`] naming every bad key.
    pub fn new(settings: &Settings, state_dir: Option<&Path>, clock: Clock) -> Result<Self> {
        let mut problems = Vec::new();
        settings.validate(&mut problems);
        if !problems.is_empty() {
            return Err(Error::new(Kind::Config, problems.join("; ")).remedy("correct the configuration file"));
        }
        let zone = match &settings.time_zone {
            Some(name) => jiff::tz::TimeZone::get(name).map_err(|e| {
                Error::new(Kind::Config, format!("tools.time_zone = {name:?} cannot be loaded"))
                    .remedy("install the tzdata package")
                    .because(e)
            })?,
            None => jiff::tz::TimeZone::system(),
        };
        let mut schemas: Vec<ToolSchema> =
            builtin::schemas().into_iter().filter(|s| !settings.disable.contains(&s.name)).collect();
        schemas.extend(settings.command.iter().map(Command::schema));
        let timers = Timers::open(state_dir, clock.clone());
        Ok(Self { settings: settings.clone(), schemas, clock, zone, timers })
    }

    /// The offered tools, in an order that does not change.
    pub fn schemas(&self) -> &[ToolSchema] {
        &self.schemas
    }

    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The fast path for the tools offered here.
    pub fn fast(&self) -> Fast {
        Fast::new(if self.settings.fast_path { &self.schemas } else { &[] })
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
        match self.settings.command.iter().find(|c| c.name == call.name) {
            Some(command) => command.run(&call.parameters, ctx),
            None => self.run_builtin(call),
        }
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
