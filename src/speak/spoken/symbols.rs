//! Signs that carry meaning: comparison, arithmetic, ranges, dashes, slashes, Greek letters.
//!
//! Defaults: a dash between quantities is "to" (in an equation "minus"), spaced between words a pause; < and > in
//! front of a quantity are "less than" and "more than", between letters or numbers a comparison, between words a step
//! of a menu.

use super::lexer::{Said, Token, at_start, word_before};
use super::number;
use Token::{Num, Space, Sym, Word};

/// :) and its like say nothing
pub(super) fn emoticon(before: &[Token], rest: &[Token]) -> Said {
    if !matches!(before.last(), None | Some(Space | Sym('.' | '!' | '?'))) {
        return None;
    }
    let eyes = usize::from(matches!(rest.first(), Some(Sym(':' | ';' | '='))));
    let nose = usize::from(matches!(rest.get(eyes), Some(Sym('-' | '\''))));
    let used = eyes + nose + 1;
    let mouth = matches!(rest.get(eyes + nose), Some(Sym(')' | '(' | '|') | Word("D" | "P" | "p" | "O" | "o")));
    let alone = matches!(rest.get(used), None | Some(Space | Sym('.' | ',' | '!' | '?' | ')')));
    (eyes == 1 && mouth && alone).then(|| (used, " ".to_owned()))
}

/// Greek letters by their names
pub(super) fn letter(_: &[Token], rest: &[Token]) -> Said {
    const NAMES: [&str; 24] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    let [Word(w), ..] = rest else { return None };
    let mut chars = w.chars();
    let (c, None) = (chars.next()?, chars.next()) else { return None };
    let at = match c {
        'µ' => 11,
        'Ω' => return Some((1, "ohm".into())),
        'α'..='ρ' => c as usize - 'α' as usize,
        'ς' => 17,
        'σ'..='ω' => c as usize - 'α' as usize - 1,
        'Α'..='Ρ' => c as usize - 'Α' as usize,
        'Σ'..='Ψ' => c as usize - 'Α' as usize - 1,
        _ => return None,
    };
    NAMES.get(at).map(|n| (1, (*n).to_owned()))
}

/// The signs around a place, looked at through one space.
struct Sides<'t, 'a> {
    left: Option<&'t Token<'a>>,
    right: Option<&'t Token<'a>>,
    spaced: bool,
    tight: bool,
    /// A number or price stands behind it.
    amount_right: bool,
}

impl<'t, 'a> Sides<'t, 'a> {
    fn of(before: &'t [Token<'a>], after: &'t [Token<'a>]) -> Self {
        let left = match before {
            [.., t, Space] => Some(t),
            [.., t] if *t != Space => Some(t),
            _ => None,
        };
        let right = match after {
            [Space, t, ..] | [t, ..] => Some(t),
            [] => None,
        };
        let spaced = matches!(before.last(), Some(Space)) && matches!(after.first(), Some(Space));
        let tight = !matches!(before.last(), None | Some(Space)) && !matches!(after.first(), None | Some(Space));
        let behind = if after.first() == Some(&Space) { &after[1..] } else { after };
        let amount_right = matches!(
            behind,
            [Num(_), ..] | [Sym('$' | '€' | '£'), ..] | [Sym('-' | '.'), Num(_) | Sym('.' | '$' | '€' | '£'), ..]
        );
        Self { left, right, spaced, tight, amount_right }
    }

    fn numbers(&self) -> bool {
        matches!((self.left, self.right), (Some(Num(_)), Some(Num(_))))
    }

    /// Something that can be compared or computed: a number, a letter, a bracket.
    fn operand(t: Option<&Token>) -> bool {
        match t {
            Some(Num(_)) | Some(Sym(')' | '²' | '³' | '%' | '°' | '(' | '√' | '-')) => true,
            Some(Word(w)) => w.chars().count() == 1,
            _ => false,
        }
    }

    fn operands(&self) -> bool {
        Self::operand(self.left) && (Self::operand(self.right) || self.amount_right)
    }
}

