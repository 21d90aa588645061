//! The byte-level alphabet: one printable character for each of the 256 bytes, so that any text can be written with it.
//!
//! Printable ASCII and Latin-1 bytes stand for themselves; the other 68, in order, are `U+0100` onward
//! (a space is `Ġ`, a newline `Ċ`).
//!
//! Source: `bytes_to_unicode` of openai/gpt-2, src/encoder.py at 1b8a018.

/// The character that stands for `byte`.
pub(in crate::llm) fn char_of(byte: u8) -> char {
    if is_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !is_itself(b)).count() as u32;
    // 256 + at most 67 is always a character.
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_itself(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

fn byte_of(c: char) -> Option<u8> {
    match c as u32 {
        n @ 0..=255 => Some(n as u8).filter(|&b| is_itself(b)),
        n @ 256..=323 => (0..=255u8).filter(|&b| !is_itself(b)).nth((n - 256) as usize),
        _ => None,
    }
}

/// Appends the bytes `token` stands for. A character outside the alphabet stands for its own UTF-8.
pub(super) fn bytes_of(token: &str, out: &mut Vec<u8>) {
    for c in token.chars() {
        match byte_of(c) {
            Some(b) => out.push(b),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabet_is_one_to_one() {
        let all: std::collections::BTreeSet<char> = (0..=255).map(char_of).collect();
        assert_eq!(all.len(), 256);
        assert!((0..=255).all(|b| byte_of(char_of(b)) == Some(b)));
        assert_eq!((char_of(b' '), char_of(b'\n'), char_of(b'a')), ('Ġ', 'Ċ', 'a'));
    }
}
