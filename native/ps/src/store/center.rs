//! The center variable in stripes, and its buffers.
//!
//! A reader takes references to the stripes of one version, without a copy. A commit to a stripe with readers writes to
//! a second copy of that stripe, so that neither a slow reader nor a slow connection delays a commit.

use std::sync::Arc;
use std::time::Duration;

use firesteel_core::strategy::{CommitContext, Part, Protocol, Round, ServerRule, Strategy};
use firesteel_core::{Buffers, FlushDenormals, State};
use parking_lot::Mutex;

use crate::error::PsError;
use crate::model::{CenterReader, CenterView, STRIPE};
use crate::store::contribution::{Contribution, RoundContribution};
use crate::store::ticket::Ticket;

/// One stripe, and the copy with which it alternates while it has readers.
#[derive(Debug)]
struct Stripe {
    current: Arc<Vec<f32>>,
    spare: Option<Arc<Vec<f32>>>,
}

impl Stripe {
    fn new(values: &[f32]) -> Self {
        Self { current: Arc::new(values.to_vec()), spare: None }
    }

    /// Returns the current values for writing; the values that readers hold do not change.
    fn write(&mut self) -> &mut [f32] {
        if Arc::get_mut(&mut self.current).is_none() {
            let mut fresh = self.spare.take();
            match fresh.as_mut().and_then(Arc::get_mut) {
                Some(values) => values.copy_from_slice(&self.current),
                None => fresh = None,
            }
            let fresh = fresh.unwrap_or_else(|| Arc::new(self.current.to_vec()));
            self.spare = Some(std::mem::replace(&mut self.current, fresh));
        }
        // Unique by now, so nothing is copied.
        Arc::make_mut(&mut self.current).as_mut_slice()
    }
}

/// A stripe with its part of the strategy's state.
struct StripeSlot {
    stripe: Stripe,
    rule: ServerRule,
    /// The values from before the last round, in strategies whose rounds return those.
    former: Option<Arc<Vec<f32>>>,
}

/// The center variable and its buffers.
pub(crate) struct Center {
    stripes: Vec<Mutex<StripeSlot>>,
    buffers: Mutex<Arc<Buffers>>,
    /// True if updates are committed, false if they are saved.
    commits: bool,
}

impl Center {
    /// Creates a center variable with these initial values.
    pub(crate) fn new(
        values: &[f32],
        buffers: Buffers,
        strategy: &dyn Strategy,
        workers: u32,
    ) -> Self {
        let slot = |values: &[f32]| StripeSlot {
            stripe: Stripe::new(values),
            rule: strategy.server(values.len(), workers),
            former: None,
        };
        Self {
            stripes: values.chunks(STRIPE).map(|values| Mutex::new(slot(values))).collect(),
            buffers: Mutex::new(Arc::new(buffers)),
            commits: matches!(strategy.protocol(), Protocol::Asynchronous { .. }),
        }
    }

    /// The steps of a [`Ticket`]: the stripes, and the buffers as the last step.
    pub(crate) fn ticket_steps(&self) -> usize {
        self.stripes.len() + 1
    }

    /// Reads the version of a ticket. Returns the time spent waiting for earlier tickets.
    pub(crate) fn read(&self, ticket: Ticket, reader: &mut dyn CenterReader) -> Duration {
        self.walk(ticket, |_, _| {}, |_| {}, Some(reader), false)
    }

    /// Reads the version of a ticket, and the state of the rules at that version.
    pub(crate) fn capture(&self, ticket: Ticket, reader: &mut dyn CenterReader) -> Vec<State> {
        let mut states = Vec::with_capacity(self.stripes.len());
        self.walk(ticket, |_, slot| states.push(slot.rule.state()), |_| {}, Some(reader), false);
        states
    }

    /// Restores the state of every stripe's rule.
    pub(crate) fn restore(&self, states: &[State]) -> Result<(), PsError> {
        if states.len() != self.stripes.len() {
            return Err(PsError::Checkpoint(format!(
                "it has {} stripes, but the network has {}",
                states.len(),
                self.stripes.len()
            )));
        }
        for (index, (stripe, state)) in self.stripes.iter().zip(states).enumerate() {
            let restored = stripe.lock().rule.restore(state);
            restored.map_err(|error| PsError::Checkpoint(format!("stripe {index}: {error}")))?;
        }
        Ok(())
    }

