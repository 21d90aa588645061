//! Units of measurement: how they are written, and what they are called.

use super::lexer::{Said, Token, sentence_ends};
use super::number;
use Token::{Num, Space, Sym, Word};

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
        "µin" => ("microinch", "microinches"),
        "nmi" => ("nautical mile", "nautical miles"),
        "ly" => ("light year", "light years"),
        "AU" | "au" => ("astronomical unit", "astronomical units"),
        "Å" => ("angstrom", "angstroms"),
        "ac" => ("acre", "acres"),
        "kn" | "kt" | "kts" => ("knot", "knots"),
        "mpg" => ("mile per gallon", "miles per gallon"),
        "wpm" => ("word per minute", "words per minute"),
        "t" => ("tonne", "tonnes"),
        "Mt" => ("megatonne", "megatonnes"),
        "st" => ("stone", "stone"),
        "cwt" => ("hundredweight", "hundredweight"),
        "mcg" | "ug" => ("microgram", "micrograms"),
        "ng" => ("nanogram", "nanograms"),
        "IU" => ("international unit", "international units"),
        "mol" => ("mole", "moles"),
        "mmol" => ("millimole", "millimoles"),
        "µl" | "µL" => ("microliter", "microliters"),
        "hl" | "hL" => ("hectoliter", "hectoliters"),
        "cc" => ("cubic centimeter", "cubic centimeters"),
        "qt" => ("quart", "quarts"),
        "pt" => ("pint", "pints"),
        "Tbsp" | "tbsps" | "Tbsps" | "tbs" => ("tablespoon", "tablespoons"),
        "Tsp" | "tsps" => ("teaspoon", "teaspoons"),
        "pkg" => ("package", "packages"),
        "PB" => ("petabyte", "petabytes"),
        "TiB" => ("tebibyte", "tebibytes"),
        "Mb" => ("megabit", "megabits"),
        "Gb" => ("gigabit", "gigabits"),
        "kb" | "Kb" => ("kilobit", "kilobits"),
        "bit" | "bits" => ("bit", "bits"),
        "bps" => ("bit per second", "bits per second"),
        "MBps" => ("megabyte per second", "megabytes per second"),
        "THz" => ("terahertz", "terahertz"),
        "mHz" => ("millihertz", "millihertz"),
        "TW" => ("terawatt", "terawatts"),
        "hp" | "HP" | "bhp" => ("horsepower", "horsepower"),
        "GWh" => ("gigawatt hour", "gigawatt hours"),
        "TWh" => ("terawatt hour", "terawatt hours"),
        "A" => ("amp", "amps"),
        "kA" => ("kiloamp", "kiloamps"),
        "µA" => ("microamp", "microamps"),
        "Ah" => ("amp hour", "amp hours"),
        "VA" => ("volt amp", "volt amps"),
        "kVA" => ("kilovolt amp", "kilovolt amps"),
        "µV" => ("microvolt", "microvolts"),
        "VAC" => ("volt A C", "volts A C"),
        "VDC" => ("volt D C", "volts D C"),
        "kΩ" => ("kiloohm", "kiloohms"),
        "MΩ" => ("megaohm", "megaohms"),
        "mΩ" => ("milliohm", "milliohms"),
        "µF" => ("microfarad", "microfarads"),
        "nF" => ("nanofarad", "nanofarads"),
        "pF" => ("picofarad", "picofarads"),
        "mH" => ("millihenry", "millihenries"),
        "µH" => ("microhenry", "microhenries"),
        "N" => ("newton", "newtons"),
        "kN" => ("kilonewton", "kilonewtons"),
        "Nm" => ("newton meter", "newton meters"),
        "J" => ("joule", "joules"),
        "MJ" => ("megajoule", "megajoules"),
        "eV" => ("electronvolt", "electronvolts"),
        "keV" => ("kiloelectronvolt", "kiloelectronvolts"),
        "MeV" => ("megaelectronvolt", "megaelectronvolts"),
        "GeV" => ("gigaelectronvolt", "gigaelectronvolts"),
        "K" => ("kelvin", "kelvin"),
        "MPa" => ("megapascal", "megapascals"),
        "GPa" => ("gigapascal", "gigapascals"),
        "bar" => ("bar", "bar"),
        "atm" => ("atmosphere", "atmospheres"),
        "mmHg" => ("millimeter of mercury", "millimeters of mercury"),
        "inHg" => ("inch of mercury", "inches of mercury"),
        "dBA" => ("decibel A", "decibels A"),
        "dBm" => ("decibel milliwatt", "decibel milliwatts"),
        "cd" => ("candela", "candelas"),
        "mSv" => ("millisievert", "millisieverts"),
        "µSv" => ("microsievert", "microsieverts"),
        "Bq" => ("becquerel", "becquerels"),
        "MP" => ("megapixel", "megapixels"),
        "dpi" => ("dot per inch", "dots per inch"),
        "ppi" => ("pixel per inch", "pixels per inch"),
        "ppb" => ("part per billion", "parts per billion"),
        "BTU" | "Btu" => ("B T U", "B T Us"),
        "pH" => ("P H", "P H"),
        "ps" => ("picosecond", "picoseconds"),
        "mo" | "mos" => ("month", "months"),
        "pts" => ("point", "points"),
        "T" => ("tesla", "tesla"),
        "dz" | "doz" => ("dozen", "dozen"),
        "pc" => ("piece", "pieces"),
        "sqft" => ("square foot", "square feet"),
        "sqm" => ("square meter", "square meters"),
        _ => return None,
    })
}

