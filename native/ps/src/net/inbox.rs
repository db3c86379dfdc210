//! The memory for received payloads, which bounds how many are received at a time.

use firesteel_core::Buffers;
use parking_lot::{Condvar, Mutex};

use crate::model::{KEEP_WAITING_INTERVAL, PayloadKind, PayloadShape};

/// The memory for all payloads that are being received, unless [`FEWEST`] payloads are larger.
const BUDGET: u64 = 256 << 20;

/// The number of payloads that are received at a time, regardless of their size.
const FEWEST: usize = 4;

/// One received payload.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) message: Vec<f32>,
    /// The compressed message, or a piece of it.
    pub(crate) code: Vec<u8>,
    pub(crate) buffers: Buffers,
}

/// The inboxes of a server.
#[derive(Debug)]
pub(crate) struct InboxPool {
    shape: PayloadShape,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Debug)]
struct PoolState {
    free: Vec<Inbox>,
    /// The number of inboxes that may still be created.
    unmade: usize,
}

impl InboxPool {
    /// Creates a pool of inboxes for payloads of this shape, which are allocated on demand.
    pub(crate) fn new(shape: PayloadShape) -> Self {
        let plain = shape.payload_len(PayloadKind::Replica);
        let fitting = usize::try_from(BUDGET / plain.max(1)).unwrap_or(usize::MAX);
        let state = PoolState { free: Vec::new(), unmade: fitting.max(FEWEST) };
        Self { shape, state: Mutex::new(state), returned: Condvar::new() }
    }

    /// Takes an inbox, waiting for one for as long as `keep_waiting` succeeds. It still holds the content of its last
    /// use.
    pub(crate) fn take<E>(
        &self,
        mut keep_waiting: impl FnMut() -> Result<(), E>,
    ) -> Result<PooledInbox<'_>, E> {
        let mut state = self.state.lock();
        loop {
            if let Some(inbox) = state.free.pop() {
                return Ok(PooledInbox { pool: self, inbox });
            }
            if state.unmade > 0 {
                state.unmade -= 1;
                drop(state);
                return Ok(PooledInbox { pool: self, inbox: self.make() });
            }
            self.returned.wait_for(&mut state, KEEP_WAITING_INTERVAL);
            keep_waiting()?;
        }
    }

    fn make(&self) -> Inbox {
        Inbox {
            message: vec![0.0; self.shape.parameters],
            code: Vec::new(),
            buffers: Buffers {
                floats: vec![0.0; self.shape.floats],
                integers: vec![0; self.shape.integers],
            },
        }
    }
}

/// An inbox that goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct PooledInbox<'a> {
    pool: &'a InboxPool,
    pub(crate) inbox: Inbox,
}

impl Drop for PooledInbox<'_> {
    fn drop(&mut self) {
        let empty = Inbox { message: Vec::new(), code: Vec::new(), buffers: Buffers::default() };
        let inbox = std::mem::replace(&mut self.inbox, empty);
        self.pool.state.lock().free.push(inbox);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_inboxes_are_lent_than_memory_is_set_aside_for_and_they_are_used_again() {
        let pool = InboxPool::new(PayloadShape::plain(32 << 20, 1, 1));
        let ready = || Ok::<(), ()>(());
        let mut lent: Vec<_> = (0..FEWEST).map(|_| pool.take(ready).unwrap()).collect();
        assert!(pool.take(|| Err(())).is_err(), "the fifth would exceed the memory");
        lent[2].inbox.buffers.integers[0] = 7;
        lent.swap_remove(2);
        let again = pool.take(|| Err(())).unwrap();
        assert_eq!(again.inbox.buffers.integers, [7], "it is the one that came back");
        assert_eq!(again.inbox.message.len(), 32 << 20);
    }
}
