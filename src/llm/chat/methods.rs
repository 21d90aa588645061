//! The methods of Python's strings, lists and dictionaries. Work that could outgrow the template's fuel is charged before it is
//! done; what a method returns is charged by the engine.

use minijinja::value::{Kwargs, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Arguments of one call, by position or by name.
struct Args<'a> {
    method: &'a str,
    positional: &'a [Value],
    named: Option<Kwargs>,
}

impl<'a> Args<'a> {
    fn of(method: &'a str, all: &'a [Value]) -> Result<Self, Error> {
        let (positional, named) = match all.split_last() {
            Some((last, rest)) if last.is_kwargs() => (rest, Some(Kwargs::try_from(last.clone())?)),
            _ => (all, None),
        };
        Ok(Self { method, positional, named })
    }

    fn bad(&self, what: &str) -> Error {
        Error::new(ErrorKind::InvalidOperation, format!("{}: {what}", self.method))
    }

    /// `None` where it is not given, or Python's `None`.
    fn get(&self, i: usize, name: &str) -> Option<Value> {
        let found = match self.positional.get(i) {
            Some(v) => Some(v.clone()),
            None => self.named.as_ref().and_then(|n| n.get::<Value>(name).ok()),
        };
        found.filter(|v| !v.is_none() && !v.is_undefined())
    }

    fn text(&self, i: usize, name: &str) -> Result<Option<String>, Error> {
        match self.get(i, name) {
            None => Ok(None),
            Some(v) => v.as_str().map(|s| Some(s.to_owned())).ok_or_else(|| self.bad("a text is wanted")),
        }
    }

    fn needed(&self, i: usize, name: &str) -> Result<String, Error> {
        self.text(i, name)?.ok_or_else(|| self.bad("an argument is missing"))
    }

    fn number(&self, i: usize, name: &str) -> Result<Option<i64>, Error> {
        match self.get(i, name) {
            None => Ok(None),
            Some(v) => v.as_i64().map(Some).ok_or_else(|| self.bad("a whole number is wanted")),
        }
    }

    /// A count that bounds work: below zero, or none, is not a bound.
    fn limit(&self, i: usize, name: &str) -> Result<usize, Error> {
        Ok(self.number(i, name)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX))
    }

    fn none_left(&self, most: usize) -> Result<(), Error> {
        if self.positional.len() > most {
            return Err(self.bad("too many arguments"));
        }
        self.named.as_ref().map_or(Ok(()), Kwargs::assert_all_used)
    }
}

/// Charges for `bytes` of text about to be made.
fn pay(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes as u64 / 64)
}

pub(super) fn call(state: &mut State<'_, '_>, of: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let args = Args::of(name, args)?;
    let found = match of.kind() {
        ValueKind::String => text(state, of.as_str().unwrap_or_default(), name, &args)?,
        ValueKind::Map => map(of, name, &args)?,
        ValueKind::Seq | ValueKind::Iterable => list(of, name, &args)?,
        _ => None,
    };
    found.ok_or_else(|| Error::new(ErrorKind::UnknownMethod, format!("{} has no method {name}", of.kind())))
}

