//! `sync`: every mini-batch is a round; the fit's optimizer, which runs on the server, takes the mean gradient,
//! weighted by rows, and `x = c`. With `p` workers and batches of `b` rows of equal weight it is one worker with
//! batches of `p b`.

use std::num::NonZeroU32;

use super::mean::MeanGradient;
use super::{
    Protocol, RoundReply, RoundUpdate, ServerRule, Strategy, Weight, WindowSummary, WorkerRule,
};
use crate::optimizer::{CheckedOptimizer, Optimizer};

#[derive(Debug)]
pub(super) struct SyncSgd {
    pub(super) optimizer: CheckedOptimizer,
}

impl Strategy for SyncSgd {
    fn name(&self) -> &'static str {
        "sync"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Rounds {
            window: NonZeroU32::MIN,
            weight: Weight::Rows,
            update: RoundUpdate::ServerStep,
            reply: RoundReply::Updated,
        }
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker { gradient: vec![0.0; parameters] })
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Round(Box::new(MeanGradient::new(self.optimizer, parameters)))
    }
}

struct Worker {
    gradient: Vec<f32>,
}

impl WorkerRule for Worker {
    fn start(&mut self, _: &[f32]) {}

    fn steps_by_optimizer(&self) -> bool {
        false
    }

    /// Keeps the gradient; the replica waits for the center variable.
    fn step(&mut self, _: &mut [f32], gradient: &[f32], _: &mut dyn Optimizer) {
        self.gradient.copy_from_slice(gradient);
    }

    fn commit(&mut self, _: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        message.copy_from_slice(&self.gradient);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        replica.copy_from_slice(center);
    }
}
