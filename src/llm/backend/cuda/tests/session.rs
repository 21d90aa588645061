//! What a session takes of the device is what was estimated.

use super::*;
use crate::llm::{PackingChoice, estimate};

#[test]
fn a_session_takes_what_was_estimated() {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    for (packing, kv_precision) in [
        (PackingChoice::TwoBits, KvPrecision::Int8),
        (PackingChoice::TwoBits, KvPrecision::F16),
        (PackingChoice::Base3, KvPrecision::Int8),
    ] {
        for (prefill_chunk, context_tokens) in [(64, 1024), (7, 300), (1, 128)] {
            let settings = Settings {
                backend: BackendKind::Cuda,
                packing,
                kv_precision,
                prefill_chunk,
                context_tokens,
                ..pocket_options()
            };
            let options = Options { kernels: folders(), ..settings.clone().into() };
            let estimated = estimate(&pocket_path(), &options).expect("an estimate");
            let engine = pocket_as(settings);
            let before = engine.device_bytes();
            let session = engine.session().expect("a session");
            let taken = Bytes(engine.device_bytes().0 - before.0);
            assert_eq!(taken, estimated.kv + estimated.activations, "{packing:?}, {prefill_chunk}, {context_tokens}");
            drop(session);
            assert_eq!(engine.device_bytes(), before, "all is given back");
        }
    }
}
