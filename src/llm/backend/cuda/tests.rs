//! Every operation beside `reference`, at the real models' shapes; the whole model beside the CPU backend.
//!
//! Without a GPU these tests print that they skipped; with `TERCET_REQUIRE_GPU=1` they fail.

use std::path::PathBuf;
use std::sync::Arc;

use super::memory::Buffer;
use super::partials::MAX_ROWS;
use super::{Cuda, Linear, Packing};
use crate::budget::Budget;
use crate::error::{Error, Kind};
use crate::llm::backend::conformance::{Op, Tolerance, conforms_but};
use crate::llm::backend::reference::Reference;
use crate::llm::backend::{Backend, FileRows, KvPrecision, KvShape, Once, Part, QkNorm, Rope};
use crate::llm::gguf::{Gguf, TensorInfo, TensorType};
use crate::llm::quant::Ternary;
use crate::llm::{BackendKind, EmbeddingPlace, Engine, Options, Sampler, Sampling, Session, Settings};

use crate::store::Paths;
use crate::units::{Bytes, TokenId};

/// Where kernels are looked for, as the command line does.
fn folders() -> Vec<PathBuf> {
    Paths::from_env().kernel_folders().to_vec()
}

fn gpu(packing: Packing) -> Option<Cuda> {
    match Cuda::new(packing, &folders()) {
        Ok(c) => Some(c),
        Err(e) if std::env::var_os("TERCET_REQUIRE_GPU").is_none() => {
            println!("skipped: {e}");
            None
        }
        Err(e) => panic!("TERCET_REQUIRE_GPU is set: {e}"),
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// About normal.
    fn float(&mut self) -> f32 {
        let sum: f64 = (0..6).map(|_| self.next() as f64 / u64::MAX as f64).sum();
        ((sum - 3.0) * 1.4) as f32
    }
    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
    /// A positive fp16 near `near`.
    fn scale(&mut self, near: f32) -> [u8; 2] {
        half::f16::from_f32(near * (0.5 + (self.next() % 1000) as f32 / 1000.0)).to_le_bytes()
    }
}

/// Stored rows of `ty`: random codes; scales all the same, or each its own.
fn stored(r: &mut Random, ty: TensorType, rows: usize, cols: usize, one_scale: bool) -> Vec<u8> {
    let (weights, size) = ty.block();
    let common = r.scale(0.02);
    let mut out = Vec::with_capacity(rows * cols / weights * size);
    for _ in 0..rows * cols / weights {
        let d = if one_scale { common } else { r.scale(0.02) };
        let mut block = vec![0u8; size];
        let three = |r: &mut Random| (0..4).fold(0u8, |b, i| b | (((r.next() % 3) as u8) << (2 * i)));
        match ty {
            TensorType::Tq2_0 => {
                block[..64].iter_mut().for_each(|b| *b = three(r));
                block[64..].copy_from_slice(&d);
            }
            TensorType::Tq1_0 => {
                block[..52].iter_mut().for_each(|b| *b = ((r.next() % 243) * 256).div_ceil(243) as u8);
                block[52..].copy_from_slice(&d);
            }
            TensorType::Q2_0 | TensorType::Q2_0G128 => {
                block[..2].copy_from_slice(&d);
                block[2..].iter_mut().for_each(|b| *b = three(r));
            }
            _ => {
                block.iter_mut().for_each(|b| *b = r.next() as u8);
                match ty {
                    TensorType::Q6K => block[208..].copy_from_slice(&d),
                    TensorType::Q4K => block[2..4].copy_from_slice(&d),
                    TensorType::F16 => block.copy_from_slice(&half::f16::from_f32(r.float()).to_le_bytes()),
                    TensorType::Bf16 => block.copy_from_slice(&half::bf16::from_f32(r.float()).to_le_bytes()),
                    TensorType::F32 => block.copy_from_slice(&r.float().to_le_bytes()),
                    _ => {}
                }
                if matches!(ty, TensorType::Q4_0 | TensorType::Q8_0 | TensorType::Q4K) {
                    block[..2].copy_from_slice(&d);
                }
            }
        }
        out.extend(block);
    }
    out
}

/// Largest difference, relative to the largest value expected.
fn distance(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let most = wanted.iter().fold(1e-20f32, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(wanted).map(|(f, w)| if f.is_finite() { (f - w).abs() } else { f32::INFINITY });
    worst.fold(0.0, f32::max) / most
}

struct Case<'a> {
    parts: &'a [(TensorType, usize)],
    cols: usize,
    one_scale: bool,
    rows_of_x: &'a [usize],
}

fn linear_case(cuda: &Cuda, case: &Case<'_>) {
    let mut r = Random(case.cols as u64 * 31 + case.parts.len() as u64);
    let bytes: Vec<Vec<u8>> =
        case.parts.iter().map(|&(ty, rows)| stored(&mut r, ty, rows, case.cols, case.one_scale)).collect();
    let parts = || -> Vec<Part<'_>> {
        let of = case.parts.iter().zip(&bytes).enumerate();
        of.map(|(i, (&(ty, rows), b))| Part {
            weights: Ternary::new(ty, rows, case.cols, b).expect("sound"),
            factor: [1.0, 0.37, 2.5][i],
        })
        .collect()
    };
    let out: usize = case.parts.iter().map(|p| p.1).sum();
    let (ours, truth) = (cuda.linear(&parts()).expect("loads"), Reference.linear(&parts()).expect("loads"));
    let exact = case.one_scale;
    for &n in case.rows_of_x {
        let q: Vec<i8> = (0..n * case.cols)
            .map(|i| match i % 977 {
                0 => -128,
                1 => 127,
                _ => (r.next() % 255) as i64 as i8,
            })
            .collect();
        let scales: Vec<f32> = (0..n).map(|i| 0.01 + i as f32 * 0.003).collect();
        let start = r.floats(n * out);
        for add in [false, true] {
            let run = |b: &dyn Fn() -> Vec<f32>| b();
            let found = run(&|| {
                let mut x = cuda.quant(n, case.cols).expect("fits");
                let mut y = cuda.rows(n, out).expect("fits");
                cuda.write_quant(&mut x, &q, &scales).expect("writes");
                cuda.write_rows(&mut y, &start).expect("writes");
                if add { cuda.linear_add(&ours, &x, n, &mut y) } else { cuda.linear_into(&ours, &x, n, &mut y) }
                    .expect("runs");
                cuda.read_rows(&y, n).expect("reads")
            });
            let wanted = run(&|| {
                let mut x = Reference.quant(n, case.cols).expect("fits");
                let mut y = Reference.rows(n, out).expect("fits");
                Reference.write_quant(&mut x, &q, &scales).expect("writes");
                Reference.write_rows(&mut y, &start).expect("writes");
                if add {
                    Reference.linear_add(&truth, &x, n, &mut y)
                } else {
                    Reference.linear_into(&truth, &x, n, &mut y)
                }
                .expect("runs");
                Reference.read_rows(&y, n).expect("reads")
            });
            let far = distance(&found, &wanted);
            println!("linear {:?} × {} {} n {n} add {add}: {far:.1e}", case.parts, case.cols, ours.kernel());
            // One scale: the same integers times the same floats. Groups: sums of floats in another order.
            assert!(if exact { found == wanted } else { far < 2e-6 }, "{} n {n} add {add}: {far}", ours.kernel());
        }
    }
}

