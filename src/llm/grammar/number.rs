//! JSON numbers within bounds, of which every beginning can still become one.
//!
//! Numbers are written out: without an exponent, with few enough digits that they parse back exactly.

/// A number so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number {
    negative: bool,
    /// Digits, as one whole number.
    digits: i128,
    /// How many: before the point, and after it where there is one.
    whole: u8,
    fraction: Option<u8>,
}

/// What a number may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bounds {
    Int { min: i64, max: i64 },
    Number { min: f64, max: f64 },
}

/// Digits before the point of a number without narrower bounds, and after it.
const MAX_WHOLE: u8 = 15;
const MAX_FRACTION: u8 = 15;

impl Number {
    /// The number with one more character; `None` where it cannot become one within `bounds`.
    pub(super) fn step(self, byte: u8, bounds: &Bounds) -> Option<Self> {
        let next = match byte {
            b'-' if self.whole == 0 && !self.negative => Self { negative: true, ..self },
            b'.' if self.whole > 0 && self.fraction.is_none() && matches!(bounds, Bounds::Number { .. }) => {
                Self { fraction: Some(0), ..self }
            }
            b'0'..=b'9' => self.digit(byte - b'0', bounds)?,
            _ => return None,
        };
        next.can_become(bounds).then_some(next)
    }

    fn digit(self, digit: u8, bounds: &Bounds) -> Option<Self> {
        let digits = self.digits * 10 + i128::from(digit);
        match self.fraction {
            Some(n) => (n < MAX_FRACTION).then_some(Self { digits, fraction: Some(n + 1), ..self }),
            // No leading zeros.
            None if self.whole == 1 && self.digits == 0 => None,
            None => (self.whole < bounds.max_whole()).then_some(Self { digits, whole: self.whole + 1, ..self }),
        }
    }

    /// Whether it is a number as it stands, and within `bounds`.
    pub(super) fn is_whole(self, bounds: &Bounds) -> bool {
        if self.whole == 0 || self.fraction == Some(0) {
            return false;
        }
        match *bounds {
            // A reader takes −0 for a fraction.
            Bounds::Int { .. } if self.negative && self.digits == 0 => false,
            Bounds::Int { min, max } => (i128::from(min)..=i128::from(max)).contains(&self.signed()),
            Bounds::Number { min, max } => (min..=max).contains(&self.value()),
        }
    }

    fn signed(self) -> i128 {
        if self.negative { -self.digits } else { self.digits }
    }

    /// As a reader of the text would have it.
    fn value(self) -> f64 {
        let places = usize::from(self.fraction.unwrap_or(0));
        let mut text = format!("{:0>1$}", self.digits, places + 1);
        text.insert(text.len() - places, '.');
        let value = text.trim_end_matches('.').parse().unwrap_or(f64::NAN);
        if self.negative { -value } else { value }
    }

    /// Whether some number within `bounds` begins like this.
    fn can_become(self, bounds: &Bounds) -> bool {
        if self.is_whole(bounds) {
            return true;
        }
        let room = match self.fraction {
            Some(MAX_FRACTION) => return false,
            // Further digits stay within what the next one spans.
            Some(_) => 0,
            None => bounds.max_whole() - self.whole,
        };
        // Each further digit multiplies what is there by ten and adds up to nine; a point adds less than one.
        (0..=u32::from(room)).any(|more| self.reaches(more, bounds))
    }

    /// Whether the range that `more` further digits span holds a number within `bounds`.
    fn reaches(self, more: u32, bounds: &Bounds) -> bool {
        // A zero before the point takes no further digit.
        let stuck = self.fraction.is_none() && self.whole == 1 && self.digits == 0;
        if stuck && more > 0 {
            return false;
        }
        let power = 10i128.pow(more);
        let (least, most) = (self.digits * power, self.digits * power + power - 1);
        match *bounds {
            Bounds::Int { min, max } => {
                let (low, high) = if self.negative { (-most, -least.max(1)) } else { (least, most) };
                low <= high && low <= i128::from(max) && high >= i128::from(min)
            }
            Bounds::Number { min, max } => {
                let places = i32::from(self.fraction.unwrap_or(0));
                let unit = 10f64.powi(-places);
                // Before the point the fraction fills up what lies below the next whole number.
                let (low, high) = (least as f64 * unit, (most + 1) as f64 * unit);
                let (low, high) = if self.negative { (-high, -low) } else { (low, high) };
                let inside = |v: f64| (min..=max).contains(&v);
                inside(self.edge(least, places)) || (low < max && high > min)
            }
        }
    }

    fn edge(self, digits: i128, places: i32) -> f64 {
        let value = digits as f64 / 10f64.powi(places);
        if self.negative { -value } else { value }
    }
}

impl Bounds {
    pub(super) fn int(min: Option<i64>, max: Option<i64>) -> Self {
        Bounds::Int { min: min.unwrap_or(i64::MIN), max: max.unwrap_or(i64::MAX) }
    }

    pub(super) fn number(min: Option<f64>, max: Option<f64>) -> Self {
        Bounds::Number { min: min.unwrap_or(f64::NEG_INFINITY), max: max.unwrap_or(f64::INFINITY) }
    }

    fn max_whole(&self) -> u8 {
        match *self {
            Bounds::Int { .. } => 19,
            Bounds::Number { min, max } => {
                let largest = min.abs().max(max.abs());
                let digits = if largest >= 1.0 { largest.log10().floor() + 1.0 } else { 1.0 };
                if digits.is_finite() { (digits as u8).clamp(1, MAX_WHOLE) } else { MAX_WHOLE }
            }
        }
    }
}
