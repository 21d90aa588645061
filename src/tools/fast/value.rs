//! What is taken from an utterance for an argument.

use std::ops::Range;

/// What a slot took.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    /// These words, plain.
    Words(Range<usize>),
    /// These words as they were written.
    Written(Range<usize>),
    /// A time of day on a day: one argument or two.
    Timed {
        time: String,
        day: String,
    },
    /// A value that is outside its limits, in these words.
    Beyond(Range<usize>),
    /// No value: the argument is left out.
    Absent,
    /// A call for each.
    Each(Vec<Value>),
}
