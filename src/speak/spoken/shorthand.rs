//! Words cut short with a dot: what they stand for, and whether their dot can end a sentence. One list for the voice
//! and for the search for sentences' ends.

/// What the dot of a shorthand says about the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::speak) enum Ends {
    /// Something always follows.
    Never,
    /// It goes on only before a digit ("No. 5"); the word exists without a dot as well.
    UnlessDigit,
    /// It goes on before a digit or a word in small letters.
    UnlessLower,
    /// As `UnlessLower`, behind a number only ("6 in. long").
    AfterNumber,
}

/// Where a shorthand is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// With its dot.
    Dotted,
    /// With its dot, in front of a number.
    Number,
    /// With its dot, in front of a capital letter.
    Name,
    /// With its dot, behind a capital letter.
    AfterName,
    /// With its dot, unless that ends the sentence.
    Inside,
    /// With or without a dot.
    Bare,
    /// With or without a dot, in front of a capital letter.
    BareName,
}

pub(in crate::speak) struct Short {
    /// In small letters, without the last dot.
    written: &'static str,
    pub(super) said: &'static str,
    pub(in crate::speak) ends: Ends,
    pub(super) when: When,
}

impl Short {
    /// Whether it stands for a name or title, which is written with a capital letter.
    pub(in crate::speak) fn is_name(&self) -> bool {
        self.said.starts_with(char::is_uppercase)
    }
}

const fn short(written: &'static str, said: &'static str, ends: Ends, when: When) -> Short {
    Short { written, said, ends, when }
}

use Ends::{AfterNumber, Never, UnlessDigit, UnlessLower};
use When::{AfterName, Bare, BareName, Dotted, Inside, Name, Number};

/// The entries for a word; more than one where its place decides ("Dr. Elm", "Elm Dr.").
pub(in crate::speak) fn entries(word: &str) -> impl Iterator<Item = &'static Short> {
    let lower = word.to_lowercase();
    LIST.iter().filter(move |s| s.written == lower)
}

