//! Worker threads that share one job at a time.
//!
//! The caller takes part in every job. Work is cut into chunks that threads claim one by one, and a job ends when its
//! chunks are done: a worker that has not started yet (another process has its core) is not waited for. Workers
//! spin for a tenth of a millisecond after a job, because the next one usually follows, and then sleep. Once a worker was
//! preempted within a chunk they hardly spin at all for a while: a spinning thread uses up the CPU share that the next
//! chunk needs, is then preempted in it, and the caller waits for the other process's whole time slice.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// How long a thread spins before it sleeps: longer than anything the caller does alone between two
/// jobs of a token, since being woken takes as long again.
const SPIN: Duration = Duration::from_micros(100);

/// The same while another process wants the cores.
const SHORT_SPIN: Duration = Duration::from_micros(2);
/// A caller that waited this long for a chunk to end waited for another process: chunks are shorter, or so long that a worker
/// that has to be woken for the next does not matter.
const PREEMPTED: Duration = Duration::from_millis(1);
/// How long the cores then count as contended.
const CROWDED: Duration = Duration::from_millis(100);

/// One thread's wait, counted from its first spin. By the clock, because the cost of a `pause` differs tenfold between processors.
struct Spin {
    turns: u32,
    limit: Duration,
    start: Option<Instant>,
}

impl Spin {
    fn of(limit: Duration) -> Self {
        Self { turns: 0, limit, start: None }
    }

    /// Takes a turn; false when it is time to sleep.
    fn turn(&mut self) -> bool {
        /// Turns between two looks at the clock.
        const TURNS: u32 = 32;
        self.turns = (self.turns + 1) % TURNS;
        if self.turns == 1 {
            let now = Instant::now();
            if now.duration_since(*self.start.get_or_insert(now)) >= self.limit {
                return false;
            }
        }
        std::hint::spin_loop();
        true
    }
}

/// `state`: job number in the upper half, then whether threads may still join, then how many workers have.
const OPEN: u64 = 1 << 31;
const JOINED: u64 = OPEN - 1;
const NEXT_JOB: u64 = 1 << 32;

type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// A job as the workers see it. Valid while `state` is open or a worker has joined.
struct Slot(std::cell::UnsafeCell<Option<*const Job<'static>>>);

// SAFETY: the cell is written only while no worker has joined and none can (the job is closed), and read only by
// workers that have joined an open job; `state` orders the two.
unsafe impl Sync for Slot {}
// SAFETY: the pointer inside is to a `Sync` closure; it is only used under the protocol above.
unsafe impl Send for Slot {}

struct Shared {
    state: AtomicU64,
    slot: Slot,
    chunks: AtomicUsize,
    next: AtomicUsize,
    stop: AtomicBool,
    panicked: AtomicBool,
    /// One per worker: asleep, or about to be.
    asleep: Vec<AtomicBool>,
    /// The caller of the running job, once it has given up spinning.
    waiting: Mutex<Option<Thread>>,
    caller_waits: AtomicBool,
    made: Instant,
    /// Since `made`.
    crowded_until_us: AtomicU64,
}

/// `threads` threads including the caller of [`Pool::run`].
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// The decode lock: one job at a time; sessions on other threads wait here.
    decode_lock: Mutex<()>,
}

