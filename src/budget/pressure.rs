//! How tight memory is right now, according to the kernel, and what that means for the agent.

use std::path::Path;

use serde::Serialize;

use crate::units::Bytes;

/// What the kernel says at one moment. Zero or `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reading {
    /// Physical memory of the machine.
    pub total: Bytes,
    /// What could be allocated without swapping, page cache given back (`MemAvailable`).
    pub available: Option<Bytes>,
    /// The tightest memory limit of the control groups this process is in.
    pub group_limit: Option<Bytes>,
    /// What those groups still leave, page cache given back.
    pub group_free: Option<Bytes>,
    /// Resident set of this process, mapped model files included.
    pub resident: Bytes,
    /// Its share of pages, shared ones divided by their users (PSS).
    pub proportional: Option<Bytes>,
}

/// How tight it is. Ordered: the later, the tighter. What to do at each level is the pipeline's business.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pressure {
    /// As planned.
    #[default]
    Calm,
    /// Less is free than the reserve, or the process holds more than its budget: shrink the context.
    Elevated,
    /// Half the reserve is gone: unload what is idle, use smaller models.
    High,
    /// Three quarters of the reserve are gone: take no new turns, and say so.
    Critical,
}

impl Reading {
    /// Reads the kernel's figures now.
    pub fn now() -> Self {
        Self::from_mounts(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }

    /// Reads from other mount points than the usual ones.
    pub fn from_mounts(proc: &Path, cgroup: &Path) -> Self {
        let meminfo = read(&proc.join("meminfo"));
        let status = read(&proc.join("self/status"));
        let rollup = read(&proc.join("self/smaps_rollup"));
        let (group_limit, group_free) = group(&read(&proc.join("self/cgroup")), cgroup);
        Self {
            total: kib_field(&meminfo, "MemTotal:").unwrap_or_default(),
            available: kib_field(&meminfo, "MemAvailable:"),
            group_limit,
            group_free,
            resident: kib_field(&status, "VmRSS:").unwrap_or_default(),
            proportional: kib_field(&rollup, "Pss:"),
        }
    }

    /// What can still be allocated before the machine or the control group runs out.
    pub fn headroom(&self) -> Option<Bytes> {
        match (self.available, self.group_free) {
            (Some(a), Some(g)) => Some(a.min(g)),
            (a, g) => a.or(g),
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `MemTotal:   123 kB` → bytes.
fn kib_field(text: &str, name: &str) -> Option<Bytes> {
    let line = text.lines().find(|l| l.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(Bytes(kib.saturating_mul(1024)))
}

/// Limit and free memory of the process's control group and all above it (version 2); the tightest of each.
fn group(membership: &str, mount: &Path) -> (Option<Bytes>, Option<Bytes>) {
    let Some(own) = membership.lines().find_map(|l| l.strip_prefix("0::")) else { return (None, None) };
    let (mut limit, mut free) = (None::<Bytes>, None::<Bytes>);
    let tighter = |a: Option<Bytes>, b: Bytes| Some(a.map_or(b, |a| a.min(b)));
    let own = Path::new(own.trim_start_matches('/'));
    if own.components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
        return (None, None); // a group outside this namespace ("/../x")
    }
    for dir in own.ancestors() {
        let dir = mount.join(dir);
        let number = |file: &str| read(&dir.join(file)).trim().parse::<u64>().ok().map(Bytes);
        let (Some(max), Some(current)) = (number("memory.max"), number("memory.current")) else { continue };
        let stat = read(&dir.join("memory.stat"));
        let cache = ["inactive_file ", "active_file "]
            .iter()
            .filter_map(|name| stat.lines().find_map(|l| l.strip_prefix(name))?.trim().parse().ok().map(Bytes))
            .sum();
        limit = tighter(limit, max);
        free = tighter(free, max.saturating_sub(current.saturating_sub(cache)));
    }
    (limit, free)
}

/// Turns readings into a level that does not flap: it rises at once, and falls when there is a quarter more room than
/// the level needs.
#[derive(Debug, Clone)]
pub struct Gauge {
    cap: Bytes,
    reserve: Bytes,
    level: Pressure,
}

impl Gauge {
    /// `cap` is the ledger's; `reserve` is what should stay free on the machine.
    pub fn new(cap: Bytes, reserve: Bytes) -> Self {
        Self { cap, reserve, level: Pressure::Calm }
    }

    pub fn level(&self) -> Pressure {
        self.level
    }

    /// Takes a reading in; the new level when it changed.
    pub fn update(&mut self, reading: &Reading) -> Option<Pressure> {
        let strict = self.judge(reading, 100);
        let relaxed = self.judge(reading, 125);
        let next = if strict > self.level { strict } else { self.level.min(relaxed) };
        let changed = next != self.level;
        self.level = next;
        changed.then_some(next)
    }

    /// The level with every threshold on free memory at `percent` of its value.
    fn judge(&self, r: &Reading, percent: u64) -> Pressure {
        let share = |of: Bytes, p: u64| Bytes((u128::from(of.0) * u128::from(p) / 100) as u64);
        let by_room = r.headroom().map_or(Pressure::Calm, |free| {
            if free < share(self.reserve, percent / 4) {
                Pressure::Critical
            } else if free < share(self.reserve, percent / 2) {
                Pressure::High
            } else if free < share(self.reserve, percent) {
                Pressure::Elevated
            } else {
                Pressure::Calm
            }
        });
        // More than the ledger allows means an estimate was wrong. PSS where there is one: shared pages are not ours.
        let held = r.proportional.unwrap_or(r.resident);
        let over = held > share(self.cap, if percent > 100 { 95 } else { 100 });
        by_room.max(if over { Pressure::Elevated } else { Pressure::Calm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free(mb: u64) -> Reading {
        Reading { available: Some(Bytes::mb(mb)), ..Reading::default() }
    }

    #[test]
    fn this_machine_can_be_read() {
        let r = Reading::now();
        assert!(r.total > Bytes::mb(64), "{r:?}");
        assert!(r.resident > Bytes::mb(1) && r.resident < r.total, "{r:?}");
        assert!(r.headroom().is_some_and(|h| h > Bytes::ZERO && h <= r.total), "{r:?}");
    }

    #[test]
    fn levels_follow_the_reserve_and_do_not_flap() {
        let mut g = Gauge::new(Bytes::gb(4), Bytes::mb(200));
        assert_eq!(g.update(&free(500)), None);
        assert_eq!(g.update(&free(199)), Some(Pressure::Elevated));
        assert_eq!(g.update(&free(240)), None, "not enough more to calm down");
        assert_eq!(g.update(&free(251)), Some(Pressure::Calm));
        assert_eq!(g.update(&free(10)), Some(Pressure::Critical), "rises at once");
        assert_eq!(g.update(&free(80)), Some(Pressure::High));
        assert_eq!(g.update(&free(5_000)), Some(Pressure::Calm), "recovers");
    }

    #[test]
    fn holding_more_than_the_budget_is_pressure_too() {
        let mut g = Gauge::new(Bytes::gb(1), Bytes::mb(200));
        let r = |mb| Reading { resident: Bytes::mb(mb), ..free(9_000) };
        assert_eq!(g.update(&r(1_001)), Some(Pressure::Elevated));
        assert_eq!(g.update(&r(990)), None);
        assert_eq!(g.update(&r(900)), Some(Pressure::Calm));
        let shared = Reading { proportional: Some(Bytes::mb(500)), ..r(1_500) };
        assert_eq!(g.update(&shared), None, "shared pages are not all ours");
    }

    #[test]
    fn control_groups_count_from_the_own_one_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let (proc, cg) = (dir.path().join("proc"), dir.path().join("cg"));
        std::fs::create_dir_all(proc.join("self")).expect("made");
        std::fs::create_dir_all(cg.join("a/b")).expect("made");
        let put = |p: &Path, text: &str| std::fs::write(p, text).expect("written");
        put(&proc.join("meminfo"), "MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 4000000 kB\n");
        put(&proc.join("self/status"), "Name:\tx\nVmRSS:\t  1000 kB\n");
        put(&proc.join("self/cgroup"), "1:memory:/old\n0::/a/b\n");
        put(&cg.join("a/b/memory.max"), "max\n");
        put(&cg.join("a/b/memory.current"), "500\n");
        put(&cg.join("a/memory.max"), "3000000000\n");
        put(&cg.join("a/memory.current"), "2500000000\n");
        put(&cg.join("a/memory.stat"), "anon 5\ninactive_file 300000000\nactive_file 200000000\n");
        let r = Reading::from_mounts(&proc, &cg);
        assert_eq!(r.group_limit, Some(Bytes::gb(3)));
        assert_eq!(r.group_free, Some(Bytes::gb(1)));
        assert_eq!(r.headroom(), Some(Bytes::gb(1)));
        assert_eq!(r.resident, Bytes(1_024_000));
        assert_eq!(r.proportional, None);
        put(&proc.join("self/cgroup"), "0::/../../etc\n");
        assert_eq!(Reading::from_mounts(&proc, &cg).group_limit, None);
        assert_eq!(Reading::from_mounts(&dir.path().join("none"), &cg), Reading::default());
    }

    proptest! {
        #[test]
        fn a_steady_reading_settles_and_more_room_is_never_worse(mb in 0u64..2_000, more in 0u64..2_000, start in 0u64..2_000) {
            let mut g = Gauge::new(Bytes::gb(4), Bytes::mb(400));
            g.update(&free(start));
            g.update(&free(mb));
            let settled = g.level();
            prop_assert_eq!(g.update(&free(mb)), None);
            g.update(&free(mb + more));
            prop_assert!(g.level() <= settled);
        }

        #[test]
        fn kernel_text_never_panics(text in "\\PC{0,200}") {
            let _ = kib_field(&text, "MemTotal:");
            let _ = group(&text, Path::new("/nonexistent"));
        }
    }
}
