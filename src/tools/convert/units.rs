//! The units that are known, and how large they are.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In meters.
    Length,
    /// In kilograms.
    Mass,
    /// In liters.
    Volume,
    /// In kelvins.
    Temperature,
    /// In meters per second.
    Speed,
    /// In square meters.
    Area,
    /// In seconds.
    Time,
    /// In bytes.
    Data,
    /// In joules.
    Energy,
    /// In watts.
    Power,
    /// In pascals.
    Pressure,
}

/// A unit of measurement.
#[derive(Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    /// What else it is called, in the plain spelling of [`super::plain`].
    pub(super) also: &'static [&'static str],
    pub(super) kind: Kind,
    /// In the base unit of its kind.
    pub(super) size: f64,
    /// What is added before it is scaled: 0 °C is 273.15 K.
    pub(super) zero: f64,
}

const fn unit(one: &'static str, many: &'static str, also: &'static [&'static str], kind: Kind, size: f64) -> Unit {
    Unit { one, many, also, kind, size, zero: 0.0 }
}

use Kind::{Area, Data, Energy, Length, Mass, Power, Pressure, Speed, Temperature, Time, Volume};

/// Of a US gallon of 231 cubic inches.
const GALLON: f64 = 3.785_411_784;
/// The imperial gallon.
const UK_GALLON: f64 = 4.546_09;
const POUND: f64 = 0.453_592_37;
const MILE: f64 = 1609.344;
/// A standard atmosphere.
const ATMOSPHERE: f64 = 101_325.0;
const DAY: f64 = 86_400.0;

