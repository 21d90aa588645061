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
    ("im", "i am"),
    ("ive", "i have"),
    ("dont", "do not"),
    ("doesnt", "does not"),
    ("didnt", "did not"),
    ("cant", "can not"),
    ("couldnt", "could not"),
    ("wont", "will not"),
    ("wouldnt", "would not"),
    ("shouldnt", "should not"),
    ("isnt", "is not"),
    ("arent", "are not"),
    ("wasnt", "was not"),
    ("havent", "have not"),
    ("hasnt", "has not"),
    ("whats", "what is"),
    ("thats", "that is"),
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

/// A plain lowercase word, number or sign, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Byte range in the text. The words of a contraction ("don't": "do", "not") share it.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a comma or a colon follows.
    pub(super) comma: bool,
}

/// The texts of [`located`].
pub(super) fn tokens(text: &str) -> Vec<String> {
    located(text).into_iter().map(|t| t.text).collect()
}

/// Lowercase words, numbers and signs of `text`, punctuation gone.
///
/// `10-minute` and `1h30` fall apart at the seams, `1,000` becomes `1000`, `%` becomes `percent`; `7:30`, `2.5` and
/// `9/11` stay whole; `-` survives only before a number; `p.m.` and `P M` become `pm`.
pub(super) fn located(text: &str) -> Vec<Token> {
    let at: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
    let chars: Vec<char> = text.chars().map(plain).collect();
    let mut out: Vec<Token> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        i += 1;
        let mut push = |text: String, end: usize| {
            out.push(Token { text, start: at[start], end: at[end], comma: false });
        };
        if c.is_ascii_digit() {
            while i < chars.len() && (chars[i].is_ascii_digit() || joins_digits(&chars, i)) {
                i += 1;
            }
            push(chars[start..i].iter().filter(|&&c| c != ',').collect(), i);
        } else if let Some(end) = half_of_day(&chars, start) {
            i = end;
            push(format!("{}m", c.to_ascii_lowercase()), i);
        } else if c.is_alphabetic() || (c == '\'' && is_letter(&chars, i)) {
            while i < chars.len() && (chars[i].is_alphabetic() || (chars[i] == '\'' && is_letter(&chars, i + 1))) {
                i += 1;
            }
            let word = chars[start..i].iter().collect::<String>().to_lowercase();
            for word in SPELLED.iter().find(|(from, _)| *from == word).map_or(word.as_str(), |(_, to)| to).split(' ') {
                push(word.to_owned(), i);
            }
        } else {
            match c {
                '%' => push("percent".to_owned(), i),
                '&' => push("and".to_owned(), i),
                '+' | '=' | '^' | '/' | '*' | '(' | ')' => push(c.to_string(), i),
                '×' => push("*".to_owned(), i),
                '÷' => push("/".to_owned(), i),
                '-' | '−' | '–' if starts_number(&chars, i) => push("-".to_owned(), i),
                // Money, mail addresses and the like must not look like plain words.
                '$' | '€' | '£' | '@' | '#' | '_' | '\\' | '<' | '>' | '{' | '}' | '[' | ']' | '|' | '~' => {
                    push(c.to_string(), i);
                }
                ',' | ':' => {
                    if let Some(last) = out.last_mut() {
                        last.comma = true;
                    }
                }
                _ => {}
            }
        }
    }
    spelled_halves_of_day(&mut out);
    out
}

/// One sign for all forms of the apostrophe.
fn plain(c: char) -> char {
    if matches!(c, '\u{2018}' | '\u{2019}' | '`') { '\'' } else { c }
}

/// Where "a.m." or "p.m." at `i` ends.
fn half_of_day(chars: &[char], i: usize) -> Option<usize> {
    let first = matches!(chars[i], 'a' | 'A' | 'p' | 'P') && (i == 0 || !chars[i - 1].is_alphabetic());
    let rest = chars.get(i + 1) == Some(&'.') && matches!(chars.get(i + 2), Some('m' | 'M'));
    (first && rest && !is_letter(chars, i + 3)).then(|| i + 3 + usize::from(chars.get(i + 3) == Some(&'.')))
}

/// "Nine A M" is "nine am".
fn spelled_halves_of_day(out: &mut Vec<Token>) {
    let mut i = 1;
    while i + 1 < out.len() {
        let time = super::number::is_number_word(&out[i - 1].text) || out[i - 1].text == "o'clock";
        if time && matches!(out[i].text.as_str(), "a" | "p") && out[i + 1].text == "m" {
            let m = out.remove(i + 1);
            out[i].text.push('m');
            (out[i].end, out[i].comma) = (m.end, m.comma);
        }
        i += 1;
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

/// `text` with a capital letter at its start.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
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
        assert_eq!(t("Nine A M, ten p.m. and 5 P.M"), "nine am ten pm and 5 pm");
    }

    #[test]
    fn tokens_know_where_they_stood() {
        let text = "Don’t add Ben & Jerry’s, 1,000 things.";
        let said: Vec<&str> = located(text).iter().map(|t| &text[t.start..t.end]).collect();
        assert_eq!(said, ["Don’t", "Don’t", "add", "Ben", "&", "Jerry’s", "1,000", "things"]);
        let commas: Vec<bool> = located("a, b: c d").iter().map(|t| t.comma).collect();
        assert_eq!(commas, [true, true, false, false]);
    }
}
