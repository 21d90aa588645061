//! A Whisper model as CTranslate2 stores it, rewritten as the file that whisper.cpp reads.
//!
//! Tensors keep their values but not their names and order: CTranslate2 fuses the query, key and value projections,
//! which whisper.cpp wants apart, and drops the mel filterbank, which is computed again. The same input gives the
//! same bytes on every machine, so the manifest can hold the sha256 of the result.
//!
//! Source: the file as `whisper_model_load` of whisper.cpp 1.8.3, src/whisper.cpp, reads it; names as the specifications
//! of OpenNMT/CTranslate2, python/ctranslate2/specs, give them (model versions 4 to 6).

use serde::Deserialize;

use crate::error::{Error, Kind, Result};

mod ct2;
mod mel;
pub mod q8_0;

use ct2::{Element, Tensor, Variables};

/// How the large weight matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Format {
    #[serde(rename = "whisper-ggml-f16")]
    F16,
    #[serde(rename = "whisper-ggml-q8_0")]
    Q8_0,
}

/// ggml's numbers for the types used here.
const GGML_F32: i32 = 0;
const GGML_F16: i32 = 1;
const GGML_Q8_0: i32 = 8;

/// "ggml", as the file's first word.
const MAGIC: i32 = 0x6767_6d6c;

/// Token texts in the file; whisper.cpp makes the special tokens after them itself.
const TEXT_TOKENS_ENGLISH: usize = 50_256;
const TEXT_TOKENS_MULTILINGUAL: usize = 50_257;
const MULTILINGUAL_VOCABULARY: usize = 51_865;

/// More mel bands than any Whisper has (80 or 128): a larger number is garbage.
const MAX_MELS: usize = 512;

/// Converts `model.bin` and `vocabulary.txt` of a CTranslate2 Whisper; `out` is given the file piece by piece.
///
/// # Errors
/// [`Kind::Corrupt`] when the bytes are not such a model, [`Kind::Unsupported`] for versions and number types that
/// are not handled, and the errors of `out`.
pub fn convert(
    model: &[u8],
    vocabulary: &[u8],
    format: Format,
    out: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let v = Variables::parse(model)?;
    let tokens = tokens(vocabulary)?;
    let embedding = v.tensor("decoder/embeddings/weight")?;
    let conv = v.tensor("encoder/conv1/weight")?;
    let (&[n_vocab, n_state], &[_, n_mels, _]) = (embedding.dims(), conv.dims()) else {
        return Err(corrupt("its embedding is not a matrix, or its first convolution is not a 3-D tensor"));
    };
    if tokens.len() != n_vocab {
        return Err(corrupt(format!("the vocabulary has {} tokens, the model {n_vocab}", tokens.len())));
    }
    if n_mels == 0 || n_mels > MAX_MELS {
        return Err(corrupt(format!("it claims {n_mels} mel bands")));
    }
    let plan = Plan::new(&v, n_state)?;

    let mut w = Writer { out, buffer: Vec::new() };
    w.ints(&[MAGIC, size(n_vocab)?])?;
    for side in ["encoder", "decoder"] {
        let positions = v.tensor(&format!("{side}/position_encodings/encodings"))?;
        w.ints(&[size(positions.rows())?, size(n_state)?, v.scalar(&format!("{side}/num_heads"))?])?;
        w.ints(&[size(v.layers(side))?])?;
    }
    // The version of the block formats stands in the thousands.
    let file_type = match format {
        Format::F16 => 1,
        Format::Q8_0 => 2000 + 7,
    };
    w.ints(&[size(n_mels)?, file_type])?;
    w.ints(&[size(n_mels)?, size(mel::BINS)?])?;
    w.floats(&mel::filterbank(n_mels))?;

    let text_tokens = if n_vocab >= MULTILINGUAL_VOCABULARY { TEXT_TOKENS_MULTILINGUAL } else { TEXT_TOKENS_ENGLISH };
    let tokens = &tokens[..n_vocab.min(text_tokens)];
    w.ints(&[size(tokens.len())?])?;
    for token in tokens {
        w.ints(&[size(token.len())?])?;
        w.bytes(token)?;
    }
    for item in &plan.items {
        w.item(item, format)?;
    }
    Ok(())
}

fn corrupt(what: impl AsRef<str>) -> Error {
    Error::new(Kind::Corrupt, format!("not a CTranslate2 Whisper model: {}", what.as_ref()))
}

fn size(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| corrupt(format!("{n} is too large")))
}

/// The vocabulary: one token a line, in the printable alphabet that GPT-2 writes bytes with.
fn tokens(vocabulary: &[u8]) -> Result<Vec<Vec<u8>>> {
    let text = std::str::from_utf8(vocabulary).map_err(|e| corrupt("its vocabulary is not UTF-8").because(e))?;
    // Only '\n' ends a line: other line ends of Unicode are text of tokens.
    text.trim_end_matches('\n').split('\n').map(token_bytes).collect()
}

