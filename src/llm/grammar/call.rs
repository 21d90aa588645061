//! A call: `{"name": "…", "parameters": {…}}`, with white space wherever JSON allows it.

use super::number::{Bounds, Number};
use super::text::{Next, Text};
use super::words::{Pick, Words};
use crate::llm::reply::{CLOSE_TAG, CallStyle};
use crate::schema::{ParamType, ToolSchema};

/// White space that may stand in one place: enough for any indentation, not enough to never end.
const MAX_SPACE: u8 = 32;

/// What a tool's call may hold.
pub(super) struct Tool {
    keys: Words,
    values: Vec<Value>,
    /// A bit for each argument.
    required: u64,
}

/// What an argument may be.
enum Value {
    Text {
        max_chars: usize,
    },
    Number(Bounds),
    /// `true`, or one of an enum's words: as they are written, after the first byte.
    OneOf {
        first: &'static [u8],
        words: Words,
    },
}

impl Tool {
    pub(super) fn new(schema: &ToolSchema) -> Self {
        let required = (0..).zip(&schema.params).filter(|(_, p)| p.required).fold(0, |bits, (i, _)| bits | 1 << i);
        Self {
            keys: Words::quoted(schema.params.iter().map(|p| p.name.as_str())),
            values: schema.params.iter().map(|p| Value::new(&p.kind)).collect(),
            required,
        }
    }
}

impl Value {
    fn new(kind: &ParamType) -> Self {
        match kind {
            ParamType::String { max_chars } => Value::Text { max_chars: max_chars.unwrap_or(ParamType::MAX_CHARS) },
            ParamType::Int { min, max } => Value::Number(Bounds::int(*min, *max)),
            ParamType::Number { min, max } => Value::Number(Bounds::number(*min, *max)),
            ParamType::Bool => {
                Value::OneOf { first: b"", words: Words::new(["true", "false"].map(|w| w.into()).into_iter()) }
            }
            ParamType::Enum { values } => {
                Value::OneOf { first: b"\"", words: Words::quoted(values.iter().map(String::as_str)) }
            }
        }
    }
}

/// Where in a call one is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    frame: &'static [Piece],
    /// White space that has come last.
    space: u8,
    at: At,
    tool: usize,
    /// A bit for each argument that has been given.
    given: u64,
}

/// What a call is made of, white space allowed before each.
#[derive(Debug)]
enum Piece {
    Literal(&'static str),
    /// The tool's name after its opening quote: nothing stands between the two.
    Name,
    Arguments,
}

const BARE: &[Piece] = &frame("\"parameters\"");
const ARGUMENTS: &[Piece] = &frame("\"arguments\"");
const TAGGED: &[Piece] = &{
    let [a, b, c, d, e, f, g, h, i, j] = frame("\"arguments\"");
    [a, b, c, d, e, f, g, h, i, j, Piece::Literal(CLOSE_TAG)]
};

const fn frame(arguments: &'static str) -> [Piece; 10] {
    [
        Piece::Literal("{"),
        Piece::Literal("\"name\""),
        Piece::Literal(":"),
        Piece::Literal("\""),
        Piece::Name,
        Piece::Literal(","),
        Piece::Literal(arguments),
        Piece::Literal(":"),
        Piece::Arguments,
        Piece::Literal("}"),
    ]
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Before a piece, or so many bytes into a literal.
    Literal(usize),
    Name(Pick),
    /// Before the arguments' `{`.
    Arguments,
    /// After `{`, or after a comma.
    Key {
        first: bool,
    },
    InKey(Pick),
    /// After a key.
    Colon(usize),
    /// After a colon.
    Value(usize),
    InText(Text),
    InNumber(usize, Number),
    InWord(usize, Pick),
    /// After a value.
    Comma,
    Complete,
}

impl Call {
    fn new(frame: &'static [Piece]) -> Self {
        Self { frame, space: 0, at: At::Literal(0), tool: 0, given: 0 }
    }

    /// A call that is a turn by itself.
    pub(super) fn bare(style: CallStyle) -> Self {
        Self::new(match style {
            CallStyle::Bare => BARE,
            CallStyle::Tagged => ARGUMENTS,
        })
    }

    /// A call after its opening tag.
    pub(super) fn tagged() -> Self {
        Self::new(TAGGED)
    }

    pub(super) fn is_complete(self) -> bool {
        matches!(self.at, At::Complete)
    }

