//! The ledger and its rules.

use std::sync::Barrier;

use proptest::prelude::*;

use super::*;

#[test]
fn a_refusal_names_the_numbers_and_reserves_nothing() {
    let b = Budget::new(Bytes::mb(100));
    let held = b.reserve(Component::Stt, "whisper tiny.en", Bytes::mb(80)).expect("fits");
    let e = b.reserve(Component::Tts, "piper joe", Bytes::mb(21)).err().expect("does not fit");
    assert_eq!(e.kind(), Kind::OverBudget);
    for part in ["piper joe", "21.0 MB", "20.0 MB", "100.0 MB"] {
        assert!(e.to_string().contains(part), "{part} in {e}");
    }
    assert!(e.remedy_text().is_some_and(|r| r.contains("tercet plan")));
    assert_eq!(b.reserved(), Bytes::mb(80));
    drop(held);
    assert_eq!(b.reserved(), Bytes::ZERO);
    assert!(b.reserve(Component::Tts, "piper joe", Bytes::mb(100)).is_ok(), "exactly the cap fits");
}

#[test]
fn resize_keeps_its_size_when_growth_does_not_fit() {
    let b = Budget::new(Bytes(100));
    let mut r = b.reserve(Component::Kv, "context", Bytes(60)).expect("fits");
    let _other = b.reserve(Component::Weights, "model", Bytes(30)).expect("fits");
    assert_eq!(r.resize(Bytes(71)).expect_err("one too many").kind(), Kind::OverBudget);
    assert_eq!(r.bytes(), Bytes(60));
    r.resize(Bytes(70)).expect("exactly fits");
    r.resize(Bytes(5)).expect("shrinking always fits");
    assert_eq!(b.reserved(), Bytes(35));
}

#[test]
fn lines_sum_by_component_and_measured_stands_beside() {
    let b = Budget::new(Bytes(1_000));
    let vad = b.reserve(Component::Detect, "vad", Bytes(10)).expect("fits");
    let _wake = b.reserve(Component::Detect, "wake", Bytes(20)).expect("fits");
    let _model = b.reserve(Component::Weights, "model", Bytes(300)).expect("fits");
    vad.record_measured(Bytes(8));
    let lines = b.lines();
    let shown: Vec<_> = lines.iter().map(|l| (l.component.name(), l.reserved.0, l.measured.map(|m| m.0))).collect();
    assert_eq!(shown, [("weights", 300, None), ("vad+wake+turn", 30, Some(8))]);
    assert_eq!(b.items().len(), 3);
}

#[test]
fn the_process_is_what_is_resident_beyond_the_parts() {
    let b = Budget::new(Bytes::mb(1_000));
    let held = Settings::default().reserve_standing(&b).expect("fits");
    let part = b.reserve(Component::Weights, "model", Bytes::mb(100)).expect("fits");
    part.record_measured(Bytes::mb(90));
    b.record_process(Bytes::mb(120));
    b.record_process(Bytes::mb(125));
    let measured: Vec<_> = b.items().iter().map(|i| i.measured).collect();
    assert_eq!(measured, [Some(Bytes::mb(35)), None, Some(Bytes::mb(90))], "the reserve is not used, so not measured");
    drop(held);
    b.record_process(Bytes::mb(125));
}

#[test]
fn sizes_near_the_end_of_the_number_line_do_not_wrap() {
    let b = Budget::new(Bytes(u64::MAX - 1));
    let _a = b.reserve(Component::Weights, "a", Bytes(u64::MAX - 1)).expect("fits");
    assert!(b.reserve(Component::Weights, "b", Bytes(u64::MAX)).is_err());
    assert!(b.reserve(Component::Weights, "c", Bytes(1)).is_err());
}

/// Many threads reserve, grow and drop at once; another watches that the cap is never passed.
#[test]
fn the_cap_holds_under_concurrency() {
    const CAP: u64 = 1_000;
    const WORKERS: u64 = 8;
    let b = Budget::new(Bytes(CAP));
    let start = Barrier::new(WORKERS as usize + 1);
    let refused = std::sync::atomic::AtomicU64::new(0);
    let done = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|s| {
        for w in 0..WORKERS {
            let (b, start, refused, done) = (b.clone(), &start, &refused, &done);
            s.spawn(move || {
                start.wait();
                let mut seed = w.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let mut held = Vec::new();
                for _ in 0..2_000 {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    match seed % 4 {
                        0 | 1 => match b.reserve(Component::Kv, "x", Bytes(seed % 400)) {
                            Ok(r) => held.push(r),
                            Err(e) => {
                                assert_eq!(e.kind(), Kind::OverBudget);
                                refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            }
                        },
                        2 => {
                            if let Some(r) = held.last_mut() {
                                let _ = r.resize(Bytes(seed % 500));
                            }
                        }
                        _ => drop(held.pop()),
                    }
                    assert!(b.reserved() <= Bytes(CAP));
                }
                done.fetch_add(1, std::sync::atomic::Ordering::Release);
            });
        }
        start.wait();
        while done.load(std::sync::atomic::Ordering::Acquire) < WORKERS {
            assert!(b.reserved() <= Bytes(CAP));
            std::thread::yield_now();
        }
    });
    assert!(refused.into_inner() > 0, "the cap was never reached: the test tried nothing");
    assert_eq!(b.reserved(), Bytes::ZERO, "everything was given back");
}

#[derive(Debug, Clone)]
enum Op {
    Reserve(usize, u64),
    Resize(usize, u64),
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0usize..10, 0u64..500).prop_map(|(c, n)| Op::Reserve(c, n)),
        (any::<usize>(), 0u64..700).prop_map(|(i, n)| Op::Resize(i, n)),
        any::<usize>().prop_map(Op::Drop),
    ]
}

proptest! {
    /// The ledger agrees with the simplest model of itself: a list of sizes.
    #[test]
    fn the_ledger_is_a_list_of_sizes_with_a_cap(cap in 0u64..1_500, ops in proptest::collection::vec(op(), 0..60)) {
        let b = Budget::new(Bytes(cap));
        let mut held: Vec<(Reservation, u64)> = Vec::new();
        for op in ops {
            let sum: u64 = held.iter().map(|h| h.1).sum();
            match op {
                Op::Reserve(c, n) => {
                    let r = b.reserve(Component::ALL[c], "x", Bytes(n));
                    prop_assert_eq!(r.is_ok(), sum + n <= cap);
                    held.extend(r.ok().map(|r| (r, n)));
                }
                Op::Resize(i, n) if !held.is_empty() => {
                    let i = i % held.len();
                    let old = held[i].1;
                    let fits = n <= old || sum - old + n <= cap;
                    prop_assert_eq!(held[i].0.resize(Bytes(n)).is_ok(), fits);
                    if fits {
                        held[i].1 = n;
                    }
                }
                Op::Drop(i) if !held.is_empty() => {
                    let i = i % held.len();
                    held.swap_remove(i);
                }
                _ => {}
            }
            let sum: u64 = held.iter().map(|h| h.1).sum();
            prop_assert_eq!(b.reserved(), Bytes(sum));
            prop_assert!(sum <= cap);
            prop_assert_eq!(b.lines().iter().map(|l| l.reserved).sum::<Bytes>(), Bytes(sum));
            prop_assert_eq!(b.items().len(), held.len());
        }
    }
}
