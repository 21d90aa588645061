//! Numbers with units: percent, degrees, feet and inches, dimensions, stone and pounds.
//!
//! Defaults: "m" is meters; 16 A is amps unless a seat, gate or paper has that name; "in" is inches only where what
//! follows cannot be a place or time; a unit is singular where it stands before a noun ("a 5 km run").

use super::arc;
use super::cardinal::read;
use super::label::street_ahead;
use super::lexer::{Said, Token, at_start, label_before, next_word, sentence_ends, word_before};
use super::number;
use super::units::{per, read_unit, unit};
use Token::{Num, Space, Sym, Word};

/// A number and what it counts.
pub(super) fn with_unit(before: &[Token], rest: &[Token]) -> Said {
    let amount = read(before, rest)?;
    if matches!(before.last(), Some(Word(_) | Num(_)))
        && !matches!(before, [.., Num(_) | Sym('\'' | '"'), Word("x" | "X")])
        && matches!(rest.first(), Some(Num(_)))
    {
        return None;
    }
    let after = &rest[amount.used..];
    let space = usize::from(matches!(after.first(), Some(Space)));
    let words = &amount.words;
    let said = |used: usize, what: &str| Some((amount.used + used, format!("{words} {what}")));
    let tail = &after[space..];
    match tail {
        [Sym('%'), more @ ..] => {
            let (used, each) = per(more).unwrap_or_default();
            return said(space + 1 + used, &format!("percent{each}"));
        }
        [Sym('‰'), ..] => return said(space + 1, "per mille"),
        [Sym('°'), scale @ ..] => {
            let degree = if amount.one { "degree" } else { "degrees" };
            let gap = usize::from(matches!(scale.first(), Some(Space)));
            let (used, name) = match scale.get(gap) {
                Some(Word("C" | "c")) => (gap + 1, " Celsius"),
                Some(Word("F")) => (gap + 1, " Fahrenheit"),
                Some(Word(w)) if arc::compass(w).is_some() && w.len() == 1 => {
                    return said(space + 2 + gap, &format!("{degree} {}", arc::compass(w)?));
                }
                _ => match arc::minutes(scale) {
                    Some((used, arc)) => return said(space + 1 + used, &format!("{degree} {arc}")),
                    None => (0, ""),
                },
            };
            let rate = matches!(&scale[used..], [Sym('/'), Word(w), ..]
                if unit(w).is_some() || matches!(*w, "hour" | "minute" | "day" | "week" | "year"));
            let (more, each) = per(&scale[used..]).filter(|_| rate).unwrap_or_default();
            let degree = if modifies(before, &scale[used + more..]) { "degree" } else { degree };
            return said(space + 1 + used + more, &format!("{degree}{name}{each}"));
        }
        [Word("x" | "X") | Sym('×'), next @ ..] if space == 0 && !matches!(next.first(), Some(Num(_) | Sym('-'))) => {
            return said(1, "times");
        }
        [Word("in"), more @ ..] if inches(before, space, more) => {
            let dot = shortening_dot(more);
            return said(space + 1 + dot, if amount.one || modifies(before, &more[dot..]) { "inch" } else { "inches" });
        }
        [Sym('"'), more @ ..]
            if space == 0 && before.iter().filter(|t| **t == Sym('"')).count() % 2 == inch_marks(before) =>
        {
            let one = amount.one
                || next_word(more).is_some_and(|w| w.starts_with(char::is_lowercase) && w != "x" && !follows(w));
            return said(1, if one { "inch" } else { "inches" });
        }
        [Sym('\''), more @ ..]
            if space == 0 && matches!(more.first(), None | Some(Space | Sym('.' | ',' | ')'))) && !quoted(before) =>
        {
            let one = next_word(more).is_some_and(|w| w.starts_with(char::is_lowercase) && w != "x" && !follows(w));
            return said(1, if amount.one || one { "foot" } else { "feet" });
        }
        [Word("C" | "F"), more @ ..]
            if temperature(before, rest, amount.used) && !matches!(more.first(), Some(Num(_))) =>
        {
            let scale = if tail[0] == Word("C") { "Celsius" } else { "Fahrenheit" };
            return said(space + 1, &format!("{} {scale}", if amount.one { "degree" } else { "degrees" }));
        }
        [Word("deg"), Sym('.'), Space, Word(s @ ("C" | "F")), ..] => {
            return said(space + 4, if *s == "C" { "degrees Celsius" } else { "degrees Fahrenheit" });
        }
        [Word("deg"), Space, Word(s @ ("C" | "F")), ..] => {
            return said(space + 3, if *s == "C" { "degrees Celsius" } else { "degrees Fahrenheit" });
        }
        [Word("pt"), Space, Word("font" | "type" | "text" | "size"), ..] => return said(space + 1, "point"),
        [Word("c"), Sym('.'), Space, next, ..] if next.is_lower() => {
            return said(space + 2, if amount.one { "cup" } else { "cups" });
        }
        [Sym('-'), joined @ ..] if space == 0 => {
            let (used, one, _) = read_unit(joined)?;
            return Some((amount.used + 1 + used, format!("{words}-{one}")));
        }
        _ => {}
    }
    let (used, one, many) = read_unit(tail)?;
    if let Some(Word(w)) = tail.first()
        && doubtful(w, before, space, &tail[used..])
    {
        return None;
    }
    let singular = amount.one || modifies(before, &tail[used..]);
    said(space + used, if singular { &one } else { &many })
}

