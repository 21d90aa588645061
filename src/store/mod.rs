//! Models: what there is, where the files live, and how they come here and are checked.
//!
//! The manifest compiled into the program (`models/manifest.toml`) names every model with the exact bytes of every
//! file. [`locate`] finds a file cheaply, [`fetch`] brings missing ones, [`verify`] reads and hashes what is there.
//! A file that stands under its final name is complete: it is written elsewhere, hashed, synced and renamed.
//! What the agent keeps for people is in a [`Database`].

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

mod database;
mod fetch;
pub mod file;
mod lock;
mod manifest;
mod paths;
mod pip;
mod prefix;
mod reference;
mod state;
mod wheel;

pub use database::Database;
pub use fetch::{Event, Options, Outcome, fetch};
pub(crate) use file::free_bytes;
pub use lock::StateFolder;
pub use manifest::{FileEntry, Manifest, Model, ModelRole, Origin, Package, Wheel};
pub use paths::Paths;
pub use prefix::PrefixCache;
pub(crate) use reference::neighbour;
pub use reference::{LANGUAGE_MODEL, Reference, note_missing};
pub use state::{Check, FileCheck, State, state, verify};

/// Path of a model's main file (the first that the manifest names).
///
/// # Errors
/// [`Kind::NotFound`] with how to get it, [`Kind::Corrupt`] when its size is not the manifest's,
/// [`Kind::Usage`] when there is no such model.
pub fn locate(paths: &Paths, id: &str) -> Result<PathBuf> {
    let manifest = Manifest::builtin()?;
    let model = manifest.model(id)?;
    match &model.origin {
        Origin::ByHand { .. } => {
            state::by_hand_file(paths, model).ok_or_else(|| not_here(paths, model, &paths.model_dir(id)))
        }
        _ => {
            let entry = model.main_file()?;
            locate_entry(paths, model, entry)
        }
    }
}

/// Path of the model that a setting names: a model of the manifest (`pocket`), or the path of a GGUF file.
///
/// # Errors
/// As [`locate`], for models of the manifest.
pub fn model_path(paths: &Paths, named: &str) -> Result<PathBuf> {
    match LANGUAGE_MODEL.is_file(named) {
        true => Ok(PathBuf::from(named)),
        false => locate(paths, named),
    }
}

/// Path of one file of a model that has several.
///
/// # Errors
/// As [`locate`]; [`Kind::Usage`] also when the model has no file of that name.
pub fn locate_file(paths: &Paths, id: &str, name: &str) -> Result<PathBuf> {
    let manifest = Manifest::builtin()?;
    let model = manifest.model(id)?;
    let entry = model
        .files()
        .find(|f| f.name == name)
        .ok_or_else(|| Error::new(Kind::Usage, format!("model {id} has no file {name}")))?;
    locate_entry(paths, model, entry)
}

/// Size of a model's file (the main one where `name` is `None`), for memory plans: what the manifest says, so that it is
/// known before the model is fetched; for a model put there by hand, the file itself.
///
/// # Errors
/// As [`locate_file`]; [`Kind::NotFound`] only for models put there by hand.
pub fn size(paths: &Paths, id: &str, name: Option<&str>) -> Result<Bytes> {
    let manifest = Manifest::builtin()?;
    let model = manifest.model(id)?;
    match (&model.origin, name) {
        (Origin::ByHand { .. }, _) => {
            let file = locate(paths, id)?;
            let m = std::fs::metadata(&file).map_err(|e| Error::io("read", &file, e))?;
            Ok(Bytes(m.len()))
        }
        (_, None) => Ok(Bytes(model.main_file()?.bytes)),
        (_, Some(name)) => {
            let entry = model.files().find(|f| f.name == name);
            let entry = entry.ok_or_else(|| Error::new(Kind::Usage, format!("model {id} has no file {name}")))?;
            Ok(Bytes(entry.bytes))
        }
    }
}

