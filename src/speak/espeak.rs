//! espeak-ng's phonemes: the one place that touches its global state.
//!
//! The library keeps everything in globals, so all calls happen under one lock, whichever thread makes them. It is
//! called directly, and told by argument where its data lies: the wrapper crate would have to be told through the
//! process's environment, which no program with threads may change.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::error::{Error, Kind, Result};

/// Folder that every installation has.
const DATA: &str = "espeak-ng-data";
/// A file in that folder that is always needed.
const PROBE: &str = "phontab";
/// espeak-ng copies the path into a fixed buffer of 160 bytes and adds file names to it.
const LONGEST_PATH: usize = 120;

const REMEDY: &str = "install it with `apt-get install espeak-ng-data`, or set speak.espeak_data to its folder";

/// The state of the library so far.
struct State {
    data: PathBuf,
    voice: Option<CString>,
}

static ESPEAK: Mutex<Option<State>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<State>> {
    // A panic cannot leave the library between two calls: the lock guards whole calls into it.
    ESPEAK.lock().unwrap_or_else(|p| p.into_inner())
}

/// Turns words of one language into phonemes.
pub(super) struct Phonemizer {
    voice: CString,
}

impl Phonemizer {
    /// `data` is the configured data folder (or its parent); `voice` espeak's name of the language ("en-us").
    ///
    /// # Errors
    /// [`Kind::NotFound`] where the data is missing, [`Kind::Unavailable`] where the library refuses it,
    /// [`Kind::Unsupported`] for a voice the data does not have.
    pub(super) fn new(data: Option<&Path>, voice: &str) -> Result<Self> {
        let name = CString::new(voice)
            .map_err(|_| Error::new(Kind::Corrupt, "the voice's espeak language holds a zero byte"))?;
        let mut state = lock();
        if let Some(s) = state.as_ref() {
            tracing::debug!(data = %s.data.display(), "espeak-ng keeps the data it was started with");
        } else {
            let data = find_data(data)?;
            initialize(&data)?;
            *state = Some(State { data, voice: None });
        }
        select(&mut state, &name)?;
        Ok(Self { voice: name })
    }

    /// IPA of one clause; empty where there is nothing to pronounce. Marks of punctuation are not in it.
    pub(super) fn phonemes(&self, clause: &str) -> Result<String> {
        let text = CString::new(clause.replace('\0', " "))
            .map_err(|e| Error::new(Kind::Internal, "text for espeak-ng holds a zero byte").because(e))?;
        let mut state = lock();
        select(&mut state, &self.voice)?;
        let mut at: *const c_char = text.as_ptr();
        let mut parts = Vec::new();
        // Each call takes at least a character and sets the pointer to null at the end; the count is a guard against
        // a library that does not.
        for _ in 0..=clause.len() {
            if at.is_null() {
                break;
            }
            // SAFETY: initialised and with a voice (`select`), under the lock. `at` points into `text`, which is
            // NUL-terminated and outlives the loop; espeak advances it within that string or sets it to null. The
            // result is null or a C string in a static buffer, copied before the next call.
            let part = unsafe {
                let p = espeak_rs_sys::espeak_TextToPhonemes(
                    (&raw mut at).cast::<*const c_void>(),
                    espeak_rs_sys::espeakCHARS_UTF8 as i32,
                    espeak_rs_sys::espeakPHONEMES_IPA as i32,
                );
                if p.is_null() { String::new() } else { CStr::from_ptr(p).to_string_lossy().into_owned() }
            };
            parts.push(without_switches(&part));
        }
        Ok(parts.iter().map(|p| p.trim()).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" "))
    }
}

fn initialize(data: &Path) -> Result<()> {
    let unusable = || Error::new(Kind::Unavailable, format!("espeak-ng cannot use the data in {}", data.display()));
    let path = CString::new(data.as_os_str().as_bytes()).map_err(|_| unusable())?;
    if path.as_bytes().len() > LONGEST_PATH {
        return Err(unusable().remedy(format!("move it to a folder whose path is shorter than {LONGEST_PATH} bytes")));
    }
    // SAFETY: called once, under the lock; the path is a C string that the library copies. DONT_EXIT makes it return
    // an error where it would end the process.
    let rate = unsafe {
        espeak_rs_sys::espeak_Initialize(
            espeak_rs_sys::espeak_AUDIO_OUTPUT_AUDIO_OUTPUT_RETRIEVAL,
            0,
            path.as_ptr(),
            espeak_rs_sys::espeakINITIALIZE_DONT_EXIT as i32,
        )
    };
    if rate > 0 { Ok(()) } else { Err(unusable().remedy(REMEDY)) }
}