fn shortening_dot(after: &[Token]) -> usize {
    usize::from(matches!(after.first(), Some(Sym('.'))) && !sentence_ends(&after[1..]))
}

/// "a 5 km run": an article in front and a noun behind
fn modifies(before: &[Token], after: &[Token]) -> bool {
    let article = matches!(
        word_before(before).as_deref(),
        Some("a" | "an" | "the" | "this" | "that" | "each" | "every" | "per" | "by" | "x" | "another" | "one")
    ) || matches!(before, [.., Sym('×') | Word("x"), Space | Num(_)] | [.., Sym('×') | Word("x")]);
    let noun = next_word(after).is_some_and(|w| MEASURED.contains(&w.strip_suffix('s').unwrap_or(w)));
    // "a 5 m tall tree", but not "it is 5 m tall"
    let sized = match after {
        [Space, Word("tall" | "wide" | "long" | "deep" | "high" | "thick"), more @ ..] => next_word(more),
        _ => None,
    };
    let small = |w: &str| w.starts_with(char::is_lowercase) && !follows(w);
    noun || article && (next_word(after).is_some_and(small) || sized.is_some_and(small))
}

/// Things that are named with their measure, with an article or without: "12 volt battery".
const MEASURED: [&str; 56] = [
    "wind",
    "movie",
    "video",
    "microwave",
    "heater",
    "lamp",
    "tv",
    "pool",
    "rug",
    "rope",
    "cable",
    "hose",
    "pipe",
    "ladder",
    "board",
    "steak",
    "burger",
    "tank",
    "limit",
    "dash",
    "sprint",
    "pan",
    "skillet",
    "pizza",
    "ruler",
    "dose",
    "battery",
    "batterie",
    "bulb",
    "bag",
    "tablet",
    "pill",
    "capsule",
    "camera",
    "speaker",
    "fuse",
    "plug",
    "motor",
    "charger",
    "adapter",
    "engine",
    "bottle",
    "screen",
    "monitor",
    "drive",
    "turn",
    "angle",
    "weight",
    "dumbbell",
    "race",
    "run",
    "walk",
    "radius",
    "hike",
    "resistor",
    "jack",
];

