//! What a setting may name: a model of the manifest, or a file.

use std::fs::File;
use std::path::Path;

use super::manifest::{Manifest, Model, ModelRole};
use super::{locate_file, not_here, paths::Paths};
use crate::error::{Error, Kind, Result};
use crate::problems::{Problems, any_of, clip, nearest};

/// A kind of model that a setting names.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// "a language model"
    pub noun: &'static str,
    pub role: ModelRole,
    /// What the manifest's names begin with and the setting's do not.
    pub prefix: &'static str,
    /// Extension of the files that may be named instead; `None` where none may.
    pub file: Option<&'static str>,
}

/// What `llm.model` names.
pub const LANGUAGE_MODEL: Reference =
    Reference { noun: "a language model", role: ModelRole::Llm, prefix: "", file: Some("gguf") };

impl Reference {
    /// Whether `value` is the path of a file rather than a name.
    pub fn is_file(&self, value: &str) -> bool {
        self.file.is_some_and(|ext| value.contains('/') || value.ends_with(&format!(".{ext}")))
    }

    /// Names that the setting may take.
    fn names<'a>(&self, manifest: &'a Manifest) -> Vec<&'a str> {
        let own = manifest.models.iter().filter(|m| m.role == self.role);
        own.filter_map(|m| m.id.strip_prefix(self.prefix)).collect()
    }

    /// Reports an unknown name.
    pub fn validate(&self, problems: &mut Problems, key: &str, value: &str) {
        // That the manifest is well formed is tested.
        let Ok(manifest) = Manifest::builtin() else { return };
        let names = self.names(&manifest);
        if self.is_file(value) || names.contains(&value) {
            return;
        }
        let or_file = self.file.map(|ext| format!(" or the path of a .{ext} file")).unwrap_or_default();
        let other = manifest.models.iter().find(|m| m.id == value);
        let hint = match (other, nearest(value, names.iter().copied())) {
            (Some(other), _) => format!(", which is {}", other.role.noun()),
            (None, Some(near)) => format!("; did you mean {near}?"),
            (None, None) => String::new(),
        };
        let known = any_of(&names);
        problems.wrong(key, format!("must be {} ({known}){or_file}, not {:?}{hint}", self.noun, clip(value)));
    }

    /// Reports a file that cannot be read, or a model that is not on this machine. Names that [`Reference::validate`]
    /// refuses are left to it. Returns whether the file is here.
    pub fn look(&self, problems: &mut Problems, key: &str, value: &str, paths: &Paths) -> bool {
        if !self.is_file(value) {
            return note_missing(problems, key, &format!("{}{value}", self.prefix), paths);
        }
        let looked = readable(Path::new(value));
        match looked {
            Ok(()) => true,
            Err(text) => {
                problems.wrong(key, text);
                false
            }
        }
    }
}

/// Reports a model of the manifest that is not on this machine, as a note, or that is damaged. Returns whether it is here.
pub fn note_missing(problems: &mut Problems, key: &str, id: &str, paths: &Paths) -> bool {
    let Ok(manifest) = Manifest::builtin() else { return false };
    let Ok(model) = manifest.model(id) else { return false };
    let Err(e) = all_here(paths, model) else { return true };
    let remedy = e.remedy_text().map(|r| format!("; {r}")).unwrap_or_default();
    match e.kind() {
        Kind::NotFound => problems.note(key, format!("{id} is not on this machine yet{remedy}")),
        _ => problems.wrong(key, format!("{}{remedy}", e.context())),
    }
    false
}

fn all_here(paths: &Paths, model: &Model) -> Result<()> {
    if let super::Origin::ByHand { .. } = model.origin {
        let found = super::state::by_hand_file(paths, model);
        return found.map(drop).ok_or_else(|| not_here(paths, model, &paths.model_dir(&model.id)));
    }
    model.files().try_for_each(|f| locate_file(paths, &model.id, &f.name).map(drop))
}

