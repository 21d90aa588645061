//! Text as it arrives to the words that are spoken: the tables of cases, and that the stream's cuts change nothing.

use proptest::prelude::*;

use super::chunker::Chunker;
use super::spoken::{Language, normalize};

/// The tables, one for each class of what is written.
const TABLES: [(&str, &str); 12] = [
    ("abbreviation", include_str!("../../../tests/data/spoken/abbreviation.tsv")),
    ("clock", include_str!("../../../tests/data/spoken/clock.tsv")),
    ("date", include_str!("../../../tests/data/spoken/date.tsv")),
    ("electronic", include_str!("../../../tests/data/spoken/electronic.tsv")),
    ("markup", include_str!("../../../tests/data/spoken/markup.tsv")),
    ("measure", include_str!("../../../tests/data/spoken/measure.tsv")),
    ("money", include_str!("../../../tests/data/spoken/money.tsv")),
    ("number", include_str!("../../../tests/data/spoken/number.tsv")),
    ("roman", include_str!("../../../tests/data/spoken/roman.tsv")),
    ("sign", include_str!("../../../tests/data/spoken/sign.tsv")),
    ("telephone", include_str!("../../../tests/data/spoken/telephone.tsv")),
    ("mixed", include_str!("../../../tests/data/spoken/mixed.tsv")),
];

/// Cases of a table: what is written ("\n" is a line break) and what is said.
fn cases(table: &str) -> impl Iterator<Item = (String, &str)> {
    table.lines().filter_map(|l| l.split_once('\t')).map(|(written, said)| (written.replace("\\n", "\n"), said))
}

/// The sentences of a text that arrives in `pieces`, as they are spoken.
fn spoken<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut chunker = Chunker::new();
    let mut sentences: Vec<String> = pieces.into_iter().flat_map(|p| chunker.push(p)).collect();
    sentences.extend(chunker.finish());
    sentences.iter().map(|s| normalize(s, Language::English)).collect()
}

/// `text` cut into pieces of the given lengths in characters, over and over.
fn pieces<'a>(text: &'a str, lengths: &[usize]) -> Vec<&'a str> {
    let mut out = Vec::new();
    let mut rest = text;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let end = rest.char_indices().nth(*length).map_or(rest.len(), |(at, _)| at);
        let (head, tail) = rest.split_at(end);
        out.push(head);
        rest = tail;
    }
    out
}

#[test]
fn every_case_is_spoken_as_its_table_says() {
    let mut wrong = Vec::new();
    for (name, table) in TABLES {
        assert!(cases(table).count() >= 15, "the table {name} is too short");
        for (written, said) in cases(table) {
            let got = spoken([written.as_str()]).join(" / ");
            if got != said {
                wrong.push(format!("{name}: {written}\n    want {said}\n    got  {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_is_the_same_when_it_arrives_character_by_character() {
    for (name, table) in TABLES {
        for (written, said) in cases(table) {
            assert_eq!(spoken(pieces(&written, &[1])).join(" / "), said, "{name}: {written}");
        }
    }
}

/// A few cases of any tables in a row, with what may stand between sentences.
fn texts() -> impl Strategy<Value = String> {
    let all: Vec<String> = TABLES.iter().flat_map(|(_, t)| cases(t).map(|(w, _)| w)).collect();
    let gap = prop::sample::select(vec![" ", " ", "\n", "\n\n", ". ", "", " <br> ", " &amp; "]);
    prop::collection::vec((prop::sample::select(all), gap), 1..6)
        .prop_map(|parts| parts.into_iter().flat_map(|(t, g)| [t, g.to_owned()]).collect())
}

proptest! {
    #[test]
    fn how_the_stream_is_cut_changes_no_word(text in texts(), lengths in prop::collection::vec(1usize..14, 1..40)) {
        prop_assert_eq!(spoken(pieces(&text, &lengths)), spoken([text.as_str()]));
    }

    #[test]
    fn garbled_markup_is_cut_as_it_arrives(text in "[<>/a-c&;#x0-9\"= !\\-\\[\\]^:.\n]{0,80}", lengths in prop::collection::vec(1usize..6, 1..20)) {
        let whole = spoken([text.as_str()]);
        prop_assert!(whole.iter().all(|s| !s.contains(|c: char| c.is_ascii_digit())), "{:?}", whole);
        prop_assert_eq!(spoken(pieces(&text, &lengths)), whole);
    }
}
