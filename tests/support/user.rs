//! Somebody who talks to the daemon: a voice that is not tercet's, on a virtual sound card.

use std::process::Command;

use super::pulse::Pulse;
use super::{models_ready, skip};

/// A sound card and the user's voice; `None`, with the skip printed, where something is missing.
pub(crate) fn room(test: &str) -> Option<Pulse> {
    if !models_ready(test) {
        return None;
    }
    if Command::new("flite").arg("--version").output().is_err() {
        skip(test, "flite is not installed");
        return None;
    }
    Pulse::start(test)
}

/// The user's voice: `text` spoken by flite into the microphone.
pub(crate) fn user_says(pulse: &Pulse, text: &str) {
    let wav = pulse.dir().join("user.wav");
    let done = Command::new("flite").args(["-voice", "slt", "-t", text, "-o"]).arg(&wav).status().expect("flite runs");
    assert!(done.success());
    pulse.speak_file_into_mic(&wav);
}
