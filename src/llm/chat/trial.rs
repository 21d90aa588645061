//! Whether a template can render what tercet needs, checked before anybody speaks.

use super::Chat;
use crate::error::{Error, Kind, Result};
use crate::llm::tokenizer::Tokenizer;
use crate::schema::{Message, Role};

const SYSTEM: &str = "You are a voice assistant.\nTools:\nget_time(location?: string)";
const CALL: &str = r#"{"name": "get_time", "parameters": {"location": "Rome"}}"#;

impl Chat {
    /// Renders a small conversation, then one with a tool's call and its result. The error of the second is returned: a model
    /// whose template cannot write it can still be talked to.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where not even the plain conversation can be written, or what was said is not in it.
    pub fn try_out(&self, tokenizer: &Tokenizer) -> Result<Option<Error>> {
        let of = |role, text: &str| Message::new(role, text);
        let plain = [
            of(Role::System, SYSTEM),
            of(Role::User, "Good morning, machine."),
            of(Role::Assistant, "Good morning."),
            of(Role::User, "How tall is the tower?"),
        ];
        self.writes(tokenizer, &plain, &["Good morning, machine.", "How tall is the tower?"])?;
        let tools = [
            of(Role::System, SYSTEM),
            of(Role::User, "What time is it in Rome?"),
            of(Role::Assistant, CALL),
            of(Role::Tool, r#"{"time": "07:52"}"#),
            of(Role::Assistant, "It is seven fifty-two."),
            of(Role::User, "Thank you."),
        ];
        Ok(self.writes(tokenizer, &tools, &["What time is it", "07:52", "Thank you."]).err())
    }

    /// That `conversation` can be written, and the words of `said` with it.
    fn writes(&self, tokenizer: &Tokenizer, conversation: &[Message], said: &[&str]) -> Result<()> {
        let text = tokenizer.decode(&self.render(tokenizer, conversation, true)?);
        match said.iter().find(|said| !text.contains(**said)) {
            None => Ok(()),
            Some(left_out) => {
                let what = format!("the model's chat template leaves out a message ({left_out:?})");
                Err(Error::new(Kind::Unsupported, what).remedy("use another model file"))
            }
        }
    }
}