pub(super) fn symbol(before: &[Token], rest: &[Token]) -> Said {
    let [Sym(c), after @ ..] = rest else { return None };
    if let Some(said) = comparison(before, rest).or_else(|| operator(before, rest)) {
        return Some(said);
    }
    let say = |words: &str| Some((1, words.to_owned()));
    let sides = Sides::of(before, after);
    let (spaced, tight) = (sides.spaced, sides.tight);
    let calculation = || rest.iter().chain(before).any(|t| *t == Sym('='));
    match c {
        '-' if *after == [Sym('-')] || matches!(after, [Sym('-'), Space | Word(_), ..]) => Some((2, ", ".into())),
        '-' | '–' if sides.operands() && spaced && calculation() => say("minus"),
        // "7-3=4"
        '-' | '–'
            if tight && sides.numbers() && matches!(after, [Num(_), Sym('='), ..] | [Num(_), Space, Sym('='), ..]) =>
        {
            say(" minus ")
        }
        // "1-2-3", "50-50"
        '-' if sides.numbers() && (counted(before, after) || even(before, after)) => say(" "),
        // "T-10 minutes"
        '-' if matches!((before, after), ([.., Word("T")], [Num(_), ..])) => say(" minus "),
        '-' | '–' | '—' if tight && quantity_follows(after) && after_amount(before) => say(" to "),
        '-' if tight && matches!((before, after), ([.., Word(_), Num(_)] | [.., Num(_), Word(_)], [Num(_), ..])) => {
            say(" ")
        }
        '-' | '–' if matches!(before, [.., Word("m"), Sym('.')]) && matches!(after, [Space, Num(_), ..]) => {
            say(" to")
        }
        // "Q1–Q3"
        '-' | '–' if matches!((before, after), ([.., Word(a), Num(_)], [Word(b), Num(_), ..]) if a == b) => {
            say(" to ")
        }
        '-' | '–' if tight && letters(before, after) && (*c == '–' || after.first() == Some(&Word("Z"))) => {
            say(" to ")
        }
        '-' if grade(before, after) => say(" minus"),
        '–' | '-' if spaced && range(before, &sides) => say("to"),
        '-' if matches!((before.last(), after.first()), (Some(Word(_)), Some(Num(_)))) => say(" "),
        // an option of a command
        '-' if matches!((before.last(), after.first()), (None | Some(Space), Some(Word(w))) if w.chars().count() == 1) => {
            say(if calculation() { "minus " } else { "dash " })
        }
        '-' if spaced => say(", "),
        '—' => say(", "),
        '–' if spaced => say(", "),
        '–' => say("-"),
        '→' | '⇒' | '⟶' | '➜' => say(" to "),
        '←' => say(" from "),
        '/' if matches!(before, [.., Num(_), Space, Word(w)] if w.len() > 1 && *w != "and" && w.starts_with(char::is_lowercase)) => {
            match super::units::per(rest) {
                Some(said) => Some(said),
                None => say(" "),
            }
        }
        '/' if matches!((before, after), ([.., Num(_)], [Word(w), ..])
            if matches!(*w, "second" | "minute" | "hour" | "day" | "night" | "week" | "month" | "year" | "person")) =>
        {
            say(" per ")
        }
        '/' if sides.numbers() && spaced => say("divided by"),
        '/' if spaced => say(", "),
        '/' if tight => say(" "),
        '~' if sides.amount_right => say("about "),
        '#' => Some(hash(before, after)),
        '²' => say(" squared"),
        '³' => say(" cubed"),
        '&' => say(" and "),
        '@' => say(" at "),
        '%' => say(" percent"),
        '‰' => say(" per mille"),
        '°' => match after {
            [Word("C"), ..] => Some((2, " degrees Celsius".into())),
            [Word("F"), ..] => Some((2, " degrees Fahrenheit".into())),
            _ => say(" degrees"),
        },
        '€' => say(" euros "),
        '£' => say(" pounds "),
        '★' if matches!(before.last(), Some(Num(_))) => say(
            if super::lexer::next_word(after).is_some_and(|w| {
                matches!(w, "hotel" | "hotels" | "rating" | "review" | "reviews" | "restaurant" | "general")
            }) {
                " star"
            } else {
                " stars"
            },
        ),
        '★' => say(" "),
        '♭' => say(" flat"),
        '♯' => say(" sharp"),
        '♮' => say(" natural"),
        '∞' => say(" infinity "),
        '√' => say(" the square root of "),
        '§' if after.first() == Some(&Sym('§')) => Some((2, "sections ".into())),
        '§' if sides.amount_right => say("section "),
        '©' => say("copyright "),
        ':' if tight && sides.numbers() => say(" to "),
        // "file.txt", but not a stop that lost its space
        '.' if matches!((before.last(), after.first()), (Some(Word(_) | Num(_)), Some(Word(w))) if w.starts_with(char::is_lowercase)) => {
            say(" dot ")
        }
        '*' | '_' | '~' | '^' | '|' | '\\' | '`' | '{' | '}' | '•' | '§' | '®' | '™' | '<' | '>' => say(" "),
        '$' if at_start(before) => say(" dollars "),
        _ => None,
    }
}

