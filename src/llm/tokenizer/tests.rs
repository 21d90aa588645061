use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn model(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

pub(in crate::llm) fn pocket_file() -> Gguf {
    Gguf::open(&model("pocket.gguf")).expect("the default model opens")
}

/// The default model's tokenizer, from the model file's metadata.
pub(in crate::llm) fn pocket() -> &'static Tokenizer {
    static POCKET: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_gguf(&pocket_file()).expect("builds"));
    &POCKET
}

/// The same tokenizer as its maker saved it, in the library's own format: the golden.
fn golden() -> &'static tokenizers::Tokenizer {
    static GOLDEN: LazyLock<tokenizers::Tokenizer> =
        LazyLock::new(|| tokenizers::Tokenizer::from_file(model("pocket.tokenizer.json")).expect("loads"));
    &GOLDEN
}

fn ids(tokens: &[TokenId]) -> Vec<u32> {
    tokens.iter().map(|t| t.0).collect()
}

/// A vocabulary of the 256 bytes, then `more`, then one special token.
pub(in crate::llm) fn small(pre: &str, more: &[&str], merges: &[&str]) -> Vocabulary {
    let mut tokens: Vec<String> = (0..=255).map(|b| alphabet::char_of(b).to_string()).collect();
    tokens.extend(more.iter().map(|&t| t.to_owned()));
    let mut kinds = vec![1; tokens.len()];
    tokens.push("<|end|>".into());
    kinds.push(CONTROL);
    Vocabulary {
        model: "gpt2".into(),
        pre: pre.into(),
        tokens,
        kinds,
        merges: merges.iter().map(|&m| m.to_owned()).collect(),
        ..Vocabulary::default()
    }
}

fn agree(text: &str) {
    let ours = pocket().encode(text, Specials::Parse).expect("encodes");
    let theirs = golden().encode_fast(text, false).expect("encodes");
    assert_eq!(ids(&ours), theirs.get_ids(), "{text:?}");
}

/// Texts with llama.cpp's tokens, special names as text and parsed.
fn llama_cpp_rows() -> Vec<(String, Vec<u32>, Vec<u32>)> {
    /// What parsing gives is left out where it changes nothing.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Row {
        Same(String, Vec<u32>),
        Differs(String, Vec<u32>, Vec<u32>),
    }
    #[derive(serde::Deserialize)]
    struct Golden {
        rows: Vec<Row>,
    }
    let text = std::fs::read_to_string(data("golden/tokens.json")).expect("reads");
    let rows = serde_json::from_str::<Golden>(&text).expect("parses").rows.into_iter();
    rows.map(|r| match r {
        Row::Same(text, tokens) => (text, tokens.clone(), tokens),
        Row::Differs(text, as_text, parsed) => (text, as_text, parsed),
    })
    .collect()
}

#[test]
fn same_tokens_as_the_tokenizers_library_and_llama_cpp() {
    let rows = llama_cpp_rows();
    assert!(rows.len() > 250, "{}", rows.len());
    for (text, as_text, parsed) in rows {
        agree(&text);
        assert_eq!(ids(&pocket().encode(&text, Specials::AsText).expect("encodes")), as_text, "as text: {text:?}");
        assert_eq!(ids(&pocket().encode(&text, Specials::Parse).expect("encodes")), parsed, "parsed: {text:?}");
    }
}

#[test]
fn same_tokens_on_a_whole_corpus() {
    let evals = std::fs::read_to_string(data("tools_eval.jsonl")).expect("reads");
    for line in evals.lines().step_by(7) {
        agree(line);
    }
    agree(include_str!("tests.rs"));
    agree(&" \t\n".repeat(2000));
}

#[test]
fn facts_of_the_default_model() {
    let t = pocket();
    assert_eq!(t.vocabulary_size(), 24_576);
    assert_eq!((t.bos(), t.eos(), t.eot()), (Some(TokenId(3)), Some(TokenId(2)), Some(TokenId(2))));
    assert_eq!(t.special("<|start_header_id|>"), Some(TokenId(1)));
    assert_eq!(t.special("hello"), None);
    assert!(t.adds_bos());
    assert!(t.is_stop(TokenId(2)) && t.is_stop(TokenId(0)) && !t.is_stop(TokenId(3)) && !t.is_stop(TokenId(17)));
    assert_eq!(t.bytes_of(TokenId(24_576)), b"");
}