/// Words behind a quantity that are no noun it measures.
fn follows(w: &str) -> bool {
    matches!(
        w,
        "of" | "in"
            | "at"
            | "to"
            | "from"
            | "and"
            | "or"
            | "per"
            | "away"
            | "long"
            | "wide"
            | "tall"
            | "high"
            | "deep"
            | "thick"
            | "ago"
            | "later"
            | "is"
            | "was"
            | "are"
            | "for"
            | "on"
            | "by"
            | "a"
            | "an"
            | "the"
            | "with"
            | "than"
            | "off"
            | "left"
            | "more"
            | "less"
            | "each"
            | "now"
            | "today"
            | "every"
            | "if"
            | "when"
            | "while"
            | "before"
            | "after"
            | "of-"
            | "that"
            | "it"
            | "we"
            | "you"
            | "outside"
            | "inside"
            | "warmer"
            | "colder"
            | "faster"
            | "tomorrow"
            | "do"
            | "does"
            | "gave"
            | "will"
            | "has"
            | "had"
            | "as"
            | "up"
            | "down"
            | "above"
            | "below"
            | "over"
            | "under"
    )
}

/// Whether "in" behind a number is inches.
fn inches(before: &[Token], space: usize, after: &[Token]) -> bool {
    if space == 0 {
        return !matches!(after.first(), Some(Num(_)));
    }
    let feet = matches!(before, [.., Word("ft" | "feet" | "foot"), Space] | [.., Word("ft"), Sym('.'), Space]);
    let measured = |w: &str| {
        matches!(
            w,
            "long"
                | "wide"
                | "tall"
                | "high"
                | "deep"
                | "thick"
                | "by"
                | "x"
                | "across"
                | "of"
                | "screen"
                | "pipe"
                | "diameter"
                | "hg"
        )
    };
    match after {
        _ if feet => true,
        [Sym('.'), tail @ ..] => {
            !sentence_ends(tail) && next_word(tail).is_none_or(|w| w.starts_with(char::is_lowercase))
                || sentence_ends(tail)
                    && word_before(before).is_some_and(|w| matches!(w.as_str(), "is" | "measures" | "by" | "x"))
        }
        [Sym(',' | ')' | '×'), ..] | [] => true,
        [Space, Sym('×'), ..] => true,
        // "a 12 in pizza"
        _ if matches!(word_before(before).as_deref(), Some("a" | "an" | "the" | "one" | "two"))
            && next_word(after).is_some_and(|w| MEASURED.contains(&w.strip_suffix('s').unwrap_or(w))) =>
        {
            true
        }
        _ => next_word(after).is_some_and(measured),
    }
}

/// How many inch marks (of quotes counted) make the next one an inch mark again: those right behind numbers are none.
fn inch_marks(before: &[Token]) -> usize {
    before.windows(2).filter(|w| matches!(w, [Num(_), Sym('"')])).count() % 2
}

/// Whether a single quote is open here ("'the 90'").
fn quoted(before: &[Token]) -> bool {
    let mut last = None;
    for (i, t) in before.iter().enumerate() {
        if *t == Sym('\'') && (i == 0 || before[i - 1] == Space) {
            last = Some(i);
        }
    }
    last.is_some_and(|i| !before[i + 1..].contains(&Sym('\'')))
}

/// "20C outside", "70 F", but not gate 20C
fn temperature(before: &[Token], rest: &[Token], used: usize) -> bool {
    let tail = &rest[used..];
    let dotted = matches!(tail, [Space, Word(_), Sym('.'), Space, next, ..] if next.is_capitalized());
    let letter = matches!(tail, [Space, Word(_), Sym('-' | '+' | '#'), ..] | [Word(_), Sym('-' | '+' | '#'), ..]);
    at_start(before) && !named(before) && !dotted && !letter && !matches!(rest.first(), Some(Sym('.')))
}

