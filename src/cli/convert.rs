//! `tercet convert`: model files from checkpoints, or from nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;

use super::interrupt::{ASKED_TO_END, Interrupt};
use super::{Context, input, out};
use crate::error::{Error, Kind, Result};
use crate::llm::convert::synthetic::{Plan, Preset};
use crate::llm::convert::{self, Conversion, LinearType, Request, TableType, Watch};
use crate::units::Bytes;

/// Make a model file (GGUF) that tercet and llama.cpp run
///
/// SRC is the folder of a Hugging Face checkpoint (config.json, *.safetensors, tokenizer.json): a BitNet 1.58-bit Llama or
/// Falcon3, packed or as masters, a Qwen3 that is ternary in groups, or a plain Llama or Qwen3, whose weights are then
/// rounded. With --synthetic NAME a model of that shape with random weights: as fast as a real one, but its output is meaningless.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the checkpoint
    #[arg(value_name = "SRC", required_unless_present = "synthetic", conflicts_with = "synthetic")]
    source: Option<PathBuf>,
    /// How embeddings and head are stored: q4_0, q8_0, f16, bf16 or f32 (q4_0, or like the linears where those of the checkpoint are ternary)
    #[arg(long, value_name = "TYPE", conflicts_with = "synthetic")]
    embeddings: Option<TableType>,
    /// The model's name (the one in config.json, or the folder's)
    #[arg(long, value_name = "NAME", conflicts_with = "synthetic", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Ternarize again by mean magnitude, even what is already ternary in groups
    #[arg(long, value_name = "HOW", value_parser = ["absmean"], conflicts_with = "synthetic")]
    ternarize: Option<String>,
    /// Name of the pre-tokenizer where the checkpoint's own is not recognised: llama-bpe, falcon3 or qwen2
    #[arg(long, value_name = "NAME", conflicts_with = "synthetic")]
    pre: Option<String>,
    #[command(flatten)]
    synthetic: SyntheticArgs,
    /// The file to write; it appears only once it is complete
    #[arg(short, long = "output", value_name = "OUT.gguf")]
    output: PathBuf,
}

/// A shape with random weights; shared with `tercet bench llm`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SyntheticArgs {
    /// Random weights in the shape of llama3-8b, falcon3-7b or bonsai-8b (for tests: tiny-llama, tiny-qwen3)
    #[arg(long, value_name = "NAME")]
    pub(super) synthetic: Option<Preset>,
    /// How linears are stored: tq1_0, tq2_0, q2_0, q2_0_g128, or each in the smallest of these that its width allows:
    /// smallest; with --synthetic also q4_0, which only other programs run
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) ty: Option<LinearType>,
    /// Fewer layers than the shape has
    #[arg(long, value_name = "N")]
    pub(super) layers: Option<usize>,
    /// Same seed, same weights
    #[arg(long, value_name = "N")]
    pub(super) weight_seed: Option<u64>,
}

impl SyntheticArgs {
    /// The model asked for, if one is.
    ///
    /// # Errors
    /// [`Kind::Usage`] where options for it are given but it is not requested.
    pub(super) fn plan(&self) -> Result<Option<Plan>> {
        let Some(preset) = self.synthetic.clone() else {
            return match (self.layers, self.weight_seed) {
                (None, None) => Ok(None),
                _ => Err(Error::new(Kind::Usage, "--layers and --weight-seed go with --synthetic")
                    .remedy("name a shape, for example --synthetic llama3-8b, or leave them out")),
            };
        };
        let mut plan = Plan::new(preset);
        plan.ty = self.ty.unwrap_or(plan.ty);
        plan.layers = self.layers.unwrap_or(plan.layers);
        plan.seed = self.weight_seed.unwrap_or(plan.seed);
        Ok(Some(plan))
    }
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let done = match (args.synthetic.plan()?, &args.source) {
        (Some(plan), _) => {
            let bar = out::progress_bytes(plan.file_bytes()?, plan.preset.name, ctx.global.quiet);
            watched(&bar, |watch| plan.write(&args.output, watch))
        }
        (None, Some(source)) => convert(&args, source, ctx),
        (None, None) => Err(Error::new(Kind::Usage, "nothing to convert").remedy("name a checkpoint's folder")),
    };
    match done {
        Ok(()) => report(&args.output),
        Err(e) => {
            if e.kind() == Kind::Cancelled && !ctx.global.quiet {
                out::note(format!("stopped: {} was not written, and nothing is left of it", args.output.display()));
            }
            Err(e)
        }
    }
}

fn convert(args: &Args, source: &Path, ctx: &Context) -> Result<()> {
    input::no_stdin(source, "a checkpoint")?;
    let request = Request {
        linears: args.synthetic.ty,
        embeddings: args.embeddings,
        name: args.name.clone(),
        pre: args.pre.clone(),
        absmean: args.ternarize.is_some(),
    };
    let bar = out::progress_bytes(convert::checkpoint_bytes(source)?, "reading", ctx.global.quiet);
    // Before minutes of reading, not after them.
    convert::check_output(&args.output)?;
    watched(&bar, |watch| {
        let conversion = Conversion::open(source, &request, watch)?;
        if !ctx.global.quiet {
            conversion.notes().iter().for_each(|n| bar.suspend(|| out::note(format!("note: {n}"))));
        }
        bar.reset();
        bar.set_message("converting");
        bar.set_length(conversion.source_bytes());
        conversion.write(&args.output, watch)
    })
}

/// Runs `work` with its progress on `bar`. Ctrl-C, `kill` and a closed terminal stop it in such a way that nothing is left
/// behind; afterwards they end the program as usual.
pub(super) fn watched<T>(bar: &ProgressBar, work: impl FnOnce(&mut Watch<'_>) -> Result<T>) -> Result<T> {
    let working = Arc::new(AtomicBool::new(true));
    let at_work = working.clone();
    let interrupt = Interrupt::listen(ASKED_TO_END, move |signal| {
        if !at_work.load(Ordering::Relaxed) {
            end_by(signal);
        }
    })?;
    let done = work(&mut Watch { progress: &mut |n| bar.inc(n), cancelled: &|| interrupt.is_raised() });
    working.store(false, Ordering::Relaxed);
    bar.finish_and_clear();
    match interrupt.is_raised() {
        true => done.and(Err(Error::new(Kind::Cancelled, "stopped"))),
        false => done,
    }
}

/// The default action of `signal`.
fn end_by(signal: libc::c_int) {
    // SAFETY: both take plain integers; the default action replaces a handler that nothing waits for any more.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

fn report(path: &Path) -> Result<()> {
    let bytes = path.metadata().map_err(|e| Error::io("read the size of", path, e))?.len();
    out::line(format!("{}: {}", path.display(), Bytes(bytes)))
}
