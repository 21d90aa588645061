//! What a tool is for, from its name, its description and its arguments.

use std::collections::BTreeSet;

use crate::schema::{ParamType, ToolSchema};
use crate::tools::reading::Said;
use crate::tools::text::tokens;

use super::{Aliases, english as en, is_empty, stem};

pub(super) struct Name {
    /// The verb that says what it does, where the name has one: the words that ask for it.
    pub(super) verb: Option<&'static [&'static str]>,
    /// Words that ask for the opposite.
    pub(super) opposite: &'static [&'static str],
    /// Stems that name what it is for; a request needs one of them.
    topics: BTreeSet<String>,
    /// Stems that are explained by what it is for.
    known: BTreeSet<String>,
    /// It plays what its argument names.
    pub(super) plays: bool,
    /// It silences.
    mutes: bool,
    /// It opens and closes whatever its argument names.
    pub(super) opens: bool,
    /// It switches whatever its argument names.
    pub(super) any_device: bool,
    /// Words that stand for a value of one of its choices: (value, words).
    pub(super) aliases: Vec<(String, Vec<String>)>,
}

impl Name {
    pub(super) fn new(schema: &ToolSchema, aliases: &Aliases) -> Self {
        let parts: Vec<&str> = schema.name.split(['_', '.', '-']).filter(|p| !p.is_empty()).collect();
        let verb_of = |p: &str| en::VERBS.iter().find(|(v, _)| *v == p);
        let objects: Vec<&str> =
            parts.iter().filter(|p| !en::PLAIN_VERBS.contains(p) && verb_of(p).is_none()).copied().collect();
        let verb = parts.iter().find_map(|p| verb_of(p));
        // A name that is nothing but a verb is its own topic.
        let heads: Vec<&str> = match objects.as_slice() {
            [] => parts.clone(),
            some => some.to_vec(),
        };
        let mut topics = BTreeSet::new();
        for head in &heads {
            let head = stem(head);
            let head = en::ALSO_CALLED.iter().find(|(a, _)| *a == head).map_or(head, |(_, b)| (*b).to_owned());
            topics.extend(en::TOPICS.iter().filter(|row| row[0] == head).flat_map(|row| row.iter().map(|w| stem(w))));
            topics.insert(head);
        }
        if objects.is_empty()
            && let Some((_, words)) = verb
        {
            topics.extend(words.iter().map(|w| stem(w)));
        }
        let mut known: BTreeSet<String> = topics
            .iter()
            .filter(|t| !en::NO_NAMES.contains(&t.as_str()) && !matches!(t.as_str(), "dim" | "brightness"))
            .cloned()
            .collect();
        known.extend(tokens(&schema.description).iter().filter(|w| !is_empty(w)).map(|w| stem(w)));
        known.extend(parts.iter().map(|p| stem(p)));
        let plays =
            parts.iter().any(|p| matches!(*p, "play" | "music" | "media" | "stream" | "song" | "audio" | "playback"));
        let mutes = parts.contains(&"mute");
        let opens = heads.iter().any(|h| en::OPENS.contains(&stem(h).as_str()) || *h == "cover");
        let any_device = heads.iter().any(|h| en::DEVICES.contains(&stem(h).as_str()));
        let opposite =
            parts.iter().find_map(|p| en::OPPOSITES.iter().find(|(v, _)| v == p)).map_or(&[][..], |(_, w)| w);
        let values = |v: &String| {
            schema.params.iter().any(|p| matches!(&p.kind, ParamType::Enum { values } if values.contains(v)))
        };
        let aliases = aliases.iter().filter(|(v, _)| values(v)).cloned().collect();
        Self { verb: verb.map(|(_, w)| *w), opposite, topics, known, any_device, opens, plays, mutes, aliases }
    }

    /// Whether one of the words says what the tool is for.
    pub(super) fn is_named(&self, words: &[Said]) -> bool {
        words.iter().any(|w| !w.free && self.topics.contains(&stem(&w.text)))
    }

    /// The argument whose words its truth values are said in: to mute is to turn silence on.
    pub(super) fn state<'a>(&self, argument: &'a str) -> &'a str {
        if self.mutes { "mute" } else { argument }
    }

    /// Whether the tool's purpose explains `word`.
    pub(super) fn explains(&self, word: &str) -> bool {
        self.known.contains(&stem(word))
    }

    pub(super) fn is_topic(&self, word: &str) -> bool {
        self.topics.contains(&stem(word))
    }
}

/// Whether people would call it a place in the house.
pub(in crate::tools) fn is_place(name: &str) -> bool {
    let name = tokens(name).join(" ");
    let name = name.strip_prefix("the ").or_else(|| name.strip_prefix("my ")).unwrap_or(&name);
    en::PLACES.iter().any(|p| *p == name || stem(p) == stem(name))
}
