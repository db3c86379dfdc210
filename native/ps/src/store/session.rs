//! A worker's session with the store, which is the same over sockets and over memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_core::{Answer, Assignment, ErrorCode, Granted, Position, Registration, Tally};

use crate::error::PsError;
use crate::model::{CenterReader, Flaw, WindowReport};
use crate::store::{Activity, ClosedRound, DecidedAnswer, LeaseHolder, Store, Update};

/// A worker's connection to the store. After it is dropped, the worker has a short time to reconnect.
pub(crate) struct WorkerSession {
    store: Arc<Store>,
    id: u64,
    lease: Option<(LeaseHolder, Arc<Activity>)>,
}

impl WorkerSession {
    /// Creates a session without a registered worker.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self { store, id: IDS.fetch_add(1, Ordering::Relaxed), lease: None }
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Takes the lease; `keep_waiting` is called repeatedly while another attempt holds it.
    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Granted, PsError> {
        let holder = LeaseHolder {
            worker: registration.worker,
            attempt: registration.attempt,
            session: self.id,
        };
        if let Some((known, _)) = self.lease.as_ref().filter(|(known, _)| *known != holder) {
            return Err(PsError::Protocol(format!(
                "worker {} registers on the connection of worker {}",
                holder.worker, known.worker
            )));
        }
        let (position, activity) = self.store.register(registration, self.id, keep_waiting)?;
        tracing::debug!(
            epoch = position.epoch,
            batch = position.batch,
            "worker {} has its lease as attempt {}",
            holder.worker,
            holder.attempt
        );
        self.lease = Some((holder, activity));
        Ok(Granted { position, workers: self.store.workers() })
    }

    /// Passes the center variable to the reader that `reader` builds from the answer.
    pub(crate) fn pull<R: CenterReader>(
        &self,
        reader: impl FnOnce(DecidedAnswer) -> R,
    ) -> Result<R, PsError> {
        let (holder, activity) = self.lease()?;
        self.store.pull(holder, activity, reader)
    }

    /// Applies an update exactly once.
    pub(crate) fn apply(&self, update: &Update<'_>) -> Result<Answer, PsError> {
        let (holder, activity) = self.lease()?;
        let reader = None::<fn(DecidedAnswer) -> crate::model::CenterView>;
        self.store.apply(holder, activity, update, reader).map(|(answer, _)| answer)
    }

    /// Applies an update exactly once, and passes the resulting center variable to the reader that `reader` builds from
    /// the answer.
    pub(crate) fn exchange<R: CenterReader>(
        &self,
        update: &Update<'_>,
        reader: impl FnOnce(DecidedAnswer) -> R,
    ) -> Result<R, PsError> {
        let (holder, activity) = self.lease()?;
        let (_, reader) = self.store.apply(holder, activity, update, Some(reader))?;
        reader
            .ok_or_else(|| PsError::Internal("an exchange returned no center variable".to_owned()))
    }

    /// Adds an update to the open round, exactly once.
    pub(crate) fn contribute(&self, update: &Update<'_>) -> Result<Answer, PsError> {
        let (holder, activity) = self.lease()?;
        self.store.contribute(holder, activity, update)
    }

    /// Waits until the round of a contribution is closed; `keep_waiting` is called repeatedly meanwhile.
    pub(crate) fn await_round(
        &self,
        sequence: u64,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<ClosedRound, PsError> {
        let (holder, activity) = self.lease()?;
        self.store.await_round(holder, activity, sequence, keep_waiting)
    }

    /// Returns the round of a contribution if it is closed; `None` while it is open.
    pub(crate) fn round(&self, sequence: u64) -> Result<Option<ClosedRound>, PsError> {
        self.store.round(self.lease()?.0, sequence)
    }

    /// Passes the result of a closed round to the reader that `reader` builds from the answer.
    pub(crate) fn take_round<R: CenterReader>(
        &self,
        round: ClosedRound,
        reader: impl FnOnce(DecidedAnswer) -> R,
    ) -> Result<R, PsError> {
        let (_, activity) = self.lease()?;
        Ok(self.store.take_round(round, activity, reader))
    }

    /// Returns the worker's evaluation assignment. If rows are due, streams the frozen model into the reader that
    /// `reader` builds.
    pub(crate) fn evaluate<R: CenterReader>(
        &self,
        reader: impl FnOnce(Answer, Assignment) -> R,
    ) -> Result<R, PsError> {
        self.store.evaluate(self.lease()?.0, reader)
    }

    /// Stores the sums over the worker's held-out rows.
    pub(crate) fn score(&self, epoch: u32, sums: &[f64]) -> Result<Answer, PsError> {
        self.store.score(self.lease()?.0, epoch, sums)
    }

    /// Renews the lease and records the progress of the open window.
    pub(crate) fn heartbeat(
        &self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, PsError> {
        self.store.heartbeat(self.lease()?.0, position, rows, tally)
    }

    /// Fails the fit because a shard found a number that is not finite in a window's message.
    pub(crate) fn flawed(&self, window: &WindowReport, flaw: Flaw) -> Result<(), PsError> {
        self.store.flawed(self.lease()?.0, window, flaw)
    }

    /// Fails the fit.
    pub(crate) fn abort(&self, code: ErrorCode, message: &str) -> Result<(), PsError> {
        let holder = self.lease.as_ref().map(|(holder, _)| *holder);
        self.store.abort(holder, code, message)
    }

    /// Releases the lease of a worker that has finished.
    pub(crate) fn finish(&self) -> Result<(), PsError> {
        self.store.finish(self.lease()?.0)
    }

    /// Adds bytes sent or received for this session.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.store.add_bytes(bytes);
        if let Some((_, activity)) = &self.lease {
            activity.add_bytes(bytes);
        }
    }

    fn lease(&self) -> Result<(LeaseHolder, &Activity), PsError> {
        match &self.lease {
            Some((holder, activity)) => Ok((*holder, activity)),
            None => Err(PsError::Protocol("a request before the registration".to_owned())),
        }
    }
}

impl Drop for WorkerSession {
    fn drop(&mut self) {
        if let Some((holder, _)) = self.lease {
            self.store.disconnected(holder);
        }
    }
}
