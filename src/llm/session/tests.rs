//! Whatever a session went through, it equals a fresh one with the same tokens, to the bit.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::error::Kind;
use crate::llm::tokenizer::Specials;
use crate::llm::{BackendKind, KvPrecision, Sampling, Settings};

const CONTEXT: usize = 72;

fn load(kv_precision: KvPrecision) -> Arc<Engine> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pocket.gguf");
    let options = Settings {
        backend: BackendKind::Cpu,
        threads: 2,
        context_tokens: CONTEXT,
        prefill_chunk: 16,
        kv_precision,
        speculation: false,
        ..Settings::default()
    };
    Engine::load(&path, &options.into(), &Budget::unlimited()).expect("the default model loads")
}

static F16: LazyLock<Arc<Engine>> = LazyLock::new(|| load(KvPrecision::F16));
static INT8: LazyLock<Arc<Engine>> = LazyLock::new(|| load(KvPrecision::Int8));

fn engine(int8: bool) -> &'static Arc<Engine> {
    if int8 { &INT8 } else { &F16 }
}

fn ids(of: impl IntoIterator<Item = u32>) -> Vec<TokenId> {
    of.into_iter().map(TokenId).collect()
}

fn go() -> bool {
    false
}

/// What follows `tokens`, computed by a session that has never held anything else.
fn fresh(engine: &Arc<Engine>, tokens: &[TokenId]) -> Vec<f32> {
    let mut s = engine.session().expect("a session");
    s.append(tokens, &go).expect("it fits");
    s.logits().to_vec()
}

/// Asserts that `s` holds `tokens` and that what it makes of them, and of another token, is what a fresh one does.
fn assert_fresh(s: &mut Session, tokens: &[TokenId]) {
    assert_eq!(s.tokens(), tokens);
    if tokens.is_empty() || s.free() == 0 {
        return;
    }
    let mut with = tokens.to_vec();
    with.push(TokenId(77));
    s.append(&with[tokens.len()..], &go).expect("it fits");
    assert!(s.logits() == fresh(&s.engine.clone(), &with), "{} tokens are not what they were", tokens.len());
    let pinned = s.pinned();
    s.truncate(tokens.len().max(pinned)).expect("in range");
}

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<u32>),
    Truncate(usize),
    Pin(usize),
    Snapshot,
    Restore,
    EndTurn,
    MakeRoom(usize),
    Sync(usize, Vec<u32>),
    /// Computes tokens that are then not taken.
    Draft(Vec<u32>),
    Save,
    Load,
}

fn op() -> impl Strategy<Value = Op> {
    let tokens = || prop::collection::vec(0u32..16_000, 1..20);
    prop_oneof![
        4 => tokens().prop_map(Op::Append),
        2 => (0usize..CONTEXT).prop_map(Op::Truncate),
        1 => (0usize..CONTEXT).prop_map(Op::Pin),
        1 => Just(Op::Snapshot),
        2 => Just(Op::Restore),
        2 => Just(Op::EndTurn),
        2 => (1usize..40).prop_map(Op::MakeRoom),
        2 => (0usize..CONTEXT, tokens()).prop_map(|(keep, t)| Op::Sync(keep, t)),
        2 => tokens().prop_map(Op::Draft),
        1 => Just(Op::Save),
        1 => Just(Op::Load),
    ]
}

/// What a session should hold.
#[derive(Default)]
struct Model {
    tokens: Vec<TokenId>,
    pinned: usize,
    turns: Vec<usize>,
    /// What was saved last, and the tokens it is of.
    saved: (Vec<TokenId>, Vec<u8>),
}

impl Model {
    fn cut(&mut self, at: usize) {
        self.tokens.truncate(at);
        self.turns.retain(|&t| t <= at);
    }

    fn set(&mut self, tokens: &[TokenId]) {
        *self = Model {
            tokens: tokens.to_vec(),
            pinned: tokens.len(),
            saved: std::mem::take(&mut self.saved),
            turns: vec![],
        };
    }

