//! Splits a sentence into clauses, each with its closing punctuation mark.
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

/// Groups clauses into parts of at most `max_chars`, each spoken in one go; a clause longer than that is cut between
/// words. What a model needs while it speaks grows with the part, not with the sentence.
pub(super) fn parts(clauses: Vec<Clause>, max_chars: usize) -> Vec<Vec<Clause>> {
    let mut out: Vec<Vec<Clause>> = Vec::new();
    let mut room = 0;
    for clause in clauses.into_iter().flat_map(|c| cut(c, max_chars)) {
        let chars = clause.text.chars().count() + 1;
        match out.last_mut() {
            Some(part) if chars <= room => part.push(clause),
            _ => {
                out.push(vec![clause]);
                room = max_chars;
            }
        }
        room = room.saturating_sub(chars);
    }
    out
}

/// A clause as pieces of at most `max_chars`, of about the same length.
fn cut(clause: Clause, max_chars: usize) -> Vec<Clause> {
    let chars = clause.text.chars().count();
    if chars <= max_chars {
        return vec![clause];
    }
    let even = chars.div_ceil(chars.div_ceil(max_chars)) + 1;
    let mut out = vec![Clause { text: String::new(), mark: ',' }];
    for word in clause.text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let rest = word.split_off(word.len().min(max_chars));
            let last = out.len() - 1;
            let have = out[last].text.chars().count();
            if have > 0 && (have >= even || have + 1 + word.len() > max_chars) {
                out.push(Clause { text: word.iter().collect(), mark: ',' });
            } else {
                let gap = if have == 0 { "" } else { " " };
                out[last].text = format!("{}{gap}{}", out[last].text, word.iter().collect::<String>());
            }
            if rest.is_empty() {
                break;
            }
            word = rest;
        }
    }
    if let Some(last) = out.last_mut() {
        last.mark = clause.mark;
    }
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

    #[test]
    fn parts_are_bounded_and_lose_nothing() {
        let text = "one two three, four five six seven eight nine ten eleven; twelve. ".repeat(3) + &"x".repeat(70);
        for max in [8, 20, 33, 64, 500] {
            let all = clauses(&text);
            let words = |c: &[Clause]| c.iter().map(|c| c.text.replace(' ', "")).collect::<String>();
            let parts = parts(all.clone(), max);
            assert_eq!(words(&parts.concat()), words(&all));
            for part in &parts {
                let chars: usize = part.iter().map(|c| c.text.chars().count() + 1).sum();
                assert!(chars <= max + 1, "{chars} > {max}: {part:?}");
            }
            assert_eq!(parts.concat().iter().filter(|c| c.mark != ',').count(), 7, "marks stay with their clauses");
        }
        assert!(parts(Vec::new(), 10).is_empty());
    }
}
