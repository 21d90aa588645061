//! Sums said in words.

use crate::tools::number::number;

/// The longest sum at the start of `t`, in signs, with how many tokens it takes. At least one operation. Without
/// `signs`, only operations said in words count: "4 x 4" is a car and "555-1234" a number.
pub(super) fn expression(t: &[String], signs: bool) -> Option<(String, usize)> {
    let words = t.iter().map(String::as_str).collect();
    let mut s = Sum { t, words, at: 0, out: String::new(), operations: 0, signs };
    s.term()?;
    let mut good = (s.out.clone(), s.at, s.operations);
    while s.operator().is_some() && s.term().is_some() {
        good = (s.out.clone(), s.at, s.operations);
    }
    let (out, at, operations) = good;
    (operations > 0).then_some((out, at))
}

struct Sum<'a> {
    t: &'a [String],
    words: Vec<&'a str>,
    at: usize,
    out: String,
    operations: u32,
    signs: bool,
}

impl<'a> Sum<'a> {
    fn operator(&mut self) -> Option<()> {
        let signs = self.signs;
        let (sign, n) = match self.ahead() {
            ["plus" | "+", ..] => ("+", 1),
            ["minus" | "less", ..] => ("-", 1),
            ["-", ..] if signs => ("-", 1),
            ["take", "away", ..] => ("-", 2),
            ["times" | "*", ..] => ("*", 1),
            ["x", ..] if signs => ("*", 1),
            ["multiplied", "by", ..] => ("*", 2),
            ["divided", "by", ..] => ("/", 2),
            ["over", ..] => ("/", 1),
            ["/", ..] if signs => ("/", 1),
            ["to", "the", "power", "of", ..] => ("^", 4),
            ["to", "the", "power", ..] => ("^", 3),
            ["raised", "to", ..] => ("^", 2),
            ["^", ..] => ("^", 1),
            _ => return None,
        };
        self.at += n;
        self.operations += 1;
        self.out.push_str(&format!(" {sign} "));
        Some(())
    }

    fn term(&mut self) -> Option<()> {
        match self.ahead() {
            ["the", "square", "root", "of", ..] => return self.root(4),
            ["square", "root", "of", ..] => return self.root(3),
            ["half", "of", ..] => return self.share(2, "2"),
            ["a" | "one", "half", "of", ..] => return self.share(3, "2"),
            ["a" | "one", "third", "of", ..] => return self.share(3, "3"),
            ["a" | "one", "quarter", "of", ..] => return self.share(3, "4"),
            ["minus" | "negative" | "-", ..] => {
                self.at += 1;
                self.out.push('-');
            }
            _ => {}
        }
        self.number()?;
        match self.ahead() {
            ["percent", "of", ..] => {
                self.at += 2;
                self.operations += 1;
                self.out.push_str(" / 100 * ");
                self.number()?;
            }
            ["squared", ..] => self.power("2"),
            ["cubed", ..] => self.power("3"),
            _ => {}
        }
        Some(())
    }

    fn root(&mut self, words: usize) -> Option<()> {
        self.at += words;
        self.operations += 1;
        self.out.push_str("sqrt(");
        self.number()?;
        self.out.push(')');
        Some(())
    }

    fn share(&mut self, words: usize, divisor: &str) -> Option<()> {
        self.at += words;
        self.operations += 1;
        self.number()?;
        self.out.push_str(" / ");
        self.out.push_str(divisor);
        Some(())
    }

    fn power(&mut self, exponent: &str) {
        self.at += 1;
        self.operations += 1;
        self.out.push_str(" ^ ");
        self.out.push_str(exponent);
    }

    fn number(&mut self) -> Option<()> {
        let (v, n) = number(&self.t[self.at..])?;
        self.at += n;
        self.out.push_str(&v.to_string());
        Some(())
    }

    fn ahead(&self) -> &[&'a str] {
        self.words.get(self.at..).unwrap_or_default()
    }
}
