//! Signs between words and numbers: arithmetic, ranges, dashes, slashes.

use super::english::Said;
use super::lexer::{Token, at_start};
use Token::{Num, Space, Sym, Word};

pub(super) fn symbol(before: &[Token], rest: &[Token]) -> Said {
    let [Sym(c), after @ ..] = rest else { return None };
    let say = |words: &str| Some((1, words.to_owned()));
    // What stands left and right of the sign, looked at through one space.
    let left = match before {
        [.., t, Space] => Some(t),
        [.., t] if *t != Space => Some(t),
        _ => None,
    };
    let right = match after {
        [Space, t, ..] => Some(t),
        [t, ..] => Some(t),
        [] => None,
    };
    let spaced = matches!(before.last(), Some(Space)) && matches!(after.first(), Some(Space));
    let tight = !matches!(before.last(), None | Some(Space)) && !matches!(after.first(), None | Some(Space));
    let number = |t: Option<&Token>| matches!(t, Some(Num(_)));
    let sides = number(left) && number(right);
    let calculation = || rest.iter().chain(before).any(|t| *t == Sym('='));
    match c {
        '-' if *after == [Sym('-')] || matches!(after, [Sym('-'), Space | Word(_), ..]) => Some((2, ", ".into())),
        '-' if matches!(after.first(), Some(Sym('>'))) => Some((2, " to ".into())),
        '-' | '–' if sides && spaced && calculation() => say("minus"),
        '-' | '–' if tight && priced_or_number(after) && after_amount(before) => say(" to "),
        '–' | '-' if sides && spaced => say("to"),
        '-' if matches!((before.last(), after.first()), (Some(Word(_)), Some(Num(_)))) => say(" "),
        '-' if spaced => say(", "),
        '—' => say(", "),
        '–' if spaced => say(", "),
        '–' => say("-"),
        '→' | '⇒' => say(" to "),
        '+' if (sides || calculation()) && right.is_some() => say(" plus "),
        '*' | '×' | '·' if sides => say(" times "),
        '÷' => say(" divided by "),
        '/' if sides && spaced => say("divided by"),
        '/' if spaced => say(", "),
        '/' if tight => say(" "),
        '=' => say(" equals "),
        '≈' => say(" is about "),
        '≠' => say(" is not equal to "),
        '±' => say(" plus or minus "),
        '≤' => say(" is at most "),
        '≥' => say(" is at least "),
        '<' if spaced => say("is less than"),
        '>' if spaced => say("is greater than"),
        '<' | '>' => say(" "),
        '~' if number(right) => say("about "),
        '#' if number(after.first()) => say("number "),
        '^' if number(right) => say(" to the power of "),
        '²' => say(" squared"),
        '³' => say(" cubed"),
        '&' => say(" and "),
        '@' => say(" at "),
        '%' => say(" percent"),
        '°' => match after {
            [Word("C"), ..] => Some((2, " degrees Celsius".into())),
            [Word("F"), ..] => Some((2, " degrees Fahrenheit".into())),
            _ => say(" degrees"),
        },
        '€' => say(" euros "),
        '£' => say(" pounds "),
        ':' if tight && sides => say(" to "),
        // "file.txt", but not a stop that lost its space
        '.' if matches!((before.last(), after.first()), (Some(Word(_) | Num(_)), Some(Word(w))) if w.starts_with(char::is_lowercase)) => {
            say(" dot ")
        }
        '#' | '*' | '_' | '~' | '^' | '|' | '\\' | '`' | '{' | '}' | '•' | '§' | '©' | '®' | '™' => say(" "),
        '$' if at_start(before) => say(" dollars "),
        _ => None,
    }
}

fn priced_or_number(after: &[Token]) -> bool {
    matches!(after, [Num(_), ..] | [Sym('$' | '€' | '£' | '¥'), Num(_), ..])
}

/// Whether the last thing said was a number with or without its unit, so that a dash makes a range.
fn after_amount(before: &[Token]) -> bool {
    matches!(before, [.., Num(_)] | [.., Num(_), Word(_)] | [.., Sym('%' | '°')] | [.., Sym('°'), Word("C" | "F")])
}
