//! What can be asked, told from what is offered.

use serde_json::json;

use crate::tools::{Outcome, Registry, listed};

/// Most of the owner's commands that are named: more would be a speech.
const COMMANDS_MAX: usize = 6;

/// What the tools of a name let people do.
const OFFERS: &[(&[&str], &str)] = &[
    (&["get_time", "get_date"], "tell the time and the date"),
    (&["get_time"], "tell the time"),
    (&["get_date"], "tell the date"),
    (&["days_until"], "count the days"),
    (&["add_to_list"], "keep your lists"),
    (&["calculate", "convert"], "do sums and convert units"),
    (&["calculate"], "do sums"),
    (&["convert"], "convert units"),
    (&["set_volume", "volume_up"], "change the volume"),
    (&["set_volume"], "set the volume"),
    (&["volume_up"], "speak louder"),
    (&["tell_joke"], "tell jokes"),
];

impl Registry {
    pub(super) fn capabilities(&self) -> Outcome {
        let offered = |name: &str| self.schemas().iter().any(|s| s.name == name);
        let rings: Vec<String> = [("set_timer", "timers"), ("set_alarm", "alarms"), ("set_reminder", "reminders")]
            .iter()
            .filter(|(tool, _)| offered(tool))
            .map(|(_, things)| (*things).to_owned())
            .collect();
        let mut abilities: Vec<String> = Vec::new();
        if !rings.is_empty() {
            abilities.push(format!("set {}", listed(&rings)));
        }
        let mut named: Vec<&str> = Vec::new();
        for (tools, ability) in OFFERS {
            if tools.iter().all(|t| offered(t) && !named.contains(t)) {
                named.extend(*tools);
                abilities.push((*ability).to_owned());
            }
        }
        let commands: Vec<String> = self.settings.command.iter().map(|c| deed(&c.name, &c.description)).collect();
        let spoken = sentences(&abilities, &commands);
        Outcome::said(json!({ "abilities": abilities, "commands": commands }), spoken)
    }
}

/// Two or three short sentences.
fn sentences(abilities: &[String], commands: &[String]) -> String {
    let mut said: Vec<String> = Vec::new();
    // One breath each.
    let (first, second) =
        abilities.split_at(if abilities.len() > 4 { abilities.len().div_ceil(2) } else { abilities.len() });
    for (half, lead) in [(first, "I can"), (second, "I also")] {
        if !half.is_empty() {
            said.push(format!("{lead} {}.", listed(half)));
        }
    }
    let named = &commands[..commands.len().min(COMMANDS_MAX)];
    match commands.len() - named.len() {
        _ if named.is_empty() => {}
        0 => said.push(format!("Your own commands: {}.", listed(named))),
        more => said.push(format!("Your own commands: {}, and {more} more.", named.join(", "))),
    }
    if said.is_empty() { "I can only talk: no tools are switched on.".to_owned() } else { said.join(" ") }
}

/// "switches a light": what the owner wrote, within a sentence.
fn deed(name: &str, description: &str) -> String {
    let text = description.trim().trim_end_matches('.');
    if text.is_empty() {
        return name.replace('_', " ");
    }
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    match (first, second) {
        // "TV on" stays.
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
