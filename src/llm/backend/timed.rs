//! Where a token's time goes: a backend around a backend that counts and times each operation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Backend, FileRows, KvShape, Once, Part, QkNorm};
use crate::error::Result;
use crate::llm::gguf::TensorType;
use crate::units::TokenId;

/// The operations, in the order in which a token passes through them.
const OPS: [&str; 9] = [
    "embed",
    "norm_quantize",
    "linear_into",
    "rope_append",
    "attend",
    "quantize",
    "linear_add",
    "swiglu_quantize",
    "logits",
];

/// Calls and time of each operation, since the last [`Profile::clear`].
#[derive(Debug, Default)]
pub struct Profile {
    calls: [AtomicU64; OPS.len()],
    nanos: [AtomicU64; OPS.len()],
}

/// One operation's share.
#[derive(Debug, Clone, PartialEq)]
pub struct Spent {
    pub op: &'static str,
    pub calls: u64,
    pub time: Duration,
}

impl Profile {
    pub fn clear(&self) {
        for v in self.calls.iter().chain(&self.nanos) {
            v.store(0, Ordering::Relaxed);
        }
    }

    pub fn spent(&self) -> Vec<Spent> {
        let one = |(i, op): (usize, &'static str)| Spent {
            op,
            calls: self.calls[i].load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanos[i].load(Ordering::Relaxed)),
        };
        OPS.into_iter().enumerate().map(one).collect()
    }

    fn time<T>(&self, op: usize, run: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = run();
        self.calls[op].fetch_add(1, Ordering::Relaxed);
        self.nanos[op].fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        out
    }
}

/// `B`, timed. An operation counts as done when its call returns.
pub struct Timed<B> {
    backend: B,
    profile: Profile,
}

impl<B> Timed<B> {
    pub fn new(backend: B) -> Self {
        Self { backend, profile: Profile::default() }
    }
}

impl<B: Backend> Backend for Timed<B> {
    type Rows = B::Rows;
    type Quant = B::Quant;
    type Linear = B::Linear;
    type Embedding = B::Embedding;
    type Head = B::Head;
    type Kv = B::Kv;

    fn describe(&self) -> String {
        self.backend.describe()
    }
    fn profile(&self) -> Option<&Profile> {
        Some(&self.profile)
    }
    fn rows_bytes(&self, capacity: usize, cols: usize) -> u64 {
        self.backend.rows_bytes(capacity, cols)
    }
    fn quant_bytes(&self, capacity: usize, cols: usize) -> u64 {
        self.backend.quant_bytes(capacity, cols)
    }
    fn linear_bytes(&self, rows: usize, cols: usize, group: Option<usize>) -> u64 {
        self.backend.linear_bytes(rows, cols, group)
    }
    fn head_bytes(&self, ty: TensorType, rows: usize, cols: usize) -> u64 {
        self.backend.head_bytes(ty, rows, cols)
    }
    fn kv_bytes(&self, shape: &KvShape) -> u64 {
        self.backend.kv_bytes(shape)
    }
    fn rows(&self, capacity: usize, cols: usize) -> Result<B::Rows> {
        self.backend.rows(capacity, cols)
    }
    fn quant(&self, capacity: usize, cols: usize) -> Result<B::Quant> {
        self.backend.quant(capacity, cols)
    }
    fn kv(&self, shape: &KvShape) -> Result<B::Kv> {
        self.backend.kv(shape)
    }
    fn linear(&self, parts: &[Part<'_>]) -> Result<B::Linear> {
        self.backend.linear(parts)
    }
    fn embedding(&self, table: FileRows) -> Result<B::Embedding> {
        self.backend.embedding(table)
    }
    fn head(&self, ty: TensorType, rows: usize, cols: usize, bytes: Once<'_>) -> Result<B::Head> {
        self.backend.head(ty, rows, cols, bytes)
    }
    fn write_rows(&self, to: &mut B::Rows, data: &[f32]) -> Result<()> {
        self.backend.write_rows(to, data)
    }
    fn read_rows(&self, from: &B::Rows, n: usize) -> Result<Vec<f32>> {
        self.backend.read_rows(from, n)
    }
    fn write_quant(&self, to: &mut B::Quant, q: &[i8], scales: &[f32]) -> Result<()> {
        self.backend.write_quant(to, q, scales)
    }
    fn read_quant(&self, from: &B::Quant, n: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        self.backend.read_quant(from, n)
    }
    fn save_kv(&self, kv: &B::Kv, len: usize) -> Result<Vec<u8>> {
        self.backend.save_kv(kv, len)
    }
    fn load_kv(&self, kv: &mut B::Kv, len: usize, saved: &[u8]) -> Result<()> {
        self.backend.load_kv(kv, len, saved)
    }

    fn embed(&self, table: &B::Embedding, tokens: &[TokenId], x: &mut B::Rows) -> Result<()> {
        self.profile.time(0, || self.backend.embed(table, tokens, x))
    }
    fn norm_quantize(&self, x: &B::Rows, n: usize, weight: &[f32], eps: f32, out: &mut B::Quant) -> Result<()> {
        self.profile.time(1, || self.backend.norm_quantize(x, n, weight, eps, out))
    }
    fn quantize(&self, x: &B::Rows, n: usize, out: &mut B::Quant) -> Result<()> {
        self.profile.time(5, || self.backend.quantize(x, n, out))
    }
    fn linear_into(&self, w: &B::Linear, x: &B::Quant, n: usize, y: &mut B::Rows) -> Result<()> {
        self.profile.time(2, || self.backend.linear_into(w, x, n, y))
    }
    fn linear_add(&self, w: &B::Linear, x: &B::Quant, n: usize, y: &mut B::Rows) -> Result<()> {
        self.profile.time(6, || self.backend.linear_add(w, x, n, y))
    }
    fn rope_append(
        &self,
        qkv: &mut B::Rows,
        n: usize,
        layer: usize,
        start: usize,
        norms: Option<&QkNorm>,
        kv: &mut B::Kv,
    ) -> Result<()> {
        self.profile.time(3, || self.backend.rope_append(qkv, n, layer, start, norms, kv))
    }
    fn attend(&self, qkv: &B::Rows, n: usize, layer: usize, start: usize, kv: &B::Kv, out: &mut B::Rows) -> Result<()> {
        self.profile.time(4, || self.backend.attend(qkv, n, layer, start, kv, out))
    }
    fn swiglu_quantize(&self, gate_up: &B::Rows, n: usize, out: &mut B::Quant) -> Result<()> {
        self.profile.time(7, || self.backend.swiglu_quantize(gate_up, n, out))
    }
    fn logits(
        &self,
        head: &B::Head,
        weight: &[f32],
        eps: f32,
        x: &B::Rows,
        row: usize,
        logits: &mut [f32],
    ) -> Result<()> {
        self.profile.time(8, || self.backend.logits(head, weight, eps, x, row, logits))
    }
}
