//! Numbers that are names: Room 404, Flight 1549, Boeing 747-800, 221B Baker Street. Said in pairs, as people do.

use super::lexer::{Said, Token, at_start, next_word};
use super::number;
use Token::{Num, Space, Sym, Word};

/// What has a number for a name.
const LABELS: [&str; 17] = [
    "porsche",
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
    "http",
];

/// Whether a street's name comes: "Main St", "N. 5th Ave." within a few words.
pub(super) fn street_ahead(after: &[Token]) -> bool {
    const STREETS: [&str; 14] =
        ["St", "Street", "Ave", "Avenue", "Rd", "Road", "Blvd", "Boulevard", "Dr", "Drive", "Ln", "Lane", "Way", "Hwy"];
    let named = |t: &&Token| match t {
        Word(w) => w.starts_with(char::is_uppercase) || matches!(*w, "st" | "nd" | "rd" | "th"),
        Num(_) | Space | Sym('.') => true,
        Sym(_) => false,
    };
    let words: Vec<&str> = after.iter().take(9).take_while(named).filter_map(|t| t.word()).collect();
    words.iter().skip(1).any(|w| STREETS.contains(w))
}

/// Room 404, Flight 1549, Boeing 737-800, Airbus A320, 221B
pub(super) fn labelled(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let value: u64 = n.parse().ok()?;
    if matches!(after, [Sym('.' | ',' | ':' | '/'), Num(_), ..]) || n.starts_with('0') {
        return None;
    }
    let house = matches!(after, [Word(w), Space, street, ..] if w.len() == 1 && street.is_capitalized());
    let house = at_start(before)
        && (house && n.len() == 3 || matches!(after.first(), Some(Space)) && street_ahead(after))
        && !matches!(before.last(), Some(Sym('$' | '€' | '£' | '-' | '–')));
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
