//! What the process really uses, read from the kernel.

use crate::units::Bytes;

fn status_field(name: &str) -> Option<Bytes> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(Bytes(kib * 1024))
}

/// Resident set size of this process now (`VmRSS`); zero where `/proc` is not mounted.
pub fn resident_now() -> Bytes {
    status_field("VmRSS:").unwrap_or_default()
}

/// Highest resident set size so far (`VmHWM`).
pub fn resident_peak() -> Bytes {
    status_field("VmHWM:").unwrap_or_default()
}
