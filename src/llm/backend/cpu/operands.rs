//! What the kernels are given beside the packed weights: quantized rows, one KV head's cache, the type of dense weights.

/// One quantized row, for the ternary kernels.
#[derive(Clone, Copy)]
pub(crate) struct QuantRow<'a> {
    /// `[cols]`.
    pub(crate) q: &'a [i8],
    /// Sum of each 64 of them, `[cols / 64]`.
    pub(crate) sums: &'a [i32],
    pub(crate) scale: f32,
}

/// One row quantized with a scale per 32, for the head.
#[derive(Default)]
pub(crate) struct HeadRow {
    /// `[cols]`.
    pub(crate) q: Vec<i8>,
    /// `[cols / 32]`.
    pub(crate) d: Vec<f32>,
    /// Sum of each 32 of `q`.
    pub(crate) sums: Vec<i32>,
}

/// One KV head's cache and the query heads that read it.
#[derive(Clone, Copy)]
pub(crate) struct HeadGroup<'a> {
    /// `[heads, head_dim]`, rotated.
    pub(crate) q: &'a [f32],
    pub(crate) cells: Cells<'a>,
    pub(crate) head_dim: usize,
    /// Positions to attend to, at least 1.
    pub(crate) len: usize,
}

/// A KV head's keys `[⌈context / 8⌉, head_dim, 8 positions]` and values `[context, head_dim]`.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// fp16 bits.
    F16 { k: &'a [u16], v: &'a [u16] },
    /// Scales are `[context]`, padded to whole vectors of 16.
    Int8 { k: &'a [i8], v: &'a [i8], k_scale: &'a [f32], v_scale: &'a [f32] },
}

/// How a dense head's weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F16,
    Bf16,
}
