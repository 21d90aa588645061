//! Arithmetic.

use serde_json::json;

use crate::tools::calc::{self, Trouble};
use crate::tools::{Outcome, fast};

pub(super) fn calculate(expression: &str) -> Outcome {
    // Models and people write "20 percent of 50" as well as "20 / 100 * 50".
    let value = calc::evaluate(expression).or_else(|trouble| match fast::expression(expression) {
        Some(e) => calc::evaluate(&e),
        None => Err(trouble),
    });
    match value {
        Ok(v) if v.abs() >= 1e15 => Outcome::failed("the result is too large", "That number is too large to say."),
        Ok(v) => {
            let v = calc::tidy(v);
            let result = if v.fract() == 0.0 { json!(v as i64) } else { json!(v) };
            let shown = result.to_string();
            Outcome::said(json!({ "result": result }), format!("That's {shown}."))
        }
        Err(Trouble::DivisionByZero) => Outcome::failed("division by zero", "I can't divide by zero."),
        Err(Trouble::TooLarge) => Outcome::failed("the result is too large", "That number is too large to say."),
        Err(Trouble::NotReal) => Outcome::failed("no real number", "There is no real number for that."),
        Err(Trouble::NotUnderstood) => {
            Outcome::failed("expression: not arithmetic", "Sorry, I couldn't work that out.")
        }
    }
}
