//! Softmax and LogSoftmax over the last dimension.

use firesteel_kernels::rows;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// A softmax of groups of `size` values, or its logarithm.
pub(super) struct Softmax {
    size: usize,
    log: bool,
}

impl Softmax {
    pub(super) fn new(size: usize, log: bool) -> Self {
        Self { size, log }
    }
}

impl Step for Softmax {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        if self.log {
            rows::log_softmax(inputs[0], self.size, output);
        } else {
            rows::softmax(inputs[0], self.size, output);
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
        if self.log {
            rows::log_softmax_backward(pass.output, pass.of_output, self.size, adds, target);
        } else {
            rows::softmax_backward(pass.output, pass.of_output, self.size, adds, target);
        }
        Ok(())
    }
}