/// What has letters behind its number: "Gate 20C", "Apt. 4A".
fn named(before: &[Token]) -> bool {
    label_before(before).is_some_and(|w| {
        matches!(
            w.as_str(),
            "gate"
                | "seat"
                | "seats"
                | "room"
                | "apt"
                | "apartment"
                | "flat"
                | "unit"
                | "suite"
                | "row"
                | "section"
                | "figure"
                | "fig"
                | "block"
                | "building"
                | "terminal"
                | "platform"
                | "class"
                | "group"
                | "appendix"
                | "form"
                | "exit"
                | "table"
                | "no"
                | "number"
                | "part"
                | "step"
                | "level"
                | "grade"
                | "ste"
                | "rm"
                | "bldg"
                | "track"
                | "bus"
        )
    })
}

/// Whether a unit of one letter is none here: "seat 16A", "3 A levels", "100 N. 5th St."
fn doubtful(w: &str, before: &[Token], space: usize, after: &[Token]) -> bool {
    if w.len() > 1 {
        return false;
    }
    // "2m people": millions
    let counted = matches!(
        next_word(after),
        Some(
            "people"
                | "users"
                | "customers"
                | "views"
                | "followers"
                | "copies"
                | "jobs"
                | "viewers"
                | "subscribers"
                | "downloads"
        )
    );
    if w == "m" && space == 0 && counted {
        return true;
    }
    let letter = w.chars().all(char::is_uppercase);
    if matches!(w, "N" | "W") && street_ahead(after) {
        return true;
    }
    let graded = matches!(
        next_word(after),
        Some("levels" | "level" | "grades" | "students" | "and" | "batteries" | "is" | "was")
    ) || matches!(after, [Sym('-' | '+'), Word(_) | Space, ..]);
    let address = space == 1 && matches!(after, [Sym('.'), Space, Num(_) | Word(_), ..]);
    let initial =
        letter && address && !matches!(after, [Sym('.'), Space, Word(w), ..] if w.starts_with(char::is_lowercase));
    (letter && (named(before) || (graded && space == 1 && w == "A") || initial))
        || (w == "K" && space == 0)
        || (matches!(w, "d" | "y" | "w" | "T" | "N" | "J") && named(before))
}

/// "km/h" without a number in front
pub(super) fn bare_unit(before: &[Token], rest: &[Token]) -> Said {
    let [Word(a), Sym('/'), Word(b), ..] = rest else { return None };
    (at_start(before) && a.len() + b.len() > 2 && unit(b).is_some()).then_some(())?;
    let (_, many) = unit(a)?;
    let (used, each) = per(&rest[1..])?;
    Some((1 + used, format!("{many}{each}")))
}

/// 5'10", 6' 2", 6'2, 5'-7"; 6ft 2
pub(super) fn feet_and_inches(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    let small = |n: &str| n.len() <= 2 && n.parse().is_ok_and(|n: u8| n < 12);
    let (ft, inch, used) = match rest {
        [Num(ft), Sym('\''), Num(inch), Sym('"' | '\''), ..] => (ft, inch, 4),
        [Num(ft), Sym('\''), Space | Sym('-'), Num(inch), Sym('"'), ..] => (ft, inch, 5),
        [Num(ft), Sym('\''), Num(inch), ..] if ft.len() == 1 => (ft, inch, 3),
        [Num(ft), Word("ft"), Space, Num(inch), after @ ..]
            if !matches!(after.first(), Some(Word(_) | Sym('"' | '.' | ',' | '/' | '-' | ':')))
                && next_word(after).is_none_or(|w| unit(w).is_none() && w != "in" && w != "inches") =>
        {
            (ft, inch, 4)
        }
        _ => return None,
    };
    let used = if used == 4 && rest.get(3) == Some(&Sym('\'')) && rest.get(4) == Some(&Sym('\'')) { 5 } else { used };
    (small(inch) && ft.len() <= 2).then(|| (used, format!("{} foot {}", number::whole(ft), number::whole(inch))))
}
