//! Texts with placeholders: `"{room} light"`, in argument vectors and in what is said.

use serde_json::{Map, Value};

use crate::tools::told;

pub(super) enum Piece {
    Text(String),
    Name(String),
}

impl Piece {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Piece::Text(_) => None,
            Piece::Name(n) => Some(n),
        }
    }
}

/// Splits `"{room} light {{"` at its placeholders.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                text.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                        _ => {
                            return Err(format!("{template:?} has a brace that is not closed; write {{{{ for a brace"));
                        }
                    }
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Name(name));
            }
            '}' => return Err(format!("{template:?} has a brace that is not opened; write }}}} for a brace")),
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The names of the placeholders in an argument vector.
pub(super) fn placeholders(argv: &[String]) -> Vec<String> {
    let pieces = argv.iter().skip(1).filter_map(|argument| pieces(argument).ok()).flatten();
    pieces.filter_map(|p| p.name().map(str::to_owned)).collect()
}

/// The template as it is said, each value from the first of `sources` that has it; `None` where none has.
pub(super) fn said(template: &str, sources: [&Map<String, Value>; 2]) -> Option<String> {
    let mut text = String::new();
    for piece in pieces(template).ok()? {
        match piece {
            Piece::Text(t) => text.push_str(&t),
            Piece::Name(n) => {
                let value = sources.iter().find_map(|s| s.get(&n).filter(|v| !v.is_null()))?;
                text.push_str(&told::in_words(&n, value));
            }
        }
    }
    Some(text)
}

/// The argument vector. A value stays inside its argument, whatever is in it.
pub(super) fn argv(templates: &[String], args: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut argv = Vec::with_capacity(templates.len());
    let mut options_over = false;
    for (i, template) in templates.iter().enumerate() {
        if i == 0 {
            argv.push(template.clone());
            continue;
        }
        let mut argument = String::new();
        let mut absent = false;
        let mut starts_with_text_value = false;
        for piece in pieces(template)? {
            match piece {
                Piece::Text(t) => argument.push_str(&t),
                Piece::Name(name) => match args.get(&name) {
                    None | Some(Value::Null) => absent = true,
                    Some(value) => {
                        let value_text = shown(value);
                        if value_text.chars().any(char::is_control) {
                            return Err(format!("{name}: control characters are not allowed"));
                        }
                        starts_with_text_value |= argument.is_empty() && value.is_string();
                        argument.push_str(&value_text);
                    }
                },
            }
        }
        if absent {
            continue;
        }
        // A value must not become an option of the program.
        if starts_with_text_value && argument.starts_with('-') && !options_over {
            return Err("a value must not begin with a dash".to_owned());
        }
        options_over |= template == "--";
        argv.push(argument);
    }
    Ok(argv)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