#[test]
fn linears_are_the_references() {
    use TensorType::{Q2_0, Q2_0G128, Tq1_0, Tq2_0};
    let few: &[usize] = &[1, 2, 3, 7, 8, 9, 33, 150];
    for packing in [Packing::TwoBits, Packing::Base3] {
        let Some(cuda) = gpu(packing) else { return };
        let one = |parts: &[(TensorType, usize)], cols, rows_of_x: &[usize]| {
            linear_case(&cuda, &Case { parts, cols, one_scale: true, rows_of_x });
        };
        one(&[(Tq1_0, 768), (Tq1_0, 256), (Tq1_0, 256)], 768, few);
        one(&[(Tq1_0, 768)], 768, few);
        one(&[(Tq2_0, 2048), (Tq2_0, 2048)], 768, few);
        one(&[(Tq2_0, 768)], 2048, few);
        one(&[(Tq1_0, 24), (Tq1_0, 24)], 512, few);
        one(&[(Q2_0, 40)], 192, few);
        one(&[(Q2_0, 17)], 64, few);
        one(&[(Q2_0, 8), (Q2_0, 8)], 1088, few);
        one(&[(Tq2_0, 4096), (Tq2_0, 1024), (Tq2_0, 1024)], 4096, &[1, 5, 40]);
        one(&[(Tq1_0, 4096)], 4096, &[1, 8, 130]);
        one(&[(Tq2_0, 14336), (Tq2_0, 14336)], 4096, &[1, 8]);
        one(&[(Tq2_0, 4096)], 14336, &[1, 8, 40]);
        one(&[(Tq2_0, 3072)], 23040, &[1, 6, 20]);
        if packing == Packing::TwoBits {
            let own = |parts: &[(TensorType, usize)], cols, rows_of_x: &[usize]| {
                linear_case(&cuda, &Case { parts, cols, one_scale: false, rows_of_x });
            };
            own(&[(Q2_0G128, 768), (Q2_0G128, 256), (Q2_0G128, 256)], 768, few);
            own(&[(Q2_0, 512), (Q2_0, 512)], 768, few);
            own(&[(Q2_0, 24)], 192, few);
            own(&[(Q2_0, 24), (Q2_0, 24)], 192, few);
            own(&[(Q2_0G128, 24), (Q2_0G128, 24)], 384, few);
            own(&[(Tq2_0, 256), (Q2_0, 64)], 1024, few);
            own(&[(Tq1_0, 256)], 2048, few);
            own(&[(Q2_0G128, 4096), (Q2_0G128, 1024), (Q2_0G128, 1024)], 4096, &[1, 8, 40]);
            own(&[(Q2_0G128, 4096)], 12288, &[1, 8, 70]);
            own(&[(Q2_0G128, 12288), (Q2_0G128, 12288)], 4096, &[1]);
        }
    }
}

