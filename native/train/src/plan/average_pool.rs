//! Pooling by the average.

use firesteel_kernels::pooling::{Divisor, Pooling};

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// The averages of windows.
pub(super) struct AveragePool {
    pub(super) pooling: Pooling,
    pub(super) divisor: Divisor,
}

impl Step for AveragePool {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        self.pooling.average(inputs[0], self.divisor, output);
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
        self.pooling.of_average(pass.of_output, self.divisor, adds, target);
        Ok(())
    }
}
