//! The leases of workers.

use std::sync::Arc;
use std::time::Instant;

use firesteel_core::{Answer, Position, Registration, Tally, WorkerId};

use super::{Control, LeaseHolder, RegisterOutcome};
use crate::error::PsError;
use crate::model::{Decision, EARLIER_ATTEMPT};
use crate::store::terms::Terms;
use crate::store::worker::{Lease, WorkerRecord};

impl Control {
    /// Grants the lease if no other attempt holds it.
    pub(crate) fn register(
        &mut self,
        terms: &Terms,
        registration: &Registration,
        session: u64,
        now: Instant,
    ) -> Result<RegisterOutcome, PsError> {
        let Registration { worker: id, attempt, .. } = *registration;
        if self.ended.get(&id.partition).is_some_and(|ended| ended.contains(&attempt)) {
            return Err(fenced(id, attempt, "Spark reported it ended"));
        }
        if !self.workers.contains_key(&id) {
            if self.workers.len() >= terms.workers as usize {
                return Err(PsError::Protocol(format!(
                    "worker {id} exceeds the fit's {} workers",
                    terms.workers
                )));
            }
            self.workers.insert(id, WorkerRecord::new(*registration, terms.epochs));
        }
        let others = self.epoch_of_others(id);
        let Some(worker) = self.workers.get_mut(&id) else {
            return Err(PsError::Internal(format!("worker {id} was not recorded")));
        };
        if worker.registration.attempt > attempt {
            return Err(fenced(
                id,
                attempt,
                &format!("attempt {} has taken over", worker.registration.attempt),
            ));
        }
        let newer = worker.registration.attempt < attempt;
        if newer
            && (worker.is_live(now, terms.lease)
                || worker.waiting.last().is_some_and(|&last| last > attempt))
        {
            worker.waiting.insert(attempt);
            return Ok(RegisterOutcome::Held);
        }
        let known = worker.registration;
        if !newer && known != *registration {
            return Err(PsError::Protocol(format!(
                "worker {id}: attempt {attempt} registered again with other rows"
            )));
        }
        let mut changed = None;
        worker.waiting.remove(&attempt);
        worker.started = true;
        worker.lease = Some(Lease { attempt, session, seen: now, closed: None });
        worker.absent = None;
        if newer {
            worker.last = (0, Answer::default());
            worker.open = (0, Tally::default());
            worker.pending = None;
            worker.unread_round = false;
            if let Some((position, rows, tally)) =
                worker.replace(*registration, terms.epochs, others)
            {
                if let Some(total) = self.epochs.get_mut(position.epoch as usize) {
                    total.rows -= rows;
                    total.tally.add(Tally { loss: -tally.loss, weight: -tally.weight });
                }
                let before = match known.attempt {
                    EARLIER_ATTEMPT => "the interrupted fit".to_owned(),
                    attempt => format!("attempt {attempt}"),
                };
                let difference = match (registration.rows, known.rows) {
                    (new, old) if new == old => format!("{new} rows with other contents"),
                    (new, old) => format!("{new} rows instead of {old}"),
                };
                let warning = format!(
                    "worker {id}: attempt {attempt} reads different rows than {before}: {difference}. Epoch {} of this \
                     worker starts again after {rows} rows had been applied",
                    position.epoch
                );
                changed = Some(warning);
            }
        }
        let granted = RegisterOutcome::Granted(worker.position, Arc::clone(&worker.activity));
        if newer {
            self.decide(|| Decision::Forget { worker: id, attempt: known.attempt });
        }
        if let Some(warning) = changed {
            self.warn(warning);
        }
        self.start_clock(terms.max_duration, now);
        Ok(granted)
    }

    /// The epoch of the least advanced of the other workers that have rows.
    fn epoch_of_others(&self, id: WorkerId) -> u32 {
        let others = self
            .workers
            .iter()
            .filter(|(other, worker)| **other != id && worker.registration.batches > 0);
        others.map(|(_, worker)| worker.position.epoch).min().unwrap_or(0)
    }

