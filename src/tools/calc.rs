//! Arithmetic as it is asked of a voice assistant: numbers, + − × ÷ ^ %, brackets, roots.

/// Deepest nesting of brackets and signs.
const DEPTH_MAX: u32 = 32;
/// Longest expression.
const CHARS_MAX: usize = 200;

/// Numbers from here on are too large to say, and their last digits uncertain.
const LARGEST: f64 = 1e15;

/// What binary arithmetic makes of a decimal result is off by less than this part of it.
const NOISE: f64 = 1e-12;

/// Why there is no result, as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    NotUnderstood,
    DivisionByZero,
    TooLarge,
    NotReal,
}

/// Value of an expression such as `40 / 100 * 500`, `2 ^ 10`, `sqrt(144)`, `-(3 + 4) * 2.5`.
///
/// `^` binds right, the others left; `%` after a number divides it by 100.
pub(super) fn evaluate(expression: &str) -> Result<f64, Trouble> {
    if expression.chars().count() > CHARS_MAX {
        return Err(Trouble::NotUnderstood);
    }
    let text = expression.to_lowercase().replace("**", "^");
    let chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut p = Parser { chars: &chars, at: 0, depth: 0 };
    let v = p.sum()?;
    if p.at != chars.len() {
        return Err(Trouble::NotUnderstood);
    }
    finite(v)
}

/// A result without binary rounding noise: whole, or of at most 12 significant digits.
pub(super) fn tidy(v: f64) -> f64 {
    if v.fract() == 0.0 || v.abs() >= LARGEST {
        return if v == 0.0 { 0.0 } else { v };
    }
    let places = 11 - v.abs().log10().floor() as i32;
    let scale = 10f64.powi(places.clamp(-15, 300));
    let t = (v * scale).round() / scale;
    if t == 0.0 { 0.0 } else { t }
}

/// A result for the ear: "96", "1,024", "about 33.33", "about 0.333". What has at most three decimals is said as it is;
/// anything else is rounded to two, and below 1 to three digits. `None` for what is too large to say.
pub(super) fn told(v: f64) -> Option<String> {
    if !v.is_finite() || v.abs() >= LARGEST {
        return None;
    }
    let exact = round(v, 3);
    if (v - exact).abs() <= v.abs() * NOISE {
        return Some(grouped(exact));
    }
    if v.abs() < 1e-6 {
        return Some("less than a millionth".to_owned());
    }
    let places = if v.abs() >= 1.0 { 2 } else { 2 - v.abs().log10().floor() as i32 };
    Some(format!("about {}", grouped(round(v, places))))
}

