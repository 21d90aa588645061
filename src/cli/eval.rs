//! `tercet eval`: how well the language model does by itself (no fast path, no repair), and how well the whole agent does.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::model::{EngineArgs, Talker, load};
use super::{Context, input, out, perplexity};
use crate::error::{Error, Kind, Result};
use crate::llm::Sampling;
use crate::llm::reply::{Reply, parse_reply};
use crate::schema::{Message, Role};

mod agent;

/// Longest assistant turn; a call takes about 40 tokens.
const MAX_TURN_TOKENS: usize = 200;

/// Most that is taken of a file.
const MAX_CASES_BYTES: u64 = 256 << 20;

/// Remedy for a file that does not hold conversations.
const WRITE: &str = r#"give a file with one {"messages": [{"role": …, "content": …}, …]} a line"#;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Tool calls: the first assistant turn of each conversation, greedy, against the one wanted
    Tools(Tools),
    /// The whole agent: what it does when asked, against what may come of it
    Agent(agent::Agent),
    /// Perplexity: how surprised the model is by a text, as llama.cpp measures it (lower is better)
    Ppl(perplexity::Ppl),
}

#[derive(Debug, clap::Args)]
struct Tools {
    /// Conversations, one JSON object `{"messages": [{"role", "content"}, …]}` per line; "-" reads standard input
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    /// Take only the first N conversations
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Restrict calls to the tools offered and their arguments (the default)
    #[arg(long, overrides_with = "free")]
    constrained: bool,
    /// Let the model write whatever it likes
    #[arg(long, overrides_with = "constrained")]
    free: bool,
    /// Print the totals as one JSON object
    #[arg(long)]
    json: bool,
    /// With --json: first print one object per conversation
    #[arg(long, requires = "json")]
    details: bool,
}

/// A conversation whose first assistant turn is the wanted one.
#[derive(Debug, Deserialize)]
struct Case {
    /// What kind of conversation it is, where the file says so.
    #[serde(default)]
    kind: Option<String>,
    messages: Vec<Message>,
}

/// How one conversation went.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    line: usize,
    right: bool,
    wanted: &'a str,
    got: &'a str,
}

/// The totals.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Score {
    /// Wanted calls of which name and every argument are right.
    exact: usize,
    /// Wanted calls.
    calls: usize,
    /// Wanted texts where no tool was called.
    text_kept: usize,
    /// Wanted texts: refusals and chats together.
    texts: usize,
    /// Refusals where no tool was called.
    refusals_kept: usize,
    /// Requests that none of the tools offered fits.
    refusals: usize,
    /// Chats where no tool was called.
    chats_kept: usize,
    /// What asks for no tool at all.
    chats: usize,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    match args.what {
        What::Tools(tools) => run_tools(&tools, ctx),
        What::Agent(agent) => agent::run(&agent, ctx),
        What::Ppl(ppl) => perplexity::run(&ppl, ctx),
    }
}

