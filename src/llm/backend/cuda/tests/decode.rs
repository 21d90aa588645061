//! The kernel that takes a token through all layers, beside an operation a launch.

use super::super::decode::{ARCH, DecodeLock};
use super::super::rig::{LAUNCHES, Rig};
use super::*;

/// Random ternary rows, a part each.
fn linear(cuda: &Cuda, seed: u64, parts: &[usize], cols: usize) -> Linear {
    let mut r = Random(seed);
    let bytes: Vec<_> = parts.iter().map(|&n| stored(&mut r, TensorType::Q2_0, n, cols, true)).collect();
    let mut all = Vec::new();
    for ((b, &rows), factor) in bytes.iter().zip(parts).zip([1.0, 0.6, 1.7]) {
        let weights = Ternary::new(TensorType::Q2_0, rows, cols, b).expect("sound");
        all.push(Part { weights, factor });
    }
    cuda.linear(&all).expect("loads")
}

/// A token at once is the token an operation at a time: integers are the same, floats differ in the order of their sums,
/// and an activation near a tie may round the other way, which a second layer makes more of.
#[test]
fn a_token_at_once_is_the_same_token() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    if cuda.gpu.device.arch < ARCH {
        println!("skipped: sm_{} has no bulk copies", cuda.gpu.device.arch);
        return;
    }
    // Width, FFN, heads, KV heads, head size, context: the default model's, Llama3-8B's, ragged ones.
    let models = [
        (768, 2048, 12, 4, 64, 1024),
        (4096, 14336, 32, 8, 128, 8192),
        (576, 1536, 9, 3, 64, 300),
        (192, 256, 4, 2, 128, 700),
        (3072, 8192, 24, 8, 128, 500),
    ];
    for (precision, layers, (width, ffn, heads, kv_heads, hd, context)) in
        [(KvPrecision::Int8, 1), (KvPrecision::F16, 1), (KvPrecision::Int8, 2), (KvPrecision::F16, 2)]
            .into_iter()
            .flat_map(|(p, l)| models.map(|m| (p, l, m)))
    {
        let near = if layers == 1 { 0.02 } else { 0.06 };
        let mut s = kv_shape(heads, kv_heads, hd, context, precision);
        s.layers = layers;
        let (q, kv) = (heads * hd, kv_heads * hd);
        let layer = |i: u64| {
            [
                linear(&cuda, 4 * i, &[q, kv, kv], width),
                linear(&cuda, 4 * i + 1, &[width], q),
                linear(&cuda, 4 * i + 2, &[ffn, ffn], width),
                linear(&cuda, 4 * i + 3, &[width], ffn),
            ]
        };
        let layers: Vec<_> = (0..s.layers as u64).map(layer).collect();
        let mut rig = Rig::new(&cuda, &layers, &s).expect("fits");
        assert!(rig.decoder.is_some(), "the kernel takes these");
        for position in [0, 1, 15, 63, 64, 65, 130, 299, 511, 1023, 4096, 8191].into_iter().filter(|&p| p < context) {
            let read = |rig: &Rig<'_>| {
                // Other results are gone as soon as they have been used.
                let rows = [&rig.x, rig.hidden()].map(|r| cuda.read_rows(r, 1));
                (rows.map(|r| r.expect("reads")), cuda.save_kv(&rig.kv, position + 1).expect("saves"))
            };
            rig.place(&cuda, position).expect("places");
            let each = 0..s.layers * LAUNCHES;
            each.into_iter().try_for_each(|i| rig.operation(&cuda.gpu, &cuda.stream, i)).expect("runs");
            let (wanted, cache) = read(&rig);
            rig.place(&cuda, position).expect("places");
            let lock = DecodeLock::wait();
            for _ in 0..3 {
                rig.at_once(&cuda.stream, &lock).expect("runs");
            }
            let (found, own) = read(&rig);
            drop(lock);
            let far: Vec<_> = found.iter().zip(&wanted).map(|(f, w)| distance(f, w)).collect();
            let bytes = cache.iter().zip(&own).filter(|(a, b)| a != b).count();
            println!(
                "{width}/{hd}, {} layers, {precision:?} at {position}: {far:?} apart; {bytes} bytes of the cache differ",
                s.layers
            );
            assert!(far.iter().all(|&f| f < near), "x, hidden: {far:?}");
        }
    }
}
