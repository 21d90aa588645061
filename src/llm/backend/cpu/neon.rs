//! Integer dots on ARM with `sdot` (ARMv8.2 dotprod), in `asm!`: its intrinsics are not stable.
//!
//! Formula: `Σ code·q` a row, exact in 32 bits; then `(Σcode·q − Σq) · scale` as everywhere.
//!
//! Layout: a 64-byte vector of the packed tile is four registers of 4 rows × 4 columns, what `sdot` multiplies with four
//! int8 of one lane of the activations: 16 bytes of them, one load, serve the four fields of a vector's bytes. Fields 1
//! and 2 are masked where they lie, and stay scaled by 4 and 16 in sums of their own, divided exactly at the end (field 2
//! is at most 48, so it is no negative byte; field 3 would be and is shifted down, which masks it too).
//!
//! Shapes: columns in units of 64, any number of rows and tokens. Floats are [`scalar`]'s, which the compiler makes NEON of.
//!
//! Source: the formulas are [`super::scalar`]'s; SDOT by element as in Arm's Architecture Reference Manual (FEAT_DotProd).

use std::arch::aarch64::*;
use std::arch::asm;

use half::f16;

use super::operands::{HeadRow, QuantRow};
use super::pack::{INT4_BLOCK_BYTES, Int4, Packed, TILE, UNIT, UNIT_BYTES, even_parts, sixteen};

