//! The center variable in stripes, and its buffers.
//!
//! A reader takes references to the stripes of one version, without a copy. A commit that meets a stripe which somebody still reads
//! writes to a second copy of it, so that neither a slow reader nor a slow connection ever holds up a commit.

use std::sync::Arc;
use std::time::Duration;

use firesteel_core::strategy::{CommitContext, CommitSchedule, Part, Round, ServerRule, Strategy};
use firesteel_core::{Buffers, FlushDenormals, State};
use parking_lot::Mutex;

use crate::error::PsError;
use crate::store::round::Kept;
use crate::store::turn::Turn;

/// Parameters of a stripe: 128 KiB, so that a stripe and its part of a message stay in a core's cache.
pub(crate) const STRIPE: usize = 32 * 1024;

/// Takes the parts of one version of the center variable, in order.
pub(crate) trait Reader {
    /// The next stripe.
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>);

    /// The buffers, after the last stripe.
    fn buffers(&mut self, buffers: &Arc<Buffers>);
}

/// One version of the center variable, shared with the store until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct View {
    stripes: Vec<Arc<Vec<f32>>>,
    buffers: Arc<Buffers>,
}

impl View {
    /// A view of a flat center variable.
    pub(crate) fn of(center: &[f32], buffers: &Buffers) -> Self {
        Self {
            stripes: center.chunks(STRIPE).map(|stripe| Arc::new(stripe.to_vec())).collect(),
            buffers: Arc::new(buffers.clone()),
        }
    }

    /// The flat center variable.
    pub(crate) fn to_center(&self) -> Vec<f32> {
        self.stripes.iter().flat_map(|stripe| stripe.iter().copied()).collect()
    }

    /// Gives all of it to a reader.
    pub(crate) fn give(&self, reader: &mut dyn Reader) {
        self.stripes.iter().for_each(|stripe| reader.stripe(stripe));
        reader.buffers(&self.buffers);
    }

    /// One stripe; empty where there is none.
    fn stripe_at(&self, index: usize) -> &[f32] {
        self.stripes.get(index).map_or(&[], |stripe| stripe.as_slice())
    }

    /// The buffers.
    pub(crate) fn to_buffers(&self) -> Buffers {
        Buffers::clone(&self.buffers)
    }
}

/// Gives what it reads to a reader and keeps it as well.
pub(crate) struct Tee<'a> {
    pub(crate) reader: &'a mut dyn Reader,
    pub(crate) view: &'a mut View,
}

impl Reader for Tee<'_> {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        self.reader.stripe(stripe);
        self.view.stripe(stripe);
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.reader.buffers(buffers);
        self.view.buffers(buffers);
    }
}

impl Reader for View {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        self.stripes.push(Arc::clone(stripe));
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.buffers = Arc::clone(buffers);
    }
}

/// A contribution to the center variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contribution<'a> {
    /// The message for the parameters.
    pub(crate) message: &'a [f32],
    /// The worker's buffers.
    pub(crate) buffers: &'a Buffers,
}

/// One stripe and the copy that it alternates with while somebody reads it.
#[derive(Debug)]
struct Stripe {
    current: Arc<Vec<f32>>,
    spare: Option<Arc<Vec<f32>>>,
}

impl Stripe {
    fn new(values: &[f32]) -> Self {
        Self { current: Arc::new(values.to_vec()), spare: None }
    }

    /// The current values for writing; what readers hold stays as it is.
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

/// A stripe with its part of the strategy.
struct Slot {
    stripe: Stripe,
    rule: ServerRule,
    /// The values from before the last round, where a round gives those.
    former: Option<Arc<Vec<f32>>>,
}

/// The center variable and its buffers.
pub(crate) struct Center {
    stripes: Vec<Mutex<Slot>>,
    buffers: Mutex<Arc<Buffers>>,
    /// Whether updates are committed, and not saved.
    commits: bool,
}

impl Center {
    /// A center variable that starts with these values.
    pub(crate) fn new(
        values: &[f32],
        buffers: Buffers,
        strategy: &dyn Strategy,
        workers: u32,
    ) -> Self {
        let slot = |values: &[f32]| Slot {
            stripe: Stripe::new(values),
            rule: strategy.server(values.len(), workers),
            former: None,
        };
        Self {
            stripes: values.chunks(STRIPE).map(|values| Mutex::new(slot(values))).collect(),
            buffers: Mutex::new(Arc::new(buffers)),
            commits: matches!(strategy.commit_schedule(), CommitSchedule::Window(_)),
        }
    }

    /// What a [`Turn`] visits: the stripes, and the buffers as the last one.
    pub(crate) fn stops(&self) -> usize {
        self.stripes.len() + 1
    }

    /// Reads the version of this turn.
    /// Returns how long it waited for those ahead.
    pub(crate) fn read(&self, turn: Turn, reader: &mut dyn Reader) -> Duration {
        self.walk(turn, |_, _| {}, |_| {}, Some(reader), false)
    }

    /// Reads the version of this turn, and what the rules keep at it.
    pub(crate) fn capture(&self, turn: Turn, reader: &mut dyn Reader) -> Vec<State> {
        let mut states = Vec::with_capacity(self.stripes.len());
        self.walk(turn, |_, slot| states.push(slot.rule.state()), |_| {}, Some(reader), false);
        states
    }

