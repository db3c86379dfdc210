//! How many operations are under way over the center variable at a time.
//!
//! An operation that has its [`Turn`](super::Turn) follows the one ahead from stripe to stripe. Where there are more of them than cores,
//! each is put to sleep and woken several times, and all behind it wait for that. So an operation waits for a lane before it takes
//! its turn: it is woken once, and then runs to its end.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use parking_lot::Mutex;

/// The stripes that an operation should have to itself, so that it seldom sleeps for the one ahead: 8 MiB.
const STRIPES: usize = 64;

/// The lanes of a store.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Queue>);

impl Lanes {
    /// As many as a center variable of so many stripes has room for, and no more than half of the cores: what goes over the
    /// connections takes as much of them as the operations do.
    pub(crate) fn new(stripes: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self((0..count(stripes, cores)).map(|_| Queue::default()).collect())
    }

    /// Waits for a place on the lane of this session. Whoever has one must not wait for another.
    pub(crate) fn enter(&self, session: u64) -> Lane<'_> {
        let index = session % self.0.len() as u64;
        self.0[usize::try_from(index).unwrap_or(0)].enter()
    }
}

fn count(stripes: usize, cores: usize) -> usize {
    (stripes / STRIPES).min(cores / 2).max(1)
}

/// A lock that goes to whoever has waited longest.
#[derive(Debug, Default)]
struct Queue(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    taken: bool,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    called: AtomicBool,
    thread: Thread,
}

impl Queue {
    fn enter(&self) -> Lane<'_> {
        let mut state = self.0.lock();
        if !state.taken {
            state.taken = true;
            return Lane(self);
        }
        let waiter = Waiter { called: AtomicBool::new(false), thread: thread::current() };
        let waiter = Arc::new(waiter);
        state.waiting.push_back(Arc::clone(&waiter));
        drop(state);
        while !waiter.called.load(Ordering::Acquire) {
            thread::park();
        }
        Lane(self)
    }
}

/// A place on a lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lane<'a>(&'a Queue);

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        let next = state.waiting.pop_front();
        state.taken = next.is_some();
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
    use std::panic::AssertUnwindSafe;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn only_large_center_variables_have_several_lanes_and_never_more_than_half_of_the_cores() {
        assert_eq!(count(0, 64), 1);
        assert_eq!(count(127, 16), 1);
        assert_eq!(count(128, 16), 2);
        assert_eq!(count(763, 16), 8);
        assert_eq!(count(763, 1), 1);
    }

    #[test]
    fn one_at_a_time_is_on_a_lane_and_those_who_wait_get_it_in_the_order_they_came() {
        let queue = Queue::default();
        let order = Mutex::new(Vec::new());
        let first = queue.enter();
        thread::scope(|scope| {
            for name in 0..8 {
                let (queue, order) = (&queue, &order);
                scope.spawn(move || {
                    let _lane = queue.enter();
                    order.lock().push(name);
                });
                while queue.0.lock().waiting.len() <= name {
                    thread::yield_now();
                }
            }
            assert!(order.lock().is_empty());
            drop(first);
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(!queue.0.lock().taken);
    }

    #[test]
    fn nobody_meets_anybody_on_a_lane_however_many_come_and_a_panic_gives_it_back() {
        let queue = Queue::default();
        let inside = AtomicUsize::new(0);
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for name in 0..16 {
                let (queue, inside, passed) = (&queue, &inside, &passed);
                scope.spawn(move || {
                    for round in 0..500 {
                        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                            let _lane = queue.enter();
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            if name == 0 && round % 100 == 0 {
                                std::panic::resume_unwind(Box::new(()));
                            }
                        }));
                        assert_eq!(panicked.is_err(), name == 0 && round % 100 == 0);
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 16 * 500);
        assert!(!queue.0.lock().taken);
    }
}
