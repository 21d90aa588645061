//! Removes what cannot be spoken: Markdown, emoji, control characters.

use std::borrow::Cow;

/// Emoji and pictographs, with the invisible characters that shape them.
pub(super) fn is_pictograph(c: char) -> bool {
    !matches!(c, '♭' | '♮' | '♯' | '★')
        && matches!(c,
        '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}' | '\u{2300}'..='\u{23FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{20E3}' | '\u{E0000}'..='\u{E007F}' | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{AD}' | '\u{FFFC}' | '\u{FFFD}')
        || is_private(c)
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}')
}

/// `text` as one line of plain words and punctuation. `line_start` says that it begins a line, where marks of
/// headings and lists may stand. Letters and digits are kept, all but the addresses of links and the names of fences.
pub(super) fn strip(text: &str, line_start: bool) -> String {
    let mut lines = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let line = if i > 0 || line_start { without_line_mark(line.trim_start()) } else { Some(line.into()) };
        if let Some(line) = line {
            lines.push(inline(&line));
        }
    }
    let mut out = String::with_capacity(text.len());
    for word in lines.iter().flat_map(|l| l.split_whitespace()) {
        if !out.is_empty() && !word.chars().all(|c| ",.;:!?".contains(c)) {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The line without heading, list or quote marks; `None` for fences, rules and the line under a table's head.
fn without_line_mark(line: &str) -> Option<Cow<'_, str>> {
    if line.starts_with("```") || line.starts_with("~~~") {
        return None;
    }
    if line.len() >= 3 && line.chars().all(|c| "-*_=|: ".contains(c)) {
        return None;
    }
    // ">50 %" is no quote
    let compared =
        line.strip_prefix('>').is_some_and(|l| l.starts_with(|c: char| c.is_ascii_digit() || "=$€£.-−".contains(c)));
    let unquoted = if compared { line } else { line.trim_start_matches(['>', ' ']) };
    if let Some((name, text)) = definition(unquoted) {
        // A footnote has something to say, the address of a link has not.
        return name.starts_with('^').then(|| text.trim_start().into());
    }
    let heading = unquoted.trim_start_matches('#');
    if heading.len() < unquoted.len() && heading.starts_with(' ') {
        return Some(heading.trim_start().into());
    }
    for mark in ["- ", "* ", "+ ", "• ", "– "] {
        if let Some(item) = unquoted.strip_prefix(mark) {
            let item = item.trim_start();
            let done = item.strip_prefix("[ ] ").or_else(|| item.strip_prefix("[x] "));
            return Some(done.unwrap_or(item).into());
        }
    }
    // "1) one"
    let digits = unquoted.len() - unquoted.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if (1..=3).contains(&digits) && unquoted[digits..].starts_with(") ") {
        return Some(format!("{}.{}", &unquoted[..digits], &unquoted[digits + 1..]).into());
    }
    Some(unquoted.into())
}

/// "[name]: what it is", as links and footnotes are defined.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.strip_prefix('[')?.split_once("]:")?;
    (!name.is_empty() && !name.contains(['[', ']'])).then_some((name, text))
}

/// The length of "[1]", "[^note]" or "[2, 3]" at the start: a mark that only points to a note.
fn citation(chars: &[char]) -> Option<usize> {
    let end = chars.iter().position(|c| *c == ']')?;
    let name = chars.get(1..end)?;
    let numbers = !name.is_empty() && name.iter().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | '-' | '–'));
    let link = match chars.get(end + 1) {
        Some('(' | ':') => true,
        Some('[') => citation(&chars[end + 1..]).is_none(),
        _ => false,
    };
    let note = name.first() == Some(&'^');
    ((numbers || note) && !link).then_some(end + 1)
}

/// The length of "$x = 5$" at the start: a formula, where dollars would not stand at both ends.
fn formula(chars: &[char]) -> Option<usize> {
    let end = 1 + chars.get(1..)?.iter().position(|c| *c == '$')?;
    let inner = &chars[1..end];
    let tight = !inner.first()?.is_whitespace() && !inner.last()?.is_whitespace();
    let after = chars.get(end + 1).is_none_or(|c| !c.is_alphanumeric());
    let computed = inner.iter().any(|c| "=+^_\\<>*/{}".contains(*c)) || inner.iter().all(|c| c.is_alphabetic());
    let priced = inner.first()?.is_ascii_digit() && !inner.iter().any(|c| "=^\\".contains(*c));
    (tight && after && computed && !priced).then_some(end + 1)
}

