//! A sentence as clauses, each with the mark that ends it.
//!
//! espeak-ng drops punctuation, and the voice needs it for its melody: so clauses are phonemized one by one and the
//! marks put back between them.

/// A clause and its mark: one of `, ; : . ! ?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) text: String,
    pub(super) mark: char,
}

/// Splits spoken text into clauses that have something to say. The last always ends with a mark.
pub(super) fn clauses(text: &str) -> Vec<Clause> {
    let mut out: Vec<Clause> = Vec::new();
    let mut current = String::new();
    let chars: Vec<char> = text.chars().collect();
    for (i, &c) in chars.iter().enumerate() {
        let breaks = chars.get(i + 1).is_none_or(|n| !n.is_alphanumeric());
        let mark = match c {
            '.' | '!' | '?' | ',' | ';' | ':' if breaks => c,
            '…' => '.',
            '(' | ')' | '[' | ']' | '—' | '\n' => ',',
            '"' | '“' | '”' | '«' | '»' => {
                current.push(' ');
                continue;
            }
            c => {
                current.push(c);
                continue;
            }
        };
        end_clause(&mut out, &mut current, mark);
    }
    end_clause(&mut out, &mut current, '.');
    soften_ellipses(&mut out, text);
    out
}

/// Marks that follow each other count as the strongest of them.
fn end_clause(out: &mut Vec<Clause>, current: &mut String, mark: char) {
    let text = std::mem::take(current);
    if text.contains(char::is_alphanumeric) {
        out.push(Clause { text: text.split_whitespace().collect::<Vec<_>>().join(" "), mark });
    } else if let Some(last) = out.last_mut()
        && strength(mark) > strength(last.mark)
    {
        last.mark = mark;
    }
}

fn strength(mark: char) -> u8 {
    match mark {
        ',' => 0,
        ':' => 1,
        ';' => 2,
        '.' => 3,
        '!' => 4,
        _ => 5,
    }
}

/// "Wait... what" hesitates; it does not end.
fn soften_ellipses(out: &mut [Clause], text: &str) {
    if !text.contains("...") && !text.contains('…') {
        return;
    }
    for i in 1..out.len() {
        if out[i - 1].mark == '.' && out[i].text.starts_with(char::is_lowercase) {
            out[i - 1].mark = ',';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> String {
        clauses(text).iter().map(|c| format!("{}{}", c.text, c.mark)).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn clauses_keep_their_marks() {
        for (text, want) in [
            ("Sure, the light is on.", "Sure,|the light is on."),
            ("Shall I", "Shall I."),
            ("Really?!", "Really?"),
            ("It (the lamp) is on; good: yes", "It,|the lamp,|is on;|good:|yes."),
            ("It is on (the lamp).", "It is on,|the lamp."),
            ("Wait... what?", "Wait,|what?"),
            ("\"Yes,\" she said.", "Yes,|she said."),
            ("I'm well-known", "I'm well-known."),
            ("... , !", ""),
        ] {
            assert_eq!(marked(text), want, "{text}");
        }
    }
}
