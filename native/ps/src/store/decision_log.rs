//! What the driver has decided and the other shards have not yet followed.
//!
//! A decision is appended under the control lock, where its turn is taken, so that all shards do the same in the same
//! order. What becomes of the worker that asked for it does not matter any more from then on: the driver's own
//! connections bring it to the shards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::wire::{Decision, MAX_DECISION_BYTES};

/// The decisions of a fit in order, given to one feed for each shard.
#[derive(Debug)]
pub(crate) struct DecisionLog {
    queues: Vec<Arc<DecisionQueue>>,
    /// The number of the last decision.
    last: u64,
}

impl DecisionLog {
    /// A journal without decisions.
    pub(crate) fn new(queues: Vec<Arc<DecisionQueue>>) -> Self {
        Self { queues, last: 0 }
    }

    /// Adds a decision, whose number it returns; the first one is 1.
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
    /// How many have been confirmed.
    confirmed: u64,
}

impl DecisionQueue {
    fn push(&self, decision: Arc<Decision>) {
        self.queue.lock().decisions.push_back(decision);
        self.more.notify_one();
    }

    /// The oldest decisions that are not confirmed and the number of the first, as many as one message takes; none when none
    /// has come within this time.
    pub(crate) fn next(&self, timeout: Duration) -> (u64, Vec<Decision>) {
        let mut queue = self.queue.lock();
        if queue.decisions.is_empty() {
            self.more.wait_for(&mut queue, timeout);
        }
        let mut left = MAX_DECISION_BYTES;
        let batch = queue.decisions.iter().map_while(|decision| {
            left = left.checked_sub(decision.len())?;
            Some(Decision::clone(decision))
        });
        (queue.confirmed + 1, batch.collect())
    }

    /// Forgets the oldest `count` decisions: the shard has followed them.
    pub(crate) fn confirm(&self, count: usize) {
        let mut queue = self.queue.lock();
        let count = count.min(queue.decisions.len());
        queue.decisions.drain(..count);
        queue.confirmed += count as u64;
    }

    /// Wakes up who waits for decisions.
    pub(crate) fn wake(&self) {
        self.more.notify_all();
    }
}
