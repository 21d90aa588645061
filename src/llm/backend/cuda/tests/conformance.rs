//! The shared suite, as the CPU's backends run it. Shapes that no model has (widths that are no multiple of 8, heads of 16 to
//! 80, four matrices in one) are refused with a message; as many as that are, and no more, may be.

use super::*;

fn run(op: Op, refusals: usize) {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    conforms_but(&cuda, op, Tolerance::PROMPTS_IN_F16, refusals);
}

#[test]
fn embed() {
    run(Op::Embed, 0);
}
// Widths of 1, 7, 31, 65, 100 and 769: 6 × 3 batches × 9 kinds; normed 8 kinds, 2 epsilons.
#[test]
fn quantize() {
    run(Op::Quantize, 6 * 3 * 9);
}
#[test]
fn norm_quantize() {
    run(Op::NormQuantize, 6 * 3 * 8 * 2);
}
// Twice 100 is a multiple of 8: 5 × 3 batches × 6 kinds × 3 reaches.
#[test]
fn swiglu_quantize() {
    run(Op::SwigluQuantize, 5 * 3 * 6 * 3);
}
// Four matrices in one, n = 1 and 4.
#[test]
fn linear_into() {
    run(Op::LinearInto, 2);
}
#[test]
fn linear_add() {
    run(Op::LinearAdd, 2);
}
// Seven forms with odd heads, 14 spans, two cases each.
#[test]
fn rope_append() {
    run(Op::RopeAppend, 7 * 14 * 2);
}
// The same: 5 of fp16 and 2 of int8, two fills and one; four fills more each; a longer context.
#[test]
fn attend() {
    run(Op::Attend, 14 * (5 * 2 + 2) + 7 * 4 + 1);
}
#[test]
fn logits() {
    run(Op::Logits, 0);
}
#[test]
fn keep_kv() {
    run(Op::KeepKv, 7 * 6);
}

/// Base 3 has codes of three values only: what has a fourth is refused, 2 widths × 5 fills × 2 batches (those with scales of
/// groups stay at two bits).
#[test]
fn products_in_base_3() {
    let Some(cuda) = gpu(Packing::Base3) else { return };
    for op in [Op::LinearInto, Op::LinearAdd, Op::Logits] {
        conforms_but(&cuda, op, Tolerance::PROMPTS_IN_F16, if op == Op::Logits { 0 } else { 2 + 2 * 5 * 2 });
    }
}
