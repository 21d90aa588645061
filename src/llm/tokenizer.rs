//! The tokenizer a model file describes: byte-level BPE, built from the file's own metadata.
//!
//! Text becomes tokens in two steps: a regular expression cuts it into words, and each word's bytes are merged pair by
//! pair in the order of the file's merge list. Special tokens (`<|eot_id|>`) are matched by name before the first step,
//! and only where the caller says so: text that people wrote goes in with [`Specials::AsText`] and can never become one.
//!
//! Source: byte pair encoding, Sennrich et al., 2016, arXiv:1508.07909; on bytes, GPT-2 (openai/gpt-2, src/encoder.py); merging
//! by the crate tokenizers 0.23. Patterns, `ignore_merges` and the names in `tokenizer.ggml.pre` as in src/llama-vocab.cpp of
//! llama.cpp (the revision in llama-cpp-python 0.3.36, which made the goldens).

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use super::gguf::Gguf;
use crate::error::{Error, Kind, Result};
use crate::units::TokenId;

mod alphabet;
mod special;
mod stream;
#[cfg(test)]
pub(in crate::llm) mod tests;

pub(in crate::llm) use alphabet::char_of as byte_token;
use special::SpecialNames;
pub use stream::StreamDecoder;

/// What a model file says about its tokens, in the file's own terms (`tokenizer.ggml.*`).
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` means byte-level BPE, the one kind read here.
    pub model: String,
    /// `tokenizer.ggml.pre`: names the regular expression that cuts text into words.
    pub pre: String,
    /// Every token's text in the byte-level alphabet (special tokens: their name as it is), by id.
    pub tokens: Vec<String>,
    /// Every token's kind: 1 normal, 3 control, 4 user-defined, 5 unused, 6 byte. Empty: all normal.
    pub kinds: Vec<i32>,
    /// Pairs to merge, best first, each as `left right`.
    pub merges: Vec<String>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub eot: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`: every text the model sees begins with `bos`.
    pub add_bos: bool,
}

impl Vocabulary {
    /// Reads the metadata of a model file.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] naming the key that is missing or of another type.
    pub fn read(file: &Gguf) -> Result<Self> {
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let id = |key: &str| -> Result<Option<u32>> {
            // An id too large for 32 bits is as wrong as one beyond the vocabulary, and is refused as such.
            Ok(file.uint(key)?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        };
        let pre = file.required("tokenizer.ggml.pre", Gguf::str)?.to_owned();
        // Llama 3's files may leave it out; Qwen's texts begin with no token.
        let add_bos = file.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(pre != "qwen2");
        Ok(Self {
            model: file.required("tokenizer.ggml.model", Gguf::str)?.to_owned(),
            pre,
            tokens: owned(file.required("tokenizer.ggml.tokens", Gguf::strings)?),
            kinds: file.ints("tokenizer.ggml.token_type")?.unwrap_or_default().into_iter().map(|k| k as i32).collect(),
            merges: owned(file.required("tokenizer.ggml.merges", Gguf::strings)?),
            bos: id("tokenizer.ggml.bos_token_id")?,
            eos: id("tokenizer.ggml.eos_token_id")?,
            eot: id("tokenizer.ggml.eot_token_id")?,
            add_bos,
        })
    }
}

/// Whether the names of special tokens within a text become those tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Specials {
    /// `<|eot_id|>` becomes the token. For templates and other trusted text.
    Parse,
    /// `<|eot_id|>` is ten characters like any others. For everything that people, tools or files say.
    AsText,
}

/// Turns text into tokens and back. Immutable; share it between threads.
pub struct Tokenizer {
    bpe: tokenizers::Tokenizer,
    specials: SpecialNames,
    /// Bytes of every token, one after another; `ends[id]` is where token `id` ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    eot: Option<TokenId>,
    adds_bos: bool,
    stops: Vec<TokenId>,
}

/// Kinds that are matched by name and never produced by merging.
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// Names that end an assistant's turn in the families read here, whatever the metadata calls them.
const STOP_NAMES: [&str; 5] = ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"];

/// How words are cut: the published patterns of the two families.
struct PreTokenizer {
    pattern: &'static str,
    /// A word that is a token as a whole is taken without merging.
    whole_words: bool,
    /// Text is brought to Unicode's composed form first.
    nfc: bool,
}

const LLAMA3: PreTokenizer = PreTokenizer {
    pattern: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    whole_words: true,
    nfc: false,
};

