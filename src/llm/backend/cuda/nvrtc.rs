//! NVIDIA's run-time compiler: the few calls that turn a source into a cubin.
//!
//! Opened by the path that the caller gives, so that the version in the manifest is used and not whatever the system has.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

use crate::error::{Error, Kind, Result};

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Text = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;

/// What it asks for by name while it compiles; found there if it is already open.
const BUILTINS: &str = "libnvrtc-builtins.so.12.6";

/// The compiler.
pub struct Nvrtc {
    path: PathBuf,
    create: Symbol<Create>,
    destroy: Symbol<Destroy>,
    compile: Symbol<Compile>,
    log_size: Symbol<Size>,
    log: Symbol<Text>,
    cubin_size: Symbol<Size>,
    cubin: Symbol<Text>,
    version: Symbol<Version>,
    /// Open as long as its symbols are used.
    _libraries: [Option<Library>; 2],
}

impl Nvrtc {
    /// Opens `library`, and the builtins beside it.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] with how to get it.
    pub fn open(library: &Path) -> Result<Self> {
        // SAFETY: loading either library runs its initialisers, which expect nothing of us.
        let load = |path: &Path| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
        let builtins =
            library.parent().filter(|d| !d.as_os_str().is_empty()).and_then(|d| load(&d.join(BUILTINS)).ok());
        let missing = |e: libloading::Error| {
            Error::new(Kind::Unavailable, format!("NVIDIA's compiler is not here ({})", library.display()))
                .remedy("run `tercet models fetch nvrtc`, or name its folder with --nvrtc")
                .because(e)
        };
        let opened = load(library).map_err(missing)?;
        // SAFETY: the symbols are NVRTC's, whose signatures these are (nvrtc.h of CUDA 12.6); the library stays open with them.
        unsafe {
            Ok(Self {
                create: opened.get(b"nvrtcCreateProgram\0").map_err(missing)?,
                destroy: opened.get(b"nvrtcDestroyProgram\0").map_err(missing)?,
                compile: opened.get(b"nvrtcCompileProgram\0").map_err(missing)?,
                log_size: opened.get(b"nvrtcGetProgramLogSize\0").map_err(missing)?,
                log: opened.get(b"nvrtcGetProgramLog\0").map_err(missing)?,
                cubin_size: opened.get(b"nvrtcGetCUBINSize\0").map_err(missing)?,
                cubin: opened.get(b"nvrtcGetCUBIN\0").map_err(missing)?,
                version: opened.get(b"nvrtcVersion\0").map_err(missing)?,
                path: library.to_owned(),
                _libraries: [Some(opened), builtins],
            })
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `12.6`.
    pub fn version(&self) -> String {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: out-pointers are valid.
        unsafe { (self.version)(&raw mut major, &raw mut minor) };
        format!("{major}.{minor}")
    }

    /// Compiles `source` into a cubin; returns it with the compiler's log.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the log.
    pub(super) fn compile(
        &self,
        name: &str,
        source: &str,
        headers: &[(&str, &str)],
        options: &[String],
    ) -> Result<(Vec<u8>, String)> {
        let text =
            |s: &str| CString::new(s).map_err(|e| Error::new(Kind::Internal, "a source holds a zero").because(e));
        let (source, file) = (text(source)?, text(name)?);
        let names = headers.iter().map(|h| text(h.0)).collect::<Result<Vec<_>>>()?;
        let texts = headers.iter().map(|h| text(h.1)).collect::<Result<Vec<_>>>()?;
        let options = options.iter().map(|o| text(o)).collect::<Result<Vec<_>>>()?;
        let pointers = |of: &[CString]| of.iter().map(|s| s.as_ptr()).collect::<Vec<_>>();
        let (names, texts, options) = (pointers(&names), pointers(&texts), pointers(&options));
        let mut program: Program = std::ptr::null_mut();
        // SAFETY: all strings end with a zero and outlive the calls (the CStrings are alive: shadowed, not dropped);
        // the buffers have the sizes the library asked for; the program is destroyed once.
        unsafe {
            let mut code = (self.create)(
                &raw mut program,
                source.as_ptr(),
                file.as_ptr(),
                headers.len() as c_int,
                texts.as_ptr(),
                names.as_ptr(),
            );
            if code == 0 {
                code = (self.compile)(program, options.len() as c_int, options.as_ptr());
            }
            let mut size = 0;
            (self.log_size)(program, &raw mut size);
            let mut log = vec![0u8; size.max(1)];
            (self.log)(program, log.as_mut_ptr().cast());
            let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
            let mut cubin = Vec::new();
            if code == 0 {
                let mut size = 0;
                code = (self.cubin_size)(program, &raw mut size);
                cubin = vec![0u8; size];
                if code == 0 {
                    code = (self.cubin)(program, cubin.as_mut_ptr().cast());
                }
            }
            (self.destroy)(&raw mut program);
            if code != 0 {
                return Err(Error::new(Kind::Internal, format!("{name} does not compile (code {code}):\n{log}")));
            }
            Ok((cubin, log))
        }
    }
}
