//! Keys and values of both precisions, every instruction set beside the reference.

use std::sync::Arc;

use super::{Cpu, Isa};
use crate::llm::backend::reference::Reference;
use crate::llm::backend::{Backend, KvPrecision, KvShape, Rope};

/// Sums in another order and another e^x: relative to values of about 1.
const TOLERANCE: f32 = 2e-5;

fn kv_shape(precision: KvPrecision, head_dim: usize, heads: usize, context: usize) -> KvShape {
    let rope = Arc::new(Rope::new(context, head_dim / 2, 10_000.0, None));
    KvShape { layers: 2, context, heads, kv_heads: 2, head_dim, precision, rope }
}

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Appends `rows` in the chunks given and attends with each; returns every output row, and what was saved.
fn run<B: Backend>(b: &B, shape: &KvShape, chunks: &[usize], saved: Option<(usize, &[u8])>) -> (Vec<f32>, Vec<u8>) {
    let most = chunks.iter().copied().max().unwrap_or(1);
    let mut kv = b.kv(shape).unwrap();
    let (mut qkv, mut out) = (b.rows(most, shape.qkv_cols()).unwrap(), b.rows(most, shape.out_cols()).unwrap());
    let (mut at, mut all) = (0, Vec::new());
    if let Some((len, saved)) = saved {
        b.load_kv(&mut kv, len, saved).unwrap();
    }
    for (i, &n) in chunks.iter().enumerate() {
        for layer in 0..shape.layers {
            // A large value in one head now and then: scales differ from head to head and position to position.
            let mut rows = noise(n * shape.qkv_cols(), (i * 7 + layer) as u64 + 3);
            rows.iter_mut().step_by(97).for_each(|v| *v *= 30.0);
            b.write_rows(&mut qkv, &rows).unwrap();
            let known = saved.is_some_and(|(len, _)| at < len);
            if !known {
                b.rope_append(&mut qkv, n, layer, at, None, &mut kv).unwrap();
                b.attend(&qkv, n, layer, at, &kv, &mut out).unwrap();
                all.extend(b.read_rows(&out, n).unwrap());
            }
        }
        at += n;
    }
    let kept = b.save_kv(&kv, at).unwrap();
    (all, kept)
}

#[test]
fn every_set_attends_as_the_reference_does() {
    for precision in [KvPrecision::F16, KvPrecision::Int8] {
        for (head_dim, heads, context) in [(64, 6, 45), (128, 8, 40), (256, 2, 17), (24, 4, 30)] {
            let shape = kv_shape(precision, head_dim, heads, context);
            let chunks = [1, 8, 1, 5, context - 15];
            let (wanted, _) = run(&Reference, &shape, &chunks, None);
            for isa in Isa::available() {
                let (got, _) = run(&Cpu::with(2, isa).unwrap(), &shape, &chunks, None);
                let off = wanted.iter().zip(&got).map(|(w, g)| (w - g).abs() / (1.0 + w.abs())).fold(0f32, f32::max);
                assert!(off < TOLERANCE, "{precision:?}, heads of {head_dim}, {isa:?}: {off}");
                assert_eq!(wanted.len(), got.len());
            }
        }
    }
}

#[test]
fn what_was_saved_continues_as_if_it_had_never_left() {
    for precision in [KvPrecision::F16, KvPrecision::Int8] {
        let shape = kv_shape(precision, 64, 6, 40);
        let chunks = [13, 6, 1];
        let cpu = Cpu::with(2, Isa::detect()).unwrap();
        continues(&cpu, &shape, &chunks);
        continues(&Reference, &shape, &chunks);
    }
}

fn continues<B: Backend>(b: &B, shape: &KvShape, chunks: &[usize]) {
    let (_, start) = run(b, shape, &chunks[..1], None);
    let (all, end) = run(b, shape, chunks, None);
    let (rest, again) = run(b, shape, chunks, Some((chunks[0], &start)));
    assert_eq!(all[all.len() - rest.len()..], rest);
    assert!(!rest.is_empty() && end == again);
    let mut kv = b.kv(shape).unwrap();
    assert!(b.load_kv(&mut kv, chunks[0], &start[1..]).is_err(), "a part was taken for the whole");
    assert!(b.load_kv(&mut kv, shape.context + 1, &start).is_err());
}

#[test]
fn int8_is_what_is_there_and_no_more_than_was_said() {
    use crate::llm::backend::Footprint;
    let cpu = Cpu::with(1, Isa::detect()).unwrap();
    for precision in [KvPrecision::F16, KvPrecision::Int8] {
        let shape = kv_shape(precision, 128, 8, 301);
        let (said, there) = (cpu.kv_bytes(&shape), cpu.kv(&shape).unwrap().resident());
        assert!(there <= said && there * 10 >= said * 9, "{there} of {said}");
    }
}