/// Integers may differ by one where a float a bit to the side rounds the other way, and only rarely.
fn quantized_alike(what: &str, found: (Vec<i8>, Vec<f32>), wanted: (Vec<i8>, Vec<f32>)) {
    assert_eq!((found.0.len(), found.1.len()), (wanted.0.len(), wanted.1.len()));
    let off: Vec<i32> = found.0.iter().zip(&wanted.0).map(|(&f, &w)| (i32::from(f) - i32::from(w)).abs()).collect();
    let (worst, many) = (off.iter().max().copied().unwrap_or(0), off.iter().filter(|&&d| d > 0).count());
    let scale = found.1.iter().zip(&wanted.1).map(|(f, w)| (f - w).abs() / w).fold(0.0, f32::max);
    println!("{what}: {many} of {} integers differ, by at most {worst}; scales by {scale:.1e}", off.len());
    assert!(worst <= 1 && many * 2000 <= off.len() + 1999 && scale < 3e-7, "{what}");
}

#[test]
fn quantizers_are_the_references() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let mut r = Random(5);
    for (cols, n) in [(512, 3), (768, 1), (768, 37), (2048, 9), (4096, 1), (4096, 130), (14336, 3), (64, 2), (23040, 2)]
    {
        let mut data = r.floats(n * cols);
        data[0] = 3000.0; // the activations of real models have such outliers
        if n > 1 {
            data[cols..2 * cols].fill(0.0);
        }
        let weight = r.floats(cols);
        macro_rules! run {
            ($b:expr, $op:ident, $cols:expr, $($extra:expr),*) => {{
                let b = $b;
                let mut x = b.rows(n, cols).expect("fits");
                b.write_rows(&mut x, &data).expect("writes");
                let mut q = b.quant(n, $cols).expect("fits");
                b.$op(&x, n, $($extra,)* &mut q).expect("runs");
                b.read_quant(&q, n).expect("reads")
            }};
        }
        let of = |what: &str| format!("{what} {n} × {cols}");
        quantized_alike(
            &of("norm"),
            run!(&cuda, norm_quantize, cols, &weight, 1e-5),
            run!(&Reference, norm_quantize, cols, &weight, 1e-5),
        );
        quantized_alike(&of("quantize"), run!(&cuda, quantize, cols,), run!(&Reference, quantize, cols,));
        if cols % 128 == 0 {
            quantized_alike(
                &of("swiglu"),
                run!(&cuda, swiglu_quantize, cols / 2,),
                run!(&Reference, swiglu_quantize, cols / 2,),
            );
        }
    }
}

