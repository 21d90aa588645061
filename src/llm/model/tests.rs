//! Qwen3's heads: stored as halves, normed, rotated as adjacent pairs.

use std::sync::Arc;

use crate::llm::backend::cpu::Cpu;
use crate::llm::backend::reference::Reference;
use crate::llm::backend::{Backend, KvPrecision, KvShape, QkNorm, Rope};
use crate::llm::quant::Halves;

const HEAD: usize = 8;

fn shape() -> KvShape {
    let rope = Arc::new(Rope::new(16, HEAD / 2, 100.0, None));
    KvShape { layers: 2, context: 16, heads: 4, kv_heads: 2, head_dim: HEAD, precision: KvPrecision::F16, rope }
}

fn rows(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 17.0).collect()
}

fn norms() -> QkNorm {
    let weight = |by: f32| (0..HEAD).map(|i| 0.5 + by * i as f32).collect();
    QkNorm { q: weight(0.125), k: weight(0.25), eps: 1e-6 }
}

/// Rotated queries, and attention's answer from the keys and values that were stored.
fn run<B: Backend>(b: &B, x: &[f32], n: usize, norms: Option<&QkNorm>) -> (Vec<f32>, Vec<f32>) {
    let s = shape();
    let mut qkv = b.rows(n, s.qkv_cols()).expect("rows");
    let mut kv = b.kv(&s).expect("cache");
    let mut out = b.rows(n, s.out_cols()).expect("rows");
    b.write_rows(&mut qkv, x).expect("write");
    b.rope_append(&mut qkv, n, 1, 3, norms, &mut kv).expect("rope_append");
    b.attend(&qkv, n, 1, 3, &kv, &mut out).expect("attend");
    (b.read_rows(&qkv, n).expect("read"), b.read_rows(&out, n).expect("read"))
}

#[test]
fn heads_stored_as_halves_rotate_as_adjacent_pairs() {
    let halves = Halves { head_dim: HEAD, pairs: HEAD / 2 };
    assert_eq!((0..HEAD).map(|r| halves.stored(r)).collect::<Vec<_>>(), [0, 4, 1, 5, 2, 6, 3, 7]);
    assert_eq!(halves.stored(HEAD + 3), HEAD + 5);
    let partly = Halves { head_dim: HEAD, pairs: 2 };
    assert_eq!((0..HEAD).map(|r| partly.stored(r)).collect::<Vec<_>>(), [0, 2, 1, 3, 4, 5, 6, 7]);

    // Norm and rotation written for halves, as the file's own framework computes them.
    let s = shape();
    let x = rows(s.qkv_cols());
    let by = norms();
    let position = 3;
    let head_as_stored = |h: usize| -> Vec<f32> {
        let head = &x[h * HEAD..(h + 1) * HEAD];
        let weight = if h < s.heads { &by.q } else { &by.k };
        let mean = head.iter().map(|v| v * v).sum::<f32>() / HEAD as f32;
        let normed: Vec<f32> = head.iter().zip(weight).map(|(v, w)| v / (mean + by.eps).sqrt() * w).collect();
        (0..HEAD)
            .map(|d| {
                let (cos, sin) = s.rope.at(position)[d % (HEAD / 2)];
                let other = if d < HEAD / 2 { -normed[d + HEAD / 2] } else { normed[d - HEAD / 2] };
                normed[d] * cos + other * sin
            })
            .collect()
    };
    let read: Vec<f32> = (0..s.qkv_cols()).map(|r| x[halves.stored(r)]).collect();
    let order = |w: &[f32]| (0..HEAD).map(|d| w[halves.stored(d)]).collect();
    let ordered = QkNorm { q: order(&by.q), k: order(&by.k), eps: by.eps };
    let (rotated, _) = run(&Reference, &read, 1, Some(&ordered));
    for h in 0..s.heads + s.kv_heads {
        let want = head_as_stored(h);
        for d in 0..HEAD {
            let (got, want) = (rotated[h * HEAD + d], want[halves.stored(d)]);
            assert!((got - want).abs() < 1e-5, "head {h} dimension {d}: {got} is not {want}");
        }
    }
}

#[test]
fn normed_heads_agree_between_backends_and_change_the_result() {
    let n = 5;
    let x = rows(n * shape().qkv_cols());
    let by = norms();
    let (q, out) = run(&Reference, &x, n, Some(&by));
    let (cpu_q, cpu_out) = run(&Cpu::new(2).expect("threads"), &x, n, Some(&by));
    // The same f32 formula in another order of summation: a few ulp; keys and values are rounded to fp16 in both.
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-4);
    assert!(close(&q, &cpu_q) && close(&out, &cpu_out));
    let (plain, _) = run(&Reference, &x, n, None);
    assert!(!close(&q, &plain), "the norms do nothing");
    let swapped = QkNorm { q: by.k.clone(), k: by.q.clone(), eps: by.eps };
    assert!(!close(&q, &run(&Reference, &x, n, Some(&swapped)).0), "queries take the keys' norm");
    let short = QkNorm { q: vec![1.0; HEAD - 1], ..by };
    let mut rows = Reference.rows(1, shape().qkv_cols()).expect("rows");
    let mut kv = Reference.kv(&shape()).expect("cache");
    assert!(Reference.rope_append(&mut rows, 1, 0, 0, Some(&short), &mut kv).is_err());
}
