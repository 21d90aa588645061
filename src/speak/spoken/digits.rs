//! Digits read out one by one: telephone numbers, codes, network addresses; and version numbers.

use super::english::Said;
use super::lexer::{Token, at_start, word_before};
use super::number::{digits, grouped_digits, whole};
use Token::{Num, Space, Sym, Word};

pub(super) fn digit_run(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) {
        return None;
    }
    dotted(rest).or_else(|| telephone(rest)).or_else(|| code(before, rest))
}

/// 192.168.1.10, 1.2.3
fn dotted(rest: &[Token]) -> Said {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(Num(n)) = rest.get(at) {
        parts.push(*n);
        match rest.get(at + 1..) {
            Some([Sym('.'), Num(_), ..]) => at += 2,
            _ => break,
        }
    }
    let words: Vec<String> = match parts.len() {
        0..=2 => return None,
        4 if parts.iter().all(|p| p.parse::<u8>().is_ok()) => parts.iter().map(|p| digits(p)).collect(),
        _ => parts.iter().map(|p| whole(p)).collect(),
    };
    let between = if parts.len() == 4 { " dot " } else { " point " };
    Some((at + 1, words.join(between)))
}

/// +1 555 123 4567, (555) 123-4567, 555-123-4567, 555 123 4567, 555-1234
fn telephone(rest: &[Token]) -> Said {
    let plus = usize::from(matches!(rest, [Sym('+'), Num(_), ..]));
    let mut groups: Vec<&str> = Vec::new();
    let mut at = plus;
    let mut hyphens = 0;
    let mut brackets = 0;
    loop {
        match &rest[at..] {
            [Sym('('), Num(n), Sym(')'), ..] => {
                groups.push(n);
                brackets += 1;
                at += 3;
            }
            [Num(n), ..] => {
                groups.push(n);
                at += 1;
            }
            _ => break,
        }
        match &rest[at..] {
            [Sym('-'), Num(_), ..] => {
                hyphens += 1;
                at += 1;
            }
            [Space, Num(_), ..] | [Space, Sym('('), Num(_), Sym(')'), ..] if hyphens == 0 || brackets > 0 => at += 1,
            [Num(_), ..] | [Sym('('), Num(_), Sym(')'), ..] => {}
            _ => break,
        }
    }
    let sizes: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    let total: usize = sizes.iter().sum();
    let looks_it = match sizes.as_slice() {
        _ if !(7..=15).contains(&total) && hyphens < 2 => false,
        _ if plus == 1 => groups.len() >= 2 || total >= 9,
        // "100-2000 people" is a range
        [3, 4] => hyphens == 1 && !groups[1].ends_with("00"),
        [3, 3, 4] => true,
        [1, 3, 3, 4] => true,
        [_, _, _, ..] => hyphens + 1 == groups.len(),
        _ => false,
    };
    if !looks_it {
        return None;
    }
    let said: Vec<String> = groups.iter().map(|g| if g.len() > 4 { grouped_digits(g) } else { digits(g) }).collect();
    Some((at, format!("{}{}", if plus == 1 { "plus " } else { "" }, said.join(", "))))
}

/// 0042, long serial numbers, and short ones after "dial", "code" or "PIN"
fn code(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    // Part of something longer: 1,234 or 3.5 or 7:30
    if matches!(after, [Sym(',' | '.' | ':' | '/'), Num(_), ..]) || matches!(before.last(), Some(Sym(':' | '-'))) {
        return None;
    }
    let padded = n.len() > 1 && n.starts_with('0');
    let serial = n.len() >= 7 && !n.ends_with("000");
    let asked = (3..=6).contains(&n.len()) && follows_code_word(before, n.len());
    match () {
        () if padded && n.len() <= 6 => Some((1, digits(n))),
        () if padded || serial => Some((1, grouped_digits(n))),
        () if asked => Some((1, digits(n))),
        () => None,
    }
}

fn follows_code_word(before: &[Token], len: usize) -> bool {
    let code_word = |w: &str| matches!(w, "dial" | "code" | "passcode" | "pin" | "extension");
    match word_before(before).as_deref() {
        Some("call") => len == 3,
        Some("is") => {
            let at = before.iter().rposition(|t| matches!(t, Word(_))).unwrap_or(0);
            word_before(&before[..at]).is_some_and(|w| code_word(&w))
        }
        Some(w) => code_word(w),
        None => false,
    }
}
