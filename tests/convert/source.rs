//! Checkpoints made from the formulas of `tests/golden/from_transformers.py`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet::random::SplitMix64;

/// A tensor as the golden describes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: String,
    kind: String,
    seed: u64,
    #[serde(default)]
    middle: f32,
    #[serde(default)]
    spread: f32,
    #[serde(default)]
    group: usize,
}

/// The `i`-th random number from `seed`.
pub(crate) fn mix(seed: u64, i: usize) -> u64 {
    SplitMix64::nth(seed, i as u64)
}

/// From 0 to 1.
pub(crate) fn unit(z: u64) -> f32 {
    (z >> 40) as f32 / (1u32 << 24) as f32
}

impl Tensor {
    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The tensor as it is stored.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let numbers = (0..self.elements()).map(|i| {
            let z = mix(self.seed, i);
            match self.kind.as_str() {
                "uniform" => self.middle + self.spread * (2.0 * unit(z) - 1.0),
                "grouped" => {
                    let step = (mix(self.seed + 1, i / self.group) % 4) as f32;
                    ((z % 3) as f32 - 1.0) * (self.spread * (1.0 + step / 8.0))
                }
                other => panic!("{other}"),
            }
        });
        match self.dtype.as_str() {
            "U8" => (0..self.elements()).map(|i| packed(mix(self.seed, i) % 81)).collect(),
            "F32" => numbers.flat_map(f32::to_le_bytes).collect(),
            "F16" => numbers.flat_map(|v| f16::from_f32(v).to_le_bytes()).collect(),
            "BF16" => numbers.flat_map(|v| bf16::from_f32(v).to_le_bytes()).collect(),
            other => panic!("{other}"),
        }
    }
}

/// Four trits, the first in the lowest bits.
fn packed(v: u64) -> u8 {
    (0..4).fold(0, |byte, i| byte | ((v / 3u64.pow(i) % 3) as u8) << (2 * i))
}

/// Writes `tensors` over `shards` files, with an index where there are several.
pub(crate) fn write_tensors(folder: &Path, tensors: &[Tensor], shards: usize) {
    let each = tensors.len().div_ceil(shards);
    let mut index = Map::new();
    for (i, part) in tensors.chunks(each).enumerate() {
        let name = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{shards:05}.safetensors", i + 1),
        };
        let parts: Vec<(String, &str, &[usize], Vec<u8>)> =
            part.iter().map(|t| (t.name.clone(), t.dtype.as_str(), t.shape.as_slice(), t.bytes())).collect();
        write_safetensors(&folder.join(&name), &parts);
        index.extend(part.iter().map(|t| (t.name.clone(), Value::from(name.clone()))));
    }
    if shards > 1 {
        let index = json!({"metadata": {}, "weight_map": index});
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).expect("written");
    }
}

pub(crate) fn write_safetensors(path: &Path, tensors: &[(String, &str, &[usize], Vec<u8>)]) {
    let mut header = Map::new();
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        let about = json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes.len()]});
        header.insert(name.clone(), about);
        at += bytes.len();
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = BufWriter::new(File::create(path).expect("created"));
    out.write_all(&(header.len() as u64).to_le_bytes()).expect("written");
    out.write_all(header.as_bytes()).expect("written");
    tensors.iter().for_each(|t| out.write_all(&t.3).expect("written"));
    out.flush().expect("written");
}

/// The pattern that cuts words, by the name GGUF gives it.
pub(crate) fn pattern(pre: &str) -> String {
    let digits = if pre == "qwen2" { r"\p{N}" } else { r"\p{N}{1,3}" };
    format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
}

/// `tokenizer.json` and `tokenizer_config.json` of a vocabulary of 320: bytes, pairs, four special tokens at 316.
pub(crate) fn write_tokenizer(folder: &Path, pre: &str) {
    let mut vocab = Map::new();
    // The byte-level alphabet: printable bytes are themselves, the others follow at U+0100.
    let mut others = 0x100u32..;
    let letters: Vec<char> = (0..=255u8)
        .map(|b| match b {
            33..=126 | 161..=172 | 174..=255 => char::from(b),
            _ => others.next().and_then(char::from_u32).expect("a character"),
        })
        .collect();
    letters.iter().enumerate().for_each(|(i, c)| drop(vocab.insert(c.to_string(), i.into())));
    let mut merges = Vec::new();
    for (i, c) in ('a'..='z').enumerate() {
        vocab.insert(format!("Ġ{c}"), (256 + i).into());
        merges.push(json!(["Ġ", c.to_string()]));
    }
    let names = match pre {
        "qwen2" => ["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"],
        _ => ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
    };
    let special = |i: usize| pre != "qwen2" || i < 2;
    let added: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(i, n)| json!({"id": 316 + i, "content": n, "special": special(i), "normalized": false}))
        .collect();
    let split = json!({"type": "Split", "pattern": {"Regex": pattern(pre)}, "behavior": "Isolated", "invert": false});
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let tokenizer = json!({
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes]},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).expect("written");
    let config = match pre {
        "qwen2" => {
            json!({"eos_token": "<|im_end|>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"})
        }
        _ => json!({"bos_token": {"content": "<|begin_of_text|>"}, "eos_token": "<|eot_id|>", "add_bos_token": true,
            "chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ bos_token }}"}]}),
    };
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).expect("written");
}