fn text(state: &State<'_, '_>, s: &str, name: &str, args: &Args<'_>) -> Result<Option<Value>, Error> {
    pay(state, s.len())?;
    let (value, most) = match name {
        "strip" | "lstrip" | "rstrip" => {
            let set = args.text(0, "chars")?;
            let drop = |c: char| set.as_ref().map_or(c.is_whitespace(), |set| set.contains(c));
            let left = if name == "rstrip" { s } else { s.trim_start_matches(drop) };
            (Value::from(if name == "lstrip" { left } else { left.trim_end_matches(drop) }), 1)
        }
        "startswith" | "endswith" => {
            let is = |by: &str| if name == "startswith" { s.starts_with(by) } else { s.ends_with(by) };
            let by = args.get(0, "prefix").or_else(|| args.get(0, "suffix")).ok_or_else(|| args.bad("of what?"))?;
            let any = match by.as_str() {
                Some(by) => is(by),
                None => by.try_iter()?.any(|by| by.as_str().is_some_and(is)),
            };
            (Value::from(any), 1)
        }
        "removeprefix" => (Value::from(s.strip_prefix(args.needed(0, "prefix")?.as_str()).unwrap_or(s)), 1),
        "removesuffix" => (Value::from(s.strip_suffix(args.needed(0, "suffix")?.as_str()).unwrap_or(s)), 1),
        "upper" => (Value::from(s.to_uppercase()), 0),
        "lower" | "casefold" => (Value::from(s.to_lowercase()), 0),
        "title" => (Value::from(title(s, true)), 0),
        "capitalize" => (Value::from(title(s, false)), 0),
        "swapcase" => (Value::from(s.chars().map(swapped).collect::<String>()), 0),
        "replace" => {
            let (old, new) = (args.needed(0, "old")?, args.needed(1, "new")?);
            let count = args.limit(2, "count")?;
            let times = s.matches(old.as_str()).count().min(count);
            pay(state, times.saturating_mul(new.len()).saturating_add(s.len()))?;
            (Value::from(s.replacen(old.as_str(), &new, count)), 3)
        }
        "split" | "rsplit" => (split(state, s, name == "rsplit", args)?, 2),
        "splitlines" => {
            let keep = args.get(0, "keepends").is_some_and(|v| v.is_true());
            (lines(s, keep).into_iter().map(Value::from).collect(), 1)
        }
        "partition" | "rpartition" => {
            let by = args.needed(0, "sep")?;
            let cut = if name == "partition" { s.split_once(by.as_str()) } else { s.rsplit_once(by.as_str()) };
            let parts = match (cut, name) {
                (Some((a, b)), _) => [a, &by, b],
                (None, "partition") => [s, "", ""],
                _ => ["", "", s],
            };
            (Value::from(Tuple::from(parts.map(Value::from).to_vec())), 1)
        }
        "join" => {
            let of = args.get(0, "iterable").ok_or_else(|| args.bad("of what?"))?;
            let mut out = String::new();
            for (i, part) in of.try_iter()?.enumerate() {
                let part = part.as_str().map(str::to_owned).ok_or_else(|| args.bad("the items are not all texts"))?;
                pay(state, 64 + part.len() + s.len())?;
                if i > 0 {
                    out.push_str(s);
                }
                out.push_str(&part);
            }
            (Value::from(out), 1)
        }
        "find" | "index" | "rfind" | "rindex" => {
            let by = args.needed(0, "sub")?;
            let at = if name.starts_with('r') { s.rfind(by.as_str()) } else { s.find(by.as_str()) };
            match at {
                Some(at) => (Value::from(s[..at].chars().count()), 1),
                None if name.ends_with("find") => (Value::from(-1), 1),
                None => return Err(args.bad("it is not there")),
            }
        }
        "count" => {
            let by = args.needed(0, "sub")?;
            (Value::from(if by.is_empty() { s.chars().count() + 1 } else { s.matches(by.as_str()).count() }), 1)
        }
        "isdigit" | "isdecimal" | "isnumeric" => (Value::from(all(s, char::is_numeric)), 0),
        "isalpha" => (Value::from(all(s, char::is_alphabetic)), 0),
        "isalnum" => (Value::from(all(s, char::is_alphanumeric)), 0),
        "isspace" => (Value::from(all(s, char::is_whitespace)), 0),
        "isascii" => (Value::from(s.is_ascii()), 0),
        "isupper" => (Value::from(s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase)), 0),
        "islower" => (Value::from(s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase)), 0),
        "istitle" => (Value::from(s.chars().any(char::is_alphabetic) && title(s, true) == s), 0),
        "ljust" | "rjust" | "center" | "zfill" => (padded(state, s, name, args)?, 2),
        "format" => return format(state, s, args).map(Some),
        _ => return Ok(None),
    };
    args.none_left(most)?;
    Ok(Some(value))
}

fn all(s: &str, is: fn(char) -> bool) -> bool {
    !s.is_empty() && s.chars().all(is)
}

fn swapped(c: char) -> char {
    let other = |mut of: Box<dyn Iterator<Item = char>>| of.next().unwrap_or(c);
    if c.is_uppercase() { other(Box::new(c.to_lowercase())) } else { other(Box::new(c.to_uppercase())) }
}

/// The first letter large and the others small: of each word, or of the whole.
fn title(s: &str, words: bool) -> String {
    let mut out = String::with_capacity(s.len());
    let mut first = true;
    for c in s.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = words && !c.is_alphabetic();
    }
    out
}

