use proptest::prelude::*;

use super::*;

fn all(text: &str) -> Vec<String> {
    let mut c = Chunker::new();
    let mut out = c.push(text);
    out.extend(c.finish());
    out
}

#[test]
fn sentences_end_where_people_end_them() {
    for (text, sentences) in [
        ("Hello there. How are you?", vec!["Hello there.", "How are you?"]),
        ("It is 3.5 meters. Really!", vec!["It is 3.5 meters.", "Really!"]),
        ("Dr. Smith met Mrs. Lee. They talked.", vec!["Dr. Smith met Mrs. Lee.", "They talked."]),
        ("Bring fruit, e.g. apples. Or i.e. Pears.", vec!["Bring fruit, e.g. apples.", "Or i.e. Pears."]),
        ("It is 7:30 a.m. in Rome. Sleep.", vec!["It is 7:30 a.m. in Rome.", "Sleep."]),
        ("It is 7:30 a.m. Your tea is cold.", vec!["It is 7:30 a.m.", "Your tea is cold."]),
        ("Come at 7 p.m. Monday. Bye.", vec!["Come at 7 p.m. Monday.", "Bye."]),
        ("J. R. R. Tolkien wrote it. Yes.", vec!["J. R. R. Tolkien wrote it.", "Yes."]),
        ("The U.S. Army is in the U.S. It is big.", vec!["The U.S. Army is in the U.S.", "It is big."]),
        ("Well... maybe. Hmm... I think so.", vec!["Well... maybe.", "Hmm... I think so."]),
        ("Wait… What?", vec!["Wait…", "What?"]),
        ("See https://example.com/a.b?c=d. It helps.", vec!["See https://example.com/a.b?c=d.", "It helps."]),
        ("Ask example.com! Now.", vec!["Ask example.com!", "Now."]),
        ("\"Stop!\" she said. \"Why?\" He left.", vec!["\"Stop!\" she said.", "\"Why?\"", "He left."]),
        ("Is it No. 5? No. I doubt it.", vec!["Is it No. 5?", "No.", "I doubt it."]),
        ("Meet at Main St. It is near.", vec!["Meet at Main St.", "It is near."]),
        ("St. Mary is closed. Sorry.", vec!["St. Mary is closed.", "Sorry."]),
        ("What?! No way!!! Yes.", vec!["What?!", "No way!!!", "Yes."]),
        ("So do I. The end.", vec!["So do I.", "The end."]),
        (
            "Milk, eggs, etc. are here. Bread, etc. Then go.",
            vec!["Milk, eggs, etc. are here.", "Bread, etc.", "Then go."],
        ),
        ("It costs 3. Then 4.", vec!["It costs 3.", "Then 4."]),
        ("On Nov. 23 it rains. OK.", vec!["On Nov. 23 it rains.", "OK."]),
        ("(It is on.) Next.", vec!["(It is on.)", "Next."]),
    ] {
        assert_eq!(all(text), sentences, "{text}");
    }
}

#[test]
fn a_sentence_is_handed_out_with_the_first_sign_that_it_is_over() {
    let mut c = Chunker::new();
    assert!(c.push("The light is on.").is_empty(), "a digit could follow");
    assert_eq!(c.push(" "), ["The light is on."]);
    assert!(c.push("It is 7 p.m. ").is_empty());
    assert!(c.push("Y").is_empty(), "could be the start of a longer word");
    assert!(c.push("our").is_empty(), "so could this");
    assert_eq!(c.push(" tea"), ["It is 7 p.m."]);
    assert_eq!(c.finish(), ["Your tea"]);
}

#[test]
fn a_long_first_sentence_starts_with_its_first_clause() {
    let text = "It is twenty-one degrees outside, with a light wind from the west, and it stays dry until the evening. \
                The second sentence is long as well, but it is not what the listener waits for, so it stays whole.";
    let mut c = Chunker::new();
    let early = c.push(&text[..50]);
    assert_eq!(early, ["It is twenty-one degrees outside,"]);
    let mut rest = c.push(&text[50..]);
    rest.extend(c.finish());
    assert_eq!(rest.len(), 2);
    assert!(rest[1].starts_with("The second") && rest[1].ends_with("whole."));
}

