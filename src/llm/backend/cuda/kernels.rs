//! The kernels ahead of time: sources in the program, cubins in a folder, NVRTC between them.
//!
//! Cubins lie in `<folder>/<fingerprint>/sm_<arch>/<name>.cubin`. The fingerprint is of the sources and options in this
//! program, so that a cubin of other sources is never loaded. At run time the folders of [`folders`] are searched.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::nvrtc::Nvrtc;
use crate::error::{Error, Kind, Result};
use crate::store::Paths;

/// Every kernel file: name, source.
const SOURCES: [(&str, &str); 10] = [
    ("attend", include_str!("../../../../kernels/attend.cu")),
    ("decode", include_str!("../../../../kernels/decode.cu")),
    ("embed", include_str!("../../../../kernels/embed.cu")),
    ("gemm", include_str!("../../../../kernels/gemm.cu")),
    ("gemv", include_str!("../../../../kernels/gemv.cu")),
    ("head", include_str!("../../../../kernels/head.cu")),
    ("prompt_attend", include_str!("../../../../kernels/prompt_attend.cu")),
    ("quantize", include_str!("../../../../kernels/quantize.cu")),
    ("repack", include_str!("../../../../kernels/repack.cu")),
    ("topk", include_str!("../../../../kernels/topk.cu")),
];

/// What they include.
const HEADERS: [(&str, &str); 5] = [
    ("common.cuh", include_str!("../../../../kernels/common.cuh")),
    ("blocks.cuh", include_str!("../../../../kernels/blocks.cuh")),
    ("heads.cuh", include_str!("../../../../kernels/heads.cuh")),
    ("decode.cuh", include_str!("../../../../kernels/decode.cuh")),
    ("decode_attend.cuh", include_str!("../../../../kernels/decode_attend.cuh")),
];

/// The files that are built for `arch` (90): one is for devices with bulk copies.
fn sources(arch: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    SOURCES.into_iter().filter(move |(name, _)| *name != "decode" || arch >= super::decode::ARCH)
}

/// Blocks a warp of the head has under way.
pub(super) const DEPTH: u32 = 8;
/// Tiles of activations a GEMM block holds.
pub(super) const STAGES: u32 = 4;

/// Architectures that are built unless others are named: Orin and Hopper.
pub const DEFAULT_ARCHES: [&str; 2] = ["sm_87", "sm_90"];

fn options(arch: &str) -> Vec<String> {
    vec![
        format!("--gpu-architecture={arch}"),
        "--std=c++17".to_owned(),
        "--fmad=false".to_owned(),
        "--ptxas-options=-v".to_owned(),
        format!("-DHEAD_DEPTH={DEPTH}"),
        format!("-DSTAGES={STAGES}"),
    ]
}

/// What names these sources and options.
pub fn fingerprint() -> String {
    let mut h = Sha256::new();
    for (name, text) in HEADERS.iter().chain(&SOURCES) {
        h.update(name);
        h.update(text);
    }
    options("").iter().for_each(|o| h.update(o));
    h.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// What the compiler says of one kernel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    pub arch: String,
    pub file: String,
    pub kernel: String,
    pub registers: u32,
    /// Static shared memory, bytes.
    pub shared: u32,
    /// Bytes of spilled registers written and read.
    pub spill: u32,
    pub stack: u32,
}

/// Compiles every kernel for `arch` (`sm_90`) into `folder`, or nowhere.
///
/// # Errors
/// [`Kind::Usage`] for an architecture NVRTC does not know; [`Kind::Internal`] with the compiler's words where a kernel does
/// not compile; [`Kind::Io`] where the folder cannot be written.
pub fn build(arch: &str, nvrtc: &Nvrtc, folder: Option<&Path>) -> Result<Vec<Usage>> {
    let number = arch.strip_prefix("sm_").filter(|n| n.len() >= 2 && n.chars().all(|c| c.is_ascii_digit()));
    let Some(number) = number.and_then(|n| n.parse().ok()) else {
        return Err(Error::new(
            Kind::Usage,
            format!("{arch:?} is not an architecture; sm_87 (Orin) and sm_90 (Hopper) are"),
        ));
    };
    let dir = folder.map(|f| f.join(fingerprint()).join(arch));
    if let Some(dir) = &dir {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
    }
    let mut table = Vec::new();
    for (name, source) in sources(number) {
        let (cubin, log) = nvrtc.compile(&format!("{name}.cu"), source, &HEADERS, &options(arch))?;
        table.extend(usage(arch, name, &log));
        if let Some(dir) = &dir {
            // Whole or not at all: another process may be looking.
            let (part, whole) = (dir.join(format!("{name}.part")), dir.join(format!("{name}.cubin")));
            std::fs::write(&part, &cubin).map_err(|e| Error::io("write", &part, e))?;
            std::fs::rename(&part, &whole).map_err(|e| Error::io("write", &whole, e))?;
        }
    }
    Ok(table)
}

