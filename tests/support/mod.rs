//! Shared by the test modules.

#[allow(dead_code)]
pub(crate) mod pulse;

/// Prints why a test does not run here. Tests must say so; a silent pass is a defect.
#[allow(dead_code)]
pub(crate) fn skip(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
}
