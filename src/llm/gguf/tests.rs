use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Writes headers field by field, so that tests can lie in any of them.
#[derive(Default, Clone)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn new(version: u32, tensors: u64, meta: u64) -> Self {
        Self::default().raw(b"GGUF").u32(version).u64(tensors).u64(meta)
    }
    fn raw(mut self, b: &[u8]) -> Self {
        self.bytes.extend_from_slice(b);
        self
    }
    fn u32(self, v: u32) -> Self {
        self.raw(&v.to_le_bytes())
    }
    fn u64(self, v: u64) -> Self {
        self.raw(&v.to_le_bytes())
    }
    fn str(self, s: &str) -> Self {
        self.u64(s.len() as u64).raw(s.as_bytes())
    }
    fn tensor(self, name: &str, dims: &[u64], ty: u32, offset: u64) -> Self {
        let w = self.str(name).u32(dims.len() as u32);
        dims.iter().fold(w, |w, &d| w.u64(d)).u32(ty).u64(offset)
    }
    fn data(mut self, n: usize) -> Self {
        let at = self.bytes.len().next_multiple_of(32);
        self.bytes.resize(at + n, 0x5a);
        self
    }
}

fn header(bytes: &[u8]) -> Result<Header, Problem> {
    Header::parse(bytes)
}

fn problem(bytes: &[u8]) -> Problem {
    match header(bytes) {
        Ok(_) => panic!("a bad header was accepted"),
        Err(p) => p,
    }
}

fn open(bytes: &[u8]) -> Result<Gguf, Error> {
    let mut f = tempfile::NamedTempFile::new().expect("temporary file");
    f.write_all(bytes).expect("write");
    Gguf::open(f.path())
}

fn sound() -> Writer {
    Writer::new(3, 2, 6)
        .str("general.architecture")
        .u32(8)
        .str("llama")
        .str("llama.block_count")
        .u32(4)
        .u32(16)
        .str("eps")
        .u32(6)
        .raw(&1e-5f32.to_le_bytes())
        .str("tokens")
        .u32(9)
        .u32(8)
        .u64(3)
        .str("a")
        .str("é")
        .str("")
        .str("scores")
        .u32(9)
        .u32(6)
        .u64(2)
        .raw(&1f32.to_le_bytes())
        .raw(&2f32.to_le_bytes())
        .str("nested")
        .u32(9)
        .u32(9)
        .u64(1)
        .u32(5)
        .u64(1)
        .u32(7)
        .tensor("w", &[256, 4], 34, 0)
        .tensor("n", &[4], 0, 224)
        .data(240)
}

#[test]
fn reads_values_arrays_and_tensors() {
    let g = open(&sound().bytes).expect("sound file");
    assert_eq!(g.required("general.architecture", Gguf::str).unwrap(), "llama");
    assert_eq!(g.uint("llama.block_count").unwrap(), Some(16));
    assert_eq!(g.float("eps").unwrap(), Some(f64::from(1e-5f32)));
    assert_eq!(g.strings("tokens").unwrap().unwrap(), ["a", "é", ""]);
    assert_eq!(g.floats("scores").unwrap().unwrap(), [1.0, 2.0]);
    assert_eq!(g.uint("absent").unwrap(), None);
    let w = g.require_tensor("w").unwrap();
    assert_eq!((w.cols(), w.rows(), w.bytes(), w.ty), (256, 4, 216, TensorType::Tq1_0));
    assert_eq!(g.data(w).len(), 216);
    assert_eq!(g.data(g.require_tensor("n").unwrap()).len(), 16);
}

#[test]
fn errors_name_file_and_field() {
    let g = open(&sound().bytes).expect("sound file");
    for (e, words) in [
        (g.uint("general.architecture").unwrap_err(), "general.architecture is a string"),
        (g.required("x.y", Gguf::uint).unwrap_err(), "x.y is missing"),
        (g.require_tensor("blk.0.q").unwrap_err(), "blk.0.q is missing"),
        (g.strings("scores").unwrap_err(), "scores is an array of 2 F32"),
        (g.ints("nested").unwrap_err(), "nested is an array of 1 Array"),
    ] {
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains(words) && e.to_string().contains("tmp"), "{e}");
    }
    assert_eq!(Gguf::open(Path::new("/nowhere/x.gguf")).err().map(|e| e.kind()), Some(Kind::NotFound));
}

