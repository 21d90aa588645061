//! From `tokenizer.json` and its companions to a GGUF file's tokenizer metadata.

use std::path::Path;

use serde_json::Value;

use super::hf::{FETCH, read_json, read_json_if_there};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::{Draft, MetaValue};
use crate::llm::tokenizer::{Tokenizer, Vocabulary, known_pattern};

/// Pre-tokenizers that a person can name.
const PRE_TOKENIZERS: [&str; 3] = ["llama-bpe", "falcon3", "qwen2"];

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// A checkpoint's tokenizer and chat template.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) vocabulary: Vocabulary,
    template: Option<String>,
}

impl Tokens {
    /// Reads the tokenizer of `folder` for a model of `size` tokens; `pre` names the pre-tokenizer where the file's own is
    /// not recognised.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for another kind of tokenizer; [`Kind::Corrupt`] where it contradicts itself or the model.
    pub(super) fn read(folder: &Path, size: usize, pre: Option<&str>) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        if !path.exists() && folder.join("tokenizer.model").exists() {
            return Err(unsupported(&path, "the checkpoint has only a SentencePiece tokenizer"));
        }
        if let Some(pre) = pre.filter(|p| !PRE_TOKENIZERS.contains(p)) {
            return Err(Error::new(Kind::Usage, format!("{pre} is not a known pre-tokenizer"))
                .remedy(format!("--pre takes {}", PRE_TOKENIZERS.join(", "))));
        }
        let json = read_json(&path)?;
        let config = read_json_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or(Value::Null);
        let model = read_json(&folder.join("config.json"))?;
        let generation = read_json_if_there(&folder.join("generation_config.json"))?.unwrap_or(Value::Null);

        let vocabulary =
            Parts { path: &path, json: &json, config: &config, others: [&generation, &model] }.vocabulary(size, pre)?;
        // What is written must be what loads.
        Tokenizer::new(vocabulary.clone()).map_err(|e| {
            Error::new(e.kind(), format!("the tokenizer of {} does not work", path.display())).remedy(FETCH).because(e)
        })?;
        Ok(Self { vocabulary, template: template(folder, &config)? })
    }

    /// Adds it to a file's metadata.
    pub(super) fn describe(self, d: &mut Draft) {
        let v = self.vocabulary;
        d.text("tokenizer.ggml.model", v.model);
        d.text("tokenizer.ggml.pre", v.pre);
        d.put("tokenizer.ggml.tokens", MetaValue::Strings(v.tokens));
        d.put("tokenizer.ggml.token_type", MetaValue::I32s(v.kinds));
        d.put("tokenizer.ggml.merges", MetaValue::Strings(v.merges));
        for (key, id) in [("bos", v.bos), ("eos", v.eos), ("eot", v.eot)] {
            if let Some(id) = id {
                d.put(format!("tokenizer.ggml.{key}_token_id"), MetaValue::U32(id));
            }
        }
        d.put("tokenizer.ggml.add_bos_token", MetaValue::Bool(v.add_bos));
        if let Some(template) = self.template {
            d.text("tokenizer.chat_template", template);
        }
    }

    pub(super) fn has_template(&self) -> bool {
        self.template.is_some()
    }
}

/// The vocabulary that a `tokenizer.json` alone describes, for a model of `size` tokens. Not yet known to work.
///
/// # Errors
/// [`Kind::Unsupported`] for another kind of tokenizer; [`Kind::Corrupt`] where it contradicts itself.
pub fn vocabulary_of(json: &[u8], size: usize) -> Result<Vocabulary> {
    let path = Path::new("tokenizer.json");
    let json: Value = serde_json::from_slice(json)
        .map_err(|e| Error::new(Kind::Corrupt, "tokenizer.json is not valid JSON").because(e))?;
    Parts { path, json: &json, config: &Value::Null, others: [&Value::Null; 2] }.vocabulary(size, None)
}

/// The files that describe a tokenizer together.
struct Parts<'a> {
    path: &'a Path,
    json: &'a Value,
    config: &'a Value,
    /// Where ids of special tokens are looked for by number.
    others: [&'a Value; 2],
}

impl Parts<'_> {
    fn vocabulary(&self, size: usize, pre: Option<&str>) -> Result<Vocabulary> {
        let Self { path, json, config, others } = *self;
        let (tokens, kinds) = tokens(path, json, size)?;
        let pre = match pre {
            Some(pre) => pre.to_owned(),
            None => pattern(json).and_then(known_pattern).map(str::to_owned).ok_or_else(|| {
                unsupported(path, "the pre-tokenizer is not known")
                    .remedy("name an equivalent one: --pre llama-bpe, falcon3 or qwen2")
            })?,
        };
        let named = |key: &str| token_named(config, key, &tokens);
        let numbered = |key: &str| others.into_iter().find_map(|of| first_id(of.get(key)?));
        let eot = tokens.iter().position(|t| t == "<|eot_id|>").map(|i| i as u32);
        let bos = named("bos_token").or_else(|| numbered("bos_token_id"));
        let said = config.get("add_bos_token").and_then(Value::as_bool);
        Ok(Vocabulary {
            model: "gpt2".into(),
            merges: merges(path, json)?,
            bos,
            eos: named("eos_token").or_else(|| numbered("eos_token_id")),
            eot,
            add_bos: said.unwrap_or_else(|| pre != "qwen2" && begins_with_bos(json, bos)),
            pre,
            tokens,
            kinds,
        })
    }
}