const QWEN2: PreTokenizer = PreTokenizer {
    pattern: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    whole_words: false,
    nfc: true,
};

fn pre_tokenizer(v: &Vocabulary) -> Result<PreTokenizer> {
    if v.model != "gpt2" {
        return Err(Error::new(Kind::Unsupported, format!("tokenizer model {:?} is not supported", v.model))
            .remedy("use a model file with a byte-level BPE tokenizer (tokenizer.ggml.model = gpt2)"));
    }
    match v.pre.as_str() {
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => Ok(LLAMA3),
        "qwen2" => Ok(QWEN2),
        other => Err(Error::new(Kind::Unsupported, format!("pre-tokenizer {other:?} is not supported"))
            .remedy("use a model file whose tokenizer.ggml.pre is llama-bpe, falcon3 or qwen2")),
    }
}

/// What `tokenizer.ggml.pre` calls the pre-tokenizer that cuts words by `pattern`, if it is known here.
pub(in crate::llm) fn known_pattern(pattern: &str) -> Option<&'static str> {
    match pattern {
        p if p == LLAMA3.pattern => Some("llama-bpe"),
        p if p == QWEN2.pattern => Some("qwen2"),
        _ => None,
    }
}

fn corrupt(what: String) -> Error {
    Error::new(Kind::Corrupt, format!("the model file's tokenizer is damaged: {what}")).remedy("fetch the file again")
}

impl Tokenizer {
    /// Builds the tokenizer a model file describes.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for another kind of tokenizer, by its name; [`Kind::Corrupt`] where the lists contradict
    /// each other.
    pub fn new(v: Vocabulary) -> Result<Self> {
        let pre = pre_tokenizer(&v)?;
        if v.tokens.is_empty() {
            return Err(corrupt("it has no tokens".into()));
        }
        if !v.kinds.is_empty() && v.kinds.len() != v.tokens.len() {
            return Err(corrupt(format!("{} tokens but {} token types", v.tokens.len(), v.kinds.len())));
        }
        let count = v.tokens.len();
        let id_of = |what: &str, id: Option<u32>| match id {
            Some(id) if id as usize >= count => Err(corrupt(format!("{what} token {id} of a vocabulary of {count}"))),
            id => Ok(id.map(TokenId)),
        };
        let (bos, eos, eot) = (id_of("bos", v.bos)?, id_of("eos", v.eos)?, id_of("eot", v.eot)?);

        let kind = |id: usize| v.kinds.get(id).copied().unwrap_or(1);
        let is_special = |id: usize| matches!(kind(id), CONTROL | USER_DEFINED);
        let specials = SpecialNames::new(
            v.tokens
                .iter()
                .enumerate()
                .filter(|&(id, _)| is_special(id))
                .map(|(id, n)| (n.clone(), TokenId(id as u32))),
        );
        let (bytes, ends) = token_bytes(&v.tokens, is_special);
        let bpe = build_bpe(&v.tokens, &v.merges, is_special, &pre)?;

        let mut stops: Vec<TokenId> = STOP_NAMES.iter().filter_map(|n| specials.get(n)).chain(eos).chain(eot).collect();
        stops.sort_unstable();
        stops.dedup();
        Ok(Self { bpe, specials, bytes, ends, bos, eos, eot, adds_bos: v.add_bos, stops })
    }

