//! Numbers that are names: Room 404, Flight 1549, Boeing 747-800, 221B Baker Street. Said in pairs, as people do.

use super::lexer::{Said, Token, at_start, next_word};
use super::number;
use Token::{Num, Space, Sym, Word};

/// What has a number for a name.
const LABELS: [&str; 15] = [
    "room",
    "flight",
    "highway",
    "route",
    "interstate",
    "suite",
    "apartment",
    "apt",
    "boeing",
    "airbus",
    "error",
    "gate",
    "bus",
    "hwy",
    "rm",
];

/// Room 404, Flight 1549, Boeing 737-800, Airbus A320, 221B
pub(super) fn labelled(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let value: u64 = n.parse().ok()?;
    if matches!(after, [Sym('.' | ',' | ':' | '/'), Num(_), ..]) || n.starts_with('0') {
        return None;
    }
    let house = matches!(after, [Word(w), Space, street, ..] if w.len() == 1 && street.is_capitalized());
    let house = house && n.len() == 3 && at_start(before);
    let named = match before {
        [.., Word("Airbus"), Space, Word("A")] => true,
        [.., Word("Flight" | "flight"), Space, Word(w)] | [.., Word("Flight" | "flight"), Space, Word(w), Space] => {
            w.len() == 2
        }
        [.., Word(w), Space] | [.., Word(w), Sym('.'), Space] => {
            LABELS.contains(&w.to_lowercase().as_str()) || matches!(*w, "Bus" | "Studio" | "Area" | "Tram")
        }
        [.., Word("Boeing"), Space, Num(_), Sym('-')] => true,
        [.., Word("I" | "US"), Sym('-')] => true,
        _ => false,
    };
    ((named || house) && (3..=4).contains(&n.len()) && next_word(after) != Some("people"))
        .then(|| (1, number::label(value)))
}
