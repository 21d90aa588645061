//! What templates expect of their language: Python's Jinja as Hugging Face sets it up.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{json, methods, source};

/// Adds what the engine lacks, and takes out what it has beyond and does not count as work.
pub(super) fn teach(env: &mut Environment<'static>) {
    env.add_filter("tojson", json::to_json);
    env.add_filter("string", |v: &Value| text_of(v));
    env.add_filter("sum", sum_of_all);
    env.remove_filter("chain");
    env.add_function(source::SUM, sum);
    env.add_function(source::FORMAT, format);
    env.add_function("strftime_now", strftime_now);
    env.add_function("raise_exception", raise_exception);
    env.set_unknown_method_callback(methods::call);
    env.set_formatter(|out, state, value| match value.kind() {
        ValueKind::String | ValueKind::Undefined | ValueKind::Number => minijinja::escape_formatter(out, state, value),
        _ => {
            let text = text_of(value);
            state.consume_fuel(text.len() as u64 / 64)?;
            out.write_str(&text).map_err(|e| Error::new(ErrorKind::WriteFailure, "cannot write").with_source(e))
        }
    });
}

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

/// `a + b`: of numbers, of texts, or of lists, whose items are paid for.
fn sum(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<Value, Error> {
    let is_list = |v: &Value| matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable);
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        state.consume_fuel((a.len() + b.len()) as u64 / 64)?;
        return Ok(Value::from([a, b].concat()));
    }
    if is_list(a) && is_list(b) {
        let mut all = Vec::new();
        for item in a.try_iter()?.chain(b.try_iter()?) {
            state.consume_fuel(1)?;
            all.push(item);
        }
        return Ok(Value::from(all));
    }
    if a.is_number() && b.is_number() {
        let whole = if a.is_integer() && b.is_integer() { a.as_i64().zip(b.as_i64()) } else { None };
        if let Some(sum) = whole.and_then(|(a, b)| a.checked_add(b)) {
            return Ok(Value::from(sum));
        }
        let float = |v: &Value| f64::try_from(v.clone());
        return Ok(Value::from(float(a)? + float(b)?));
    }
    let what = format!("{} and {} cannot be added", a.kind(), b.kind());
    Err(Error::new(ErrorKind::InvalidOperation, what))
}

/// `text % with`: of a tuple, each of its items.
fn format(state: &mut State<'_, '_>, text: &Value, with: &Value) -> Result<Value, Error> {
    let mut args = vec![text.clone()];
    match with.is_tuple() {
        true => args.extend(with.try_iter()?),
        false => args.push(with.clone()),
    }
    state.apply_filter("format", &args)
}

/// Jinja's filter: everything added to `start`; of objects, one attribute.
fn sum_of_all(state: &State<'_, '_>, of: &Value, args: Kwargs) -> Result<Value, Error> {
    let (attribute, start): (Option<String>, Option<Value>) = (args.get("attribute")?, args.get("start")?);
    args.assert_all_used()?;
    let mut total = start.unwrap_or_else(|| Value::from(0));
    for item in of.try_iter()? {
        let item = match &attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        total = sum(state, &total, &item)?;
    }
    Ok(total)
}

/// Llama 3.1's templates ask for the date.
fn strftime_now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &jiff::Zoned::now())
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, "bad date format").with_source(e))
}

/// Templates refuse conversations they cannot write with this.
fn raise_exception(why: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, why.to_owned()))
}
