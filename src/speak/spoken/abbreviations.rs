//! Titles, Latin shorthand, initials, compass points and acronyms.

use super::arc::compass;
use super::label::street_ahead;
use super::lexer::{Said, Token, at_start, next_word, sentence_ends, word_before};
use super::shorthand::{When, entries};
use Token::{Num, Space, Sym, Word};

/// Dr. Smith, Main St., tbsp., No. 5: the list of shorthand
pub(super) fn shorthand(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    if matches!(before.last(), Some(Word(_) | Num(_) | Sym('\'' | '@' | '&'))) {
        return None;
    }
    let dot = usize::from(matches!(after.first(), Some(Sym('.'))));
    let behind = &after[dot..];
    let name_follows = matches!(behind, [Space, next, ..] if next.is_capitalized());
    let number_follows = matches!(behind, [Space, Num(_), ..])
        || next_word(behind) == Some("of")
        || matches!(next_word(behind), Some(w) if w.chars().all(|c| "IVXL".contains(c)))
        || (dot == 1 && matches!(behind, [Num(_), ..]))
        || matches!(behind, [Sym(':'), Space, Num(_) | Sym('+' | '('), ..] | [Space, Sym('+' | '(' | '~'), ..]);
    let name_before = match before {
        [.., last, Sym(','), Space] => last.is_capitalized(),
        [.., last, Space] => last.is_capitalized() || ordinal_before(before),
        _ => false,
    };
    let capital = w.starts_with(char::is_uppercase);
    // "et al." is not Al
    if *w == "Al" {
        return None;
    }
    let entry = entries(w).find(|s| {
        let fits = match s.when {
            When::Dotted => dot == 1,
            When::Number => dot == 1 && number_follows,
            When::Name => dot == 1 && name_follows,
            When::AfterName => {
                let bare = matches!(*w, "St" | "Ave" | "Rd" | "Ln") && !name_follows;
                let street = matches!(s.said, "Avenue" | "Road") && next_word(behind) == Some("of");
                (dot == 1 || bare) && (name_before && (ordinal_before(before) || !honorific(before)) || street)
                    || s.said == "Company" && dot == 1 && matches!(before, [.., Sym('&'), Space])
            }
            When::Inside => {
                dot == 1
                    && !sentence_ends(behind)
                    && !matches!(word_before(before).as_deref(), Some("mr" | "ask"))
                    && (!capital || !acts(behind))
            }
            When::Bare => true,
            When::BareName => name_follows,
        };
        fits && (capital || !s.said.starts_with(char::is_uppercase))
    })?;
    let stop = if dot == 1 && sentence_ends(behind) { "." } else { "" };
    Some((1 + dot, format!("{}{stop}", entry.said)))
}

/// "Max. is here": a name
fn acts(behind: &[Token]) -> bool {
    next_word(behind).is_some_and(|w| matches!(w, "is" | "was" | "has" | "had" | "will" | "can" | "said" | "says"))
}

/// "5th St."
fn ordinal_before(before: &[Token]) -> bool {
    matches!(before, [.., Num(_), Word("st" | "nd" | "rd" | "th"), Space])
}

/// "Mr. Dr." is no drive
fn honorific(before: &[Token]) -> bool {
    matches!(word_before(before).as_deref(), Some("dear" | "the" | "and" | "hi" | "hello" | "thanks" | "prof"))
        || before.iter().all(|t| !t.is_capitalized())
}

/// e.g., i.e., a.m., a.k.a., w/, v2.
pub(super) fn latin(before: &[Token], rest: &[Token]) -> Said {
    if matches!(before.last(), Some(Word(_) | Num(_))) {
        return None;
    }
    let dotted = |letters: &[&str]| {
        let fits = letters.iter().enumerate().all(|(i, l)| {
            matches!(rest.get(2 * i), Some(Word(w)) if w.eq_ignore_ascii_case(l))
                && (matches!(rest.get(2 * i + 1), Some(Sym('.'))))
        });
        fits.then_some(letters.len() * 2)
    };
    if let Some(used) = dotted(&["e", "g"]) {
        return Some((used, "for example".into()));
    }
    if let Some(used) = dotted(&["i", "e"]) {
        return Some((used, "that is".into()));
    }
    if let Some(used) = dotted(&["a", "k", "a"]) {
        return Some((used, "also known as".into()));
    }
    for half in ["a", "p"] {
        if let Some(used) = dotted(&[half, "m"]).filter(|_| rest[0] == Word(half)) {
            let stop = if sentence_ends(&rest[used..]) { "." } else { "" };
            return Some((used, format!("{}M{stop}", half.to_uppercase())));
        }
    }
    match rest {
        [Word("eg"), Space | Sym(','), ..] => Some((1, "for example".into())),
        [Word("ie"), Space | Sym(','), ..] => Some((1, "that is".into())),
        [Word("aka"), Space, ..] => Some((1, "also known as".into())),
        [Word("w"), Sym('/'), Word("o"), ..] => Some((3, "without".into())),
        [Word("w"), Sym('/'), Space | Word(_), ..] => Some((2, "with ".into())),
        [Word("b"), Sym('/'), Word("c"), Space, ..] => Some((3, "because".into())),
        [Word("est" | "Est"), Sym('.'), Space, Num(y), ..] if super::lexer::parse(y, 4..=4, 1500..=2099).is_some() => {
            Some((2, "established".into()))
        }
        [Word("v" | "V"), Num(_), Sym('.'), ..] if at_start(before) => Some((1, "version".into())),
        [Word("v"), Space, next, ..]
            if next.is_capitalized() && matches!(before, [.., last, Space] if last.is_capitalized()) =>
        {
            Some((1, "versus".into()))
        }
        _ => None,
    }
}

