//! Permute.

use firesteel_kernels::shaping::Permutation;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// A permutation of the dimensions of a row.
pub(super) struct Permute(pub(super) Permutation);

impl Step for Permute {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        self.0.forward(inputs[0], output);
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
        self.0.of_input(pass.of_output, adds, target);
        Ok(())
    }
}
