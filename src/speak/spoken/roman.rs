//! Roman numerals: chapters and parts, kings and popes, centuries, years.
//!
//! Most words of these letters are not numerals ("I", "mix", "CD", "an IV drip"), so a numeral needs a sign beside it: a
//! label in front ("Chapter IV"), a ruler's name ("Henry VIII", said "the Eighth"), a century after it, a title in
//! capitals ("Rocky IV"). Without one, only numerals that are nothing else ("VIII") are read as numbers.

use super::lexer::{Said, Token, dash, next_word};
use super::number::{cardinal, ordinal, year};
use Token::{Num, Space, Sym, Word};

/// What stands in front of a numeral that counts.
const LABELS: [&str; 57] = [
    "number",
    "chapter",
    "ch",
    "chap",
    "act",
    "scene",
    "book",
    "part",
    "pt",
    "volume",
    "vol",
    "section",
    "sec",
    "article",
    "art",
    "title",
    "appendix",
    "phase",
    "stage",
    "level",
    "type",
    "class",
    "grade",
    "category",
    "tier",
    "group",
    "unit",
    "module",
    "step",
    "round",
    "game",
    "episode",
    "season",
    "series",
    "mark",
    "mk",
    "version",
    "figure",
    "fig",
    "table",
    "plate",
    "exhibit",
    "amendment",
    "lecture",
    "canto",
    "psalm",
    "page",
    "p",
    "pp",
    "war",
    "bowl",
    "factor",
    "schedule",
    "lesson",
    "nerve",
    "division",
    "year",
];

/// Labels after which V and X are letters more often than numbers, and so no numerals.
const LETTERED: [&str; 14] = [
    "type", "class", "grade", "category", "tier", "group", "unit", "module", "plate", "exhibit", "version", "level",
    "table", "series",
];

/// Labels in front of small letters: "chapter iv", "page xii".
const SMALL_LABELS: [&str; 20] = [
    "chapter", "ch", "page", "p", "pp", "part", "act", "scene", "volume", "vol", "section", "sec", "book", "canto",
    "figure", "fig", "appendix", "note", "footnote", "article",
];

/// Names that rulers shared, and given names in front of "Smith III".
const NAMES: &str = "Abdullah Adrian Afonso Albert Alexander Alexios Alfonso Amenhotep Andrew Anne Arthur Artaxerxes Baldwin \
    Basil Baudouin Beatrix Benedict Boniface Boris Callixtus Carl Carlos Carol Casimir Catherine Celestine \
    Charles Christian Clement Cleopatra Constantine Cyrus Darius David Edward Elizabeth Emmanuel Eric Eugene \
    Farouk Felipe Ferdinand Francis Franz Frederick Friedrich George Gregory Gustaf Gustav Haakon Hadrian Harald \
    Harold Hassan Henri Henry Honorius Hussein Innocent Isabella Ivan James Joanna Johan John Jordan Joseph Juan \
    Julius Justin Justinian Karl Kenneth Leo Leopold Louis Ludwig Magnus Malcolm Duncan Llywelyn Manuel Margaret \
    Margrethe Martin Mary Matthias Maximilian Mehmed Michael Mohammed Murad Napoleon Nicholas Olaf Olav Oscar \
    Otto Paul Pedro Peter Philip Philippe Pius Ptolemy Rama Rameses Ramesses Ramses Richard Robert Rudolf \
    Rudolph Selim Sigismund Sixtus Stephen Suleiman Sylvester Theodosius Thutmose Umberto Urban Victor \
    Wenceslaus Wilhelm Willem William Xerxes";

const GIVEN: [&str; 16] = [
    "Thomas", "Thurston", "Daniel", "Samuel", "Walter", "Harry", "Jack", "Frank", "Howard", "Loudon", "Benjamin",
    "Ross", "Bill", "Bob", "Jim", "Joe",
];

const TITLES: [&str; 18] = [
    "King",
    "Queen",
    "Pope",
    "Emperor",
    "Empress",
    "Tsar",
    "Czar",
    "Sultan",
    "Pharaoh",
    "Kaiser",
    "Prince",
    "Princess",
    "Duke",
    "Archduke",
    "Count",
    "Patriarch",
    "Shah",
    "Saint",
];

/// Nouns that a numeral in front makes the nineteenth of.
const RANKED: [&str; 14] = [
    "Reich",
    "Republic",
    "century",
    "centuries",
    "Century",
    "Corps",
    "Legion",
    "Army",
    "Dynasty",
    "dynasty",
    "Olympiad",
    "Olympic",
    "edition",
    "Congress",
];

/// Names after which a single V or X is a number.
const NUMBERED: [&str; 11] =
    ["Saturn", "Rocky", "PlayStation", "Playstation", "Auto", "Fantasy", "Quest", "OS", "iPhone", "Ultima", "Apollo"];

