//! `tercet bench`: how fast the parts are on this machine.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;

use super::convert::{SyntheticArgs, watched};
use super::model::{EngineArgs, load_timed};
use super::{Context, out};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::llm::backend::cuda::memory_used;
use crate::llm::convert::synthetic::Plan;
use crate::llm::{self, BackendKind, Profile, Session, Spent, timing};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// The language model: prefill and decode in tokens per second, as llama-bench measures them
    Llm(Box<Llm>),
    /// Memory bandwidth: how fast threads read memory, the roofline of decoding
    Memory(Memory),
}

#[derive(Debug, clap::Args)]
struct Memory {
    /// Threads that read; a list measures each
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2")]
    threads: Vec<u16>,
    /// How many times to measure each; the best counts
    #[arg(short = 'r', long = "repeat", value_name = "R", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Llm {
    /// Model file (GGUF) or id, instead of the configured model (llm.model)
    #[arg(long, value_name = "FILE", conflicts_with = "synthetic")]
    model: Option<String>,
    #[command(flatten)]
    synthetic: SyntheticArgs,
    /// Threads that compute (llm.threads); 0: one per CPU; a list runs each
    #[arg(short = 't', long, value_name = "N", value_delimiter = ',', allow_negative_numbers = true)]
    threads: Vec<String>,
    /// What computes: auto, cuda, cpu or reference (llm.backend); a list runs each
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    backend: Vec<String>,
    /// Precision of the KV cache: f16, or int8 in half the memory (llm.kv_precision)
    #[arg(long, value_name = "PRECISION")]
    kv: Option<String>,
    /// Where a GPU finds embedding rows: file (they take no GPU memory) or device (llm.embedding)
    #[arg(long, value_name = "PLACE")]
    embedding: Option<String>,
    /// Tokens of prompt to process at once (prefill); 0 leaves the test out; a list runs each
    #[arg(short = 'p', long = "prompt", value_name = "N", value_delimiter = ',', default_value = "128")]
    prompt: Vec<usize>,
    /// Tokens to generate one by one (decode); 0 leaves the test out; a list runs each
    #[arg(short = 'n', long = "generate", value_name = "N", value_delimiter = ',', default_value = "64")]
    generate: Vec<usize>,
    /// Tokens already in the context when a test begins; a list runs each
    #[arg(short = 'd', long = "depth", value_name = "N", value_delimiter = ',', default_value = "0")]
    depth: Vec<usize>,
    /// How many times each test runs
    #[arg(short = 'r', long = "repeat", value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Also show where the time of a token goes, operation by operation, compared with a plain read of the weights (CPU only)
    #[arg(long, conflicts_with = "json")]
    profile: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// One measured test: a line of the table, an object of `--json`.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    backend: String,
    threads: usize,
    /// `pp128`: prefill of 128 tokens; `tg64`: 64 tokens generated.
    test: String,
    depth: usize,
    /// Mean of the runs.
    tokens_per_second: f64,
    /// Sample deviation of the runs.
    stddev: f64,
    /// Of the whole process, after the test.
    resident_bytes: u64,
    /// The most that was resident at once, since the process began: while the model was loaded, and by the end of the test.
    load_peak_resident_bytes: u64,
    peak_resident_bytes: u64,
    /// On a device with its own memory: weights, caches and workspaces, the driver's own use left out.
    device_bytes: u64,
    /// What else is taken there since before the model was loaded: the driver's context and kernels (of this process where no
    /// other began or ended meanwhile). `null` where that is unknown.
    device_context_bytes: Option<u64>,
    /// Peak on the host and everything on the device.
    total_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Test {
    Prefill(usize),
    Decode(usize),
}

impl Test {
    fn name(self) -> String {
        match self {
            Test::Prefill(n) => format!("pp{n}"),
            Test::Decode(n) => format!("tg{n}"),
        }
    }

    fn tokens(self) -> usize {
        match self {
            Test::Prefill(n) | Test::Decode(n) => n,
        }
    }
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    match args.part {
        Part::Llm(llm) => run_llm(&llm, ctx),
        Part::Memory(memory) => run_memory(&memory),
    }
}

impl Llm {
    /// The configurations requested: each backend with each number of threads.
    fn ways(&self) -> Vec<EngineArgs> {
        fn each(list: &[String]) -> Vec<Option<String>> {
            if list.is_empty() { vec![None] } else { list.iter().cloned().map(Some).collect() }
        }
        let threads = each(&self.threads);
        let with = |backend: Option<String>| {
            let way = |threads: &Option<String>| EngineArgs {
                model: self.model.clone(),
                threads: threads.clone(),
                backend: backend.clone(),
                kv: self.kv.clone(),
                embedding: self.embedding.clone(),
            };
            threads.iter().map(way).collect::<Vec<_>>()
        };
        each(&self.backend).into_iter().flat_map(with).collect()
    }