/// A GGUF of one tensor, for the embedding.
fn table(ty: TensorType, id: u32, rows: usize, cols: usize, bytes: &[u8]) -> (tempfile::NamedTempFile, FileRows) {
    let mut f: Vec<u8> = b"GGUF".to_vec();
    f.extend(3u32.to_le_bytes());
    f.extend(1u64.to_le_bytes());
    f.extend(0u64.to_le_bytes());
    let name = b"token_embd.weight";
    f.extend((name.len() as u64).to_le_bytes());
    f.extend(name);
    f.extend(2u32.to_le_bytes());
    f.extend((cols as u64).to_le_bytes());
    f.extend((rows as u64).to_le_bytes());
    f.extend(id.to_le_bytes());
    f.extend(0u64.to_le_bytes());
    f.resize(f.len().next_multiple_of(32), 0);
    f.extend(bytes);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &f).expect("writes");
    let gguf = Arc::new(Gguf::open(file.path()).expect("reads"));
    let tensor: TensorInfo = gguf.tensors()[0].clone();
    assert_eq!(tensor.ty, ty);
    (file, FileRows::new(gguf, tensor))
}

#[test]
fn embeddings_are_the_files() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let mut r = Random(6);
    use TensorType as T;
    let types = [
        (T::F32, 0),
        (T::F16, 1),
        (T::Bf16, 30),
        (T::Q4_0, 2),
        (T::Q8_0, 8),
        (T::Q4K, 12),
        (T::Q6K, 14),
        (T::Tq1_0, 34),
        (T::Tq2_0, 35),
        (T::Q2_0, 42),
        (T::Q2_0G128, 42),
    ];
    for (ty, id) in types {
        let (rows, cols) = (50, 1280);
        let (_keep, table) = table(ty, id, rows, cols, &stored(&mut r, ty, rows, cols, false));
        let tokens = [0, 49, 7, 7].map(TokenId);
        let mut x = cuda.rows(4, cols).expect("fits");
        cuda.embed(&table, &tokens, &mut x).expect("runs");
        let mut y = Reference.rows(4, cols).expect("fits");
        Reference.embed(&table, &tokens, &mut y).expect("runs");
        assert_eq!(cuda.read_rows(&x, 4).expect("reads"), Reference.read_rows(&y, 4).expect("reads"), "{ty}");
    }
}

mod conformance;

fn kv_shape(heads: usize, kv_heads: usize, head_dim: usize, context: usize, precision: KvPrecision) -> KvShape {
    let rope = Arc::new(Rope::new(context, head_dim / 2, 10_000.0, None));
    KvShape { layers: 2, context, heads, kv_heads, head_dim, precision, rope }
}