fn token_bytes(token: &str) -> Result<Vec<u8>> {
    if token == "<|endoftext|>" {
        return Ok(Vec::new());
    }
    token
        .chars()
        .map(|c| byte_of(c).ok_or_else(|| corrupt(format!("{c:?} in its vocabulary does not stand for any byte"))))
        .collect()
}

/// Bytes that are printable in Latin-1 stand for themselves, the others for the characters from U+0100 on, in order.
fn byte_of(c: char) -> Option<u8> {
    let printable = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    match u32::from(c) {
        code @ 0..256 => Some(code as u8).filter(|&b| printable(b)),
        code => (0..=255).filter(|&b| !printable(b)).nth((code - 256) as usize),
    }
}

/// One tensor of the new file.
struct Item<'a> {
    name: String,
    /// Outermost first.
    dims: Vec<usize>,
    values: Tensor<'a>,
    /// What int8 weights were multiplied by, a factor for each row.
    scale: Option<Tensor<'a>>,
    /// First row, where the source holds several matrices in one.
    from_row: usize,
    /// Whether it may be stored with fewer bits.
    weight: bool,
}

/// The tensors in the order in which they are written.
struct Plan<'a, 'v> {
    v: &'v Variables<'a>,
    n_state: usize,
    items: Vec<Item<'a>>,
}

impl<'a, 'v> Plan<'a, 'v> {
    fn new(v: &'v Variables<'a>, n_state: usize) -> Result<Self> {
        let mut p = Self { v, n_state, items: Vec::new() };
        p.plain("encoder.positional_embedding", "encoder/position_encodings/encodings")?;
        p.plain("decoder.positional_embedding", "decoder/position_encodings/encodings")?;
        p.matrix("decoder.token_embedding.weight", "decoder/embeddings")?;
        for conv in ["conv1", "conv2"] {
            p.matrix(&format!("encoder.{conv}.weight"), &format!("encoder/{conv}"))?;
            let bias = p.vector(&format!("encoder/{conv}/bias"), n_state)?;
            p.push(format!("encoder.{conv}.bias"), vec![n_state, 1], bias);
        }
        p.norm("encoder.ln_post", "encoder/layer_norm")?;
        p.norm("decoder.ln", "decoder/layer_norm")?;
        for side in ["encoder", "decoder"] {
            for layer in 0..v.layers(side) {
                p.layer(side, layer)?;
            }
        }
        Ok(p)
    }

    fn layer(&mut self, side: &str, layer: usize) -> Result<()> {
        let (to, from) = (format!("{side}.blocks.{layer}"), format!("{side}/layer_{layer}"));
        self.norm(&format!("{to}.attn_ln"), &format!("{from}/self_attention/layer_norm"))?;
        self.fused(&format!("{to}.attn"), &format!("{from}/self_attention/linear_0"), &["query", "key", "value"])?;
        self.linear(&format!("{to}.attn.out"), &format!("{from}/self_attention/linear_1"))?;
        self.norm(&format!("{to}.mlp_ln"), &format!("{from}/ffn/layer_norm"))?;
        self.linear(&format!("{to}.mlp.0"), &format!("{from}/ffn/linear_0"))?;
        self.linear(&format!("{to}.mlp.2"), &format!("{from}/ffn/linear_1"))?;
        if side == "decoder" {
            self.norm(&format!("{to}.cross_attn_ln"), &format!("{from}/attention/layer_norm"))?;
            self.linear(&format!("{to}.cross_attn.query"), &format!("{from}/attention/linear_0"))?;
            self.fused(&format!("{to}.cross_attn"), &format!("{from}/attention/linear_1"), &["key", "value"])?;
            self.linear(&format!("{to}.cross_attn.out"), &format!("{from}/attention/linear_2"))?;
        }
        Ok(())
    }

    fn push(&mut self, name: String, dims: Vec<usize>, values: Tensor<'a>) {
        self.items.push(Item { name, dims, values, scale: None, from_row: 0, weight: false });
    }

    fn plain(&mut self, name: &str, source: &str) -> Result<()> {
        let t = self.v.floats(source)?;
        self.push(name.to_owned(), t.dims().to_vec(), t);
        Ok(())
    }

