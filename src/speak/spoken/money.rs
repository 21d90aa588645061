//! Amounts of money.

use super::english::Said;
use super::lexer::{Token, at_start};
use super::number::{cardinal, digits, whole};
use super::quantity::{Digits, read_digits, read_sign};
use super::units::per;
use Token::{Num, Space, Sym, Word};

struct Currency {
    one: &'static str,
    many: &'static str,
    /// One and many of the hundredth part, where it is used.
    cents: Option<(&'static str, &'static str)>,
}

const DOLLAR: Currency = Currency { one: "dollar", many: "dollars", cents: Some(("cent", "cents")) };
const EURO: Currency = Currency { one: "euro", many: "euros", cents: Some(("cent", "cents")) };
const POUND: Currency = Currency { one: "pound", many: "pounds", cents: Some(("penny", "pence")) };
const YEN: Currency = Currency { one: "yen", many: "yen", cents: None };
const RUPEE: Currency = Currency { one: "rupee", many: "rupees", cents: Some(("paisa", "paise")) };
const US_DOLLAR: Currency = Currency { one: "US dollar", many: "US dollars", cents: Some(("cent", "cents")) };
const FRANC: Currency = Currency { one: "Swiss franc", many: "Swiss francs", cents: None };

fn by_sign(c: char) -> Option<&'static Currency> {
    Some(match c {
        '$' => &DOLLAR,
        '€' => &EURO,
        '£' => &POUND,
        '¥' => &YEN,
        '₹' => &RUPEE,
        _ => return None,
    })
}

fn by_code(w: &str) -> Option<&'static Currency> {
    Some(match w {
        "USD" => &US_DOLLAR,
        "EUR" => &EURO,
        "GBP" => &POUND,
        "JPY" => &YEN,
        "INR" => &RUPEE,
        "CHF" => &FRANC,
        _ => return None,
    })
}

/// What people put a price in front of without a plural: "a twenty dollar bill".
const PRICED: [&str; 9] = ["bill", "note", "coin", "fee", "ticket", "voucher", "gift", "discount", "tip"];

/// $3.50, -£5, €20/month, $5-10, $2.5 million, 20 €, 20 USD, 50¢
pub(super) fn amount(before: &[Token], rest: &[Token]) -> Said {
    let (signed, sign) = read_sign(before, rest);
    let (used, words) = sign_first(&rest[signed..]).or_else(|| number_first(before, &rest[signed..]))?;
    let (more, each) = per(&rest[signed + used..]).unwrap_or_default();
    Some((signed + used + more, format!("{sign}{words}{each}")))
}

fn sign_first(rest: &[Token]) -> Said {
    let [Sym(c), ..] = rest else { return None };
    let currency = by_sign(*c)?;
    let d = read_digits(&rest[1..])?;
    let used = 1 + d.used;
    if let [Sym('-' | '–'), Num(_), ..] = &rest[used..]
        && let Some(to) = read_digits(&rest[used + 1..])
    {
        let (scaled, scale) = scale(&rest[used + 1 + to.used..]).unwrap_or_default();
        let words = format!("{} to {}{scale} {}", d.words(), to.words(), currency.many);
        return Some((used + 1 + to.used + scaled, words));
    }
    if let Some((scaled, scale)) = scale(&rest[used..]) {
        return Some((used + scaled, format!("{}{scale} {}", d.words(), currency.many)));
    }
    let modifies = matches!(&rest[used..], [Space, Word(w), ..] if PRICED.contains(w));
    if modifies && d.frac.is_none() {
        return Some((used, format!("{} {}", d.words(), currency.one)));
    }
    Some((used, price(&d, currency)))
}

fn number_first(before: &[Token], rest: &[Token]) -> Said {
    let d = read_digits(rest).filter(|_| at_start(before) && matches!(rest.first(), Some(Num(_))))?;
    let space = usize::from(matches!(rest.get(d.used), Some(Space)));
    let used = d.used + space + 1;
    match rest.get(d.used + space)? {
        Sym('¢') => Some((used, format!("{} {}", d.words(), if d.is_one() { "cent" } else { "cents" }))),
        // "5 $10 notes" is no five dollars
        Sym(c) if !matches!(rest.get(used), Some(Num(_))) => Some((used, price(&d, by_sign(*c)?))),
        Word(w) => Some((used, price(&d, by_code(w)?))),
        _ => None,
    }
}

/// "million" and its like after an amount, with a space in front.
fn scale(rest: &[Token]) -> Option<(usize, String)> {
    match rest {
        [Space, Word(w @ ("thousand" | "million" | "billion" | "trillion")), ..] => Some((2, format!(" {w}"))),
        [Word("k" | "K"), ..] => Some((1, " thousand".into())),
        [Word("M" | "m" | "mn"), ..] => Some((1, " million".into())),
        [Word("B" | "bn"), ..] => Some((1, " billion".into())),
        _ => None,
    }
}

/// "three dollars fifty", "ninety-nine cents", "one dollar and five cents"
fn price(d: &Digits, currency: &Currency) -> String {
    let coins = match d.frac {
        Some(f) if f.len() <= 2 => f.parse::<u64>().ok().map(|n| if f.len() == 1 { n * 10 } else { n }),
        Some(_) => None,
        None => Some(0),
    };
    let named = if d.int.trim_start_matches('0') == "1" { currency.one } else { currency.many };
    let notes = format!("{} {named}", whole(&d.int));
    match (coins, currency.cents) {
        (Some(0), _) => notes,
        (Some(n), Some((one, many))) => {
            let cents = format!("{} {}", cardinal(n), if n == 1 { one } else { many });
            match d.int.trim_start_matches('0') {
                "" => cents,
                _ if n < 10 => format!("{notes} and {cents}"),
                _ => format!("{notes} {}", cardinal(n)),
            }
        }
        _ => format!("{} point {} {}", whole(&d.int), digits(d.frac.unwrap_or_default()), currency.many),
    }
}
