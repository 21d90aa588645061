//! Where the socket is.

use std::path::PathBuf;

use crate::store::Paths;

const NAME: &str = "tercet.sock";

/// Where the daemon puts it, the best place first: systemd's folder for the service, the user's folder for what runs, the
/// state folder.
pub fn to_serve(paths: &Paths) -> Vec<PathBuf> {
    let service = folder("RUNTIME_DIRECTORY");
    let user = folder("XDG_RUNTIME_DIR").map(|d| d.join("tercet"));
    service.into_iter().chain(user).chain([paths.state_dir()]).map(|d| d.join(NAME)).collect()
}

/// Where it is looked for.
pub fn to_ask(paths: &Paths) -> Vec<PathBuf> {
    let mut all = to_serve(paths);
    // The service's own, for everyone else on the machine.
    all.push(PathBuf::from("/run/tercet").join(NAME));
    all.dedup();
    all
}

/// Whether whoever asks has said which state folder is meant: then only its owner is the one to ask.
pub fn one_is_meant() -> bool {
    ["TERCET_STATE", "TERCET_CACHE"].into_iter().any(|v| std::env::var_os(v).is_some_and(|v| !v.is_empty()))
}

/// Of several folders (systemd separates them by colons) the first. Relative ones are ignored.
fn folder(var: &str) -> Option<PathBuf> {
    let value = std::env::var(var).ok()?;
    let first = value.split(':').next().map(PathBuf::from)?;
    first.is_absolute().then_some(first)
}
