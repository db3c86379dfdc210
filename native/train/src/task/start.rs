//! The start of a task's workers.

use firesteel_core::strategy::PullOrder;
use firesteel_core::{
    Buffers, ParamChannel, Position, Protocol, Registration, WorkerId, optimizer,
};

use super::Training;
use super::exchange::{ExchangeBuffers, ExchangeHandle};
use super::report::WorkerReport;
use super::worker::{Worker, WorkerPhase};
use crate::error::TrainError;
use crate::network::Replica;

impl Training<'_> {
    /// Registers a worker and returns it with its lease.
    pub(super) fn worker(
        &self,
        id: WorkerId,
        mut channel: Box<dyn ParamChannel>,
    ) -> Result<Worker, TrainError> {
        let rows = self.partition.worker_rows(id.index, self.spec.workers_in_task)?;
        let batches = u32::try_from(rows.len().div_ceil(self.spec.batch_size)).map_err(|_| {
            TrainError::Internal("more than 4294967295 mini-batches in an epoch".to_owned())
        })?;
        let held_out = self.partition.held_out(id.index, self.spec.workers_in_task)?;
        let parameters = self.layout().parameters();
        let report = WorkerReport {
            index: id.index,
            rows: rows.len() as u64,
            held_out: held_out.len() as u64,
            content: format!("{:016x}", rows.content(self.spec.shuffle)),
            ..WorkerReport::default()
        };
        let optimizer = optimizer::build(&self.spec.optimizer, parameters)?;
        let granted = channel.register(&Registration {
            worker: id,
            attempt: self.spec.attempt,
            rows: rows.len() as u64,
            content: rows.content(self.spec.shuffle),
            batches,
            held_out: held_out.len() as u64,
        })?;
        let protocol = self.strategy.protocol();
        let overlap = protocol.overlaps();
        let exchange =
            ExchangeBuffers::new(if overlap { parameters } else { 0 }, &self.scratch.buffers);
        let pulls_after_commits = matches!(
            protocol,
            Protocol::Asynchronous { pull: PullOrder::AfterCommit, overlap: false, .. }
        );
        Ok(Worker {
            id,
            exchange: ExchangeHandle::new(id, channel, exchange, overlap)?,
            replica: Replica::new(&*self.definition)?,
            optimizer,
            rule: self.strategy.worker(parameters, granted.workers),
            rows,
            held_out,
            batches,
            position: granted.position,
            order: None,
            sequence: 0,
            reductions: 0,
            phase: WorkerPhase::Training,
            pulls_late: pulls_after_commits && self.spec.workers_in_task > 1,
            pull_due: false,
            report,
        })
    }

    /// Returns the initial weights of a worker that trains its own model and has not begun, unless all start from given
    /// weights.
    pub(super) fn own_weights(
        &self,
        worker: &Worker,
    ) -> Result<Option<(Vec<f32>, Buffers)>, TrainError> {
        let begins = worker.position == Position::default();
        if !self.strategy.protocol().keeps_members() || !begins || self.spec.given_weights {
            return Ok(None);
        }
        // A number that is unique to the worker, however many share a task.
        let number = u64::from(worker.id.partition) + (u64::from(worker.id.index) << 32);
        let seed = self.spec.seed.wrapping_add(number);
        self.definition.initial(seed).map(Some)
    }
}