/// Cups, pints and gallons are those of the United States unless the UK is named; a ton is 2,000 pounds unless it is metric;
/// a calorie is what food is measured in; a year has 365 days.
const UNITS: &[Unit] = &[
    unit("millimeter", "millimeters", &["mm"], Length, 0.001),
    unit("centimeter", "centimeters", &["cm", "cms"], Length, 0.01),
    unit("decimeter", "decimeters", &["dm"], Length, 0.1),
    unit("meter", "meters", &["m"], Length, 1.0),
    unit("kilometer", "kilometers", &["km", "kms", "k"], Length, 1000.0),
    unit("micrometer", "micrometers", &["um", "micron", "microns"], Length, 1e-6),
    unit("nanometer", "nanometers", &["nm"], Length, 1e-9),
    unit("inch", "inches", &["in", "ins"], Length, 0.0254),
    unit("foot", "feet", &["ft"], Length, 0.3048),
    unit("yard", "yards", &["yd", "yds"], Length, 0.9144),
    unit("mile", "miles", &["mi"], Length, MILE),
    unit("nautical mile", "nautical miles", &["nmi"], Length, 1852.0),
    unit("furlong", "furlongs", &[], Length, 201.168),
    unit("fathom", "fathoms", &[], Length, 1.8288),
    unit("light year", "light years", &["lightyear", "lightyears"], Length, 9_460_730_472_580_800.0),
    unit("milligram", "milligrams", &["mg"], Mass, 1e-6),
    unit("gram", "grams", &["g", "gr"], Mass, 0.001),
    unit("kilogram", "kilograms", &["kg", "kgs", "kilo", "kilos"], Mass, 1.0),
    unit("metric ton", "metric tons", &["tonne", "tonnes", "metric tonne", "metric tonnes"], Mass, 1000.0),
    unit("ounce", "ounces", &["oz"], Mass, POUND / 16.0),
    unit("pound", "pounds", &["lb", "lbs"], Mass, POUND),
    unit("stone", "stone", &["stones"], Mass, POUND * 14.0),
    unit("US ton", "US tons", &["ton", "tons", "short ton", "short tons"], Mass, POUND * 2000.0),
    unit("UK ton", "UK tons", &["long ton", "long tons"], Mass, POUND * 2240.0),
    unit("carat", "carats", &["ct"], Mass, 0.0002),
    unit("milliliter", "milliliters", &["ml", "cc", "cubic centimeter", "cubic centimeters", "cm 3"], Volume, 0.001),
    unit("centiliter", "centiliters", &["cl"], Volume, 0.01),
    unit("deciliter", "deciliters", &["dl"], Volume, 0.1),
    unit("liter", "liters", &["l"], Volume, 1.0),
    unit("hectoliter", "hectoliters", &["hl"], Volume, 100.0),
    unit("cubic meter", "cubic meters", &["m 3"], Volume, 1000.0),
    unit("cubic inch", "cubic inches", &["in 3"], Volume, 0.016_387_064),
    unit("cubic foot", "cubic feet", &["ft 3"], Volume, 28.316_846_592),
    unit("cubic yard", "cubic yards", &["yd 3"], Volume, 764.554_857_984),
    unit("teaspoon", "teaspoons", &["tsp", "tsps"], Volume, GALLON / 768.0),
    unit("tablespoon", "tablespoons", &["tbsp", "tbsps", "tbs"], Volume, GALLON / 256.0),
    unit("fluid ounce", "fluid ounces", &["fl oz"], Volume, GALLON / 128.0),
    unit("cup", "cups", &[], Volume, GALLON / 16.0),
    unit("pint", "pints", &["pt", "pts"], Volume, GALLON / 8.0),
    unit("quart", "quarts", &["qt", "qts"], Volume, GALLON / 4.0),
    unit("gallon", "gallons", &["gal", "gals"], Volume, GALLON),
    unit("metric cup", "metric cups", &[], Volume, 0.25),
    unit("UK fluid ounce", "UK fluid ounces", &["uk fl oz"], Volume, UK_GALLON / 160.0),
    unit("UK cup", "UK cups", &[], Volume, UK_GALLON / 16.0),
    unit("UK pint", "UK pints", &[], Volume, UK_GALLON / 8.0),
    unit("UK quart", "UK quarts", &[], Volume, UK_GALLON / 4.0),
    unit("UK gallon", "UK gallons", &[], Volume, UK_GALLON),
    unit("barrel of oil", "barrels of oil", &["oil barrel", "oil barrels", "barrel", "barrels"], Volume, GALLON * 42.0),
    unit("kelvin", "kelvins", &[], Temperature, 1.0),
    Unit {
        one: "degree Celsius",
        many: "degrees Celsius",
        also: &["celsius", "c"],
        kind: Temperature,
        size: 1.0,
        zero: 273.15,
    },
    Unit {
        one: "degree Fahrenheit",
        many: "degrees Fahrenheit",
        also: &["fahrenheit", "f"],
        kind: Temperature,
        size: 5.0 / 9.0,
        zero: 459.67,
    },
    unit("meter per second", "meters per second", &["m per s", "mps"], Speed, 1.0),
    unit(
        "kilometer per hour",
        "kilometers per hour",
        &["km per h", "kmh", "kph", "kilometers an hour", "km per hour", "km an hour"],
        Speed,
        1.0 / 3.6,
    ),
    unit("mile per hour", "miles per hour", &["mph", "miles an hour", "mi per h"], Speed, MILE / 3600.0),
    unit("foot per second", "feet per second", &["ft per s", "fps"], Speed, 0.3048),
    unit("knot", "knots", &["kt", "kn", "kts"], Speed, 1852.0 / 3600.0),
    unit("square millimeter", "square millimeters", &["square mm", "mm 2"], Area, 1e-6),
    unit("square centimeter", "square centimeters", &["square cm", "cm 2"], Area, 1e-4),
    unit("square meter", "square meters", &["square m", "m 2"], Area, 1.0),
    unit("are", "ares", &[], Area, 100.0),
    unit("hectare", "hectares", &["ha"], Area, 10_000.0),
    unit("square kilometer", "square kilometers", &["square km", "km 2"], Area, 1e6),
    unit("square inch", "square inches", &["square in", "in 2"], Area, 0.000_645_16),
    unit("square foot", "square feet", &["square ft", "ft 2"], Area, 0.092_903_04),
    unit("square yard", "square yards", &["square yd", "yd 2"], Area, 0.836_127_36),
    unit("acre", "acres", &[], Area, 4_046.856_422_4),
    unit("square mile", "square miles", &["square mi", "mi 2"], Area, MILE * MILE),
    unit("millisecond", "milliseconds", &["ms"], Time, 0.001),
    unit("second", "seconds", &["s", "sec", "secs"], Time, 1.0),
    unit("minute", "minutes", &["min", "mins"], Time, 60.0),
    unit("hour", "hours", &["h", "hr", "hrs"], Time, 3600.0),
    unit("day", "days", &["d"], Time, DAY),
    unit("week", "weeks", &[], Time, DAY * 7.0),
    unit("fortnight", "fortnights", &[], Time, DAY * 14.0),
    unit("year", "years", &["yr", "yrs"], Time, DAY * 365.0),
    unit("decade", "decades", &[], Time, DAY * 3650.0),
    unit("century", "centuries", &[], Time, DAY * 36_500.0),
    unit("bit", "bits", &[], Data, 0.125),
    unit("kilobit", "kilobits", &["kbit"], Data, 125.0),
    unit("megabit", "megabits", &["mbit"], Data, 125e3),
    unit("gigabit", "gigabits", &["gbit"], Data, 125e6),
    unit("byte", "bytes", &["b"], Data, 1.0),
    unit("kilobyte", "kilobytes", &["kb"], Data, 1e3),
    unit("megabyte", "megabytes", &["mb", "meg", "megs"], Data, 1e6),
    unit("gigabyte", "gigabytes", &["gb", "gig", "gigs"], Data, 1e9),
    unit("terabyte", "terabytes", &["tb"], Data, 1e12),
    unit("petabyte", "petabytes", &["pb"], Data, 1e15),
    unit("kibibyte", "kibibytes", &["kib"], Data, 1024.0),
    unit("mebibyte", "mebibytes", &["mib"], Data, 1_048_576.0),
    unit("gibibyte", "gibibytes", &["gib"], Data, 1_073_741_824.0),
    unit("tebibyte", "tebibytes", &["tib"], Data, 1_099_511_627_776.0),
    unit("joule", "joules", &["j"], Energy, 1.0),
    unit("kilojoule", "kilojoules", &["kj"], Energy, 1e3),
    unit("megajoule", "megajoules", &["mj"], Energy, 1e6),
    unit("calorie", "calories", &["kcal", "cal", "kilocalorie", "kilocalories", "food calories"], Energy, 4184.0),
    unit("watt hour", "watt hours", &["wh"], Energy, 3600.0),
    unit("kilowatt hour", "kilowatt hours", &["kwh"], Energy, 3.6e6),
    unit("BTU", "BTUs", &["uk thermal units"], Energy, 1_055.055_852_62),
    unit("watt", "watts", &["w"], Power, 1.0),
    unit("kilowatt", "kilowatts", &["kw"], Power, 1e3),
    unit("megawatt", "megawatts", &["mw"], Power, 1e6),
    unit("horsepower", "horsepower", &["hp"], Power, 745.699_871_582_27),
    unit("pascal", "pascals", &["pa"], Pressure, 1.0),
    unit("hectopascal", "hectopascals", &["hpa"], Pressure, 100.0),
    unit("kilopascal", "kilopascals", &["kpa"], Pressure, 1e3),
    unit("bar", "bars", &[], Pressure, 1e5),
    unit("millibar", "millibars", &["mbar"], Pressure, 100.0),
    unit("psi", "psi", &["pounds per square inch", "pounds per square inches"], Pressure, 6_894.757_293_168_361),
    unit("atmosphere", "atmospheres", &["atm", "atms"], Pressure, ATMOSPHERE),
    unit(
        "millimeter of mercury",
        "millimeters of mercury",
        &["mmhg", "torr", "mm of mercury"],
        Pressure,
        ATMOSPHERE / 760.0,
    ),
];