    /// Removes an attempt from those that wait for a lease.
    pub(crate) fn leave(&mut self, worker: WorkerId, attempt: i64) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.waiting.remove(&attempt);
        }
    }

    /// Ends the leases of an attempt that Spark reported ended.
    pub(crate) fn attempt_ended(&mut self, partition: u32, attempt: i64) {
        self.ended.entry(partition).or_default().insert(attempt);
        let of_partition =
            WorkerId { partition, index: 0 }..=WorkerId { partition, index: u32::MAX };
        let mut ended = Vec::new();
        for (id, worker) in self.workers.range_mut(of_partition) {
            if worker.lease.as_ref().is_some_and(|lease| lease.attempt == attempt) {
                worker.lease = None;
                worker.pending = None;
                ended.push(*id);
            }
        }
        for worker in ended {
            self.decide(|| Decision::Forget { worker, attempt });
        }
    }

    /// Starts the grace period of a lease whose connection was closed.
    pub(crate) fn disconnected(&mut self, holder: LeaseHolder, now: Instant) {
        if let Some(lease) =
            self.workers.get_mut(&holder.worker).and_then(|worker| worker.lease.as_mut())
            && lease.session == holder.session
        {
            lease.closed = Some(now);
        }
    }

    /// Renews the lease and records the progress of the open window.
    pub(crate) fn heartbeat(
        &mut self,
        holder: LeaseHolder,
        position: Position,
        rows: u64,
        tally: Tally,
        now: Instant,
    ) -> Result<Answer, PsError> {
        let worker = self.leased_worker(holder, now)?;
        if position < worker.position {
            return Err(PsError::Protocol(format!(
                "worker {}: a heartbeat from before its last commit",
                holder.worker
            )));
        }
        worker.open = (rows, tally);
        Ok(self.answer(holder.worker, 0))
    }

    /// Renews the lease while its holder waits inside the server.
    pub(crate) fn renew(&mut self, holder: LeaseHolder, now: Instant) -> Result<(), PsError> {
        self.leased_worker(holder, now).map(|_| ())
    }

    /// Releases the lease of a worker that has finished.
    pub(crate) fn finish(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        now: Instant,
    ) -> Result<(), PsError> {
        if self
            .workers
            .get(&holder.worker)
            .is_some_and(|worker| worker.finished && worker.registration.attempt == holder.attempt)
        {
            return Ok(());
        }
        let stop = self.is_stopping();
        let worker = self.leased_worker(holder, now)?;
        if worker.position.epoch < terms.epochs && !stop {
            return Err(PsError::Protocol(format!(
                "worker {} finished too early, at epoch {} mini-batch {} of {} epochs",
                holder.worker, worker.position.epoch, worker.position.batch, terms.epochs
            )));
        }
        worker.finished = true;
        worker.lease = None;
        worker.pending = None;
        Ok(())
    }

    /// Returns the worker of a lease holder, and renews the lease. Fails if the attempt no longer holds it.
    pub(super) fn leased_worker(
        &mut self,
        holder: LeaseHolder,
        now: Instant,
    ) -> Result<&mut WorkerRecord, PsError> {
        let LeaseHolder { worker: id, attempt, session } = holder;
        self.check_time(now);
        let Some(worker) = self.workers.get_mut(&id) else {
            return Err(PsError::Internal(format!(
                "worker {id} sent a request before registering"
            )));
        };
        let newest = worker.registration.attempt;
        match &mut worker.lease {
            Some(lease) if lease.attempt == attempt => {
                lease.seen = now;
                if lease.session == session {
                    lease.closed = None;
                }
                Ok(worker)
            }
            _ if newest > attempt => {
                Err(fenced(id, attempt, &format!("attempt {newest} has taken over")))
            }
            _ if worker.finished => Err(fenced(id, attempt, "the worker has finished")),
            _ => Err(fenced(id, attempt, "Spark reported it ended")),
        }
    }
}

fn fenced(worker: WorkerId, attempt: i64, reason: &str) -> PsError {
    PsError::Fenced { worker, attempt, reason: reason.to_owned() }
}
