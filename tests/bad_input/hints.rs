//! Hints name a limit only where raising it helps.

use super::{folder, tercet};

#[test]
fn a_full_context_is_raised_only_up_to_what_the_model_takes() {
    let d = folder();
    let long = "word ".repeat(6000);
    let of =
        |tokens: &str| tercet(d.path(), &[], &["complete", &long, "--set", &format!("llm.context_tokens={tokens}")]);
    of("256").failed(
        71,
        &["context is full", "hint: shorten the conversation, or raise llm.context_tokens (this model takes up to "],
    );
    for all in ["0", "4096", "100000"] {
        let ran = of(all);
        ran.failed(71, &["context is full", "use a model with a longer context (this one takes "]);
        assert!(!ran.err.contains("raise"), "{}", ran.err);
    }
}

#[test]
fn a_budget_is_raised_only_up_to_what_the_machine_has() {
    let d = folder();
    tercet(d.path(), &[], &["plan", "--set", "budget.total_mb=10"]).failed(71, &["raise budget.total_mb to at least "]);
    let ran = tercet(d.path(), &[], &["plan", "--set", "budget.total_mb=2000", "--set", "budget.reserve_mb=900000"]);
    ran.failed(71, &["lower budget.reserve_mb to 128"]);
    assert!(!ran.err.contains("raise budget.total_mb"), "{}", ran.err);
}