/// What an IV is beside, as doctors say it.
const MEDICAL: [&str; 14] = [
    "drip",
    "drips",
    "line",
    "lines",
    "fluid",
    "fluids",
    "bag",
    "bags",
    "antibiotics",
    "therapy",
    "access",
    "infusion",
    "pole",
    "needle",
];

/// Verbs that show that "I" is a person.
const VERBS: [&str; 33] = [
    "am", "have", "had", "think", "like", "love", "want", "need", "know", "read", "wrote", "saw", "agree", "can",
    "could", "will", "would", "do", "did", "don't", "didn't", "see", "say", "said", "mean", "hope", "guess", "feel",
    "find", "explain", "reached", "should", "must",
];

/// Words that are capitalized only because they begin a sentence.
const FUNCTION: [&str; 14] =
    ["A", "An", "The", "This", "That", "My", "Your", "His", "Her", "Our", "Their", "And", "Start", "No"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// "Chapter four"
    Count,
    /// "Henry the Eighth"
    Ruler,
    /// "the nineteenth century"
    Rank,
    Year,
    /// "an I V drip"
    Letters,
}

/// XIV where its surroundings make it a number
pub(super) fn numeral(before: &[Token], rest: &[Token]) -> Said {
    let [Word(word), after @ ..] = rest else { return None };
    let touches = |t: Option<&Token>| matches!(t, Some(Num(_) | Sym('@' | '/' | '_' | '\'' | '+')));
    if touches(before.last()) || touches(after.first()) {
        return None;
    }
    match *word {
        "WWI" => return Some((1, "World War one".into())),
        "WWII" => return Some((1, "World War two".into())),
        _ => {}
    }
    if let Some(n) = ["st", "nd", "rd", "th"].iter().find_map(|s| value(word.strip_suffix(s)?))
        // "2 Mrd.": no thousandth
        && !word.starts_with(['M', 'C', 'D'])
    {
        return word.starts_with(char::is_uppercase).then(|| (1, ordinal(n)));
    }
    let (letters, owner) = match word.strip_suffix("'s") {
        Some(l) => (l, "'s"),
        None => (*word, ""),
    };
    let n = value(letters)?;
    let words = match kind(before, letters, after)? {
        Kind::Count => cardinal(n),
        Kind::Ruler => format!("the {}", capitalized(&ordinal(n))),
        Kind::Rank => ordinal(n),
        Kind::Year => year(n),
        Kind::Letters => letters.chars().map(String::from).collect::<Vec<_>>().join(" "),
    };
    if let Some(gap) = dash(after)
        && let Some(Word(to)) = after.get(gap)
        && value(to).is_some()
    {
        return Some((1 + gap, words + " to"));
    }
    Some((1, words + owner))
}

