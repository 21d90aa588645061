//! NVIDIA's run-time compiler, from a folder of one's choice: the few calls that turn a source into a cubin.
//!
//! Opened by its full path, so that the version in the manifest is used and not whatever the system has.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::store::{self, Paths};

type Program = *mut c_void;

/// The compiler, open for the rest of the process.
pub struct Nvrtc {
    path: PathBuf,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
}

fn open(path: &Path) -> Option<*mut c_void> {
    let name = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: loading the library runs its initialisers, which expect nothing of us.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    (!handle.is_null()).then_some(handle)
}

impl Nvrtc {
    /// The compiler in `dir` where one is named, else the fetched one, else the system's.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] with how to get it.
    #[allow(clippy::missing_transmute_annotations)] // the fields' types, a screen above, are the annotations
    pub fn find(paths: &Paths, dir: Option<&Path>) -> Result<Self> {
        let fetched = || store::locate_file(paths, "nvrtc", "libnvrtc.so.12").ok();
        let path = match dir {
            Some(dir) => dir.join("libnvrtc.so.12"),
            None => fetched().unwrap_or_else(|| PathBuf::from("libnvrtc.so.12")),
        };
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            // The compiler asks for this one by name; it is found when it is already open.
            open(&dir.join("libnvrtc-builtins.so.12.6"));
        }
        let missing = || {
            Error::new(Kind::Unavailable, format!("NVIDIA's compiler is not here ({})", path.display()))
                .remedy("run `tercet models fetch nvrtc`, or name its folder with --nvrtc")
        };
        let library = open(&path).ok_or_else(missing)?;
        let symbol = |name: &CStr| {
            // SAFETY: the handle is open and is never closed.
            let at = unsafe { libc::dlsym(library, name.as_ptr()) };
            if at.is_null() { Err(missing()) } else { Ok(at) }
        };
        // SAFETY: the symbols are NVRTC's, whose signatures these are (nvrtc.h).
        unsafe {
            Ok(Self {
                create: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcCreateProgram")?),
                destroy: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcDestroyProgram")?),
                compile: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcCompileProgram")?),
                log_size: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcGetProgramLogSize")?),
                log: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcGetProgramLog")?),
                cubin_size: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcGetCUBINSize")?),
                cubin: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcGetCUBIN")?),
                version: std::mem::transmute::<*mut c_void, _>(symbol(c"nvrtcVersion")?),
                path,
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
