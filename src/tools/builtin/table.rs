//! What the built-in tools are called and which arguments they take.

use crate::schema::{Param, ParamType, ToolSchema};

/// A built-in tool.
pub(in crate::tools) struct Builtin {
    /// Every argument that it takes.
    pub(in crate::tools) schema: ToolSchema,
    /// As the model is shown it; `None` where only the fast path calls it: every signature costs context.
    pub(in crate::tools) shown: Option<ToolSchema>,
    /// Whether it changes anything. What does not may run to answer a question.
    pub(in crate::tools) acts: bool,
}

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    description: &'static str,
    args: &'static [Arg],
    /// Whether the model is shown it.
    shown: bool,
    acts: bool,
}

#[derive(Clone, Copy)]
struct Arg {
    name: &'static str,
    kind: Kind,
    need: Need,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    Percent,
    Number,
    Bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    /// Optional, and not shown to the model.
    Hidden,
}
use Kind::{Bool, Number, Percent, Text};
use Need::{Hidden, Optional, Required};

const fn arg(name: &'static str, kind: Kind, need: Need) -> Arg {
    Arg { name, kind, need }
}

const LABEL: Arg = arg("label", Text(60), Optional);
const LIST: Arg = arg("list", Text(40), Optional);

/// Acts, and is shown to the model.
const fn acts(name: &'static str, description: &'static str, args: &'static [Arg]) -> Row {
    Row { name, description, args, shown: true, acts: true }
}

/// Looks something up, and is shown to the model.
const fn looks(name: &'static str, description: &'static str, args: &'static [Arg]) -> Row {
    Row { name, description, args, shown: true, acts: false }
}

impl Row {
    /// Only the fast path calls it.
    const fn said(self) -> Self {
        Self { shown: false, ..self }
    }
}

/// In the order in which they are shown to the model.
const TABLE: &[Row] = &[
    acts("set_timer", "Starts a timer", &[arg("duration", Text(80), Required), LABEL]),
    acts("set_timer_until", "Starts a timer that ends at a time of day", &[arg("time", Text(80), Required), LABEL])
        .said(),
    looks("timer_status", "Tells how long timers have left", &[LABEL]),
    acts("cancel_timer", "Cancels a timer, or all", &[LABEL]),
    acts("pause_timer", "Halts a timer", &[LABEL]).said(),
    acts("resume_timer", "Lets a halted timer go on", &[LABEL]).said(),
    acts("adjust_timer", "Adds time to a timer, or takes it off", &[arg("by", Text(80), Required), LABEL]).said(),
    acts("change_timer", "Sets what a timer has left", &[arg("duration", Text(80), Required), LABEL]).said(),
    acts("name_timer", "Gives a timer a name", &[arg("name", Text(60), Required), LABEL]).said(),
    acts("set_alarm", "Rings at a time of day", &[arg("time", Text(80), Required), arg("day", Text(60), Optional)]),
    acts("cancel_alarm", "Cancels an alarm, or all", &[arg("time", Text(80), Optional)]),
    looks("list_alarms", "Tells which alarms are set", &[]).said(),
    acts("snooze", "Lets an alarm ring again later", &[arg("duration", Text(80), Optional)]).said(),
    acts("set_reminder", "Says a text at a time", &[arg("text", Text(300), Required), arg("time", Text(80), Optional)]),
    looks("list_reminders", "Tells which reminders are set", &[]).said(),
    acts("cancel_reminder", "Cancels a reminder, or all", &[arg("text", Text(300), Optional)]).said(),
    looks("list_scheduled", "Tells which commands are to run later", &[]).said(),
    acts("cancel_scheduled", "Cancels a command that was to run later, or all", &[arg("which", Text(300), Optional)])
        .said(),
    acts("add_to_list", "Puts something on a list", &[arg("item", Text(200), Required), LIST]),
    acts("remove_from_list", "Takes something off a list", &[arg("item", Text(200), Required), LIST]).said(),
    looks("read_list", "Reads a list", &[LIST]),
    acts("clear_list", "Empties a list", &[LIST]).said(),
    looks("get_time", "Tells the time, here or in a city", &[arg("location", Text(60), Optional)]),
    looks("get_date", "Tells the date and the day of the week", &[arg("day", Text(60), Hidden)]),
    looks("days_until", "Tells how many days there are until a day", &[arg("day", Text(60), Required)]).said(),
    acts("set_volume", "Sets the loudspeaker volume in percent", &[arg("level", Percent, Required)]),
    acts("volume_up", "Makes it louder", &[]),
    acts("volume_down", "Makes it quieter", &[]),
    acts("mute", "Silences the loudspeaker, or lets it sound again", &[arg("on", Bool, Required)]),
    acts("stop", "Stops speaking and ringing", &[]),
    looks("repeat", "Says the last answer again", &[]),
    acts("undo", "Undoes the last command", &[]).said(),
    looks("calculate", "Works out an arithmetic expression", &[arg("expression", Text(200), Required)]),
    looks(
        "convert",
        "Converts between units",
        &[arg("value", Number, Required), arg("from", Text(40), Required), arg("to", Text(40), Required)],
    )
    .said(),
    looks("tell_joke", "Tells a joke", &[]).said(),
    looks("capabilities", "Tells what can be asked", &[]).said(),
];

/// All of them, in the order in which they are shown to the model.
pub(in crate::tools) fn all() -> Vec<Builtin> {
    TABLE.iter().map(Row::builtin).collect()
}

/// Their names.
pub(in crate::tools) fn names() -> impl Iterator<Item = &'static str> + Clone {
    TABLE.iter().map(|row| row.name)
}

impl Row {
    fn builtin(&self) -> Builtin {
        let schema = |args: &mut dyn Iterator<Item = &Arg>| ToolSchema {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            params: args.map(Arg::param).collect(),
        };
        let shown = self.shown.then(|| schema(&mut self.args.iter().filter(|a| a.need != Hidden)));
        Builtin { schema: schema(&mut self.args.iter()), shown, acts: self.acts }
    }
}

impl Arg {
    fn param(&self) -> Param {
        let kind = match self.kind {
            Text(max_chars) => ParamType::String { max_chars: Some(max_chars) },
            Percent => ParamType::Int { min: Some(0), max: Some(100) },
            Number => ParamType::Number { min: None, max: None },
            Bool => ParamType::Bool,
        };
        Param { name: self.name.to_owned(), kind, required: self.need == Required }
    }
}
