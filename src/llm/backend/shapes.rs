//! What operations demand of the shapes they are given. Errors say what was found and what was expected; the words are
//! put together only where something does not fit.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::llm::backend::{KvShape, Part, QkNorm};

/// Rows and columns of a buffer or a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Size {
    /// Of `len` numbers in rows of `cols`; rows of no columns are as many as are wanted.
    pub(crate) fn of(len: usize, cols: usize) -> Self {
        Self { rows: len.checked_div(cols).unwrap_or(usize::MAX), cols }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.rows, self.cols)
    }
}

/// A [`Kind::Internal`] error that says `why` unless `ok`: a caller gave an operation shapes that do not fit each other.
pub(crate) fn shape(ok: bool, why: impl FnOnce() -> String) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::new(Kind::Internal, why())) }
}

/// `what` has room for `n` rows of exactly `cols` columns.
pub(crate) fn holds(op: &str, what: &str, found: Size, n: usize, cols: usize) -> Result<()> {
    shape(n <= found.rows && found.cols == cols, || format!("{op}: {what} is {found}, but must hold {n} × {cols}"))
}

/// `what` has exactly `expected` elements.
pub(crate) fn length(op: &str, what: &str, found: usize, expected: usize) -> Result<()> {
    shape(found == expected, || format!("{op}: {what} has {found} elements, but {expected} are expected"))
}

/// `len` numbers are whole rows of `to`, and no more than it holds.
pub(crate) fn whole_rows(op: &str, len: usize, to: Size) -> Result<()> {
    let fit = len.is_multiple_of(to.cols) && len <= to.rows.saturating_mul(to.cols);
    shape(fit, || format!("{op}: {len} numbers are not whole rows of a buffer of {to}"))
}

/// `parts` can be stacked: there is one, and all have as many columns.
pub(crate) fn stack(op: &str, parts: &[Part<'_>]) -> Result<()> {
    let same = parts.first().is_some_and(|first| parts.iter().all(|p| p.weights.cols() == first.weights.cols()));
    shape(same, || {
        let found: Vec<String> =
            parts.iter().map(|p| Size { rows: p.weights.rows(), cols: p.weights.cols() }.to_string()).collect();
        format!(
            "{op}: one or more matrices with as many columns are expected, but there are {}: {found:?}",
            parts.len()
        )
    })
}

/// Positions `start..start + n` of `layer` are in a cache of shape `s`.
pub(crate) fn positions(op: &str, s: &KvShape, layer: usize, start: usize, n: usize) -> Result<()> {
    let (layers, context) = (s.layers, s.context);
    let fit = layer < layers && start.checked_add(n).is_some_and(|end| end <= context);
    shape(fit, || {
        format!(
            "{op}: {n} positions from {start} in layer {layer}, but the cache holds {context} positions in {layers} layers"
        )
    })
}

/// `qkv` has `n` rows `[q heads | k heads | v heads]` of a cache of shape `s`.
pub(crate) fn qkv(op: &str, s: &KvShape, qkv: Size, n: usize) -> Result<()> {
    shape(n <= qkv.rows && qkv.cols == s.qkv_cols(), || {
        format!(
            "{op}: queries, keys and values are {qkv}, but must hold {n} × {}: the cache is for {} query heads and {} KV \
             heads of {}",
            s.qkv_cols(),
            s.heads,
            s.kv_heads,
            s.head_dim
        )
    })
}

/// Norms of heads, where there are any, have a weight for each of `head_dim` dimensions.
pub(crate) fn head_norms(op: &str, norms: Option<&QkNorm>, head_dim: usize) -> Result<()> {
    norms.map_or(Ok(()), |by| {
        length(op, "the norm of the queries", by.q.len(), head_dim)?;
        length(op, "the norm of the keys", by.k.len(), head_dim)
    })
}

/// A head `[vocabulary, width]` fits the logits and the norm of a row of `x`.
pub(crate) fn logits(head: Size, weight: usize, x: Size, row: usize, logits: usize) -> Result<()> {
    holds("logits", "x", x, row.saturating_add(1), head.cols)?;
    length("logits", "the norm's weight", weight, head.cols)?;
    shape(head.rows == logits, || format!("logits: the head is {head}, but there is room for {logits} logits"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::llm::backend::{Backend, KvPrecision, Rope, cpu::Cpu, reference::Reference};

    /// What an operation says, word for word, of shapes that do not fit: the same on every backend.
    fn says_the_numbers<B: Backend>(b: &B) {
        let rope = Arc::new(Rope::new(4, 32, 1e4, None));
        let s =
            KvShape { layers: 2, context: 4, heads: 9, kv_heads: 3, head_dim: 64, precision: KvPrecision::F16, rope };
        let says = |found: Result<()>, expected: &str| {
            let e = found.expect_err(expected);
            assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Internal, expected));
        };
        let (mut kv, rows) = (b.kv(&s).unwrap(), |n, cols| b.rows(n, cols).unwrap());
        says(
            b.attend(&rows(2, 1920), 2, 0, 0, &kv, &mut rows(2, 576)),
            "attend: queries, keys and values are 2 × 1920, but must hold 2 × 960: the cache is for 9 query heads and 3 KV \
             heads of 64",
        );
        says(
            b.attend(&rows(2, 960), 2, 1, 3, &kv, &mut rows(2, 576)),
            "attend: 2 positions from 3 in layer 1, but the cache holds 4 positions in 2 layers",
        );
        says(b.attend(&rows(2, 960), 2, 0, 0, &kv, &mut rows(1, 576)), "attend: out is 1 × 576, but must hold 2 × 576");
        let norms = QkNorm { q: vec![1.0; 64], k: vec![1.0; 60], eps: 1e-6 };
        says(
            b.rope_append(&mut rows(1, 960), 1, 0, 0, Some(&norms), &mut kv),
            "rope_append: the norm of the keys has 60 elements, but 64 are expected",
        );
        says(
            b.norm_quantize(&rows(2, 64), 2, &[1.0; 32], 1e-5, &mut b.quant(2, 64).unwrap()),
            "norm_quantize: the norm's weight has 32 elements, but 64 are expected",
        );
        says(
            b.swiglu_quantize(&rows(2, 64), 2, &mut b.quant(2, 64).unwrap()),
            "swiglu_quantize: gate_up is 2 × 64, but must hold 2 × 128",
        );
        says(
            b.write_rows(&mut rows(2, 64), &[0.0; 65]),
            "write_rows: 65 numbers are not whole rows of a buffer of 2 × 64",
        );
        let saved = b.save_kv(&kv, 2).unwrap();
        let expected = saved.len();
        says(
            b.load_kv(&mut kv, 2, &saved[1..]),
            &format!("load_kv: what was saved has {} elements, but {expected} are expected", expected - 1),
        );
    }

    #[test]
    fn errors_say_what_was_found_and_what_was_expected() {
        says_the_numbers(&Reference);
        says_the_numbers(&Cpu::new(1).unwrap());
    }

    #[test]
    fn nothing_is_put_together_where_shapes_fit() {
        shape(true, || unreachable!("the message of shapes that fit")).unwrap();
    }
}
