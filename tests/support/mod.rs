//! Shared by the test modules.

#[allow(dead_code)]
pub(crate) mod pulse;
#[cfg(feature = "voice")]
pub(crate) mod quiet;
#[cfg(feature = "voice")]
pub(crate) mod user;

/// Prints why a test does not run here. Tests must say so; a silent pass is a defect.
#[allow(dead_code)]
pub(crate) fn skip(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
}

/// Whether everything the daemon loads is installed. Where it is not: a printed skip, or a failure where
/// `TERCET_REQUIRE_MODELS` is set.
#[cfg(feature = "voice")]
pub(crate) fn models_ready(test: &str) -> bool {
    let paths = tercet::store::Paths::from_env();
    let needed =
        ["onnxruntime", "silero-vad", "openwakeword", "wake-alexa", "whisper-tiny.en", "piper-en_US-joe-medium"];
    let missing = needed.iter().find_map(|id| tercet::store::locate(&paths, id).err());
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("TERCET_REQUIRE_MODELS").is_none(), "{test} needs models: {missing}");
    skip(test, &missing.to_string());
    false
}
