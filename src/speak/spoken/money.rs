//! Amounts of money: $3.50, 3,50 €, £1.2m, $7tn, USD 20, 20p, $5–10.
//!
//! Defaults: three digits behind a dot are thousands of euros but decimals of dollars and pounds ("1.500 €",
//! "$3.459"); m and M are millions behind an amount.

use super::cardinal::{Digits, read_digits, read_sign};
use super::lexer::{Said, Token, at_start, dash, next_word, word_before};
use super::number::{cardinal, digits, whole};
use super::units::per;
use Token::{Num, Space, Sym, Word};

struct Currency {
    one: &'static str,
    many: &'static str,
    /// One and many of the hundredth part, where it is used.
    cents: Option<(&'static str, &'static str)>,
}

const CENTS: Option<(&str, &str)> = Some(("cent", "cents"));

const fn currency(one: &'static str, many: &'static str, cents: Option<(&'static str, &'static str)>) -> Currency {
    Currency { one, many, cents }
}

const DOLLAR: Currency = currency("dollar", "dollars", CENTS);
const EURO: Currency = currency("euro", "euros", CENTS);
const POUND: Currency = currency("pound", "pounds", Some(("penny", "pence")));
const YEN: Currency = currency("yen", "yen", None);
const RUPEE: Currency = currency("rupee", "rupees", Some(("paisa", "paise")));
const WON: Currency = currency("won", "won", None);
const RUBLE: Currency = currency("ruble", "rubles", None);
const LIRA: Currency = currency("lira", "lira", None);
const BITCOIN: Currency = currency("bitcoin", "bitcoin", None);
const REAL: Currency = currency("real", "reais", None);
const US_DOLLAR: Currency = currency("US dollar", "US dollars", CENTS);
const CANADIAN: Currency = currency("Canadian dollar", "Canadian dollars", CENTS);
const AUSTRALIAN: Currency = currency("Australian dollar", "Australian dollars", CENTS);
const NEW_ZEALAND: Currency = currency("New Zealand dollar", "New Zealand dollars", CENTS);
const HONG_KONG: Currency = currency("Hong Kong dollar", "Hong Kong dollars", CENTS);
const SINGAPORE: Currency = currency("Singapore dollar", "Singapore dollars", CENTS);
const FRANC: Currency = currency("Swiss franc", "Swiss francs", Some(("centime", "centimes")));
/// Written out, whosever francs they are.
const FRANC_WORD: Currency = currency("franc", "francs", Some(("centime", "centimes")));
const KRONA: Currency = currency("krona", "kronor", None);
const KRONE: Currency = currency("krone", "kroner", None);
const ZLOTY: Currency = currency("zloty", "zloty", None);
const YUAN: Currency = currency("yuan", "yuan", None);
const PESO: Currency = currency("peso", "pesos", None);
const RAND: Currency = currency("rand", "rand", None);
const SHEKEL: Currency = currency("shekel", "shekels", None);
const HRYVNIA: Currency = currency("hryvnia", "hryvnias", None);
const DONG: Currency = currency("dong", "dong", None);
const BAHT: Currency = currency("baht", "baht", None);
const DIRHAM: Currency = currency("dirham", "dirhams", None);

fn by_sign(c: char) -> Option<&'static Currency> {
    Some(match c {
        '$' => &DOLLAR,
        '€' => &EURO,
        '£' => &POUND,
        '¥' => &YEN,
        '₹' => &RUPEE,
        '₩' => &WON,
        '₽' => &RUBLE,
        '₺' => &LIRA,
        '₿' => &BITCOIN,
        '₪' => &SHEKEL,
        '₴' => &HRYVNIA,
        '₫' => &DONG,
        '₱' => &PESO,
        '฿' => &BAHT,
        _ => return None,
    })
}

/// Letters in front of a dollar sign.
fn dollar_of(w: &str) -> Option<&'static Currency> {
    Some(match w {
        "US" => &US_DOLLAR,
        "C" | "CA" | "CAD" => &CANADIAN,
        "A" | "AU" | "AUD" => &AUSTRALIAN,
        "NZ" => &NEW_ZEALAND,
        "HK" => &HONG_KONG,
        "S" | "SG" => &SINGAPORE,
        "R" => &REAL,
        "USD" => &US_DOLLAR,
        _ => return None,
    })
}