/// Whether `path` is a file that can be read and has something in it; else what is wrong, after the key.
fn readable(path: &Path) -> std::result::Result<(), String> {
    let shown = path.display();
    match File::open(path).and_then(|f| f.metadata()) {
        Ok(m) if m.is_dir() => Err(format!("must be a file, and {shown} is a folder")),
        Ok(m) if m.len() == 0 && m.is_file() => Err(format!("{shown} is empty")),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let near = neighbour(path).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            Err(format!("there is no file {shown}{near}"))
        }
        Err(e) => Err(Error::io("open", path, e).to_string()),
    }
}

/// The file beside `path` whose name is nearest to its own.
pub(crate) fn neighbour(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).ok()?;
    let names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).take(10_000).collect();
    let near = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(path.with_file_name(near).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::Severity;

    const LLM: Reference = Reference { noun: "a language model", role: ModelRole::Llm, prefix: "", file: Some("gguf") };
    const WAKE: Reference =
        Reference { noun: "a wake word", role: ModelRole::Wake, prefix: "wake-", file: Some("onnx") };
    const VOICE: Reference = Reference { noun: "a voice", role: ModelRole::Tts, prefix: "", file: None };

    fn judged(of: Reference, value: &str) -> Option<String> {
        let mut p = Problems::new();
        of.validate(&mut p, "k", value);
        p.into_vec().pop().map(|p| p.text)
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        for (of, good) in [(LLM, "pocket"), (LLM, "./x"), (LLM, "x.gguf"), (WAKE, "alexa"), (WAKE, "w.onnx")] {
            assert_eq!(judged(of, good), None);
        }
        let text = judged(LLM, "pokcet").expect("unknown");
        assert!(text.starts_with("must be a language model (one of pocket, "), "{text}");
        assert!(text.ends_with(r#"or the path of a .gguf file, not "pokcet"; did you mean pocket?"#), "{text}");
        let text = judged(WAKE, "alexia").expect("unknown");
        assert!(text.contains("alexa") && text.ends_with("did you mean alexa?"), "{text}");
        let text = judged(LLM, "whisper-tiny.en").expect("another kind");
        assert!(text.ends_with(r#"not "whisper-tiny.en", which is for speech to text"#), "{text}");
        let text = judged(VOICE, "/tmp/voice.onnx").expect("no file");
        assert!(!text.contains("path of"), "{text}");
        assert!(judged(WAKE, "").is_some() && judged(WAKE, "openwakeword").is_some());
    }

    #[test]
    fn what_is_not_here_is_told_apart_from_what_never_comes() {
        let dir = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(dir.path());
        let look = |of: Reference, value: &str| {
            let mut p = Problems::new();
            of.look(&mut p, "k", value, &paths);
            p.into_vec().pop().map(|p| (p.severity, p.text))
        };
        let (severity, text) = look(WAKE, "hey_marvin").expect("not fetched");
        assert_eq!(severity, Severity::Note);
        assert!(text.ends_with("run `tercet models fetch wake-hey_marvin`"), "{text}");
        let (severity, text) = look(LLM, "ternary-bonsai-8b").expect("not there");
        assert_eq!(severity, Severity::Note);
        assert!(text.contains("prism-ml/Ternary-Bonsai-8B-gguf"), "{text}");

        let file = dir.path().join("model.gguf");
        std::fs::write(&file, b"GGUF").expect("written");
        assert_eq!(look(LLM, &file.display().to_string()), None);
        let absent = dir.path().join("modle.gguf").display().to_string();
        let (severity, text) = look(LLM, &absent).expect("not there");
        assert_eq!(severity, Severity::Wrong);
        assert!(text.ends_with(&format!("did you mean {}?", file.display())), "{text}");
        std::fs::write(&file, b"").expect("written");
        assert!(look(LLM, &file.display().to_string()).expect("empty").1.ends_with("is empty"));
        assert!(look(LLM, &dir.path().display().to_string()).expect("a folder").1.contains("is a folder"));
    }
}
