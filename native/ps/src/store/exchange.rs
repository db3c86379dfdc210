//! Pulls and updates: the operations of workers on the center variable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::strategy::CommitContext;
use firesteel_core::{Answer, BufferKind};

use super::{Activity, Center, DecidedAnswer, FailOnPanic, LeaseHolder, Store, Update};
use crate::error::PsError;
use crate::metrics;
use crate::model::{CenterReader, CenterView, FiniteCheck, TeeReader};
use crate::store::control::{Admission, CheckedUpdate};
use crate::store::permits::ApplyPermit;

impl Store {
    /// Renews the worker's lease and waits for a permit; returns the permit and the time at which it was granted.
    fn acquire_permit(
        &self,
        holder: LeaseHolder,
        now: Instant,
    ) -> Result<(ApplyPermit<'_>, Instant), PsError> {
        self.open()?.renew(holder, now)?;
        let permit = self.permits.acquire();
        Ok((permit, Instant::now()))
    }

    /// Passes the current version of the center variable to the reader that `reader` builds from the answer.
    pub(crate) fn pull<R: CenterReader>(
        &self,
        holder: LeaseHolder,
        activity: &Activity,
        reader: impl FnOnce(DecidedAnswer) -> R,
    ) -> Result<R, PsError> {
        let start = Instant::now();
        let (_permit, entered) = self.acquire_permit(holder, start)?;
        let (mut ticket, decided) = self.open()?.pull(&self.terms, holder, entered)?;
        metrics::count_pull();
        let mut reader = reader(decided);
        let own = self.replicas.as_ref().and_then(|replicas| {
            // By ticket, so that the replica that this worker's last attempt saved is present.
            ticket.wait();
            replicas.find(holder.worker)
        });
        let waited = match own {
            Some(own) => {
                own.read(&mut reader);
                ticket.waited()
            }
            None => {
                self.read_and_remember(activity, decided.answer.version, &mut reader, |reader| {
                    self.center.read(ticket, reader)
                })
            }
        };
        activity.add_times((entered - start) + waited, start.elapsed());
        Ok(reader)
    }

    /// Applies an update exactly once. With `reader`, passes the resulting version to the reader that it builds from
    /// the answer.
    pub(crate) fn apply<R: CenterReader>(
        &self,
        holder: LeaseHolder,
        activity: &Activity,
        update: &Update<'_>,
        reader: Option<impl FnOnce(DecidedAnswer) -> R>,
    ) -> Result<(Answer, Option<R>), PsError> {
        let Update { kind, window, contribution, .. } = update;
        let start = Instant::now();
        let checked = CheckedUpdate {
            kind: *kind,
            window,
            finite: self.check_numbers(update),
            pull: reader.is_some(),
        };
        let checked_at = Instant::now();
        let (permit, entered) = self.acquire_permit(holder, checked_at)?;
        let admission = self.open()?.admit(&self.terms, holder, checked, entered)?;
        // Bindings drop in reverse order: on a panic our ticket must be released before the freeze ticket that waits
        // for it.
        let (freeze, decided, ticket) = match admission {
            Admission::Apply(ticket, decided, freeze) => (freeze, decided, ticket),
            Admission::Repeat(answer) => {
                drop(permit);
                let reader = match reader {
                    Some(reader) => Some(self.pull(holder, activity, |now| {
                        let answer = Answer { version: now.answer.version, ..answer };
                        reader(DecidedAnswer { answer, ..now })
                    })?),
                    None => None,
                };
                return Ok((answer, reader));
            }
        };
        let answer = decided.answer;
        metrics::count_commit(answer.staleness, window.span.rows, reader.is_some());
        metrics::count_compression(&self.codecs, window.distortion);
        let context = CommitContext { staleness: answer.staleness, workers: self.terms.workers };
        let mut reader = reader.map(|reader| reader(decided));
        let failure = FailOnPanic(self);
        let waited = match (&self.replicas, &mut reader) {
            (Some(replicas), _) => {
                Center::with_ticket(ticket, || replicas.save(holder.worker, *contribution));
                Duration::ZERO
            }
            (None, reader) => {
                let seen = self
                    .initial
                    .as_ref()
                    .map(|initial| activity.last_pull().unwrap_or_else(|| Arc::clone(initial)));
                let apply = |target: Option<&mut dyn CenterReader>| {
                    self.center.apply(ticket, *contribution, context, seen.as_deref(), target)
                };
                match reader {
                    Some(reader) => {
                        self.read_and_remember(activity, answer.version, reader, |reader| {
                            apply(Some(reader))
                        })
                    }
                    None => apply(None),
                }
            }
        };
        drop(failure);
        drop(permit);
        if let Some(freeze) = freeze {
            self.freeze(freeze);
        }
        activity.add_times((entered - checked_at) + waited, start.elapsed());
        Ok((answer, reader))
    }

    /// Runs `read`, and remembers the version read if the strategy needs the worker's last pull.
    fn read_and_remember<R: CenterReader>(
        &self,
        activity: &Activity,
        version: u64,
        reader: &mut R,
        read: impl FnOnce(&mut dyn CenterReader) -> Duration,
    ) -> Duration {
        if self.initial.is_none() {
            return read(reader);
        }
        let mut view = CenterView::default();
        let waited = read(&mut TeeReader { reader, view: &mut view });
        activity.remember_pull(version, view);
        waited
    }

    /// Fails with the name of the first number of an update that is NaN or infinite.
    pub(super) fn check_numbers(&self, update: &Update<'_>) -> Result<(), String> {
        let Update { window, contribution, finite, .. } = update;
        if !window.tally.loss.is_finite() || !window.tally.weight.is_finite() {
            return Err(format!("the loss is {}", window.tally.loss));
        }
        let name = |index, values: &[f32], kind| {
            self.describe_element(kind, index, values.get(index).copied().unwrap_or(f32::NAN))
        };
        if let Some(index) = finite.first_non_finite(contribution.message) {
            let name = name(index, contribution.message, BufferKind::Parameter);
            return Err(format!("the update of {name}"));
        }
        let floats = &contribution.buffers.floats;
        match FiniteCheck::of(floats).first_non_finite(floats) {
            Some(index) => {
                Err(format!("the buffer {}", name(index, floats, BufferKind::FloatBuffer)))
            }
            None => Ok(()),
        }
    }
}
