use proptest::prelude::*;

use super::*;

fn said(value: f64, from: &str, to: &str) -> String {
    match convert(value, from, to) {
        Ok(c) => c.spoken,
        Err(trouble) => format!("{trouble:?}"),
    }
}

#[test]
fn units_of_every_kind() {
    for (value, from, to, wanted) in [
        (5.0, "miles", "kilometers", "5 miles is about 8.05 kilometers."),
        (1.0, "mile", "km", "1 mile is about 1.61 kilometers."),
        (1.0, "foot", "inches", "1 foot is 12 inches."),
        (6.0, "feet", "Centimetres", "6 feet is 182.88 centimeters."),
        (1.0, "light years", "km", "1 light year is 9,460,730,472,580.8 kilometers."),
        (180.0, "pounds", "kg", "180 pounds is about 81.65 kilograms."),
        (1.0, "tonne", "kilos", "1 metric ton is 1,000 kilograms."),
        (8.0, "ounces", "grams", "8 ounces is about 226.8 grams."),
        (8.0, "ounces", "cups", "8 fluid ounces is 1 cup."),
        (1.0, "cup", "tablespoons", "1 cup is 16 tablespoons."),
        (3.0, "teaspoons", "a tablespoon", "3 teaspoons is 1 tablespoon."),
        (2.0, "pints", "liters", "2 pints is about 0.946 liters."),
        (1.0, "imperial pint", "millilitres", "1 UK pint is about 568.26 milliliters."),
        (1.0, "US gallon", "liters", "1 gallon is about 3.79 liters."),
        (20.0, "celsius", "fahrenheit", "20 degrees Celsius is 68 degrees Fahrenheit."),
        (68.0, "°F", "°C", "68 degrees Fahrenheit is 20 degrees Celsius."),
        (-40.0, "degrees celsius", "degrees fahrenheit", "-40 degrees Celsius is -40 degrees Fahrenheit."),
        (70.0, "degrees", "celsius", "70 degrees Fahrenheit is about 21.11 degrees Celsius."),
        (0.0, "kelvin", "celsius", "0 kelvins is -273.15 degrees Celsius."),
        (100.0, "km/h", "mph", "100 kilometers per hour is about 62.14 miles per hour."),
        (10.0, "knots", "kilometers per hour", "10 knots is 18.52 kilometers per hour."),
        (1.0, "acre", "m²", "1 acre is about 4,046.86 square meters."),
        (2.5, "hours", "minutes", "2.5 hours is 150 minutes."),
        (1.0, "year", "days", "1 year is 365 days."),
        (90.0, "minutes", "hours", "90 minutes is 1.5 hours."),
        (1.0, "gigabyte", "megabytes", "1 gigabyte is 1,000 megabytes."),
        (1.0, "GiB", "mebibytes", "1 gibibyte is 1,024 mebibytes."),
        (500.0, "calories", "kilojoules", "500 calories is 2,092 kilojoules."),
        (32.0, "psi", "bar", "32 psi is about 2.21 bars."),
        (100.0, "horsepower", "kilowatts", "100 horsepower is about 74.57 kilowatts."),
        (1.0, "inch", "light year", "1 inch is less than a millionth of a light year."),
        (300.0, "K", "celsius", "300 kelvins is 26.85 degrees Celsius."),
        (5.0, "k", "miles", "5 kilometers is about 3.11 miles."),
        (5400.0, "seconds", "seconds", "That's 5,400 seconds."),
        (5.0, "miles", "kilograms", "Unlike(\"miles\", \"kilograms\")"),
        (5.0, "smoots", "meters", "Unknown(\"smoots\")"),
        (5.0, "dollars", "euros", "Currency"),
        (5.0, "US dollars", "pounds", "Currency"),
        (5.0, "pounds", "dollars", "Currency"),
        (5.0, "cups of flour", "grams", "Unknown(\"cups of flour\")"),
        (-300.0, "celsius", "fahrenheit", "BelowZero"),
        (1e300, "miles", "meters", "TooLarge"),
    ] {
        assert_eq!(said(value, from, to), wanted, "{value} {from} {to}");
    }
}

#[test]
fn asked_in_words() {
    for (text, value, from, to) in [
        ("2.5 hours in minutes", 2.5, "hours", "minutes"),
        ("two and a half hours in minutes", 2.5, "hours", "minutes"),
        ("5 miles to km", 5.0, "miles", "km"),
        ("minutes in two hours", 2.0, "hours", "minutes"),
        ("minutes are in an hour", 1.0, "hour", "minutes"),
        ("20 degrees celsius in fahrenheit", 20.0, "degrees celsius", "fahrenheit"),
        ("minus 5 degrees celsius in fahrenheit", -5.0, "degrees celsius", "fahrenheit"),
        ("half a mile in meters", 0.5, "mile", "meters"),
        ("1 hour 30 minutes in seconds", 5400.0, "seconds", "seconds"),
    ] {
        assert_eq!(asked(text), Some((value, from.to_owned(), to.to_owned())), "{text}");
    }
    for text in ["", "in", "2 in 3", "5 to 6 miles", "the light in the hall", "12 * 8", "half of 3"] {
        assert_eq!(asked(text), None, "{text}");
    }
}

#[test]
fn every_name_is_one_units() {
    for unit in units::all() {
        for name in [unit.one, unit.many].iter().chain(unit.also) {
            let found = units::named(&plain(name));
            assert_eq!(found, Some(unit), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn there_and_back(value in -1e6..1e6f64, a in 0..200usize, b in 0..200usize) {
        let all: Vec<_> = units::all().iter().collect();
        let (a, b) = (all[a % all.len()], all[b % all.len()]);
        if a.kind == b.kind && let Ok(there) = convert(value, a.many, b.many) && let Ok(back) = convert(there.value, b.many, a.many) {
            prop_assert!((back.value - value).abs() <= 1e-6 * value.abs().max(1.0), "{} {} {}", value, a.one, b.one);
        }
    }

    #[test]
    fn no_text_makes_it_panic(value in any::<f64>(), from in "\\PC{0,20}", to in "\\PC{0,20}", text in "[a-z0-9 ./-]{0,40}") {
        let _ = convert(value, &from, &to);
        let _ = convert(value, "miles", "km");
        let _ = convert(value, "celsius", "f");
        let _ = asked(&text);
    }
}
