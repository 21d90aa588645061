//! Utterances as plain lowercase tokens, however they were written.

/// Contractions and spellings that have one plain form here.
const SPELLED: &[(&str, &str)] = &[
    ("what's", "what is"),
    ("whats", "what is"),
    ("who's", "who is"),
    ("where's", "where is"),
    ("when's", "when is"),
    ("how's", "how is"),
    ("hows", "how is"),
    ("that's", "that is"),
    ("thats", "that is"),
    ("it's", "it is"),
    ("there's", "there is"),
    ("here's", "here is"),
    ("let's", "let us"),
    ("i'm", "i am"),
    ("i'd", "i would"),
    ("i'll", "i will"),
    ("i've", "i have"),
    ("you're", "you are"),
    ("you've", "you have"),
    ("we're", "we are"),
    ("we've", "we have"),
    ("can't", "can not"),
    ("cant", "can not"),
    ("cannot", "can not"),
    ("couldn't", "could not"),
    ("don't", "do not"),
    ("dont", "do not"),
    ("doesn't", "does not"),
    ("didn't", "did not"),
    ("isn't", "is not"),
    ("aren't", "are not"),
    ("won't", "will not"),
    ("wouldn't", "would not"),
    ("shouldn't", "should not"),
    ("mustn't", "must not"),
    ("needn't", "need not"),
    ("hasn't", "has not"),
    ("haven't", "have not"),
    ("hadn't", "had not"),
    ("wasn't", "was not"),
    ("weren't", "were not"),
    ("ain't", "is not"),
    ("you'd", "you would"),
    ("you'll", "you will"),
    ("he's", "he is"),
    ("she's", "she is"),
    ("they're", "they are"),
    ("they've", "they have"),
    ("we'd", "we would"),
    ("we'll", "we will"),
    ("it'd", "it would"),
    ("it'll", "it will"),
    ("that'd", "that would"),
    ("that'll", "that will"),
    ("there'd", "there would"),
    ("what're", "what are"),
    ("who'd", "who would"),
    ("how'd", "how did"),
    ("everyone's", "everyone is"),
    ("nobody's", "nobody is"),
    ("gonna", "going to"),
    ("wanna", "want to"),
    ("gotta", "got to"),
    ("nevermind", "never mind"),
    ("gimme", "give me"),
    ("lemme", "let me"),
    ("pls", "please"),
    ("till", "until"),
    ("'til", "until"),
    ("alright", "all right"),
    ("count-down", "countdown"),
    ("ok", "okay"),
];

/// Lowercase words, numbers and signs of `text`, punctuation gone.
///
/// `10-minute` and `1h30` fall apart at the seams, `1,000` becomes `1000`, `%` becomes `percent`; `7:30`, `2.5` and
/// `9/11` stay whole; `-` survives only before a number.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let text: String =
        text.to_lowercase().replace(['\u{2018}', '\u{2019}', '`'], "'").replace("p.m.", "pm").replace("a.m.", "am");
    let chars: Vec<char> = text.chars().collect();
    let mut out: Vec<String> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        if c.is_ascii_digit() {
            i += 1;
            while i < chars.len() && (chars[i].is_ascii_digit() || joins_digits(&chars, i)) {
                i += 1;
            }
            out.push(chars[start..i].iter().filter(|&&c| c != ',').collect());
        } else if c.is_alphabetic() || (c == '\'' && chars.get(i + 1).is_some_and(|c| c.is_alphabetic())) {
            i += 1;
            while i < chars.len() && (chars[i].is_alphabetic() || (chars[i] == '\'' && is_letter(&chars, i + 1))) {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            push_word(&mut out, &word);
        } else {
            i += 1;
            match c {
                '%' => out.push("percent".to_owned()),
                '&' => out.push("and".to_owned()),
                '+' | '=' | '^' | '/' | '*' | '(' | ')' => out.push(c.to_string()),
                '×' => out.push("*".to_owned()),
                '÷' => out.push("/".to_owned()),
                '-' | '−' | '–' if starts_number(&chars, i) => out.push("-".to_owned()),
                // Money, mail addresses and the like must not look like plain words.
                '$' | '€' | '£' | '@' | '#' | '_' | '\\' | '<' | '>' | '{' | '}' | '[' | ']' | '|' | '~' => {
                    out.push(c.to_string());
                }
                _ => {}
            }
        }
    }
    out
}

fn push_word(out: &mut Vec<String>, word: &str) {
    match SPELLED.iter().find(|(from, _)| *from == word) {
        Some((_, to)) => out.extend(to.split(' ').map(str::to_owned)),
        None => out.push(word.to_owned()),
    }
}

/// Whether the sign at `i` belongs inside a number: a decimal point, a thousands comma, a time's colon, a fraction.
fn joins_digits(chars: &[char], i: usize) -> bool {
    let digit = |k: usize| chars.get(k).is_some_and(char::is_ascii_digit);
    match chars[i] {
        '.' | ':' | '/' => digit(i + 1),
        ',' => digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4),
        _ => false,
    }
}

fn is_letter(chars: &[char], i: usize) -> bool {
    chars.get(i).is_some_and(|c| c.is_alphabetic())
}

/// Whether a number follows at `i`, spaces aside.
fn starts_number(chars: &[char], i: usize) -> bool {
    chars[i..].iter().find(|c| !c.is_whitespace()).is_some_and(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(s: &str) -> String {
        tokens(s).join(" ")
    }

    #[test]
    fn one_form_for_many_spellings() {
        assert_eq!(t("Set a 10-minute timer, please!"), "set a 10 minute timer please");
        assert_eq!(t("What’s 1,250 × 2.5%?"), "what is 1250 * 2.5 percent");
        assert_eq!(t("1h30 at 7:30 p.m."), "1 h 30 at 7:30 pm");
        assert_eq!(t("twenty-five — O'Clock - don't"), "twenty five o'clock do not");
        assert_eq!(t("5-3, 9/11, -4, 10 - 2"), "5 - 3 9/11 - 4 10 - 2");
        assert_eq!(t(""), "");
        assert_eq!(t("'' ' ... $5"), "$ 5");
    }
}
