//! The list of models: what they are for, their licences, and the exact bytes of every file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::problems::nearest;

/// The parsed `models/manifest.toml`.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub packages: Vec<Package>,
    pub models: Vec<Model>,
}

/// A Python package whose wheel carries model files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub version: String,
    wheels: Vec<Wheel>,
}

/// One wheel file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Processor it is for, as Rust names it; `None` for all.
    pub arch: Option<String>,
    /// File name; its last three parts are the Python, ABI and platform tags.
    pub file: String,
    pub sha256: String,
    pub bytes: u64,
}

/// A model's purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelRole {
    /// The library that runs the ONNX models.
    Runtime,
    /// Voice activity detection.
    Vad,
    /// End of turn.
    Turn,
    /// Wake words and their shared front-end.
    Wake,
    /// Speech to text.
    Stt,
    /// Text to speech.
    Tts,
    /// Language model.
    Llm,
}

impl ModelRole {
    /// What a model of this role is, after "which is".
    pub(super) fn noun(self) -> &'static str {
        match self {
            ModelRole::Runtime => "a library",
            ModelRole::Vad => "for voice activity",
            ModelRole::Turn => "for the end of a turn",
            ModelRole::Wake => "for wake words",
            ModelRole::Stt => "for speech to text",
            ModelRole::Tts => "a voice",
            ModelRole::Llm => "a language model",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ModelRole::Runtime => "runtime",
            ModelRole::Vad => "vad",
            ModelRole::Turn => "turn",
            ModelRole::Wake => "wake",
            ModelRole::Stt => "stt",
            ModelRole::Tts => "tts",
            ModelRole::Llm => "llm",
        }
    }
}

/// One model.
#[derive(Debug, Clone)]
pub struct Model {
    pub id: String,
    pub role: ModelRole,
    pub description: String,
    /// SPDX expression, or the licence's name where SPDX has none.
    pub licence: String,
    /// Who made it.
    pub attribution: String,
    /// The upstream project or data set.
    pub source: String,
    /// Fetched when no model is named.
    pub default: bool,
    pub origin: Origin,
    files: Vec<FileEntry>,
}

/// How a model comes to a machine.
#[derive(Debug, Clone)]
pub enum Origin {
    /// In the wheel of the package of this name.
    Package { package: String, convert: Option<Conversion> },
    /// With tercet itself.
    Shipped,
    /// Put there by a person.
    ByHand { repository: String, file: Option<String>, loader: String },
}

/// Files of a wheel that are turned into the model's main file.
#[derive(Debug, Clone)]
pub struct Conversion {
    pub format: crate::whisper::Format,
    pub inputs: Vec<FileEntry>,
}

/// One file of a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Processor it is for; `None` for all.
    arch: Option<String>,
    /// Name below the model's folder.
    pub name: String,
    /// Path inside the wheel; `None` for files that are made or shipped.
    pub path: Option<String>,
    pub sha256: String,
    pub bytes: u64,
}

/// The file's own shape, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    package: Vec<Package>,
    model: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    id: String,
    role: ModelRole,
    description: String,
    licence: String,
    attribution: String,
    source: String,
    #[serde(default)]
    default: bool,
    package: Option<String>,
    #[serde(default)]
    shipped: bool,
    by_hand: Option<RawByHand>,
    convert: Option<crate::whisper::Format>,
    #[serde(default)]
    inputs: Vec<FileEntry>,
    #[serde(default)]
    files: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawByHand {
    repository: String,
    file: Option<String>,
    loader: String,
}

fn is_here(arch: Option<&str>) -> bool {
    arch.is_none_or(|a| a == std::env::consts::ARCH)
}

impl Manifest {
    /// The manifest this program was built with.
    ///
    /// # Errors
    /// [`Kind::Internal`] when it is not well formed (a test of this module rules that out).
    pub fn builtin() -> Result<Self> {
        Self::parse(include_str!("../../models/manifest.toml"))
    }

    /// # Errors
    /// [`Kind::Internal`] naming the entry that is not well formed.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |what: String| Error::new(Kind::Internal, format!("model manifest: {what}"));
        let raw: RawManifest = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
        let mut ids = BTreeSet::new();
        let mut models = Vec::new();
        for m in raw.model {
            if !is_flat(&m.id) || !ids.insert(m.id.clone()) {
                return Err(bad(format!("model id {:?} is not a plain name or not unique", m.id)));
            }
            let model = m.check().map_err(bad)?;
            if let Origin::Package { package, .. } = &model.origin
                && !raw.package.iter().any(|p| &p.name == package)
            {
                return Err(bad(format!("model {}: no package {package}", model.id)));
            }
            models.push(model);
        }
        for p in &raw.package {
            if p.wheels.iter().any(|w| !is_flat(&w.file) || !is_sha256(&w.sha256)) {
                return Err(bad(format!("package {}: bad wheel name or sha256", p.name)));
            }
        }
        Ok(Self { packages: raw.package, models })
    }

    /// # Errors
    /// [`Kind::Usage`] with the known names.
    pub fn model(&self, id: &str) -> Result<&Model> {
        self.models.iter().find(|m| m.id == id).ok_or_else(|| {
            let known: Vec<&str> = self.models.iter().map(|m| m.id.as_str()).collect();
            let near = nearest(id, known.iter().copied()).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            Error::new(Kind::Usage, format!("no model is called {id:?}{near}"))
                .remedy(format!("the models are {}", known.join(", ")))
        })
    }

    pub(super) fn package(&self, name: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| Error::new(Kind::Internal, format!("model manifest: no package {name}")))
    }
}

