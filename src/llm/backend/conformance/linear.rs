//! Ternary products.

use super::data::{Codes, Fill, Random, Scales, Stored};
use super::{Cases, Found, differs, largest, strays};
use crate::error::Result;
use crate::llm::backend::{Backend, Part};
use crate::llm::gguf::TensorType;

/// Whether results replace or are added to what is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Into {
    Fresh,
    Added,
}

/// Inner dimensions of the real models' linears: pocket, Falcon3-7B, Llama3-8B and Qwen3-8B.
const COLS: [usize; 8] = [576, 1536, 2048, 3072, 4096, 12288, 14336, 23040];

/// How the real models stack rows, cut down to what can be checked quickly; none is a multiple of a tile.
const STACKS: [&[usize]; 3] = [&[17], &[13, 8, 8], &[9, 3, 5]];

const TERNARY: [TensorType; 4] = [TensorType::Tq1_0, TensorType::Tq2_0, TensorType::Q2_0, TensorType::Q2_0G128];

/// One product.
#[derive(Debug, Clone, Copy)]
struct Shape<'a> {
    ty: TensorType,
    stack: &'a [usize],
    cols: usize,
    n: usize,
}

#[derive(Debug, Clone, Copy)]
struct Values {
    codes: Codes,
    scales: Scales,
    fill: Fill,
    /// Of the activations.
    scale: f32,
    factor: f32,
}

const PLAIN: Values =
    Values { codes: Codes::Random, scales: Scales::One(1.0), fill: Fill::Random, scale: 1.0, factor: 1.0 };

pub(super) fn linear<B: Backend>(c: &mut Cases<'_, B>, into: Into) {
    let mut one = |shape: Shape<'_>, values: Values| {
        c.case(|| format!("{into:?} {shape:?} {values:?}"), |b, r, t| product(b, r, t.groups, into, shape, values));
    };
    // The sums that come nearest to overflowing.
    for cols in [64, 23040] {
        for codes in [Codes::All(0), Codes::All(1), Codes::All(2), Codes::All(3), Codes::Random] {
            for fill in [-128, -127, 0, 127].map(Fill::Constant).into_iter().chain([Fill::Alternating]) {
                for n in [1, 5] {
                    let shape = Shape { ty: TensorType::Q2_0, stack: &[18], cols, n };
                    one(shape, Values { codes, fill, ..PLAIN });
                    one(shape, Values { codes, fill, scales: Scales::PowersOfTwo, ..PLAIN });
                }
            }
        }
    }
    // Every real inner dimension, every type, a token and a few; scales that keep sums exact, then any.
    for cols in COLS {
        // A width of 576 is not a whole number of some types' blocks.
        for ty in TERNARY.into_iter().filter(|ty| cols.is_multiple_of(ty.block().0)) {
            for (stack, n) in [(STACKS[0], 1), (STACKS[1], 3), (STACKS[2], 5)] {
                let shape = Shape { ty, stack, cols, n };
                one(shape, Values { scales: Scales::PowersOfTwo, scale: 0.25, ..PLAIN });
                one(shape, Values { scales: Scales::Random, scale: 0.013, factor: 0.7, ..PLAIN });
            }
            one(
                Shape { ty, stack: STACKS[0], cols, n: 2 },
                Values { scales: Scales::One(0.037), scale: 1e-3, ..PLAIN },
            );
        }
    }
    // Every small batch and odd large ones, with one scale and with groups.
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 17, 31, 33, 64, 65, 67, 128, 131] {
        for ty in TERNARY {
            for cols in [256, 576, 768].into_iter().filter(|cols| cols % ty.block().0 == 0) {
                let shape = Shape { ty, stack: &[37], cols, n };
                one(shape, Values { scales: Scales::One(0.5), ..PLAIN });
                one(shape, Values { scales: Scales::PowersOfTwo, ..PLAIN });
            }
        }
    }
    // Every number of rows around the edges of tiles.
    for rows in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 127, 129] {
        for n in [1, 2, 19] {
            one(Shape { ty: TensorType::Q2_0, stack: &[rows], cols: 320, n }, PLAIN);
        }
    }
    // Scales at the ends of fp16 and f32.
    for (d, scale, factor) in
        [(6e-8, 1e-7, 1.0), (65504.0, 1e-3, 1.0), (1.0, 1e30, 1.0), (1.0, 1e-30, 1e-6), (0.0, 1.0, 1.0)]
    {
        let shape = Shape { ty: TensorType::Tq2_0, stack: &[21], cols: 512, n: 3 };
        one(shape, Values { scales: Scales::One(d), scale, factor, ..PLAIN });
    }
    // The whole matrices of the pocket model.
    for (stack, cols) in [(&[576, 192, 192][..], 576), (&[576], 576), (&[1536, 1536], 576), (&[576], 1536)] {
        for n in [1, 6, 70] {
            one(Shape { ty: TensorType::Q2_0, stack, cols, n }, Values { scales: Scales::One(0.02), ..PLAIN });
        }
    }
    for n in [1, 4] {
        c.case(
            || format!("{into:?} one scale above groups of 64, 128 and 256, n = {n}"),
            |b, r, t| mixed(b, r, t.groups, into, n, 4),
        );
        // As many as a model stacks.
        c.case(
            || format!("{into:?} one scale above groups of 64 and 128, n = {n}"),
            |b, r, t| mixed(b, r, t.groups, into, n, 3),
        );
    }
}

