//! Frozen models: the model at the end of an epoch, which the workers score.

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_core::{Buffers, WorkerId};

use crate::model::checkpoint::WorkerModel;
use crate::model::{CenterReader, CenterView, DRIVER};
use crate::store::replicas::Replica;

/// The model at the end of an epoch, shared with the store and not copied.
#[derive(Debug)]
pub(crate) enum FrozenModel {
    /// The center variable.
    Center(CenterView),
    /// Every worker's replica.
    Replicas(BTreeMap<WorkerId, Replica>),
}

impl FrozenModel {
    /// Passes the model that a worker scores to a reader.
    pub(super) fn read(&self, worker: WorkerId, reader: &mut dyn CenterReader) {
        match self {
            Self::Center(view) => view.give(reader),
            Self::Replicas(members) => {
                if let Some(replica) = members.get(&worker) {
                    replica.read(reader);
                }
            }
        }
    }

    /// Returns true if there is a model for the worker to score.
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        match self {
            Self::Center(_) => true,
            Self::Replicas(members) => members.contains_key(&worker),
        }
    }

    /// Returns the models for a checkpoint: that of every worker, or the one center variable.
    pub(super) fn saved(&self) -> Vec<WorkerModel> {
        match self {
            Self::Center(view) => vec![WorkerModel {
                worker: DRIVER,
                parameters: view.to_center(),
                buffers: view.to_buffers(),
            }],
            Self::Replicas(members) => members
                .iter()
                .map(|(worker, replica)| WorkerModel {
                    worker: *worker,
                    parameters: replica.parameters.to_vec(),
                    buffers: Buffers::clone(&replica.buffers),
                })
                .collect(),
        }
    }

    /// Restores the models that [`saved`](Self::saved) returned; `None` for an empty list.
    pub(super) fn of(saved: &[WorkerModel]) -> Option<Self> {
        match saved {
            [] => None,
            [WorkerModel { worker: DRIVER, parameters, buffers }] => {
                Some(Self::Center(CenterView::of(parameters, buffers)))
            }
            members => {
                let replica = |member: &WorkerModel| {
                    let parameters = Arc::new(member.parameters.clone());
                    (
                        member.worker,
                        Replica { parameters, buffers: Arc::new(member.buffers.clone()) },
                    )
                };
                Some(Self::Replicas(members.iter().map(replica).collect()))
            }
        }
    }

    /// Returns the models of all workers in order; `None` if there is one center variable.
    pub(super) fn members(&self) -> Option<Vec<(WorkerId, Replica)>> {
        match self {
            Self::Center(_) => None,
            Self::Replicas(members) => {
                Some(members.iter().map(|(id, replica)| (*id, replica.clone())).collect())
            }
        }
    }

    /// Returns the parameters and buffers of the center variable, or of the first worker's model.
    pub(super) fn model(&self) -> Option<(Vec<f32>, Buffers)> {
        match self {
            Self::Center(view) => Some((view.to_center(), view.to_buffers())),
            Self::Replicas(members) => members
                .values()
                .next()
                .map(|first| (first.parameters.to_vec(), Buffers::clone(&first.buffers))),
        }
    }
}
