//! The KV cache: rotation and append, attention, and keeping it.

use std::sync::Arc;

use super::data::Random;
use super::{Cases, FEW_ROWS, Found, Tolerance, differs, largest, strays};
use crate::error::Result;
use crate::llm::backend::{Backend, KvPrecision, KvShape, QkNorm, Rope};

/// A model's attention.
#[derive(Debug, Clone, Copy)]
struct Form {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Rotated pairs of a head.
    pairs: usize,
    precision: KvPrecision,
    /// Queries and keys are normed before they are rotated.
    normed: bool,
}

const fn form(heads: usize, kv_heads: usize, head_dim: usize, pairs: usize) -> Form {
    Form { heads, kv_heads, head_dim, pairs, precision: KvPrecision::F16, normed: false }
}

const fn int8(form: Form) -> Form {
    Form { precision: KvPrecision::Int8, ..form }
}

const fn normed(form: Form) -> Form {
    Form { normed: true, ..form }
}

const POCKET: Form = form(12, 4, 64, 32);
/// Qwen3-8B too, normed.
const LLAMA3: Form = form(32, 8, 128, 64);
const FALCON3: Form = form(12, 4, 256, 128);
const ODD: [Form; 4] = [form(3, 1, 24, 12), form(5, 5, 16, 8), form(8, 2, 80, 20), form(6, 1, 32, 16)];

const FORMS: [Form; 15] = [
    POCKET,
    LLAMA3,
    FALCON3,
    ODD[0],
    ODD[1],
    ODD[2],
    ODD[3],
    int8(POCKET),
    int8(LLAMA3),
    int8(FALCON3),
    int8(ODD[0]),
    int8(ODD[2]),
    normed(LLAMA3),
    int8(normed(LLAMA3)),
    normed(ODD[0]),
];

impl Form {
    fn shape(self, context: usize) -> KvShape {
        let Form { heads, kv_heads, head_dim, pairs, precision, .. } = self;
        let factors: Vec<f32> = (0..pairs).map(|i| 1.0 + i as f32 / 7.0).collect();
        let rope = Arc::new(Rope::new(context, pairs, 10_000.0, Some(&factors)));
        KvShape { layers: LAYERS, context, heads, kv_heads, head_dim, precision, rope }
    }

    fn norms(self) -> Option<QkNorm> {
        let mut random = Random::new(self.head_dim as u64);
        let mut weight = || (0..self.head_dim).map(|_| 1.0 + random.normal() * 0.3).collect();
        self.normed.then(|| QkNorm { q: weight(), k: weight(), eps: 1e-6 })
    }

    /// [`SPANS`]; of the large models only those of few rows over a short context.
    fn spans(self) -> impl Iterator<Item = (usize, usize)> {
        let small = self.heads * self.head_dim <= 1024;
        SPANS.into_iter().filter(move |(start, n)| small || start + n * n < 60)
    }

    /// Of `n` rows together.
    fn tolerance(self, t: &Tolerance, n: usize, fill: Fill) -> f32 {
        let few = match self.precision {
            KvPrecision::F16 => t.attend,
            KvPrecision::Int8 => t.attend_int8,
        };
        let many = if matches!(fill, Fill::Large) { t.prompt_large } else { t.prompt };
        if n > FEW_ROWS { few.max(many) } else { few }
    }
}

const LAYERS: usize = 2;

/// What queries, keys and values are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fill {
    Normal,
    /// Scores far apart: the softmax is nearly one position.
    Large,
    /// All scores equal.
    Zero,
    Constant(f32),
}

/// Rows `[q heads | k heads | v heads]` of `n` positions.
fn qkv(random: &mut Random, s: &KvShape, n: usize, fill: Fill) -> Vec<f32> {
    let reach = if fill == Fill::Large { 6.0 } else { 1.0 };
    let values_from = (s.heads + s.kv_heads) * s.head_dim;
    let one = |i: usize, random: &mut Random| match fill {
        Fill::Normal | Fill::Large => random.normal() * reach,
        Fill::Zero if i % s.qkv_cols() < values_from => 0.0,
        Fill::Zero => random.normal(),
        Fill::Constant(v) => v,
    };
    (0..n * s.qkv_cols()).map(|i| one(i, random)).collect()
}

/// A cache filled up to `start`, layer by layer, a few positions at a time, then `n` more; and its last rows, rotated.
fn filled<B: Backend>(
    b: &B,
    form: Form,
    s: &KvShape,
    (start, n): (usize, usize),
    fill: Fill,
) -> Result<(B::Kv, B::Rows)> {
    let mut random = Random::new((s.heads * 100 + start * 10 + n) as u64);
    let (mut kv, norms) = (b.kv(s)?, form.norms());
    let capacity = n.max(23) + 1;
    let mut rows = b.rows(capacity, s.qkv_cols())?;
    for layer in 0..s.layers {
        let mut at = 0;
        while at < start {
            let part = [5, 1, 23][at % 3].min(start - at);
            b.write_rows(&mut rows, &qkv(&mut random, s, part, fill))?;
            b.rope_append(&mut rows, part, layer, at, norms.as_ref(), &mut kv)?;
            at += part;
        }
    }
    for layer in 0..s.layers {
        b.write_rows(&mut rows, &qkv(&mut random, s, n, fill))?;
        b.rope_append(&mut rows, n, layer, start, norms.as_ref(), &mut kv)?;
    }
    Ok((kv, rows))
}

