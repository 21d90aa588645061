//! Shared vocabulary: quantities and identifiers that cross module borders.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Samples per second of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleRate(pub u32);

impl SampleRate {
    /// What hearing works in: 16 kHz mono.
    pub const HEARING: SampleRate = SampleRate(16_000);

    /// Duration of `samples` at this rate.
    pub fn duration(self, samples: usize) -> std::time::Duration {
        std::time::Duration::from_nanos((samples as u128 * 1_000_000_000 / u128::from(self.0.max(1))) as u64)
    }

    /// Samples in `ms` milliseconds at this rate, rounded down.
    pub fn samples_in_ms(self, ms: u64) -> usize {
        (u64::from(self.0) * ms / 1000) as usize
    }
}

/// A size in bytes; displayed in decimal units (1 GB = 10⁹ bytes), as memory budgets here are quoted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    pub const ZERO: Bytes = Bytes(0);

    pub const fn mb(n: u64) -> Bytes {
        Bytes(n * 1_000_000)
    }

    pub const fn gb(n: u64) -> Bytes {
        Bytes(n * 1_000_000_000)
    }

    pub fn saturating_sub(self, o: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(o.0))
    }
}

impl std::ops::Add for Bytes {
    type Output = Bytes;
    fn add(self, o: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(o.0))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(it: I) -> Bytes {
        it.fold(Bytes::ZERO, |a, b| a + b)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.0 as f64;
        let s = match self.0 {
            0..=999 => format!("{} B", self.0),
            1_000..=999_999 => format!("{:.1} kB", b / 1e3),
            1_000_000..=999_999_999 => format!("{:.1} MB", b / 1e6),
            _ => format!("{:.2} GB", b / 1e9),
        };
        f.pad(&s)
    }
}

/// A token of the language model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u32);

/// One exchange: from what started it to the end of its spoken answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub u64);

/// What a piece of work belongs to. Work whose revision is not the current one is stale and dropped on arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkId {
    pub turn: TurnId,
    pub revision: u32,
}

impl fmt::Display for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn.0, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_display_decimal_units() {
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(2_350_000_000).to_string(), "2.35 GB");
        assert_eq!(Bytes::mb(63).to_string(), "63.0 MB");
    }

    #[test]
    fn durations_do_not_overflow() {
        assert_eq!(SampleRate(16_000).duration(8_000).as_millis(), 500);
        assert_eq!(SampleRate(0).duration(3).as_secs(), 3);
    }
}
