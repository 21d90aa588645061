//! What the agent says on its own account: apologies and refusals.

pub(super) const NOT_UNDERSTOOD: &str = "Sorry, I didn't catch that.";
pub(super) const STT_FAILED: &str = "Sorry, something went wrong while I was listening.";
pub(super) const MODEL_FAILED: &str = "Sorry, something went wrong while I was thinking.";
pub(super) const VOICE_FAILED: &str = "Sorry, something went wrong while I was speaking.";
pub(super) const TOO_SLOW: &str = "Sorry, that took too long.";
pub(super) const NO_ANSWER: &str = "Sorry, I don't have an answer to that.";
pub(super) const CANNOT_CALL: &str = "Sorry, I couldn't work out how to do that.";
pub(super) const CALL_TOO_LONG: &str = "Sorry, that is too long for me to do in one go.";
pub(super) const TOO_MANY_CALLS: &str = "That is as much as I can do at once.";
pub(super) const NOTHING_TO_REPEAT: &str = "I haven't said anything yet.";
pub(super) const DONE: &str = "Done.";
