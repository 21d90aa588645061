//! What templates expect of their language: Python's Jinja as Hugging Face sets it up.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::display::text_of;
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

/// Templates use this to refuse conversations they cannot render.
fn raise_exception(why: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, why.to_owned()))
}
