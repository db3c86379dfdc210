//! The driver's decisions that the other shards have not followed yet.
//!
//! A decision is appended under the control lock together with the issue of its ticket, so that all shards do the same
//! in the same order. From then on the fate of the worker that caused it does not matter: the driver's own connections
//! send it to the shards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::model::Decision;

/// The decisions of a fit in order, copied to one queue for each shard.
#[derive(Debug)]
pub(crate) struct DecisionLog {
    queues: Vec<Arc<DecisionQueue>>,
    /// The number of the last decision.
    last: u64,
}

impl DecisionLog {
    /// Creates an empty log.
    pub(crate) fn new(queues: Vec<Arc<DecisionQueue>>) -> Self {
        Self { queues, last: 0 }
    }

    /// Appends a decision and returns its number; the first one is 1.
    pub(crate) fn append(&mut self, decision: Decision) -> u64 {
        self.last += 1;
        let decision = Arc::new(decision);
        for queue in &self.queues {
            queue.push(Arc::clone(&decision));
        }
        self.last
    }
}

/// The decisions that one shard has not confirmed.
#[derive(Debug, Default)]
pub(crate) struct DecisionQueue {
    queue: Mutex<Unconfirmed>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Unconfirmed {
    decisions: VecDeque<Arc<Decision>>,
    /// The number of decisions that have been confirmed.
    confirmed: u64,
}

impl DecisionQueue {
    fn push(&self, decision: Arc<Decision>) {
        self.queue.lock().decisions.push_back(decision);
        self.more.notify_one();
    }

    /// Returns the number of the oldest unconfirmed decision, and the unconfirmed decisions from there on for as long as `fits`
    /// accepts them, but at least one: a shard refuses what is too long, which ends the fit. Waits up to `timeout` if
    /// there are none.
    pub(crate) fn next(
        &self,
        timeout: Duration,
        mut fits: impl FnMut(&Decision) -> bool,
    ) -> (u64, Vec<Decision>) {
        let mut queue = self.queue.lock();
        if queue.decisions.is_empty() {
            self.more.wait_for(&mut queue, timeout);
        }
        let fitting = queue.decisions.iter().take_while(|decision| fits(decision)).count();
        let batch = queue.decisions.iter().take(fitting.max(1));
        (queue.confirmed + 1, batch.map(|decision| Decision::clone(decision)).collect())
    }

    /// Removes the oldest `count` decisions, which the shard has followed.
    pub(crate) fn confirm(&self, count: usize) {
        let mut queue = self.queue.lock();
        let count = count.min(queue.decisions.len());
        queue.decisions.drain(..count);
        queue.confirmed += count as u64;
    }

    /// Wakes up the thread that waits for decisions.
    pub(crate) fn wake(&self) {
        self.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use firesteel_core::WorkerId;

    use super::{Decision, DecisionLog, DecisionQueue};

    #[test]
    fn the_next_decisions_are_those_that_fit_and_at_least_one() {
        let queue = Arc::new(DecisionQueue::default());
        let mut log = DecisionLog::new(vec![Arc::clone(&queue)]);
        for attempt in 0..3 {
            log.append(Decision::Forget { worker: WorkerId { partition: 0, index: 0 }, attempt });
        }
        for (fitting, expected) in [(0, 1), (1, 1), (2, 2), (3, 3)] {
            let mut left = fitting;
            let (first, decisions) = queue.next(Duration::ZERO, |_| {
                left -= 1;
                left >= 0
            });
            assert_eq!((first, decisions.len()), (1, expected));
        }
    }
}
