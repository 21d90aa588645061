//! Lengths by widths: 512x512, 10 x 20 cm, 8.5" x 11"; and products: 12 × 12 = 144, 2×AA.
//!
//! Defaults: × without spaces is "by", with spaces "times", and "by" wherever a unit ends the chain.

use super::cardinal::{read, read_digits};
use super::lexer::{Said, Token, at_start};
use super::units::read_unit;
use Token::{Num, Space, Sym, Word};

/// 512x512, 1920×1080, 10 x 20 cm, 2×AA: the first number and "by" (or "times")
pub(super) fn dimensions(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) && !matches!(before.last(), Some(Word("x" | "X"))) {
        return None;
    }
    let amount = read(before, rest)?;
    let mut used = amount.used;
    let mut words = amount.words.clone();
    // 8.5" x 11", 2 m x 3 m
    if let [Sym(mark @ ('"' | '\'')), ..] = &rest[used..] {
        let (one, many) = if *mark == '"' { ("inch", "inches") } else { ("foot", "feet") };
        words = format!("{words} {}", if amount.one { one } else { many });
        used += 1;
    } else {
        let space = usize::from(matches!(rest.get(used), Some(Space)));
        if let [Word("in"), tail @ ..] = &rest[used + space..]
            && times(&tail[usize::from(tail.first() == Some(&Sym('.')))..]).is_some()
        {
            words = format!("{words} {}", if amount.one { "inch" } else { "inches" });
            used += space + 1 + usize::from(tail.first() == Some(&Sym('.')));
        } else if let Some((u, one, many)) =
            read_unit(&rest[used + space..]).filter(|_| times(&rest[used + space..]).is_none())
        {
            words = format!("{words} {}", if amount.one { one } else { many });
            used += space + u;
        }
    }
    let (gap, sign) = times(&rest[used..])?;
    let next = &rest[used + gap..];
    match next {
        [Num(_), ..] => {
            let spaced = gap == 3;
            let counted = used > amount.used || chain_has_unit(next) || (!spaced && sign != '*');
            let power = matches!(next, [Num("10"), Sym('^' | '²' | '³'), ..]);
            let product = power || spaced && !counted && (sign == '×' || computed(next));
            Some((used + gap, format!("{words} {}", if product { "times" } else { "by" })))
        }
        // "2 x $5"
        [Sym('$' | '€' | '£'), Num(_), ..] => Some((used + gap, format!("{words} times"))),
        [Word(_), ..] if gap == 1 && sign == '×' => Some((used + gap, format!("{words} times"))),
        _ => None,
    }
}

/// "x" or "×" with or without spaces around it
fn times(rest: &[Token]) -> Option<(usize, char)> {
    match rest {
        [Space, Word("x" | "X"), Space, ..] => Some((3, 'x')),
        [Space, Sym('×'), Space, ..] => Some((3, '×')),
        [Word("x" | "X"), Num(_), ..] => Some((1, 'x')),
        [Sym('×'), Num(_) | Word(_), ..] => Some((1, '×')),
        _ => None,
    }
}

/// Whether a unit or another factor follows the numbers of a chain.
fn chain_has_unit(rest: &[Token]) -> bool {
    let Some(d) = read_digits(rest) else { return false };
    let after = &rest[d.used..];
    let space = usize::from(matches!(after.first(), Some(Space)));
    match times(after) {
        Some((gap, _)) => chain_has_unit(&after[gap..]) || matches!(after.get(gap), Some(Num(_))),
        None => read_unit(&after[space..]).is_some() || matches!(after.first(), Some(Sym('"' | '\''))),
    }
}

fn computed(rest: &[Token]) -> bool {
    let Some(d) = read_digits(rest) else { return false };
    matches!(&rest[d.used..], [Space, Word("is" | "equals" | "makes"), ..] | [Space, Sym('='), ..] | [Sym('='), ..])
}
