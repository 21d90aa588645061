//! The one ONNX Runtime of the process: hearing and speaking share it.
//!
//! [`init`] loads the library once; [`session`] opens a model the way tercet wants all of them: no arena, no memory
//! pattern, no spinning threads. [`load_measured`] is how anything that allocates behind our back (ONNX Runtime,
//! whisper.cpp) is put on the ledger: reserved before, measured around the load.

use std::ffi::CStr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock};

use libloading::Library;
use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::budget::{Budget, Component, Reservation, resident_now};
use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

/// What the library itself takes once it has run a model: code pages touched, its registries of kernels and schemas.
pub const RUNTIME_ESTIMATE: Bytes = Bytes::mb(28);

/// An ONNX model that copies one number (`y = Identity(x)`, float `[1]`, opset 13): the smallest thing to run.
const SMALLEST_MODEL: &[u8] = b"\x08\x08\x42\x02\x10\x0d\x3a\x37\x0a\x10\x0a\x01x\x12\x01y\x22\x08Identity\x12\x01g\
    \x5a\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01\
    \x62\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01";

/// The line of the ledger that stands for the library itself.
const RUNTIME_ITEM: &str = "ONNX Runtime";

/// Resident growth seen while the library was loaded; set once it is.
static LOADED: OnceLock<Bytes> = OnceLock::new();

/// One load at a time: two measured at once would each count the other's memory.
static LOADING: Mutex<()> = Mutex::new(());

fn loading() -> MutexGuard<'static, ()> {
    // The lock guards no data, so poisoning does not matter.
    LOADING.lock().unwrap_or_else(|p| p.into_inner())
}

/// Loads ONNX Runtime from `dylib` and creates the process's only environment. Later calls do nothing, whatever
/// their path: the library cannot be exchanged while the process lives.
///
/// # Errors
/// [`Kind::NotFound`] when the file is missing, [`Kind::Corrupt`] when it is not an ONNX Runtime,
/// [`Kind::Unsupported`] when it is older than 1.24.
pub fn init(dylib: &Path) -> Result<()> {
    if LOADED.get().is_some() {
        return Ok(());
    }
    let _one = loading();
    if LOADED.get().is_some() {
        return Ok(());
    }
    let before = resident_now();
    // `ort` panics when a library does not load, so it only gets to see one that does.
    check_library(dylib)?;
    let load = || -> ort::Result<()> {
        ort::init_from(dylib)?.with_name("tercet").with_telemetry(false).commit();
        Environment::current()?.set_log_level(LogLevel::Warning);
        // The first session takes some memory once for all sessions; it belongs to the library, not to a model.
        configured(1)?.commit_from_memory(SMALLEST_MODEL).map(drop)
    };
    load().map_err(|e| {
        Error::new(Kind::Unavailable, format!("cannot start ONNX Runtime from {}", dylib.display())).because(e)
    })?;
    let used = resident_now().saturating_sub(before);
    tracing::debug!(library = %dylib.display(), resident_bytes = used.0, "ONNX Runtime loaded");
    let _ = LOADED.set(used);
    Ok(())
}

/// [`init`], with the library itself on the ledger (once per ledger, until the process ends: it is never unloaded).
///
/// # Errors
/// As [`init`], and [`Kind::OverBudget`].
pub fn init_reserved(dylib: &Path, budget: &Budget) -> Result<()> {
    if budget.items().iter().any(|i| i.component == Component::Runtime && i.what == RUNTIME_ITEM) {
        return init(dylib);
    }
    let reservation = budget.reserve(Component::Runtime, RUNTIME_ITEM, RUNTIME_ESTIMATE)?;
    init(dylib)?;
    if let Some(used) = LOADED.get() {
        reservation.record_measured(*used);
    }
    std::mem::forget(reservation);
    Ok(())
}