fn run_tools(args: &Tools, ctx: &Context) -> Result<()> {
    let cases = read_cases(&args.file, args.limit.unwrap_or(usize::MAX))?;
    let settings = args.engine.settings(ctx)?.llm;
    let engine = load(&settings)?;
    // Greedy, whatever is configured: a figure is to be the same everywhere.
    let mut talker = Talker::new(engine, Sampling::default(), MAX_TURN_TOKENS, !args.free)?;
    let mut score = Score::default();
    let bar = out::progress_steps(cases.len() as u64, "tool calls", ctx.global.quiet || args.json);
    for (line, case) in &cases {
        let (prompt, wanted) = split(case, *line, &args.file)?;
        let got = talker.answer(prompt, &|| false, &mut |_| Ok(()))?.text;
        let right = score.count(case.is_refusal(wanted), wanted, &got);
        if args.details {
            out::json(&Outcome { line: *line, right, wanted, got: &got })?;
        } else if !right && !args.json {
            bar.suspend(|| out::line(format!("line {line}\n  wanted {wanted}\n  got    {got}")))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match args.json {
        true => out::json(&score),
        false => score.print(),
    }
}

impl Case {
    /// Of a wanted text: whether it turns a request down. Files say so with `"kind": "refusal"`; in those that say nothing
    /// the wording decides.
    fn is_refusal(&self, wanted: &str) -> bool {
        match self.kind.as_deref() {
            Some(kind) => ["refus", "no_tool", "unfit"].iter().any(|k| kind.to_lowercase().contains(k)),
            None => {
                let wanted = wanted.to_lowercase().replace('\u{2019}', "'");
                ["can't", "cannot", "can not", "not able", "unable", "don't have a", "no tool"]
                    .iter()
                    .any(|w| wanted.contains(w))
            }
        }
    }
}

impl Score {
    /// Counts one conversation and says whether it went right.
    fn count(&mut self, refusal: bool, wanted: &str, got: &str) -> bool {
        match (parse_reply(wanted), parse_reply(got)) {
            (Reply::Call(w), g) => {
                let right = g == Reply::Call(w);
                self.calls += 1;
                self.exact += usize::from(right);
                right
            }
            (_, g) => {
                let right = matches!(g, Reply::Text(_));
                self.texts += 1;
                self.text_kept += usize::from(right);
                let (of, kept) = match refusal {
                    true => (&mut self.refusals, &mut self.refusals_kept),
                    false => (&mut self.chats, &mut self.chats_kept),
                };
                *of += 1;
                *kept += usize::from(right);
                right
            }
        }
    }

    /// A row for each kind that the file holds.
    fn print(&self) -> Result<()> {
        let mut table = out::Table::new(["wanted", "right", "of"]);
        for (what, right, of) in [
            ("calls, name and every argument", self.exact, self.calls),
            ("refusals, nothing called", self.refusals_kept, self.refusals),
            ("chats, nothing called", self.chats_kept, self.chats),
        ] {
            if of > 0 {
                table.row([what.to_owned(), right.to_string(), of.to_string()]);
            }
        }
        table.print()
    }
}

/// The turns before the first of the assistant, and that one.
fn split<'a>(case: &'a Case, line: usize, file: &Path) -> Result<(&'a [Message], &'a str)> {
    let at = case.messages.iter().position(|m| m.role == Role::Assistant);
    at.map(|at| (&case.messages[..at], case.messages[at].content.as_str())).ok_or_else(|| {
        Error::new(Kind::Corrupt, format!("{}, line {line}: there is no assistant turn", input::name(file)))
    })
}

/// Conversations with their line numbers.
fn read_cases(file: &Path, limit: usize) -> Result<Vec<(usize, Case)>> {
    let text = input::text(file, MAX_CASES_BYTES, WRITE)?;
    let name = input::name(file);
    let mut cases = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if cases.len() == limit {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let case = serde_json::from_str(line).map_err(|e| {
            Error::new(Kind::Corrupt, format!("{name}, line {}: not a conversation", i + 1)).remedy(WRITE).because(e)
        })?;
        cases.push((i + 1, case));
    }
    match cases.is_empty() {
        true => Err(Error::new(Kind::Corrupt, format!("{name} holds no conversations")).remedy(WRITE)),
        false => Ok(cases),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_when_name_and_every_argument_are_right() {
        let mut s = Score::default();
        let wanted = r#"{"name": "set_light", "parameters": {"room": "hall", "on": true}}"#;
        assert!(s.count(false, wanted, r#"{"name":"set_light","parameters":{"on":true,"room":"hall"}}"#));
        assert!(!s.count(false, wanted, r#"{"name":"set_light","parameters":{"room":"hall"}}"#));
        assert!(!s.count(false, wanted, r#"{"name":"set_light","parameters":{"room":"hall","on":true,"x":1}}"#));
        assert!(!s.count(false, wanted, "The light is on."));
        assert!(s.count(false, "It is blue.", "Blue."));
        assert!(!s.count(false, "It is blue.", wanted));
        assert!(!s.count(false, "It is blue.", "{\"name\": "));
        assert_eq!(
            s,
            Score { exact: 1, calls: 4, text_kept: 1, texts: 3, chats_kept: 1, chats: 3, ..Score::default() }
        );
    }
}
