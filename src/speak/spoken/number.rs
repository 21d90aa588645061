//! Numbers as words.

use crate::numerals::{SCALES, SMALL, TENS};

/// "one thousand two hundred thirty-four"
pub(super) fn cardinal(n: u64) -> String {
    let mut parts = Vec::new();
    let mut rest = n;
    for (scale, name) in SCALES {
        if rest >= scale {
            parts.push(format!("{} {name}", below_thousand(rest / scale)));
            rest %= scale;
        }
    }
    if rest > 0 || parts.is_empty() {
        parts.push(below_thousand(rest));
    }
    parts.join(" ")
}

fn below_thousand(n: u64) -> String {
    let (hundreds, rest) = (n / 100, n % 100);
    match (hundreds, rest) {
        (0, r) => below_hundred(r),
        (h, 0) => format!("{} hundred", SMALL[h as usize % 20]),
        (h, r) => format!("{} hundred {}", SMALL[h as usize % 20], below_hundred(r)),
    }
}

fn below_hundred(n: u64) -> String {
    let n = n as usize % 100;
    match (n / 10, n % 10) {
        (0 | 1, _) => SMALL[n].to_owned(),
        (t, 0) => TENS[t.saturating_sub(2) % 8].to_owned(),
        (t, o) => format!("{}-{}", TENS[t.saturating_sub(2) % 8], SMALL[o]),
    }
}

/// "twenty-third"
pub(super) fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let start = words.rfind([' ', '-']).map_or(0, |i| i + 1);
    let (head, last) = words.split_at(start);
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        w => match w.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{w}th"),
        },
    };
    format!("{head}{last}")
}

/// "twenty twenty-six", "nineteen oh five", "two thousand eight"
pub(super) fn year(n: u64) -> String {
    match (n / 100, n % 100) {
        (c, y) if c % 10 == 0 && y < 10 => cardinal(c * 100 + y),
        (c, 0) => format!("{} hundred", cardinal(c)),
        (c, y) if y < 10 => format!("{} oh {}", cardinal(c), cardinal(y)),
        (c, y) => format!("{} {}", cardinal(c), cardinal(y)),
    }
}

/// As numbers of rooms, flights and roads are said: "four oh four", "seven forty-seven", "fifteen forty-nine".
pub(super) fn label(n: u64) -> String {
    match (n / 100, n % 100) {
        (0, _) => cardinal(n),
        (h, 0) if h % 10 > 0 || h < 10 => format!("{} hundred", cardinal(h)),
        (_, 0) => cardinal(n),
        (h, r) if r < 10 => format!("{} oh {}", cardinal(h), cardinal(r)),
        (h, r) => format!("{} {}", cardinal(h), cardinal(r)),
    }
}

/// "nineteen nineties", "eighties", "two thousands"
pub(super) fn decade(n: u64) -> String {
    let words = year(n);
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{words}s"),
    }
}

/// "zero zero four two"
pub(super) fn digits(s: &str) -> String {
    s.bytes().filter(u8::is_ascii_digit).map(|b| SMALL[usize::from(b - b'0')]).collect::<Vec<_>>().join(" ")
}

/// A whole number of any length as written: words up to 18 digits, digit by digit beyond.
pub(super) fn whole(s: &str) -> String {
    match s.parse::<u64>() {
        Ok(n) if s.len() <= 18 => cardinal(n),
        _ => digits(s),
    }
}

/// "three point one four"
pub(super) fn decimal(int: &str, frac: &str) -> String {
    format!("{} point {}", whole(int), digits(frac))
}

/// Digits in groups of three, the last of two to four, as serial numbers are read out.
pub(super) fn grouped_digits(s: &str) -> String {
    let mut groups = Vec::new();
    let mut rest = s;
    while rest.len() > 4 {
        let (head, tail) = rest.split_at(3);
        groups.push(digits(head));
        rest = tail;
    }
    groups.push(digits(rest));
    groups.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_odd_numbers() {
        assert_eq!(
            cardinal(u64::MAX),
            "eighteen quintillion four hundred forty-six quadrillion seven hundred forty-four trillion seventy-three \
             billion seven hundred nine million five hundred fifty-one thousand six hundred fifteen"
        );
        assert_eq!(ordinal(1_000_000), "one millionth");
        assert_eq!(ordinal(20), "twentieth");
        assert_eq!(ordinal(101), "one hundred first");
        assert_eq!(year(2026), "twenty twenty-six");
        assert_eq!(year(1900), "nineteen hundred");
        assert_eq!(year(2000), "two thousand");
        assert_eq!(year(2008), "two thousand eight");
        assert_eq!(decade(2010), "twenty tens");
        assert_eq!(whole("12345678901234567890"), digits("12345678901234567890"));
    }
}
