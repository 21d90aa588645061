//! What a checkpoint's `config.json` says.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::llm::{Architecture, RopeScaling, Yarn};
use crate::units::Bytes;

/// A checkpoint is a folder; a person may well name a file.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Usage`].
pub(super) fn check_folder(folder: &Path) -> Result<()> {
    let remedy = "name the folder of a Hugging Face checkpoint (config.json, *.safetensors, tokenizer.json)";
    match folder.metadata() {
        Ok(m) if m.is_dir() => Ok(()),
        Ok(_) if folder.extension().is_some_and(|e| e == "gguf") => {
            Err(Error::new(Kind::Usage, format!("{} is a GGUF file already", folder.display()))
                .remedy("run it as it is (tercet inspect says whether it runs), or name the folder of a checkpoint"))
        }
        Ok(_) => Err(Error::new(Kind::Usage, format!("{} is not a folder", folder.display())).remedy(remedy)),
        Err(e) => Err(Error::io("open", folder, e).remedy(remedy)),
    }
}

/// JSON files beside a checkpoint are small; tokenizers of real models take up to 20 MB.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// Reads a JSON file.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Io`], or [`Kind::Corrupt`] where it is not valid JSON.
pub(super) fn read_json(path: &Path) -> Result<Value> {
    let failed = |e| Error::io("read", path, e).if_missing(FETCH);
    let bytes = path.metadata().map_err(failed)?.len();
    if bytes > MAX_JSON_BYTES {
        let what = format!("{} has {}: too large for the JSON of a checkpoint", path.display(), Bytes(bytes));
        return Err(Error::new(Kind::Corrupt, what).remedy(FETCH));
    }
    let text = std::fs::read(path).map_err(failed)?;
    parse(&text).map_err(|e| match is_pointer(&text) {
        true => pointer(path),
        false => Error::new(Kind::Corrupt, format!("{} is not valid JSON", path.display())).remedy(FETCH).because(e),
    })
}

/// JSON as Python writes and reads it: with `NaN` and infinities, which become texts here (no number that counts may be one),
/// and with a byte order mark in front.
fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    serde_json::from_slice(text).or_else(|e| serde_json::from_slice(&quoted_constants(text)).map_err(|_| e))
}

/// `text` with `NaN`, `Infinity` and `-Infinity` in quotes where they stand outside of them.
fn quoted_constants(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let (mut rest, mut quoted) = (text, false);
    while let Some((&byte, after)) = rest.split_first() {
        let constant = ["NaN", "Infinity", "-Infinity"].into_iter().find(|c| !quoted && rest.starts_with(c.as_bytes()));
        let len = match (constant, byte) {
            (Some(constant), _) => {
                out.push(b'"');
                out.extend_from_slice(constant.as_bytes());
                out.push(b'"');
                rest = &rest[constant.len()..];
                continue;
            }
            (None, b'\\') if quoted && !after.is_empty() => 2,
            (None, b'"') => {
                quoted = !quoted;
                1
            }
            _ => 1,
        };
        out.extend_from_slice(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// Remedy for a file that is missing or damaged.
pub(super) const FETCH: &str = "download the whole checkpoint again, with its .json files";

/// What is in place of a large file where a repository was cloned without Git LFS.
pub(super) fn is_pointer(file: &[u8]) -> bool {
    file.starts_with(b"version https://git-lfs")
}

pub(super) fn pointer(path: &Path) -> Error {
    let what = format!("{} is a Git LFS pointer, not the file itself", path.display());
    Error::new(Kind::Corrupt, what).remedy("fetch the files with `git lfs pull`, or download the checkpoint again")
}

/// The same, `None` where there is no such file.
pub(super) fn read_json_if_there(path: &Path) -> Result<Option<Value>> {
    match path.exists() {
        true => read_json(path).map(Some),
        false => Ok(None),
    }
}

/// How linears become ternary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Two bits a weight; `weight_scale` divides (`bitlinear`).
    PackedDivide,
    /// Two bits a weight; `weight_scale` multiplies (`autobitlinear`, offline).
    PackedMultiply,
    /// Numbers that the model's own code ternarizes by their mean magnitude (`autobitlinear`, online).
    Masters,
    /// Numbers of a model that was not trained to be ternary.
    Plain,
}

impl Scheme {
    pub(super) fn is_packed(self) -> bool {
        matches!(self, Scheme::PackedDivide | Scheme::PackedMultiply)
    }
}

/// Llama 3.1's factors for slow frequencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Llama3Rope {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

/// A checkpoint's shape.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) architecture: Architecture,
    pub(super) name: Option<String>,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) ffn: usize,
    pub(super) vocabulary: usize,
    pub(super) context: usize,
    pub(super) rope_base: f64,
    pub(super) rope_scaling: RopeScaling,
    pub(super) llama3_rope: Option<Llama3Rope>,
    pub(super) norm_eps: f64,
    pub(super) tied: bool,
    pub(super) scheme: Scheme,
}

