//! The inside of a JSON string: UTF-8, escapes, and a limit of characters.

/// Where in a string one is, after its opening quote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    /// Characters that may still come.
    left: u32,
    inner: Inner,
}

#[derive(Debug, Clone, Copy)]
enum Inner {
    /// Between two characters.
    Between,
    /// Within a character: bytes that follow, and what the next one may be.
    Utf8 { more: u8, low: u8, high: u8 },
    /// After a backslash.
    Escape,
    /// Within `\uXXXX`: digits read, their value; whether it must be the second half of a pair.
    Unicode { digits: u8, value: u16, low_half: bool },
    /// The first half of a pair has come: the other must follow.
    Half { backslash: bool },
}

/// What a byte leads to.
pub(super) enum Next {
    Text(Text),
    /// That was the closing quote.
    Closed,
}

impl Text {
    pub(super) fn new(max_chars: usize) -> Self {
        Self { left: u32::try_from(max_chars).unwrap_or(u32::MAX), inner: Inner::Between }
    }

    pub(super) fn step(self, byte: u8) -> Option<Next> {
        let left = self.left;
        let inner = match self.inner {
            Inner::Between => match byte {
                b'"' => return Some(Next::Closed),
                _ if left == 0 || byte < 0x20 => return None,
                b'\\' => Inner::Escape,
                ..0x80 => return Some(Next::Text(Self { left: left - 1, inner: Inner::Between })),
                0xc2..=0xdf => Inner::Utf8 { more: 1, low: 0x80, high: 0xbf },
                // No longer than needed, no surrogates, nothing beyond U+10FFFF.
                0xe0 => Inner::Utf8 { more: 2, low: 0xa0, high: 0xbf },
                0xed => Inner::Utf8 { more: 2, low: 0x80, high: 0x9f },
                0xe1..=0xef => Inner::Utf8 { more: 2, low: 0x80, high: 0xbf },
                0xf0 => Inner::Utf8 { more: 3, low: 0x90, high: 0xbf },
                0xf1..=0xf3 => Inner::Utf8 { more: 3, low: 0x80, high: 0xbf },
                0xf4 => Inner::Utf8 { more: 3, low: 0x80, high: 0x8f },
                _ => return None,
            },
            Inner::Utf8 { more, low, high } => match byte {
                b if !(low..=high).contains(&b) => return None,
                _ if more > 1 => Inner::Utf8 { more: more - 1, low: 0x80, high: 0xbf },
                _ => return Some(Next::Text(Self { left: left - 1, inner: Inner::Between })),
            },
            Inner::Escape => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                    return Some(Next::Text(Self { left: left - 1, inner: Inner::Between }));
                }
                b'u' => Inner::Unicode { digits: 0, value: 0, low_half: false },
                _ => return None,
            },
            Inner::Unicode { digits, value, low_half } => {
                let digit = char::from(byte).to_digit(16)? as u16;
                let value = value << 4 | digit;
                match digits {
                    0 if low_half && value != 0xd => return None,
                    // DC00 to DFFF is the second half of a pair, and nothing else.
                    1 if low_half != (0xdc..=0xdf).contains(&value) => return None,
                    3 if (0xd800..0xdc00).contains(&value) => Inner::Half { backslash: false },
                    3 => return Some(Next::Text(Self { left: left - 1, inner: Inner::Between })),
                    _ => Inner::Unicode { digits: digits + 1, value, low_half },
                }
            }
            Inner::Half { backslash } => match (backslash, byte) {
                (false, b'\\') => Inner::Half { backslash: true },
                (true, b'u') => Inner::Unicode { digits: 0, value: 0, low_half: true },
                _ => return None,
            },
        };
        Some(Next::Text(Self { left, inner }))
    }
}