/// What attention makes of the last `n` rows of such a cache, in its last layer.
fn attention_of<B: Backend>(
    b: &B,
    form: Form,
    s: &KvShape,
    (start, n): (usize, usize),
    fill: Fill,
) -> Result<Vec<f32>> {
    let (kv, rows) = filled(b, form, s, (start, n), fill)?;
    let mut out = b.rows(n + 1, s.out_cols())?;
    b.write_rows(&mut out, &vec![4321.0; (n + 1) * s.out_cols()])?;
    b.attend(&rows, n, s.layers - 1, start, &kv, &mut out)?;
    let mut attended = b.read_rows(&out, n + 1)?;
    let rest = attended.split_off(n * s.out_cols());
    assert!(rest.iter().all(|&v| v == 4321.0), "a row that is not live was written");
    Ok(attended)
}

/// Starts and lengths around the edges of blocks, a short and a longer context.
const SPANS: [(usize, usize); 14] = [
    (0, 1),
    (0, 2),
    (0, 7),
    (0, 17),
    (1, 1),
    (6, 3),
    (7, 1),
    (8, 1),
    (15, 2),
    (16, 9),
    (31, 1),
    (63, 10),
    (130, 1),
    (257, 2),
];

pub(super) fn rope_append<B: Backend>(c: &mut Cases<'_, B>) {
    for form in FORMS {
        for (start, n) in form.spans() {
            c.case(
                || format!("rope_append {form:?}, {n} from {start}"),
                |b, r, t| {
                    let s = form.shape(start + n);
                    let got = b.read_rows(&filled(b, form, &s, (start, n), Fill::Normal)?.1, n)?;
                    let want = r.read_rows(&filled(r, form, &s, (start, n), Fill::Normal)?.1, n)?;
                    // Only the queries are promised to come back rotated.
                    let queries = |rows: &[f32]| {
                        rows.chunks_exact(s.qkv_cols()).flat_map(|r| r[..s.out_cols()].to_vec()).collect::<Vec<_>>()
                    };
                    Ok(strays("q", &queries(&got), &queries(&want), t.rope * 8.0))
                },
            );
            // Keys and values show only in what attention makes of them: here of one position at a time.
            c.case(
                || format!("values of {form:?}, {n} from {start}"),
                |b, r, t| values(b, r, form.tolerance(t, 1, Fill::Large), form, (start, n)),
            );
        }
    }
    c.case(
        || "positions behind the end".to_owned(),
        |b, _, _| {
            let s = POCKET.shape(8);
            let (mut kv, mut rows) = (b.kv(&s)?, b.rows(2, s.qkv_cols())?);
            let refused = b.rope_append(&mut rows, 2, 0, 7, None, &mut kv).is_err()
                && b.rope_append(&mut rows, 1, 2, 0, None, &mut kv).is_err();
            Ok((!refused).then(|| "they were accepted".to_owned()))
        },
    );
}

/// Appends `n` positions whose keys are so far apart that a query finds exactly one of them again.
fn values<B: Backend, R: Backend>(
    b: &B,
    r: &R,
    tolerance: f32,
    form: Form,
    (start, n): (usize, usize),
) -> Result<Found> {
    let s = form.shape(start + n + 1);
    fn find<B: Backend>(b: &B, form: Form, s: &KvShape, (start, n): (usize, usize)) -> Result<Vec<f32>> {
        let mut random = Random::new(9);
        let (mut kv, norms) = (b.kv(s)?, form.norms());
        let mut rows = b.rows(n.max(start).max(1), s.qkv_cols())?;
        let mut out = b.rows(1, s.out_cols())?;
        for (at, len) in [(0, start), (start, n)] {
            if len > 0 {
                // Every query asks for its own position's key: both are rotated alike.
                let mut data = qkv(&mut random, s, len, Fill::Large);
                for row in data.chunks_exact_mut(s.qkv_cols()) {
                    let (q, k) = row.split_at_mut(s.out_cols());
                    for (h, q) in q.chunks_exact_mut(s.head_dim).enumerate() {
                        let group = h / (s.heads / s.kv_heads);
                        q.copy_from_slice(&k[group * s.head_dim..(group + 1) * s.head_dim]);
                    }
                }
                b.write_rows(&mut rows, &data)?;
                b.rope_append(&mut rows, len, 1, at, norms.as_ref(), &mut kv)?;
            }
        }
        let last = b.read_rows(&rows, n)?;
        let mut found = Vec::new();
        for row in last.chunks_exact(s.qkv_cols()).take(3) {
            b.write_rows(&mut rows, row)?;
            b.attend(&rows, 1, 1, start + n - 1, &kv, &mut out)?;
            found.extend(b.read_rows(&out, 1)?);
        }
        Ok(found)
    }
    let (got, want) = (find(b, form, &s, (start, n))?, find(r, form, &s, (start, n))?);
    Ok(strays("found", &got, &want, tolerance * largest(&want)))
}

