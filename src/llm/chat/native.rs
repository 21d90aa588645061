//! Calls and tools as a template writes them that has its own form for both (ChatML with `<tool_call>`).

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use crate::schema::ToolCall;

/// JSON as a template's value.
pub(super) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => Value::from(i),
            (_, Some(u), _) => Value::from(u),
            (_, _, f) => Value::from(f.unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::from(s.as_str()),
        Json::Array(list) => list.iter().map(value).collect(),
        Json::Object(o) => Value::from_pairs(o.iter().map(|(k, v)| (k.clone(), value(v)))),
    }
}

/// A call as templates take it: `{"type": "function", "function": {"name", "arguments"}}`. Texts go through `guard`.
pub(super) fn call(call: &ToolCall, guard: &dyn Fn(&str) -> String) -> Json {
    json!({"type": "function", "function": {"name": guard(&call.name), "arguments": guarded(&call.parameters, guard)}})
}

fn guarded(object: &Map<String, Json>, guard: &dyn Fn(&str) -> String) -> Json {
    fn one(v: &Json, guard: &dyn Fn(&str) -> String) -> Json {
        match v {
            Json::String(s) => Json::String(guard(s)),
            Json::Array(list) => list.iter().map(|v| one(v, guard)).collect(),
            Json::Object(o) => guarded(o, guard),
            other => other.clone(),
        }
    }
    object.iter().map(|(k, v)| (guard(k), one(v, guard))).collect::<Map<_, _>>().into()
}

/// What stands before the list of tools in a system message, and the tools as JSON schemas. `None` where the message ends
/// with no such list, or a line of it is not a signature.
pub(super) fn tools(system: &str) -> Option<(&str, Vec<Json>)> {
    let (before, list) = system.split_once("\nTools:\n").or_else(|| Some(("", system.strip_prefix("Tools:\n")?)))?;
    let tools: Vec<Json> = list.lines().filter(|l| !l.trim().is_empty()).map(signature).collect::<Option<_>>()?;
    (!tools.is_empty()).then_some((before, tools))
}

/// `set_light(room: string, brightness?: int)` as the JSON schema of a function.
fn signature(line: &str) -> Option<Json> {
    let (name, rest) = line.trim().split_once('(')?;
    let mut rest = rest.strip_suffix(')')?;
    let (mut properties, mut required) = (Map::new(), Vec::new());
    while !rest.is_empty() {
        let (argument, ty_on) = rest.split_once(": ")?;
        let (ty, after) = split_type(ty_on)?;
        let wanted = argument.strip_suffix('?');
        if wanted.is_none() {
            required.push(Json::from(argument));
        }
        properties.insert(wanted.unwrap_or(argument).to_owned(), ty);
        rest = after;
    }
    let parameters = json!({"type": "object", "properties": properties, "required": required});
    Some(json!({"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}))
}

/// The schema of the type that `text` begins with, and what follows its comma.
fn split_type(text: &str) -> Option<(Json, &str)> {
    if !text.starts_with('"') {
        let (ty, after) = text.split_once(", ").unwrap_or((text, ""));
        let ty = match ty {
            "string" => "string",
            "int" => "integer",
            "number" => "number",
            "bool" => "boolean",
            _ => return None,
        };
        return Some((json!({"type": ty}), after));
    }
    let (mut values, mut rest) = (Vec::new(), text);
    loop {
        let (value, after) = rest.strip_prefix('"')?.split_once('"')?;
        values.push(value);
        match after.strip_prefix('|') {
            Some(more) => rest = more,
            None => {
                let after = if after.is_empty() { after } else { after.strip_prefix(", ")? };
                return Some((json!({"type": "string", "enum": values}), after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ToolSchema;

    #[test]
    fn signatures_become_schemas() {
        let schema: ToolSchema = serde_json::from_value(json!({"name": "set_light", "params": [
            {"name": "room", "type": "string"}, {"name": "on", "type": "bool"},
            {"name": "mode", "type": "enum", "values": ["warm, soft", "cold"], "required": false},
            {"name": "brightness", "type": "int", "required": false}]}))
        .expect("a schema");
        let system = format!("Be brief.\nTools:\n{}\nstop()", schema.signature());
        let (before, tools) = tools(&system).expect("a list of tools");
        assert_eq!((before, tools.len()), ("Be brief.", 2));
        let f = &tools[0]["function"];
        assert_eq!((&f["name"], &f["parameters"]["required"]), (&json!("set_light"), &json!(["room", "on"])));
        let of = |name: &str| f["parameters"]["properties"][name].clone();
        assert_eq!(of("mode"), json!({"type": "string", "enum": ["warm, soft", "cold"]}));
        assert_eq!(of("brightness"), json!({"type": "integer"}));
        assert_eq!(tools[1]["function"]["parameters"], json!({"type": "object", "properties": {}, "required": []}));
        for text in ["Be brief.", "Be brief.\nTools:\nnothing here", "Tools:\n", "Tools:\nf(a: tensor)", "Tools:\nf(a)"]
        {
            assert!(super::tools(text).is_none(), "{text:?}");
        }
    }
}