#[test]
fn attention_is_the_references() {
    // Few rows: f32 in another order. Prompts: fp16 queries, weights and values.
    let (few, prompt) = (2e-5, 3e-3);
    // int8 keys that a rounding tie sends the other way move a score by a 127th of a key.
    let forms = [KvPrecision::F16, KvPrecision::Int8];
    let heads = [
        (4, 2, 64, 300),
        (12, 4, 64, 1024),
        (32, 8, 128, 4200),
        (12, 4, 256, 700),
        (8, 8, 64, 300),
        (16, 2, 128, 8192),
    ];
    for (precision, (heads, kv_heads, hd, context)) in forms.into_iter().flat_map(|p| heads.map(|h| (p, h))) {
        let slack = if precision == KvPrecision::Int8 { 5e-4 } else { 0.0 };
        let (few, prompt) = (few + slack, prompt + slack);
        let norms = (heads == 32).then(|| {
            let mut r = Random(3);
            QkNorm { q: r.floats(hd), k: r.floats(hd), eps: 1e-6 }
        });
        let Some(cuda) = gpu(Packing::TwoBits) else { return };
        let s = kv_shape(heads, kv_heads, hd, context, precision);
        let mut r = Random(heads as u64);
        let (mut ours, mut truth) = (cuda.kv(&s).expect("fits"), Reference.kv(&s).expect("fits"));
        let mut at = 0;
        for n in [1, 1, 2, 130, 7, 64, 8, 1, 3, 200, context] {
            let n = n.min(context - at);
            // Long prompts need attention for a few of their rows only: the reference takes its time.
            let data = r.floats(n * s.qkv_cols());
            let mut a = cuda.rows(n, s.qkv_cols()).expect("fits");
            let mut b = Reference.rows(n, s.qkv_cols()).expect("fits");
            cuda.write_rows(&mut a, &data).expect("writes");
            Reference.write_rows(&mut b, &data).expect("writes");
            cuda.rope_append(&mut a, n, 1, at, norms.as_ref(), &mut ours).expect("runs");
            Reference.rope_append(&mut b, n, 1, at, norms.as_ref(), &mut truth).expect("runs");
            let (found, wanted) = (cuda.read_rows(&a, n).expect("reads"), Reference.read_rows(&b, n).expect("reads"));
            let q =
                |v: &[f32]| -> Vec<f32> { v.chunks(s.qkv_cols()).flat_map(|r| r[..s.out_cols()].to_vec()).collect() };
            assert!(distance(&q(&found), &q(&wanted)) < 1e-6, "rope");
            if n <= 256 && n > 0 {
                let mut out = cuda.rows(n, s.out_cols()).expect("fits");
                let mut right = Reference.rows(n, s.out_cols()).expect("fits");
                cuda.attend(&a, n, 1, at, &ours, &mut out).expect("runs");
                Reference.attend(&b, n, 1, at, &truth, &mut right).expect("runs");
                let far =
                    distance(&cuda.read_rows(&out, n).expect("reads"), &Reference.read_rows(&right, n).expect("reads"));
                println!("attend {heads}/{kv_heads} × {hd}, {n} rows at {at}: {far:.1e}");
                assert!(far < if n <= MAX_ROWS { few } else { prompt }, "{n} rows at {at}: {far}");
            }
            at += n;
        }
        // The last rows of the full context, a few and many.
        for n in [1, 8, 40] {
            let start = context - n;
            let data = r.floats(n * s.qkv_cols());
            let mut a = cuda.rows(n, s.qkv_cols()).expect("fits");
            let mut b = Reference.rows(n, s.qkv_cols()).expect("fits");
            cuda.write_rows(&mut a, &data).expect("writes");
            Reference.write_rows(&mut b, &data).expect("writes");
            let mut out = cuda.rows(n, s.out_cols()).expect("fits");
            let mut right = Reference.rows(n, s.out_cols()).expect("fits");
            cuda.attend(&a, n, 1, start, &ours, &mut out).expect("runs");
            Reference.attend(&b, n, 1, start, &truth, &mut right).expect("runs");
            let far =
                distance(&cuda.read_rows(&out, n).expect("reads"), &Reference.read_rows(&right, n).expect("reads"));
            println!("attend {heads}/{kv_heads} × {hd}, {n} rows at {start}: {far:.1e}");
            assert!(far < if n <= MAX_ROWS { few } else { prompt }, "{n} rows at {start}: {far}");
        }
        // Saved and loaded, keys and values are the same.
        let saved = cuda.save_kv(&ours, context / 2).expect("saves");
        let mut other = cuda.kv(&s).expect("fits");
        cuda.load_kv(&mut other, context / 2, &saved).expect("loads");
        assert_eq!(cuda.save_kv(&other, context / 2).expect("saves"), saved);
    }
}