/// Units that a dot may shorten.
const DOTTED: [&str; 37] = [
    "in", "ft", "yd", "mi", "hr", "hrs", "min", "mins", "sec", "secs", "lb", "lbs", "oz", "sq", "yr", "yrs", "tsp",
    "tbsp", "Tsp", "Tbsp", "tsps", "tbsps", "tbs", "qt", "pt", "gal", "wk", "wks", "mo", "mos", "pkg", "doz", "cu",
    "fl", "pcs", "st", "pts",
];

/// Powers of a unit as they are written behind it: tokens read, 2 or 3.
fn power(rest: &[Token]) -> Option<(usize, u8)> {
    match rest {
        [Sym('²'), ..] => Some((1, 2)),
        [Sym('³'), ..] => Some((1, 3)),
        [Sym('^'), Num("2"), ..] => Some((2, 2)),
        [Sym('^'), Num("3"), ..] => Some((2, 3)),
        _ => None,
    }
}

/// One unit with its power or "sq", "cu", "fl" in front: tokens read, one, many.
fn single(rest: &[Token]) -> Option<(usize, String, String)> {
    let spaced = |skip: usize, adjective: &str| {
        let dot = usize::from(matches!(rest.get(1), Some(Sym('.'))));
        let Some([Space, Word(w), ..]) = rest.get(1 + dot..) else { return None };
        let (one, many) = if *w == "in" { ("inch", "inches") } else { unit(w)? };
        Some((skip + dot, format!("{adjective} {one}"), format!("{adjective} {many}")))
    };
    match rest {
        [Word("sq"), ..] => return spaced(3, "square"),
        [Word("cu"), ..] => return spaced(3, "cubic"),
        [Word("fl"), ..] => return spaced(3, "fluid"),
        _ => {}
    }
    let [Word(w), after @ ..] = rest else { return None };
    let area = matches!(*w, "in" | "ft" | "yd" | "mi" | "mm" | "cm" | "dm" | "m" | "km" | "s");
    let (used, exponent) = match after {
        [Num("2"), ..] if area && *w != "s" => (1, 2),
        [Num("3"), ..] if area && *w != "s" => (1, 3),
        _ => power(after).unwrap_or_default(),
    };
    if *w == "in" && exponent == 0 {
        return None;
    }
    let (one, many) = if *w == "in" { ("inch", "inches") } else { unit(w)? };
    if exponent == 0 && matches!(after.first(), Some(Num(_))) {
        return None;
    }
    Some(match (exponent, *w) {
        (2, "s") => (1 + used, "second squared".into(), "seconds squared".into()),
        (2, _) => (1 + used, format!("square {one}"), format!("square {many}")),
        (3, _) => (1 + used, format!("cubic {one}"), format!("cubic {many}")),
        _ => (1, one.to_owned(), many.to_owned()),
    })
}

/// A unit with what belongs to it (sq, ², ³, /h, a dot that only shortens): tokens read, one, many.
pub(super) fn read_unit(rest: &[Token]) -> Option<(usize, String, String)> {
    let (mut used, mut one, mut many) = single(rest)?;
    if let [Word(w), ..] = rest
        && DOTTED.contains(w)
        && matches!(rest.get(used), Some(Sym('.')))
        && rest.get(used + 1) != Some(&Sym('.'))
        && !sentence_ends(&rest[used + 1..])
    {
        used += 1;
    }
    // N·m, kg*m
    while let [Sym('·' | '⋅' | '*'), ..] = &rest[used..]
        && let Some((more, next, nexts)) = single(&rest[used + 1..])
    {
        many = format!("{one} {nexts}");
        one = format!("{one} {next}");
        used += 1 + more;
    }
    if let [Space | Sym('·'), Word(w), Sym('^'), Sym('-'), Num("1"), ..] = &rest[used..]
        && let Some((each, _)) = unit(w)
    {
        return Some((used + 5, format!("{one} per {each}"), format!("{many} per {each}")));
    }
    match per(&rest[used..]) {
        Some((more, each)) => Some((used + more, format!("{one}{each}"), format!("{many}{each}"))),
        None => Some((used, one, many)),
    }
}

/// "/h", "/month", "/100 km", "/m³": " per hour" and so on
pub(super) fn per(rest: &[Token]) -> Said {
    match rest {
        [Sym('/'), Num(n), tail @ ..] => {
            let space = usize::from(matches!(tail.first(), Some(Space)));
            let (used, one, many) = single(&tail[space..])?;
            Some((2 + space + used, format!(" per {} {}", number::whole(n), if *n == "1" { one } else { many })))
        }
        [Sym('/'), Word(w), after @ ..] => {
            let short = match *w {
                "d" => Some("day"),
                "ea" => Some("each"),
                "pp" => Some("person"),
                _ => None,
            };
            let (used, each) = match (short, single(&rest[1..])) {
                (Some(each), _) => (1, each.to_owned()),
                (None, Some((used, one, _))) => (used, one),
                (None, None) if matches!(after.first(), Some(Sym('/' | '-'))) => return None,
                (None, None) => (1, (*w).to_owned()),
            };
            if matches!(rest.get(1 + used), Some(Sym('/'))) {
                return None;
            }
            // "$5/mo. plan"
            let dot = usize::from(
                DOTTED.contains(w)
                    && matches!(rest.get(1 + used), Some(Sym('.')))
                    && rest.get(2 + used) != Some(&Sym('.'))
                    && !sentence_ends(&rest[2 + used..]),
            );
            Some((1 + used + dot, format!(" per {each}")))
        }
        _ => None,
    }
}
