//! Values written out as Python writes them.

use std::fmt::Write;

use minijinja::Value;
use minijinja::value::ValueKind;

/// `str(value)`.
pub(super) fn text_of(value: &Value) -> String {
    match value.as_str() {
        Some(s) => s.to_owned(),
        None if value.is_undefined() => String::new(),
        None => {
            let mut out = String::new();
            represent(value, &mut out, 0);
            out
        }
    }
}

/// Lists within lists, beyond which a value is only hinted at.
const DEPTH: usize = 32;

/// `repr(value)`.
fn represent(value: &Value, out: &mut String, depth: usize) {
    if depth > DEPTH {
        return out.push_str("...");
    }
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => quote(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            let items: Vec<Value> = value.try_iter().into_iter().flatten().collect();
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                represent(item, out, depth + 1);
            }
            if value.is_tuple() && items.len() == 1 {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter().into_iter().flatten().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                represent(&key, out, depth + 1);
                out.push_str(": ");
                represent(&value.get_item(&key).unwrap_or_default(), out, depth + 1);
            }
            out.push('}');
        }
        _ => {
            // Writing to a text does not fail.
            let _ = write!(out, "{value}");
        }
    }
}

/// A text as Python writes it: in single quotes, unless only those are in it.
fn quote(s: &str, out: &mut String) {
    let by = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    out.push(by);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == by => out.extend(['\\', c]),
            c if c.is_control() && u32::from(c) < 256 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(by);
}
