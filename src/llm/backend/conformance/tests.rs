//! The suite's instances, and that it catches what is wrong.

use super::mutants::{Fault, Mutant};
use super::{Op, Tolerance, check};
use crate::llm::backend::Backend;
use crate::llm::gguf::TensorType;
use crate::units::TokenId;

/// Fails with what the cases of `op` found, and where one was refused.
pub(crate) fn conforms<B: Backend>(backend: &B, op: Op, tolerance: Tolerance) {
    conforms_but(backend, op, tolerance, 0);
}

/// As [`conforms`], of a backend that has not all shapes: up to `refusals` cases may be refused, with
/// [`crate::error::Kind::Unsupported`].
pub(crate) fn conforms_but<B: Backend>(backend: &B, op: Op, tolerance: Tolerance, refusals: usize) {
    let verdict = check(backend, op, tolerance, 4);
    let (refused, first) = &verdict.refused;
    if *refused > 0 {
        println!("{op:?}: {} cases, {refused} of them refused\n  {}", verdict.cases, first.join("\n  "));
    }
    assert!(verdict.cases > *refused, "{op:?} has no case");
    assert!(
        *refused <= refusals,
        "{}, {op:?}: {refused} refused, such as\n  {}",
        backend.describe(),
        first.join("\n  ")
    );
    let failures = verdict.failures.join("\n  ");
    assert!(verdict.failures.is_empty(), "{}, {op:?}:\n  {failures}", backend.describe());
}

/// `suite!(name, backend)`: one test an operation, in a module of that name. `backend` is an `Option` of a backend;
/// where it is `None` (the machine does not have it) the tests say so and pass.
macro_rules! suite {
    ($name:ident, $backend:expr) => {
        $crate::llm::backend::conformance::suite!($name, $backend, $crate::llm::backend::conformance::Tolerance::F32);
    };
    ($name:ident, $backend:expr, $tolerance:expr) => {
        mod $name {
            #[allow(unused_imports)] // what the expressions name
            use super::*;
            use $crate::llm::backend::conformance::{Op, conforms};

            fn run(op: Op) {
                match $backend {
                    Some(backend) => conforms(&backend, op, $tolerance),
                    None => println!("skipped: this machine has no {}", stringify!($name)),
                }
            }

            #[test]
            fn embed() {
                run(Op::Embed);
            }
            #[test]
            fn norm_quantize() {
                run(Op::NormQuantize);
            }
            #[test]
            fn quantize() {
                run(Op::Quantize);
            }
            #[test]
            fn linear_into() {
                run(Op::LinearInto);
            }
            #[test]
            fn linear_add() {
                run(Op::LinearAdd);
            }
            #[test]
            fn rope_append() {
                run(Op::RopeAppend);
            }
            #[test]
            fn attend() {
                run(Op::Attend);
            }
            #[test]
            fn swiglu_quantize() {
                run(Op::SwigluQuantize);
            }
            #[test]
            fn logits() {
                run(Op::Logits);
            }
            #[test]
            fn keep_kv() {
                run(Op::KeepKv);
            }
        }
    };
}
pub(crate) use suite;

use crate::llm::backend::cpu::{Cpu, Isa};
use crate::llm::backend::reference::Reference;

/// The CPU backend with exactly these kernels, on two threads.
fn cpu(isa: Isa) -> Option<Cpu> {
    Isa::available().contains(&isa).then(|| Cpu::with(2, isa).expect("two threads"))
}

suite!(reference, Some(Reference));
suite!(cpu_scalar, cpu(Isa::Scalar));
suite!(cpu_avx2, cpu(Isa::Avx2));
suite!(cpu_avx512, cpu(Isa::Avx512Vnni));
suite!(cpu_amx, cpu(Isa::Amx));
suite!(cpu_neon, cpu(Isa::NeonDotprod));

