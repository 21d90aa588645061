//! The search for the top-k on a real device, beside the host's.

use super::super::topk::tests::top;
use super::super::topk::{MOST, TopK};
use super::*;

#[test]
fn the_devices_top_k_is_the_hosts() {
    let Some(cuda) = gpu(Packing::TwoBits) else { return };
    let mut r = Random(21);
    for n in [1, 63, 64, 65, 2047, 2048, 2049, 16384, 128_256, 151_936, 262_144] {
        for coarse in [false, true] {
            let mut logits: Vec<f32> = (0..n).map(|_| r.float()).collect();
            if coarse {
                logits.iter_mut().for_each(|l| *l = (*l * 2.0).round());
                logits.iter_mut().step_by(7).for_each(|l| *l = f32::NEG_INFINITY);
                logits.iter_mut().skip(3).step_by(11).for_each(|l| *l = f32::NAN);
            }
            let buffer = Buffer::new(&cuda.gpu.device, (n * 4) as u64).expect("fits");
            cuda.stream.upload(&buffer, 0, bytemuck::cast_slice(&logits)).expect("uploads");
            let topk = TopK::lay_out(&mut &*cuda.stream, n).expect("fits").expect("not too many");
            let (mut host, mut found) = (vec![0; MOST * 8], Vec::new());
            for k in [1, 40, MOST] {
                topk.find(&cuda.gpu, &cuda.stream, buffer.view()).expect("runs");
                topk.fetch(&cuda.stream, k, &mut host, &mut found).expect("reads");
                assert_eq!(found, top(&logits, k), "{k} of {n}, coarse {coarse}");
            }
        }
    }
    assert!(TopK::lay_out(&mut &*cuda.stream, 300_000).expect("nothing is taken").is_none());
}
