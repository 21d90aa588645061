//! The lists' tools.

use serde_json::{Map, Value, json};

use super::times::{count, some_of};
use super::word;
use crate::tools::agenda::{Added, Removed, is_all, list_name};
use crate::tools::text::capitalized;
use crate::tools::{Outcome, Registry, listed};

/// Items read in one sentence; of more, every sentence has so many, and the first says how many there are.
const SENTENCE_ITEMS: usize = 6;

impl Registry {
    pub(super) fn add_to_list(&self, args: &Map<String, Value>) -> Outcome {
        let (item, list) = (word(args, "item"), list_name(word(args, "list")));
        let Some(item) = item else { return Outcome::failed("item: empty", "What should I add?") };
        let ok = |spoken| self.noted(Outcome::said(json!({ "ok": true, "list": list }), spoken));
        match self.agenda.add_item(&list, item) {
            Added::New => ok(format!("Added {item} to your {list} list.")),
            Added::Already => ok(format!("{} is on your {list} list already.", capitalized(item))),
            Added::Full(most) => Outcome::failed(
                format!("the list is full: {most} items"),
                format!("Your {list} list is full: {most} things are on it."),
            ),
            Added::TooManyLists(most) => Outcome::failed(
                format!("there are {most} lists already"),
                format!("You have {most} lists already. Clear one first."),
            ),
        }
    }

    pub(super) fn remove_from_list(&self, args: &Map<String, Value>) -> Outcome {
        let (item, list) = (word(args, "item"), list_name(word(args, "list")));
        let Some(item) = item else { return Outcome::failed("item: empty", "What should I take off?") };
        match self.agenda.remove_item(&list, item) {
            Removed::Gone(text) => self.noted(Outcome::said(
                json!({ "ok": true, "removed": text, "list": list }),
                format!("Took {text} off your {list} list."),
            )),
            Removed::Unknown => Outcome::failed(
                format!("{item:?} is not on the list"),
                format!("{} isn't on your {list} list.", capitalized(item)),
            ),
            Removed::Which(items) => Outcome::failed(
                format!("several items may be meant: {}", items.join("; ")),
                format!("Which one: {}?", some_of(&items, SENTENCE_ITEMS)),
            ),
        }
    }

    pub(super) fn read_list(&self, asked: Option<&str>) -> Outcome {
        let name = list_name(asked);
        if asked.is_some_and(|a| is_all(a.trim_end_matches("lists").trim_end())) {
            let names = self.agenda.list_names();
            let spoken = match names.as_slice() {
                [] => "Your lists are empty.".to_owned(),
                [one] => format!("You have one list: {one}."),
                many => format!("You have {} lists: {}.", many.len(), listed(many)),
            };
            return Outcome::said(json!({ "lists": names }), spoken);
        }
        let Some(items) = self.agenda.items(&name) else {
            // The two that everybody has are there before anything is on them.
            if matches!(name.as_str(), "shopping" | "to-do") {
                return Outcome::said(json!({ "list": name, "items": [] }), format!("Your {name} list is empty."));
            }
            return Outcome::failed(format!("there is no list {name:?}"), format!("You have no {name} list."));
        };
        let spoken = match items.len() {
            0 => format!("Your {name} list is empty."),
            1..=SENTENCE_ITEMS => format!("On your {name} list: {}.", listed(&items)),
            n => {
                // A first sentence that is short is heard early.
                let rest: Vec<String> =
                    items.chunks(SENTENCE_ITEMS).map(|c| format!("{}.", capitalized(&c.join(", ")))).collect();
                format!("{} things are on your {name} list. {}", count(n), rest.join(" "))
            }
        };
        Outcome::said(json!({ "list": name, "items": items }), spoken)
    }

    pub(super) fn clear_list(&self, asked: Option<&str>) -> Outcome {
        let name = match asked {
            Some(all) if is_all(all.trim_end_matches("lists").trim_end()) => "all".to_owned(),
            asked => list_name(asked),
        };
        let spoken = match (self.agenda.clear_list(&name), name.as_str()) {
            (0, "all") => "Your lists are empty already.".to_owned(),
            (_, "all") => "All your lists are empty now.".to_owned(),
            (0, name) => format!("Your {name} list is empty already."),
            (_, name) => format!("Your {name} list is empty now."),
        };
        self.noted(Outcome::said(json!({ "ok": true }), spoken))
    }
}