/// Emphasis, code marks, links, table bars and pictographs out of one line.
fn inline(line: &str) -> String {
    let line = line.trim().replace("$$", "$");
    let line = if ["\\frac", "\\times", "\\sqrt", "\\cdot"].iter().any(|c| line.contains(c)) {
        plain_formula(&line)
    } else {
        line
    };
    let table = line.starts_with('|') || line.contains(" | ");
    let line = line.trim_matches('|');
    let chars: Vec<char> = line.chars().collect();
    let mut out = String::with_capacity(line.len());
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let before = i.checked_sub(1).and_then(|b| chars.get(b)).copied();
        let after = chars.get(i + 1).copied();
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            // [1], [^note]
            '[' if citation(&chars[i..]).is_some()
                && (out.ends_with(|c: char| !c.is_whitespace()) || is_note(&chars[i..], &out)) =>
            {
                i += citation(&chars[i..]).unwrap_or(1);
                while out.ends_with(' ') {
                    out.pop();
                }
                continue;
            }
            // [text][name]
            ']' if after == Some('[') => match chars[i + 1..].iter().position(|c| *c == ']') {
                Some(len) => {
                    i += len + 2;
                    continue;
                }
                None => out.push(' '),
            },
            '$' if formula(&chars[i..]).is_some() => {
                let len = formula(&chars[i..]).unwrap_or(1);
                let inner: String = chars[i + 1..i + len - 1].iter().collect();
                out.push_str(&plain_formula(&inner));
                i += len;
                continue;
            }
            // \\* and its like: the sign is meant
            '\\' if after.is_some_and(|a| a.is_ascii_punctuation() && a != '\\') => {
                match after {
                    Some('(' | ')' | '[' | ']') => {}
                    Some(a) => out.push(a),
                    None => {}
                }
                i += 2;
                continue;
            }
            // [text](address)
            ']' if after == Some('(') => match chars[i..].iter().position(|c| *c == ')') {
                Some(len) => {
                    i += len + 1;
                    continue;
                }
                None => out.push(' '),
            },
            '[' | ']' => {}
            '!' if after == Some('[') => {}
            '*' if before.is_some() && is_space(before) && is_space(after) && after.is_some() => out.push('*'),
            '*' if is_digit(before) && is_digit(after) => out.push('*'),
            // "Dial *67": a key, where no emphasis ends behind it
            '*' if is_space(before) && is_digit(after) && !chars[i + 1..].contains(&'*') => out.push('*'),
            '*' | '`' => {}
            // ~~wrong~~: struck out, so not said
            '~' | '=' if marked(&chars[i..], c, before).is_some() => {
                let len = marked(&chars[i..], c, before).unwrap_or(2);
                if c == '=' {
                    out.extend(&chars[i + 2..i + len - 2]);
                }
                i += len;
                continue;
            }
            '~' if after == Some('~') || before == Some('~') => {}
            '_' if is_word(before) && is_word(after) => out.push(' '),
            '_' => {}
            '|' if table => out.push_str(", "),
            '|' | '\\' => out.push(' '),
            c if is_pictograph(c) => {
                if is_word(before) || is_word(after) {
                    out.push(' ');
                }
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        i += 1;
    }
    out
}

/// The length of "~~text~~" or "==text==" at the start, with its marks.
fn marked(chars: &[char], mark: char, before: Option<char>) -> Option<usize> {
    let opens = chars.starts_with(&[mark, mark]) && chars.get(2).is_some_and(|c| !c.is_whitespace() && *c != mark);
    // "a==b" is a comparison
    if !opens || (mark == '=' && before.is_some_and(|c| !c.is_whitespace())) {
        return None;
    }
    let end = 2 + chars[2..].windows(2).position(|w| w == [mark, mark])?;
    (!chars[end - 1].is_whitespace()).then_some(end + 2)
}

/// Whether a citation is one although a space stands in front: a note, or numbers behind a word.
fn is_note(chars: &[char], out: &str) -> bool {
    let cited = out.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    // "as in [3]" names the note
    let named = matches!(
        cited.as_str(),
        "in" | "see" | "and" | "or" | "by" | "from" | "of" | "with" | "to" | "ref" | "reference"
    );
    chars.get(1) == Some(&'^') || (!named && cited.ends_with(char::is_alphanumeric))
}

/// A formula without the commands of LaTeX.
fn plain_formula(inner: &str) -> String {
    const COMMANDS: [(&str, &str); 22] = [
        ("\\times", "×"),
        ("\\cdot", "·"),
        ("\\div", "÷"),
        ("\\pm", "±"),
        ("\\leq", "≤"),
        ("\\le", "≤"),
        ("\\geq", "≥"),
        ("\\ge", "≥"),
        ("\\neq", "≠"),
        ("\\approx", "≈"),
        ("\\infty", "∞"),
        ("\\sqrt", "√"),
        ("\\rightarrow", "→"),
        ("\\to", "→"),
        ("\\pi", "π"),
        ("\\alpha", "α"),
        ("\\beta", "β"),
        ("\\theta", "θ"),
        ("\\lambda", "λ"),
        ("\\frac", ""),
        ("}{", " over "),
        ("\\text", ""),
    ];
    let replaced = COMMANDS.iter().fold(inner.to_owned(), |s, (command, sign)| s.replace(command, sign));
    replaced.replace(['{', '}', '\\'], "").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_words_stay() {
        for (written, plain) in [
            ("## Good **morning**", "Good morning"),
            ("- *one* thing", "one thing"),
            ("* [x] done", "done"),
            ("See [the manual](https://example.com/a(b)", "See the manual"),
            ("![a cat](cat.png) purrs", "a cat purrs"),
            ("Run `make test` now", "Run make test now"),
            ("```rust\nlet x\n```", "let x"),
            ("a snake_case _word_", "a snake case word"),
            ("2 * 3 is 6", "2 * 3 is 6"),
            ("| a | b |\n|---|---|\n| c | d |", "a, b c, d"),
            ("Done! 🎉👍🏽", "Done!"),
            ("🇫🇷Paris❤️!", "Paris!"),
            ("> quoted\n> text", "quoted text"),
            ("-4 degrees", "-4 degrees"),
            ("bell\u{7}\u{200b}ed", "bell ed"),
        ] {
            assert_eq!(strip(written, true), plain);
        }
    }
}