/// The value of a numeral in its one proper spelling, in capitals or small letters throughout.
fn value(letters: &str) -> Option<u64> {
    const PARTS: [(u64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let upper = letters.to_ascii_uppercase();
    if upper != letters && letters.contains(char::is_uppercase) {
        return None;
    }
    let (mut rest, mut n) = (upper.as_str(), 0);
    let mut spelled = String::new();
    for (worth, part) in PARTS {
        while let Some(more) = rest.strip_prefix(part) {
            rest = more;
            n += worth;
        }
    }
    let mut left = n;
    for (worth, part) in PARTS {
        while left >= worth {
            spelled.push_str(part);
            left -= worth;
        }
    }
    (rest.is_empty() && n > 0 && n < 4000 && spelled == upper).then_some(n)
}

fn named(word: &str) -> bool {
    NAMES.split(' ').any(|n| n == word)
}

fn capitalized(words: &str) -> String {
    let part = |w: &str| w.chars().next().map(|c| c.to_uppercase().chain(w.chars().skip(1)).collect::<String>());
    words.split(' ').map(|w| part(w).unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

fn kind(before: &[Token], letters: &str, after: &[Token]) -> Option<Kind> {
    if let Some(kind) = listed(before, letters) {
        return Some(kind);
    }
    let (head, word) = word_in_front(before);
    let small = letters.starts_with(char::is_lowercase);
    let few = |set: &str| letters.to_uppercase().chars().all(|c| set.contains(c));
    if letters.len() >= 5 && letters.starts_with('M') && value(letters).is_some_and(|n| (1000..2100).contains(&n)) {
        return Some(Kind::Year);
    }
    let Some(word) = word else {
        // "II. Methods"
        let outline = before.is_empty() && letters.len() > 1 && !small && few("IVX");
        return (outline && matches!(after, [Sym('.' | ')'), Space, ..])).then_some(Kind::Count);
    };
    let lower = word.to_lowercase();
    let label =
        if LABELS.contains(&lower.as_str()) { lower.as_str() } else { lower.strip_suffix('s').unwrap_or(&lower) };
    if small {
        let page = matches!(label, "page" | "p" | "pp" | "ch" | "chapter");
        let numeral = few("IVXL") && (letters.len() > 1 || letters == "v" || letters == "x" || page);
        return (SMALL_LABELS.contains(&label) && numeral && (letters != "i" || !person(after))).then_some(Kind::Count);
    }
    if next_word(after).is_some_and(|w| RANKED.contains(&w)) && few("IVX") && (letters != "I" || word == "the") {
        return Some(Kind::Rank);
    }
    // "the XIV Dalai Lama", but not "the IV drip"
    let titled_noun = next_word(after).is_some_and(|w| w.starts_with(char::is_uppercase));
    if lower == "the" && letters.len() > 1 && few("IVX") && titled_noun && !matches!(letters, "XX" | "XXX") {
        return Some(Kind::Rank);
    }
    let capital = word.starts_with(char::is_uppercase);
    if LABELS.contains(&label) {
        let counts = match letters {
            "I" => (capital || label == "factor") && !person(after),
            "V" | "X" => !LETTERED.contains(&label),
            "C" | "D" | "L" | "M" => false,
            _ => letters.len() > 2 || few("IVX") || matches!(label, "chapter" | "psalm" | "bowl" | "page"),
        };
        return counts.then_some(Kind::Count);
    }
    let ruled = (named(word) && !(word == "Malcolm" && letters == "X")) || (capital && titled(head));
    if ruled && few("IVX") && (letters != "I" || !person(after)) {
        return Some(Kind::Ruler);
    }
    if letters.len() >= 4 && letters.starts_with('M') && value(letters).is_some_and(|n| (1000..2100).contains(&n)) {
        return Some(Kind::Year);
    }
    if letters.len() < 2 {
        return (matches!(letters, "V" | "X") && NUMBERED.contains(&word)).then_some(Kind::Count);
    }
    if !few("IVX") {
        return None;
    }
    let medical = letters == "IV" && next_word(after).is_some_and(|w| MEDICAL.contains(&w));
    let name = capital && !FUNCTION.contains(&word) && !medical;
    if name && person_named(head) && matches!(letters, "II" | "III" | "IV" | "V") {
        return Some(Kind::Ruler);
    }
    if name || !matches!(letters, "IV" | "VI" | "XI" | "XV" | "XX" | "XXX") {
        return Some(Kind::Count);
    }
    Some(Kind::Letters)
}

/// The word in front, looked at through a space and a dot ("pp. ix"), and what stands before it.
fn word_in_front<'t, 'a>(before: &'t [Token<'a>]) -> (&'t [Token<'a>], Option<&'a str>) {
    match before {
        [head @ .., Word(w), Sym('.'), Space] | [head @ .., Word(w), Space] | [head @ .., Word(w), Sym('-')] => {
            (head, Some(*w))
        }
        _ => (before, None),
    }
}

/// "I and II", "ix–xi": what the numeral before is, this one is too.
fn listed(before: &[Token], letters: &str) -> Option<Kind> {
    let mut end = before.len();
    let space = |end: usize| matches!(before.get(end.wrapping_sub(1)), Some(Space));
    if space(end) {
        end -= 1;
    }
    match before.get(end.checked_sub(1)?)? {
        Sym('-' | '–' | '—' | '&' | '/' | ',') | Word("and" | "or" | "to" | "through") => end -= 1,
        _ => return None,
    }
    if space(end) {
        end -= 1;
    }
    let Word(w) = before.get(end.checked_sub(1)?)? else { return None };
    let same_case = w.starts_with(char::is_lowercase) == letters.starts_with(char::is_lowercase);
    value(w).filter(|_| same_case && letters != "i")?;
    kind(&before[..end - 1], w, &before[end..]).filter(|k| matches!(k, Kind::Count | Kind::Ruler | Kind::Rank))
}

/// Whether "I" in front of this is somebody.
fn person(after: &[Token]) -> bool {
    next_word(after).is_some_and(|w| VERBS.contains(&w))
}

/// King Such-and-such, Pope Such-and-such
fn titled(head: &[Token]) -> bool {
    head.iter().rev().filter_map(|t| t.word()).take(2).any(|w| TITLES.contains(&w))
}

/// John Smith III, Alfred E. Smith IV: what stands before the surname is a given name, perhaps with an initial.
fn person_named(head: &[Token]) -> bool {
    let names = head.iter().rev().take_while(|t| t.is_capitalized() || matches!(t, Space | Sym('.')));
    names.filter_map(|t| t.word()).take(2).any(|w| named(w) || GIVEN.contains(&w))
}
