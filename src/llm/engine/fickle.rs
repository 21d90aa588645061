//! For tests: the CPU in place of a device that fails, once or for good.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::error::{Error, Kind};
use crate::llm::Session;
use crate::llm::backend::cpu::Cpu;
use crate::llm::model::{self, Model};
use crate::units::TokenId;

/// The device. A sticky error loses the device to the whole process: to all sessions at once, and to later ones.
#[derive(Default)]
pub(crate) struct Fickle {
    /// Passes up to the one that fails; 0: none fails.
    fails_at: AtomicUsize,
    /// Passes up to the one that is refused; 0: none is.
    refuses_at: AtomicUsize,
    lost: AtomicBool,
}

impl Fickle {
    /// The default model on this device.
    pub(crate) fn load(self: &Arc<Self>, settings: &Settings, budget: &Budget) -> Arc<Engine> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
        let (file, hyper, name) = read(&path).expect("reads");
        let sizes = model::estimate(&Cpu::new(1).expect("starts"), &file, &hyper, settings).expect("sound");
        let load = |file: &Arc<Gguf>, hyper: Hyper| {
            let of = Arc::new(Model::load(Cpu::new(settings.thread_count())?, file, hyper, settings)?);
            Ok(Arc::new(OnDevice { of, device: self.clone() }) as Arc<dyn Loaded>)
        };
        Engine::assemble((file, hyper, name), &path, (budget, sizes, settings), load).expect("loads")
    }

    /// The `n`-th pass or load from now on fails, and the device is lost with it.
    pub(crate) fn fail_at(&self, n: usize) {
        self.fails_at.store(n, SeqCst);
    }

    /// The `n`-th pass or load from now on is refused; those after it are not.
    pub(crate) fn refuse_at(&self, n: usize) {
        self.refuses_at.store(n, SeqCst);
    }

    fn answers(&self) -> Result<()> {
        match self.lost.load(SeqCst) {
            false => Ok(()),
            true => Err(Error::new(Kind::Device, "the GPU is lost to this process").remedy("start it again")),
        }
    }

    fn pass(&self) -> Result<()> {
        self.answers()?;
        if counts_down_to_0(&self.refuses_at) {
            return Err(Error::new(Kind::Device, "starting a kernel: invalid argument"));
        }
        if counts_down_to_0(&self.fails_at) {
            self.lost.store(true, SeqCst);
            return Err(Error::new(Kind::Device, "computing on the GPU: an illegal memory access was encountered")
                .remedy("start it again"));
        }
        Ok(())
    }
}

/// Whether it reaches zero now.
fn counts_down_to_0(n: &AtomicUsize) -> bool {
    n.fetch_update(SeqCst, SeqCst, |n| Some(n.saturating_sub(1))) == Ok(1)
}

struct OnDevice {
    of: Arc<dyn Loaded>,
    device: Arc<Fickle>,
}

impl Loaded for OnDevice {
    fn describe(&self) -> String {
        self.of.describe()
    }
    fn resident(&self) -> Bytes {
        self.of.resident()
    }
    fn context(&self) -> usize {
        self.of.context()
    }
    fn chunk(&self) -> usize {
        self.of.chunk()
    }
    fn answers(&self) -> Result<()> {
        self.device.answers()
    }
    fn open(self: Arc<Self>) -> Result<Box<dyn Timeline>> {
        self.answers()?;
        Ok(Box::new(FickleTimeline { of: self.of.clone().open()?, on: self }))
    }
}

struct FickleTimeline {
    of: Box<dyn Timeline>,
    on: Arc<OnDevice>,
}

