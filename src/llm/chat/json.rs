//! `tojson` as Hugging Face defines it: `json.dumps(value, ensure_ascii, indent, separators, sort_keys)`, nothing escaped for HTML.

use std::io;

use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, ErrorKind, State, Value};
use serde::Serialize;
use serde_json::Value as Json;

/// Spaces of one level of indentation, at most.
const MAX_INDENT: usize = 16;

pub(super) fn to_json(
    state: &State<'_, '_>,
    value: &Value,
    positional: Rest<Value>,
    args: Kwargs,
) -> Result<Value, Error> {
    // In the order of the signature.
    let option = |i: usize, name: &str| -> Result<Option<Value>, Error> {
        let found = positional.get(i).cloned().map_or_else(|| args.get::<Option<Value>>(name), |v| Ok(Some(v)))?;
        Ok(found.filter(|v| !v.is_none() && !v.is_undefined()))
    };
    let is = |v: Option<Value>| v.is_some_and(|v| v.is_true());
    let (ascii, indent) = (is(option(0, "ensure_ascii")?), option(1, "indent")?);
    let (separators, sorted) = (option(2, "separators")?, is(option(3, "sort_keys")?));
    args.assert_all_used()?;
    let indent: Option<String> = indent.map(|v| match v.as_str() {
        Some(s) => s.chars().take(MAX_INDENT).collect(),
        None => " ".repeat(v.as_usize().unwrap_or(0).min(MAX_INDENT)),
    });
    let mut style = Style {
        between: if indent.is_some() { "," } else { ", " }.to_owned(),
        colon: ": ".to_owned(),
        ascii,
        indent,
        level: 0,
        filled: false,
    };
    if let Some(both) = separators {
        let wrong = || Error::new(ErrorKind::InvalidOperation, "tojson: separators are two texts");
        let both: Vec<Value> = both.try_iter()?.take(3).collect();
        let [between, colon] = both.as_slice() else { return Err(wrong()) };
        style.between = between.as_str().ok_or_else(wrong)?.to_owned();
        style.colon = colon.as_str().ok_or_else(wrong)?.to_owned();
    }
    let failed = |e| Error::new(ErrorKind::BadSerialization, "cannot write JSON").with_source(e);
    let mut out = Vec::new();
    let mut to = serde_json::Serializer::with_formatter(&mut out, style);
    match sorted {
        true => in_order(serde_json::to_value(value).map_err(failed)?).serialize(&mut to).map_err(failed)?,
        false => value.serialize(&mut to).map_err(failed)?,
    }
    state.consume_fuel(out.len() as u64 / 64)?;
    Ok(Value::from(String::from_utf8_lossy(&out).into_owned()))
}

/// Keys by the alphabet.
fn in_order(json: Json) -> Json {
    match json {
        Json::Array(list) => list.into_iter().map(in_order).collect(),
        Json::Object(object) => {
            let mut pairs: Vec<(String, Json)> = object.into_iter().map(|(k, v)| (k, in_order(v))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(pairs.into_iter().collect())
        }
        other => other,
    }
}

/// How Python lays JSON out.
struct Style {
    between: String,
    colon: String,
    ascii: bool,
    indent: Option<String>,
    level: usize,
    /// Whether what ends now had anything in it.
    filled: bool,
}

impl Style {
    fn line<W: ?Sized + io::Write>(&self, w: &mut W) -> io::Result<()> {
        let Some(indent) = &self.indent else { return Ok(()) };
        w.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| w.write_all(indent.as_bytes()))
    }

    fn begin<W: ?Sized + io::Write>(&mut self, w: &mut W, open: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.filled = false;
        w.write_all(open)
    }

    fn next<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        if !first {
            w.write_all(self.between.as_bytes())?;
        }
        self.line(w)
    }

    fn end<W: ?Sized + io::Write>(&mut self, w: &mut W, close: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.filled {
            self.line(w)?;
        }
        w.write_all(close)
    }
}

impl serde_json::ser::Formatter for Style {
    fn begin_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.begin(w, b"[")
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.end(w, b"]")
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.next(w, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.begin(w, b"{")
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.end(w, b"}")
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.next(w, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(self.colon.as_bytes())
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, w: &mut W, fragment: &str) -> io::Result<()> {
        if !self.ascii {
            return w.write_all(fragment.as_bytes());
        }
        fragment.chars().try_for_each(|c| match c.is_ascii() {
            true => w.write_all(&[c as u8]),
            false => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|u| write!(w, "\\u{u:04x}")),
        })
    }
}
