//! `tercet eval agent`: what the whole agent does with requests: the reading, the fast path, the model and the check of its
//! calls. The owner's commands are not run; what is set is forgotten after each request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Case as Dialogue, Context, Score, WRITE, input, out, read_cases, split};
use crate::cli::model::{EngineArgs, load};
use crate::config::Settings;
use crate::dialog;
use crate::error::{Error, Kind, Result};
use crate::llm::{Engine, Sampling};
use crate::pipeline::{Conversation, Turn, WrittenParts};
use crate::schema::{Role, ToolSchema};
use crate::tools::expected::{self, Made, Verdict};
use crate::tools::{self, Clock, Registry};

/// Most that is taken of a file.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Agent {
    /// Requests: lines of kind, request and outcome with tabs between (docs/cases.md), or conversations as `eval tools` takes
    /// them (.jsonl); "-" reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The owner's commands that the requests are for: a TOML file with [[tools.command]]; without it the configured ones
    #[arg(long, value_name = "FILE.toml")]
    commands: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Take only the first N
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the totals as one JSON object
    #[arg(long)]
    json: bool,
    /// With --json: first print one object per request
    #[arg(long, requires = "json")]
    details: bool,
}

/// How one request went.
#[derive(Serialize)]
struct Row<'a> {
    line: usize,
    kind: &'a str,
    request: &'a str,
    verdict: Verdict,
    made: Vec<String>,
    answer: &'a str,
}

/// The totals.
#[derive(Debug, Default, Serialize)]
struct Totals {
    requests: usize,
    /// Something was done that was not asked for, or otherwise.
    wrong_actions: usize,
    must_act: usize,
    /// Of those that must act: at once and rightly.
    acted_rightly: usize,
    /// Nothing wrong was done, but not all that was asked.
    false_refusals: usize,
    must_not_act: usize,
    kinds: BTreeMap<String, [usize; 4]>,
}

pub(super) fn run(args: &Agent, ctx: &Context) -> Result<()> {
    let settings = args.engine.settings(ctx)?;
    let engine = load(&settings.llm)?;
    match args.file.extension().is_some_and(|e| e == "jsonl") {
        true => conversations(args, &settings, &engine, ctx),
        false => requests(args, &settings, &engine, ctx),
    }
}

