//! The sections of the configuration file, each the settings struct of the module it configures.

use serde::{Deserialize, Serialize};

use super::engine::look_at_model;
use crate::problems::Problems;
use crate::store::{LANGUAGE_MODEL, Paths};
use crate::{audio, budget, dialog, llm, tools};
#[cfg(feature = "voice")]
use crate::{hear, speak};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub audio: audio::Settings,
    #[cfg(feature = "voice")]
    pub hear: hear::Settings,
    #[cfg(not(feature = "voice"))]
    #[serde(skip_serializing)]
    pub hear: LeftOut,
    pub llm: llm::Settings,
    #[cfg(feature = "voice")]
    pub speak: speak::Settings,
    #[cfg(not(feature = "voice"))]
    #[serde(skip_serializing)]
    pub speak: LeftOut,
    pub dialog: dialog::Settings,
    pub tools: tools::Settings,
    pub budget: budget::Settings,
    pub privacy: Privacy,
    pub log: Log,
}

impl Settings {
    /// Reports every value that is out of range, unknown or at odds with another.
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.within("audio", |p| self.audio.validate(p));
        #[cfg(feature = "voice")]
        problems.within("hear", |p| self.hear.validate(p));
        problems.within("llm", |p| {
            LANGUAGE_MODEL.validate(p, "model", &self.llm.model);
            self.llm.validate(p);
        });
        #[cfg(feature = "voice")]
        problems.within("speak", |p| self.speak.validate(p));
        problems.within("dialog", |p| self.dialog.validate(p));
        problems.within("tools", |p| self.tools.validate(p));
        problems.within("budget", |p| self.budget.validate(p));
        problems.within("log", |p| self.log.validate(p));
    }

    /// Reports what the settings name but this machine lacks: models, files, programs, devices.
    pub(super) fn look(&self, paths: &Paths, problems: &mut Problems) {
        problems.within("audio", |p| self.audio.look(p));
        #[cfg(feature = "voice")]
        problems.within("hear", |p| self.hear.look(paths, p));
        problems.within("llm", |p| look_at_model(&self.llm, paths, p));
        #[cfg(feature = "voice")]
        problems.within("speak", |p| self.speak.look(paths, p));
        problems.within("tools", |p| self.tools.look(p));
        problems.within("privacy", |p| self.privacy.look(paths, p));
    }
}

/// What may leave memory. Nothing does unless it is asked for here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Write what the microphone heard to the state folder, one WAV an utterance.
    pub keep_audio: bool,
    /// Write what was understood and answered to the log.
    pub log_transcripts: bool,
}

/// What is written to the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or several with the module each is for:
    /// `warn,tercet::audio=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "warn".into() }
    }
}

impl Log {
    fn validate(&self, problems: &mut Problems) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let known = |level: &str| LEVELS.contains(&level.trim().to_ascii_lowercase().as_str());
        let sound = |part: &str| part.split_once('=').map_or_else(|| known(part), |(_, level)| known(level));
        if let Some(part) = self.level.split(',').find(|part| !sound(part)) {
            let text = format!("\"{}\" is not a level; levels are {}", part.trim(), LEVELS.join(", "));
            problems.wrong("level", text);
        }
    }
}

impl Privacy {
    /// Reports a folder that recordings cannot be written to.
    fn look(&self, paths: &Paths, problems: &mut Problems) {
        let folder = paths.state_dir();
        if self.keep_audio && folder.exists() && !folder.is_dir() {
            let text = format!("recordings go to the state folder, but {} is not a folder", folder.display());
            problems.wrong("keep_audio", text);
        }
    }
}

/// A section of parts that this build leaves out: accepted unread, so that one file serves every build.
#[cfg(not(feature = "voice"))]
#[derive(Debug, Clone, Default)]
pub struct LeftOut;

#[cfg(not(feature = "voice"))]
impl<'de> Deserialize<'de> for LeftOut {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> serde::de::Visitor<'de> for Anything {
            type Value = LeftOut;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<LeftOut, E> {
                Ok(LeftOut)
            }
            fn visit_i64<E>(self, _: i64) -> Result<LeftOut, E> {
                Ok(LeftOut)
            }
            fn visit_f64<E>(self, _: f64) -> Result<LeftOut, E> {
                Ok(LeftOut)
            }
            fn visit_str<E>(self, _: &str) -> Result<LeftOut, E> {
                Ok(LeftOut)
            }
            fn visit_unit<E>(self) -> Result<LeftOut, E> {
                Ok(LeftOut)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<LeftOut, A::Error> {
                while a.next_element::<LeftOut>()?.is_some() {}
                Ok(LeftOut)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut a: A) -> Result<LeftOut, A::Error> {
                while a.next_entry::<String, LeftOut>()?.is_some() {}
                Ok(LeftOut)
            }
        }
        d.deserialize_any(Anything)
    }
}
