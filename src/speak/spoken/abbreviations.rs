//! Titles, Latin shorthand, initials and other words cut short.

use super::english::Said;
use super::lexer::{Token, sentence_ends, word_before};
use Token::{Num, Space, Sym, Word};

/// Dr. Smith, Mrs Lee, St. Mary, Main St.
pub(super) fn title(before: &[Token], rest: &[Token]) -> Said {
    let [Word(w), after @ ..] = rest else { return None };
    let dot = usize::from(matches!(after.first(), Some(Sym('.'))));
    let name_follows = matches!(&after[dot..], [Space, next, ..] if next.is_capitalized());
    let name_before = matches!(before, [.., last, Space] if last.is_capitalized());
    let said = match *w {
        "Mr" => "Mister",
        "Mrs" => "Missus",
        "Ms" => "Miz",
        "Dr" if name_follows => "Doctor",
        "Prof" if dot == 1 => "Professor",
        "Capt" if dot == 1 && name_follows => "Captain",
        "Sgt" if dot == 1 && name_follows => "Sergeant",
        "Lt" if dot == 1 && name_follows => "Lieutenant",
        "Gen" if dot == 1 && name_follows => "General",
        "Rev" if dot == 1 && name_follows => "Reverend",
        "Sen" if dot == 1 && name_follows => "Senator",
        "Gov" if dot == 1 && name_follows => "Governor",
        "Mt" if dot == 1 && name_follows => "Mount",
        "Jr" if dot == 1 => return Some(shortened(after, "Junior")),
        "Sr" if dot == 1 => return Some(shortened(after, "Senior")),
        "St" if dot == 1 && name_before => return Some(shortened(after, "Street")),
        "St" if name_follows => "Saint",
        "Ave" if dot == 1 && name_before => return Some(shortened(after, "Avenue")),
        "Blvd" if dot == 1 && name_before => return Some(shortened(after, "Boulevard")),
        "Rd" if dot == 1 && name_before => return Some(shortened(after, "Road")),
        _ => return None,
    };
    Some((1 + dot, said.to_owned()))
}

/// The word for an abbreviation whose dot follows; the dot stays where it also ends the sentence.
fn shortened(after: &[Token], said: &str) -> (usize, String) {
    let stop = after.first() == Some(&Sym('.')) && sentence_ends(&after[1..]);
    (2, format!("{said}{}", if stop { "." } else { "" }))
}

pub(super) fn abbreviation(before: &[Token], rest: &[Token]) -> Said {
    if matches!(before.last(), Some(Word(_) | Num(_))) {
        return None;
    }
    match rest {
        [Word("e" | "E"), Sym('.'), Word("g"), Sym('.'), ..] => return Some((4, "for example".into())),
        [Word("i" | "I"), Sym('.'), Word("e"), Sym('.'), ..] => return Some((4, "that is".into())),
        [Word(h @ ("a" | "p")), Sym('.'), Word("m"), Sym('.'), after @ ..] => {
            let stop = if sentence_ends(after) { "." } else { "" };
            return Some((4, format!("{}M{stop}", h.to_uppercase())));
        }
        [Word("a"), Sym('.'), Word("k"), Sym('.'), Word("a"), Sym('.'), ..] => {
            return Some((6, "also known as".into()));
        }
        [Word("w"), Sym('/'), Word("o"), Space, ..] => return Some((3, "without".into())),
        [Word("w"), Sym('/'), Space, ..] => return Some((2, "with".into())),
        [Word("v" | "V"), Num(_), Sym('.'), ..] => return Some((1, "version".into())),
        _ => {}
    }
    let [Word(w), after @ ..] = rest else { return None };
    let dotted = matches!(after.first(), Some(Sym('.')));
    let number_follows = matches!(after, [Sym('.'), Space, Num(_), ..] | [Sym('.'), Num(_), ..]);
    let said = match *w {
        "LED" => return Some((1, "L E D".into())),
        "LEDs" => return Some((1, "L E Dees".into())),
        "vs" if !dotted => return Some((1, "versus".into())),
        _ if !dotted => return None,
        "No" | "no" | "Nr" | "nr" if number_follows => "number",
        "p" if number_follows => "page",
        "pp" if number_follows => "pages",
        "Fig" | "fig" if number_follows => "figure",
        "Vol" | "vol" if number_follows => "volume",
        "Ch" | "ch" if number_follows => "chapter",
        "ext" | "Ext" if number_follows => "extension",
        "etc" => "et cetera",
        "vs" => return Some((2, "versus".into())),
        "approx" | "Approx" => return Some((2, "approximately".into())),
        "max" | "Max" if is_shorthand(before, after) => "maximum",
        "min" | "Min" if is_shorthand(before, after) => "minimum",
        "avg" | "Avg" => "average",
        "dept" | "Dept" => "department",
        "est" if number_follows => "estimated",
        "Inc" => "Incorporated",
        "Ltd" => "Limited",
        "Corp" => "Corporation",
        "Co" if matches!(before, [.., last, Space] if last.is_capitalized()) => "Company",
        _ => return None,
    };
    Some(shortened(after, said))
}

/// "max. 5 kg", but not the man's name at the end of a sentence.
fn is_shorthand(before: &[Token], after: &[Token]) -> bool {
    !sentence_ends(after.get(1..).unwrap_or_default()) && word_before(before).as_deref() != Some("mr")
}

/// U.S., D.C., J. R. Smith: letters one by one.
pub(super) fn initials(before: &[Token], rest: &[Token]) -> Said {
    let letter = |t: &Token| matches!(t, Token::Word(w) if w.chars().count() == 1 && t.is_capitalized());
    if matches!(before.last(), Some(Word(_) | Num(_) | Sym('\''))) {
        return None;
    }
    let mut letters = Vec::new();
    while let [t @ Word(w), Sym('.'), ..] = &rest[letters.len() * 2..]
        && letter(t)
    {
        letters.push(*w);
    }
    let used = letters.len() * 2;
    let after = &rest[used..];
    match letters.len() {
        0 => None,
        1 if matches!(after, [Space, next, ..] if next.is_capitalized()) && letters[0] != "I" => {
            Some((used, letters[0].to_owned()))
        }
        1 => None,
        _ => {
            let stop = after.iter().all(|t| !matches!(t, Word(_) | Num(_)));
            Some((used, format!("{}{}", letters.join(" "), if stop { "." } else { "" })))
        }
    }
}
