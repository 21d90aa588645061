//! Arithmetic and conversions.

use serde_json::json;

use crate::tools::calc::{self, Trouble};
use crate::tools::convert::{self, Trouble as Unconverted};
use crate::tools::{Outcome, fast};

pub(super) fn calculate(expression: &str) -> Outcome {
    // Models and people write "20 percent of 50" as well as "20 / 100 * 50".
    let value = calc::evaluate(expression).or_else(|trouble| match fast::expression(expression) {
        Some(e) => calc::evaluate(&e),
        None => Err(trouble),
    });
    let value = match value {
        Ok(v) => calc::told(v).map(|shown| (calc::tidy(v), shown)).ok_or(Trouble::TooLarge),
        Err(trouble) => Err(trouble),
    };
    match value {
        Ok((v, shown)) => {
            let result = if v.fract() == 0.0 { json!(v as i64) } else { json!(v) };
            Outcome::said(json!({ "result": result }), format!("That's {shown}."))
        }
        Err(Trouble::DivisionByZero) => Outcome::failed("division by zero", "I can't divide by zero."),
        Err(Trouble::TooLarge) => too_large(),
        Err(Trouble::NotReal) => Outcome::failed("no real number", "There is no real number for that."),
        Err(Trouble::NotUnderstood) => match convert::asked(expression) {
            Some((value, from, to)) => convert(value, &from, &to),
            None => Outcome::failed("expression: not arithmetic", "Sorry, I couldn't work that out."),
        },
    }
}

pub(super) fn convert(value: f64, from: &str, to: &str) -> Outcome {
    match convert::convert(value, from, to) {
        Ok(converted) => Outcome::said(json!({ "result": converted.value, "unit": to }), converted.spoken),
        Err(Unconverted::Unknown(unit)) => {
            let spoken = format!("I don't know the unit {unit}.");
            Outcome::failed(format!("{unit:?} is no unit that is known"), spoken)
        }
        Err(Unconverted::Unlike(a, b)) => Outcome::failed(
            format!("{a} and {b} are unlike"),
            format!("I can't turn {a} into {b}: they measure different things."),
        ),
        Err(Unconverted::Currency) => Outcome::failed(
            "rates of exchange are not known",
            "I can't convert money: I work offline and don't know today's rates.",
        ),
        Err(Unconverted::BelowZero) => Outcome::failed(
            "below absolute zero",
            "Nothing can be that cold: absolute zero is -273.15 degrees Celsius.",
        ),
        Err(Unconverted::TooLarge) => too_large(),
    }
}

fn too_large() -> Outcome {
    Outcome::failed("the result is too large", "That number is too large to say.")
}
