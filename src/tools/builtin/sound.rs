//! The loudspeaker.

use serde_json::{Map, Value};

use crate::tools::{Effect, Outcome};

pub(super) fn set_volume(args: &Map<String, Value>) -> Outcome {
    let level = args.get("level").and_then(Value::as_u64).unwrap_or(0).min(100) as u8;
    Outcome::effect(Effect::SetVolume(level), format!("Volume {level} percent."))
}