    fn vector(&self, source: &str, len: usize) -> Result<Tensor<'a>> {
        let t = self.v.floats(source)?;
        if t.dims() != [len] {
            return Err(corrupt(format!("{source} has shape {:?}, not [{len}]", t.dims())));
        }
        Ok(t)
    }

    fn norm(&mut self, name: &str, source: &str) -> Result<()> {
        for (part, of) in [("weight", "gamma"), ("bias", "beta")] {
            let t = self.vector(&format!("{source}/{of}"), self.n_state)?;
            self.push(format!("{name}.{part}"), vec![self.n_state], t);
        }
        Ok(())
    }

    /// The weights below `source`, with their scale where they are int8.
    fn weights(&self, source: &str) -> Result<(Tensor<'a>, Option<Tensor<'a>>)> {
        let values = self.v.tensor(&format!("{source}/weight"))?;
        if values.dims().len() < 2 {
            return Err(corrupt(format!("{source}/weight has shape {:?}", values.dims())));
        }
        match values.element() {
            Element::F32 | Element::F16 => Ok((values, None)),
            Element::I8 => Ok((values.clone(), Some(self.vector(&format!("{source}/weight_scale"), values.rows())?))),
            other => Err(Error::new(Kind::Unsupported, format!("{source}/weight is stored as {other:?}"))
                .remedy("convert a float32, float16 or int8 CTranslate2 model")),
        }
    }

    fn matrix(&mut self, name: &str, source: &str) -> Result<()> {
        let (values, scale) = self.weights(source)?;
        let dims = values.dims().to_vec();
        self.items.push(Item { name: name.to_owned(), dims, values, scale, from_row: 0, weight: true });
        Ok(())
    }

    fn linear(&mut self, name: &str, source: &str) -> Result<()> {
        self.matrix(&format!("{name}.weight"), source)?;
        let rows = self.items.last().map_or(0, |i| i.values.rows());
        let bias = self.vector(&format!("{source}/bias"), rows)?;
        self.push(format!("{name}.bias"), vec![rows], bias);
        Ok(())
    }

    /// Several projections of `n_state` rows each, one below the other.
    fn fused(&mut self, name: &str, source: &str, parts: &[&str]) -> Result<()> {
        let (values, scale) = self.weights(source)?;
        let n = self.n_state;
        if values.dims() != [n * parts.len(), n] {
            return Err(corrupt(format!("{source}/weight has shape {:?}", values.dims())));
        }
        let bias = self.vector(&format!("{source}/bias"), n * parts.len())?;
        for (i, part) in parts.iter().enumerate() {
            self.items.push(Item {
                name: format!("{name}.{part}.weight"),
                dims: vec![n, n],
                values: values.clone(),
                scale: scale.clone(),
                from_row: i * n,
                weight: true,
            });
            let bias = bias.slice_rows(i * n, n);
            if *part != "key" {
                self.push(format!("{name}.{part}.bias"), vec![n], bias);
                continue;
            }
            // Whisper's key projections have none, and neither has whisper.cpp.
            let mut values = Vec::new();
            bias.decode(0, n, &mut values);
            if values.iter().any(|&b| b != 0.0) {
                return Err(corrupt(format!("{source} has a key bias")));
            }
        }
        Ok(())
    }
}

/// Little-endian output through one buffer.
struct Writer<'o> {
    out: &'o mut dyn FnMut(&[u8]) -> Result<()>,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn bytes(&mut self, data: &[u8]) -> Result<()> {
        (self.out)(data)
    }

    fn ints(&mut self, values: &[i32]) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        (self.out)(&self.buffer)
    }

    fn floats(&mut self, values: &[f32]) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        (self.out)(&self.buffer)
    }

    fn halves(&mut self, values: &[f32]) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend(values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()));
        (self.out)(&self.buffer)
    }

    fn item(&mut self, item: &Item<'_>, format: Format) -> Result<()> {
        let inner = *item.dims.last().unwrap_or(&0);
        let blocks = format == Format::Q8_0 && item.dims.len() == 2 && inner.is_multiple_of(q8_0::BLOCK);
        let kind = match item.weight {
            true if blocks => GGML_Q8_0,
            true => GGML_F16,
            false => GGML_F32,
        };
        self.ints(&[size(item.dims.len())?, size(item.name.len())?, kind])?;
        for &d in item.dims.iter().rev() {
            self.ints(&[size(d)?])?;
        }
        self.bytes(item.name.as_bytes())?;
        // A row at a time: the embedding alone would take 80 MB as floats.
        let rows = *item.dims.first().unwrap_or(&0);
        let columns = item.values.columns();
        let mut values = Vec::with_capacity(columns);
        let mut scale = Vec::with_capacity(1);
        for row in item.from_row..item.from_row + rows {
            values.clear();
            item.values.decode(row * columns, columns, &mut values);
            if let Some(s) = &item.scale {
                scale.clear();
                s.decode(row, 1, &mut scale);
                values.iter_mut().zip(scale.iter().cycle()).for_each(|(v, s)| *v /= s);
            }
            match kind {
                GGML_F32 => self.floats(&values)?,
                GGML_F16 => self.halves(&values)?,
                _ => {
                    self.buffer.clear();
                    q8_0::quantize(&values, &mut self.buffer);
                    (self.out)(&self.buffer)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
