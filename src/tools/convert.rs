//! Conversion between units.

use super::number::number;
use super::text::tokens;
use super::{calc, duration};

mod units;

use units::{Kind, Unit};

/// Why there is no result.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// No unit is called so.
    Unknown(String),
    /// They measure different things: their names.
    Unlike(&'static str, &'static str),
    /// Rates of exchange change.
    Currency,
    /// Nothing is so cold.
    BelowZero,
    TooLarge,
}

/// A conversion that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Converted {
    pub(super) value: f64,
    /// "5 miles is about 8.05 kilometers."
    pub(super) spoken: String,
}

/// `value` of the unit `from` in the unit `to`, both as people call them.
pub(super) fn convert(value: f64, from: &str, to: &str) -> Result<Converted, Trouble> {
    let (from, to) = pair(from, to)?;
    if from.kind != to.kind {
        return Err(Trouble::Unlike(from.many, to.many));
    }
    let base = (value + from.zero) * from.size;
    if from.kind == Kind::Temperature && base < -1e-9 {
        return Err(Trouble::BelowZero);
    }
    let result = base / to.size - to.zero;
    let (Some(given), Some(got)) = (calc::told(value), calc::told(result)) else { return Err(Trouble::TooLarge) };
    let got =
        if got.starts_with("less") { format!("{got} of a {}", to.one) } else { format!("{got} {}", name(to, &got)) };
    let spoken = if from == to {
        format!("That's {got}.")
    } else {
        let line = format!("{given} {} is {got}.", name(from, &given));
        line[..1].to_uppercase() + &line[1..]
    };
    // The sizes are decimal: rounding noise goes.
    Ok(Converted { value: calc::tidy(result), spoken })
}

/// A conversion that all of `text` asks for: "2.5 hours in minutes", "5 miles to km", "how many minutes are in an hour"
/// without its "how many".
pub(super) fn asked(text: &str) -> Option<(f64, String, String)> {
    let t = tokens(text);
    let signs = ["in", "to", "into", "as"];
    (1..t.len().saturating_sub(1)).filter(|&i| signs.contains(&t[i].as_str())).find_map(|i| {
        let (left, right) = (&t[..i], t[i + 1..].join(" "));
        if let Some((value, from)) = quantity(left)
            && find(&right).is_some()
        {
            return Some((value, from, right));
        }
        // "Minutes in two hours".
        let (value, from) = quantity(&t[i + 1..])?;
        let to = left.iter().filter(|w| !matches!(w.as_str(), "are" | "is")).cloned().collect::<Vec<_>>().join(" ");
        (t[i] == "in" && find(&to).is_some()).then_some((value, from, to))
    })
}

/// A number and the name of its unit: "two and a half hours", "an inch", "1 hour 30 minutes".
fn quantity(t: &[String]) -> Option<(f64, String)> {
    single(t).filter(|(_, unit)| find(unit).is_some()).or_else(|| {
        let (seconds, n) = duration::within(t, u64::from(u32::MAX))?;
        (n == t.len()).then(|| (seconds as f64, "seconds".to_owned()))
    })
}

fn single(t: &[String]) -> Option<(f64, String)> {
    let article = |i: usize| t.get(i).is_some_and(|w| w == "a" || w == "an");
    let half = |i: usize| t.get(i).is_some_and(|w| w == "half");
    let (sign, t) = if t.first().is_some_and(|w| w == "-" || w == "minus") { (-1.0, &t[1..]) } else { (1.0, t) };
    let (value, n) = match number(t) {
        Some((v, n)) if t.get(n).is_some_and(|w| w == "and") && half(n + 2) && t.len() > n + 3 => (v + 0.5, n + 3),
        Some(found) => found,
        None if half(0) => (0.5, 1 + usize::from(article(1))),
        None if article(0) && half(1) => (0.5, 2),
        None if article(0) => (1.0, 1),
        None => return None,
    };
    let unit = t.get(n..).filter(|u| !u.is_empty())?.join(" ");
    Some((sign * value, unit))
}

fn name(unit: &Unit, number: &str) -> &'static str {
    if number == "1" || number == "-1" { unit.one } else { unit.many }
}

/// Both units, each understood beside the other: an ounce of a cup is a fluid one, a degree beside Celsius one of
/// Fahrenheit.
fn pair(from: &str, to: &str) -> Result<(&'static Unit, &'static Unit), Trouble> {
    let (plain_from, plain_to) = (plain(from), plain(to));
    let money = (units::is_money(&plain_from), units::is_money(&plain_to));
    let pounds = |text: &str| matches!(text, "pound" | "pounds");
    if money == (true, true) || (money.0 && pounds(&plain_to)) || (money.1 && pounds(&plain_from)) {
        return Err(Trouble::Currency);
    }
    let beside = |text: &str, other: &str| match (text, units::named(other).map(|u| (u.kind, u.one))) {
        ("ounce" | "ounces" | "oz", Some((Kind::Volume, _))) => units::named("fluid ounces"),
        ("degree" | "degrees", Some((Kind::Temperature, one))) => {
            units::named(if one == "degree Celsius" { "fahrenheit" } else { "celsius" })
        }
        // To runners "k" is a kilometer.
        ("k", Some((Kind::Temperature, _))) => units::named("kelvin"),
        _ => units::named(text),
    };
    let unknown =
        |text: &str, money: bool| if money { Trouble::Currency } else { Trouble::Unknown(text.trim().to_owned()) };
    let a = beside(&plain_from, &plain_to).ok_or_else(|| unknown(from, money.0))?;
    let b = beside(&plain_to, &plain_from).ok_or_else(|| unknown(to, money.1))?;
    Ok((a, b))
}

/// The unit called so; money counts, so that it can be declined.
fn find(text: &str) -> Option<()> {
    let plain = plain(text);
    (units::named(&plain).is_some() || units::is_money(&plain)).then_some(())
}

/// One spelling for a unit's name: "Kilometres/hour" is "kilometers per hour", "m²" is "m 2".
fn plain(text: &str) -> String {
    let text = text.replace('²', "2").replace('³', "3").replace('°', " degrees ").replace(['µ', 'μ'], "u");
    let mut words: Vec<String> = tokens(&text)
        .into_iter()
        .map(|w| match w.as_str() {
            "/" => "per".to_owned(),
            "imperial" | "british" | "english" => "uk".to_owned(),
            "american" => "us".to_owned(),
            "sq" => "square".to_owned(),
            "cu" => "cubic".to_owned(),
            "foot" => "feet".to_owned(),
            "inch" => "inches".to_owned(),
            "centigrade" => "celsius".to_owned(),
            _ => w.replace("metre", "meter").replace("litre", "liter").replace("gramme", "gram"),
        })
        .collect();
    while words.len() > 1 && matches!(words[0].as_str(), "a" | "an" | "the" | "of" | "us") {
        words.remove(0);
    }
    if words.len() > 1 && matches!(words[0].as_str(), "degree" | "degrees") {
        words.remove(0);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