    /// Reads the result of the last round: the version of the ticket, or the one from before the round if `former`.
    pub(crate) fn read_round(
        &self,
        ticket: Ticket,
        former: bool,
        reader: &mut dyn CenterReader,
    ) -> Duration {
        self.walk(ticket, |_, _| {}, |_| {}, Some(reader), former)
    }

    /// Closes a round over these contributions in the order of the ticket, and keeps the values from before it if
    /// `former`.
    pub(crate) fn close_round(
        &self,
        ticket: Ticket,
        contributions: &[RoundContribution],
        round: &Round,
        former: bool,
    ) {
        let trained = || contributions.iter().filter(|one| one.weight > 0.0);
        let mut messages: Vec<_> =
            trained().map(|one| (one.message.chunks(STRIPE), one.weight)).collect();
        let mut parts = Vec::with_capacity(messages.len());
        self.walk(
            ticket,
            |_, StripeSlot { stripe, rule, former: before }| {
                parts.clear();
                parts.extend(messages.iter_mut().filter_map(|(chunks, weight)| {
                    Some(Part { message: chunks.next()?, weight: *weight })
                }));
                if former {
                    *before = Some(Arc::clone(&stripe.current));
                }
                if let (ServerRule::Round(rule), false) = (rule, parts.is_empty()) {
                    rule.close(stripe.write(), &parts, round);
                }
            },
            |buffers| mean(Arc::make_mut(buffers), contributions),
            None,
            false,
        );
    }

    /// Runs an operation between those of the tickets before and after this one.
    pub(crate) fn with_ticket(mut ticket: Ticket, operation: impl FnOnce()) {
        if ticket.enter().is_some() {
            operation();
        }
    }

    /// Applies a contribution in the order of the ticket, and passes the resulting version to the reader if there is
    /// one. Returns the time spent waiting for earlier tickets.
    pub(crate) fn apply(
        &self,
        ticket: Ticket,
        contribution: Contribution<'_>,
        context: CommitContext,
        seen: Option<&CenterView>,
        reader: Option<&mut dyn CenterReader>,
    ) -> Duration {
        let mut messages = contribution.message.chunks(STRIPE);
        self.walk(
            ticket,
            |index, StripeSlot { stripe, rule, .. }| {
                let Some(message) = messages.next() else { return };
                let seen = seen.map_or(&[][..], |seen| seen.stripe_at(index));
                match rule {
                    ServerRule::Commit(rule) => {
                        rule.apply(stripe.write(), message, seen, context);
                    }
                    ServerRule::Round(_) | ServerRule::Save => {
                        stripe.write().copy_from_slice(message);
                    }
                }
            },
            |buffers| {
                let share = self.commits.then_some(1.0 / context.workers.max(1) as f32);
                merge(Arc::make_mut(buffers), contribution.buffers, share);
            },
            reader,
            false,
        )
    }

    /// Visits all stripes and the buffers in order, with denormals flushed on the calling thread. The reader is called
    /// after the ticket has left the stripe, so that later tickets proceed meanwhile.
    fn walk(
        &self,
        mut ticket: Ticket,
        mut stripe: impl FnMut(usize, &mut StripeSlot),
        mut buffers: impl FnMut(&mut Arc<Buffers>),
        mut reader: Option<&mut dyn CenterReader>,
        former: bool,
    ) -> Duration {
        let _flush = FlushDenormals::new();
        while let Some(index) = ticket.enter() {
            if let Some(slot) = self.stripes.get(index) {
                let mut guard = slot.lock();
                stripe(index, &mut guard);
                let current = || Arc::clone(&guard.stripe.current);
                let seen = reader.is_some().then(|| match &guard.former {
                    Some(before) if former => Arc::clone(before),
                    _ => current(),
                });
                drop(guard);
                ticket.leave();
                if let Some((reader, seen)) = reader.as_mut().zip(seen) {
                    reader.stripe(&seen);
                }
            } else {
                let mut guard = self.buffers.lock();
                buffers(&mut guard);
                let seen = reader.is_some().then(|| Arc::clone(&guard));
                drop(guard);
                ticket.leave();
                if let Some((reader, seen)) = reader.as_mut().zip(seen) {
                    reader.buffers(&seen);
                }
            }
        }
        ticket.waited()
    }
}