/// A `config.json`, with its path for messages.
struct Keys<'a> {
    path: &'a Path,
    root: &'a Value,
}

impl Keys<'_> {
    fn bad(&self, key: &str, what: &str) -> Error {
        Error::new(Kind::Corrupt, format!("{}: {key} {what}", self.path.display()))
            .remedy("download the checkpoint again")
    }

    fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        Error::new(Kind::Unsupported, format!("{}: {what}", self.path.display()))
            .remedy("use a ternary Llama (BitNet 1.58-bit, Falcon3) or Qwen3 checkpoint")
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.root.get(key).filter(|v| !v.is_null())
    }

    fn size(&self, key: &str) -> Result<Option<usize>> {
        match self.get(key).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(n @ 1..=0xff_ffff)) => Ok(Some(n as usize)),
            Some(_) => Err(self.bad(key, "is not a sensible number")),
        }
    }

    fn required(&self, key: &str) -> Result<usize> {
        self.size(key)?.ok_or_else(|| self.bad(key, "is missing"))
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number above zero.
    fn float(&self, of: &Value, key: &str, default: Option<f64>) -> Result<f64> {
        let found = match of.get(key).filter(|v| !v.is_null()) {
            Some(v) => v.as_f64(),
            None => default,
        };
        found.filter(|v| v.is_finite() && *v > 0.0).ok_or_else(|| self.bad(key, "is not a number above zero"))
    }
}

impl Config {
    /// Reads `folder/config.json`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] naming what the model has that is not computed here; [`Kind::Corrupt`] naming the key.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let root = read_json(&path)?;
        let k = Keys { path: &path, root: &root };
        let Some(family) = root.get("model_type").and_then(Value::as_str) else {
            return Err(k.bad("model_type", "is missing"));
        };
        let Some(architecture) = Architecture::ALL.into_iter().find(|a| a.name() == family) else {
            return Err(k.unsupported(format!("the architecture {family:?} is not supported; llama and qwen3 are")));
        };
        for key in ["attention_bias", "mlp_bias"] {
            if k.flag(key) {
                return Err(k.unsupported(format!("{key} is set; linears with biases are not supported")));
            }
        }
        if let Some(act) = root.get("hidden_act").and_then(Value::as_str).filter(|a| *a != "silu") {
            return Err(k.unsupported(format!("the activation {act:?} is not supported; silu is")));
        }
        if k.flag("use_sliding_window") {
            return Err(k.unsupported("sliding windows are not supported"));
        }
        let (width, heads) = (k.required("hidden_size")?, k.required("num_attention_heads")?);
        let kv_heads = k.size("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match (k.size("head_dim")?, architecture) {
            (Some(n), _) => n,
            (None, Architecture::Qwen3) => 128,
            (None, Architecture::Llama) => width / heads,
        };
        if !heads.is_multiple_of(kv_heads) || !head_dim.is_multiple_of(2) {
            return Err(k.bad("num_key_value_heads", "and head_dim do not fit the model"));
        }
        // Newer files keep everything about RoPE in one object.
        let rope = k.get("rope_parameters").or(k.get("rope_scaling")).cloned().unwrap_or(Value::Null);
        let has_base = rope.get("rope_theta").is_some_and(|v| !v.is_null());
        let rope_base = k.float(if has_base { &rope } else { &root }, "rope_theta", Some(10_000.0))?;
        let (rope_scaling, llama3_rope) = scaling(&k, &rope)?;
        Ok(Self {
            architecture,
            name: root.get("_name_or_path").and_then(Value::as_str).filter(|n| !n.is_empty()).map(str::to_owned),
            layers: k.required("num_hidden_layers")?,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn: k.required("intermediate_size")?,
            vocabulary: k.required("vocab_size")?,
            context: k.required("max_position_embeddings")?,
            rope_base,
            rope_scaling,
            llama3_rope,
            norm_eps: k.float(&root, "rms_norm_eps", Some(1e-6))?,
            tied: k.flag("tie_word_embeddings"),
            scheme: scheme(&k)?,
        })
    }

    /// What divides each pair's frequency (`rope_freqs.weight`), where the model is Llama 3.1's kind.
    pub(super) fn rope_factors(&self) -> Option<Vec<f32>> {
        let Llama3Rope { factor, low, high, original } = self.llama3_rope?;
        let pairs = self.head_dim / 2;
        let one = |i: usize| {
            let wave = std::f64::consts::TAU * self.rope_base.powf(i as f64 / pairs as f64);
            if wave < original / high {
                1.0
            } else if wave > original / low {
                factor
            } else {
                let kept = (original / wave - low) / (high - low);
                1.0 / ((1.0 - kept) / factor + kept)
            }
        };
        Some((0..pairs).map(|i| one(i) as f32).collect())
    }
}

