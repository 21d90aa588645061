//! The memory plan of a configuration: what each module says it will take, gathered for [`crate::budget::Plan`].
//!
//! Estimates come from file sizes and headers; nothing is loaded. They are the same functions that the modules reserve
//! by, so the plan and the ledger agree.

use super::Settings;
use super::engine::engine_options;
use crate::audio;
use crate::budget::{Component, Inputs, Plan, PlanItem, Reading, Saving};
use crate::error::Result;
use crate::llm::{self, Estimate, KvPrecision};
use crate::store::{self, Paths};
use crate::units::Bytes;
#[cfg(feature = "voice")]
use crate::{hear, onnx, speak};

/// No conversation fits into less than this: no plan suggests it.
const LEAST_CONTEXT: usize = 512;

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
    parts.language_model(settings, paths)?;
    #[cfg(feature = "voice")]
    parts.voice(settings, paths)?;
    for (what, bytes) in audio::estimate(&settings.audio) {
        parts.item(Component::Audio, what, bytes, "at 48 kHz stereo");
    }
    for (component, what, bytes) in settings.budget.standing() {
        parts.item(component, what, bytes, "");
    }
    for reserve in [128, 64].into_iter().filter(|mb| *mb < settings.budget.reserve_mb) {
        let change = format!("lower budget.reserve_mb to {reserve}");
        parts.saving("budget.reserve_mb", change, Bytes::mb(settings.budget.reserve_mb - reserve));
    }
    let (group, machine) = (machine.group_limit, (machine.total > Bytes::ZERO).then_some(machine.total));
    parts.items.sort_by_key(|i| i.component);
    Ok(Plan::compute(Inputs { cap, cap_note, machine, group, items: parts.items, savings: parts.savings }))
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

    fn saving(&mut self, key: &str, change: String, saves: Bytes) {
        if saves > Bytes::ZERO {
            self.savings.push(Saving { key: key.to_owned(), change, saves });
        }
    }

    fn language_model(&mut self, settings: &Settings, paths: &Paths) -> Result<()> {
        let path = store::model_path(paths, &settings.llm.model)?;
        let of = |settings: llm::Settings| llm::estimate(&path, &engine_options(&settings, paths));
        let now = &settings.llm;
        let e = of(now.clone())?;
        let total = |e: &Estimate| e.weights + e.kv + e.activations;
        let mut context = e.context_tokens / 2;
        while context >= LEAST_CONTEXT {
            let shorter = of(llm::Settings { context_tokens: context, ..now.clone() })?;
            let change = format!("shorten llm.context_tokens to {context}");
            self.saving("llm.context_tokens", change, total(&e).saturating_sub(total(&shorter)));
            context /= 2;
        }
        for chunk in [64, 32].into_iter().filter(|c| *c < now.prefill_chunk) {
            let smaller = of(llm::Settings { prefill_chunk: chunk, ..now.clone() })?;
            let change = format!("lower llm.prefill_chunk to {chunk}");
            self.saving("llm.prefill_chunk", change, total(&e).saturating_sub(total(&smaller)));
        }
        if now.kv_precision == KvPrecision::F16 {
            let int8 = of(llm::Settings { kv_precision: KvPrecision::Int8, ..now.clone() })?;
            let change = "set llm.kv_precision to int8".to_owned();
            self.saving("llm.kv_precision", change, total(&e).saturating_sub(total(&int8)));
        }
        // Named as the engine names its reservations.
        self.item(Component::Weights, e.model.clone(), e.weights, e.backend);
        let window = format!("{} tokens of context, {}", e.context_tokens, e.kv_precision.name());
        self.item(Component::Kv, format!("{}: keys and values", e.model), e.kv, window);
        let chunk = format!("{} tokens of a prompt at a time", now.prefill_chunk);
        self.item(Component::Activations, format!("{}: workspace", e.model), e.activations, chunk);
        Ok(())
    }

    #[cfg(feature = "voice")]
    fn voice(&mut self, settings: &Settings, paths: &Paths) -> Result<()> {
        let turn_s = settings.hear.turn.max_utterance_s;
        let stt = hear::Stt::estimate(&settings.hear.stt, turn_s, paths)?;
        self.item(Component::Stt, &settings.hear.stt.model, stt, format!("utterances of up to {turn_s} s"));
        self.smaller_stt(settings, stt, paths)?;
        let ears = hear::Ears::estimate(&settings.hear, paths)?;
        self.item(Component::Detect, "vad and wake words", ears, settings.hear.wake.models.join(", "));

        let voice = speak::Voice::estimate(&settings.speak, paths)?;
        self.item(Component::Tts, format!("voice {}", settings.speak.voice), voice, "");
        self.item(Component::Runtime, "ONNX Runtime", onnx::RUNTIME_ESTIMATE, "");
        Ok(())
    }

    /// What another model of the manifest, or shorter utterances, would save on speech to text.
    #[cfg(feature = "voice")]
    fn smaller_stt(&mut self, settings: &Settings, now: Bytes, paths: &Paths) -> Result<()> {
        let turn_s = settings.hear.turn.max_utterance_s;
        for shorter in [15, 10].into_iter().filter(|s| *s < turn_s) {
            let less = hear::Stt::estimate(&settings.hear.stt, shorter, paths)?;
            let change = format!("shorten hear.turn.max_utterance_s to {shorter}");
            self.saving("hear.turn.max_utterance_s", change, now.saturating_sub(less));
        }
        for model in store::Manifest::builtin()?.models.iter().filter(|m| m.role == store::ModelRole::Stt) {
            let other = hear::stt::Settings { model: model.id.clone(), ..settings.hear.stt.clone() };
            let less = hear::Stt::estimate(&other, turn_s, paths)?;
            let change = format!("use {} instead of {} (hear.stt.model)", model.id, settings.hear.stt.model);
            self.saving("hear.stt.model", change, now.saturating_sub(less));
        }
        Ok(())
    }
}