fn requests(args: &Agent, settings: &Settings, engine: &Arc<Engine>, ctx: &Context) -> Result<()> {
    let name = input::name(&args.file);
    let text = input::text(&args.file, MAX_BYTES, "give lines of kind, request and outcome")?;
    let mut cases = expected::read(&text).map_err(|(line, problem)| {
        Error::new(Kind::Corrupt, format!("{name}, line {line}: {problem}"))
            .remedy("docs/cases.md says how cases are written")
    })?;
    cases.truncate(args.limit.unwrap_or(usize::MAX));
    let tools = commands(args, settings)?;
    let registry = || Registry::new(&tools, None, Clock::system()).map(Arc::new);
    let mut agent = Conversation::new(parts(settings.dialog.clone(), engine, registry()?))?;
    let mut totals = Totals::default();
    let bar = out::progress_steps(cases.len() as u64, "requests", ctx.global.quiet || args.json);
    for case in &cases {
        let tools = registry()?;
        let now = tools.local_time();
        agent.begin_again(Arc::clone(&tools));
        for before in &case.given {
            agent.ask(before, &|| false, &mut |_| {})?;
        }
        let turn = agent.ask(&case.request, &|| false, &mut |_| {})?;
        let made = made(&turn, &tools);
        let verdict = case.judge(&made, &now);
        totals.count(&case.kind, case.must_act(), verdict);
        let made: Vec<String> = made.iter().map(shown).collect();
        if args.details {
            out::json(&Row {
                line: case.line,
                kind: &case.kind,
                request: &case.request,
                verdict,
                made,
                answer: &turn.answer,
            })?;
        } else if verdict != Verdict::Right && !args.json {
            let how = if verdict == Verdict::WrongAction { "WRONG ACTION" } else { "not done" };
            let did = if made.is_empty() { "nothing".to_owned() } else { made.join("; ") };
            bar.suspend(|| {
                out::line(format!(
                    "line {}, {how}: {}\n  did    {did}\n  said   {}",
                    case.line, case.request, turn.answer
                ))
            })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match args.json {
        true => out::json(&totals),
        false => totals.print(),
    }
}

/// The tools of the settings, with the commands of `--commands`, none of which is run.
fn commands(args: &Agent, settings: &Settings) -> Result<tools::Settings> {
    #[derive(Deserialize)]
    struct File {
        tools: tools::Settings,
    }
    let mut tools = match &args.commands {
        None => settings.tools.clone(),
        Some(file) => {
            let text = input::text(file, MAX_BYTES, "give a TOML file with [[tools.command]]")?;
            let file: File = toml::from_str(&text).map_err(|e| {
                Error::new(Kind::Config, format!("{}: {}", input::name(file), e.message()))
                    .remedy("give a TOML file with [[tools.command]]")
            })?;
            file.tools
        }
    };
    for command in &mut tools.command {
        command.exec = vec!["true".to_owned()];
        command.status = command.status.take().map(|_| vec!["echo".to_owned(), "It is.".to_owned()]);
        command.say.get_or_insert_with(|| "Done.".to_owned());
    }
    Ok(tools)
}

fn parts(dialog: dialog::Settings, engine: &Arc<Engine>, tools: Arc<Registry>) -> WrittenParts {
    // Greedy, whatever is configured: a figure is to be the same everywhere.
    WrittenParts { dialog, sampling: Sampling::default(), engine: Arc::clone(engine), tools, prefixes: None }
}

/// What was done, or kept for later.
fn made(turn: &Turn, tools: &Registry) -> Vec<Made> {
    turn.calls
        .iter()
        .filter(|c| c.outcome.as_ref().is_some_and(|o| o.get("error").and_then(|e| e.as_str()).is_none_or(understood)))
        .map(|c| {
            let at = c
                .outcome
                .as_ref()
                .filter(|o| o.get("scheduled").is_some())
                .and_then(|o| o.get("at")?.as_str()?.parse().ok());
            Made { call: c.call.clone(), later: at, acts: tools.acts(&c.call.name) }
        })
        .collect()
}

/// Whether a tool that did nothing found only nothing to do it to: what was asked was understood.
fn understood(error: &str) -> bool {
    error.starts_with("no ") || error.starts_with("there is no") || error.ends_with("is not on the list")
}

fn shown(made: &Made) -> String {
    let later = made.later.map(|t| format!("at {t}: ")).unwrap_or_default();
    format!("{later}{} {}", made.call.name, serde_json::Value::Object(made.call.parameters.clone()))
}

impl Totals {
    fn count(&mut self, kind: &str, must_act: bool, verdict: Verdict) {
        let row = self.kinds.entry(kind.to_owned()).or_default();
        self.requests += 1;
        row[0] += 1;
        match must_act {
            true => self.must_act += 1,
            false => self.must_not_act += 1,
        }
        match verdict {
            Verdict::Right => {
                row[1] += 1;
                self.acted_rightly += usize::from(must_act);
            }
            Verdict::WrongAction => {
                row[2] += 1;
                self.wrong_actions += 1;
            }
            Verdict::FalseRefusal => {
                row[3] += 1;
                self.false_refusals += 1;
            }
        }
    }

    fn print(&self) -> Result<()> {
        let mut table = out::Table::new(["kind", "of", "right", "wrong actions", "not done"]);
        for (kind, [of, right, wrong, refused]) in &self.kinds {
            table.row([kind.clone(), of.to_string(), right.to_string(), wrong.to_string(), refused.to_string()]);
        }
        table.print()?;
        let share = 100.0 * self.acted_rightly as f64 / self.must_act.max(1) as f64;
        out::line("")?;
        out::line(format!(
            "wrong actions {} of {}; acted at once and rightly {} of {} ({share:.1} %); not done {}",
            self.wrong_actions, self.requests, self.acted_rightly, self.must_act, self.false_refusals
        ))
    }
}

/// As `eval tools`, through the agent: the first call that it makes counts.
fn conversations(args: &Agent, settings: &Settings, engine: &Arc<Engine>, ctx: &Context) -> Result<()> {
    let cases: Vec<(usize, Dialogue)> = read_cases(&args.file, args.limit.unwrap_or(usize::MAX))?;
    let mut score = Score::default();
    let bar = out::progress_steps(cases.len() as u64, "conversations", ctx.global.quiet || args.json);
    for (line, case) in &cases {
        let (prompt, wanted) = split(case, *line, &args.file)?;
        let system = prompt.iter().find(|m| m.role == Role::System).map_or("", |m| m.content.as_str());
        let Some(request) = prompt.iter().rev().find(|m| m.role == Role::User) else {
            return Err(Error::new(
                Kind::Corrupt,
                format!("{}, line {line}: there is no request", input::name(&args.file)),
            )
            .remedy(WRITE));
        };
        let schemas = ToolSchema::offered_by(system);
        let tools = Arc::new(Registry::rehearsal(&schemas, Clock::system())?);
        let persona = system.lines().next().unwrap_or_default().to_owned();
        let mut agent =
            Conversation::new(parts(dialog::Settings { persona, ..settings.dialog.clone() }, engine, tools))?;
        let turn = agent.ask(&request.content, &|| false, &mut |_| {})?;
        let got = match turn.calls.first() {
            Some(c) => serde_json::json!({ "name": c.call.name, "parameters": c.call.parameters }).to_string(),
            None => turn.answer.clone(),
        };
        let right = score.count(case.is_refusal(wanted), wanted, &got);
        if args.details {
            out::json(
                &serde_json::json!({ "line": line, "right": right, "wanted": wanted, "got": got, "answer": turn.answer }),
            )?;
        } else if !right && !args.json {
            bar.suspend(|| {
                out::line(format!(
                    "line {line}: {}\n  wanted {wanted}\n  got    {got}\n  said   {}",
                    request.content, turn.answer
                ))
            })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match args.json {
        true => out::json(&score),
        false => score.print(),
    }
}