/// <, >, ≤, ≥, =, ≠, ≈ and how keyboards write them
fn comparison(before: &[Token], rest: &[Token]) -> Said {
    // a heart
    if let ([.., Word(_), Space], [Sym('<'), Num("3"), Space, Word(w), ..]) = (before, rest)
        && super::units::unit(w).is_none()
    {
        return Some((2, "love".into()));
    }
    // a tag that is meant literally
    if named(before, rest) {
        return Some((1, " ".into()));
    }
    let (used, sign) = match rest {
        [Sym('<'), Sym('-'), Sym('>'), ..] | [Sym('<'), Sym('='), Sym('>'), ..] => {
            return Some((3, " to and from ".into()));
        }
        [Sym('-' | '='), Sym('>'), ..] => return Some((2, " to ".into())),
        [Sym('<'), Sym('-'), Space, ..] => return Some((2, " from ".into())),
        [Sym('<'), Sym('='), ..] | [Sym('='), Sym('<'), ..] => (2, '≤'),
        [Sym('>'), Sym('='), ..] => (2, '≥'),
        [Sym('!'), Sym('='), Sym('='), ..] => (3, '≠'),
        [Sym('!'), Sym('='), ..] => (2, '≠'),
        [Sym('='), Sym('='), Sym('='), ..] => (3, '='),
        [Sym('='), Sym('='), ..] => (2, '='),
        [Sym('≃' | '≅'), ..] => (1, '≈'),
        [Sym(c @ ('<' | '>' | '≤' | '≥' | '=' | '≠' | '≈')), ..] => (1, *c),
        _ => return None,
    };
    let sides = Sides::of(before, &rest[used..]);
    let between = sides.operands();
    let relation = match sign {
        '<' => "less than",
        '>' => "greater than",
        '≤' => "less than or equal to",
        '≥' => "greater than or equal to",
        '≠' => "not equal to",
        '≈' => "about",
        _ => return Some((used, " equals ".into())),
    };
    // "Is x < y?" has its verb already.
    let asked = matches!(before.first(), Some(Word("Is" | "is" | "Are" | "Was")));
    let verb = if asked { "" } else { "is " };
    if between || matches!(sign, '≠') || (sign == '≈' && !prefix(&sides)) {
        return Some((used, format!(" {verb}{relation} ")));
    }
    if prefix(&sides) {
        let words = match sign {
            '<' => "less than",
            '>' => "more than",
            '≤' => "at most",
            '≥' => "at least",
            _ => "about",
        };
        return Some((used, format!(" {words} ")));
    }
    // "Settings > Wi-Fi"
    let menu = sign == '>' && sides.spaced && matches!((sides.left, sides.right), (Some(Word(_)), Some(Word(_))));
    match sign {
        '>' if menu => Some((used, ", ".into())),
        '<' | '>' => Some((used, " ".into())),
        _ => Some((used, format!(" {verb}{relation} "))),
    }
}