#[test]
fn absurd_headers_are_refused_by_field() {
    let huge = u64::MAX;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"GGU".to_vec(), "magic"),
        (b"GGML0000".to_vec(), "magic"),
        (Writer::new(77, 0, 0).bytes, "version"),
        (Writer::new(3, huge, 0).bytes, "tensor count"),
        (Writer::new(3, 0, 1 << 40).bytes, "metadata count"),
        (Writer::new(3, 0, 1).u64(huge).data(64).bytes, "length of key"),
        (Writer::new(3, 0, 1).str("k").u32(99).data(64).bytes, "unknown type 99"),
        (Writer::new(3, 0, 1).str("k").u32(9).u32(10).u64(1 << 61).data(64).bytes, "length of metadata k"),
        (Writer::new(3, 0, 1).str("k").u32(7).raw(&[7]).data(64).bytes, "boolean"),
        (Writer::new(3, 0, 2).str("k").u32(0).raw(&[7]).str("k").u32(0).raw(&[7]).bytes, "twice"),
        (Writer::new(3, 0, 1).str("general.alignment").u32(4).u32(0).data(64).bytes, "alignment"),
        (Writer::new(3, 1, 0).tensor("t", &[], 0, 0).data(64).bytes, "0 dimensions"),
        (Writer::new(3, 1, 0).str("t").u32(1 << 30).data(64).bytes, "dimensions"),
        (Writer::new(3, 1, 0).tensor("t", &[0], 0, 0).data(64).bytes, "absurd dimension 0"),
        (Writer::new(3, 1, 0).tensor("t", &[1 << 40, 1 << 40], 0, 0).data(64).bytes, "absurd dimension"),
        (Writer::new(3, 1, 0).tensor("t", &[1 << 62], 0, 0).data(64).bytes, "tensor t"),
        (Writer::new(3, 1, 0).tensor("t", &[100], 2, 0).data(64).bytes, "whole number of Q4_0 blocks"),
        (Writer::new(3, 1, 0).tensor("t", &[4], 0, 8).data(64).bytes, "not a multiple of the alignment"),
        (Writer::new(3, 1, 0).tensor("t", &[4], 0, huge - 31).data(64).bytes, "tensor t"),
        (Writer::new(3, 1, 0).tensor("t", &[32], 0, 0).data(127).bytes, "only 127 bytes"),
        (Writer::new(3, 2, 0).tensor("a", &[32], 0, 0).tensor("b", &[4], 0, 32).data(256).bytes, "only 32 bytes"),
        (Writer::new(3, 2, 0).tensor("a", &[4], 0, 0).tensor("b", &[4], 0, 0).data(256).bytes, "same offset"),
        (Writer::new(3, 2, 0).tensor("a", &[4], 0, 0).tensor("a", &[4], 0, 32).data(256).bytes, "appears twice"),
    ];
    for (bytes, words) in cases {
        let p = problem(&bytes);
        assert_eq!(p.kind, Kind::Corrupt, "{}", p.what);
        assert!(p.what.contains(words), "wanted {words:?} in {:?}", p.what);
    }
    assert_eq!(problem(&Writer::new(1, 0, 0).bytes).kind, Kind::Unsupported);
    assert_eq!(problem(&Writer::new(3u32.swap_bytes(), 0, 0).bytes).kind, Kind::Unsupported);
}

#[test]
fn deeply_nested_arrays_do_not_exhaust_the_stack() {
    let mut w = Writer::new(3, 0, 1).str("k").u32(9);
    for _ in 0..200_000 {
        w = w.u32(9).u64(1);
    }
    assert!(problem(&w.data(64).bytes).what.contains("deeper"));
}

#[test]
fn q2_0_groups_are_told_by_size() {
    // 64 × 128 weights: 2304 bytes in groups of 64, 2176 in groups of 128. The second tensor is too small to tell.
    let two = |bytes: usize| {
        let at = bytes as u64;
        Writer::new(3, 2, 0).tensor("a", &[128, 64], 42, 0).tensor("b", &[128], 42, at).data(bytes + 64).bytes
    };
    let types = |b: &[u8]| -> Vec<TensorType> { header(b).unwrap().tensors.iter().map(|t| t.ty).collect() };
    assert_eq!(types(&two(2304)), [TensorType::Q2_0, TensorType::Q2_0]);
    assert_eq!(types(&two(2176)), [TensorType::Q2_0G128, TensorType::Q2_0G128]);
    assert!(header(&two(2144)).is_err(), "too short for either");
}

#[test]
fn unknown_tensor_types_are_listed_but_have_no_layout() {
    for (id, name) in [(16, "IQ2_XXS"), (36, "I2_S (of bitnet.cpp)"), (99, "type 99")] {
        let h = header(&Writer::new(3, 1, 0).tensor("t", &[256], id, 0).data(66).bytes).unwrap();
        assert_eq!(h.tensors[0].ty, TensorType::Other(id));
        assert_eq!(h.tensors[0].ty.to_string(), name);
    }
}

