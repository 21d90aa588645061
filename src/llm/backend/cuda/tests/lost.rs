//! What is left after an error of the device. It takes the GPU from the whole process, so this runs in a process of its own
//! (`scripts/gpu_check.sh`).

use super::super::agreed::{Arguments, Layout};
use super::super::embed;
use super::super::function::Launch;
use super::super::memory::View;
use super::*;
use crate::llm::PackingChoice;

fn said(session: &mut Session) -> Vec<TokenId> {
    let prompt: Vec<TokenId> = (100..130).map(TokenId).collect();
    session.truncate(0).expect("nothing is pinned");
    session.append(&prompt, &|| false).expect("it fits");
    let (mut sampler, stop) = (Sampler::greedy(), []);
    session.generate(&mut sampler, &stop, 30, &|| false).map(|t| t.expect("goes on")).collect()
}

/// Has a kernel read where nothing is.
fn lose_the_device(cuda: &Cuda) -> Error {
    let x = cuda.rows(1, 256).expect("fits");
    // SAFETY: nothing lies there: that is what is tested, in a process of its own.
    let table = unsafe { View::anywhere(64, 1024) };
    let nowhere = embed::Lookup { table, ids: None, row_bytes: 1024, ty: TensorType::F32, cols: 256 };
    embed::embed(&cuda.gpu, &cuda.stream, &nowhere, 1, x.view(), None).expect("starts");
    cuda.stream.wait().expect_err("there is nothing")
}

/// Room for the struct that a kernel takes.
#[derive(Clone, Copy)]
struct Room(#[expect(dead_code, reason = "never read")] [u64; 32]);

// SAFETY: it holds numbers, more than the kernel takes, which never runs.
unsafe impl Arguments for Room {
    const LAYOUT: Layout = Layout { name: "Room", bytes: 256, fields: &[] };
}

/// More memory than there is, and a launch of more threads than a block may have.
fn ask_too_much(cuda: &Cuda) -> [Error; 2] {
    let memory = Buffer::new(&cuda.gpu.device, 1 << 50).err().expect("it has less");
    let kernel = cuda.gpu.kernel("embed").expect("it is there");
    let shape = Launch { grid: (1, 1, 1), threads: 4096, shared: 0, overlap: false };
    // SAFETY: it is refused, so that it reads nothing.
    let launch = unsafe { cuda.stream.launch(&kernel, shape, &Room([0; 32])) }.expect_err("a block has fewer threads");
    [memory, launch]
}

#[test]
#[ignore = "takes the GPU from its process"]
fn a_device_that_is_lost_ends_its_sessions_and_opens_no_other() {
    let Some(breaker) = gpu(Packing::TwoBits) else { return };
    let engine = pocket(BackendKind::Cuda, PackingChoice::TwoBits);
    let mut sessions = [engine.session().expect("a session"), engine.session().expect("a session")];
    let mut on_cpu = pocket(BackendKind::Cpu, PackingChoice::TwoBits).session().expect("a session");
    let (words, on_cpu_words) = (said(&mut sessions[0]), said(&mut on_cpu));

    // What the device gets over ends nothing else.
    assert_eq!(ask_too_much(&breaker).map(|e| e.kind()), [Kind::Unavailable, Kind::Device]);
    engine.answers().expect("it is there");
    assert_eq!(said(&mut sessions[0]), words);

    let e = lose_the_device(&breaker);
    assert!(e.kind() == Kind::Device && e.remedy_text().is_some_and(|r| r.contains("again")), "{e:?}");
    for session in &mut sessions {
        for _ in 0..2 {
            let e = session.append(&[TokenId(7)], &|| false).expect_err("the device is lost");
            assert_eq!(e.kind(), Kind::Device, "{e}");
        }
    }
    let anew = || Settings { backend: BackendKind::Cuda, ..pocket_options() };
    let model = std::path::Path::new("it does not come to that");
    for e in [
        engine.answers().err(),
        engine.session().err(),
        Cuda::new(Packing::TwoBits, &folders()).err(),
        Engine::load(model, &Options { kernels: folders(), ..anew().into() }, &Budget::unlimited()).err(),
    ] {
        let e = e.expect("the device is lost");
        let told = e.to_string().starts_with("the GPU is lost to this process: computing on the GPU: ");
        assert!(e.kind() == Kind::Device && told && e.remedy_text().is_some(), "{e:?}");
    }

    assert_eq!(said(&mut on_cpu), on_cpu_words, "the processor works on");
    drop((sessions, breaker, engine));
    let mut after = pocket(BackendKind::Cpu, PackingChoice::TwoBits).session().expect("a session");
    assert_eq!(said(&mut after), on_cpu_words, "and models are loaded on it");
}