/// Updates floating-point buffers by `b += share (b_k - b)` and integer ones to the maximum; without a share, replaces
/// both.
fn merge(buffers: &mut Buffers, theirs: &Buffers, share: Option<f32>) {
    let Some(share) = share else {
        buffers.floats.copy_from_slice(&theirs.floats);
        buffers.integers.copy_from_slice(&theirs.integers);
        return;
    };
    for (b, theirs) in buffers.floats.iter_mut().zip(&theirs.floats) {
        *b += (theirs - *b) * share;
    }
    elementwise_max(&mut buffers.integers, &theirs.integers);
}

/// Computes the mean of a round's floating-point buffers, weighted by rows, and the maximum of the integer ones. The
/// mean is the first worker's value plus weighted differences from it, so that a value that all workers share stays the
/// same to the last bit.
fn mean(buffers: &mut Buffers, contributions: &[RoundContribution]) {
    let rows: u64 = contributions.iter().map(|one| one.rows).sum();
    if rows == 0 {
        return;
    }
    let mut counted = contributions.iter().filter(|one| one.rows > 0);
    let Some(first) = counted.next() else { return };
    buffers.floats.copy_from_slice(&first.buffers.floats);
    elementwise_max(&mut buffers.integers, &first.buffers.integers);
    for one in counted {
        let share = (one.rows as f64 / rows as f64) as f32;
        let of_first = &first.buffers.floats;
        for ((b, theirs), first) in buffers.floats.iter_mut().zip(&one.buffers.floats).zip(of_first)
        {
            *b += share * (theirs - first);
        }
        elementwise_max(&mut buffers.integers, &one.buffers.integers);
    }
}

fn elementwise_max(integers: &mut [i64], theirs: &[i64]) {
    for (b, theirs) in integers.iter_mut().zip(theirs) {
        *b = (*b).max(*theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_core::spec::StrategySpec;
    use firesteel_core::strategy::resolve;

    const PARAMETERS: usize = 2 * STRIPE + 5;
    const CONTEXT: CommitContext = CommitContext { staleness: 0, workers: 1 };

    fn center() -> Center {
        let strategy = resolve(&StrategySpec::named("downpour").unwrap(), None).unwrap();
        Center::new(&vec![0.0; PARAMETERS], Buffers::default(), &*strategy, 1)
    }

    fn ticket(center: &Center) -> Ticket {
        Ticket::issue(&mut None, center.ticket_steps())
    }

    fn commit(center: &Center, value: f32) {
        let (message, buffers) = (vec![value; PARAMETERS], Buffers::default());
        let contribution = Contribution { message: &message, buffers: &buffers };
        center.apply(ticket(center), contribution, CONTEXT, None, None);
    }

    fn view(center: &Center) -> CenterView {
        let mut view = CenterView::default();
        center.read(ticket(center), &mut view);
        view
    }

    #[test]
    fn what_a_reader_holds_stays_as_it_was_however_many_commits_follow() {
        let center = center();
        commit(&center, 1.0);
        let first = view(&center);
        commit(&center, 1.0);
        let second = view(&center);
        commit(&center, 1.0);
        commit(&center, 1.0);
        assert_eq!(first.to_center(), vec![1.0; PARAMETERS]);
        assert_eq!(second.to_center(), vec![2.0; PARAMETERS]);
        assert_eq!(view(&center).to_center(), vec![4.0; PARAMETERS]);
    }

    #[test]
    fn commits_without_readers_work_in_place_and_readers_cost_one_second_copy() {
        let center = center();
        let address = |center: &Center| center.stripes[0].lock().stripe.current.as_ptr();
        let first = address(&center);
        commit(&center, 1.0);
        assert_eq!(address(&center), first);
        drop(view(&center));
        commit(&center, 1.0);
        assert_eq!(address(&center), first, "the reader has gone");
        let held = view(&center);
        commit(&center, 1.0);
        let second = address(&center);
        assert_ne!(second, first);
        drop(held);
        let held = view(&center);
        commit(&center, 1.0);
        assert_eq!(address(&center), first, "the two copies alternate");
        drop(held);
    }
}
