//! Digits and letters read out one by one: codes, serial numbers, network addresses, passwords; and versions.

use super::lexer::{Said, Token, at_start, label_before, spell};
use super::number::{digits, grouped_digits, whole};
use Token::{Num, Space, Sym, Word};

pub(super) fn code(before: &[Token], rest: &[Token]) -> Said {
    if let Some(said) = mac(before, rest) {
        return Some(said);
    }
    if !at_start(before) {
        return None;
    }
    dotted(rest).or_else(|| serial(rest)).or_else(|| number(before, rest))
}

/// 192.168.1.10, 1.2.3; "10.000.000" is a number
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
    let address =
        parts.len() == 4 && parts.iter().all(|p| p.parse::<u8>().is_ok() && (p.len() == 1 || !p.starts_with('0')));
    let thousands =
        parts[1.min(parts.len())..].iter().all(|p| p.len() == 3) && parts.first().is_some_and(|p| p.len() <= 3);
    if parts.len() < 3 || (thousands && !address) {
        return None;
    }
    let port = match rest.get(at + 1..) {
        Some([Sym(':'), Num(port), ..]) if address => Some(format!(" colon {}", digits(port))),
        _ => None,
    };
    let words: Vec<String> = parts.iter().map(|p| if address { digits(p) } else { whole(p) }).collect();
    let said = words.join(if address { " dot " } else { " point " });
    Some((at + 1 + 2 * usize::from(port.is_some()), said + &port.unwrap_or_default()))
}

/// 1Z999AA10123456784: capitals and digits in turns, too long for a name
fn serial(rest: &[Token]) -> Said {
    let used = rest.iter().take_while(|t| matches!(t, Num(_) | Word(_))).count();
    let capitals = rest[..used].iter().filter_map(|t| t.word()).all(|w| w.chars().all(|c| c.is_ascii_uppercase()));
    let text = spell(&rest[..used]);
    (used >= 3 && capitals && (8..=40).contains(&text.len())).then(|| (used, characters(&text)))
}

/// 00:1A:2B:3C:4D:5E
fn mac(before: &[Token], rest: &[Token]) -> Said {
    if matches!(before.last(), Some(Num(_) | Word(_) | Sym(':' | '-'))) {
        return None;
    }
    let end = rest.iter().position(|t| *t == Space).unwrap_or(rest.len());
    let text = spell(&rest[..end]);
    let trimmed = text.trim_end_matches(['.', ',', ';', '!', '?', ')']);
    let pairs: Vec<&str> = trimmed.split([':', '-']).collect();
    if pairs.len() != 6 || !pairs.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit())) {
        return None;
    }
    let used = end - (text.chars().count() - trimmed.chars().count());
    let said: Vec<String> = pairs.iter().map(|p| characters(&p.to_uppercase())).collect();
    Some((used, said.join(", ")))
}

/// 0042, long serial numbers, and short ones after "code", "PIN" or "ends in"
fn number(before: &[Token], rest: &[Token]) -> Said {
    let [Num(n), after @ ..] = rest else { return None };
    // Part of something longer: 1,234 or 3.5 or 7:30 or 5 000 000
    if matches!(after, [Sym(',' | '.' | ':' | '/'), Num(_), ..])
        || matches!(before.last(), Some(Sym(':' | '-' | '–' | '$')))
    {
        return None;
    }
    let padded = n.len() > 1 && n.starts_with('0');
    let serial = n.len() >= 7 && !n.ends_with("000");
    let asked = (3..=6).contains(&n.len()) && (follows_code_word(before) || (n.len() == 5 && postal(before)));
    match () {
        () if padded && n.len() <= 6 => Some((1, digits(n))),
        () if padded || serial => Some((1, grouped_digits(n))),
        () if asked => Some((1, digits(n))),
        () => None,
    }
}

/// "NY 10001": behind the two letters of a state
fn postal(before: &[Token]) -> bool {
    matches!(before, [.., Word(w), Space] if w.len() == 2 && w.chars().all(|c| c.is_ascii_uppercase()))
}

fn follows_code_word(before: &[Token]) -> bool {
    let code_word = |w: &str| {
        matches!(
            w,
            "code"
                | "codes"
                | "passcode"
                | "pin"
                | "zip"
                | "password"
                | "passphrase"
                | "otp"
                | "serial"
                | "extension"
                | "ext"
        )
    };
    let words: Vec<String> = before.iter().rev().filter_map(|t| t.word()).take(4).map(str::to_lowercase).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [w, ..] if code_word(w) && label_before(before).as_deref() == Some(w) => true,
        ["in" | "with", "ends" | "ending", ..] => true,
        ["are", "digits", ..] | ["digits", "four", ..] => true,
        ["is" | "number" | "no", w, ..] => code_word(w),
        _ => false,
    }
}

/// What follows "the password is", where it is no word
pub(super) fn secret(before: &[Token], rest: &[Token]) -> Said {
    let words: Vec<String> = before.iter().rev().filter_map(|t| t.word()).take(2).map(str::to_lowercase).collect();
    let asked = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["is", w] => matches!(*w, "password" | "passphrase" | "key" | "code" | "token" | "username" | "login"),
        [w, ..] => matches!(*w, "password" | "passphrase") && matches!(before, [.., Sym(':'), Space]),
        _ => false,
    };
    if !asked || !matches!(before.last(), Some(Space | Sym('"' | '\''))) {
        return None;
    }
    let end = rest.iter().position(|t| matches!(t, Space | Sym('"'))).unwrap_or(rest.len());
    let mut used = end;
    while used > 1 && matches!(rest[used - 1], Sym('.' | ',' | '!' | '?' | ';' | ')' | '\'')) {
        used -= 1;
    }
    let text = spell(&rest[..used]);
    let mixed = text.contains(|c: char| c.is_ascii_digit()) && text.contains(|c: char| !c.is_ascii_digit());
    (mixed && text.len() <= 40).then(|| (used, characters(&text)))
}

/// Letters, digits and signs one by one.
pub(super) fn characters(s: &str) -> String {
    let name = |c: char| match c {
        c if c.is_ascii_digit() => digits(c.encode_utf8(&mut [0; 4])),
        '$' => "dollar".into(),
        '@' => "at".into(),
        '#' => "hash".into(),
        '!' => "exclamation mark".into(),
        '?' => "question mark".into(),
        '%' => "percent".into(),
        '&' => "and".into(),
        '*' => "asterisk".into(),
        '-' => "dash".into(),
        '_' => "underscore".into(),
        '.' => "dot".into(),
        '+' => "plus".into(),
        '=' => "equals".into(),
        '/' => "slash".into(),
        '^' => "caret".into(),
        c => c.to_string(),
    };
    s.chars().map(name).collect::<Vec<_>>().join(" ")
}