impl Pool {
    /// # Errors
    /// [`Kind::Unavailable`] where the system refuses a thread.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let n = threads.max(1) - 1;
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            slot: Slot(std::cell::UnsafeCell::new(None)),
            chunks: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            asleep: (0..n).map(|_| AtomicBool::new(false)).collect(),
            waiting: Mutex::new(None),
            caller_waits: AtomicBool::new(false),
            made: Instant::now(),
            crowded_until_us: AtomicU64::new(0),
        });
        let mut pool = Self { shared, workers: Vec::new(), decode_lock: Mutex::new(()) };
        for i in 0..n {
            let shared = pool.shared.clone();
            let spawned = std::thread::Builder::new().name(format!("llm-{}", i + 1)).spawn(move || shared.work(i));
            let handle = spawned.map_err(|e| {
                Error::new(Kind::Unavailable, "cannot start a thread for the language model")
                    .remedy(format!("lower llm.threads, or {}", crate::budget::thread_remedy()))
                    .because(e)
            })?;
            pool.workers.push(handle);
        }
        Ok(pool)
    }

    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(i)` once for each `i < chunks`, on all threads, and returns when all calls have. A panic in any of them
    /// goes on in the caller once no thread runs the job any more.
    pub(crate) fn run(&self, chunks: usize, job: &Job<'_>) {
        if chunks <= 1 || self.workers.is_empty() {
            (0..chunks).for_each(job);
            return;
        }
        let _job = lock(&self.decode_lock);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `End` below closes the job and waits for every worker that joined it before
        // this function returns or unwinds, so no thread uses the pointer after `job` is gone.
        let job_static = unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(job) };
        // SAFETY: the last job is closed and has no workers left (`End`), so nobody reads the cell now.
        unsafe { *shared.slot.0.get() = Some(job_static) };
        shared.chunks.store(chunks, Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        let before = shared.state.load(Ordering::Relaxed);
        shared.state.store((before & !(OPEN | JOINED)).wrapping_add(NEXT_JOB) | OPEN, Ordering::SeqCst);
        for (asleep, worker) in shared.asleep.iter().zip(&self.workers) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let end = End(shared);
        shared.claim(job);
        drop(end);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new("a worker of the language model panicked"));
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|p| p.into_inner())
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for w in self.workers.drain(..) {
            w.thread().unpark();
            // A worker's panic was reported by the job it happened in.
            let _ = w.join();
        }
    }
}

/// Closes the job and waits for the workers inside it, also when the caller unwinds.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let shared = self.0;
        if shared.state.fetch_and(!OPEN, Ordering::SeqCst) & JOINED == 0 {
            return;
        }
        let mut spin = Spin::of(SPIN);
        while spin.turn() {
            if shared.state.load(Ordering::Acquire) & JOINED == 0 {
                return;
            }
        }
        *lock(&shared.waiting) = Some(std::thread::current());
        shared.caller_waits.store(true, Ordering::SeqCst);
        while shared.state.load(Ordering::SeqCst) & JOINED != 0 {
            std::thread::park();
        }
        shared.caller_waits.store(false, Ordering::SeqCst);
        *lock(&shared.waiting) = None;
        if spin.start.is_some_and(|start| start.elapsed() >= PREEMPTED) {
            let until = (shared.made.elapsed() + CROWDED).as_micros() as u64;
            shared.crowded_until_us.store(until, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// Runs chunks until none is left.
    fn claim(&self, job: &Job<'_>) {
        let chunks = self.chunks.load(Ordering::Relaxed);
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= chunks {
                return;
            }
            job(i);
        }
    }

    fn work(&self, me: usize) {
        let mut last = 0;
        while let Some(job) = self.join_next(me, &mut last) {
            let claimed = std::panic::catch_unwind(AssertUnwindSafe(|| self.claim(job)));
            if claimed.is_err() {
                // The chunks that are left are nobody's: the caller is about to unwind.
                self.panicked.store(true, Ordering::Relaxed);
            }
            let after = self.state.fetch_sub(1, Ordering::SeqCst) - 1;
            if after & (JOINED | OPEN) == 0
                && self.caller_waits.load(Ordering::SeqCst)
                && let Some(caller) = &*lock(&self.waiting)
            {
                caller.unpark();
            }
        }
    }

    /// How long a worker spins now.
    fn patience(&self) -> Duration {
        let crowded = (self.made.elapsed().as_micros() as u64) < self.crowded_until_us.load(Ordering::Relaxed);
        if crowded { SHORT_SPIN } else { SPIN }
    }

    /// Waits for a job not seen yet and joins it; `None` when the pool ends.
    fn join_next(&self, me: usize, last: &mut u64) -> Option<&Job<'_>> {
        let mut spin = Spin::of(self.patience());
        loop {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN != 0 && state / NEXT_JOB != *last {
                if self.state.compare_exchange(state, state + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    *last = state / NEXT_JOB;
                    // SAFETY: this thread has joined an open job, so the cell holds that job and is not written, and the
                    // closure outlives the job, until `state` says that this thread has left it.
                    let job = unsafe { (*self.slot.0.get()).map(|j| &*j) };
                    return job;
                }
                continue;
            }
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            if spin.turn() {
                continue;
            }
            self.asleep[me].store(true, Ordering::SeqCst);
            // Between the look above and the flag a job may have come, whose caller saw the flag unset.
            let now = self.state.load(Ordering::SeqCst);
            let called = now & OPEN != 0 && now / NEXT_JOB != *last;
            if !called && !self.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.asleep[me].store(false, Ordering::SeqCst);
            spin = Spin::of(self.patience());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_runs_once_in_thousands_of_jobs() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads).unwrap();
            assert_eq!(pool.threads(), threads);
            for round in 0..3000usize {
                let chunks = round % 17;
                let counts: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(chunks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "round {round}");
            }
        }
    }

    #[test]
    fn sleeping_workers_wake_for_the_next_job() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..5 {
            while !pool.shared.asleep[0].load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            // Both chunks wait for each other: only two threads can finish this.
            let here = std::sync::Barrier::new(2);
            pool.run(2, &|_| {
                here.wait();
            });
        }
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let pool = Pool::new(2).unwrap();
        let sum = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..500 {
                        pool.run(4, &|i| {
                            sum.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 4 * 500 * 6);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3).unwrap();
        for bad in 0..8 {
            let r = std::panic::catch_unwind(AssertUnwindSafe(|| pool.run(8, &|i| assert_ne!(i, bad))));
            assert!(r.is_err());
        }
        let n = AtomicUsize::new(0);
        pool.run(100, &|_| {
            n.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(n.load(Ordering::Relaxed), 100);
    }
}
