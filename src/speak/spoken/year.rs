//! Years and decades: 1984, 2019/20, 44 BC, 1990s, '80s.
//!
//! Defaults: four digits from 1900 on are a year unless something is counted ("2000 steps"); earlier ones need a word
//! such as "in", an era or a range beside them.

use super::cardinal::read_digits;
use super::lexer::{Said, Token, at_start, label_before, next_word, sentence_ends, word_before};
use super::number::{self, cardinal, year as year_words};
use Token::{Num, Space, Sym, Word};

/// 1990s, '80s, the 80s, her 40s; '24
pub(super) fn decade(before: &[Token], rest: &[Token]) -> Said {
    // "100s of photos"
    if let Some(d) = read_digits(rest)
        && matches!(&rest[d.used..], [Word("s"), Space, Word("of"), ..])
        && let Some(many) = match d.int.as_str() {
            "10" => Some("tens"),
            "100" => Some("hundreds"),
            "1000" => Some("thousands"),
            "1000000" => Some("millions"),
            _ => None,
        }
    {
        return Some((d.used + 1, many.to_owned()));
    }
    let quoted = usize::from(matches!(rest, [Sym('\''), Num(_), ..]));
    if quoted == 1 && !matches!(before.last(), None | Some(Space | Sym('(' | '-' | '–' | '/'))) {
        return None;
    }
    let used = match &rest[quoted..] {
        [Num(_), Word("s"), ..] => 2,
        [Num(_), Sym('\''), Word("s"), ..] => 3,
        [Num(n), after @ ..]
            if quoted == 1 && n.len() == 2 && !matches!(after.first(), Some(Word(_) | Sym('\'' | '"'))) =>
        {
            let y: u64 = n.parse().ok()?;
            return Some((2, if y < 10 { format!("oh {}", cardinal(y)) } else { cardinal(y) }));
        }
        _ => return None,
    };
    let [Num(n), ..] = &rest[quoted..] else { return None };
    let years: u64 = n.parse().ok()?;
    let context = || {
        quoted == 1
            || next_word(&rest[used..]).is_some_and(|w| {
                matches!(
                    w,
                    "music" | "movies" | "films" | "fashion" | "style" | "rock" | "pop" | "hits" | "kids" | "nostalgia"
                )
            })
            || matches!(before.last(), Some(Sym('-')))
            || word_before(before).is_some_and(|w| {
                matches!(
                    w.as_str(),
                    "the"
                        | "early"
                        | "late"
                        | "mid"
                        | "her"
                        | "his"
                        | "their"
                        | "my"
                        | "your"
                        | "our"
                        | "s"
                        | "and"
                        | "low"
                        | "high"
                        | "upper"
                )
            })
    };
    match (n.len(), years % 10) {
        (4, 0) if (1100..2200).contains(&years) && quoted == 0 => Some((used, number::decade(years))),
        (2, 0) if years == 10 && context() => Some((quoted + used, "tens".into())),
        (2, 0) if (20..=90).contains(&years) && context() => {
            Some((quoted + used, format!("{}ies", number::cardinal(years).trim_end_matches('y'))))
        }
        _ => None,
    }
}

/// Words after which four digits are a year even in earlier centuries.
const YEAR_CONTEXT: [&str; 19] = [
    "in", "since", "of", "year", "by", "until", "till", "from", "around", "before", "after", "circa", "during", "late",
    "early", "mid", "c", "ca", "ad",
];

const ERAS: [&str; 4] = ["AD", "BC", "BCE", "CE"];

/// 1984, 2026; earlier years where a word in front, an era or a range says so; 2019/20
pub(super) fn year(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    let era = era(after);
    let anno = matches!(before, [.., Word("AD" | "CE"), Space]);
    let y: u64 = n.parse().ok().filter(|_| n.len() <= 4)?;
    if era.is_none() && !anno && !(n.len() == 4 && (1001..=2199).contains(&y))
        || !(at_start(before) || matches!(before, [.., Word("FY" | "CY")]))
        || counted(after)
        || matches!(after.first(), Some(Word(_)))
    {
        return None;
    }
    if let Some((used, letters)) = era {
        let said = if n.len() >= 3 { number::label(y) } else { cardinal(y) };
        let said = if n.len() == 4 { year_words(y) } else { said };
        return Some((1 + used, format!("{said} {letters}")));
    }
    if anno {
        return Some((1, if n.len() == 4 { year_words(y) } else { number::label(y) }));
    }
    // the early years of the millennium are counts more often
    let early =
        matches!(word_before(before).as_deref(), Some("in" | "since" | "until" | "year" | "before" | "after" | "by"));
    if n.len() == 4 && (1001..1100).contains(&y) && y != 1024 && early && at_start(before) && !counted(after) {
        return Some((1, year_words(y)));
    }
    // "(1066)"
    if n.len() == 4 && before.last() == Some(&Sym('(')) && after.first() == Some(&Sym(')')) {
        return Some((1, year_words(y)));
    }
    let is_year = |n: &str| n.len() == 4 && n.parse().is_ok_and(|y: u64| (1100..=2199).contains(&y));
    // "2019/20": a season
    if let [Sym('/'), Num(b), tail @ ..] = after
        && b.len() == 2
        && !matches!(tail.first(), Some(Sym('/')))
        && b.parse().is_ok_and(|b: u64| b == (y + 1) % 100)
    {
        return Some((3, format!("{} {}", year_words(y), number::whole(b))));
    }
    if let [Sym('/'), Num(b), tail @ ..] = after
        && is_year(b)
        && !matches!(tail.first(), Some(Sym('/')))
    {
        return Some((2, format!("{} to", year_words(y))));
    }
    let range = matches!(after, [Sym('-' | '–'), Num(b), ..] if is_year(b))
        || matches!(before, [.., Num(a), Sym('/')] if is_year(a))
        || matches!(before, [.., Num(a), Sym('-' | '–')] if is_year(a));
    let context = matches!(before.last(), Some(Space | Sym('(')));
    let context = context && label_before(before).is_some_and(|w| YEAR_CONTEXT.contains(&w.as_str()));
    (y >= 1900 || y >= 1100 && (range || context)).then(|| (1, year_words(y)))
}

/// "AD", "B.C." behind a year: tokens read, letters
fn era(after: &[Token]) -> Option<(usize, String)> {
    match after {
        [Space, Word(w), ..] if ERAS.contains(w) => {
            Some((2, w.chars().map(String::from).collect::<Vec<_>>().join(" ")))
        }
        [Space, Word(a @ ("A" | "B")), Sym('.'), Word(b @ ("D" | "C")), Sym('.'), tail @ ..] => {
            let stop = if sentence_ends(tail) { "." } else { "" };
            Some((5, format!("{a} {b}{stop}")))
        }
        _ => None,
    }
}

/// "2000 steps" counts; "2026 was" does not.
fn counted(after: &[Token]) -> bool {
    let Some(w) = next_word(after) else { return false };
    w == "people" || (w.ends_with('s') && w.len() > 4 && w.starts_with(char::is_lowercase) && !w.ends_with("ss"))
}