fn by_code(w: &str) -> Option<&'static Currency> {
    Some(match w {
        "USD" => &US_DOLLAR,
        "EUR" => &EURO,
        "GBP" => &POUND,
        "JPY" => &YEN,
        "INR" | "Rs" => &RUPEE,
        "CHF" | "SFr" => &FRANC,
        "CAD" => &CANADIAN,
        "AUD" => &AUSTRALIAN,
        "NZD" => &NEW_ZEALAND,
        "HKD" => &HONG_KONG,
        "SGD" => &SINGAPORE,
        "SEK" => &KRONA,
        "NOK" | "DKK" | "kr" => &KRONE,
        "PLN" | "zł" => &ZLOTY,
        "CNY" | "RMB" => &YUAN,
        "MXN" => &PESO,
        "BRL" => &REAL,
        "ZAR" => &RAND,
        "KRW" => &WON,
        "RUB" => &RUBLE,
        "TRY" => &LIRA,
        "AED" => &DIRHAM,
        "THB" => &BAHT,
        "BTC" => &BITCOIN,
        _ => return None,
    })
}

/// Words behind an amount that are no noun with a price: "twenty dollars off".
const NO_NOUN: [&str; 40] = [
    "a", "an", "the", "of", "off", "in", "on", "at", "to", "from", "for", "per", "and", "or", "is", "was", "are",
    "were", "more", "less", "each", "every", "now", "today", "with", "by", "if", "when", "than", "as", "into", "out",
    "this", "that", "back", "extra", "total", "worth", "last", "next",
];

/// -£5, $-5, €20/month and all the others
pub(super) fn amount(before: &[Token], rest: &[Token]) -> Said {
    let (signed, sign) = read_sign(before, rest);
    let body = &rest[signed..];
    let (used, words) = marked_first(before, body).or_else(|| number_first(before, body))?;
    let (more, each) = per(&body[used..]).unwrap_or_default();
    Some((signed + used + more, format!("{sign}{words}{each}")))
}

/// The currency in front of a number: tokens read up to the number.
fn mark(before: &[Token], rest: &[Token]) -> Option<(usize, &'static Currency)> {
    let space = |at: usize| at + usize::from(matches!(rest.get(at), Some(Space)));
    let outside = || !matches!(before.last(), Some(Word(_) | Num(_)));
    match rest {
        [Word(w), Sym('$'), ..] if outside() => Some((space(2), dollar_of(w)?)),
        [Sym('$'), Word(w @ ("USD" | "AUD" | "CAD")), ..] => Some((space(2), by_code(w)?)),
        [Sym(c), ..] => Some((space(1), by_sign(*c)?)),
        [Word("Rs"), Sym('.'), ..] if outside() => Some((space(2), &RUPEE)),
        [Word("kr"), ..] | [Word("zł"), ..] => None,
        [Word(w), ..] if outside() => Some((space(1), by_code(w)?)),
        _ => None,
    }
}

fn marked_first(before: &[Token], rest: &[Token]) -> Said {
    let (marked, currency) = mark(before, rest)?;
    let minus = usize::from(matches!(rest[marked..], [Sym('-'), Num(_), ..]));
    let sign = if minus == 1 { "minus " } else { "" };
    let start = marked + minus;
    let d = money_digits(&rest[start..], currency)?;
    // "€ 12,-"
    let used = start + d.used + no_cents(&rest[start + d.used..]);
    // $5-10, but not $5-$10, whose ends are said in full
    if let Some(gap) = dash(&rest[used..])
        && let Some(to) = money_digits(&rest[used + gap..], currency)
        && matches!(rest.get(used + gap), Some(Num(_)))
        && !matches!(rest.get(used + gap + to.used), Some(Sym('-')))
    {
        let (scaled, scale) = scale(&rest[used + gap + to.used..]).unwrap_or_default();
        let words = format!("{} to {}{scale} {}", d.words(), to.words(), currency.many);
        return Some((used + gap + to.used + scaled, words));
    }
    let noun = |after: &[Token]| {
        let article = matches!(
            word_before(before).as_deref(),
            Some("a" | "an" | "the" | "this" | "that" | "my" | "your" | "his" | "her" | "one" | "another" | "per")
        );
        let w = next_word(after).filter(|w| w.starts_with(char::is_lowercase) && !NO_NOUN.contains(w));
        w.is_some_and(|w| article || PRICED.contains(&w.strip_suffix('s').unwrap_or(w)))
    };
    if let Some((scaled, scale)) = scale(&rest[used..]) {
        let name = if noun(&rest[used + scaled..]) { currency.one } else { currency.many };
        return Some((used + scaled, format!("{sign}{}{scale} {name}", d.words())));
    }
    if d.frac.is_none() && noun(&rest[used..]) {
        return Some((used, format!("{sign}{} {}", d.words(), currency.one)));
    }
    Some((used, format!("{sign}{}", price(&d, currency))))
}

/// What people put a price in front of without a plural: "twenty dollar bill".
const PRICED: [&str; 16] = [
    "deal", "loan", "fine", "prize", "contract", "budget", "stamp", "bill", "note", "coin", "fee", "ticket", "voucher",
    "gift", "discount", "tip",
];

