//! `diloco`: rounds of `w` mini-batches; the mean of `x_at_start - x_now` is the gradient of an outer SGD with Nesterov's
//! momentum on the server, and `x = c` (Douillard et al., 2023, DiLoCo: Distributed Low-Communication Training of Language
//! Models).

use std::num::NonZeroU32;

use super::mean::MeanGradient;
use super::options::number;
use super::{
    Displacement, Protocol, RoundReply, RoundUpdate, ServerRule, Strategy, Weight, WindowSummary,
    WorkerRule,
};
use crate::optimizer::CheckedOptimizer;
use crate::options::{OptionError, Range};
use crate::spec::{DilocoOptions, OptimizerSpec};

#[derive(Debug)]
pub(super) struct Diloco {
    pub(super) window: NonZeroU32,
    pub(super) outer: CheckedOptimizer,
}

/// Returns the outer optimizer: SGD with Nesterov's momentum.
pub(super) fn outer_optimizer(options: &DilocoOptions) -> Result<CheckedOptimizer, OptionError> {
    let momentum = number("outerMomentum", options.outer_momentum, 0.9, Range::BELOW_ONE)?;
    let spec = OptimizerSpec::Sgd {
        learning_rate: options.outer_learning_rate.unwrap_or(0.7),
        momentum,
        dampening: 0.0,
        nesterov: momentum > 0.0,
        weight_decay: 0.0,
    };
    CheckedOptimizer::new(&spec)
        .map_err(|error| OptionError::new("outerLearningRate", error.problem))
}

impl Strategy for Diloco {
    fn name(&self) -> &'static str {
        "diloco"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Rounds {
            window: self.window,
            weight: Weight::Worker,
            update: RoundUpdate::Unscheduled,
            reply: RoundReply::Updated,
        }
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker(Displacement::new(parameters)))
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Round(Box::new(MeanGradient::new(self.outer, parameters)))
    }
}

struct Worker(Displacement);

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.0.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        self.0.take(replica, -1.0, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }
}