/// Every fault and the operation whose cases must find it.
const FAULTS: [(Op, &[Fault]); 10] = [
    (Op::Embed, &[Fault::EmbedNextRow, Fault::EmbedFirstTokenOnly]),
    (Op::NormQuantize, &[Fault::NormWithoutEps, Fault::NormWithoutWeight, Fault::NormOfTheRowBefore]),
    (
        Op::Quantize,
        &[Fault::QuantizeTruncates, Fault::QuantizeTiesAway, Fault::QuantizeTailDropped, Fault::QuantizeScaleInverted],
    ),
    (
        Op::LinearInto,
        &[
            Fault::CodesSwapped,
            Fault::CodesTailDropped,
            Fault::LastRowDropped,
            Fault::LastTokenDropped,
            Fault::ScaleOffByAGroup,
            Fault::ScaleOfTheFirstRow,
            Fault::FactorForgotten,
            Fault::SumOverflows16Bits,
            Fault::IntoAdds,
        ],
    ),
    (Op::LinearAdd, &[Fault::CodesSwapped, Fault::CodesTailDropped, Fault::ScaleOffByAGroup, Fault::AddReplaces]),
    (
        Op::RopeAppend,
        &[
            Fault::RopeOffByOne,
            Fault::RopeTurnsBackwards,
            Fault::RopeOfHalves,
            Fault::ValuesOfTheKeys,
            Fault::ValuesFlushed,
            Fault::AppendToTheFirstLayer,
            Fault::HeadNormsForgotten,
            Fault::HeadNormsSwapped,
            Fault::Int8NotRounded,
        ],
    ),
    (
        Op::Attend,
        &[
            Fault::AttendWithoutSelf,
            Fault::AttendOneTooMany,
            Fault::AttendUnscaled,
            Fault::AttendOtherKvHead,
            Fault::AttendFirstRowOnly,
        ],
    ),
    (Op::SwigluQuantize, &[Fault::GateAndUpSwapped, Fault::SwigluIsGelu, Fault::SwigluTailDropped]),
    (
        Op::Logits,
        &[
            Fault::NibblesSwapped,
            Fault::HeadScaleOffByABlock,
            Fault::HeadTailDropped,
            Fault::HeadLastRowDropped,
            Fault::LogitsOfTheFirstRow,
        ],
    ),
    (Op::KeepKv, &[Fault::KeepsOneLayer, Fault::KeepsOneTooFew]),
];

#[test]
fn every_operation_has_a_fault() {
    assert_eq!(FAULTS.map(|(op, _)| op), Op::ALL);
}

#[test]
fn every_fault_is_caught_by_its_operations_cases() {
    for (op, faults) in FAULTS {
        for &fault in faults {
            let caught = std::panic::catch_unwind(|| check(&Mutant(fault), op, Tolerance::F32, 1));
            // A case may also assert (a row that is not live was written).
            let survived = caught.is_ok_and(|v| v.failures.is_empty());
            assert!(!survived, "{op:?} does not notice {fault:?}");
        }
    }
}

/// An embedding of 50 MB, most of it read: nothing of it stays in memory but what opening the file mapped.
#[test]
fn rows_that_were_read_do_not_stay() {
    const ROWS: usize = 6_000;
    const COLS: usize = 4096;
    let rows = super::data::table(TensorType::F16, 1, ROWS, COLS, &vec![0; ROWS * COLS * 2]);
    let mapped = || -> u64 {
        let path = rows.file.path().to_string_lossy().into_owned();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("it reads");
        let (_, of) = maps.split_once(&path).expect("the file is mapped");
        let rss = of.lines().find_map(|l| l.strip_prefix("Rss:")).expect("its size");
        rss.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    };
    let mut out = vec![0f32; COLS];
    let mut most = 0;
    for i in 0..ROWS {
        // Far from each other, as tokens are.
        rows.row(TokenId((i * 37 % ROWS) as u32), &mut out).expect("a row");
        if i % 100 == 0 {
            most = most.max(mapped());
        }
    }
    println!("at most {most} bytes stay mapped");
    assert!((1..=4 << 20).contains(&most), "{most} bytes of {}", ROWS * COLS * 2);
}