/// An entry with a capital letter stands for a title or name and is written with one itself.
const LIST: &[Short] = &[
    // titles
    short("mr", "Mister", Never, Bare),
    short("mrs", "Missus", Never, Bare),
    short("ms", "Miz", Never, Bare),
    short("mx", "Mix", Never, BareName),
    short("messrs", "Messieurs", Never, Dotted),
    short("dr", "Drive", Never, AfterName),
    short("dr", "Doctor", Never, BareName),
    short("dr", "Doctor", Never, Inside),
    short("fr", "Father", Never, Name),
    short("wm", "William", Never, Name),
    short("drs", "Doctors", Never, Name),
    short("prof", "Professor", Never, Dotted),
    short("capt", "Captain", Never, Name),
    short("cpt", "Captain", Never, Name),
    short("sgt", "Sergeant", Never, Name),
    short("lt", "Lieutenant", Never, Name),
    short("col", "Colonel", Never, Name),
    short("maj", "Major", Never, Name),
    short("gen", "General", Never, Name),
    short("adm", "Admiral", Never, Name),
    short("cmdr", "Commander", Never, Name),
    short("cpl", "Corporal", Never, Name),
    short("pvt", "Private", Never, Name),
    short("rev", "Reverend", Never, Name),
    short("hon", "Honorable", Never, Name),
    short("sen", "Senator", Never, Name),
    short("rep", "Representative", Never, Name),
    short("gov", "Governor", Never, Name),
    short("pres", "President", Never, Name),
    short("supt", "Superintendent", Never, Name),
    short("insp", "Inspector", Never, Name),
    short("det", "Detective", Never, Name),
    short("mme", "Madame", Never, Name),
    short("mlle", "Mademoiselle", Never, Name),
    short("sra", "Señora", Never, Name),
    short("dra", "Doctora", Never, Name),
    short("jr", "Junior", UnlessLower, Dotted),
    short("sr", "Senior", UnlessLower, Dotted),
    short("esq", "Esquire", UnlessLower, Dotted),
    // places
    short("mt", "Mount", Never, Name),
    short("mts", "Mountains", UnlessLower, AfterName),
    short("ft", "Fort", AfterNumber, Name),
    short("pt", "Point", AfterNumber, Name),
    short("st", "Street", UnlessLower, AfterName),
    short("st", "Saint", UnlessLower, BareName),
    short("sts", "Saints", Never, Name),
    short("ste", "Suite", UnlessDigit, Number),
    short("ste", "Sainte", UnlessDigit, Name),
    short("ave", "Avenue", UnlessLower, AfterName),
    short("av", "Avenue", UnlessLower, AfterName),
    short("blvd", "Boulevard", UnlessLower, Dotted),
    short("rd", "Road", UnlessLower, AfterName),
    short("ln", "Lane", UnlessLower, AfterName),
    short("ct", "Court", UnlessLower, AfterName),
    short("pl", "Place", UnlessLower, AfterName),
    short("sq", "Square", AfterNumber, AfterName),
    short("hwy", "Highway", UnlessLower, Dotted),
    short("pkwy", "Parkway", UnlessLower, Dotted),
    short("apt", "Apartment", UnlessDigit, Number),
    short("apt", "Apartment", UnlessDigit, Name),
    short("bldg", "Building", UnlessLower, Dotted),
    short("rm", "room", UnlessDigit, Number),
    short("fl", "floor", AfterNumber, AfterName),
    short("fl", "floor", AfterNumber, Number),
    short("calif", "California", UnlessLower, Dotted),
    short("mass", "Massachusetts", UnlessLower, AfterName),
    short("conn", "Connecticut", UnlessLower, AfterName),
    short("fla", "Florida", UnlessLower, AfterName),
    short("ariz", "Arizona", UnlessLower, AfterName),
    short("mich", "Michigan", UnlessLower, AfterName),
    short("minn", "Minnesota", UnlessLower, AfterName),
    short("tenn", "Tennessee", UnlessLower, AfterName),
    short("tex", "Texas", UnlessLower, AfterName),
    short("va", "Virginia", UnlessLower, AfterName),
    short("pa", "Pennsylvania", UnlessLower, AfterName),
    short("ga", "Georgia", UnlessLower, AfterName),
    short("ill", "Illinois", UnlessLower, AfterName),
    short("colo", "Colorado", UnlessLower, AfterName),
    short("wis", "Wisconsin", UnlessLower, AfterName),
    short("okla", "Oklahoma", UnlessLower, AfterName),
    short("wash", "Washington", UnlessLower, AfterName),
    // firms
    short("inc", "Incorporated", UnlessLower, Dotted),
    short("ltd", "Limited", UnlessLower, Dotted),
    short("corp", "Corporation", UnlessLower, Dotted),
    short("co", "Company", UnlessLower, AfterName),
    short("bros", "Brothers", UnlessLower, Dotted),
    short("assn", "Association", UnlessLower, Dotted),
    short("univ", "University", UnlessLower, Dotted),
    short("inst", "Institute", UnlessLower, Inside),
    short("dept", "department", UnlessLower, Dotted),
    short("govt", "government", UnlessLower, Dotted),
    short("intl", "international", Never, Dotted),
    short("natl", "national", Never, Dotted),
    short("mgr", "manager", UnlessLower, Dotted),
    short("asst", "assistant", Never, Dotted),
    // Latin and its like
    short("etc", "et cetera", UnlessLower, Dotted),
    short("al", "al", UnlessLower, Dotted),
    short("vs", "versus", Never, Bare),
    short("v", "versus", Never, Name),
    short("cf", "compare", Never, Dotted),
    short("viz", "namely", Never, Dotted),
    short("ca", "circa", UnlessDigit, Number),
    short("c", "circa", AfterNumber, Number),
    short("ibid", "ibidem", UnlessLower, Dotted),
    short("approx", "approximately", Never, Dotted),
    // numbered things
    short("no", "number", UnlessDigit, Number),
    short("nos", "numbers", UnlessDigit, Number),
    short("rs", "rupees", UnlessDigit, Number),
    short("mk", "Mark", Never, Dotted),
    short("nr", "number", UnlessDigit, Number),
    short("p", "page", UnlessDigit, Number),
    short("pp", "pages", UnlessLower, Dotted),
    short("fig", "figure", UnlessDigit, Number),
    short("figs", "figures", UnlessDigit, Number),
    short("tab", "table", UnlessDigit, Number),
    short("vol", "volume", UnlessDigit, Number),
    short("vols", "volumes", UnlessDigit, Number),
    short("ch", "chapter", UnlessDigit, Number),
    short("chap", "chapter", UnlessDigit, Number),
    short("sec", "section", AfterNumber, Number),
    short("art", "article", UnlessDigit, Number),
    short("eq", "equation", UnlessDigit, Number),
    short("cont", "continued", UnlessLower, Dotted),
    short("ed", "edition", UnlessLower, AfterName),
    short("ed", "edition", UnlessLower, Inside),
    short("ext", "extension", UnlessLower, Dotted),
    short("est", "estimated", UnlessLower, Number),
    short("est", "estimated", UnlessLower, Inside),
    short("tel", "telephone", UnlessDigit, Number),
    short("mio", "million", Never, Dotted),
    short("mrd", "billion", Never, Dotted),
    short("deg", "degrees", Never, Dotted),
    // shortened words
    short("max", "maximum", UnlessLower, Inside),
    short("min", "minimum", UnlessLower, Inside),
    short("avg", "average", UnlessLower, Dotted),
    short("temp", "temperature", UnlessLower, Inside),
    short("misc", "miscellaneous", Never, Dotted),
    short("incl", "including", Never, Dotted),
    short("excl", "excluding", Never, Dotted),
    short("attn", "attention", Never, Dotted),
    short("acct", "account", UnlessLower, Dotted),
    short("appt", "appointment", UnlessLower, Dotted),
    short("resp", "respectively", UnlessLower, Dotted),
    short("abbr", "abbreviation", UnlessLower, Dotted),
    short("orig", "originally", UnlessLower, Dotted),
    short("prob", "probably", UnlessLower, Dotted),
    short("esp", "especially", Never, Dotted),
    short("lit", "literature", UnlessLower, Inside),
    short("mins", "minutes", UnlessLower, Dotted),
    short("hrs", "hours", UnlessLower, Dotted),
    short("yrs", "years", UnlessLower, Dotted),
    short("wks", "weeks", UnlessLower, Dotted),
    short("wk", "week", UnlessLower, Dotted),
    // units: what they are called is in `units`
    short("oz", "ounces", UnlessLower, Dotted),
    short("lb", "pounds", UnlessLower, Dotted),
    short("lbs", "pounds", UnlessLower, Dotted),
    short("hr", "hour", UnlessLower, Dotted),
    short("yr", "year", UnlessLower, Dotted),
    short("secs", "seconds", UnlessLower, Dotted),
    short("tbsp", "tablespoon", UnlessLower, Dotted),
    short("tsp", "teaspoon", UnlessLower, Dotted),
    short("tbsps", "tablespoons", UnlessLower, Dotted),
    short("tsps", "teaspoons", UnlessLower, Dotted),
    short("tbs", "tablespoons", UnlessLower, Dotted),
    short("pkg", "package", UnlessLower, Dotted),
    short("qt", "quart", AfterNumber, Number),
    short("gal", "gallon", AfterNumber, Number),
    short("pts", "points", UnlessLower, Dotted),
    short("mo", "months", AfterNumber, Number),
    short("mos", "months", AfterNumber, Number),
    short("pcs", "pieces", UnlessLower, Dotted),
    short("sq", "square", AfterNumber, Number),
    short("cu", "cubic", AfterNumber, Number),
    short("doz", "dozen", UnlessLower, Dotted),
    short("mi", "miles", AfterNumber, Number),
    short("in", "inches", AfterNumber, Number),
    short("yd", "yards", AfterNumber, Number),
];

/// Months and days cut short: they go on before a digit or a word in small letters.
pub(in crate::speak) const CALENDAR: [&str; 23] = [
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec", "mon", "tue", "tues", "wed",
    "weds", "thu", "thur", "thurs", "fri", "sat", "sun",
];
