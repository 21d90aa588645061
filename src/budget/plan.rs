//! The memory plan: what everything will take, before anything is loaded.
//!
//! The caller, who knows the models, gives line items and possible savings; the plan adds up, decides whether it fits, and says
//! what would make it fit.

use serde::Serialize;

use super::Component;
use crate::error::{Error, Kind, Result};
use crate::units::Bytes;

/// One line: what a component will reserve.
#[derive(Debug, Clone, Serialize)]
pub struct PlanItem {
    pub component: Component,
    /// Named as the reservation will be ("whisper tiny.en").
    pub what: String,
    pub bytes: Bytes,
    /// How it was estimated, or what it depends on.
    pub note: String,
}

/// A change of the configuration that would take less memory.
#[derive(Debug, Clone, Serialize)]
pub struct Saving {
    /// The key it changes. Of several savings on one key only one can be had.
    pub key: String,
    /// As an imperative: "shorten llm.context_tokens to 512".
    pub change: String,
    pub saves: Bytes,
}

/// What [`Plan::compute`] works from.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub cap: Bytes,
    /// Where the cap comes from, in words.
    pub cap_note: String,
    /// Physical memory, where known: no advice to plan for more.
    pub machine: Option<Bytes>,
    /// The control group's limit; `None` where there is none.
    pub group: Option<Bytes>,
    pub items: Vec<PlanItem>,
    /// The least harmful first.
    pub savings: Vec<Saving>,
}

/// The plan. `short` is zero exactly when it fits.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    pub items: Vec<PlanItem>,
    pub total: Bytes,
    pub cap: Bytes,
    pub cap_note: String,
    pub free: Bytes,
    pub short: Bytes,
    /// What would make it fit, each line enough by itself; empty when it fits.
    pub advice: Vec<String>,
}

impl Plan {
    pub fn compute(inputs: Inputs) -> Plan {
        let total: Bytes = inputs.items.iter().map(|i| i.bytes).sum();
        let short = total.saturating_sub(inputs.cap);
        let advice = if short > Bytes::ZERO { advise(&inputs, total, short) } else { Vec::new() };
        Plan {
            total,
            cap: inputs.cap,
            cap_note: inputs.cap_note,
            free: inputs.cap.saturating_sub(total),
            short,
            advice,
            items: inputs.items,
        }
    }

    pub fn fits(&self) -> bool {
        self.short == Bytes::ZERO
    }

    /// # Errors
    /// [`Kind::OverBudget`] with the numbers and what would make it fit, when it does not.
    pub fn check(&self) -> Result<()> {
        if self.fits() {
            return Ok(());
        }
        let mut largest: Vec<&PlanItem> = self.items.iter().collect();
        largest.sort_by_key(|i| std::cmp::Reverse(i.bytes));
        let largest: Vec<String> = largest.iter().take(3).map(|i| format!("{} {}", i.what, i.bytes)).collect();
        Err(Error::new(
            Kind::OverBudget,
            format!(
                "the plan needs {} but the memory budget is {} ({}): {} too much; largest: {}",
                self.total,
                self.cap,
                self.cap_note,
                self.short,
                largest.join(", ")
            ),
        )
        .remedy(self.advice.join("; or ")))
    }
}

fn advise(inputs: &Inputs, total: Bytes, short: Bytes) -> Vec<String> {
    let mut advice = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    // Changes that are enough alone, the mildest of each key.
    for s in inputs.savings.iter().filter(|s| s.saves >= short) {
        if !seen.contains(&s.key.as_str()) {
            seen.push(&s.key);
            advice.push(worded(s));
        }
    }
    if advice.is_empty() {
        // The strongest change of each key, mildest keys first, until it is enough.
        let mut chosen: Vec<&Saving> = Vec::new();
        for s in inputs.savings.iter().filter(|s| s.saves > Bytes::ZERO) {
            match chosen.iter_mut().find(|c| c.key == s.key) {
                Some(c) if s.saves > c.saves => *c = s,
                Some(_) => {}
                None => chosen.push(s),
            }
        }
        let mut saved = Bytes::ZERO;
        let enough = chosen.iter().position(|s| {
            saved = saved + s.saves;
            saved >= short
        });
        if let Some(last) = enough {
            advice.push(chosen[..=last].iter().map(|s| worded(s)).collect::<Vec<_>>().join(" and "));
        }
    }
    let needed_mb = total.0.div_ceil(1_000_000);
    // What cannot help is not suggested: the budget may be raised up to what there is.
    advice.push(match (inputs.machine, inputs.group) {
        (Some(machine), _) if total > machine => format!("use a machine with more than {machine} of memory"),
        (_, Some(limit)) if total > limit => format!(
            "raise the service's memory limit (MemoryMax), which is {limit}, and raise budget.total_mb to at least {needed_mb}"
        ),
        _ => format!("raise budget.total_mb to at least {needed_mb}"),
    });
    advice
}