    /// The tokenizer of an opened model file.
    ///
    /// # Errors
    /// As [`Vocabulary::read`] and [`Tokenizer::new`].
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        Self::new(Vocabulary::read(file)?)
    }

    /// Tokens of `text`. No token is added: a conversation's first token comes from its template.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the BPE library refuses the text; no text is known that does that.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Vec<TokenId>> {
        let mut out = Vec::with_capacity(text.len() / 3 + 1);
        match specials {
            Specials::AsText => self.encode_plain(text, &mut out)?,
            Specials::Parse => {
                let mut rest = text;
                while let Some((at, name_len, id)) = self.specials.find(rest) {
                    self.encode_plain(&rest[..at], &mut out)?;
                    out.push(id);
                    rest = &rest[at + name_len..];
                }
                self.encode_plain(rest, &mut out)?;
            }
        }
        Ok(out)
    }

    fn encode_plain(&self, text: &str, out: &mut Vec<TokenId>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let encoding = self
            .bpe
            .encode_fast(text, false)
            .map_err(|e| Error::new(Kind::Internal, "cannot turn a text into tokens").because(e))?;
        out.extend(encoding.get_ids().iter().map(|&id| TokenId(id)));
        Ok(())
    }

    /// The text of `tokens` without special tokens; bytes that are not UTF-8 become `U+FFFD`.
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        let mut decoder = StreamDecoder::default();
        let mut text = String::new();
        for &t in tokens {
            decoder.push(self, t, &mut text);
        }
        decoder.finish(&mut text);
        text
    }

    /// Bytes of one token: its text, or part of a character; for a special token its name. Empty for unknown ids.
    pub fn bytes_of(&self, token: TokenId) -> &[u8] {
        let id = token.0 as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }

    /// The special token of this name, such as `<|eot_id|>`.
    pub fn special(&self, name: &str) -> Option<TokenId> {
        self.specials.get(name)
    }

    pub fn is_special(&self, token: TokenId) -> bool {
        self.specials.contains(token)
    }

    /// Names of special tokens, for callers that must keep them out of a text.
    pub(super) fn specials(&self) -> &SpecialNames {
        &self.specials
    }

    /// Number of tokens; ids run from 0 to one less.
    pub fn vocabulary_size(&self) -> usize {
        self.ends.len()
    }

    /// Begins a text.
    pub fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// Whether every text the model sees must begin with [`Tokenizer::bos`].
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// Ends a text.
    pub fn eos(&self) -> Option<TokenId> {
        self.eos
    }

    /// Ends a turn.
    pub fn eot(&self) -> Option<TokenId> {
        self.eot
    }

    /// The tokens where generation ends, in ascending order: the end of a text or of a turn, under any of the names
    /// models use.
    pub fn stops(&self) -> &[TokenId] {
        &self.stops
    }

    /// Whether generation ends here.
    pub fn is_stop(&self, token: TokenId) -> bool {
        self.stops.binary_search(&token).is_ok()
    }
}

/// Bytes of every token, flat.
fn token_bytes(tokens: &[String], is_special: impl Fn(usize) -> bool) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::with_capacity(tokens.iter().map(String::len).sum());
    let mut ends = Vec::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if is_special(id) {
            bytes.extend_from_slice(token.as_bytes());
        } else {
            alphabet::bytes_of(token, &mut bytes);
        }
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn build_bpe(
    tokens: &[String],
    merges: &[String],
    is_special: impl Fn(usize) -> bool,
    pre: &PreTokenizer,
) -> Result<tokenizers::Tokenizer> {
    let mut ids: HashMap<&str, u32> = HashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if !is_special(id) && !token.is_empty() {
            // Padded vocabularies repeat names; the first is the one that merges make.
            ids.entry(token).or_insert(id as u32);
        }
    }
    if let Some(missing) = (0..=255u8).find(|&b| !ids.contains_key(alphabet::char_of(b).to_string().as_str())) {
        return Err(corrupt(format!("there is no token for the byte 0x{missing:02x}")));
    }
    // The library trusts its merges (it copies them into a buffer sized by the longest token), so they are checked here.
    let mut pairs = Vec::with_capacity(merges.len());
    let mut joined = String::new();
    for merge in merges {
        let Some((left, right)) = merge.split_once(' ') else {
            return Err(corrupt(format!("merge {merge:?} is not a pair")));
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        if [left, right, joined.as_str()].iter().any(|t| !ids.contains_key(t)) {
            return Err(corrupt(format!("merge {merge:?} names tokens that the vocabulary does not have")));
        }
        pairs.push((left.to_owned(), right.to_owned()));
    }
    let mut vocab = Vocab::default();
    vocab.extend(ids.into_iter().map(|(token, id)| (token.to_owned(), id)));

    let refused = |e| Error::new(Kind::Corrupt, "the model file's tokenizer cannot be built").because(e);
    let bpe = BPE::builder().vocab_and_merges(vocab, pairs).ignore_merges(pre.whole_words).build().map_err(refused)?;
    let split = Split::new(SplitPattern::Regex(pre.pattern.to_owned()), SplitDelimiterBehavior::Isolated, false)
        .map_err(|e| Error::new(Kind::Internal, "the pre-tokenizer's pattern does not compile").because(e))?;
    let steps =
        vec![PreTokenizerWrapper::Split(split), PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false))];
    let mut tokenizer = tokenizers::Tokenizer::new(bpe);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    if pre.nfc {
        tokenizer
            .with_normalizer(Some(NFC))
            .map_err(|e| Error::new(Kind::Internal, "the tokenizer refuses its normalizer").because(e))?;
    }
    Ok(tokenizer)
}
