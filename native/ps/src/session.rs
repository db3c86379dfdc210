//! One worker's side of the store, the same whether it is reached through a socket or through memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_core::{Answer, Assignment, ErrorCode, Granted, Position, Registration, Tally};

use crate::error::PsError;
use crate::store::{Activity, ClosedRound, Decided, Offer, Reader, Speaker, Store};
use crate::wire::{Flaw, Window};

/// A connection of a worker to the store. When it is dropped, the worker has a short time to come back over another one.
pub(crate) struct Session {
    store: Arc<Store>,
    id: u64,
    holder: Option<(Speaker, Arc<Activity>)>,
}

impl Session {
    /// A session in which nobody has registered yet.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self { store, id: IDS.fetch_add(1, Ordering::Relaxed), holder: None }
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Takes the lease; `patience` is asked again and again while another attempt holds it.
    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Granted, PsError> {
        let speaker = Speaker {
            worker: registration.worker,
            attempt: registration.attempt,
            session: self.id,
        };
        if let Some((known, _)) = self.holder.as_ref().filter(|(known, _)| *known != speaker) {
            return Err(PsError::Protocol(format!(
                "worker {} registers on the connection of worker {}",
                speaker.worker, known.worker
            )));
        }
        let (position, activity) = self.store.register(registration, self.id, patience)?;
        self.holder = Some((speaker, activity));
        Ok(Granted { position, workers: self.store.workers() })
    }

    /// Gives the center variable to the reader that `reader` makes of the answer.
    pub(crate) fn pull<R: Reader>(&self, reader: impl FnOnce(Decided) -> R) -> Result<R, PsError> {
        let (speaker, activity) = self.holder()?;
        self.store.pull(speaker, activity, reader)
    }

    /// Applies a window once.
    pub(crate) fn apply(&self, offer: &Offer<'_>) -> Result<Answer, PsError> {
        let (speaker, activity) = self.holder()?;
        let reader = None::<fn(Decided) -> crate::store::View>;
        self.store.apply(speaker, activity, offer, reader).map(|(answer, _)| answer)
    }

    /// Applies a window once and gives the center variable that results to the reader that `reader` makes of the answer.
    pub(crate) fn exchange<R: Reader>(
        &self,
        offer: &Offer<'_>,
        reader: impl FnOnce(Decided) -> R,
    ) -> Result<R, PsError> {
        let (speaker, activity) = self.holder()?;
        let (_, reader) = self.store.apply(speaker, activity, offer, Some(reader))?;
        reader.ok_or_else(|| PsError::Internal("an exchange gave no center variable".to_owned()))
    }

    /// Gives a window to the open round, once.
    pub(crate) fn contribute(&self, offer: &Offer<'_>) -> Result<Answer, PsError> {
        let (speaker, activity) = self.holder()?;
        self.store.contribute(speaker, activity, offer)
    }

    /// Waits until the round is closed that this contribution belongs to; `patience` is asked again and again meanwhile.
    pub(crate) fn await_round(
        &self,
        sequence: u64,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<ClosedRound, PsError> {
        let (speaker, activity) = self.holder()?;
        self.store.await_round(speaker, activity, sequence, patience)
    }

    /// What has become of the round by now: `None` while it is open.
    pub(crate) fn round(&self, sequence: u64) -> Result<Option<ClosedRound>, PsError> {
        self.store.round(self.holder()?.0, sequence)
    }

    /// Gives what a closed round gives to the reader that `reader` makes of the answer.
    pub(crate) fn take_round<R: Reader>(
        &self,
        round: ClosedRound,
        reader: impl FnOnce(Decided) -> R,
    ) -> Result<R, PsError> {
        let (_, activity) = self.holder()?;
        Ok(self.store.take_round(round, activity, reader))
    }

    /// Says what is asked of the held-out rows, and gives the frozen center variable to the reader that `reader` makes of
    /// it where they are to be scored.
    pub(crate) fn evaluate<R: Reader>(
        &self,
        reader: impl FnOnce(Answer, Assignment) -> R,
    ) -> Result<R, PsError> {
        self.store.evaluate(self.holder()?.0, reader)
    }

    /// Takes the sums over the held-out rows.
    pub(crate) fn score(&self, epoch: u32, sums: &[f64]) -> Result<Answer, PsError> {
        self.store.score(self.holder()?.0, epoch, sums)
    }

    /// Renews the lease and notes the progress of the open window.
    pub(crate) fn heartbeat(
        &self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, PsError> {
        self.store.heartbeat(self.holder()?.0, position, rows, tally)
    }

    /// Fails the fit with a number of a window's message that a shard has met.
    pub(crate) fn flawed(&self, window: &Window, flaw: Flaw) -> Result<(), PsError> {
        self.store.flawed(self.holder()?.0, window, flaw)
    }

    /// Fails the fit.
    pub(crate) fn abort(&self, code: ErrorCode, message: &str) -> Result<(), PsError> {
        let speaker = self.holder.as_ref().map(|(speaker, _)| *speaker);
        self.store.abort(speaker, code, message)
    }

    /// Gives the lease back.
    pub(crate) fn finish(&self) -> Result<(), PsError> {
        self.store.finish(self.holder()?.0)
    }

    /// Adds bytes sent or received for this session.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.store.add_bytes(bytes);
        if let Some((_, activity)) = &self.holder {
            activity.add_bytes(bytes);
        }
    }

    fn holder(&self) -> Result<(Speaker, &Activity), PsError> {
        match &self.holder {
            Some((speaker, activity)) => Ok((*speaker, activity)),
            None => Err(PsError::Protocol("a request before the registration".to_owned())),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((speaker, _)) = self.holder {
            self.store.disconnected(speaker);
        }
    }
}
