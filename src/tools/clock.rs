//! Time as tools see it: the wall clock for people, a monotonic clock for timers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where tools get the time from.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        let start = Instant::now();
        Self { wall: Arc::new(Timestamp::now), steady: Arc::new(move || start.elapsed()) }
    }

    /// Clocks of the caller, for replays and tests.
    pub fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    pub fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// Never runs backwards and does not jump when the wall clock is set.
    pub fn steady(&self) -> Duration {
        (self.steady)()
    }
}