    fn apply(&mut self, s: &mut Session, snapshot: &mut Option<Snapshot>, op: Op) {
        match op {
            Op::Append(t) => {
                let fits = self.tokens.len() + t.len() <= CONTEXT;
                let done = s.append(&ids(t.iter().copied()), &go);
                assert_eq!(done.is_ok(), fits);
                match done {
                    Ok(()) => self.tokens.extend(ids(t)),
                    Err(e) => assert_eq!(WindowFull::of(&e).expect("numbers").free, s.free()),
                }
            }
            Op::Truncate(at) => {
                let ok = (self.pinned..=self.tokens.len()).contains(&at);
                assert_eq!(s.truncate(at).is_ok(), ok);
                if ok {
                    self.cut(at);
                }
            }
            Op::Pin(n) => {
                assert_eq!(s.pin(n).is_ok(), n <= self.tokens.len());
                self.pinned = s.pinned();
            }
            Op::Snapshot => *snapshot = Some(s.snapshot().expect("a snapshot")),
            Op::Restore => {
                if let Some(kept) = snapshot {
                    s.restore(kept).expect("of this engine");
                    self.set(kept.tokens());
                }
            }
            Op::EndTurn => {
                s.end_turn();
                if self.tokens.len() > self.turns.last().copied().unwrap_or(0).max(self.pinned) {
                    self.turns.push(self.tokens.len());
                }
            }
            Op::MakeRoom(wanted) => self.make_room(s, wanted),
            Op::Sync(keep, t) => {
                let keep = keep.clamp(self.pinned, self.tokens.len());
                let mut to = self.tokens[..keep].to_vec();
                to.extend(ids(t));
                to.truncate(CONTEXT);
                let common = self.tokens.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let kept = s.sync(&to, &go).expect("it fits and keeps the pinned start");
                assert!(kept == common || kept + 1 == common);
                assert!(s.logits() == fresh(&s.engine.clone(), &to));
                self.turns.retain(|&t| t <= common.min(to.len() - usize::from(common == to.len() && kept < common)));
                self.pinned = s.pinned();
                self.tokens = to;
            }
            Op::Draft(t) => {
                let mut t = ids(t);
                t.truncate(s.free().min(16));
                if let Some(&first) = t.first() {
                    s.compute_draft(&t).expect("it fits");
                    self.tokens.push(first);
                    assert!(s.logits() == fresh(&s.engine.clone(), &self.tokens), "together is not alone");
                    if let Some(&second) = t.get(1) {
                        s.accept(1, second).expect("the next row");
                        self.tokens.push(second);
                        assert!(s.logits() == fresh(&s.engine.clone(), &self.tokens), "the second row");
                    }
                }
            }
            Op::Save => {
                self.saved = (self.tokens[..self.pinned].to_vec(), Vec::new());
                s.save_prefix(&mut self.saved.1).expect("it is saved");
            }
            Op::Load => {
                let (tokens, bytes) = self.saved.clone();
                assert_eq!(s.load_prefix(&tokens, &mut &bytes[..]).expect("no trouble"), !bytes.is_empty());
                if !bytes.is_empty() {
                    self.set(&tokens);
                }
            }
        }
    }

