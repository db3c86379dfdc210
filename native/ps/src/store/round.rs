//! Contributions to rounds, and the wait for the end of a round.

use std::time::{Duration, Instant};

use firesteel_core::clipping::Bound;
use firesteel_core::spec::ClippingSpec;
use firesteel_core::strategy::{Part, Round, weighted_mean};
use firesteel_core::{Answer, FlushDenormals};

use super::{DecidedAnswer, FailOnPanic, LeaseHolder, Store, Update};
use crate::error::PsError;
use crate::metrics;
use crate::model::{CenterReader, KEEP_WAITING_INTERVAL};
use crate::store::contribution::RoundContribution;
use crate::store::control::{CheckedUpdate, ClosingRound};
use crate::store::ticket::Ticket;
use crate::store::worker::Activity;

/// A closed round whose result one worker may read, with the ticket to read it.
#[derive(Debug)]
pub(crate) struct ClosedRound {
    ticket: Ticket,
    decided: DecidedAnswer,
}

impl Store {
    /// Adds an update to the open round exactly once, and closes the round if no other contribution is missing.
    pub(crate) fn contribute(
        &self,
        holder: LeaseHolder,
        activity: &Activity,
        update: &Update<'_>,
    ) -> Result<Answer, PsError> {
        let start = Instant::now();
        let Update { kind, window, contribution, .. } = update;
        let mut copy = self.spare.lock().pop().unwrap_or_default();
        copy.message.clear();
        copy.message.extend_from_slice(contribution.message);
        copy.buffers.clone_from(contribution.buffers);
        let checked =
            CheckedUpdate { kind: *kind, window, finite: self.check_numbers(update), pull: false };
        let (answer, new) =
            self.open()?.contribute(&self.terms, holder, checked, copy, Instant::now())?;
        if new {
            metrics::count_commit(0, window.span.rows, false);
            metrics::count_compression(&self.codecs, window.distortion);
        }
        self.close_due_round()?;
        activity.add_times(Duration::ZERO, start.elapsed());
        Ok(answer)
    }

    /// Waits until the round of a contribution is closed, for as long as `keep_waiting` succeeds.
    pub(crate) fn await_round(
        &self,
        holder: LeaseHolder,
        activity: &Activity,
        sequence: u64,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<ClosedRound, PsError> {
        let start = Instant::now();
        loop {
            self.close_due_round()?;
            let mut control = self.open()?;
            if let Some((ticket, decided)) =
                control.round(&self.terms, holder, sequence, Instant::now())?
            {
                activity.add_times(start.elapsed(), start.elapsed());
                return Ok(ClosedRound { ticket, decided });
            }
            self.released.wait_for(&mut control, KEEP_WAITING_INTERVAL);
            drop(control);
            keep_waiting()?;
        }
    }

    /// Returns the round of a contribution if it is closed; `None` while it is open.
    pub(crate) fn round(
        &self,
        holder: LeaseHolder,
        sequence: u64,
    ) -> Result<Option<ClosedRound>, PsError> {
        self.close_due_round()?;
        let closed = self.open()?.round(&self.terms, holder, sequence, Instant::now())?;
        Ok(closed.map(|(ticket, decided)| ClosedRound { ticket, decided }))
    }

    /// Passes the result of a closed round to the reader that `reader` builds from the answer.
    pub(crate) fn take_round<R: CenterReader>(
        &self,
        round: ClosedRound,
        activity: &Activity,
        reader: impl FnOnce(DecidedAnswer) -> R,
    ) -> R {
        let start = Instant::now();
        metrics::count_pull();
        let mut reader = reader(round.decided);
        let former = self.terms.protocol.returns_former_center();
        let waited = self.center.read_round(round.ticket, former, &mut reader);
        activity.add_times(waited, start.elapsed());
        reader
    }

    /// Closes the open round if no contribution is missing.
    fn close_due_round(&self) -> Result<(), PsError> {
        let Some(closing) = self.open()?.close_round(&self.terms, Instant::now()) else {
            return Ok(());
        };
        // Waiting workers take their tickets behind the round's.
        self.released.notify_all();
        let failure = FailOnPanic(self);
        // Bindings drop in reverse order: on a panic our ticket must be released before the freeze ticket that waits for it.
        let ClosingRound { freeze, contributions, learning_rate, ticket } = closing;
        let clipped = self.terms.protocol.steps_on_server();
        let bound = if clipped { bound(&self.terms.clipping, &contributions) } else { Bound::NONE };
        let round = Round { learning_rate, bound };
        let former = self.terms.protocol.returns_former_center();
        self.center.close_round(ticket, &contributions, &round, former);
        drop(failure);
        if let Some(freeze) = freeze {
            self.freeze(freeze);
        }
        self.spare.lock().extend(contributions);
        Ok(())
    }
}

/// Returns the clipping bound of a round's mean gradient. Clipping by norm needs the whole mean before the first stripe
/// is clipped.
fn bound(clipping: &ClippingSpec, contributions: &[RoundContribution]) -> Bound {
    let _flush = FlushDenormals::new();
    let trained = contributions.iter().filter(|one| one.weight > 0.0);
    let parts: Vec<Part<'_>> =
        trained.map(|one| Part { message: &one.message, weight: one.weight }).collect();
    let length = parts.first().filter(|_| clipping.norm.is_some()).map(|part| part.message.len());
    let mut mean = vec![0.0; length.unwrap_or(0)];
    if !mean.is_empty() {
        weighted_mean(&parts, &mut mean);
    }
    Bound::of(clipping, std::iter::once(mean.as_mut_slice()))
}
