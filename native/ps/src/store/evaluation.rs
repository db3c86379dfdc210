//! Frozen center variables, and the scoring of held-out rows on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use firesteel_core::{Answer, Assignment, Buffers, WorkerId};

use super::{FailOnPanic, LeaseHolder, Store};
use crate::checkpoint::WorkerModel;
use crate::error::PsError;
use crate::store::center::{Center, CenterReader, CenterView};
use crate::store::control::FreezeTicket;
use crate::store::replicas::Replica;
use crate::store::snapshot::DRIVER;

/// The model at the end of an epoch, shared with the store and not copied.
#[derive(Debug)]
pub(crate) enum FrozenModel {
    /// The center variable.
    Center(CenterView),
    /// Every worker's replica.
    Replicas(BTreeMap<WorkerId, Replica>),
}

impl FrozenModel {
    /// Gives the model that a worker scores.
    fn read(&self, worker: WorkerId, reader: &mut dyn CenterReader) {
        match self {
            Self::Center(view) => view.give(reader),
            Self::Replicas(members) => {
                if let Some(replica) = members.get(&worker) {
                    replica.read(reader);
                }
            }
        }
    }

    /// Whether there is a model for a worker to score.
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        match self {
            Self::Center(_) => true,
            Self::Replicas(members) => members.contains_key(&worker),
        }
    }

    /// The models of every worker, or the one that the driver reads, for a checkpoint.
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

    /// What [`saved`](Self::saved) gave; `None` of nothing.
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

    /// All of it where every worker has its own, in the order of the workers.
    pub(super) fn members(&self) -> Option<Vec<(WorkerId, Replica)>> {
        match self {
            Self::Center(_) => None,
            Self::Replicas(members) => {
                Some(members.iter().map(|(id, replica)| (*id, replica.clone())).collect())
            }
        }
    }

    /// The parameters and buffers of the one model, or of the first one.
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

impl Store {
    /// Says what is asked of a worker's held-out rows, and gives the frozen center variable to the reader that `reader`
    /// makes of the answer where they are to be scored.
    pub(crate) fn evaluate<R: CenterReader>(
        &self,
        holder: LeaseHolder,
        reader: impl FnOnce(Answer, Assignment) -> R,
    ) -> Result<R, PsError> {
        self.advance()?;
        let asked = self.open()?.assign(holder, &self.terms, Instant::now())?;
        let mut reader = reader(asked.answer, asked.assignment);
        if let Some(frozen) = asked.frozen {
            frozen.read(holder.worker, &mut reader);
        }
        Ok(reader)
    }

    /// Takes a worker's scores, and judges the epoch if they were the last ones missing.
    pub(crate) fn score(
        &self,
        holder: LeaseHolder,
        epoch: u32,
        numbers: &[f64],
    ) -> Result<Answer, PsError> {
        self.open()?.score(holder, epoch, numbers, Instant::now())?;
        self.advance()?;
        self.open()?.answer_to(holder, Instant::now())
    }

    /// Judges what is scored and freezes what is due.
    pub(super) fn advance(&self) -> Result<(), PsError> {
        loop {
            let freeze = self.open()?.advance(&self.terms, Instant::now());
            match freeze {
                Some(freeze) => self.freeze(freeze),
                None => return Ok(()),
            }
        }
    }

    /// Freezes the center variable.
    pub(super) fn freeze(&self, freeze: FreezeTicket) {
        let failure = FailOnPanic(self);
        let FreezeTicket { ticket, epoch } = freeze;
        let frozen = match &self.replicas {
            Some(replicas) => {
                let mut all = BTreeMap::new();
                Center::with_ticket(ticket, || all.extend(replicas.all()));
                FrozenModel::Replicas(all)
            }
            None => {
                let mut view = CenterView::default();
                self.center.read(ticket, &mut view);
                FrozenModel::Center(view)
            }
        };
        self.control.lock().frozen(epoch, frozen);
        drop(failure);
    }
}