/// Money, whose worth changes.
const MONEY: &[&str] = &[
    "dollar",
    "dollars",
    "$",
    "usd",
    "euro",
    "euros",
    "€",
    "eur",
    "£",
    "gbp",
    "pound sterling",
    "pounds sterling",
    "sterling",
    "quid",
    "yen",
    "jpy",
    "yuan",
    "rupee",
    "rupees",
    "franc",
    "francs",
    "chf",
    "peso",
    "pesos",
    "krona",
    "kronor",
    "krone",
    "kroner",
    "zloty",
    "ruble",
    "rubles",
    "won",
    "lira",
    "rand",
    "bitcoin",
    "bitcoins",
    "cent",
    "cents",
];

#[cfg(test)]
pub(super) fn all() -> &'static [Unit] {
    UNITS
}

/// The unit of that plain name.
pub(super) fn named(plain: &str) -> Option<&'static Unit> {
    static NAMES: LazyLock<HashMap<String, &Unit>> = LazyLock::new(|| {
        let mut names = HashMap::new();
        for unit in UNITS {
            for name in [unit.one, unit.many].iter().chain(unit.also) {
                names.entry(super::plain(name)).or_insert(unit);
            }
        }
        names
    });
    NAMES.get(plain).copied()
}

pub(super) fn is_money(plain: &str) -> bool {
    MONEY.iter().any(|m| *m == plain || plain.ends_with(&format!(" {m}")))
}