#[test]
fn every_truncation_of_a_sound_file_is_refused() {
    let bytes = sound().bytes;
    for n in 0..bytes.len() {
        assert!(header(&bytes[..n]).is_err(), "accepted {n} of {} bytes", bytes.len());
    }
}

fn pocket_header() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
    std::fs::read(path).expect("the shipped model")
}

#[test]
fn the_shipped_model_is_read() {
    let g = Gguf::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf")).unwrap();
    assert_eq!(g.required("general.architecture", Gguf::str).unwrap(), "llama");
    assert_eq!(g.required("llama.block_count", Gguf::uint).unwrap(), 30);
    assert_eq!(g.strings("tokenizer.ggml.tokens").unwrap().unwrap().len(), 24576);
    assert_eq!(g.require_tensor("blk.0.attn_q.weight").unwrap().ty, TensorType::Q2_0);
    assert_eq!(g.require_tensor("token_embd.weight").unwrap().ty, TensorType::Q4_0);
}

/// Whatever it says, what was accepted lies inside the file.
fn check_accepted(bytes: &[u8]) {
    if let Ok(h) = header(bytes) {
        for t in &h.tensors {
            assert!(t.range.end <= bytes.len() && t.range.start <= t.range.end);
            if !matches!(t.ty, TensorType::Other(_)) {
                assert_eq!(t.ty.row_bytes(t.cols()).map(|b| b * t.rows()), Some(t.bytes()));
            }
        }
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..400), version in 2u32..4) {
        check_accepted(&tail);
        check_accepted(&Writer::default().raw(b"GGUF").u32(version).raw(&tail).bytes);
    }

    #[test]
    fn garbage_behind_a_plausible_start_never_panics(
        counts in (0u64..4, 0u64..6),
        tail in proptest::collection::vec(prop_oneof![0u8..13, any::<u8>()], 0..400),
    ) {
        check_accepted(&Writer::new(3, counts.0, counts.1).raw(&tail).bytes);
    }

    #[test]
    fn flipped_bits_of_a_small_file_never_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6)) {
        let mut bytes = sound().bytes;
        for (at, bit) in flips {
            let i = at.index(bytes.len());
            bytes[i] ^= 1 << bit;
        }
        check_accepted(&bytes);
        if let Ok(g) = open(&bytes) {
            for (key, _) in g.meta() {
                let _ = (g.str(key), g.uint(key), g.float(key), g.bool(key));
                let _ = (g.strings(key), g.ints(key), g.floats(key));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_shipped_model_cut_or_flipped_never_panics(
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..4),
    ) {
        // The header with its vocabulary is the first megabyte; the data after it is only measured.
        let mut bytes = pocket_header();
        for (at, bit) in flips {
            let i = at.index(1 << 20);
            bytes[i] ^= 1 << bit;
        }
        check_accepted(&bytes);
        let n = cut.index(bytes.len());
        check_accepted(&bytes[..n]);
    }
}

/// Writing into a model that is in use leads to an error, not a signal and not another model's numbers.
#[test]
fn a_file_that_is_written_to_while_it_is_open_is_noticed() {
    type Deed = fn(&Path, &[u8]);
    let deeds: [(&str, bool, Deed); 4] = [
        ("cut short", false, |p, _| std::fs::OpenOptions::new().write(true).open(p).unwrap().set_len(100).unwrap()),
        ("emptied", false, |p, _| drop(std::fs::File::create(p).unwrap())),
        ("written over", false, |p, bytes| {
            let mut f = std::fs::OpenOptions::new().write(true).open(p).unwrap();
            f.write_all(bytes).unwrap();
            // The clock that files are stamped with stands still for some milliseconds.
            f.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
        }),
        ("replaced", true, |p, _| {
            let new = p.with_extension("new");
            std::fs::write(&new, b"something else").unwrap();
            std::fs::rename(new, p).unwrap();
        }),
    ];
    for (what, goes_on, deed) in deeds {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = (dir.path().join("m.gguf"), sound().bytes);
        std::fs::write(&path, &bytes).unwrap();
        let g = Gguf::open(&path).unwrap();
        let w = g.require_tensor("w").unwrap().clone();
        let mut read = [0; 8];
        g.read(&w, 208, &mut read).unwrap();
        assert_eq!(read, g.data(&w)[208..]);
        assert_eq!(g.read(&w, 209, &mut read).unwrap_err().kind(), Kind::Internal);
        deed(&path, &bytes);
        let outcome = g.read(&w, 0, &mut read).and_then(|()| g.unchanged());
        assert_eq!(outcome.is_ok(), goes_on, "{what}");
        if let Err(e) = outcome {
            assert!(e.kind() == Kind::Device && e.remedy_text().is_some() && e.to_string().contains("m.gguf"), "{e:?}");
        }
    }
}
