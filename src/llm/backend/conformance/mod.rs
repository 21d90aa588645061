//! One suite for every backend: each operation over the shapes of the real models, judged against [`Reference`].
//!
//! `suite!(name, backend)` instantiates it, one test an operation. What is an integer must be the same to the bit, also
//! behind a scale: with scales that are powers of two a ternary product is exact in any order of its sums. Floats may
//! differ by the [`Tolerance`] of the backend, each part of which says why it is there. [`mutants`] shows that no case is
//! idle: every operation done a little wrong must fail its own.

use super::Backend;
use super::reference::Reference;
use crate::error::{Kind, Result};

mod attention;
mod data;
mod head;
mod linear;
mod mutants;
mod rows;
mod tests;

pub(crate) use tests::{conforms, conforms_but, suite};

/// The operations, each with cases of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Embed,
    NormQuantize,
    Quantize,
    LinearInto,
    LinearAdd,
    RopeAppend,
    Attend,
    SwigluQuantize,
    Logits,
    /// `save_kv` and `load_kv`.
    KeepKv,
}

impl Op {
    pub(crate) const ALL: [Op; 10] = [
        Op::Embed,
        Op::NormQuantize,
        Op::Quantize,
        Op::LinearInto,
        Op::LinearAdd,
        Op::RopeAppend,
        Op::Attend,
        Op::SwigluQuantize,
        Op::Logits,
        Op::KeepKv,
    ];
}

/// How far a backend's floats may lie from the reference's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tolerance {
    /// Of a product of several scale groups, relative to the case's largest: up to 360 f32 terms in another order.
    pub(crate) groups: f32,
    /// Of a norm before rounding, in steps of the quantizer: `r` may be an ulp off (its sum is f64, its root may not be),
    /// and 127 steps times four roundings of 6e-8 are 3e-5.
    pub(crate) norm_steps: f64,
    /// Of SwiGLU before rounding, in steps: an exponential good to 1e-6 is as good as any.
    pub(crate) swiglu_steps: f64,
    /// Of a rotated pair, relative to its length: `a·cos − b·sin` with or without a fused multiply-add.
    pub(crate) rope: f32,
    /// Of attention, relative to the largest value attended to: f32 sums in another order, another exponential, and now
    /// and then a key that rounds to its other fp16 neighbour.
    pub(crate) attend: f32,
    /// The same where more rows than [`FEW_ROWS`] are attended together: a backend may multiply in fp16 then, as it may the
    /// weights of a softmax (half an ulp of each is 2⁻¹¹, of which a few add up).
    pub(crate) prompt: f32,
    /// The same where scores are far apart (a deviation of 36): an fp16 query's half ulp moves a score by 2⁻¹¹/√3 of that,
    /// 0.01, five deviations are 0.05, and where two positions compete a score moved by d moves the result by d/2 at most.
    pub(crate) prompt_large: f32,
    /// The same where keys are int8: now and then one rounds to the next step, a 127th of its head's largest.
    pub(crate) attend_int8: f32,
    /// Of a logit, relative to the lengths of the two vectors: up to 4,096 f32 terms in another order.
    pub(crate) logits: f32,
    /// The same where the stored weights are K-quants, which a backend may keep as fp16 (half an ulp is 5e-4 of each).
    pub(crate) k_quants: f32,
}

impl Tolerance {
    pub(crate) const F32: Tolerance = Tolerance {
        groups: 2e-6,
        norm_steps: 3e-4,
        swiglu_steps: 1e-3,
        rope: 1e-6,
        attend: 2e-4,
        prompt: 2e-4,
        prompt_large: 2e-4,
        attend_int8: 2e-3,
        logits: 2e-7,
        k_quants: 5e-5,
    };

    /// Prompts on a GPU's tensor cores: fp16 queries, weights and values.
    pub(crate) const PROMPTS_IN_F16: Tolerance = Tolerance { prompt: 3e-3, prompt_large: 5e-2, ..Self::F32 };
}

/// Rows that every backend attends one by one, in f32.
const FEW_ROWS: usize = 8;

/// What an operation's cases showed.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) cases: usize,
    /// Cases whose shapes the backend does not have and said so, [`Kind::Unsupported`], with the first few of them.
    pub(crate) refused: (usize, Vec<String>),
    /// The first few cases that failed, and how.
    pub(crate) failures: Vec<String>,
}

/// An operation's cases being run.
struct Cases<'b, B: Backend> {
    backend: &'b B,
    reference: Reference,
    tolerance: Tolerance,
    verdict: Verdict,
    /// Failures after which the rest would say nothing new.
    enough: usize,
}

/// What a case found: nothing, or how the results differ.
type Found = Option<String>;

impl<B: Backend> Cases<'_, B> {
    fn case(&mut self, name: impl FnOnce() -> String, run: impl FnOnce(&B, &Reference, &Tolerance) -> Result<Found>) {
        if self.verdict.failures.len() >= self.enough {
            return;
        }
        self.verdict.cases += 1;
        match run(self.backend, &self.reference, &self.tolerance) {
            Ok(None) => {}
            Err(e) if e.kind() == Kind::Unsupported => {
                let (count, first) = &mut self.verdict.refused;
                *count += 1;
                if first.len() < 3 {
                    first.push(format!("{}: {e}", name()));
                }
            }
            Ok(Some(found)) => self.verdict.failures.push(format!("{}: {found}", name())),
            Err(e) => self.verdict.failures.push(format!("{}: {e}", name())),
        }
    }
}

/// Runs the cases of `op` on `backend` until `enough` have failed.
pub(crate) fn check<B: Backend>(backend: &B, op: Op, tolerance: Tolerance, enough: usize) -> Verdict {
    let mut c = Cases { backend, reference: Reference, tolerance, verdict: Verdict::default(), enough };
    match op {
        Op::Embed => rows::embed(&mut c),
        Op::NormQuantize => rows::norm_quantize(&mut c),
        Op::Quantize => rows::quantize(&mut c),
        Op::SwigluQuantize => rows::swiglu_quantize(&mut c),
        Op::LinearInto => linear::linear(&mut c, linear::Into::Fresh),
        Op::LinearAdd => linear::linear(&mut c, linear::Into::Added),
        Op::RopeAppend => attention::rope_append(&mut c),
        Op::Attend => attention::attend(&mut c),
        Op::KeepKv => attention::keep_kv(&mut c),
        Op::Logits => head::logits(&mut c),
    }
    c.verdict
}

/// The first element that is not the same number.
fn differs<T: PartialEq + std::fmt::Debug>(what: &str, got: &[T], want: &[T]) -> Found {
    if got.len() != want.len() {
        return Some(format!("{what}: {} elements in place of {}", got.len(), want.len()));
    }
    let i = got.iter().zip(want).position(|(g, w)| g != w)?;
    Some(format!("{what}[{i}] is {:?}, not {:?}", got[i], want[i]))
}

/// The first element further than `tolerance` from what it should be (or not a number).
fn strays(what: &str, got: &[f32], want: &[f32], tolerance: f32) -> Found {
    if got.len() != want.len() {
        return Some(format!("{what}: {} elements in place of {}", got.len(), want.len()));
    }
    let near = |(g, w): (&f32, &f32)| g == w || (g - w).abs() <= tolerance;
    let i = got.iter().zip(want).position(|pair| !near(pair))?;
    Some(format!("{what}[{i}] is {}, not {} ± {tolerance:e}", got[i], want[i]))
}

fn largest(of: &[f32]) -> f32 {
    of.iter().fold(0.0, |m, v| m.max(v.abs()))
}
