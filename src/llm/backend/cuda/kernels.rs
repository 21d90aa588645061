//! The kernels ahead of time: sources in the program, cubins in a folder, NVRTC between them.
//!
//! Cubins lie in `<folder>/<fingerprint>/sm_<arch>/<name>.cubin`. The fingerprint is of the sources and options in this
//! program, so that a cubin of other sources is never loaded. Which folders there are, callers know.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::agreed::Source;
use super::nvrtc::Nvrtc;
use super::{attend, decode, embed, gemm, gemv, head, prompt_attend, quantize, repack, topk};
use crate::error::{Error, Kind, Result};

/// Every kernel file.
const SOURCES: [&Source; 10] = [
    &attend::SOURCE,
    &decode::SOURCE,
    &embed::SOURCE,
    &gemm::SOURCE,
    &gemv::SOURCE,
    &head::SOURCE,
    &prompt_attend::SOURCE,
    &quantize::SOURCE,
    &repack::SOURCE,
    &topk::SOURCE,
];

/// What they include.
const HEADERS: [(&str, &str); 5] = [
    ("common.cuh", include_str!("../../../../kernels/common.cuh")),
    ("blocks.cuh", include_str!("../../../../kernels/blocks.cuh")),
    ("heads.cuh", include_str!("../../../../kernels/heads.cuh")),
    ("decode.cuh", include_str!("../../../../kernels/decode.cuh")),
    ("decode_attend.cuh", include_str!("../../../../kernels/decode_attend.cuh")),
];

/// The files that are built for `arch` (90).
fn sources(arch: u32) -> impl Iterator<Item = &'static Source> {
    SOURCES.into_iter().filter(move |s| arch >= s.arch)
}

/// Architectures that are built unless others are named: Orin and Hopper.
pub const DEFAULT_ARCHES: [&str; 2] = ["sm_87", "sm_90"];

/// What `source` is compiled with for `arch`.
fn options(arch: &str, source: &Source) -> Vec<String> {
    let mut options = vec![
        format!("--gpu-architecture={arch}"),
        "--std=c++17".to_owned(),
        "--fmad=false".to_owned(),
        "--ptxas-options=-v".to_owned(),
    ];
    options.extend(source.options());
    options
}

/// What names these sources and options.
pub fn fingerprint() -> String {
    let mut h = Sha256::new();
    for (name, text) in HEADERS {
        h.update(name);
        h.update(text);
    }
    for source in SOURCES {
        h.update(source.name);
        h.update(source.text);
        options("", source).iter().for_each(|o| h.update(o));
    }
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
/// not compile, as where it does not agree with its launcher; [`Kind::Io`] where the folder cannot be written.
pub fn build(arch: &str, nvrtc: &Nvrtc, folder: Option<&Path>) -> Result<Vec<Usage>> {
    let number = arch.strip_prefix("sm_").filter(|n| n.len() >= 2 && n.chars().all(|c| c.is_ascii_digit()));
    let Some(number) = number.and_then(|n| n.parse().ok()) else {
        return Err(Error::new(
            Kind::Usage,
            format!("{arch:?} is not an architecture; sm_87 (Orin) and sm_90 (Hopper) are"),
        ));
    };
    build_files(sources(number), arch, nvrtc, folder)
}

fn build_files(
    files: impl Iterator<Item = &'static Source>,
    arch: &str,
    nvrtc: &Nvrtc,
    folder: Option<&Path>,
) -> Result<Vec<Usage>> {
    let dir = folder.map(|f| f.join(fingerprint()).join(arch));
    if let Some(dir) = &dir {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
    }
    let mut table = Vec::new();
    for source in files {
        let (cubin, log) = compile(nvrtc, source, &options(arch, source))?;
        table.extend(usage(arch, source.name, &log));
        if let Some(dir) = &dir {
            install(&dir.join(format!("{}.cubin", source.name)), &cubin)?;
        }
    }
    Ok(table)
}

fn compile(nvrtc: &Nvrtc, source: &Source, options: &[String]) -> Result<(Vec<u8>, String)> {
    nvrtc.compile(&format!("{}.cu", source.name), source.text, &HEADERS, options)
}

/// Writes a cubin whole or not at all, under a name of its own until it is: another process may be looking for it, or building it.
fn install(whole: &Path, cubin: &[u8]) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let part = whole.with_extension(format!("{}-{next}.part", std::process::id()));
    let written = std::fs::write(&part, cubin)
        .map_err(|e| Error::io("write", &part, e))
        .and_then(|()| std::fs::rename(&part, whole).map_err(|e| Error::io("write", whole, e)));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
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

/// The cubins in the first of `folders` that has those which run on a device of `arch` (90): of its own architecture, or of an
/// older one of the same generation.
///
/// # Errors
/// [`Kind::Unavailable`] with how to build them.
pub(super) fn find(folders: &[PathBuf], arch: u32, device: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mark = fingerprint();
    for folder in folders {
        for minor in (arch / 10 * 10..=arch).rev() {
            let dir = folder.join(&mark).join(format!("sm_{minor}"));
            if !sources(minor).all(|s| dir.join(format!("{}.cubin", s.name)).is_file()) {
                continue;
            }
            let read = |source: &Source| {
                let path = dir.join(format!("{}.cubin", source.name));
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
#[path = "tests/compiled.rs"]
mod tests;