impl Timeline for FickleTimeline {
    fn forward(&mut self, tokens: &[TokenId], start: usize, logits: Option<&mut [f32]>) -> Result<()> {
        self.on.device.pass()?;
        self.of.forward(tokens, start, logits)
    }
    fn logits(&mut self, row: usize, logits: &mut [f32]) -> Result<()> {
        self.of.logits(row, logits)
    }
    fn rows_are_alike(&self) -> bool {
        self.of.rows_are_alike()
    }
    fn save(&self, len: usize) -> Result<Vec<u8>> {
        self.of.save(len)
    }
    fn load(&mut self, len: usize, saved: &[u8]) -> Result<()> {
        self.on.device.pass()?;
        self.of.load(len, saved)
    }
    fn resident(&self) -> (Bytes, Bytes) {
        self.of.resident()
    }
}

fn settings() -> Settings {
    Settings { context_tokens: 64, threads: 1, ..Settings::default() }
}

fn append(session: &mut Session, token: u32) -> Result<()> {
    session.append(&[TokenId(token)], &|| false)
}

#[test]
fn a_device_that_is_lost_ends_its_sessions_and_opens_no_other() {
    let device = Arc::new(Fickle::default());
    let engine = device.load(&settings(), &Budget::unlimited());
    let (mut one, mut other) = (engine.session().expect("opens"), engine.session().expect("opens"));
    device.fail_at(2);
    append(&mut one, 5).expect("computes");
    engine.answers().expect("it is there");
    for _ in 0..2 {
        for session in [&mut one, &mut other] {
            assert_eq!(append(session, 5).expect_err("it is lost to both").kind(), Kind::Device);
        }
    }
    for e in [engine.answers().expect_err("it is lost"), engine.session().err().expect("it is lost")] {
        assert!(e.kind() == Kind::Device && e.remedy_text().is_some(), "{e:?}");
    }
}

/// A session interrupted by a device error is what it was before.
#[test]
fn an_error_that_the_device_gets_over_ends_one_call() {
    let device = Arc::new(Fickle::default());
    let engine = device.load(&settings(), &Budget::unlimited());
    let (mut one, mut other) = (engine.session().expect("opens"), engine.session().expect("opens"));
    for token in 5..8 {
        append(&mut other, token).expect("computes");
    }
    append(&mut one, 5).expect("computes");
    device.refuse_at(2);
    append(&mut one, 6).expect("computes");
    assert_eq!(append(&mut one, 7).expect_err("it is refused").kind(), Kind::Device);
    engine.answers().expect("it is there");
    assert_eq!(one.position(), 2);
    append(&mut one, 7).expect("computes");
    assert_eq!(one.logits(), other.logits());
}

/// A device error while a saved prefix is restored is reported, and leaves an empty timeline.
#[test]
fn an_error_while_a_saved_start_is_loaded_is_told() {
    let device = Arc::new(Fickle::default());
    let engine = device.load(&settings(), &Budget::unlimited());
    let tokens: Vec<TokenId> = (5..15).map(TokenId).collect();
    let mut one = engine.session().expect("opens");
    one.append(&tokens, &|| false).expect("computes");
    one.pin(tokens.len()).expect("there");
    let mut saved = Vec::new();
    one.save_prefix(&mut saved).expect("saves");

    let mut other = engine.session().expect("opens");
    append(&mut other, 77).expect("computes");
    other.pin(1).expect("there");
    // The data is damaged: the timeline is as it was.
    assert!(!other.load_prefix(&tokens, &mut &saved[1..]).expect("no trouble"));
    assert_eq!((other.position(), other.pinned()), (1, 1));
    device.refuse_at(1);
    let e = other.load_prefix(&tokens, &mut &saved[..]).expect_err("the device refuses");
    assert_eq!((e.kind(), other.position(), other.pinned()), (Kind::Device, 0, 0));
    engine.answers().expect("it is there");
    assert!(other.load_prefix(&tokens, &mut &saved[..]).expect("no trouble"));
    assert_eq!((other.tokens(), other.pinned()), (&tokens[..], tokens.len()));
    device.fail_at(1);
    assert_eq!(other.load_prefix(&tokens, &mut &saved[..]).expect_err("it is lost").kind(), Kind::Device);
    assert_eq!(engine.answers().expect_err("it is lost").kind(), Kind::Device);
}