/// Every token by id; ids that nothing claims are padding.
fn tokens(path: &Path, json: &Value, size: usize) -> Result<(Vec<String>, Vec<i32>)> {
    let bad = |what: String| corrupt(path, &what);
    let model = json.get("model").ok_or_else(|| bad("it holds no \"model\"".into()))?;
    if let Some(kind) = model.get("type").and_then(Value::as_str).filter(|k| *k != "BPE") {
        return Err(unsupported(path, &format!("a {kind} tokenizer is not supported; byte-level BPE is")));
    }
    let vocab =
        model.get("vocab").and_then(Value::as_object).ok_or_else(|| bad("its model has no \"vocab\"".into()))?;
    let mut slots: Vec<Option<(String, i32)>> = vec![None; size];
    let mut put = |name: &str, id: Option<u64>, kind: i32| -> Result<()> {
        let slot = id.and_then(|id| slots.get_mut(usize::try_from(id).ok()?));
        let slot = slot.ok_or_else(|| match id {
            Some(id) => bad(format!("token {name:?} has the number {id}, but config.json's vocab_size is {size}")),
            None => bad(format!("token {name:?} has no number")),
        })?;
        *slot = Some((name.to_owned(), kind));
        Ok(())
    };
    for (name, id) in vocab {
        put(name, id.as_u64(), NORMAL)?;
    }
    // Added tokens come last: they may stand in the vocabulary as well, and are matched whole.
    for added in json.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
        let name = added.get("content").and_then(Value::as_str).ok_or_else(|| bad("a token without a name".into()))?;
        let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
        put(name, added.get("id").and_then(Value::as_u64), if special { CONTROL } else { USER_DEFINED })?;
    }
    let padded = slots.into_iter().enumerate().map(|(id, s)| s.unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED)));
    Ok(padded.unzip())
}

/// `left right`, as older files write them, or a pair, as newer ones do.
fn merges(path: &Path, json: &Value) -> Result<Vec<String>> {
    let list = json.pointer("/model/merges").and_then(Value::as_array);
    let merge = |m: &Value| match m {
        Value::String(s) => Some(s.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(left), Value::String(right)] => Some(format!("{left} {right}")),
            _ => None,
        },
        _ => None,
    };
    let merges: Option<Vec<String>> = list.and_then(|l| l.iter().map(merge).collect());
    merges.ok_or_else(|| corrupt(path, "its merges are not pairs"))
}

/// The regular expression that cuts text into words.
fn pattern(json: &Value) -> Option<&str> {
    let pre = json.get("pre_tokenizer")?;
    let steps = pre.get("pretokenizers").and_then(Value::as_array);
    let steps = steps.map_or(std::slice::from_ref(pre), Vec::as_slice);
    match steps {
        [split, bytes] if is(split, "Split") && is(bytes, "ByteLevel") => split.pointer("/pattern/Regex")?.as_str(),
        _ => None,
    }
}

fn is(step: &Value, kind: &str) -> bool {
    step.get("type").is_some_and(|t| t == kind)
}

/// Whether the tokenizer itself puts `bos` in front of a text.
fn begins_with_bos(json: &Value, bos: Option<u32>) -> bool {
    let Some(post) = json.get("post_processor").filter(|p| !p.is_null()) else { return false };
    let steps = post.get("processors").and_then(Value::as_array);
    let steps = steps.map_or(std::slice::from_ref(post), Vec::as_slice);
    steps.iter().any(|step| {
        let first = step.pointer("/single/0/SpecialToken/id").and_then(Value::as_str);
        let ids = first.and_then(|name| step.get("special_tokens")?.get(name)?.get("ids")?.as_array());
        ids.is_some_and(|ids| ids.first().and_then(Value::as_u64) == bos.map(u64::from))
    })
}

/// The id of a token that a configuration names, as text or as an object.
fn token_named(config: &Value, key: &str, tokens: &[String]) -> Option<u32> {
    let value = config.get(key)?;
    let name = value.as_str().or_else(|| value.get("content")?.as_str())?;
    tokens.iter().position(|t| t == name).map(|i| i as u32)
}

/// An id, or the first of a list of them.
fn first_id(value: &Value) -> Option<u32> {
    let one = value.as_array().map_or(Some(value), |list| list.first())?;
    u32::try_from(one.as_u64()?).ok()
}

/// The chat template: a file of its own, or in `tokenizer_config.json`, alone or the one called `default` (else the first).
/// One of white space is none.
fn template(folder: &Path, config: &Value) -> Result<Option<String>> {
    let file = folder.join("chat_template.jinja");
    let found = if file.exists() {
        Some(std::fs::read_to_string(&file).map_err(|e| Error::io("read", &file, e))?)
    } else {
        let own = read_json_if_there(&folder.join("chat_template.json"))?.unwrap_or(Value::Null);
        match own.get("chat_template").or(config.get("chat_template")) {
            Some(Value::String(s)) => Some(s.clone()),
            Some(Value::Array(named)) => {
                let default = named.iter().find(|t| t.get("name").is_some_and(|n| n == "default"));
                default.or(named.first()).and_then(|t| t.get("template")?.as_str()).map(str::to_owned)
            }
            _ => None,
        }
    };
    Ok(found.filter(|t| !t.trim().is_empty()))
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("{}: {what}", path.display())).remedy(FETCH)
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{}: {what}", path.display()))
        .remedy("use a checkpoint with a byte-level BPE tokenizer.json")
}
