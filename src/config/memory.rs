//! The memory plan of a configuration: what each module says it will take, gathered for [`crate::budget::Plan`].
//!
//! Estimates come from file sizes and headers; nothing is loaded. They are the same functions that the modules reserve
//! by, so the plan and the ledger agree.

use super::Settings;
use crate::audio;
use crate::budget::{Component, Inputs, Plan, PlanItem, Reading, Saving};
use crate::error::Result;
use crate::store::Paths;
use crate::units::Bytes;
#[cfg(feature = "voice")]
use crate::{onnx, speak};

/// The ledger's cap for these settings on this machine, and in words where it comes from.
pub fn effective_cap(settings: &Settings) -> (Bytes, String) {
    settings.budget.cap(&Reading::now())
}

/// Adds up what a daemon with these settings will reserve.
///
/// # Errors
/// [`crate::error::Kind::NotFound`] for a language model that is not there (models that can be fetched are planned
/// before they are), [`crate::error::Kind::Corrupt`] for one whose header cannot be read. A plan that does not fit is no
/// error here: see [`Plan::check`].
pub fn memory_plan(settings: &Settings, paths: &Paths) -> Result<Plan> {
    let machine = Reading::now();
    let (cap, cap_note) = settings.budget.cap(&machine);
    let mut parts = Parts::default();
    #[cfg(feature = "voice")]
    parts.voice(settings, paths)?;
    for (what, bytes) in audio::estimate(&settings.audio) {
        parts.item(Component::Audio, what, bytes, "at 48 kHz stereo");
    }
    for (component, what, bytes) in settings.budget.standing() {
        parts.item(component, what, bytes, "");
    }
    let machine = (machine.total > Bytes::ZERO).then_some(machine.total);
    parts.items.sort_by_key(|i| i.component);
    Ok(Plan::compute(Inputs { cap, cap_note, machine, items: parts.items, savings: parts.savings }))
}

#[derive(Default)]
struct Parts {
    items: Vec<PlanItem>,
    savings: Vec<Saving>,
}

impl Parts {
    fn item(&mut self, component: Component, what: impl Into<String>, bytes: Bytes, note: impl Into<String>) {
        self.items.push(PlanItem { component, what: what.into(), bytes, note: note.into() });
    }

    #[cfg(feature = "voice")]
    fn voice(&mut self, settings: &Settings, paths: &Paths) -> Result<()> {
        let voice = speak::Voice::estimate(&settings.speak, paths)?;
        self.item(Component::Tts, format!("voice {}", settings.speak.voice), voice, "");
        self.item(Component::Runtime, "ONNX Runtime", onnx::RUNTIME_ESTIMATE, "");
        Ok(())
    }
}