fn split(state: &State<'_, '_>, s: &str, from_end: bool, args: &Args<'_>) -> Result<Value, Error> {
    let most = args.limit(1, "maxsplit")?;
    let parts: Vec<&str> = match args.text(0, "sep")? {
        Some(by) if by.is_empty() => return Err(args.bad("the separator is empty")),
        Some(by) if from_end => {
            let mut parts: Vec<&str> = s.rsplitn(most.saturating_add(1), by.as_str()).collect();
            parts.reverse();
            parts
        }
        Some(by) => s.splitn(most.saturating_add(1), by.as_str()).collect(),
        None => words(s, most, from_end),
    };
    state.consume_fuel(parts.len() as u64)?;
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Words between white space; after `most` cuts the rest is one.
fn words(s: &str, most: usize, from_end: bool) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), s.trim());
    while !rest.is_empty() {
        let cut = if from_end { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
        match cut {
            Some(at) if parts.len() < most => {
                let (a, b) = rest.split_at(at);
                let (part, left) = if from_end { (b.trim_start(), a.trim_end()) } else { (a, b.trim_start()) };
                parts.push(part);
                rest = left;
            }
            _ => {
                parts.push(rest);
                rest = "";
            }
        }
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn lines(s: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines: Vec<&str> = s.split_inclusive('\n').collect();
    if !keep_ends {
        lines.iter_mut().for_each(|l| {
            let line = l.strip_suffix('\n').unwrap_or(l);
            *l = line.strip_suffix('\r').unwrap_or(line);
        });
    }
    lines
}

fn padded(state: &State<'_, '_>, s: &str, name: &str, args: &Args<'_>) -> Result<Value, Error> {
    let width = args.number(0, "width")?.ok_or_else(|| args.bad("how wide?"))?;
    let fill = if name == "zfill" { "0".to_owned() } else { args.text(1, "fillchar")?.unwrap_or_else(|| " ".into()) };
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(s.chars().count());
    pay(state, missing.saturating_mul(fill.len()).saturating_add(s.len()))?;
    let (sign, s) = if name == "zfill" && s.starts_with(['-', '+']) { s.split_at(1) } else { ("", s) };
    let before = match name {
        "ljust" => 0,
        "center" => missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1),
        _ => missing,
    };
    Ok(Value::from(format!("{sign}{}{s}{}", fill.repeat(before), fill.repeat(missing - before))))
}

/// `str.format` with plain fields: `{}`, `{0}`, `{name}`.
fn format(state: &State<'_, '_>, s: &str, args: &Args<'_>) -> Result<Value, Error> {
    let (mut out, mut rest, mut next) = (String::new(), s, 0);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let (field, after) = after.split_once('}').filter(|_| brace == "{").ok_or_else(|| args.bad("a lone brace"))?;
        rest = after;
        let value = match (field.is_empty(), field.parse::<usize>()) {
            (true, _) => {
                next += 1;
                args.positional.get(next - 1).cloned()
            }
            (false, Ok(i)) => args.positional.get(i).cloned(),
            _ => args.named.as_ref().and_then(|n| n.get::<Value>(field).ok()),
        };
        let shown = super::display::text_of(&value.ok_or_else(|| args.bad(&format!("no field {field:?}")))?);
        pay(state, 64 + shown.len())?;
        out.push_str(&shown);
    }
    out.push_str(rest);
    Ok(Value::from(out))
}

fn map(of: &Value, name: &str, args: &Args<'_>) -> Result<Option<Value>, Error> {
    let (value, most): (Value, usize) = match name {
        "items" => {
            let pair = |k: Value| Ok(Value::from(vec![k.clone(), of.get_item(&k)?]));
            (of.try_iter()?.map(pair).collect::<Result<Vec<_>, Error>>()?.into(), 0)
        }
        "keys" => (of.try_iter()?.collect(), 0),
        "values" => (of.try_iter()?.map(|k| of.get_item(&k)).collect::<Result<Vec<_>, _>>()?.into(), 0),
        "copy" => (of.clone(), 0),
        "get" => {
            let key = args.positional.first().ok_or_else(|| args.bad("of what?"))?;
            let found = of.get_item(key)?;
            (if found.is_undefined() { args.get(1, "default").unwrap_or(Value::from(())) } else { found }, 2)
        }
        _ => return Ok(None),
    };
    args.none_left(most)?;
    Ok(Some(value))
}

fn list(of: &Value, name: &str, args: &Args<'_>) -> Result<Option<Value>, Error> {
    let wanted = || args.positional.first().ok_or_else(|| args.bad("of what?"));
    Ok(Some(match name {
        "index" => {
            let wanted = wanted()?;
            let at = of.try_iter()?.position(|v| v == *wanted);
            Value::from(at.ok_or_else(|| args.bad("it is not there"))?)
        }
        "count" => {
            let wanted = wanted()?;
            Value::from(of.try_iter()?.filter(|v| v == wanted).count())
        }
        "copy" => of.clone(),
        _ => return Ok(None),
    }))
}
