use super::*;

/// `tests/data/golden/quant_NAME.bin`, made by `tests/golden/quant.py`: stored blocks, then the f32 they decode to.
fn golden(name: &str, ty: TensorType) -> (Vec<u8>, Vec<f32>) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden/quant_{name}.bin"));
    let bytes = std::fs::read(&path).expect("golden file");
    let (weights, size) = ty.block();
    let blocks = bytes.len() / (size + 4 * weights);
    assert_eq!(blocks * (size + 4 * weights), bytes.len());
    let (raw, floats) = bytes.split_at(blocks * size);
    let floats = floats.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (raw.to_vec(), floats)
}

const ALL: [(&str, TensorType); 11] = [
    ("f32", TensorType::F32),
    ("f16", TensorType::F16),
    ("bf16", TensorType::Bf16),
    ("q4_0", TensorType::Q4_0),
    ("q8_0", TensorType::Q8_0),
    ("q4_k", TensorType::Q4K),
    ("q6_k", TensorType::Q6K),
    ("tq1_0", TensorType::Tq1_0),
    ("tq2_0", TensorType::Tq2_0),
    ("q2_0", TensorType::Q2_0),
    ("q2_0_g128", TensorType::Q2_0G128),
];

#[test]
fn every_type_decodes_exactly_as_the_goldens() {
    for (name, ty) in ALL {
        let (raw, want) = golden(name, ty);
        assert!(want.len() >= 512 && want.iter().any(|&w| w != want[0]), "{name}: the golden says nothing");
        let mut got = vec![0.0; want.len()];
        decode(ty, &raw, &mut got).unwrap();
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            assert!(g.to_bits() == w.to_bits() || (*g == 0.0 && *w == 0.0), "{name}[{i}]: {g} is not {w}");
        }
    }
}

#[test]
fn ternary_codes_and_scales_are_the_same_weights() {
    for (name, ty) in ALL.into_iter().filter(|(_, ty)| ty.is_ternary()) {
        let (raw, want) = golden(name, ty);
        let cols = 2 * ty.block().0;
        let t = Ternary::new(ty, want.len() / cols, cols, &raw).unwrap();
        assert_eq!(t.groups(), Groups::Columns(ty.block().0), "{name}: the golden's scales differ");
        let (mut codes, mut scales) = (vec![9u8; cols], vec![9f32; 2]);
        for (r, want) in want.chunks_exact(cols).enumerate() {
            t.row(r, &mut codes, &mut scales);
            for (i, w) in want.iter().enumerate() {
                assert_eq!((f32::from(codes[i]) - 1.0) * scales[i / (cols / 2)], *w, "{name} row {r} column {i}");
            }
        }
    }
}

/// One TQ2_0 block whose 64 code bytes are all `byte`.
fn block(byte: u8, d: f32) -> Vec<u8> {
    let mut b = vec![byte; 64];
    b.extend(f16::from_f32(d).to_le_bytes());
    b
}

#[test]
fn equal_scales_make_one_scale_and_empty_blocks_fit_any() {
    const ZEROS: u8 = 0b0101_0101;
    const MIXED: u8 = 0b0001_1001;
    let of =
        |blocks: &[Vec<u8>]| Ternary::new(TensorType::Tq2_0, blocks.len(), 256, &blocks.concat()).unwrap().groups();
    assert_eq!(of(&[block(MIXED, 0.5), block(MIXED, 0.5)]), Groups::Tensor(0.5));
    assert_eq!(of(&[block(ZEROS, 3.0), block(MIXED, 0.5), block(ZEROS, 0.0)]), Groups::Tensor(0.5));
    assert_eq!(of(&[block(MIXED, 0.5), block(MIXED, 0.0)]), Groups::Tensor(0.5));
    assert_eq!(of(&[block(MIXED, 0.5), block(MIXED, 0.25)]), Groups::Columns(256));
    assert_eq!(of(&[block(ZEROS, 3.0)]), Groups::Tensor(0.0));
}

#[test]
fn wrong_sizes_types_and_scales_are_refused() {
    let mut out = [0.0; 32];
    assert_eq!(decode(TensorType::Q4_0, &[0; 17], &mut out).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(decode(TensorType::Other(16), &[0; 17], &mut out).unwrap_err().kind(), Kind::Unsupported);
    let new = |ty, rows, bytes: &[u8]| Ternary::new(ty, rows, 256, bytes).map(|_| ()).unwrap_err().kind();
    assert_eq!(new(TensorType::Q4_0, 1, &[0; 144]), Kind::Unsupported);
    assert_eq!(new(TensorType::Tq2_0, 1, &[0; 65]), Kind::Corrupt);
    assert_eq!(new(TensorType::Tq2_0, usize::MAX, &[0; 66]), Kind::Corrupt);
    assert_eq!(new(TensorType::Tq2_0, 1, &block(0, f32::NAN)), Kind::Corrupt);
}

/// `tests/data/golden/encode_NAME.bin`: f32 numbers, then the blocks that gguf makes of them.
#[test]
fn blocks_are_encoded_exactly_as_the_goldens() {
    for (name, ty) in ALL.into_iter().filter(|(n, _)| ["q4_0", "q8_0", "bf16", "tq1_0", "tq2_0"].contains(n)) {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden/encode_{name}.bin"));
        let bytes = std::fs::read(&path).expect("golden file");
        let (weights, size) = ty.block();
        let n = bytes.len() / (size + 4 * weights) * weights;
        let (floats, want) = bytes.split_at(4 * n);
        let x: Vec<f32> = floats.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let mut got = Vec::new();
        if ty.is_ternary() {
            let scale = |b: &[f32]| b.iter().fold(0f32, |m, v| m.max(v.abs()));
            let codes: Vec<u8> =
                x.chunks(weights).flat_map(|b| b.iter().map(|v| ((v / scale(b)) as i8 + 1) as u8)).collect();
            let d = |b: usize| f16::from_f32(scale(&x[b * weights..(b + 1) * weights]));
            encode_ternary(ty, &codes, d, &mut got).unwrap();
        } else {
            encode(ty, &x, &mut got).unwrap();
        }
        assert!(n >= 256 && got == want, "{name}");
    }
    assert_eq!(encode(TensorType::Q6K, &[0.0; 256], &mut Vec::new()).unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(encode(TensorType::Q4_0, &[0.0; 33], &mut Vec::new()).unwrap_err().kind(), Kind::Internal);
    let none = |_: usize| f16::ONE;
    assert_eq!(
        encode_ternary(TensorType::Q4_0, &[1; 32], none, &mut Vec::new()).unwrap_err().kind(),
        Kind::Unsupported
    );
    // The types that gguf does not write come back as they went in.
    for ty in [TensorType::Q2_0, TensorType::Q2_0G128] {
        let codes: Vec<u8> = (0..256u32).map(|i| (i * i % 3) as u8).collect();
        let mut bytes = Vec::new();
        encode_ternary(ty, &codes, |b| f16::from_f32(0.5 + b as f32), &mut bytes).unwrap();
        let (mut again, mut scales) = (vec![9; 256], vec![0.0; 256 / ty.block().0]);
        Ternary::new(ty, 1, 256, &bytes).unwrap().row(0, &mut again, &mut scales);
        assert!(again == codes && scales.iter().enumerate().all(|(b, &s)| s == 0.5 + b as f32));
    }
}