/// Whether this "<" or ">" stands around a name: <b>, </b>, <Enter>.
fn named(before: &[Token], rest: &[Token]) -> bool {
    match rest {
        [Sym('<'), Word(_), Sym('>'), ..] | [Sym('<'), Sym('/'), Word(_), Sym('>'), ..] => true,
        [Sym('<'), Word(w), Num(_), Sym('>'), ..] => w.len() == 1,
        [Sym('>'), ..] => {
            matches!(
                before,
                [.., Sym('<'), Word(_)] | [.., Sym('<'), Sym('/'), Word(_)] | [.., Sym('<'), Word(_), Num(_)]
            )
        }
        _ => false,
    }
}

/// In front of a quantity and behind no other: "took <5 min".
fn prefix(sides: &Sides) -> bool {
    sides.amount_right && !Sides::operand(sides.left)
}

/// +, ×, ÷, ±, ^
fn operator(before: &[Token], rest: &[Token]) -> Said {
    let [Sym(c), after @ ..] = rest else { return None };
    let say = |words: &str| Some((1, words.to_owned()));
    let sides = Sides::of(before, after);
    let behind_word = matches!(before.last(), Some(Word(_)));
    match (c, after) {
        ('+', [Sym('/'), Sym('-'), ..]) => Some((3, " plus or minus ".into())),
        ('+', [Sym('-'), ..]) => Some((2, " plus or minus ".into())),
        ('+', [Sym('+'), ..]) if behind_word => Some((2, " plus plus".into())),
        ('+', _) if sides.right.is_some() && (sides.spaced || sides.numbers() || sides.operands()) => say(" plus "),
        ('+', _) if matches!(before.last(), Some(Word(_) | Num(_) | Sym('%'))) => say(" plus "),
        ('+', _) => say(" plus "),
        ('&', [Sym('&'), ..]) => Some((2, " and ".into())),
        ('|', [Sym('|'), ..]) => Some((2, " or ".into())),
        ('±' | '∓', _) => say(" plus or minus "),
        ('*' | '×' | '·' | '⋅', _) if sides.operands() => say(" times "),
        ('×', _) => say(" times "),
        ('÷', _) => say(" divided by "),
        ('^', _) => power(before, after),
        _ => None,
    }
}

/// x^2, 10^-3; behind a word it is a footnote
fn power(before: &[Token], after: &[Token]) -> Said {
    let base_is_letter = matches!(before.last(), Some(Word(w)) if w.chars().count() <= 2);
    let (used, minus, n) = match after {
        [Num(n), ..] => (2, "", number::whole(n)),
        [Sym('-'), Num(n), ..] => (3, "minus ", number::whole(n)),
        [Sym('('), Num(n), Sym(')'), ..] => (4, "", number::whole(n)),
        [Word(w), ..] if w.chars().count() == 1 => (2, "", (*w).to_owned()),
        _ => return None,
    };
    if matches!(before.last(), Some(Word(w)) if w.chars().count() > 3) {
        return Some((used, " ".into()));
    }
    let words = match n.as_str() {
        "two" if minus.is_empty() => " squared".into(),
        "three" if minus.is_empty() && base_is_letter => " cubed".into(),
        _ => format!(" to the power of {minus}{n}"),
    };
    // "3 × 10^8 m/s": the unit belongs to the number
    let numeric = matches!(before.last(), Some(Num(_)));
    if let Some([Space, unit @ ..]) = after.get(used - 1..)
        && numeric
        && let Some((more, _, many)) = super::units::read_unit(unit)
    {
        return Some((used + 1 + more, format!("{words} {many}")));
    }
    Some((used, words))
}

