//! Dropout.

use firesteel_kernels::put;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// Dropout with masks of the worker's own generator, as those of autograd.
pub(super) struct Dropout {
    probability: f64,
}

impl Dropout {
    pub(super) fn new(probability: f64) -> Self {
        Self { probability }
    }
}

impl Step for Dropout {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let x = inputs[0];
        let mask = &mut pass.scratch.mask;
        let Some(training) = pass.training.as_mut().filter(|_| self.probability > 0.0) else {
            mask.clear();
            output.copy_from_slice(x);
            return Ok(());
        };
        mask.resize(x.len(), 0.0);
        training.random.mask(self.probability, mask);
        for ((y, x), mask) in output.iter_mut().zip(x).zip(&*mask) {
            *y = x * mask;
        }
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        for (index, (dx, dy)) in target.iter_mut().zip(&*pass.of_output).enumerate() {
            let value = dy * pass.scratch.mask.get(index).copied().unwrap_or(1.0);
            put(dx, value, adds);
        }
        Ok(())
    }
}
