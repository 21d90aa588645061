//! Units of measurement: how they are written, and what they are called.

use super::english::Said;
use super::lexer::{Token, sentence_ends};
use Token::{Space, Sym, Word};

/// Written unit → one, many.
pub(super) fn unit(written: &str) -> Option<(&'static str, &'static str)> {
    Some(match written {
        "km" => ("kilometer", "kilometers"),
        "m" => ("meter", "meters"),
        "dm" => ("decimeter", "decimeters"),
        "cm" => ("centimeter", "centimeters"),
        "mm" => ("millimeter", "millimeters"),
        "µm" => ("micrometer", "micrometers"),
        "nm" => ("nanometer", "nanometers"),
        "mi" => ("mile", "miles"),
        "yd" => ("yard", "yards"),
        "ft" => ("foot", "feet"),
        "ha" => ("hectare", "hectares"),
        "mph" => ("mile per hour", "miles per hour"),
        "kph" | "kmh" => ("kilometer per hour", "kilometers per hour"),
        "kg" => ("kilogram", "kilograms"),
        "g" => ("gram", "grams"),
        "mg" => ("milligram", "milligrams"),
        "µg" => ("microgram", "micrograms"),
        "lb" | "lbs" => ("pound", "pounds"),
        "oz" => ("ounce", "ounces"),
        "l" | "L" => ("liter", "liters"),
        "dl" | "dL" => ("deciliter", "deciliters"),
        "cl" | "cL" => ("centiliter", "centiliters"),
        "ml" | "mL" => ("milliliter", "milliliters"),
        "gal" => ("gallon", "gallons"),
        "tsp" => ("teaspoon", "teaspoons"),
        "tbsp" => ("tablespoon", "tablespoons"),
        "kB" | "KB" => ("kilobyte", "kilobytes"),
        "MB" => ("megabyte", "megabytes"),
        "GB" => ("gigabyte", "gigabytes"),
        "TB" => ("terabyte", "terabytes"),
        "KiB" => ("kibibyte", "kibibytes"),
        "MiB" => ("mebibyte", "mebibytes"),
        "GiB" => ("gibibyte", "gibibytes"),
        "kbit" => ("kilobit", "kilobits"),
        "Mbit" => ("megabit", "megabits"),
        "Gbit" => ("gigabit", "gigabits"),
        "kbps" | "Kbps" => ("kilobit per second", "kilobits per second"),
        "Mbps" => ("megabit per second", "megabits per second"),
        "Gbps" => ("gigabit per second", "gigabits per second"),
        "Hz" => ("hertz", "hertz"),
        "kHz" => ("kilohertz", "kilohertz"),
        "MHz" => ("megahertz", "megahertz"),
        "GHz" => ("gigahertz", "gigahertz"),
        "W" => ("watt", "watts"),
        "mW" => ("milliwatt", "milliwatts"),
        "kW" => ("kilowatt", "kilowatts"),
        "MW" => ("megawatt", "megawatts"),
        "GW" => ("gigawatt", "gigawatts"),
        "Wh" => ("watt hour", "watt hours"),
        "kWh" => ("kilowatt hour", "kilowatt hours"),
        "MWh" => ("megawatt hour", "megawatt hours"),
        "V" => ("volt", "volts"),
        "mV" => ("millivolt", "millivolts"),
        "kV" => ("kilovolt", "kilovolts"),
        "mA" => ("milliamp", "milliamps"),
        "mAh" => ("milliamp hour", "milliamp hours"),
        "Ω" => ("ohm", "ohms"),
        "kJ" => ("kilojoule", "kilojoules"),
        "cal" => ("calorie", "calories"),
        "kcal" => ("kilocalorie", "kilocalories"),
        "Pa" => ("pascal", "pascals"),
        "hPa" => ("hectopascal", "hectopascals"),
        "kPa" => ("kilopascal", "kilopascals"),
        "mbar" => ("millibar", "millibars"),
        "psi" => ("pound per square inch", "pounds per square inch"),
        "dB" => ("decibel", "decibels"),
        "lm" => ("lumen", "lumens"),
        "lx" => ("lux", "lux"),
        "px" => ("pixel", "pixels"),
        "fps" => ("frame per second", "frames per second"),
        "rpm" => ("revolution per minute", "revolutions per minute"),
        "bpm" => ("beat per minute", "beats per minute"),
        "ppm" => ("part per million", "parts per million"),
        "ns" => ("nanosecond", "nanoseconds"),
        "µs" => ("microsecond", "microseconds"),
        "ms" => ("millisecond", "milliseconds"),
        "s" | "sec" | "secs" => ("second", "seconds"),
        "min" | "mins" => ("minute", "minutes"),
        "h" | "hr" | "hrs" => ("hour", "hours"),
        "wk" | "wks" => ("week", "weeks"),
        "yr" | "yrs" => ("year", "years"),
        "pcs" => ("piece", "pieces"),
        _ => return None,
    })
}

/// A unit with what belongs to it (sq, ², ³, /h, a dot that only shortens): tokens read, one, many.
pub(super) fn read_unit(rest: &[Token]) -> Option<(usize, String, String)> {
    let (mut used, one, many) = match rest {
        [Word("sq"), Space, Word(w), ..] => {
            let (one, many) = unit(w)?;
            (3, format!("square {one}"), format!("square {many}"))
        }
        [Word(w), Sym(power @ ('²' | '³')), ..] => {
            let (one, many) = unit(w)?;
            let power = if *power == '²' { "square" } else { "cubic" };
            (2, format!("{power} {one}"), format!("{power} {many}"))
        }
        [Word(w), ..] => {
            let (one, many) = unit(w)?;
            (1, one.to_owned(), many.to_owned())
        }
        _ => return None,
    };
    let short = matches!(
        rest.first(),
        Some(Word("ft" | "hr" | "hrs" | "min" | "mins" | "sec" | "secs" | "lb" | "lbs" | "oz" | "sq" | "yr" | "yrs"))
    );
    if short && matches!(rest.get(used), Some(Sym('.'))) && !sentence_ends(&rest[used + 1..]) {
        used += 1;
    }
    match per(&rest[used..]) {
        Some((more, each)) => Some((used + more, format!("{one}{each}"), format!("{many}{each}"))),
        None => Some((used, one, many)),
    }
}

/// "/h", "/month": " per hour", " per month"
pub(super) fn per(rest: &[Token]) -> Said {
    let [Sym('/'), Word(w), after @ ..] = rest else { return None };
    if matches!(after.first(), Some(Sym('/'))) {
        return None;
    }
    Some((2, format!(" per {}", unit(w).map_or(*w, |(one, _)| one))))
}