    /// Gives every stripe's rule what it kept.
    pub(crate) fn restore(&self, states: &[State]) -> Result<(), PsError> {
        if states.len() != self.stripes.len() {
            return Err(PsError::Checkpoint(format!(
                "it has {} stripes, not {}",
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

    /// Reads what the last round gave: the version of this turn, or that from before the round if `former`.
    pub(crate) fn read_round(&self, turn: Turn, former: bool, reader: &mut dyn Reader) -> Duration {
        self.walk(turn, |_, _| {}, |_| {}, Some(reader), former)
    }

    /// Closes a round over these contributions in its turn, and keeps what was before it if `former`.
    pub(crate) fn close_round(&self, turn: Turn, kept: &[Kept], round: &Round, former: bool) {
        let trained = || kept.iter().filter(|kept| kept.weight > 0.0);
        let mut messages: Vec<_> =
            trained().map(|kept| (kept.message.chunks(STRIPE), kept.weight)).collect();
        let mut parts = Vec::with_capacity(messages.len());
        self.walk(
            turn,
            |_, Slot { stripe, rule, former: before }| {
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
            |buffers| mean(Arc::make_mut(buffers), kept),
            None,
            false,
        );
    }

    /// Does something in a turn, between what comes before and after it.
    pub(crate) fn in_turn(mut turn: Turn, deed: impl FnOnce()) {
        if turn.enter().is_some() {
            deed();
        }
    }

    /// Applies a contribution in its turn and reads the version that results, where a reader is given.
    /// Returns how long it waited for those ahead.
    pub(crate) fn apply(
        &self,
        turn: Turn,
        contribution: Contribution<'_>,
        context: CommitContext,
        seen: Option<&View>,
        reader: Option<&mut dyn Reader>,
    ) -> Duration {
        let mut messages = contribution.message.chunks(STRIPE);
        self.walk(
            turn,
            |index, Slot { stripe, rule, .. }| {
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

    /// Visits everything in order, with denormals flushed on whichever thread it is. The reader comes after the turn has moved on, so that those behind go on meanwhile.
    fn walk(
        &self,
        mut turn: Turn,
        mut stripe: impl FnMut(usize, &mut Slot),
        mut buffers: impl FnMut(&mut Arc<Buffers>),
        mut reader: Option<&mut dyn Reader>,
        former: bool,
    ) -> Duration {
        let _flush = FlushDenormals::new();
        while let Some(index) = turn.enter() {
            if let Some(slot) = self.stripes.get(index) {
                let mut guard = slot.lock();
                stripe(index, &mut guard);
                let current = || Arc::clone(&guard.stripe.current);
                let seen = reader.is_some().then(|| match &guard.former {
                    Some(before) if former => Arc::clone(before),
                    _ => current(),
                });
                drop(guard);
                turn.leave();
                if let Some((reader, seen)) = reader.as_mut().zip(seen) {
                    reader.stripe(&seen);
                }
            } else {
                let mut guard = self.buffers.lock();
                buffers(&mut guard);
                let seen = reader.is_some().then(|| Arc::clone(&guard));
                drop(guard);
                turn.leave();
                if let Some((reader, seen)) = reader.as_mut().zip(seen) {
                    reader.buffers(&seen);
                }
            }
        }
        turn.waited()
    }
}

/// Moves floating buffers by `b += share (b_k - b)` and keeps the maximum of integer ones; replaces both where there is no
/// share.
fn merge(buffers: &mut Buffers, theirs: &Buffers, share: Option<f32>) {
    let Some(share) = share else {
        buffers.floats.copy_from_slice(&theirs.floats);
        buffers.integers.copy_from_slice(&theirs.integers);
        return;
    };
    for (b, theirs) in buffers.floats.iter_mut().zip(&theirs.floats) {
        *b += (theirs - *b) * share;
    }
    most(&mut buffers.integers, &theirs.integers);
}

/// The mean of a round's floating buffers, weighted by rows, and the maximum of integer ones. As the first one's and the
/// differences from it, so that one that all have alike stays as it is to the last bit.
fn mean(buffers: &mut Buffers, kept: &[Kept]) {
    let rows: u64 = kept.iter().map(|kept| kept.rows).sum();
    if rows == 0 {
        return;
    }
    let mut counted = kept.iter().filter(|kept| kept.rows > 0);
    let Some(first) = counted.next() else { return };
    buffers.floats.copy_from_slice(&first.buffers.floats);
    most(&mut buffers.integers, &first.buffers.integers);
    for kept in counted {
        let share = (kept.rows as f64 / rows as f64) as f32;
        let of_first = &first.buffers.floats;
        for ((b, theirs), first) in
            buffers.floats.iter_mut().zip(&kept.buffers.floats).zip(of_first)
        {
            *b += share * (theirs - first);
        }
        most(&mut buffers.integers, &kept.buffers.integers);
    }
}

fn most(integers: &mut [i64], theirs: &[i64]) {
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
        let strategy = resolve(&StrategySpec::named("downpour"), None).unwrap();
        Center::new(&vec![0.0; PARAMETERS], Buffers::default(), &*strategy, 1)
    }

    fn turn(center: &Center) -> Turn {
        Turn::behind(&mut None, center.stops())
    }

    fn commit(center: &Center, value: f32) {
        let (message, buffers) = (vec![value; PARAMETERS], Buffers::default());
        let contribution = Contribution { message: &message, buffers: &buffers };
        center.apply(turn(center), contribution, CONTEXT, None, None);
    }

    fn view(center: &Center) -> View {
        let mut view = View::default();
        center.read(turn(center), &mut view);
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