/// Reads ptxas's report: `Compiling entry function 'f'`, then stack and spills, then registers and shared memory.
fn usage(arch: &str, file: &str, log: &str) -> Vec<Usage> {
    let number_before = |line: &str, what: &str| -> u32 {
        let Some(at) = line.find(what) else { return 0 };
        line[..at].split_whitespace().last().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let mut table: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            table.push(Usage {
                arch: arch.to_owned(),
                file: file.to_owned(),
                kernel: rest.split('\'').next().unwrap_or_default().to_owned(),
                registers: 0,
                shared: 0,
                spill: 0,
                stack: 0,
            });
        }
        let Some(last) = table.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            last.stack = number_before(line, " bytes stack frame");
            last.spill = number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
        }
        if line.contains("Used ") {
            last.registers = number_before(line, " registers");
            last.shared = number_before(line, " bytes smem");
        }
    }
    table
}

/// Where cubins are built to.
pub fn cache(paths: &Paths) -> PathBuf {
    paths.cache_dir().join("kernels")
}

/// Where cubins are looked for: `TERCET_KERNELS`, beside the program, the system's folders, the cache.
fn folders(paths: &Paths) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::env::var_os("TERCET_KERNELS").map(PathBuf::from).into_iter().collect();
    if let Ok(exe) = std::env::current_exe() {
        dirs.extend(exe.parent().map(|d| d.join("kernels")));
    }
    dirs.extend(["/usr/local/share/tercet/kernels", "/usr/share/tercet/kernels"].map(PathBuf::from));
    dirs.push(cache(paths));
    dirs
}

/// The cubins that run on a device of `arch` (90): those of its own architecture, or of an older one of the same
/// generation.
///
/// # Errors
/// [`Kind::Unavailable`] with how to build them.
pub(super) fn find(arch: u32, device: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mark = fingerprint();
    for folder in folders(&Paths::from_env()) {
        for minor in (arch / 10 * 10..=arch).rev() {
            let dir = folder.join(&mark).join(format!("sm_{minor}"));
            if !sources(minor).all(|(name, _)| dir.join(format!("{name}.cubin")).is_file()) {
                continue;
            }
            let read = |(name, _): (&str, &str)| {
                let path = dir.join(format!("{name}.cubin"));
                let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
                Ok((path.display().to_string(), bytes))
            };
            return sources(minor).map(read).collect();
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!("there are no kernels of this version ({mark}) for {device} (sm_{arch})"),
    )
    .remedy(format!("run `tercet kernels build --arch sm_{arch}`, on this machine or on another whose cache you copy")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_report_is_read() {
        let log = "ptxas info    : 0 bytes gmem\nptxas info    : Compiling entry function 'a' for 'sm_87'\n\
            ptxas info    : Function properties for a\n    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n\
            ptxas info    : Used 128 registers, used 1 barriers, 17460 bytes smem, 424 bytes cmem[0]\n\
            ptxas info    : Compiling entry function 'b' for 'sm_87'\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
            ptxas info    : Used 22 registers, used 0 barriers\n";
        let table = usage("sm_87", "x", log);
        assert_eq!(table.len(), 2);
        assert_eq!((table[0].registers, table[0].shared, table[0].spill, table[0].stack), (128, 17460, 20, 16));
        assert_eq!((table[1].kernel.as_str(), table[1].registers, table[1].spill), ("b", 22, 0));
    }

    /// The compiler comes from PyPI (`tercet models fetch nvrtc`); without it the test says that it skipped.
    #[test]
    fn every_kernel_compiles_for_orin_and_hopper_without_a_spill() {
        let nvrtc = match Nvrtc::find(&Paths::from_env(), None) {
            Ok(n) => n,
            Err(e) if std::env::var_os("TERCET_REQUIRE_MODELS").is_none() => {
                println!("skipped: {e}");
                return;
            }
            Err(e) => panic!("{e}"),
        };
        for arch in DEFAULT_ARCHES {
            let table = build(arch, &nvrtc, None).expect("compiles");
            assert!(table.len() > 80, "{} kernels", table.len());
            for k in table {
                assert_eq!((k.spill, k.stack), (0, 0), "{} {} spills", k.arch, k.kernel);
                assert!(k.registers > 0, "the report of {} was not read", k.kernel);
            }
        }
    }
}
