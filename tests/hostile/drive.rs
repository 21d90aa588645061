//! What is done with bytes from outside, from the first look to the last: shared by the fuzz targets and the replay of
//! their corpus. Nothing here may panic, whatever the bytes are; what is accepted must be sound. Each says whether it went all the
//! way to the end.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use tercet::budget::Budget;
use tercet::llm::chat::Chat;
use tercet::llm::convert::safetensors::parse_header;
use tercet::llm::convert::vocabulary_of;
use tercet::llm::gguf::{Gguf, TensorType, Value};
use tercet::llm::quant::{self, Ternary};
use tercet::llm::tokenizer::{Specials, Tokenizer};
use tercet::llm::{Engine, Hyper, Options, Settings};
use tercet::schema::{Message, Role};
use tercet::units::Bytes;
use tercet::units::TokenId;

const TEXT: &str = "It's 12345 o'clock, naïve 漢字 👋🏽\n\n  <|eot_id|> <tool_call>{\"name\": \"stop\"}</tool_call>";

/// A model file: header, metadata, tensors, tokenizer, template, and whether it would run.
pub(crate) fn gguf(bytes: &[u8]) -> bool {
    let mut file = tempfile::NamedTempFile::new_in(memory_or_temporary()).expect("a temporary file");
    file.write_all(bytes).expect("written");
    let Ok(g) = Gguf::open(file.path()) else { return false };
    for (key, value) in g.meta() {
        let found = [
            g.str(key).is_ok_and(|v| v.is_some()),
            g.uint(key).is_ok_and(|v| v.is_some()),
            g.float(key).is_ok_and(|v| v.is_some()),
            g.bool(key).is_ok_and(|v| v.is_some()),
            g.strings(key).is_ok_and(|v| v.is_some()),
            g.ints(key).is_ok_and(|v| v.is_some()),
            g.floats(key).is_ok_and(|v| v.is_some()),
        ];
        assert!(!found[3] || matches!(value, Value::Bool(_)));
    }
    for t in g.tensors() {
        let data = g.data(t);
        assert_eq!(data.len(), t.bytes());
        assert!(t.offset() + t.bytes() <= bytes.len());
        if matches!(t.ty, TensorType::Other(_)) {
            continue;
        }
        let row = t.ty.row_bytes(t.cols()).expect("whole blocks");
        assert_eq!(row * t.rows(), data.len());
        let mut out = vec![0f32; t.cols()];
        quant::decode(t.ty, &data[..row], &mut out).expect("a checked row");
        if t.ty.is_ternary()
            && let Ok(w) = Ternary::new(t.ty, t.rows(), t.cols(), data)
        {
            let (mut codes, mut scales) = (vec![0; t.cols()], vec![0.0; t.cols() / w.block_cols()]);
            w.row(t.rows() - 1, &mut codes, &mut scales);
            assert!(codes.iter().all(|&c| c < 4));
        }
        g.release(t);
    }
    let _ = Hyper::read(&g);
    let (mut computed, mut rendered) = (false, false);
    let options = Options::from(Settings { threads: 1, context_tokens: 8, ..Settings::default() });
    if let Ok(e) = tercet::llm::estimate(file.path(), &options)
        && e.weights.0 + e.kv.0 + e.activations.0 < 4 << 20
        && let Ok(engine) = Engine::load(file.path(), &options, &Budget::new(Bytes(4 << 20)))
    {
        computed = engine.session().and_then(|mut s| s.append(&[TokenId(0), TokenId(1)], &|| false)).is_ok();
    }
    if let Ok(t) = Tokenizer::from_gguf(&g) {
        try_tokenizer(&t);
        if let Ok(chat) = Chat::from_gguf(&g, &t) {
            rendered = chat.render(&t, &conversation(), true).is_ok();
        }
    }
    computed && rendered
}

/// The header of a checkpoint's file; the first bytes are the size the file is said to have.
pub(crate) fn safetensors(bytes: &[u8]) -> bool {
    let Some((size, json)) = bytes.split_first_chunk::<4>() else { return false };
    let size = u64::from(u32::from_le_bytes(*size));
    let Ok(header) = parse_header(json, size) else { return false };
    for entry in header.values() {
        let range = entry.range();
        assert!(range.start >= 8 + json.len() as u64 && range.start <= range.end && range.end <= size);
    }
    !header.is_empty()
}

/// A `tokenizer.json`.
pub(crate) fn tokenizer(bytes: &[u8]) -> bool {
    let Ok(vocabulary) = vocabulary_of(bytes, 512) else { return false };
    assert_eq!(vocabulary.tokens.len(), 512);
    let Ok(t) = Tokenizer::new(vocabulary) else { return false };
    try_tokenizer(&t);
    true
}

/// A chat template.
pub(crate) fn template(bytes: &[u8]) -> bool {
    static POCKET: LazyLock<Tokenizer> = LazyLock::new(|| {
        // The fuzz targets are a crate of their own, in a folder of this one.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = [here.join("models"), here.join("../models")].into_iter().find(|p| p.is_dir()).expect("the models");
        let file = Gguf::open(&path.join("pocket.gguf")).expect("the default model");
        Tokenizer::from_gguf(&file).expect("its tokenizer")
    });
    let Ok(source) = std::str::from_utf8(bytes) else { return false };
    let Ok(chat) = Chat::new(Some(source), &POCKET) else { return false };
    let mut rendered = true;
    for n in 0..=conversation().len() {
        match chat.render(&POCKET, &conversation()[..n], n % 2 == 0) {
            Ok(tokens) => assert!(tokens.iter().all(|t| (t.0 as usize) < POCKET.vocabulary_size())),
            Err(_) => rendered = false,
        }
    }
    rendered
}

/// A recording.
#[allow(dead_code)] // has no fuzz target yet
pub(crate) fn recording(bytes: &[u8]) -> bool {
    let stream = || std::io::Cursor::new(bytes.to_vec());
    let Ok(clip) = tercet::audio::read_stream(stream(), "it") else { return false };
    assert!(!clip.samples.is_empty() && clip.samples.iter().all(|x| x.is_finite()));
    true
}

fn try_tokenizer(t: &Tokenizer) {
    for specials in [Specials::AsText, Specials::Parse] {
        if let Ok(tokens) = t.encode(TEXT, specials) {
            assert!(tokens.iter().all(|id| (id.0 as usize) < t.vocabulary_size()));
            let _ = t.decode(&tokens);
        }
    }
    let all: Vec<TokenId> = (0..t.vocabulary_size().min(2048) as u32 + 3).map(TokenId).collect();
    let _ = t.decode(&all);
}

fn conversation() -> Vec<Message> {
    let m = |role, content: &str| Message::new(role, content);
    vec![
        m(Role::System, "Be brief.\nTools:\nset_timer(duration: string, label?: string)"),
        m(Role::User, TEXT),
        m(Role::Assistant, r#"{"name": "set_timer", "parameters": {"duration": "3 minutes"}}"#),
        m(Role::Tool, r#"{"ok": true}"#),
        m(Role::Assistant, "Done."),
    ]
}

/// Where files are written fastest.
fn memory_or_temporary() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
