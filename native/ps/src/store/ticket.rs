//! The order of operations on the center variable.
//!
//! Every operation (commit, pull, snapshot) takes a [`Ticket`] under the control lock and then visits the stripes from
//! first to last, each only after the operation with the preceding ticket has left that stripe. So each operation sees
//! exactly the effects of those before it, while several work on different stripes at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The number of stripes by which an operation lets the one ahead advance once it has had to wait: waking up for each
/// stripe costs more than a stripe's work.
const STRIDE: usize = 4;

/// The progress of one operation.
#[derive(Debug, Default)]
pub(crate) struct TicketProgress {
    state: Mutex<ProgressState>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct ProgressState {
    /// The number of stripes that the operation has left.
    left: usize,
    /// The number for which its follower sleeps, if it does.
    wanted: Option<usize>,
}

impl TicketProgress {
    fn set(&self, left: usize) {
        let mut state = self.state.lock();
        state.left = left;
        if state.wanted.is_some_and(|wanted| wanted <= left) {
            state.wanted = None;
            self.moved.notify_one();
        }
    }

    /// Waits until the operation has left stripe `index`; returns the number of stripes it has left by then.
    fn wait(&self, index: usize, stripes: usize) -> usize {
        let mut state = self.state.lock();
        if state.left <= index {
            let wanted = (index + STRIDE).min(stripes);
            while state.left < wanted {
                state.wanted = Some(wanted);
                self.moved.wait(&mut state);
            }
        }
        state.left
    }

    fn is_done(&self, stripes: usize) -> bool {
        self.state.lock().left >= stripes
    }
}

/// The place of one operation in the order. Dropped early (by a panic), it lets later operations pass once the earlier
/// ones have ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    ahead: Option<Arc<TicketProgress>>,
    mine: Arc<TicketProgress>,
    stripes: usize,
    left: usize,
    /// The number of stripes that the operation ahead is known to have left.
    free: usize,
    waited: Duration,
}

impl Ticket {
    /// Issues a ticket behind `tail`, and makes it the new tail. To be called under the control lock.
    pub(crate) fn issue(tail: &mut Option<Arc<TicketProgress>>, stripes: usize) -> Self {
        let mine = Arc::new(TicketProgress::default());
        let ahead = tail.replace(Arc::clone(&mine)).filter(|ahead| !ahead.is_done(stripes));
        let free = if ahead.is_some() { 0 } else { stripes };
        Self { ahead, mine, stripes, left: 0, free, waited: Duration::ZERO }
    }

    /// Waits until this operation may enter the next stripe, and returns its index; `None` after the last one.
    pub(crate) fn enter(&mut self) -> Option<usize> {
        if self.left == self.stripes {
            return None;
        }
        if let Some(ahead) = &self.ahead
            && self.free <= self.left
        {
            let start = Instant::now();
            self.free = ahead.wait(self.left, self.stripes);
            self.waited += start.elapsed();
        }
        Some(self.left)
    }

    /// Waits until the operations ahead have left the first stripe.
    pub(crate) fn wait(&mut self) {
        self.enter();
    }

    /// Leaves the stripe entered last.
    pub(crate) fn leave(&mut self) {
        self.left += 1;
        self.mine.set(self.left);
    }

    /// Returns the time spent waiting for the operations ahead.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.left < self.stripes {
            if let Some(ahead) = &self.ahead {
                ahead.wait(self.stripes - 1, self.stripes);
            }
            self.mine.set(self.stripes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const STRIPES: usize = 9;

    /// Visits all stripes and logs the visits.
    fn visit(mut ticket: Ticket, name: usize, log: &[Mutex<Vec<usize>>]) {
        while let Some(index) = ticket.enter() {
            log[index].lock().push(name);
            ticket.leave();
        }
    }

    #[test]
    fn operations_pass_every_stripe_in_the_order_of_their_tickets() {
        for _ in 0..50 {
            let log: Vec<_> = (0..STRIPES).map(|_| Mutex::new(Vec::new())).collect();
            let mut tail = None;
            let tickets: Vec<_> = (0..8).map(|_| Ticket::issue(&mut tail, STRIPES)).collect();
            thread::scope(|scope| {
                for (name, ticket) in tickets.into_iter().enumerate().rev() {
                    let log = &log;
                    scope.spawn(move || visit(ticket, name, log));
                }
            });
            for stripe in log {
                assert_eq!(stripe.into_inner(), [0, 1, 2, 3, 4, 5, 6, 7]);
            }
        }
    }

    #[test]
    fn a_ticket_dropped_half_way_lets_later_ones_pass_but_not_before_earlier_ones() {
        let log: Vec<_> = (0..STRIPES).map(|_| Mutex::new(Vec::new())).collect();
        let mut tail = None;
        let first = Ticket::issue(&mut tail, STRIPES);
        let dropped = Ticket::issue(&mut tail, STRIPES);
        let last = Ticket::issue(&mut tail, STRIPES);
        thread::scope(|scope| {
            scope.spawn(|| drop(dropped));
            scope.spawn(|| visit(last, 2, &log));
            thread::sleep(Duration::from_millis(20));
            visit(first, 0, &log);
        });
        assert!(log.into_iter().all(|stripe| stripe.into_inner() == [0, 2]));
    }

    #[test]
    fn nobody_waits_behind_an_operation_that_is_over() {
        let mut tail = None;
        drop(Ticket::issue(&mut tail, STRIPES));
        assert!(Ticket::issue(&mut tail, STRIPES).ahead.is_none());
    }
}
