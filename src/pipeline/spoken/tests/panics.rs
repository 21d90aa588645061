//! A panic in any thread ends the pipeline: at once, in order, and with an error.

use super::*;
use crate::audio::{Counts, Read, Source};
use crate::llm::Engine;
use crate::pipeline::spoken::listener::LATELY;
use crate::pipeline::spoken::threads::BREAKS;

/// A microphone that works for so many reads, and then not as it should.
struct Faulty {
    inner: Box<dyn Source>,
    reads: usize,
    fault: fn() -> Result<Read>,
}

impl Source for Faulty {
    fn read(&mut self, out: &mut Vec<f32>, wait: Duration) -> Result<Read> {
        if self.reads == 0 {
            return (self.fault)();
        }
        self.reads -= 1;
        self.inner.read(out, wait)
    }
    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}

type Watch = Box<dyn FnMut(&Notice) + Send>;

/// A pipeline in a quiet room.
fn start(
    senses: (Ears, Stt, Voice),
    engine: &Arc<Engine>,
    fault: Option<fn() -> Result<Read>>,
    mut watch: Watch,
) -> Pipeline {
    let (ears, stt, voice) = senses;
    let room = open(Script { end_after_quiet: Duration::from_secs(600), ..Script::default() }).expect("a room");
    let source = match fault {
        Some(fault) => Box::new(Faulty { inner: room.source, reads: 3, fault }),
        None => room.source,
    };
    Pipeline::start(Parts {
        partials: false,
        dialog: dialog::Settings::default(),
        sampling: Sampling::default(),
        source,
        output: room.output,
        ears,
        stt,
        engine: Arc::clone(engine),
        voice,
        tools: Arc::new(Registry::new(&tools::Settings::default(), None, Clock::system()).expect("tools")),
        prefixes: None,
        archive: None,
        standing: Vec::new(),
        state: None,
        observer: Box::new(move |_, notice: &Notice| watch(notice)),
    })
    .expect("it starts")
}

fn ends(pipeline: Pipeline) -> Error {
    let begun = Instant::now();
    let e = pipeline.join().expect_err("it failed");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited {:?}", begun.elapsed());
    e
}

#[test]
fn a_panic_in_any_thread_ends_all_with_an_error() {
    const TEST: &str = "a_panic_in_any_thread_ends_all_with_an_error";
    if senses(TEST).is_none() {
        return;
    }
    let engine = Arc::new(Fickle::default())
        .load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited());
    for thread in ["stt", "llm", "tts", "playback", "tools", "ears"] {
        BREAKS.set(Some(thread));
        let (tell, told) = channel();
        let all = senses(TEST).expect("as before");
        let pipeline = start(all, &engine, None, Box::new(move |n| drop(tell.send(n.clone()))));
        BREAKS.set(None);
        let e = ends(pipeline);
        assert_eq!(e.kind(), Kind::Internal, "{thread}: {e:?}");
        assert!(e.to_string().contains(thread) && e.to_string().contains("as the test wants"), "{e}");
        assert_eq!(told.iter().last(), Some(Notice::Ended), "{thread}: whoever watches is told");
    }

    let all = senses(TEST).expect("as before");
    let pipeline = start(all, &engine, None, Box::new(|n| assert_ne!(*n, Notice::Ready, "as the test wants")));
    let e = ends(pipeline);
    assert!(e.kind() == Kind::Internal && e.to_string().contains("coordinator"), "{e:?}");

    // In the middle of its work; and a source that fails for good in an orderly way is not a quiet success either.
    let all = senses(TEST).expect("as before");
    let e = ends(start(all, &engine, Some(|| panic!("what a microphone")), Box::new(|_| ())));
    assert!(e.kind() == Kind::Internal && e.to_string().contains("ears panicked: what a microphone"), "{e:?}");
    let all = senses(TEST).expect("as before");
    let fault = || Err(Error::new(Kind::Device, "the microphone is beyond help"));
    let e = ends(start(all, &engine, Some(fault), Box::new(|_| ())));
    assert_eq!(e.kind(), Kind::Device, "{e:?}");
}

/// Whether the pipeline gives proof that it hears; it must answer, whatever it says.
fn proof(control: &Control) -> bool {
    let flag = control.probe();
    let until = Instant::now() + PATIENCE;
    while Arc::strong_count(&flag) > 1 {
        assert!(Instant::now() < until, "the coordinator does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    flag.load(std::sync::atomic::Ordering::Acquire)
}

#[test]
fn proof_of_life_is_given_for_hearing_and_not_for_a_loop_that_turns() {
    const TEST: &str = "proof_of_life_is_given_for_hearing_and_not_for_a_loop_that_turns";
    if senses(TEST).is_none() {
        return;
    }
    let engine = Arc::new(Fickle::default())
        .load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited());
    let start = |fault| {
        let pipeline = start(senses(TEST).expect("as before"), &engine, fault, Box::new(|_| ()));
        let control = pipeline.control();
        (pipeline, control)
    };
    // Nothing comes, and nobody says that the microphone is away.
    let (pipeline, control) = start(Some(|| {
        std::thread::sleep(Duration::from_millis(20));
        Ok(Read::Quiet)
    }));
    let until = Instant::now() + PATIENCE;
    while proof(&control) {
        assert!(Instant::now() < until, "it passes for hearing");
        std::thread::sleep(Duration::from_millis(50));
    }
    control.stop();
    pipeline.join().expect("it was stopped");
    // It is away, and looked for.
    let (pipeline, control) = start(Some(|| {
        std::thread::sleep(Duration::from_millis(20));
        thread_local!(static TOLD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
        Ok(if TOLD.replace(true) { Read::Quiet } else { Read::Lost("unplugged".into()) })
    }));
    // All is well.
    let (other, hears) = start(None);
    let until = Instant::now() + LATELY * 3;
    while Instant::now() < until {
        assert!(proof(&control), "it looks for the microphone");
        assert!(proof(&hears), "it hears");
        std::thread::sleep(Duration::from_millis(100));
    }
    for (pipeline, control) in [(pipeline, control), (other, hears)] {
        control.stop();
        pipeline.join().expect("it was stopped");
    }
}
