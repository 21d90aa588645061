//! Orders without a verb.

use super::lex::Word;

const DETERMINERS: &[&str] = &["the", "my", "our", "a", "an", "your", "one"];

/// An order without a verb behind a link: "and quieter", "then hallway lights off", "and message Ben that …".
pub(super) fn order(w: &[Word], firmly: bool) -> bool {
    let alone = w.first().is_some_and(|x| {
        x.any(&[
            "quieter", "louder", "softer", "unpause", "mute", "unmute", "pause", "resume", "skip", "undo", "snooze",
        ])
    });
    let step =
        w.len() >= 2 && w[0].any(&["next", "previous", "last"]) && w[1].any(&["track", "song", "one", "station"]);
    let sent =
        w.len() >= 4 && w[0].any(&["message", "text", "tell"]) && w[1..4].iter().any(|x| x.any(&["that", "saying"]));
    let thing = |x: &Word| {
        x.any(&["light", "lights", "lamp", "lamps", "door", "blinds", "shades", "curtains", "shutters", "fan", "tv"])
    };
    let state =
        (1..w.len().min(5)).any(|k| w[k].any(&["on", "off", "open", "closed", "up", "down"]) && thing(&w[k - 1]));
    let ends = (2..=5).contains(&w.len())
        && w.last().is_some_and(|x| x.any(&["on", "off"]))
        && !w.iter().any(|x| x.any(DETERMINERS));
    let played = firmly && w.len() >= 2 && w[0].any(&["play", "listen"]);
    played || (firmly && ends) || (alone && w.len() <= 3) || step || sent || (firmly && state && !w[0].any(DETERMINERS))
}
