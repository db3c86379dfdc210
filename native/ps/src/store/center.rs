//! The center variable in stripes, and its buffers.
//!
//! A reader takes references to the stripes of one version, without a copy. A commit that meets a stripe which somebody still reads
//! writes to a second copy of it, so that neither a slow reader nor a slow connection ever holds up a commit.

use std::sync::Arc;
use std::time::Duration;

use firesteel_core::Buffers;
use firesteel_core::strategy::{CommitContext, Rhythm, ServerRule};
use parking_lot::Mutex;

use crate::store::finite::Finite;
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
    /// The flat center variable.
    pub(crate) fn to_center(&self) -> Vec<f32> {
        self.stripes.iter().flat_map(|stripe| stripe.iter().copied()).collect()
    }

    /// The index and value of the first parameter that is NaN or infinite.
    pub(crate) fn first_not_finite(&self) -> Option<(usize, f32)> {
        let mut offset = 0;
        for stripe in &self.stripes {
            if let Some(index) = Finite::of(stripe).first_other(stripe) {
                return Some((offset + index, stripe[index]));
            }
            offset += stripe.len();
        }
        None
    }

    /// The buffers.
    pub(crate) fn to_buffers(&self) -> Buffers {
        Buffers::clone(&self.buffers)
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

/// The center variable and its buffers.
pub(crate) struct Center {
    stripes: Vec<Mutex<Stripe>>,
    buffers: Mutex<Arc<Buffers>>,
    rule: Box<dyn ServerRule>,
    rhythm: Rhythm,
}

impl Center {
    /// A center variable that starts with these values.
    pub(crate) fn new(
        values: &[f32],
        buffers: Buffers,
        rule: Box<dyn ServerRule>,
        rhythm: Rhythm,
    ) -> Self {
        Self {
            stripes: values.chunks(STRIPE).map(|values| Mutex::new(Stripe::new(values))).collect(),
            buffers: Mutex::new(Arc::new(buffers)),
            rule,
            rhythm,
        }
    }

    /// What a [`Turn`] visits: the stripes, and the buffers as the last one.
    pub(crate) fn stops(&self) -> usize {
        self.stripes.len() + 1
    }

    /// Reads the version of this turn.
    /// Returns how long it waited for those ahead.
    pub(crate) fn read(&self, turn: Turn, reader: &mut dyn Reader) -> Duration {
        self.walk(turn, |_| {}, |_| {}, Some(reader))
    }

    /// Applies a contribution in its turn and reads the version that results, where a reader is given.
    /// Returns how long it waited for those ahead.
    pub(crate) fn apply(
        &self,
        turn: Turn,
        contribution: Contribution<'_>,
        context: CommitContext,
        reader: Option<&mut dyn Reader>,
    ) -> Duration {
        let mut messages = contribution.message.chunks(STRIPE);
        self.walk(
            turn,
            |stripe| {
                if let Some(message) = messages.next() {
                    self.rule.apply(stripe.write(), message, context);
                }
            },
            |buffers| {
                merge(Arc::make_mut(buffers), contribution.buffers, self.rhythm, context.workers)
            },
            reader,
        )
    }

    /// Visits everything in order. The reader comes after the turn has moved on, so that it holds nobody up.
    fn walk(
        &self,
        mut turn: Turn,
        mut stripe: impl FnMut(&mut Stripe),
        mut buffers: impl FnMut(&mut Arc<Buffers>),
        mut reader: Option<&mut dyn Reader>,
    ) -> Duration {
        while let Some(index) = turn.enter() {
            if let Some(slot) = self.stripes.get(index) {
                let mut guard = slot.lock();
                stripe(&mut guard);
                let seen = reader.is_some().then(|| Arc::clone(&guard.current));
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

/// A commit moves floating buffers by `b += (b_k - b)/p` and keeps the maximum of integer ones; a save replaces both.
fn merge(buffers: &mut Buffers, theirs: &Buffers, rhythm: Rhythm, workers: u32) {
    match rhythm {
        Rhythm::Batches(_) => {
            let share = 1.0 / workers.max(1) as f32;
            for (b, theirs) in buffers.floats.iter_mut().zip(&theirs.floats) {
                *b += (theirs - *b) * share;
            }
            for (b, theirs) in buffers.integers.iter_mut().zip(&theirs.integers) {
                *b = (*b).max(*theirs);
            }
        }
        Rhythm::Save => {
            buffers.floats.copy_from_slice(&theirs.floats);
            buffers.integers.copy_from_slice(&theirs.integers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    /// `c += d`.
    struct Add;

    impl ServerRule for Add {
        fn apply(&self, center: &mut [f32], message: &[f32], _: CommitContext) {
            center.iter_mut().zip(message).for_each(|(c, d)| *c += d);
        }
    }

    const PARAMETERS: usize = 2 * STRIPE + 5;
    const CONTEXT: CommitContext = CommitContext { staleness: 0, workers: 1 };

    fn center() -> Center {
        let rhythm = Rhythm::Batches(NonZeroU32::MIN);
        Center::new(&vec![0.0; PARAMETERS], Buffers::default(), Box::new(Add), rhythm)
    }

    fn turn(center: &Center) -> Turn {
        Turn::behind(&mut None, center.stops())
    }

    fn commit(center: &Center, value: f32) {
        let (message, buffers) = (vec![value; PARAMETERS], Buffers::default());
        let contribution = Contribution { message: &message, buffers: &buffers };
        center.apply(turn(center), contribution, CONTEXT, None);
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
        let address = |center: &Center| center.stripes[0].lock().current.as_ptr();
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