fn scaling(k: &Keys<'_>, rope: &Value) -> Result<(RopeScaling, Option<Llama3Rope>)> {
    let kind = ["rope_type", "type"].iter().find_map(|key| rope.get(key)?.as_str()).unwrap_or("default");
    let number = |key: &str, default: Option<f64>| k.float(rope, key, default);
    Ok(match kind {
        "default" => (RopeScaling::None, None),
        "linear" => (RopeScaling::Linear(number("factor", None)?), None),
        "yarn" => {
            let trained = k.required("max_position_embeddings")? as f64;
            let yarn = Yarn {
                factor: number("factor", None)?,
                original: number("original_max_position_embeddings", Some(trained))?,
                attention: 1.0,
                beta_fast: number("beta_fast", Some(32.0))?,
                beta_slow: number("beta_slow", Some(1.0))?,
            };
            // The same number, written as what multiplies YaRN's own.
            let attention = match rope.get("attention_factor").and_then(Value::as_f64) {
                Some(whole) => whole / (1.0 + 0.1 * yarn.factor.ln()),
                None => 1.0,
            };
            (RopeScaling::Yarn(Yarn { attention, ..yarn }), None)
        }
        "llama3" => {
            let rope = Llama3Rope {
                factor: number("factor", None)?,
                low: number("low_freq_factor", None)?,
                high: number("high_freq_factor", None)?,
                original: number("original_max_position_embeddings", None)?,
            };
            (RopeScaling::None, Some(rope))
        }
        other => return Err(k.unsupported(format!("RoPE scaling {other:?} is not supported"))),
    })
}

fn scheme(k: &Keys<'_>) -> Result<Scheme> {
    let Some(q) = k.get("quantization_config") else { return Ok(Scheme::Plain) };
    let text = |key: &str, default: &'static str| {
        q.get(key).and_then(Value::as_str).map_or_else(|| default.to_owned(), str::to_owned)
    };
    let method = text("quant_method", "unknown");
    if method != "bitnet" {
        return Err(k.unsupported(format!("quantization {method:?} is not supported; bitnet is")));
    }
    if q.get("use_rms_norm").and_then(Value::as_bool) == Some(true) {
        return Err(k.unsupported("use_rms_norm is set; norms within linears are not supported"));
    }
    let (class, mode) = (text("linear_class", "bitlinear"), text("quantization_mode", "offline"));
    match (class.as_str(), mode.as_str()) {
        ("bitlinear", _) => Ok(Scheme::PackedDivide),
        ("autobitlinear", "offline") => Ok(Scheme::PackedMultiply),
        ("autobitlinear", "online") => Ok(Scheme::Masters),
        _ => Err(k.unsupported(format!("bitnet linears {class:?} in mode {mode:?} are not supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_python_writes_it() {
        let v = parse(
            b"\xef\xbb\xbf{\"a\": NaN, \"b\": [Infinity, -Infinity, -1], \"c\": \"NaN \\\\\\\" Infinity\", \"d\": 2}",
        )
        .expect("JSON");
        assert_eq!((&v["a"], &v["b"][1], &v["b"][2]), (&"NaN".into(), &"-Infinity".into(), &(-1).into()));
        assert_eq!((&v["c"], &v["d"]), (&"NaN \\\" Infinity".into(), &2.into()));
        for bad in ["{\"a\": NaNs}", "{\"a\": Infinit", "{NaN: 1", "\\", "\"NaN"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
