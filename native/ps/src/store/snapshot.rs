//! What the store shows of itself: the model and the state of the fit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use firesteel_core::{BufferKind, Buffers, WorkerId};

use super::evaluation::Frozen;
use super::members::{Members, Replica};
use super::status::{ServerStatus, ServerSummary};
use super::{Finite, Store, View};
use crate::error::PsError;

/// For whom the other shards keep what the driver itself reads; no worker is called so.
pub(crate) const DRIVER: WorkerId = WorkerId { partition: u32::MAX, index: u32::MAX };

/// A trained model, as much of it as is here.
#[derive(Debug)]
pub(crate) struct Trained {
    /// For whom the other shards keep the rest, by the decision of this number.
    pub(crate) worker: WorkerId,
    pub(crate) ticket: u64,
    pub(crate) center: Vec<f32>,
    pub(crate) buffers: Buffers,
    pub(crate) version: u64,
}

impl Store {
    /// The trained center variable, or the first worker's where each trains its own; as much of it as is here.
    pub(crate) fn trained(&self) -> Result<Trained, PsError> {
        if let Some((frozen, version)) = self.restored()?
            && let Some((center, buffers)) = frozen.model()
        {
            self.check_finite(&center, version)?;
            // Nothing is restored where there are shards.
            return Ok(Trained { worker: DRIVER, ticket: 0, center, buffers, version });
        }
        if let Some((id, first)) =
            self.members.as_ref().and_then(|all| all.all().into_iter().next())
        {
            let (_, version, _) = self.view(DRIVER);
            return Ok(Trained { version, ..self.member(id, &first) });
        }
        let (view, version, ticket) = self.view(DRIVER);
        let center = view.to_center();
        self.check_finite(&center, version)?;
        Ok(Trained { worker: DRIVER, center, buffers: view.to_buffers(), version, ticket })
    }

    /// The trained models of strategies whose workers train their own, in the order of the workers; none for all others. As
    /// much of them as is here.
    pub(crate) fn members(&self) -> Result<Vec<Trained>, PsError> {
        let best = self.restored()?.and_then(|(frozen, _)| frozen.members());
        let all = best.or_else(|| self.members.as_ref().map(Members::all)).unwrap_or_default();
        Ok(all.iter().map(|(id, replica)| self.member(*id, replica)).collect())
    }

    fn member(&self, worker: WorkerId, replica: &Replica) -> Trained {
        let (_, version, ticket) = self.view(worker);
        let (center, buffers) = (replica.parameters.to_vec(), Buffers::clone(&replica.buffers));
        Trained { worker, center, buffers, version, ticket }
    }

    /// The best epoch's model and its version, where that is to be given and there is one.
    fn restored(&self) -> Result<Option<(Arc<Frozen>, u64)>, PsError> {
        let control = self.control.lock();
        control.check_trained(&self.terms)?;
        Ok(control.restored())
    }

    /// The center variable and its version, trained or not.
    pub(crate) fn now(&self) -> (Vec<f32>, u64) {
        let (view, version, _) = self.view(DRIVER);
        (view.to_center(), version)
    }

    /// One version of the center variable and the number of the decision by which the other shards keep it for `worker`.
    pub(super) fn view(&self, worker: WorkerId) -> (View, u64, u64) {
        let (turn, version, ticket) = self.control.lock().view(&self.terms, worker);
        let mut view = View::default();
        self.center.read(turn, &mut view);
        (view, version, ticket)
    }

    /// Fails unless all parameters are finite.
    pub(crate) fn check_finite(&self, center: &[f32], version: u64) -> Result<(), PsError> {
        match Finite::of(center).first_other(center) {
            Some(index) => Err(PsError::Diverged(format!(
                "after {version} updates the center variable's {}",
                self.says(BufferKind::Parameter, index, center[index])
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn status(&self, port: u16) -> ServerStatus {
        let bytes = self.bytes.load(Ordering::Relaxed);
        // A closed server's state is shown all the same.
        let _closed = self.advance();
        let mut control = self.control.lock();
        control.check_start(&self.terms, Instant::now());
        control.status(&self.terms, port, bytes, Instant::now())
    }

    pub(crate) fn summary(&self) -> ServerSummary {
        self.control.lock().summary(&self.terms)
    }
}