/// Opens a model on the CPU: `intra_threads` threads that sleep when idle, memory given back after each run
/// (no arena, no memory pattern), one operator at a time.
///
/// # Errors
/// Names the model file: [`Kind::NotFound`] when it is missing, [`Kind::Corrupt`] when it is not a valid model,
/// [`Kind::Internal`] when [`init`] has not run.
pub fn session(model: &Path, intra_threads: usize) -> Result<Session> {
    if LOADED.get().is_none() {
        return Err(Error::new(
            Kind::Internal,
            format!("{} was opened before ONNX Runtime was loaded", model.display()),
        ));
    }
    let bytes = std::fs::metadata(model)
        .map_err(|e| Error::io("open the model", model, e).remedy("run `tercet models fetch`"))?;
    if bytes.len() == 0 {
        return Err(corrupt(model).because("the file is empty"));
    }
    open(model, intra_threads.max(1)).map_err(|e| corrupt(model).because(e))
}

fn corrupt(model: &Path) -> Error {
    Error::new(Kind::Corrupt, format!("cannot load the model {}", model.display()))
        .remedy("run `tercet models verify`, then `tercet models fetch` to get it again")
}

fn open(model: &Path, intra_threads: usize) -> ort::Result<Session> {
    configured(intra_threads)?.commit_from_file(model)
}

