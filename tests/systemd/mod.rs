//! The unit files: understood by systemd, hardened, and consistent with the memory plan.

use std::path::{Path, PathBuf};
use std::process::Command;

use tercet::budget::DEFAULT_SHARE_PERCENT;
use tercet::error::Kind;

use crate::support::skip;

fn unit(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (path, text)
}

/// Value of the one `key=` line.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let lines: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(lines.len(), 1, "{key}= stands once");
    lines[0]
}

fn percent(text: &str, key: &str) -> u64 {
    value(text, key).trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{key} is a percentage"))
}

/// A copy whose program exists on this machine: systemd-analyze checks that.
fn with_program(text: &str, dir: &Path) -> PathBuf {
    let path = dir.join("tercet.service");
    let text = text.replace("/usr/local/bin/tercet", env!("CARGO_BIN_EXE_tercet"));
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn systemd_understands_the_service() {
    let dir = tempfile::tempdir().expect("a folder");
    let verify = |text: &str| {
        let path = with_program(text, dir.path());
        let out = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().ok()?;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        // Other units of the machine are not ours to judge.
        Some(said.lines().filter(|l| l.contains("tercet.service")).map(str::to_owned).collect::<Vec<_>>())
    };
    let (_, text) = unit("tercet.service");
    let Some(said) = verify(&text) else {
        return skip("systemd_understands_the_service", "no systemd-analyze here");
    };
    assert!(said.is_empty(), "{}", said.join("\n"));
    // The check can fail.
    let broken = verify(&text.replace("WatchdogSec=30", "WatchdogSek=30")).unwrap_or_default();
    assert!(broken.iter().any(|l| l.contains("WatchdogSek")), "{broken:?}");
}

#[test]
fn the_ledger_refuses_before_the_kernel_kills() {
    let (_, text) = unit("tercet.service");
    let (high, max) = (percent(&text, "MemoryHigh"), percent(&text, "MemoryMax"));
    assert!(DEFAULT_SHARE_PERCENT < high && high < max && max < 100, "{DEFAULT_SHARE_PERCENT} < {high} < {max}");
    // The budget that follows from the group's limit must not be less than the one that follows from the machine.
    assert!(max * tercet::budget::CGROUP_SHARE_PERCENT / 100 >= DEFAULT_SHARE_PERCENT);
}

#[test]
fn the_service_is_supervised_and_confined() {
    let (_, text) = unit("tercet.service");
    assert_eq!(value(&text, "Type"), "notify");
    assert_eq!(value(&text, "User"), "tercet");
    assert_eq!(value(&text, "SupplementaryGroups"), "audio");
    assert!(value(&text, "WatchdogSec").parse::<u64>().is_ok_and(|s| (5..=60).contains(&s)));
    for (key, wanted) in [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert_eq!(value(&text, key), wanted, "{key}");
    }
    assert_eq!(value(&text, "Restart"), "on-failure");
    let stays_down: Vec<u8> =
        value(&text, "RestartPreventExitStatus").split(' ').filter_map(|s| s.parse().ok()).collect();
    assert_eq!(
        stays_down,
        [Kind::Usage, Kind::Corrupt, Kind::NotFound, Kind::OverBudget, Kind::Config].map(Kind::exit_code)
    );
}

#[test]
fn users_and_folders_are_declared_as_systemd_wants_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = format!("--root={}", dir.path().display());
    std::fs::create_dir_all(dir.path().join("etc")).expect("made");
    let dry = |program: &str, conf: &Path| {
        let args: &[&str] =
            if program == "systemd-sysusers" { &["--dry-run"] } else { &["--create", "--exclude-prefix=/"] };
        Command::new(program).arg(&root).args(args).arg(conf).output().ok()
    };
    for (program, name) in [("systemd-sysusers", "tercet.sysusers.conf"), ("systemd-tmpfiles", "tercet.tmpfiles.conf")]
    {
        let (path, text) = unit(name);
        assert!(text.contains("tercet"));
        let Some(out) = dry(program, &path) else {
            skip("users_and_folders_are_declared_as_systemd_wants_them", &format!("no {program} here"));
            continue;
        };
        assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        let bad = dir.path().join("bad.conf");
        std::fs::write(&bad, format!("? {text}")).expect("written");
        let out = dry(program, &bad).expect("ran before");
        assert!(!out.status.success() || !out.stderr.is_empty(), "{program} accepts nonsense");
    }
}