#[test]
fn a_date_or_a_short_start_is_not_torn() {
    assert_eq!(all("Your appointment is on Monday November 23, 2026 and not later.").len(), 1);
    assert_eq!(all("Well, I would say that this is quite a good idea indeed.").len(), 1);
}

#[test]
fn lists_and_headings_are_sentences_and_wrapped_lines_are_not() {
    let text =
        "# Shopping\nYou need:\n- milk\n- **two** eggs\n1. Go home\n2. Cook\n\nThat is a line\nwrapped here. Bye 👋";
    assert_eq!(
        all(text),
        ["Shopping", "You need:", "milk", "two eggs", "1. Go home", "2. Cook", "That is a line wrapped here.", "Bye"]
    );
}

#[test]
fn nothing_to_say_gives_no_sentence() {
    for text in ["", "  \n\n ", "🎉 🎉", "...", "**", "---\n***", "\u{7}\u{0}"] {
        assert_eq!(all(text), Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn long_sentences_are_cut_between_clauses_or_words() {
    let long =
        "and so the story went on without a stop because nobody had told the writer where it should end ".repeat(6);
    let cut = all(&long);
    assert!(cut.len() >= 3);
    assert!(cut.iter().all(|s| s.chars().count() <= MAX_CHARS), "{cut:?}");
    assert!(cut[1].starts_with("because") || cut[1].starts_with("and") || cut[1].starts_with("that"), "{cut:?}");
    let word = "a".repeat(3 * MAX_CHARS);
    assert_eq!(all(&word).concat(), word);
}

/// Letters and digits only, in order.
fn letters(s: &str) -> String {
    s.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Text like that of a model: words, numbers, abbreviations, stops, markup, in any order.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        5 => "[a-z]{1,9}",
        2 => "[A-Z][a-z]{0,7}",
        1 => prop::sample::select(vec![
            "Dr.", "e.g.", "7:30 a.m.", "3.5", "U.S.", "J.", "etc.", "No. 5", "-4", "1,234", "…", "...", "?!", "😀", "**",
            "\"", "(", ")", "# ", "- ", "1. ", "2.", "`", "_", "*", "St.", "p.m.", "I", "—", ";", ":",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![".", "!", "?", ",", ". ", ", "]).prop_map(str::to_owned),
    ];
    let gap = prop::sample::select(vec![" ", " ", " ", "", "\n", "\n\n", "  "]);
    prop::collection::vec((token, gap), 0..60)
        .prop_map(|v| v.into_iter().flat_map(|(t, g)| [t, g.to_owned()]).collect())
}

proptest! {
    #[test]
    fn how_the_stream_is_cut_does_not_matter(text in text(), cuts in prop::collection::vec(1usize..12, 1..80)) {
        let whole = all(&text);
        let mut c = Chunker::new();
        let mut got = Vec::new();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        for n in cuts.iter().cycle() {
            if at >= chars.len() {
                break;
            }
            let end = (at + n).min(chars.len());
            got.extend(c.push(&chars[at..end].iter().collect::<String>()));
            at = end;
        }
        got.extend(c.finish());
        prop_assert_eq!(got, whole);
    }

    #[test]
    fn no_word_is_lost_and_no_sentence_is_too_long(text in text()) {
        let sentences = all(&text);
        prop_assert_eq!(letters(&sentences.concat()), letters(&text));
        for s in &sentences {
            prop_assert!(s.chars().count() <= MAX_CHARS);
            prop_assert!(s.contains(char::is_alphanumeric) && s.trim() == s, "{:?}", s);
        }
    }

    #[test]
    fn any_text_at_all_is_taken(text in "\\PC{0,300}|[ -~\n]{0,400}") {
        for s in all(&text) {
            prop_assert!(s.chars().count() <= MAX_CHARS);
            prop_assert!(!s.contains(char::is_control));
        }
    }
}