    /// Every test at every depth.
    fn tests(&self) -> Vec<(Test, usize)> {
        let prefill = self.prompt.iter().filter(|&&n| n > 0).map(|&n| Test::Prefill(n));
        let decode = self.generate.iter().filter(|&&n| n > 0).map(|&n| Test::Decode(n));
        let tests: Vec<Test> = prefill.chain(decode).collect();
        self.depth.iter().flat_map(|&depth| tests.iter().map(move |&t| (t, depth))).collect()
    }
}

/// The results of one configuration.
#[derive(Default)]
struct Measured {
    rows: Vec<Row>,
    profiles: Vec<(Test, usize, (Vec<Spent>, Duration))>,
    /// Of the model, and the threads that read them.
    weights: u64,
    threads: usize,
}

fn run_llm(args: &Llm, ctx: &Context) -> Result<()> {
    let tests = args.tests();
    if tests.is_empty() {
        return Err(Error::new(Kind::Usage, "no test is left to run").remedy("give -p or -n a number above 0"));
    }
    let mut ways = args.ways().iter().map(|way| Ok(way.settings(ctx)?.llm)).collect::<Result<Vec<_>>>()?;
    let plan = args.synthetic.plan()?;
    // Held open until the last load, because nothing else keeps the file alive.
    let made = plan.map(|plan| write_synthetic(&plan, ctx.global.quiet)).transpose()?;
    if let Some(file) = &made {
        ways.iter_mut().for_each(|way| way.model = format!("/proc/self/fd/{}", file.as_raw_fd()));
    }
    let bar = out::progress_steps((ways.len() * tests.len()) as u64, "loading", ctx.global.quiet);
    let measured: Vec<Measured> = ways.iter().map(|way| measure_way(args, way, &tests, &bar)).collect::<Result<_>>()?;
    bar.finish_and_clear();
    if args.json {
        return Ok(());
    }
    table(&measured.iter().flat_map(|m| &m.rows).collect::<Vec<_>>())?;
    for m in measured.iter().filter(|m| !m.profiles.is_empty()) {
        let bandwidth = llm::read_bandwidth(m.threads, 5)?;
        for (test, depth, spent) in &m.profiles {
            profile_table(*test, *depth, spent, m.weights as f64 / bandwidth)?;
        }
    }
    Ok(())
}

/// Loads the model in one configuration and runs every test; the model is dropped when this returns.
fn measure_way(args: &Llm, settings: &llm::Settings, tests: &[(Test, usize)], bar: &ProgressBar) -> Result<Measured> {
    let longest = tests.iter().map(|(t, depth)| t.tokens() + depth).max().unwrap_or(0);
    let settings = llm::Settings { context_tokens: longest, ..settings.clone() };
    let used_before = match settings.backend {
        BackendKind::Auto | BackendKind::Cuda => memory_used(),
        BackendKind::Cpu | BackendKind::Reference => None,
    };
    let engine = load_timed(&settings, args.profile)?;
    if longest > engine.context() {
        return Err(Error::new(
            Kind::Usage,
            format!("the longest test needs {longest} tokens, but the model takes at most {}", engine.context()),
        )
        .remedy("choose smaller -p, -n and -d"));
    }
    let load_peak_resident_bytes = budget::resident_peak().0;
    let mut session = engine.session()?;
    let threads = if settings.backend == BackendKind::Reference { 1 } else { settings.thread_count() };
    let mut measured = Measured { threads, weights: engine.weights().0, ..Measured::default() };
    for &(test, depth) in tests {
        bar.set_message(format!("{} at depth {depth}", test.name()));
        let (mean, stddev) = measure(&mut session, test, depth, args.repeat)?;
        if let Some(profile) = engine.profile() {
            measured.profiles.push((test, depth, profiled(&mut session, profile, test, depth)?));
        }
        let device_bytes = engine.device_bytes().0;
        let here = used_before.filter(|_| device_bytes > 0).zip(memory_used());
        let device_context_bytes = here.map(|(before, now)| now.saturating_sub(before).saturating_sub(device_bytes));
        let peak_resident_bytes = budget::resident_peak().0;
        let row = Row {
            model: engine.name().to_owned(),
            backend: engine.backend(),
            threads,
            test: test.name(),
            depth,
            tokens_per_second: mean,
            stddev,
            resident_bytes: budget::resident_now().0,
            load_peak_resident_bytes,
            peak_resident_bytes,
            device_bytes,
            device_context_bytes,
            total_bytes: peak_resident_bytes + device_bytes + device_context_bytes.unwrap_or(0),
        };
        bar.inc(1);
        if args.json {
            bar.suspend(|| out::json(&row))?;
        }
        measured.rows.push(row);
    }
    Ok(measured)
}

fn run_memory(args: &Memory) -> Result<()> {
    let mut t = out::Table::new(["threads", "GB/s"]);
    for &threads in &args.threads {
        let threads = usize::from(threads.max(1));
        let bytes_per_second = llm::read_bandwidth(threads, args.repeat)?;
        if args.json {
            out::json(&serde_json::json!({ "threads": threads, "bytes_per_second": bytes_per_second }))?;
        }
        t.row([threads.to_string(), format!("{:.1}", bytes_per_second / 1e9)]);
    }
    if args.json { Ok(()) } else { t.print() }
}

/// What one more run of a test spends on each operation, and how long it takes.
fn profiled(session: &mut Session, profile: &Profile, test: Test, depth: usize) -> Result<(Vec<Spent>, Duration)> {
    let n = test.tokens();
    timing::prefill(session, 0, depth.max(1))?;
    session.truncate(depth.min(session.position()))?;
    profile.clear();
    let run = match test {
        Test::Prefill(_) => timing::prefill_here(session, n)?,
        Test::Decode(_) => timing::decode_here(session, n)?,
    };
    Ok((profile.spent(), run.took))
}

fn profile_table(test: Test, depth: usize, (spent, took): &(Vec<Spent>, Duration), read_seconds: f64) -> Result<()> {
    let n = test.tokens() as f64;
    let per_token = |seconds: f64| format!("{:.3}", seconds * 1e3 / n);
    let total = took.as_secs_f64();
    let name = format!("{} at depth {depth}", test.name());
    let mut t = out::Table::new([name.as_str(), "calls", "ms per token", "%"]);
    let mut rest = total;
    for s in spent {
        let seconds = s.time.as_secs_f64();
        rest -= seconds;
        t.row([s.op.into(), s.calls.to_string(), per_token(seconds), format!("{:.1}", 100.0 * seconds / total)]);
    }
    t.row(["the rest".into(), String::new(), per_token(rest), format!("{:.1}", 100.0 * rest / total)]);
    t.row(["all".into(), String::new(), per_token(total), "100.0".into()]);
    if let Test::Decode(_) = test {
        let share = 100.0 * read_seconds / (total / n);
        t.row([
            "a plain read of the weights".into(),
            String::new(),
            format!("{:.3}", read_seconds * 1e3),
            format!("{share:.1}"),
        ]);
    }
    t.print()
}

/// The model as a temporary file, to be loaded as any other. It has no name: it is gone when the program ends, whatever
/// ends it.
fn write_synthetic(plan: &Plan, quiet: bool) -> Result<File> {
    if !plan.ty.tensor_type(0).is_ternary() {
        let what = format!("tercet does not run {} linears: they are not ternary", plan.ty.name());
        return Err(Error::new(Kind::Unsupported, what)
            .remedy("write them for another program with tercet convert --synthetic, or choose a ternary --type"));
    }
    let bar = out::progress_bytes(plan.file_bytes()?, plan.preset.name, quiet);
    watched(&bar, |watch| plan.write_unnamed(&std::env::temp_dir(), watch))
}

/// Mean and sample deviation of `repeat` runs, in tokens per second, after one that does not count.
fn measure(session: &mut Session, test: Test, depth: usize, repeat: u32) -> Result<(f64, f64)> {
    let mut once = || match test {
        Test::Prefill(n) => timing::prefill(session, depth, n),
        Test::Decode(n) => timing::decode(session, depth, n),
    };
    once()?;
    let speeds: Vec<f64> = (0..repeat).map(|_| Ok(once()?.tokens_per_second())).collect::<Result<_>>()?;
    Ok(mean_and_deviation(&speeds))
}

/// Mean and sample standard deviation (over n − 1; 0 of a single number), in the unit of `xs`.
pub(super) fn mean_and_deviation(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let square = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, if xs.len() > 1 { (square / (n - 1.0)).sqrt() } else { 0.0 })
}

fn table(rows: &[&Row]) -> Result<()> {
    let device = rows.iter().any(|r| r.device_bytes > 0);
    let mut head = vec!["model", "backend", "threads", "test", "depth", "tokens/s", "±", "resident", "peak"];
    if device {
        head.extend(["device", "context", "total"]);
    }
    let mut t = out::Table::new(head);
    for r in rows {
        let bytes = |n: u64| crate::units::Bytes(n).to_string();
        let mut row = vec![
            r.model.clone(),
            r.backend.clone(),
            r.threads.to_string(),
            r.test.clone(),
            r.depth.to_string(),
            format!("{:.1}", r.tokens_per_second),
            format!("{:.1}", r.stddev),
            bytes(r.resident_bytes),
            bytes(r.peak_resident_bytes),
        ];
        if device {
            let context = r.device_context_bytes.map_or_else(|| "unknown".to_owned(), bytes);
            row.extend([bytes(r.device_bytes), context, bytes(r.total_bytes)]);
        }
        t.row(row);
    }
    t.print()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviation_is_the_samples() {
        assert_eq!(mean_and_deviation(&[2.0, 4.0, 6.0]), (4.0, 2.0));
        assert_eq!(mean_and_deviation(&[5.0]), (5.0, 0.0));
    }
}
