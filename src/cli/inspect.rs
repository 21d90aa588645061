//! `tercet inspect`: what a model file holds, and whether tercet runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{Context, input, out};
use crate::config;
use crate::error::Result;
use crate::llm::chat::Chat;
use crate::llm::gguf::{Gguf, TensorInfo, Value};
use crate::llm::tokenizer::Tokenizer;
use crate::llm::{self, Hyper};
use crate::store::Paths;
use crate::units::Bytes;

/// Entries of an array that are shown.
const SHOWN: usize = 4;
/// Characters of a text that are shown in the table.
const TEXT: usize = 72;

/// Show what a model file (GGUF) holds: metadata, tensors, and whether tercet runs it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FILE.gguf")]
    file: PathBuf,
    /// List every tensor, not only how many there are of each type
    #[arg(long)]
    tensors: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Inspected<'a> {
    file: &'a Path,
    bytes: u64,
    version: u32,
    metadata: Map<String, Json>,
    types: &'a BTreeMap<String, Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<Tensor<'a>>>,
    /// Whether tercet loads it.
    runs: bool,
    /// Why not.
    problem: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// Why it runs without tools, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools_problem: Option<String>,
    /// Memory it would take as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<llm::Estimate>,
}

/// Tensors of one type.
#[derive(Debug, Default, Serialize)]
struct Share {
    tensors: usize,
    weights: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    dims: &'a [usize],
    offset: usize,
    bytes: usize,
}

impl<'a> Tensor<'a> {
    fn of(t: &'a TensorInfo) -> Self {
        Self { name: &t.name, ty: t.ty.to_string(), dims: &t.dims, offset: t.offset(), bytes: t.bytes() }
    }
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    input::no_stdin(&args.file, "a model")?;
    let file = Gguf::open(&args.file)?;
    let mut types = BTreeMap::<String, Share>::new();
    for t in file.tensors() {
        let share = types.entry(t.ty.to_string()).or_default();
        share.tensors += 1;
        share.weights += t.elements() as u64;
        share.bytes += t.bytes() as u64;
    }
    // The same checks that loading makes, short of reading the weights, and a small conversation in its template.
    let options = config::engine_options(&ctx.settings()?.llm, &Paths::from_env());
    let looked_at = Hyper::read(&file).and_then(|_| Tokenizer::from_gguf(&file)).and_then(|tokenizer| {
        let estimate = llm::estimate(&args.file, &options)?;
        Ok((estimate, Chat::from_gguf(&file, &tokenizer)?.try_out(&tokenizer)?))
    });
    let (estimate, tools_problem) = match looked_at {
        Ok((estimate, problem)) => (Ok(estimate), problem),
        Err(e) => (Err(e), None),
    };
    if args.json {
        return out::json(&Inspected {
            file: &args.file,
            bytes: file.file_bytes(),
            version: file.version(),
            metadata: file.meta().map(|(k, v)| (k.to_owned(), json(&file, k, v))).collect(),
            types: &types,
            tensors: args.tensors.then(|| file.tensors().iter().map(Tensor::of).collect()),
            runs: estimate.is_ok(),
            problem: estimate.as_ref().err().map(ToString::to_string),
            remedy: estimate.as_ref().err().and_then(|e| e.remedy_text()).map(ToOwned::to_owned),
            tools_problem: tools_problem.map(|e| e.to_string()),
            estimate: estimate.ok(),
        });
    }
    out::line(format!(
        "{}: GGUF version {}, {}, {} tensors",
        args.file.display(),
        file.version(),
        Bytes(file.file_bytes()),
        file.tensors().len()
    ))?;
    metadata(&file)?;
    shares(&types)?;
    if args.tensors {
        tensors(&file)?;
    }
    match (estimate, tools_problem) {
        (Ok(e), problem) => {
            out::line(format!(
                "\ntercet runs it: {} of weights, {} of keys and values for {} tokens ({})",
                e.weights, e.kv, e.context_tokens, e.backend
            ))?;
            problem.map_or(Ok(()), |e| out::line(format!("but not with tools: {e}")))
        }
        (Err(e), _) => {
            out::line(format!("\ntercet does not run it: {e}"))?;
            e.remedy_text().map_or(Ok(()), |hint| out::line(format!("  hint: {hint}")))
        }
    }
}

fn metadata(file: &Gguf) -> Result<()> {
    let mut table = out::Table::new(["\nmetadata", "value"]);
    for (key, value) in file.meta() {
        let shown = match value {
            Value::Array(a) => {
                let Json::Array(first) = json(file, key, value) else { continue };
                let first: Vec<String> = first.iter().map(ToString::to_string).collect();
                let more = if a.len > SHOWN { format!(", … ({} in all)", a.len) } else { String::new() };
                format!("[{}{more}]", first.join(", "))
            }
            _ => json(file, key, value).to_string(),
        };
        table.row([key.to_owned(), shorten(&shown, TEXT)]);
    }
    table.print()
}

/// At most `n` characters; control characters stay escaped, as JSON writes them.
fn shorten(text: &str, n: usize) -> String {
    match text.char_indices().nth(n) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A value as JSON: of arrays the first few, of texts that are not UTF-8 `null`.
fn json(file: &Gguf, key: &str, value: &Value) -> Json {
    match value {
        Value::Str(_) => file.str(key).ok().flatten().map_or(Json::Null, Json::from),
        Value::Array(_) => {
            if let Ok(Some(texts)) = file.strings(key) {
                return texts.into_iter().take(SHOWN).map(Json::from).collect();
            }
            if let Ok(Some(numbers)) = file.ints(key) {
                return numbers.into_iter().take(SHOWN).map(Json::from).collect();
            }
            match file.floats(key) {
                Ok(Some(numbers)) => numbers.into_iter().take(SHOWN).map(Json::from).collect(),
                _ => Json::Null,
            }
        }
        Value::Bool(b) => Json::from(*b),
        Value::U64(v) => Json::from(*v),
        // The shortest decimal that is this f32, not what it is as an f64.
        Value::F32(v) => v.to_string().parse::<f64>().map_or(Json::Null, Json::from),
        other => match other.as_int() {
            Some(i) => Json::from(i),
            None => other.as_float().map_or(Json::Null, Json::from),
        },
    }
}

fn shares(types: &BTreeMap<String, Share>) -> Result<()> {
    let mut table = out::Table::new(["\ntype", "tensors", "weights", "bytes", "bits/weight"]);
    for (ty, s) in types {
        let bits = 8.0 * s.bytes as f64 / s.weights.max(1) as f64;
        table.row([
            ty.clone(),
            s.tensors.to_string(),
            s.weights.to_string(),
            s.bytes.to_string(),
            format!("{bits:.4}"),
        ]);
    }
    table.print()
}

fn tensors(file: &Gguf) -> Result<()> {
    let mut table = out::Table::new(["\ntensor", "type", "shape", "offset", "bytes"]);
    for t in file.tensors() {
        let shape = t.dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        table.row([t.name.clone(), t.ty.to_string(), shape, t.offset().to_string(), t.bytes().to_string()]);
    }
    table.print()
}
