//! Units and how many of them.

use crate::tools::number::number;

/// Units of one kind can be converted into each other.
const UNITS: &[&[&str]] = &[
    // Length.
    &[
        "millimeter",
        "millimeters",
        "millimetre",
        "millimetres",
        "mm",
        "centimeter",
        "centimeters",
        "centimetre",
        "centimetres",
        "cm",
        "meter",
        "meters",
        "metre",
        "metres",
        "kilometer",
        "kilometers",
        "kilometre",
        "kilometres",
        "km",
        "inch",
        "inches",
        "foot",
        "feet",
        "yard",
        "yards",
        "mile",
        "miles",
        "nautical mile",
        "nautical miles",
    ],
    // Mass.
    &[
        "milligram",
        "milligrams",
        "mg",
        "gram",
        "grams",
        "g",
        "kilogram",
        "kilograms",
        "kilo",
        "kilos",
        "kg",
        "ounce",
        "ounces",
        "oz",
        "pound",
        "pounds",
        "lb",
        "lbs",
        "stone",
        "stones",
        "ton",
        "tons",
        "tonne",
        "tonnes",
    ],
    // Volume.
    &[
        "milliliter",
        "milliliters",
        "millilitre",
        "millilitres",
        "ml",
        "centiliter",
        "centiliters",
        "deciliter",
        "deciliters",
        "liter",
        "liters",
        "litre",
        "litres",
        "l",
        "teaspoon",
        "teaspoons",
        "tablespoon",
        "tablespoons",
        "fluid ounce",
        "fluid ounces",
        "cup",
        "cups",
        "pint",
        "pints",
        "quart",
        "quarts",
        "gallon",
        "gallons",
    ],
    // Time.
    &[
        "millisecond",
        "milliseconds",
        "second",
        "seconds",
        "minute",
        "minutes",
        "hour",
        "hours",
        "day",
        "days",
        "week",
        "weeks",
        "fortnight",
        "fortnights",
        "year",
        "years",
    ],
    // Temperature.
    &["celsius", "centigrade", "fahrenheit", "kelvin"],
    // Area.
    &[
        "square centimeter",
        "square centimeters",
        "square meter",
        "square meters",
        "square metre",
        "square metres",
        "square kilometer",
        "square kilometers",
        "square inch",
        "square inches",
        "square foot",
        "square feet",
        "square yard",
        "square yards",
        "square mile",
        "square miles",
        "acre",
        "acres",
        "hectare",
        "hectares",
    ],
    // Speed.
    &[
        "kilometers per hour",
        "kilometres per hour",
        "miles per hour",
        "mph",
        "kph",
        "meters per second",
        "metres per second",
        "knot",
        "knots",
    ],
    // Data.
    &[
        "bit",
        "bits",
        "byte",
        "bytes",
        "kilobyte",
        "kilobytes",
        "megabyte",
        "megabytes",
        "gigabyte",
        "gigabytes",
        "terabyte",
        "terabytes",
    ],
];

/// Longest unit, in words.
const UNIT_MAX: usize = 3;

/// How many words at the start of `t` are a unit.
pub(super) fn unit(t: &[String]) -> Option<usize> {
    (1..=t.len().min(UNIT_MAX)).rev().find(|n| kind(&t[..*n].join(" ")).is_some())
}

/// Whether one unit can be converted into the other.
pub(super) fn convertible(from: &str, to: &str) -> bool {
    kind(from).is_some() && kind(from) == kind(to)
}

fn kind(unit: &str) -> Option<usize> {
    UNITS.iter().position(|all| all.contains(&unit))
}

/// "5", "two and a half", "half a", "an", "minus ten": how many units there are.
pub(super) fn amount(t: &[String]) -> Option<(f64, usize)> {
    let words: Vec<&str> = t.iter().map(String::as_str).take(4).collect();
    match words[..] {
        ["half", "a" | "an", ..] => return Some((0.5, 2)),
        ["a" | "one", "half", "of", "a" | "an", ..] => return Some((0.5, 4)),
        ["a" | "one", "half", ..] => return Some((0.5, 2)),
        ["a" | "one", "quarter", "of", "a" | "an"] => return Some((0.25, 4)),
        ["three", "quarters", "of", "a" | "an"] => return Some((0.75, 4)),
        ["a", "hundred" | "thousand" | "million" | "billion", ..] => {}
        ["a" | "an", ..] => return Some((1.0, 1)),
        _ => {}
    }
    let minus = usize::from(matches!(words.first(), Some(&("minus" | "negative" | "-"))));
    let (value, n) = number(&t[minus..])?;
    let n = n + minus;
    let value = if minus == 1 { -value } else { value };
    let rest: Vec<&str> = t[n..].iter().map(String::as_str).take(3).collect();
    Some(match rest[..] {
        ["and", "a", "half"] => (value + 0.5, n + 3),
        ["and", "a", "quarter"] => (value + 0.25, n + 3),
        ["and", "three", "quarters"] => (value + 0.75, n + 3),
        ["1/2", ..] => (value + 0.5, n + 1),
        _ => (value, n),
    })
}
