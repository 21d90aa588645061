//! Text out of tokens that arrive one by one.

use super::Tokenizer;
use crate::llm::reply::{CLOSE_TAG, OPEN_TAG};
use crate::units::TokenId;

/// Decodes a stream of tokens without ever giving out part of a character.
///
/// A token may end in the middle of a character; those bytes (at most three) wait for the next token. Special tokens
/// have no text, but for the two that stand around a tool call. What comes out in pieces is what [`Tokenizer::decode`] gives for the whole.
#[derive(Debug, Default, Clone)]
pub struct StreamDecoder {
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// Appends to `out` the text that `token` completes.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: TokenId, out: &mut String) {
        let bytes = tokenizer.bytes_of(token);
        if tokenizer.is_special(token) && ![OPEN_TAG.as_bytes(), CLOSE_TAG.as_bytes()].contains(&bytes) {
            return;
        }
        self.pending.extend_from_slice(bytes);
        self.take_complete(out);
    }

    /// Ends the stream: a character that never became whole becomes `U+FFFD`.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
    }

    fn take_complete(&mut self, out: &mut String) {
        let mut done = 0;
        loop {
            let rest = &self.pending[done..];
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    done = self.pending.len();
                    break;
                }
                Err(e) => {
                    let (valid, _) = rest.split_at(e.valid_up_to());
                    out.push_str(&String::from_utf8_lossy(valid));
                    done += valid.len();
                    // Bytes that no continuation can save are replaced; an unfinished character waits.
                    let Some(wrong) = e.error_len() else { break };
                    out.push(char::REPLACEMENT_CHARACTER);
                    done += wrong;
                }
            }
        }
        self.pending.drain(..done);
    }
}