pub(super) fn attend<B: Backend>(c: &mut Cases<'_, B>) {
    for form in FORMS {
        for (start, n) in form.spans() {
            for fill in [Fill::Normal, Fill::Large] {
                // A key of int8 may round to its neighbour by a rotation's last bit; far scores would make much of it.
                if form.precision == KvPrecision::Int8 && fill == Fill::Large {
                    continue;
                }
                c.case(
                    || format!("attend {form:?}, {n} from {start}, {fill:?}"),
                    |b, r, t| attended(b, r, form.tolerance(t, n, fill), form, (start, n), fill),
                );
            }
        }
        for fill in [Fill::Zero, Fill::Constant(0.0), Fill::Constant(127.0), Fill::Constant(-1e-6)] {
            c.case(
                || format!("attend {form:?}, {fill:?}"),
                |b, r, t| attended(b, r, form.tolerance(t, 4, fill), form, (19, 4), fill),
            );
        }
    }
    // A chunk of a prompt.
    c.case(
        || "attend, 67 from 61".to_owned(),
        |b, r, t| attended(b, r, POCKET.tolerance(t, 67, Fill::Normal), POCKET, (61, 67), Fill::Normal),
    );
    // A longer context than any block or chunk of a kernel.
    for (form, start) in [(POCKET, 1021), (ODD[0], 700), (int8(POCKET), 900)] {
        c.case(
            || format!("attend {form:?}, 3 from {start}"),
            |b, r, t| attended(b, r, form.tolerance(t, 3, Fill::Normal), form, (start, 3), Fill::Normal),
        );
    }
}

fn attended<B: Backend, R: Backend>(
    b: &B,
    r: &R,
    tolerance: f32,
    form: Form,
    (start, n): (usize, usize),
    fill: Fill,
) -> Result<Found> {
    // More context than is used: what lies behind must not count.
    let s = form.shape(start + n + 3);
    let (got, want) = (attention_of(b, form, &s, (start, n), fill)?, attention_of(r, form, &s, (start, n), fill)?);
    Ok(strays("out", &got, &want, tolerance * largest(&want).max(1e-6)))
}

pub(super) fn keep_kv<B: Backend>(c: &mut Cases<'_, B>) {
    for form in FORMS {
        for len in [0, 1, 7, 8, 13, 40] {
            c.case(|| format!("keep {len} of 40 positions, {form:?}"), |b, _, _| kept(b, form, len));
        }
    }
    c.case(
        || "saved bytes of another length".to_owned(),
        |b, _, _| {
            let s = POCKET.shape(16);
            let mut kv = b.kv(&s)?;
            let saved = b.save_kv(&kv, 5)?;
            let refused = b.load_kv(&mut kv, 6, &saved).is_err() && b.load_kv(&mut kv, 5, &saved[1..]).is_err();
            Ok((!(refused && b.save_kv(&kv, 17).is_err())).then(|| "they were accepted".to_owned()))
        },
    );
}

/// A restored cache is the saved one: attention to it is the same to the bit, in every layer.
fn kept<B: Backend>(b: &B, form: Form, len: usize) -> Result<Found> {
    let s = form.shape(45);
    let (mut old, _) = filled(b, form, &s, (33, 7), Fill::Normal)?;
    let saved = b.save_kv(&old, len)?;
    // Restored over what another conversation left.
    let (mut new, _) = filled(b, form, &s, (40, 2), Fill::Large)?;
    b.load_kv(&mut new, len, &saved)?;
    let row = qkv(&mut Random::new(1), &s, 1, Fill::Normal);
    let ask = |kv: &mut B::Kv, layer| -> Result<Vec<f32>> {
        let mut rows = b.rows(1, s.qkv_cols())?;
        let mut out = b.rows(1, s.out_cols())?;
        b.write_rows(&mut rows, &row)?;
        b.rope_append(&mut rows, 1, layer, len, None, kv)?;
        b.attend(&rows, 1, layer, len, kv, &mut out)?;
        b.read_rows(&out, 1)
    };
    for layer in 0..s.layers {
        if let Some(found) = differs("out", &ask(&mut new, layer)?, &ask(&mut old, layer)?) {
            return Ok(Some(format!("layer {layer}: {found}")));
        }
    }
    Ok(None)
}
