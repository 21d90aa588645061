//! Text as runs of digits, words, spaces and single symbols, and what the rules ask about their surroundings.

/// How many tokens a rule has read and what to say for them.
pub(super) type Said = Option<(usize, String)>;

/// A rule sees what came before (context) and what is to be said.
pub(super) type Rule = fn(before: &[Token], rest: &[Token]) -> Said;

/// One piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// ASCII digits.
    Num(&'a str),
    /// Letters, with apostrophes inside ("don't").
    Word(&'a str),
    /// Any run of white space.
    Space,
    /// Anything else, one character.
    Sym(char),
}

impl<'a> Token<'a> {
    pub(super) fn word(self) -> Option<&'a str> {
        match self {
            Token::Word(w) => Some(w),
            _ => None,
        }
    }

    pub(super) fn is_capitalized(self) -> bool {
        self.word().is_some_and(|w| w.starts_with(char::is_uppercase))
    }

    pub(super) fn is_lower(self) -> bool {
        self.word().is_some_and(|w| w.starts_with(char::is_lowercase))
    }
}

/// The last word before here as it is written; spaces and commas are looked through, other things are not.
pub(super) fn last_word<'a>(before: &[Token<'a>]) -> Option<&'a str> {
    let last = before.iter().rev().find(|t| !matches!(t, Token::Space | Token::Sym(',')))?;
    last.word()
}

/// As [`last_word`], in lower case.
pub(super) fn word_before(before: &[Token]) -> Option<String> {
    last_word(before).map(str::to_lowercase)
}

/// What a number is labelled with ("Tel.: ", "room ", "No. "), in lower case: as [`word_before`], with dots, colons
/// and brackets looked through as well.
pub(super) fn label_before(before: &[Token]) -> Option<String> {
    let skipped = |t: &&Token| !matches!(t, Token::Space | Token::Sym(',' | '.' | ':' | '#' | '(' | '"'));
    before.iter().rev().find(skipped)?.word().map(str::to_lowercase)
}

/// The word after a space.
pub(super) fn next_word<'a>(after: &[Token<'a>]) -> Option<&'a str> {
    match after {
        [Token::Space, Token::Word(w), ..] => Some(w),
        _ => None,
    }
}

/// Whether a token that must not continue another word or number may start here.
pub(super) fn at_start(before: &[Token]) -> bool {
    !matches!(before.last(), Some(Token::Num(_) | Token::Word(_) | Token::Sym('.' | '/' | '@' | '\'')))
}

/// Whether nothing is left but what closes after a sentence: then an abbreviation's dot is also its stop. (A text is
/// one sentence: where a dot ends one has been decided before.)
pub(super) fn sentence_ends(after: &[Token]) -> bool {
    after.iter().all(|t| matches!(t, Token::Space | Token::Sym('"' | '\'' | ')' | ']')))
}

/// Digits of that many places and a value within bounds.
pub(super) fn parse(
    s: &str,
    digits: std::ops::RangeInclusive<usize>,
    values: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let n = s.parse().ok()?;
    (digits.contains(&s.len()) && values.contains(&n)).then_some(n)
}

/// The length of a dash that makes a range, with the spaces around it: "-", "–", " – ".
pub(super) fn dash(rest: &[Token]) -> Option<usize> {
    match rest {
        [Token::Sym('-' | '–' | '—'), t, ..] if *t != Token::Space => Some(1),
        [Token::Space, Token::Sym('-' | '–' | '—'), Token::Space, ..] => Some(3),
        _ => None,
    }
}

/// One spelling for characters that mean the same here.
pub(super) fn unify(text: &str) -> String {
    const ROMAN: [&str; 16] =
        ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "L", "C", "D", "M"];
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{2212}' | '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' => out.push('-'),
            '\u{2012}' => out.push('–'),
            '\u{2018}' | '\u{2019}' | '\u{2032}' | '´' | '\u{02bc}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{2033}' => out.push('"'),
            '\u{03bc}' => out.push('µ'),
            '\u{2126}' => out.push('Ω'),
            '\u{212a}' => out.push('K'),
            'º' | '˚' => out.push('°'),
            '℃' => out.push_str("°C"),
            '℉' => out.push_str("°F"),
            '\u{2044}' | '\u{2215}' => out.push('/'),
            '№' => out.push_str("No."),
            '\u{2160}'..='\u{216f}' => out.push_str(ROMAN[c as usize - 0x2160]),
            '\u{2170}'..='\u{217f}' => out.push_str(&ROMAN[c as usize - 0x2170].to_lowercase()),
            '\u{2080}'..='\u{2089}' => out.push(char::from(b'0' + (c as u32 - 0x2080) as u8)),
            c if superscript(c).is_some() => {
                let mut power = String::from(superscript(c).unwrap_or('0'));
                while let Some(p) = chars.peek().copied().and_then(superscript) {
                    power.push(p);
                    chars.next();
                }
                match power.as_str() {
                    "2" => out.push('²'),
                    "3" => out.push('³'),
                    _ => out.extend(std::iter::once('^').chain(power.chars())),
                }
            }
            // 5^th: an ordinal whose ending is raised
            '^' if out.ends_with(|c: char| c.is_ascii_digit()) && raised_ending(chars.clone()) => {}
            'ᵗ' if out.ends_with(|c: char| c.is_ascii_digit()) => out.push('t'),
            'ʳ' | 'ˢ' | 'ⁿ' if out.ends_with(|c: char| c.is_ascii_digit()) => {
                out.push(match c {
                    'ʳ' => 'r',
                    'ˢ' => 's',
                    _ => 'n',
                });
            }
            'ᵈ' if out.ends_with(['r', 'n']) => out.push('d'),
            'ᵗ' if out.ends_with('s') => out.push('t'),
            'ʰ' if out.ends_with('t') => out.push('h'),
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Whether the ending of an ordinal comes, and nothing of the word behind it.
fn raised_ending(mut chars: impl Iterator<Item = char>) -> bool {
    let ending = [chars.next(), chars.next()];
    matches!(ending, [Some('s'), Some('t')] | [Some('n' | 'r'), Some('d')] | [Some('t'), Some('h')])
        && chars.next().is_none_or(|c| !c.is_alphanumeric())
}

/// The plain character of a superscript one.
fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from(b'4' + (c as u32 - 0x2074) as u8),
        '⁻' => '-',
        _ => return None,
    })
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            c if c.is_ascii_digit() => run(rest, |c| c.is_ascii_digit()),
            c if c.is_whitespace() => run(rest, char::is_whitespace),
            c if c.is_alphabetic() => word(rest),
            c => c.len_utf8(),
        };
        let (head, tail) = rest.split_at(len);
        out.push(match c {
            c if c.is_ascii_digit() => Token::Num(head),
            c if c.is_whitespace() => Token::Space,
            c if c.is_alphabetic() => Token::Word(head),
            c => Token::Sym(c),
        });
        rest = tail;
    }
    out
}

/// The text that tokens were made of (each run of white space as one space).
pub(super) fn spell(tokens: &[Token]) -> String {
    let mut s = String::new();
    for t in tokens {
        match t {
            Token::Num(w) | Token::Word(w) => s.push_str(w),
            Token::Space => s.push(' '),
            Token::Sym(c) => s.push(*c),
        }
    }
    s
}

fn run(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

fn word(text: &str) -> usize {
    let mut end = run(text, char::is_alphabetic);
    while let Some(more) = text[end..].strip_prefix('\'') {
        match run(more, char::is_alphabetic) {
            0 => break,
            n => end += 1 + n,
        }
    }
    end
}
