//! Time as tools see it: the wall clock for people, a steady one for whatever counts down.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Where tools get the time from.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
    boot: Option<Arc<str>>,
}

impl Clock {
    /// The machine's clocks. The steady one counts from the boot and goes on while the machine is suspended, so that
    /// its readings mean the same to the next process.
    pub fn system() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let boot = boot.map(|id| id.trim().into()).filter(|id: &Arc<str>| !id.is_empty());
        Self { wall: Arc::new(Timestamp::now), steady: Arc::new(since_boot), boot }
    }

    /// Clocks of the caller, for replays and tests; their steady time means nothing to another process.
    pub fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), steady: Arc::new(steady), boot: None }
    }

    /// The same clocks, with the name of the boot that the steady one counts from.
    pub fn in_boot(self, id: &str) -> Self {
        Self { boot: Some(id.into()), ..self }
    }

    pub fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// Never runs backwards and does not jump when the wall clock is set.
    pub fn steady(&self) -> Duration {
        (self.steady)()
    }

    /// What the steady clock counts from. `None` where nobody can tell: then its readings mean nothing to a later process.
    pub(super) fn boot(&self) -> Option<&str> {
        self.boot.as_deref()
    }
}

fn since_boot() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that outlives the call, which writes nothing else.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    debug_assert_eq!(status, 0, "every Linux has this clock since 2.6.39");
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_steady_clock_goes_on_and_names_its_boot() {
        let clock = Clock::system();
        let before = clock.steady();
        assert!(before > Duration::ZERO && clock.steady() >= before);
        assert_eq!(clock.boot(), Clock::system().boot());
    }
}