fn product<B: Backend, R: Backend>(b: &B, r: &R, groups: f32, into: Into, s: Shape<'_>, v: Values) -> Result<Found> {
    let mut random = Random::new((s.cols * 31 + s.n * 7 + s.stack.len()) as u64);
    let of = |random: &mut Random, rows: &usize| Stored::new(random, s.ty, (*rows, s.cols), v.codes, v.scales);
    let stored: Vec<Stored> = s.stack.iter().map(|rows| of(&mut random, rows)).collect();
    let q = v.fill.int8(&mut random, s.n * s.cols);
    let parts: Vec<Part<'_>> = stored.iter().map(|w| w.part(v.factor)).collect();
    // What makes the result's f32 sums exact in any order.
    let exact = !matches!(v.scales, Scales::Random);
    // Every row has a scale of its own; powers of two apart, so that sums stay exact.
    let scales: Vec<f32> = (0..s.n).map(|i| v.scale * 2f32.powi(i as i32 % 5)).collect();
    compare(b, r, if exact { 0.0 } else { groups }, into, &parts, (&q, &scales))
}

/// One scale a tensor and groups of each size, stacked.
fn mixed<B: Backend, R: Backend>(b: &B, r: &R, tolerance: f32, into: Into, n: usize, parts: usize) -> Result<Found> {
    let mut random = Random::new(5);
    let of = |random: &mut Random, ty, rows, scales| Stored::new(random, ty, (rows, 768), Codes::Random, scales);
    let stored = [
        of(&mut random, TensorType::Tq2_0, 20, Scales::One(0.3)),
        of(&mut random, TensorType::Q2_0, 9, Scales::Random),
        of(&mut random, TensorType::Q2_0G128, 17, Scales::Random),
        of(&mut random, TensorType::Tq1_0, 5, Scales::Random),
    ];
    let factors = [1.0, 0.5, 3.0, 1.0];
    let parts: Vec<Part<'_>> = stored.iter().zip(factors).take(parts).map(|(w, factor)| w.part(factor)).collect();
    let q = Fill::Random.int8(&mut random, n * 768);
    compare(b, r, tolerance, into, &parts, (&q, &vec![0.01; n]))
}

/// What a result is added to: whole numbers, so that a sum of exact terms rounds once.
fn before(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i % 37) as f32 - 18.0).collect()
}

fn compare<B: Backend, R: Backend>(
    b: &B,
    r: &R,
    groups: f32,
    into: Into,
    parts: &[Part<'_>],
    (q, scales): (&[i8], &[f32]),
) -> Result<Found> {
    let got = run(b, into, parts, q, scales)?;
    let want = run(r, into, parts, q, scales)?;
    if into == Into::Fresh && groups == 0.0 {
        return Ok(differs("y", &got, &want));
    }
    // An addition may be fused with the product before it: one rounding less.
    let add = if into == Into::Added { 1.2e-7 } else { 0.0 };
    Ok(strays("y", &got, &want, (groups + add) * largest(&want)))
}

fn run<B: Backend>(b: &B, into: Into, parts: &[Part<'_>], q: &[i8], scales: &[f32]) -> Result<Vec<f32>> {
    let (rows, cols): (usize, usize) = (parts.iter().map(|p| p.weights.rows()).sum(), parts[0].weights.cols());
    let n = scales.len();
    let w = b.linear(parts)?;
    // Buffers with room to spare: the operation must not take their size for the number of rows.
    let mut x = b.quant(n + 1, cols)?;
    let mut y = b.rows(n + 1, rows)?;
    b.write_quant(&mut x, q, scales)?;
    let old = before((n + 1) * rows);
    b.write_rows(&mut y, &old)?;
    match into {
        Into::Fresh => b.linear_into(&w, &x, n, &mut y)?,
        Into::Added => b.linear_add(&w, &x, n, &mut y)?,
    }
    let out = b.read_rows(&y, n + 1)?;
    let (out, rest) = out.split_at(n * rows);
    assert_eq!(rest, &old[n * rows..], "a row that is not live was written");
    Ok(out.to_vec())
}