fn configured(intra_threads: usize) -> ort::Result<SessionBuilder> {
    let builder = Session::builder()?
        .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?
        .with_memory_pattern(false)?
        .with_intra_threads(intra_threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?;
    Ok(builder)
}

/// What the sessions of these model files will take together: about each file's size once as weights and once as what
/// ONNX Runtime makes of them, and some scratch.
pub fn session_estimate<P: AsRef<Path>>(models: &[P]) -> Bytes {
    let files = models.iter().filter_map(|m| std::fs::metadata(m).ok());
    estimate_of_sizes(files.map(|m| Bytes(m.len())))
}

/// [`session_estimate`] of models whose files may not be here yet.
pub fn estimate_of_sizes(models: impl IntoIterator<Item = Bytes>) -> Bytes {
    models.into_iter().map(|m| Bytes(m.0 * 2 + 1_500_000)).sum()
}

/// The error of a run, naming the model.
pub fn run_error(model: &str, cause: ort::Error) -> Error {
    Error::new(Kind::Internal, format!("the model {model} failed to run"))
        .remedy("run `tercet models verify`: the file may be another version than tercet expects")
        .because(cause)
}

/// Reserves `estimate` for `what`, runs `load`, and records how much the resident set grew meanwhile. Let `load` also
/// run the thing once, so that what it allocates on first use is counted. One load at a time in the process; `load`
/// must not call this function again.
///
/// # Errors
/// [`Kind::OverBudget`] before anything is allocated; otherwise those of `load` (the reservation is given back).
pub fn load_measured<T>(
    budget: &Budget,
    component: Component,
    what: impl Into<String>,
    estimate: Bytes,
    load: impl FnOnce() -> Result<T>,
) -> Result<(T, Reservation)> {
    let _one = loading();
    let what = what.into();
    let reservation = budget.reserve(component, what.clone(), estimate)?;
    give_back_free_memory();
    let before = resident_now();
    let loaded = load()?;
    // Loading leaves freed scratch behind in the allocator; it is neither the model's nor worth keeping.
    give_back_free_memory();
    let used = resident_now().saturating_sub(before);
    reservation.record_measured(used);
    tracing::debug!(what, reserved_bytes = estimate.0, resident_bytes = used.0, "loaded");
    Ok((loaded, reservation))
}

#[cfg(target_env = "gnu")]
fn give_back_free_memory() {
    // SAFETY: malloc_trim takes no pointers and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn give_back_free_memory() {}

/// Oldest ONNX Runtime (1.x) whose interface `ort` can use.
const OLDEST_MINOR: u32 = ort::MINOR_VERSION;

/// Loads `dylib` permanently and checks that it is an ONNX Runtime that `ort` can use.
fn check_library(dylib: &Path) -> Result<()> {
    let fetch = "run `tercet models fetch`";
    std::fs::metadata(dylib).map_err(|e| Error::io("open the ONNX Runtime library", dylib, e).remedy(fetch))?;
    let not_loadable = |why: String| {
        Error::new(Kind::Corrupt, format!("{} is not a usable ONNX Runtime library", dylib.display()))
            .remedy("run `tercet models verify`, then `tercet models fetch` to get it again")
            .because(why)
    };
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: running a shared library's constructors is what the user asked for by installing it.
    let library = unsafe { Library::new(dylib) }.map_err(|e| not_loadable(reason(&e)))?;
    // SAFETY: every ONNX Runtime exports OrtGetApiBase with this signature; it returns a static table or null.
    let version = unsafe {
        let get_base = library
            .get::<GetApiBase>(c"OrtGetApiBase")
            .map_err(|e| not_loadable(format!("it has no OrtGetApiBase: {}", reason(&e))))?;
        let base = get_base();
        if base.is_null() {
            return Err(not_loadable("it does not offer the API".into()));
        }
        CStr::from_ptr(((*base).GetVersionString)()).to_string_lossy().into_owned()
    };
    // `ort` opens it again; nothing of it may dangle meanwhile.
    std::mem::forget(library);
    let minor = version.split('.').nth(1).and_then(|m| m.parse::<u32>().ok());
    match minor {
        Some(minor) if version.starts_with("1.") && minor >= OLDEST_MINOR => Ok(()),
        _ => Err(Error::new(
            Kind::Unsupported,
            format!("{} is ONNX Runtime {version}; tercet needs 1.{OLDEST_MINOR} or newer", dylib.display()),
        )
        .remedy(fetch)),
    }
}

/// What the loader said, which an error of `libloading` holds within.
fn reason(e: &libloading::Error) -> String {
    std::error::Error::source(e).map_or_else(|| e.to_string(), |inner| format!("{e}: {inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_and_a_wrong_file_are_named_with_a_remedy() {
        let dir = tempfile::tempdir().expect("a folder");
        let gone = dir.path().join("libonnxruntime.so.1");
        let e = check_library(&gone).expect_err("nothing is there");
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(e.to_string().contains("libonnxruntime.so.1") && e.remedy_text().is_some(), "{e:?}");

        std::fs::write(&gone, b"not an ELF file").expect("written");
        let e = check_library(&gone).expect_err("text is no library");
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains("libonnxruntime.so.1"), "{e}");
    }

    #[test]
    fn a_library_without_the_entry_point_is_refused() {
        let Some(libm) = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/usr/lib/libm.so.6"]
            .iter()
            .map(Path::new)
            .find(|p| p.exists())
        else {
            println!("SKIPPED a_library_without_the_entry_point_is_refused: no libm where Debian keeps it");
            return;
        };
        let e = check_library(libm).expect_err("libm is no ONNX Runtime");
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains("OrtGetApiBase"), "{e}");
    }

    #[test]
    fn a_load_is_reserved_first_and_measured_after() {
        // What a load takes is seen in the growth of the process, so this needs one in which nothing else happens.
        if std::env::var_os("TERCET_ALONE").is_none() {
            let test = "onnx::tests::a_load_is_reserved_first_and_measured_after";
            let out = std::process::Command::new(std::env::current_exe().expect("the test binary"))
                .args(["--exact", test, "--test-threads=1"])
                .env("TERCET_ALONE", "1")
                .output()
                .expect("the test binary runs");
            let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            assert!(out.status.success() && said.contains("1 passed"), "{said}\n{why}");
            return;
        }
        let budget = Budget::new(Bytes::mb(40));
        let what = "a block of 16 MB";
        let (block, r) =
            load_measured(&budget, Component::Detect, what, Bytes::mb(20), || Ok(vec![1u8; 16_000_000])).expect("fits");
        assert_eq!(block.len(), 16_000_000);
        let item = &budget.items()[0];
        assert!(item.measured.is_some_and(|m| m >= Bytes::mb(12)), "{item:?}");
        let refused = load_measured(&budget, Component::Detect, "more", Bytes::mb(30), || -> Result<()> {
            panic!("allocated before it was reserved")
        });
        assert_eq!(refused.map(|_| ()).expect_err("20 + 30 > 40").kind(), Kind::OverBudget);
        drop(r);
        assert_eq!(budget.reserved(), Bytes::ZERO);
    }
}
