//! `tercet kernels`: the GPU's kernels, compiled ahead of time.

use std::path::PathBuf;

use super::{Context, out};
use crate::error::{Error, Kind, Result};
use crate::llm::backend::cuda::{Nvrtc, kernels};
use crate::store::Paths;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Compile the kernels into the cache, and show what each takes of the device
    ///
    /// Needs NVIDIA's run-time compiler (`tercet models fetch nvrtc`), no GPU and no toolkit. Cubins are found again in
    /// TERCET_KERNELS, in `kernels` beside the program, in /usr/share/tercet/kernels and in the cache.
    Build(Build),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// Architectures: sm_87 is Orin, sm_90 Hopper
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = kernels::DEFAULT_ARCHES)]
    arch: Vec<String>,
    /// Folder to write to, in place of the cache
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder that holds libnvrtc.so.12, in place of the fetched one
    #[arg(long, value_name = "DIR")]
    nvrtc: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, _: &Context) -> Result<()> {
    let Action::Build(args) = args.action;
    let paths = Paths::from_env();
    let nvrtc = Nvrtc::find(&paths, args.nvrtc.as_deref())?;
    let folder = args.out.unwrap_or_else(|| kernels::cache(&paths));
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
        out::line(&format!("NVRTC {} wrote {}", nvrtc.version(), place.display()))?;
    }
    if spilled > 0 {
        return Err(Error::new(Kind::Internal, format!("{spilled} kernels spill registers")));
    }
    Ok(())
}