#[test]
fn families_cut_digits_differently() {
    let (more, merges) = (["12", "é"].map(|s| s.replace('é', "Ã©")), ["1 2", "Ã ©"]);
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let llama = Tokenizer::new(small("llama-bpe", &more, &merges)).expect("builds");
    let qwen = Tokenizer::new(small("qwen2", &more, &merges)).expect("builds");
    let count = |t: &Tokenizer, s: &str| t.encode(s, Specials::AsText).expect("encodes").len();
    assert_eq!((count(&llama, "12"), count(&qwen, "12")), (1, 2));
    // Qwen's text is composed first: e and a combining accent are one letter, é.
    assert_eq!((count(&llama, "e\u{301}"), count(&qwen, "e\u{301}")), (3, 1));
}

#[test]
fn unknown_kinds_are_refused_by_name() {
    let e = Tokenizer::new(small("deepseek-llm", &[], &[])).err().expect("refused");
    assert_eq!(e.kind(), Kind::Unsupported);
    assert!(e.to_string().contains("deepseek-llm"), "{e}");
    let e = Tokenizer::new(Vocabulary { model: "llama".into(), ..small("default", &[], &[]) }).err().expect("refused");
    assert!(e.kind() == Kind::Unsupported && e.to_string().contains("llama"), "{e}");
}

#[test]
fn contradictions_are_refused() {
    let good = || small("llama-bpe", &["ab"], &["a b"]);
    assert!(Tokenizer::new(good()).is_ok());
    let bad = [
        Vocabulary { tokens: vec![], kinds: vec![], ..good() },
        Vocabulary { kinds: vec![1; 3], ..good() },
        Vocabulary { bos: Some(258), ..good() },
        Vocabulary { eot: Some(u32::MAX), ..good() },
        Vocabulary { merges: vec!["ab".into()], ..good() },
        // Longer than any token: the library alone would panic.
        Vocabulary { merges: vec!["ab ab".into()], ..good() },
        Vocabulary { merges: vec!["a <|end|>".into()], ..good() },
        Vocabulary { tokens: good().tokens[1..].to_vec(), kinds: vec![], ..good() },
    ];
    for (i, v) in bad.into_iter().enumerate() {
        assert_eq!(Tokenizer::new(v).err().map(|e| e.kind()), Some(Kind::Corrupt), "case {i}");
    }
}

#[test]
fn stream_waits_for_whole_characters() {
    let t = Tokenizer::new(small("llama-bpe", &[], &[])).expect("builds");
    let mut decoder = StreamDecoder::default();
    let mut pieces = Vec::new();
    for &b in "a€\u{1F600}".as_bytes() {
        let mut piece = String::new();
        let token = t.encode_byte(b);
        decoder.push(&t, token, &mut piece);
        pieces.push(piece);
    }
    assert_eq!(pieces, ["a", "", "", "€", "", "", "", "\u{1F600}"]);
    let mut rest = String::new();
    decoder.push(&t, t.encode_byte(0xe2), &mut rest);
    decoder.finish(&mut rest);
    assert_eq!(rest, "\u{FFFD}");
}

impl Tokenizer {
    /// In a vocabulary from [`small`].
    fn encode_byte(&self, byte: u8) -> TokenId {
        (0..256).map(TokenId).find(|&t| self.bytes_of(t) == [byte]).expect("every byte has a token")
    }
}

/// Text in which names of special tokens, and parts of them, are frequent.
pub(in crate::llm) fn tricky_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("<|eot_id|>".to_owned()),
        2 => Just("<|start_header_id|>".to_owned()),
        1 => Just("<|begin_of_text|>".to_owned()),
        2 => Just("<|".to_owned()),
        2 => Just("|>".to_owned()),
        1 => Just("<|eot_i".to_owned()),
        3 => Just("\n".to_owned()),
        2 => Just("  ".to_owned()),
        2 => "[a-zA-Z0-9'.,]{1,8}",
        1 => "\\PC{1,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_has_the_librarys_tokens(text in prop_oneof![tricky_text(), ".{0,60}", "[ \\t\\r\\na1']{0,40}"]) {
        agree(&text);
    }

    #[test]
    fn text_survives_and_never_becomes_a_special_token(text in tricky_text()) {
        let tokens = pocket().encode(&text, Specials::AsText).expect("encodes");
        prop_assert!(tokens.iter().all(|&t| !pocket().is_special(t)));
        prop_assert_eq!(pocket().decode(&tokens), text);
    }

    #[test]
    fn streamed_text_is_the_decoded_text(tokens in prop::collection::vec(0u32..24_576, 0..40)) {
        let tokens: Vec<TokenId> = tokens.into_iter().map(TokenId).collect();
        let bytes: Vec<u8> =
            tokens.iter().filter(|&&t| !pocket().is_special(t)).flat_map(|&t| pocket().bytes_of(t).to_vec()).collect();
        prop_assert_eq!(pocket().decode(&tokens), String::from_utf8_lossy(&bytes));
    }
}