fn locate_entry(paths: &Paths, model: &Model, entry: &FileEntry) -> Result<PathBuf> {
    let path = paths.file(model, entry);
    match std::fs::metadata(&path) {
        Ok(m) if m.is_file() && m.len() == entry.bytes => Ok(path),
        Ok(m) if m.is_file() => Err(Error::new(
            Kind::Corrupt,
            format!("{} ({}) has {} bytes, not {}", path.display(), model.id, m.len(), entry.bytes),
        )
        .remedy(how_to_get(model))),
        Ok(_) => Err(not_here(paths, model, &path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(not_here(paths, model, &path)),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

fn not_here(paths: &Paths, model: &Model, path: &std::path::Path) -> Error {
    let e = Error::new(
        Kind::NotFound,
        format!("model {} is not on this machine (looked for {})", model.id, path.display()),
    );
    match &model.origin {
        Origin::ByHand { .. } => e.remedy(by_hand_remedy(paths, model)),
        _ => e.remedy(how_to_get(model)),
    }
}

fn how_to_get(model: &Model) -> String {
    match &model.origin {
        Origin::Shipped => {
            "it comes with tercet: set TERCET_MODELS to the folder that holds it, or name another file".to_owned()
        }
        _ if model.default => "run `tercet models fetch`".to_owned(),
        _ => format!("run `tercet models fetch {}`", model.id),
    }
}

/// Where a model that cannot be fetched comes from and where it goes.
fn by_hand_remedy(paths: &Paths, model: &Model) -> String {
    let dir = paths.model_dir(&model.id);
    let dir = dir.display();
    match &model.origin {
        Origin::ByHand { repository, file: Some(file), .. } => {
            format!("get {file} from the Hugging Face repository {repository} and put it into {dir}")
        }
        Origin::ByHand { repository, file: None, .. } => format!(
            "get the safetensors from the Hugging Face repository {repository}, make a GGUF of them and put that into {dir}"
        ),
        _ => how_to_get(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let paths = Paths::new(dir.path());
        (dir, paths)
    }

    #[test]
    fn sizes_are_known_before_fetching() {
        let (_dir, paths) = paths();
        assert_eq!(size(&paths, "pocket", None).expect("known"), Bytes(38_862_016));
        let mel = size(&paths, "openwakeword", Some("melspectrogram.onnx")).expect("known");
        assert!(mel > Bytes(100_000), "{mel}");
        assert_eq!(size(&paths, "openwakeword", Some("x")).expect_err("no such file").kind(), Kind::Usage);
        assert_eq!(size(&paths, "nope", None).expect_err("no such model").kind(), Kind::Usage);
        assert_eq!(size(&paths, "ternary-bonsai-8b", None).expect_err("not there").kind(), Kind::NotFound);
    }

    #[test]
    fn a_missing_model_says_how_to_get_it() {
        let (_dir, paths) = paths();
        let e = locate(&paths, "silero-vad").expect_err("not fetched");
        assert_eq!(e.kind(), Kind::NotFound);
        assert_eq!(e.remedy_text(), Some("run `tercet models fetch`"));
        let e = locate(&paths, "wake-hey_marvin").expect_err("not fetched");
        assert_eq!(e.remedy_text(), Some("run `tercet models fetch wake-hey_marvin`"));
        let e = locate(&paths, "ternary-bonsai-8b").expect_err("not there");
        let remedy = e.remedy_text().expect("a remedy");
        assert!(remedy.contains("prism-ml/Ternary-Bonsai-8B-gguf") && remedy.contains("ternary-bonsai-8b"), "{remedy}");
    }

    #[test]
    fn a_truncated_file_is_refused_by_size() {
        let (_dir, paths) = paths();
        let dir = paths.model_dir("silero-vad");
        std::fs::create_dir_all(&dir).expect("folder");
        std::fs::write(dir.join("silero_vad.onnx"), b"short").expect("write");
        assert_eq!(locate(&paths, "silero-vad").expect_err("truncated").kind(), Kind::Corrupt);
    }

    #[test]
    fn unknown_names_are_usage_errors() {
        let (_dir, paths) = paths();
        assert_eq!(locate(&paths, "nonesuch").expect_err("unknown").kind(), Kind::Usage);
        assert_eq!(locate_file(&paths, "openwakeword", "x.onnx").expect_err("unknown").kind(), Kind::Usage);
    }

    #[test]
    fn one_gguf_put_by_hand_is_found() {
        let (_dir, paths) = paths();
        let dir = paths.model_dir("ternary-bonsai-8b");
        std::fs::create_dir_all(&dir).expect("folder");
        std::fs::write(dir.join("anything.gguf"), b"GGUF").expect("write");
        assert_eq!(locate(&paths, "ternary-bonsai-8b").expect("found"), dir.join("anything.gguf"));
    }

    #[test]
    fn the_shipped_model_is_found_above_the_program() {
        let paths = Paths::from_env();
        let pocket = locate(&paths, "pocket").expect("pocket is in the repository");
        assert!(pocket.ends_with("pocket.gguf"));
    }
}