fn worded(s: &Saving) -> String {
    format!("{} (−{})", s.change, s.saves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(what: &str, mb: u64) -> PlanItem {
        PlanItem { component: Component::Weights, what: what.into(), bytes: Bytes::mb(mb), note: String::new() }
    }

    fn saving(key: &str, change: &str, mb: u64) -> Saving {
        Saving { key: key.into(), change: change.into(), saves: Bytes::mb(mb) }
    }

    fn inputs(cap_mb: u64) -> Inputs {
        Inputs {
            cap: Bytes::mb(cap_mb),
            cap_note: "budget.total_mb".into(),
            machine: Some(Bytes::gb(8)),
            group: None,
            items: vec![item("model", 300), item("whisper base", 150), item("context", 50)],
            savings: vec![
                saving("llm.context_tokens", "shorten llm.context_tokens to 1024", 20),
                saving("llm.context_tokens", "shorten llm.context_tokens to 512", 30),
                saving("stt.model", "use whisper-tiny.en", 75),
            ],
        }
    }

    #[test]
    fn a_plan_that_fits_has_no_advice() {
        let p = Plan::compute(inputs(500));
        assert!(p.fits() && p.advice.is_empty() && p.check().is_ok());
        assert_eq!((p.total, p.free), (Bytes::mb(500), Bytes::ZERO));
    }

    #[test]
    fn refusal_has_the_numbers_and_what_would_make_it_fit() {
        let p = Plan::compute(inputs(485));
        assert_eq!(p.short, Bytes::mb(15));
        assert_eq!(
            p.advice,
            [
                "shorten llm.context_tokens to 1024 (−20.0 MB)",
                "use whisper-tiny.en (−75.0 MB)",
                "raise budget.total_mb to at least 500"
            ]
        );
        let e = p.check().expect_err("15 MB too much");
        assert_eq!(e.kind(), Kind::OverBudget);
        for part in ["500.0 MB", "485.0 MB", "15.0 MB too much", "model 300.0 MB"] {
            assert!(e.to_string().contains(part), "{part} in {e}");
        }
        assert!(e.remedy_text().is_some_and(|r| r.contains("at least 500")));
    }

    #[test]
    fn savings_are_combined_when_none_is_enough_alone() {
        let p = Plan::compute(inputs(400));
        assert_eq!(p.advice[0], "shorten llm.context_tokens to 512 (−30.0 MB) and use whisper-tiny.en (−75.0 MB)");
        let p = Plan::compute(inputs(100));
        assert_eq!(p.advice, ["raise budget.total_mb to at least 500"], "nothing that helps is not suggested");
        let small = Inputs { machine: Some(Bytes::mb(400)), ..inputs(100) };
        assert_eq!(Plan::compute(small).advice, ["use a machine with more than 400.0 MB of memory"]);
        let confined = Inputs { group: Some(Bytes::mb(400)), ..inputs(100) };
        assert!(
            Plan::compute(confined).advice[0]
                .starts_with("raise the service's memory limit (MemoryMax), which is 400.0 MB")
        );
    }

    proptest! {
        /// Whatever the numbers: it fits exactly when the sum is within the cap, following "raise … to at least N"
        /// makes it fit, and N − 1 would not.
        #[test]
        fn the_raise_is_exact(sizes in proptest::collection::vec(0u64..5_000_000_000, 0..8), cap_mb in 0u64..10_000) {
            let items: Vec<PlanItem> = sizes
                .iter()
                .map(|b| PlanItem { bytes: Bytes(*b), ..item("x", 0) })
                .collect();
            let of = |mb: u64| Plan::compute(Inputs { cap: Bytes::mb(mb), items: items.clone(), ..Inputs::default() });
            let p = of(cap_mb);
            prop_assert_eq!(p.fits(), sizes.iter().sum::<u64>() <= cap_mb * 1_000_000);
            prop_assert_eq!(p.check().is_ok(), p.fits());
            if let Some(n) = p.advice.last().and_then(|a| a.rsplit(' ').next()) {
                let n: u64 = n.parse().expect("a number at the end");
                prop_assert!(of(n).fits());
                prop_assert!(!of(n - 1).fits());
            }
        }
    }
}
