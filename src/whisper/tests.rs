use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/whisper-fixture").join(name);
    std::fs::read(&path).expect("the fixture is in the repository")
}

fn converted(model: &[u8], vocabulary: &[u8], format: Format) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    convert(model, vocabulary, format, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(out)
}

/// Where two files first differ: the whole would fill the screen.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len())))
}

#[test]
fn matches_the_goldens_byte_for_byte() {
    let (model, vocabulary) = (fixture("model.bin"), fixture("vocabulary.txt"));
    for (format, golden) in [(Format::F16, "f16.bin"), (Format::Q8_0, "q8_0.bin")] {
        let ours = converted(&model, &vocabulary, format).expect("a sound model");
        assert_eq!(first_difference(&ours, &fixture(golden)), None, "{golden}");
    }
}

#[test]
fn truncation_anywhere_is_an_error() {
    let (model, vocabulary) = (fixture("model.bin"), fixture("vocabulary.txt"));
    for end in (0..model.len()).step_by(97).chain(model.len() - 60..model.len()) {
        let e = converted(&model[..end], &vocabulary, Format::Q8_0).expect_err("truncated");
        assert_eq!(e.kind(), Kind::Corrupt, "at {end}: {e}");
    }
    let half = &vocabulary[..vocabulary.len() / 2];
    assert_eq!(converted(&model, half, Format::F16).expect_err("truncated").kind(), Kind::Corrupt);
}

#[test]
fn the_first_failure_to_write_ends_the_conversion() {
    let mut calls = 0;
    let e = convert(&fixture("model.bin"), &fixture("vocabulary.txt"), Format::F16, &mut |_| {
        calls += 1;
        if calls < 10 { Ok(()) } else { Err(Error::new(Kind::Io, "disk full")) }
    })
    .expect_err("the write failed");
    assert_eq!((e.kind(), calls), (Kind::Io, 10));
}

#[test]
fn every_byte_has_one_character() {
    let of: Vec<(char, u8)> = (0..0x250).filter_map(char::from_u32).filter_map(|c| Some((c, byte_of(c)?))).collect();
    let mut bytes: Vec<u8> = of.iter().map(|(_, b)| *b).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    assert_eq!(byte_of('Ġ'), Some(b' '));
    assert_eq!(byte_of('漢'), None);
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_no_panic(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(converted(&data, &data, Format::Q8_0).is_err());
    }

    #[test]
    fn damage_is_an_error_or_other_weights_and_no_panic(at in 0usize..78_000, with in any::<[u8; 4]>()) {
        let mut model = fixture("model.bin");
        let at = at.min(model.len() - 4);
        model[at..at + 4].copy_from_slice(&with);
        if let Ok(out) = converted(&model, &fixture("vocabulary.txt"), Format::F16) {
            // Whatever was damaged, the result is no larger than the tensors that are in the file.
            prop_assert!(out.len() <= 2 * fixture("f16.bin").len());
        }
    }
}

#[cfg(feature = "voice")]
mod against_ggml {
    use super::super::q8_0;
    use proptest::prelude::*;
    use whisper_rs::whisper_rs_sys as sys;

    const GGML_TYPE_Q8_0: u32 = 8;

    fn ggml(values: &[f32]) -> Vec<u8> {
        let mut out = vec![0u8; values.len() / q8_0::BLOCK * q8_0::BLOCK_BYTES];
        // SAFETY: `values` is one row of a multiple of 32 floats and `out` has room for its blocks.
        let written = unsafe {
            sys::ggml_quantize_chunk(
                GGML_TYPE_Q8_0,
                values.as_ptr(),
                out.as_mut_ptr().cast(),
                0,
                1,
                values.len() as i64,
                std::ptr::null(),
            )
        };
        assert_eq!(written, out.len());
        out
    }

    fn ours(values: &[f32]) -> Vec<u8> {
        let mut out = Vec::new();
        q8_0::quantize(values, &mut out);
        out
    }

    #[test]
    fn halves_and_extremes_round_as_ggml_rounds() {
        // With 127 as the largest, d is 1 and every x.5 is an exact tie.
        let mut ties: Vec<f32> = (0..31).map(|i| i as f32 - 15.5).collect();
        ties.push(127.0);
        for block in [ties, vec![0.0; 32], vec![-1e-30; 32], vec![6.1e4; 32]] {
            assert_eq!(ours(&block), ggml(&block));
        }
    }

    proptest! {
        #[test]
        fn any_weights_quantize_as_ggml_does(values in prop::collection::vec(-4.0f32..4.0, 32 * 3)) {
            prop_assert_eq!(ours(&values), ggml(&values));
        }
    }
}