/// As all numbers, but 1.500 € is one and a half thousand.
fn money_digits<'a>(rest: &[Token<'a>], currency: &Currency) -> Option<Digits<'a>> {
    let mut d = read_digits(rest)?;
    let per_liter = matches!(&rest[d.used..], [Sym('/'), ..] | [Space, Sym('€'), Sym('/'), ..]);
    if let (Some(f), "euro" | "Swiss franc") = (d.frac, currency.one)
        && f.len() == 3
        && d.used == 3
        && d.int.len() <= 3
        && !d.int.starts_with('0')
        && !per_liter
    {
        d.int.push_str(f);
        d.frac = None;
    }
    Some(d)
}

/// The ",-" that says that there are no cents: tokens of it.
fn no_cents(rest: &[Token]) -> usize {
    let closed =
        matches!(rest, [Sym(',' | '.'), Sym('-' | '–' | '—'), after @ ..] if !matches!(after, [Num(_) | Word(_), ..]));
    if closed { 2 } else { 0 }
}

/// 20 €, 5–10 €, 20 USD, 50¢, 20p, 50 kr, 2 bn €
fn number_first(before: &[Token], rest: &[Token]) -> Said {
    let d = read_digits(rest).filter(|_| at_start(before) && matches!(rest.first(), Some(Num(_) | Sym('.'))))?;
    let (scaled, scale_words) = match rest.get(d.used) {
        Some(Space) => scale(&rest[d.used..]).or_else(|| {
            let (used, words) = scale(&rest[d.used + 1..])?;
            Some((used + 1, words))
        }),
        _ => scale(&rest[d.used..]),
    }
    .unwrap_or_default();
    let end = d.used + scaled + no_cents(&rest[d.used + scaled..]);
    let space = usize::from(matches!(rest.get(end), Some(Space)));
    let used = end + space + 1;
    let cents = |one, many| Some((used, format!("{} {}", d.words(), if d.is_one() { one } else { many })));
    let found = match rest.get(end + space)? {
        Sym('¢') => return cents("cent", "cents"),
        Word("p") if space == 0 && d.frac.is_none() && d.int.len() <= 2 && !half(&rest[end..]) => {
            return cents("penny", "pence");
        }
        Word("ct" | "cts") if d.frac.is_none() => return cents("cent", "cents"),
        Word("c") if space == 0 && d.frac.is_none() && d.int.len() <= 2 => return cents("cent", "cents"),
        // "5 $10 notes" is no five dollars
        Sym(c) if !matches!(rest.get(used), Some(Num(_))) => by_sign(*c)?,
        // "12.50 dollars"
        Word("dollar" | "dollars") if d.frac.is_some_and(|f| f.len() == 2) && space == 1 && scaled == 0 => &DOLLAR,
        Word("euro" | "euros") if d.frac.is_some_and(|f| f.len() == 2) && space == 1 && scaled == 0 => &EURO,
        Word("francs") if d.frac.is_some_and(|f| f.len() == 2) && space == 1 && scaled == 0 => &FRANC_WORD,
        Word("Fr") if space == 1 => &FRANC,
        Word(w) => by_code(w)?,
        _ => return None,
    };
    let d = match (d.frac, scaled) {
        (Some(_), 0) => money_digits(&rest[..=end + space], found).unwrap_or(d),
        _ => d,
    };
    let words = match scaled {
        0 => price(&d, found),
        _ => format!("{}{scale_words} {}", d.words(), found.many),
    };
    Some((used, words))
}

/// "20 p.m."
fn half(rest: &[Token]) -> bool {
    super::clock::half_of_day(rest).is_some()
}

/// "million" and its like after an amount, with a space in front.
fn scale(rest: &[Token]) -> Option<(usize, String)> {
    match rest {
        [Space, Word(w @ ("hundred" | "thousand" | "million" | "billion" | "trillion" | "lakh" | "crore")), ..]
        | [Space, Sym('-'), Word(w @ ("thousand" | "million" | "billion" | "trillion")), ..] => {
            Some((2, format!(" {w}")))
        }
        [Sym('-'), Word(w @ ("million" | "billion" | "trillion")), ..] => Some((2, format!(" {w}"))),
        [Word("k" | "K"), ..] => Some((1, " thousand".into())),
        [Word("M" | "m" | "mn" | "MM" | "mm" | "mln" | "mil"), ..] => Some((1, " million".into())),
        [Space, Word("Mio"), Sym('.'), ..] => Some((3, " million".into())),
        [Space, Word("Mrd"), Sym('.'), ..] => Some((3, " billion".into())),
        [Space, Word("mn" | "mln"), ..] => Some((2, " million".into())),
        [Word("B" | "b" | "bn" | "BN" | "Bn"), ..] => Some((1, " billion".into())),
        [Space, Word("bn"), ..] => Some((2, " billion".into())),
        [Word("T" | "t" | "tn" | "trn" | "tr"), ..] => Some((1, " trillion".into())),
        [Space, Word("tn"), ..] => Some((2, " trillion".into())),
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
