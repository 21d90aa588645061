//! The table of kernels, filled for the instruction set that is there.
//!
//! [`super::scalar`] says what each entry computes; the other sets compute the same (integers exactly, floats to the
//! tolerances of the conformance suite). An entry may only be called on a processor with its set's features, which
//! [`Isa::detect`] and [`Kernels::of`] see to. Sources are named at [`super::scalar`].

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::operands::{Float, HeadGroup, HeadRow, QuantRow};
use super::pack::{Int4, Packed, TILE};
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx2_attention, avx512};

/// Instruction sets with kernels of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    Scalar,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW and VNNI for the integer dots, AVX2 for the rest.
    Avx512Vnni,
    /// AMX int8 for several rows at a time, AVX-512 for the rest.
    Amx,
    /// ARM's `sdot` for the integer dots.
    NeonDotprod,
}

impl Isa {
    /// All sets this processor has, best first.
    pub fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 =
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
            let vnni = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni");
            if avx2 && vnni && amx::available() {
                sets.push(Isa::Amx);
            }
            if avx2 && vnni {
                sets.push(Isa::Avx512Vnni);
            }
            if avx2 {
                sets.push(Isa::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            sets.push(Isa::NeonDotprod);
        }
        sets.push(Isa::Scalar);
        sets
    }

    /// The best set this processor has.
    pub fn detect() -> Isa {
        Self::available().first().copied().unwrap_or(Isa::Scalar)
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "AVX2",
            Isa::Avx512Vnni => "AVX-512 VNNI",
            Isa::Amx => "AMX and AVX-512 VNNI",
            Isa::NeonDotprod => "NEON dotprod",
        }
    }
}

pub(crate) type TernaryRow = unsafe fn(&Packed, usize, QuantRow<'_>, &mut [[f32; TILE]]);
pub(crate) type TernaryRows = unsafe fn(&Packed, usize, &[QuantRow<'_>], &mut [[f32; TILE]]);

/// What the backend calls.
pub(crate) struct Kernels {
    /// Tiles from the given one on, as many as `out` has, times one row: `out[t][r] = y` of each tile's 16 rows.
    pub(crate) ternary_row: TernaryRow,
    /// Tiles from the given one on times several rows, as many tiles as `out` has room for: `out[t · rows + i][r]`.
    pub(crate) ternary_rows: TernaryRows,
    /// The same of an int4 head.
    pub(crate) int4_row: unsafe fn(&Int4, usize, &HeadRow, &mut [[f32; TILE]]),
    /// One stored Q8_0 row times one row.
    pub(crate) q8_dot: unsafe fn(&[u8], &HeadRow) -> f32,
    /// One stored dense row times one f32 row.
    pub(crate) dense_dot: unsafe fn(Float, &[u8], &[f32]) -> f32,
    /// Quantizes a row by the contract; returns its scale. Both slices are equally long.
    pub(crate) quantize: unsafe fn(&[f32], &mut [i8]) -> f32,
    /// Sums of each 64 quantized values (the last one may be of fewer).
    pub(crate) sums: unsafe fn(&[i8], &mut [i32]),
    /// `out = x · r · weight` (RMSNorm).
    pub(crate) norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    /// `out = g / (1 + e^−g) · u`.
    pub(crate) swiglu: unsafe fn(&[f32], &[f32], &mut [f32]),
    /// Attention of one head group; the vector is scratch, the slice gets `[heads, head_dim]`.
    pub(crate) attend: unsafe fn(HeadGroup<'_>, &mut Vec<f32>, &mut [f32]),
}

impl Kernels {
    /// The kernels of `isa`, or of the best set below it that this processor has.
    pub(crate) fn of(isa: Isa) -> (Isa, Kernels) {
        let sets = Isa::available();
        let isa = if sets.contains(&isa) { isa } else { Isa::detect() };
        let kernels = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Kernels { ternary_rows: amx::ternary_rows, ..Self::avx512() },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Self::avx512(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Self::avx2(),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDotprod => Kernels {
                ternary_row: neon::ternary_row,
                ternary_rows: neon::ternary_rows,
                int4_row: neon::int4_row,
                q8_dot: neon::q8_dot,
                ..Self::scalar()
            },
            _ => Self::scalar(),
        };
        (isa, kernels)
    }

    fn scalar() -> Kernels {
        Kernels {
            ternary_row: scalar::ternary_row,
            ternary_rows: scalar::ternary_rows,
            int4_row: scalar::int4_row,
            q8_dot: scalar::q8_dot,
            dense_dot: scalar::dense_dot,
            quantize: scalar::quantize,
            sums: scalar::sums,
            norm: scalar::norm,
            swiglu: scalar::swiglu,
            attend: scalar::attend,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn avx512() -> Kernels {
        Kernels {
            ternary_row: avx512::ternary_row,
            ternary_rows: avx512::ternary_rows,
            int4_row: avx512::int4_row,
            ..Self::avx2()
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2() -> Kernels {
        use super::avx2_float as float;
        Kernels {
            ternary_row: avx2::ternary_row,
            ternary_rows: avx2::ternary_rows,
            int4_row: avx2::int4_row,
            q8_dot: avx2::q8_dot,
            dense_dot: float::dense_dot,
            quantize: float::quantize,
            sums: float::sums,
            norm: float::norm,
            swiglu: float::swiglu,
            attend: avx2_attention::attend,
        }
    }
}