/// Makes `voice` the language of the next call.
fn select(state: &mut Option<State>, voice: &CString) -> Result<()> {
    let Some(state) = state.as_mut() else {
        return Err(Error::new(Kind::Internal, "espeak-ng was used before it was started"));
    };
    if state.voice.as_ref() == Some(voice) {
        return Ok(());
    }
    // SAFETY: initialised (there is a state), under the lock; the name is a C string that the library copies.
    let status = unsafe { espeak_rs_sys::espeak_SetVoiceByName(voice.as_ptr()) };
    if status != espeak_rs_sys::espeak_ERROR_EE_OK {
        state.voice = None;
        return Err(Error::new(
            Kind::Unsupported,
            format!("espeak-ng has no language {voice:?} in {}", state.data.display()),
        )
        .remedy(REMEDY));
    }
    state.voice = Some(voice.clone());
    Ok(())
}

/// Leaves out "(en)", "(fr)": marks where espeak changes the language within a text.
fn without_switches(s: &str) -> String {
    let mut inside = false;
    s.chars()
        .filter(|c| {
            let keep = !inside && *c != '(' && *c != ')';
            inside = (inside || *c == '(') && *c != ')';
            keep
        })
        .collect()
}

/// The folder `espeak-ng-data`: as configured, else from the environment, beside the program, or where systems
/// install it.
pub(super) fn find_data(configured: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = configured {
        return data_at(dir).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no espeak-ng data in {} (speak.espeak_data)", dir.display()))
                .remedy(REMEDY)
        });
    }
    let mut places: Vec<PathBuf> = ["PIPER_ESPEAKNG_DATA_DIRECTORY", "ESPEAK_DATA_PATH"]
        .iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from)
        .collect();
    if let Some(dir) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.push(dir.to_owned());
        places.push(dir.join("../share"));
    }
    let arch = std::env::consts::ARCH;
    places.push(format!("/usr/lib/{arch}-linux-gnu").into());
    places.extend(["/usr/lib", "/usr/lib64", "/usr/share", "/usr/local/lib", "/usr/local/share"].map(PathBuf::from));
    places.iter().find_map(|p| data_at(p)).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("espeak-ng's pronunciation data is not on this machine (no {DATA} folder)"))
            .remedy(REMEDY)
    })
}

/// `dir` itself or its child `espeak-ng-data`, where it holds the data.
fn data_at(dir: &Path) -> Option<PathBuf> {
    [dir.join(DATA), dir.to_owned()].into_iter().find(|d| d.join(PROBE).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phonemizer(test: &str) -> Option<Phonemizer> {
        match Phonemizer::new(None, "en-us") {
            Ok(p) => Some(p),
            Err(e) if e.kind() == Kind::NotFound && std::env::var_os("TERCET_REQUIRE_MODELS").is_none() => {
                println!("SKIPPED {test}: {e}");
                None
            }
            Err(e) => panic!("{e}"),
        }
    }

    #[test]
    fn words_become_phonemes() {
        let Some(p) = phonemizer("words_become_phonemes") else { return };
        assert_eq!(p.phonemes("test").expect("phonemes"), "tˈɛst");
        assert!(p.phonemes("the well-known Mr Smith, who\nknows").expect("phonemes").contains("smˈɪθ"));
        for nothing in ["", " ", "—", "\0", "()"] {
            assert_eq!(p.phonemes(nothing).expect("phonemes"), "", "{nothing:?}");
        }
    }

    #[test]
    fn threads_take_turns() {
        let Some(p) = phonemizer("threads_take_turns") else { return };
        let want = p.phonemes("the quick brown fox").expect("phonemes");
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..25 {
                        assert_eq!(p.phonemes("the quick brown fox").expect("phonemes"), want);
                    }
                });
            }
        });
    }

    #[test]
    fn missing_data_and_an_unknown_language_are_named_with_a_remedy() {
        let dir = tempfile::tempdir().expect("a folder");
        let e = find_data(Some(dir.path())).expect_err("an empty folder");
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(e.remedy_text().is_some_and(|r| r.contains("apt-get install espeak-ng-data")));
        if phonemizer("missing_data_and_an_unknown_language_are_named_with_a_remedy").is_none() {
            return;
        }
        let e = Phonemizer::new(None, "xx-nowhere").err().expect("no such language");
        assert!(e.kind() == Kind::Unsupported && e.to_string().contains("xx-nowhere"), "{e:?}");
    }

    #[test]
    fn language_switches_are_left_out() {
        assert_eq!(without_switches("(en)hɛl(fr)oʊ)"), "hɛloʊ");
    }
}
