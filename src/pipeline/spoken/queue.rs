//! The bounded queue between owner threads. Each queue says what happens when it is full.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What `send` does when the queue holds `capacity` items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// Waits for room: for work that must not be lost, from a thread that may wait.
    Block,
    /// Drops the oldest item: for snapshots that a newer one replaces.
    DropOldest,
    /// Refuses the new item.
    Reject,
}

/// Whether an item was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Sent {
    Yes,
    /// Taken, and an older one was dropped for it.
    DroppedOldest,
    /// Full, and the queue rejects.
    Full,
    /// The other side is gone.
    Closed,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
    when_full: WhenFull,
}

/// A multi-producer, multi-consumer queue of at most `capacity` items. Clones are the same queue.
pub(super) struct Queue<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize, when_full: WhenFull) -> Self {
        let state = State { items: VecDeque::with_capacity(capacity), closed: false };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
                capacity: capacity.max(1),
                when_full,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of ours runs while the lock is held, so a poisoned lock still guards sound data.
        self.shared.state.lock().unwrap_or_else(|p| p.into_inner())
    }

    pub(super) fn send(&self, item: T) -> Sent {
        let mut s = self.lock();
        let mut outcome = Sent::Yes;
        while s.items.len() >= self.shared.capacity && !s.closed {
            match self.shared.when_full {
                WhenFull::Block => s = self.shared.changed.wait(s).unwrap_or_else(|p| p.into_inner()),
                WhenFull::DropOldest => {
                    s.items.pop_front();
                    outcome = Sent::DroppedOldest;
                }
                WhenFull::Reject => return Sent::Full,
            }
        }
        if s.closed {
            return Sent::Closed;
        }
        s.items.push_back(item);
        drop(s);
        self.shared.changed.notify_all();
        outcome
    }

    /// Puts `item` before all others and never waits, also where the queue is full: for the few orders that end the other
    /// side, which must arrive whatever state it is in. False where it is gone.
    pub(super) fn urge(&self, item: T) -> bool {
        let mut s = self.lock();
        if s.closed {
            return false;
        }
        s.items.push_front(item);
        drop(s);
        self.shared.changed.notify_all();
        true
    }

    /// As [`Queue::send`], but never waits: false where there is no room now.
    pub(super) fn offer(&self, item: T) -> bool {
        let mut s = self.lock();
        if s.closed || s.items.len() >= self.shared.capacity {
            return false;
        }
        s.items.push_back(item);
        drop(s);
        self.shared.changed.notify_all();
        true
    }

    /// The next item; `None` when the queue is closed and drained.
    pub(super) fn recv(&self) -> Option<T> {
        self.recv_until(None).flatten()
    }

    /// The next item, or `Some(None)` once it is closed and drained; `None` when `deadline` passes first.
    pub(super) fn recv_until(&self, deadline: Option<Instant>) -> Option<Option<T>> {
        let mut s = self.lock();
        loop {
            if let Some(item) = s.items.pop_front() {
                drop(s);
                self.shared.changed.notify_all();
                return Some(Some(item));
            }
            if s.closed {
                return Some(None);
            }
            s = match deadline {
                None => self.shared.changed.wait(s).unwrap_or_else(|p| p.into_inner()),
                Some(d) => {
                    let left = d.saturating_duration_since(Instant::now());
                    if left == Duration::ZERO {
                        return None;
                    }
                    self.shared.changed.wait_timeout(s, left).unwrap_or_else(|p| p.into_inner()).0
                }
            };
        }
    }

    /// Drops every queued item for which `stale` holds.
    pub(super) fn discard(&self, stale: impl Fn(&T) -> bool) {
        self.lock().items.retain(|i| !stale(i));
        self.shared.changed.notify_all();
    }

    /// No more items are taken; what is queued can still be received.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queues_do_what_they_say() {
        let q = Queue::new(2, WhenFull::DropOldest);
        assert_eq!([q.send(1), q.send(2), q.send(3)], [Sent::Yes, Sent::Yes, Sent::DroppedOldest]);
        assert_eq!((q.recv(), q.recv()), (Some(2), Some(3)));

        let q = Queue::new(1, WhenFull::Reject);
        assert_eq!([q.send(1), q.send(2)], [Sent::Yes, Sent::Full]);

        let q = Queue::new(1, WhenFull::Block);
        assert_eq!(q.send(1), Sent::Yes);
        let q2 = q.clone();
        let t = std::thread::spawn(move || q2.send(2));
        assert_eq!((q.recv(), q.recv()), (Some(1), Some(2)));
        assert_eq!(t.join().expect("sender"), Sent::Yes);
    }

    #[test]
    fn closing_drains_then_ends_and_wakes_blocked_senders() {
        let q = Queue::new(1, WhenFull::Block);
        assert_eq!(q.send(1), Sent::Yes);
        let q2 = q.clone();
        let t = std::thread::spawn(move || q2.send(2));
        q.close();
        assert_eq!(t.join().expect("sender"), Sent::Closed);
        assert_eq!((q.recv(), q.recv()), (Some(1), None));
    }

    #[test]
    fn who_may_not_wait_does_not() {
        let q = Queue::new(1, WhenFull::Block);
        assert!(q.offer(1) && !q.offer(2));
        assert!(q.urge(3));
        assert_eq!((q.recv(), q.recv()), (Some(3), Some(1)));
        q.close();
        assert!(!q.offer(4) && !q.urge(5));
        assert_eq!(q.recv(), None);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let q: Queue<u8> = Queue::new(1, WhenFull::Block);
        assert_eq!(q.recv_until(Some(Instant::now() + Duration::from_millis(5))), None);
    }
}
