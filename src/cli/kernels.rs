//! `tercet kernels`: the GPU's kernels, compiled ahead of time.

use std::path::{Path, PathBuf};

use super::{Context, out};
use crate::error::{Error, Kind, Result};
use crate::llm::KvPrecision;
use crate::llm::backend::cuda::{Nvrtc, Packing, bench, kernels};
use crate::store::{self, Paths};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Compile the kernels into the cache, and show the resources each one uses
    ///
    /// Needs NVIDIA's run-time compiler (`tercet models fetch nvrtc`), but no GPU and no toolkit. Cubins are found in
    /// TERCET_KERNELS, in `kernels` beside the program, in /usr/share/tercet/kernels and in the cache.
    Build(Build),
    /// Time each kernel on this machine's GPU, at the shapes of Llama3-8B
    Bench(Bench),
}

#[derive(Debug, clap::Args)]
struct Bench {
    /// Pack weights in base 3 instead of two bits
    #[arg(long)]
    base3: bool,
    /// Precision of the KV cache: f16 or int8
    #[arg(long, value_name = "NAME", default_value = "int8")]
    kv: KvPrecision,
    /// Run GEMVs and the head on only this many multiprocessors (Orin Nano has 8)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    blocks: Option<u32>,
    /// Positions in the cache
    #[arg(short = 'd', long, value_name = "N", default_value_t = 4096)]
    depth: usize,
    /// Rows of a prompt
    #[arg(short = 'p', long, value_name = "N", default_value_t = 512, value_parser = rows)]
    prompt: usize,
    /// Time only all layers of one token
    #[arg(long)]
    layers_only: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn rows(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|n| (9..=2048).contains(n)).ok_or_else(|| format!("{text} is not between 9 and 2048"))
}

fn bench(args: &Bench) -> Result<()> {
    let plan = bench::Plan {
        kernels: Paths::from_env().kernel_folders().to_vec(),
        packing: if args.base3 { Packing::Base3 } else { Packing::TwoBits },
        kv_precision: args.kv,
        blocks: args.blocks,
        depth: args.depth,
        rows: args.prompt,
        layers_only: args.layers_only,
    };
    let (device, lines) = bench::run(&plan)?;
    let copy = lines.first().map_or(1.0, bench::Line::gigabytes_per_second);
    let mut table = out::Table::new(["kernel", "launches", "µs", "MB", "GB/s", "% of copy", "TOP/s"]);
    for l in &lines {
        if args.json {
            out::json(l)?;
        }
        let gb = l.gigabytes_per_second();
        let rate = if l.operations > 0 { format!("{:.0}", l.tera_operations_per_second()) } else { String::new() };
        table.row([
            l.kernel.clone(),
            l.launches.to_string(),
            format!("{:.1}", l.microseconds),
            format!("{:.1}", l.bytes as f64 / 1e6),
            format!("{gb:.0}"),
            format!("{:.0}", 100.0 * gb / copy),
            rate,
        ]);
    }
    if args.json { Ok(()) } else { out::line(device).and_then(|()| table.print()) }
}

#[derive(Debug, clap::Args)]
struct Build {
    /// Architectures: sm_87 is Orin, sm_90 Hopper
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = kernels::DEFAULT_ARCHES)]
    arch: Vec<String>,
    /// Folder to write to, instead of the cache
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder that holds libnvrtc.so.12, instead of the fetched one
    #[arg(long, value_name = "DIR")]
    nvrtc: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    match args.action {
        Action::Build(args) => build(args),
        Action::Bench(args) => bench(&args),
    }
}

/// The compiler in `dir` where one is named, else the fetched one, else the system's.
fn nvrtc_path(paths: &Paths, dir: Option<&Path>) -> PathBuf {
    const NAME: &str = "libnvrtc.so.12";
    match dir {
        Some(dir) => dir.join(NAME),
        None => store::locate_file(paths, "nvrtc", NAME).unwrap_or_else(|_| NAME.into()),
    }
}

fn build(args: Build) -> Result<()> {
    let paths = Paths::from_env();
    let nvrtc = Nvrtc::open(&nvrtc_path(&paths, args.nvrtc.as_deref()))?;
    let folder = args.out.unwrap_or_else(|| paths.kernels_dir());
    let mut table = out::Table::new(["arch", "file", "kernel", "registers", "shared", "spilled"]);
    let mut spilled = 0;
    for arch in &args.arch {
        for k in kernels::build(arch, &nvrtc, Some(&folder))? {
            spilled += u32::from(k.spill > 0);
            if args.json {
                out::json(&k)?;
            }
            let numbers = [k.registers, k.shared, k.spill].map(|n| n.to_string());
            let [registers, shared, spill] = numbers;
            table.row([k.arch, k.file, k.kernel, registers, shared, spill]);
        }
    }
    if !args.json {
        table.print()?;
        let place = folder.join(kernels::fingerprint());
        out::line(format!("NVRTC {} wrote {}", nvrtc.version(), place.display()))?;
    }
    if spilled > 0 {
        return Err(Error::new(Kind::Internal, format!("{spilled} kernels spill registers")));
    }
    Ok(())
}
