//! What is left after an error of the device. It takes the process's context with it, so this runs in a process of its own
//! (`scripts/gpu_check.sh`).

use super::*;

fn said(session: &mut Session) -> Vec<TokenId> {
    let prompt: Vec<TokenId> = (100..130).map(TokenId).collect();
    session.append(&prompt, &|| false).expect("it fits");
    let (mut sampler, stop) = (Sampler::greedy(), []);
    session.generate(&mut sampler, &stop, 30, &|| false).map(|t| t.expect("goes on")).collect()
}

/// Has a kernel read where nothing is.
fn break_the_context(cuda: &Cuda) -> Error {
    let x = cuda.rows(1, 256).expect("fits");
    let nowhere = embed::Lookup { table: 64, ids: 0, row_bytes: 1024, ty: TensorType::F32, cols: 256 };
    embed::embed(&cuda.gpu, &cuda.stream, &nowhere, 1, x.data.at, embed::Publish::default()).expect("starts");
    cuda.stream.wait().expect_err("there is nothing")
}

#[test]
#[ignore = "takes the process's context with it"]
fn an_error_of_the_device_ends_its_session_and_no_later_one() {
    let Some(breaker) = gpu(Packing::TwoBits) else { return };
    let engine = pocket(BackendKind::Cuda, crate::llm::PackingChoice::TwoBits);
    let mut first = engine.session().expect("a session");
    let words = said(&mut first);
    assert_eq!(break_the_context(&breaker).kind(), Kind::Device);

    let e = first.append(&[TokenId(7)], &|| false).expect_err("the context is gone");
    assert_eq!(e.kind(), Kind::Device, "{e}");
    for _ in 0..2 {
        let mut next = engine.session().expect("the model is loaded again");
        assert_eq!(said(&mut next), words, "the same model says the same");
    }
    // The old session stays ended, and goes without harm to the new ones.
    let mut next = engine.session().expect("a session");
    let e = first.append(&[TokenId(7)], &|| false).expect_err("it stays lost");
    assert_eq!(e.kind(), Kind::Device, "{e}");
    drop((first, breaker));
    assert_eq!(said(&mut next), words);
}
