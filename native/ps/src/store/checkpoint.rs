//! The conversion of a store to a checkpoint and back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, ParamLayout};

use super::control::SavedEvaluations;
use super::replicas::SavedReplicas;
use super::{Contribution, Store};
use crate::error::PsError;
use crate::model::checkpoint::{Checkpoint, Owner, WorkerModel};
use crate::model::{CenterView, STRIPE};
use crate::store::frozen::FrozenModel;

impl Store {
    /// Returns one version of the state that another process needs to resume the fit. Workers proceed meanwhile: while
    /// the ticket is held, only the state of the rules is copied, not the center variable.
    pub(crate) fn checkpoint(&self, fingerprint: &str) -> Result<Checkpoint, PsError> {
        self.check_whole()?;
        let bytes = self.bytes.load(Ordering::Relaxed);
        let (progress, evaluations, mut ticket) =
            self.open()?.saved(&self.terms, bytes, Instant::now())?;
        ticket.wait();
        let members = self.replicas.as_ref().map(SavedReplicas::all).unwrap_or_default();
        let mut view = CenterView::default();
        let rules = self.center.capture(ticket, &mut view);
        let center = view.to_center();
        self.check_finite(&center, progress.version)?;
        let member = |(worker, replica): (_, super::replicas::Replica)| WorkerModel {
            worker,
            parameters: replica.parameters.to_vec(),
            buffers: Buffers::clone(&replica.buffers),
        };
        Ok(Checkpoint {
            owner: self.owner(fingerprint),
            progress,
            center,
            buffers: view.to_buffers(),
            rules,
            stripe: STRIPE,
            members: members.into_iter().map(member).collect(),
            best: evaluations.best.map(|best| best.saved()).unwrap_or_default(),
        })
    }

    /// Creates a store that resumes from a checkpoint. The caller checks the fingerprint.
    pub(crate) fn resume(
        spec: &ServerSpec,
        layout: ParamLayout,
        checkpoint: &Checkpoint,
    ) -> Result<Self, PsError> {
        let Checkpoint { owner, progress, members, .. } = checkpoint;
        if layout.hash() != owner.layout {
            return Err(PsError::Checkpoint("it belongs to another network".to_owned()));
        }
        let store = Self::new(spec, layout, &checkpoint.center, checkpoint.buffers.clone())?;
        store.check_whole()?;
        let wanted = store.owner(&owner.fingerprint);
        if *owner != wanted {
            return Err(PsError::Checkpoint(format!(
                "it belongs to another fit: strategy '{}', {} workers, {} epochs, not '{}', {}, {}",
                owner.strategy,
                owner.workers,
                owner.epochs,
                wanted.strategy,
                wanted.workers,
                wanted.epochs
            )));
        }
        if checkpoint.stripe != STRIPE {
            return Err(PsError::Checkpoint(format!(
                "its stripes have {} parameters, but this version of Firesteel uses {STRIPE}",
                checkpoint.stripe
            )));
        }
        store.center.restore(&checkpoint.rules)?;
        match &store.replicas {
            Some(all) => members.iter().for_each(|member| {
                let WorkerModel { worker, parameters, buffers } = member;
                all.save(*worker, Contribution { message: parameters, buffers });
            }),
            None if members.is_empty() => {}
            None => {
                return Err(PsError::Checkpoint(
                    "it contains models of single workers, which the strategy does not have"
                        .to_owned(),
                ));
            }
        }
        let evaluations = SavedEvaluations {
            progress: progress.evaluations.clone(),
            best: FrozenModel::of(&checkpoint.best).map(Arc::new),
        };
        store.control.lock().restore(progress, evaluations, owner)?;
        store.bytes.store(progress.bytes, Ordering::Relaxed);
        Ok(store)
    }

    /// Fails if other servers hold a part of the center variable and of its state.
    fn check_whole(&self) -> Result<(), PsError> {
        if self.is_sharded() {
            return Err(PsError::Checkpoint(
                "checkpoints need the whole center variable, but serverShards splits it over several servers: use one server".to_owned(),
            ));
        }
        Ok(())
    }

    fn owner(&self, fingerprint: &str) -> Owner {
        Owner {
            fingerprint: fingerprint.to_owned(),
            layout: self.layout.hash(),
            strategy: self.terms.strategy.to_owned(),
            workers: self.terms.workers,
            epochs: self.terms.epochs,
        }
    }
}
