//! A request as words that remember their punctuation and where they stood.

use crate::tools::text;

/// What stood between a word and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing but space.
    Space,
    /// A hyphen: the two are one word to whoever said it ("if-then", "no-salt").
    Hyphen,
    /// A comma, a dash, a colon.
    Comma,
    /// The end of a sentence.
    Stop,
    /// A question mark.
    Ask,
}

/// One plain lowercase word, number or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Byte range in the request. The words of a contraction ("don't": "do", "not") share it.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) after: Mark,
}

impl Word {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(super) fn any(&self, texts: &[&str]) -> bool {
        texts.contains(&self.text.as_str())
    }
}

/// The words of `request`, spelled as [`text::tokens`] spells them.
pub(super) fn words(request: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let chars: Vec<(usize, char)> = request.char_indices().collect();
    let at = |i: usize| chars.get(i).map(|c| c.1);
    let byte = |i: usize| chars.get(i).map_or(request.len(), |c| c.0);
    let letter = |i: usize| at(i).is_some_and(char::is_alphabetic);
    let digit = |i: usize| at(i).is_some_and(|c| c.is_ascii_digit());
    let apostrophe = |i: usize| matches!(at(i), Some('\'' | '\u{2018}' | '\u{2019}' | '`'));
    let mut i = 0;
    while let Some(c) = at(i) {
        let start = i;
        if c.is_ascii_digit() {
            i += 1;
            while digit(i)
                || (matches!(at(i), Some('.' | ':' | '/')) && digit(i + 1))
                || (at(i) == Some(',') && (1..=3).all(|k| digit(i + k)) && !digit(i + 4))
            {
                i += 1;
            }
        } else if c.is_alphabetic() || (apostrophe(i) && letter(i + 1)) {
            i += 1;
            while letter(i) || (apostrophe(i) && letter(i + 1)) {
                i += 1;
            }
            // "p.m." and "a.m.": the points belong to the word.
            if i == start + 1
                && matches!(c, 'a' | 'A' | 'p' | 'P')
                && at(i) == Some('.')
                && matches!(at(i + 1), Some('m' | 'M'))
                && !letter(i + 2)
            {
                i += 2;
                // The last point may end the sentence too; what follows in lower case says that it does not.
                if at(i) == Some('.') {
                    i += 1;
                }
            }
        } else {
            i += 1;
            mark(&mut words, c, at(i), start > 0 && !at(start - 1).is_some_and(char::is_whitespace));
            let sign = matches!(c, '%' | '&' | '+' | '=' | '^' | '/' | '*' | '×' | '÷' | '$' | '€' | '£')
                || (matches!(c, '-' | '−') && digit(i));
            if !sign {
                continue;
            }
        }
        let (from, to) = (byte(start), byte(i));
        for text in text::tokens(&request[from..to]) {
            words.push(Word { text, start: from, end: to, after: Mark::Space });
        }
    }
    halves_of_day(&mut words);
    words
}

fn mark(words: &mut [Word], c: char, next: Option<char>, glued: bool) {
    let Some(last) = words.last_mut() else { return };
    let new = match c {
        ',' | ':' | '—' | '…' | '(' | ')' => Mark::Comma,
        '–' | '-' if glued && next.is_some_and(char::is_alphanumeric) => Mark::Hyphen,
        '–' | '-' => Mark::Comma,
        '.' | '!' | ';' | '\n' => Mark::Stop,
        '?' => Mark::Ask,
        _ => return,
    };
    if last.after != Mark::Ask && (new != Mark::Comma || last.after == Mark::Space) {
        last.after = new;
    }
}

/// "nine A M" is "nine am".
fn halves_of_day(words: &mut Vec<Word>) {
    let mut i = 1;
    while i + 1 < words.len() {
        let number = crate::tools::number::is_number_word(&words[i - 1].text) || words[i - 1].is("o'clock");
        if number && words[i].any(&["a", "p"]) && words[i + 1].is("m") {
            let m = words.remove(i + 1);
            words[i].text.push('m');
            words[i].end = m.end;
            words[i].after = m.after;
        }
        i += 1;
    }
}

/// The plain texts, for what works on those.
pub(super) fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|w| w.text.clone()).collect()
}

/// The words again as one line.
pub(super) fn line(words: &[Word]) -> String {
    texts(words).join(" ")
}

/// How many words `phrase` takes where `words` begin with it.
pub(super) fn begins(words: &[Word], phrase: &str) -> Option<usize> {
    let mut n = 0;
    for p in phrase.split(' ') {
        if words.get(n).is_none_or(|w| w.text != p) {
            return None;
        }
        n += 1;
    }
    Some(n)
}

/// The longest of `phrases` that `words` begin with, in words.
pub(super) fn begins_any(words: &[Word], phrases: &[&str]) -> Option<usize> {
    phrases.iter().filter_map(|p| begins(words, p)).max()
}

/// The longest of `phrases` that `words` end with, in words.
pub(super) fn ends_any(words: &[Word], phrases: &[&str]) -> Option<usize> {
    let fits = |p: &&&str| {
        let n = p.split(' ').count();
        n <= words.len() && begins(&words[words.len() - n..], p).is_some()
    };
    phrases.iter().filter(fits).map(|p| p.split(' ').count()).max()
}

/// Where `phrase` stands first at or after `from`.
pub(super) fn find(words: &[Word], from: usize, phrase: &str) -> Option<(usize, usize)> {
    (from..words.len()).find_map(|i| begins(&words[i..], phrase).map(|n| (i, n)))
}
