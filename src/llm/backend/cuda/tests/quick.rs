//! A little of every kernel, an operation a test, for compute-sanitizer, under which everything takes long. They check little
//! themselves, so `scripts/gpu_check.sh` alone runs them, one by one, a minute each at most; what is computed is compared beside
//! (`super`).

use super::super::topk::{MOST, TopK};
use super::*;

fn products(packing: Packing, ty: TensorType, cols: usize, one_scale: bool) {
    let Some(cuda) = gpu(packing) else { return };
    let rows_of_x: &[usize] = &[1, 3, 9, 40];
    linear_case(&cuda, &Case { parts: &[(ty, 24), (ty, 24)], cols, one_scale, rows_of_x });
}

#[test]
#[ignore = "for compute-sanitizer"]
fn products_of_two_bits() {
    products(Packing::TwoBits, TensorType::Tq1_0, 512, true);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn products_in_base_3() {
    products(Packing::Base3, TensorType::Tq1_0, 512, true);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn products_in_groups_of_64() {
    products(Packing::TwoBits, TensorType::Q2_0, 192, false);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn products_in_groups_of_128() {
    products(Packing::TwoBits, TensorType::Q2_0G128, 384, false);
}

#[test]
#[ignore = "for compute-sanitizer"]
fn quantizers() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let (n, cols) = (3, 512);
    let (data, weight) = (Random(1).floats(n * cols), Random(2).floats(cols));
    let mut x = cuda.rows(n, cols).expect("fits");
    cuda.write_rows(&mut x, &data).expect("writes");
    let (mut whole, mut half) = (cuda.quant(n, cols).expect("fits"), cuda.quant(n, cols / 2).expect("fits"));
    cuda.norm_quantize(&x, n, &weight, 1e-5, &mut whole).expect("runs");
    cuda.quantize(&x, n, &mut whole).expect("runs");
    cuda.swiglu_quantize(&x, n, &mut half).expect("runs");
    assert!(cuda.read_quant(&half, n).expect("reads").1.iter().all(|s| *s > 0.0));
}

/// A prompt, a few rows and one row.
fn attention(precision: KvPrecision) {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let s = kv_shape(4, 2, 64, 300, precision);
    let mut kv = cuda.kv(&s).expect("fits");
    let mut at = 0;
    for n in [140, 3, 1] {
        let mut x = cuda.rows(n, s.qkv_cols()).expect("fits");
        cuda.write_rows(&mut x, &Random(n as u64).floats(n * s.qkv_cols())).expect("writes");
        let mut out = cuda.rows(n, s.out_cols()).expect("fits");
        cuda.rope_append(&mut x, n, 1, at, None, &mut kv).expect("runs");
        cuda.attend(&x, n, 1, at, &kv, &mut out).expect("runs");
        assert!(cuda.read_rows(&out, n).expect("reads").iter().all(|v| v.is_finite()));
        at += n;
    }
}

#[test]
#[ignore = "for compute-sanitizer"]
fn attention_of_fp16() {
    attention(KvPrecision::F16);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn attention_of_int8() {
    attention(KvPrecision::Int8);
}

#[test]
#[ignore = "for compute-sanitizer"]
fn heads() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let (rows, cols) = (70, 768);
    for ty in [TensorType::Q4_0, TensorType::Q8_0, TensorType::F16, TensorType::Q2_0G128] {
        let bytes = stored(&mut Random(4), ty, rows, cols, false);
        let head = cuda.head(ty, rows, cols, Once::kept(&bytes)).expect("loads");
        let mut x = cuda.rows(1, cols).expect("fits");
        cuda.write_rows(&mut x, &Random(5).floats(cols)).expect("writes");
        let mut logits = vec![f32::NAN; rows];
        cuda.logits(&head, &vec![1.0; cols], 1e-5, &x, 0, &mut logits).expect("runs");
        assert!(logits.iter().all(|v| v.is_finite()), "{ty}");
    }
}

#[test]
#[ignore = "for compute-sanitizer"]
fn the_top_k() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let n = 5000;
    let logits = Buffer::new(&cuda.gpu.device, (n * 4) as u64).expect("fits");
    cuda.stream.upload(&logits, 0, bytemuck::cast_slice(&Random(6).floats(n))).expect("uploads");
    let search = TopK::lay_out(&mut &*cuda.stream, n).expect("fits").expect("not too many");
    search.find(&cuda.gpu, &cuda.stream, logits.view()).expect("runs");
    let mut found = Vec::new();
    search.fetch(&cuda.stream, 40, &mut [0; MOST * 8], &mut found).expect("reads");
    assert_eq!(found.len(), 40);
}

#[test]
#[ignore = "for compute-sanitizer"]
fn embeddings() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    for (ty, id) in [(TensorType::Q4_0, 2), (TensorType::Q2_0, 42)] {
        let (_keep, table) = table(ty, id, 20, 512, &stored(&mut Random(8), ty, 20, 512, false));
        let mut x = cuda.rows(2, 512).expect("fits");
        cuda.embed(&table, &[TokenId(0), TokenId(19)], &mut x).expect("runs");
    }
}

/// Tokens one by one, behind a prompt of `before` (at once on devices that do that, where weights are of two bits).
fn tokens(packing: crate::llm::PackingChoice, precision: KvPrecision, before: usize, n: usize) {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    let engine = pocket_with(BackendKind::Cuda, packing, precision);
    let mut session = engine.session().expect("a session");
    let prompt: Vec<TokenId> = (100..).map(TokenId).take(before).collect();
    session.append(&prompt, &|| false).expect("it fits");
    let (mut sampler, stop) = (Sampler::greedy(), []);
    assert_eq!(session.generate(&mut sampler, &stop, n, &|| false).filter(|t| t.is_ok()).count(), n);
}

#[test]
#[ignore = "for compute-sanitizer"]
fn tokens_of_two_bits() {
    tokens(crate::llm::PackingChoice::TwoBits, KvPrecision::Int8, 1, 2);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn tokens_in_base_3() {
    tokens(crate::llm::PackingChoice::Base3, KvPrecision::F16, 1, 2);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn a_prompt_of_two_bits() {
    tokens(crate::llm::PackingChoice::TwoBits, KvPrecision::F16, 70, 0);
}
#[test]
#[ignore = "for compute-sanitizer"]
fn a_prompt_in_base_3() {
    tokens(crate::llm::PackingChoice::Base3, KvPrecision::Int8, 70, 0);
}