/// `$acc += ` four products of each lane of `$w` with lane `$lane` of `$x`.
macro_rules! sdot {
    ($acc:expr, $w:expr, $x:expr, $lane:literal) => {
        // SAFETY: registers only; the functions that use it enable dotprod.
        unsafe {
            asm!(
                concat!("sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[", $lane, "]"),
                acc = inout(vreg) $acc,
                w = in(vreg) $w,
                x = in(vreg) $x,
                options(pure, nomem, nostack, preserves_flags)
            )
        }
    };
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8], at: usize) -> uint8x16_t {
    let s = &bytes[at..at + 16];
    // SAFETY: 16 readable bytes; the load does not need alignment.
    unsafe { vld1q_u8(s.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_q(q: &[i8], at: usize) -> int8x16_t {
    let s = &q[at..at + 16];
    // SAFETY: 16 readable bytes; the load does not need alignment.
    unsafe { vld1q_s8(s.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(sums: [int32x4_t; 4]) -> [i32; TILE] {
    let mut out = [0; TILE];
    for (sum, out) in sums.into_iter().zip(out.chunks_exact_mut(4)) {
        // SAFETY: 16 writable bytes; the store does not need alignment.
        unsafe { vst1q_s32(out.as_mut_ptr(), sum) };
    }
    out
}

/// `Σ code·q` over whole units: `codes` is `[units, 256]`, `q` `[units · 64]`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_units(codes: &[u8], q: &[i8]) -> [i32; TILE] {
    let (field0, field1, field2) = (vdupq_n_u8(0x03), vdupq_n_u8(0x0c), vdupq_n_u8(0x30));
    let zero = vdupq_n_s32(0);
    let (mut by1, mut by4, mut by16) = ([zero; 4], [zero; 4], [zero; 4]);
    for (vector, q) in codes.chunks_exact(64).zip(q.chunks_exact(16)) {
        let x = load_q(q, 0);
        for r in 0..4 {
            let w = load(vector, 16 * r);
            sdot!(by1[r], vandq_u8(w, field0), x, 0);
            sdot!(by4[r], vandq_u8(w, field1), x, 1);
            sdot!(by16[r], vandq_u8(w, field2), x, 2);
            sdot!(by1[r], vshrq_n_u8::<6>(w), x, 3);
        }
    }
    let sum = |r: usize| vaddq_s32(by1[r], vaddq_s32(vshrq_n_s32::<2>(by4[r]), vshrq_n_s32::<4>(by16[r])));
    store([sum(0), sum(1), sum(2), sum(3)])
}

/// One tile times one row, `dots` of each group's columns given: what is left is the same for one row and for many.
fn finish(w: &Packed, tile: usize, x: &QuantRow<'_>, out: &mut [f32; TILE], dots: &[[i32; TILE]]) {
    match w.groups(tile) {
        None => {
            let total: i32 = x.sums.iter().sum();
            out.iter_mut().zip(dots[0]).for_each(|(o, dot)| *o = (dot - total) as f32);
        }
        Some(groups) => {
            *out = [0.0; TILE];
            for (g, dots) in dots.iter().enumerate() {
                let total: i32 = x.sums[g * groups.units..(g + 1) * groups.units].iter().sum();
                let scales = sixteen(groups.scales, g * TILE);
                for ((o, dot), d) in out.iter_mut().zip(dots).zip(scales) {
                    *o += f16::from_bits(*d).to_f32() * (dot - total) as f32;
                }
            }
        }
    }
    out.iter_mut().zip(w.row_scale(tile)).for_each(|(o, scale)| *o *= scale * x.scale);
}

/// Units that share a scale.
fn group_units(w: &Packed, tile: usize) -> usize {
    w.groups(tile).map_or(w.cols / UNIT, |g| g.units)
}

#[target_feature(enable = "neon,dotprod")]
pub(super) fn ternary_row(w: &Packed, first: usize, x: QuantRow<'_>, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        ternary_tile(w, tile, x, out);
    }
}

#[target_feature(enable = "neon,dotprod")]
fn ternary_tile(w: &Packed, tile: usize, x: QuantRow<'_>, out: &mut [f32; TILE]) {
    let units = group_units(w, tile);
    let codes = w.tile(tile).chunks(units * UNIT_BYTES).zip(x.q.chunks(units * UNIT));
    if w.groups(tile).is_none() {
        let mut dots = [[0; TILE]];
        codes.for_each(|(codes, q)| dots[0] = dot_units(codes, q));
        return finish(w, tile, &x, out, &dots);
    }
    let dots: Vec<[i32; TILE]> = codes.map(|(codes, q)| dot_units(codes, q)).collect();
    finish(w, tile, &x, out, &dots);
}

/// Units unpacked at a time, at most: 6 kB.
const PANEL_UNITS: usize = 6;

/// Codes of a few units, one a byte: step `s` holds columns `4s..4s + 4` of the tile's rows, as in the packed vectors.
struct Panel([u8; PANEL_UNITS * TILE * UNIT]);

impl Panel {
    #[inline]
    #[target_feature(enable = "neon")]
    fn open(&mut self, codes: &[u8]) -> &[u8] {
        let low = vdupq_n_u8(3);
        for (vector, to) in codes.chunks_exact(64).zip(self.0.chunks_exact_mut(256)) {
            for r in 0..4 {
                let w = load(vector, 16 * r);
                let fields = [
                    vandq_u8(w, low),
                    vandq_u8(vshrq_n_u8::<2>(w), low),
                    vandq_u8(vshrq_n_u8::<4>(w), low),
                    vshrq_n_u8::<6>(w),
                ];
                for (f, field) in fields.into_iter().enumerate() {
                    let to = &mut to[64 * f + 16 * r..][..16];
                    // SAFETY: 16 writable bytes; the store does not need alignment.
                    unsafe { vst1q_u8(to.as_mut_ptr(), field) };
                }
            }
        }
        &self.0[..codes.len() * 4]
    }
}

/// Adds `Σ code·q` of an open panel to `acc` for `T` rows of activations, each `q` as long as the panel has columns.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_panel<const T: usize>(open: &[u8], q: [&[i8]; T], acc: [&mut [i32; TILE]; T]) {
    let mut sums = [[vdupq_n_s32(0); 4]; T];
    for (i, steps) in open.chunks_exact(256).enumerate() {
        let mut x = [vdupq_n_s8(0); T];
        for t in 0..T {
            x[t] = load_q(q[t], 16 * i);
        }
        for r in 0..4 {
            let w =
                [load(steps, 16 * r), load(steps, 64 + 16 * r), load(steps, 128 + 16 * r), load(steps, 192 + 16 * r)];
            for t in 0..T {
                sdot!(sums[t][r], w[0], x[t], 0);
                sdot!(sums[t][r], w[1], x[t], 1);
                sdot!(sums[t][r], w[2], x[t], 2);
                sdot!(sums[t][r], w[3], x[t], 3);
            }
        }
    }
    for (acc, sums) in acc.into_iter().zip(sums) {
        acc.iter_mut().zip(store(sums)).for_each(|(a, s)| *a += s);
    }
}

#[target_feature(enable = "neon,dotprod")]
pub(super) fn ternary_rows(w: &Packed, first: usize, x: &[QuantRow<'_>], out: &mut [[f32; TILE]]) {
    let mut panel = Panel([0; PANEL_UNITS * TILE * UNIT]);
    let mut dots = Vec::new();
    for (tile, out) in (first..).zip(out.chunks_exact_mut(x.len())) {
        tile_rows(&mut panel, &mut dots, w, tile, x, out);
    }
}

#[target_feature(enable = "neon,dotprod")]
fn tile_rows(
    panel: &mut Panel,
    dots: &mut Vec<[i32; TILE]>,
    w: &Packed,
    tile: usize,
    x: &[QuantRow<'_>],
    out: &mut [[f32; TILE]],
) {
    let units = group_units(w, tile);
    let (groups, together) = (w.cols / UNIT / units, even_parts(units, PANEL_UNITS));
    // `[row, group]`, so that a row's groups lie together.
    dots.clear();
    dots.resize(x.len() * groups, [0i32; TILE]);
    for (g, codes) in w.tile(tile).chunks(units * UNIT_BYTES).enumerate() {
        for (p, codes) in codes.chunks(together * UNIT_BYTES).enumerate() {
            let open = panel.open(codes);
            let from = (g * units + p * together) * UNIT;
            let cols = from..from + open.len() / TILE;
            for (i, x) in x.chunks(4).enumerate() {
                let mut acc = dots[4 * i * groups..].chunks_mut(groups).map(|row| &mut row[g]);
                let mut next = || acc.next().expect("a row of sums for each row of activations");
                match x {
                    [a, b, c, d] => {
                        let q = [&a.q[cols.clone()], &b.q[cols.clone()], &c.q[cols.clone()], &d.q[cols.clone()]];
                        add_panel(open, q, [next(), next(), next(), next()]);
                    }
                    x => x.iter().for_each(|x| add_panel(open, [&x.q[cols.clone()]], [next()])),
                }
            }
        }
    }
    for ((x, out), dots) in x.iter().zip(out).zip(dots.chunks_exact(groups)) {
        finish(w, tile, x, out, dots);
    }
}

/// Four fp16 values as f32.
#[inline]
#[target_feature(enable = "neon")]
fn load_f16(of: &[u16], at: usize) -> float32x4_t {
    let s = &of[at..at + 4];
    let out: float32x4_t;
    // SAFETY: 8 readable bytes without an alignment claim; the conversion is part of every ARMv8-A.
    unsafe {
        let bits = vld1_u16(s.as_ptr());
        asm!("fcvtl {out:v}.4s, {bits:v}.4h", out = out(vreg) out, bits = in(vreg) bits, options(pure, nomem, nostack));
    }
    out
}

#[target_feature(enable = "neon,dotprod")]
pub(super) fn int4_row(w: &Int4, first: usize, x: &HeadRow, out: &mut [[f32; TILE]]) {
    for (tile, out) in (first..).zip(out) {
        int4_tile(w, tile, x, out);
    }
}

#[target_feature(enable = "neon,dotprod")]
fn int4_tile(w: &Int4, tile: usize, x: &HeadRow, out: &mut [f32; TILE]) {
    let (codes, scales) = w.tile(tile);
    let low = vdupq_n_u8(15);
    let mut sum = [vdupq_n_f32(0.0); 4];
    for (b, (block, q)) in codes.chunks_exact(INT4_BLOCK_BYTES).zip(x.q.chunks_exact(32)).enumerate() {
        let q = [load_q(q, 0), load_q(q, 16)];
        for (r, sum) in sum.iter_mut().enumerate() {
            let mut dot = vdupq_n_s32(-8 * x.sums[b]);
            let w =
                [load(block, 16 * r), load(block, 64 + 16 * r), load(block, 128 + 16 * r), load(block, 192 + 16 * r)];
            sdot!(dot, vandq_u8(w[0], low), q[0], 0);
            sdot!(dot, vshrq_n_u8::<4>(w[0]), q[0], 1);
            sdot!(dot, vandq_u8(w[1], low), q[0], 2);
            sdot!(dot, vshrq_n_u8::<4>(w[1]), q[0], 3);
            sdot!(dot, vandq_u8(w[2], low), q[1], 0);
            sdot!(dot, vshrq_n_u8::<4>(w[2]), q[1], 1);
            sdot!(dot, vandq_u8(w[3], low), q[1], 2);
            sdot!(dot, vshrq_n_u8::<4>(w[3]), q[1], 3);
            let scale = vmulq_n_f32(load_f16(scales, b * TILE + 4 * r), x.d[b]);
            *sum = vaddq_f32(*sum, vmulq_f32(vcvtq_f32_s32(dot), scale));
        }
    }
    for (sum, out) in sum.into_iter().zip(out.chunks_exact_mut(4)) {
        // SAFETY: 16 writable bytes; the store does not need alignment.
        unsafe { vst1q_f32(out.as_mut_ptr(), sum) };
    }
}

#[target_feature(enable = "neon,dotprod")]
pub(super) fn q8_dot(row: &[u8], x: &HeadRow) -> f32 {
    let mut sum = 0.0;
    for (b, (block, q)) in row.chunks_exact(34).zip(x.q.chunks_exact(32)).enumerate() {
        let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let mut dot = vdupq_n_s32(0);
        for half in 0..2 {
            let (w, q) = (load(block, 2 + 16 * half), load_q(q, 16 * half));
            // SAFETY: registers only; this function enables dotprod.
            unsafe {
                asm!("sdot {dot:v}.4s, {w:v}.16b, {q:v}.16b", dot = inout(vreg) dot, w = in(vreg) w, q = in(vreg) q,
                    options(pure, nomem, nostack, preserves_flags));
            }
        }
        sum += vaddvq_s32(dot) as f32 * (d * x.d[b]);
    }
    sum
}
