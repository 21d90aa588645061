//! Letters that are said by their names, as espeak-ng needs them: a capital A by itself is its article, "A C" would be
//! "uh see".

/// `clause` with runs of single capitals as initials ("A.Q.I.") and a lone A, where it is not an article, spelled out.
pub(super) fn named(clause: &str) -> String {
    let words: Vec<&str> = clause.split(' ').collect();
    let letter = |w: &str| w.len() == 1 && w.starts_with(|c: char| c.is_ascii_uppercase());
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let run = words[at..].iter().take_while(|w| letter(w)).count();
        let next_capital = words.get(at + run).is_some_and(|w| w.starts_with(char::is_uppercase));
        // "A B movie" begins with an article.
        let article = at == 0 && words[at] == "A" && run <= 2;
        match run {
            0 => out.push(words[at].to_owned()),
            _ if article => out.extend(words[at..at + run].iter().map(|w| (*w).to_owned())),
            1 if words[at] == "A" && !next_capital => out.push("eigh".to_owned()),
            1 => out.push(words[at].to_owned()),
            // What follows begins no new sentence for espeak-ng: it hears initials.
            _ => out.push(words[at..at + run].iter().map(|w| format!("{w}.")).collect()),
        }
        at += run.max(1);
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_named_and_articles_are_not() {
        for (words, named_words) in [
            ("the A C is on", "the A.C. is on"),
            ("she has a P H D in physics", "she has a P.H.D. in physics"),
            ("vitamin A is good", "vitamin eigh is good"),
            ("she got an A plus", "she got an eigh plus"),
            ("A dog", "A dog"),
            ("A B movie", "A B movie"),
            ("A Q I forty-two", "A.Q.I. forty-two"),
            ("he read A Tale of two", "he read A Tale of two"),
            ("he and I went", "he and I went"),
            ("vitamin C", "vitamin C"),
            ("", ""),
        ] {
            assert_eq!(named(words), named_words);
        }
    }
}
