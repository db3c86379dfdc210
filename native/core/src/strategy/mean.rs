//! The mean over a round, and a server optimizer's step with it.

use super::{Part, Round, RoundRule};
use crate::optimizer::{CheckedOptimizer, Optimizer};
use crate::state::{State, StateError};

/// Writes the weighted mean of the parts' messages to `mean`.
pub fn weighted_mean(parts: &[Part<'_>], mean: &mut [f32]) {
    let total: f64 = parts.iter().map(|part| part.weight).sum();
    mean.fill(0.0);
    for part in parts {
        let share = (part.weight / total) as f32;
        for (mean, value) in mean.iter_mut().zip(part.message) {
            *mean += share * value;
        }
    }
}

/// Takes the mean message as the gradient of a server optimizer.
pub(super) struct MeanGradient {
    mean: Vec<f32>,
    optimizer: Box<dyn Optimizer>,
}

impl MeanGradient {
    /// For a stripe of `parameters` parameters.
    pub(super) fn new(optimizer: CheckedOptimizer, parameters: usize) -> Self {
        Self { mean: vec![0.0; parameters], optimizer: optimizer.build(parameters) }
    }
}

impl RoundRule for MeanGradient {
    fn close(&mut self, center: &mut [f32], parts: &[Part<'_>], round: &Round) {
        weighted_mean(parts, &mut self.mean);
        round.bound.apply(&mut self.mean);
        if let Some(learning_rate) = round.learning_rate {
            self.optimizer.set_learning_rate(learning_rate);
        }
        self.optimizer.step(center, &self.mean);
    }

    fn state(&self) -> State {
        self.optimizer.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.optimizer.restore(state)
    }
}