fn round(v: f64, places: i32) -> f64 {
    let scale = 10f64.powi(places);
    let rounded = (v * scale).round() / scale;
    // Minus nothing is nothing.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Thousands apart: 1,234,567.5.
fn grouped(v: f64) -> String {
    let text = v.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !decimals.is_empty() {
        out.push('.');
        out += decimals;
    }
    out
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<f64, Trouble> {
        let mut v = self.product()?;
        loop {
            match self.peek() {
                Some('+') => {
                    self.at += 1;
                    v += self.product()?;
                }
                Some('-' | '−' | '–') => {
                    self.at += 1;
                    v -= self.product()?;
                }
                _ => return finite(v),
            }
        }
    }

    fn product(&mut self) -> Result<f64, Trouble> {
        let mut v = self.signed()?;
        loop {
            match self.peek() {
                Some('*' | '×' | '·' | 'x') => {
                    self.at += 1;
                    v *= self.signed()?;
                }
                Some('/' | '÷' | ':') => {
                    self.at += 1;
                    let d = self.signed()?;
                    if d == 0.0 {
                        return Err(Trouble::DivisionByZero);
                    }
                    v /= d;
                }
                _ => return finite(v),
            }
        }
    }

    fn signed(&mut self) -> Result<f64, Trouble> {
        match self.peek() {
            Some('-' | '−') => {
                self.at += 1;
                self.deeper(|p| Ok(-p.signed()?))
            }
            Some('+') => {
                self.at += 1;
                self.deeper(Self::signed)
            }
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Result<f64, Trouble> {
        let base = self.postfix()?;
        if self.peek() != Some('^') {
            return Ok(base);
        }
        self.at += 1;
        let exponent = self.deeper(Self::signed)?;
        if base == 0.0 && exponent < 0.0 {
            return Err(Trouble::DivisionByZero);
        }
        let v = base.powf(exponent);
        if v.is_nan() { Err(Trouble::NotReal) } else { finite(v) }
    }

    fn postfix(&mut self) -> Result<f64, Trouble> {
        let mut v = self.atom()?;
        while self.peek() == Some('%') {
            self.at += 1;
            v /= 100.0;
        }
        Ok(v)
    }

    fn atom(&mut self) -> Result<f64, Trouble> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let v = self.deeper(Self::sum)?;
                self.expect(')')?;
                Ok(v)
            }
            Some('√') => {
                self.at += 1;
                let v = self.deeper(Self::atom)?;
                root(v)
            }
            Some('s') => {
                for c in "sqrt(".chars() {
                    self.expect(c)?;
                }
                let v = self.deeper(Self::sum)?;
                self.expect(')')?;
                root(v)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            _ => Err(Trouble::NotUnderstood),
        }
    }

    fn number(&mut self) -> Result<f64, Trouble> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.' || c == ',') {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().filter(|&&c| c != ',').collect();
        text.parse().map_err(|_| Trouble::NotUnderstood)
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, Trouble>) -> Result<T, Trouble> {
        if self.depth == DEPTH_MAX {
            return Err(Trouble::NotUnderstood);
        }
        self.depth += 1;
        let r = f(self);
        self.depth -= 1;
        r
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn expect(&mut self, c: char) -> Result<(), Trouble> {
        if self.peek() != Some(c) {
            return Err(Trouble::NotUnderstood);
        }
        self.at += 1;
        Ok(())
    }
}

fn root(v: f64) -> Result<f64, Trouble> {
    if v < 0.0 { Err(Trouble::NotReal) } else { Ok(v.sqrt()) }
}

fn finite(v: f64) -> Result<f64, Trouble> {
    if v.is_finite() { Ok(v) } else { Err(Trouble::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arithmetic() {
        for (e, v) in [
            ("12 * 8", 96.0),
            ("40 / 100 * 500", 200.0),
            ("2 + 3 * 4", 14.0),
            ("(2 + 3) * 4", 20.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("-2 ^ 2", -4.0),
            ("2 ** 10", 1024.0),
            ("sqrt(144)", 12.0),
            ("√ 9", 3.0),
            ("15% * 80", 12.0),
            ("1,000 x 2", 2000.0),
            ("5 - -3", 8.0),
            ("10 - 4 - 3", 3.0),
            (".5 * 4", 2.0),
        ] {
            assert_eq!(evaluate(e).map(tidy), Ok(v), "{e}");
        }
        assert_eq!(evaluate("0.1 + 0.2").map(tidy), Ok(0.3));
        assert_eq!(evaluate("1 / 0"), Err(Trouble::DivisionByZero));
        assert_eq!(evaluate("0 ^ -1"), Err(Trouble::DivisionByZero));
        assert_eq!(evaluate("9 ^ 9 ^ 9"), Err(Trouble::TooLarge));
        assert_eq!(evaluate("sqrt(-1)"), Err(Trouble::NotReal));
        assert_eq!(evaluate("(-8) ^ 0.5"), Err(Trouble::NotReal));
        let deep = format!("{}1", "(".repeat(90));
        for e in ["", "1 +", "two", "1 2 (", "1..2", "__import__('os')", "s", deep.as_str(), "1; 2"] {
            assert_eq!(evaluate(e), Err(Trouble::NotUnderstood), "{e}");
        }
    }

    #[test]
    fn results_for_the_ear() {
        for (v, wanted) in [
            (96.0, "96"),
            (2.5, "2.5"),
            (0.125, "0.125"),
            (100.0 / 3.0, "about 33.33"),
            (-100.0 / 3.0, "about -33.33"),
            (2.0 / 3.0, "about 0.667"),
            (1.0 / 128.0, "about 0.00781"),
            (2f64.sqrt(), "about 1.41"),
            (0.1 + 0.2, "0.3"),
            (1024.0, "1,024"),
            (1609.344, "1,609.344"),
            (1_234_567.891_2, "about 1,234,567.89"),
            (-1000.0, "-1,000"),
            (999.0, "999"),
            (80_779_853_376.0, "80,779,853,376"),
            (1e12, "1,000,000,000,000"),
            (1e-9, "less than a millionth"),
            (0.0, "0"),
            (-0.0, "0"),
        ] {
            assert_eq!(told(v).as_deref(), Some(wanted));
        }
        assert_eq!((told(1e15), told(f64::NAN), told(f64::INFINITY)), (None, None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(e in "[-0-9+*/^%().√sqrt x,]{0,220}", any in "\\PC{0,60}") {
            let _ = evaluate(&e).map(tidy);
            let _ = evaluate(&e).map(told);
            let _ = evaluate(&any);
        }
    }
}