#[test]
fn logits_are_the_references() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let mut r = Random(7);
    use TensorType as T;
    for (ty, rows, cols) in [
        (T::Q4_0, 16384, 768),
        (T::Q4_0, 5000, 4096),
        (T::Q4_0, 37, 3072),
        (T::Q4_0, 70, 768),
        (T::Q8_0, 70, 768),
        (T::Q2_0G128, 70, 768),
        (T::Q8_0, 999, 2048),
        (T::Q8_0, 130, 4096),
        (T::Q6K, 300, 768),
        (T::F16, 100, 768),
        (T::Bf16, 77, 320),
        (T::Q2_0G128, 3000, 4096),
        (T::Tq2_0, 500, 768),
        (T::Q4_0, 64, 6144),
        (T::Q4_0, 64, 8192),
        (T::Q4_0, 64, 5120),
        (T::Q4_0, 64, 1600),
    ] {
        let bytes = stored(&mut r, ty, rows, cols, false);
        let (data, weight) = (r.floats(3 * cols), r.floats(cols));
        let (ours, truth) = (
            cuda.head(ty, rows, cols, Once::kept(&bytes)).expect("loads"),
            Reference.head(ty, rows, cols, Once::kept(&bytes)).expect("loads"),
        );
        let mut x = cuda.rows(3, cols).expect("fits");
        let mut y = Reference.rows(3, cols).expect("fits");
        cuda.write_rows(&mut x, &data).expect("writes");
        Reference.write_rows(&mut y, &data).expect("writes");
        let (mut found, mut wanted) = (vec![0f32; rows], vec![0f32; rows]);
        cuda.logits(&ours, &weight, 1e-5, &x, 2, &mut found).expect("runs");
        Reference.logits(&truth, &weight, 1e-5, &y, 2, &mut wanted).expect("runs");
        let far = distance(&found, &wanted);
        println!("logits {ty} {rows} × {cols}: {far:.1e}");
        // Sums of floats in another order; an activation at a tie may round the other way (a 127th of its block's largest).
        assert!(far < 5e-4, "{ty} {rows} × {cols}: {far}");
    }
}

mod arena;
mod decode;
mod lost;
mod model;
mod quick;
mod session;
mod topk;

fn pocket(backend: BackendKind, packing: crate::llm::PackingChoice) -> Arc<Engine> {
    pocket_with(backend, packing, KvPrecision::F16)
}

fn pocket_with(backend: BackendKind, packing: crate::llm::PackingChoice, kv_precision: KvPrecision) -> Arc<Engine> {
    pocket_as(Settings { backend, packing, kv_precision, ..pocket_options() })
}

fn pocket_options() -> Settings {
    Settings { speculation: false, prefill_chunk: 64, ..Settings::default() }
}

fn pocket_path() -> PathBuf {
    let root = std::env::var("TERCET_TEST_ROOT").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    std::path::Path::new(&root).join("models/pocket.gguf")
}

fn pocket_as(settings: Settings) -> Arc<Engine> {
    let options = Options { kernels: folders(), ..settings.into() };
    Engine::load(&pocket_path(), &options, &Budget::unlimited()).expect("the default model loads")
}

/// Greedy tokens after `prompt`, each with the logits that chose it.
fn greedy(session: &mut Session, prompt: &[TokenId], n: usize) -> Vec<(TokenId, Vec<f32>)> {
    session.append(prompt, &|| false).expect("it fits");
    let mut out = Vec::new();
    for _ in 0..n {
        let logits = session.logits().to_vec();
        let token = Sampler::greedy().sample(&logits, &[]);
        out.push((token, logits));
        session.append(&[token], &|| false).expect("it fits");
    }
    out
}
