//! Numbers to compute with: the same in every run, of every stored type.

use std::sync::Arc;

use half::{bf16, f16};

use crate::llm::backend::{FileRows, Part};
use crate::llm::gguf::{Gguf, TensorType};
use crate::llm::quant::Ternary;

/// A small generator (xorshift64*); the suite needs variety, not quality.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// −1 to 1.
    pub(super) fn unit(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }

    /// About normal, deviation 1.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() / 2.0
    }

    pub(super) fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

/// What int8 rows consist of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fill {
    Random,
    Constant(i8),
    /// 127 and −128 in turn.
    Alternating,
}

impl Fill {
    pub(super) fn int8(self, random: &mut Random, n: usize) -> Vec<i8> {
        let one = |i: usize, random: &mut Random| match self {
            Fill::Random => (random.below(255) as i32 - 127) as i8,
            Fill::Constant(v) => v,
            Fill::Alternating => [127, -128][i % 2],
        };
        (0..n).map(|i| one(i, random)).collect()
    }
}

/// Codes of a ternary matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Codes {
    /// −1, 0 and 1.
    Random,
    /// All of them this code; 3 is what two bits can also say (types with five trits a byte cannot).
    All(u8),
}

/// Scales of a ternary matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scales {
    /// One for the tensor.
    One(f32),
    /// 2⁻² to 2¹ a block: sums of products are exact in f32, in any order.
    PowersOfTwo,
    Random,
}

/// A stored ternary matrix.
pub(super) struct Stored {
    ty: TensorType,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
}

impl Stored {
    pub(super) fn new(
        random: &mut Random,
        ty: TensorType,
        (rows, cols): (usize, usize),
        codes: Codes,
        scales: Scales,
    ) -> Self {
        let (weights, _) = ty.block();
        let mut bytes = Vec::new();
        let mut block = vec![0u8; weights];
        for _ in 0..rows * cols / weights {
            for c in &mut block {
                *c = match codes {
                    Codes::Random => random.below(3) as u8,
                    Codes::All(code) => code,
                };
            }
            let d = match scales {
                Scales::One(d) => d,
                Scales::PowersOfTwo => 2f32.powi(random.below(4) as i32 - 2),
                Scales::Random => 0.01 + random.unit().abs(),
            };
            push_block(ty, &block, f16::from_f32(d), &mut bytes);
        }
        Self { ty, rows, cols, bytes }
    }

    pub(super) fn part(&self, factor: f32) -> Part<'_> {
        let weights = Ternary::new(self.ty, self.rows, self.cols, &self.bytes);
        Part { weights: weights.expect("blocks of the right number and size"), factor }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One block of codes (0 to 3) as `ty` stores them.
pub(super) fn push_block(ty: TensorType, codes: &[u8], d: f16, out: &mut Vec<u8>) {
    let d = d.to_le_bytes();
    match ty {
        TensorType::Tq2_0 => {
            let mut bytes = [0u8; 64];
            for (n, &c) in codes.iter().enumerate() {
                bytes[n / 128 * 32 + n % 32] |= c << (n % 128 / 32 * 2);
            }
            out.extend_from_slice(&bytes);
            out.extend_from_slice(&d);
        }
        TensorType::Tq1_0 => {
            let mut from = 0;
            for (bytes, trits) in [(32, 5), (16, 5), (4, 4)] {
                for i in 0..bytes {
                    let v = (0..5)
                        .fold(0u32, |v, t| v * 3 + if t < trits { u32::from(codes[from + t * bytes + i]) } else { 0 });
                    out.push((v * 256).div_ceil(243) as u8);
                }
                from += bytes * trits;
            }
            out.extend_from_slice(&d);
        }
        _ => {
            out.extend_from_slice(&d);
            out.extend(codes.chunks(4).map(|c| c.iter().rev().fold(0, |b, &c| b << 2 | c)));
        }
    }
}

/// `n` weights of any type, as random bytes with sensible scales.
pub(super) fn head_bytes(random: &mut Random, ty: TensorType, n: usize) -> Vec<u8> {
    let (weights, size) = ty.block();
    // Where a block's fp16 numbers lie.
    let scales: &[usize] = match ty {
        TensorType::Q4_0 | TensorType::Q8_0 => &[0],
        TensorType::Q4K => &[0, 2],
        TensorType::Q6K => &[208],
        _ => &[],
    };
    let mut out = Vec::with_capacity(n / weights * size);
    for _ in 0..n / weights {
        let v = random.normal() * 0.05;
        match ty {
            TensorType::F32 => out.extend_from_slice(&v.to_le_bytes()),
            TensorType::F16 => out.extend_from_slice(&f16::from_f32(v).to_le_bytes()),
            TensorType::Bf16 => out.extend_from_slice(&bf16::from_f32(v).to_le_bytes()),
            _ => {
                let at = out.len();
                out.extend((0..size).map(|_| random.next() as u8));
                for s in scales {
                    let d = f16::from_f32(0.002 + random.unit().abs() * 0.02).to_le_bytes();
                    out[at + s..at + s + 2].copy_from_slice(&d);
                }
            }
        }
    }
    out
}

/// A file with one tensor, `[rows, cols]` of `ty`.
pub(super) fn table(ty: TensorType, id: u32, rows: usize, cols: usize, bytes: &[u8]) -> FileRows {
    let mut file = b"GGUF".to_vec();
    file.extend_from_slice(&3u32.to_le_bytes());
    for v in [1u64, 0, 1] {
        file.extend_from_slice(&v.to_le_bytes());
    }
    file.extend_from_slice(b"t");
    file.extend_from_slice(&2u32.to_le_bytes());
    for v in [cols as u64, rows as u64] {
        file.extend_from_slice(&v.to_le_bytes());
    }
    file.extend_from_slice(&id.to_le_bytes());
    file.extend_from_slice(&0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend_from_slice(bytes);
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(path.path(), file).expect("room for it");
    // The map outlives the name.
    let file = Arc::new(Gguf::open(path.path()).expect("a sound file"));
    let tensor = file.require_tensor("t").expect("its tensor").clone();
    assert_eq!(tensor.ty, ty);
    FileRows::new(file, tensor)
}