/// U.S., D.C., J. R. Smith, Ph.D., M.Sc.: letters one by one
pub(super) fn initials(before: &[Token], rest: &[Token]) -> Said {
    if matches!(before.last(), Some(Word(_) | Num(_) | Sym('\''))) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    while let [t @ Word(w), Sym('.'), ..] = &rest[parts.len() * 2..]
        && t.is_capitalized()
        && w.chars().count() <= 4
        && !w.contains('\'')
    {
        parts.push(*w);
    }
    let single = |w: &&str| w.chars().count() == 1;
    let mut used = parts.len() * 2;
    // "U.S" without its last dot
    if parts.iter().all(single)
        && !parts.is_empty()
        && let Some(t @ Word(w)) = rest.get(used)
        && single(w)
        && t.is_capitalized()
    {
        parts.push(w);
        used += 1;
    }
    let after = &rest[used..];
    let letters = parts.iter().map(|w| if w.chars().count() <= 2 { spelled(w) } else { (*w).to_owned() });
    let letters = letters.collect::<Vec<_>>().join(" ");
    match parts.len() {
        0 => None,
        1 if !single(&parts[0]) => None,
        1 if matches!(after, [Space, next, ..] if next.is_capitalized()) && parts[0] != "I" => Some((used, letters)),
        1 => None,
        _ if !parts.iter().any(single) => None,
        _ => {
            let stop = if sentence_ends(after) { "." } else { "" };
            Some((used, format!("{letters}{stop}")))
        }
    }
}

fn spelled(w: &str) -> String {
    w.chars().flat_map(char::to_uppercase).map(String::from).collect::<Vec<_>>().join(" ")
}

/// Words of capitals that are said letter by letter, though they could be read as words.
const SPELLED: [&str; 22] = [
    "AQI", "ECG", "EKG", "IQ", "ETA", "HVAC", "AWS", "EV", "UPS", "UAE", "LED", "OLED", "IOT", "AED", "ERP", "IRC",
    "ISP", "ISO", "ETF", "IPO", "IRS", "ICU",
];

/// AQI, PhD, AM radio
pub(super) fn acronym(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    if matches!(before.last(), Some(Word(_) | Num(_) | Sym('.' | '@' | '_'))) {
        return None;
    }
    match *w {
        "PhD" | "Phd" => return Some((1, "P H D".into())),
        "PhDs" => return Some((1, "P H Ds".into())),
        "LEDs" => return Some((1, "L E Dees".into())),
        "EVs" => return Some((1, "E Vs".into())),
        "IoT" => return Some((1, "I O T".into())),
        "OLED" => return Some((1, "O LED".into())),
        "AD" | "CE" if matches!(after, [Space, Num(_), ..]) => return Some((1, spelled(w))),
        "AM" if matches!(after.first(), Some(Sym('/'))) || next_word(after) == Some("radio") => {
            return Some((1, "A M".into()));
        }
        _ => {}
    }
    SPELLED.contains(w).then(|| (1, spelled(w)))
}

/// "Pennsylvania Ave. NW"
fn street_before(before: &[Token]) -> bool {
    matches!(before, [.., Word(w), Space] | [.., Word(w), Sym('.' | ','), Space] | [.., Word(w), Sym('.'), Sym(','), Space]
        if matches!(*w, "St" | "Street" | "Ave" | "Avenue" | "Rd" | "Road" | "Blvd" | "Dr" | "Drive" | "Way"))
}

/// Wind from the NNW, 100 N. 5th St.
pub(super) fn direction(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let name = compass(w).filter(|_| at_start(before))?;
    let dot = usize::from(matches!(after.first(), Some(Sym('.'))));
    let street = || matches!(before, [.., Num(_), Space] | [.., Num(_), Word(_), Space]) && street_ahead(&after[dot..]);
    if w.len() == 1 && street() && matches!(after.get(dot), Some(Space)) {
        let capital = format!("{}{}", &name[..1].to_uppercase(), &name[1..]);
        return Some((1 + dot, capital));
    }
    let wind = before.iter().rev().filter_map(|t| t.word()).take(3).any(|w| {
        matches!(
            w.to_lowercase().as_str(),
            "wind"
                | "winds"
                | "from"
                | "heading"
                | "facing"
                | "blowing"
                | "gusts"
                | "bearing"
                | "course"
                | "due"
                | "breeze"
        )
    });
    let fits = match w.len() {
        1 => matches!(word_before(before).as_deref(), Some("heading" | "facing" | "due" | "bearing")),
        2 => wind || street_before(before),
        _ => true,
    };
    let closes = sentence_ends(&after[dot..]);
    fits.then(|| (1 + dot, format!("{name}{}", if dot == 1 && closes { "." } else { "" })))
}
