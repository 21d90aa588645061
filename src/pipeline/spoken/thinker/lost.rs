//! A conversation whose device fails on the way: the default model on a device that can be made to fail.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::budget::Budget;
use crate::dialog::{self, Context};
use crate::error::Error;
use crate::llm;
use crate::llm::fickle::Fickle;
use crate::schema::{Role, ToolSchema};

/// The thread's work without the thread, and the memory that the coordinator keeps.
struct Conversation {
    worker: Worker,
    memory: Context,
    messages: Queue<Msg>,
    turn: u64,
}

/// What a turn came to.
#[derive(Default)]
struct Came {
    event: Option<Event>,
    troubles: Vec<String>,
    fatal: Option<Error>,
    /// Tokens of the prompt that had been computed before.
    cached: usize,
}

impl Conversation {
    fn new(device: &Arc<Fickle>) -> Self {
        let tools: Vec<ToolSchema> = serde_json::from_value(serde_json::json!([
            {"name": "set_light", "params": [{"name": "room", "type": "string"}, {"name": "on", "type": "bool"}]},
            {"name": "set_volume", "params": [{"name": "level", "type": "int"}]}
        ]))
        .expect("schemas");
        let settings = dialog::Settings { reply_tokens: 60, ..dialog::Settings::default() };
        let memory = Context::new(&settings, &tools);
        let engine = device.load(&llm::Settings { threads: 2, ..llm::Settings::default() }, &Budget::unlimited());
        let sampling = llm::Sampling::default();
        let mind = Mind::new(&engine, sampling, &memory, &tools, settings.reply_tokens, None).expect("a session");
        let handle = Thinker { jobs: Queue::new(1, WhenFull::DropOldest), cancel: Cancel::default() };
        let messages = Queue::new(256, WhenFull::Block);
        let worker = Worker { mind, handle, out: messages.clone() };
        Self { worker, memory, messages, turn: 0 }
    }

    /// What the thread has reported since the last call.
    fn told(&self) -> Came {
        let mut came = Came::default();
        while let Some(Some(msg)) = self.messages.recv_until(Some(Instant::now())) {
            match msg {
                Msg::Trouble { part, message } => came.troubles.push(format!("{part}: {message}")),
                Msg::Thought { thought, .. } => came.cached = thought.cached_tokens,
                Msg::Dialog(event) => came.event = Some(event),
                Msg::Fatal(e) => {
                    assert!(came.event.is_some() || self.turn == 0, "what there is to say comes before the end");
                    came.fatal = Some(e);
                }
                _ => {}
            }
        }
        came
    }

    /// One turn as the thread does it. A call is remembered, as the dialog does.
    fn ask(&mut self, request: &str) -> Came {
        self.turn += 1;
        let work = WorkId { turn: TurnId(self.turn), revision: 1 };
        let asked = Message::new(Role::User, request);
        let exchange = std::slice::from_ref(&asked);
        let (engine, chat) = (self.worker.mind.engine(), self.worker.mind.chat());
        let count = |m: &[Message]| chat.render(engine.tokenizer(), m, true).expect("it renders").len();
        let prompt = self.memory.prompt(Duration::ZERO, exchange, engine.context(), count).expect("it fits");
        self.worker.turn(&Job { work, prompt });
        let came = self.told();
        if let Some(Event::ToolWanted { call, .. }) = &came.event {
            let answer = Message::new(Role::Assistant, dialog::json::compact_json(call));
            self.memory.remember(Duration::ZERO, vec![asked, answer]);
        }
        came
    }
}

impl Came {
    /// The light that is switched: room, on.
    fn light(&self) -> (&str, bool) {
        match &self.event {
            Some(Event::ToolWanted { call, .. }) if call.name == "set_light" => {
                (call.parameters["room"].as_str().expect("a room"), call.parameters["on"] == true)
            }
            other => panic!("no call: {other:?}"),
        }
    }

    /// What the trouble of a turn that failed was.
    fn trouble(&self) -> &str {
        match (&self.event, &self.troubles[..]) {
            (Some(Event::ModelFailed { spoken: None, .. }), [trouble]) => trouble,
            other => panic!("it did not fail: {other:?}"),
        }
    }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const KITCHEN: &str = "Turn on the light in the kitchen.";
const FRANCE: &str = "What is the capital of France?";

#[test]
fn a_device_that_is_lost_costs_the_turn_and_then_ends_all() {
    let log = Log::default();
    let lines = {
        let log = log.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish()
    };
    let _guard = tracing::subscriber::set_default(lines);
    let device = Arc::new(Fickle::default());
    let mut c = Conversation::new(&device);
    c.worker.prepare();
    assert_eq!(c.ask(KITCHEN).light(), ("kitchen", true));

    // The prompt is read in one pass; the error comes while the answer is written.
    device.fail_at(3);
    for what in ["computing on the GPU: an illegal memory access", "the GPU is lost"] {
        let came = c.ask(FRANCE);
        assert!(came.trouble().starts_with(&format!("language model: {what}")), "{}", came.trouble());
        let e = came.fatal.expect("that is the end");
        assert!(e.kind() == Kind::Device && e.remedy_text().is_some(), "{e:?}");
    }
    let text = String::from_utf8(log.0.lock().expect("whole").clone()).expect("UTF-8");
    let errors: Vec<_> = text.lines().filter(|l| l.contains("ERROR")).collect();
    assert!(errors.len() == 2 && errors.iter().all(|l| l.contains("remedy=\"start it again\"")), "{errors:?}");
}

#[test]
fn a_device_that_is_lost_before_the_first_turn_ends_all() {
    let device = Arc::new(Fickle::default());
    let mut c = Conversation::new(&device);
    device.fail_at(1);
    c.worker.prepare();
    assert_eq!(c.told().fatal.map(|e| e.kind()), Some(Kind::Device));
}

#[test]
fn after_other_errors_the_conversation_goes_on() {
    let device = Arc::new(Fickle::default());
    let mut c = Conversation::new(&device);
    device.refuse_at(1);
    c.worker.prepare();
    assert!(c.told().fatal.is_none(), "the first prompt computes it");
    assert_eq!(c.ask(KITCHEN).light(), ("kitchen", true));

    device.refuse_at(3);
    let came = c.ask(FRANCE);
    assert!(came.trouble().contains("invalid argument") && came.fatal.is_none());

    let long = Message::new(Role::User, "word ".repeat(2000));
    let work = WorkId { turn: TurnId(9), revision: 1 };
    c.worker.turn(&Job { work, prompt: vec![c.memory.system().clone(), long] });
    let came = c.told();
    assert!(came.trouble().contains("is full") && came.fatal.is_none(), "{}", came.trouble());

    let came = c.ask("Turn it off again.");
    assert_eq!(came.light(), ("kitchen", false), "only the first turn says which light");
    assert!(came.cached > 0 && came.fatal.is_none());
}