impl RawModel {
    fn check(self) -> Result<Model, String> {
        let id = self.id;
        let origin = match (self.package, self.shipped, self.by_hand) {
            (Some(package), false, None) => {
                let convert = self.convert.map(|format| Conversion { format, inputs: self.inputs });
                Origin::Package { package, convert }
            }
            (None, true, None) => Origin::Shipped,
            (None, false, Some(b)) => Origin::ByHand { repository: b.repository, file: b.file, loader: b.loader },
            _ => return Err(format!("model {id}: exactly one of package, shipped and by_hand is needed")),
        };
        if self.files.is_empty() != matches!(origin, Origin::ByHand { .. }) {
            return Err(format!("model {id}: files are needed, except for models put there by hand"));
        }
        let inputs: &[FileEntry] = match &origin {
            Origin::Package { convert: Some(c), .. } => &c.inputs,
            _ => &[],
        };
        let converted = !inputs.is_empty();
        for (i, f) in self.files.iter().chain(inputs).enumerate() {
            if !is_flat(&f.name) || !is_sha256(&f.sha256) {
                return Err(format!("model {id}: {:?} is not a plain file name or lacks its sha256", f.name));
            }
            // The first file of a converted model is made, everything else from a package lies in its wheel.
            let made = (converted && i == 0) || matches!(origin, Origin::Shipped);
            if made == f.path.is_some() {
                return Err(format!(
                    "model {id}: {} must {}name its path in the wheel",
                    f.name,
                    if made { "not " } else { "" }
                ));
            }
        }
        Ok(Model {
            id,
            role: self.role,
            description: self.description,
            licence: self.licence,
            attribution: self.attribution,
            source: self.source,
            default: self.default,
            origin,
            files: self.files,
        })
    }
}

impl Model {
    /// The files this model has on this processor.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|f| is_here(f.arch.as_deref()))
    }

    /// Bytes on disk once installed; 0 for models put there by hand.
    pub fn bytes(&self) -> u64 {
        self.files().map(|f| f.bytes).sum()
    }

    pub(super) fn main_file(&self) -> Result<&FileEntry> {
        let no_build = || {
            Error::new(Kind::Unsupported, format!("{} has no file for {}", self.id, std::env::consts::ARCH))
                .remedy("tercet runs on x86_64 and aarch64")
        };
        // Files for one processor come before those for all; a licence text alone is not a model.
        let wanted = self.files.first().ok_or_else(no_build)?;
        match self.files().next() {
            Some(f) if wanted.arch.is_none() || f.arch.is_some() => Ok(f),
            _ => Err(no_build()),
        }
    }
}

impl Package {
    /// # Errors
    /// [`Kind::Unsupported`] when there is no wheel for this processor.
    pub fn wheel(&self) -> Result<&Wheel> {
        self.wheels.iter().find(|w| is_here(w.arch.as_deref())).ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                format!("{} {} has no wheel for {}", self.name, self.version, std::env::consts::ARCH),
            )
            .remedy("tercet runs on x86_64 and aarch64")
        })
    }
}

/// A plain name: it cannot lead out of the folder it is joined to, nor collide with the store's own dot files.
fn is_flat(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn is_sha256(s: &str) -> bool {
    s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_manifest_is_well_formed_and_has_what_the_product_needs() {
        let m = Manifest::builtin().expect("well formed");
        for id in
            ["onnxruntime", "silero-vad", "openwakeword", "wake-alexa", "whisper-tiny.en", "piper-en_US-joe-medium"]
        {
            let model = m.model(id).expect(id);
            assert!(model.default, "{id}");
            assert!(model.bytes() > 0 && !model.licence.is_empty() && !model.attribution.is_empty(), "{id}");
        }
        assert!(matches!(m.model("pocket").expect("pocket").origin, Origin::Shipped));
        for model in &m.models {
            if let Origin::Package { package, .. } = &model.origin {
                m.package(package).expect("known").wheel().expect("for this processor");
                model.main_file().expect("a main file");
            }
        }
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        let text = include_str!("../../models/manifest.toml");
        for evil in ["../silero_vad.onnx", "/etc/silero_vad.onnx", ".hidden", ""] {
            let text = text.replace("name = \"silero_vad.onnx\"", &format!("name = \"{evil}\""));
            assert!(Manifest::parse(&text).is_err(), "{evil:?} was accepted");
        }
        assert!(Manifest::parse(&text.replacen("sha256 = \"", "sha256 = \"x", 1)).is_err());
    }
}