    fn make_room(&mut self, s: &mut Session, wanted: usize) {
        let free = CONTEXT - self.tokens.len();
        let pinned = self.pinned;
        let turns: Vec<usize> = self.turns.iter().copied().filter(|&t| t > pinned).collect();
        let end = turns.iter().copied().find(|t| t - pinned + free >= wanted);
        match (s.make_room(wanted, &go), end) {
            (Ok(0), _) => assert!(wanted <= free),
            (Ok(gone), Some(end)) => {
                assert!(wanted > free && gone == end - pinned && s.free() >= wanted);
                self.tokens.drain(pinned..end);
                self.turns.retain(|&t| t <= pinned);
                self.turns.extend(turns.into_iter().filter(|&t| t > end).map(|t| t - gone));
            }
            (Err(e), None) => assert!(wanted > free && WindowFull::of(&e).is_some()),
            (other, _) => panic!("{other:?} with {end:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_as_good_as_none(ops in prop::collection::vec(op(), 1..14), int8: bool) {
        let mut s = engine(int8).session().expect("a session");
        let mut model = Model::default();
        let mut snapshot = None;
        for op in ops {
            model.apply(&mut s, &mut snapshot, op);
            prop_assert_eq!(s.tokens(), &model.tokens[..]);
            prop_assert_eq!(s.pinned(), model.pinned);
        }
        assert_fresh(&mut s, &model.tokens);
    }
}

#[test]
fn turns_are_forgotten_oldest_first_and_the_pinned_start_never() {
    let mut s = F16.session().expect("a session");
    let text = ids((0..60).map(|i| 100 + 37 * i));
    s.append(&text[..10], &go).expect("fits");
    s.pin(10).expect("there");
    for end in [25, 40, 55] {
        s.append(&text[s.position()..end], &go).expect("fits");
        s.end_turn();
    }
    s.append(&text[55..], &go).expect("fits");
    assert_eq!(s.make_room(12, &go).expect("there is room"), 0);
    assert_eq!(s.make_room(13, &go).expect("a turn goes"), 15);
    let left = [&text[..10], &text[25..]].concat();
    assert_fresh(&mut s, &left);
    assert_eq!(s.make_room(50, &go).expect("two go at once"), 30);
    assert_fresh(&mut s, &[&text[..10], &text[55..]].concat());
    let e = s.make_room(60, &go).expect_err("the turn under way stays");
    assert_eq!(WindowFull::of(&e).expect("numbers").free, 57);
}

/// Replies go on when the window is full, where turn ends are known.
#[test]
fn generation_outlives_the_window() {
    let mut s = F16.session().expect("a session");
    s.append(&ids([1, 2, 3, 4]), &go).expect("fits");
    s.pin(4).expect("there");
    s.append(&ids((0..50).map(|i| 200 + i)), &go).expect("fits");
    s.end_turn();
    s.append(&ids([7, 8, 9]), &go).expect("fits");
    let mut sampler = Sampler::greedy();
    let mut run = s.generate(&mut sampler, &[], 60, &go);
    let said: Vec<TokenId> = run.by_ref().map(|t| t.expect("a token")).collect();
    assert_eq!((said.len(), run.finish()), (60, Some(Finish::Length)));
    let mut all = ids([1, 2, 3, 4, 7, 8, 9]);
    all.extend(&said);
    assert_fresh(&mut s, &all);
    // Nothing is left to forget.
    s.sync(&all, &go).expect("it fits");
    let mut run = s.generate(&mut sampler, &[], 60, &go);
    assert_eq!((run.by_ref().count(), run.finish()), (CONTEXT - 67 + 1, Some(Finish::Window)));
}

/// Text generated with draft tokens is the text generated without, whatever the sampler.
#[test]
fn speculation_changes_nothing_but_time() {
    let text = "Red, green, blue, black and white. ".repeat(3) + "Red, green,";
    let text = F16.tokenizer().encode(&text, Specials::AsText).expect("it encodes");
    assert!(text.len() < 40, "{} tokens", text.len());
    let (mut batches, mut accepted) = (0, 0);
    for (int8, temperature, repetition_penalty, seed) in
        [(false, 0.0, 1.0, 0), (true, 0.0, 1.0, 0), (false, 0.7, 1.0, 1), (true, 1.2, 1.0, 2), (false, 0.4, 1.1, 3)]
    {
        let sampling = Sampling { temperature, repetition_penalty, seed, ..Sampling::default() };
        let run = |always: bool| {
            let mut s = engine(int8).session().expect("a session");
            s.append(&text, &go).expect("fits");
            s.speculation = Speculation::new(always);
            s.speculation.always = always;
            let mut sampler = Sampler::new(sampling.clone());
            let said: Vec<TokenId> = s.generate(&mut sampler, &[], 30, &go).map(|t| t.expect("a token")).collect();
            (said, s.tokens().to_vec(), s.logits().to_vec(), s.draft_counts())
        };
        let (plain, drafted) = (run(false), run(true));
        assert!(plain.0 == drafted.0 && plain.1 == drafted.1 && plain.2 == drafted.2);
        assert_eq!(plain.3, Counts::default());
        println!("temperature {temperature}, penalty {repetition_penalty}: {:?}", drafted.3);
        batches += drafted.3.batches;
        accepted += drafted.3.accepted;
    }
    assert!(batches > 10 && accepted > 20, "{accepted} draft tokens accepted in {batches} batches: too few to tell");
}

/// Takes no more than so many bytes.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Cannot be read beyond so many bytes.
struct Torn(usize);

impl std::io::Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.0);
        self.0 -= n;
        if n == 0 { Err(std::io::Error::other("a bad sector")) } else { Ok(n) }
    }
}

