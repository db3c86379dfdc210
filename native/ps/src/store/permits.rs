//! The limit of concurrent operations on the center variable.
//!
//! An operation with a [`Ticket`](super::Ticket) follows the one ahead from stripe to stripe. With more operations than
//! cores, each is put to sleep and woken several times, and all later ones wait for that. Therefore commits and pulls
//! wait for a permit before they take a ticket: each is woken once, and then runs to its end.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use parking_lot::Mutex;

/// The steps that an operation should have to itself, so that it seldom sleeps for the one ahead: 8 MiB.
const STEPS_PER_PERMIT: usize = 64;

/// The permits of a store, granted in the order of the requests.
#[derive(Debug)]
pub(crate) struct ApplyPermits(Mutex<PermitState>);

#[derive(Debug)]
struct PermitState {
    free: usize,
    /// The waiting threads; empty unless all permits are taken.
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    called: AtomicBool,
    thread: Thread,
}

impl ApplyPermits {
    /// Creates as many permits as a center variable of `steps` ticket steps has room for, and at most one for two
    /// cores: sending and receiving takes as much time as the operations do.
    pub(crate) fn new(steps: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::of(count(steps, cores))
    }

    fn of(free: usize) -> Self {
        Self(Mutex::new(PermitState { free, waiting: VecDeque::new() }))
    }

    /// Waits for a permit. The holder of a permit or a ticket must not wait for another permit.
    pub(crate) fn acquire(&self) -> ApplyPermit<'_> {
        let mut state = self.0.lock();
        if state.free > 0 {
            state.free -= 1;
            return ApplyPermit(self);
        }
        let waiter = Waiter { called: AtomicBool::new(false), thread: thread::current() };
        let waiter = Arc::new(waiter);
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        while !waiter.called.load(Ordering::Acquire) {
            thread::park();
        }
        ApplyPermit(self)
    }
}

fn count(steps: usize, cores: usize) -> usize {
    (steps / STEPS_PER_PERMIT).min(cores / 2).max(1)
}

/// A permit, released when it is dropped.
#[derive(Debug)]
pub(crate) struct ApplyPermit<'a>(&'a ApplyPermits);

impl Drop for ApplyPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.free += 1;
        }
        drop(state);
        if let Some(next) = next {
            next.called.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    #[test]
    fn only_large_center_variables_have_several_permits_and_at_most_one_for_two_cores() {
        assert_eq!(count(0, 64), 1);
        assert_eq!(count(127, 16), 1);
        assert_eq!(count(128, 16), 2);
        assert_eq!(count(763, 16), 8);
        assert_eq!(count(763, 1), 1);
    }

    #[test]
    fn waiting_threads_get_a_permit_in_the_order_of_their_requests() {
        let permits = ApplyPermits::of(2);
        let order = Mutex::new(Vec::new());
        let (first, second) = (permits.acquire(), permits.acquire());
        let limit = Instant::now() + Duration::from_secs(30);
        thread::scope(|scope| {
            for name in 0..8 {
                let (permits, order) = (&permits, &order);
                scope.spawn(move || {
                    let _permit = permits.acquire();
                    order.lock().push(name);
                });
                while permits.0.lock().waiting.len() <= name && Instant::now() < limit {
                    thread::yield_now();
                }
            }
            assert!(order.lock().is_empty(), "both permits are taken");
            drop(first);
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3, 4, 5, 6, 7]);
        drop(second);
        assert_eq!(permits.0.lock().free, 2);
    }

    #[test]
    fn no_more_operations_run_than_there_are_permits_and_a_panic_releases_a_permit() {
        const PERMITS: usize = 3;
        let permits = ApplyPermits::of(PERMITS);
        let under_way = AtomicUsize::new(0);
        let highest = AtomicUsize::new(0);
        thread::scope(|scope| {
            for name in 0..16 {
                let (permits, under_way, highest) = (&permits, &under_way, &highest);
                scope.spawn(move || {
                    for round in 0..500 {
                        let panics = name == 0 && round % 100 == 0;
                        let ended = catch_unwind(AssertUnwindSafe(|| {
                            let _permit = permits.acquire();
                            let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                            highest.fetch_max(now, Ordering::SeqCst);
                            thread::yield_now();
                            under_way.fetch_sub(1, Ordering::SeqCst);
                            if panics {
                                resume_unwind(Box::new(()));
                            }
                        }));
                        assert_eq!(ended.is_err(), panics);
                    }
                });
            }
        });
        assert!((1..=PERMITS).contains(&highest.into_inner()));
        assert_eq!(permits.0.lock().free, PERMITS);
    }
}
