//! The training by one mini-batch.

use firesteel_core::clipping::{Bound, clip};
use firesteel_core::schedule::{TrainingStep, learning_rate};
use firesteel_core::spec::WorkerSpec;
use firesteel_core::{Tally, WorkerId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Training;
use super::report::Clock;
use super::worker::Worker;
use crate::error::TrainError;
use crate::network::Update;

impl Training<'_> {
    /// Trains one mini-batch; returns its number of rows and their losses.
    pub(super) fn step(
        &mut self,
        worker: &mut Worker,
        batch: u32,
        clock: &mut Clock,
    ) -> Result<(u64, Tally), TrainError> {
        let size = self.spec.batch_size;
        let order = worker.order(self.spec.seed, self.spec.shuffle);
        let first = batch as usize * size;
        let rows = &order[first..order.len().min(first.saturating_add(size))];
        self.filler.fill(&mut self.batch, self.partition, rows)?;
        clock.gathered();
        let trained = rows.len() as u64;
        worker.rule.look_ahead(worker.replica.parameters_mut());
        worker.replica.seed(self.seed_of(worker.id, worker.position.epoch, batch));
        let on_server = self.strategy.protocol().steps_on_server();
        if !on_server {
            worker.optimizer.set_learning_rate(self.rate(worker, batch));
        }
        let clipping = &self.spec.controls.clipping;
        let Worker { rule, replica, optimizer, .. } = worker;
        let optimizer = &mut **optimizer;
        let by_parts = !on_server && clipping.norm.is_none() && rule.steps_by_optimizer();
        let (network, gradient) = (&mut self.network, &mut self.gradient);
        let tally = if by_parts {
            let mut update = Update::new(optimizer, Bound::of(clipping, std::iter::empty()));
            network.train(replica, &self.batch, &self.loss, gradient, &mut update)?
        } else {
            network.forward_backward(replica, &self.batch, &self.loss, gradient)?
        };
        if !tally.loss.is_finite() {
            return Err(worker.diverged("the loss", tally.loss, batch));
        }
        self.zero_gradients.update(self.definition.layout(), &self.gradient);
        if !by_parts {
            if !on_server {
                clip(clipping, self.gradient.flat_mut());
            }
            let Worker { rule, replica, optimizer, .. } = worker;
            rule.step(replica.parameters_mut(), self.gradient.flat(), &mut **optimizer);
        }
        worker.report.batches += 1;
        worker.report.rows_trained += trained;
        clock.computed();
        Ok((trained, tally))
    }

    /// The learning rate of a mini-batch.
    fn rate(&self, worker: &Worker, batch: u32) -> f64 {
        let WorkerSpec { controls, optimizer, .. } = self.spec;
        let Worker { position, batches, reductions, .. } = *worker;
        let step = TrainingStep { epoch: position.epoch, batch, batches, reductions };
        let base = optimizer.learning_rate();
        learning_rate(&controls.schedule, controls.warmup.as_ref(), base, step)
    }

    /// Returns the seed of a mini-batch's dropout: a retry of the mini-batch draws the same masks.
    fn seed_of(&self, worker: WorkerId, epoch: u32, batch: u32) -> u64 {
        let mut place = [0_u8; 16];
        for (bytes, number) in
            place.chunks_exact_mut(4).zip([worker.partition, worker.index, epoch, batch])
        {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        xxh3_64_with_seed(&place, self.spec.seed)
    }
}