fn saved(s: &Session) -> Vec<u8> {
    let mut to = Vec::new();
    s.save_prefix(&mut to).expect("it is saved");
    to
}

#[test]
fn a_damaged_start_is_as_good_as_none() {
    let tokens = ids((0..20).map(|i| 500 + i));
    let mut s = F16.session().expect("a session");
    s.append(&tokens, &go).expect("fits");
    s.pin(tokens.len()).expect("there");
    for room in [0, 30, 500] {
        assert_eq!(s.save_prefix(&mut Full(room)).expect_err("it is full").kind(), Kind::Io);
    }
    let whole = saved(&s);
    let mut other = F16.session().expect("a session");
    other.append(&ids([7, 8, 9]), &go).expect("fits");
    other.pin(3).expect("there");
    let foreign = saved(&other);
    let flipped = |at: usize| whole.iter().enumerate().map(|(i, b)| if i == at { b ^ 1 } else { *b }).collect();
    // Bytes of keys and values beyond all memory.
    let mut endless = whole.clone();
    endless[44..52].fill(0xff);
    let damages: Vec<Vec<u8>> = vec![
        Vec::new(),
        whole[..40].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], b"x"].concat(),
        flipped(whole.len() / 2),
        flipped(60),
        vec![0; whole.len()],
        endless,
        // Of other tokens, sound in itself.
        foreign,
    ];
    for damaged in damages {
        assert!(!other.load_prefix(&tokens, &mut &damaged[..]).expect("no trouble"), "a damaged one was taken");
        assert_eq!((other.position(), other.pinned()), (3, 3), "the timeline is as it was");
    }
    assert_eq!(other.load_prefix(&tokens, &mut Torn(0)).expect_err("unreadable").kind(), Kind::Io);
    assert_fresh(&mut other, &ids([7, 8, 9]));
    assert!(other.load_prefix(&tokens, &mut &whole[..]).expect("no trouble"));
    assert_fresh(&mut other, &tokens);
}

#[test]
fn a_start_is_of_one_precision_and_of_its_tokens() {
    let tokens = ids((0..20).map(|i| 500 + i));
    let mut s = F16.session().expect("a session");
    s.append(&tokens, &go).expect("fits");
    s.pin(tokens.len()).expect("there");
    let mut int8 = INT8.session().expect("a session");
    assert!(!int8.load_prefix(&tokens, &mut &saved(&s)[..]).expect("no trouble"));
    assert!(!s.load_prefix(&tokens[1..], &mut &saved(&s)[..]).expect("no trouble"));
    let names = [s.prefix_id(&tokens), s.prefix_id(&tokens[1..]), int8.prefix_id(&tokens)].map(|id| id.expect("there"));
    assert!(names[0] != names[1] && names[0] != names[2]);
    assert_eq!(F16.session().expect("a session").prefix_id(&tokens).expect("there"), names[0]);
}