    pub(super) fn step(self, byte: u8, names: &Words, tools: &[Tool]) -> Option<Self> {
        if self.takes_space() && matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return (self.space < MAX_SPACE).then_some(Self { space: self.space + 1, ..self });
        }
        let this = Self { space: 0, ..self };
        let tool = || tools.get(this.tool);
        Some(match this.at {
            At::Literal(n) => {
                let Some(Piece::Literal(text)) = this.frame.first() else { return None };
                match text.as_bytes().get(n) == Some(&byte) {
                    false => return None,
                    true if n + 1 == text.len() => this.next_piece(names),
                    true => Self { at: At::Literal(n + 1), ..this },
                }
            }
            At::Name(pick) => {
                let pick = names.step(pick, byte, |_| true)?;
                match names.complete(pick) {
                    Some(tool) => Self { tool, ..this }.next_piece(names),
                    None => Self { at: At::Name(pick), ..this },
                }
            }
            At::Arguments if byte == b'{' => Self { at: At::Key { first: true }, ..this },
            At::Key { first } => {
                let tool = tool()?;
                match byte {
                    b'}' if first && tool.required == 0 => this.next_piece(names),
                    b'"' if this.may_give_more(tool) => Self { at: At::InKey(tool.keys.pick()), ..this },
                    _ => return None,
                }
            }
            At::InKey(pick) => {
                let tool = tool()?;
                let pick = tool.keys.step(pick, byte, |p| this.given & 1 << p == 0)?;
                match tool.keys.complete(pick) {
                    Some(param) => Self { at: At::Colon(param), given: this.given | 1 << param, ..this },
                    None => Self { at: At::InKey(pick), ..this },
                }
            }
            At::Colon(param) if byte == b':' => Self { at: At::Value(param), ..this },
            At::Value(param) => this.begin(param, tool()?.values.get(param)?, byte)?,
            At::InText(text) => match text.step(byte)? {
                Next::Text(text) => Self { at: At::InText(text), ..this },
                Next::Closed => Self { at: At::Comma, ..this },
            },
            At::InNumber(param, number) => {
                let Value::Number(bounds) = tool()?.values.get(param)? else { return None };
                match number.step(byte, bounds) {
                    Some(number) => Self { at: At::InNumber(param, number), ..this },
                    // Whatever ends a number comes after it.
                    None if number.is_whole(bounds) => {
                        return Self { at: At::Comma, ..this }.step(byte, names, tools);
                    }
                    None => return None,
                }
            }
            At::InWord(param, pick) => {
                let Value::OneOf { words, .. } = tool()?.values.get(param)? else { return None };
                this.word(param, words, pick, byte)?
            }
            At::Comma => {
                let tool = tool()?;
                match byte {
                    b',' if this.may_give_more(tool) => Self { at: At::Key { first: false }, ..this },
                    b'}' if tool.required & !this.given == 0 => this.next_piece(names),
                    _ => return None,
                }
            }
            At::Arguments | At::Colon(_) | At::Complete => return None,
        })
    }

    fn takes_space(self) -> bool {
        match self.at {
            At::Literal(n) => n == 0,
            At::Arguments | At::Key { .. } | At::Colon(_) | At::Value(_) | At::Comma => true,
            At::Name(_) | At::InKey(_) | At::InText(_) | At::InNumber(..) | At::InWord(..) | At::Complete => false,
        }
    }

    fn may_give_more(self, tool: &Tool) -> bool {
        (self.given.count_ones() as usize) < tool.values.len()
    }

    /// After the first piece of what is left.
    fn next_piece(self, names: &Words) -> Self {
        let frame = self.frame.get(1..).unwrap_or_default();
        let at = match frame.first() {
            Some(Piece::Literal(_)) => At::Literal(0),
            Some(Piece::Name) => At::Name(names.pick()),
            Some(Piece::Arguments) => At::Arguments,
            None => At::Complete,
        };
        Self { frame, at, ..self }
    }

    /// The first byte of a value.
    fn begin(self, param: usize, value: &Value, byte: u8) -> Option<Self> {
        match value {
            Value::Text { max_chars } => {
                (byte == b'"').then_some(Self { at: At::InText(Text::new(*max_chars)), ..self })
            }
            Value::Number(bounds) => {
                Number::default().step(byte, bounds).map(|n| Self { at: At::InNumber(param, n), ..self })
            }
            Value::OneOf { first: [], words } => self.word(param, words, words.pick(), byte),
            Value::OneOf { first, words } => {
                (first[0] == byte).then_some(Self { at: At::InWord(param, words.pick()), ..self })
            }
        }
    }

    fn word(self, param: usize, words: &Words, pick: Pick, byte: u8) -> Option<Self> {
        let pick = words.step(pick, byte, |_| true)?;
        Some(match words.complete(pick) {
            Some(_) => Self { at: At::Comma, ..self },
            None => Self { at: At::InWord(param, pick), ..self },
        })
    }
}
