//! Numbers in digits and in words.

use crate::numerals::{SMALL, TENS};

/// The longest number at the start of `t`: its value and how many tokens it takes.
///
/// "one hundred and twenty", "two thousand five hundred", "a hundred", "two point five", "3 million", "2.5".
pub(super) fn number(t: &[String]) -> Option<(f64, usize)> {
    let (whole, mut n) = whole(t)?;
    let mut value = whole;
    if t.get(n).is_some_and(|w| w == "point") {
        let mut place = 0.1;
        let mut k = n + 1;
        while let Some(d) = t.get(k).and_then(|w| digit(w)) {
            value += d * place;
            place /= 10.0;
            k += 1;
        }
        if k > n + 1 {
            n = k;
            // 0.1 + 0.02 is not 0.12 in binary.
            value = (value * 1e9).round() / 1e9;
        }
    }
    Some((value, n))
}

/// A whole number that is said or written, at most `max`.
pub(super) fn count(t: &[String], max: u32) -> Option<(u32, usize)> {
    let (v, n) = number(t)?;
    (v.fract() == 0.0 && (0.0..=f64::from(max)).contains(&v)).then_some((v as u32, n))
}

/// Whether a token is a number or part of one.
pub(super) fn is_number_word(w: &str) -> bool {
    w.starts_with(|c: char| c.is_ascii_digit())
        || SMALL.contains(&w)
        || TENS.contains(&w)
        || matches!(w, "hundred" | "thousand" | "million" | "billion")
}

fn whole(t: &[String]) -> Option<(f64, usize)> {
    let mut total = 0.0;
    let mut i = 0;
    let mut last_scale = f64::INFINITY;
    loop {
        // "and" joins only what comes after hundred or thousand: "a hundred and twenty".
        let joined = usize::from(i > 0 && t.get(i).is_some_and(|w| w == "and"));
        let Some((value, n)) = group(&t[i + joined..]) else { break };
        let after = i + joined + n;
        let (scale, used) = match t.get(after).map(String::as_str) {
            Some("thousand") => (1e3, 1),
            Some("million") => (1e6, 1),
            Some("billion") => (1e9, 1),
            _ => (1.0, 0),
        };
        if scale >= last_scale || (joined == 1 && last_scale <= 1.0) || (i > 0 && value.fract() != 0.0) {
            break;
        }
        total += value * scale;
        i = after + used;
        last_scale = scale;
        if scale == 1.0 {
            break;
        }
    }
    (i > 0).then_some((total, i))
}

/// A number below a thousand, or digits.
fn group(t: &[String]) -> Option<(f64, usize)> {
    let first = t.first()?.as_str();
    let hundred = |k: usize| t.get(k).is_some_and(|w| w == "hundred");
    let (mut value, mut i) = if first == "a" {
        let scaled = t.get(1).is_some_and(|w| matches!(w.as_str(), "hundred" | "thousand" | "million" | "billion"));
        if !scaled {
            return None;
        }
        (1.0, 1)
    } else {
        below_hundred(t)?
    };
    if hundred(i) {
        value *= 100.0;
        i += 1;
        let joined = usize::from(t.get(i).is_some_and(|w| w == "and"));
        if let Some((rest, n)) = t.get(i + joined..).and_then(below_hundred)
            && rest < 100.0
            && rest.fract() == 0.0
        {
            value += rest;
            i += joined + n;
        }
    }
    Some((value, i))
}

fn below_hundred(t: &[String]) -> Option<(f64, usize)> {
    let w = t.first()?.as_str();
    if w.starts_with(|c: char| c.is_ascii_digit()) {
        // A time or a fraction is not a number.
        let v: f64 = w.parse().ok()?;
        return (v.is_finite() && v < 1e15).then_some((v, 1));
    }
    if let Some(v) = SMALL.iter().position(|s| *s == w) {
        return Some((v as f64, 1));
    }
    let tens = (TENS.iter().position(|s| *s == w)? + 2) as f64 * 10.0;
    match t.get(1).and_then(|w| digit(w)) {
        Some(d) if d > 0.0 && t.get(1).is_some_and(|w| SMALL.contains(&w.as_str())) => Some((tens + d, 2)),
        _ => Some((tens, 1)),
    }
}

fn digit(w: &str) -> Option<f64> {
    match w {
        "oh" => Some(0.0),
        _ if w.len() == 1 && w.starts_with(|c: char| c.is_ascii_digit()) => w.parse().ok(),
        _ => SMALL[..10].iter().position(|s| *s == w).map(|v| v as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::text::tokens;

    #[test]
    fn words_and_digits() {
        for (text, value, used) in [
            ("ten minutes", 10.0, 1),
            ("twenty-five minutes", 25.0, 2),
            ("a hundred and twenty seconds", 120.0, 4),
            ("two hundred and fifty", 250.0, 4),
            ("four hundred and thirty-six", 436.0, 5),
            ("two thousand five hundred", 2500.0, 4),
            ("two thousand and five", 2005.0, 4),
            ("three million", 3e6, 2),
            ("1,250", 1250.0, 1),
            ("2.5", 2.5, 1),
            ("two point five", 2.5, 3),
            ("zero point one two", 0.12, 4),
            ("3 hundred and 20", 320.0, 4),
            ("five and six", 5.0, 1),
            ("ten and a half", 10.0, 1),
            ("one hundred and a half", 100.0, 2),
            ("twenty oh", 20.0, 1),
            ("nineteen eighty four", 19.0, 1),
            ("a hundred", 100.0, 2),
        ] {
            assert_eq!(number(&tokens(text)), Some((value, used)), "{text}");
        }
        for text in ["a minute", "hundred", "7:30", "9/11", "and five", "", "point five"] {
            assert_eq!(number(&tokens(text)), None, "{text}");
        }
    }
}
