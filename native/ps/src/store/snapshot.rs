//! Read access to the store: the model and the state of the fit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use firesteel_core::{BufferKind, Buffers, WorkerId};

use super::Store;
use super::replicas::{Replica, SavedReplicas};
use crate::error::PsError;
use crate::model::status::{ServerStatus, ServerSummary};
use crate::model::{CenterView, DRIVER, FiniteCheck};
use crate::store::frozen::FrozenModel;

/// A trained model, or the range of it that this store holds.
#[derive(Debug)]
pub(crate) struct Trained {
    /// The worker, or the driver, for which the other shards hold the rest by the decision of this number.
    pub(crate) worker: WorkerId,
    pub(crate) decision: u64,
    pub(crate) center: Vec<f32>,
    pub(crate) buffers: Buffers,
    pub(crate) version: u64,
}

impl Store {
    /// Returns the trained center variable, or the first worker's model if each trains its own; only this store's range
    /// of it.
    pub(crate) fn trained(&self) -> Result<Trained, PsError> {
        if let Some((frozen, version)) = self.restored()?
            && let Some((center, buffers)) = frozen.model()
        {
            self.check_finite(&center, version)?;
            // With shards, no epoch is restored.
            return Ok(Trained { worker: DRIVER, decision: 0, center, buffers, version });
        }
        if let Some((id, first)) =
            self.replicas.as_ref().and_then(|all| all.all().into_iter().next())
        {
            let (_, version, _) = self.view(DRIVER);
            return Ok(Trained { version, ..self.member(id, &first) });
        }
        let (view, version, decision) = self.view(DRIVER);
        let center = view.to_center();
        self.check_finite(&center, version)?;
        Ok(Trained { worker: DRIVER, center, buffers: view.to_buffers(), version, decision })
    }

    /// Returns the trained models of strategies whose workers train their own, in the order of the workers; empty for
    /// all others. Only this store's range of them.
    pub(crate) fn members(&self) -> Result<Vec<Trained>, PsError> {
        let best = self.restored()?.and_then(|(frozen, _)| frozen.members());
        let all =
            best.or_else(|| self.replicas.as_ref().map(SavedReplicas::all)).unwrap_or_default();
        Ok(all.iter().map(|(id, replica)| self.member(*id, replica)).collect())
    }

    fn member(&self, worker: WorkerId, replica: &Replica) -> Trained {
        let (_, version, decision) = self.view(worker);
        let (center, buffers) = (replica.parameters.to_vec(), Buffers::clone(&replica.buffers));
        Trained { worker, center, buffers, version, decision }
    }

    /// Returns the model of the best epoch and its version, if it is to be restored.
    fn restored(&self) -> Result<Option<(Arc<FrozenModel>, u64)>, PsError> {
        let control = self.control.lock();
        control.check_trained(&self.terms)?;
        Ok(control.restored())
    }

    /// Returns the center variable and its version, trained or not.
    pub(crate) fn now(&self) -> (Vec<f32>, u64) {
        let (view, version, _) = self.view(DRIVER);
        (view.to_center(), version)
    }

    /// Returns one version of the center variable, its number, and the number of the decision by which the other shards
    /// hold it for `worker`.
    pub(super) fn view(&self, worker: WorkerId) -> (CenterView, u64, u64) {
        let (ticket, version, decision) = self.control.lock().view(&self.terms, worker);
        let mut view = CenterView::default();
        self.center.read(ticket, &mut view);
        (view, version, decision)
    }

    /// Fails if a parameter is not finite.
    pub(crate) fn check_finite(&self, center: &[f32], version: u64) -> Result<(), PsError> {
        match FiniteCheck::of(center).first_non_finite(center) {
            Some(index) => Err(PsError::Diverged(format!(
                "after {version} updates the center variable's {}",
                self.describe_element(BufferKind::Parameter, index, center[index])
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn status(&self, port: u16) -> ServerStatus {
        let bytes = self.bytes.load(Ordering::Relaxed);
        // The state of a closed server is reported as well.
        let _closed = self.advance();
        let mut control = self.control.lock();
        control.check_start(&self.terms, Instant::now());
        control.status(&self.terms, port, bytes, Instant::now())
    }

    pub(crate) fn summary(&self) -> ServerSummary {
        self.control.lock().summary(&self.terms)
    }
}
