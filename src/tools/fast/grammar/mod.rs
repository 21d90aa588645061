//! The rules: for each tool, the ways people ask for it. `pattern.rs` says how they are written.

mod alarms;
mod facts;
mod lists;
mod reminders;
mod sound;
mod timers;

/// A named piece, used as `@name`.
type Piece = (&'static str, &'static str);

/// Ways to ask for one thing.
pub(super) struct Group {
    pub(super) tool: &'static str,
    /// Arguments that are the same however it is said.
    pub(super) fixed: &'static [(&'static str, Fixed)],
    /// Tools whose name holds one of these words do it better.
    pub(super) unless: &'static [&'static str],
    /// Only after another command.
    pub(super) later: bool,
    /// What such a request does not say, so that nothing can be done yet.
    pub(super) missing: Option<&'static str>,
    pub(super) patterns: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Fixed {
    Text(&'static str),
    Number(u32),
    Bool(bool),
}

const fn group(tool: &'static str, patterns: &'static [&'static str]) -> Group {
    Group { tool, fixed: &[], unless: &[], later: false, missing: None, patterns }
}

impl Group {
    const fn with(self, fixed: &'static [(&'static str, Fixed)]) -> Self {
        Self { fixed, ..self }
    }

    const fn unless(self, unless: &'static [&'static str]) -> Self {
        Self { unless, ..self }
    }

    const fn later(self) -> Self {
        Self { later: true, ..self }
    }

    const fn missing(self, what: &'static str) -> Self {
        Self { missing: Some(what), ..self }
    }
}

/// Every rule. Earlier ones win.
pub(super) fn rules() -> impl Iterator<Item = &'static Group> {
    [timers::RULES, alarms::RULES, reminders::RULES, lists::RULES, facts::RULES, sound::RULES].into_iter().flatten()
}

/// Every named piece.
pub(super) fn pieces() -> impl Iterator<Item = &'static Piece> {
    [PIECES, timers::PIECES, alarms::PIECES, reminders::PIECES, lists::PIECES, facts::PIECES, sound::PIECES]
        .into_iter()
        .flatten()
}

/// Pieces of several kinds of rules.
const PIECES: &[Piece] = &[
    ("the", "(the|my|our|that|this|your)"),
    ("a", "(a|an|another|the|my|a new|a second|a third|another new|one more|new)"),
    (
        "cancel",
        "(cancel|stop|delete|kill|clear|remove|end|abort|get rid of|turn off|shut off|switch off|dismiss|forget|forget about|never mind|scrap|drop|erase|discard|silence|disable)",
    ),
    ("all", "(all|all of|every|each|each of|every one of|both|both of|every single)"),
    ("at", "(at|for|on|to|by|around|about|from)"),
    ("anymore", "(anymore|any more|any longer)"),
    ("list-it", "(list|read|read out|show|show me|tell me|give me|name|read me|what about|check)"),
];