/// #1, C#, #winter, "his # is", "the # key"
fn hash(before: &[Token], after: &[Token]) -> (usize, String) {
    let words = match (before.last(), after) {
        (_, [Num(_), ..]) => "number ",
        (Some(Word(w)), _) if w.chars().count() == 1 => " sharp",
        (None | Some(Space | Sym('(' | '"')), [Word(_), ..]) => "hashtag ",
        (_, [Space, Word("key" | "sign" | "button" | "symbol"), ..]) => "pound",
        (Some(Space), [Space, Word(_), ..]) if word_before(before).is_some() => "number",
        _ => " ",
    };
    (1, words.into())
}

fn quantity_follows(after: &[Token]) -> bool {
    matches!(
        after,
        [Num(_), ..]
            | [Sym('$' | '€' | '£' | '¥' | '-' | '.' | '~'), Num(_), ..]
            | [Sym('-'), Sym('$' | '€' | '£'), ..]
            | [Sym('½' | '¼' | '¾' | '⅓' | '⅔'), ..]
            | [Word("noon" | "midnight"), ..]
            | [Word("AD"), Space, Num(_), ..]
    )
}

/// "1-2-3", a record of "10-5-2": three or more short numbers with hyphens are counted, not ranges.
fn counted(before: &[Token], after: &[Token]) -> bool {
    let chained = |t: &Token| matches!(t, Sym('-')) || matches!(t, Num(n) if n.len() <= 2);
    let left = before.iter().rev().take_while(|t| chained(t)).count();
    let right = after.iter().take_while(|t| chained(t)).count();
    left + right >= 4 && after.get(right).is_none_or(|t| !matches!(t, Word(_) | Sym('/' | ':' | '%' | '°')))
}

/// "a 50-50 chance"
fn even(before: &[Token], after: &[Token]) -> bool {
    let same = matches!((before.last(), after.first()), (Some(Num(a)), Some(Num(b))) if a == b);
    same && matches!(before.last(), Some(Num("50" | "20")))
}

/// Whether the last thing said was a number with or without its unit, so that a dash makes a range.
fn after_amount(before: &[Token]) -> bool {
    match before {
        // "A320-200", "Llama3-8B": a name goes on
        [.., Word(w), Num(_)] if *w != "x" => return false,
        [.., Num(_), Word(w)] => {
            return super::units::unit(w).is_some()
                || matches!(
                    *w,
                    "k" | "K" | "M" | "B" | "bn" | "tn" | "x" | "p" | "st" | "nd" | "rd" | "th" | "C" | "F" | "in"
                )
                || matches!(w.to_lowercase().as_str(), "am" | "pm");
        }
        _ => {}
    }
    matches!(
        before,
        [.., Num(_)]
            | [.., Num(_), Space, Word(_)]
            | [.., Word("noon" | "midnight")]
            | [.., Sym('%' | '°' | '€' | '"' | '½' | '¼' | '¾' | '²' | '³')]
            | [.., Sym('°'), Word("C" | "F")]
            | [.., Num(_), Sym('\'')]
            | [.., Sym('.'), Word("m"), Sym('.')]
            | [.., Word(_), Sym('/'), Word(_)]
    )
}

/// A dash with spaces around it between two quantities.
fn range(before: &[Token], sides: &Sides) -> bool {
    let behind = match before {
        [head @ .., Space] => head,
        all => all,
    };
    sides.amount_right && (after_amount(behind) && !matches!(behind, [.., Sym('"')]))
}

/// A–Z
fn letters(before: &[Token], after: &[Token]) -> bool {
    let capital = |t: Option<&Token>| matches!(t, Some(t @ Word(w)) if w.len() == 1 && t.is_capitalized());
    capital(before.last()) && capital(after.first())
}

/// "a B-", "grade C-"
fn grade(before: &[Token], after: &[Token]) -> bool {
    let marked = matches!(before, [.., Word(a), Space, Word("A" | "B" | "C" | "D")]
        if matches!(a.to_lowercase().as_str(), "a" | "an" | "grade" | "got" | "grades"));
    marked && !matches!(after.first(), Some(Word(_) | Num(_)))
}
