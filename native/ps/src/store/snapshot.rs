//! What the store shows of itself: the model and the state of the fit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use firesteel_core::{Buffers, Element, WorkerId};

use super::evaluation::Frozen;
use super::members::{Members, Replica};
use super::status::{ServerStatus, ServerSummary};
use super::{Store, View, name_of};
use crate::error::PsError;

impl Store {
    /// The trained center variable, its buffers and its version.
    pub(crate) fn trained(&self) -> Result<(Vec<f32>, Buffers, u64), PsError> {
        if let Some((frozen, version)) = self.restored()?
            && let Some((center, buffers)) = frozen.model()
        {
            return Ok((center, buffers, version));
        }
        let (view, version, finite) = self.view();
        finite?;
        if let Some((_, first)) = self.members.as_ref().and_then(|all| all.all().into_iter().next())
        {
            return Ok((first.parameters.to_vec(), Buffers::clone(&first.buffers), version));
        }
        Ok((view.to_center(), view.to_buffers(), version))
    }

    /// The trained models of strategies whose workers train their own, in the order of the workers; none for all others.
    pub(crate) fn members(&self) -> Result<Vec<(WorkerId, Vec<f32>, Buffers)>, PsError> {
        let best = self.restored()?.and_then(|(frozen, _)| frozen.members());
        let all = best.or_else(|| self.members.as_ref().map(Members::all)).unwrap_or_default();
        let member = |(id, replica): (WorkerId, Replica)| {
            (id, replica.parameters.to_vec(), Buffers::clone(&replica.buffers))
        };
        Ok(all.into_iter().map(member).collect())
    }

    /// The best epoch's model and its version, where that is to be given and there is one.
    fn restored(&self) -> Result<Option<(Arc<Frozen>, u64)>, PsError> {
        let control = self.control.lock();
        control.check_trained(&self.terms)?;
        Ok(control.restored())
    }

    /// The center variable and its version, trained or not.
    pub(crate) fn now(&self) -> (Vec<f32>, u64) {
        let (view, version, _) = self.view();
        (view.to_center(), version)
    }

    /// One version of the center variable, and whether it is finite.
    pub(super) fn view(&self) -> (View, u64, Result<(), PsError>) {
        let (turn, version) = self.control.lock().view(&self.terms);
        let mut view = View::default();
        self.center.read(turn, &mut view);
        let finite = match view.first_not_finite() {
            Some((index, value)) => {
                let name = name_of(&self.layout, Element::Parameter, index);
                Err(PsError::Diverged(format!(
                    "after {version} updates the center variable's '{name}' is {value}"
                )))
            }
            None => Ok(()),
        };
        (view, version, finite)
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
